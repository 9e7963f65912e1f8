"""Back to what was stable: where replicates of a config that the search builds on collapse, a smaller step is next.

It begins at the nearest config whose replicates did not collapse, on the way to the one whose replicates did: half of
the way or a quarter in each key that changed between them, or all of it but for half of the keys' way that the
diagnosis suspects. Of these the model's favourite is asked for, two of them at most for each config that collapses. It
is a config like any other: one replicate to begin with, and what it is worth is for its replicates to say.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lab.base import AutopilotError
from lab.judge import SEVERAL, Stability, stability_of
from lab.search.beliefs import ranked
from lab.search.points import Choice, Point
from lab.search.search import Outlook, Search

FEW = 3
"""The best configs, by what is believed, whose replicates are looked at: what a search builds on."""
STEADY = 3
"""Replicates of which none collapsed, from which on a config is one to go back to."""
STEPS = 2
"""Smaller steps that are tried towards one config whose replicates collapse."""
WAY = (0.5, 0.25)
"""Shares of the way, on each key's scale."""


@dataclass(frozen=True)
class Retreat:
    """A smaller step from a config that was stable towards one that was not."""

    collapsed: str
    """The run whose replicates collapse."""
    why: str
    """What was seen of them."""
    stable: str
    """The run that is changed."""
    replicates: int
    """Of its config, none of which collapsed."""
    changes: dict[str, Any]
    """Valid overrides of it."""
    outlook: Outlook | None
    """Where the model sees one replicate of the changed config."""
    checkpoint: str | None
    """Weights of the collapsed run from before it fell back, relative to the workspace; None where none were kept."""


def retreat_of(search: Search, avoid: Sequence[Mapping[str, Any]] = ()) -> Retreat | None:
    """The step that goes back to what was stable; None where nothing collapses, or there is nothing to go back to.

    Args:
        search: what is known; of a sweep None, since its configs are its arm's.
        avoid: changes that people turned down.
    """
    if search.sweep is not None:
        return None
    order = [at for at, _, _ in ranked(search.history)]
    known = _Looked(search)
    for at in order[:FEW]:
        seen = known(at)
        stable = _nearest_stable(search, order, at, known) if seen.collapse is not None else None
        start = _from(search, stable) if stable is not None else None
        step = _step(start, search.runs[at], seen, avoid) if start is not None else None
        if seen.collapse is not None and stable is not None and start is not None and step is not None:
            return Retreat(
                collapsed=search.runs[at],
                why=f"{seen.collapse.statement} ({seen.collapse.evidence})",
                stable=search.runs[stable],
                replicates=known(stable).replicates,
                changes=step,
                outlook=start.outlook(step),
                checkpoint=seen.before,
            )
    return None


def _from(search: Search, at: int) -> Search | None:
    """The same search with another trial as the one that is changed."""
    if at == 0:
        return search
    return Search.of(
        search.lab, search.group, parent=search.runs[at], before=search.before, permits=search.permits,
        trade=search.history.trade,
    )  # fmt: skip


class _Looked:
    """What replicates of trials say, each looked up once."""

    def __init__(self, search: Search) -> None:
        self.search = search
        self.known: dict[int, Stability] = {}

    def __call__(self, at: int) -> Stability:
        if at not in self.known:
            trial = self.search.history.trials[at]
            count = len(trial.scores) + trial.failed
            self.known[at] = self._of(self.search.runs[at]) if count >= SEVERAL else Stability(count)
        return self.known[at]

    def _of(self, run: str) -> Stability:
        try:
            return stability_of(self.search.lab, run)
        except AutopilotError:  # its folder is gone, or damaged
            return Stability(0)


def _nearest_stable(search: Search, order: Sequence[int], at: int, known: _Looked) -> int | None:
    """The trial to go back to: the nearest whose replicates did not collapse; None where there is none.

    It is believed to be no worse than where the search starts, and the other one reaches more where it holds.
    """
    import numpy as np

    trials, space = search.history.trials, search.history.space
    no_worse = order[: order.index(0) + 1] if 0 in order else order
    here = space.features(space.places(trials[at].point)[None])[0]
    near = {
        other: float(np.abs(space.features(space.places(trials[other].point)[None])[0] - here).sum())
        for other in no_worse
        if other != at and len(trials[other].scores) >= STEADY and trials[other].mean < max(trials[at].scores)
    }
    ranks = sorted(near, key=lambda other: near[other])
    return next((one for one in ranks if known(one).replicates >= STEADY and known(one).collapse is None), None)


def _step(start: Search, collapsed: str, seen: Stability, avoid: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """The step that the model expects most of, of those that nobody has tried; None where enough were."""
    at = start.runs.index(collapsed) if collapsed in start.runs else None
    if at is None:
        return None
    points = list(_between(start, start.history.trials[at].point, seen))
    if sum(start.has(point) for point in points) >= STEPS:
        return None
    sign = start.group.goal.sign
    steps = [changes for point in points if (changes := start.valid(point, avoid)) is not None]

    def expected(changes: Mapping[str, Any]) -> float:
        outlook = start.outlook(changes)
        return sign * outlook.mean if outlook else 0.0

    return max(steps, key=expected, default=None)


def _between(start: Search, there: Point, seen: Stability) -> list[Point]:
    """The points between a search's start and a config that collapses; what has no middle stays as at the start."""
    here = start.history.trials[0].point
    moved = {dim.key: dim for dim in start.history.space.dimensions if here[dim.key] != there[dim.key]}
    graded = {
        key: dim for key, dim in moved.items() if not isinstance(dim, Choice) or (dim.ordered and len(dim.values) > 2)
    }

    def part(key: str, share: float) -> Any:
        low, high = moved[key].place(here[key]), moved[key].place(there[key])
        return moved[key].value(low + share * (high - low))

    def suspected(key: str, direction: str) -> bool:
        """Whether the stable config lies on the side of the other one that the diagnosis asks for."""
        away = graded[key].place(here[key]) - graded[key].place(there[key])
        return (away > 0) is (direction == "up")

    moves = seen.collapse.moves if seen.collapse else ()
    suspects = [move.key for move in moves if move.key in graded and suspected(move.key, move.direction)]
    points = [{**here, **{key: part(key, share) for key in graded}} for share in WAY]
    if suspects and len(suspects) < len(moved):
        points.insert(0, {**there, **{key: part(key, WAY[0]) for key in suspects}})
    return points


def _graded(choice: Choice) -> bool:
    """Whether there is anything between two values."""
    return choice.ordered and len(choice.values) > 2
