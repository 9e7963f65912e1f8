"""The test behind the incumbent: fresh seeds on both sides, group by group.

Keeping whatever scored best crowns a false winner in most nights. Here the search names a *contender*, however it came
to believe in it, and nothing that it has seen counts: groups of fresh seeds of both sides are trained, and after each
group there is a look: crowned, dropped, or another group. Two tests have to agree. An exact permutation test (Fisher
1935; Phipson & Smyth 2010) holds for configs that are equal in all, whatever the noise looks like; its boundaries come
from the permutations within the groups, as in AdaStop (Mathieu et al., arXiv 2306.10882). Welch's test (1947) is of the
means alone, and guards against a contender that is no better but wider; Yuen's (1974) does so for interquartile means.
For the worst and the median there is the first test alone; of medians it is far less off where spreads differ. The
looks share one level by alpha spending (Lan & DeMets 1983).

A night of equal configs has a false incumbent in at most `NIGHT` of the cases: that is divided among the contenders
that it may name, however many configs it looks at (`level_for`). `benchmarks/arms` and `benchmarks/nights.py` show it.

What the fresh seeds say is the estimate to quote; what a contender scored before is flattered by having been chosen
(Patterson et al., JMLR 25, 2024).
"""

import itertools
import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from lab.judge.stats import GUARDED, t_test
from lab.space import Objective, Statistic, summed_up, weights

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

NIGHT = 0.01
"""Probability of a false incumbent in a night of equal configs, at most: at 5 % a month of nights has one or two."""
GROUP = 5
"""Fresh seeds a side before each look."""
FINEST = 1 / math.comb(2 * GROUP, GROUP)
"""The p-value of two perfectly separated groups: a look at a lower level can show nothing."""
SPENDING = (0.5, 0.75, 1.0)
"""Shares of the level that are used up after each look; as many looks as entries."""
ROWS = 40
"""Permutations drawn for each of the 252 splits of the first group."""
SLACK = 1e-9
"""Differences by rounding."""
HOPELESS = 0.9
"""Confidence that the effect is below the smallest that matters, with which a confirmation ends."""
FUTILE = 0.1
"""Chance of showing the effect by the last look, by what the seeds so far say, below which it ends as well."""


def level_for(contenders: int) -> float:
    """The one-sided level of each confirmation of a night.

    Args:
        contenders: that the night may name, 1 or more.
    """
    return NIGHT / contenders


def level_outside(number: int) -> float:
    """The level of a confirmation that a person asks for outside a session: all of them together keep to `NIGHT`.

    Args:
        number: of the confirmation in its group, from 1 on: 1/2, 1/6, 1/12 … of the night's level, which add up to it.
    """
    return NIGHT / (number * (number + 1))


def spending(looks: int) -> tuple[float, ...]:
    """Shares of the level that are used up after each of so many looks: half of it at the first, the rest evenly."""
    return tuple(0.5 + 0.5 * at / (looks - 1) for at in range(looks)) if looks > 1 else (1.0,)


def spent(level: float, looks: int, taken: int) -> float:
    """What a confirmation has used of its level.

    Args:
        level: one-sided, of all looks.
        looks: that were planned.
        taken: of these; none where it ended without one, which counts as all.
    """
    return level * (spending(looks)[taken - 1] if taken else 1.0)


@dataclass(frozen=True)
class Plan:
    """The plan of a confirmation, laid down before its first seed is trained."""

    level: float
    """Level of the test, one-sided, over all looks."""
    min_effect: float
    """The smallest difference that matters, in the objective's units, 0 or more."""
    group: int = GROUP
    spending: tuple[float, ...] = SPENDING

    @property
    def cap(self) -> int:
        """Fresh seeds a side at the most."""
        return self.group * len(self.spending)


class Look(NamedTuple):
    """The standing of a confirmation after a look."""

    decision: Literal["continue", "confirmed", "dropped"]
    why: str
    effect: float
    """Difference of the statistics of the fresh seeds, new minus old, in the metric's own units."""
    low: float | None
    """Lower end of the effect's 95 % t-interval (Welch 1947, Yuen 1974), which takes no account of the looks; None for
    a statistic without one."""
    high: float | None
    """Upper end of the same interval."""
    seeds: int
    """Fresh seeds a side."""


def look(new: Sequence[float], old: Sequence[float], plan: Plan, goal: Objective) -> Look:
    """Look at a confirmation with the seeds it has so far, all of its complete groups.

    Args:
        new: fresh replicates of the candidate in the order they were trained, one group at least.
        old: those of the incumbent.
        plan: as it was laid down.
        goal: the objective: which way is good, and what sums up the replicates.
    """
    import numpy as np

    done = min(len(new), len(old)) // plan.group
    count = done * plan.group
    a, b = (np.asarray(side[:count], float) * float(goal.sign) for side in (new, old))
    effect = summed_up(a.tolist(), goal.statistic) - summed_up(b.tolist(), goal.statistic)
    test = t_test(a.tolist(), b.tolist(), goal.statistic) if goal.statistic in GUARDED else None
    half = _half_width(test, effect, 0.95)
    ends = sorted((goal.sign * (effect - half), goal.sign * (effect + half))) if test else (None, None)
    facts = (goal.sign * effect, *ends, count)
    crossed = _agrees(test, effect, nominal_levels(plan.level, plan.spending)[done - 1]) and _crossed(
        a.reshape(done, -1), b.reshape(done, -1), plan, goal.statistic
    )
    what = f"{count} fresh seeds a side"
    if crossed and effect >= plan.min_effect:
        alike = "" if goal.statistic in GUARDED else ", if both sides spread alike"
        return Look("confirmed", f"better at the level {plan.level:.3g} after {what}{alike}", *facts)
    if test and effect + _half_width(test, effect, 2 * HOPELESS - 1) < plan.min_effect:
        why = f"with {HOPELESS:.0%} confidence below the smallest effect that matters ({plan.min_effect:.4g})"
        return Look("dropped", f"{why} after {what}", *facts)
    if done >= len(plan.spending):
        return Look("dropped", f"not shown to be better within {what}", *facts)
    chance = _predicted(test, effect, count, plan)
    if chance < FUTILE:
        return Look("dropped", f"{what} leave a chance of {chance:.0%} that {plan.cap} would show it", *facts)
    return Look("continue", f"undecided after {what}", *facts)


def _predicted(test: Any, effect: float, seeds: int, plan: Plan) -> float:
    """The chance that the last look shows it, by the seeds so far: its predictive power (Spiegelhalter et al. 1986).

    Of the t-test at the level that the plan leaves the last look, as if both sides went on to spread as they do. To end
    a confirmation by it makes no false incumbent likelier. 1 for a statistic without a test.
    """
    from scipy.stats import t

    if test is None:
        return 1.0
    error, share = _half_width(test, effect, 0.95) / float(t.isf(0.025, test.df)), seeds / plan.cap
    if not error > 0:  # without any spread
        return float(effect > plan.min_effect)
    level = nominal_levels(plan.level, plan.spending)[-1]
    needed = max(plan.min_effect, float(t.isf(level, 2 * plan.cap - 2)) * error * math.sqrt(share))
    return float(t.sf((needed - effect) / (error * math.sqrt(1 - share)), test.df))


def lowest(seeds: int, level: float) -> int | None:
    """How many of the incumbent's worst seeds have to lie below all of the contender's for a proof by the worst.

    By the permutation test of the worst in one look: where the k worst of all seeds are the incumbent's, as they are in
    C(2n - k, n) of C(2n, n) splits. More looks and groups shift it by one at the most.

    Args:
        seeds: of each side, n.
        level: one-sided.

    Returns:
        None where no result whatever is so unlikely.
    """
    chances = (math.comb(2 * seeds - k, seeds) / math.comb(2 * seeds, seeds) for k in range(1, seeds + 1))
    return next((k for k, chance in enumerate(chances, start=1) if chance <= level), None)


@cache
def nominal_levels(level: float, spending: tuple[float, ...]) -> tuple[float, ...]:
    """The p-value to get below at each look, so that the looks together spend the level (Lan & DeMets 1983).

    For sums of equal groups of normal noise: the chance to cross at a look and at none before it is the share that is
    spent there, by integration from look to look (Armitage, McPherson & Rowe 1969).

    Args:
        level: one-sided, over all looks.
        spending: share of it that is used up after each look, ascending to 1.
    """
    import numpy as np
    from scipy.optimize import brentq
    from scipy.stats import norm

    ends: list[float] = []
    sums, density = np.zeros(1), np.ones(1)  # where the sum may be that has not crossed yet, and how likely
    spent = 0.0
    for number, share in enumerate(spending, start=1):
        above = level * share - spent

        def left_over(end: float, number: int = number, above: float = above) -> float:
            return float(density @ norm.sf(end * math.sqrt(number) - sums)) - above  # noqa: B023 - called at once

        ends.append(float(brentq(left_over, 0.0, 10.0, xtol=1e-9)))
        limit = ends[-1] * math.sqrt(number)
        grid = np.linspace(-10.0 * math.sqrt(number), limit, 2001)
        step = grid[1] - grid[0]
        weights = np.full(len(grid), step)
        weights[[0, -1]] /= 2
        density = (norm.pdf(grid[:, None] - sums[None, :]) @ density) * weights
        sums, spent = grid, level * share
    return tuple(float(norm.sf(end)) for end in ends)


def _agrees(test: Any, effect: float, level: float) -> bool:
    """Whether the test that holds for unequal spreads, if there is one for the statistic, says better as well."""
    from scipy.stats import t

    if test is None:
        return True
    if not math.isfinite(test.statistic):  # without any spread
        return effect > 0
    return float(t.sf(test.statistic, test.df)) <= level


def _crossed(new: "NDArray[np.float64]", old: "NDArray[np.float64]", plan: Plan, statistic: Statistic) -> bool:
    """Whether the difference crosses the boundary of a group-sequential permutation test, now or at an earlier look.

    Permutations are drawn within groups: the first group's splits are all there, each with `ROWS` draws for the groups
    that follow, the observed one among them. At each look the permutations with the largest differences are rejected,
    as many as the level spent so far allows; the observed one crosses when it is among them. That holds for equal
    distributions whatever the statistic is.

    Args:
        new: looks × group, more is better.
        old: the same of the other side.
        plan: levels.
        statistic: whose difference is looked at.
    """
    import numpy as np

    both = np.concatenate([new, old], axis=1)
    splits = _splits(both.shape[1], plan.group)
    draw = np.random.default_rng(_seed(both.ravel()))
    chosen = np.repeat(np.arange(len(splits)), ROWS)
    alive = np.ones(len(chosen), bool)
    sides = [np.empty((len(chosen), 0)), np.empty((len(chosen), 0))]
    used = 0
    for number, values in enumerate(both):
        if number:
            chosen = draw.integers(len(splits), size=len(alive))
            chosen[0] = 0  # row 0 is what was observed: split 0 takes the first half
        # In the order of their making, the complement of a split is the one as far from the end.
        sides = [
            np.hstack([side, values[own][chosen]]) for side, own in zip(sides, (splits, splits[::-1]), strict=True)
        ]
        differences = _differences(np.sort(sides[0]), np.sort(sides[1]), statistic)
        allowed = math.floor(plan.level * plan.spending[number] * len(alive)) - used
        rejected = alive & _largest(differences, alive, allowed, SLACK if statistic == "median" else _slack(both))
        if rejected[0]:
            return True
        used += int(rejected.sum())
        alive &= ~rejected
    return False


def _differences(new: "NDArray[np.float64]", old: "NDArray[np.float64]", statistic: Statistic) -> "NDArray[np.float64]":
    """The difference of a statistic in each permutation, of medians in units of how sure they are.

    Else a permutation takes medians for different that are equal, where one side spreads wider (Chung & Romano 2013).
    How sure a median is, is told by two values around it, in order the c-th from either end, c = (n + 1) / 2 - sqrt(n)
    (Price & Bonett 2001).

    Args:
        new: permutations × seeds, the worst first.
        old: the same of the other side.
        statistic: whose difference is meant.
    """
    import numpy as np

    n = new.shape[1]
    share = np.array(weights(statistic, n))
    differences: NDArray[np.float64] = new @ share - old @ share
    if statistic != "median":
        return differences
    at = max(1, round((n + 1) / 2 - math.sqrt(n)))
    around = [side[:, n - at] - side[:, at - 1] for side in (new, old)]
    return differences / (np.hypot(*around) + SLACK)


def _largest(
    differences: "NDArray[np.float64]", alive: "NDArray[np.bool_]", allowed: int, slack: float
) -> "NDArray[np.bool_]":
    """The largest differences of those alive, at most as many as allowed; of equal ones all or none."""
    import numpy as np

    among = np.sort(differences[alive])[::-1]
    if allowed <= 0:
        return np.zeros(len(differences), bool)
    if allowed >= len(among):
        return np.ones(len(differences), bool)
    above: NDArray[np.bool_] = differences > among[allowed] + slack
    return above


def _half_width(test: Any, effect: float, confidence: float) -> float:
    """Half of a test's two-sided interval of the difference; 0 without any spread, or without a test."""
    if test is None or not math.isfinite(test.statistic):
        return 0.0
    return float(test.confidence_interval(confidence).high) - effect


@cache
def _splits(total: int, n: int) -> "NDArray[np.intp]":
    """Every way to choose n of total, the first n first."""
    import numpy as np

    return np.array(list(itertools.combinations(range(total), n)), dtype=np.intp)


def _seed(values: "NDArray[np.float64]") -> int:
    """A seed from the values, so that the same ones give the same draws and a decision can be checked."""
    return zlib.crc32(values.tobytes())


def _slack(values: "NDArray[np.float64]") -> float:
    """The difference by rounding between the same values added up in another order."""
    import numpy as np

    return SLACK * float(np.abs(values).sum()) if values.size else 0.0
