"""A process that has the program imported and forks one for each command: a shell's, without half a second of imports.

What a command does at its start and its end is all there: arguments, environment, current folder and output of its own,
threads that are waited for. `main` here is the server; `Warm` asks it from a test.
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

BEFOREHAND = (
    "agent.session.launch", "agent.session.session", "bridge.server", "duckdb", "jinja2", "matplotlib.pyplot",
    "optuna", "report", "review.app", "scipy.optimize", "scipy.stats",
)  # fmt: skip
"""What commands import where they need it. No threads, and nothing that reads the environment."""


class Warm:
    """The server, and how to ask it for a command."""

    def __init__(self) -> None:
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        # As main() has it before numpy is imported; a command sets the rest of its environment itself.
        environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
        self._process = subprocess.Popen(
            [sys.executable, "-P", __file__, str(theirs.fileno())],
            pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, env=environment,
        )  # fmt: skip
        theirs.close()

    def run(self, arguments: list[str], environment: dict[str, str], timeout: float) -> tuple[int, str, str]:
        """Exit status, standard output and standard error of a command."""
        ours, theirs = socket.socketpair()
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err, ours:
            asked = {"arguments": arguments, "environment": environment, "folder": str(Path.cwd())}
            with theirs, tempfile.TemporaryFile() as given:
                given.write(json.dumps(asked).encode())
                given.flush()
                socket.send_fds(self._control, [b"run"], [f.fileno() for f in (given, out, err, theirs)])
            ours.settimeout(timeout)
            said = ours.recv(64)
            assert said, "the command's process was lost"
            for file in (out, err):
                file.seek(0)
            return int(said), out.read().decode(), err.read().decode()

    def close(self) -> None:
        self._control.close()
        self._process.wait(60)


def main() -> None:
    """Fork a command for each message, until whoever asks has gone; such a process comes back from here to run it."""
    control = socket.socket(fileno=int(sys.argv[1]))
    for name in BEFOREHAND:
        with contextlib.suppress(ModuleNotFoundError):  # an extra that is not installed
            importlib.import_module(name)
    importlib.import_module("cli.main")
    gc.freeze()
    while True:
        message, handles, _, _ = socket.recv_fds(control, 16, 4)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:  # those that have waited for a command
                pass
        if not message:
            return
        if os.fork() == 0:
            control.close()
            break
        for handle in handles:
            os.close(handle)
    given, out, err, told = handles
    if pid := os.fork():  # this one waits, and says how it ended
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
    _end(_status())


def _status() -> int:
    """What the program ends with, which an exception that nobody expects has end with 1, told as Python tells it."""
    from cli.main import main as program

    try:
        program()
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
