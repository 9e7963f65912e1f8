"""Pictures for reports: PNG, readable on a light and on a dark page. matplotlib is imported when one is drawn."""

import itertools
import math
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lab.base import cache_dir
from lab.judge import Scored
from lab.search import ArmStanding
from lab.search.standing import TOGETHER
from lab.space import Objective, Scale
from lab.store import Array, Curve

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's palette, told apart by the colour-blind too, its blue lightened for dark pages; a grey for both.
COLORS = ("#2583C4", "#E69F00", "#009E73")
MISSED = "#D55E00"
MORE = (MISSED, "#CC79A7", "#56B4E9")
"""Colours beside the first three, where more are to be told apart."""
SHORT = 2.0
"""Hours of a session below which its time is drawn in minutes."""
INK = "#808080"
ROLES = {"this run": COLORS[0], "parent": COLORS[1], "incumbent": COLORS[2], "leader": MORE[1]}


@dataclass(frozen=True)
class Band:
    """One run's replicates of one metric."""

    label: str
    curves: Sequence[Curve]


@dataclass(frozen=True)
class Point:
    """One run where a parameter is shown against the score."""

    x: float | str
    """The parameter's value; a text for what is no number."""
    values: Sequence[float]
    """The score of each replicate; none for a run without one."""
    role: str = ""
    """One of `ROLES`, what else it is in brackets; empty for any other run."""
    alone: bool = False
    """It differs from this run in no other parameter."""


def learning_curves(path: Path, bands: Sequence[Band], ylabel: str, ground: str = "none") -> None:
    """Mean and range over the replicates against steps, and each replicate of the first band as a thin line.

    Args:
        path: PNG to write.
        bands: the run first, then what it is compared with.
        ylabel: the metric, with its unit.
        ground: the colour behind it, for who has no page to show it on.
    """
    bands = [band for band in bands if band.curves]
    figure, (axes,) = _figure(7.2, 3.6, above=0.4)
    from matplotlib.ticker import EngFormatter

    for band in bands:
        color = _color(band.label)
        steps, stack = _aligned(band.curves)
        axes.fill_between(steps, stack.min(axis=0), stack.max(axis=0), color=color, alpha=0.18, linewidth=0)
        few = "o" if steps[0] == steps[-1] else None  # logged once: a line would not be seen
        mean, label = stack.mean(axis=0), f"{band.label} (n={len(stack)})"
        axes.plot(steps, mean, color=color, linewidth=1.8, marker=few, label=label)
    for curve in bands[0].curves:
        axes.plot(curve.steps, curve.values, color=COLORS[0], linewidth=0.6, alpha=0.7)
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.set_xlabel("agent steps")
    axes.set_ylabel(ylabel)
    figure.legend(frameon=False, labelcolor=INK, loc="upper left", ncols=4)
    _save(figure, path, ground)


def best_so_far(
    path: Path,
    scores: Sequence[tuple[str, float, float | None, float | None]],
    goal: Objective,
    *,
    first: int = 1,
    before: float | None = None,
    hours: Sequence[float] | None = None,
    crowned: Sequence[float] = (),
    believed: Sequence[tuple[float, float]] = (),
) -> None:
    """Each run's mean with its interval, in order, and a step line: what the search believed of its leader.

    Where it wrote nothing down, the best mean so far, which the luck of the draw flatters.

    Args:
        path: PNG to write.
        scores: name, mean, low, high of each run.
        goal: the objective.
        first: number of the first run shown.
        before: the best mean of those that are not shown.
        hours: when each ended, since the start; then they stand over time instead of over their number.
        crowned: hours at which a run became incumbent.
        believed: when, on the same axis as the runs, and the score that the leader was believed to have.
    """
    figure, (axes,) = _figure(7.2, 3.2, above=0.4)
    unit, scale = ("minutes", 60.0) if hours and hours[-1] < SHORT else ("hours", 1.0)
    crowned, believed = [scale * at for at in crowned], [(scale * at, mean) for at, mean in believed]
    index = np.arange(first, first + len(scores)) if hours is None else scale * np.asarray(hours)
    means = [mean for _, mean, _, _ in scores]
    known = means if before is None else [before, *means]
    running = list(itertools.accumulate(known, lambda *two: goal.best(two)))[-len(means) :]
    line = ([at for at, _ in believed], [mean for _, mean in believed]) if believed else (index, running)
    name = "the leader, as the search believes" if believed else "best mean so far"
    if believed or goal.is_mean:  # by another statistic, scores of different numbers of replicates have no best
        axes.step(*line, where="post", color=COLORS[1], linewidth=1.8, label=name)
    for at, (_, mean, low, high) in zip(index, scores, strict=True):
        if low is not None and high is not None:
            axes.vlines(at, low, high, color=COLORS[0], alpha=0.5, linewidth=1.4)
        axes.plot(at, mean, "o", color=COLORS[0], markersize=5)
    axes.plot([], [], "o-", color=COLORS[0], markersize=5, label=f"{goal.statistic}, 95 % interval")
    for number, hour in enumerate(crowned):
        axes.axvline(hour, color=COLORS[2], linestyle="--", linewidth=1.2, label=None if number else "new incumbent")
    if hours is None:
        axes.set_xticks(index if len(index) <= 20 else index[:: len(index) // 10])
    axes.set_xlabel("run" if hours is None else f"{unit} since the session began")
    axes.set_ylabel(goal.name)
    figure.legend(frameon=False, labelcolor=INK, loc="upper left", ncols=3)
    _save(figure, path)


def arms_so_far(path: Path, arms: Sequence[ArmStanding], goal: Objective) -> None:
    """What each arm's leader is worth after so many of its replicates, with the 95 % interval of that.

    Args:
        path: PNG to write.
        arms: two or more, all together among them.
        goal: the objective.
    """
    figure, (axes,) = _figure(7.2, 3.2, above=0.4)
    from matplotlib.ticker import MaxNLocator

    inks = itertools.cycle((*COLORS, *MORE))
    for arm in arms:
        ink = INK if arm.arm == TOGETHER else next(inks)
        at = [mark.replicates for mark in arm.curve]
        low, high = [mark.low for mark in arm.curve], [mark.high for mark in arm.curve]
        axes.fill_between(at, low, high, step="post", color=ink, alpha=0.15, linewidth=0)
        few = "o" if len(at) == 1 else None
        axes.step(
            at, [mark.mean for mark in arm.curve], where="post", color=ink, linewidth=1.8, marker=few, label=arm.arm
        )
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("replicates of the arm")
    axes.set_ylabel(goal.metric)
    figure.legend(frameon=False, labelcolor=INK, loc="upper left", ncols=5, fontsize=8)
    _save(figure, path)


def score_against(path: Path, panels: Sequence[tuple[str, Scale, Sequence[Point]]], ylabel: str) -> None:
    """The score of each run against a parameter, a panel for each: replicates as dots, means as bars.

    Args:
        path: PNG to write.
        panels: name of the parameter, how its values are spaced, the runs.
        ylabel: the metric.
    """
    figure, row = _figure(7.2, 3.2, len(panels), above=0.4)
    for axes, (name, scale, points) in zip(row, panels, strict=True):
        _spaced(axes, scale, [point.x for point in points], 0.1 * len(panels))
        told = set[str]()
        for point in sorted(points, key=lambda point: bool(point.role)):
            label = point.role or ("nothing else differs" if point.alone else "other runs")
            _point(axes, point, None if label in told else label)
            told.add(label)
        axes.set_xlabel(name)
    row[0].set_ylabel(ylabel)
    handles = {label: handle for axes in row for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    figure.legend(
        handles.values(), handles.keys(), frameon=False, labelcolor=INK, loc="upper left", ncols=5, fontsize=8
    )
    _save(figure, path)


def predictions(path: Path, panels: Sequence[tuple[str, Sequence[Scored]]]) -> None:
    """What was predicted and what came, run by run, a panel for each metric: this run's prediction is the last one.

    Args:
        path: PNG to write.
        panels: name of the metric, its scored predictions, oldest first.
    """
    figure, row = _figure(7.2, 3.2, len(panels), above=0.6)
    for axes, (name, scored) in zip(row, panels, strict=True):
        for at, one in enumerate(scored, start=1 - len(scored)):
            now = at == 0
            color = COLORS[0] if now else INK
            axes.vlines(at, one.low, one.high, color=color, alpha=0.8, linewidth=7 if now else 4)
            axes.hlines(one.base, at - 0.3, at + 0.3, color=COLORS[1], linewidth=1.6)
            axes.plot(at, one.value, "o" if one.hit else "X", color=COLORS[2] if one.hit else MISSED, markersize=7)
        axes.set_xlim(0.5 - max(len(scored), 4), 0.5)
        axes.set_xticks([0], ["this run"])
        axes.set_title(name, color=INK, fontsize=9)
    handles = [
        row[0].plot([], [], color=COLORS[0], linewidth=6, label="predicted interval")[0],
        row[0].plot([], [], color=COLORS[1], linewidth=1.6, label="its parent")[0],
        row[0].plot([], [], "o", color=COLORS[2], label="came, within")[0],
        row[0].plot([], [], "X", color=MISSED, label="came, outside")[0],
    ]
    figure.legend(handles=handles, frameon=False, labelcolor=INK, loc="upper left", ncols=4)
    _save(figure, path)


def _color(role: str) -> str:
    """What is the parent and the incumbent has the parent's."""
    return ROLES.get(role.partition(" (")[0], INK)


def _point(axes: "Axes", point: Point, label: str | None) -> None:
    """One run's replicates and their mean; a line where a run without a score would be."""
    color = _color(point.role)
    if not point.values:
        where: Any = point.x
        axes.plot([where], [math.nan])  # so that a name has its place
        axes.axvline(where, color=color, linestyle=":", linewidth=1.6, label=label and f"{label} (no score)")
        return
    inside = color if point.role or point.alone else "none"
    dots: list[Any] = [point.x] * len(point.values)
    axes.plot(dots, point.values, ".", color=color, alpha=0.5, markersize=6, markeredgewidth=0)
    mean: list[Any] = [sum(point.values) / len(point.values)]
    size, marker = (8, "D") if point.role else (6, "o")
    axes.plot(dots[:1], mean, marker, markersize=size, markerfacecolor=inside, markeredgecolor=color, label=label)


def _spaced(axes: "Axes", scale: Scale, values: Sequence[float | str], apart: float) -> None:
    """The axis as the parameter's values are spaced, where these allow it; its ticks are values that were tried.

    Args:
        axes: the panel.
        scale: the parameter's.
        values: that were tried.
        apart: share of the axis that lies between two ticks at the least.
    """
    from matplotlib.ticker import FixedLocator, NullLocator

    numbers = sorted({value for value in values if not isinstance(value, str)})
    if len(numbers) < len(set(values)):
        return  # names
    place: Callable[[float], float] = float
    if scale in (Scale.LOG, Scale.POW2) and numbers[0] > 0:
        place = math.log
        axes.set_xscale("log")
    elif scale is Scale.LOGIT and numbers[0] > 0 and numbers[-1] < 1:
        place = _logit
        axes.set_xscale("logit")
    kept = [numbers[0]]
    for value in numbers[1:]:
        if place(value) - place(kept[-1]) > apart * (place(numbers[-1]) - place(numbers[0])):
            kept.append(value)
    axes.xaxis.set_major_locator(FixedLocator(kept))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:.6g}")
    axes.xaxis.set_minor_locator(NullLocator())


def _logit(value: float) -> float:
    return math.log(value / (1 - value))


def _aligned(curves: Sequence[Curve]) -> tuple[Array, Array]:
    """Replicates on one grid of steps: they log on a timer, each at other steps."""
    steps = np.linspace(
        max(float(curve.steps[0]) for curve in curves), min(float(curve.steps[-1]) for curve in curves), 120
    )
    return steps, np.array([np.interp(steps, curve.steps, curve.values) for curve in curves])


def _figure(width: float, height: float, panels: int = 1, above: float = 0.1) -> "tuple[Figure, list[Axes]]":
    """Panels side by side without a background, with lines and letters that a light and a dark one carry.

    Args:
        width: in inches, as `height`.
        height: of the picture.
        panels: how many.
        above: room for a legend.
    """
    _find_matplotlib_a_place()
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=130)
    figure.patch.set_alpha(0)
    room = {"left": 0.7 / width, "right": 1 - 0.1 / width, "bottom": 0.5 / height, "top": 1 - above / height}
    figure.subplots_adjust(**room, wspace=0.22)  # fixed: a layout engine would draw everything twice
    row = list(figure.subplots(1, panels, squeeze=False)[0])
    for axes in row:
        axes.patch.set_alpha(0)
        axes.grid(color=INK, alpha=0.25, linewidth=0.6)
        axes.tick_params(which="both", colors=INK, labelsize=8)
        axes.xaxis.label.set_color(INK)
        axes.yaxis.label.set_color(INK)
        for spine in axes.spines.values():
            spine.set_color(INK)
            spine.set_alpha(0.5)
    return figure, row


def _find_matplotlib_a_place() -> None:
    """Have it keep its files in our cache, since its own choice may not be writable; it asks when it is imported."""
    if "MPLCONFIGDIR" in os.environ or "matplotlib" in sys.modules:
        return
    os.environ["MPLCONFIGDIR"] = str(cache_dir() / "matplotlib")
    try:
        import matplotlib.font_manager  # noqa: F401
    finally:
        del os.environ["MPLCONFIGDIR"]  # processes that are started later have choices of their own


def _save(figure: "Figure", path: Path, ground: str = "none") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    figure.savefig(part, format="png", facecolor=ground)
    part.replace(path)
