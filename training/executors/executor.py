"""What carries out replicates: the interface that the runner knows, whatever machines are behind it.

An executor has slots. It takes a replicate where one is free, and says how it goes and what came of it; the files of a
replicate lie in its folder of the workspace by the time that they are told of, wherever it trained. Only this side
writes there: a process that outlives its machine's connection can't become a second writer.
"""

from collections.abc import Collection
from typing import NamedTuple, Protocol

from lab.base import AutopilotError
from lab.space import Config, Environment
from lab.store import ReplicateResult, StopReason
from training.protocol import OnProgress, TrainJob


class Lost(AutopilotError):
    """A replicate's machine is gone, or can't be reached: no outcome of the replicate, which is begun elsewhere."""


class Place(NamedTuple):
    """A slot, or a replicate that has none of its own, as people are told of it."""

    host: str
    """The machine; empty for this one."""
    gpus: str = ""
    """GPUs that it sees, where that is less than all."""
    run_id: str | None = None
    """What trains there; None for nothing."""
    seed: int | None = None


class Running(Protocol):
    """A replicate under way."""

    @property
    def trains(self) -> bool:
        """Whether it has come as far as to make progress."""

    @property
    def place(self) -> str:
        """Where it trains, in words: empty for this machine, else a GPU of it or a node."""

    def stop(self, why: StopReason) -> None:
        """Have it end after the present update; one that does not is ended."""

    def poll(self, on_progress: OnProgress) -> ReplicateResult | None:
        """Pass on what has arrived; the result once there is one, also in `result.json`.

        Raises:
            TrainingFailed: no process can be started for it.
            Lost: its machine is gone.
        """

    def end(self) -> None:
        """Leave nothing of it running, and give its slot back; harmless when it has ended."""


class Executor(Protocol):
    """A place where replicates train side by side."""

    def slots(self, config: Config, environment: Environment, device: str) -> int:
        """The number of replicates of a config that there is room for, those under way included."""

    def begin(self, job: TrainJob, slots: int) -> Running | None:
        """Begin a replicate, or find one again that is under way for the same job; None while no slot is free.

        Args:
            job: what to train; folder, workspace and what it starts from lie on this machine.
            slots: replicates that may be under way at once, as `slots` said of its config.

        Raises:
            TrainingFailed: it can't be begun here.
        """

    def wait(self, running: Collection[Running], seconds: float) -> None:
        """Wait until something may have arrived from one of them, or for so long."""

    def expect(self, config: Config, device: str) -> None:
        """Get ready for one more replicate while others train."""

    def warm(self, config: Config | None, device: str) -> None:
        """Get ready for the next run while nothing trains."""

    def places(self) -> list[Place]:
        """The slots that are there and what trains in them; of this machine, what trains."""

    def close(self) -> None:
        """Leave no process behind, on any machine."""
