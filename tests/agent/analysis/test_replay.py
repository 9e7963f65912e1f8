"""A run's analysis again from its transcript: the same bytes, or a difference that says what has changed."""

import json
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import pytest

from agent.analysis.analyst import Analyst
from agent.analysis.replay import replay_run
from agent.model.budget import Budget, Price
from agent.model.chat import Reply
from agent.model.offline import OfflineResearcher
from agent.model.scripted import ScriptedModel
from lab.base.errors import NotFound
from lab.search import Permits
from lab.space.config import Config
from lab.space.inventory import Inventory
from lab.store.creation import create_run
from lab.store.lab import Lab
from lab.store.notebook import Notebook
from lab.store.proposal import ProposalState
from lab.store.proposals import Proposals
from lab.store.records import RunRecord, RunState
from report.templates import render
from tests.agent.analysis.test_loop import DONE, calls, text
from tests.conftest import Cli, RunMaker
from tests.tools.test_tools import PROPOSAL

Analysed = Callable[..., RunRecord]


@pytest.fixture
def analysed(notebook: Notebook, proposals: Proposals, inventory: Inventory, make_run: RunMaker) -> Analysed:
    def make(*steps: Reply, run: RunRecord | None = None) -> RunRecord:
        model = ScriptedModel(steps) if steps else OfflineResearcher()
        run = run or make_run()
        Analyst(Lab(notebook, inventory), model).analyse(run, Budget(price=Price(input=3, output=9)))
        return run

    return make


SURVEY = calls(("list_runs", {}), ("read_run", {"run": "incumbent"}), ("read_metrics", {}), ("nonsense", {}))
DONE_REPORT = {
    "title": "The ceiling", "observations": ["It is high."], "theory": "There is nothing above the ceiling.",
    "next_step": "Sleep, and wake up.",
}  # fmt: skip
STEPS: dict[str, tuple[Reply, ...]] = {
    "offline": (),
    "a model": (SURVEY, text("Hm."), calls(("check_config", {"changes": {"train.gamma": 5.0}})), DONE),
    "a model that passes": (SURVEY, calls(("pass_round", {"reason": "It has seen more than I have."}), (
        "write_report", DONE_REPORT))),
    "a model that cites what leads nowhere": (
        SURVEY,
        calls(("compare_runs", {})),
        calls(("stage_proposal", PROPOSAL)),
        calls(("write_report", DONE_REPORT | {"theory": "It came to {{ nobody.knows }} in the end."})),
        calls(("write_report", DONE_REPORT)),
    ),
    "a model that gave up": (SURVEY, *[text("I like turtles.")] * 3),
    "a model that is refused": (SURVEY,),
    "a model that never ends": (SURVEY,) * 30,
    "a model that ends the search": (
        calls(("end_search", {"reason": "Every run is at the ceiling."})), calls(("write_report", DONE_REPORT)),
    ),
}  # fmt: skip


@pytest.mark.parametrize("who", STEPS)
def test_report_and_proposal_come_out_byte_for_byte(
    analysed: Analysed, notebook: Notebook, inventory: Inventory, make_run: RunMaker, who: str
) -> None:
    run = analysed(*STEPS[who])
    make_run({"train.learning_rate": 0.02}, parent=run.run_id)  # what came later changes nothing
    found = replay_run(Lab(notebook, inventory), run.run_id)
    assert found.differences == ()
    assert found.reports == 1
    assert found.proposals == (0 if "ends the search" in who else 1)
    assert found.requests >= len(STEPS[who][:24])


def test_a_run_that_somebody_else_trained_beside_it_changes_nothing(
    analysed: Analysed, notebook: Notebook, inventory: Inventory, config: Config
) -> None:
    beside = create_run(notebook, config, {}, preset="quick", objective="perf:max", arm="person")
    run = analysed(*STEPS["a model"])
    notebook.fail(beside.run_id, RunState.KILLED, "it was through when the report was written")
    assert replay_run(Lab(notebook, inventory), run.run_id).differences == ()


def test_decisions_and_a_second_proposal_change_nothing(
    analysed: Analysed, notebook: Notebook, inventory: Inventory, proposals: Proposals
) -> None:
    run = analysed(*STEPS["a model"])
    (first,) = proposals.all()
    proposals.decide(first.proposal_id, ProposalState.REJECTED, "person", "not this")
    analysed(run=run)
    found = replay_run(Lab(notebook, inventory), run.run_id)
    assert found.differences == ()
    assert (found.reports, found.proposals) == (1, 2)


def test_a_changed_prompt_tool_or_template_is_a_difference(
    analysed: Analysed, notebook: Notebook, inventory: Inventory, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = analysed(*STEPS["a model"])

    def changed(template: str, **values: Any) -> str:
        return (
            render(template, **values)
            .replace("You are the researcher", "You are the better half")
            .replace("## Theory", "## Why")
        )

    monkeypatch.setattr("agent.analysis.briefing.render", changed)
    (difference,) = replay_run(Lab(notebook, inventory), run.run_id).differences
    assert difference.what == "conversation"
    assert "the better half" in difference.diff
    monkeypatch.setattr("report.run_report.render", changed)
    differences = replay_run(Lab(notebook, inventory), run.run_id).differences
    assert [difference.what for difference in differences] == ["conversation", "report"]
    assert "+## Why" in differences[1].diff
    monkeypatch.undo()
    monkeypatch.setattr("agent.analysis.replay.TOOLS", [])
    differences = replay_run(Lab(notebook, inventory), run.run_id).differences
    assert differences[0].what == "tools"


def test_what_was_changed_on_disk_is_a_difference(
    analysed: Analysed, notebook: Notebook, inventory: Inventory, proposals: Proposals, cli: Cli
) -> None:
    run = analysed(*STEPS["a model"])
    told = cli("replay", run.run_id)
    assert (told.code, told.out) == (0, "replayed 4 requests, 1 reports, 1 proposals\neverything came out as it was\n")
    report = notebook.paths(run.run_id).report
    report.write_text(report.read_text().replace("perf moved", "perf leapt"))
    told = cli("replay", run.run_id)
    assert told.code == 1
    assert "-- perf leapt.\n+- perf moved." in told.out
    assert told.err == f"autopilot: replay of {run.run_id}: report differ\n"
    found = cli("replay", run.run_id, "--json").json()
    assert [difference["what"] for difference in found["differences"]] == ["report"]


def test_without_a_transcript_there_is_nothing_to_replay(
    make_run: RunMaker, notebook: Notebook, inventory: Inventory
) -> None:
    run = make_run()
    with pytest.raises(NotFound, match="has no analysis to replay"):
        replay_run(Lab(notebook, inventory), run.run_id)
    notebook.paths(run.run_id).transcript.write_text(
        json.dumps({"kind": "analysis", "model": "m", "tools": []}) + "\n"  # as version 0.3 wrote them
    )
    with pytest.raises(NotFound, match="has no analysis to replay"):
        replay_run(Lab(notebook, inventory), run.run_id)


def test_an_analysis_that_was_killed_is_passed_over(
    analysed: Analysed, notebook: Notebook, inventory: Inventory
) -> None:
    run = analysed(*STEPS["a model"])
    path = notebook.paths(run.run_id).transcript
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:4]) + "".join(lines))
    assert replay_run(Lab(notebook, inventory), run.run_id).differences == ()


def test_a_proposal_that_was_a_run_before_its_answer_was_written_down(
    analysed: Analysed, notebook: Notebook, inventory: Inventory, proposals: Proposals, make_run: RunMaker
) -> None:
    """The session may begin it while the transcript's line still waits for the disk."""
    run = analysed(*STEPS["a model"])
    (proposal,) = proposals.all()
    made = make_run(proposal.overrides, parent=proposal.parent)
    path = notebook.paths(run.run_id).transcript
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    (answer,) = (line for line in lines if line.get("role") == "tool" and '"created"' in line["content"])
    answer["time"] = (made.created + timedelta(seconds=1)).isoformat()
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert replay_run(Lab(notebook, inventory), run.run_id).differences == ()


MOMENT = timedelta(milliseconds=5)


def test_a_run_that_was_begun_as_the_proposal_was_made_but_not_seen_yet_denies_nothing(
    analysed: Analysed, notebook: Notebook, inventory: Inventory, proposals: Proposals, make_run: RunMaker
) -> None:
    """Another process stamps its run with a time and writes it down a moment later."""
    run = analysed(*STEPS["a model"])
    (proposal,) = proposals.all()
    twin = make_run(proposal.overrides, parent=proposal.parent)
    path = notebook.paths(twin.run_id).run
    path.write_text(json.dumps({**json.loads(path.read_text()), "created": (proposal.created - MOMENT).isoformat()}))
    assert replay_run(Lab(notebook, inventory), run.run_id).differences == ()


def test_what_the_policy_denied_is_denied_again(
    notebook: Notebook, proposals: Proposals, inventory: Inventory, make_run: RunMaker
) -> None:
    """As the rules were then: they, and how long a run is expected to take, are others when it is replayed."""

    def permits(_: str, changes: Mapping[str, Any]) -> str | None:
        return "no entry of [policy] lets train.gamma pass" if "train.gamma" in changes else None

    denied = calls(("stage_proposal", {**PROPOSAL, "changes": {"train.gamma": 0.9}}))
    run = make_run()
    model = ScriptedModel([denied, denied, DONE])
    Analyst(Lab(notebook, inventory), model, permits=Permits(permits), rules=("train.ent_coef",)).analyse(run)
    found = replay_run(Lab(notebook, inventory), run.run_id)
    assert found.differences == ()
    assert (found.reports, found.proposals) == (1, 1)
