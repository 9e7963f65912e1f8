"""The door as a client of the SDK's own reaches it: in memory, with an inventory that is made once.

The SDK is imported where it is needed: without it the tests beside this file are skipped, which this file can't say.
"""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from bridge.door import Door
from bridge.server import server_of
from lab.base.paths import Workspace
from lab.space.inventory import Inventory
from lab.store.notebook import Notebook

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
