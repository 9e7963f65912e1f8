"""Who may become incumbent: both tests keep their level, whatever the noise is. benchmarks/nights.py has more."""

import math
from collections.abc import Callable

import numpy as np
import pytest

from lab.judge.sequential import NIGHT, SPENDING, Plan, level_for, level_outside, look, spending
from lab.space.objective import Objective

MORE, LESS = Objective("perf", "max"), Objective("loss", "min")
PLAN = Plan(level_for(1), min_effect=0.1)


def test_a_clear_winner_is_confirmed_at_the_first_look_and_a_loser_dropped() -> None:
    better, worse = [10.0, 10.1, 10.2, 10.3, 10.4], [0.0, 0.1, 0.2, 0.3, 0.4]
    won = look(better, worse, PLAN, MORE)
    assert (won.decision, won.seeds) == ("confirmed", 5)
    assert won.effect == pytest.approx(10)
    assert won.low < 10 < won.high
    lost = look(worse, better, PLAN, MORE)
    assert lost.decision == "dropped"
    assert look(worse, better, PLAN, LESS).decision == "confirmed"
    assert look(worse, better, PLAN, LESS).effect == pytest.approx(-10)  # in the metric's own direction


def test_what_is_too_small_to_matter_is_dropped_however_sure() -> None:
    new, old = [1.0026, 1.0028, 1.003, 1.0032, 1.0034], [1.0, 1.0001, 1.0002, 1.0003, 1.0004]
    assert look(new, old, Plan(PLAN.level, 0.0), MORE).decision == "confirmed"
    found = look(new, old, PLAN, MORE)
    assert found.decision == "dropped"
    assert "smallest effect that matters (0.1)" in found.why


def test_it_goes_on_while_nothing_is_clear_and_ends_at_the_cap() -> None:
    new, old = [0.0, 1.0, 2.0, 3.0, 4.0] * 3, [2.0, 0.2, 1.0, 1.5, -0.2] * 3
    assert look(new[:5], old[:5], Plan(PLAN.level, 0.0), MORE).decision == "continue"
    assert look(new[:10], old[:10], Plan(PLAN.level, 0.0), MORE).decision == "continue"
    assert look(new, old, Plan(PLAN.level, 0.0), MORE).decision == "dropped"
    assert Plan(0.01, 0.0).cap == 15


def test_it_ends_early_where_the_seeds_that_are_left_would_hardly_show_it() -> None:
    new, old = [0.0, 1.0, 2.0, 3.0, 4.0], [4.0, 0.5, 2.0, 3.0, 0.0]
    found = look(new, old, Plan(PLAN.level, 0.0), MORE)
    assert (found.decision, found.seeds) == ("dropped", 5)
    assert found.why == "5 fresh seeds a side leave a chance of 5% that 15 would show it"
    alike = look([1.0] * 5, [1.0] * 5, Plan(PLAN.level, 0.0), MORE)  # as good as can be, both
    assert alike.decision == "dropped"


@pytest.mark.parametrize(("gain", "least", "most"), [(0.0, 0.5, 1.0), (1.5, 0.0, 0.04)])
def test_what_is_better_is_hardly_ever_given_up_early(gain: float, least: float, most: float) -> None:
    draw, plan = np.random.default_rng(21), Plan(PLAN.level, 0.0)
    looks = [look(draw.standard_normal(5) + gain, draw.standard_normal(5), plan, MORE) for _ in range(400)]
    assert least <= sum(one.decision == "dropped" for one in looks) / len(looks) <= most


def test_the_same_seeds_give_the_same_decision() -> None:
    draw = np.random.default_rng(3)
    new, old = draw.standard_normal(15) + 1, draw.standard_normal(15)
    assert look(new, old, PLAN, MORE) == look(new.copy(), old.copy(), PLAN, MORE)


Draw = Callable[[int], np.ndarray]


def noise(shape: str) -> Draw:
    draw = np.random.default_rng(5)
    shapes: dict[str, Draw] = {
        "normal": draw.standard_normal,
        "skewed": draw.standard_exponential,
        "bimodal": lambda count: draw.choice([0.0, 1.0], count) + 0.01 * draw.standard_normal(count),
    }
    return shapes[shape]


def ended(plan: Plan, make: Draw) -> bool:
    """Whether a contender that is no better is called so, at one of the looks."""
    new, old = make(plan.cap), make(plan.cap)
    for seeds in range(plan.group, plan.cap + 1, plan.group):
        found = look(new[:seeds], old[:seeds], plan, MORE)
        if found.decision != "continue":
            break
    return found.decision == "confirmed"


@pytest.mark.parametrize("shape", ["normal", "skewed", "bimodal"])
@pytest.mark.parametrize(("level", "looks"), [(0.05, 3), (0.2, 3), (0.1, 2), (0.1, 1)])
def test_equal_configs_cross_no_more_often_than_the_level(shape: str, level: float, looks: int) -> None:
    make, plan, times = noise(shape), Plan(level, 0.0, spending=spending(looks)), 400
    crossed = sum(ended(plan, make) for _ in range(times))
    assert crossed / times <= level + 3 * math.sqrt(level / times)


def test_the_levels_of_a_night_add_up() -> None:
    assert [count * level_for(count) for count in (1, 2, 5)] == pytest.approx([NIGHT] * 3)


def test_the_levels_outside_sessions_add_up_however_many_there_are() -> None:
    levels = [level_outside(number) for number in range(1, 2001)]
    assert levels[:3] == pytest.approx([NIGHT / 2, NIGHT / 6, NIGHT / 12])
    assert levels == sorted(levels, reverse=True)
    assert NIGHT * 0.999 < sum(levels) < NIGHT


@pytest.mark.parametrize("looks", [1, 2, 3])
def test_all_of_the_level_is_spent_by_the_last_look(looks: int) -> None:
    shares = spending(looks)
    assert (len(shares), shares[-1]) == (looks, 1.0)
    assert list(shares) == sorted(set(shares))
    assert Plan(NIGHT, 0.0, spending=shares).cap == 5 * looks
    assert spending(3) == SPENDING


def test_one_look_has_the_whole_level_to_itself() -> None:
    """Five against five without an overlap have p = 1/252: too much for half of 0.75 %, not for all of it."""
    new, old = [1.0, 1.1, 1.2, 1.3, 1.4], [0.0, 0.1, 0.2, 0.3, 0.4]
    assert look(new, old, Plan(0.0075, 0.0, spending=spending(1)), MORE).decision == "confirmed"
    assert look(new, old, Plan(0.0075, 0.0, spending=spending(2)), MORE).decision == "continue"
