"""Learning curves: what training logged, read back from Parquet after the run or JSON lines while it trains."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from glob import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lab.base import Damaged, RunPaths, SeedPaths, plain, read_lines

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

STEP = "agent_steps"
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Curve:
    """One metric of one replicate."""

    steps: Array
    """Agent steps, ascending; shape (points,)."""
    values: Array
    """Shape (points,); finite."""


def read_seed(paths: SeedPaths) -> dict[str, Curve]:
    """Every logged metric of a replicate; empty where nothing was logged yet.

    Raises:
        Damaged: the file can't be read.
    """
    columns = _parquet(paths.metrics) if paths.metrics.exists() else _lines(paths.metrics_live)
    steps = columns.get(STEP)
    if steps is None:
        return {}
    curves: dict[str, Curve] = {}
    for name, values in columns.items():
        kept = np.isfinite(values) & np.isfinite(steps)
        if name != STEP and kept.any():
            curves[name] = Curve(steps[kept], values[kept])
    return curves


def run_curves(paths: RunPaths, seeds: tuple[int, ...]) -> dict[int, dict[str, Curve]]:
    """Seed to metric to curve."""
    return {seed: read_seed(paths.seed(seed)) for seed in seeds}


@dataclass(frozen=True)
class Extreme:
    """The highest or lowest point of a curve."""

    value: float
    step: float


@dataclass(frozen=True)
class Outline:
    """A curve in a few numbers."""

    first: float
    last: float
    max: Extreme
    min: Extreme
    quarter_means: tuple[float, ...]
    """Of each quarter of the steps, the first one first."""


def mean_curve(curves: Sequence[Curve]) -> tuple[Array, Array]:
    """The mean over replicates on a common grid of 101 steps: they log on a timer, each at other steps.

    Args:
        curves: one for each replicate, at least one.
    """
    last = min(float(curve.steps[-1]) for curve in curves)
    first = max(float(curve.steps[0]) for curve in curves)
    grid = np.linspace(first, last, 101)
    return grid, np.mean([np.interp(grid, curve.steps, curve.values) for curve in curves], axis=0)


def outline(curves: Sequence[Curve]) -> Outline:
    """First, last, extremes and quarters of a metric: as one replicate logged it, else of the mean over several.

    Args:
        curves: one for each replicate, at least one.
    """
    grid, mean = mean_curve(curves)
    steps, values = grid, mean
    if len(curves) == 1:  # between the points of a grid a peak may be lost
        steps, values = curves[0].steps, curves[0].values
    peak, trough = int(values.argmax()), int(values.argmin())
    return Outline(
        first=float(values[0]),
        last=float(values[-1]),
        max=Extreme(float(values[peak]), float(steps[peak])),
        min=Extreme(float(values[trough]), float(steps[trough])),
        quarter_means=tuple(float(part.mean()) for part in np.array_split(mean, 4)),
    )


def compact(paths: SeedPaths) -> None:
    """Turn the JSON lines of an ended replicate into Parquet; the lines are removed once that is complete."""
    if not paths.metrics_live.exists():
        return
    if paths.metrics_live.stat().st_size:
        temporary = paths.metrics.with_suffix(".parquet.part")
        with _database().cursor() as connection:
            # All lines decide which columns there are, and many columns are no map.
            source = connection.read_json(
                escape(str(paths.metrics_live)),
                format="newline_delimited",
                ignore_errors=True,
                sample_size=-1,
                map_inference_threshold=-1,
            )
            source.write_parquet(str(temporary), compression="zstd")
        temporary.replace(paths.metrics)
    paths.metrics_live.unlink()


@cache
def _database() -> "DuckDBPyConnection":
    """DuckDB without a file, one for the process: to start it takes ten times as long as to read a replicate's curves.

    A connection is for one thread at a time; take a cursor of it, which is a connection of its own.
    """
    import duckdb

    return duckdb.connect()


def _parquet(path: Path) -> dict[str, Array]:
    import duckdb

    try:
        with _database().cursor() as connection:
            columns = connection.execute("FROM read_parquet(?)", [escape(str(path))]).fetchnumpy()
    except duckdb.Error as error:
        raise Damaged(f"{path}: {plain(str(error), 200)}") from error
    return {name: _numbers(values) for name, values in columns.items() if values.dtype != object}


def _lines(path: Path) -> dict[str, Array]:
    rows = list(read_lines(path))
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: np.array([_number(row.get(name)) for row in rows], dtype=np.float64) for name in names}


def _numbers(values: Any) -> Array:
    if isinstance(values, np.ma.MaskedArray):  # a column with gaps
        values = np.where(values.mask, np.nan, values.data.astype(np.float64))
    return np.asarray(values, dtype=np.float64)


def _number(value: object) -> float:
    return float(value) if isinstance(value, (int, float)) else float("nan")
