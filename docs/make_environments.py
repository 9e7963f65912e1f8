"""A smoke run of every environment, and the page about them: `.venv/bin/python -m docs.make_environments`.

Each is trained for two batches of its quick preset through the product's own path, then evaluated; to keep the whole
to minutes the evaluation is a short one, so the figures say that it works and how fast, not how well it learns.
"""

import platform
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from lab.base import Workspace
from lab.space import COMMON, Config, Environment, Inventory, Objective, derive, preset_config
from lab.store import Notebook, ReplicateResult, RunRecord, RunState, create_run
from training import ProcessRunner, load_inventory, train_run, usable_cores

PAGE = Path(__file__).resolve().parent / "environments.md"
GYMNASIUM = ("gymnasium:CartPole-v1", "gymnasium:Pendulum-v1")
SLOW = {"puffer_school": 150, "puffer_boids": 100, "puffer_convert": 800, "puffer_snake": 500, "puffer_grid": 2_500}
"""Steps of the evaluation where each takes milliseconds."""


HEAD = "| environment | smoke run | objective | agents | bytes | LSTM in its ini | SPS | episodes | common metrics |"


@dataclass(frozen=True)
class Smoke:
    """What came of one environment."""

    environment: Environment
    config: Config
    run: RunRecord
    result: ReplicateResult
    seconds: float


def smoke_config(environment: Environment) -> Config:
    """The quick preset, two batches and a short evaluation."""
    config = preset_config(environment, "quick").with_overrides({"autopilot.seeds": 1, "autopilot.stall_limit": 240.0})
    steps = min(int(config.autopilot["eval_steps"] or 1), 5_000)
    return config.with_overrides({
        "train.total_timesteps": 2 * derive(config, environment.agents_per_env or 1).batch_size,
        "autopilot.eval_slots": min(int(config.autopilot["eval_slots"] or 1), 64),
        "autopilot.eval_steps": SLOW.get(environment.name, min(steps, 1_500) if steps == 4_000 else steps),
        "autopilot.eval_episodes": 2,
    })  # fmt: skip


def smoke(inventory: Inventory, name: str, place: Workspace) -> Smoke:
    """Train and evaluate one environment."""
    environment = inventory.environment(name)
    config, notebook, runner = smoke_config(environment), Notebook(place), ProcessRunner(1)
    objective = str(Objective.of(None, name))
    began = time.monotonic()
    try:
        run = create_run(notebook, config, {}, preset="quick", objective=objective, arm="smoke")
        run = train_run(notebook, runner, inventory, run.run_id, lambda _: None)
    finally:
        runner.close()
    (result,) = notebook.results(run)
    return Smoke(environment, config, run, result, time.monotonic() - began)


def usable(inventory: Inventory) -> list[str]:
    """Environments that are not refused."""
    return [name for name, found in inventory.environments.items() if found.refused is None]


def row(found: Smoke) -> str:
    """One line of the table."""
    environment, result = found.environment, found.result
    lstm = "yes" if environment.ini["base"].get("rnn_name") and not environment.emulated else "no"
    agents, size = f"{environment.agents_per_env or 1:g}", environment.observation_bytes
    if found.run.state is RunState.FINISHED:
        sampled = result.evaluations[0]
        episodes = f"{sampled.episodes:,}" + (f" ({sampled.unfinished_share:.0%})" if sampled.per_slot is None else "")
        metrics = ", ".join(name for name in result.metrics if name in COMMON) or "-"
        state, sps = "finished", f"{result.metrics['sps']:,.0f}"
    else:
        episodes = metrics = sps = "-"
        state = f"{found.run.state}: {found.run.reason}".replace("|", "/")
    objective = found.run.goal.metric
    cells = (f"`{environment.name}`", state, objective, agents, str(size), lstm, sps, episodes, metrics)
    return "| " + " | ".join(cells) + " |"


def page(smokes: list[Smoke], inventory: Inventory) -> str:
    """The whole page."""
    refused = {name: found.refused for name, found in inventory.environments.items() if found.refused is not None}
    finished = sum(found.run.state is RunState.FINISHED for found in smokes)
    lines = [
        "# Environments", "",
        "Made by `.venv/bin/python -m docs.make_environments`, which trains and scores each of them for real:"
        f" {finished} of {len(smokes)} finished. Machine: {usable_cores()} cores, no GPU,"
        f" {platform.system()} {platform.machine()}, {', '.join(f'{k} {v}' for k, v in inventory.versions.items())}.",
        "",
        "Each ran two batches of its quick preset with its own policy, one thread, two environments at a time on the"
        " machine, then a shortened evaluation: a smoke test, which says that it works and roughly how fast, not how"
        " well it learns. *Agents* are those of one unit of `env.num_envs` (or of one environment where there is no"
        " such argument), *bytes* those of one agent's observation. In brackets behind the episodes: what those cut"
        " off at the end may weigh; the presets evaluate for longer, until that is under 5 % where they can.",
        "", HEAD, "|---|---|---|---|---|---|---|---|---|", *(row(found) for found in smokes), "",
        "## Refused", "", "| environment | why |", "|---|---|",
        *(f"| `{name}` | {why} |" for name, why in refused.items()),
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run them all, two at a time, and write the page."""
    inventory = load_inventory([*usable(load_inventory()), *GYMNASIUM])
    with tempfile.TemporaryDirectory() as folder:
        place = Workspace(Path(folder))
        place.create()

        def one(name: str) -> Smoke:
            found = smoke(inventory, name, place)
            sys.stderr.write(f"{name}: {found.run.state} {found.run.reason or ''} {found.seconds:.0f} s\n")
            return found

        names = usable(inventory)
        with ThreadPoolExecutor(2) as pool:
            smokes = list(pool.map(one, names))
    PAGE.write_text(page(smokes, inventory), encoding="utf-8")


if __name__ == "__main__":
    main()
