"""A run beside another one: what of its metrics and its updates differs by more than their noise.

A difference is taken for more than noise where it lies outside the two-sided prediction interval of a difference of
means, with the variance pooled over both sides (Student's t); of one replicate a side nothing is known of the noise,
and a fifth of the larger value has to do.
"""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from lab.base import number
from lab.judge.evidence import Evidence
from lab.judge.finding import Finding, Weight
from lab.judge.verdicts import compared_at, judged_runs, metrics_beside
from lab.store import COUNTS, Lab, Notebook, RunRecord, Sessions

SURE = 0.99
"""Confidence of an interval outside of which a metric has moved."""
UNSEEN = 0.2
"""Share by which a metric of single replicates has to differ, where nothing is known of its noise."""
LEAST = 0.05
"""Share of the larger value below which a difference is not worth a word."""
TOLD = 3
"""Differences to the leader that are told."""
UPDATES = (
    ("losses/entropy", 0.75, 1.0, "in the last quarter"),
    ("losses/explained_variance", 0.75, 1.0, "in the last quarter"),
    ("losses/approx_kl", 0.0, 0.5, "in the first half"),
    ("losses/clipfrac", 0.0, 0.5, "in the first half"),
)
"""What PPO logs of its updates, and the part of the training in which `causes.py` looks at it."""


class Apart(NamedTuple):
    """A quantity in which two runs differ by more than noise."""

    name: str
    when: str
    """Of a curve, which part of it; empty for a metric of the evaluation."""
    mine: float
    theirs: float
    share: float
    """The difference as a share of the larger value, 1 at most."""


def moved(notebook: Notebook, run: RunRecord) -> Iterator[Finding]:
    """Metrics other than the objective that moved by more than their noise beside the parent.

    Args:
        notebook: where it lies.
        run: it has ended.
    """
    if not notebook.readable(run.parent):
        return
    for one, new, old in _metrics(notebook, run, str(run.parent)):
        way = "rose" if one.mine > one.theirs else "fell"
        yield Finding(
            name="metric_moved", weight=Weight.NOTE,
            statement=f"{one.name} {way} from {number(one.theirs)} to {number(one.mine)}",
            evidence=f"{new} replicate{'s' if new > 1 else ''} against {old} of its parent, beyond noise"
            if new + old > 2 else "one replicate each, so it may be luck",
            metrics=(one.name,), strength=0.3 * one.share,
        )  # fmt: skip


def apart(lab: Lab, run: RunRecord) -> Iterator[Finding]:
    """How a run's updates and metrics differ from the leader's, whose training the search believes to go best.

    Where the leader is the parent its metrics are left to `moved`, and the updates remain.

    Args:
        lab: where it lies.
        run: it has ended.
    """
    notebook, believed = lab.notebook, Sessions(lab.notebook.workspace).leader_beside(run)
    name = believed.run if believed else None
    if name is None or name == run.run_id or not notebook.readable(name):
        return
    mine, theirs = Evidence.of(lab, run), Evidence.of(lab, notebook.run(name))
    found = []
    for curve, begin, end, when in UPDATES:
        here, there = mine.levels(curve, begin, end), theirs.levels(curve, begin, end)
        if here and there and (share := beyond_noise(here, there)):
            found.append(Apart(curve.partition("/")[2], when, _mean(here), _mean(there), share))
    measured = {one: count for one, _, count in _metrics(notebook, run, name)} if name != run.parent else {}
    found = sorted([*found, *measured], key=lambda one: -one.share)[:TOLD]
    if found:
        told = [f"{one.name} {number(one.mine)} against {number(one.theirs)}{f' {one.when}' if one.when else ''}"
                for one in found]  # fmt: skip
        new, old = len(mine.curves), len(theirs.curves)
        luck = ", so it may be luck" if new + old < 3 else ""
        counts = [measured[one] for one in found if one in measured]
        if counts and judged_runs(notebook, run.run_id, name, compared_at(notebook, run, name))[1][1]:
            luck += f"; its metrics are of {counts[0]} fresh seeds"
        yield Finding(
            name="apart_from_leader", weight=Weight.NOTE, statement=f"unlike the leader it has {', '.join(told)}",
            evidence=f"the leader was {name}, {new} replicate{'s' if new != 1 else ''} against {old}{luck}",
            metrics=tuple(one.name for one in found if not one.when), strength=0.3 * found[0].share,
        )  # fmt: skip


def _metrics(notebook: Notebook, run: RunRecord, other: str) -> Iterator[tuple[Apart, int, int]]:
    """Metrics other than the objective, counts and speed that differ from another run's, and how many replicates.

    Of the other one those that a verdict takes of it, as the report's table shows them.
    """
    mine, theirs = notebook.summary(run.run_id), metrics_beside(notebook, run, other)
    for name, new in mine.metrics.items() if mine else ():
        old = theirs.get(name)
        if not old or name == run.goal.metric or name in COUNTS or name == "sps":
            continue
        if share := beyond_noise(new.values, old):
            yield Apart(name, "", new.mean, _mean(old), share), new.n, len(old)


def beyond_noise(new: Sequence[float], old: Sequence[float]) -> float:
    """How large a change beyond noise is, as a share of the larger mean (1 at most); 0 where it is within noise.

    Args:
        new: the values of one side's replicates, at least one.
        old: those of the other side.
    """
    change, free = abs(_mean(new) - _mean(old)), len(new) + len(old) - 2
    share = change / max(abs(_mean(new)), abs(_mean(old)), 1e-12)
    if free > 0:
        from scipy.stats import t

        inner = sum((value - _mean(side)) ** 2 for side in (new, old) for value in side)
        width = t.ppf((1 + SURE) / 2, free) * math.sqrt(inner / free * (1 / len(new) + 1 / len(old)))
        if change <= width or share < LEAST:
            return 0.0
    elif share < UNSEEN:
        return 0.0
    return min(1.0, share)


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)
