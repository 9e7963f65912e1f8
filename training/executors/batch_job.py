"""What a job of Slurm does on its node: one replicate, in the same process as on any machine.

submitit calls `carry_out` there. The replicate's processes end with this one, however that ends; it ends when it is
told to, when its order is withdrawn, and when another attempt has begun: then its node was given up.
"""

import os
import signal
import socket
import threading
import time
from pathlib import Path

from training.executors.attempts import BatchOrder, Post, Writer
from training.executors.executor import Executor
from training.executors.local import LocalExecutor
from training.executors.madeup import MadeUpExecutor
from training.executors.messages import SlotState
from training.protocol import Progress

TICK = 0.25
LOOK = 1.0
"""Seconds between two looks at what the session says, which lies on another machine's disk."""


def carry_out(folder: str) -> None:
    """Carry out an order, and leave nothing running.

    Args:
        folder: of the order, absolute.
    """
    over = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):  # cancelled, preempted
        signal.signal(number, lambda *_: over.set())
    for number in (signal.SIGCONT, signal.SIGUSR2):  # said beside that, or before a time limit, which Slurm tells of
        signal.signal(number, lambda *_: None)
    post = Post(Path(folder))
    order = post.read()
    if order is None:
        return
    try:
        writer = Writer(post, int(os.environ.get("SLURM_RESTART_COUNT", "0")), _state())
    except FileExistsError:
        return
    executor: Executor = LocalExecutor(1) if order.made_up is None else MadeUpExecutor(order.made_up)
    try:
        _train(executor, order, post, writer, over)
    except Exception as error:  # told: the session decides
        writer.end(None, f"{type(error).__name__}: {error}")
        raise
    finally:
        executor.close()


def answer(folder: str) -> None:
    """Say that a node sees the workspace: what a session asks before it begins."""
    Writer(Post(Path(folder)), 0, _state())


def _train(executor: Executor, order: BatchOrder, post: Post, writer: Writer, over: threading.Event) -> None:
    running = executor.begin(order.job.model_copy(update={"dir": str(writer.folder)}), 1)
    assert running is not None  # noqa: S101 - its one slot is free
    looked, asked = 0.0, False
    try:
        while not over.is_set():
            executor.wait([running], TICK)
            events: list[Progress] = []
            result = running.poll(events.append)
            writer.tell(events)
            if result is not None:
                writer.end(result)
                return
            if time.monotonic() - looked > LOOK:
                looked = time.monotonic()
                if writer.unwanted(order.keep):
                    return
                if not asked and (why := post.stopping()) is not None:
                    asked = True
                    running.stop(why)
    finally:
        running.end()


def _state() -> SlotState:
    host = os.environ.get("SLURMD_NODENAME") or socket.gethostname()
    return SlotState.here(os.environ.get("SLURM_JOB_ID", ""), host)
