"""A training process: imports torch and PufferLib, waits for one job, does it, ends.

It is started before it is needed, so the imports cost nobody time. Its outcome is a file; it dies with its parent.
"""

import ctypes
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

from lab.files import write_model
from lab.paths import SeedPaths
from training.machine import installation
from training.protocol import JOB, Ended, InventoryJob, Message, Progress, Ready, TrainJob

PR_SET_PDEATHSIG = 1


def die_with_parent(parent: int) -> None:
    """Ask the kernel for SIGKILL when the parent ends, however it ends (Linux; elsewhere standard input tells)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before we asked
        os._exit(1)


def main() -> None:
    """Do the job that arrives on standard input; report on what was standard output."""
    die_with_parent(int(sys.argv[1]))
    events = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # whatever prints from here on, C code included, is log and not protocol

    from training import envs  # torch and PufferLib: seconds

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # PufferLib made it exit at once; stopping is the parent's decision

    def emit(message: Message) -> None:
        events.write(message.model_dump_json() + "\n")

    emit(Ready())
    line = sys.stdin.readline()
    if not line:
        return
    job = JOB.validate_json(line)
    if isinstance(job, InventoryJob):
        write_model(Path(job.to), envs.inventory(job.build, installation()))
    else:
        train(job, emit)
    emit(Ended())
    events.flush()
    sys.stderr.flush()
    os._exit(0)  # PufferLib's threads and processes may keep the interpreter from ending by itself


def train(job: TrainJob, emit: Callable[[Progress], None]) -> None:
    """Train one replicate into its folder."""
    from training import adapter

    paths = SeedPaths(Path(job.dir))
    paths.dir.mkdir(parents=True, exist_ok=True)
    log = os.open(paths.log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    os.dup2(log, 1)
    os.dup2(log, 2)
    with paths.metrics_live.open("w", buffering=1) as metrics:
        result = adapter.train(job, _writer(metrics), emit)
    write_model(paths.result, result)


def _writer(file: TextIO) -> Callable[[dict[str, float]], None]:
    def write(numbers: dict[str, float]) -> None:
        file.write(json.dumps(numbers) + "\n")

    return write


if __name__ == "__main__":
    main()
