"""How the arms of a search stand beside each other: who is ahead at equal replicates, and whether that is noise.

After k of its replicates an arm's leader is the config that the product's model, fitted to the baseline and those k
alone, believes to be best: what the arm would have ended with. What that leader is worth is another question, and the
model of all replicates answers it. So no curve rests on the mean of a config that was raced because it looked good.

"Beyond noise" is said of one arm against another where two things hold. The difference of their leaders' values lies
above zero with its whole interval: the one config is better than the other, however few replicates they had. And more
of the best configs are the one arm's than luck gives: of two equal searches the one that draws luckier ends with the
better config, and is no better search. Both hold at one level, divided among the pairs of arms (Bonferroni).
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

from lab.base import Record
from lab.search.beliefs import Known, believed
from lab.search.history import History, Trial
from lab.search.points import Point, SearchSpace
from lab.space import Statistic

TOGETHER = "together"
"""The name of all arms as one."""
POINTS = 12
"""Of a curve, at most."""
LEVEL = 0.05
"""Chance, two-sided, that equal arms are told apart, over all pairs of them."""
FEWEST = 4
"""Replicates of an arm below which it is compared with none: with three a side luck gives any order too often."""


class Replicate(NamedTuple):
    """One replicate of a config."""

    trial: int
    """Number of the config."""
    score: float | None
    """More is better; None where it ended without a score."""
    counts: bool = True
    """Whether it is one of its arm's: fresh seeds of a proof are nobody's, nor are those of other sessions."""
    seconds: float | None = None
    """Its share of the time from its run's making to its end, without what lies between two attempts; None where nobody
    measured."""
    wall: float | None = None
    """Seconds of wall time that it took, beside whatever trained at the same time; None where nobody asked."""


@dataclass(frozen=True)
class Contest:
    """What the arms of a group have trained."""

    space: SearchSpace
    points: tuple[Point, ...]
    """Of each config, first the baseline's, which has a score at least."""
    arms: tuple[str, ...]
    """The arm of each config; empty for the baseline's, which are nobody's."""
    runs: tuple[str, ...]
    """The run of each config that was made first."""
    replicates: tuple[Replicate, ...]
    """In the order in which they were asked for."""
    sign: int = 1
    """-1 where less of the objective is better, and the scores are its negatives."""
    ends: tuple[float, float] = (-math.inf, math.inf)
    """The least and the most that the objective can be, in its own units."""
    statistic: Statistic = "mean"
    """What sums up the replicates of a config."""

    def of(self, arm: str) -> list[Replicate]:
        """An arm's own replicates; those of all arms for `TOGETHER`."""
        counted = (one for one in self.replicates if one.counts and self.arms[one.trial])
        return [one for one in counted if arm in (TOGETHER, self.arms[one.trial])]

    @property
    def present(self) -> list[str]:
        """The arms that have replicates, in the order in which they began."""
        return list(dict.fromkeys(self.arms[one.trial] for one in self.of(TOGETHER)))


class Mark(Record):
    """A place on an arm's curve: what its leader was worth after so many replicates."""

    replicates: int
    """Of the arm; before the first of them the baseline leads."""
    run: str
    """The leader: of its config, the run that was made first."""
    mean: float
    """What the model of all replicates now believes that it scores, in the objective's units."""
    low: float
    """Lower end of the 95 % interval of that."""
    high: float


class ArmStanding(Record):
    """How one arm stands."""

    arm: str
    configs: int
    replicates: int
    """Those without a score included."""
    failed: int
    """Replicates that ended without a score."""
    seconds: float
    """That its runs took from their making to their end, in all."""
    curve: tuple[Mark, ...]
    """By replicates, a dozen places at most; of all together it ends with that of the longest arm."""
    now: Mark
    """After all of its replicates."""
    at_equal: Mark | None
    """At as many replicates as the others; None where it is compared with none."""


class Ahead(Record):
    """One arm against another at equal replicates."""

    arm: str
    """The one whose leader is worth more."""
    than: str
    replicates: int
    """Of each."""
    gain: float
    """How much better its leader is, in the objective's units; 0 or more, whatever the objective's direction."""
    low: float
    """Lower end of the interval of that, which holds for all pairs of arms at once with 95 %."""
    high: float
    top: int
    """So many of the best configs are its own, before the first of the other's."""
    configs: int
    """Of both, that have a score."""
    luck: float
    """Chance that two equal searches have so many of the best configs on one side."""
    level: float
    """Of this pair: what `luck` must not exceed."""
    beyond_noise: bool
    """Whether more than noise between replicates, and more than luck, is behind it."""

    @property
    def level_pegging(self) -> bool:
        """Whether neither has a config that is believed to be better than the baseline."""
        return self.low == self.high == 0


class Standing(Record):
    """How all arms of a group stand."""

    arms: tuple[ArmStanding, ...]
    """In the order in which they began."""
    together: ArmStanding | None
    """All arms as one; None where no arm proposed anything."""
    equal: int | None
    """Replicates at which arms are compared; None where no two of them have enough."""
    ahead: tuple[Ahead, ...]
    """The arm that is ahead against each of the others."""


class Worth:
    """What the model of all replicates believes of each config that has a score."""

    def __init__(self, contest: Contest) -> None:
        import numpy as np

        history = _history(contest, contest.replicates)
        known = Known.of(history)
        assert known is not None  # noqa: S101 - the baseline has a score
        mean, self.covariance = known.belief.posterior()
        self.scale, self.at = known.scale, {trial: place for place, trial in enumerate(known.at)}
        self.means = {trial: known.middle + known.scale * float(mean[place]) for trial, place in self.at.items()}
        # Of a long record the model reads a window; what lies outside is foretold from its neighbours.
        outside = [at for at, trial in enumerate(history.trials) if trial.scores and at not in self.at]
        self.doubt: dict[int, float] = {}
        if outside:
            places = np.stack([contest.space.places(contest.points[at]) for at in outside])
            foretold, spread = known.belief.predict(contest.space.features(places))
            for at, value, width in zip(outside, foretold.tolist(), spread.tolist(), strict=True):
                self.means[at] = known.middle + known.scale * value
                self.doubt[at] = width**2 + known.belief.own

    def spread(self, one: int, other: int | None = None) -> float:
        """Standard deviation of what is believed of one config, or of its difference from another."""
        variance = self._shared(one, one)
        if other is not None:
            variance += self._shared(other, other) - 2 * self._shared(one, other)
        return self.scale * math.sqrt(max(variance, 0.0))

    def _shared(self, one: int, other: int) -> float:
        if one in self.at and other in self.at:
            return float(self.covariance[self.at[one], self.at[other]])
        return self.doubt.get(one, 0.0) if one == other else 0.0


def stand(contest: Contest, points: int = POINTS) -> Standing:
    """How the arms stand.

    Args:
        contest: what they have trained.
        points: of each curve, at most, 4 or more; each is a model that has to be fitted.
    """
    present = contest.present
    if not present:
        return Standing(arms=(), together=None, equal=None, ahead=())
    worth = Worth(contest)
    alone = len(present) == 1  # then all arms together are this one, and their curve is its curve
    own = {arm: contest.of(arm) for arm in (*present, *([] if alone else [TOGETHER]))}
    compared = [arm for arm in present if len(own[arm]) >= FEWEST]
    equal = min(len(own[arm]) for arm in compared) if len(compared) > 1 else None
    longest = max(len(own[arm]) for arm in present)
    arms = {arm: _arm(contest, worth, arm, own[arm], equal, longest, points) for arm in own}
    ahead = _ahead(contest, worth, {arm: own[arm][:equal] for arm in compared}, arms) if equal else ()
    together = arms[present[0]].model_copy(update={"arm": TOGETHER}) if alone else arms[TOGETHER]
    return Standing(arms=tuple(arms[arm] for arm in present), together=together, equal=equal, ahead=tuple(ahead))


def places(count: int, equal: int | None = None, points: int = POINTS) -> list[int]:
    """The replicates at which a curve has a place: denser at its beginning, the end and `equal` among them."""
    steps = points - 3  # beside 0, 1, and where arms are compared
    wanted = {round(count ** (step / steps)) for step in range(steps + 1)} | {0, count}
    return sorted(at for at in wanted | ({equal} if equal else set()) if at <= count)


def luck(top: int, mine: int, others: int) -> float:
    """Chance that the best `top` of all configs are of one side, whichever, where both sides draw alike.

    Precedence test of Rosenbaum (1954), two-sided: configs of equal searches are in any order.

    Args:
        top: 1 or more, or 0, which is no sign of anything.
        mine: configs of the one side.
        others: of the other.
    """
    if top == 0:
        return 1.0
    every = math.comb(mine + others, top)
    return min(1.0, (math.comb(mine, top) + math.comb(others, top)) / every)


def _arm(
    contest: Contest, worth: Worth, arm: str, own: Sequence[Replicate], equal: int | None, longest: int, points: int
) -> ArmStanding:
    compared = equal is not None and len(own) >= equal
    drawn = own[:longest] if arm == TOGETHER else own
    curve = {at: _mark(contest, worth, own[:at]) for at in places(len(drawn), equal if compared else None, points)}
    return ArmStanding(
        arm=arm,
        configs=len({one.trial for one in own}),
        replicates=len(own),
        failed=sum(one.score is None for one in own),
        seconds=sum(one.seconds or 0.0 for one in own),
        curve=tuple(curve.values()),
        now=curve.get(len(own)) or _mark(contest, worth, own),
        at_equal=curve[equal] if compared and equal else None,
    )


def _mark(contest: Contest, worth: Worth, own: Sequence[Replicate]) -> Mark:
    """The leader of an arm after some replicates, with what it is now believed to be worth."""
    from scipy.stats import norm

    base = [one for one in contest.replicates if one.trial == 0]
    tried = list(dict.fromkeys(one.trial for one in own))
    known = believed(_history(contest, [*base, *own], [0, *tried])) if tried else None
    leader = 0 if known is None else [0, *tried][known.leader]
    mean, half = worth.means[leader], float(norm.isf(LEVEL / 2)) * worth.spread(leader)
    least, most = contest.ends
    middle, low, high = (min(max(contest.sign * mean + away, least), most) for away in (0.0, -half, half))
    return Mark(replicates=len(own), run=contest.runs[leader], mean=middle, low=low, high=high)


def _history(contest: Contest, replicates: Sequence[Replicate], trials: Sequence[int] | None = None) -> History:
    """Some replicates as a search reads them.

    Args:
        contest: whose.
        replicates: which.
        trials: the configs that count, in order; None for all of them.
    """
    numbers = range(len(contest.points)) if trials is None else trials
    scores: dict[int, list[float]] = {at: [] for at in numbers}
    failed = dict.fromkeys(numbers, 0)
    for one in replicates:
        if one.score is None:
            failed[one.trial] += 1
        else:
            scores[one.trial].append(one.score)
    known = (Trial(contest.points[at], tuple(scores[at]), failed=failed[at]) for at in numbers)
    return History(contest.space, tuple(known), statistic=contest.statistic)


def _ahead(
    contest: Contest, worth: Worth, own: dict[str, list[Replicate]], arms: dict[str, ArmStanding]
) -> Iterator[Ahead]:
    """The arm whose leader is worth most against each of the others.

    Args:
        contest: all of it.
        worth: of its configs.
        own: replicates of each arm that is compared, as many of each.
        arms: how they stand.
    """
    from scipy.stats import norm

    level = LEVEL / len(list(combinations(own, 2)))
    number = {run: at for at, run in enumerate(contest.runs)}
    leaders = {arm: number[mark.run] for arm in own if (mark := arms[arm].at_equal) is not None}
    best, *rest = sorted(leaders, key=lambda arm: -worth.means[leaders[arm]])
    configs = {arm: {one.trial for one in own[arm] if one.score is not None} for arm in own}
    for other in rest:
        mine, theirs = leaders[best], leaders[other]
        gain = worth.means[mine] - worth.means[theirs]
        half = 0.0 if mine == theirs else float(norm.isf(level / 2)) * worth.spread(mine, theirs)
        bar = max((worth.means[at] for at in configs[other]), default=-math.inf)
        top = sum(worth.means[at] > bar for at in configs[best])
        by_chance = luck(top, len(configs[best]), len(configs[other]))
        yield Ahead(
            arm=best,
            than=other,
            replicates=len(own[best]),
            gain=gain,
            low=gain - half,
            high=gain + half,
            top=top,
            configs=len(configs[best]) + len(configs[other]),
            luck=by_chance,
            level=level,
            beyond_noise=gain - half > 0 and by_chance <= level,
        )
