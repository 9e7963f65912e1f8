"""The space of a search, whatever its keys are called: ranges and choices, and where a value stands in them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from lab.space import Scale
from lab.space.parameters import Scalar

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Point = dict[str, Scalar]
"""A value for each key of a search space."""
TINY = 1e-14
"""The smallest number on a logarithmic scale, which has no place for 0."""


@dataclass(frozen=True)
class Range:
    """A key with numbers between two ends."""

    key: str
    low: float
    high: float
    scale: Scale = Scale.LINEAR
    whole: bool = False
    """Whether only whole numbers are valid."""
    work: bool = False
    """Whether it says how much has to be computed: a training may take many times as long for it."""

    def place(self, value: Scalar) -> float:
        """Where a value stands in the range, 0 to 1 on its scale; what lies outside counts as the nearest end."""
        low, high = self._ends
        if high <= low:
            return 0.5
        return min(max((self._scaled(float(value or 0)) - low) / (high - low), 0.0), 1.0)

    def holds(self, value: Scalar) -> bool:
        """Whether a value lies in the range."""
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        return number and self.low <= float(value or 0) <= self.high

    def value(self, place: float) -> Scalar:
        """The value at a place from 0 to 1, to three digits."""
        low, high = self._ends
        number = low + (high - low) * min(max(place, 0.0), 1.0)
        if self.scale is Scale.POW2:
            return int(2 ** round(number))
        if self.scale in (Scale.LOG, Scale.LOGIT):
            number = math.exp(number)
        number = 1 - number if self.scale is Scale.LOGIT else number
        if self.whole:
            return round(number)
        small = 1 - number if self.scale is Scale.LOGIT else number
        digits = 2 - math.floor(math.log10(abs(small))) if small else 3
        return min(max(round(number, max(0, digits)), self.low), self.high)

    @cached_property
    def _ends(self) -> tuple[float, float]:
        low, high = sorted((self._scaled(self.low), self._scaled(self.high)))
        return low, high

    def _scaled(self, value: float) -> float:
        if self.scale is Scale.POW2:
            return math.log2(max(value, TINY))
        if self.scale is Scale.LOGIT:
            return math.log(max(1 - value, TINY))
        return math.log(max(value, TINY)) if self.scale is Scale.LOG else value


@dataclass(frozen=True)
class Choice:
    """A key with a few values; numbers among them are taken to be in order."""

    key: str
    values: tuple[Scalar, ...]
    work: bool = False
    """As of a range."""

    @property
    def ordered(self) -> bool:
        """Whether the values are numbers, so that neighbours are alike."""
        return all(isinstance(value, (int, float)) for value in self.values)

    def place(self, value: Scalar) -> float:
        """The middle of the share of 0 to 1 that belongs to a value; an unknown number counts as the nearest one."""
        if value in self.values:
            at = self.values.index(value)
        elif self.ordered and isinstance(value, (int, float)):
            at = min(range(len(self.values)), key=lambda i: abs(float(self.values[i] or 0) - value))
        else:
            at = 0
        return (at + 0.5) / len(self.values)

    def holds(self, value: Scalar) -> bool:
        """Whether a value is one of them; 1 is 1.0, and neither is true."""
        return any(value == one and isinstance(value, bool) is isinstance(one, bool) for one in self.values)

    def value(self, place: float) -> Scalar:
        """The value whose share of 0 to 1 a place lies in."""
        return self.values[min(max(int(place * len(self.values)), 0), len(self.values) - 1)]


@dataclass(frozen=True)
class SearchSpace:
    """The keys that a search may change."""

    dimensions: tuple[Range | Choice, ...]

    def places(self, point: Mapping[str, Scalar]) -> "NDArray[np.float64]":
        """One number from 0 to 1 for each key, in the order of `dimensions`."""
        import numpy as np

        return np.array([dim.place(point[dim.key]) for dim in self.dimensions])

    def point(self, places: "Sequence[float] | NDArray[np.float64]") -> Point:
        """The point at these places, one number from 0 to 1 for each key."""
        return {dim.key: dim.value(float(place)) for dim, place in zip(self.dimensions, places, strict=True)}

    def features(self, places: "NDArray[np.float64]") -> "NDArray[np.float64]":
        """What a model reads of places: choices without an order as one column for each value.

        Args:
            places: points × keys.

        Returns:
            points × features, each from 0 to 1.
        """
        import numpy as np

        columns = []
        for at, dim in enumerate(self.dimensions):
            column = places[:, at]
            if isinstance(dim, Range):
                columns.append(column)
                continue
            index = np.minimum((column * len(dim.values)).astype(int), len(dim.values) - 1)
            if dim.ordered or len(dim.values) == 2:
                columns.append(index / max(1, len(dim.values) - 1))
            else:
                columns += [(index == value) * math.sqrt(0.5) for value in range(len(dim.values))]
        return np.stack(columns, axis=1) if columns else np.zeros((len(places), 0))
