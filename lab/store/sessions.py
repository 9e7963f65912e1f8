"""The sessions of a workspace: read and written, one at most at work.

A session writes its own record; whoever works in a workspace for a night, or confirms a run there, holds the one lock.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from lab.base import (
    AutopilotError,
    Busy,
    Damaged,
    NotFound,
    Record,
    Workspace,
    append_line,
    count_of,
    id_called,
    is_id,
    lasting,
    now,
    owned,
    owner_of,
    plain,
    read_lines,
    read_model,
    read_records,
    write_model,
)
from lab.store.records import RunRecord
from lab.store.session import Leading, SessionRecord, SlotsSeen

LATEST = "latest"
"""What the newest session may be called."""
NAMED = 3
"""Runs that have gone which are named."""
SINCE = "%Y-%m-%d %H:%M:%S UTC"


class Holder(Record):
    """Who is at work in a workspace; what is None is not known yet."""

    session: str | None = None
    """A session's name, or the command that has the workspace to itself."""
    pid: int | None = None
    since: str = "a moment ago"
    age: str | None = None
    """In words."""


class NotBegun(Record):
    """`runs/not_begun.json`: a session that failed before its first run, so that it has no folder."""

    time: datetime
    asked: str
    """What was to be trained, by which model."""
    why: str


@dataclass
class Sessions:
    """The sessions of one workspace."""

    workspace: Workspace
    damaged: dict[str, str] = field(default_factory=dict)
    """Name of a session to what is wrong with it."""

    def names(self) -> list[str]:
        """The names of all sessions, the newest first; also of those that can't be read."""
        folder = self.workspace.sessions
        return sorted((path.name for path in folder.iterdir()), reverse=True) if folder.is_dir() else []

    def all(self) -> list[SessionRecord]:
        """The sessions that can be read, the newest first; the others are in `damaged` afterwards."""
        records = []
        for name in self.names():
            try:
                records.append(self.get(name))
            except (AutopilotError, OSError) as error:
                self.damaged[name] = str(error)
        soon = now() + timedelta(minutes=1)
        return sorted(records, key=lambda record: record.created > soon)  # by a clock that was set back since: not new

    def get(self, name: str) -> SessionRecord:
        """One session's record.

        Raises:
            NotFound: there is none of that name.
            Damaged: it can't be read.
        """
        try:
            return read_model(self.workspace.session(name).session, SessionRecord)
        except FileNotFoundError:
            raise NotFound(f"session {name!r} is not in {self.workspace.root}") from None

    def interrupted(self) -> list[SessionRecord]:
        """The sessions that have not ended, the newest first; damaged ones do not stand in their way."""
        return [record for record in self.all() if record.ended is None]

    def save(self, record: SessionRecord) -> None:
        """Write a session's record over the one from before."""
        write_model(self.workspace.session(record.session_id).session, record)

    def fail_to_begin(self, record: SessionRecord, why: str) -> None:
        """Remember why a session never began, until another one does: in the morning somebody asks.

        Args:
            record: the session, which is not saved.
            why: a line.
        """
        asked = f"{record.env_name}, {record.preset}, {record.objective}, model {record.model}"
        write_model(self.workspace.not_begun, NotBegun(time=now(), asked=asked, why=plain(why, 1000)))

    def not_begun(self, latest: SessionRecord | None) -> NotBegun | None:
        """The session that was started last, if it never began.

        Args:
            latest: the newest session that did; None where none has.
        """
        try:
            known = read_model(self.workspace.not_begun, NotBegun)
        except (FileNotFoundError, NotADirectoryError, Damaged):
            return None
        return known if latest is None or known.time > latest.created else None

    def leading(self, name: str) -> list[Leading]:
        """What the search believed to be best as a session went on, in order; what can't be read is left out."""
        return list(read_records(self.workspace.session(name).leader, Leading))

    def named(self, name: str | None, begins: str = "autopilot start") -> SessionRecord:
        """A session's record, the latest one's where none is named.

        Args:
            name: its id, any part of it that no other session has, or `latest`; None for the latest.
            begins: what begins a session, for whoever has none yet.

        Raises:
            NotFound: there is none.
            InvalidInput: several are called that.
        """
        names = self.names()
        if name in (None, LATEST):
            if not names:
                raise NotFound(f"no session yet: '{begins}' begins one")
            return self.get(names[0])
        return self.get(id_called("session", name, names, f"'{LATEST}' is the newest"))

    def may_mean(self, said: str) -> bool:
        """Whether somebody may mean a session by this: `latest`, or an id or part of one."""
        return said == LATEST or (not said.isdigit() and any(said in name for name in self.names()))

    def gone(self, name: str) -> str:
        """That runs which a session made are no longer there, in a line; empty where all are.

        Whoever says how many runs it has says this too: they are counted in nothing that is told of it from then on.
        """
        # Every headline asks, each line of the list of sessions too: neither all of the journal nor all runs are read.
        lines = read_lines(self.workspace.session(name).events, holding='"created"')
        named = (str(line.get("run")) for line in lines if line.get("event") == "created")
        made = dict.fromkeys(run for run in named if is_id(run))
        if not (gone := [run for run in made if not self.workspace.run(run).dir.is_dir()]):
            return ""
        few = ", ".join(gone[:NAMED]) + (f" and {len(gone) - NAMED} more" if len(gone) > NAMED else "")
        are = "is" if len(gone) == 1 else "are"
        return f"{count_of(len(gone), 'run')} of this session {are} no longer in runs/: {few}"

    def digest(self, name: str) -> str:
        """A session's digest, in Markdown, as it was written.

        Raises:
            NotFound: it has none yet.
        """
        path = self.workspace.session(name).digest
        if not path.exists():
            raise NotFound(f"session {name} has no digest yet: it is written when a session ends or stops")
        return path.read_text(encoding="utf-8", errors="replace")

    def leader_beside(self, run: RunRecord) -> Leading | None:
        """What the search of a run's session believed to be best when the run ended, the run itself not yet known.

        Args:
            run: it has ended.

        Returns:
            None where nobody searched, or nothing was believed yet.
        """
        lines = self.leading(run.session) if run.session and run.finished else []
        return next((line for line in reversed(lines) if run.finished and line.time <= run.finished), None)

    def believe(self, name: str, leading: Leading) -> None:
        """Add what the search believes now, unless it was asked before and nothing has been trained since."""
        known = self.leading(name)
        if not known or known[-1].trained < leading.trained:
            append_line(self.workspace.session(name).leader, leading.model_dump(mode="json"))

    def slots(self, name: str) -> SlotsSeen | None:
        """Where a session's replicates train; None where it never said, or what it said can't be read."""
        try:
            return read_model(self.workspace.session(name).slots, SlotsSeen)
        except (OSError, Damaged):
            return None

    def saw_slots(self, name: str, seen: SlotsSeen) -> None:
        """Write down where a session's replicates train."""
        write_model(self.workspace.session(name).slots, seen)

    # --- one at a time -------------------------------------------------------------------------------------------

    @contextmanager
    def sole(self, session_id: str) -> Iterator[None]:
        """Be the only one at work; the system gives the lock back when the process ends, however it ends.

        Raises:
            Busy: another one is at work, with its pid and age.
        """
        told = json.dumps({"session": session_id, "pid": os.getpid(), "since": f"{now():{SINCE}}"})
        with owned(self.workspace.session_lock, told, lambda said: self._busy(_holder(said))):
            yield

    def require_nobody(self) -> None:
        """Nobody is at work, as far as can be seen now.

        Raises:
            Busy: somebody is.
        """
        if (held := self.running()) is not None:
            raise self._busy(held)

    def running(self) -> Holder | None:
        """Who is at work; None where nobody is."""
        said = owner_of(self.workspace.session_lock)
        return None if said is None else _holder(said)

    def _busy(self, held: Holder) -> Busy:
        since = f"since {held.since}, for {held.age}" if held.age else held.since
        return Busy(
            f"session {held.session or 'of unknown name'} is running in {self.workspace.root}: process"
            f" {held.pid or 'unknown'}, {since}; 'autopilot stop' ends it"
        )


def _holder(text: str) -> Holder:
    said = json.loads(text or "{}")
    held = Holder.model_validate({key: said[key] for key in ("session", "pid", "since") if key in said})
    try:
        since = datetime.strptime(held.since, SINCE).replace(tzinfo=UTC)
    except ValueError:
        return held
    return held.model_copy(update={"age": lasting((now() - since).total_seconds())})
