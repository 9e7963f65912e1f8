"""A runner that trains nothing: curves made up from the config, for tests of everything around training.

It writes the same files as the real one and goes through the same behavioural tests. It never ships a result that
could be taken for a real one: runs made with it say `fake` where the versions stand.
"""

import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field

from lab.files import append_line, write_model
from lab.records import Evaluation, ReplicateResult, RunState
from training.protocol import Progress
from training.runner import Plan, Stopped

POINTS = 20


@dataclass
class FakeRunner:
    """Scores have a peak at learning_rate = 0.01 and noise from the seed."""

    noise: float = 0.05
    faults: dict[int, RunState] = field(default_factory=dict)
    """Which seeds end how, instead of finishing."""
    trained: list[int] = field(default_factory=list)
    """Seeds in the order they were trained."""

    def train(
        self, plan: Plan, on_progress: Callable[[Progress], None], should_stop: Callable[[], bool]
    ) -> list[ReplicateResult]:
        """See `training.runner.Runner.train`."""
        return [self._replicate(plan, seed, on_progress, should_stop) for seed in plan.seeds]

    def warm(self, threads: int) -> None:
        """Nothing to prepare."""

    def close(self) -> None:
        """Nothing to end."""

    def _replicate(
        self, plan: Plan, seed: int, on_progress: Callable[[Progress], None], should_stop: Callable[[], bool]
    ) -> ReplicateResult:
        paths = plan.paths.seed(seed)
        paths.dir.mkdir(parents=True, exist_ok=True)
        paths.log.write_text(f"fake training of {plan.config.env_name}, seed {seed}\n")
        total = int(plan.config.train["total_timesteps"] or 0)
        final = self._score(plan, seed)
        for point in range(1, POINTS + 1):
            if should_stop():
                raise Stopped("stopped on request")
            steps, score = total * point // POINTS, final * (1 - math.exp(-4 * point / POINTS))
            line = {"agent_steps": steps, f"environment/{plan.job(seed).score}": score, "losses/entropy": 0.7 / point,
                    "SPS": 1e5}  # fmt: skip
            append_line(paths.metrics_live, line)
            on_progress(Progress(seed=seed, phase="train", steps=steps, total=total, sps=1e5, score=score))
        self.trained.append(seed)
        state = self.faults.get(seed, RunState.FINISHED)
        if state is not RunState.FINISHED:
            paths.log.write_text("Traceback: ValueError: made up\n")
            result = ReplicateResult(seed=seed, state=state, reason="made up by the fake runner")
        else:
            raw = {plan.job(seed).score: final}
            counts = {"sps": 1e5, "agent_steps": float(total), "epoch": float(POINTS)}
            result = ReplicateResult(
                seed=seed,
                state=state,
                metrics={plan.objective: final, **counts},
                evaluations=(Evaluation(actions="sampled", episodes=100, unfinished_share=0.01, raw=raw),),
                weights="fake",
                device="fake",
            )
        write_model(paths.result, result)
        return result

    def _score(self, plan: Plan, seed: int) -> float:
        rate = float(plan.config.train["learning_rate"] or 1e-6)
        peak = math.exp(-(math.log10(rate / 0.01) ** 2))
        return min(1.0, max(0.0, 0.9 * peak + random.Random(seed).gauss(0, self.noise)))  # noqa: S311 - a made-up curve
