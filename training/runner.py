"""The runner: replicates of one run trained side by side, each in its own process, every end an outcome.

`Runner` is the interface; `ProcessRunner` trains for real, `training.fake.FakeRunner` makes curves up for tests of
everything around training. `training.run.train_run` is what callers use.
"""

import contextlib
import select
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Protocol

import psutil

from lab.base import Damaged, RunPaths, TrainingFailed, Workspace, read_model, write_model
from lab.space import Config, Environment, Objective, metrics_of
from lab.store import ReplicateResult, RunRecord, RunState, StopReason, source_file
from training.process import ForkServer, Garbled, Worker, can_fork, start_worker
from training.protocol import Ended, OnProgress, Progress, ShouldStop, TrainJob
from training.room import room_for

GRACE = 20.0
"""Seconds that a replicate has to end by itself once it was asked to."""
TICK = 0.25


@dataclass(frozen=True)
class Plan:
    """A run that is to be trained, with all that a worker has to know."""

    run: RunRecord
    config: Config
    seeds: tuple[int, ...]
    """Seeds of the run that are still to be trained."""
    workspace: Workspace
    environment: Environment
    device: str
    """Device that the run trains on: cpu, cuda or mps."""
    goal: Objective
    mirrors: tuple[str, ...] = ()

    @property
    def paths(self) -> RunPaths:
        """Paths of the run's files."""
        return self.workspace.run(self.run.run_id)

    def job(self, seed: int) -> TrainJob:
        """The job of the worker that trains a seed."""
        metric = metrics_of(self.config.env_name).get(self.goal.metric)
        root, resume = self.workspace.root.absolute(), self.run.resume
        start = source_file(root, resume, self.run.seeds.index(seed)) if resume else None
        job = {
            "config": self.config,
            "device": self.device,
            "package": self.environment.ini["base"]["package"],
            "agents_per_env": self.environment.agents_per_env or 1.0,
            "seed": seed,
            "dir": str(self.paths.seed(seed).dir.absolute()),
            "score": metric.source if metric else self.goal.metric,
            "score_scale": metric.scale if metric else 1.0,
            "objective": str(self.goal),
            "task": self.run.task,
            "workspace": str(root),
            "variants": self.run.variants,
            "start_from": str(start) if start else None,
            "mirrors": self.mirrors,
            "project": self.run.env_name.replace(":", "-"),
            "run_id": self.run.run_id,
        }
        return TrainJob.model_validate(job)


class Runner(Protocol):
    """A trainer of the replicates of a run, which says what came of each."""

    def train(self, plan: Plan, on_progress: OnProgress, should_stop: ShouldStop) -> list[ReplicateResult]:
        """Train a plan: one result per seed that was begun, in order, each also in its `result.json`.

        Once `should_stop` answers, replicates end after their present update, or are ended, and no more are begun;
        their results carry the state and the reason of the answer. One whose process somebody else killed, or who said
        what can't be read, is `killed`.

        Raises:
            TrainingFailed: a process for one can't be started.
        """

    def room(self, config: Config, environment: Environment, device: str) -> int:
        """The number of replicates of a config that there is room for side by side."""

    def warm(self, config: Config | None = None, device: str = "cpu") -> None:
        """Get ready for the next run while nothing trains."""

    def close(self) -> None:
        """Leave no process behind."""


@dataclass
class ProcessRunner:
    """A runner that trains replicates side by side in worker processes, as many as there is room for."""

    parallel: int | None = None
    """Replicates to train at once; None derives that from cores, memory and device."""
    _server: ForkServer | None = field(default=None, init=False)
    _spare: deque[Worker] = field(default_factory=deque, init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)
    """Runs that train side by side ask for workers at the same time."""

    def train(self, plan: Plan, on_progress: OnProgress, should_stop: ShouldStop) -> list[ReplicateResult]:
        """Train the replicates side by side; see `Runner.train`."""
        threads = int(plan.config.autopilot["threads"] or 1)
        room = self.room(plan.config, plan.environment, plan.device)
        waiting, active = deque(plan.seeds), dict[int, _Replicate]()
        results: dict[int, ReplicateResult] = {}
        why: StopReason | None = None
        try:
            while active or (waiting and why is None):
                while waiting and why is None and len(active) < room:
                    seed = waiting.popleft()
                    active[seed] = _Replicate(self.worker(threads, plan.device), plan, seed)
                trains = all(replicate.trains for replicate in active.values())
                if waiting and trains and why is None and not can_fork(plan.device):
                    self._start_ahead(1, threads)  # importing takes seconds; not while those that are to train import
                select.select([replicate.worker for replicate in active.values()], [], [], TICK)
                if why is None and (why := should_stop()):
                    for replicate in active.values():
                        replicate.stop(why)
                for seed, replicate in list(active.items()):
                    if result := replicate.poll(on_progress):
                        active.pop(seed).worker.kill()
                        results[seed] = result
        finally:
            for replicate in active.values():
                replicate.worker.kill()
        return [results[seed] for seed in plan.seeds if seed in results]

    def room(self, config: Config, environment: Environment, device: str) -> int:
        """The number of replicates by cores, memory and device; see `Runner.room`."""
        return room_for(config, environment, device, self.parallel)

    def warm(self, config: Config | None = None, device: str = "cpu") -> None:
        """Start the server that forks, or workers ahead of need; see `Runner.warm`."""
        if can_fork(device):
            self._forking()
            return
        threads = int(config.autopilot["threads"] or 1) if config else 1
        self._start_ahead(self.parallel or 1, threads)

    def close(self) -> None:
        """End every worker and the server that forks; see `Runner.close`."""
        while self._spare:
            self._spare.pop().kill()
        if self._server is not None:
            self._server.close()
            self._server = None

    def _start_ahead(self, count: int, threads: int) -> None:
        self._spare = deque(worker for worker in self._spare if not worker.gone())
        while len(self._spare) < count:
            self._spare.append(start_worker(threads))

    def _forking(self) -> ForkServer:
        if self._server is not None and not self._server.alive():
            self._server.close()
            self._server = None
        self._server = self._server or ForkServer()
        return self._server

    def worker(self, threads: int, device: str) -> Worker:
        """A worker of the kind that suits a device, as soon as can be.

        Args:
            threads: how many it may compute with.
            device: cpu, cuda or mps.
        """
        with self._lock:
            return self._worker(threads, device)

    def _worker(self, threads: int, device: str) -> Worker:
        if can_fork(device):
            return self._forking().worker(threads)
        while self._spare:
            worker = self._spare.popleft()
            if not worker.gone() and worker.threads == threads:
                return worker
            worker.kill()
        return start_worker(threads)


class _Replicate:
    """A seed in training."""

    def __init__(self, worker: Worker, plan: Plan, seed: int) -> None:
        self.worker, self._plan, self._seed = worker, plan, seed
        self._stall = _limit(plan.config, "stall_limit") or 300.0
        self._limit = _limit(plan.config, "time_limit")
        gib = _limit(plan.config, "memory_limit")
        self._memory = gib * 2**30 if gib else None
        self._began = self._heard = self._weighed = time.monotonic()
        self._asked: tuple[float, StopReason] | None = None
        self._reported: ReplicateResult | None = None
        self.trains = False
        plan.paths.seed(seed).result.unlink(missing_ok=True)  # of an attempt that came to nothing
        worker.send(plan.job(seed))

    def stop(self, why: StopReason) -> None:
        """Have the replicate end after the present update."""
        self._asked = (time.monotonic(), why)
        self.worker.stop(why)

    def poll(self, on_progress: OnProgress) -> ReplicateResult | None:
        """Pass on what has arrived; the result once there is one."""
        gone = self.worker.gone()  # asked before reading: what it said last is still read
        try:
            while events := self.worker.read(0):
                self._heard = time.monotonic()
                for event in events:
                    if isinstance(event, Progress):
                        self.trains = True
                        on_progress(event)
                    elif isinstance(event, Ended):
                        self._reported = event.result
        except Garbled as error:
            self.worker.kill()
            return self._outcome(str(error))
        if events is None or gone or self._reported:
            return self._outcome()
        return self._overdue()

    def _overdue(self) -> ReplicateResult | None:
        at = time.monotonic()
        if self._asked and at - self._asked[0] > GRACE:
            why = self._asked[1]
            return self._end(why.state, f"{why.reason}; it did not end by itself within {GRACE:.0f} s")
        if at - self._heard > self._stall:
            return self._end(RunState.TIMED_OUT, f"no progress for {self._stall:g} s (autopilot.stall_limit)")
        if self._limit is not None and at - self._began > self._limit:
            return self._end(RunState.TIMED_OUT, f"took longer than {self._limit:g} s (autopilot.time_limit)")
        if self._memory is not None and at - self._weighed > 1:
            self._weighed = at
            used = _memory(self.worker.pid)
            if used > self._memory:
                limit = f"{self._memory / 2**30:g} GiB (autopilot.memory_limit)"
                return self._end(RunState.FAILED, f"used {used / 2**30:.2f} GiB, more than {limit}")
        return None

    def _outcome(self, unreadable: str = "") -> ReplicateResult:
        """The result that the worker left, else the one it sent, else its end; `unreadable` is what it sent instead."""
        paths = self._plan.paths.seed(self._seed)
        try:
            return read_model(paths.result, ReplicateResult)
        except FileNotFoundError:
            pass
        except Damaged as error:
            unreadable = str(error)
        if self._reported is not None:  # the disk was full when it wanted to write
            return self._record(self._reported)
        if unreadable:
            return self._end(RunState.KILLED, unreadable)
        last = f": {self.worker.said()}" if not paths.log.exists() else ""
        state = RunState.KILLED if self.worker.was_killed() else RunState.FAILED
        if state is RunState.FAILED and self.worker.pid is None:  # the machine's fault, not the config's
            raise TrainingFailed(f"no training process can be started{last}")
        return self._end(state, f"the training process {self.worker.how_it_ended()}{last}")

    def _end(self, state: RunState, reason: str) -> ReplicateResult:
        self.worker.kill()
        return self._record(
            ReplicateResult(
                seed=self._seed, state=state, reason=reason, threads=self.worker.threads, device=self._plan.device
            )
        )

    def _record(self, result: ReplicateResult) -> ReplicateResult:
        with contextlib.suppress(OSError):  # a full disk must not hide the outcome
            self._plan.workspace.ballast.unlink(missing_ok=True)
            write_model(self._plan.paths.seed(self._seed).result, result)
        return result


def _limit(config: Config, name: str) -> float | None:
    value = config.autopilot.get(name)
    return float(value) if value is not None else None


def _memory(pid: int | None) -> int:
    """Bytes that a process and everything it started hold for themselves."""
    if pid is None:
        return 0
    total = 0
    with contextlib.suppress(psutil.Error):
        for process in (top := psutil.Process(pid), *top.children(recursive=True)):
            with contextlib.suppress(psutil.Error):
                info = process.memory_info()
                total += info.rss - getattr(info, "shared", 0)
    return total
