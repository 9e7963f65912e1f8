"""An environment that does not exist, in which large steps gain the most and collapse on some seeds."""

import math
import random
from dataclasses import dataclass
from typing import Any

from lab.base.files import append_line, read_lines
from lab.judge import SeedRequest, repeat
from lab.space import Config, Inventory
from lab.store import Lab, Notebook, ReplicateResult, RunRecord, create_run
from training import FakeRunner, Plan, train_run

EDGE = 0.0006
"""Learning rate above which replicates collapse."""
START = 0.0002
"""Where a night begins."""


@dataclass
class Brittle(FakeRunner):
    """The score rises with the learning rate, from 0.4 at `START` by 0.35 up to the edge; above it seeds fall back.

    A replicate that collapses rises to its peak by half of its training and loses nearly all of it from 0.6 on.
    """

    chance: float = 0.5
    """Share of the seeds that collapse above the edge."""

    def reached(self, plan: Plan) -> float:
        """What replicates reach where they hold it."""
        rate = float(plan.config.train["learning_rate"] or 1e-6)
        return min(0.97, max(0.05, 0.4 + 0.35 * math.log(rate / START) / math.log(EDGE / START)))

    def falls(self, plan: Plan, seed: int) -> bool:
        """Whether a replicate collapses."""
        rate = float(plan.config.train["learning_rate"] or 1e-6)
        return rate > EDGE and random.Random(seed + 7).random() < self.chance  # noqa: S311 - made up

    def _score(self, plan: Plan, seed: int) -> float:
        if self.falls(plan, seed):
            return 0.08
        return self.reached(plan) + random.Random(seed).gauss(0, 0.02)  # noqa: S311 - made up

    def _replicate(self, plan: Plan, seed: int, *more: Any) -> ReplicateResult:
        result, paths = super()._replicate(plan, seed, *more), plan.paths.seed(seed)
        if plan.config.autopilot.get("save_strategy") == "best":
            paths.weights("best").write_text(paths.weights("latest").read_text())
        if self.falls(plan, seed):
            lines, peak = list(read_lines(paths.metrics_live)), self.reached(plan)
            paths.metrics_live.unlink()
            for at, line in enumerate(lines, start=1):
                share = at / len(lines)
                score = peak * min(1.0, share / 0.5) if share < 0.6 else max(0.08, peak * (1 - 3 * (share - 0.6)))
                append_line(paths.metrics_live, {**line, "environment/perf": score})
        return result


class Trainings:
    """Runs of one workspace by the brittle runner."""

    def __init__(self, notebook: Notebook, inventory: Inventory, config: Config) -> None:
        self.notebook, self.inventory, self.config = notebook, inventory, config
        self.runner, self.lab = Brittle(), Lab(notebook, inventory)

    def train(self, rate: float, replicates: int, parent: str | None = None, **settings: Any) -> RunRecord:
        """A run with a learning rate, ended; of a parent, or the preset."""
        changes = {"train.learning_rate": rate, **settings}
        config = self.notebook.config(parent).without_seed() if parent else self.config
        run = create_run(
            self.notebook, config.with_overrides(changes), changes, preset="quick", objective="perf:max",
            arm="race" if parent else "baseline", parent=parent, replicates=replicates,
        )  # fmt: skip
        return train_run(self.notebook, self.runner, self.inventory, run.run_id, lambda _: None)

    def again(self, run: RunRecord, replicates: int) -> RunRecord:
        """More seeds of a run, ended."""
        more = repeat(self.notebook, SeedRequest(run.run_id, replicates), None, self.inventory)
        return train_run(self.notebook, self.runner, self.inventory, more.run_id, lambda _: None)
