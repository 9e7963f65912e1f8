"""Tables of runs in ARLBench's format: configs × seeds × checkpoints, whatever the hyperparameters are called."""

import csv
import lzma
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lab.base import InvalidInput
from lab.search import Choice, Point, Range, SearchSpace
from lab.space import Scale
from lab.space.parameters import Scalar

PREFIX = "hp_config."
NEEDED = ("run_id", "seed", "budget", "performance")
FEW = 8
"""Up to so many different values of a column are choices."""
DEFAULTS: dict[str, Scalar] = {
    "learning_rate": 2.5e-4, "ent_coef": 0.01, "gae_lambda": 0.95, "clip_eps": 0.2, "vf_clip_eps": 0.2,
    "vf_coef": 0.5, "max_grad_norm": 0.5, "minibatch_size": 64, "normalize_advantage": True,
}  # fmt: skip
"""ARLBench's defaults of PPO (Becktepe et al. 2024, appendix), the baseline of a table that has no others."""


@dataclass(frozen=True)
class Table:
    """Configs of one task with the final scores of their seeds."""

    name: str
    space: SearchSpace
    points: tuple[Point, ...]
    scores: tuple[NDArray[np.float64], ...]
    """Of each config, one number for each seed; more is better."""
    default: Point
    """The baseline; not necessarily among the points."""

    @property
    def means(self) -> NDArray[np.float64]:
        """Of each config."""
        return np.array([scores.mean() for scores in self.scores])

    @property
    def places(self) -> NDArray[np.float64]:
        """Configs × keys."""
        return np.stack([self.space.places(point) for point in self.points])


def read_table(path: Path, default: dict[str, Scalar] | None = None) -> Table:
    """A table from a CSV file, packed or not.

    Args:
        path: columns `run_id`, `seed`, `budget`, `performance` and `hp_config.*`; of each seed the row with the most
            budget counts. A seed without a finite score counts as the worst of the table.
        default: the baseline's values by column name without its prefix. ARLBench's defaults fill what is missing, the
            middle of the range what these don't name; in a table with other columns altogether the first config does.

    Raises:
        InvalidInput: it is no such table.
    """
    try:
        return _table(path, default or {})
    except (ValueError, csv.Error, lzma.LZMAError) as error:
        raise InvalidInput(f"{path}: is no table of runs: {error}") from error


def _table(path: Path, default: Mapping[str, Scalar]) -> Table:
    text = lzma.decompress(path.read_bytes()).decode() if path.suffix == ".xz" else path.read_text()
    rows = list(csv.DictReader(text.splitlines()))
    keys = [name for name in (rows[0] if rows else ()) if name.startswith(PREFIX)]
    if not keys or missing_from(rows[0]):
        columns = ", ".join((*NEEDED, f"{PREFIX}…"))
        raise InvalidInput(f"{path}: is no table of runs: it must have rows, and columns {columns}")
    points: dict[str, Point] = {}
    last: dict[tuple[str, str], tuple[float, float]] = {}
    for row in rows:
        points.setdefault(row["run_id"], {key.removeprefix(PREFIX): _value(row[key]) for key in keys})
        seed, budget = (row["run_id"], row["seed"]), float(row["budget"])
        if seed not in last or budget > last[seed][0]:
            last[seed] = (budget, float(row["performance"] or "nan"))
    finite = [score for _, score in last.values() if math.isfinite(score)]
    if not finite:
        raise InvalidInput(f"{path}: is no table of runs: no performance is a number")
    worst = min(finite)
    scores: dict[str, list[float]] = defaultdict(list)
    for (run, _), (_, score) in last.items():
        scores[run].append(score if math.isfinite(score) else worst)
    first = next(iter(points.values()))
    space = SearchSpace(tuple(dimension(key, [point[key] for point in points.values()]) for key in first))
    middle = {dim.key: dim.value(0.5) for dim in space.dimensions}
    start = {**(middle if DEFAULTS.keys() & first.keys() else first), **DEFAULTS, **default}
    known = {dim.key: dim.value(dim.place(start[dim.key])) for dim in space.dimensions}
    return Table(
        path.name.split(".")[0], space, tuple(points.values()), tuple(np.array(scores[run]) for run in points), known
    )


def missing_from(row: Mapping[str, object]) -> bool:
    """Whether a row lacks a column that every table has."""
    return any(name not in row for name in NEEDED)


def _value(text: str) -> Scalar:
    if text in ("True", "False"):
        return text == "True"
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return float(text)
    except ValueError:
        return text


def dimension(key: str, values: Sequence[Scalar]) -> Range | Choice:
    """What a column's values were drawn from: few values are choices, numbers are even on one of the scales."""
    different = sorted(set(values), key=str)
    if len(different) <= FEW or not all(isinstance(value, (int, float)) for value in different):
        numbers = all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in different)
        ordered = sorted(different, key=lambda value: float(value or 0)) if numbers else different
        return Choice(key, tuple(ordered))
    numbers_ = [float(value or 0) for value in values]
    low, high = min(numbers_), max(numbers_)
    scales = [Scale.LINEAR, *([Scale.LOG] if low > 0 else []), *([Scale.LOGIT] if low >= 0 and high < 1 else [])]
    ranges = [Range(key, low, high, scale, all(isinstance(value, int) for value in values)) for scale in scales]
    return min(ranges, key=lambda range_: _unevenness([range_.place(value) for value in numbers_]))


def _unevenness(places: Sequence[float]) -> float:
    """The largest distance between the distribution of places and the uniform one (Kolmogorov)."""
    ranked = np.sort(places)
    return float(np.abs(ranked - (np.arange(len(ranked)) + 0.5) / len(ranked)).max())
