"""The marginals of a model: the mean score at each value of a key, or of two, over what was tried of the others."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, reduce
from typing import TYPE_CHECKING

from lab.search.model import Belief, matern
from lab.search.points import Choice, Range, SearchSpace
from lab.space.parameters import Scalar

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Mask = NDArray[np.bool_]

CELLS, COARSE = 12, 4
"""Parts that a range is cut into; for two keys together."""
DRAWN = 6
"""The space of the other keys is averaged over 2 to this power of points, a Sobol sequence."""
UNLIKELY = 1.64
"""Standard deviations that a value is believed to lie behind the best, from which on it is not among the best: 5 %."""
LOSS = 0.1
"""A value is among the best, too, where it loses less than this part of all that the key does."""


@dataclass(frozen=True)
class Axis:
    """What was tried of a key, cut into cells: of a range equal parts, of a choice each value."""

    dim: Range | Choice
    tried: "Array"
    """Where the tried points stand, 0 to 1."""
    middles: "Array"
    """Of the cells; one cell where the key stood still."""

    @classmethod
    def of(cls, dim: Range | Choice, cells: int, tried: "Array") -> "Axis":
        """An axis with so many cells, if it is a range."""
        import numpy as np

        if isinstance(dim, Choice):
            return cls(dim, tried, np.unique(tried))
        low, high = float(tried.min()), float(tried.max())
        count = cells if high > low else 1
        return cls(dim, tried, low + (high - low) * (np.arange(count) + 0.5) / count)

    @property
    def cells(self) -> int:
        """How many."""
        return len(self.middles)

    @property
    def at(self) -> "NDArray[np.int64]":
        """The cell of each tried point."""
        import numpy as np

        between = (self.middles[1:] + self.middles[:-1]) / 2
        return np.searchsorted(between, self.tried)

    @property
    def joined(self) -> bool:
        """Whether neighbours are alike, so that what is good is one stretch."""
        return isinstance(self.dim, Range) or self.dim.ordered

    def draw(self, places: "Array") -> "Array":
        """Numbers from 0 to 1, spread over what was tried."""
        import numpy as np

        if isinstance(self.dim, Choice):
            drawn: Array = self.middles[np.minimum((places * self.cells).astype(int), self.cells - 1)]
            return drawn
        low, high = float(self.tried.min()), float(self.tried.max())
        return low + (high - low) * places

    def span(self, good: "Mask") -> tuple[str, tuple[Scalar, ...], tuple[float, float] | None]:
        """The good cells as values: key, the ends of a range or each value of a choice, where the ends stand."""
        import numpy as np

        cells = np.flatnonzero(good)
        if isinstance(self.dim, Choice):
            return self.dim.key, tuple(self.dim.value(float(self.middles[at])) for at in cells), None
        first, last = float(self.tried.min()), float(self.tried.max())
        low, high = (first + (last - first) * float(at) / self.cells for at in (cells[0], cells[-1] + 1))
        return self.dim.key, (self.dim.value(low), self.dim.value(high)), (low, high)


@dataclass(frozen=True)
class Marginal:
    """The mean score in each cell of one axis or two, as far as the model knows it."""

    axes: tuple[Axis, ...]
    mean: "Array"
    """Of each cell, in the model's units."""
    covariance: "Array"
    """Cells × cells."""
    surface: "Array"
    """Cells × draws: the expected score in each cell, at each draw of the other keys."""

    @cached_property
    def effect(self) -> "Array":
        """What the cells do: of one axis the mean's differences, of two what neither does by itself."""
        away: Array = self._split @ self.mean
        return away

    @property
    def doubts(self) -> "Array":
        """Standard deviation of what is believed of each cell's effect."""
        import numpy as np

        doubts: Array = np.sqrt(np.maximum(np.diag(self._split @ self.covariance @ self._split.T), 0.0))
        return doubts

    @property
    def share(self) -> float:
        """Variance of the effect."""
        return float((self.effect**2).mean())

    @property
    def told(self) -> float:
        """How far the effect lies from none, along its own shape, in standard deviations of what is believed of it."""
        import numpy as np

        shape = self._split.T @ self.effect
        doubt = float(shape @ self.covariance @ shape)
        return float(self.effect @ self.effect) / np.sqrt(doubt) if doubt > 0 else 0.0

    @property
    def _split(self) -> "Array":
        """The matrix that takes a mean to an effect."""
        import numpy as np

        return reduce(np.kron, [np.eye(axis.cells) - 1 / axis.cells for axis in self.axes])

    @cached_property
    def visited(self) -> "Mask":
        """Whether a tried point lies in a cell; of one axis, in it or in one beside it."""
        import numpy as np
        from scipy.ndimage import binary_dilation

        shape = tuple(axis.cells for axis in self.axes)
        seen = np.zeros(shape, dtype=bool)
        seen[tuple(axis.at for axis in self.axes)] = True
        if len(shape) == 1 and self.axes[0].joined and not isinstance(self.axes[0].dim, Choice):
            return np.asarray(binary_dilation(seen))
        return seen.ravel()

    def regions(self) -> "tuple[Mask, Mask]":
        """The cells where it is best, and those where it is worst, none that nobody visited."""
        return self._region(self.mean), self._region(-self.mean)

    def _region(self, mean: "Array") -> "Mask":
        import numpy as np
        from scipy.ndimage import label

        top = int(np.argmax(np.where(self.visited, mean, -np.inf)))
        if len(self.axes) > 1:  # of two keys the one cell: what is good of them has any shape
            alone: Mask = np.arange(len(mean)) == top
            return alone
        behind, variances = mean[top] - mean, np.diag(self.covariance)
        doubt = np.sqrt(np.maximum(variances + variances[top] - 2 * self.covariance[top], 0.0))
        slack = LOSS * float(np.ptp(mean[self.visited]))
        good: Mask = self.visited & (behind <= np.maximum(UNLIKELY * doubt, slack))
        if not self.axes[0].joined:
            return good
        stretches, _ = label(good)
        stretch: Mask = np.equal(stretches, stretches[top])
        return stretch

    def contrast(self, best: "Mask", worst: "Mask") -> tuple[float, float]:
        """Mean of some cells against that of others, and the standard deviation of what is believed of it."""
        import numpy as np

        against = best / best.sum() - worst / worst.sum()
        return float(against @ self.mean), float(np.sqrt(max(against @ self.covariance @ against, 0.0)))

    def spans(self, best: "Mask") -> list[tuple[str, tuple[Scalar, ...], tuple[float, float] | None]]:
        """The best cells as values, one entry for each axis."""
        cells = best.reshape([axis.cells for axis in self.axes])
        others = [tuple(other for other in range(cells.ndim) if other != at) for at in range(cells.ndim)]
        return [axis.span(cells.any(axis=rest)) for axis, rest in zip(self.axes, others, strict=True)]


class Marginals:
    """All of a model.

    Args:
        space: of its points.
        belief: the model.
        places: of the points that it was fitted to, points × keys, 0 to 1.
    """

    def __init__(self, space: SearchSpace, belief: Belief, places: "Array") -> None:
        import numpy as np
        from scipy.linalg import solve_triangular
        from scipy.stats import qmc

        self._dims, self._belief, self._places = space.dimensions, belief, places
        self._each = [SearchSpace((dim,)) for dim in space.dimensions]
        ends = np.cumsum([one.features(np.zeros((1, 1))).shape[1] for one in self._each])[:-1]
        self._whitening = solve_triangular(belief.chol, np.eye(len(belief.chol)), lower=True).T
        self._lengths = np.split(belief.lengths, ends)
        drawn = qmc.Sobol(len(self._each), seed=0).random_base2(DRAWN)
        # Over what was tried of each key: where a key stood still, the rest of its range would only add doubt.
        axes = [Axis.of(dim, CELLS, places[:, at]) for at, dim in enumerate(self._dims)]
        self._drawn = [self._scaled(at, axis.draw(drawn[:, at])) for at, axis in enumerate(axes)]
        self._tried = np.split(belief.features / belief.lengths, ends, axis=1)
        self._to_tried: Array = np.sum(list(map(_squares, self._drawn, self._tried)), axis=0)
        self._to_drawn: Array = np.sum(list(map(_squares, self._drawn, self._drawn)), axis=0)
        self.alone = [self._marginal((at,), CELLS) for at in range(len(self._each))]
        """Of each key."""
        self.total = float(np.concatenate([one.surface.ravel() for one in self.alone]).var())
        """Variance of the expected score over the space."""
        self.beside = [float(one.surface.var(axis=0).mean()) - one.share for one in self.alone]
        """Of each key, what it does together with others (its total index less the first-order one, times `total`)."""

    def pair(self, one: int, other: int) -> Marginal:
        """Of two keys, by number."""
        return self._marginal((one, other), COARSE)

    def _marginal(self, keys: Sequence[int], cells: int) -> Marginal:
        import numpy as np

        axes = tuple(Axis.of(self._dims[at], cells, self._places[:, at]) for at in keys)
        middles = np.meshgrid(*(axis.middles for axis in axes), indexing="ij")
        grid = [self._scaled(at, middle.ravel()) for at, middle in zip(keys, middles, strict=True)]
        there, rest = self._to_tried, self._to_drawn
        for at in keys:
            there = there - _squares(self._drawn[at], self._tried[at])
            rest = rest - _squares(self._drawn[at], self._drawn[at])
        near = np.sum([_squares(cell, self._tried[at]) for cell, at in zip(grid, keys, strict=True)], axis=0)
        cross = self._kernel(there[None, :, :] + near[:, None, :])
        # Cells that are as far apart have one covariance before anything is known: few different distances.
        apart, which = np.unique(
            np.round(np.sum([_squares(cell, cell) for cell in grid], axis=0), 9), return_inverse=True
        )
        prior = np.array([self._kernel(rest + far).mean() for far in apart])[which].reshape(len(near), len(near))
        surface = (cross.reshape(-1, cross.shape[2]) @ self._belief.weights).reshape(cross.shape[:2])
        known = cross.mean(axis=1) @ self._whitening
        return Marginal(axes, surface.mean(axis=1), prior - known @ known.T, surface)

    def _scaled(self, at: int, places: "Array") -> "Array":
        """A key's features at these places, in units of their lengths."""
        scaled: Array = self._each[at].features(places[:, None]) / self._lengths[at]
        return scaled

    def _kernel(self, squares: "Array") -> "Array":
        import numpy as np

        return self._belief.signal * matern(np.sqrt(np.maximum(squares, 0.0)))


def _squares(one: "Array", other: "Array") -> "Array":
    """Squared distances, rows × rows."""
    from scipy.spatial.distance import cdist

    squares: Array = cdist(one, other, "sqeuclidean")
    return squares
