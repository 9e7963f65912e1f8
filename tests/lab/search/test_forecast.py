"""How often the intervals of forecasts hold, and what they rest on."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.search.forecast import forecast
from lab.search.history import History, Trial
from lab.search.points import Range, SearchSpace
from lab.space import Scale

SPACE = SearchSpace((Range("x", 0.0, 1.0, Scale.LINEAR, False), Range("y", 0.0, 1.0, Scale.LINEAR, False)))


def score(point: dict[str, float], random: np.random.Generator) -> float:
    return float(0.9 - abs(point["x"] - 0.4) + 0.05 * random.standard_normal())


def test_an_interval_of_four_in_five_holds_about_as_often_on_a_task_that_can_be_learnt() -> None:
    held = []
    for night in range(6):
        random = np.random.default_rng(night)
        trials: list[Trial] = []
        for _ in range(24):
            point = {"x": float(random.random()), "y": float(random.random())}
            came = score(point, random)
            if len(trials) >= 6:
                said = forecast(History(SPACE, tuple(trials)), point, 0.8, (0.0, 1.0))
                assert said is not None
                held.append(said.low <= came <= said.high)
            trials.append(Trial(point, (came,)))
    assert 0.7 <= np.mean(held) <= 0.95  # of 108, four standard errors around four in five


def test_before_anything_else_was_tried_a_config_is_not_foretold_to_score_as_its_parent_does() -> None:
    """Five replicates of one config tell nothing of how far configs lie apart."""
    only = History(SPACE, (Trial({"x": 0.5, "y": 0.5}, (0.5, 0.501, 0.499, 0.5, 0.5)),))
    said = forecast(only, {"x": 0.1, "y": 0.9}, 0.8, (0.0, 1.0))
    assert said is not None
    assert said.high - said.low > 0.3


def test_nothing_is_foretold_of_nothing() -> None:
    assert forecast(History(SPACE, ()), {"x": 0.5, "y": 0.5}, 0.8) is None


@pytest.mark.parametrize("bounds", [(None, None), (0.0, 1.0), (0.0, None)])
@given(scores=st.lists(st.floats(0.0, 1.0), min_size=1, max_size=8), x=st.floats(0.0, 1.0))
def test_an_interval_lies_within_what_a_score_can_be(
    bounds: tuple[float | None, float | None], scores: list[float], x: float
) -> None:
    trials = tuple(Trial({"x": at / 8, "y": 1 - at / 8}, (one,)) for at, one in enumerate(scores))
    said = forecast(History(SPACE, trials), {"x": x, "y": x}, 0.8, bounds)
    assert said is not None
    assert said.low <= said.high
    for end in said:
        assert bounds[0] is None or end >= bounds[0]
        assert bounds[1] is None or end <= bounds[1]
