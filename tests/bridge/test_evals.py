"""The tasks of evals/, carried out by a scripted client against `autopilot mcp` on standard input."""

import json
import os
import sys
import tomllib
from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field

pytest.importorskip("mcp", reason="the extra mcp is not installed: pip install 'mcp>=2,<3'")

import anyio
from mcp import Client, StdioServerParameters, stdio_client, types

from bridge.catalog import BY_NAME
from lab.base.files import write_model
from lab.base.paths import Workspace
from lab.base.schema import now
from lab.store.session import Budgets, SessionRecord
from tests.bridge.conftest import refusal
from tests.conftest import ENV, Cli, RunMaker, tree

EVALS = Path(__file__).resolve().parents[2] / "evals"
PATIENCE = 300
"""Seconds for one call and what it has to come to."""


class Part(BaseModel):
    """A part of an answer, and what it is to be: `at` like `0.state`, the whole without it."""

    model_config = ConfigDict(extra="forbid")
    at: str = ""
    value: Any = Field(default=None, alias="is")

    def found(self, answer: Any) -> bool:
        return bool(at(answer, self.at) == self.value)


class Call(BaseModel):
    """One call of the scripted client."""

    model_config = ConfigDict(extra="forbid")
    tool: str
    arguments: dict[str, Any] = {}
    keep: dict[str, str] = {}
    until: Part | None = None
    refused: str | None = None


class Outcome(Part):
    """What the record says afterwards."""

    command: list[str]
    has: str | None = None


class Task(BaseModel):
    """A file of evals/."""

    model_config = ConfigDict(extra="forbid")
    ask: str
    given: Literal["empty", "night"]
    flags: list[str] = []
    slow: bool = False
    calls: list[Call]
    outcome: list[Outcome]
    unchanged: bool = False


TASKS = {path.stem: Task.model_validate(tomllib.loads(path.read_text())) for path in sorted(EVALS.glob("*.toml"))}
NAMED = [pytest.param(name, marks=[pytest.mark.slow] if task.slow else []) for name, task in TASKS.items()]


def at(value: Any, path: str) -> Any:
    for part in path.split(".") if path else ():
        value = value[int(part)] if isinstance(value, list) else value.get(part) if value else None
    return value


def filled(value: Any, kept: dict[str, Any]) -> Any:
    """Arguments with what was kept of earlier answers."""
    if isinstance(value, dict):
        return {key: filled(item, kept) for key, item in value.items()}
    return kept[value[1:]] if isinstance(value, str) and value.startswith("$") else value


async def carry_out(task: Task, root: Path) -> None:
    command = ["-P", "-m", "cli.main", "--workspace", str(root), "mcp", *task.flags]
    server = StdioServerParameters(command=sys.executable, args=command, env=dict(os.environ))
    kept: dict[str, Any] = {}
    about = types.Implementation(name="scripted", version="1")
    async with Client(stdio_client(server), client_info=about) as client:
        for call in task.calls:
            with anyio.fail_after(PATIENCE):
                while True:
                    answer = await client.call_tool(call.tool, filled(call.arguments, kept))
                    if call.refused is not None:
                        assert call.refused in refusal(answer)
                        break
                    assert not answer.is_error, (call.tool, answer.content)
                    if call.until is None or call.until.found(answer.structured_content):
                        kept |= {name: at(answer.structured_content, path) for name, path in call.keep.items()}
                        break
                    await anyio.sleep(0.5)  # between two looks, as a client has it


@pytest.fixture
def night(workspace: Workspace, make_run: RunMaker, propose: Any) -> None:
    """A session of two runs that has ended, and a proposal that waits."""
    record = SessionRecord(
        session_id="night-1", env_name=ENV, preset="quick", objective="perf:max", model="offline", approve="manual",
        seeds=2, budgets=Budgets(max_runs=2), created=now(), task=make_run().task, ended=now(), ended_because="over",
    )  # fmt: skip
    write_model(workspace.session(record.session_id).session, record)
    base = make_run(session=record.session_id)
    make_run({"train.ent_coef": 0.02}, parent=base.run_id, session=record.session_id)
    workspace.session(record.session_id).digest.write_text("# Digest\n\nNothing is better.\n")
    propose({"train.ent_coef": 0.2})


@pytest.mark.parametrize("name", NAMED)
def test_a_client_brings_about_what_was_asked_for(
    name: str, workspace: Workspace, cli: Cli, request: pytest.FixtureRequest
) -> None:
    task = TASKS[name]
    if task.given == "night":
        request.getfixturevalue("night")
    before = tree(workspace.root)
    anyio.run(carry_out, task, workspace.root)
    if task.unchanged:
        assert tree(workspace.root) == before
    for outcome in task.outcome:
        done = cli(*outcome.command)
        assert done.code == 0, done.err
        if outcome.has is not None:
            assert outcome.has in done.out
        else:
            assert outcome.found(done.json()), (outcome, at(done.json(), outcome.at))


def test_the_tasks_name_tools_that_there_are() -> None:
    assert len(TASKS) >= 5
    for name, task in TASKS.items():
        for call in task.calls:
            offer = BY_NAME[call.tool]
            assert set(call.arguments) <= set(offer.arguments.get("properties", {})), (name, call.tool)
            assert offer.needs in ("", *task.flags) or call.refused, (name, call.tool)
        assert json.dumps(task.ask)
