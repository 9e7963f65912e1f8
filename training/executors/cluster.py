"""Replicates on the machines of a Ray cluster, without a shared folder.

This is the session's side: `gateway.py` speaks with Ray in a process of its own, `slot.py` is what takes replicates on
the other machines. The workspace is written here alone, from what slots send while they train. When the gateway dies
it is started anew and finds the slots again; when this process dies, so does whoever resumes the session.
"""

import contextlib
import hashlib
import os
import platform
import secrets
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Collection
from multiprocessing.connection import Connection
from pathlib import Path

from lab.base import TrainingFailed, Workspace, cache_dir, json_of, plain
from lab.space import Config, Environment
from training.executors import messages as say
from training.executors.executor import Place, Running
from training.executors.madeup import MadeUp
from training.executors.parcel import Packer
from training.executors.remote import Remote
from training.executors.settings import RaySettings
from training.executors.watching import recorded
from training.process import PRIVATE
from training.protocol import TrainJob

CONNECT = 90.0
"""Seconds that connecting to a cluster may take."""
FIRST = 30.0
"""Seconds that the first slot is waited for where somebody asks how many there are."""
AGAIN = 180.0
"""Seconds that a cluster which was there may be out of reach, before what trains there is given up."""
PLACES = 900.0
"""Seconds that a replicate waits where the cluster has no room for a single one: machines may be on their way."""
CLAIM = 120.0
"""Seconds after which a replicate that was found again, and that nobody asks for, is ended."""


class RayExecutor:
    """The slots of one owner on a Ray cluster."""

    def __init__(
        self,
        workspace: Workspace,
        address: str,
        owner: str,
        asked: RaySettings | None = None,
        parallel: int | None = None,
        made_up: MadeUp | None = None,
    ) -> None:
        """Start nothing yet.

        Args:
            workspace: whose files travel.
            address: of the cluster's head, host:port; this machine must be a node of it.
            owner: who trains, such as a session: by this its slots are found again.
            asked: what each replicate is given.
            parallel: slots at most; None for as many as the cluster has room for.
            made_up: for tests: nothing trains, replicates are made up.
        """
        self._asked, self._address = asked or RaySettings(), address
        where = f"{platform.node()}:{workspace.root.absolute()}:{owner}"
        settings = self._asked
        self._open = say.Open(
            address=address,
            owner=hashlib.sha256(where.encode()).hexdigest()[:16],
            slots=parallel,
            options={
                "num_cpus": settings.cpus,
                "num_gpus": settings.gpus,
                "resources": dict(settings.resources),
                **({"memory": settings.memory_gib * 2**30} if settings.memory_gib else {}),
            },
            keep=settings.keep,
            made_up=made_up,
        )
        self._packer, self._parcel = Packer(workspace), ""
        self.news = threading.Condition()
        """Held while anything below is read or changed; notified when something has come."""
        self.slots_now: dict[str, say.SlotState] = {}
        """Slots that are there, by name."""
        self._at: dict[str, Remote | None] = {}
        """Slot to what it is at, where that was begun or claimed."""
        self._found: dict[str, str] = {}
        """Key of a replicate that was found again, and that nobody has asked for yet, to its slot."""
        self._empty_since = self._found_at = time.monotonic()
        self._connection: Connection | None = None
        self._sending = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._closing, self._closed = False, threading.Event()
        self._open_now = False
        self._trouble = ""

    # --- what a runner asks ---------------------------------------------------------------------------------------

    def slots(self, config: Config, environment: Environment, device: str) -> int:
        """The slots that are there; see `Executor.slots`."""
        self._connect()
        with self.news:
            self.news.wait_for(lambda: self.slots_now, FIRST)
            return max(1, len(self.slots_now))

    def begin(self, job: TrainJob, slots: int) -> Running | None:
        """Begin a replicate in a free slot, or find it again in one; see `Executor.begin`."""
        self._connect()
        if self._asked.gpus and job.config.train["device"] == "auto":
            job = job.model_copy(update={"device": "cuda"})
        key = hashlib.sha256(json_of(job).encode()).hexdigest()
        code, parcel = self._packer.parcel()
        with self.news:
            if (slot := self._found.pop(key, None)) is not None and slot in self.slots_now:
                order = self.slots_now[slot].order
                assert order is not None  # noqa: S101 - it was found by it
                remote = Remote(self, self.slots_now[slot], job, order.token)
                self._at[slot] = remote
                self.send(say.Attach(slot=slot, token=order.token))
                return remote
            if (free := self._free()) is None:
                return None
            if code != self._parcel:
                self.send(say.Parcel(code=code, data=parcel))
                self._parcel = code
            start = _start(job)
            token = secrets.token_hex(8)
            remote = Remote(self, self.slots_now[free], job, token)
            self._at[free] = remote
            self.send(say.Begin(slot=free, order=say.Order(token=token, key=key, job=job, start=start, code=code)))
            return remote

    def _free(self) -> str | None:
        if not self.slots_now and time.monotonic() - self._empty_since > PLACES:
            wanted = ", ".join(f"{name} {amount}" for name, amount in self._open.options.items() if amount)
            raise TrainingFailed(f"no machine of the Ray cluster at {self._address} has room for a replicate: {wanted}")
        found = set(self._found.values())
        free = next((name for name in self.slots_now if self._at.get(name) is None and name not in found), None)
        if free is None and found and time.monotonic() - self._found_at > CLAIM:
            key, slot = next(iter(self._found.items()))
            del self._found[key]
            return slot if slot in self.slots_now else None
        return free

    def wait(self, running: Collection[Running], seconds: float) -> None:
        """Wait for one of them to say something; see `Executor.wait`."""
        with self.news:
            self.news.wait_for(lambda: any(isinstance(one, Remote) and one.heard for one in running), seconds)

    def expect(self, config: Config, device: str) -> None:
        """Do nothing: slots are ready."""

    def warm(self, config: Config | None, device: str) -> None:
        """Connect; see `Executor.warm`."""
        self._connect()

    def close(self) -> None:
        """End every slot, on all machines; see `Executor.close`."""
        self._closing = True
        if self._process is None:
            return
        with self.news:
            told = self._open_now  # else nobody listens, and slots end by themselves
            self.send(say.Close())
        self._closed.wait(30 if told else 0)
        self._process.kill()
        self._process.wait()
        self._process = None

    def known(self) -> list[say.SlotState]:
        """The slots that are there."""
        with self.news:
            return list(self.slots_now.values())

    def under_way(self) -> list[Remote]:
        """The replicates that train."""
        with self.news:
            return [remote for remote in self._at.values() if remote is not None]

    def places(self) -> list[Place]:
        """The slots, machine by machine; see `Executor.places`."""
        with self.news:
            known = sorted(self.slots_now.values(), key=lambda slot: (slot.host, slot.node, slot.name))
            at = {slot.name: self._at.get(slot.name) for slot in known}
        named = [(slot, remote.job if (remote := at[slot.name]) is not None else None) for slot in known]
        return [Place(s.host, s.gpus, job.run_id if job else None, job.seed if job else None) for s, job in named]

    @property
    def gateway_pid(self) -> int:
        """Process id of what speaks with Ray; 0 where nothing does."""
        return self._process.pid if self._process is not None else 0

    # --- the gateway ----------------------------------------------------------------------------------------------

    def send(self, command: say.Command) -> None:
        """Tell the gateway; one that is gone is told of by its end."""
        connection = self._connection
        if connection is not None:
            with self._sending, contextlib.suppress(OSError):
                connection.send(command)

    def free(self, remote: Remote) -> None:
        """Take note that a replicate is over, and have its slot forget it."""
        with self.news:
            if self._at.get(remote.slot) is remote:
                self._at[remote.slot] = None
                self.send(say.Drop(slot=remote.slot, token=remote.token))

    def _connect(self) -> None:
        """See to it that the cluster is there.

        Raises:
            TrainingFailed: it can't be reached.
        """
        with self.news:
            if self._process is None and not self._trouble:  # one that was given up is not tried again
                self._closing = False
                self._closed.clear()
                self._start()
                threading.Thread(target=self._read, name="ray", daemon=True).start()
                self._empty_since = time.monotonic()
            self.news.wait_for(lambda: self._open_now or self._trouble, CONNECT)
            if self._trouble or not self._open_now:
                why = self._trouble or f"no answer within {CONNECT:.0f} s"
                raise TrainingFailed(f"the Ray cluster at {self._address} can't be reached: {why}")

    def _start(self) -> None:
        ours, theirs = socket.socketpair()
        kept = {key: value for key, value in os.environ.items() if key.upper() not in PRIVATE}
        command = [sys.executable, "-P", "-m", "training.executors.gateway", str(theirs.fileno())]
        with (cache_dir() / "ray.log").open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own module
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=kept, start_new_session=True,
                pass_fds=[theirs.fileno()], cwd=cache_dir(),
            )  # fmt: skip
        theirs.close()
        self._connection = Connection(ours.detach())
        self._parcel = ""
        self.send(self._open)

    def _read(self) -> None:
        """Take what the gateway says; start it anew when it is gone."""
        lost_at: float | None = None
        while True:
            assert self._connection is not None  # noqa: S101 - it was started
            why = ""
            try:
                while True:
                    report = self._connection.recv()
                    if isinstance(report, say.Failed):
                        why = report.why
                    elif isinstance(report, say.Closed):
                        self._closed.set()
                    else:
                        if not isinstance(report, say.Opened):  # one that breaks each time it opens is no good
                            lost_at = None
                        self._take(report)
            except (EOFError, OSError):
                pass
            with self.news:
                was_open, self._open_now = self._open_now, False
                if self._closing:
                    self._closed.set()
                    return
                if lost_at is None:  # one that never was there is not waited for
                    lost_at = time.monotonic() if was_open else 0.0
                if time.monotonic() - lost_at > AGAIN:
                    self._give_up(why or "its process ended")
                    return
            time.sleep(1.0)
            with self.news:
                if self._process is not None:
                    self._process.kill()
                    self._process.wait()
                self._start()

    def _give_up(self, why: str) -> None:
        self._trouble = plain(why, 300)
        for remote in self._at.values():
            if remote is not None:
                remote.broke = TrainingFailed(f"the Ray cluster at {self._address} can't be reached: {self._trouble}")
        self._at, self._found, self.slots_now = {}, {}, {}
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._process = self._connection = None
        self.news.notify_all()

    def _take(self, report: say.Report) -> None:
        with self.news:
            if isinstance(report, say.Opened):
                self._opened(report)
            elif isinstance(report, say.Joined):
                self.slots_now[report.slot.name] = report.slot
                self._at[report.slot.name] = None
            elif isinstance(report, say.Left):
                self.slots_now.pop(report.slot, None)
                self._found = {key: slot for key, slot in self._found.items() if slot != report.slot}
                if (remote := self._at.pop(report.slot, None)) is not None:
                    remote.left(report)
                if not self.slots_now:
                    self._empty_since = time.monotonic()
            elif isinstance(report, say.Told) and (remote := self._at.get(report.slot)) is not None:
                remote.told(report)
            self.news.notify_all()

    def _opened(self, report: say.Opened) -> None:
        """Match the slots that were found with what is under way."""
        under_way = {remote.token: remote for remote in self._at.values() if remote is not None}
        self.slots_now = {slot.name: slot for slot in report.slots}
        self._at, self._found, self._found_at = {}, {}, time.monotonic()
        for slot in report.slots:
            if slot.order is None:
                continue
            if (remote := under_way.pop(slot.order.token, None)) is not None:
                self._at[slot.name] = remote
                self.send(say.Attach(slot=slot.name, token=remote.token))
            elif recorded(slot.order.job) or slot.order.key in self._found:
                self.send(say.Drop(slot=slot.name, token=slot.order.token))
            else:
                self._found[slot.order.key] = slot.name
        for remote in under_way.values():
            remote.left(say.Left(slot=remote.slot, why="it was not found again", node_lost=True))
        self._open_now = True


def _start(job: TrainJob) -> tuple[tuple[str, bytes], ...]:
    """The checkpoint that a replicate starts from, and the optimizer's state beside it."""
    if job.start_from is None:
        return ()
    path = Path(job.start_from)
    state = path.with_suffix(".state.pt")
    return tuple((one.name, one.read_bytes()) for one in (path, state) if one == path or one.exists())
