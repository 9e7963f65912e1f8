"""A runner that trains nothing: curves made up from the config, for tests of everything around training.

It writes the same files as the real one and goes through the same behavioural tests; `training.executors.madeup` has
how.
"""

from dataclasses import dataclass, field

from lab.space import Config, Environment
from lab.store import ReplicateResult
from training.executors import Fault, MadeUp, Place, made_up_result, made_up_score, make_up
from training.protocol import OnProgress, ShouldStop
from training.runner import Plan


@dataclass
class FakeRunner:
    """A runner whose scores have a peak at learning_rate = 0.01 and noise from the seed."""

    noise: float = 0.05
    faults: dict[int, Fault] = field(default_factory=dict)
    """Seeds that go wrong half-way, and how: a loss that is no number, an exception, no progress."""
    trained: list[int] = field(default_factory=list)
    """Seeds in the order they were trained."""
    at_once: int = 1
    """Runs that are trained side by side."""

    def train(self, plan: Plan, on_progress: OnProgress, should_stop: ShouldStop) -> list[ReplicateResult]:
        """Make up a curve and a result for each seed; see `training.runner.Runner.train`."""
        results: list[ReplicateResult] = []
        for seed in plan.seeds:
            if should_stop():
                break
            results.append(self._replicate(plan, seed, on_progress, should_stop))
        return results

    def room(self, config: Config, environment: Environment, device: str) -> int:
        """As many as it was told."""
        return self.at_once

    def warm(self, config: Config | None = None, device: str = "cpu") -> None:
        """Do nothing: there is nothing to prepare."""

    def places(self) -> list[Place]:
        """Nothing: it has none."""
        return []

    def close(self) -> None:
        """Do nothing: there is nothing to end."""

    def _replicate(self, plan: Plan, seed: int, on_progress: OnProgress, should_stop: ShouldStop) -> ReplicateResult:
        def finish(total: int, final: float) -> ReplicateResult:
            self.trained.append(seed)
            return self._finished(plan, seed, total, final)

        final, how = self._score(plan, seed), MadeUp(noise=self.noise, faults=self.faults)
        return make_up(plan.job(seed), how, on_progress, should_stop, final=final, finish=finish)

    def _finished(self, plan: Plan, seed: int, total: int, final: float) -> ReplicateResult:
        return made_up_result(plan.job(seed), total, final)

    def _score(self, plan: Plan, seed: int) -> float:
        return made_up_score(plan.job(seed), MadeUp(noise=self.noise))
