"""How a night is laid out: what a proof is left, and what is said where it could show nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.judge import GROUP, NIGHT
from lab.search import findable, lay_out, seeds_for
from lab.search.night import SURE, power


def test_a_usual_night_has_a_baseline_a_search_and_a_proof_that_may_leave_some_of_its_part() -> None:
    plan = lay_out(60, 3, keys=20)
    assert (plan.baseline, plan.search, plan.reserve, plan.looks) == (5, 25, 30, 3)
    assert not plan.findable


def test_once_the_noise_is_known_it_is_known_what_could_be_found() -> None:
    plan = lay_out(60, 3, keys=20, noise=(0.2, 4), room=0.4)
    assert len(plan.findable) == 3
    assert plan.findable[0] > plan.findable[1] > plan.findable[2]
    assert not plan.hopeless


def test_a_short_budget_has_no_proof() -> None:
    plan = lay_out(12, 3, keys=20, noise=(0.2, 4), room=0.4)
    assert (plan.search, plan.reserve, plan.looks, plan.hopeless) == (7, 0, 0, False)


def test_hopeless_noise_is_said_with_the_seeds_that_would_do() -> None:
    plan = lay_out(60, 3, keys=20, noise=(0.5, 4), room=0.1)
    assert plan.hopeless
    assert plan.enough is not None
    assert power(0.1, 0.5, plan.enough, NIGHT) >= SURE > power(0.1, 0.5, plan.enough - GROUP, NIGHT)


def test_a_long_budget_takes_more_seeds_where_the_noise_asks_for_them_and_half_of_what_is_left_at_most() -> None:
    usual = lay_out(600, 3, keys=20, noise=(0.2, 4), room=0.4)
    noisy = lay_out(600, 3, keys=20, noise=(0.2, 4), room=0.15)
    assert (usual.looks, noisy.looks > 3, noisy.hopeless) == (3, True, False)
    assert noisy.findable[-1] <= 0.15 < noisy.findable[2]
    less = lay_out(150, 3, keys=20, noise=(0.2, 4), room=0.05)
    assert less.search is not None
    assert less.reserve <= less.search


def test_what_a_person_wants_to_find_asks_for_seeds_as_well() -> None:
    assert lay_out(600, 3, keys=20, noise=(0.2, 4)).looks == 3
    assert lay_out(600, 3, keys=20, noise=(0.2, 4), wanted=0.15).looks > 3


def test_one_open_key_needs_no_long_search_and_leaves_the_proof_more() -> None:
    few, many = (lay_out(110, 3, keys=keys, noise=(0.2, 4), room=0.1) for keys in (1, 20))
    assert few.looks > many.looks
    assert few.search == 25  # a dozen, and a dozen for the key, and what makes no whole look


def test_a_night_without_a_limit_plans_its_proof_by_the_noise_alone() -> None:
    plan = lay_out(None, 1, keys=20, noise=(0.2, 4), room=0.17)
    assert plan.search is None
    assert plan.looks > 3
    assert plan.findable[-1] <= 0.17


def test_what_goes_on_from_an_incumbent_trains_no_baseline() -> None:
    assert lay_out(60, 3, keys=20, known=True).baseline == 0


@given(
    replicates=st.none() | st.integers(1, 2000),
    seeds=st.integers(1, 20),
    keys=st.integers(0, 60),
    noise=st.none() | st.tuples(st.floats(0, 1e6), st.integers(1, 500)),
    room=st.none() | st.floats(0, 1e6),
    wanted=st.none() | st.floats(1e-6, 1e6),
)
def test_the_parts_are_the_whole(
    replicates: int | None,
    seeds: int,
    keys: int,
    noise: tuple[float, int] | None,
    room: float | None,
    wanted: float | None,
) -> None:
    plan = lay_out(replicates, seeds, keys=keys, noise=noise, room=room, wanted=wanted)
    assert len(plan.findable) == (plan.looks if noise else 0)
    if replicates is not None and replicates >= plan.baseline:
        assert plan.baseline + (plan.search or 0) + plan.reserve == replicates
        assert plan.looks == 0 or plan.reserve >= 2 * GROUP


@pytest.mark.parametrize("seeds", [5, 10, 15, 30])
def test_what_is_findable_is_found_in_nine_of_ten_cases(seeds: int) -> None:
    gain = findable(0.3, seeds, NIGHT)
    assert power(gain, 0.3, seeds, NIGHT) == pytest.approx(SURE, abs=1e-6)
    assert seeds_for(1.0001 * gain, 0.3, NIGHT) == seeds
    assert seeds_for(0.0, 0.3, NIGHT) is None
    assert findable(0.0, seeds, NIGHT) == 0.0
