"""Pictures for reports: PNG, readable on a light and on a dark page. matplotlib is imported when one is drawn."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lab.curves import Array, Curve

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's palette, told apart by the colour-blind too; a grey that both backgrounds carry.
COLORS = ("#0072B2", "#E69F00", "#009E73")
INK = "#808080"


@dataclass(frozen=True)
class Band:
    """One run's replicates of one metric."""

    label: str
    curves: Sequence[Curve]


def learning_curves(path: Path, bands: Sequence[Band], ylabel: str) -> bool:
    """Mean and range over the replicates against steps, and each replicate of the first band as a thin line.

    Args:
        path: PNG to write.
        bands: the run first, then what it is compared with.
        ylabel: the metric, with its unit.

    Returns:
        Whether there was anything to draw.
    """
    bands = [band for band in bands if band.curves]
    if not bands:
        return False
    figure, axes = _figure(7.2, 3.4)
    for band, color in zip(bands, COLORS, strict=False):
        steps, stack = _aligned(band.curves)
        axes.fill_between(steps, stack.min(axis=0), stack.max(axis=0), color=color, alpha=0.18, linewidth=0)
        axes.plot(steps, stack.mean(axis=0), color=color, linewidth=1.8, label=f"{band.label} (n={len(stack)})")
    for curve in bands[0].curves:
        axes.plot(curve.steps, curve.values, color=COLORS[0], linewidth=0.6, alpha=0.7)
    axes.set_xlabel("agent steps")
    axes.set_ylabel(ylabel)
    axes.legend(frameon=False, labelcolor=INK)
    _save(figure, path)
    return True


def best_so_far(
    path: Path, scores: Sequence[tuple[str, float, float | None, float | None]], ylabel: str, best: Any
) -> bool:
    """Each run's mean with its interval, in order, and the best mean so far as a step line.

    Args:
        path: PNG to write.
        scores: name, mean, low, high of each run.
        ylabel: the metric.
        best: `max` or `min`, as a function of two numbers.

    Returns:
        Whether there was anything to draw.
    """
    if not scores:
        return False
    figure, axes = _figure(7.2, 3.0)
    index = np.arange(1, len(scores) + 1)
    means = [mean for _, mean, _, _ in scores]
    running = [means[0]]
    for mean in means[1:]:
        running.append(best(running[-1], mean))
    axes.step(index, running, where="post", color=COLORS[1], linewidth=1.8, label="best mean so far")
    for at, (_, mean, low, high) in zip(index, scores, strict=True):
        if low is not None and high is not None:
            axes.vlines(at, low, high, color=COLORS[0], alpha=0.5, linewidth=1.4)
        axes.plot(at, mean, "o", color=COLORS[0], markersize=5)
    axes.plot([], [], "o-", color=COLORS[0], markersize=5, label="mean, 95 % interval")
    axes.set_xticks(index if len(index) <= 20 else index[:: len(index) // 10])
    axes.set_xlabel("run")
    axes.set_ylabel(ylabel)
    axes.legend(frameon=False, labelcolor=INK)
    _save(figure, path)
    return True


def _aligned(curves: Sequence[Curve]) -> tuple[Array, Array]:
    """Replicates on one grid of steps: they log on a timer, each at other steps."""
    steps = np.linspace(
        max(float(curve.steps[0]) for curve in curves), min(float(curve.steps[-1]) for curve in curves), 120
    )
    return steps, np.array([np.interp(steps, curve.steps, curve.values) for curve in curves])


def _figure(width: float, height: float) -> "tuple[Figure, Axes]":
    from matplotlib.figure import Figure
    from matplotlib.ticker import EngFormatter

    figure = Figure(figsize=(width, height), dpi=130, layout="constrained")
    figure.patch.set_alpha(0)
    axes = figure.subplots()
    axes.patch.set_alpha(0)
    axes.grid(color=INK, alpha=0.25, linewidth=0.6)
    axes.tick_params(colors=INK, labelsize=8)
    axes.xaxis.label.set_color(INK)
    axes.yaxis.label.set_color(INK)
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    for spine in axes.spines.values():
        spine.set_color(INK)
        spine.set_alpha(0.5)
    return figure, axes


def _save(figure: "Figure", path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    figure.savefig(part, format="png")
    part.replace(path)
