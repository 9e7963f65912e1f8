"""Whole nights of the product on a task whose truth is known: its session, its queue, its offline researcher.

The table's columns become arguments of the environment that proposals may change, each from 0 to 1 as the place in its
range, under names that say nothing; all else is frozen. A replicate's score is what the task answers.
"""

import contextlib
import io
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.arms.replay import Night
from benchmarks.arms.worlds import Surrogate
from benchmarks.common import ENV
from benchmarks.replayed import night
from lab.search import Point
from lab.space import Config, Environment, Inventory, space_of
from lab.space.task import Limit
from lab.store import Sessions
from training import FakeRunner, Plan, load_inventory


@dataclass
class Played(FakeRunner):
    """Answers each replicate from a surrogate."""

    world: Surrogate | None = None
    seed: int = 0
    draws: np.random.Generator = field(default_factory=np.random.default_rng)

    def __post_init__(self) -> None:
        self.draws = np.random.default_rng([17, self.seed])

    def _score(self, plan: Plan, seed: int) -> float:
        assert self.world is not None  # noqa: S101 - there is always one
        low, high = self.world.bounds
        (score,) = self.world.draw(self._point(plan.config), 1, self.draws)
        return (score - low) / (high - low)

    def _point(self, config: Config) -> Point:
        assert self.world is not None  # noqa: S101 - there is always one
        return point_of(self.world, config)


def key(at: int) -> str:
    """The config key of a column."""
    return f"env.x{at}"


def point_of(world: Surrogate, config: Config) -> Point:
    """The table's point of a config."""
    places = [float(config.get(key(at)) or 0.0) for at in range(len(world.table.space.dimensions))]
    return world.table.space.point(places)


def inventory_for(world: Surrogate) -> Inventory:
    """An inventory with one environment that has the table's columns as arguments."""
    inventory = load_inventory([ENV])
    known = inventory.environment(ENV)
    start = [round(float(place), 4) for place in world.table.space.places(world.table.default)]
    names = [key(at).removeprefix("env.") for at in range(len(start))]
    prior = {"distribution": "uniform", "min": 0.0, "max": 1.0, "mean": 0.5, "scale": "auto"}
    frozen = {name: Limit(frozen=True) for name, parameter in space_of(known).items() if parameter.proposable}
    ini = {**known.ini, "env": {**known.ini["env"], **dict(zip(names, start, strict=True))}}
    ini |= {f"sweep.env.{name}": dict(prior) for name in names}
    environment = known.model_copy(
        update={
            "constructor": {**known.constructor, **dict.fromkeys(names, 0.5)},
            "ini": {section: value for section, value in ini.items() if section not in {f"sweep.{k}" for k in frozen}},
            "limits": frozen | {f"env.{name}": Limit(open=True, low=0.0, high=1.0) for name in names},
        }
    )
    return inventory.model_copy(update={"environments": {ENV: Environment.model_validate(environment.model_dump())}})


def product_night(world: Surrogate, budget: int, seed: int, seeds: int = 3) -> Night:
    """A session until it has used so many replicates.

    Args:
        world: the task.
        budget: replicates, a multiple of `seeds`.
        seed: of the noise.
        seeds: of a run, by which the session counts.
    """
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        runner = Played(world=world, seed=seed)
        session: Any = night(Path(folder) / "workspace", inventory_for(world), runner, budget // seeds)
        notebook, runs = session.notebook, [run for run in session.mine() if run.replicates_of is None]
        incumbent, named = str(notebook.incumbent(session.group)), notebook.index.confirmations(group=session.group)
        leader = Sessions(notebook.workspace).leading(session.record.session_id)[-1].run
        point = point_of(world, notebook.config(leader))
        contender = world.truth(point_of(world, notebook.config(named[0].candidate))) if named else None
        proven = incumbent != runs[0].run_id
        return Night(
            world.truth(point), point, (time.perf_counter() - began) / len(runs), len(runner.trained), contender,
            proven, proven and leader == incumbent,
        )  # fmt: skip
