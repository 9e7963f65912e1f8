"""What a model is told where replicates of the leader collapse."""

import json
from typing import Any

import pytest

from lab.space import Config, Inventory
from lab.store import Notebook, RunRecord
from tests.brittle import START, Trainings
from tools.catalog import TOOLS
from tools.context import ToolContext
from tools.registry import Toolbox


@pytest.fixture
def trainings(notebook: Notebook, inventory: Inventory, config: Config) -> Trainings:
    return Trainings(notebook, inventory, config)


def collapsing(trainings: Trainings, base: RunRecord) -> RunRecord:
    """A config that leads by two of its three seeds."""
    trainings.runner.chance = 0.0
    run = trainings.train(0.001, 2, base.run_id, **{"autopilot.save_strategy": "best"})
    trainings.runner.chance = 1.0
    trainings.again(run, 1)
    return run


def suggested(trainings: Trainings, subject: RunRecord, **more: Any) -> dict[str, Any]:
    notebook = trainings.notebook
    context = ToolContext(trainings.lab, subject, None, "scripted", incumbent=notebook.incumbent(subject.group), **more)
    answer = Toolbox(TOOLS, context).call("suggest_configs", json.dumps({"count": 1}))
    assert answer.ok, answer.content
    return json.loads(answer.content)  # type: ignore[no-any-return]


def test_a_model_is_shown_the_step_back_and_the_weights_from_before_the_fall(trainings: Trainings) -> None:
    base = trainings.train(START, 5)
    run = collapsing(trainings, base)
    back = suggested(trainings, run)["back_to_stable"]
    assert (back["collapses"], back["parent"], back["stable_replicates"]) == (run.run_id, base.run_id, 5)
    assert START < back["changes"]["train.learning_rate"] < 0.001
    assert back["expected"]["low"] < back["expected"]["mean"] < back["expected"]["high"]
    assert back["before_it_fell"]["autopilot.resume_mode"] == "continue"
    assert (trainings.notebook.workspace.root / back["before_it_fell"]["autopilot.resume_from"]).exists()


def test_where_all_hold_or_everything_failed_nothing_is_shown(trainings: Trainings) -> None:
    base = trainings.train(START, 5)
    assert "back_to_stable" not in suggested(trainings, base)
    run = collapsing(trainings, base)
    assert "back_to_stable" not in suggested(trainings, run, failures=3)
