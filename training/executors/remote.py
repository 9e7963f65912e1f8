"""A replicate that trains in a slot on another machine, as its session sees it."""

from collections import deque
from datetime import timedelta
from pathlib import Path
from typing import Protocol

from lab.base import AutopilotError
from lab.store import ReplicateResult, RunState, StopReason
from training.executors import messages as say
from training.executors.executor import Lost
from training.executors.transfer import OutOfStep, receive
from training.executors.watching import record, record_end
from training.inventory import versions_here
from training.protocol import OnProgress, TrainJob


class Cluster(Protocol):
    """What a replicate needs of its executor."""

    def send(self, command: say.Command) -> None:
        """Tell whoever speaks with the cluster."""

    def free(self, remote: "Remote") -> None:
        """Take note that a replicate is over."""


class Remote:
    """A replicate in a slot."""

    def __init__(self, cluster: Cluster, slot: say.SlotState, job: TrainJob, token: str) -> None:
        """Take over what was begun there, or is.

        Args:
            cluster: the executor that it belongs to.
            slot: where it trains.
            job: what it trains, with the folders of this machine.
            token: of its order.
        """
        self._cluster, self._state, self.job, self.token = cluster, slot, job, token
        self.trains = False
        self.broke: AutopilotError | None = None
        """Why nothing more will be heard of it."""
        self._inbox: deque[say.News] = deque()
        self._stopping: StopReason | None = None
        self._killed = ""

    @property
    def slot(self) -> str:
        """Name of its slot."""
        return self._state.name

    @property
    def seed(self) -> int:
        """The seed that it trains."""
        return self.job.seed

    @property
    def pid(self) -> int:
        """Process id of its slot, on its machine."""
        return self._state.pid

    @property
    def node(self) -> str:
        """Ray's id of its node."""
        return self._state.node

    @property
    def place(self) -> str:
        """Its machine, and the GPU there; see `Running.place`."""
        return self._state.host + (f", GPU {self._state.gpus}" if self._state.gpus else "")

    @property
    def heard(self) -> bool:
        """Whether there is something to poll for."""
        return bool(self._inbox or self.broke or self._killed)

    def told(self, report: say.Told) -> None:
        """Take what its slot says; what is said of another order is not this one's."""
        if report.token == self.token:
            self._inbox.append(report.news)

    def left(self, report: say.Left) -> None:
        """Take note that its slot is gone."""
        if report.node_lost:
            self.broke = Lost(f"{self._state.host}: {report.why}")
        else:
            self._killed = report.why

    def stop(self, why: StopReason) -> None:
        """Have it end after the present update; see `Running.stop`."""
        self._stopping = why
        self._cluster.send(say.Stop(slot=self.slot, token=self.token, why=why))

    def end(self) -> None:
        """Have its slot forget it; see `Running.end`."""
        self._cluster.free(self)

    def poll(self, on_progress: OnProgress) -> ReplicateResult | None:
        """Write what has arrived, pass it on, and give the result once there is one; see `Running.poll`."""
        while self._inbox:
            news = self._inbox.popleft()
            try:
                receive(Path(self.job.dir), news.pieces, news.gone)
            except OutOfStep:
                self._cluster.send(say.Attach(slot=self.slot, token=self.token))
                continue
            for event in news.events:
                self.trains = True
                on_progress(event)
            if news.result is not None:
                return record(self.job, of_machine(news.result, self._state))
            if news.failed:
                raise Lost(f"{self._state.host}: {news.failed}")
        if self._killed or self.broke:
            return self._without(self._killed)
        return None

    def _without(self, why: str) -> ReplicateResult:
        """The outcome of one whose slot is gone; it was asked to stop, or its process was killed."""
        if self._stopping is not None:
            state, reason = self._stopping.state, f"{self._stopping.reason}; its machine was lost meanwhile"
        elif self.broke is not None:
            raise self.broke
        else:
            state, reason = RunState.KILLED, f"the slot on {self._state.host} ended: {why}"
        return record_end(self.job, state, reason)


def of_machine(result: ReplicateResult, state: say.SlotState, *notes: str) -> ReplicateResult:
    """A result with its machine, its moments by this machine's clock, and what sets that machine apart.

    Args:
        result: as it came.
        state: where it trained.
        notes: what else is to be said; empty ones are left out.
    """
    here, there = versions_here(), state.versions
    other = [f"{name} {there.get(name, 'none')} (here {here[name]})" for name in here if there.get(name) != here[name]]
    mark = f"trained on {state.host} with {', '.join(other)}" if other else ""
    first = result.first_step
    if first is not None and abs(state.behind) >= 1:  # below that it is the time that asking takes
        first += timedelta(seconds=state.behind)
    said = tuple(note for note in (mark, *notes) if note)
    return result.model_copy(update={"node": state.host, "notes": (*result.notes, *said), "first_step": first})
