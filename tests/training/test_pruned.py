"""A hopeless run, or one that is far too slow, is ended early, by real training, and nothing of it is lost."""

import importlib

import pytest

from lab.base.paths import Workspace
from lab.store.notebook import Notebook
from lab.store.records import RunState
from tests.training.conftest import Train
from training.run import Options

pytestmark = pytest.mark.slow

STEPS = {"train.total_timesteps": 600_000, "autopilot.seeds": 1}


def test_a_run_that_learns_nothing_beside_five_that_do_is_pruned(
    train: Train, notebook: Notebook, workspace: Workspace
) -> None:
    peers = [train(STEPS) for _ in range(5)]
    assert {run.state for run in peers} == {RunState.FINISHED}
    hopeless = {**STEPS, "train.learning_rate": 1e-6}
    found = train(hopeless, options=Options(prune=True), run_id="hopeless")
    assert found.pruning is not None
    assert found.pruning.score < found.pruning.median
    assert found.pruning.peers == 5
    if found.pruning.spared:
        assert found.state is RunState.FINISHED
    else:
        assert found.state is RunState.PRUNED
        assert "pruned: 0." in (found.reason or "")
        assert "the median of 5 runs" in (found.reason or "")
        assert notebook.summary(found.run_id) is None
        assert workspace.run(found.run_id).seed(found.seeds[0]).weights("latest").exists()
        assert found.run_id not in notebook.verdicts()


def test_nothing_is_pruned_unless_asked_for(train: Train) -> None:
    for _ in range(5):
        train(STEPS)
    found = train({**STEPS, "train.learning_rate": 1e-6})
    assert (found.state, found.pruning) == (RunState.FINISHED, None)


def test_what_a_search_asked_for_and_trains_far_too_slowly_is_ended(
    train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    rule = importlib.import_module("lab.judge.slowness")  # the package has a function of that name
    monkeypatch.setattr(rule, "SLOWEST", 3.0)
    monkeypatch.setattr(rule, "LEAST", 2.0)
    monkeypatch.setattr(rule, "LOOK", 0.5)
    night = {"session": "night", "options": Options(hurry=True)}
    usual = train(STEPS, arm="baseline", **night)
    slow = train({**STEPS, "train.update_epochs": 32, "train.total_timesteps": 2_000_000}, arm="offline", **night)
    assert (usual.state, slow.state) == (RunState.FINISHED, RunState.PRUNED)
    assert "pruned: too slow: it would take" in (slow.reason or "")
