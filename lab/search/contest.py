"""What the arms of a group have trained, from the record; how they stand, and its front, are worked out and kept."""

import math
from collections.abc import Collection, Sequence
from functools import partial
from statistics import fmean

from lab.judge import replicate_seconds
from lab.search.front import Placed, placed
from lab.search.keys import seen_space
from lab.search.standing import Contest, Replicate, Standing, stand
from lab.search.trials import Counted, counted, point_of
from lab.space import Group
from lab.store import UNDONE, Notebook, RunState, Selection, active_time

BASE = "baseline"
"""The arm of what all are measured from."""


def standing_of(notebook: Notebook, group: Group, session: str | None = None) -> Standing:
    """How the arms of a group stand, worked out anew only when something has been trained.

    Args:
        notebook: where the runs are.
        group: whose.
        session: replicates of this one alone are on the curves; None for those of all. What the leaders are worth is
            believed by all replicates of the group in either case.
    """
    return notebook.index.kept(group, f"arms {session}", partial(_worked_out, notebook, group, session))


def front_of(notebook: Notebook, group: Group) -> tuple[Placed, ...]:
    """The configs of a group that have a score and a time, worked out anew only when something has been trained.

    Args:
        notebook: where the runs are.
        group: whose.
    """
    return notebook.index.kept(group, "front", partial(_placed, notebook, group))


def contest_of(notebook: Notebook, group: Group, session: str | None = None, *, timed: bool = False) -> Contest | None:
    """What the arms have trained; None while nothing of the group has a score.

    The baseline is the first run of that arm that has a score, or the first of all where there is none. A config is of
    the arm that proposed it first, whoever asked for more replicates of it.

    Args:
        notebook: where the runs are.
        group: whose.
        session: as in `standing_of`.
        timed: with the wall time of replicates, for which all runs are read.
    """
    first = _first(notebook, group)
    if first is None:
        return None
    base = notebook.config(first)
    ended = [one for one in counted(notebook, Selection(group), base) if one.row.state not in UNDONE]
    origin = next((one.identity for one in ended if one.row.run_id == first), None)
    if origin is None:  # it went on from other weights
        return None
    made: dict[str, Counted] = {one.identity: one for one in ended if one.identity == origin}
    for one in ended:
        made.setdefault(one.identity, one)
    space, number = seen_space(base, [one.config for one in made.values()]), {name: at for at, name in enumerate(made)}
    proving, replicates = Proving(notebook, group), list[Replicate]()
    walls = _walls(notebook, group) if timed else {}
    own = {} if timed else _begun_again(notebook, group)  # there wall times are what counts
    for one in ended:
        row, at = one.row, number[one.identity]
        mine = session in (None, row.session) and not proving.has(row.replicates_of, row.created)
        took = None if row.finished is None else (row.finished - row.created) / max(1, len(row.values))
        took = took if took is None else min(took, own.get(row.run_id, took))
        scores: Sequence[float | None] = [group.goal.sign * value for value in row.values] or [None]
        replicates += [Replicate(at, score, mine, took, walls.get(row.run_id)) for score in scores]
    named = [one.row.arm for one in made.values()]
    same = {BASE: "", **merged(named)}
    arms = tuple("" if name == origin else same.get(arm, arm) for name, arm in zip(made, named, strict=True))
    points = tuple(point_of(space, one.config, base) for one in made.values())
    runs, goal = tuple(one.run for one in made.values()), group.goal
    ends = -math.inf if goal.low is None else goal.low, math.inf if goal.high is None else goal.high
    return Contest(space, points, arms, runs, tuple(replicates), goal.sign, ends, goal.statistic)


def _walls(notebook: Notebook, group: Group) -> dict[str, float]:
    """Run to the seconds of wall time of one of its replicates; without those that were begun more than once."""
    walls = dict[str, float]()
    for run in notebook.index.records(Selection(group, native=True, states=(RunState.FINISHED,))):
        if len(run.seeds) > 1:
            took = replicate_seconds(run, notebook.results(run))
        else:
            active = active_time(run)
            took = None if active is None else active.total_seconds()
        if took is not None:
            walls[run.run_id] = took
    return walls


def _begun_again(notebook: Notebook, group: Group) -> dict[str, float]:
    """Run to the seconds of one of its replicates, for those begun more than once: without what lies between."""
    again = [run for run in notebook.index.records(Selection(group, not_states=UNDONE)) if run.attempt > 1]
    took = {run.run_id: [one.train_seconds + one.eval_seconds for one in notebook.results(run)] for run in again}
    return {run: fmean(seconds) for run, seconds in took.items() if any(seconds)}


def _worked_out(notebook: Notebook, group: Group, session: str | None) -> Standing:
    contest = contest_of(notebook, group, session)
    return stand(contest) if contest else Standing(arms=(), together=None, equal=None, ahead=())


def _placed(notebook: Notebook, group: Group) -> tuple[Placed, ...]:
    contest = contest_of(notebook, group, timed=True)
    return placed(contest) if contest else ()


def _first(notebook: Notebook, group: Group) -> str | None:
    """The run that all are measured from."""
    for arm in (BASE, None):
        if rows := notebook.index.rows(Selection(group, scored=True, native=True, own=True, arm=arm), limit=1):
            return rows[0].run_id
    return None


def merged(arms: Collection[str]) -> dict[str, str]:
    """Arms that count as another one: the offline researcher asks for what the race would, where both are at it."""
    return {"offline": "race"} if "race" in arms else {}


class Proving:
    """Which runs trained fresh seeds of a proof: those of both its sides, made while it was open."""

    def __init__(self, notebook: Notebook, group: Group) -> None:
        self.spans: list[tuple[set[str], float, float]] = []
        lines = notebook.index.confirmations()  # a proof on another preset is of a candidate of another group
        for at, line in enumerate(lines):
            if line.outcome == "opened" and line.preset in (None, group.preset):
                later = (one.time.timestamp() for one in lines[at + 1 :] if one.candidate == line.candidate)
                self.spans.append(({line.candidate, line.incumbent}, line.time.timestamp(), next(later, math.inf)))

    def has(self, replicates_of: str | None, created: float) -> bool:
        """Whether a run is one of these.

        Args:
            replicates_of: whose config it repeats.
            created: seconds since 1970.
        """
        return any(replicates_of in sides and since <= created <= end for sides, since, end in self.spans)
