"""A night on an environment whose large steps gain the most and collapse on some seeds: does it go back?"""

from typing import Any

import pytest

from agent.approval.approver import Approver
from agent.approval.policy import policy_settings
from agent.session.session import Session
from lab.space.inventory import Inventory
from lab.store.lab import Lab
from lab.store.notebook import Notebook
from lab.store.proposal import Proposal
from lab.store.proposals import Proposals
from lab.store.session import Budgets
from tests.agent.conftest import Make
from tests.brittle import START, Brittle
from tests.conftest import ENV

ONE = """
[policy]

[[policy.allow]]
keys = ["train.learning_rate"]
factor = 30
"""


def night(make_session: Make, notebook: Notebook, inventory: Inventory, runner: Brittle, runs: int) -> Session:
    """A night over the learning rate alone, of so many runs of three replicates."""
    notebook.workspace.settings.write_text(ONE)
    rules = policy_settings(notebook.workspace, inventory.environment(ENV))
    parts: dict[str, Any] = {"rules": Approver("policy", Lab(notebook, inventory), rules)}
    settings = {"train.learning_rate": START, "autopilot.save_strategy": "best"}
    session = make_session(
        runner, approve="policy", seeds=3, parts=parts, settings=settings, budgets=Budgets(max_runs=runs)
    )
    session.run()
    return session


def went_back(proposals: Proposals) -> list[Proposal]:
    return [one for one in proposals.all() if one.theory.startswith("Replicates of ")]


@pytest.mark.slow
def test_a_night_goes_back_where_replicates_collapse_by_configs_like_any_other(
    make_session: Make, notebook: Notebook, inventory: Inventory, proposals: Proposals
) -> None:
    session = night(make_session, notebook, inventory, Brittle(), 20)
    back = went_back(proposals)
    assert back
    for one in back:
        (rate,) = one.overrides.values()
        assert notebook.config(one.parent).train["learning_rate"] < rate  # type: ignore[operator]
        assert one.predictions
        said = notebook.paths(str(one.analysed)).report.read_text()
        assert f"So the next step begins at {one.parent}" in said
        assert "Weights from before the fall were kept (runs/" in said
        assert ", contradicts " not in said
    trained = [run for run in notebook.runs() if run.proposal in {one.proposal_id for one in back}]
    assert all(run.group == session.group and run.resume is None for run in trained)
    assert {len(run.seeds) for run in trained} == {1}


@pytest.mark.slow
def test_where_replicates_hold_no_night_goes_back(
    make_session: Make, notebook: Notebook, inventory: Inventory, proposals: Proposals
) -> None:
    night(make_session, notebook, inventory, Brittle(chance=0.0), 10)
    assert len(proposals.all()) > 3
    assert went_back(proposals) == []
