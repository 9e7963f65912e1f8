"""What every arm holds to, whoever it is; and that each finds what there is to be found."""

import math
import multiprocessing
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.search.arms import ARMS, SLOW, ApartArm, RaceArm
from lab.search.beliefs import believed
from lab.search.history import Arm, Ask, History, Trial
from lab.search.points import Choice, Point, Range, SearchSpace
from lab.space import Scale
from lab.store import Trade

SPACE = SearchSpace(
    (
        Range("rate", 1e-5, 1e-1, Scale.LOG),
        Range("discount", 0.8, 0.999, Scale.LOGIT),
        Range("clip", 0.0, 1.0),
        Range("epochs", 1, 8, whole=True),
        Range("batch", 256, 8192, Scale.POW2, whole=True),
        Choice("rule", ("adam", "muon", "sgd")),
        Choice("anneal", (False, True)),
    )
)


@pytest.fixture(scope="module", params=ARMS)
def arm(request: pytest.FixtureRequest) -> Iterator[Arm]:
    made = ARMS[request.param](1)
    yield made
    if isinstance(made, ApartArm):
        made.close()


def hill(point: Point) -> float:
    """1 at one place, less with the distance from it."""
    rate, clip = SPACE.places(point)[[0, 2]]
    return float(1.0 - 2 * (rate - 0.7) ** 2 - (clip - 0.3) ** 2 - (0.3 if point["rule"] == "sgd" else 0.0))


def tried(count: int, seed: int = 0, score: Callable[[Point], float] = hill) -> tuple[Trial, ...]:
    draw = np.random.default_rng(seed)
    points = [SPACE.point(draw.random(len(SPACE.dimensions))) for _ in range(count)]
    return tuple(Trial(point, (score(point) + 0.05 * float(draw.standard_normal()),)) for point in points)


def valid(point: Point) -> bool:
    return all(
        point[dim.key] in dim.values if isinstance(dim, Choice) else dim.low <= float(point[dim.key] or 0) <= dim.high
        for dim in SPACE.dimensions
    ) and set(point) == {dim.key for dim in SPACE.dimensions}


@pytest.mark.parametrize("known", [0, 1, 11, 12, 40])
def test_what_is_asked_for_lies_in_the_space(arm: Arm, known: int) -> None:
    history = History(SPACE, tried(known), left=30)
    asks = arm.propose(history, 3)
    assert len(asks) == 3
    assert all(valid(ask.point) and ask.replicates == 1 for ask in asks)
    assert all(ask.trial is None or history.trials[ask.trial].point == ask.point for ask in asks)


def test_the_same_history_gives_the_same_answer_and_another_seed_another(arm: Arm) -> None:
    history = History(SPACE, tried(30), seed=3)
    assert arm.propose(history, 2) == arm.propose(history, 2)
    assert arm.propose(History(SPACE, (), seed=1), 2) != arm.propose(History(SPACE, (), seed=2), 2)


def test_several_at_once_are_different_points(arm: Arm) -> None:
    new = [ask.point for ask in arm.propose(History(SPACE, tried(30)), 4) if ask.trial is None]
    assert all(one != other for at, one in enumerate(new) for other in new[at + 1 :])


def test_what_failed_or_is_pending_or_has_equal_scores_stops_nobody(arm: Arm) -> None:
    flat = tuple(Trial(trial.point, (0.0,)) for trial in tried(14))
    failed = tuple(Trial(trial.point, failed=1) for trial in tried(14, 1))
    waiting = tuple(Trial(trial.point, pending=1) for trial in tried(3, 2))
    mixed = (*tried(14, 3), *failed[:3], *waiting)
    for trials in (flat, failed, waiting, mixed):
        assert all(valid(ask.point) for ask in arm.propose(History(SPACE, trials, left=20), 2))


def test_one_key_and_one_value_are_a_space_too(arm: Arm) -> None:
    for space in (SearchSpace((Range("rate", 0.0, 1.0),)), SearchSpace((Choice("rule", ("a", "b")),))):
        draw = np.random.default_rng(0)
        trials = tuple(Trial(space.point(draw.random(1)), (float(draw.random()),)) for _ in range(14))
        (ask,) = arm.propose(History(space, trials), 1)
        assert set(ask.point) == {space.dimensions[0].key}


def test_from_a_pool_come_points_of_the_pool_that_were_not_tried(arm: Arm) -> None:
    pool = tuple(trial.point for trial in tried(30))
    history = History(SPACE, tried(29), pool=pool)
    asked = [ask for ask in arm.propose(history, 3) if ask.trial is None]
    assert [ask.point for ask in asked] in ([], [pool[29]])


def test_the_leader_is_a_trial_with_a_score(arm: Arm) -> None:
    assert arm.leader(History(SPACE, ())) is None
    assert arm.leader(History(SPACE, (Trial(tried(1)[0].point, failed=1),))) is None
    trials = (*tried(20), Trial(tried(1, 9)[0].point, pending=1))
    assert arm.leader(History(SPACE, trials)) in range(20)


def searched(arm: Arm, budget: int, noise: float, seed: int) -> list[Trial]:
    """What an arm has tried after so many replicates."""
    draw = np.random.default_rng(seed)
    trials: list[Trial] = []
    for used in range(budget):
        (ask,) = arm.propose(History(SPACE, tuple(trials), seed, budget - used), 1)
        score = hill(ask.point) + noise * float(draw.standard_normal())
        if ask.trial is None:
            trials.append(Trial(ask.point, (score,)))
        else:
            trials[ask.trial] = Trial(ask.point, (*trials[ask.trial].scores, score))
    return trials


def search(arm: Arm, budget: int, noise: float, seed: int) -> float:
    """The true score of what an arm believes in after so many replicates."""
    trials = searched(arm, budget, noise, seed)
    leader = arm.leader(History(SPACE, tuple(trials), seed, 0))
    assert leader is not None
    return hill(trials[leader].point)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name for name in ARMS]
)
def test_each_finds_a_hill(name: str) -> None:
    arm = ARMS[name](1)
    assert np.mean([search(arm, 30, 0.02, seed) for seed in range(2)]) > 0.9
    if isinstance(arm, ApartArm):
        arm.close()


_KEPT: list[Arm] = []


def _ask_and_keep() -> None:
    _KEPT.append(ARMS["gp"](1))
    _KEPT[0].propose(History(SPACE, tried(3), left=30), 1)


def test_a_forked_process_ends_although_it_never_closed_such_an_arm() -> None:
    process = multiprocessing.get_context("fork").Process(target=_ask_and_keep)
    process.start()
    process.join(120)
    try:
        assert process.exitcode == 0
    finally:
        for one in (*psutil.Process(process.pid).children(), process) if process.is_alive() else ():
            one.kill()


@pytest.mark.nights
def test_the_race_ends_higher_than_keeping_the_best_of_as_many_random_ones_where_noise_rules() -> None:
    mine = [search(RaceArm(), 40, 0.5, seed) for seed in range(48)]
    random = [search(ARMS["random"](1), 40, 0.5, seed) for seed in range(48)]
    assert np.mean(mine) > np.mean(random) + 0.05


def slower(point: Point) -> float:
    """Seconds: eight times as many epochs take eight times as long."""
    return 10.0 * float(point["epochs"] or 1)


def worth(point: Point) -> float:
    """A hill, and more where there are more epochs."""
    return hill(point) + 0.6 * float(point["epochs"] or 1) / 8


def traded(trade: Trade | None, seed: int, *, budget: int = 50, timed: bool = True) -> list[Trial]:
    """What the race has tried after so many replicates where slow points are better."""
    draw = np.random.default_rng(seed)
    trials: list[Trial] = []
    for used in range(budget):
        (ask,) = RaceArm().propose(History(SPACE, tuple(trials), seed, budget - used, trade=trade), 1)
        score = worth(ask.point) + 0.03 * float(draw.standard_normal())
        old = Trial(ask.point) if ask.trial is None else trials[ask.trial]
        known = replace(old, scores=(*old.scores, score), seconds=slower(ask.point) if timed else None)
        trials = [*trials, known] if ask.trial is None else [*trials[: ask.trial], known, *trials[ask.trial + 1 :]]
    return trials


@pytest.mark.slow
def test_where_score_is_weighed_against_seconds_the_race_finds_better_fast_points_and_the_best_of_all_too() -> None:
    def front(trials: list[Trial]) -> list[float]:
        """The best true score of points that are as fast as each of eight times."""
        times = range(10, 90, 10)
        return [max((worth(one.point) for one in trials if slower(one.point) <= most), default=0.0) for most in times]

    mine, plain = (np.array([front(traded(trade, seed)) for seed in range(6)]) for trade in ("seconds", None))
    fast = slice(0, 4)
    assert (mine[:, fast].mean(axis=1) > plain[:, fast].mean(axis=1)).sum() >= 4
    assert mine[:, fast].mean() > plain[:, fast].mean() + 0.04
    assert mine[:, -1].mean() > 1.45  # of 1.6


def test_where_too_few_points_were_timed_score_alone_counts() -> None:
    assert traded("seconds", 0, budget=25, timed=False) == traded(None, 0, budget=25, timed=False)


def test_a_pool_is_searched_for_fast_points_too() -> None:
    pool = tuple(trial.point for trial in tried(60))
    trials = tuple(replace(trial, seconds=slower(trial.point)) for trial in tried(30))
    asks = [RaceArm().propose(History(SPACE, trials, seed, pool=pool, trade="seconds"), 1)[0] for seed in range(8)]
    assert all(ask.point in pool for ask in asks)


def test_the_race_gives_more_seeds_to_what_may_be_the_best_and_one_to_the_hopeless() -> None:
    trials = searched(RaceArm(), 60, 0.2, 5)
    truth = [hill(trial.point) for trial in trials]
    order, counts = np.argsort(truth), [len(trial.scores) for trial in trials]
    assert int(np.argmax(counts)) in order[-len(order) // 3 :]
    assert max(counts) >= 4
    assert all(counts[at] == 1 for at in order[:5])


def test_the_end_of_a_race_goes_to_its_best_unless_a_proof_tells_of_them() -> None:
    once = tried(20)  # and as many again as the race has by then
    ending = History(SPACE, (*once[:-3], *(replace(one, scores=one.scores * 2) for one in once[-3:])), left=2)
    settling = [replace(ending, seed=seed) for seed in range(12)]
    assert all(RaceArm().propose(one, 1)[0].trial is not None for one in settling)
    assert any(RaceArm().propose(replace(one, proof=True), 1)[0].trial is None for one in settling)


def test_the_end_of_a_race_is_a_share_of_what_it_began_with_itself() -> None:
    once = tried(40)
    long_ago = History(SPACE, (*once[:-10], *(replace(one, scores=one.scores * 2) for one in once[-10:])), left=9)
    assert long_ago.replicates == 50

    def new(since: int) -> int:
        asked = (RaceArm().propose(replace(long_ago, since=since, seed=seed), 1)[0] for seed in range(12))
        return sum(ask.trial is None for ask in asked)

    assert new(0) == 0  # nine are the last fifth of fifty-nine
    assert new(50) > 6  # and all that this search has


def test_the_first_points_of_a_race_leave_no_fifth_of_any_key_out() -> None:
    trials = list[Trial]()
    while len(trials) < 12:
        (ask,) = RaceArm().propose(History(SPACE, tuple(trials), 3, 60), 1)
        trials.append(Trial(ask.point, (0.5,)))
    for dimension in SPACE.dimensions:
        if isinstance(dimension, Range) and not dimension.work and dimension.scale is not Scale.POW2:
            places = [dimension.place(trial.point[dimension.key]) for trial in trials]
            assert {min(int(5 * place), 4) for place in places} == set(range(5))


def test_the_first_points_come_nearer_to_a_baseline_that_they_are_worse_than_and_go_away_from_one_that_is_bad() -> None:
    space = SearchSpace(tuple(Range(f"x{at}", 0.0, 1.0) for at in range(12)))
    start = dict.fromkeys((f"x{at}" for at in range(12)), 0.5)

    def away(later: float) -> list[float]:
        """How far each of the first points is from the baseline, where all but it have one score."""
        trials = [Trial(start, (0.5,) * 5)]
        for _ in range(11):
            (ask,) = RaceArm().propose(History(space, tuple(trials), seed=3), 1)
            trials.append(Trial(ask.point, (later,)))
        return [max(abs(float(value or 0) - 0.5) for value in trial.point.values()) for trial in trials[1:]]

    worse, better = away(0.1), away(0.9)
    assert worse[0] == better[0]
    assert all(0.2 * there <= here < there for here, there in zip(worse[1:], better[1:], strict=True))
    assert max(worse[8:]) < 0.25
    assert min(better) > 0.3


def test_where_reward_is_hardly_ever_seen_the_race_looks_about_instead_of_repeating() -> None:
    flat = tuple(Trial(trial.point, (-200.0,)) for trial in tried(30))
    asks = [RaceArm().propose(History(SPACE, flat, seed, 30), 1)[0] for seed in range(10)]
    assert all(ask.trial is None for ask in asks)


def test_what_is_believed_comes_of_all_replicates() -> None:
    lucky, sound = tried(2, 7)
    trials = (Trial(lucky.point, (2.0, 0.0, 0.0, 0.1)), Trial(sound.point, (1.0, 1.1, 0.9, 1.0)))
    belief = believed(History(SPACE, trials))
    assert belief is not None
    assert belief.leader == 1
    assert belief.gain > 0


def test_one_wild_score_does_not_blind_the_model() -> None:
    trials = (*tried(40), Trial(SPACE.point([0.1] * len(SPACE.dimensions)), (-1e6,)))
    asks = RaceArm().propose(History(SPACE, trials, left=200), 6)
    assert max(hill(ask.point) for ask in asks) > 0.9
    assert believed(History(SPACE, trials)) == believed(
        History(SPACE, (*trials[:-1], Trial(trials[-1].point, (-5e5,))))
    )


@pytest.mark.parametrize("name", [name for name in ARMS if name not in SLOW])
def test_a_thousand_trials_are_read(name: str) -> None:
    (ask,) = ARMS[name](1).propose(History(SPACE, tried(1000), left=50), 1)
    assert isinstance(ask, Ask)


RANGES = st.sampled_from(SPACE.dimensions)


@given(RANGES, st.floats(0, 1))
@settings(max_examples=300, deadline=None)
def test_a_place_and_its_value_are_one(dim: Range | Choice, place: float) -> None:
    value = dim.value(place)
    again = dim.value(dim.place(value))
    if isinstance(value, float):
        assert math.isclose(float(again or 0), value, rel_tol=0.02, abs_tol=2e-3)
    else:
        assert again == value


@given(RANGES, st.one_of(st.floats(allow_nan=False), st.integers(), st.text(), st.booleans()))
@settings(max_examples=200, deadline=None)
def test_a_value_from_outside_has_a_place_all_the_same(dim: Range | Choice, value: float | str | bool) -> None:
    if isinstance(dim, Range) and isinstance(value, str):
        return
    assert 0 <= dim.place(value) <= 1
