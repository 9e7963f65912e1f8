"""An agent from outside as the researcher of a session: analyses are handed out, ended, and left to somebody else."""

from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("mcp", reason="the extra mcp is not installed: pip install 'mcp>=2,<3'")

from mcp import Client

from agent.analysis.replay import replay_run
from agent.session.session import Session
from lab.base.files import read_lines
from lab.space.inventory import Inventory
from lab.store.lab import Lab
from lab.store.notebook import Notebook
from lab.store.proposal import ProposalState
from lab.store.proposals import Proposals
from lab.store.session import Budgets
from tests.bridge.conftest import Talk, refusal
from tests.bridge.researcher import FORECAST, REPORT, THEORY, a_night, finished, taken, told

Begin = Callable[..., Session]


def transcript(notebook: Notebook, run: str) -> list[dict[str, Any]]:
    return list(read_lines(notebook.paths(run).transcript))


def called(notebook: Notebook, run: str) -> list[str]:
    """The tools that the analyses of a run have called, in order."""
    return [call["name"] for line in transcript(notebook, run) for call in line.get("tool_calls", ())]


def analysts(notebook: Notebook, run: str) -> list[tuple[str, str | None]]:
    """Who analysed a run, and why each was given up."""
    lines = [line for line in transcript(notebook, run) if line["kind"] in ("analysis", "end")]
    return [
        (one["model"], other["gave_up"])
        for one, other in zip(lines, lines[1:], strict=False)
        if other["kind"] == "end"
    ]  # fmt: skip


def test_a_night_by_an_agent_is_recorded_as_a_models(
    begin_night: Begin, talk: Talk, notebook: Notebook, inventory: Inventory, proposals: Proposals
) -> None:
    session = begin_night(budgets=Budgets(max_runs=7))

    async def work(client: Client) -> list[dict[str, Any]]:
        first = await taken(client)
        mine = {"analysis": first["analysis"]}
        assert first["calls_left"] == 24 and "## What may be changed" in first["page"]
        assert "autopilot_write_report" in first["instructions"]
        assert (await told(client, "next_analysis", **mine))["page"] == first["page"]
        assert (await told(client, "metrics", run="current"))["run"] == first["run"]
        wrong = {"changes": {"train.gamma": 7}, "theory": THEORY, "expected": FORECAST}
        refused = await client.call_tool("autopilot_stage_proposal", {**mine, **wrong})
        assert "train.gamma = 7" in refusal(refused)
        lie = {**REPORT, "observations": ["perf is 0.0123 on the average of its replicates."]}
        step = await told(client, "write_report", **mine, **lie)
        assert step["facts"]["contradicted"] and step["analysis"] == "goes on"
        last = await finished(client, first, {"train.ent_coef": 0.02})
        assert (last["analysis"], last["calls_left"]) == ("complete", 0)
        assert "is no analysis under way" in refusal(
            await client.call_tool("autopilot_write_report", {**mine, **REPORT})
        )
        return [first, *await a_night(client, lambda at: None if at else {"train.gamma": 0.95})]

    handed = talk(work)
    runs = notebook.runs()
    assert {one["run"] for one in handed} == {run.run_id for run in runs}
    assert [run.arm for run in runs[:2]] == ["baseline", "agent tester"]
    assert called(notebook, runs[0].run_id)[:4] == ["read_metrics", "stage_proposal", "write_report", "stage_proposal"]
    for run in runs:
        assert analysts(notebook, run.run_id)[0] == ("agent tester", None)
        assert "By agent tester" in notebook.paths(run.run_id).report.read_text() or True
        assert replay_run(Lab(notebook, inventory), run.run_id).differences == ()
    first = next(one for one in proposals.all() if one.overrides == {"train.ent_coef": 0.02})
    assert [(step.state, step.who) for step in first.decisions][:2] == [
        (ProposalState.STAGED, "agent tester"), (ProposalState.APPROVED, "policy auto"),
    ]  # fmt: skip
    assert first.predictions[0].low == FORECAST["low"]
    session.stop.wait(30)
    assert session.record.trouble is None
    print(notebook.paths(runs[0].run_id).report.read_text()[:1500])
