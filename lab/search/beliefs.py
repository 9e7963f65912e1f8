"""What a search believes of its history: the model fitted to it, the leader, and what a point is expected to score."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from lab.search.history import History
from lab.search.model import Belief, believe
from lab.search.points import Point, SearchSpace
from lab.space.parameters import Scalar

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

WINDOW = 200
"""Trials that the model reads: the best half of them and the newest."""
OUTLYING = 1.5
"""How far beyond the middle four fifths of the scores, in their width, the model tells scores apart."""
FITTED = 8
"""Models that are kept: what is asked of the same trials again is not fitted anew."""
MEASURED = 4
"""Replicates beside the first of their points, from which on they say how far replicates lie apart."""


@dataclass(frozen=True)
class Believed:
    """What a search believes in."""

    leader: int
    """Number of the trial."""
    mean: float
    """Score that is believed of it."""
    gain: float
    """How much better than trial 0 it is believed to be, in the scores' units."""
    doubt: float
    """Standard deviation of what is believed of that."""
    noise: float
    """Standard deviation between replicates, in the scores' units."""


def believed(history: History) -> Believed | None:
    """The leader and what is expected of it; None while nothing has a score."""
    import numpy as np

    known = Known.of(history)
    if known is None:
        return None
    mean, covariance = known.belief.posterior()
    scored = np.array([bool(history.trials[at].scores) for at in known.at])
    best = int(np.argmax(np.where(scored, mean, -np.inf)))
    every = np.eye(len(mean))
    away = every[best] - (every[known.at.index(0)] if 0 in known.at else 1 / len(mean))
    return Believed(
        leader=known.at[best],
        mean=known.middle + known.scale * float(mean[best]),
        gain=known.scale * float(away @ mean),
        doubt=known.scale * math.sqrt(max(float(away @ covariance @ away), 0.0)),
        noise=known.scale * math.sqrt(known.belief.noise),
    )


def ranked(history: History) -> list[tuple[int, float, float]]:
    """The trials with a score, the one believed best first: number, mean and standard deviation of its true score.

    In the scores' units; what is known of a trial's neighbours is part of it. Empty while nothing has a score.
    """
    known = Known.of(history)
    if known is None:
        return []
    mean, covariance = known.belief.posterior()
    scored = [at for at, trial in enumerate(known.at) if history.trials[trial].scores]
    return [
        (
            known.at[at],
            known.middle + known.scale * float(mean[at]),
            known.scale * math.sqrt(max(float(covariance[at, at]), 0.0)),
        )
        for at in sorted(scored, key=lambda at: -mean[at])
    ]


def expected(history: History, point: Point) -> tuple[float, float] | None:
    """Mean and standard deviation of one replicate of a point, in the scores' units; None while nothing has a score."""
    known = Known.of(history)
    if known is None:
        return None
    places = history.space.places(point)[None, :]
    mean, spread = known.belief.predict(history.space.features(places))
    whole = math.sqrt(float(spread[0]) ** 2 + known.belief.own + known.belief.noise)
    return known.middle + known.scale * float(mean[0]), known.scale * whole


@dataclass(frozen=True)
class Known:
    """The model of a history and the trials that it was fitted to."""

    belief: Belief
    at: list[int]
    places: "Array"
    scale: float
    """Standard deviation of all scores: one unit of the model."""
    middle: float
    """Mean of all scores: the model's zero."""

    @classmethod
    def of(cls, history: History) -> "Known | None":
        """None while nothing has a score."""
        trials = tuple((tuple(t.point.items()), t.scores, t.failed) for t in history.trials)
        return _known_of(history.space, trials)


@lru_cache(maxsize=FITTED)
def _known_of(
    space: SearchSpace, trials: tuple[tuple[tuple[tuple[str, Scalar], ...], tuple[float, ...], int], ...]
) -> Known | None:
    """The model of these trials (point, scores, failures), fitted once however often it is asked for."""
    import numpy as np

    scores = [score for _, those, _ in trials for score in those]
    if not scores:
        return None
    low, high = _ends(scores)
    scores = np.clip(scores, low, high).tolist()
    worst, middle, scale = min(scores), float(np.mean(scores)), float(np.std(scores)) or 1.0
    ended = {
        at: np.clip([*those, *([worst] * failed)], low, high)
        for at, (_, those, failed) in enumerate(trials)
        if those or failed
    }
    at = list(ended)
    if len(at) > WINDOW:
        best = sorted(at, key=lambda i: -float(np.mean(ended[i])))[: WINDOW // 2]
        at = sorted({at[0], *best, *at[-WINDOW // 2 :]})
    values = [(ended[i] - middle) / scale for i in at]
    free = sum(len(v) - 1 for v in values)
    spread = float(sum(((v - v.mean()) ** 2).sum() for v in values) / free) if free >= MEASURED else None
    places = np.stack([space.places(dict(trials[i][0])) for i in at])
    means, counts = np.array([v.mean() for v in values]), np.array([float(len(v)) for v in values])
    return Known(believe(space.features(places), means, counts, spread), at, places, scale, middle)


def _ends(scores: Sequence[float]) -> tuple[float, float]:
    """Between which scores are told apart: one return of minus a million must not make all others look alike."""
    import numpy as np

    low, high = np.quantile(scores, [0.1, 0.9]).tolist()
    room = OUTLYING * (high - low)
    return (low - room, high + room) if room > 0 else (min(scores), max(scores))
