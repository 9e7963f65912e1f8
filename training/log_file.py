"""The log of a replicate: what is printed while it trains, bounded, with its head and its tail kept.

Everything in the worker, and processes that it starts, print straight into the file, so it is cut in place while they
go on; what is printed in the milliseconds of a cut may be lost. What is in the file survives a crash.
"""

import os
import threading
from pathlib import Path

LIMIT = 2**20
"""Bytes above which it is cut."""
HEAD, TAIL = 2**18, 2**19
"""Bytes that are kept of its begin, and of its end."""
EACH = 0.2
"""Seconds between two looks."""


class LogFile:
    """The log as long as a worker writes it."""

    def __init__(self, path: Path) -> None:
        """Begin it anew, and send everything that is printed into it.

        Args:
            path: of the file.
        """
        self._path, self._left_out, self._ended = path, 0, threading.Event()
        # Appended to by all that print, so that nobody goes on behind the place that it was cut to.
        log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o644)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.close(log)
        self._watch = threading.Thread(target=self._look, daemon=True)
        self._watch.start()

    def close(self) -> None:
        """Cut it for the last time."""
        self._ended.set()
        self._watch.join()

    def _look(self) -> None:
        while not self._ended.wait(EACH):
            self._left_out = cut(self._path, self._left_out)
        self._left_out = cut(self._path, self._left_out)


def cut(path: Path, left_out: int = 0) -> int:
    """Leave out the middle of a log that is too long.

    Args:
        path: of the log.
        left_out: bytes that were left out of it before.

    Returns:
        Bytes that have been left out in all.
    """
    try:
        size = path.stat().st_size
        if size <= LIMIT:
            return left_out
        with path.open("rb+", buffering=0) as file:
            file.seek(size - TAIL)
            tail = file.read(TAIL)
            left_out += size - HEAD - TAIL
            file.seek(HEAD)
            kept = f"\n[… about {left_out:,} bytes were left out here …]\n".encode() + tail
            file.write(kept)
            file.truncate(HEAD + len(kept))
    except OSError:  # a full disk: the log is the least of it
        return left_out
    return left_out
