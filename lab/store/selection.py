"""A selection of runs, in words of the records; the index turns it into SQL."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from lab.space import Group
from lab.store.records import RunState

OF_GROUP = "env_name = ? AND objective = ? AND preset = ? AND task = ?"
OWN = "replicates_of IS NULL"
"""Fresh seeds of another run are no run of their own."""
WHEN = "iif(created > unixepoch() + 60, 0, created)"
"""When a run was made; one from the future, which a clock that was set back has left, is not the latest."""
FLAGS = {"own": OWN, "native": "NOT legacy", "scored": "goodness IS NOT NULL"}
Order = Literal["oldest", "newest", "finished", "best"]
ORDERS: dict[Order, str] = {
    "oldest": f"{WHEN}, runs.run_id",
    "newest": f"{WHEN} DESC, runs.run_id DESC",
    "finished": "finished, runs.run_id",
    "best": f"goodness DESC, {WHEN}, runs.run_id",
}


@dataclass(frozen=True)
class Selection:
    """The runs that fit all that is given; what is left out does not narrow."""

    group: Group | None = None
    env_name: str | None = None
    preset: str | None = None
    session: str | None = None
    arm: str | None = None
    parent: str | None = None
    proposal: str | None = None
    replicates_of: str | None = None
    """The run whose fresh seeds are asked for."""
    names: Collection[str] | None = None
    states: Collection[RunState] = ()
    """Any of these."""
    not_states: Collection[RunState] = ()
    until: datetime | None = None
    """Made then or before."""
    before: datetime | None = None
    """Made before then."""
    ended_by: datetime | None = None
    """Not ended later than then."""
    own: bool = False
    """Without fresh seeds of other runs."""
    native: bool = False
    """Without imported runs."""
    scored: bool = False

    def where(self) -> tuple[str, tuple[Any, ...]]:
        """A condition on the index's columns, with `?` for values, and the values."""
        parts = list(self._parts())
        return " AND ".join(text for text, _ in parts) or "1", tuple(value for _, values in parts for value in values)

    def newest(self) -> tuple[str, tuple[Any, ...]]:
        """The ids of these runs in SQL, the newest first, without damaged ones, and the values for its marks.

        The last mark, for how many there are to be at most, is left to whoever asks. What is joined to ids that are
        sorted already is read for these alone: the configs of ten thousand runs are many megabytes.
        """
        where, values = self.where()
        which = f"damaged IS NULL AND ({where})"
        return f"SELECT run_id FROM runs WHERE {which} ORDER BY {ORDERS['newest']} LIMIT ?", values  # noqa: S608

    def _parts(self) -> Iterator[tuple[str, tuple[Any, ...]]]:
        if self.group is not None:
            yield OF_GROUP, tuple(self.group)
        for column in ("env_name", "preset", "session", "arm", "parent", "proposal", "replicates_of"):
            if (value := getattr(self, column)) is not None:
                yield f"{column} = ?", (value,)
        if self.names is not None:
            yield f"runs.run_id IN ({_marks(self.names)})", tuple(self.names)
        if self.states:
            yield f"state IN ({_marks(self.states)})", tuple(state.value for state in self.states)
        if self.not_states:
            yield f"state NOT IN ({_marks(self.not_states)})", tuple(state.value for state in self.not_states)
        if self.until is not None:
            yield "created <= ?", (self.until.timestamp(),)
        if self.before is not None:
            yield "created < ?", (self.before.timestamp(),)
        if self.ended_by is not None:
            yield "(finished IS NULL OR finished <= ?)", (self.ended_by.timestamp(),)
        for name, text in FLAGS.items():
            if getattr(self, name):
                yield text, ()


def _marks(values: Collection[object]) -> str:
    return ",".join("?" * len(values))
