"""Predictions, scored."""

import math
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.base.schema import now
from lab.judge.predictions import ENOUGH, Scored, interval_score, score_predictions, scored_predictions, track_records
from lab.judge.verdicts import noise_of
from lab.space.objective import Group
from lab.store.notebook import Notebook
from lab.store.proposal import Prediction, Proposal
from lab.store.proposals import Proposals
from lab.store.records import RunRecord
from tests.conftest import RunMaker

GROUP = Group("e", "perf:max", "quick", "t")


def proposal_of(run: RunRecord, *predictions: Prediction) -> Proposal:
    return Proposal(
        proposal_id="2026-01-01T000000Z-aaaa", created=now(), env_name=run.env_name, objective=run.objective,
        preset=run.preset, task=run.task.key, parent=str(run.parent), parent_config="x", analysed=str(run.parent),
        session=None, arm="gpt-5", overrides={"train.ent_coef": 0.02}, theory="It may help, or it may not.",
        predictions=predictions, decisions=(),
    )  # fmt: skip


def said(low: float, high: float, metric: str = "perf", coverage: float = 0.8) -> Prediction:
    return Prediction(metric=metric, direction="up", low=low, high=high, coverage=coverage)


@pytest.mark.parametrize(("low", "high", "value", "score"), [
    (0.2, 0.4, 0.3, 0.2),  # within: its width
    (0.2, 0.4, 0.2, 0.2),
    (0.2, 0.4, 0.5, 0.2 + 10 * 0.1),  # 2 / alpha = 10 at 80 %
    (0.2, 0.4, 0.1, 0.2 + 10 * 0.1),
    (0.3, 0.3, 0.3, 0.0),
])  # fmt: skip
def test_the_interval_score_by_hand(low: float, high: float, value: float, score: float) -> None:
    assert interval_score(low, high, 0.8, value) == pytest.approx(score)


@given(st.floats(0.5, 0.95), st.floats(-1, 1), st.floats(0.1, 2), st.floats(-0.5, 0.5), st.floats(0.4, 2.5))
def test_nobody_gains_by_saying_other_than_they_think(
    coverage: float, mean: float, sd: float, shift: float, stretch: float
) -> None:
    """The expected score under a normal belief is least at that belief's own quantiles."""
    belief = statistics.NormalDist(mean, sd)
    draws = [belief.inv_cdf((i + 0.5) / 400) for i in range(400)]

    def expected(low: float, high: float) -> float:
        return statistics.fmean(interval_score(low, high, coverage, draw) for draw in draws)

    low, high = belief.inv_cdf((1 - coverage) / 2), belief.inv_cdf((1 + coverage) / 2)
    half = (high - low) / 2 * stretch
    assert expected(low, high) <= expected(mean + shift - half, mean + shift + half) + 0.02 * sd


def test_a_run_is_scored_once_against_its_parent_and_the_noise(make_run: RunMaker, notebook: Notebook) -> None:
    parent = make_run()
    run = make_run({"train.learning_rate": 0.01}, parent=parent.run_id)
    summary, before = notebook.summary(run.run_id), notebook.summary(parent.run_id)
    assert summary is not None
    assert before is not None
    value, base = summary.metrics["perf"].mean, before.metrics["perf"].mean
    proposal = proposal_of(run, said(value - 0.01, value + 0.01), said(0, 1, "nonsense"), said(0, 1e9, "sps", 0.9))
    (perf, sps) = score_predictions(notebook, run, proposal)
    assert (perf.value, perf.base, perf.hit) == (value, base, True)
    assert perf.score == pytest.approx(0.02)
    noise = noise_of(notebook, run.group)
    assert noise is not None
    half = 1.2815515655446004 * noise[0] * math.sqrt(1 / 2 + 1 / 2)
    assert perf.reference == pytest.approx(interval_score(base - half, base + half, 0.8, value))
    assert sps.metric == "sps"
    assert score_predictions(notebook, run, proposal_of(run, said(0, 0))) == [perf, sps]
    assert scored_predictions(notebook.workspace) == [perf, sps]
    assert "within the interval (interval score 0.02" in perf.text


def test_what_has_no_score_or_no_proposal_is_not_scored(make_run: RunMaker, notebook: Notebook) -> None:
    parent = make_run()
    assert score_predictions(notebook, parent, None) == []
    assert score_predictions(notebook, parent, proposal_of(parent, said(0, 1))) == []
    assert not notebook.workspace.predictions.exists()
    assert Proposals(notebook.workspace).all() == []


def made(arm: str, hit: bool, score: float, reference: float | None, **more: str) -> Scored:
    return Scored(
        time=now(), run_id="r", proposal="p", group=GROUP, arm=arm, metric=more.get("metric", "perf"), direction="up",
        low=0, high=1, coverage=0.8, value=0.5 if hit else 2, base=0.4, score=score, reference=reference,
    )  # fmt: skip


def test_standing_by_arm() -> None:
    scored = [
        made("b", True, 1, 2),
        made("b", False, 3, 2),
        made("a", True, 1, None),
        made("a", True, 1, 4, metric="sps"),
    ]
    a, b = track_records(scored, "perf")
    assert (a.arm, a.count, a.hits, a.skill) == ("a", 1, 1, None)
    assert (b.arm, b.count, b.hits, b.skill) == ("b", 2, 1, 0.0)
    assert "skill against 'no change, give or take the noise' unknown" in a.text
    assert "%" not in b.text


def test_calibration_is_said_from_thirty_on() -> None:
    few = track_records([made("a", True, 1, 2)] * (ENOUGH - 1))[0]
    enough = track_records([made("a", True, 1, 2)] * 24 + [made("a", False, 1, 2)] * 6)[0]
    assert "%" not in few.text
    assert "30 predictions, 24 within the interval (80 %, meant 80 %); skill" in enough.text


def test_no_change_has_skill_zero_where_nothing_changes() -> None:
    """Forecasting as the reference does, over many runs that are only noise, is neither better nor worse than it."""
    belief = statistics.NormalDist()
    z, scored = belief.inv_cdf(0.9), []
    for value in belief.samples(300, seed=1):
        score = interval_score(-z, z, 0.8, value)
        scored.append(made("a", abs(value) <= z, score, score))
    assert track_records(scored)[0].skill == pytest.approx(0)


def test_a_damaged_line_costs_nothing(notebook: Notebook) -> None:
    notebook.workspace.predictions.write_text('{"half": 1}\nnonsense\n')
    assert scored_predictions(notebook.workspace) == []
