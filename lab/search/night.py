"""How a night spends its replicates: baseline, search, proof.

The search may believe whatever it likes; one thing is proven. Before its first fresh seed the *contender* is named, the
config that the search then believes in, and how often the fresh seeds will be looked at. It is named as late as the
replicates that its proof needs allow: the larger the difference is that is believed in, the fewer they are. Where even
all of them would hardly show it, nothing is named, and they go to the search instead.
"""

import math
from collections.abc import Collection
from dataclasses import dataclass

from lab.judge import GROUP, SPENDING, Plan, spending
from lab.search.arms.race import believed
from lab.search.history import History

BASELINE = 5
"""Replicates of the baseline, by which the noise is known."""
SURE = 0.8
"""Chance of a proof, if what is believed is true, that is aimed at."""
WORTH = 0.35
"""The same, below which a proof is not tried."""
ENDLESS = 60
"""Replicates after which a long night may name its first contender, as soon as it is sure enough of one."""


@dataclass(frozen=True)
class Contender:
    """A trial that is to face the baseline on fresh seeds of both, and the plan of the looks at them."""

    trial: int
    plan: Plan


def contenders(budget: int | None) -> int:
    """Contenders that a night of so many replicates may name: each has its share of the night's level."""
    return 1 if budget is not None and budget < 120 else 2


def name_contender(
    history: History, level: float, min_effect: float = 0.0, had: Collection[int] = (), after: int = 0
) -> Contender | None:
    """The contender, if it is time to name one.

    Args:
        history: trial 0 is the incumbent; `left` are the replicates that the night still has, None for any number.
        level: one-sided, of this contender.
        min_effect: smallest difference that matters, in the objective's units.
        had: trials that were contenders before, which get no second proof.
        after: contenders that may still be named after this one.
    """
    left = history.left
    looks = len(SPENDING) if left is None else min(len(SPENDING), left // (2 * GROUP))
    belief = believed(history) if looks else None
    if belief is None or belief.leader == 0 or belief.leader in had:
        return None
    chances = [power(belief.gain, belief.noise, GROUP * count, level) for count in range(1, looks + 1)]
    if chances[-1] < WORTH:
        return None
    trained = sum(len(trial.scores) for trial in history.trials)
    sure = chances[-1] >= SURE and trained >= ENDLESS and looks == len(SPENDING)
    early = sure and (left is None or after > 0)  # the end is far: something proven is worth having before it
    needed = next((count for count, chance in enumerate(chances, start=1) if chance >= SURE), looks)
    most = 2 * GROUP * (needed + after * len(SPENDING))
    if not early and (left is None or left > most):  # there is time to search on
        return None
    return Contender(belief.leader, Plan(level, min_effect, GROUP, spending(looks)))


def power(gain: float, noise: float, seeds: int, level: float) -> float:
    """Chance that so many fresh seeds a side show a difference, by the normal approximation.

    Args:
        gain: difference of the means, more is better.
        noise: standard deviation between replicates.
        seeds: on each side.
        level: one-sided.
    """
    from scipy.stats import norm

    if noise <= 0:
        return float(gain > 0)
    return float(norm.sf(norm.isf(level) - gain / (noise * math.sqrt(2 / seeds))))
