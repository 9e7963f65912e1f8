"""A replicate in a job of Slurm, as its session sees it."""

import contextlib
import time
from pathlib import Path
from typing import Protocol

from lab.store import ReplicateResult, RunState, StopReason
from training.executors.attempts import Post, Reader
from training.executors.batch import JobState
from training.executors.executor import Lost
from training.executors.remote import of_machine
from training.executors.watching import GRACE, record, record_end
from training.protocol import OnProgress, TrainJob

SETTLES = 10.0
"""Seconds after a job's end within which what it wrote last may still arrive from its node."""
WAITED = 2.0
"""Seconds after which one that is to stop, and of which nothing has been heard, is taken for one that has not begun."""
NODE_GONE = ("BOOT_FAIL", "NODE_FAIL", "PREEMPTED", "REVOKED")


class Owner(Protocol):
    """What a replicate needs of its executor."""

    def state_of(self, job: "Batched") -> JobState | None:
        """What Slurm says of its job; None where that is not known since it was submitted."""

    def free(self, job: "Batched") -> None:
        """Take note that it is over; its job ends, if it has not."""


class Batched:
    """A replicate in a job."""

    def __init__(self, executor: Owner, post: Post, job: TrainJob, job_id: str) -> None:
        """Take over what was submitted.

        Args:
            executor: that it belongs to.
            post: of its order.
            job: what it trains, with the folder of the run.
            job_id: Slurm's.
        """
        self._executor, self.post, self.job, self.job_id = executor, post, job, job_id
        self.since = time.monotonic()
        """When it was submitted, or found: Slurm's answers of before do not count."""
        self.trains = False
        self.over = False
        """Whether its job has said its last word."""
        self._number: int | None = None
        self._reader: Reader | None = None
        self._state: JobState | None = None
        self._ended = self._asked = 0.0
        """When its job was seen to have ended, and when it was asked to stop, by the monotonic clock."""
        self._why: StopReason | None = None

    @property
    def host(self) -> str:
        """Its node; what it waits for while it has none."""
        if self._reader is not None and self._reader.state is not None:
            return self._reader.state.host
        why = self._state.why if self._state is not None else ""
        return f"Slurm's queue ({why})" if why not in ("", "None") else "Slurm's queue"

    @property
    def gpus(self) -> str:
        """GPUs that it sees there."""
        return self._reader.state.gpus if self._reader is not None and self._reader.state is not None else ""

    @property
    def place(self) -> str:
        """Its node, and the GPU there; see `Running.place`."""
        return self.host + (f", GPU {self.gpus}" if self.gpus else "")

    def stop(self, why: StopReason) -> None:
        """Have it end after the present update; see `Running.stop`."""
        self._why, self._asked = why, time.monotonic()
        with contextlib.suppress(OSError):  # a full disk: it is ended then
            self.post.stop(why)

    def end(self) -> None:
        """Have its job end, if it has not; see `Running.end`."""
        self._executor.free(self)

    def poll(self, on_progress: OnProgress) -> ReplicateResult | None:
        """Bring home what its newest attempt wrote, and give the result once there is one; see `Running.poll`."""
        number = self.post.newest()
        if number is not None and number != self._number:  # Slurm has begun it, or begun it again
            self._number, self._reader = number, Reader(self.post.folder / str(number), Path(self.job.dir))
        if self._reader is not None:
            news = self._reader.news()
            for event in news.events:
                self.trains = True
                on_progress(event)
            self.over = news.result is not None or bool(news.failed)
            if news.result is not None and self._reader.state is not None:
                again = f"its job was begun {number + 1} times" if number else ""
                return record(self.job, of_machine(news.result, self._reader.state, again))
            if news.failed:
                raise Lost(f"{self.host}: {news.failed}")
        return self._overdue()

    def _overdue(self) -> ReplicateResult | None:
        at = time.monotonic()
        state = self._executor.state_of(self)
        if self._why is not None and at - self._asked > (2 * GRACE if self._reader is not None else WAITED):
            begun = self._reader is not None
            how = f"it did not end by itself within {2 * GRACE:.0f} s" if begun else "its job had not begun"
            return record_end(self.job, self._why.state, f"{self._why.reason}; {how}")
        if state is None:
            return None
        self._state = state
        if not state.ended:
            self._ended = 0.0
            return None
        self._ended = self._ended or at
        if at - self._ended < SETTLES:
            return None
        self.over = True
        return self._without(state)

    def _without(self, state: JobState) -> ReplicateResult:
        """The outcome of one whose job has ended and left none."""
        what = f"its job ended ({state.state.lower() or 'Slurm does not know it any more'})"
        if self._why is not None:
            return record_end(self.job, self._why.state, f"{self._why.reason}; {what}")
        if state.state in ("TIMEOUT", "DEADLINE"):
            return record_end(
                self.job, RunState.TIMED_OUT, "took longer than its job may (time in [slurm], or the partition's)"
            )
        if self._reader is None or self._reader.state is None:
            raise Lost(f"{state.node or self.host}: {what} without a sign of life: are the workspace and .venv there?")
        if state.state in (*NODE_GONE, ""):
            raise Lost(f"{self.host}: {what}")
        return record_end(self.job, RunState.KILLED, f"on {self.host} {what}")
