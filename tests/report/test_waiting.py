"""What an approved proposal waits for, wherever proposals are listed."""

from contextlib import nullcontext
from typing import Any

import pytest

from lab.base import Workspace, now
from lab.space import Inventory, Task
from lab.store import Budgets, Lab, Notebook, Proposals, ProposalState, SessionRecord, Sessions
from report import print_status, proposal_row, status_of
from report.digest import write_digest
from tests.conftest import ENV

SESSION = "2026-01-01T000000Z-aaaa"
NOBODY = "nothing trains it until a session of puffer_cartpole, quick, perf:max begins ('autopilot start')"


def session(workspace: Workspace, task: Task, **more: Any) -> SessionRecord:
    fields = {
        "session_id": SESSION, "env_name": ENV, "preset": "quick", "objective": "perf:max", "model": "offline",
        "approve": "auto", "seeds": 1, "budgets": Budgets(max_runs=30), "created": now(), "task": task,
    }  # fmt: skip
    record = SessionRecord.model_validate({**fields, **more})
    Sessions(workspace).save(record)
    return record


@pytest.mark.parametrize(("at_work", "more", "said"), [
    (False, {}, True),
    (True, {}, False),
    (True, {"preset": "full"}, True),
    (True, {"ended": "2026-01-01T00:00:00Z", "ended_because": "it was stopped"}, True),
], ids=["nobody is at work", "its session is", "another one is", "its session ends"])  # fmt: skip
def test_an_approved_proposal_says_what_it_waits_for(
    workspace: Workspace, notebook: Notebook, proposals: Proposals, inventory: Inventory, propose: Any,
    capsys: pytest.CaptureFixture[str], at_work: bool, more: dict[str, Any], said: bool,
) -> None:  # fmt: skip
    staged = propose({"train.gamma": 0.9})
    assert proposal_row(notebook, staged)["waits_for"] == ""  # it waits for a person
    approved = proposals.decide(staged.proposal_id, ProposalState.APPROVED, "person ada", seen=staged.version)
    record = session(workspace, notebook.run(approved.parent).task, **more)
    with Sessions(workspace).sole(SESSION) if at_work else nullcontext():
        print_status(status_of(notebook, proposals))
        write_digest(Lab(notebook, inventory), proposals, record)
        row = proposal_row(notebook, approved)
    shown = capsys.readouterr().out
    assert (NOBODY in row["waits_for"], NOBODY in shown) == (said, said)
    digest = workspace.session(SESSION).digest.read_text(encoding="utf-8")
    if record.group == approved.group:
        assert NOBODY in digest  # it is read in the morning
