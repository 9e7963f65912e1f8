"""An agent from outside as the researcher of a session: analyses are handed out, ended, and left to somebody else."""

import itertools
import os
import sys
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

pytest.importorskip("mcp", reason="the extra mcp is not installed: pip install 'mcp>=2,<3'")

import anyio
import uvicorn
from mcp import Client, StdioServerParameters, stdio_client, types

from agent.analysis.replay import replay_run
from agent.session.session import Session
from bridge.jobs import Job
from bridge.server import app_of
from lab.base.files import read_lines, write_model
from lab.base.paths import Workspace
from lab.base.schema import new_id, now
from lab.space.inventory import Inventory
from lab.store.lab import Lab
from lab.store.notebook import Notebook
from lab.store.proposal import ProposalState
from lab.store.proposals import Proposals
from lab.store.session import Budgets
from review.serve import listening
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
        for one, other in itertools.pairwise(lines)
        if other["kind"] == "end"
    ]  # fmt: skip


def test_a_night_by_an_agent_is_recorded_as_a_models(
    begin_night: Begin, talk: Talk, notebook: Notebook, inventory: Inventory, proposals: Proposals
) -> None:
    session = begin_night(budgets=Budgets(max_runs=6))

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
        assert "autopilot_next_analysis hands out" in refusal(
            await client.call_tool("autopilot_write_report", {**mine, **REPORT})
        )
        return [first, *await a_night(client, lambda at: None)]

    handed = talk(work)
    runs = notebook.runs()
    assert {one["run"] for one in handed} == {run.run_id for run in runs}
    assert [run.arm for run in runs[:2]] == ["baseline", "agent tester"]
    assert called(notebook, runs[0].run_id)[:4] == ["read_metrics", "stage_proposal", "write_report", "stage_proposal"]
    for run in runs:
        assert analysts(notebook, run.run_id)[0] == ("agent tester", None)
        assert "Analysis: agent tester" in notebook.paths(run.run_id).report.read_text()
        assert replay_run(Lab(notebook, inventory), run.run_id).differences == ()
    first = next(one for one in proposals.all() if one.overrides == {"train.ent_coef": 0.02})
    assert [(step.state, step.who) for step in first.decisions][:2] == [
        (ProposalState.STAGED, "agent tester"), (ProposalState.APPROVED, "policy auto"),
    ]  # fmt: skip
    assert first.predictions[0].low == FORECAST["low"]
    session.stop.wait(30)
    assert session.record.trouble is None


def test_one_client_has_an_analysis_and_the_other_is_told_when(
    begin_night: Begin, talk: Talk, notebook: Notebook, proposals: Proposals
) -> None:
    begin_night(approve="manual", budgets=Budgets(max_runs=6))

    async def work(one: Client) -> None:
        mine = await taken(one)
        status = await told(one, "status")
        assert status["analysis"] == f"agent tester has that of {mine['run']}"

        async def beside(other: Client) -> None:  # of the same name, through a door of its own
            found = await told(other, "next_analysis", wait=0)
            assert (found["state"], found["analysis"], found["page"]) == ("taken", None, "")
            assert "until it is complete, or was silent for 1 min 00 s" in found["said"]
            assert found["retry_after"] == 60
            for name, arguments in (("write_report", REPORT), ("pass_round", {"reason": "I am not asked at all."})):
                assert "analysis = ''" in refusal(await other.call_tool(f"autopilot_{name}", arguments))
                guess = {**arguments, "analysis": "deadbeef"}
                assert "not under way" in refusal(await other.call_tool(f"autopilot_{name}", guess))

        await anyio.to_thread.run_sync(lambda: talk(beside))
        await finished(one, mine, {"train.ent_coef": 0.02})
        (staged,) = proposals.all()
        named = {"proposal": staged.proposal_id, "version": staged.version}
        assert "--allow-decisions" in refusal(await one.call_tool("autopilot_approve", named))
        assert (await told(one, "next_analysis", wait=0))["state"] == "none"

    talk(work)
    (staged,) = proposals.all()
    assert (staged.state, staged.arm, staged.held) == (ProposalState.STAGED, "agent tester", False)
    assert not [run for run in notebook.runs() if run.proposal]


def test_where_no_agent_comes_the_offline_researcher_goes_on(
    begin_night: Begin, talk: Talk, notebook: Notebook, inventory: Inventory
) -> None:
    session = begin_night(wait=1, budgets=Budgets(max_runs=5))
    over = talk(lambda client: taken_when_over(client, session))
    assert over["state"] == "over" and "is over: all 5 replicates are trained" in over["said"]
    (run,) = notebook.runs()
    gave_up = "no agent asked for the analysis within 1 s"
    assert analysts(notebook, run.run_id) == [("agent", gave_up), ("offline", None)]
    assert f"offline, after agent gave up ({gave_up})" in notebook.paths(run.run_id).report.read_text()
    assert replay_run(Lab(notebook, inventory), run.run_id).differences == ()
    assert session.record.trouble is not None and session.record.trouble.why == gave_up


async def taken_when_over(client: Client, session: Session) -> dict[str, Any]:
    """The answer to a client that comes when the night is over."""
    while session.sessions.running() is not None:
        await anyio.sleep(0.05)
    return await told(client, "next_analysis")


def test_without_such_a_session_nothing_is_handed_out(ask: Talk, unchanged: None) -> None:
    answer = ask("autopilot_next_analysis").structured_content
    assert answer["state"] == "over"
    assert "autopilot_start with model = 'agent' begins one" in answer["said"]
    assert "No session asks agents" in refusal(ask("autopilot_write_report", **REPORT))


def test_while_a_night_is_being_started_an_agent_asks_again(ask: Talk, workspace: Workspace) -> None:
    """Its first minute may go by before there is a session."""
    created = now()
    job = Job(job_id=new_id(created), kind="start", command=("start",), who="agent x", created=created)
    workspace.job(job.job_id).dir.mkdir(parents=True)
    write_model(workspace.job(job.job_id).job, job)
    answer = ask("autopilot_next_analysis", wait=0).structured_content
    assert (answer["state"], answer["said"]) == ("none", "A session is only just starting: ask again.")


# --- whole nights, in the slow tier ----------------------------------------------------------------------------------


def through_stdio(workspace: Workspace, work: Callable[[Client], Awaitable[Any]], name: str) -> Any:
    """What `work` makes of a client of a server in a process of its own, which ends with it."""

    async def connected() -> Any:
        command = ["-P", "-m", "cli.main", "--workspace", str(workspace.root), "mcp"]
        server = StdioServerParameters(command=sys.executable, args=command, env=dict(os.environ))
        about = types.Implementation(name=name, version="1")
        async with Client(stdio_client(server), client_info=about) as client:
            return await work(client)

    return anyio.run(connected)


@pytest.mark.slow
def test_an_agent_that_dies_is_followed_by_the_next(
    begin_night: Begin, notebook: Notebook, inventory: Inventory, proposals: Proposals, workspace: Workspace
) -> None:
    begin_night(silence=5, budgets=Budgets(max_runs=6))

    async def dies(client: Client) -> dict[str, Any]:
        mine = await taken(client)
        more = {"theory": THEORY, "expected": FORECAST, "changes": {"train.ent_coef": 0.05}}
        await told(client, "stage_proposal", **more)  # without a handle: one client alone comes through this door
        return mine  # and never writes the report

    lost = through_stdio(workspace, dies, "first")
    handed = through_stdio(workspace, a_night, "second")
    assert handed[0]["run"] == lost["run"] and handed[0]["analysis"] != lost["analysis"]
    first, *_ = notebook.runs()
    silent = "agent first said nothing for 5 s"
    assert analysts(notebook, first.run_id)[:2] == [("agent first", silent), ("agent second", None)]
    assert {one.arm for one in proposals.all()} == {"agent second"}  # of what was given up nothing is staged
    for run in notebook.runs():
        assert replay_run(Lab(notebook, inventory), run.run_id).differences == ()


@pytest.mark.slow
def test_an_agent_over_http_is_the_researcher(begin_night: Begin, door: Any, notebook: Notebook) -> None:
    begin_night(budgets=Budgets(max_runs=5))
    bound, guard = listening("127.0.0.1", 0, None)
    server = uvicorn.Server(uvicorn.Config(app_of(door(), guard), log_level="critical"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]}, daemon=True)
    thread.start()

    async def work() -> list[dict[str, Any]]:
        about = types.Implementation(name="far away", version="1")
        async with Client(f"http://127.0.0.1:{guard.port}/mcp", client_info=about) as client:
            return await a_night(client)

    try:
        assert len(anyio.run(work)) == 1
    finally:
        server.should_exit = True
        thread.join(10)
    (run,) = notebook.runs()
    assert analysts(notebook, run.run_id) == [("agent far away", None)]
