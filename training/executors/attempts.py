"""What passes between a session and a job of Slurm, through the folder that both see.

A replicate's order lies in a folder of its own, which names its job. Each time that Slurm begins the job is an attempt:
a numbered folder, which the job alone writes, while the session alone reads it and writes the run's. Only the newest
attempt is read. Whatever still writes into an older one, on a node that was given up, is nobody's, and ends by itself.
"""

import contextlib
import shutil
import time
from collections.abc import Sequence
from pathlib import Path

from lab.base import Damaged, json_of, read_model, write_model
from lab.store import ReplicateResult, StopReason
from training.executors.madeup import MadeUp
from training.executors.messages import News, SlotState
from training.executors.transfer import OutOfStep, Sender, receive
from training.protocol import Message, Progress, TrainJob

# What begins with a dot is not brought home.
HERE, EVENTS, ENDED = ".here.json", ".events.jsonl", ".ended.json"


class BatchOrder(Message):
    """A replicate that is to be carried out by a job."""

    key: str
    """The same for each order of the same replicate."""
    job: TrainJob
    """Its folder is that of the run."""
    keep: float
    """Seconds that the job goes on after the session's last sign of life."""
    made_up: MadeUp | None = None
    """For tests: nothing trains, the replicate is made up."""


class Post:
    """The folder of one order: what the session says to its job, and where its attempts lie."""

    def __init__(self, folder: Path) -> None:
        """Name its files.

        Args:
            folder: of the order; its name is the order's token.
        """
        self.folder = folder
        self.order, self._stop = folder / "order.json", folder / "stop.json"
        self.alive = folder.parent / ".alive"
        """Touched by the session again and again."""

    def write(self, order: BatchOrder) -> None:
        """Place an order."""
        self.alive.parent.mkdir(parents=True, exist_ok=True)
        self.alive.touch()
        write_model(self.order, order)

    def read(self) -> BatchOrder | None:
        """The order; None where it was withdrawn, or never placed."""
        with contextlib.suppress(OSError, Damaged):
            return read_model(self.order, BatchOrder)
        return None

    def withdraw(self) -> None:
        """Take the order back: a job that is at it ends by itself, one that begins does nothing."""
        self.order.unlink(missing_ok=True)

    def stop(self, why: StopReason) -> None:
        """Have the replicate end after the present update."""
        write_model(self._stop, why)

    def stopping(self) -> StopReason | None:
        """Why the replicate is to end, once that is asked."""
        with contextlib.suppress(OSError, Damaged):
            return read_model(self._stop, StopReason)
        return None

    def newest(self) -> int | None:
        """Number of the newest attempt; None while there is none."""
        with contextlib.suppress(OSError):
            return max((int(one.name) for one in self.folder.iterdir() if one.name.isdigit()), default=None)
        return None

    def remove(self) -> None:
        """Leave nothing of it."""
        shutil.rmtree(self.folder, ignore_errors=True)


class Writer:
    """An attempt from the inside."""

    def __init__(self, post: Post, number: int, state: SlotState) -> None:
        """Begin an attempt.

        Args:
            post: of its order.
            number: times that the job was begun before.
            state: who is at it, where.

        Raises:
            FileExistsError: somebody else is at this attempt.
        """
        self._post, self._number = post, number
        self.folder = post.folder / str(number)
        self.folder.mkdir()
        write_model(self.folder / HERE, state)
        self._heard, self._alive = time.monotonic(), 0

    def tell(self, events: Sequence[Progress]) -> None:
        """Say how it goes; what the events tell of is in the folder."""
        if events:
            with (self.folder / EVENTS).open("ab") as file:  # closed, so that other machines see it
                file.write(b"".join(json_of(event).encode() + b"\n" for event in events))

    def end(self, result: ReplicateResult | None, failed: str = "") -> None:
        """Say what came of it, last of all."""
        write_model(self.folder / ENDED, News(result=result, failed=failed))

    def unwanted(self, keep: float) -> bool:
        """Whether nobody will read it: another attempt has begun, the order is withdrawn, the session is gone.

        Args:
            keep: seconds after the session's last sign of life.
        """
        if not self._post.order.exists() or self._post.newest() != self._number:
            return True
        with contextlib.suppress(OSError):
            if (alive := self._post.alive.stat().st_mtime_ns) != self._alive:  # two machines' clocks are not compared
                self._alive, self._heard = alive, time.monotonic()
        return time.monotonic() - self._heard > keep


class Reader:
    """An attempt as its session sees it."""

    def __init__(self, folder: Path, home: Path) -> None:
        """Begin with nothing read.

        Args:
            folder: of the attempt.
            home: the replicate's folder, where its files go.
        """
        self.state: SlotState | None = None
        """Who is at it, once that is known."""
        self._folder, self._home, self._read, self._sender = folder, home, 0, Sender(folder)

    def news(self) -> News:
        """What has come since the last call; the files that it tells of are at home.

        Raises:
            OSError: there is no room.
        """
        if self.state is None:
            with contextlib.suppress(OSError, Damaged):
                self.state = read_model(self._folder / HERE, SlotState)
        ended = News()
        with contextlib.suppress(OSError, Damaged):  # before all else: nothing is said afterwards
            ended = read_model(self._folder / ENDED, News)
        events = self._events()
        if events or ended != News():
            try:
                self._bring()
            except OutOfStep:  # somebody has deleted what was there
                self._sender.again()
                self._bring()
        return ended.model_copy(update={"events": events})

    def _bring(self) -> None:
        whole = False
        while not whole:
            pieces, gone, whole = self._sender.changes()
            receive(self._home, tuple(pieces), tuple(gone))

    def _events(self) -> tuple[Progress, ...]:
        with contextlib.suppress(OSError), (self._folder / EVENTS).open("rb") as file:
            file.seek(self._read)
            lines, newline, _ = file.read().rpartition(b"\n")  # the last line may be on its way
            self._read += len(lines) + len(newline)
            return tuple(Progress.model_validate_json(line) for line in lines.split(b"\n") if line)
        return ()
