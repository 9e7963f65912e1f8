"""A night or a training mirrored while it goes on, by a process beside it that copies the record every few seconds.

It is a process of its own so that nothing of a mirror can reach a training: neither its imports, which take seconds,
nor a server that hangs, nor a library that ends the interpreter. It reads the record as anybody does. When whoever
started it closes its standard input, or is gone however it ended, it copies once more and ends.
"""

import contextlib
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from lab.base import Workspace, plain

PATIENCE = 180.0
"""Seconds that its end is waited for; then it finishes by itself."""


@contextlib.contextmanager
def followed(
    workspace: Workspace,
    uri: str | None,
    log: Path,
    note: Callable[[str], None],
    *,
    session: str = "",
    run: str = "",
    patience: float = PATIENCE,
) -> Iterator[None]:
    """Mirror to MLflow what is trained in the block; whatever becomes of that, the block does not notice.

    Args:
        workspace: where it is trained.
        uri: of the store; nothing is mirrored if None.
        log: the file that takes what the mirror says.
        note: gets a line at the end where the mirror is not complete.
        session: whose runs; else
        run: the one.
        patience: seconds that its end is waited for.
    """
    if uri is None:
        yield
        return
    process = None
    with contextlib.suppress(OSError):  # no further process, no room: noted below
        process = _begin(workspace, uri, log, session, run)
    try:
        yield
    finally:
        if why := "no process could be started" if process is None else _end(process, log, patience):
            again = f"autopilot mirror {f'--session {session}' if session else run} --to mlflow"
            note(f"mirror mlflow: {why}; '{again}' completes it")


def _begin(workspace: Workspace, uri: str, log: Path, session: str, run: str) -> "subprocess.Popen[bytes]":
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as said:
        return subprocess.Popen(  # noqa: S603 - our own module
            [sys.executable, "-P", "-m", "mirror.follower", str(workspace.root), uri, session, run],
            stdin=subprocess.PIPE,
            stdout=said,
            stderr=said,
            start_new_session=True,
        )


def _end(process: "subprocess.Popen[bytes]", log: Path, patience: float) -> str:
    """Why the mirror is not complete; empty where it is."""
    if process.stdin is not None:
        with contextlib.suppress(OSError):
            process.stdin.close()
    try:
        code = process.wait(patience)
    except subprocess.TimeoutExpired:
        return f"it was not through within {patience:g} s, and goes on by itself"
    if code == 0:
        return ""
    with contextlib.suppress(OSError):
        if lines := log.read_text(encoding="utf-8", errors="replace").strip().splitlines():
            return plain(lines[-1], 300)
    return f"it ended with {code}"
