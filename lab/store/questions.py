"""What people and models ask of all runs at once, answered from the index: no folder is opened for an answer.

With ten thousand runs each takes milliseconds (benchmarks/ten_thousand.py).
"""

import json
import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from lab.base import NUMBER, NotFound, Record
from lab.space import Config, Group, diff
from lab.store.index import EVERY, Index
from lab.store.rows import FROM, STANDS, Row
from lab.store.selection import OF_GROUP, OWN, WHEN, Selection

DEEP = 1_000
"""Ancestors that a lineage goes back."""
KINDS = ("env_name", "preset", "state", "arm", "session")
"""Columns by which runs are of a kind."""
CHOICES = 200
"""Values of one of them that are named at most, the most frequent ones."""


class Listing(NamedTuple):
    """A page of a list of runs."""

    rows: list[Row]
    total: int
    """Runs that fit, on all pages."""


class Wanted(Record):
    """The runs that a list is to show, and their order; what is empty does not narrow."""

    env_name: str = ""
    preset: str = ""
    state: str = ""
    arm: str = ""
    session: str = ""
    text: str = ""
    """In a run's name, its parent's, or a key that it changed."""
    sort: Literal["created", "env", "state", "arm", "score", "worst", "verdict", "n"] = "created"
    descending: bool = True


WORST = (
    "(SELECT CASE WHEN objective LIKE '%:min' THEN MAX(value) ELSE MIN(value) END"
    " FROM json_each(coalesce(score_values, '[]')))"
)
"""The score of a run's worst replicate."""
SORTED = {"env": "env_name", "verdict": f"({STANDS})", "worst": WORST}
"""What to sort by where it is no column of that name."""


class Trend(NamedTuple):
    """Where the last runs of a group go."""

    rows: list[Row]
    slope: float | None
    """Change of the score from run to run, by Theil and Sen (1968); None with fewer than three scores."""
    low: float | None
    high: float | None
    """Its 95 % interval."""


class Best(NamedTuple):
    """A run that was better than every one before it."""

    finished: float
    """Seconds since 1970."""
    run_id: str
    score: float


@dataclass
class Questions:
    """About the runs of one workspace."""

    index: Index

    def last(self, count: int, env_name: str | None = None) -> list[Row]:
        """The latest runs, oldest first."""
        return self.index.rows(Selection(env_name=env_name), order="newest", limit=count)[::-1]

    def listing(
        self,
        wanted: Wanted,
        page: int,
        size: int,
        *,
        among: Collection[str] | None = None,
        called: Collection[str] = (),
        places: Mapping[str, float] | None = None,
        instead: Mapping[str, float] | None = None,
    ) -> Listing:
        """A page of the runs that fit; those without what they are sorted by come last, the run of a number first.

        Args:
            wanted: which, in what order.
            page: from 1 on.
            size: runs of a page.
            among: only these runs; all if not given.
            called: runs that the text of `wanted` means besides those in which it is.
            places: run id to its place, 0 the best, in the place of what `wanted` sorts by; descending is best first.
            instead: run id to the number that it is sorted by in the place of its column's.
        """
        where, values = ["damaged IS NULL"], list[Any]()
        for column in KINDS:
            if value := getattr(wanted, column):
                where.append(f"{column} = ?")
                values.append(value)
        if among is not None:
            where.append("runs.run_id IN (SELECT value FROM json_each(?))")
            values.append(json.dumps(list(among)))
        first = ""
        if wanted.text:
            has = "instr(runs.run_id || ' ' || coalesce(parent, '') || ' ' || coalesce(changed, ''), ?) > 0"
            if match := NUMBER.fullmatch(wanted.text):
                first = f"nth = {int(match[1])} DESC, "
                has = f"(nth = {int(match[1])} OR {has})"
            where.append(f"({has} OR runs.run_id IN (SELECT value FROM json_each(?)))")  # noqa: S608 - no text of theirs
            values += [wanted.text, json.dumps(list(called))]
        condition, by = " AND ".join(where), SORTED.get(wanted.sort, wanted.sort)
        if instead:  # ids and numbers: nothing in it would have to be quoted
            told = f"json_each('{json.dumps(dict(instead))}')"
            other = f"(SELECT value FROM {told} WHERE key = runs.run_id)"  # noqa: S608
            by = f"CASE WHEN runs.run_id IN (SELECT key FROM {told}) THEN {other} ELSE {by} END"  # noqa: S608
        way = "DESC" if wanted.descending else "ASC"
        if places is not None:
            order = f"{first}created {way}, runs.run_id {way}"
            found = self.index.ask(f"SELECT runs.run_id FROM {FROM} WHERE {condition} ORDER BY {order}", values)  # noqa: S608
            names = [name for (name,) in found]
            begin = 1 if names and first and self.index.number_of(names[0]) == int(wanted.text.lstrip("#")) else 0
            names[begin:] = sorted(names[begin:], key=lambda name: _last(places.get(name), wanted.descending))
            shown = names[size * (page - 1) : size * page]
            known = {row.run_id: row for row in self.index.rows(Selection(names=shown))}
            return Listing([known[name] for name in shown if name in known], len(names))
        order, skip = f"{first}{by} {way} NULLS LAST, created {way}, runs.run_id {way}", size * (page - 1)
        rows = self.index.rows_where(condition, values, order=order, limit=size, skip=skip)
        if len(rows) < size and (rows or not skip):  # the last page says how many there are
            return Listing(rows, skip + len(rows))
        total = self.index.ask(f"SELECT COUNT(*) FROM runs WHERE {condition}", values)[0][0]  # noqa: S608
        return Listing(rows, int(total))

    def judged(self, group: Group) -> list[tuple[str, str, bool, float | None, int]]:
        """What is known of each run of a group that has a verdict.

        Its id, the verdict, whether it was compared like with like, the mean of its replicates and their number.
        """
        query = (
            f"SELECT runs.run_id, {STANDS}, json_array_length(line, '$.confounds'), goodness, n FROM {FROM}"  # noqa: S608
            f" WHERE {OF_GROUP} AND damaged IS NULL AND verdict IS NOT NULL"
        )
        sign = group.goal.sign
        return [
            (str(run), str(verdict), not confounds, None if goodness is None else sign * goodness, int(n or 0))
            for run, verdict, confounds, goodness, n in self.index.ask(query, tuple(group))
        ]

    def kinds(self, which: Selection = EVERY) -> dict[str, list[str]]:
        """The values that each column of `KINDS` has, most frequent first.

        Args:
            which: of these runs; of all if not given.
        """
        where, given = which.where()
        query = f"SELECT {', '.join(KINDS)}, COUNT(*) FROM runs WHERE {where} GROUP BY {', '.join(KINDS)}"  # noqa: S608
        counts: dict[str, Counter[str]] = {column: Counter() for column in KINDS}
        for *values, count in self.index.ask(query, given):
            for column, value in zip(KINDS, values, strict=True):
                if value is not None:
                    counts[column][value] += count
        return {
            column: sorted(counted, key=lambda value: (-counted[value], value))[:CHOICES]
            for column, counted in counts.items()
        }

    def groups(self) -> list[Group]:
        """The groups that have runs, the one with the newest run first."""
        query = (
            "SELECT env_name, objective, preset, task FROM runs WHERE env_name IS NOT NULL"  # noqa: S608
            f" GROUP BY 1, 2, 3, 4 ORDER BY MAX({WHEN}) DESC"
        )
        return [Group(*row) for row in self.index.ask(query)]

    def best(self, group: Group, count: int) -> list[Row]:
        """The best runs of a group, best first. They are flattered by having been picked.

        Runs of different numbers of replicates are compared by what is expected of one: of any statistic the mean.
        """
        return self.index.rows(Selection(group, scored=True, own=True), order="best", limit=count)

    def lineage(self, run_id: str) -> list[Row]:
        """A run, its parent, the parent's parent and so on.

        Raises:
            NotFound: there is no such run.
        """
        above = """WITH RECURSIVE line (run_id, depth) AS (
            SELECT ?, 0 UNION
            SELECT runs.parent, depth + 1 FROM runs JOIN line ON runs.run_id = line.run_id
            WHERE runs.parent IS NOT NULL AND depth < ?
        ) SELECT run_id FROM line ORDER BY depth"""
        names = list(dict.fromkeys(name for (name,) in self.index.ask(above, (run_id, DEEP))))
        rows = {row.run_id: row for row in self.index.rows(Selection(names=names))}
        if run_id not in rows:
            raise NotFound(f"run {run_id!r} is not in {self.index.workspace.root}: 'autopilot runs' lists what is")
        return [rows[name] for name in names if name in rows]

    def children(self, run_id: str) -> list[Row]:
        """The runs that changed this one's config, oldest first."""
        return self.index.rows(Selection(parent=run_id, own=True))

    def changed(self, one: str, other: str) -> dict[str, tuple[Any, Any]]:
        """What differs between two runs' configs: dotted key to (one's, other's).

        Raises:
            NotFound: there is no such run.
        """
        return diff(self.config(one), self.config(other))

    def config(self, run_id: str) -> Config:
        """A run's config.

        Raises:
            NotFound: there is no such run, or it can't be read.
        """
        rows = self.index.ask("SELECT config FROM texts WHERE run_id = ? AND config IS NOT NULL", (run_id,))
        if not rows:
            raise NotFound(f"run {run_id!r} is not in {self.index.workspace.root}: 'autopilot runs' lists what is")
        return Config.model_validate_json(rows[0][0])

    def configs(self, group: Group, newest: int = -1) -> dict[str, Config]:
        """The configs of a group's readable runs, newest first.

        Args:
            group: whose.
            newest: how many at most; -1 for all.
        """
        which, values = Selection(group).newest()
        query = f"SELECT run_id, config FROM ({which}) CROSS JOIN texts USING (run_id)"  # noqa: S608
        rows = self.index.ask(query, (*values, newest))
        return {run: Config.model_construct(**json.loads(text)) for run, text in rows}

    def spread(self, which: Selection, count: int) -> list[str]:
        """Runs of at most so many configs, evenly among all in the order of their making, with all that repeat these.

        Args:
            which: the runs that they are taken from.
            count: how many configs, 1 or more.
        """
        where, values = which.where()
        query = f"SELECT run_id, replicates_of FROM runs WHERE damaged IS NULL AND {where} ORDER BY created, run_id"  # noqa: S608
        originals = {run: original or run for run, original in self.index.ask(query, values)}
        every = list(dict.fromkeys(originals.values()))
        kept = set(every[:: max(1, math.ceil(len(every) / count))])
        return [run for run, original in originals.items() if original in kept]

    def configs_of(self, names: Sequence[str]) -> dict[str, Config]:
        """The configs of those of some runs that can be read."""
        marks = ",".join("?" * len(names))
        rows = self.index.ask(
            f"SELECT run_id, config FROM texts WHERE config IS NOT NULL AND run_id IN ({marks})",  # noqa: S608
            names,
        )
        return {run: Config.model_construct(**json.loads(text)) for run, text in rows}

    def trend(self, group: Group, count: int) -> Trend:
        """The last scores of a group and whether they rise or fall."""
        rows = self.index.rows(Selection(group, scored=True, own=True), order="newest", limit=count)[::-1]
        # Of one replicate each, since runs have different numbers of them: of any statistic that is their mean.
        scores = [
            row.score if group.goal.is_mean else math.fsum(row.values) / len(row.values)
            for row in rows
            if row.score is not None
        ]
        if len(scores) < 3:
            return Trend(rows, None, None, None)
        from scipy.stats import theilslopes

        slopes = theilslopes(scores, range(len(scores)), 0.95)
        return Trend(rows, float(slopes.slope), float(slopes.low_slope), float(slopes.high_slope))

    def best_so_far(self, group: Group) -> list[Best]:
        """The runs of a group that were better than every one before, oldest first.

        None by another statistic than the mean: runs of different numbers of replicates have no line of records.
        """
        if not group.goal.is_mean:
            return []
        query = f"""SELECT finished, run_id, score FROM (
            SELECT finished, run_id, score, goodness, MAX(goodness) OVER (
                ORDER BY finished, run_id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before
            FROM runs WHERE {OF_GROUP} AND goodness IS NOT NULL AND finished IS NOT NULL AND {OWN}
        ) WHERE before IS NULL OR goodness > before ORDER BY finished, run_id"""  # noqa: S608
        return [Best(*row) for row in self.index.ask(query, tuple(group))]


def _last(place: float | None, descending: bool) -> tuple[bool, float]:
    """What to sort by a place: the best first where it descends, and what has none last either way."""
    return place is None, 0 if place is None else place if descending else -place
