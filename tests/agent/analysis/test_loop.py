"""The loop, its limits, and the fallback, played with scripted models and the fake runner."""

import json
import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from markdown_it import MarkdownIt

from agent.analysis.analyst import Analyst
from agent.analysis.replay import replay_run
from agent.model.budget import Budget, Price
from agent.model.chat import Message, ModelError, Reply, ToolCall, TooLong, Usage
from agent.model.offline import OfflineResearcher
from agent.model.scripted import ScriptedModel
from lab.base.files import read_lines, read_model
from lab.base.text import short
from lab.claims.checking import Checked
from lab.judge.verdicts import noise_of
from lab.space.inventory import Inventory
from lab.store.lab import Lab
from lab.store.notebook import Notebook
from lab.store.proposal import ProposalState
from lab.store.proposals import Proposals
from lab.store.session import Budgets, Spent
from report.checking import check_report
from tests.conftest import RunMaker
from tests.tools.test_tools import PROPOSAL
from tools.catalog import TOOLS
from tools.context import ToolContext
from tools.proposing import suggestions
from tools.registry import Toolbox, make_tool

REPORT = {
    "title": "Entropy up",
    "observations": ["perf moved."],
    "theory": "It is the entropy bonus, I think.",
    "next_step": "Go on like this.",
}


def calls(*wanted: tuple[str, dict[str, Any]], tokens: int = 10) -> Reply:
    made = tuple(ToolCall(id=f"c{n}", name=name, arguments=json.dumps(args)) for n, (name, args) in enumerate(wanted))
    return Reply(message=Message(role="assistant", tool_calls=made), usage=Usage(input_tokens=tokens))


def text(words: str) -> Reply:
    return Reply(message=Message(role="assistant", content=words))


AnalystMaker = Callable[..., Analyst]


@pytest.fixture
def analyst(notebook: Notebook, proposals: Proposals, inventory: Inventory) -> AnalystMaker:
    def make(*steps: Any) -> Analyst:
        return Analyst(Lab(notebook, inventory), ScriptedModel(steps))

    return make


def test_a_model_that_does_its_work(
    analyst: AnalystMaker, make_run: RunMaker, notebook: Notebook, proposals: Proposals
) -> None:
    run = make_run()
    worker = analyst(
        calls(("list_runs", {}), ("read_run", {})), calls(("stage_proposal", PROPOSAL)), calls(("write_report", REPORT))
    )
    outcome = worker.analyse(run)
    assert outcome.fell_back is None
    assert "Analysis: scripted; 3 requests, 30 tokens\n" in notebook.paths(run.run_id).report.read_text()
    (staged,) = proposals.all()
    assert (staged.state, staged.arm, staged.parent, staged.overrides) == (
        ProposalState.STAGED, "scripted", run.run_id, {"train.ent_coef": 0.02})  # fmt: skip
    report = notebook.paths(run.run_id).report.read_text()
    assert "Entropy up" in report
    seen = worker.model.seen[1]  # type: ignore[attr-defined]
    assert [message.role for message in seen] == ["system", "user", "assistant", "tool", "tool"]
    assert json.loads(seen[3].content)["under_analysis"] == run.run_id


def test_errors_go_back_to_the_model(analyst: AnalystMaker, make_run: RunMaker) -> None:
    bad = {**PROPOSAL, "changes": {"train.gamma": 7}}
    worker = analyst(
        calls(("stage_proposal", bad), ("no_such_tool", {})),
        text("Let me think."),
        calls(("stage_proposal", PROPOSAL), ("write_report", REPORT)),
    )
    assert worker.analyse(make_run()).fell_back is None
    _, __, last = worker.model.seen  # type: ignore[attr-defined]
    assert "0.999999" in last[3].content
    assert "no tool" in last[4].content
    assert "tool calls" in last[-1].content


@pytest.mark.parametrize(
    ("steps", "why"),
    [
        ([], "script is over"),
        ([text("I like turtles.")] * 40, "made no call 3 times in a row: 'I like turtles.'"),
        ([calls(("list_runs", {}), tokens=1)] * 40, "after 24 requests"),
        ([calls(("list_runs", {}), tokens=900)] * 3, "tokens are used up"),
    ],
)
def test_the_offline_researcher_finishes_what_a_model_does_not(
    analyst: AnalystMaker, make_run: RunMaker, notebook: Notebook, proposals: Proposals, steps: list[Reply], why: str
) -> None:
    run = make_run()
    outcome = analyst(*steps).analyse(run, Budget(Budgets(max_tokens=1000)))
    assert why in (outcome.fell_back or "")
    assert proposals.all()[0].arm == "offline"
    assert "offline, after scripted gave up" in notebook.paths(run.run_id).report.read_text()


class Beaten(OfflineResearcher):
    """Somebody begins what it is about to propose, so many times."""

    def __init__(self, begin: Callable[[dict[str, Any]], object], times: int) -> None:
        self.begun: list[dict[str, Any]] = []
        self._begin, self._times = begin, times

    def complete(self, messages: Sequence[Message], tools: Sequence[dict[str, Any]]) -> Reply:
        reply = super().complete(messages, tools)
        for call in reply.message.tool_calls:
            if call.name == "stage_proposal" and len(self.begun) < self._times:
                self.begun.append(json.loads(call.arguments)["changes"])
                self._begin(self.begun[-1])
        return reply


def three(*, report: bool = True) -> Reply:
    changes = ({"train.ent_coef": 0.02}, {"train.gamma": 0.9}, {"train.vf_coef": 1.5})
    staged = [("stage_proposal", {**PROPOSAL, "changes": change}) for change in changes]
    return calls(*staged, *([("write_report", REPORT)] if report else []))


def test_several_are_staged_in_one_analysis(
    make_run: RunMaker, notebook: Notebook, proposals: Proposals, inventory: Inventory
) -> None:
    run, lab = make_run(), Lab(notebook, inventory)
    outcome = Analyst(lab, ScriptedModel([three()]), ahead=3).analyse(run)
    assert [p.overrides for p in outcome.staged] == [
        {"train.ent_coef": 0.02}, {"train.gamma": 0.9}, {"train.vf_coef": 1.5},
    ]  # fmt: skip
    assert [p.state for p in proposals.all()] == [ProposalState.STAGED] * 3
    step = notebook.paths(run.run_id).report.read_text().partition("## Next step")[2]
    names = ", ".join(f"proposals/{p.proposal_id}.json" for p in outcome.staged)
    assert step.startswith(f" (staged in {names})\n")
    proposed = step.partition("| proposed |")[2]  # the first of three tables
    assert [line.split("|")[1].strip() for line in proposed.splitlines() if line.startswith("| `")] == [
        "`train.ent_coef`", "`train.gamma`", "`train.vf_coef`",
    ]  # fmt: skip
    assert check_report(notebook, run.run_id).count("contradicted") == 0
    found = replay_run(lab, run.run_id)
    assert (found.differences, found.proposals) == ((), 3)


def test_what_a_report_says_of_the_second_is_checked_too(
    make_run: RunMaker, notebook: Notebook, inventory: Inventory
) -> None:
    context = Analyst(Lab(notebook, inventory), OfflineResearcher(), ahead=3)._context(make_run(), "scripted", None)
    toolbox = Toolbox(TOOLS, context)
    for call in three(report=False).message.tool_calls:
        assert toolbox.call(call.name, call.arguments).ok
    for value, verdict in (("0.9", "verified"), ("0.8", "contradicted")):
        told = {**REPORT, "next_step": f"Gamma goes from 0.95 to {value} in the second one."}
        answer = json.loads(toolbox.call("write_report", json.dumps(told)).content)
        assert answer["claims"][verdict] > 0, answer


@pytest.mark.parametrize("kept", ["several", "one, of an earlier version"])
def test_what_a_kill_left_between_report_and_proposals_is_staged(
    make_run: RunMaker, notebook: Notebook, proposals: Proposals, inventory: Inventory,
    monkeypatch: pytest.MonkeyPatch, kept: str,
) -> None:  # fmt: skip
    run = make_run()
    analyst = Analyst(Lab(notebook, inventory), ScriptedModel([three()]), ahead=3)
    with monkeypatch.context() as killed:
        killed.setattr(Proposals, "stage", _killed)
        with pytest.raises(KeyboardInterrupt):
            analyst.analyse(run)
    path = notebook.workspace.run(run.run_id).proposed
    wanted = json.loads(path.read_text())
    if kept != "several":
        path.write_text(json.dumps(wanted[0]))
    assert proposals.all() == []
    analyst.recover(run)
    count = 3 if kept == "several" else 1
    assert [p.proposal_id for p in proposals.all()] == [one["proposal_id"] for one in wanted[:count]]
    assert {p.state for p in proposals.all()} == {ProposalState.STAGED}
    assert not path.exists()


def _killed(*_: Any) -> None:
    raise KeyboardInterrupt


def test_a_report_is_all_that_is_wanted_while_others_wait(
    make_run: RunMaker, notebook: Notebook, proposals: Proposals, inventory: Inventory
) -> None:
    run, lab = make_run(), Lab(notebook, inventory)
    model = ScriptedModel([three(report=False), calls(("write_report", REPORT))])
    outcome = Analyst(lab, model, ahead=3).analyse(run, propose=False)
    assert (outcome.staged, outcome.fell_back, proposals.all()) == ((), None, [])
    assert "no proposal is wanted" in model.seen[0][1].content
    assert "what was staged before is to be trained first" in model.seen[1][-1].content
    assert "Nothing was staged: what was staged before" in notebook.paths(run.run_id).report.read_text()
    assert replay_run(lab, run.run_id).differences == ()


@pytest.mark.parametrize("times", [1, 5])  # it asks for four at a time
def test_what_somebody_begins_meanwhile_makes_room_for_the_next_idea(
    times: int, make_run: RunMaker, notebook: Notebook, proposals: Proposals, inventory: Inventory
) -> None:
    """The search trains configs of its own beside a slow analysis."""
    run = make_run()
    model = Beaten(lambda changes: make_run(changes, parent=run.run_id), times)
    outcome = Analyst(Lab(notebook, inventory), model).analyse(run)
    assert len(model.begun) == times
    assert outcome.fell_back is None
    (proposal,) = outcome.staged
    assert proposal.overrides not in model.begun
    report = notebook.paths(run.run_id).report.read_text()
    (key, value), *_ = proposal.overrides.items()
    assert f"Try {key} = {short(value)}" in report.partition("## Next step")[2]
    assert replay_run(Lab(notebook, inventory), run.run_id).differences == ()


def test_a_control_run_is_reported_on_whatever_becomes_of_an_idea(
    make_run: RunMaker, notebook: Notebook, proposals: Proposals, inventory: Inventory, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(arm="race")
    begun = Beaten(lambda changes: make_run(changes, parent=run.run_id), 100)
    monkeypatch.setattr("agent.analysis.analyst.OfflineResearcher", lambda: begun)
    Analyst(Lab(notebook, inventory), ScriptedModel([])).report_control(run)
    assert len(begun.begun) > 1
    assert "Nothing was staged: this config was the search's own" in notebook.paths(run.run_id).report.read_text()


def test_a_model_may_end_the_search(
    analyst: AnalystMaker, make_run: RunMaker, notebook: Notebook, proposals: Proposals
) -> None:
    run = make_run()
    outcome = analyst(
        calls(("end_search", {"reason": "Every run is at the ceiling."}), ("write_report", REPORT))
    ).analyse(run)
    assert outcome.ended == "Every run is at the ceiling."
    assert proposals.all() == []
    assert "Nothing was staged: Every run is at the ceiling." in notebook.paths(run.run_id).report.read_text()


def test_the_report_is_written_once(analyst: AnalystMaker, make_run: RunMaker, notebook: Notebook) -> None:
    run = make_run()
    analyst(calls(("stage_proposal", PROPOSAL), ("write_report", REPORT))).analyse(run)
    before = notebook.paths(run.run_id).report.read_text()
    again = analyst(calls(("write_report", {**REPORT, "title": "Other words"})), calls(("stage_proposal", PROPOSAL)))
    again.analyse(run)
    assert notebook.paths(run.run_id).report.read_text() == before


def test_a_models_words_cannot_pass_for_the_programs(
    analyst: AnalystMaker, make_run: RunMaker, notebook: Notebook
) -> None:
    run = make_run()
    forged = {
        "title": "Great\n**Verdict: better**",
        "observations": ["## Key metrics", "| perf | 1.0 |", "a\x1b[2Jb"],
        "theory": "# Verdict: better\n\nAll is well, believe me.",
        "next_step": "### Config\nNothing to see here.",
    }
    analyst(calls(("stage_proposal", PROPOSAL), ("write_report", forged))).analyse(run)
    lines = notebook.paths(run.run_id).report.read_text().splitlines()
    assert [line for line in lines if line.startswith("#")] == [
        lines[0], "## Key metrics", "## Observations", "## Theory",
        next(line for line in lines if line.startswith("## Next step")), "## Claims", "## Diagnosis", "## Config",
        "## Recent runs", "## Repro notes",
    ]  # fmt: skip
    assert sum("**Verdict" in line for line in lines[1:]) == 1 + 1  # ours, and its heading made bold
    assert not any("\x1b" in line for line in lines)


def test_markdown_that_would_make_a_section_of_its_own_does_not(
    analyst: AnalystMaker, make_run: RunMaker, notebook: Notebook
) -> None:
    forged = {
        "title": "**Bold** <b>x</b>",
        "observations": ["**perf** is what it is", "- # hidden", "<!-- open"],
        "theory": "Verdict\n=======\n> ## quoted\n- # listed\n<script>x</script> ![p](http://x/y.png)\n```\nswallowed",
        "next_step": "Nothing here\n---\n<h2>Config</h2>\n\n| a | b |\n|---|---|\n",
    }
    run = make_run()
    analyst(calls(("stage_proposal", PROPOSAL), ("write_report", forged))).analyse(run)
    text = notebook.paths(run.run_id).report.read_text()
    html = MarkdownIt().enable("table").render(text)
    headings = re.findall(r"<h\d>(.*?)</h\d>", html)
    assert [heading.split(" (")[0] for heading in headings[1:]] == [
        "Key metrics", "Observations", "Theory", "Next step", "Diagnosis", "Config", "Recent runs", "Repro notes",
    ]  # fmt: skip
    assert not re.search(r"<(script|h2|b|!--)", text)
    assert "![p]" not in text
    assert "**perf** is what it is" in text
    assert html.count("<table>") == text.count("\n|---")


def test_a_report_that_contradicts_the_record_goes_back_twice_and_then_stands_marked(
    analyst: AnalystMaker, make_run: RunMaker, notebook: Notebook
) -> None:
    wrong = {**REPORT, "observations": ["perf is 0.123 on average."]}
    worker = analyst(calls(("stage_proposal", PROPOSAL)), *[calls(("write_report", wrong))] * 9)
    run = make_run()
    assert worker.analyse(run).fell_back is None
    assert len(worker.model.seen) == 4  # type: ignore[attr-defined]
    answer = json.loads(worker.model.seen[2][-1].content)  # type: ignore[attr-defined]
    assert answer["contradicted"][0]["text"] == "0.123"
    assert "2 more" in answer["so"]
    text = notebook.paths(run.run_id).report.read_text()
    assert "- perf is 0.123 ✗ on average." in text
    assert '- ✗ "0.123": perf ' in text
    claims = read_model(notebook.paths(run.run_id).claims, Checked)
    assert claims.count("contradicted") == 1


def test_what_is_put_right_is_not_marked(analyst: AnalystMaker, make_run: RunMaker, notebook: Notebook) -> None:
    wrong = {**REPORT, "observations": ["perf is 0.123 on average."]}
    cited = "perf is {{ run.metrics.perf }} on average, entropy {{ run.config.train.ent_coef }}."
    right = {**REPORT, "observations": [cited]}
    worker = analyst(calls(("stage_proposal", PROPOSAL), ("write_report", wrong)), calls(("write_report", right)))
    run = make_run()
    assert worker.analyse(run).fell_back is None
    text = notebook.paths(run.run_id).report.read_text()
    summary = notebook.summary(run.run_id)
    assert summary is not None
    assert f"- perf is {summary.metrics['perf'].mean:.4g} on average, entropy 0.001" in text
    assert "✗" not in text


def test_a_reference_that_leads_nowhere_is_told(analyst: AnalystMaker, make_run: RunMaker) -> None:
    lost = {**REPORT, "title": "It came to {{ run.metrics.nonsense }}"}
    worker = analyst(calls(("stage_proposal", PROPOSAL), ("write_report", lost)), calls(("write_report", REPORT)))
    worker.analyse(make_run())
    told = json.loads(worker.model.seen[1][-1].content)["error"]  # type: ignore[attr-defined]
    assert "nonsense" in told
    assert "agent_steps" in told


def test_the_transcript_holds_everything_but_the_key(
    analyst: AnalystMaker, make_run: RunMaker, notebook: Notebook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "very-secret-value")
    run = make_run()
    analyst(
        text("my key is very-secret-value and sk-abcdefghijkl1234"),
        calls(("stage_proposal", PROPOSAL), ("write_report", REPORT)),
    ).analyse(run)
    raw = notebook.paths(run.run_id).transcript.read_text()
    assert "very-secret-value" not in raw
    assert "sk-abcdef" not in raw
    lines = list(read_lines(notebook.paths(run.run_id).transcript))
    assert [line.get("role", line["kind"]) for line in lines] == [
        "analysis", "system", "user", "assistant", "user", "assistant", "tool", "tool", "end"]  # fmt: skip


class TestOffline:
    """The researcher that needs no model; all it says comes from the record."""

    def analyse(self, notebook: Notebook, proposals: Proposals, inventory: Inventory) -> str:
        run = notebook.runs()[-1]
        outcome = Analyst(Lab(notebook, inventory), OfflineResearcher()).analyse(run)
        assert outcome.fell_back is None
        return notebook.paths(run.run_id).report.read_text()

    def test_it_reads_before_it_writes(
        self, make_run: RunMaker, notebook: Notebook, proposals: Proposals, inventory: Inventory
    ) -> None:
        make_run()
        self.analyse(notebook, proposals, inventory)
        lines = read_lines(notebook.paths(notebook.runs()[0].run_id).transcript)
        used = [call["name"] for line in lines for call in line.get("tool_calls", [])]
        assert used[:3] == ["list_runs", "read_run", "list_proposals"]
        assert {"suggest_configs", "check_config"} <= set(used)
        assert "read_metrics" not in used  # the diagnosis that read_run gives has read the same curves
        assert used[-2:] == ["stage_proposal", "write_report"]

    def test_what_it_says_follows_the_record(
        self, make_run: RunMaker, notebook: Notebook, proposals: Proposals, inventory: Inventory
    ) -> None:
        baseline = make_run({"autopilot.seeds": 4})
        first = self.analyse(notebook, proposals, inventory)
        assert "baseline of the preset" in first
        make_run({"train.learning_rate": 1e-5}, parent=baseline.run_id)
        second = self.analyse(notebook, proposals, inventory)
        assert "learning_rate 0.005 → 1e-05" in second
        assert "worse than the incumbent" in second
        assert "The replicates agree that this hurt" in second
        mean = notebook.summary(notebook.runs()[-1].run_id).metrics["perf"].mean  # type: ignore[union-attr]
        assert f"perf is {mean:.4g} on average" in second

    def test_other_runs_other_words(
        self, make_run: RunMaker, notebook: Notebook, proposals: Proposals, inventory: Inventory
    ) -> None:
        baseline = make_run()
        make_run({"train.learning_rate": 0.02}, parent=baseline.run_id)
        report = self.analyse(notebook, proposals, inventory)
        for word in ("better", "worse", "not distinguishable"):
            if word in report.splitlines()[0]:
                break
        else:
            pytest.fail("the title says nothing of the outcome")
        assert "1e-05" not in report

    def test_one_replicate_is_no_proof_and_the_head_is_not_said_twice(
        self, make_run: RunMaker, notebook: Notebook, proposals: Proposals, inventory: Inventory
    ) -> None:
        baseline = make_run()
        make_run({"train.learning_rate": 1e-5, "autopilot.seeds": 1}, parent=baseline.run_id)
        report = self.analyse(notebook, proposals, inventory)
        assert report.splitlines()[0].endswith("to the incumbent) on one replicate, which is no proof")
        assert "Against its parent" not in report  # it is the incumbent, whom the head compares with

    def test_a_failed_run_is_evidence(
        self, make_run: RunMaker, notebook: Notebook, proposals: Proposals, inventory: Inventory
    ) -> None:
        baseline = make_run()
        make_run({"train.learning_rate": 0.9}, fault="nan", parent=baseline.run_id)
        report = self.analyse(notebook, proposals, inventory)
        assert "diverged before it had a score" in report.splitlines()[0]
        assert "became nan" in report
        assert "No score: the run ended as **diverged**" in report
        assert proposals.all()[-1].parent == baseline.run_id

    def test_a_rejection_is_read_and_respected(
        self, make_run: RunMaker, notebook: Notebook, proposals: Proposals, inventory: Inventory
    ) -> None:
        make_run()
        self.analyse(notebook, proposals, inventory)
        (first,) = proposals.all()
        proposals.decide(first.proposal_id, ProposalState.REJECTED, "person", "we know that one")
        make_run({"train.clip_coef": 0.3}, parent=notebook.runs()[0].run_id)
        report = self.analyse(notebook, proposals, inventory)
        assert "we know that one" in report
        assert proposals.all()[-1].overrides != first.overrides

    def test_the_same_record_gives_the_same_words(
        self, make_run: RunMaker, notebook: Notebook, proposals: Proposals, inventory: Inventory
    ) -> None:
        make_run()
        first = self.analyse(notebook, proposals, inventory)
        notebook.paths(notebook.runs()[0].run_id).report.unlink()
        for path in notebook.workspace.proposals.glob("*.json"):
            path.unlink()
        second = self.analyse(notebook, proposals, inventory)
        strip = lambda report: [line for line in report.splitlines() if "proposals/" not in line]  # noqa: E731
        assert strip(first) == strip(second)


def test_a_scripted_model_that_is_asked_too_often_says_so() -> None:
    with pytest.raises(ModelError, match="script is over"):
        ScriptedModel([]).complete([], [])


def finished(*wanted: tuple[str, dict[str, Any]], finish: str) -> Reply:
    return calls(*wanted).model_copy(update={"finish": finish})


DONE = calls(("stage_proposal", PROPOSAL), ("write_report", REPORT))


def test_a_call_that_was_cut_off_is_not_done(analyst: AnalystMaker, make_run: RunMaker, proposals: Proposals) -> None:
    cut_off = finished(("end_search", {"reason": "Half of a reason that was"}), finish="length")
    worker = analyst(cut_off, DONE)
    outcome = worker.analyse(make_run())
    assert (outcome.fell_back, outcome.ended) == (None, None)
    assert len(proposals.all()) == 1
    last = worker.model.seen[1][-2:]  # type: ignore[attr-defined]
    assert last[0].tool_calls == ()
    assert "cut off" in last[1].content


@pytest.mark.parametrize("finish", ["refusal", "length", "stop"])
def test_a_model_that_makes_no_call_is_given_up_soon(analyst: AnalystMaker, make_run: RunMaker, finish: str) -> None:
    answer = Reply(message=Message(role="assistant", content="No."), finish=finish)  # type: ignore[arg-type]
    worker = analyst(*[answer] * 9)
    said = worker.analyse(make_run()).fell_back or ""
    assert said.startswith({"refusal": "refused", "length": "was cut off", "stop": "made no call"}[finish])
    assert said.endswith("3 times in a row: 'No.'")
    assert len(worker.model.seen) == 3  # type: ignore[attr-defined]


def test_a_flood_of_calls_is_cut(analyst: AnalystMaker, make_run: RunMaker) -> None:
    worker = analyst(calls(*[("list_proposals", {})] * 500), DONE)
    assert worker.analyse(make_run()).fell_back is None
    roles = [message.role for message in worker.model.seen[1]]  # type: ignore[attr-defined]
    assert roles == ["system", "user", "assistant", *["tool"] * 8, "user"]
    assert "first 8 calls" in worker.model.seen[1][-1].content  # type: ignore[attr-defined]
    assert len(worker.model.seen[1][2].tool_calls) == 8  # type: ignore[attr-defined]


class Narrow(ScriptedModel):
    """A model with little room."""

    room = 14_000

    def complete(self, messages: Any, tools: Any) -> Reply:
        """Only what fits."""
        if sum(len(message.content) for message in messages) > self.room:
            raise TooLong("the conversation does not fit the model's context")
        return super().complete(messages, tools)


def test_a_conversation_that_does_not_fit_is_shortened(
    notebook: Notebook, proposals: Proposals, inventory: Inventory, make_run: RunMaker
) -> None:
    model = Narrow([calls(("search_space", {}))] * 3 + [calls(("read_run", {})), DONE])
    worker = Analyst(Lab(notebook, inventory), model)
    assert worker.analyse(make_run()).fell_back is None
    answers = [message.content for message in model.seen[-1] if message.role == "tool"]
    assert [text.startswith("… (the rest was left out") for text in answers] == [True, True, True, False]
    assert model.seen[-1][0] == model.seen[0][0]  # what it is told first stays, but for the sources
    assert "## Sources" not in model.seen[-1][1].content
    assert "## What is wanted" in model.seen[-1][1].content
    model = Narrow([])
    model.room = 100
    assert "does not fit" in (Analyst(Lab(notebook, inventory), model).analyse(make_run()).fell_back or "")


class Watching(ScriptedModel):
    """A script that remembers what it was offered."""

    def __init__(self, steps: list[Reply]) -> None:
        super().__init__(steps)
        self.offered: list[dict[str, Any]] = []

    def complete(self, messages: Any, tools: Any) -> Reply:
        self.offered.append({tool["function"]["name"]: tool["function"]["parameters"]["properties"] for tool in tools})
        return super().complete(messages, tools)


def test_towards_the_end_only_what_ends_it_is_offered(
    notebook: Notebook, proposals: Proposals, inventory: Inventory, make_run: RunMaker
) -> None:
    steps = [calls(("list_runs", {"limit": 1 + n})) for n in range(20)]
    steps[10] = steps[9]  # the same once more
    model = Watching([*steps, calls(("stage_proposal", PROPOSAL)), *steps])
    Analyst(Lab(notebook, inventory), model).analyse(make_run())
    offered = [set(schemas) for schemas in model.offered]
    assert len(offered) == 24
    assert ["list_runs" in names for names in offered[:18]] == [n != 11 for n in range(18)]
    assert all({"query_metrics", "end_search", "write_report"} <= names for names in offered[:18])
    assert offered[18:21] == [{"stage_proposal", "write_report"}] * 3
    assert offered[21:] == [{"write_report"}] * 3


def test_towards_the_end_what_was_refused_is_not_offered_again(
    notebook: Notebook, proposals: Proposals, inventory: Inventory, make_run: RunMaker
) -> None:
    bad = calls(("check_config", {"changes": {"train.gamma": 7}}))
    worse = calls(("stage_proposal", {**PROPOSAL, "changes": {"train.ent_coef": -1}}))
    model = Watching([bad, worse, *[calls(("list_runs", {"limit": n})) for n in range(1, 23)]])
    Analyst(Lab(notebook, inventory), model).analyse(make_run())
    changes = [schemas["stage_proposal"]["changes"] for schemas in model.offered]
    keys = [set(schema["properties"]) for schema in changes[:21]]
    assert {"train.gamma", "train.ent_coef"} <= keys[0] == keys[17]
    assert keys[18] == keys[20] == keys[0] - {"train.gamma", "train.ent_coef"}
    for schema in changes[21:]:  # at last the sampler's candidates alone
        assert schema["enum"]
        assert all(set(candidate) <= keys[0] for candidate in schema["enum"])


def test_limits_hold_before_each_request_and_are_saved_after_it(
    analyst: AnalystMaker, make_run: RunMaker, notebook: Notebook
) -> None:
    saved: list[Spent] = []
    now = iter(range(0, 100_000, 100))
    price = Price(input=1000, output=0)
    limits = {"max_tokens": 25, "max_dollars": 0.025, "hours": 0.2}
    for name, value in limits.items():
        saved.clear()
        budget = Budget(Budgets(**{name: value}), Spent(seconds=300), price, saved.append,
                        clock=lambda: float(next(now)))  # type: ignore[arg-type]  # fmt: skip
        worker = analyst(*[calls(("list_runs", {}))] * 24)
        outcome = worker.analyse(run := make_run(), budget)
        why = {"max_tokens": "the 25 tokens are used up", "max_dollars": "the $0.025 are spent",
               "hours": "the 0.2 hours are over"}[name]  # fmt: skip
        assert outcome.fell_back == why
        asked = len(worker.model.seen)  # type: ignore[attr-defined]
        assert asked == (3 if name != "hours" else 2)
        assert saved[-1].tokens == 10 * asked
        assert saved[-1].dollars == pytest.approx(0.01 * asked)
        assert [spent.seconds for spent in saved] == sorted(spent.seconds for spent in saved)
        assert f"{10 * asked} tokens, $0.0{asked}00" in notebook.paths(run.run_id).report.read_text()
        again = Budget(budget.limits, saved[-1], clock=lambda: 0.0)  # as after a restart
        assert again.why_over() == (why if name != "hours" else None)


def test_a_tool_that_fails_inside_ends_nothing(
    analyst: AnalystMaker, make_run: RunMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = analyst(calls(("list_runs", {})))
    context = worker._context(make_run(), "scripted", None)
    monkeypatch.setattr("tools.reading.noise_of", lambda *_: 1 / 0)
    answer = Toolbox(TOOLS, context).call("list_runs", "{}")
    assert not answer.ok
    assert "the tool itself failed: ZeroDivisionError" in answer.content


@pytest.mark.parametrize(
    "result",
    [
        {"nan": float("nan")},
        [float("inf"), {"half": "\ud800", ("a", 1): {3, 4}}],
        {"thing": object(), 1: np.float32(2), "many": np.arange(3)},
        b"bytes",
        {"endless": 10**5000},
    ],
)
def test_a_tool_that_answers_what_json_cannot_hold(result: Any, analyst: AnalystMaker, make_run: RunMaker) -> None:
    def odd(ctx: ToolContext) -> Any:
        """Answers oddly."""
        return result

    context = analyst()._context(make_run(), "scripted", None)
    answer = Toolbox([make_tool(odd)], context).call("odd", "{}")
    assert answer.ok
    known = json.loads(answer.content, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert known == context.answers["odd"]
    Message(role="tool", content=answer.content, tool_call_id="c0").model_dump_json()


def test_half_a_character_from_a_model_ends_nothing(
    notebook: Notebook, proposals: Proposals, inventory: Inventory, make_run: RunMaker
) -> None:
    run = make_run()
    Analyst(Lab(notebook, inventory), ScriptedModel([text("Hm \ud800."), DONE])).analyse(run)
    said = [line.get("content") for line in read_lines(notebook.paths(run.run_id).transcript)]
    assert "Hm ?." in said
    assert len(proposals.all()) == 1


def test_the_sampler_is_asked_once_for_what_a_model_may_choose_from(
    notebook: Notebook, proposals: Proposals, inventory: Inventory, make_run: RunMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[ToolContext] = []
    monkeypatch.setattr(
        "agent.analysis.coaching.suggestions", lambda context: asked.append(context) or suggestions(context)
    )
    model = Watching([calls(("list_runs", {"limit": n})) for n in range(1, 25)])
    Analyst(Lab(notebook, inventory), model).analyse(make_run())
    chosen = [schemas["stage_proposal"]["changes"].get("enum") for schemas in model.offered[-3:]]
    assert chosen[0]
    assert chosen == [chosen[0]] * 3
    assert len(asked) == 1


def test_a_report_is_checked_by_the_noise_that_was_known_when_it_was_written(
    make_run: RunMaker, notebook: Notebook, inventory: Inventory
) -> None:
    base = make_run({"autopilot.seeds": 5})
    run = make_run({"train.learning_rate": 0.02, "autopilot.seeds": 1}, parent=base.run_id)
    Analyst(Lab(notebook, inventory), OfflineResearcher()).analyse(run)
    text, noise = notebook.paths(run.run_id).report.read_text(), noise_of(notebook, run.group)
    assert "standard error of such a difference: " in text
    before = check_report(notebook, run.run_id)
    assert before.count("unsupported") == 0
    make_run(replicates_of=base.run_id, replicates=5)
    assert noise_of(notebook, run.group) != noise
    assert check_report(notebook, run.run_id) == before
