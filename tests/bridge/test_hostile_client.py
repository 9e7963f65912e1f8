"""Hundreds of calls of a hostile client: no exception, bounded answers, no decision, no training, nothing written."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest

pytest.importorskip("mcp", reason="the extra mcp is not installed: pip install 'mcp>=2,<3'")

import anyio
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from mcp import Client, types

from agent.session.session import Session
from bridge.answers import LONGEST, Handle
from bridge.catalog import OFFERS
from bridge.door import Door
from bridge.server import server_of
from lab.base.files import read_lines
from lab.base.paths import Workspace
from lab.store.notebook import Notebook
from lab.store.proposal import ProposalState
from lab.store.proposals import Proposals
from lab.store.session import Budgets
from tests.agent.analysis.test_hostile_model import ARGUMENTS, CHANGES, JSON, KEYS, NUMBERS, ODD, PROPOSALS
from tests.bridge.conftest import Talk
from tests.conftest import tree

CALLS = 10
NAMES = [offer.name for offer in OFFERS]
MORE = st.fixed_dictionaries({}, optional={
    "env": ODD, "preset": ODD, "session": ODD, "job": ODD, "proposal": ODD, "version": ODD, "why": ODD,
    "settings": JSON, "hours": st.floats() | st.just(1), "max_runs": st.integers(), "approve": ODD, "save_as": ODD,
    "minutes": st.floats(), "at_once": JSON, "everything": JSON, "analysis": ODD, "replicates": st.integers(),
})  # fmt: skip
GIVEN = st.builds(lambda one, other: {**one, **other}, ARGUMENTS, MORE) | MORE | st.just({})
CALL = st.tuples(st.sampled_from(NAMES) | ODD, GIVEN)
TEXTS = st.sampled_from(["It should help, as far as anyone can tell.", "{{ 7 * 7 }}", "{{ run.metrics.perf }} is 99."])
WITHIN = st.one_of(
    st.tuples(st.just("stage_proposal"), PROPOSALS),
    st.tuples(st.just("write_report"), st.fixed_dictionaries({
        "title": TEXTS | ODD, "observations": st.lists(TEXTS, min_size=1, max_size=3), "theory": TEXTS,
        "next_step": TEXTS,
    })),
    st.tuples(st.just("pass_round"), st.fixed_dictionaries({"reason": TEXTS | ODD})),
    st.tuples(st.just("stage_sweep"), st.fixed_dictionaries({
        "theory": TEXTS, "replicates": st.integers(-1, 2**40), "keys": st.lists(KEYS | ODD, max_size=3),
    }, optional={"ranges": st.dictionaries(KEYS, st.lists(NUMBERS | ODD, max_size=3), max_size=2), "arm": ODD})),
    st.tuples(st.just("query"), st.fixed_dictionaries({"sql": ODD | st.just("SELECT count(*) FROM metrics")})),
    st.tuples(st.just("check_config"), st.fixed_dictionaries({"changes": CHANGES})),
    st.tuples(st.just("metrics"), st.fixed_dictionaries({"metrics": st.lists(ODD, max_size=3)}, optional={"run": ODD})),
    st.tuples(st.just("compare"), st.fixed_dictionaries({"run": ODD, "against": ODD})),
    st.tuples(st.just("suggest"), st.fixed_dictionaries({"count": st.integers(-1, 20)})),
)  # fmt: skip
"""What a researcher may call, much of which gets as far as the session."""
OWN = ("stage_proposal", "write_report", "pass_round", "stage_sweep")
"""Of these the ones that name the analysis."""
PATIENT = 0
"""Seconds that a hostile client waits for an analysis."""


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> list[Sequence[str]]:
    """The commands that a client has begun, none of which is."""
    commands: list[Sequence[str]] = []

    def begin(_door: Door, kind: str, command: Sequence[str]) -> Handle:
        commands.append(command)
        return Handle(job="j", kind=kind, state="running", poll="autopilot://jobs/j", result=None, said="")

    monkeypatch.setattr("bridge.jobs.begin", begin)
    return commands


async def survived(client: Client, name: str, arguments: dict[str, Any]) -> types.CallToolResult:
    """The answer to a hostile call, which is bounded and no accident."""
    answer = await client.call_tool(name, {**arguments, **({"wait": PATIENT} if name.endswith("_analysis") else {})})
    text = answer.content[0]
    assert isinstance(text, types.TextContent) and len(text.text) <= LONGEST
    assert "the tool itself failed" not in text.text, (name, arguments, text.text)
    return answer


def examples(count: int) -> Callable[[Any], Any]:
    return settings(max_examples=count, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))


def harmless(begun: list[Sequence[str]]) -> None:
    """Of what was begun nothing trains outside of a session, or is approved by more than the settings give."""
    assert {command[0] for command in begun} <= {"start", "resume", "probe", "export"}
    assert not [command for command in begun if command[0] == "start" and "--approve=manual" not in command]


@pytest.mark.parametrize("count", [pytest.param(200), pytest.param(1000, marks=pytest.mark.nights)])
def test_a_hostile_client_changes_nothing(
    talk: Talk, propose: Any, proposals: Proposals, workspace: Workspace, begun: list[Sequence[str]], count: int
) -> None:
    propose()
    before = {name: text for name, text in tree(workspace.root).items() if not name.startswith("proposals")}

    @examples(count // CALLS)
    @given(calls=st.lists(CALL, min_size=CALLS, max_size=CALLS))
    def play(calls: list[tuple[str, dict[str, Any]]]) -> None:
        async def work(client: Client) -> None:
            for name, arguments in calls:
                await survived(client, name, arguments)

        talk(work)

    play()
    assert {name: text for name, text in tree(workspace.root).items() if not name.startswith("proposals")} == before
    assert all(one.state is ProposalState.STAGED for one in proposals.all())
    harmless(begun)


@pytest.mark.slow
def test_a_hostile_researcher_gets_what_a_hostile_model_gets(
    begin_night: Callable[..., Session],
    door: Callable[..., Door],
    notebook: Notebook,
    proposals: Proposals,
    begun: list[Sequence[str]],
) -> None:
    """Calls within an analysis of a session whose proposals wait for a person, until it is given up."""
    session, one = begin_night(approve="manual", turns=200, budgets=Budgets(max_runs=6)), door()
    held: dict[str, Any] = {}

    @examples(30)
    @given(calls=st.lists(WITHIN, min_size=CALLS, max_size=CALLS))
    def play(calls: list[tuple[str, dict[str, Any]]]) -> None:
        async def work() -> None:
            async with Client(server_of(one)) as client:
                found = await client.call_tool("autopilot_next_analysis", {"wait": PATIENT if held else 20, **held})
                if found.structured_content and found.structured_content["analysis"]:
                    held["analysis"] = found.structured_content["analysis"]
                for name, arguments in calls:
                    if (night := one.night()) is None or night.turn is None or night.turn.state == "ended":
                        return  # given up, as a model that goes on like this is
                    await survived(client, f"autopilot_{name}", {**arguments, **(held if name in OWN else {})})

        anyio.run(work)

    play()
    assert session.sessions.running() is not None  # nothing has broken it
    (run, *more) = notebook.runs()
    assert not [other for other in more if other.proposal]
    lines = list(read_lines(notebook.paths(run.run_id).transcript))
    assert sum(line.get("role") == "tool" for line in lines) > 10
    assert not [line for line in lines if "the tool itself failed" in line.get("content", "")]
    assert all(staged.state is ProposalState.STAGED for staged in proposals.all())
    harmless(begun)
