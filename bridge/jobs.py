"""Commands that take longer than a client waits: each is a detached process of the command line with a folder.

`runs/jobs/<id>/job.json` is written before the process begins, and from then on by that process alone: when it has
begun, and how the command ended. So the outcome outlives whoever asked, and a server that is started anew finds it.
"""

import contextlib
import json
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import psutil

from bridge.answers import Handle
from bridge.door import Door
from lab.base import (
    AutopilotError,
    Busy,
    JobPaths,
    NotFound,
    Record,
    Workspace,
    invalid,
    new_id,
    now,
    plain,
    read_model,
    write_model,
)

PATIENCE = 8.0
"""Seconds that a call waits for its command: what is refused is refused at once, and clients give up near 60."""
AT_ONCE = 4
"""Jobs of a workspace that may run at once."""
TOLD = 2_000
"""Characters of what a job said that are shown, the last ones."""
RESULT = 20_000
"""Characters of what it printed that are shown where that is not JSON, the last ones."""


class Job(Record):
    """`runs/jobs/<id>/job.json`."""

    job_id: str
    kind: str
    command: tuple[str, ...]
    """Arguments of the command line."""
    who: str
    created: datetime
    pid: int | None = None
    """Of the process that waits for the command, once it has begun."""
    ended: datetime | None = None
    code: int | None = None
    """The exit status of the command, once it has ended."""


def begin(door: Door, kind: str, command: Sequence[str]) -> Handle:
    """Start a command of the command line, and wait a moment for its end.

    Args:
        door: whose workspace, and who asks.
        kind: what it is, a word.
        command: its arguments, the workspace not among them.

    Raises:
        Busy: as many run as may.
        InvalidInput: the workspace can't be written.
        AutopilotError: the command was refused or failed within that moment, with what it said.
    """
    door.workspace.create()
    if len(running := [one.job_id for one in _all(door.workspace) if _state(one) == "running"]) >= AT_ONCE:
        raise Busy(f"{AT_ONCE} jobs run already ({', '.join(running)}): wait for one, or stop one")
    created = now()
    job = Job(job_id=new_id(created), kind=kind, command=tuple(command), who=door.who, created=created)
    paths = door.workspace.job(job.job_id)
    paths.dir.mkdir(parents=True)
    write_model(paths.job, job)
    with paths.log.open("ab") as log:
        process = subprocess.Popen(  # noqa: S603 - our own module
            [sys.executable, "-P", "-m", "bridge.jobs", str(door.workspace.root), job.job_id],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    waiting = threading.Thread(target=process.wait, daemon=True)  # to its end, or the system would keep its name
    waiting.start()
    waiting.join(PATIENCE)
    handle = look(door, job.job_id)
    if handle.state == "failed":
        said = (handle.said.splitlines() or ["it ended without a word"])[-1].removeprefix("autopilot: ")
        raise AutopilotError(f"{said} (job {handle.job})")
    return handle


def begins_a_night(door: Door) -> bool:
    """Whether a night is being started or resumed, which takes a minute where an environment is new to a machine."""
    return any(one.kind in ("start", "resume") and _state(one) == "running" for one in _all(door.workspace))


def look(door: Door, job_id: str) -> Handle:
    """How a job stands.

    Args:
        door: whose workspace.
        job_id: which one.

    Raises:
        NotFound: there is none of that name.
    """
    job, paths = _job(door.workspace, job_id), door.workspace.job(job_id)
    state = _state(job)
    return Handle(
        job=job.job_id,
        kind=job.kind,
        state=state,
        poll=f"autopilot://jobs/{job.job_id}",
        result=_printed(paths) if state != "running" else None,
        said=_end(paths.log, TOLD),
    )


def stop(door: Door, job_id: str) -> str:
    """Ask the command of a job to stop, as Ctrl-C does; a sentence that says so.

    Args:
        door: whose workspace.
        job_id: which one.

    Raises:
        NotFound: there is none of that name.
        InvalidInput: it does not run any more.
    """
    job = _job(door.workspace, job_id)
    if _state(job) != "running" or job.pid is None:
        raise invalid("job", job_id, "does not run", "one that does")
    with contextlib.suppress(psutil.NoSuchProcess):  # it has come to its end just now
        for child in psutil.Process(job.pid).children():
            child.send_signal(signal.SIGTERM)
    return f"asked job {job_id} to stop"


def _job(workspace: Workspace, job_id: str) -> Job:
    try:
        return read_model(workspace.job(job_id).job, Job)
    except (FileNotFoundError, NotADirectoryError):
        known = ", ".join(sorted((one.job_id for one in _all(workspace)), reverse=True)[:5]) or "none yet"
        raise NotFound(f"job {plain(job_id, 80)!r} is not in this workspace; the latest: {known}") from None


def _all(workspace: Workspace) -> list[Job]:
    return [read_model(path, Job) for path in workspace.jobs.glob("*/job.json")]


def _state(job: Job) -> Literal["running", "done", "failed", "lost"]:
    if job.ended is not None:
        return "done" if job.code == 0 else "failed"
    if job.pid is None:  # it is only just starting, or was never started
        return "running" if (now() - job.created).total_seconds() < 60 else "lost"
    try:
        return "running" if psutil.Process(job.pid).cmdline()[-1:] == [job.job_id] else "lost"
    except psutil.Error:
        return "lost"


def _printed(paths: JobPaths) -> Any:
    text = _end(paths.out, None)
    try:
        return json.loads(text)
    except ValueError:
        return text[-RESULT:]


def _end(path: Path, count: int | None) -> str:
    try:
        text = path.read_text(encoding="utf-8", errors="replace").strip()
    except FileNotFoundError:
        return ""
    return text if count is None else plain(text[-count:], count)


def main(root: str, job_id: str) -> None:
    """The process of a job: carries out its command and records how that ended.

    Args:
        root: the workspace's folder.
        job_id: the job, which is on disk.
    """
    signal.signal(signal.SIGTERM, lambda *_: None)  # it is the command that is to heed it, and this that tells of it
    paths = Workspace(Path(root)).job(job_id)
    with paths.out.open("wb") as out, paths.log.open("ab") as log:
        job = read_model(paths.job, Job)
        command = [sys.executable, "-P", "-m", "cli.main", "--workspace", root, *job.command]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=log)  # noqa: S603 - our own
        write_model(paths.job, job := job.model_copy(update={"pid": psutil.Process().pid}))
        code = process.wait()
    write_model(paths.job, job.model_copy(update={"ended": now(), "code": code}))


if __name__ == "__main__":
    main(*sys.argv[1:])
