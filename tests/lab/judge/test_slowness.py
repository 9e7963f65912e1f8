"""What is too slow beside the others of its night, and what may take as long as it likes."""

from typing import Any

import pytest

from lab.base.files import write_model
from lab.judge import Slowness, slowness
from lab.store.notebook import Notebook
from lab.store.records import RunRecord
from tests.conftest import RunMaker


class Clock:
    """What a test says that the time is."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("usual", "pace", "slow"),
    [
        (30.0, 1.0, False),  # as fast as the others
        (30.0, 9.0, False),
        (30.0, 11.0, True),
        (0.1, 500.0, False),  # nobody is ended who needs less than a minute
        (0.1, 700.0, True),
    ],
)
def test_ten_times_as_long_as_usual_and_more_than_a_minute_is_too_slow(usual: float, pace: float, slow: bool) -> None:
    clock, total = Clock(), 1_000_000
    watch = Slowness(usual, clock)
    for share in range(101):
        clock.now = usual * pace * share / 100
        watch.saw(1, total * share // 100, total)
        if clock.now < 15.0:
            assert watch.verdict() is None, "its first updates may be slow"
    assert (watch.verdict() is not None) == slow
    if slow:
        assert "too slow: it would take" in str(watch.verdict())


def test_a_replicate_that_had_begun_before_is_judged_by_what_it_does_now() -> None:
    clock = Clock()
    watch = Slowness(10.0, clock)
    watch.saw(1, 900_000, 1_000_000)
    clock.now = 30.0
    watch.saw(1, 915_000, 1_000_000)
    assert watch.verdict() == "too slow: it would take 33 min 20 s, where 10 s are usual"


def took(notebook: Notebook, run: RunRecord, seconds: float) -> None:
    """Have the record say how long each replicate of a run trained."""
    steps = float(notebook.config(run.run_id).train["total_timesteps"])
    for result in notebook.results(run):
        told = {"train_seconds": seconds, "metrics": {**result.metrics, "agent_steps": steps}}
        write_model(notebook.paths(run.run_id).seed(result.seed).result, result.model_copy(update=told))


@pytest.fixture
def made(make_run: RunMaker, notebook: Notebook) -> RunMaker:
    """A night with its baseline."""
    took(notebook, make_run(arm="baseline", session="night"), 7.0)
    return make_run


def usual(notebook: Notebook, run: RunRecord) -> float | None:
    found = slowness(notebook, run, notebook.config(run.run_id))
    return None if found is None else found.usual


@pytest.mark.parametrize(
    ("fields", "overrides", "watched"),
    [
        ({"arm": "offline", "session": "night"}, {}, True),
        ({"arm": "tpe", "session": "night"}, {}, True),
        ({"arm": "baseline", "session": "night"}, {}, False),
        ({"arm": "person", "session": "night"}, {}, False),
        ({"arm": "person"}, {}, False),
        ({"arm": "offline", "session": "night"}, {"autopilot.time_limit": 900.0}, False),
    ],
)
def test_what_a_search_asked_for_is_watched_and_nothing_else(
    made: RunMaker, notebook: Notebook, fields: dict[str, Any], overrides: dict[str, Any], watched: bool
) -> None:
    run = made({"train.gamma": 0.9, **overrides}, **fields)
    assert usual(notebook, run) == (pytest.approx(7.0) if watched else None)


def test_what_is_usual_is_what_the_night_has_come_to(made: RunMaker, notebook: Notebook) -> None:
    """Where others use the machine too, or good configs train more slowly than the baseline, all take longer."""
    for seconds in (20.0, 30.0, 200.0):
        run = made({"train.gamma": 0.9}, arm="offline", session="night")
        took(notebook, run, seconds)
    longer = made({"train.total_timesteps": 8_000_000}, arm="offline", session="night")
    base = notebook.config(run.run_id).train["total_timesteps"]
    assert usual(notebook, run) == pytest.approx(25.0)
    assert usual(notebook, longer) == pytest.approx((usual(notebook, run) or 0) * 8_000_000 / base)


def test_nobody_is_judged_where_nothing_is_known_of_the_usual(make_run: RunMaker, notebook: Notebook) -> None:
    assert usual(notebook, make_run(arm="offline", session="night", fault="nan")) is None
