"""Where one replicate of a config will score: a mean and an interval that holds as often as it says.

The process of `model.py` gives mean and width; how wide that has to be is taken from how its own forecasts have fared.
In the order in which configs were tried, each is foretold from those before it: those errors, each by its standard
deviation, are the process's innovations, and come with its Cholesky factor (Rasmussen & Williams 2006, section 2.2).
The interval lies between two of their quantiles, those weighing more that were expected at about the same level (split
conformal prediction, made local: Lei et al. 2018, JASA 113; Guan 2023, Biometrika 110). So what the choice of configs
does to them is part of it: who picks what looks best is disappointed on average.
"""

import math
from typing import TYPE_CHECKING, NamedTuple

from lab.search.beliefs import Known
from lab.search.history import History
from lab.search.model import Belief
from lab.search.points import Point

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

FEW = 6
"""Configs that what is said of all of them weighs as much as: nothing is known yet of how configs differ."""
PRIOR = 0.25
"""Standard deviation between configs before any was tried, as a share of what the score can be, else of its size."""
PSEUDO = 8
"""Normal errors that are counted as if they had been made, so that the first quantiles are those of a normal law."""
SHARE = 0.75
"""Weight of each of them, beside 1 for an error that was made at the same level."""
LEVEL = 0.6
"""Width of the window over levels, in standard deviations of all scores."""
LATEST = 60
"""Errors that are looked at, the newest."""


class Forecast(NamedTuple):
    """Of one replicate, in the scores' units, more is better."""

    mean: float
    low: float
    high: float


def forecast(
    history: History, point: Point, coverage: float, bounds: tuple[float | None, float | None] = (None, None)
) -> Forecast | None:
    """Where a replicate of a point will score; None while nothing has a score.

    Args:
        history: what was tried.
        point: anywhere in the space.
        coverage: how often the interval is to hold, between 0 and 1.
        bounds: the least and the most that a score can be, None where nothing is known.
    """
    known = Known.of(history)
    if known is None:
        return None
    belief = known.belief
    places = history.space.places(point)[None, :]
    smooth, doubt = belief.predict(history.space.features(places))
    count = len(known.at)
    prior = _prior(known, bounds) / known.scale
    between = (FEW * prior**2 + count * (float(doubt[0]) ** 2 + belief.own)) / (FEW + count)
    if count > 3 * FEW:
        between = float(doubt[0]) ** 2 + belief.own
    sd = math.sqrt(between + belief.noise)
    least, most = (end if end is not None else far for end, far in zip(bounds, (-math.inf, math.inf), strict=True))
    middle = known.middle + known.scale * float(smooth[0]) - known.lost
    errors = _errors(belief, float(smooth[0]), coverage)
    return Forecast(*(min(max(middle + known.scale * sd * error, least), most) for error in errors))


def _prior(known: Known, bounds: tuple[float | None, float | None]) -> float:
    low, high = bounds
    if low is not None and high is not None:
        return PRIOR * (high - low)
    return PRIOR * max(abs(known.middle), known.scale)


def _errors(belief: Belief, level: float, coverage: float) -> tuple[float, float, float]:
    """The mean error, and the quantiles at both ends of an interval, in standard deviations."""
    import numpy as np
    from scipy.stats import norm

    errors, levels = belief.errors()
    errors, levels = errors[1:][-LATEST:], levels[1:][-LATEST:]  # the first is that of the level itself
    made = norm.ppf((np.arange(PSEUDO) + 0.5) / PSEUDO)
    every = np.concatenate([errors, made / made.std()])
    weights = np.concatenate([np.exp(-0.5 * ((levels - level) / LEVEL) ** 2), np.full(PSEUDO, SHARE)])
    low, high = (_quantile(every, weights, share) for share in ((1 - coverage) / 2, (1 + coverage) / 2))
    return float(np.average(every, weights=weights)), low, high


def _quantile(values: "Array", weights: "Array", share: float) -> float:
    """A weighted quantile, linear between the middles of the steps."""
    import numpy as np

    order = np.argsort(values)
    below = np.cumsum(weights[order])
    return float(np.interp(share, (below - 0.5 * weights[order]) / below[-1], values[order]))
