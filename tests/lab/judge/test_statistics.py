"""What is concluded of replicates by another statistic than their mean."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy.stats import trim_mean

from lab.judge.incumbency import Incumbency
from lab.judge.lessons import lessons_of
from lab.judge.predictions import score_predictions
from lab.judge.repeats import SeedRequest, repeat
from lab.judge.sequential import Plan, look, lowest
from lab.judge.stats import compare
from lab.judge.stopping import exhausted, reached
from lab.judge.verdicts import record_verdict
from lab.space.inventory import Inventory
from lab.space.objective import Objective
from lab.space.statistic import NAMED, Statistic
from lab.store.creation import create_run
from lab.store.notebook import Notebook
from lab.store.questions import Questions
from lab.store.records import RunRecord
from lab.store.selection import Selection
from lab.store.summary import score_of, summarize
from report.view import view_of
from tests.conftest import RunMaker
from training.fake import FakeRunner
from training.run import train_run


def by(statistic: Statistic) -> Objective:
    return Objective("perf", "max", statistic=statistic)


@pytest.mark.parametrize("statistic", NAMED)
def test_equal_configs_cross_no_more_often_than_the_level(statistic: Statistic) -> None:
    draw, level, times = np.random.default_rng(0), 0.1, 150
    pairs = draw.standard_exponential((times, 2, 15))
    won = 0
    for new, old in pairs:
        for seeds in (5, 10, 15):
            found = look(new[:seeds], old[:seeds], Plan(level, 0.0), by(statistic))
            if found.decision != "continue":
                break
        won += found.decision == "confirmed"
    assert won / times <= level + 3 * (level / times) ** 0.5


def test_a_median_that_is_no_better_but_spreads_otherwise_is_not_taken_for_better() -> None:
    draw, times = np.random.default_rng(1), 100
    for width in (0.25, 4.0):
        pairs = draw.standard_normal((times, 2, 15)) * np.array([[width], [1.0]])
        won = sum(look(new, old, Plan(0.05, 0.0), by("median")).decision == "confirmed" for new, old in pairs)
        assert won / times <= 0.12


def test_the_worst_is_shown_to_be_better_only_above_the_incumbents_worst_seeds() -> None:
    new = [1.0 + 0.01 * at for at in range(15)]
    better = [2.0 + 0.01 * at for at in range(15)]
    for below, decision in ((4, "dropped"), (9, "confirmed")):
        old = better.copy()
        for at in range(below):  # spread over the groups
            old[(at * 5 + at // 3) % 15] = 0.01 * at
        found = look(new, old, Plan(0.01, 0.0), by("worst"))
        assert (found.decision, found.low, found.high) == (decision, None, None)
        assert found.effect == pytest.approx(1.0)
    assert (lowest(15, 0.01), lowest(10, 0.01), lowest(5, 0.01), lowest(5, 0.001)) == (6, 6, 5, None)


def test_interquartile_means_are_compared_by_yuens_test_and_others_are_not_compared() -> None:
    new, old = [0.9, 0.91, 0.92, 0.93, 0.1], [0.3, 0.31, 0.32, 0.33, 0.9]
    found = compare(new, old, by("iqm"))
    assert (found.verdict, found.effect) == ("better", pytest.approx(trim_mean(new, 0.25) - trim_mean(old, 0.25)))
    assert "Yuen" in found.method
    assert compare(new, old, by("mean")).verdict == "inconclusive"
    for statistic in ("worst", "median"):
        other = compare(new, old, by(statistic))  # type: ignore[arg-type]
        assert (other.verdict, other.low, other.high) == ("inconclusive", None, None)
    assert compare([0.5], old, by("worst")).effect == pytest.approx(0.5 - np.mean(old))  # at one replicate each


def test_an_interval_is_said_only_where_one_holds() -> None:
    draw = np.random.default_rng(2)
    for n in (1, 3, 5, 6, 15):
        values = summarize(draw.standard_normal(n).tolist())
        assert (score_of(by("worst"), values).low, score_of(by("worst"), values).high) == (None, None)
        assert (score_of(by("median"), values).low is None) == (n < 6)
        assert score_of(by("mean"), values).low == values.low
    times, inside = 300, {"iqm": 0, "median": 0}
    for sample in draw.standard_normal((times, 7)):
        for statistic in inside:
            score = score_of(by(statistic), summarize(sample.tolist()))  # type: ignore[arg-type]
            assert score.low is not None
            assert score.high is not None
            inside[statistic] += score.low <= 0 <= score.high
    assert min(inside.values()) / times >= 0.92


# --- a group whose objective is the worst ------------------------------------------------------------------------


@pytest.fixture
def make(notebook: Notebook, inventory: Inventory, make_run: RunMaker) -> Callable[..., RunRecord]:
    """Runs of `perf@worst:max`, by their learning rate."""
    config = notebook.config(make_run().run_id)

    def made(rate: float, parent: str | None = None, seeds: int = 5) -> RunRecord:
        changes = {"train.learning_rate": rate, "autopilot.seeds": seeds}
        run = create_run(notebook, config.with_overrides(changes), changes, preset="quick", objective="perf@worst:max",
                         arm="offline" if parent else "baseline", parent=parent)  # fmt: skip
        return train_run(notebook, FakeRunner(), inventory, run.run_id, lambda _: None)

    return made


def test_a_run_scores_its_worst_seed_wherever_it_is_said(make: Callable[..., RunRecord], notebook: Notebook) -> None:
    base = make(0.0005)
    other = make(0.01, base.run_id, seeds=2)
    values = notebook.values(base.run_id, "perf")
    view = view_of(notebook, base)
    assert view.score is not None
    assert (view.score.value, view.score.low, view.score.mean) == (min(values), None, pytest.approx(np.mean(values)))
    assert view.scored == f"{min(values):.4g} (n=5)"
    (row,) = notebook.index.rows(Selection(names=[base.run_id]))
    assert row.score == min(values)
    verdict = record_verdict(notebook, other)
    assert verdict is not None
    assert (verdict.verdict, verdict.metric) == ("inconclusive", "perf@worst")
    expected = base.goal.of_scores(notebook.values(other.run_id, "perf")) - base.goal.of_scores(values, 2)
    assert verdict.effect == pytest.approx(expected)
    assert Questions(notebook.index).best_so_far(base.group) == []
    assert lessons_of(notebook.index, base.group) == []
    assert score_predictions(notebook, other, None) == []
    assert exhausted(notebook, base.group, matters=2.0) is None  # no interval, no conclusion
    assert reached(notebook, base.group, min(values) + 0.001) is None
    assert "perf@worst" in (reached(notebook, base.group, min(values)) or "")


def test_a_contender_is_confirmed_by_the_worst_of_its_fresh_seeds(
    make: Callable[..., RunRecord], notebook: Notebook, inventory: Inventory
) -> None:
    base = make(0.0005)
    better = make(0.01, base.run_id)
    place = Incumbency(notebook, base.group, "night")
    place.open(better)
    while isinstance(found := place.step(), SeedRequest):
        train_run(notebook, FakeRunner(), inventory, repeat(notebook, found).run_id, lambda _: None)
    assert found is not None
    assert (found.outcome, found.metric, found.low) == ("confirmed", "perf@worst", None)
    fresh = [place.values(place.fresh(run, found)) for run in (better.run_id, base.run_id)]
    assert place.notebook.incumbent(base.group) == better.run_id
    assert fresh[1]
    sides = {run.replicates_of: [] for run in notebook.runs() if run.replicates_of}  # type: dict[str, list[float]]
    for run in notebook.runs(base.group):
        if run.replicates_of:
            sides[run.replicates_of] += notebook.values(run.run_id, "perf")
    assert found.effect == pytest.approx(min(sides[better.run_id]) - min(sides[base.run_id]))
    assert "spread alike" in found.why
