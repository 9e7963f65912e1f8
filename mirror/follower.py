"""The process that `following.py` starts: copies the record to MLflow every few seconds until it is let go of."""

import contextlib
import os
import select
import sys
import time
from pathlib import Path

from lab.base import AutopilotError, Busy, NotFound, Workspace, plain
from lab.store import Notebook, RunRecord
from mirror.copying import copy_to_mlflow
from mirror.store import Store

EVERY = 5.0
"""Seconds between two looks at the record."""
TRIES = 60
"""Times that it tries the last time, a second apart, where another process copies runs just then."""


def main(root: str, uri: str, session: str, run: str) -> int:
    """The process: copies until its standard input ends, and once more; the exit status.

    Args:
        root: the workspace's folder.
        uri: of the store.
        session: whose runs; else
        run: the one.
    """
    with contextlib.suppress(OSError):
        os.nice(10)
    notebook, store, failed = Notebook(Workspace(Path(root))), None, ""
    ended = False
    while True:
        try:
            store = store or Store(uri)
            _copy_all(notebook, store, session, run, patient=ended)
            failed = ""
        except AutopilotError as error:  # a server that is away may come back
            store, why = None, str(error)
            if why != failed:
                sys.stderr.write(f"{plain(why, 400)}\n")
                sys.stderr.flush()
            failed = why
        if ended:
            return 1 if failed else 0
        ended = _over(EVERY)


def _copy_all(notebook: Notebook, store: Store, session: str, run: str, *, patient: bool) -> None:
    """Copy what there is; where somebody else does just now, wait if it is the last time, else leave it."""
    for _ in range(TRIES):
        with contextlib.suppress(Busy):
            copy_to_mlflow(notebook, store, _runs(notebook, session, run))
            return
        if not patient:
            return
        time.sleep(1)
    copy_to_mlflow(notebook, store, _runs(notebook, session, run))


def _runs(notebook: Notebook, session: str, run: str) -> list[RunRecord]:
    if session:
        return notebook.runs(session=session)
    try:
        return [notebook.run(run)]
    except NotFound:
        return []


def _over(seconds: float) -> bool:
    """Whether whoever started this process has let go of it, within so many seconds."""
    readable, _, _ = select.select([sys.stdin], [], [], seconds)
    return bool(readable) and not sys.stdin.buffer.read(1)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
