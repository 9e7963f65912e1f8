"""What a search knows and what it asks for: points with the scores of their replicates, and the next ones to train."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from lab.search.points import Point, SearchSpace
from lab.space import Statistic
from lab.store import Trade


@dataclass(frozen=True)
class Trial:
    """One point and what came of its replicates."""

    point: Point
    scores: tuple[float, ...] = ()
    """Of replicates that have ended, more is better: whoever reads the record turns the sign of a loss."""
    pending: int = 0
    """Replicates that are being trained."""
    failed: int = 0
    """Replicates that ended without a score; they count as the worst one seen."""
    seconds: float | None = None
    """That a replicate took; None where nobody measured."""

    @property
    def replicates(self) -> int:
        """That were begun, whatever came of them."""
        return len(self.scores) + self.failed + self.pending

    @property
    def mean(self) -> float:
        """Of the scores there are; at least one."""
        return sum(self.scores) / len(self.scores)


@dataclass(frozen=True)
class Ask:
    """Replicates to train next."""

    point: Point
    replicates: int
    trial: int | None = None
    """Which trial of the history gets them; None for a point that nobody has tried."""


@dataclass(frozen=True)
class History:
    """Everything a search is told, in the order in which points were first tried."""

    space: SearchSpace
    trials: tuple[Trial, ...]
    seed: int = 0
    """What is drawn follows from it and from the trials: the same history gives the same answer."""
    left: int | None = None
    """Replicates that may still be asked for; None where nobody counts."""
    pool: tuple[Point, ...] | None = None
    """The only points that may be asked for; None for the whole space."""
    most: int | None = None
    """Keys that a new point may change of trial 0's, at most; None for any number."""
    only_new: bool = False
    """No more replicates of points that were tried: somebody wants a config to try next."""
    only_tried: bool = False
    """No new points: all that may be had were tried. Only the race heeds it."""
    statistic: Statistic = "mean"
    """What sums up the replicates of a point, as the model believes in it."""
    trade: Trade | None = None
    """What the best score is wanted for each amount of; None for the best score alone. Only the race heeds it."""
    proof: bool = False
    """Fresh seeds will tell of the best one: the search may believe in it to the end."""
    since: int = 0
    """Replicates that were there when this search began, or went on after a proof: its end is a share of the others."""

    @property
    def draws(self) -> list[int]:
        """A seed for whatever is drawn next."""
        return [self.seed, len(self.trials), self.replicates]

    @property
    def replicates(self) -> int:
        """Of all trials, those that failed and those that are pending included."""
        return sum(trial.replicates for trial in self.trials)

    @property
    def number(self) -> int:
        """The same as one number, for a library that takes no more."""
        import numpy as np

        return int(np.random.default_rng(self.draws).integers(2**31))

    @property
    def untried(self) -> list[Point]:
        """The points of the pool that no trial has."""
        tried = [trial.point for trial in self.trials]
        return [point for point in self.pool or () if point not in tried]

    def fitted(self, point: Point) -> Point:
        """A point with no more keys changed than may be: which of them stay is drawn."""
        if self.most is None or not self.trials:
            return point
        import numpy as np

        start = self.trials[0].point
        moved = [key for key, value in point.items() if value != start[key]]
        kept = np.random.default_rng([*self.draws, len(moved)]).permutation(len(moved))[: self.most]
        keys = {moved[at] for at in kept}
        return {key: value if key in keys else start[key] for key, value in point.items()}

    def nearest(self, point: Point, taken: Sequence[Point] = ()) -> Point | None:
        """The untried point of the pool next to a point, or the point itself where there is no pool.

        An arm that can't rank a pool is brought to it in this way, which costs it some of its aim.

        Args:
            point: anywhere in the space.
            taken: that were asked for in the same call.
        """
        if self.pool is None:
            return self.fitted(point)
        import numpy as np

        free = [one for one in self.untried if one not in taken]
        if not free:
            return None
        features = self.space.features(np.stack([self.space.places(one) for one in (*free, point)]))
        return free[int(((features[:-1] - features[-1]) ** 2).sum(axis=1).argmin())]


class Arm(Protocol):
    """Whoever proposes."""

    def propose(self, history: History, count: int) -> list[Ask]:
        """The next replicates, in order of preference.

        Args:
            history: what is known.
            count: how many entries are wanted; fewer when there is nothing left to try.
        """
        ...

    def leader(self, history: History) -> int | None:
        """The trial that is now believed to be best; None while no trial has a score."""
        ...


def best_mean(trials: Sequence[Trial]) -> int | None:
    """The trial with the highest mean; None while no trial has a score."""
    scored = [at for at, trial in enumerate(trials) if trial.scores]
    return max(scored, key=lambda at: trials[at].mean) if scored else None


def each(points: Sequence[Point], replicates: int, history: History) -> list[Ask]:
    """Replicates of new points, brought to the pool where there is one."""
    taken: list[Point] = []
    for point in points:
        if (near := history.nearest(point, taken)) is not None:
            taken.append(near)
    return [Ask(point, replicates) for point in taken]


def windowed(trials: Sequence[Trial], window: int | None) -> list[Trial]:
    """The best half of a window and the newest trials beside it, in order; all of them where they fit in."""
    if window is None or len(trials) <= window:
        return list(trials)
    scored = sorted((at for at, trial in enumerate(trials) if trial.scores), key=lambda at: -trials[at].mean)
    kept = {*scored[: window // 2], *range(len(trials) - window // 2, len(trials))}
    return [trial for at, trial in enumerate(trials) if at in kept]
