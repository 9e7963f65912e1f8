"""Arms side by side: what each would have ended with, at equal replicates, and when it is said that one is better."""

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.search import ArmStanding, Range, SearchSpace, Standing
from lab.search.standing import FEWEST, LEVEL, POINTS, TOGETHER, Contest, Replicate, luck, places, stand

SPACE = SearchSpace((Range("rate", 0.0, 1.0), Range("clip", 0.0, 1.0)))
BASE = [Replicate(0, score) for score in (-0.1, 0.1, 0.0, -0.05, 0.05)]


def contest(configs: Sequence[tuple[str, float]], replicates: Sequence[Replicate], sign: int = 1) -> Contest:
    """Configs by arm and place, the baseline before them; with these replicates after the baseline's."""
    points = tuple({"rate": place, "clip": (7 * place) % 1} for _, place in (("", 0.0), *configs))
    arms, runs = ("", *(arm for arm, _ in configs)), ("base", *(f"run{at}" for at in range(1, len(configs) + 1)))
    return Contest(SPACE, points, arms, runs, (*BASE, *replicates), sign)


def two_arms(gain: float, each: int, noise: float = 0.1, sign: int = 1) -> Contest:
    """Two arms in turn, the configs of the second better by `gain`."""
    draw = np.random.default_rng(5)
    configs = [("one" if at % 2 else "two", (at + 1) / (2 * each + 1)) for at in range(2 * each)]
    levels = [gain if arm == "two" else 0.0 for arm, _ in configs]
    return contest(
        configs, [Replicate(at + 1, level + noise * draw.standard_normal()) for at, level in enumerate(levels)], sign
    )


def arm_of(standing: Standing, name: str) -> ArmStanding:
    return next(one for one in standing.arms if one.arm == name)


def test_the_arm_whose_configs_are_all_better_is_ahead_beyond_noise() -> None:
    (ahead,) = stand(two_arms(1.0, 8)).ahead
    assert (ahead.arm, ahead.than, ahead.replicates) == ("two", "one", 8)
    assert (ahead.top, ahead.configs) == (8, 16)
    assert ahead.luck == pytest.approx(2 / 12870)  # 16 over 8
    assert ahead.beyond_noise
    assert 0 < ahead.low < 1.0 < ahead.high


def test_equal_arms_are_not_told_apart() -> None:
    (ahead,) = stand(two_arms(0.0, 8)).ahead
    assert not ahead.beyond_noise


def test_one_lucky_config_is_better_beyond_noise_and_the_arm_is_not() -> None:
    scores = [0.0, 0.0, 0.05, 0.0, 0.0, -0.05, 0.05, 0.0]
    configs = [("one" if at % 2 else "two", (at + 1) / 9) for at in range(8)]
    replicates = [Replicate(at + 1, score) for at, score in enumerate(scores)]
    best = [Replicate(3, 2.0 + away) for away in (-0.02, 0.0, 0.02, 0.01)]
    after = [Replicate(2, 0.0)] * 4  # so that the other has as many
    (ahead,) = stand(contest(configs, [*replicates, *best, *after])).ahead
    assert ahead.arm == "two"
    assert ahead.low > 0
    assert ahead.luck > LEVEL
    assert not ahead.beyond_noise


def test_a_lucky_first_replicate_flatters_no_curve() -> None:
    """After one replicate the config leads that scored 3 by luck; what that place is worth is what came later."""
    lucky = [Replicate(1, 3.0), *(Replicate(1, score) for score in (0.1, -0.1, 0.0, 0.05, -0.05, 0.02, 0.0, 0.03))]
    (one,) = stand(contest([("one", 0.5)], lucky)).arms
    first = next(mark for mark in one.curve if mark.replicates == 1)
    assert first.run == "run1"
    assert first.mean < 1.0
    assert first.low < first.mean < first.high


def test_before_its_first_replicate_an_arm_has_the_baseline_and_keeps_it_while_nothing_is_better() -> None:
    worse = [Replicate(at, -1.0 - 0.05 * at) for at in range(1, 7)]
    (one,) = stand(contest([("one", at / 7) for at in range(1, 7)], worse)).arms
    assert [mark.replicates for mark in one.curve] == [0, 1, 2, 3, 4, 5, 6]
    assert {mark.run for mark in one.curve} == {"base"}


def test_arms_that_both_keep_the_baseline_are_level() -> None:
    configs = [("one" if at % 2 else "two", (at + 1) / 9) for at in range(8)]
    (ahead,) = stand(contest(configs, [Replicate(at + 1, -1.0 - 0.01 * at) for at in range(8)])).ahead
    assert ahead.level_pegging
    assert ahead.gain == 0
    assert not ahead.beyond_noise


def test_less_is_better_where_the_objective_says_so() -> None:
    standing = stand(two_arms(1.0, 8, sign=-1))  # scores are the negatives: two's are about -1
    assert arm_of(standing, "two").now.mean == pytest.approx(-1.0, abs=0.2)
    (ahead,) = standing.ahead
    assert (ahead.arm, ahead.gain > 0) == ("two", True)


def test_arms_are_compared_at_the_fewest_replicates_and_from_four_on() -> None:
    uneven = two_arms(1.0, 8)
    kept = [one for one in uneven.replicates if uneven.arms[one.trial] != "two" or one.trial < 10]  # five of two's
    more = [Replicate(17, 0.5)] * (FEWEST - 1)
    points, arms, runs = (*uneven.points, uneven.points[0]), (*uneven.arms, "few"), (*uneven.runs, "run17")
    standing = stand(Contest(SPACE, points, arms, runs, (*kept, *more)))
    assert standing.equal == 5
    assert {one.arm: one.at_equal and one.at_equal.replicates for one in standing.arms} == {
        "two": 5,
        "one": 5,
        "few": None,
    }
    assert [(one.arm, one.than) for one in standing.ahead] == [("two", "one")]
    assert arm_of(standing, "one").replicates == 8


def test_fresh_seeds_and_other_sessions_count_for_no_arm_and_tell_what_a_config_is_worth() -> None:
    one = [Replicate(1, 0.5), Replicate(2, 0.1)]
    known = stand(contest([("one", 0.3), ("one", 0.6)], one))
    proof = [Replicate(1, 1.5 + 0.01 * at, counts=False) for at in range(5)]
    told = stand(contest([("one", 0.3), ("one", 0.6)], [*one, *proof]))
    assert known.arms[0].replicates == told.arms[0].replicates == 2
    after_one = [next(mark for mark in standing.arms[0].curve if mark.replicates == 1) for standing in (known, told)]
    assert after_one[1].mean > after_one[0].mean + 0.3


def test_all_arms_together_are_one_more() -> None:
    standing = stand(two_arms(1.0, 8))
    assert standing.together is not None
    assert (standing.together.arm, standing.together.replicates) == (TOGETHER, 16)
    assert standing.together.curve[-1].replicates == 8  # as far as the longest arm's
    assert standing.together.now.replicates == 16


def test_one_arm_is_all_of_them() -> None:
    standing = stand(contest([("one", 0.2), ("one", 0.8)], [Replicate(1, 0.1), Replicate(2, 0.9), Replicate(2, 0.8)]))
    (only,) = standing.arms
    assert standing.together == only.model_copy(update={"arm": TOGETHER})
    assert (only.replicates, only.now.run) == (3, "run2")


def test_more_pairs_of_arms_have_to_show_more() -> None:
    configs = [(f"arm{at % 3}", (at + 1) / 13) for at in range(12)]
    standing = stand(contest(configs, [Replicate(at + 1, 0.01 * at) for at in range(12)]))
    assert [one.level for one in standing.ahead] == [LEVEL / 3] * 2


def test_without_an_arm_or_a_score_nobody_stands() -> None:
    assert stand(contest([], [])).arms == ()
    failed = stand(contest([("one", 0.5)], [Replicate(1, None)] * 2)).arms[0]
    assert (failed.replicates, failed.failed, failed.now.run) == (2, 2, "base")


def test_a_record_that_the_model_reads_a_window_of_has_all_its_leaders() -> None:
    draw = np.random.default_rng(2)
    configs = [("one" if at % 2 else "two", (at + 1) / 261) for at in range(260)]
    standing = stand(contest(configs, [Replicate(at + 1, draw.standard_normal()) for at in range(260)]), points=4)
    assert standing.equal == 130
    (ahead,) = standing.ahead
    assert ahead.low < ahead.gain < ahead.high


@settings(max_examples=50, deadline=None)
@given(count=st.integers(0, 3000), equal=st.integers(1, 3000), points=st.integers(4, 20))
def test_a_curve_begins_with_nothing_ends_with_all_and_has_few_places(count: int, equal: int, points: int) -> None:
    found = places(count, equal, points)
    assert found == sorted(set(found))
    assert (found[0], found[-1]) == (0, count)
    assert (equal in found) == (equal <= count)
    assert len(found) <= points
    assert len(places(count)) <= POINTS


@settings(max_examples=50, deadline=None)
@given(mine=st.integers(1, 6), others=st.integers(1, 6), top=st.integers(1, 12))
def test_luck_is_what_counting_all_ways_to_deal_the_configs_gives(mine: int, others: int, top: int) -> None:
    deals = list(combinations(range(mine + others), mine))  # which of the ranks are mine
    first = set(range(min(top, mine + others)))
    alike = sum(first <= set(deal) or not first & set(deal) for deal in deals) if top <= mine + others else 0
    if top <= max(mine, others):
        assert luck(top, mine, others) == pytest.approx(alike / len(deals))
