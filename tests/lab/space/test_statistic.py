"""What sums up replicates, and how an objective says so."""

import itertools
import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import trim_mean

from lab.base.errors import InvalidInput
from lab.space.objective import Objective, check_objective
from lab.space.statistic import NAMED, Statistic, summed_up

ENV = "puffer_cartpole"
VALUES = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=8)


@given(VALUES)
def test_each_is_what_its_name_says(values: list[float]) -> None:
    by_hand = {
        "mean": statistics.fmean(values), "worst": min(values), "median": statistics.median(values),
        "iqm": trim_mean(values, 0.25),
    }  # fmt: skip
    for statistic in ("mean", *NAMED):
        assert summed_up(values, statistic) == pytest.approx(by_hand[statistic], rel=1e-9, abs=1e-6)  # type: ignore[arg-type]


@given(VALUES, st.data())
def test_of_fewer_replicates_it_is_the_mean_over_all_choices_of_so_many(
    values: list[float], data: st.DataObject
) -> None:
    n, statistic = data.draw(st.integers(1, len(values))), data.draw(st.sampled_from(NAMED))
    choices = [summed_up(choice, statistic) for choice in itertools.combinations(values, n)]
    assert summed_up(values, statistic, n) == pytest.approx(np.mean(choices), rel=1e-9, abs=1e-5)
    assert summed_up(values, statistic, 1) == pytest.approx(statistics.fmean(values), rel=1e-9, abs=1e-5)


@pytest.mark.parametrize("statistic", NAMED)
@pytest.mark.parametrize("direction", ["max", "min"])
@pytest.mark.parametrize("metric", ["perf", "is_success@last", "a@b", "@x"])
def test_the_text_of_an_objective_comes_back(metric: str, direction: str, statistic: Statistic) -> None:
    for text, meant in ((f"{metric}:{direction}", "mean"), (f"{metric}@{statistic}:{direction}", statistic)):
        goal = Objective.of(text, ENV)
        assert (goal.metric, goal.statistic, goal.direction) == (metric, meant, direction)
        assert str(goal) == text


def test_the_worst_is_the_lowest_where_more_is_better_and_the_highest_where_less_is() -> None:
    values = [0.2, 0.9, 0.5]
    assert Objective.of("perf@worst:max", ENV).of_scores(values) == 0.2
    assert Objective.of("perf@worst:min", ENV).of_scores(values) == 0.9
    assert Objective.of("perf@worst:min", ENV).difference([0.5], values) == pytest.approx(0.5 - np.mean(values))


def test_a_statistic_that_is_none_is_refused_with_those_there_are() -> None:
    with pytest.raises(InvalidInput, match=r"'lowest' for a statistic.*worst, iqm, median"):
        check_objective(Objective.of("perf@lowest:max", ENV).metric, ENV)
    with pytest.raises(InvalidInput, match="worst, iqm, median"):
        Objective.of("perf@worst", ENV)
    check_objective(Objective.of("perf@worst:max", ENV).metric, ENV)
