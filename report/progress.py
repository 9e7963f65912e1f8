"""How far a session has come: its scored runs in the order in which they ended."""

from typing import NamedTuple

from lab.store import Notebook, Selection, SessionRecord, Sessions


class Ended(NamedTuple):
    """A run of a session that has a score."""

    hours: float
    """Since the session began."""
    run_id: str
    score: float
    low: float | None
    high: float | None


def believed_of(notebook: Notebook, session: SessionRecord) -> list[tuple[float, float]]:
    """Hours since a session began, and what its search then believed that its leader scores."""
    known = Sessions(notebook.workspace).leading(session.session_id)
    return [((one.time - session.created).total_seconds() / 3600, one.mean) for one in known]


def progress_of(notebook: Notebook, session: SessionRecord) -> list[Ended]:
    """The scored runs of a session in the order in which they ended, fresh seeds of others left out."""
    rows = notebook.index.rows(Selection(session=session.session_id, scored=True, own=True), order="finished")
    begun = session.created.timestamp()
    return [
        Ended(((row.finished or row.created) - begun) / 3600, row.run_id, row.score, row.low, row.high)
        for row in rows
        if row.score is not None
    ]
