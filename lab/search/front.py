"""What score costs how much training time: the configs that no other beats in both, among all that have both.

A config's score is what the model of all replicates believes of it, since the mean of one that was raced because it
looked good is flattered. Its time is the median over its replicates of their wall time.
"""

import math
import statistics
from collections.abc import Sequence
from typing import NamedTuple

from lab.base import Record
from lab.search.standing import LEVEL, Contest, Worth


class Cost(NamedTuple):
    """What a config takes and what it gives."""

    seconds: float
    """Less is better."""
    score: float
    """More is better."""


class Placed(Record):
    """A config with its time and its score."""

    run: str
    """Of its runs, the one that was made first."""
    seconds: float
    """Median wall time of its replicates, each beside whatever trained at the same time."""
    mean: float
    """What the model of all replicates believes that it scores, in the objective's units."""
    low: float
    """Lower end of the 95 % interval of that."""
    high: float
    replicates: int
    """Of it, that have a score."""
    front: bool
    """Whether no other is as good in both and better in one."""


def placed(contest: Contest) -> tuple[Placed, ...]:
    """The configs that have a score and a time, the fastest first; of equally fast ones the best.

    Args:
        contest: what has been trained, by whom does not matter.
    """
    from scipy.stats import norm

    walls: dict[int, list[float]] = {}
    scored = [one for one in contest.replicates if one.score is not None]
    for one in scored:
        if one.wall is not None:
            walls.setdefault(one.trial, []).append(one.wall)
    if not walls:
        return ()
    worth, (least, most) = Worth(contest), contest.ends

    def within(score: float) -> float:
        """A score in the objective's units, no more and no less than that can be."""
        return min(max(contest.sign * score, least), most)

    believed = {at: within(worth.means[at]) for at in walls}
    costs = {at: Cost(statistics.median(those), contest.sign * believed[at]) for at, those in walls.items()}
    ranked = sorted(costs, key=lambda at: (costs[at].seconds, -costs[at].score))
    best = undominated([costs[at] for at in ranked])
    told = []
    for place, at in enumerate(ranked):
        half = float(norm.isf(LEVEL / 2)) * worth.spread(at)
        low, high = sorted(within(worth.means[at] + away) for away in (-half, half))
        told.append(
            Placed(
                run=contest.runs[at],
                seconds=costs[at].seconds,
                mean=believed[at],
                low=low,
                high=high,
                replicates=sum(one.trial == at for one in scored),
                front=place in best,
            )
        )
    return tuple(told)


def undominated(costs: Sequence[Cost]) -> set[int]:
    """The places of those that no other beats: none is as good in both and better in one (Pareto's front).

    Args:
        costs: in any order; of equal ones all are kept, or none.
    """
    kept, best, last = set[int](), -math.inf, None
    for at in sorted(range(len(costs)), key=lambda at: (costs[at].seconds, -costs[at].score)):
        if costs[at].score > best or costs[at] == last:
            kept.add(at)
            best, last = costs[at].score, costs[at]
    return kept
