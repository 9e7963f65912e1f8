"""Two hundred calls of a hostile client: no exception, bounded answers, no decision, no training, nothing written."""

from collections.abc import Sequence
from typing import Any

import pytest

pytest.importorskip("mcp", reason="the extra mcp is not installed: pip install 'mcp>=2,<3'")

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from mcp import Client, types

from bridge.answers import LONGEST, Handle
from bridge.catalog import OFFERS
from bridge.door import Door
from lab.base.paths import Workspace
from lab.store.proposal import ProposalState
from lab.store.proposals import Proposals
from tests.agent.analysis.test_hostile_model import ARGUMENTS, JSON, ODD
from tests.bridge.conftest import Talk
from tests.conftest import tree

CALLS = 10
NAMES = [offer.name for offer in OFFERS]
MORE = st.fixed_dictionaries({}, optional={
    "env": ODD, "preset": ODD, "session": ODD, "job": ODD, "proposal": ODD, "version": ODD, "why": ODD,
    "settings": JSON, "hours": st.floats() | st.just(1), "max_runs": st.integers(), "approve": ODD, "save_as": ODD,
    "minutes": st.floats(), "at_once": JSON, "everything": JSON,
})  # fmt: skip
CALL = st.tuples(
    st.sampled_from(NAMES) | ODD,
    st.builds(lambda one, other: {**one, **other}, ARGUMENTS, MORE) | MORE | st.just({}),
)


def test_a_hostile_client_changes_nothing(
    talk: Talk, propose: Any, proposals: Proposals, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    propose()
    begun: list[Sequence[str]] = []

    def begin(_door: Door, kind: str, command: Sequence[str]) -> Handle:
        begun.append(command)
        return Handle(job="j", kind=kind, state="running", poll="autopilot://jobs/j", result=None, said="")

    monkeypatch.setattr("bridge.jobs.begin", begin)
    before = {name: text for name, text in tree(workspace.root).items() if not name.startswith("proposals")}

    @settings(max_examples=20, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
    @given(calls=st.lists(CALL, min_size=CALLS, max_size=CALLS))
    def play(calls: list[tuple[str, dict[str, Any]]]) -> None:
        async def work(client: Client) -> None:
            for name, arguments in calls:
                answer = await client.call_tool(name, arguments)
                text = answer.content[0]
                assert isinstance(text, types.TextContent) and len(text.text) <= LONGEST
                assert "the tool itself failed" not in text.text, (name, arguments, text.text)

        talk(work)

    play()
    assert {name: text for name, text in tree(workspace.root).items() if not name.startswith("proposals")} == before
    assert all(one.state is ProposalState.STAGED for one in proposals.all())
    assert {command[0] for command in begun} <= {"start", "resume", "probe", "export"}
    assert not [command for command in begun if command[0] == "start" and "--approve=manual" not in command]
