"""What replicates allow to be concluded, and what not.

With two or three seeds a side very little is certain; these functions say so instead of picking a winner. scipy does
the arithmetic and is imported late, since it takes most of a second.
"""

import math
import warnings
from collections.abc import Sequence
from typing import Literal, NamedTuple

from lab.space import SIGN, Direction
from lab.store import CONFIDENCE, spread


class Comparison(NamedTuple):
    """One run's replicates against another's, in a metric's direction."""

    verdict: Literal["better", "worse", "inconclusive"]
    effect: float
    """Difference of the means, in the metric's own units, new minus old."""
    low: float | None
    high: float | None
    method: str


def compare(new: Sequence[float], old: Sequence[float], direction: Direction) -> Comparison:
    """Better, worse or inconclusive, by Welch's t-test at the 5 % level (Welch 1947).

    Welch's test keeps its error rate at very small n where a bootstrap does not, at the price of power: with two or
    three replicates only large effects are found, and everything else is inconclusive, as it should be.

    Args:
        new: the metric of the run in question, one value per replicate.
        old: the same of the run it is compared with.
        direction: whether more or less is good.
    """
    effect = math.fsum(new) / len(new) - math.fsum(old) / len(old)
    if len(new) < 2 or len(old) < 2:
        return Comparison("inconclusive", effect, None, None, "fewer than two replicates on a side: no test")
    if spread(new) == 0 and spread(old) == 0:
        return Comparison("inconclusive", effect, None, None, "replicates without any spread: no test")
    from scipy.stats import ttest_ind

    with warnings.catch_warnings():  # equal replicates on one side are no mistake: at the top of a scale all are
        warnings.filterwarnings("ignore", "Precision loss", RuntimeWarning)
        interval = ttest_ind(new, old, equal_var=False).confidence_interval(CONFIDENCE)
    low, high = float(interval.low), float(interval.high)
    method = f"Welch's t-test, {len(new)} against {len(old)} replicates, 95 % interval"
    if not math.isfinite(low + high):
        return Comparison("inconclusive", effect, None, None, "no interval can be computed from these replicates")
    if low <= 0 <= high:
        return Comparison("inconclusive", effect, low, high, method)
    return Comparison("better" if SIGN[direction] * effect > 0 else "worse", effect, low, high, method)


def detectable(sd: float, n: int, power: float = 0.8) -> float | None:
    """The smallest difference of two means that a two-sided t-test at the 5 % level finds with the given power.

    From the noncentral t distribution (Cohen 1988, chapter 2), for normal noise of equal size on both sides. With two
    or three replicates it is several standard deviations.

    Args:
        sd: standard deviation between replicates.
        n: replicates on each side.
        power: share of cases in which the difference is found, above 0.05 and below 1.

    Returns:
        None with fewer than two replicates, which allow no test.
    """
    if n < 2:
        return None
    from scipy.optimize import brentq
    from scipy.stats import nct, t

    freedom = 2 * (n - 1)
    critical = float(t.ppf((1 + CONFIDENCE) / 2, freedom))

    def missing(shift: float) -> float:  # a finding of the wrong sign is left out: at this power it is next to none
        return float(nct.sf(critical, freedom, shift)) - power

    high = 1.0
    while missing(high) < 0:  # from below, since nct is not a number far out in the tail
        high *= 1.5
    return sd * float(brentq(missing, 0.0, high)) * math.sqrt(2 / n)


def noise_floor(groups: Sequence[Sequence[float]]) -> tuple[float, int] | None:
    """Standard deviation between replicates of one config, pooled over configs, and its degrees of freedom.

    Returns:
        None while no config has two replicates.
    """
    freedom = sum(len(group) - 1 for group in groups if len(group) > 1)
    if freedom == 0:
        return None
    squares = math.fsum(spread(group) ** 2 * (len(group) - 1) for group in groups if len(group) > 1)
    return math.sqrt(squares / freedom), freedom
