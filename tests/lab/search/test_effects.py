"""What is said of keys in worlds whose truth is known: what is there, where it is best, and nothing that is not."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.search.effects import Effects, effects_of
from lab.search.history import History, Trial
from lab.search.points import Choice, Point, Range, SearchSpace
from lab.space import Scale


def space_of(keys: int) -> SearchSpace:
    return SearchSpace(tuple(Range(f"k{at}", 0.0, 1.0) for at in range(keys)))


def learnt(
    score: Callable[[Point], float], space: SearchSpace, count: int, seed: int, noise: float = 0.3, low: float = 0.0
) -> Effects:
    """What is said after so many configs at random, the first trained five times; `low`: where places begin."""
    draw = np.random.default_rng([41, seed])
    points = [space.point(low + (1 - low) * draw.random(len(space.dimensions))) for _ in range(count)]
    scores = [
        tuple(score(point) + noise * float(draw.standard_normal()) for _ in range(5 if at == 0 else 1))
        for at, point in enumerate(points)
    ]
    return effects_of(History(space, tuple(map(Trial, points, scores))))


def peak(key: str, top: float) -> Callable[[Point], float]:
    return lambda point: max(0.0, 1 - 2 * abs(float(point[key] or 0) - top))


@pytest.mark.parametrize(("keys", "count"), [(3, 30), (20, 40)])
def test_where_nothing_matters_nothing_is_named(keys: int, count: int) -> None:
    worlds = [learnt(lambda _: 0.0, space_of(keys), count, seed) for seed in range(20)]
    assert sum(bool(found.found or found.together) for found in worlds) <= 2
    assert all(found.lacking == "model" or found.explained >= 0.1 for found in worlds)


def test_a_key_that_matters_is_found_with_the_region_that_is_best() -> None:
    tops = np.linspace(0.15, 0.85, 8)
    worlds = [learnt(peak("k2", top), space_of(6), 50, seed) for seed, top in enumerate(tops)]
    named = [(found.found[0], top) for found, top in zip(worlds, tops, strict=True) if found.found]
    assert len(named) >= 7
    assert all(effect.keys == ("k2",) for effect, _ in named)
    ends = [(effect.best[0].ends or (0, 0), top) for effect, top in named]
    assert sum(low <= top <= high for (low, high), top in ends) >= len(named) - 1
    assert all(high - low < 0.7 for (low, high), _ in ends)
    assert all(effect.share > 0.5 and 0 < effect.low < effect.gain < effect.high for effect, _ in named)
    assert np.mean([effect.gain for effect, _ in named]) == pytest.approx(0.8, abs=0.25)
    others = [one for found in worlds for one in (*found.found[1:], *found.together)]
    assert len(others) <= 1


def test_value_by_value_the_intervals_hold_the_truth_as_often_as_they_say() -> None:
    held = list[bool]()
    for seed, top in enumerate(np.linspace(0.15, 0.85, 12)):
        truth = peak("k2", float(top))
        found = learnt(truth, space_of(4), 50, seed).found
        for effect in (one for one in found if one.keys == ("k2",)):
            assert len(effect.steps) == 12
            assert sum(step.mean for step in effect.steps) == pytest.approx(0, abs=1e-9)
            assert all(step.low < step.mean < step.high for step in effect.steps)
            true = np.array([truth({"k2": step.value}) for step in effect.steps])
            held += [step.low <= at <= step.high for step, at in zip(effect.steps, true - true.mean(), strict=True)]
    assert len(held) >= 120
    assert np.mean(held) >= 0.88  # of 95 %: the model's smoothness is not quite that of a peak with an edge


def test_two_keys_that_matter_only_together_are_found_as_two() -> None:
    def score(point: Point) -> float:
        return float((float(point["k0"] or 0) > 0.5) != (float(point["k3"] or 0) > 0.5))

    worlds = [learnt(score, space_of(4), 90, seed, noise=0.2) for seed in range(5)]
    pairs = [one for found in worlds for one in found.together]
    assert len(pairs) >= 4
    assert {one.keys for one in pairs} == {("k0", "k3")}
    for one in pairs:
        (low, high), (other_low, other_high) = (span.ends or (0, 0) for span in one.best)
        assert ((low + high) / 2 > 0.5) != ((other_low + other_high) / 2 > 0.5)


def test_values_are_in_the_keys_own_units_and_choices_by_name() -> None:
    space = SearchSpace((Range("rate", 1e-4, 1e-1, Scale.LOG), Choice("rule", ("adam", "muon", "sgd"))))

    def score(point: Point) -> float:
        at = space.places(point)[0]
        return float(1 - 2 * abs(at - 1 / 3) + (point["rule"] == "muon"))

    found = {one.keys: one for one in learnt(score, space, 60, 0, noise=0.1).found}
    (rate,), (rule,) = found["rate",].best, found["rule",].best
    assert float(rate.values[0] or 0) < 1e-3 < float(rate.values[1] or 0) < 2e-2
    assert rule.values == ("muon",)
    assert rule.ends is None


def test_what_nobody_tried_is_not_called_good() -> None:
    found = learnt(
        lambda point: float(point["k0"] or 0) * -1, space_of(3), 40, 0, 0.1, low=0.4
    )  # the lower, the better
    (effect,) = [one for one in found.found if one.keys == ("k0",)]
    assert effect.best[0].ends is not None
    assert 0.4 <= effect.best[0].ends[0] < 0.5


def test_keys_that_stand_still_hide_nothing_and_are_not_named() -> None:
    space = space_of(20)

    def still(point: Point) -> Point:
        return {key: value if key in ("k0", "k1") else 0.3 for key, value in point.items()}

    draw = np.random.default_rng(5)
    points = [still(space.point(draw.random(20))) for _ in range(40)]
    trials = tuple(Trial(p, (peak("k0", 0.7)(p) + 0.1 * float(draw.standard_normal()),)) for p in points)
    (effect,) = effects_of(History(space, trials)).found
    assert effect.keys == ("k0",)
    assert 0.9 < effect.share < 1.1


def test_too_few_configs_say_nothing() -> None:
    assert effects_of(History(space_of(3), ())).lacking == "configs"
    assert learnt(peak("k0", 0.5), space_of(3), 11, 0).lacking == "configs"
    few = learnt(peak("k0", 0.5), space_of(25), 24, 0)
    assert (few.lacking, few.configs, few.needed) == ("configs", 24, 25)


def test_a_long_history_is_thinned_evenly_so_that_luck_is_no_effect() -> None:
    """Late trials lie elsewhere, and the model's own window would have the luckiest of the early ones beside them."""
    space, draw = space_of(4), np.random.default_rng(3)
    places = [*draw.random((500, 4)), *(0.1 * draw.random((100, 4)))]
    trials = tuple(Trial(space.point(at), (float(draw.standard_normal()),)) for at in places)
    found = effects_of(History(space, trials))
    assert 100 <= found.configs <= 200
    assert found.found == ()


@settings(max_examples=12, deadline=None)
@given(st.lists(st.lists(st.sampled_from([0.0, 1.0, -1e9]), max_size=2), min_size=12, max_size=16), st.booleans())
def test_any_scores_have_an_answer(scores: list[list[float]], failed: bool) -> None:
    space = SearchSpace((Range("k0", 0.0, 1.0), Choice("rule", ("a", "b", "c")), Choice("switch", (False, True))))
    draw = np.random.default_rng(0)
    trials = tuple(Trial(space.point(draw.random(3)), tuple(those), failed=int(failed)) for those in scores)
    found = effects_of(History(space, trials))
    assert all(one.low <= one.gain <= one.high and 0 <= one.share <= 1.5 for one in (*found.found, *found.together))
