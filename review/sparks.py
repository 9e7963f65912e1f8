"""Small pictures inside a table of runs: the learning curve of each, and how its replicates lie apart.

Numbers only: the templates make SVG of them. All rows of a table that have one objective share a scale, so that two of
them can be compared by eye. The curves of an ended run never change, so they are read once for as long as the page is
served, a bounded number of them.
"""

import contextlib
import statistics
import threading
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from lab.base import Damaged
from lab.space import logged_as
from lab.store import Curve, Notebook, RunRecord, run_curves
from report import RunView

POINTS = 24
"""Points of one small curve, evenly over the run's steps."""
SEEDS = 3
"""Replicates whose mean a small curve is, the first ones."""
KEPT = 4_000
"""Small curves that are remembered, the latest used."""
WIDTH, HEIGHT = 100.0, 24.0
"""Of a small curve, in the units of its SVG."""


class Spread(NamedTuple):
    """How the replicates of a run lie apart, from 0 to 100 on the scale of the table."""

    low: float
    quartile1: float
    median: float
    quartile3: float
    high: float
    text: str
    """The same in words, with values."""


class Listed(NamedTuple):
    """A run in a table, with its small pictures."""

    view: RunView
    line: str
    """The points of its learning curve, as SVG has them; empty where nothing was logged."""
    spread: Spread | None
    """None without a score."""
    worst: float | None
    """The score of its worst replicate."""


@dataclass
class Sparks:
    """The small curves of one workspace."""

    notebook: Notebook
    _known: OrderedDict[str, tuple[float, ...]] = field(default_factory=OrderedDict, init=False, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)

    def listed(self, runs: Iterable[tuple[RunRecord, RunView]]) -> list[Listed]:
        """The rows of a table.

        Args:
            runs: their records, and what is shown of them.
        """
        pairs = [(run, view, self._curve(run)) for run, view in runs]
        curves, scores = dict[str, list[float]](), dict[str, list[float]]()
        for run, view, curve in pairs:
            curves.setdefault(run.objective, []).extend(curve)
            scores.setdefault(run.objective, []).extend(view.score.values if view.score else ())
        return [
            Listed(
                view,
                _line(curve, curves[run.objective]),
                _spread(view.score.values, scores[run.objective]) if view.score else None,
                run.goal.worst(view.score.values) if view.score else None,
            )
            for run, view, curve in pairs
        ]

    def _curve(self, run: RunRecord) -> tuple[float, ...]:
        """The mean of a run's first replicates at even steps; empty where nothing was logged."""
        with self._lock:
            if run.run_id in self._known:
                self._known.move_to_end(run.run_id)
                return self._known[run.run_id]
        name, logged = logged_as(run.goal.metric, run.env_name), dict[int, dict[str, Curve]]()
        with contextlib.suppress(Damaged):  # the list is there all the same; the run's own page says what is wrong
            logged = run_curves(self.notebook.workspace.run(run.run_id), run.seeds[:SEEDS])
        curves = [one[name] for one in logged.values() if name in one]
        each = [
            np.interp(np.linspace(one.steps[0], one.steps[-1], POINTS), one.steps, one.values)
            for one in curves
            if one.steps.size > 1
        ]
        if each:
            found = tuple(float(value) for value in np.mean(each, axis=0))
        else:
            found = tuple(float(one.values[0]) for one in curves[:1])
        if run.state.ended:
            with self._lock:
                self._known[run.run_id] = found
                if len(self._known) > KEPT:
                    self._known.popitem(last=False)
        return found


def _line(curve: tuple[float, ...], every: list[float]) -> str:
    """A curve as the points of an SVG, on the scale of all."""
    low, span = min(every, default=0.0), (max(every, default=0.0) - min(every, default=0.0)) or 1.0
    step = WIDTH / max(1, len(curve) - 1)
    return " ".join(
        f"{at * step:.0f},{HEIGHT - 2 - (HEIGHT - 4) * (value - low) / span:.1f}" for at, value in enumerate(curve)
    )


def _spread(values: tuple[float, ...], every: list[float]) -> Spread:
    """Least, quartiles (by linear interpolation) and most of a run's replicates."""
    low, span = min(every), (max(every) - min(every)) or 1.0
    quartiles = statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else 3 * [values[0]]
    marks = [min(values), *quartiles, max(values)]
    at = [round(100 * (mark - low) / span, 1) for mark in marks]
    names = ("least", "first quartile", "median", "third quartile", "most")
    told = ", ".join(f"{name} {mark:.3g}" for name, mark in zip(names, marks, strict=True))
    return Spread(at[0], at[1], at[2], at[3], at[4], told if len(values) > 1 else f"one replicate, {marks[2]:.3g}")
