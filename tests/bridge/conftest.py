"""The door as a client of the SDK's own reaches it: in memory, with an inventory that is made once.

The SDK is imported where it is needed: without it the tests beside this file are skipped, which this file can't say.
"""

import threading
from collections.abc import Awaitable, Callable, Iterator
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from agent.analysis.analyst import Analyst
from agent.model.outside import OutsideAgent
from agent.model.settings import ModelSettings
from agent.session.session import Session
from bridge.door import Door
from bridge.server import server_of
from lab.base.paths import Workspace
from lab.base.schema import now
from lab.space.inventory import Inventory
from lab.store.lab import Lab
from lab.store.notebook import Notebook
from lab.store.session import Budgets, SessionRecord
from report.live import SilentView
from tests.conftest import ENV
from training.fake import FakeRunner

if TYPE_CHECKING:
    from mcp import Client, types

Talk = Callable[..., Any]


@pytest.fixture
def door(workspace: Workspace, notebook: Notebook, inventory: Inventory) -> Callable[..., Door]:
    """The workspace's: `door(decisions=True)`."""

    def make(**flags: bool) -> Door:
        return Door(workspace, notebook, lambda _: inventory, **flags)

    return make


@pytest.fixture
def talk(door: Callable[..., Door]) -> Talk:
    """What `work` makes of a client that is connected: `talk(work, decisions=True)`."""

    def run(work: "Callable[[Client], Awaitable[Any]]", **flags: bool) -> Any:
        from mcp import Client, types

        async def connected() -> Any:
            about = types.Implementation(name="tester", version="1")
            async with Client(server_of(door(**flags)), client_info=about) as client:
                return await work(client)

        return anyio.run(connected)

    return run


@pytest.fixture
def ask(talk: Talk) -> Talk:
    """The answer of one tool, or its error: `ask("autopilot_runs", limit=3)`; `flags` are the server's."""

    def call(name: str, flags: dict[str, bool] | None = None, **arguments: Any) -> "types.CallToolResult":
        return talk(lambda client: client.call_tool(name, arguments), **(flags or {}))  # type: ignore[no-any-return]

    return call


def refusal(answer: "types.CallToolResult") -> str:
    """The sentence of an error."""
    assert answer.is_error
    assert answer.structured_content is None
    text: str = answer.content[0].text  # type: ignore[union-attr]
    return text


@pytest.fixture
def begin_night(notebook: Notebook, inventory: Inventory) -> Iterator[Callable[..., Session]]:
    """Begins a session of the fake runner, in a thread, that asks agents for its analyses: `begin_night(ahead=2)`."""
    begun: list[tuple[Session, threading.Thread]] = []

    def begin(
        record: SessionRecord | None = None, *, wait: float = 60, silence: float = 60, turns: int = 24, **fields: Any
    ) -> Session:
        fresh = {
            "session_id": "night", "env_name": ENV, "preset": "quick", "objective": "perf:max", "model": "agent",
            "approve": "auto", "seeds": 1, "budgets": Budgets(max_runs=8), "created": now(), "model_share": 1,
        }  # fmt: skip
        record = record or SessionRecord.model_validate({**fresh, **fields})
        lab, stop = Lab(notebook, inventory), threading.Event()
        asked = ModelSettings(agent_wait=wait, agent_silence=silence, turns=turns)
        model = OutsideAgent(notebook.workspace.session(record.session_id), asked)
        analyst = Analyst(lab, model, record.session_id, stop.is_set, ahead=record.ahead)
        session = Session(record, lab, FakeRunner(), analyst, SilentView(), stop, turns=turns, patience=None)
        session.sessions.save(record)
        thread = threading.Thread(target=session.run, daemon=True)
        thread.start()
        begun.append((session, thread))
        while session.sessions.running() is None and thread.is_alive():
            thread.join(0.01)
        return session

    yield begin
    for session, thread in begun:
        session.stop.set()
        thread.join(60)
        assert not thread.is_alive()
