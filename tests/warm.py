"""A process that has imported what takes long and forks one for each command or script: without seconds of imports.

What such a process does at its start and its end is all there: arguments, environment, current folder and output of its
own, threads that are waited for. `main` here is the server; `Warm` asks it from a test.
"""

import atexit
import contextlib
import gc
import importlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import NamedTuple

PROGRAM = (
    "agent.session.launch", "agent.session.session", "bridge.server", "cli.main", "duckdb", "jinja2",
    "matplotlib.pyplot", "optuna", "report", "review.app", "scipy.optimize", "scipy.stats",
)  # fmt: skip
"""What commands import, many of them where they need it. No threads, and nothing that reads the environment."""


class Ended(NamedTuple):
    """What a process came to."""

    code: int
    out: str
    err: str


class Warm:
    """The server, and how to ask it.

    Args:
        beforehand: modules that it imports; those of an extra that is not installed are left out.
        environment: what has to be set by then; a process that it forks gets its own.
    """

    def __init__(self, beforehand: tuple[str, ...], environment: dict[str, str]) -> None:
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._place = tempfile.TemporaryDirectory()  # importing PufferLib makes a link where it is
        self._process = subprocess.Popen(
            [sys.executable, "-P", __file__, str(theirs.fileno()), *beforehand], pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL, env={**os.environ, **environment}, cwd=self._place.name,
        )  # fmt: skip
        theirs.close()

    def run(
        self,
        arguments: list[str],
        environment: dict[str, str] | None = None,
        *,
        script: str | None = None,
        folder: Path | None = None,
        timeout: float = 900,
    ) -> Ended:
        """Run the program in a process of its own, or a script in its place.

        Args:
            arguments: of the command line.
            environment: all of it; this process's own if not given.
            script: Python.
            folder: where it runs; here if not given.
            timeout: seconds that it may take.
        """
        whole = dict(os.environ) if environment is None else environment
        asked = {"arguments": arguments, "environment": whole, "script": script, "folder": str(folder or Path.cwd())}
        ours, theirs = socket.socketpair()
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err, ours:
            with theirs, tempfile.TemporaryFile() as given:
                given.write(json.dumps(asked).encode())
                given.flush()
                socket.send_fds(self._control, [b"run"], [file.fileno() for file in (given, out, err, theirs)])
            ours.settimeout(timeout)
            said = ours.recv(64)
            assert said, "the process was lost"
            for file in (out, err):
                file.seek(0)
            return Ended(int(said), out.read().decode(), err.read().decode())

    def close(self) -> None:
        self._control.close()
        self._process.wait(60)
        self._place.cleanup()


def main() -> None:
    """Fork a process for each message, until whoever asks has gone."""
    control, beforehand = socket.socket(fileno=int(sys.argv[1])), sys.argv[2:]
    for name in beforehand:
        with contextlib.suppress(ModuleNotFoundError):
            importlib.import_module(name)
    gc.freeze()
    while True:
        message, handles, _, _ = socket.recv_fds(control, 16, 4)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:  # those that have waited for a process
                pass
        if not message:
            return
        if os.fork() == 0:
            control.close()
            _become(*handles)
        for handle in handles:
            os.close(handle)


def _become(given: int, out: int, err: int, told: int) -> None:
    """Be the process that was asked for, after one that waits for it and says how it ended."""
    if pid := os.fork():
        with contextlib.suppress(BrokenPipeError):
            os.write(told, str(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])).encode())
        os._exit(0)
    os.close(told)
    with os.fdopen(given) as file:
        file.seek(0)
        asked = json.load(file)
    for handle, number in ((out, 1), (err, 2)):
        os.dup2(handle, number)
        os.close(handle)
    os.environ.clear()
    os.environ.update(asked["environment"])
    os.chdir(asked["folder"])
    sys.argv = ["autopilot", *asked["arguments"]]
    _end(_status(asked["script"]))


def _status(script: str | None) -> int:
    """What it ends with; an exception that nobody expects is told as Python tells it."""
    try:
        if script is not None:
            exec(compile(script, "<script>", "exec"), {"__name__": "__main__"})  # noqa: S102 - a test's own
        else:
            importlib.import_module("cli.main").main()
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else 0
    except BaseException:  # noqa: BLE001 - the interpreter's own part
        sys.excepthook(*sys.exc_info())  # type: ignore[arg-type]
        return 1
    return 0


def _end(status: int) -> None:
    """End as an interpreter does, but for taking all apart that the server had imported: that takes half a second."""
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(status)


if __name__ == "__main__":
    main()
