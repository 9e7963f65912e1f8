"""What answers a search in a replay, its truth known: models fitted to a table, or the table's own configs."""

import warnings
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import qmc

from benchmarks.arms.table import Table
from lab.search import Point

NEAR = 25
"""Configs of about the same predicted level whose residuals a replicate of a surrogate is drawn from."""
MATTER = 8
"""Keys that matter in a narrow world, or all where there are fewer."""
WIDTHS = (0.3, 1.0)
"""How far one of them may go from its best place, as a share of its range, before a 1/e of the score is left."""
TUNED = 0.6
"""The baseline's score in a narrow world, where 1 is the best."""
UNSTEADY = 0.12
"""Standard deviation of a replicate there, at the middle of the scores; a sixth of it at the ends."""
EVERYWHERE = 14
"""The best and the worst of a surrogate are looked for among 2 to this power of points, and the table's own."""


@dataclass
class Surrogate:
    """A model of the mean score, with the table's residuals as noise: seeds never run out."""

    table: Table
    kind: str
    """`trees` or `gp`."""
    r2: float = field(init=False)
    """Cross-validated share of the variance of the configs' means that it explains."""

    def __post_init__(self) -> None:
        from sklearn.model_selection import KFold, cross_val_predict  # seconds, which a table alone does not need

        table = self.table
        features, means = table.space.features(table.places), table.means
        self.model, fixed = fitted(self.kind, features, means)
        predicted = cross_val_predict(fixed, features, means, cv=KFold(10, shuffle=True, random_state=0))
        self.r2 = float(1 - ((predicted - means) ** 2).mean() / means.var())
        self.ends = float(means.min()), float(means.max())  # a model that leaves what was ever seen invents scores
        everywhere = qmc.Sobol(len(table.space.dimensions), seed=0).random_base2(EVERYWHERE)
        levels = self.means(table.places)
        wide = np.concatenate([levels, self.means(everywhere)])
        self.low, self.high = float(wide.min()), float(wide.max())
        self.order = np.argsort(levels)
        self.levels = levels[self.order]
        every = np.concatenate(table.scores)
        self.bounds = float(every.min()), float(every.max())

    def mean(self, point: Point) -> float:
        """The mean score of a point, in the table's units."""
        return float(self.means(self.table.space.places(point)[None])[0])

    def means(self, places: NDArray[np.float64]) -> NDArray[np.float64]:
        """The mean scores of points, by their places (points × keys), in the table's units."""
        return np.clip(self.model.predict(self.table.space.features(places)), *self.ends)

    def truth(self, point: Point) -> float:
        """The mean score of a point, 0 for the worst and 1 for the best there is."""
        return (self.mean(point) - self.low) / (self.high - self.low)

    def draw(self, point: Point, count: int, random: np.random.Generator) -> list[float]:
        """Replicates of a point.

        Each is that of a config of about the same predicted level, moved so that its config's mean becomes this
        point's: towards the table's lowest score or its highest one in proportion, so that no score leaves what the
        task can give (added residuals would: half a cartpole's mean and a lucky seed made 600 of 500).
        """
        mean = self.mean(point)
        at = int(np.searchsorted(self.levels, mean))
        start = min(max(at - NEAR // 2, 0), max(0, len(self.levels) - NEAR))
        near = self.order[start : start + NEAR]
        return [self._moved(self.table.scores[int(random.choice(near))], mean, random) for _ in range(count)]

    def _moved(self, scores: NDArray[np.float64], mean: float, random: np.random.Generator) -> float:
        score, level = float(random.choice(scores)), float(scores.mean())
        end = self.bounds[0] if mean <= level else self.bounds[1]
        return mean if level == end else end + (score - end) * (mean - end) / (level - end)


def fitted(kind: str, features: NDArray[np.float64], means: NDArray[np.float64]) -> tuple[Any, Any]:
    """A model of a table, and one to cross-validate: the same, with the kernel that all configs have chosen."""
    from sklearn.ensemble import ExtraTreesRegressor
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

    if kind == "trees":
        trees = ExtraTreesRegressor(100, min_samples_leaf=2, random_state=0, n_jobs=1)
        return trees.fit(features, means), trees
    kernel = ConstantKernel(1.0) * Matern([1.0] * features.shape[1], (0.05, 20.0), nu=2.5) + WhiteKernel(0.1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a kernel at the end of its range: a key that does not matter
        process = GaussianProcessRegressor(kernel, normalize_y=True, random_state=0).fit(features, means)
    return process, GaussianProcessRegressor(process.kernel_, optimizer=None, normalize_y=True)


@dataclass
class Pool:
    """The table's own configs: half of each config's seeds answer, the other half are the truth."""

    table: Table
    night: int

    def __post_init__(self) -> None:
        draw = np.random.default_rng([7, self.night])
        self.answers: dict[int, list[float]] = {}
        truths: list[float] = []
        for at, scores in enumerate(self.table.scores):
            mixed = draw.permutation(scores)
            half = len(mixed) // 2
            self.answers[at] = mixed[:half].tolist()
            truths.append(float(mixed[half:].mean()))
        self.truths = np.array(truths)
        self.low, self.high = float(self.truths.min()), float(self.truths.max())

    def truth(self, point: Point) -> float:
        """The mean of the seeds that were kept away from the search, 0 for the worst config's and 1 for the best's."""
        return float((self.truths[self.table.points.index(point)] - self.low) / (self.high - self.low))

    def draw(self, point: Point, count: int, random: np.random.Generator) -> list[float]:
        """Replicates that were not used yet, fewer than asked for where they run out."""
        del random
        left = self.answers[self.table.points.index(point)]
        taken, left[:] = left[:count], left[count:]
        return taken


@dataclass
class Narrow:
    """A made-up task over a table's keys whose baseline is nearly right: most configs score next to nothing.

    A score is the product of a bell around the best place of each key that matters, so that all have to be about right
    at once; which they are and how wide their bells are is drawn anew for each night.
    """

    table: Table
    night: int

    def __post_init__(self) -> None:
        draw = np.random.default_rng([11, self.night])
        width = len(self.table.space.dimensions)
        self.matter = draw.permutation(width)[: min(MATTER, width)]
        self.widths = np.exp(draw.uniform(*np.log(WIDTHS), len(self.matter)))
        start = self.table.space.places(self.table.default)[self.matter]
        away = draw.standard_normal(len(self.matter))
        away *= self.widths * np.sqrt(-np.log(TUNED) / (away**2).sum())  # so that the baseline's score is `TUNED`
        self.best = start + np.where((start + away < 0) | (start + away > 1), -away, away)

    def truth(self, point: Point) -> float:
        """The mean score of a point, from 0 to 1."""
        places = self.table.space.places(point)[self.matter]
        return float(np.exp(-(((places - self.best) / self.widths) ** 2).sum()))

    def draw(self, point: Point, count: int, random: np.random.Generator) -> list[float]:
        """Replicates of a point: normal, less so where a score can't leave 0 to 1."""
        mean = self.truth(point)
        spread = UNSTEADY * (1 / 6 + 5 / 6 * 4 * mean * (1 - mean))
        return np.clip(mean + spread * random.standard_normal(count), 0.0, 1.0).tolist()
