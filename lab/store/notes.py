"""What people and models leave for later analyses: notes of the workspace, comments, and a model's research log.

`notes.md` is the user's to write in any editor; we only ever add to its end. Comments and log are JSON lines, only ever
added. All three are texts from elsewhere: whoever shows them bounds them and says whose they are.
"""

from datetime import datetime

from lab.base import Record, Workspace, append_line, append_whole, invalid, now, plain, read_records
from lab.space import Group
from lab.store.naming import about_called
from lab.store.notebook import Notebook

NOTE = 2_000
"""Characters of one note that is added."""
NOTES = 200_000
"""Characters of `notes.md` that are read; a person may put any file there."""
COMMENT = 1_000
"""Characters of a comment that are kept."""
ENTRY = 500
"""Characters of an entry of the research log that are kept."""


class Comment(Record):
    """One line of `runs/comments.jsonl`: what a person says about a run, its report, or a proposal."""

    time: datetime
    about: str
    """A run's or a proposal's id."""
    who: str
    text: str


class LogEntry(Record):
    """One line of `runs/research_log.jsonl`: what a model wants to know again in its next analyses."""

    time: datetime
    run_id: str
    """The run whose analysis it was written in."""
    arm: str
    group: Group
    text: str


def add_note(workspace: Workspace, text: str) -> str:
    """Add a note to the end of `notes.md`, with the time.

    Args:
        workspace: whose notes.
        text: of at most `NOTE` characters.

    Returns:
        The line as it was written.

    Raises:
        InvalidInput: there is no text, or too much.
    """
    said = _said("note", text, NOTE)
    line = f"- {now():%Y-%m-%d %H:%M} UTC: {said}\n"
    workspace.root.mkdir(parents=True, exist_ok=True)
    with workspace.notes.open("ab+") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - 1))
        gap = b"" if size == 0 or file.read(1) == b"\n" else b"\n"
        append_whole(file.fileno(), gap + line.encode(), durable=True)
    return line


def notes_in(workspace: Workspace) -> str:
    """`notes.md` without control sequences; empty where there is none that can be read."""
    try:
        with workspace.notes.open(encoding="utf-8", errors="replace") as file:
            return plain(file.read(NOTES), NOTES).strip()
    except OSError:
        return ""


def add_comment(workspace: Workspace, about: str, who: str, text: str) -> Comment:
    """Keep what a person says about a run or a proposal; the next analyses of its group read it.

    Args:
        workspace: where it is.
        about: a run or a proposal, as `about_called` takes it.
        who: the person, for the record.
        text: of at most `COMMENT` characters.

    Raises:
        NotFound: there is neither a run nor a proposal of that name.
        InvalidInput: several are called that; there is no text, or too much.
    """
    said = _said("comment", text, COMMENT)
    comment = Comment(time=now(), about=about_called(Notebook(workspace), about), who=who, text=said)
    append_line(workspace.comments, comment.model_dump(mode="json"))
    return comment


def comments_in(workspace: Workspace, about: str | None = None) -> list[Comment]:
    """The comments of a workspace, or those about one run or proposal, oldest first."""
    return [one for one in read_records(workspace.comments, Comment) if about in (None, one.about)]


def keep_entry(workspace: Workspace, entry: LogEntry) -> None:
    """Add to the research log, once: an analysis that is begun again after a kill writes the same."""
    known = log_of(workspace, entry.group)
    if not any((one.run_id, one.arm, one.text) == (entry.run_id, entry.arm, entry.text) for one in known):
        append_line(workspace.research_log, entry.model_dump(mode="json"))


def log_of(workspace: Workspace, group: Group, arm: str | None = None) -> list[LogEntry]:
    """The research log of a group of runs, oldest first.

    Args:
        workspace: whose.
        group: of the runs whose analyses it was written in.
        arm: only what this model wrote; everything if None.
    """
    return [one for one in log_lines(workspace) if one.group == group and arm in (None, one.arm)]


def log_lines(workspace: Workspace) -> list[LogEntry]:
    """The whole research log of a workspace, oldest first."""
    return list(read_records(workspace.research_log, LogEntry))


def _said(what: str, text: str, most: int) -> str:
    said = " ".join(plain(text, most + 1).split())
    if not said:
        raise invalid(what, text[:60], "must say something", "a sentence")
    if len(said) > most:
        raise invalid(what, f"{len(text):,} characters", f"is longer than {most:,}", f"at most {most:,} characters")
    return said
