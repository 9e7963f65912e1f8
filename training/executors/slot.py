"""A slot on another machine: takes one replicate after the other, and tells whoever asks how it goes.

It knows nothing of Ray, which makes an actor of it. One thread does everything that concerns processes: a worker dies
with the thread that started it. A slot that nobody asks for a while ends by itself, with what it has started.
"""

import contextlib
import fcntl
import os
import queue
import shutil
import socket
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from lab.base import TrainingFailed, cache_dir
from lab.store import ReplicateResult, StopReason
from training.executors.executor import Executor, Running
from training.executors.local import LocalExecutor
from training.executors.madeup import MadeUp, MadeUpExecutor
from training.executors.messages import News, Order, SlotState
from training.executors.parcel import unpack
from training.executors.transfer import Sender
from training.protocol import Progress, TrainJob

TICK = 0.1
ASKED = 1.0
"""Seconds that a question is kept until there is an answer."""
GATHERED = 0.2
"""Seconds for which progress is gathered: whoever asks has many slots to listen to."""


@dataclass
class _Work:
    """A replicate that a slot is at, or was at."""

    order: Order
    folder: Path
    job: TrainJob
    sender: Sender
    running: Running | None = None
    events: list[Progress] = field(default_factory=list)
    result: ReplicateResult | None = None
    failed: str = ""
    told: float = 0.0
    """When files were looked at last, by the monotonic clock."""


class Slot:
    """One slot."""

    def __init__(self, keep: float, made_up: MadeUp | None = None) -> None:
        """Get ready to train.

        Args:
            keep: seconds without a question after which it ends, whatever trains in it.
            made_up: how replicates are made up, for tests; None trains for real.
        """
        self._keep = keep
        self._executor: Executor = LocalExecutor(1) if made_up is None else MadeUpExecutor(made_up)
        self._real = made_up is None
        self._heard = time.monotonic()
        self._news = threading.Condition()
        self._work: _Work | None = None
        self._changing = threading.Lock()
        """Questions arrive side by side, and not always in the order in which they were sent."""
        self._tasks: queue.Queue[Callable[[], None]] = queue.Queue()
        self._place, self._lock = _own_folder()
        self._over = threading.Event()
        threading.Thread(target=self._loop, name="slot", daemon=True).start()

    # --- what others ask ------------------------------------------------------------------------------------------

    def state(self) -> SlotState:
        """How it introduces itself."""
        self._heard = time.monotonic()
        work = self._work
        order = work.order.model_copy(update={"start": ()}) if work else None
        return SlotState.here(_node(), socket.gethostname(), order)

    def begin(self, order: Order, parcel: bytes) -> None:
        """Take an order; the same one again changes nothing.

        Args:
            order: what to carry out.
            parcel: the user's modules, as a zip file.
        """
        self._heard = time.monotonic()
        with self._changing:
            if self._work is None or self._work.order.token != order.token:
                self._drop()
                self._take(order, parcel)

    def _take(self, order: Order, parcel: bytes) -> None:
        folder = self._place / order.token
        code = unpack(order.code, parcel, self._place / "code")
        folder.mkdir(parents=True)
        start = [folder / ".start" / name for name, _ in order.start]
        for path, (_, data) in zip(start, order.start, strict=True):
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(data)
        here = {"dir": str(folder), "workspace": str(code), "start_from": str(start[0]) if start else None}
        work = _Work(order.model_copy(update={"start": ()}), folder, order.job.model_copy(update=here), Sender(folder))
        self._work = work
        self._tasks.put(lambda: self._begin(work))

    def news(self, token: str, anew: bool = False) -> News | None:
        """What there is to say since the last call, as soon as there is something; None for another's token.

        Args:
            token: of the order.
            anew: all files are sent once more.
        """
        self._heard = time.monotonic()
        work = self._work
        if work is None or work.order.token != token:
            return None
        if anew:
            work.sender.again()
        with self._news:
            self._news.wait_for(lambda: work.events or work.result or work.failed, timeout=ASKED)
            self._news.wait_for(lambda: work.result or work.failed, timeout=GATHERED)
            events, work.events = tuple(work.events), []
            result, failed = work.result, work.failed
        pieces, gone, whole = work.sender.changes()  # after the events: what they tell of is there
        return News(
            events=events, pieces=tuple(pieces), gone=tuple(gone), result=result if whole else None, failed=failed
        )

    def stop(self, token: str, why: StopReason) -> None:
        """Have the replicate end after the present update."""
        self._heard = time.monotonic()
        work = self._work
        if work is not None and work.order.token == token:
            self._tasks.put(lambda: work.running.stop(why) if work.running else None)

    def drop(self, token: str) -> None:
        """End the replicate if it has not ended, and forget it."""
        self._heard = time.monotonic()
        with self._changing:
            if self._work is not None and self._work.order.token == token:
                self._drop()

    def quit(self) -> None:
        """End everything that it has started."""
        with self._changing:
            self._drop()
        self._tasks.put(self._quit)
        self._over.wait(10)

    # --- one thread -----------------------------------------------------------------------------------------------

    def _drop(self) -> None:
        work, self._work = self._work, None
        if work is not None:
            done = threading.Event()

            def end() -> None:
                if work.running is not None:
                    work.running.end()
                    work.running = None
                shutil.rmtree(work.folder, ignore_errors=True)
                done.set()

            self._tasks.put(end)
            done.wait(10)

    def _loop(self) -> None:
        if self._real:
            self._executor.warm(None, "cuda" if os.environ.get("CUDA_VISIBLE_DEVICES") else "cpu")
        while not self._over.is_set():
            work = self._work
            running = work.running if work is not None else None
            with contextlib.suppress(queue.Empty):
                self._tasks.get(timeout=0.001 if running else TICK)()
            if work is not None and running is not None and work.running is running:
                self._executor.wait([running], TICK)
                self._poll(work, running)
            if time.monotonic() - self._heard > self._keep:
                if work is not None and work.running is not None:
                    work.running.end()
                self._quit()
                os._exit(0)  # nobody is left to ask for anything

    def _begin(self, work: _Work) -> None:
        if self._work is work:
            try:
                work.running = self._executor.begin(work.job, 1)
            except TrainingFailed as error:
                self._ended(work, failed=str(error))

    def _poll(self, work: _Work, running: Running) -> None:
        events: list[Progress] = []
        result, failed = None, ""
        try:
            result = running.poll(events.append)
        except Exception as error:  # noqa: BLE001 - told: whoever ordered it decides
            failed = f"{type(error).__name__}: {error}"
        if result is not None or failed:
            running.end()
            work.running = None
        with self._news:
            work.events += events
            work.result, work.failed = result, failed
            if events or result or failed:
                self._news.notify_all()

    def _ended(self, work: _Work, failed: str) -> None:
        with self._news:
            work.failed = failed
            self._news.notify_all()

    def _quit(self) -> None:
        self._executor.close()
        shutil.rmtree(self._place, ignore_errors=True)
        os.close(self._lock)
        self._over.set()


def _node() -> str:
    """Ray's id of the node, where Ray started this process; empty elsewhere."""
    ray = sys.modules.get("ray")
    return str(ray.get_runtime_context().get_node_id()) if ray is not None and ray.is_initialized() else ""


def _own_folder() -> tuple[Path, int]:
    """A folder for a slot, and the lock that says it is in use; those of slots that are gone are removed."""
    below = cache_dir() / "slots"
    below.mkdir(exist_ok=True)
    for old in (one for one in below.iterdir() if not one.name.startswith(".")):
        with contextlib.suppress(OSError):
            handle = os.open(old / ".lock", os.O_RDWR)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(old, ignore_errors=True)
            finally:
                os.close(handle)
    mine = below / f"{os.getpid()}-{time.time_ns()}"
    aside = below / f".{mine.name}"
    aside.mkdir()
    handle = os.open(aside / ".lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(handle, fcntl.LOCK_EX)
    aside.rename(mine)
    return mine, handle
