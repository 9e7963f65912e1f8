"""A replicate that trains in a worker process of this machine, watched: its limits, its end, whatever it was."""

import contextlib
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from lab.base import AutopilotError, Damaged, SeedPaths, TrainingFailed, Workspace, read_model, write_model
from lab.space import Config
from lab.store import ReplicateResult, RunState, StopReason
from training.process import Garbled, Worker
from training.protocol import Ended, OnProgress, Progress, TrainJob

GRACE = 20.0
"""Seconds that a replicate has to end by itself once it was asked to."""


class Watched:
    """A replicate in a worker of its own."""

    def __init__(self, worker: Worker, job: TrainJob, place: str, ended: Callable[[], None]) -> None:
        """Hand the job to the worker.

        Args:
            worker: one that has had none.
            job: what to train.
            place: where that is, in words.
            ended: called once, when the worker is gone.
        """
        self.worker, self.place, self._job, self._ended = worker, place, job, ended
        self._stall = _limit(job.config, "stall_limit") or 300.0
        self._limit = _limit(job.config, "time_limit")
        gib = _limit(job.config, "memory_limit")
        self._memory = gib * 2**30 if gib else None
        self._began = self._heard = self._weighed = time.monotonic()
        self._asked: tuple[float, StopReason] | None = None
        self._reported: ReplicateResult | None = None
        self._over = False
        self.trains = False
        self._paths.result.unlink(missing_ok=True)  # of an attempt that came to nothing
        worker.send(job)

    @property
    def _paths(self) -> SeedPaths:
        return SeedPaths(Path(self._job.dir))

    def stop(self, why: StopReason) -> None:
        """Have it end after the present update; see `Running.stop`."""
        self._asked = (time.monotonic(), why)
        self.worker.stop(why)

    def end(self) -> None:
        """End the worker and all that it started; see `Running.end`."""
        self.worker.kill()
        if not self._over:
            self._over = True
            self._ended()

    def poll(self, on_progress: OnProgress) -> ReplicateResult | None:
        """Pass on what has arrived; the result once there is one; see `Running.poll`."""
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
            return self._killed(why.state, f"{why.reason}; it did not end by itself within {GRACE:.0f} s")
        if at - self._heard > self._stall:
            return self._killed(RunState.TIMED_OUT, f"no progress for {self._stall:g} s (autopilot.stall_limit)")
        if self._limit is not None and at - self._began > self._limit:
            return self._killed(RunState.TIMED_OUT, f"took longer than {self._limit:g} s (autopilot.time_limit)")
        if self._memory is not None and at - self._weighed > 1:
            self._weighed = at
            used = _memory(self.worker.pid)
            if used > self._memory:
                limit = f"{self._memory / 2**30:g} GiB (autopilot.memory_limit)"
                return self._killed(RunState.FAILED, f"used {used / 2**30:.2f} GiB, more than {limit}")
        return None

    def _outcome(self, unreadable: str = "") -> ReplicateResult:
        """The result that the worker left, else the one it sent, else its end; `unreadable` is what it sent instead."""
        try:
            return read_model(self._paths.result, ReplicateResult)
        except FileNotFoundError:
            pass
        except Damaged as error:
            unreadable = str(error)
        if self._reported is not None:  # the disk was full when it wanted to write
            return record(self._job, self._reported)
        if unreadable:
            return self._killed(RunState.KILLED, unreadable)
        last = f": {self.worker.said()}" if not self._paths.log.exists() else ""
        state = RunState.KILLED if self.worker.was_killed() else RunState.FAILED
        if state is RunState.FAILED and self.worker.pid is None:  # the machine's fault, not the config's
            raise TrainingFailed(f"no training process can be started{last}")
        return self._killed(state, f"the training process {self.worker.how_it_ended()}{last}")

    def _killed(self, state: RunState, reason: str) -> ReplicateResult:
        self.worker.kill()
        return record_end(self._job, state, reason, self.worker.threads)


def record(job: TrainJob, result: ReplicateResult) -> ReplicateResult:
    """Write down the result of a replicate that could not do so itself; a full disk must not hide the outcome."""
    with contextlib.suppress(OSError):
        if job.workspace is not None:
            Workspace(Path(job.workspace)).ballast.unlink(missing_ok=True)
        write_model(SeedPaths(Path(job.dir)).result, result)
    return result


def record_end(job: TrainJob, state: RunState, reason: str, threads: int = 1) -> ReplicateResult:
    """Write down how a replicate ended that left no result."""
    return record(job, ReplicateResult(seed=job.seed, state=state, reason=reason, threads=threads, device=job.device))


def recorded(job: TrainJob) -> bool:
    """Whether what came of a replicate is in the workspace already."""
    try:
        result = read_model(SeedPaths(Path(job.dir)).result, ReplicateResult)
    except (OSError, AutopilotError):
        return False
    return result.state is not RunState.KILLED


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
