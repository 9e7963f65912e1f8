"""The product's own arm: a model of all replicates, one seed for a new point, more seeds where they decide.

Each step is one replicate. It goes to a new point (the one from which most is to be expected, or now and then one drawn
at random), or to one of the few that may be the best: which of the leader and its strongest rival has fewer. Towards
the end of the budget all go there, so that the leader is not just the luckiest, unless fresh seeds are likely to prove
it, which tell as much. Where the model foretells nothing, as with rewards that hardly any point ever sees, new points
are drawn at random more often than not.

Where a score is weighed against seconds, what is sought is the best score for each time: a new point is to be better
than those that are as fast as a time that is drawn anew for each (the epsilon-constraint method of Haimes, Lasdon &
Wismer 1971, with a random epsilon).
"""

import math
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from lab.search.beliefs import Known, believed
from lab.search.history import Ask, History, Trial
from lab.search.points import Point

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Generator = np.random.Generator

START = 12
"""Points spread over the space before the model has a say; as many as there are keys where those are more."""
NEARER = 0.9
"""How much nearer to the baseline the next of these points is drawn after one that is worse than it; after one that is
not, as much farther as four worse ones brought it near, so that one in five keeps the distance."""
NEAREST = 0.2
"""The nearest that they come, as a share of the way to where they would be anywhere."""
BREADTH = 0.15
"""Share of the new points that are drawn at random whatever the model says."""
BLIND = 0.6
"""The same where the model foretells nothing."""
FORETELLS = 0.1
"""Share of the variance that a model explains of points it has not seen, at the least, to be believed."""
AGAIN = 0.25
"""More replicates of tried points for each new one, before the end."""
LAST = 0.2
"""Share of the budget, at its end, that goes to the few best points alone, unless a proof is likely to tell of them."""
SPARSE = 0.5
"""Where more points than this share have one and the same score, reward is hardly ever seen: breadth is all."""
LAST_OF_SPARSE = 0.1
"""`LAST` there."""
FEW = 4
"""Points that may be the best."""
DRAWN = 512
"""Random candidates for a new point."""
NEAR = (0.05, 0.15)
"""Distances of the candidates around the best points, as shares of the range."""
AROUND = 64
"""Candidates for each of them and each of the best points."""
CHEAP = 0.5
"""Chance that a random point keeps what the baseline has for a key that says how much has to be computed."""
TIMED = 8
"""Replicates with a time, from which on it is foretold."""
SHORTEST = 1.0
"""Seconds of a replicate below which its time is that of everything else."""
RIDGE = 0.5
"""Of the regression of times."""
LOGS = 2.0
"""How far foretold times go from the usual one, as a logarithm: a factor of seven."""
SAMPLES = 64
"""Draws of the truth by which rivals are told."""


@dataclass(frozen=True)
class RaceArm:
    """The arm that a session uses unless told otherwise."""

    def propose(self, history: History, count: int) -> list[Ask]:
        """The next replicates, one to an entry; several come out as if those before them had gone as expected."""
        import numpy as np

        draw = np.random.default_rng(history.draws)
        step = _Step(history, draw)
        asks: list[Ask] = []
        for _ in range(count):
            ask = step.next()
            if ask is None:
                break
            asks.append(ask)
        return asks

    def leader(self, history: History) -> int | None:
        """The trial with the highest expected score, what is known of its neighbours included."""
        belief = believed(history)
        return None if belief is None else belief.leader


class _Step:
    """One call for proposals."""

    def __init__(self, history: History, draw: "Generator") -> None:
        self.history, self.draw = history, draw
        self.trials = list(history.trials)
        self.start = max(START, len(history.space.dimensions))
        self.known, self.clock = Known.of(history), _Clock.of(history)
        if self.known is not None:
            self._believe({at: trial.pending for at, trial in enumerate(self.trials) if trial.pending})

    def next(self) -> Ask | None:
        """The next replicate; it counts as pending from now on."""
        ask = self._choose()
        if ask is None:
            return None
        at = len(self.trials) if ask.trial is None else ask.trial
        if ask.trial is None:
            self.trials.append(Trial(ask.point, pending=1))
        else:
            self.trials[at] = replace(self.trials[at], pending=self.trials[at].pending + 1)
        if self.known is not None:
            self._believe({at: 1})
        return ask

    def _believe(self, pending: dict[int, int]) -> None:
        """Take replicates that are pending to come out as expected."""
        import numpy as np

        known, space = self.known, self.history.space
        assert known is not None  # noqa: S101 - asked with a model only
        new = [at for at in pending if at not in known.at]
        places = np.array([space.places(self.trials[at].point) for at in new]).reshape(-1, known.places.shape[1])
        more = np.array([float(pending.get(at, 0)) for at in known.at])
        belief = known.belief.believing(more, np.array([float(pending[at]) for at in new]), space.features(places))
        self.known = replace(known, belief=belief, at=[*known.at, *new], places=np.vstack([known.places, places]))

    def _choose(self) -> Ask | None:
        if self.known is None or (len(self.trials) < self.start and not self.history.only_tried):
            return self._random()
        used = sum(trial.replicates for trial in self.trials)
        first = len(self.trials[0].scores) + self.trials[0].failed  # the baseline's replicates are not the race's
        again = used - first - (len(self.trials) - 1)
        left, sparse = self.history.left, self._sparse()
        last = LAST_OF_SPARSE if sparse else LAST
        ending = left is not None and not self.history.proof and left <= last * (left + used - self.history.since)
        racing = not self.history.only_new
        due = not sparse and again < AGAIN * (len(self.trials) - self.start)
        if racing and (self.history.only_tried or ending or due):
            return self._race()
        blind = sparse or self.known.belief.explains() < FORETELLS
        if self.draw.random() < (BLIND if blind else BREADTH):
            return self._random() or (self._race() if racing else None)
        return self._expected() or (self._race() if racing else None)

    def _sparse(self) -> bool:
        means = Counter(trial.mean for trial in self.trials if trial.scores)
        return bool(means) and means.most_common(1)[0][1] > SPARSE * means.total()

    def _random(self) -> Ask | None:
        history = self.history
        if history.pool is not None:
            free = self._free()
            return Ask(free[int(self.draw.integers(len(free)))], 1) if free else None
        point = history.space.point(self._place())
        for dimension in history.space.dimensions if self.trials else ():
            if dimension.work and self.draw.random() < CHEAP:
                point[dimension.key] = self.trials[0].point[dimension.key]
        return Ask(history.fitted(point), 1)

    def _place(self) -> "Array":
        """Anywhere; the first ones so that no part of any key is left out (a Latin hypercube: McKay et al. 1979).

        These come nearer to the baseline while they are worse than it: with many keys, all moved at once, a baseline
        that is about right is left by nearly every point, and points that are all worthless teach a model nothing.
        """
        from scipy.stats.qmc import LatinHypercube

        width, at = len(self.history.space.dimensions), len(self.trials)
        if at >= self.start:
            return self.draw.random(width)
        place: Array = LatinHypercube(width, seed=self.history.seed).random(self.start)[at]
        if not self.trials or not self.trials[0].scores:
            return place
        base = self.history.space.places(self.trials[0].point)
        return base + (place - base) * self._distance()

    def _distance(self) -> float:
        """The share of the way from the baseline that the next of the first points goes.

        The one-fifth rule (Rechenberg 1973) in the form of Kern et al. 2004.
        """
        share, level = 1.0, self.trials[0].mean
        for trial in self.trials[1:]:
            if trial.scores and trial.mean >= level:
                share = min(1.0, share / NEARER**4)
            elif trial.scores or trial.failed:
                share = max(NEAREST, share * NEARER)
        return share

    def _free(self) -> list[Point]:
        return replace(self.history, trials=tuple(self.trials)).untried

    def _race(self) -> Ask | None:
        """One more replicate for the leader or its strongest rival, whichever has fewer.

        Top-two Thompson sampling (Russo 2016), with the count in place of the coin.
        """
        import numpy as np

        assert self.known is not None  # noqa: S101 - asked with a model only
        mean, covariance = self.known.belief.posterior()
        spread = np.sqrt(np.maximum(np.diag(covariance), 0.0))
        scored = np.array([bool(self.trials[at].scores) for at in self.known.at])  # what is pending is no rival yet
        few = np.argsort(np.where(scored, -(mean + spread / 2), np.inf), kind="stable")[: min(FEW, int(scored.sum()))]
        part = covariance[np.ix_(few, few)] + 1e-9 * np.eye(len(few))
        samples = self.draw.multivariate_normal(mean[few], part, SAMPLES)
        wins = np.bincount(samples.argmax(axis=1), minlength=len(few))
        first = int(np.argmax(mean[few]))
        rivals = sorted((i for i in range(len(few)) if i != first), key=lambda i: -wins[i])
        pair = [few[first], *(few[i] for i in rivals[:1])]
        counts = self.known.belief.counts
        at = self.known.at[min(pair, key=lambda i: counts[i])]
        return Ask(self.trials[at].point, 1, at)

    def _expected(self) -> Ask | None:
        """The new point with the largest expected improvement on the best of those that were tried (Jones 1998).

        Per second, where seconds are known (Snoek, Larochelle & Adams 2012).
        """
        import numpy as np
        from scipy.stats import norm

        assert self.known is not None  # noqa: S101 - asked with a model only
        space, belief = self.history.space, self.known.belief
        mean, _ = belief.posterior()
        limit = self._limit()
        if limit is not None:  # what is slower comes after all that is not
            mean = np.where(self._slow(limit[0]), mean - np.ptp(mean) - 1.0, mean)
        free = self._free()
        if self.history.pool is not None:
            if not free:
                return None
            places = np.stack([space.places(point) for point in free])
        else:
            places = self._candidates(mean)
        expected, spread = belief.predict(space.features(places))
        away = (expected - float(mean.max())) / spread
        gain = spread * (away * norm.cdf(away) + norm.pdf(away))
        worth = gain / self._cost(places)
        if limit is not None and self.clock is not None:
            foretold = self.clock.logs(space.features(places))
            worth = np.where(foretold <= max(limit[1], float(foretold.min())), gain, -np.inf)
        at = int(np.argmax(worth))
        return Ask(free[at] if self.history.pool is not None else space.point(places[at]), 1)

    def _cost(self, places: "Array") -> "Array | float":
        """What a replicate takes at these places, as a multiple of the usual; 1 where too few were measured."""
        import numpy as np

        if self.clock is None:
            return 1.0
        cost = self.clock.logs(self.history.space.features(places)) - self.clock.level
        times: Array = np.exp(np.clip(cost, -LOGS, LOGS))
        return times

    def _limit(self) -> tuple[float, float] | None:
        """The logarithm of a time that one of the known points took, and the most that may be foretold of a new one.

        The latter is no less than is foretold of that point, since a regression draws all times together. None for any
        time, as where the slowest is drawn.

        Each of them is as likely, so that as much is looked for at each part of the times that were seen.
        """
        assert self.known is not None  # noqa: S101 - asked with a model only
        if self.history.trade is None or self.clock is None:
            return None
        known = sorted((took, at) for at in self.known.at if (took := _took(self.trials[at])) is not None)
        drawn = int(self.draw.integers(len(known))) if known else 0
        if drawn + 1 >= len(known):
            return None
        took, at = known[drawn]
        space = self.history.space
        (foretold,) = self.clock.logs(space.features(space.places(self.trials[at].point)[None, :])).tolist()
        return took, max(took, foretold)

    def _slow(self, limit: float) -> "NDArray[np.bool_]":
        """Which of the points that the model has are slower, by what they took or are foretold to take."""
        import numpy as np

        assert self.known is not None  # noqa: S101 - asked with a model only
        assert self.clock is not None  # noqa: S101 - there is no limit without one
        foretold = self.clock.logs(self.history.space.features(self.known.places)).tolist()
        took = [_took(self.trials[at]) for at in self.known.at]
        logs = [one if here is None else here for here, one in zip(took, foretold, strict=True)]
        return np.array(logs) > limit

    def _candidates(self, mean: "Array") -> "Array":
        """Places anywhere, and around the best points with about half of the keys moved."""
        import numpy as np

        assert self.known is not None  # noqa: S101 - asked with a model only
        width = self.known.places.shape[1]
        drawn = [self.draw.random((DRAWN, width))]
        for at in np.argsort(-mean)[: FEW + 1]:
            for far in NEAR:
                moved = self.draw.random((AROUND, width)) < 0.5
                step = self.known.places[at] + far * moved * self.draw.standard_normal((AROUND, width))
                folded = np.abs(step)
                drawn.append(np.clip(np.where(folded > 1, 2 - folded, folded), 0.0, 1.0))
        every: Array = np.concatenate(drawn)
        most, start = self.history.most, self.history.space.places(self.trials[0].point)
        if most is not None and most < width:
            rank = np.argsort(np.argsort(self.draw.random(every.shape), axis=1), axis=1)
            every = np.where(rank < most, every, start)
        return every


@dataclass(frozen=True)
class _Clock:
    """What a replicate takes, foretold: a ridge regression of the logarithm of its seconds on the features."""

    middle: "Array"
    weights: "Array"
    mean: float
    level: float
    """The logarithm of the usual time."""

    @classmethod
    def of(cls, history: History) -> "_Clock | None":
        """None where too few were measured."""
        import numpy as np

        timed = [trial for trial in history.trials if _took(trial) is not None]
        if len(timed) < TIMED:
            return None
        space = history.space
        known = space.features(np.stack([space.places(trial.point) for trial in timed]))
        logs = np.log([trial.seconds or 1.0 for trial in timed])
        middle, mean = known.mean(axis=0), logs.mean()
        away = known - middle
        weights = np.linalg.solve(away.T @ away + RIDGE * np.eye(away.shape[1]), away.T @ (logs - mean))
        return cls(middle, weights, mean, float(np.median(logs)))

    def logs(self, features: "Array") -> "Array":
        """The logarithm of the seconds that a replicate takes at these places."""
        foretold: Array = (features - self.middle) @ self.weights + self.mean
        return foretold


def _took(trial: Trial) -> float | None:
    """The logarithm of the seconds that a replicate of a trial took; None where that says nothing."""
    seconds = trial.seconds or 0.0
    return math.log(seconds) if seconds >= SHORTEST else None
