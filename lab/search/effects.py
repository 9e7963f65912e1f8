"""What each key does, from all runs at once: the main effects and interactions of the search's model.

The model's score of a point is split as functional ANOVA splits it (Hutter, Hoos & Leyton-Brown 2014): the *marginal*
of a key is the mean score at each of its values, over all that was tried of the other keys. Its variance, as a share of
that of the score, is the key's first-order Sobol index (Sobol 1993); what the marginal of two keys has beyond both of
theirs is their interaction. Integrals are means over one Sobol sequence. The model is a Gaussian process, so a marginal
is one too, and what is not known of it comes with it: a key is named only where its effect is told apart from none.
"""

import statistics
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from typing import Literal

from lab.search.arms.race import FORETELLS
from lab.search.beliefs import WINDOW, Ended, ended, known_of
from lab.search.history import History
from lab.search.marginals import Marginal, Marginals
from lab.search.points import SearchSpace
from lab.space import Statistic
from lab.space.parameters import Scalar

FEWEST = 12
"""Configs with a score below which nothing is said; as many as there are keys where those are more."""
EVIDENCE = 3.0
"""Log of how much likelier the scores have to be by the model than by chance alone: 20 times.

A model of many keys foretells chance itself now and then, by lengths that happen to fit.
"""
LEVEL = 0.01
"""Chance, by the model, that a key is named that does nothing, over all keys together; a pair of keys likewise."""
LEAST = 0.02
"""Share of the differences below which an effect is not worth a name."""
CERTAIN = 0.95
"""Coverage of the interval of an effect's size."""
LOOKED = 5
"""Keys among which interactions are looked for: those that do most beside what they do by themselves."""
KEPT = 8
"""Answers that are kept: what is asked of the same trials again is not worked out anew."""


@dataclass(frozen=True)
class Span:
    """The values of a key that are good."""

    key: str
    values: tuple[Scalar, ...]
    """Of a range the two ends, of a choice each of them."""
    ends: tuple[float, float] | None
    """Where a range's ends stand, 0 to 1 on its scale; None for a choice."""


@dataclass(frozen=True)
class Step:
    """What one value of a key does: its mean score against that of all its values, in the scores' units."""

    value: Scalar
    mean: float
    low: float
    """Lower end of its interval."""
    high: float


@dataclass(frozen=True)
class Effect:
    """What one key does by itself, or two do together."""

    best: tuple[Span, ...]
    """Where the score is best, one for each key."""
    worst: tuple[Span, ...]
    """Where it is worst."""
    share: float
    """Of the variance of the score over the space, 0 to 1; of two keys what goes beyond each by itself."""
    gain: float
    """The mean score where it is best against that where it is worst, in the scores' units, above 0."""
    low: float
    """Lower end of its interval."""
    high: float
    steps: tuple[Step, ...] = ()
    """Of a single key, value by value, more being better; of two none."""

    @property
    def keys(self) -> tuple[str, ...]:
        """Whose effect it is: one, or two."""
        return tuple(span.key for span in self.best)


@dataclass(frozen=True)
class Effects:
    """What is known of all keys."""

    configs: int
    """With a score, that the model was fitted to."""
    needed: int
    """Configs with a score below which nothing is said."""
    explained: float = 0.0
    """Share of the variance of their means that the model foretells of each without having seen it."""
    found: tuple[Effect, ...] = ()
    """Of single keys, the largest share first."""
    together: tuple[Effect, ...] = ()
    """Interactions of two keys, the same."""
    lacking: Literal["configs", "model"] | None = None
    """What there is too little of to say anything: configs, or what the model foretells."""


def effects_of(history: History) -> Effects:
    """What the keys of a history do; kept in memory as long as nothing has come.

    Args:
        history: more trials than the search's model reads are thinned out evenly, in the order of their making: its
            own window has the best of them, which are the luckiest, and effects of luck would be found.
    """
    every = [trial for trial in history.trials if trial.scores or trial.failed]
    return _effects_of(history.space, ended(every[:: max(1, -(-len(every) // WINDOW))]), history.statistic)


@lru_cache(maxsize=KEPT)
def _effects_of(space: SearchSpace, trials: tuple[Ended, ...], statistic: Statistic) -> Effects:
    known, needed = known_of(space, trials, statistic), max(FEWEST, len(space.dimensions))
    configs = sum(bool(scores) for _, scores, _ in trials)
    if known is None or not space.dimensions or configs < needed:
        return Effects(configs, needed, lacking="configs")
    explained = known.belief.explains()
    if explained < FORETELLS or known.belief.evidence() < EVIDENCE:
        return Effects(configs, needed, explained, lacking="model")
    marginals = Marginals(space, known.belief, known.places)
    found = [_effect(marginals, one, known.scale) for one in marginals.alone]
    pairs = list(combinations(range(len(marginals.alone)), 2))
    more = sorted(sorted(range(len(marginals.alone)), key=lambda at: -marginals.beside[at])[:LOOKED])
    together = [_effect(marginals, marginals.pair(*pair), known.scale, len(pairs)) for pair in combinations(more, 2)]
    return Effects(configs, needed, explained, _ranked(found), _ranked(together))


def _ranked(effects: list[Effect | None]) -> tuple[Effect, ...]:
    return tuple(sorted((one for one in effects if one is not None), key=lambda one: -one.share))


def _effect(marginals: Marginals, one: Marginal, scale: float, asked: int | None = None) -> Effect | None:
    """None where it can't be told from none.

    Args:
        marginals: of the model.
        one: of a key, or of two.
        scale: of one unit of the model, in the scores' units.
        asked: questions of this kind, which share the level; as many as keys where it is not said.
    """
    normal = statistics.NormalDist()
    asked = asked or len(marginals.alone)
    share = one.share / marginals.total if marginals.total > 0 else 0.0
    best, worst = one.regions()
    if share < LEAST or (best & worst).any() or one.told < normal.inv_cdf(1 - LEVEL / asked):
        return None
    gain, doubt = one.contrast(best, worst)
    reach = normal.inv_cdf((1 + CERTAIN) / 2)
    half = reach * doubt
    there, elsewhere = (tuple(Span(*span) for span in one.spans(cells)) for cells in (best, worst))
    steps = _steps(one, scale, scale * reach) if len(one.axes) == 1 else ()
    return Effect(there, elsewhere, share, scale * gain, scale * (gain - half), scale * (gain + half), steps)


def _steps(one: Marginal, scale: float, reach: float) -> tuple[Step, ...]:
    """A key's effect, cell by cell."""
    (axis,) = one.axes
    cells = zip(axis.middles, scale * one.effect, reach * one.doubts, strict=True)
    return tuple(
        Step(axis.dim.value(float(at)), float(mean), float(mean - half), float(mean + half)) for at, mean, half in cells
    )
