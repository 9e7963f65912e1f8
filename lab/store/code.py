"""The state of the user's code: which commit a run was made at, and what differed from it."""

import hashlib
import os
import subprocess
from pathlib import Path

from lab.store.records import CodeState

KEPT = 1_000_000
"""Bytes of the difference that are kept beside the run."""
SECONDS = 10.0


def code_state(folder: Path) -> tuple[CodeState | None, bytes]:
    """The commit of the repository that a folder lies in, and what its tracked files have beyond it.

    Files that are not tracked are not in the difference; those that a run imported have their hashes in its record.

    Args:
        folder: usually the workspace.

    Returns:
        (None, nothing) where there is no repository, no commit yet, or no git. The difference is cut at `KEPT` bytes;
        its hash in the state is that of the whole.
    """
    commit = _git(folder, "rev-parse", "HEAD")
    if commit is None:
        return None, b""
    changed = _git(folder, "diff", "--no-ext-diff", "--no-textconv", "--binary", "HEAD") or b""
    dirty = hashlib.sha256(changed).hexdigest() if changed else None
    return CodeState(commit=commit.decode().strip(), dirty=dirty), changed[:KEPT]


def _git(folder: Path, *arguments: str) -> bytes | None:
    # Without its locks and without the settings of whoever made the folder: only reading, nothing is run.
    safe = ["-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null"]
    environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0"}
    try:
        done = subprocess.run(  # noqa: S603 - fixed arguments
            ["git", *safe, *arguments],  # noqa: S607 - the user's git
            cwd=folder,
            capture_output=True,
            check=False,
            timeout=SECONDS,
            env=environment,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None
