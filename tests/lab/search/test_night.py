"""When a night names what it wants to prove: late, once, and only what its fresh seeds could show."""

from dataclasses import replace

import numpy as np
import pytest

from lab.judge import NIGHT, spending
from lab.search import History, Range, SearchSpace, Trial, before_proof, complete, contenders, name_contender
from lab.search.night import power

SPACE = SearchSpace((Range("rate", 0.0, 1.0), Range("clip", 0.0, 1.0)))


def history(gain: float, left: int, noise: float = 0.1) -> History:
    """A baseline and ten others, of which the last is better by `gain`, all with a few replicates."""
    draw = np.random.default_rng(0)
    trials = []
    for at in range(11):
        level = gain if at == 10 else (0.0 if at == 0 else -0.3)
        scores = tuple((level + noise * draw.standard_normal(6)).tolist())
        trials.append(Trial({"rate": at / 10, "clip": (at * 7 % 11) / 10}, scores))
    return History(SPACE, tuple(trials), left=left)


def test_a_large_difference_is_left_for_the_end_and_a_smaller_one_takes_its_seeds_in_time() -> None:
    assert name_contender(history(1.0, 45), NIGHT) is None  # it takes twenty at most, so the search goes on
    assert name_contender(history(1.0, 21), NIGHT) is None
    for left, cap in ((20, 10), (10, 5)):  # one look alone only where there is no room for two
        clear = name_contender(history(1.0, left), NIGHT)
        assert clear is not None
        assert (clear.trial, clear.plan.cap) == (10, cap)
    assert name_contender(history(0.12, 31), NIGHT) is None
    unclear = name_contender(history(0.12, 30), NIGHT)
    assert unclear is not None
    assert unclear.plan.cap == 15


def test_what_could_hardly_be_shown_is_not_tried() -> None:
    assert name_contender(history(0.02, 31), NIGHT) is None
    assert name_contender(history(-0.2, 31), NIGHT) is None  # the baseline itself is the leader


@pytest.mark.parametrize("left", [0, 5, 9])
def test_without_room_for_a_look_nothing_is_named(left: int) -> None:
    assert name_contender(replace(history(1.0, 0), left=left), NIGHT) is None


def test_where_no_end_is_in_sight_it_is_named_once_it_is_sure_and_enough_was_trained() -> None:
    endless = replace(history(1.0, 0), left=None)
    named = name_contender(endless, NIGHT)
    assert named is not None
    assert (named.trial, named.plan.cap) == (10, 15)
    fewer = tuple(replace(trial, scores=trial.scores[:5]) for trial in endless.trials)  # 55 in all
    assert name_contender(replace(endless, trials=fewer), NIGHT) is None
    assert name_contender(replace(history(0.12, 0), left=None), NIGHT) is None  # not sure enough


@pytest.mark.parametrize("left", [None, 200])
def test_where_nothing_is_left_to_gain_it_is_named_at_once(left: int | None) -> None:
    early = replace(history(1.0, 0), left=left)
    early = replace(early, trials=tuple(replace(trial, scores=trial.scores[:2]) for trial in early.trials))
    assert name_contender(early, NIGHT) is None
    named = name_contender(early, NIGHT, complete=True)
    assert named is not None
    assert named.trial == 10
    unlikely = replace(history(0.05, 0), left=left)
    assert name_contender(unlikely, NIGHT, complete=True) is None


@pytest.mark.parametrize(
    ("believed", "gain", "limit", "min_effect", "done"),
    [
        (1.0, 0.3, 1.0, None, True),
        (0.996, 0.25, 1.0, None, True),
        (0.95, 0.45, 1.0, None, False),
        (0.95, 0.45, 1.0, 0.06, True),  # what is left does not matter, a person said
        (-3.0, 50.0, -2.5, None, True),  # less is better, as the search has it
        (0.95, 0.0, 1.0, 0.1, False),  # the baseline leads
        (0.95, 0.45, None, None, False),
    ],
)
def test_nothing_is_left_to_gain_close_to_a_bound(
    believed: float, gain: float, limit: float | None, min_effect: float | None, done: bool
) -> None:
    assert complete(believed, gain, limit, min_effect) == done


def test_a_contender_that_was_named_before_gets_no_second_proof() -> None:
    assert name_contender(history(1.0, 10), NIGHT, had=[10]) is None


def test_a_plan_fits_what_is_left_and_spends_its_level() -> None:
    for left, looks in ((10, 1), (20, 2), (30, 3), (90, 3)):
        named = name_contender(history(0.15, left, 0.2), NIGHT)
        if named is not None:
            assert named.plan.cap * 2 <= left
            assert named.plan.spending == spending(looks)
            assert named.plan.spending[-1] == 1.0


def test_what_trains_side_by_side_does_not_step_over_the_last_chance() -> None:
    assert name_contender(history(1.0, 11), NIGHT, step=2) is not None  # nine would be left
    assert name_contender(history(1.0, 12), NIGHT, step=2) is None


def test_the_race_is_run_before_the_replicates_of_a_proof() -> None:
    for gain, left, likely in ((1.0, 25, True), (0.12, 15, False)):  # where it is not, who is best is told by a race
        before = before_proof(history(gain, 45), NIGHT)
        assert (before.left, before.proof) == (left, likely)
    for without in (history(-0.2, 45), replace(history(1.0, 0), left=None)):  # nothing to be proven, or any number left
        assert before_proof(without, NIGHT) == without
    assert before_proof(history(1.0, 45), NIGHT, had=[10]).left == 45


def test_an_incumbent_that_spreads_wide_takes_more_seeds() -> None:
    steady = history(0.3, 10)
    first = replace(
        steady.trials[0], scores=tuple(score + 0.3 * (-1) ** at for at, score in enumerate(steady.trials[0].scores))
    )
    assert name_contender(steady, NIGHT) is not None
    wide = replace(steady, trials=(first, *steady.trials[1:]))
    lefts = [before_proof(replace(one, left=40), NIGHT).left for one in (steady, wide)]
    assert lefts[0] is not None
    assert lefts[1] is not None
    assert lefts[0] > lefts[1]


def test_power_is_that_of_students_test() -> None:
    assert power(0.0, 1.0, 10, 0.05) == pytest.approx(0.05)
    assert power(1.0, 1.0, 10, 0.025) == pytest.approx(0.562, abs=0.001)  # Cohen 1988: d = 1, two-sided 5 %
    assert power(1.0, 0.0, 5, 0.01) == 1.0
    assert power(-1.0, 0.0, 5, 0.01) == 0.0


def test_longer_nights_may_prove_more() -> None:
    assert contenders(60) == 1
    assert contenders(180) == 2
