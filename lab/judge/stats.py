"""What replicates allow to be concluded, and what not.

With two or three seeds a side very little is certain; these functions say so instead of picking a winner. scipy does
the arithmetic and is imported late, since it takes most of a second.
"""

import math
import warnings
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

from lab.space import TRIM, Objective, Statistic
from lab.store import CONFIDENCE, spread


class Comparison(NamedTuple):
    """One run's replicates against another's, in a metric's direction."""

    verdict: Literal["better", "worse", "inconclusive"]
    effect: float
    """Difference of the two statistics at equal numbers, in the metric's own units, new minus old."""
    low: float | None
    high: float | None
    method: str


def compare(new: Sequence[float], old: Sequence[float], goal: Objective) -> Comparison:
    """Better, worse or inconclusive at the 5 % level: by Welch's t-test, of interquartile means by Yuen's.

    Welch's test keeps its error rate at very small n where a bootstrap does not, at the price of power: with two or
    three replicates only large effects are found, and everything else is inconclusive, as it should be. Of the worst
    and of the median of a few replicates no test holds unless both sides are alike in all else: always inconclusive.

    Args:
        new: the metric of the run in question, one value per replicate.
        old: the same of the run it is compared with.
        goal: the objective: which way is good, and what sums up the replicates.
    """
    effect = goal.difference(new, old)
    if len(new) < 2 or len(old) < 2:
        return Comparison("inconclusive", effect, None, None, "fewer than two replicates on a side: no test")
    if goal.statistic not in GUARDED:
        n = min(len(new), len(old))
        what = f"the {goal.statistic} of {n} against the {goal.statistic} of {n}: only fresh seeds test it"
        return Comparison("inconclusive", effect, None, None, what)
    if spread(new) == 0 and spread(old) == 0:
        return Comparison("inconclusive", effect, None, None, "replicates without any spread: no test")
    test = t_test(new, old, goal.statistic)
    interval = test.confidence_interval(CONFIDENCE)
    low, high = float(interval.low), float(interval.high)
    name = "Welch's t-test" if goal.is_mean else "Yuen's t-test of interquartile means"
    method = f"{name}, {len(new)} against {len(old)} replicates, 95 % interval"
    if not math.isfinite(low + high + float(test.statistic)):
        return Comparison("inconclusive", effect, None, None, "no interval can be computed from these replicates")
    if low <= 0 <= high:
        return Comparison("inconclusive", effect, low, high, method)
    return Comparison("better" if goal.sign * effect > 0 else "worse", effect, low, high, method)


GUARDED: tuple[Statistic, ...] = ("mean", "iqm")
"""Statistics with a test that holds where both sides differ in spread: Welch's (1947), Yuen's (1974)."""


def t_test(new: Sequence[float], old: Sequence[float], statistic: Statistic) -> Any:
    """Scipy's result of Welch's t-test, or of Yuen's for interquartile means; no numbers without any spread.

    Args:
        new: two values or more.
        old: the same of the other side.
        statistic: one of `GUARDED`.
    """
    from scipy.stats import ttest_ind

    with warnings.catch_warnings():  # equal replicates on one side are no mistake: at the top of a scale all are
        warnings.filterwarnings("ignore", "Precision loss", RuntimeWarning)
        warnings.filterwarnings("ignore", "invalid value", RuntimeWarning)
        return ttest_ind(new, old, equal_var=False, trim=0 if statistic == "mean" else TRIM)


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
