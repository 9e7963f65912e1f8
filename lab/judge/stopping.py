"""What a session concludes from its own record: failures in a row, a plateau, a target reached, nothing left to learn.

Everything is worked out anew each time, so that a restart comes to the same.
"""

import math
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime

from lab.base import number
from lab.space import Group, Objective
from lab.store import Confirmation, Notebook, Row, RunRecord, RunState, Selection, score_of, summarize

FAILURES = 3
"""Runs in a row without a score, after which only the incumbent is built on."""
PLATEAU = 8
"""Scored runs in a row that changed nothing about which is believed to be best: the search is stuck."""
KNOWN = 5
"""Replicates of the incumbent below which nothing is concluded from them."""
SCORED = (RunState.FINISHED, RunState.PRUNED)
"""A pruned run has shown what it can do."""


def failures(runs: Sequence[RunRecord]) -> int:
    """How many of the latest runs ended without a score, one after the other.

    Args:
        runs: that have ended, oldest first.
    """
    count = 0
    for run in reversed(runs):
        if run.state in SCORED:
            break
        count += 1
    return count


def plateau(runs: Sequence[RunRecord], leader: RunRecord | None) -> int:
    """How many scored runs have come and gone since the one that is now believed to be best.

    Args:
        runs: of one group, oldest first; fresh seeds of others do not count.
        leader: whose config that is; None for whatever came before all of them.
    """
    scored = [run for run in runs if run.replicates_of is None and run.state in SCORED]
    return sum(leader is None or run.created > leader.created for run in scored)


def scores_of(notebook: Notebook, run_id: str) -> list[float]:
    """A run's objective in each replicate: of the fresh seeds of its proof if there was one, else of all of its config.

    A run that nobody named, as a baseline, has no such seeds.
    """
    if fresh := fresh_scores(notebook, run_id):
        return fresh
    own = notebook.values(run_id, notebook.run(run_id).goal.metric)
    return [*own, *(value for row in more_rows(notebook, run_id) for value in row.values)]


def fresh_scores(notebook: Notebook, run_id: str, at: datetime | None = None) -> list[float]:
    """A run's objective in each fresh seed since it was named; none before these have decided about it.

    Args:
        notebook: where it is.
        run_id: the run.
        at: as it stood then; now if not given.
    """
    return [value for row in fresh_rows(notebook, run_id, at) for value in row.values]


def fresh_rows(notebook: Notebook, run_id: str, at: datetime | None = None) -> list[Row]:
    """The runs that trained a run's fresh seeds since it was named; none before these have decided about it.

    What a run was named for flatters it; its fresh seeds don't, nor what is trained of it later, as beside those that
    want its place.

    Args:
        notebook: where it is.
        run_id: the run.
        at: as it stood then; now if not given.
    """
    named = [one for one in notebook.index.confirmations(run_id) if at is None or one.time <= at]
    ended = [one.time for one in named if one.outcome != "opened" and one.effect is not None and one.preset is None]
    if not ended:
        return []
    opened = [one.time for one in named if one.outcome == "opened" and one.time <= ended[-1]]
    since, till = max(opened, default=ended[-1]).timestamp(), math.inf if at is None else at.timestamp()
    return [row for row in more_rows(notebook, run_id) if since <= row.created and (row.finished or 0.0) <= till]


def more_rows(notebook: Notebook, run_id: str) -> list[Row]:
    """The runs that trained more seeds of a run's config at its length."""
    preset = notebook.run(run_id).preset
    return notebook.index.rows(Selection(replicates_of=run_id, preset=preset, scored=True))


def whole_scores(notebook: Notebook, group: Group) -> dict[str, list[float]]:
    """What people are told of each run about which more is known than its own replicates, by run id.

    Its fresh seeds once these have decided, else its own replicates and all more seeds of its config, as `scores_of`:
    a list in which a lucky seed stood for a config would sort by luck.

    Args:
        notebook: where they are.
        group: whose.
    """

    def read() -> dict[str, list[float]]:
        rows, more = notebook.index.rows(Selection(group, scored=True)), defaultdict[str, list[float]](list)
        own = {row.run_id: row.values for row in rows if not row.replicates_of}
        for row in rows:
            if row.replicates_of:
                more[row.replicates_of] += row.values
        whole = {run: [*own[run], *seeds] for run, seeds in more.items() if run in own}
        decided = {one.candidate for one in notebook.index.confirmations(group=group) if one.effect is not None}
        fresh = {run: fresh_scores(notebook, run) for run in decided if notebook.readable(run)}
        return whole | {run: scores for run, scores in fresh.items() if scores}

    return notebook.index.kept(group, "whole scores", read)


def promises(confirmation: Confirmation, goal: Objective) -> bool:
    """Whether a contender that was dropped is better by its fresh seeds' 95 % interval, though not by the test.

    Args:
        confirmation: as it ended.
        goal: what it was judged by.
    """
    end = confirmation.low if goal.sign > 0 else confirmation.high
    return confirmation.outcome == "dropped" and end is not None and goal.sign * end > 0


def room_above(values: Sequence[float], goal: Objective) -> float | None:
    """The most that can be gained on some scores; None where the objective has no bound.

    Args:
        values: of one config, at least one.
        goal: whose bound it is.
    """
    return None if goal.limit is None else max(0.0, goal.gain(goal.limit, goal.of_scores(values)))


def reached(notebook: Notebook, group: Group, target: float | None) -> str | None:
    """Why the target is reached; None while it is not.

    Args:
        notebook: where the runs are.
        group: whose incumbent is meant.
        target: in the objective's units; None for none.
    """
    incumbent = notebook.incumbent(group)
    if target is None or incumbent is None or not (values := scores_of(notebook, incumbent)):
        return None
    score = group.goal.of_scores(values)
    if group.goal.better(target, score):
        return None
    what = f"{group.goal.name} {number(score)} (n={len(values)}) of {incumbent}"
    return f"the target is reached: {what}, wanted {number(target)}"


def exhausted(notebook: Notebook, group: Group, matters: float) -> str | None:
    """Why nothing is left to learn at this noise level; None while there is.

    That is so where the objective can't go beyond a bound, and the incumbent is closer to it than the smallest
    difference that matters, lower end of its 95 % interval included: no other config could ever be confirmed. Nothing
    is concluded of a statistic that has no interval, as the worst of a few.

    Args:
        notebook: where the runs are.
        group: whose incumbent is meant.
        matters: the smallest difference that matters, in the objective's units.
    """
    incumbent = notebook.incumbent(group)
    goal, bound = group.goal, group.goal.limit
    values = scores_of(notebook, incumbent) if incumbent else []
    if bound is None or len(values) < KNOWN:
        return None
    score = score_of(goal, summarize(values))
    low, high = score.low, score.high
    if low is None or high is None:
        return None
    if abs(bound - goal.worst((low, high))) > matters:
        return None
    return (
        f"nothing is left to learn at this noise level: {goal.name} can't go beyond {number(bound)}, the incumbent"
        f" {incumbent} has {number(score.value)} [{number(low)}, {number(high)}] (n={len(values)}), and the smallest"
        f" difference that matters is {number(matters)} (--min-effect sets it)"
    )
