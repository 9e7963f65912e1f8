"""One worker process seen from its parent: start, send a job, read events, end it and everything it started.

Each worker leads a process group of its own, so Ctrl-C in the terminal reaches the parent alone and `kill` leaves no
environment process behind.
"""

import contextlib
import hashlib
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator

from lab.paths import cache_dir
from training.protocol import EVENT, Ended, InventoryJob, Progress, Ready, TrainJob

# Replicates side by side fight over the cores when each takes all of them for its own.
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")

Event = Ready | Progress | Ended


class Worker:
    """A started worker process."""

    def __init__(self, threads: int) -> None:
        """Start importing at once; the job can be sent right away.

        Args:
            threads: how many the process may compute with.
        """
        self.threads = threads
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the worker
        inherited = {key: value for key, value in os.environ.items() if key != "OPENAI_API_KEY"}  # no business of its
        environment = {**inherited, **dict.fromkeys(_THREADS, str(threads)), "PYTHONUNBUFFERED": "1"}
        # -P: a folder of the user's that is called training or lab must not be taken for ours.
        command = [sys.executable, "-P", "-m", "training.worker", str(os.getpid())]
        # Importing PufferLib leaves a link named `resources` in the current folder, which its environments read from.
        place = cache_dir() / f"cwd-{hashlib.sha256(sys.prefix.encode()).hexdigest()[:12]}"
        place.mkdir(parents=True, exist_ok=True)
        self._process = subprocess.Popen(  # noqa: S603 - our own module
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._said, env=environment,
            start_new_session=True, cwd=place,
        )  # fmt: skip
        self._buffer = b""

    @property
    def pid(self) -> int:
        """Process id, which is also its group's."""
        return self._process.pid

    def fileno(self) -> int:
        """For select: readable when an event has arrived or the process has ended."""
        assert self._process.stdout is not None  # noqa: S101 - started with a pipe
        return self._process.stdout.fileno()

    def send(self, job: TrainJob | InventoryJob) -> None:
        """Hand over the one job; a worker that has died already is noticed by reading its events."""
        assert self._process.stdin is not None  # noqa: S101 - started with a pipe
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(job.model_dump_json().encode() + b"\n")
            self._process.stdin.flush()

    def alive(self) -> bool:
        """It has not ended."""
        return self._process.poll() is None

    def read(self) -> list[Event] | None:
        """The events that have arrived; waits for some if there are none. None once the process has closed its end."""
        data = os.read(self.fileno(), 65_536)
        if not data:
            return None
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        return [EVENT.validate_json(line) for line in lines if line.strip()]

    def events(self, timeout: float) -> Iterator[Event]:
        """Events as they come, until the process ends or `timeout` seconds are over."""
        deadline = time.monotonic() + timeout
        while (left := deadline - time.monotonic()) > 0 and select.select([self], [], [], left)[0]:
            events = self.read()
            if events is None:
                return
            yield from events

    def how_it_ended(self) -> str:
        """In words, such as `was killed by signal 9 (SIGKILL)`; waits a moment for the process to be gone."""
        try:
            code = self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            return "closed its output but did not end"
        if code < 0:
            name = signal.Signals(-code).name
            memory = ": often the system, out of memory" if -code == signal.SIGKILL else ""
            return f"was killed by signal {-code} ({name}{memory})"
        return f"ended with status {code}"

    def said(self) -> str:
        """The last line it printed before it had a log of its own."""
        self._said.seek(0)
        lines = self._said.read()[-4096:].decode(errors="replace").strip().splitlines()
        return lines[-1][:400] if lines else "it printed nothing"

    def kill(self) -> None:
        """End the process and everything it started, now; harmless when it has ended already."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()
        self._said.close()
