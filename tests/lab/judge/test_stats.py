"""What replicates allow to be concluded."""

import numpy as np
import pytest
from scipy import stats as scipy_stats

from lab.judge.stats import compare, detectable, noise_floor
from lab.space.objective import Objective
from lab.store.summary import summarize

MORE = Objective("perf", "max")


def test_the_interval_is_students() -> None:
    values = [0.82, 0.88, 0.46, 0.84]
    found = summarize(values)
    expected = scipy_stats.t.interval(0.95, 3, np.mean(values), scipy_stats.sem(values))
    assert (found.low, found.high) == pytest.approx(expected)
    assert found.n == 4


def test_one_replicate_has_no_interval() -> None:
    assert (summarize([0.5]).low, summarize([0.5]).high) == (None, None)


def test_the_interval_of_a_rate_stays_in_its_range() -> None:
    found = summarize([0.2, 0.9], bounds=(0.0, 1.0))
    assert (found.low, found.high) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("new", "old", "direction", "verdict"),
    [
        ([0.98, 0.97, 0.99], [0.2, 0.21, 0.19], "max", "better"),
        ([0.98, 0.97, 0.99], [0.2, 0.21, 0.19], "min", "worse"),
        ([0.2, 0.21, 0.19], [0.98, 0.97, 0.99], "max", "worse"),
        ([0.82, 0.88, 0.46], [0.84, 0.5, 0.9], "max", "inconclusive"),
        ([0.9], [0.1, 0.2], "max", "inconclusive"),
        ([0.9, 0.9], [0.1, 0.1], "max", "inconclusive"),
    ],
)
def test_verdict(new: list[float], old: list[float], direction: str, verdict: str) -> None:
    found = compare(new, old, Objective("perf", direction))  # type: ignore[arg-type]
    assert found.verdict == verdict
    assert found.effect == pytest.approx(np.mean(new) - np.mean(old))


def test_equal_configs_are_rarely_called_different() -> None:
    draw = np.random.default_rng(0)
    pairs = draw.normal(size=(400, 2, 3))
    called = sum(compare(list(new), list(old), MORE).verdict != "inconclusive" for new, old in pairs)
    assert called / 400 <= 0.06


def test_the_noise_floor_pools_replicates() -> None:
    assert noise_floor([[1.0], [2.0]]) is None
    sd, freedom = noise_floor([[1.0, 3.0], [10.0, 10.0], [5.0]]) or (0, 0)
    assert freedom == 2
    assert sd == pytest.approx(1.0)


@pytest.mark.parametrize("n", [2, 3, 4, 8])
def test_what_replicates_can_see(n: int) -> None:
    """Against simulation: of differences of that size, four in five are found by Student's test."""
    size = detectable(0.5, n)
    assert size is not None
    draw = np.random.default_rng(n)
    new, old = draw.normal(size, 0.5, (3000, n)), draw.normal(0, 0.5, (3000, n))
    found = scipy_stats.ttest_ind(new, old, axis=1).pvalue < 0.05
    assert 0.77 < np.mean(found) < 0.83


def test_what_replicates_can_see_for_every_size() -> None:
    assert detectable(1.0, 1) is None
    sizes = [detectable(1.0, n) for n in range(2, 65)]
    assert sizes == sorted(sizes, reverse=True)  # type: ignore[type-var]
    assert detectable(0.0, 2) == 0


def test_equal_replicates_on_one_side_are_compared_in_silence(recwarn: pytest.WarningsRecorder) -> None:
    found = compare([0.9949996471405029, 0.9914646178716794], [0.9949996471405029] * 5, MORE)
    assert found.verdict == "inconclusive"
    assert found.low is not None
    assert [str(one.message) for one in recwarn] == []
