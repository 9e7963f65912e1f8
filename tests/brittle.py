"""An environment that does not exist, in which large steps gain the most and collapse on some seeds."""

import math
import random
from dataclasses import dataclass
from typing import Any

from lab.base.files import append_line, read_lines
from lab.store.records import ReplicateResult
from training.fake import FakeRunner
from training.runner import Plan

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
