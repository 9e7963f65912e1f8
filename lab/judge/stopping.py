"""What a session concludes from its own record: failures in a row, a plateau, a target reached, nothing left to learn.

Everything is worked out anew each time, so that a restart comes to the same.
"""

from collections.abc import Sequence

from lab.base import number
from lab.judge.sequential import passes
from lab.judge.verdicts import current_verdict
from lab.space import Group
from lab.store import Notebook, RunRecord, RunState, Selection, summarize

FAILURES = 3
"""Runs in a row without a score, after which only the incumbent is built on."""
PLATEAU = 8
"""Scored runs in a row of which none was promising, after which the search is widened."""
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


def plateau(notebook: Notebook, runs: Sequence[RunRecord]) -> int:
    """How many scored runs have come and gone since one was promising, the first of its group or the incumbent.

    Args:
        notebook: where they are.
        runs: of one group, oldest first; fresh seeds of others do not count.
    """
    count = 0
    for run in reversed(runs):
        if run.replicates_of is not None or run.state not in SCORED:
            continue
        verdict = current_verdict(notebook, run.run_id)
        if verdict and (verdict.verdict in ("first", "better") or passes(verdict.screen)):
            break
        count += 1
    return count


def scores_of(notebook: Notebook, run_id: str) -> list[float]:
    """A run's objective in each replicate: of its fresh seeds on its own preset where it has any, else its own.

    A run that was chosen for its score is flattered by it; its fresh seeds are not.
    """
    run = notebook.run(run_id)
    metric = run.goal.metric
    fresh = notebook.index.rows(Selection(replicates_of=run_id, preset=run.preset, scored=True))
    values = [value for row in fresh for value in row.values]
    return values or list(notebook.values(run_id, metric))


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
    mean = sum(values) / len(values)
    if group.goal.better(target, mean):
        return None
    what = f"{group.goal.metric} {number(mean)} (n={len(values)}) of {incumbent}"
    return f"the target is reached: {what}, wanted {number(target)}"


def exhausted(notebook: Notebook, group: Group, matters: float) -> str | None:
    """Why nothing is left to learn at this noise level; None while there is.

    That is so where the objective can't go beyond a bound, and the incumbent is closer to it than the smallest
    difference that matters, lower end of its 95 % interval included: no other config could ever be confirmed.

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
    summary = summarize(values)
    low, high = summary.low or summary.mean, summary.high or summary.mean
    if abs(bound - goal.worst((low, high))) > matters:
        return None
    return (
        f"nothing is left to learn at this noise level: {goal.metric} can't go beyond {number(bound)}, the incumbent"
        f" {incumbent} has {number(summary.mean)} [{number(low)}, {number(high)}] (n={len(values)}), and the smallest"
        f" difference that matters is {number(matters)} (--min-effect sets it)"
    )
