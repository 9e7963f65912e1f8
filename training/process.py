"""Worker processes seen from their parent: start or fork one, send a job, read events, end it and all it started.

Each worker leads a process group of its own, so Ctrl-C in the terminal reaches the parent alone and `kill` leaves no
environment process behind.
"""

import contextlib
import hashlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from typing import Protocol

from pydantic import ValidationError

from lab.base import AutopilotError, TrainingFailed, cache_dir, no_more_text, plain
from lab.store import StopReason
from training.protocol import EVENT, AnyJob, Ended, Progress, Ready, StopRequest

# Replicates side by side fight over the cores when each takes all of them for its own.
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")

PRIVATE = ("OPENAI_API_KEY", "AUTOPILOT_WEBHOOK", "AUTOPILOT_NOTIFY_WEBHOOK", "AUTOPILOT_NOTIFY_URLS")
"""Environment variables that are no business of a process that runs the user's own modules."""

Event = Ready | Progress | Ended


class Launched:
    """A Python process of ours on the other end of a socket."""

    def __init__(self, role: str, threads: int, theirs: socket.socket, gpu: str = "") -> None:
        """Start the process; `gpu` is the one that it may see, empty for all that this process may.

        Raises:
            TrainingFailed: the system starts no further process.
        """
        inherited = {key: value for key, value in os.environ.items() if key.upper() not in PRIVATE}
        environment = {**inherited, **dict.fromkeys(THREADS, str(threads)), "PYTHONUNBUFFERED": "1"}
        if gpu:
            environment["CUDA_VISIBLE_DEVICES"] = gpu
        # -P: a folder of the user's that is called training or lab must not be taken for ours.
        command = [sys.executable, "-P", "-m", "training.worker", str(os.getpid()), str(theirs.fileno()), role]
        # Importing PufferLib leaves a link named `resources` in the current folder, which its environments read from.
        place = cache_dir() / f"cwd-{hashlib.sha256(sys.prefix.encode()).hexdigest()[:12]}"
        place.mkdir(exist_ok=True)
        self._said = tempfile.TemporaryFile(dir=place)  # noqa: SIM115 - lives as long as the process
        try:
            self.process = subprocess.Popen(  # noqa: S603 - our own module
                command,
                stdin=subprocess.DEVNULL,
                stdout=self._said,
                stderr=self._said,
                env=environment,
                start_new_session=True,
                cwd=place,
                pass_fds=[theirs.fileno()],
            )
        except OSError as error:
            raise TrainingFailed(f"no training process can be started: {no_more_text(error)}") from error
        theirs.close()

    def said(self) -> str:
        """The last line that the process printed before it had a log of its own."""
        if self._said.closed:
            return self._last
        size = self._said.seek(0, os.SEEK_END)
        self._said.seek(max(0, size - 4096))
        lines = self._said.read().decode(errors="replace").strip().splitlines()
        return lines[-1][:400] if lines else "it printed nothing"

    def kill(self) -> None:
        """End the process and everything it started, now; harmless when it has ended already."""
        _kill_group(self.process.pid)
        self.process.wait()
        self._last = self.said()
        self._said.close()


def _kill_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


class Garbled(AutopilotError):
    """A worker said something that is no event: code of the user's shares its process, and may write anywhere."""


def _event(line: bytes) -> Event:
    try:
        return EVENT.validate_json(line)
    except ValidationError as error:
        said = plain(line[:80].decode(errors="replace"), 80)
        raise Garbled(f"the training process said what is no event of ours: {said!r}") from error


class Origin(Protocol):
    """The maker of a worker's process, which knows how the process ended."""

    def exit_code(self, pid: int | None, timeout: float) -> int | None:
        """Status that the process ended with, negative for a signal; None if not known within `timeout` seconds."""

    def alive(self) -> bool:
        """Whether the maker itself still runs: the server, or the process where it was not forked."""

    def said(self) -> str:
        """The last line that the process printed before it had a log of its own."""

    def end(self, pid: int | None) -> None:
        """End the process and everything it started, now."""


class Worker:
    """One worker process; the job can be sent right away, before it is ready."""

    def __init__(self, connection: socket.socket, origin: Origin, threads: int, gpu: str = "") -> None:
        """Take over the connection to a process; use `start_worker` or `ForkServer.worker` instead.

        Args:
            connection: our end of its socket.
            origin: where it comes from.
            threads: how many it may compute with, where that is settled when it starts.
            gpu: the only GPU that it sees; empty where it may see all.
        """
        self.threads, self.gpu = threads, gpu
        self.pid: int | None = None
        """Process id, which is also its group's; None until it is ready."""
        self._connection, self._origin = connection, origin
        self._buffer = b""
        self._exit: int | None = None
        """A handle that becomes readable when the process ends, where the system has such a thing."""
        self._code: int | None = None
        self._closed = False
        """The connection was read to its end."""

    def fileno(self) -> int:
        """The descriptor to select on: readable when an event has arrived or the process has closed its end."""
        return self._connection.fileno()

    def send(self, message: AnyJob | StopRequest) -> None:
        """Hand over the one job, or ask for a stop; a worker that has died is noticed by reading its events."""
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self._connection.sendall(message.model_dump_json().encode() + b"\n")

    def stop(self, why: StopReason) -> None:
        """Ask the worker to end after the present update."""
        self.send(StopRequest(why=why))

    def gone(self) -> bool:
        """Whether the process has ended or is about to, although others that it started may hold its socket open."""
        if self._closed:  # at its end a process closes what it holds before it can be waited for
            return True
        if self._exit is not None:
            return bool(select.select([self._exit], [], [], 0)[0])
        return self._exit_code(0) is not None

    def _exit_code(self, timeout: float) -> int | None:
        """The code of `Origin.exit_code`, which says it once."""
        if self._code is None:
            self._code = self._origin.exit_code(self.pid, timeout)
        return self._code

    def read(self, timeout: float | None = None) -> list[Event] | None:
        """Read the events that have arrived, or wait for some; None once the process has closed its end.

        Args:
            timeout: seconds to wait; without end if None.

        Raises:
            Garbled: it said something that is no event.
        """
        if timeout is not None and not select.select([self], [], [], timeout)[0]:
            return []
        try:
            data = self._connection.recv(65_536)
        except ConnectionResetError:
            data = b""
        if not data:
            self._closed = True
            return None
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        events = [_event(line) for line in lines if line.strip()]
        for event in events:
            if isinstance(event, Ready):
                self.pid = event.pid
                with contextlib.suppress(AttributeError, OSError):
                    self._exit = os.pidfd_open(event.pid)
        return events

    def events(self, timeout: float) -> Iterator[Event]:
        """Events as they come, until the process ends or `timeout` seconds are over."""
        deadline = time.monotonic() + timeout
        while (left := deadline - time.monotonic()) > 0:
            events = self.read(left)
            if events is None:
                return
            yield from events

    def orphaned(self) -> bool:
        """Whether the worker ended because the server that had forked it did."""
        return isinstance(self._origin, ForkServer) and not self._origin.alive()

    def was_killed(self) -> bool:
        """Whether somebody else's SIGKILL ended the worker or its server; waits a moment for the process to be gone."""
        return self.orphaned() or self._exit_code(5) == -signal.SIGKILL

    def how_it_ended(self) -> str:
        """The end in words, such as `was killed by signal 9 (SIGKILL)`; waits a moment for the process to be gone."""
        code = self._exit_code(5)
        if code is None:
            return "closed its output but did not end"
        if self.orphaned():
            return f"lost the process that forks workers (status {code})"
        if code < 0:
            name = signal.Signals(-code).name
            memory = ": often the system, out of memory" if -code == signal.SIGKILL else ""
            return f"was killed by signal {-code} ({name}{memory})"
        return f"ended with status {code}"

    def said(self) -> str:
        """The last line that the process printed before it had a log of its own."""
        return self._origin.said()

    def kill(self) -> None:
        """End the process and everything it started, now; harmless when it has ended already."""
        self._connection.close()  # one that has not been forked yet ends by itself when it finds nobody there
        self._origin.end(self.pid)
        if self._exit is not None:
            os.close(self._exit)
            self._exit = None


def start_worker(threads: int, role: str = "work", gpu: str = "") -> Worker:
    """A worker that begins to import at once.

    Args:
        threads: how many it may compute with.
        role: `work`, or `look` for one that only looks at the machine.
        gpu: the only GPU that it is to see, as CUDA_VISIBLE_DEVICES takes it; empty for all that this process sees.
    """
    ours, theirs = socket.socketpair()
    return Worker(ours, _Started(Launched(role, threads, theirs, gpu)), threads, gpu)


class _Started:
    """The origin of a worker that is our own child."""

    def __init__(self, launched: Launched) -> None:
        self._launched = launched
        self.said = launched.said

    def alive(self) -> bool:
        return self._launched.process.poll() is None

    def exit_code(self, pid: int | None, timeout: float) -> int | None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self._launched.process.wait(timeout)
        return None

    def end(self, pid: int | None) -> None:
        self._launched.kill()


def can_fork(device: str) -> bool:
    """Whether workers for a device may be forked: under Linux, where nothing but the CPU computes."""
    return sys.platform == "linux" and device == "cpu"


class ForkServer:
    """A process that imports torch and PufferLib once, builds a trainer once, and forks a worker for each request."""

    def __init__(self) -> None:
        """Begin to import at once; workers can be asked for right away."""
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        # One thread: a pool of OpenMP's would not survive the fork. Each worker sets its own number.
        self._launched = Launched("serve", 1, theirs)
        self._codes: dict[int, int] = {}
        self.said = self._launched.said

    @property
    def pid(self) -> int:
        """Process id of the server."""
        return self._launched.process.pid

    def alive(self) -> bool:
        """Whether the server still runs."""
        return self._launched.process.poll() is None

    def worker(self, threads: int) -> Worker:
        """Fork a worker, within milliseconds once the server itself is ready."""
        ours, theirs = socket.socketpair()
        with contextlib.suppress(BrokenPipeError):  # then the worker is gone as soon as somebody looks
            socket.send_fds(self._control, [b"fork"], [theirs.fileno()])
        theirs.close()
        self._listen(0)
        return Worker(ours, self, threads)

    def exit_code(self, pid: int | None, timeout: float) -> int | None:
        """Status that a worker ended with, given once, since a process id comes again; see `Origin.exit_code`."""
        if pid is None:
            return self._launched.process.poll()
        deadline = time.monotonic() + timeout
        while pid not in self._codes:
            left = deadline - time.monotonic()
            if not self._listen(max(0.0, left)) and (left <= 0 or not self.alive()):
                return self._launched.process.poll()
        return self._codes.pop(pid)

    def end(self, pid: int | None) -> None:
        """End a worker and everything it started; see `Origin.end`."""
        if pid is not None:
            _kill_group(pid)

    def close(self) -> None:
        """End the server, and with it every worker that is left."""
        self._launched.kill()
        self._control.close()

    def _listen(self, timeout: float) -> bool:
        heard = False
        if self._control.fileno() < 0:  # closed: whoever still asks has lost it
            return False
        while select.select([self._control], [], [], timeout)[0]:
            message = self._control.recv(4096)
            if not message:
                return heard
            ended = json.loads(message)
            self._codes[int(ended["pid"])] = int(ended["code"])
            heard, timeout = True, 0.0
        return heard
