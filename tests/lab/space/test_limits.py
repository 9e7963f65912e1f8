"""`[space]` in autopilot.toml narrows, freezes and opens, and never widens."""

import pytest

from agent.session.launch import notes
from lab.base.errors import InvalidInput
from lab.base.paths import Workspace
from lab.space.config import Config
from lab.space.limits import check_open, declared_limits
from lab.space.validate import check_overrides, space_of
from tests.conftest import ENV, Cli
from training.inventory import load_inventory

TEXT = """
[space]
"train.learning_rate" = {low = 1e-4, high = 0.02}
"train.gamma" = {frozen = true}
"env.continuous" = {open = true}
"env.of_another_environment" = {open = true}

[space.train]
optimizer = {choices = ["muon"]}
ent_coef = {high = 0.1}
"""


def test_a_range_is_narrowed_for_everyone_and_a_frozen_key_closed_to_proposals(
    workspace: Workspace, config: Config
) -> None:
    workspace.settings.write_text(TEXT)
    inventory = load_inventory([ENV], workspace)
    space = space_of(inventory.environment(ENV))
    assert (space["train.learning_rate"].low, space["train.learning_rate"].high) == (1e-4, 0.02)
    assert (space["train.ent_coef"].low, space["train.ent_coef"].high) == (0, 0.1)
    assert space["train.optimizer"].choices == ("muon",)
    (problem,) = check_overrides(config, {"train.learning_rate": 0.5}, inventory)
    assert (problem.rule, problem.valid) == ("must be from 0.0001 to 0.02", "0.0001 to 0.02, such as 0.02")
    assert check_overrides(config, {"train.gamma": 0.9}, inventory) == []
    (problem,) = check_overrides(config, {"train.gamma": 0.9}, inventory, proposing=True)
    assert problem.rule == "may be set by a person only"
    assert check_overrides(config, {"env.continuous": True}, inventory, proposing=True) == []
    assert check_overrides(config, {"env.continuous": True}, load_inventory([ENV]), proposing=True) != []


def test_a_limit_of_no_key_here_is_said(workspace: Workspace, cli: Cli) -> None:
    workspace.settings.write_text(TEXT)
    told = cli("doctor", "--space", ENV)
    assert told.code == 0, told.err
    assert "limits no key of this environment with env.of_another_environment" in told.out
    said = notes(workspace, load_inventory([ENV], workspace), ENV, "quick", None)  # by start and by train
    what = f"[space] in autopilot.toml has env.of_another_environment, and {ENV} has no such key: nothing is limited"
    assert said == [f"note: {what}"]


def test_an_open_task_is_refused_with_an_objective_that_counts_rewards(workspace: Workspace, cli: Cli) -> None:
    workspace.settings.write_text(TEXT)
    check_open(declared_limits(workspace), "success_rate")
    with pytest.raises(InvalidInput, match=r"counts rewards, which proposals may change: env.continuous"):
        check_open(declared_limits(workspace), "mean_reward")
    done = cli("start", "--objective", "mean_reward:max")
    assert done.code == 2
    assert "objective = 'mean_reward': counts rewards" in done.err


@pytest.mark.parametrize(("text", "said"), [
    ('"train.learning_rate" = {high = 2}', "space.train.learning_rate.high = 2.0: would widen train.learning_rate"),
    ('"train.learning_rate" = {low = 0.5, high = 0.1}', "leaves no value"),
    ('"train.optimizer" = {choices = ["sgd"]}', "is no value of train.optimizer"),
    ('"train.optimizer" = {low = 1}', "is no number"),
    ('"train.nonsense" = {frozen = true}', "space.train.nonsense = {'frozen': True}: is not a key of the config"),
    ('"train.gama" = {low = 1}', "space.train.gama = {'low': 1.0}: is not a key of the config; valid: train.gamma"),
    ('"train.gamma" = {low = "x"}', "gamma.low = 'x': must be a number; valid: a number"),
    ('"train.gamma" = {open = true}', "is not a key of the task"),
    ('"train.gamma" = {closed = true}', "space.train.gamma.closed"),
    ('"train.gamma" = 3', "space.train.gamma"),
])  # fmt: skip
@pytest.mark.usefixtures("unchanged_runs")
def test_a_limit_that_is_none_is_refused_in_one_line(workspace: Workspace, called: Cli, text: str, said: str) -> None:
    workspace.settings.write_text(f"[space]\n{text}\n")
    done = called("train")
    assert done.code == 2
    assert said in done.err
    assert done.err.count("\n") == 1


@pytest.fixture
def unchanged_runs(workspace: Workspace) -> None:
    """Nothing may be trained."""
    yield  # type: ignore[misc]
    assert list(workspace.runs.iterdir()) == []
