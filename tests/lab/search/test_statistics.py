"""A search for another objective than the mean: what its model is told, and whom the race comes to believe in."""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest

from lab.judge import Plan, look
from lab.search import History, RaceArm, Range, SearchSpace, Trial
from lab.search.beliefs import believed
from lab.search.forecast import forecast
from lab.search.night import power
from lab.space import NAMED, Objective, Statistic

SPACE = SearchSpace((Range("rate", 0.0, 1.0), Range("clip", 0.0, 1.0)))
BUDGET = 50
COLLAPSING, STEADY = 4, 7
"""Points of the world: the best mean, 0.88, which is 1 but collapses on every fourth seed; and 0.75 on every seed."""
POOL = tuple({"rate": at / 15, "clip": (at * 7 % 16) / 15} for at in range(16))
Draw = Callable[[], float]


def world(random: np.random.Generator) -> list[Draw]:
    """What a replicate of each point scores."""

    def normal(mean: float, sd: float) -> Draw:
        return lambda: mean + sd * float(random.standard_normal())

    points = [normal(0.1 + 0.02 * at, 0.05) for at in range(16)]
    seeds = itertools.cycle([1.0, 1.0, 1.0, 0.5])
    points[COLLAPSING] = lambda: next(seeds)
    points[STEADY] = normal(0.75, 0.02)
    return points


def raced(statistic: Statistic, seed: int) -> int:
    """The point that the race believes in once its budget is used up."""
    random = np.random.default_rng(seed)
    points = world(random)
    trials = [Trial(POOL[0], tuple(points[0]() for _ in range(5)))]
    for left in range(BUDGET, 0, -2):
        history = History(SPACE, tuple(trials), seed, left, pool=POOL, statistic=statistic)
        for ask in RaceArm().propose(history, 2):
            at = next((at for at, trial in enumerate(trials) if trial.point == ask.point), len(trials))
            trials += [Trial(ask.point)] if at == len(trials) else []
            trials[at] = replace(trials[at], scores=(*trials[at].scores, points[POOL.index(ask.point)]()))
    leader = RaceArm().leader(History(SPACE, tuple(trials), seed, statistic=statistic))
    assert leader is not None
    return POOL.index(trials[leader].point)


@pytest.mark.parametrize(("statistic", "wanted"), [("worst", STEADY), ("mean", COLLAPSING)])
def test_the_race_believes_in_what_the_objective_asks_for(statistic: Statistic, wanted: int) -> None:
    found = [raced(statistic, seed) for seed in range(5)]
    assert found.count(wanted) >= 4, found


def told(statistic: Statistic, *scores: Sequence[float]) -> History:
    return History(SPACE, tuple(Trial(POOL[at], tuple(of)) for at, of in enumerate(scores)), statistic=statistic)


def test_by_the_mean_a_number_of_replicates_changes_nothing_and_by_the_worst_they_are_compared_alike() -> None:
    """Five replicates have a lower worst than one; the config with one is no better for that."""
    random = np.random.default_rng(0)
    spread = [tuple((0.5 + 0.1 * random.standard_normal(5)).tolist()) for _ in range(4)]
    same = [*spread, *((0.5,) for _ in range(4))]
    known = believed(told("worst", *same))
    assert known is not None
    assert known.mean < 0.5  # not that of the single replicates, although those have the highest worst


@pytest.mark.parametrize("statistic", NAMED)
def test_what_is_expected_of_one_replicate_does_not_depend_on_the_statistic(statistic: Statistic) -> None:
    random = np.random.default_rng(1)
    scores = [tuple((0.5 + 0.1 * random.standard_normal(5)).tolist()) for _ in range(6)]
    by_mean, by_this = (forecast(told(one, *scores), POOL[8], 0.8) for one in ("mean", statistic))  # type: ignore[arg-type]
    assert by_mean is not None
    assert by_this is not None
    assert by_this.mean == pytest.approx(by_mean.mean, abs=0.05)


@pytest.mark.parametrize("statistic", NAMED)
def test_the_chance_of_a_proof_is_about_what_its_test_comes_to(statistic: Statistic) -> None:
    random, goal, times = np.random.default_rng(2), Objective("perf", "max", statistic=statistic), 50
    assert power(0.0, 1.0, 15, 0.01, statistic) <= 0.02
    for gain in (1.0, 2.0):
        pairs = random.standard_normal((times, 2, 15))
        won = sum(look(new + gain, old, Plan(0.01, 0.0), goal).decision == "confirmed" for new, old in pairs)
        assert power(gain, 1.0, 15, 0.01, statistic) == pytest.approx(won / times, abs=0.25)
