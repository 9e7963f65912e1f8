"""How the index's file is reached: each thread by a connection of its own.

Where it can't be written (a read-only disk, a full one) it is kept in memory instead; a file that is no database is
made again. `steady` lets a thread ask many questions of one look at the folders.
"""

import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from lab.base import Damaged, Workspace, is_id
from lab.store.tables import BUSY, prepared

Answer = TypeVar("Answer")


class Connections(threading.local):
    """One thread's connection, and what it has asked within `steady`."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self.why = ""
        """What is wrong with the file, if anything is."""
        self.seen: dict[Any, list[Any]] | None = None
        """Within `steady`: the connection that has been brought up to date, and what was asked since."""
        self._base: sqlite3.Connection | None = None
        self._inode: int | None = None
        self._in_vain = False

    @contextmanager
    def steady(self) -> Iterator[None]:
        """Answer this thread, until the end, from one look at the folders: a page asks hundreds of questions."""
        outer, self.seen = self.seen, {}
        try:
            yield
        finally:
            self.seen = outer

    def on(self, work: Callable[[sqlite3.Connection], Answer]) -> Answer:
        """What `work` makes of this thread's connection, with another one if need be, once.

        A file that is no such database is made again; one that can't be written any more is left for memory.
        """
        for again in (True, False):
            base = self._base
            if base is None or not ((self.seen and base in self.seen) or self._is_mine()):
                self._base = base = self._open()
            try:
                return work(base)
            except sqlite3.DatabaseError as error:
                if isinstance(error, sqlite3.OperationalError) and "locked" in str(error):
                    raise
                base.close()
                self._base = None
                if not again:
                    raise Damaged(f"{self.workspace.index}: {error}") from error
                # An operational one: the disk is full or read-only, which another file would not mend.
                if isinstance(error, sqlite3.OperationalError):
                    self._base = self._in_memory(str(error))
                else:
                    self._discard()
        raise AssertionError("unreachable")

    def _is_mine(self) -> bool:
        """The file it was opened on is still the one there; in memory, there still is no folder for one."""
        inode = self._inode
        return self._in_vain or (inode == _inode(self.workspace.index) if inode else not self._possible())

    def _possible(self) -> bool:
        """Whether a file is worth making: a question about an empty workspace leaves nothing behind."""
        writable = self.workspace.runs.is_dir() and os.access(self.workspace.runs, os.W_OK)
        return writable and (self.workspace.index.exists() or next(folders(self.workspace), None) is not None)

    def _open(self) -> sqlite3.Connection:
        self._inode, self._in_vain, self.why = None, False, ""
        for _ in range(2 if self._possible() else 0):
            try:
                base = prepared(sqlite3.connect(self.workspace.index, timeout=BUSY, isolation_level=None))
            except sqlite3.OperationalError as error:  # locked for long, or the disk is full
                return self._in_memory(str(error))
            except sqlite3.DatabaseError:  # no database: made again
                self._discard()
            else:
                self._inode = _inode(self.workspace.index)
                return base
        return self._in_memory()

    def _in_memory(self, why: str = "") -> sqlite3.Connection:
        """One that ends with this process; `why` says what is wrong with the file, if anything is."""
        self._inode, self._in_vain, self.why = None, self._possible(), why
        return prepared(sqlite3.connect(":memory:", isolation_level=None))

    def _discard(self) -> None:
        for ending in ("", "-wal", "-shm"):
            self.workspace.index.with_name(self.workspace.index.name + ending).unlink(missing_ok=True)


def folders(workspace: Workspace) -> Iterator[str]:
    """Names of the runs' folders, in any order."""
    if not workspace.runs.is_dir():
        return
    with os.scandir(workspace.runs) as entries:
        for entry in entries:
            if is_id(entry.name) and entry.is_dir():
                yield entry.name


def _inode(path: Path) -> int | None:
    try:
        return path.stat().st_ino
    except FileNotFoundError:
        return None
