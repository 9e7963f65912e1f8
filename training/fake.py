"""A runner that trains nothing: curves made up from the config, for tests of everything around training.

It writes the same files as the real one and goes through the same behavioural tests. It never ships a result that
could be taken for a real one: its weights and its device are called `fake`.
"""

import json
import math
import random
from dataclasses import dataclass, field
from typing import Literal

from lab.base import SeedPaths, append_line, write_model
from lab.space import Config, Environment
from lab.store import Evaluation, ReplicateResult, RunState
from training.protocol import OnProgress, Progress, ShouldStop
from training.runner import Plan

POINTS = 20
Fault = Literal["nan", "crash", "hang"]
ENDS: dict[Fault, tuple[RunState, str]] = {
    "nan": (RunState.DIVERGED, "losses/value_loss became nan at step {steps:,}"),
    "crash": (RunState.FAILED, "ValueError: made up"),
    "hang": (RunState.TIMED_OUT, "no progress for {stall:g} s (autopilot.stall_limit)"),
}


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

    def close(self) -> None:
        """Do nothing: there is nothing to end."""

    def _replicate(self, plan: Plan, seed: int, on_progress: OnProgress, should_stop: ShouldStop) -> ReplicateResult:
        paths = plan.paths.seed(seed)
        paths.dir.mkdir(parents=True, exist_ok=True)
        paths.log.write_text(f"fake training of {plan.config.env_name}, seed {seed}\n")
        total, final = int(plan.config.train["total_timesteps"] or 0), self._score(plan, seed)
        fault = self.faults.get(seed)
        for point in range(1, POINTS + 1):
            steps, score = total * point // POINTS, final * (1 - math.exp(-4 * point / POINTS))
            if why := should_stop():
                return _ended(paths, seed, why.state, f"{why.reason}, after {steps:,} steps")
            if fault and point > POINTS // 2:
                state, reason = ENDS[fault]
                paths.log.write_text("Traceback: ValueError: made up\n")
                stall = float(plan.config.autopilot.get("stall_limit") or 300)
                return _ended(paths, seed, state, reason.format(steps=steps, stall=stall))
            logged = {f"environment/{plan.job(seed).score}": score, "losses/entropy": 0.7 / point, "SPS": 1e5}
            append_line(paths.metrics_live, {"agent_steps": steps, **logged})
            on_progress(Progress(seed=seed, phase="train", steps=steps, total=total, sps=1e5, score=score))
        self.trained.append(seed)
        return self._finished(plan, seed, total, final)

    def _finished(self, plan: Plan, seed: int, total: int, final: float) -> ReplicateResult:
        paths = plan.paths.seed(seed)
        weights = paths.weights("latest")
        weights.parent.mkdir(exist_ok=True)
        before = 0
        if start := plan.job(seed).start_from:
            with open(start) as file:  # noqa: PTH123 - a text
                before = int(json.load(file)["cumulative_steps"])
        weights.write_text(json.dumps({"fake": True, "cumulative_steps": before + total}))
        raw = {plan.job(seed).score: final}
        steps = {"agent_steps": float(total), "epoch": float(POINTS), "cumulative_steps": float(before + total)}
        result = ReplicateResult(
            seed=seed,
            state=RunState.FINISHED,
            metrics={plan.goal.metric: final, "sps": 1e5, **steps},
            evaluations=tuple(
                Evaluation(actions=actions, episodes=100, unfinished_share=0.01, raw=raw, steps=plan.run.task.steps)
                for actions in ("sampled", "greedy")
            ),
            weights="fake",
            started_from="fake" if start else None,
            device="fake",
        )
        write_model(paths.result, result)
        return result

    def _score(self, plan: Plan, seed: int) -> float:
        rate = float(plan.config.train["learning_rate"] or 1e-6)
        peak = math.exp(-(math.log10(rate / 0.01) ** 2))
        return min(1.0, max(0.0, 0.9 * peak + random.Random(seed).gauss(0, self.noise)))  # noqa: S311 - a made-up curve


def _ended(paths: SeedPaths, seed: int, state: RunState, reason: str) -> ReplicateResult:
    result = ReplicateResult(seed=seed, state=state, reason=reason, device="fake")
    write_model(paths.result, result)
    return result
