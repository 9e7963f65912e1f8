"""Replicates that are made up from their config: no torch, no environment, for tests of everything around training.

They write the same files as real ones. They never ship a result that could be taken for a real one: their weights and
their device are called `fake`.
"""

import json
import math
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Literal

from pydantic import Field

from lab.base import SeedPaths, append_line, write_model
from lab.space import Config, Environment
from lab.store import Evaluation, ReplicateResult, RunState, StopReason
from training.executors.executor import Place, Running
from training.protocol import Message, OnProgress, Progress, ShouldStop, TrainJob

POINTS = 20
Fault = Literal["nan", "crash", "hang"]
ENDS: dict[Fault, tuple[RunState, str]] = {
    "nan": (RunState.DIVERGED, "losses/value_loss became nan at step {steps:,}"),
    "crash": (RunState.FAILED, "ValueError: made up"),
    "hang": (RunState.TIMED_OUT, "no progress for {stall:g} s (autopilot.stall_limit)"),
}


class MadeUp(Message):
    """How replicates are made up: scores have a peak at learning_rate = 0.01, and noise from the seed."""

    seconds: float = 0.0
    """Time that each takes."""
    uneven: int | None = None
    """Where given, times differ by the seed, up to twice as long: another number, another order of who is faster."""
    noise: float = 0.05
    faults: Mapping[int, Fault] = Field(default_factory=dict)
    """Seeds that go wrong half-way, and how: a loss that is no number, an exception, no progress."""


def make_up(
    job: TrainJob,
    how: MadeUp,
    on_progress: OnProgress,
    should_stop: ShouldStop,
    pause: Callable[[float], object] = lambda _: None,
    final: float | None = None,
    finish: Callable[[int, float], ReplicateResult] | None = None,
) -> ReplicateResult:
    """Make up a curve and a result, in the replicate's folder.

    Args:
        job: what would be trained.
        how: noise, faults, time.
        on_progress: gets each point.
        should_stop: asked at each point.
        pause: waits for so many seconds.
        final: score that it comes to; None makes one up.
        finish: makes its result of its steps and its score; None for the usual one.
    """
    began = time.monotonic()
    paths = SeedPaths(Path(job.dir))
    paths.dir.mkdir(parents=True, exist_ok=True)
    paths.log.write_text(f"fake training of {job.config.env_name}, seed {job.seed}\n")
    seconds = how.seconds
    if how.uneven is not None:
        seconds *= 2 * random.Random(f"{how.uneven} {job.seed} {job.run_id[-4:]}").random()  # noqa: S311 - made up
    total = int(job.config.train["total_timesteps"] or 0)
    final = made_up_score(job, how) if final is None else final
    fault = how.faults.get(job.seed)
    for point in range(1, POINTS + 1):
        steps, score = total * point // POINTS, final * (1 - math.exp(-4 * point / POINTS))
        pause(seconds / POINTS)
        if why := should_stop():
            return _ended(paths, job.seed, why.state, f"{why.reason}, after {steps:,} steps")
        if fault and point > POINTS // 2:
            state, reason = ENDS[fault]
            paths.log.write_text("Traceback: ValueError: made up\n")
            stall = float(job.config.autopilot.get("stall_limit") or 300)
            return _ended(paths, job.seed, state, reason.format(steps=steps, stall=stall))
        logged = {f"environment/{job.score}": score, "losses/entropy": 0.7 / point, "SPS": 1e5}
        append_line(paths.metrics_live, {"agent_steps": steps, **logged})
        on_progress(Progress(seed=job.seed, phase="train", steps=steps, total=total, sps=1e5, score=score))
    if finish is not None:
        return finish(total, final)
    return made_up_result(job, total, final, time.monotonic() - began if how.seconds else 0.0)


def made_up_result(job: TrainJob, total: int, final: float, seconds: float = 0.0) -> ReplicateResult:
    """The result of a made-up replicate, written as a real one's is.

    Args:
        job: what would have been trained.
        total: agent steps.
        final: its score.
        seconds: that it took.
    """
    paths = SeedPaths(Path(job.dir))
    weights = paths.weights("latest")
    weights.parent.mkdir(exist_ok=True)
    before = int(json.loads(Path(job.start_from).read_text())["cumulative_steps"]) if job.start_from else 0
    weights.write_text(json.dumps({"fake": True, "cumulative_steps": before + total}))
    raw = {job.score: final}
    steps = {"agent_steps": float(total), "epoch": float(POINTS), "cumulative_steps": float(before + total)}
    result = ReplicateResult(
        seed=job.seed,
        state=RunState.FINISHED,
        metrics={job.goal.metric: final, "sps": 1e5, **steps},
        evaluations=tuple(
            Evaluation(actions=actions, episodes=100, unfinished_share=0.01, raw=raw, steps=job.task.steps)
            for actions in ("sampled", "greedy")
        ),
        weights="fake",
        started_from="fake" if job.start_from else None,
        device="fake",
        train_seconds=seconds,
    )
    write_model(paths.result, result)
    return result


def made_up_score(job: TrainJob, how: MadeUp) -> float:
    """The score of a made-up replicate, 0 to 1: by its learning rate, with noise from its seed."""
    rate = float(job.config.train["learning_rate"] or 1e-6)
    peak = math.exp(-(math.log10(rate / 0.01) ** 2))
    return min(1.0, max(0.0, 0.9 * peak + random.Random(job.seed).gauss(0, how.noise)))  # noqa: S311 - a made-up curve


def _ended(paths: SeedPaths, seed: int, state: RunState, reason: str) -> ReplicateResult:
    result = ReplicateResult(seed=seed, state=state, reason=reason, device="fake")
    write_model(paths.result, result)
    return result


class MadeUpExecutor:
    """An executor that makes its replicates up, each in a thread."""

    def __init__(self, how: MadeUp | None = None, slots: int = 1) -> None:
        """Start nothing.

        Args:
            how: they are made up.
            slots: replicates side by side.
        """
        self._how, self._slots = how or MadeUp(), slots
        self._lock = threading.Lock()
        self._busy = 0
        self._news = threading.Condition()

    @property
    def busy(self) -> int:
        """Replicates under way."""
        return self._busy

    def slots(self, config: Config, environment: Environment, device: str) -> int:
        """As many as it was told; see `Executor.slots`."""
        return self._slots

    def begin(self, job: TrainJob, slots: int) -> Running | None:
        """Begin to make one up; see `Executor.begin`."""
        with self._lock:
            if self._busy >= slots:
                return None
            self._busy += 1
        return _Making(job, self._how, self._news, self._ended)

    def wait(self, running: Collection[Running], seconds: float) -> None:
        """Wait for one of them to say something; see `Executor.wait`."""
        with self._news:
            self._news.wait_for(lambda: any(isinstance(one, _Making) and one.said for one in running), seconds)

    def expect(self, config: Config, device: str) -> None:
        """Do nothing: there is nothing to prepare."""

    def warm(self, config: Config | None, device: str) -> None:
        """Do nothing: there is nothing to prepare."""

    def places(self) -> list[Place]:
        """Nothing: whoever asks knows what is made up; see `Executor.places`."""
        return []

    def close(self) -> None:
        """Do nothing: whoever ends its replicates has ended all."""

    def _ended(self) -> None:
        with self._lock:
            self._busy -= 1


class _Making:
    """A replicate that is being made up."""

    place = ""

    def __init__(self, job: TrainJob, how: MadeUp, news: threading.Condition, ended: Callable[[], None]) -> None:
        self.trains = False
        self.said: deque[Progress] = deque()
        self._job, self._how, self._news, self._ended = job, how, news, ended
        self._result: ReplicateResult | None = None
        self._asked, self._woken = list[StopReason](), threading.Event()
        self._thread = threading.Thread(target=self._make, daemon=True)
        SeedPaths(Path(job.dir)).result.unlink(missing_ok=True)
        self._thread.start()

    def stop(self, why: StopReason) -> None:
        self._asked.append(why)
        self._woken.set()

    def poll(self, on_progress: OnProgress) -> ReplicateResult | None:
        result = self._result  # before what it said: nothing is said afterwards
        while self.said:
            self.trains = True
            on_progress(self.said.popleft())
        return result

    def end(self) -> None:
        self.stop(StopReason(state=RunState.KILLED, reason="ended"))
        self._thread.join()
        ended, self._ended = self._ended, lambda: None  # its slot is given back once
        ended()

    def _make(self) -> None:
        def saw(progress: Progress) -> None:
            with self._news:
                self.said.append(progress)
                self._news.notify_all()

        asked = lambda: self._asked[0] if self._asked else None  # noqa: E731
        result = make_up(self._job, self._how, saw, asked, self._woken.wait)
        with self._news:
            self._result = result
            self._news.notify_all()
