"""Who may become incumbent: both tests keep their level, whatever the noise is. benchmarks/nights.py has more."""

import itertools
import math
import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.judge.sequential import CANDIDATES, NIGHT, SCREEN, Plan, level_for, look, screen_p

PLAN = Plan(level_for(10), min_effect=0.1)
floats = st.floats(-100, 100).map(lambda x: round(x, 3))


@given(st.lists(floats, min_size=1, max_size=4), st.lists(floats, min_size=1, max_size=4))
def test_the_screen_is_the_share_of_splits_that_do_as_well(new: list[float], old: list[float]) -> None:
    both, n = new + old, len(new)
    sums = [sum(both[i] for i in chosen) for chosen in itertools.combinations(range(len(both)), n)]
    by_hand = sum(s >= sum(new) - 1e-6 for s in sums) / len(sums)
    assert screen_p(new, old, "max") == pytest.approx(by_hand)
    assert screen_p([-x for x in new], [-x for x in old], "min") == pytest.approx(by_hand)


def test_the_screen_at_its_ends() -> None:
    assert screen_p([3, 4, 5], [0, 1, 2], "max") == pytest.approx(1 / 20)
    assert screen_p([3, 4, 5], [0, 1, 2], "min") == 1
    assert screen_p([1, 1, 1], [1, 1, 1], "max") == 1
    assert screen_p([], [1.0], "max") == 1
    many, more = list(range(20)), list(range(100, 120))
    assert 0 < screen_p(more, many, "max") < 0.001  # drawn, since there are too many splits


@pytest.mark.parametrize("shape", ["normal", "two modes", "few values"])
def test_the_screen_passes_equal_configs_no_more_often_than_its_level(shape: str) -> None:
    draw = np.random.default_rng(1)
    make = {
        "normal": lambda: draw.standard_normal(8),
        "two modes": lambda: draw.choice([0.0, 1.0], 8) + 0.01 * draw.standard_normal(8),
        "few values": lambda: draw.integers(0, 3, 8).astype(float),
    }[shape]
    passed = statistics.fmean(
        screen_p(x[:3].tolist(), x[3:].tolist(), "max") <= SCREEN for x in (make() for _ in range(3000))
    )
    assert passed <= SCREEN + 3 * math.sqrt(SCREEN * (1 - SCREEN) / 3000)


def test_a_clear_winner_is_confirmed_at_the_first_look_and_a_loser_dropped() -> None:
    better, worse = [10.0, 10.1, 10.2, 10.3, 10.4], [0.0, 0.1, 0.2, 0.3, 0.4]
    won = look(better, worse, PLAN, "max")
    assert (won.decision, won.seeds) == ("confirmed", 5)
    assert won.effect == pytest.approx(10)
    assert won.low < 10 < won.high
    lost = look(worse, better, PLAN, "max")
    assert lost.decision == "dropped"
    assert look(worse, better, PLAN, "min").decision == "confirmed"
    assert look(worse, better, PLAN, "min").effect == pytest.approx(-10)  # in the metric's own direction


def test_what_is_too_small_to_matter_is_dropped_however_sure() -> None:
    new, old = [1.0026, 1.0028, 1.003, 1.0032, 1.0034], [1.0, 1.0001, 1.0002, 1.0003, 1.0004]
    assert look(new, old, Plan(PLAN.level, 0.0), "max").decision == "confirmed"
    found = look(new, old, PLAN, "max")
    assert found.decision == "dropped"
    assert "smallest effect that matters (0.1)" in found.why


def test_it_goes_on_while_nothing_is_clear_and_ends_at_the_cap() -> None:
    new, old = [0.0, 1.0, 2.0, 3.0, 4.0] * 3, [4.0, 0.5, 2.0, 3.0, 0.0] * 3
    assert look(new[:5], old[:5], Plan(PLAN.level, 0.0), "max").decision == "continue"
    assert look(new[:10], old[:10], Plan(PLAN.level, 0.0), "max").decision == "continue"
    assert look(new, old, Plan(PLAN.level, 0.0), "max").decision == "dropped"
    assert Plan(0.01, 0.0).cap == 15


def test_the_same_seeds_give_the_same_decision() -> None:
    draw = np.random.default_rng(3)
    new, old = draw.standard_normal(15) + 1, draw.standard_normal(15)
    assert look(new, old, PLAN, "max") == look(new.copy(), old.copy(), PLAN, "max")


@pytest.mark.parametrize("level", [0.05, 0.2])
def test_equal_configs_cross_no_more_often_than_the_level(level: float) -> None:
    draw = np.random.default_rng(5)
    plan = Plan(level, 0.0)
    crossed, times = 0, 400
    for _ in range(times):
        new, old = draw.standard_exponential(15), draw.standard_exponential(15)
        for seeds in (5, 10, 15):
            found = look(new[:seeds], old[:seeds], plan, "max")
            if found.decision != "continue":
                break
        crossed += found.decision == "confirmed"
    assert crossed / times <= level + 3 * math.sqrt(level / times)


def test_a_night_adds_up() -> None:
    assert CANDIDATES * SCREEN * level_for(None) == pytest.approx(NIGHT)
    assert level_for(100) == level_for(50) / 2
