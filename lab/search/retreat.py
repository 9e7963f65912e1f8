"""Back to what was stable: where replicates of the config that a search believes in collapse, a smaller step is next.

The seeds that made a config the leader may have been the lucky ones; replicates of the configs that are nearly the same
say so early. The step begins at the nearest config that holds what it gains, on the way to the leader: half of the way
or a quarter in each key that differs, or the leader but for half of the way in the keys that the diagnosis suspects. Of
these the model's favourite is asked for, two of them at most for one leader. It is a config like any other: one
replicate to begin with, and what it is worth is for its replicates to say.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lab.judge import Stabilities, Stability
from lab.search.beliefs import believed, ranked
from lab.search.points import Choice, Point
from lab.search.search import Outlook, Search

ALIKE = 0.15
"""Share of its range by which each key of two configs may differ, for replicates of one to say whether the other holds.

The search looks around its best configs at that distance and at a third of it."""
NEIGHBOURS = 8
"""Configs that are like another, the nearest, at most."""
STEADY = 5
"""Replicates that did not collapse, as many as a baseline has, from which on a config is one to go back to.

With three, where every second seed collapses, one lucky config in eight would pass for stable."""
STEPS = 2
"""Smaller steps that are tried towards one leader."""
WAY = (0.5, 0.25)
"""Shares of the way, on each key's scale."""


@dataclass(frozen=True)
class Retreat:
    """A smaller step from a config that was stable towards one that was not."""

    collapsed: str
    """The leader's run, whose replicates collapse, or those of the configs like it."""
    why: str
    """What was seen of them, a clause."""
    evidence: str
    """The figures behind it, of all of them together."""
    stable: str
    """The run that is changed."""
    replicates: int
    """Of its config and those like it, which hold what they gain."""
    changes: dict[str, Any]
    """Valid overrides of it."""
    outlook: Outlook | None
    """Where the model sees one replicate of the changed config."""
    checkpoint: str | None
    """Weights of a replicate from before it fell back, relative to the workspace; None where none were kept."""


def retreat_of(search: Search, avoid: Sequence[Mapping[str, Any]] = ()) -> Retreat | None:
    """The step that goes back to what was stable; None where the leader holds, or there is nothing to go back to.

    Args:
        search: what is known; of a sweep None, since its configs are its arm's.
        avoid: changes that people turned down.
    """
    history = search.history
    belief = believed(history) if search.sweep is None else None
    if belief is None:
        return None
    leader, around = belief.leader, _Around(search)
    seen = around.stability(leader)
    if seen.collapse is None or (stable := _nearest_stable(search, leader, around)) is None:
        return None
    start = search if stable == 0 else Search.of(
        search.lab, search.group, parent=search.runs[stable], before=search.before, permits=search.permits,
        trade=history.trade,
    )  # fmt: skip
    step = _step(start, search.runs[leader], seen, avoid) if start else None
    if start is None or step is None:
        return None
    return Retreat(
        collapsed=search.runs[leader],
        why=seen.collapse.statement,
        evidence=seen.collapse.evidence,
        stable=search.runs[stable],
        replicates=around.stability(stable).replicates,
        changes=step,
        outlook=start.outlook(step),
        checkpoint=seen.before,
    )


class _Around:
    """Trials with those that are like them."""

    def __init__(self, search: Search) -> None:
        import numpy as np

        self.search = search
        self.stabilities = Stabilities(search.lab)
        space, trials = search.history.space, search.history.trials
        self.places = np.stack([space.places(trial.point) for trial in trials])

    def alike(self, at: int) -> list[int]:
        """The trials that are like another, the nearest first."""
        away = abs(self.places - self.places[at]).max(axis=1)
        order = sorted((other for other in range(len(away)) if other != at), key=lambda other: float(away[other]))
        return [other for other in order if away[other] <= ALIKE][:NEIGHBOURS]

    def stability(self, at: int) -> Stability:
        """What replicates of a trial and of those like it say."""
        runs = self.search.runs
        return self.stabilities.of(runs[at], [runs[other] for other in self.alike(at)])


def _nearest_stable(search: Search, leader: int, around: _Around) -> int | None:
    """The trial to go back to: the nearest that holds what it gains; None where there is none.

    It is believed to be no worse than where the search starts, or, where that is the leader itself, holds more than the
    worst of its replicates. The leader reaches more where it holds.
    """
    trials, space = search.history.trials, search.history.space
    order = [at for at, _, _ in ranked(search.history)]
    no_worse = order[: order.index(0) + 1] if leader != 0 and 0 in order else order
    worst = min(trials[leader].scores) if leader == 0 else -math.inf
    near, most = {*around.alike(leader), leader}, max(trials[leader].scores)
    others = [at for at in no_worse if at not in near and worst < trials[at].mean < most]
    features = space.features(around.places)
    far = {at: float(abs(features[at] - features[leader]).sum()) for at in others}
    for at in sorted(others, key=lambda at: far[at]):
        held = around.stability(at)
        if held.replicates >= STEADY and held.collapse is None:
            return at
    return None


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
