"""What a search believes of its history: the model fitted to it, the leader, and what a point is expected to score.

By whichever statistic a point is summed up, the model is told one number of it: what the statistic of `COMPARED`
replicates is expected to be. Of a point with fewer it is what those come to, and what the points that have as many
lost by then.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from lab.search.history import History, Trial
from lab.search.model import Belief, believe
from lab.search.points import SearchSpace
from lab.space import Statistic, summed_up
from lab.space.parameters import Scalar

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

Ended = tuple[tuple[tuple[str, Scalar], ...], tuple[float, ...], int]
"""What came of a trial: its point, its scores, how many replicates failed."""
WINDOW = 200
"""Trials that the model reads: the best half of them and the newest."""
OUTLYING = 1.5
"""How far beyond the middle four fifths of the scores, in their width, the model tells scores apart."""
FITTED = 8
"""Models that are kept: what is asked of the same trials again is not fitted anew."""
COMPARED = 5
"""Replicates at which points are compared whose statistic depends on their number."""
EFFICIENCY: dict[Statistic, float] = {"mean": 1.0, "iqm": 0.84, "median": 0.64}
"""What a replicate tells of the statistic, beside what it tells of the mean: the ratio of variances under normal noise.

Of the worst of n replicates that falls with n, about as 1 / sqrt(n) (Teichroew 1956), to that of `COMPARED`."""
MEASURED = 4
"""Replicates beside the first of their points, from which on they say how far replicates lie apart."""


@dataclass(frozen=True)
class Believed:
    """What a search believes in."""

    leader: int
    """Number of the trial."""
    mean: float
    """Score that is believed of it: the statistic of `COMPARED` replicates."""
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
    lost: float = 0.0
    """By how much the statistic of `COMPARED` replicates lies above that of one, in the scores' units."""

    @classmethod
    def of(cls, history: History) -> "Known | None":
        """None while nothing has a score."""
        return known_of(history.space, ended(history.trials), history.statistic)


def ended(trials: Sequence[Trial]) -> tuple[Ended, ...]:
    """Trials as a model knows them."""
    return tuple((tuple(trial.point.items()), trial.scores, trial.failed) for trial in trials)


@lru_cache(maxsize=FITTED)
def known_of(space: SearchSpace, trials: tuple[Ended, ...], statistic: Statistic = "mean") -> Known | None:
    """The model of these trials, fitted once however often it is asked for; None while nothing has a score."""
    import numpy as np

    scores = [score for _, those, _ in trials for score in those]
    if not scores:
        return None
    low, high = _ends(scores)
    scores = np.clip(scores, low, high).tolist()
    worst, middle, scale = min(scores), float(np.mean(scores)), float(np.std(scores)) or 1.0
    values_of = {
        at: np.clip([*those, *([worst] * failed)], low, high)
        for at, (_, those, failed) in enumerate(trials)
        if those or failed
    }
    at = list(values_of)
    if len(at) > WINDOW:
        best = sorted(at, key=lambda i: -_level(values_of[i], statistic))[: WINDOW // 2]
        at = sorted({at[0], *best, *at[-WINDOW // 2 :]})
    values = [(values_of[i] - middle) / scale for i in at]
    free = sum(len(v) - 1 for v in values)
    spread = float(sum(((v - v.mean()) ** 2).sum() for v in values) / free) if free >= MEASURED else None
    places = np.stack([space.places(dict(trials[i][0])) for i in at])
    lost = _lost(values, statistic)
    levels = np.array([_level(v, statistic) + lost.get(len(v), 0.0) for v in values])
    counts = np.array([_told(statistic, len(v)) for v in values])
    belief = believe(space.features(places), levels, counts, spread)
    return Known(belief, at, places, scale, middle, scale * lost.get(1, 0.0))


def _told(statistic: Statistic, n: int) -> float:
    """How many replicates would tell as much of a mean as n tell of a statistic."""
    share = min(n, COMPARED) ** -0.5 if statistic == "worst" else EFFICIENCY[statistic]
    return max(1.0, share * n)


def _level(values: "Array", statistic: Statistic) -> float:
    """The statistic of a point's replicates, as it is expected of `COMPARED` of them where there are more."""
    return summed_up(values.tolist(), statistic, min(COMPARED, len(values)))


def _lost(values: "list[Array]", statistic: Statistic) -> dict[int, float]:
    """By how much the statistic changes from fewer replicates to `COMPARED`, on average over points with so many.

    Where there are none, to as many as the point with the most has.
    """
    if statistic == "mean":
        return {}
    most = min(COMPARED, max(len(v) for v in values))
    whole = [v.tolist() for v in values if len(v) >= most]
    change = [[summed_up(v, statistic, most) - summed_up(v, statistic, n) for v in whole] for n in range(1, most)]
    return {n: sum(each) / len(whole) for n, each in enumerate(change, start=1)}


def _ends(scores: Sequence[float]) -> tuple[float, float]:
    """Between which scores are told apart: one return of minus a million must not make all others look alike."""
    import numpy as np

    low, high = np.quantile(scores, [0.1, 0.9]).tolist()
    room = OUTLYING * (high - low)
    return (low - room, high + room) if room > 0 else (min(scores), max(scores))
