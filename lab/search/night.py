"""How a night spends its replicates: baseline, search, proof.

The search may believe whatever it likes; one thing is proven. Before its first fresh seed the *contender* is named, the
config that the search then believes in, and how often the fresh seeds will be looked at. It is named as late as the
replicates that its proof needs allow: the larger the difference is that is believed in, the fewer they are. Where even
all of them would hardly show it, nothing is named, and they go to the search instead.
"""

import math
import statistics
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from lab.judge import GROUP, SPENDING, Plan, lowest, spending
from lab.search.beliefs import EFFICIENCY, Believed, believed
from lab.search.history import History
from lab.space import Statistic

BASELINE = 5
"""Replicates of the baseline, by which the noise is known."""
SURE = 0.9
"""Chance of a proof that a plan speaks of, and from which on a long night need not wait."""
AIMED = 0.75
"""Chance of a proof, by what is believed, that replicates are kept for: more would be paid for by the search."""
KEPT = 2
"""Looks that replicates are kept for at the least, where there are as many: where one alone seems to be enough, the
leader was lucky or the baseline was not, more often than not. A proof that ends with its first gives the rest back."""
WORTH = 0.1
"""The same, below which a proof is not tried."""
NODES = 9
"""Of the quadrature over what is believed of a gain (Gauss and Hermite)."""
PLACES = 200
"""Of the quadrature over where the incumbent's seeds may lie."""
ENDLESS = 60
"""Replicates after which a long night may name its first contender, as soon as it is sure enough of one."""


REST = 0.02
"""Part of what the baseline leaves below a bound, of which no more is left once a search may end."""


@dataclass(frozen=True)
class Contender:
    """A trial that is to face the baseline on fresh seeds of both, and the plan of the looks at them."""

    trial: int
    plan: Plan


def contenders(budget: int | None) -> int:
    """Contenders that a night of so many replicates may name: each has its share of the night's level."""
    return 1 if budget is not None and budget < 120 else 2


def name_contender(
    history: History,
    level: float,
    min_effect: float = 0.0,
    had: Collection[int] = (),
    after: int = 0,
    step: int = 1,
    looks: int = len(SPENDING),
    complete: bool = False,
) -> Contender | None:
    """The contender, if it is time to name one.

    Args:
        history: trial 0 is the incumbent; `left` are the replicates that the night still has, None for any number.
        level: one-sided, of this contender.
        min_effect: smallest difference that matters, in the objective's units.
        had: trials that were contenders before, which get no second proof.
        after: contenders that may still be named after this one.
        step: replicates that will be trained before this is asked again.
        looks: at the fresh seeds, at most.
        complete: whether hardly anything is left to gain, so that there is no reason to search on.
    """
    left, outlook = history.left, _outlook(history, level, had, looks)
    if outlook is None:
        return None
    trained = sum(len(trial.scores) for trial in history.trials)
    sure = outlook.chances[-1] >= SURE and trained >= ENDLESS and len(outlook.chances) == looks
    early = sure and (left is None or after > 0)  # the end is far: something proven is worth having before it
    early = early or (complete and outlook.chances[outlook.needed - 1] >= AIMED)
    most = 2 * GROUP * (outlook.needed + after * looks)
    if not early and (left is None or left >= most + step):  # there is time to search on
        return None
    return Contender(outlook.leader, Plan(level, min_effect, GROUP, spending(len(outlook.chances))))


def complete(believed: float, gain: float, limit: float | None, min_effect: float | None = None) -> bool:
    """Whether hardly anything is left to gain beyond what is believed of the leader.

    Args:
        believed: its score.
        gain: how much better than the baseline it is believed to be.
        limit: the best score there can be; None where nobody knows.
        min_effect: the smallest difference that matters, as a person said; None for none.
    """
    if limit is None or gain <= 0:
        return False
    rest = abs(limit - believed)
    return rest <= max(min_effect or 0.0, REST * (rest + gain))


def before_proof(history: History, level: float, had: Collection[int] = (), looks: int = len(SPENDING)) -> History:
    """What the search is told where a proof of what is now believed in is to follow: its replicates count as spent.

    Args:
        history: as for `name_contender`.
        level: as there.
        had: as there.
        looks: as there.
    """
    outlook = _outlook(history, level, had, looks)
    if outlook is None or history.left is None:
        return history
    likely = outlook.chances[outlook.needed - 1] >= AIMED
    return replace(history, left=max(0, history.left - 2 * GROUP * outlook.needed), proof=likely)


def provable(history: History, level: float, had: Collection[int] = (), looks: int = len(SPENDING)) -> bool:
    """Whether what is now believed in may be proven with the replicates that are left.

    Args:
        history: as for `name_contender`.
        level: as there.
        had: as there.
        looks: as there.
    """
    return _outlook(history, level, had, looks) is not None


class _Outlook(NamedTuple):
    """What a proof of the leader would come to."""

    leader: int
    chances: list[float]
    """Of showing it after each look that there are replicates for."""
    needed: int
    """Looks that are kept for it; all of them where none is enough."""


def _outlook(history: History, level: float, had: Collection[int], looks: int) -> _Outlook | None:
    """None where there is nothing to prove, or it would hardly be shown."""
    looks = looks if history.left is None else min(looks, history.left // (2 * GROUP))
    belief = believed(history) if looks else None
    if belief is None or belief.leader == 0 or belief.leader in had:
        return None
    noise = max(belief.noise, _spread(history.trials[0].scores))  # the incumbent may spread wider than most
    chances = [likely(belief, noise, GROUP * count, level, history.statistic) for count in range(1, looks + 1)]
    if chances[-1] < WORTH:
        return None
    enough = (count for count, chance in enumerate(chances, start=1) if chance >= AIMED and count >= KEPT)
    return _Outlook(belief.leader, chances, next(enough, looks))


def _spread(scores: Sequence[float]) -> float:
    return statistics.stdev(scores) if len(scores) > 1 else 0.0


def likely(belief: Believed, noise: float, seeds: int, level: float, statistic: Statistic = "mean") -> float:
    """Chance of a proof, over all that the gain may be: its assurance (O'Hagan, Stevens & Campbell 2005).

    Args:
        belief: whose gain is taken to be normal.
        noise: as of `power`.
        seeds: as there.
        level: as there.
        statistic: as there.
    """
    import numpy as np
    from scipy.special import roots_hermitenorm

    places, weights = roots_hermitenorm(NODES)
    chances = [power(belief.gain + belief.doubt * float(place), noise, seeds, level, statistic) for place in places]
    return float(np.average(chances, weights=weights))


def power(gain: float, noise: float, seeds: int, level: float, statistic: Statistic = "mean") -> float:
    """Chance that so many fresh seeds a side show a difference, by Student's t-test of two equal sides.

    Of interquartile mean and median as of the mean of as many seeds as tell as much; of the worst, the chance that all
    of the contender's lie above so many of the incumbent's as the permutation test asks for. All under normal noise.

    Args:
        gain: difference of the statistics, more is better.
        noise: standard deviation between replicates.
        seeds: on each side, 2 or more.
        level: one-sided.
        statistic: what sums up a side.
    """
    from scipy.stats import nct, t

    if noise <= 0:
        return float(gain > 0)
    if statistic == "worst":
        return _power_of_the_worst(gain / noise, seeds, level)
    told = max(2.0, EFFICIENCY[statistic] * seeds)
    freedom = 2 * told - 2
    chance = float(nct.sf(t.isf(level, freedom), freedom, gain / noise * math.sqrt(told / 2)))
    return chance if math.isfinite(chance) else float(gain > 0)  # so far apart that the tail can't be computed


def worth_proving(gain: float, noise: float, level: float, statistic: Statistic = "mean") -> bool:
    """Whether a proof that goes to its last look shows a gain often enough to be tried: once in ten times.

    Args:
        gain: as of `power`.
        noise: as there.
        level: as there.
        statistic: as there.
    """
    return power(gain, noise, GROUP * len(SPENDING), level, statistic) >= WORTH


def _power_of_the_worst(shift: float, seeds: int, level: float) -> float:
    """The mean, over where the incumbent's k-th worst seed lies, of the chance that no seed of the contender is below.

    That place is a normal quantile of a beta variable (David & Nagaraja 2003, chapter 2).
    """
    import numpy as np
    from scipy.stats import beta, norm

    below = lowest(seeds, level)
    if below is None:
        return 0.0
    ranks = (np.arange(PLACES) + 0.5) / PLACES
    places = norm.ppf(beta.ppf(ranks, below, seeds - below + 1))
    return float((norm.sf(places - shift) ** seeds).mean())
