"""That one session at most runs in a workspace, and who that is."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from lab.base.errors import Busy
from lab.base.files import owned, owner_of
from lab.base.paths import Workspace
from lab.base.record import now
from lab.base.text import lasting

SINCE = "%Y-%m-%d %H:%M:%S UTC"


@contextmanager
def sole_session(workspace: Workspace, session_id: str) -> Iterator[None]:
    """Be the only session of a workspace; the system gives the lock back when the process ends, however it ends.

    Raises:
        Busy: another one is running, with its pid and age.
    """
    told = json.dumps({"session": session_id, "pid": os.getpid(), "since": f"{now():{SINCE}}"})
    with owned(workspace.session_lock, told, lambda said: _busy(workspace, _read(said))):
        yield


def require_nobody(workspace: Workspace) -> None:
    """Nobody runs a session here, as far as can be seen now.

    Raises:
        Busy: somebody does.
    """
    if (held := holder(workspace)) is not None:
        raise _busy(workspace, held)


def _busy(workspace: Workspace, held: dict[str, Any]) -> Busy:
    since = f"since {held['since']}, for {held['age']}" if held["age"] else held["since"]
    return Busy(
        f"session {held['session'] or 'of unknown name'} is running in {workspace.root}: process"
        f" {held['pid'] or 'unknown'}, {since}; 'autopilot stop' ends it"
    )


def holder(workspace: Workspace) -> dict[str, Any] | None:
    """Who runs: session, pid, since and age; None where nobody does. All but the last two may be unknown yet."""
    said = owner_of(workspace.session_lock)
    return None if said is None else _read(said)


def _read(text: str) -> dict[str, Any]:
    held: dict[str, Any] = {
        "session": None,
        "pid": None,
        "since": "a moment ago",
        "age": None,
        **json.loads(text or "{}"),
    }
    try:
        since = datetime.strptime(held["since"], SINCE).replace(tzinfo=UTC)
        held["age"] = lasting((now() - since).total_seconds())
    except ValueError:
        held["age"] = None
    return held
