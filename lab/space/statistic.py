"""What sums up the replicates of a config: their mean, worst, interquartile mean or median.

Each is a weighted sum of the values in order (an L-statistic). What it comes to depends on how many values there are,
the worst above all, so two sides are compared at equal numbers: the larger side by the statistic that is expected of so
many of its values.
"""

from collections.abc import Sequence
from functools import cache
from math import comb, fsum
from typing import Literal, get_args

Statistic = Literal["mean", "worst", "iqm", "median"]
NAMED: tuple[Statistic, ...] = tuple(name for name in get_args(Statistic) if name != "mean")
"""Those that an objective may name; the mean is meant where none is said."""
TRIM = 0.25
"""Share of the values that the interquartile mean leaves out at either end (Agarwal et al., NeurIPS 2021)."""


@cache
def weights(statistic: Statistic, n: int) -> tuple[float, ...]:
    """The weight of each of n values, the worst first.

    The interquartile mean leaves out whole values, as `scipy.stats.trim_mean` does: none below four values.

    Args:
        statistic: what sums them up.
        n: how many values, 1 or more.
    """
    first, last = {
        "mean": (0, n),
        "worst": (0, 1),
        "iqm": (int(TRIM * n), n - int(TRIM * n)),
        "median": ((n - 1) // 2, n // 2 + 1),
    }[statistic]
    return tuple(1 / (last - first) if first <= at < last else 0.0 for at in range(n))


@cache
def expected_weights(statistic: Statistic, n: int, of: int) -> tuple[float, ...]:
    """The weight of each of `of` values, the worst first, in the mean of the statistic over all choices of n of them.

    Of a choice of n, the i-th of all is the k-th in C(i - 1, k - 1) C(of - i, n - k) of C(of, n) cases: the exact
    expectation, as of a U-statistic (Hoeffding 1948). It is an unbiased estimate for n replicates.

    Args:
        statistic: what sums them up.
        n: values of a choice, from 1 to `of`.
        of: how many values there are.
    """
    if statistic == "mean" or n == of:
        return weights(statistic, of)
    each = weights(statistic, n)
    return tuple(
        sum(weight * comb(at, k) * comb(of - 1 - at, n - 1 - k) for k, weight in enumerate(each) if weight)
        / comb(of, n)
        for at in range(of)
    )


def summed_up(values: Sequence[float], statistic: Statistic, n: int | None = None) -> float:
    """The statistic of some values of which more is better.

    Args:
        values: one for each replicate, at least one.
        statistic: what sums them up.
        n: as it is expected of so many of them, from 1 to their number; all of them if not given.
    """
    if statistic == "mean":
        return fsum(values) / len(values)
    share = expected_weights(statistic, len(values) if n is None else n, len(values))
    return fsum(weight * value for weight, value in zip(share, sorted(values), strict=True) if weight)
