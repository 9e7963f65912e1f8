"""The index: what every run's folder says, in one SQLite file, so that no question opens ten thousand folders.

The folders are the truth and the index can be deleted at any time. `Index` brings it up to date before each
question, and looks only where something can have changed: the folder of the runs tells by its own time stamp that runs
came or went, runs that have not ended (and damaged ones) are looked at each time, verdicts are read on from where they
were read to. An ended run never changes by our hand; `Index.trust` looks once more at the files behind what is answered
and reads a folder again that somebody else changed.

WAL: any number of processes read while one writes, and each of them may bring the index up to date. Where it can't be
written (a read-only disk, a full one) it is kept in memory instead.
"""

import json
import sqlite3
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

from lab.base import Workspace
from lab.space import Group
from lab.store.connections import Answer, Connections, folders
from lab.store.records import Confirmation, RunRecord, Verdict
from lab.store.rows import COLUMNS, FROM, Row
from lab.store.selection import OF_GROUP, ORDERS, Order, Selection
from lab.store.tables import Read, Tail, read, signed, store, writing

SETTLED = 0.1
"""Seconds after which a folder's time stamp is believed: a second change within one tick of the clock leaves it."""
EVERY = Selection()


@dataclass
class Index:
    """One workspace's; each thread has a connection of its own."""

    workspace: Workspace
    _at: Connections = field(init=False, repr=False)
    _made: dict[tuple[Group, str], tuple[tuple[Any, ...], Any]] = field(default_factory=dict, init=False, repr=False)
    """What `kept` has worked out, and from what."""

    def __post_init__(self) -> None:
        self._at = Connections(self.workspace)

    # --- questions -----------------------------------------------------------------------------------------------

    def rows(self, which: Selection = EVERY, *, order: Order = "oldest", limit: int = -1, skip: int = 0) -> list[Row]:
        """Readable runs as lists show them.

        Args:
            which: all if not given.
            order: how they are sorted.
            limit: how many at most; -1 for all.
            skip: how many are left out before.
        """
        return self.rows_where(*which.where(), order=ORDERS[order], limit=limit, skip=skip)

    def rows_where(
        self, where: str, values: Sequence[Any], *, order: str = ORDERS["oldest"], limit: int = -1, skip: int = 0
    ) -> list[Row]:
        """Readable runs by a condition in SQL, for this package's own questions; never a user's text.

        Args:
            where: a condition on the columns of `runs` and `verdicts`, with `?` for values.
            values: for it.
            order: SQL's.
            limit: how many at most; -1 for all.
            skip: how many are left out before.
        """
        which = f"damaged IS NULL AND ({where})"
        if limit >= 0:  # sorted by ids alone: all columns of ten thousand runs cost more than a page of them
            page = f"ORDER BY {order} LIMIT {limit} OFFSET {skip}"
            which = f"runs.rowid IN (SELECT runs.rowid FROM {FROM} WHERE {which} {page})"  # noqa: S608
        query = f"SELECT {COLUMNS} FROM {FROM} WHERE {which} ORDER BY {order}"  # noqa: S608

        def ask(base: sqlite3.Connection) -> list[Row]:
            cursor = base.execute(query, tuple(values))
            return [Row._make((*r[:10], bool(r[10]), *r[11:17], tuple(json.loads(r[17])), r[18])) for r in cursor]

        return self.trust(ask, lambda rows: (row.run_id for row in rows))

    def records(self, which: Selection = EVERY, *, newest: int = -1) -> list[RunRecord]:
        """The records of readable runs, oldest first.

        Args:
            which: all if not given.
            newest: how many at most, the latest ones; -1 for all.
        """
        where, values = which.where()
        query = (
            f"SELECT runs.run_id, record FROM runs JOIN texts USING (run_id) WHERE damaged IS NULL AND ({where})"  # noqa: S608
            f" ORDER BY {ORDERS['newest']} LIMIT ?"
        )
        pairs = self.trust(
            lambda base: base.execute(query, (*values, newest)).fetchall(), lambda rows: (row[0] for row in rows)
        )
        return [RunRecord.model_validate_json(text) for _, text in reversed(pairs)]

    def count(self, which: Selection) -> int:
        """How many runs there are, damaged ones included."""
        where, values = which.where()
        return int(self.ask(f"SELECT COUNT(*) FROM runs WHERE {where}", values)[0][0])  # noqa: S608

    def ask(self, query: str, values: Sequence[Any] = ()) -> list[Any]:
        """Rows of the tables above, brought up to date first."""

        def work(base: sqlite3.Connection) -> list[Any]:
            self._sync(base)
            return base.execute(query, values).fetchall()

        seen = {} if self._at.seen is None else self._at.seen
        return (
            seen[query, *values] if (query, *values) in seen else seen.setdefault((query, *values), self._at.on(work))
        )

    def number_of(self, run_id: str) -> int | None:
        """A run's number in its workspace, from 1; None for one that is not there or never could be read."""
        rows = self.ask("SELECT nth FROM runs WHERE run_id = ?", (run_id,))
        return rows[0][0] if rows else None

    def by_number(self, number: int) -> str | None:
        """The run that has a number; None where none has."""
        rows = self.ask("SELECT run_id FROM runs WHERE nth = ? ORDER BY counted LIMIT 1", (number,))
        return str(rows[0][0]) if rows else None

    def damaged(self) -> dict[str, str]:
        """Name of a folder or file to what is wrong with it."""
        query = "SELECT run_id, damaged FROM runs WHERE settled = 0 AND damaged IS NOT NULL ORDER BY run_id"
        folders = dict(self.ask(query))
        lines = self.ask("SELECT substr(key, 9), value FROM meta WHERE key LIKE 'damaged %'")
        why = self._at.why
        remedy = ": make room" if "full" in why else ""
        own = {self.workspace.index.name: f"can't be written ({why}), so all runs are read each time{remedy}"}
        return {**folders, **dict(lines), **(own if why else {})}

    def verdicts(self) -> dict[str, Verdict]:
        """Run id to its verdict: the first one counts, one is never taken back."""
        return {run: Verdict.model_validate_json(line) for run, line in self.ask("SELECT run_id, line FROM verdicts")}

    def verdict(self, run_id: str) -> Verdict | None:
        """One run's."""
        rows = self.ask("SELECT line FROM verdicts WHERE run_id = ?", (run_id,))
        return Verdict.model_validate_json(rows[0][0]) if rows else None

    def confirmations(
        self, candidate: str | None = None, *, group: Group | None = None, session: str | None = None
    ) -> list[Confirmation]:
        """What became of candidates for the place of the incumbent, in order.

        Args:
            candidate: of this run; None for all, as of the others.
            group: of its runs.
            session: that this one named.
        """
        where, values = ("candidate = ?", (candidate,)) if candidate else ("1", ())
        if group is not None:
            mine = f"SELECT run_id FROM runs WHERE damaged IS NULL AND {OF_GROUP}"  # noqa: S608
            where, values = f"{where} AND candidate IN ({mine})", (*values, *group)
        query = f"SELECT line FROM confirmations WHERE {where} ORDER BY number"  # noqa: S608
        every = (Confirmation.model_validate_json(line) for (line,) in self.ask(query, values))
        return [one for one in every if session in (None, one.session)]

    def incumbent(self, group: Group) -> str | None:
        """The run that was confirmed last, else the first one of the group."""
        crowned = (
            f"SELECT candidate FROM confirmations CROSS JOIN runs ON run_id = candidate WHERE outcome = 'confirmed'"  # noqa: S608
            f" AND {OF_GROUP} ORDER BY number DESC LIMIT 1"
        )
        first = (
            f"SELECT runs.run_id FROM verdicts CROSS JOIN runs ON runs.run_id = verdicts.run_id WHERE verdict = 'first'"  # noqa: S608
            f" AND {OF_GROUP} ORDER BY time LIMIT 1"
        )
        rows = self.ask(crowned, tuple(group)) or self.ask(first, tuple(group))
        return str(rows[0][0]) if rows else None

    def kept(self, group: Group, what: str, make: Callable[[], Answer]) -> Answer:
        """Something worked out from a group's scores and confirmations; anew only when one has come or changed.

        Args:
            group: whose.
            what: its name.
            make: works it out.
        """
        scores = f"SELECT COUNT(*), TOTAL(goodness), MAX(finished) FROM runs WHERE damaged IS NULL AND {OF_GROUP}"  # noqa: S608
        stamp = (*self.ask(scores, tuple(group))[0], self.ask("SELECT COUNT(*) FROM confirmations")[0][0])
        known = self._made.get((group, what))
        if known is None or known[0] != stamp:
            known = self._made[group, what] = (stamp, make())
        answer: Answer = known[1]
        return answer

    def steady(self) -> AbstractContextManager[None]:
        """Answer this thread, until the end, from one look at the folders: a page asks hundreds of questions."""
        return self._at.steady()

    # --- keeping it true -----------------------------------------------------------------------------------------

    def trust(self, ask: Callable[[sqlite3.Connection], Answer], named: Callable[[Answer], Iterable[str]]) -> Answer:
        """An answer whose runs' files are as the index has them.

        Args:
            ask: takes a connection, returns the answer.
            named: takes the answer, returns the runs in it.
        """

        def work(base: sqlite3.Connection) -> Answer:
            self._sync(base)
            answer = ask(base)
            if self._mend(base, list(named(answer))):
                answer = ask(base)
            return answer

        return self._at.on(work)

    def rebuild(self) -> int:
        """Make it again from the folders; how many runs it holds then, damaged ones included."""

        def work(base: sqlite3.Connection) -> int:
            runs = [read(self.workspace.run(name)) for name in folders(self.workspace)]
            with writing(base):
                for table in ("runs", "texts", "places", "verdicts", "confirmations", "meta"):
                    base.execute(f"DELETE FROM {table}")  # noqa: S608 - fixed names
                store(base, runs)
            self._sync(base)
            return len(runs)

        return self._at.on(work)

    def _sync(self, base: sqlite3.Connection) -> None:
        if (seen := self._at.seen) is not None:
            if base in seen:
                return
            seen[base] = []
        stamp, changed = self._stamp(), list[Read]()
        gone: set[str] = set()
        known = dict(base.execute("SELECT key, value FROM meta"))
        if stamp is None or known.get("stamp") != stamp:
            # In this order: a run that another process adds in between is new twice, not gone.
            there = {name for (name,) in base.execute("SELECT run_id FROM runs")}
            here = set(folders(self.workspace))
            gone = there - here
            changed += [read(self.workspace.run(name)) for name in sorted(here - there)]
        for name, signature in base.execute("SELECT run_id, signature FROM runs WHERE settled = 0").fetchall():
            if name not in gone and signed(f"{self.workspace.runs}/{name}") != signature:
                changed.append(read(self.workspace.run(name)))
        tails = (Tail(self.workspace.verdicts, known), Tail(self.workspace.confirmations, known))
        added = [tail for tail in tails if tail.grew]
        if not (changed or gone or added or (stamp is not None and known.get("stamp") != stamp)):
            return
        with writing(base):
            for table in ("runs", "texts", "places"):
                base.executemany(f"DELETE FROM {table} WHERE run_id = ?", [(name,) for name in gone])  # noqa: S608
            store(base, changed)
            for tail in added:
                tail.store(base)
            if stamp is not None:
                base.execute("INSERT OR REPLACE INTO meta VALUES ('stamp', ?)", (stamp,))

    def _mend(self, base: sqlite3.Connection, names: list[str]) -> bool:
        """Read again what somebody else changed behind our back; whether there was anything."""
        marks = ",".join("?" * len(names))
        query = f"SELECT run_id, signature FROM runs WHERE run_id IN ({marks})"  # noqa: S608 - marks only
        few = len(names) < 30_000  # SQLite takes so many values
        pairs = base.execute(*((query, names) if few else ("SELECT run_id, signature FROM runs",))).fetchall()
        folder = str(self.workspace.runs)
        changed = [name for name, signature in pairs if signed(f"{folder}/{name}") != signature]
        if changed:
            with writing(base):
                store(base, [read(self.workspace.run(name)) for name in changed])
        return bool(changed)

    def _stamp(self) -> str | None:
        """When a run came or went last; None while that is too fresh to be believed."""
        try:
            at = self.workspace.runs.stat().st_mtime_ns
        except FileNotFoundError:
            return "none"
        return str(at) if time.time() - at / 1e9 > SETTLED else None
