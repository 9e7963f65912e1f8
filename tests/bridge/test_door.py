"""`autopilot mcp` as the SDK's own client sees it: tools, resources, prompts, and what a client may not do."""

import json
import os
import socket
import struct
import sys
import threading
from typing import Any

import pytest

pytest.importorskip("mcp", reason="the extra mcp is not installed: pip install 'mcp>=2,<3'")

import anyio
import httpx
import uvicorn
from jsonschema import validate
from mcp import Client, MCPError, StdioServerParameters, stdio_client, types

from bridge.answers import LONGEST
from bridge.catalog import OFFERS
from bridge.door import Door
from bridge.server import app_of, place_of
from lab.base.errors import InvalidInput
from lab.base.files import read_records, write_model
from lab.base.paths import Workspace
from lab.base.schema import now
from lab.store.legacy import look, store
from lab.store.notebook import Notebook
from lab.store.proposal import ProposalState
from lab.store.proposals import Proposals
from lab.store.records import Confirmation
from lab.store.session import Budgets, SessionRecord
from review.serve import listening
from tests.bridge.conftest import Talk, refusal
from tests.conftest import ENV, RunMaker, tree

GUARDED = {"autopilot_approve", "autopilot_reject", "autopilot_train", "autopilot_confirm"}
FORECAST = {"direction": "up", "low": 0.4, "high": 0.9, "coverage": 0.8}
THEORY = "A larger entropy bonus keeps it exploring; no change of entropy would refute that."


@pytest.fixture
def night(workspace: Workspace, make_run: RunMaker) -> SessionRecord:
    """A session that was interrupted after two runs, with a digest far longer than an answer may be."""
    record = SessionRecord(
        session_id="night-1", env_name=ENV, preset="quick", objective="perf:max", model="offline", approve="auto",
        seeds=2, budgets=Budgets(max_runs=4), created=now(), task=make_run().task,
    )  # fmt: skip
    write_model(workspace.session(record.session_id).session, record)
    base = make_run(session=record.session_id)
    make_run({"train.ent_coef": 0.02}, parent=base.run_id, session=record.session_id)
    workspace.session(record.session_id).digest.write_text("# Digest\n\n" + "Nothing is better.\n" * 10_000)
    workspace.notes.write_text("Try a larger batch.\n")
    return record


def test_a_client_on_standard_input_finds_every_tool_resource_and_prompt(workspace: Workspace) -> None:
    async def work() -> None:
        command = ["-P", "-m", "cli.main", "--workspace", str(workspace.root), "mcp"]
        server = StdioServerParameters(command=sys.executable, args=command, env=dict(os.environ))
        async with Client(stdio_client(server)) as client:
            tools = {tool.name: tool for tool in (await client.list_tools()).tools}
            assert set(tools) == {offer.name for offer in OFFERS} - GUARDED
            for tool in tools.values():
                assert tool.input_schema["additionalProperties"] is False
                assert tool.output_schema and tool.description
                assert tool.annotations and tool.annotations.read_only_hint is not None
                assert tool.annotations.destructive_hint is (tool.name in ("autopilot_stop", "autopilot_end_search"))
            status = await client.call_tool("autopilot_status", {})
            assert status.structured_content and status.structured_content["session"] is None
            assert "limt: is no argument" in refusal(await client.call_tool("autopilot_runs", {"limt": 3}))
            templates = (await client.list_resource_templates()).resource_templates
            assert {one.uri_template.rpartition("/")[2] for one in templates} == {"report", "metrics", "digest", "{id}"}
            assert [one.uri for one in (await client.list_resources()).resources] == ["autopilot://notes"]
            prompts = [one.name for one in (await client.list_prompts()).prompts]
            assert prompts == ["start_night", "morning_review", "be_researcher", "analyse_run"]

    anyio.run(work)


def test_every_tool_that_reads_answers_by_its_schema(talk: Talk, night: SessionRecord) -> None:
    arguments: dict[str, dict[str, Any]] = {
        "autopilot_metrics": {"metrics": ["losses/entropy"]}, "autopilot_compare": {"run": "#3", "against": "#2"},
        "autopilot_query": {"sql": "SELECT count(*) FROM runs"},
        "autopilot_check_config": {"changes": {"train.gamma": 0.9}},
    }  # fmt: skip
    there_is_none = {"autopilot_report": "has no report", "autopilot_job": "is not in this workspace"}

    async def work(client: Client) -> None:
        for tool in (await client.list_tools()).tools:
            if not (tool.annotations and tool.annotations.read_only_hint):
                continue
            given = arguments.get(tool.name, {"job": "none"} if tool.name == "autopilot_job" else {})
            answer = await client.call_tool(tool.name, given)
            if tool.name in there_is_none:
                assert there_is_none[tool.name] in refusal(answer)
                continue
            assert not answer.is_error, (tool.name, answer.content)
            assert tool.output_schema
            validate(answer.structured_content, tool.output_schema)
            text = answer.content[0]
            assert isinstance(text, types.TextContent) and json.loads(text.text) == answer.structured_content
            assert len(text.text) <= LONGEST

    talk(work)


def test_headline_and_diagnosis_come_inside_the_answers(ask: Talk, night: SessionRecord) -> None:
    for tool in ("autopilot_status", "autopilot_digest", "autopilot_run"):
        answer = ask(tool).structured_content
        assert answer["headline"]["text"], tool
        assert isinstance(answer["diagnosis"], list), tool


def test_a_long_answer_is_cut_and_says_so(ask: Talk, night: SessionRecord) -> None:
    answer = ask("autopilot_digest")
    assert len(answer.content[0].text) <= LONGEST
    assert answer.structured_content["digest"].startswith("# Digest")
    assert [line.split(":")[0] for line in answer.structured_content["left_out"]] == ["digest"]


def test_resources_and_prompts_are_read(talk: Talk, night: SessionRecord, workspace: Workspace) -> None:
    run = next(name for name in os.listdir(workspace.runs) if "Z-" in name)  # noqa: PTH208 - names alone

    async def work(client: Client) -> None:
        for uri, part in (
            ("autopilot://notes", "larger batch"), (f"autopilot://sessions/{night.session_id}/digest", "# Digest"),
            (f"autopilot://runs/{run}/metrics", "curves"),
        ):  # fmt: skip
            found = (await client.read_resource(uri)).contents[0]
            assert isinstance(found, types.TextResourceContents) and part in found.text
        for uri in (
            "autopilot://runs/../../etc/passwd/report", "autopilot://runs/..%2F..%2Fetc/report", "file:///etc/passwd",
            "autopilot://sessions/none/digest", "autopilot://jobs/none",
        ):  # fmt: skip
            with pytest.raises(MCPError):
                await client.read_resource(uri)
        for name, given, part in (
            ("start_night", {"env": ENV, "hours": "8"}, "`hours` 8"), ("morning_review", {}, "You can't decide here"),
            ("analyse_run", {"run": "#2"}, "run #2"),
        ):  # fmt: skip
            message = (await client.get_prompt(name, given)).messages[0]
            assert isinstance(message.content, types.TextContent) and part in message.content.text
        with pytest.raises(MCPError, match="is no argument of start_night"):
            await client.get_prompt("start_night", {"minutes": "8"})

    talk(work)


# --- what a client may not do ----------------------------------------------------------------------------------------


def test_without_the_flags_there_is_no_decision_and_no_training(
    ask: Talk, propose: Any, proposals: Proposals, workspace: Workspace, night: SessionRecord
) -> None:
    staged = propose()
    before = tree(workspace.root)
    named = {"proposal": staged.proposal_id, "version": staged.version}
    assert "--allow-decisions" in refusal(ask("autopilot_approve", **named))
    assert "--allow-decisions" in refusal(ask("autopilot_reject", **named, why="no"))
    assert "--allow-train" in refusal(ask("autopilot_train"))
    assert "--allow-train" in refusal(ask("autopilot_confirm", run="#2"))
    assert "valid: manual" in refusal(ask("autopilot_start", hours=1, approve="auto"))
    assert "session.approve = 'auto'" in refusal(ask("autopilot_resume", session=night.session_id))
    assert proposals.get(staged.proposal_id).state is ProposalState.STAGED
    assert tree(workspace.root) == before


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({}, "without an end"),
        ({"hours": 1, "env": "os:system"}, "code that this workspace has not trained"),
        ({"hours": 1, "env": "gymnasium:os:system"}, "code that this workspace has not trained"),
        ({"hours": 1, "settings": {"env.cmd": "ls"}}, "no key that an agent may set"),
        ({"hours": 1, "settings": {"autopilot.resume_from": "/etc/passwd"}}, "no key that an agent may set"),
        ({"hours": 1, "settings": {"train.learning_rate": -1}}, "train.learning_rate = -1"),
        ({"hours": 1, "base_url": "http://elsewhere"}, "base_url: is no argument"),
        ({"hours": 1, "model": "gpt-5"}, "model: "),
        ({"hours": 1, "workspace": "/"}, "workspace: is no argument"),
    ],
)
def test_a_night_runs_no_code_and_reads_no_file_of_the_clients_choosing(
    ask: Talk, unchanged: None, arguments: dict[str, Any], said: str
) -> None:
    assert said in refusal(ask("autopilot_start", **arguments))


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The commands that were to begin; each is refused instead."""
    commands: list[list[str]] = []

    def begin(_door: Door, kind: str, command: list[str]) -> Any:
        commands.append(command)
        raise InvalidInput(kind)

    monkeypatch.setattr("bridge.jobs.begin", begin)
    return commands


def test_a_night_has_at_most_the_approval_that_the_settings_give(
    ask: Talk, workspace: Workspace, begun: list[list[str]]
) -> None:
    for said, most in ((None, "manual"), ("manual", "manual"), ("policy", "policy"), ("auto", "auto")):
        workspace.settings.write_text(f'[start]\napprove = "{said}"\n' if said else "")
        ask("autopilot_start", max_runs=2)
        assert f"--approve={most}" in begun[-1]
        ask("autopilot_start", max_runs=2, approve="manual")
        assert "--approve=manual" in begun[-1]
    workspace.settings.write_text('[start]\napprove = "policy"\n')
    count = len(begun)
    assert "valid: manual | policy" in refusal(ask("autopilot_start", max_runs=2, approve="auto"))
    assert len(begun) == count


def test_what_a_client_proposes_waits_and_nothing_gives_way_to_it(
    ask: Talk, propose: Any, proposals: Proposals
) -> None:
    other = propose()
    changes = {"train.ent_coef": 0.03}
    answer = ask(
        "autopilot_stage_proposal", parent=other.parent, changes=changes, theory=THEORY, expected=FORECAST
    ).structured_content
    mine = proposals.get(answer["proposal"])
    assert mine.held and mine.overrides == changes and mine.version == answer["version"]
    assert [one.who for one in mine.decisions] == ["agent tester", "agent tester, mcp"]
    assert proposals.staged(mine.group) == proposals.get(other.proposal_id)  # what a session would decide on
    warm = {"autopilot.resume_mode": "continue", "autopilot.resume_from": "/tmp/weights.pt"}  # noqa: S108 - refused
    given = {"parent": other.parent, "changes": warm, "theory": THEORY, "expected": FORECAST}
    assert "latest, best or a run's id" in refusal(ask("autopilot_stage_proposal", **given))


def test_a_decision_is_recorded_as_the_clients(ask: Talk, propose: Any, proposals: Proposals) -> None:
    flags = {"decisions": True}
    one = propose()
    named = {"proposal": one.proposal_id, "version": one.version}
    assert "not what it was" in refusal(ask("autopilot_approve", flags, **{**named, "version": "older"}))
    assert ask("autopilot_approve", flags, **named).structured_content["state"] == "approved"
    two = propose({"train.ent_coef": 0.03})
    named = {"proposal": two.proposal_id, "version": two.version}
    assert not ask("autopilot_reject", flags, **named, why="too much").is_error
    decided = [proposals.get(name).decisions[-1] for name in (one.proposal_id, two.proposal_id)]
    assert [step.who for step in decided] == ["agent tester, mcp"] * 2
    assert decided[1].why == "too much"


def test_the_rules_of_policy_apply_to_a_clients_decision(
    ask: Talk, propose: Any, proposals: Proposals, workspace: Workspace
) -> None:
    workspace.settings.write_text('[[policy.allow]]\nkeys = ["train.gamma"]\nvalues = [0.9]\n')
    one = propose()
    named = {"proposal": one.proposal_id, "version": one.version}
    assert "by the rules of [policy]" in refusal(ask("autopilot_approve", {"decisions": True}, **named))
    assert proposals.get(one.proposal_id).state is ProposalState.STAGED


def test_a_command_that_is_refused_at_once_is_an_error_of_the_tool(
    ask: Talk, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bridge.jobs.PATIENCE", 300.0)
    said = refusal(ask("autopilot_train", {"training": True}, preset="none-such"))
    assert said.startswith("preset = 'none-such'")
    answer = ask("autopilot_job", job=said.rpartition("(job ")[2].rstrip(")")).structured_content
    assert answer["state"] == "failed"
    assert "preset = 'none-such'" in answer["said"]
    kept = json.loads(workspace.job(answer["job"]).job.read_text())
    assert kept["who"] == "agent tester, mcp" and "--by=agent tester" in kept["command"]


def test_an_environment_that_came_with_an_imported_folder_is_not_trained(
    ask: Talk, workspace: Workspace, notebook: Notebook, begun: list[list[str]]
) -> None:
    loaded = workspace.root / "loaded"
    (workspace.root / "foreign.py").write_text(f"open({str(loaded)!r}, 'w').close()\nEnv = None\n")
    folder = workspace.root / "theirs" / "2025-01-01T000000Z-aaaa"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({"env_name": "foreign:Env", "train": {"gamma": 0.9}}))
    (folder / "summary.json").write_text(json.dumps({"metrics": {"score": 1.0}}))
    store(workspace, look(folder.parent))
    assert [(run.env_name, run.legacy) for run in notebook.runs()] == [("foreign:Env", True)]
    calls = {"start": {"max_runs": 1}, "train": {}, "probe": {}}
    before = tree(workspace.root)
    for tool, arguments in calls.items():
        said = refusal(ask(f"autopilot_{tool}", {"training": True}, env="foreign:Env", **arguments))
        assert said.startswith("env = 'foreign:Env': is code that this workspace has not trained before: a person has")
    assert (begun, loaded.exists()) == ([], False)
    assert tree(workspace.root) == before
    workspace.settings.write_text('[train]\nenv = "foreign:Env"\n')  # a person has named it
    for tool, arguments in calls.items():
        ask(f"autopilot_{tool}", {"training": True}, env="foreign:Env", **arguments)
        assert "--env=foreign:Env" in begun[-1]


@pytest.mark.slow
def test_a_confirmation_is_recorded_as_the_clients(ask: Talk, workspace: Workspace, make_run: RunMaker) -> None:
    base = make_run()
    other = make_run({"train.ent_coef": 0.02}, parent=base.run_id)
    flags = {"training": True}
    handle = ask("autopilot_confirm", flags, run=other.run_id).structured_content
    while not (written := list(read_records(workspace.confirmations, Confirmation))):
        handle = ask("autopilot_job", flags, job=handle["job"]).structured_content
        assert handle["state"] == "running", handle
    ask("autopilot_stop", flags, job=handle["job"])
    while handle["state"] == "running":
        handle = ask("autopilot_job", flags, job=handle["job"]).structured_content
    assert [(one.candidate, one.outcome, one.who) for one in written] == [(other.run_id, "opened", "agent tester, mcp")]


@pytest.mark.slow
def test_a_training_is_recorded_as_the_clients(ask: Talk, notebook: Notebook) -> None:
    flags = {"training": True}
    handle = ask("autopilot_train", flags, env=ENV, seeds=1).structured_content
    while handle["state"] == "running":
        handle = ask("autopilot_job", flags, job=handle["job"]).structured_content
    assert handle["state"] == "done", handle
    assert notebook.run(handle["result"]["run_id"]).arm == "agent tester"


# --- over HTTP -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])  # noqa: S104 - with a token
def test_over_http_foreign_hosts_origins_and_strangers_are_refused(door: Any, host: str) -> None:
    bound, guard = listening(host, 0, None)
    server = uvicorn.Server(uvicorn.Config(app_of(door(), guard), log_level="critical"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]}, daemon=True)
    thread.start()
    url = f"http://127.0.0.1:{guard.port}/mcp"
    token = {"Authorization": f"Bearer {guard.token}"} if guard.token else {}
    try:
        asked = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
        refused = [
            httpx.post(url, json=asked, headers={**token, **more}, timeout=60).status_code
            for more in ({"Host": "evil.example"}, {"Origin": "http://evil.example"}, {"Origin": "null"})
        ]
        assert refused == [421, 403, 403]
        assert bool(guard.token) == (host != "127.0.0.1")
        if guard.token:
            strangers = ({}, {"Authorization": "Bearer x"}, {"Authorization": f"Basic {guard.token}"})
            assert {httpx.post(url, json=asked, headers=one, timeout=60).status_code for one in strangers} == {401}
            return

        async def work() -> None:
            async with Client(url) as client:
                assert (await client.call_tool("autopilot_runs", {})).structured_content["runs"] == []

        anyio.run(work)
    finally:
        server.should_exit = True
        thread.join(10)


def test_a_client_that_dies_in_its_request_leaves_nothing_in_the_log(
    door: Any, caplog: pytest.LogCaptureFixture
) -> None:
    bound, guard = listening("127.0.0.1", 0, None)
    server = uvicorn.Server(uvicorn.Config(app_of(door(), guard), log_level="warning"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]}, daemon=True)
    thread.start()
    head = (
        f"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1:{guard.port}\r\nContent-Type: application/json\r\n"
        "Accept: application/json, text/event-stream\r\nContent-Length: 100\r\n\r\n{"
    )
    try:
        for _ in range(3):
            with socket.create_connection(("127.0.0.1", guard.port)) as client:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # a reset
                client.sendall(head.encode())
            asked = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
            assert httpx.post(f"http://127.0.0.1:{guard.port}/mcp", json=asked, timeout=60).status_code < 500
    finally:
        server.should_exit = True
        thread.join(10)
    assert [record.getMessage() for record in caplog.records if record.exc_info] == []


def test_where_it_listens() -> None:
    assert place_of("8322") == ("127.0.0.1", 8322)
    assert place_of("0.0.0.0:80") == ("0.0.0.0", 80)  # noqa: S104 - only read
    assert place_of("[::1]:8322") == ("::1", 8322)
    for wrong in ("", "host", "1:2:x", "99999"):
        with pytest.raises(InvalidInput, match="8322"):
            place_of(wrong)
