"""Nights of real training beside plain TPE: `.venv/bin/python -m benchmarks.live [--nights 10]`.

Each night is a session of the offline researcher on puffer_cartpole at 600,000 steps, 60 replicates with baseline and
proof. Its pair is Optuna's TPE over the same keys with 60 replicates, one to a config, which begins with the baseline
and proves nothing. What each recommends, the night its leader, is trained on eight fresh seeds, and so is the baseline.
"""

import argparse
import contextlib
import json
import os
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import numpy as np

from agent.session.session import Session
from benchmarks.common import ENV, tell
from benchmarks.replayed import night
from lab.base import Workspace
from lab.search import ARMS, Search
from lab.space import Config, preset_config
from lab.store import Lab, Notebook, RunRecord, Sessions, create_run
from training import ProcessRunner, load_inventory, train_run, usable_cores

STEPS = 600_000
RUNS, SEEDS = 20, 3
"""Of a night, as it is asked for: 60 replicates."""
FRESH = 8
"""Seeds by which the truth about what is recommended is known."""


def _made(lab: Lab, runner: ProcessRunner, config: Config, changes: dict[str, Any], replicates: int) -> RunRecord:
    run = create_run(
        lab.notebook, config.with_overrides(changes).without_seed(), changes, preset="quick", objective="perf:max",
        arm="baseline" if not changes else "tpe", replicates=replicates,
    )  # fmt: skip
    return train_run(lab.notebook, runner, lab.inventory, run.run_id, lambda _: None)


def plain_tpe(lab: Lab, runner: ProcessRunner, base: Config, name: str) -> Config:
    """What TPE recommends after as many replicates."""
    arm, first = ARMS["tpe"](1), _made(lab, runner, base, {}, 1)
    for _ in range(RUNS * SEEDS - 1):
        search = Search.of(lab, first.group, seed=name)
        assert search is not None  # noqa: S101 - the baseline has a score
        _made(lab, runner, base, search.suggest(arm=arm, only_new=True)[0].changes, 1)
    search = Search.of(lab, first.group, seed=name)
    assert search is not None  # noqa: S101 - as above
    return lab.notebook.config(search.runs[arm.leader(search.history) or 0])


def pair(number: int) -> dict[str, Any]:
    """One night, its TPE, and the truth about what both recommend."""
    inventory, runner = load_inventory([ENV]), ProcessRunner(1)
    base = preset_config(inventory.environment(ENV), "quick").with_overrides({"train.total_timesteps": STEPS})
    with (
        tempfile.TemporaryDirectory() as folder,
        Path(os.devnull).open("w") as nowhere,
        contextlib.redirect_stdout(nowhere),
    ):
        root, other = Path(folder) / "night", Workspace(Path(folder) / "tpe")
        session: Session = night(root, inventory, runner, RUNS, f"night-{number}", **{"train.total_timesteps": STEPS})
        notebook, group = session.notebook, session.group
        leader = Sessions(notebook.workspace).leading(session.record.session_id)[-1]
        recommended = notebook.config(leader.run)
        proven = notebook.incumbent(group) != session.mine()[0].run_id
        other.create()
        lab, runner = Lab(Notebook(other), inventory), ProcessRunner(1)
        theirs = plain_tpe(lab, runner, base, f"night-{number}")
        truth = {}
        for what, config in (("night", recommended), ("tpe", theirs), ("baseline", base)):
            run = _made(lab, runner, config.with_overrides({"autopilot.seeds": FRESH}), {}, FRESH)
            truth[what] = float(np.mean(lab.notebook.values(run.run_id, "perf")))
        runner.close()
    return {"number": number, "proven": proven, "believed": leader.mean, "gain": leader.gain, **truth}


def main() -> None:
    """Print every pair, and what they come to together."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.live", description=__doc__)
    parser.add_argument("--nights", type=int, default=10)
    parser.add_argument("--first", type=int, default=0, help="number of the first night")
    wanted = parser.parse_args()
    with ProcessPoolExecutor(usable_cores()) as pool:
        started = [pool.submit(pair, number) for number in range(wanted.first, wanted.first + wanted.nights)]
        for done in as_completed(started):
            sys.stderr.write(f"{json.dumps(done.result())}\n")  # as they come: hours go into them
    pairs = [one.result() for one in started]
    away = np.array([one["night"] - one["tpe"] for one in pairs])
    from scipy.stats import t

    half = float(t.ppf(0.95, len(away) - 1)) * float(away.std(ddof=1)) / len(away) ** 0.5 if len(away) > 1 else 0.0
    tell(
        "nights of real training beside TPE with as many replicates", pairs=pairs,
        means={what: round(float(np.mean([one[what] for one in pairs])), 3) for what in ("night", "tpe", "baseline")},
        night_minus_tpe={"mean": round(float(away.mean()), 3), "low_90": round(float(away.mean()) - half, 3)},
        proven=sum(one["proven"] for one in pairs),
    )  # fmt: skip


if __name__ == "__main__":
    main()
