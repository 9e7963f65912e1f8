"""A training process: imports torch and PufferLib, waits for one job, does it, ends.

It comes about in one of two ways. On a CPU under Linux a server process imports and builds everything once and forks a
worker for each job, which costs milliseconds; elsewhere (a GPU's driver does not survive a fork) a worker is started
before it is needed. Either way it trains once and ends, its outcome is a file, and it dies with its parent.
"""

import contextlib
import ctypes
import gc
import json
import os
import select
import signal
import socket
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from lab.base import SeedPaths, json_of, no_more_text, write_model
from lab.store import ReplicateResult, StopReason
from training.curve_file import CurveFile
from training.inventory import installation
from training.log_file import LogFile
from training.protocol import (
    JOB,
    Ended,
    ExportJob,
    FilmJob,
    InventoryJob,
    LoadJob,
    MeasureJob,
    Message,
    Progress,
    Ready,
    StopRequest,
    TrainJob,
)

if TYPE_CHECKING:
    from training.mirrors import Mirrors

PR_SET_PDEATHSIG = 1


def die_with_parent(parent: int) -> None:
    """Ask the kernel for SIGKILL when the parent ends, however it ends (Linux; elsewhere the socket tells)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before we asked
        os._exit(1)


def tie_children() -> None:
    """Have whatever this process forks end with it: environments in processes of their own would go on for ever."""
    if sys.platform == "linux":
        library = ctypes.CDLL(None)
        os.register_at_fork(after_in_child=lambda: library.prctl(PR_SET_PDEATHSIG, signal.SIGKILL))


def main() -> None:
    """Train once, look at the machine once, or fork workers; called with `PARENT_PID SOCKET_FD work|look|serve`."""
    parent, handle, role = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    die_with_parent(parent)
    os.dup2(2, 1)  # whatever prints from here on, C code included, is log
    connection = socket.socket(fileno=handle)

    if role == "serve":
        from training.gpus import hide_gpus

        hide_gpus()
    from training import adapter, replicate  # noqa: F401 - torch and PufferLib: seconds

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # PufferLib made it exit at once; stopping is the parent's decision
    if role != "look":
        adapter.warm_up()
    if role == "serve":
        serve(connection)
    else:
        work(connection)


# --- the server that forks ---------------------------------------------------------------------------------------


def serve(control: socket.socket) -> None:
    """Fork a worker for each socket that arrives; say how each ended; end when the parent has closed its side."""
    woken, waker = socket.socketpair()
    waker.setblocking(False)
    signal.set_wakeup_fd(waker.fileno(), warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)  # so that a child's end wakes us
    gc.freeze()  # a collection in a child would touch, and so copy, every page that they share
    while True:
        readable, _, _ = select.select([control, woken], [], [])
        if woken in readable:
            woken.recv(4096)
        _report_ended(control)
        if control in readable:
            message, handles, _, _ = socket.recv_fds(control, 64, 1)
            if not message:
                return
            try:
                if os.fork() == 0:
                    control.close()
                    _become_worker(handles[0])
            except OSError as error:  # whoever waits for the worker finds its socket closed, and reads this
                sys.stderr.write(f"{no_more_text(error)}\n")
            os.close(handles[0])


def _report_ended(control: socket.socket) -> None:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        control.send(json.dumps({"pid": pid, "code": os.waitstatus_to_exitcode(status)}).encode())


def _become_worker(handle: int) -> None:
    server = os.getppid()
    os.setsid()  # a process group of its own, so that it can be ended with all that it started
    die_with_parent(server)
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    work(socket.socket(fileno=handle))


# --- one job -----------------------------------------------------------------------------------------------------


def work(connection: socket.socket) -> None:
    """Do the one job that arrives, and end the process."""
    tie_children()
    status = 1
    try:
        _work(connection)
        status = 0
    except ConnectionResetError:
        pass  # the parent has gone
    finally:
        if status and (error := sys.exc_info()[1]) is not None:
            sys.excepthook(type(error), error, error.__traceback__)
        os._exit(status)  # PufferLib's threads and processes may keep the interpreter from ending by itself


def _work(connection: socket.socket) -> None:
    requests = connection.makefile("r")

    def emit(message: Message) -> None:
        try:
            connection.sendall(json_of(message).encode() + b"\n")
        except (BrokenPipeError, ConnectionResetError):
            os._exit(1)  # the parent has gone, which is no outcome of the job and must not be recorded as one

    emit(Ready(pid=os.getpid()))
    line = requests.readline()
    if not line:
        return
    job = JOB.validate_json(line)
    if isinstance(job, ExportJob):  # of PufferLib's own alone: no module of the user's has a part in it
        from training import exporting

        emit(Ended(handover=exporting.handover(job)))
        return
    if job.workspace and job.workspace not in sys.path:
        sys.path.append(job.workspace)  # at the end: a folder of the user's must not be taken for one of ours
    if isinstance(job, InventoryJob):
        from training import envs

        root = Path(job.workspace) if job.workspace else None
        write_model(Path(job.to), envs.inventory(job.build, installation(), root))
        emit(Ended())
    elif isinstance(job, LoadJob):
        from training import build

        emit(Ended(unloadable=build.unloadable(job.calls)))
    elif isinstance(job, MeasureJob):
        from training import measure

        emit(Ended(moment=measure.moment(job)))
    elif isinstance(job, FilmJob):
        from training import playing

        emit(Ended(film=playing.play(job)))
    else:
        emit(Ended(result=train(job, emit, _Requests(requests).stopping)))


class _Requests:
    """The parent's words while the job is done: to stop, or, by silence, that the parent is gone."""

    def __init__(self, lines: TextIO) -> None:
        self._lines = lines
        self._why: StopReason | None = None
        threading.Thread(target=self._listen, daemon=True).start()

    def stopping(self) -> StopReason | None:
        """The reason to end, once the parent has asked for that."""
        return self._why

    def _listen(self) -> None:
        with contextlib.suppress(ConnectionResetError):  # a parent that was killed with our words unread
            for line in self._lines:
                self._why = StopRequest.model_validate_json(line).why
        os._exit(1)


def train(
    job: TrainJob, emit: Callable[[Progress], None], stopping: Callable[[], StopReason | None]
) -> ReplicateResult:
    """Train one replicate into its folder."""
    from training import replicate

    paths = SeedPaths(Path(job.dir))
    paths.dir.mkdir(parents=True, exist_ok=True)
    log = LogFile(paths.log)
    mirrored = _mirrors(job, paths)
    curves = CurveFile(paths.metrics_live)

    def on_log(numbers: dict[str, float], step: int) -> None:
        curves.append(numbers)
        if mirrored is not None:
            mirrored.log(numbers, step)

    result = replicate.train(job, on_log, emit, stopping)
    if missing := curves.close():
        result = result.model_copy(update={"notes": (*result.notes, *missing)})
    if mirrored is not None:
        mirrored.close()
    log.close()
    try:
        write_model(paths.result, result)
    except OSError as error:  # a full disk: the parent has room in hand, and gets the result as an event
        _note(f"result.json can't be written: {error}")
    return result


def _mirrors(job: TrainJob, paths: SeedPaths) -> "Mirrors | None":
    if not job.mirrors:
        return None
    from training.mirrors import Mirrors, openers

    wanted = openers(
        job.mirrors, folder=paths.dir, project=job.project, run=job.run_id, seed=job.seed, config=job.config.flat()
    )
    return Mirrors(wanted, _note)


def _note(text: str) -> None:
    try:
        sys.stderr.write(text + "\n")
    except OSError:  # the log may lie on the disk that is full
        return


if __name__ == "__main__":
    main()
