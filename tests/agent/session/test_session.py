"""The session on the fake runner: what runs when, what waits for whom, what an interruption leaves behind."""

import json
import os
import random
import re
import shutil
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest

from agent.model.chat import Message, Reply
from agent.model.offline import OfflineResearcher
from agent.session.session import Session
from lab.base.errors import Busy
from lab.base.files import read_lines, read_model
from lab.base.schema import now
from lab.claims.checking import Checked
from lab.judge.incumbency import Incumbency
from lab.judge.repeats import SeedRequest, repeat
from lab.judge.sequential import NIGHT
from lab.space.inventory import Inventory
from lab.store.creation import create_run
from lab.store.notebook import Notebook
from lab.store.proposal import ProposalState
from lab.store.proposals import Proposals
from lab.store.records import RunState
from lab.store.selection import Selection
from lab.store.session import Budgets, SessionRecord
from lab.store.sessions import Sessions
from report.best import is_it_better
from report.digest import write_digest
from report.show import runs_table
from tests.agent.conftest import Make, Told, events
from training.fake import FakeRunner
from training.protocol import Progress
from training.run import train_run


def test_a_night_baseline_first_then_what_was_staged(
    make_session: Make, notebook: Notebook, proposals: Proposals
) -> None:
    session = make_session()
    record = session.run()
    assert record.ended_because == "all 8 replicates are trained"
    runs = notebook.runs()
    assert [run.arm for run in runs] == ["baseline", "offline", "offline", "offline"]
    assert all(run.state is RunState.FINISHED for run in runs)
    assert all(notebook.paths(run.run_id).report.exists() for run in runs)
    states = [proposal.state for proposal in proposals.all()]
    # One more than there are runs was made while the last one trained; what that one taught took its place.
    assert states == [ProposalState.DONE] * 3 + [ProposalState.SUPERSEDED, ProposalState.STAGED]
    for run, proposal in zip(runs[1:], proposals.all(), strict=False):
        assert (run.proposal, run.parent) == (proposal.proposal_id, proposal.parent)
        assert notebook.config(run.run_id) == notebook.config(proposal.parent).with_overrides(proposal.overrides)
        assert [decision.state for decision in proposal.decisions] == ["staged", "approved", "running", "done"]
        assert proposal.decisions[1].who == "policy auto"
    digest = notebook.workspace.session(record.session_id).digest.read_text()
    assert "4 of 4 runs finished. 8 of 8 replicates in all." in digest
    assert all(run.run_id in digest for run in runs)
    assert (notebook.workspace.session(record.session_id).plots / "best_so_far.png").read_bytes()[:4] == b"\x89PNG"


def test_every_run_has_its_own_seeds(make_session: Make, notebook: Notebook) -> None:
    make_session().run()
    seeds = [seed for run in notebook.runs() for seed in run.seeds]
    assert len(seeds) == len(set(seeds)) == 5 + 3  # the baseline has more


def test_a_second_session_goes_on_from_the_first(make_session: Make, notebook: Notebook, proposals: Proposals) -> None:
    make_session(budgets=Budgets(max_runs=6)).run()
    waiting = proposals.all()[-1]
    make_session(budgets=Budgets(max_runs=2)).run()
    runs = notebook.runs()
    assert [run.arm for run in runs] == ["baseline", "offline", "offline", "offline"]
    assert runs[2].proposal == waiting.proposal_id


class Planted(FakeRunner):
    """Everything is as good as the baseline, but for one value of a key that nobody tries otherwise."""

    def _score(self, plan: Any, seed: int) -> float:
        planted = plan.config.train["vf_coef"] == 3.21
        return (0.9 if planted else 0.4) + random.Random(seed).gauss(0, 0.02)  # noqa: S311 - made up


def _events(session: Session) -> list[dict[str, Any]]:
    return list(read_lines(session.notebook.workspace.session(session.record.session_id).events))


def stage_planted(session: Session) -> str:
    """A person's proposal with that value."""
    proposals, parent = session.proposals, session.mine()[0]
    proposal = proposals.all()[-1]
    planted = proposal.model_copy(update={
        "proposal_id": "planted", "arm": "person", "overrides": {"train.vf_coef": 3.21}, "parent": parent.run_id,
    })  # fmt: skip
    proposals.stage(planted)
    return planted.proposal_id


def test_an_improvement_becomes_incumbent_on_fresh_seeds(make_session: Make, notebook: Notebook) -> None:
    session = make_session(Planted(), budgets=Budgets(max_runs=6))
    session.run()
    assert notebook.incumbent(session.group) == session.mine()[0].run_id
    stage_planted(session)
    told = Told()
    night = make_session(Planted(), budgets=Budgets(max_runs=11), parts={"notifier": told})
    record = night.run()
    first, *others = night.mine()
    assert tuple(event for event, _ in told.said) == ("incumbent", "finished")
    assert told.said[0][1].startswith(f"{first.run_id} is the incumbent now: better at the level")
    assert first.proposal == "planted"
    assert [run.replicates_of for run in others[:2]] == [first.run_id, session.mine()[0].run_id]
    assert [len(run.seeds) for run in others[:2]] == [5, 5]
    assert notebook.incumbent(night.group) == first.run_id
    assert not any(notebook.paths(run.run_id).report.exists() for run in others[:2])
    opened = notebook.index.confirmations(first.run_id)[0]
    assert (opened.outcome, opened.looks, opened.level) == ("opened", 1, NIGHT)
    named = next(line for line in _events(night) if line["event"] == "contender")
    assert (named["run"], named["incumbent"], named["looks"]) == (first.run_id, session.mine()[0].run_id, 1)
    digest = notebook.workspace.session(record.session_id).digest.read_text()
    changed = f"{first.run_id} (vf_coef 2 → 3.21)"
    assert f"On 5 fresh seeds a side {changed} differs from {session.mine()[0].run_id} by perf +0.4" in digest
    assert "**confirmed**, better at the level" in digest
    spent = record.spent
    assert 0 < spent.confirming < spent.training - spent.search
    assert "% on more seeds of these" in digest
    assert {"opened", "confirmed"} == {found.outcome for found in notebook.index.confirmations()}
    assert "confirmed" in events(night)


def test_the_last_fresh_seeds_are_judged_before_the_night_ends(make_session: Make, notebook: Notebook) -> None:
    session = make_session(Planted(), budgets=Budgets(max_runs=6))
    session.run()
    stage_planted(session)
    night = make_session(Planted(), budgets=Budgets(max_runs=11))
    record = night.run()
    assert record.ended_because == "all 11 replicates are trained"
    assert notebook.incumbent(night.group) == night.mine()[0].run_id


def test_a_session_goes_on_with_the_seeds_that_a_stopped_confirm_had_drawn(
    make_session: Make, notebook: Notebook
) -> None:
    """Whoever could have others drawn, by a session after a `confirm` that was stopped, could choose among them."""
    session = make_session(Planted(), budgets=Budgets(max_runs=6))
    session.run()
    stage_planted(session)
    session = make_session(Planted(), budgets=Budgets(max_runs=1))
    session.run()
    place = Incumbency(notebook, session.group, who="person")
    place.open(session.mine()[0])
    request = place.step()
    assert isinstance(request, SeedRequest)
    drawn = repeat(notebook, request, inventory=session.lab.inventory)
    night = make_session(Planted(), budgets=Budgets(max_runs=24))
    night.run()
    fresh = notebook.index.records(Selection(replicates_of=request.run))
    assert drawn.run_id in {run.run_id for run in fresh}
    went_on = notebook.run(drawn.run_id)
    assert (went_on.state, went_on.seeds, went_on.session) == (RunState.FINISHED, drawn.seeds, night.record.session_id)
    assert sum(len(run.seeds) for run in night.mine()) <= 24
    assert notebook.index.confirmations()[-1].outcome == "confirmed"
    assert {run.state for run in fresh} == {RunState.FINISHED}


def test_where_the_night_ends_before_the_fresh_seeds_the_digest_says_what_is_believed(
    make_session: Make, notebook: Notebook
) -> None:
    session = make_session(Planted(), budgets=Budgets(max_runs=6))
    session.run()
    stage_planted(session)
    night = make_session(Planted(), budgets=Budgets(max_runs=10))  # one less than a proof needs
    record = night.run()
    run = night.mine()[0]
    assert (run.proposal, notebook.index.confirmations()) == ("planted", [])
    assert notebook.incumbent(night.group) == session.mine()[0].run_id
    digest = notebook.workspace.session(record.session_id).digest.read_text()
    assert f"The search believes most in {run.run_id} (vf_coef 2 → 3.21): perf 0." in digest
    assert "That is no finding: only fresh seeds tell." in digest
    assert re.search(
        rf"\| leader \| #{run.number} .*\({run.run_id}\) \| 0\.\d+ believed \| not proven \| \d+ \|", digest
    )
    assert "Contenders" not in digest
    believed = Sessions(notebook.workspace).leading(record.session_id)
    assert believed[-1].run == run.run_id
    assert [one.trained for one in believed] == sorted({one.trained for one in believed})


def test_a_parent_that_is_gone_stops_nothing(make_session: Make, notebook: Notebook) -> None:
    session = make_session(budgets=Budgets(max_runs=7))
    session.run()
    shutil.rmtree(notebook.paths(session.mine()[0].run_id).dir)
    assert len(notebook.runs()) == 2
    runs_table(notebook, notebook.runs())
    again = make_session(budgets=Budgets(max_runs=6))
    assert again.run().ended_because == "all 6 replicates are trained"


@pytest.mark.slow
def test_without_an_improvement_the_baseline_stays(make_session: Make, notebook: Notebook) -> None:
    session = make_session(Planted(), budgets=Budgets(max_runs=24))
    session.run()
    assert notebook.incumbent(session.group) == session.mine()[0].run_id
    assert "confirmed" not in events(session)


class Interrupter(FakeRunner):
    """Stops the session while a given run trains."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self.at, self.session, self.runs = at, None, 0

    def train(self, plan: Any, on_progress: Callable[[Progress], None], should_stop: Callable[[], bool]) -> Any:
        self.runs += 1
        if self.runs == self.at:
            assert self.session is not None
            self.session.stop.set()
        return super().train(plan, on_progress, should_stop)


@pytest.mark.parametrize("at", [1, 2, 3])
def test_an_interrupted_session_resumes_where_it_was(make_session: Make, notebook: Notebook, at: int) -> None:
    runner = Interrupter(at)
    session = make_session(runner)
    runner.session = session  # type: ignore[assignment]
    record = session.run()
    assert record.ended is None
    interrupted = notebook.runs()[-1]
    assert (interrupted.state, interrupted.attempt) == (RunState.QUEUED, 1)
    assert "autopilot resume" in notebook.workspace.session(record.session_id).digest.read_text()

    stored = read_model(notebook.workspace.session(record.session_id).session, SessionRecord)
    again = make_session(record=stored)
    assert again.run().ended_because == "all 8 replicates are trained"
    runs = notebook.runs()
    assert len(runs) == 4
    assert runs[at - 1].run_id == interrupted.run_id
    assert runs[at - 1].attempt == 2
    assert all(run.state is RunState.FINISHED for run in runs)


def test_a_session_that_is_paused_believes_with_what_it_trained_last(make_session: Make) -> None:
    class Pauser(FakeRunner):
        def train(self, *arguments: Any) -> Any:
            if session.mine()[1:]:
                session.pause.set()
            return super().train(*arguments)

    session = make_session(Pauser())
    record = session.run()
    assert (record.ended, len(session.mine())) == (None, 2)
    believed = Sessions(session.notebook.workspace).leading(record.session_id)
    assert [one.trained for one in believed][-1] == session.notebook.replicates(record.session_id) == 6


def test_a_kill_between_two_files_is_made_good(make_session: Make, notebook: Notebook, proposals: Proposals) -> None:
    record = make_session(budgets=Budgets(max_runs=6)).run()
    done = next(proposal for proposal in proposals.all() if proposal.state is ProposalState.DONE)
    # As a kill would leave it: the run exists and has ended, its proposal still says approved; the report is missing.
    path = notebook.workspace.proposal(done.proposal_id)
    path.write_text(done.model_copy(update={"decisions": done.decisions[:2]}).model_dump_json())
    notebook.paths(notebook.runs()[-1].run_id).report.unlink()
    reopened = record.model_copy(update={"ended": None, "ended_because": None})
    make_session(record=reopened).run()
    assert len(notebook.runs()) == 2
    assert notebook.paths(notebook.runs()[-1].run_id).report.exists()
    assert proposals.get(done.proposal_id).state is ProposalState.DONE


def test_the_second_session_of_a_workspace_is_refused(make_session: Make, notebook: Notebook) -> None:
    with (
        Sessions(notebook.workspace).sole("first"),
        pytest.raises(Busy, match=r"first is running.*process \d+, since 20"),
    ):
        make_session().run()
    assert notebook.runs() == []


def test_what_a_reboot_leaves_behind_is_no_session(make_session: Make, notebook: Notebook) -> None:
    """Names and numbers of processes that are others' by now count for nothing: only who holds the files does."""
    session = make_session(budgets=Budgets(max_runs=6))
    (run,) = session.scheduler.begin(None)
    notebook.update(run.run_id, state=RunState.RUNNING, attempt=1, started=now())
    notebook.workspace.run(run.run_id).owner.write_text(str(os.getpid()))
    lock = {"session": "another", "pid": os.getpid(), "since": "2026-01-01 00:00:00 UTC"}
    notebook.workspace.session_lock.write_text(json.dumps(lock))
    assert Sessions(notebook.workspace).running() is None
    assert session.run().ended_because == "all 6 replicates are trained"
    first = notebook.runs()[0]
    assert (first.run_id, first.attempt) == (run.run_id, 2)


def decide_when_waiting(session: Session, decide: Callable[[str], None]) -> threading.Thread:
    """Another terminal: it waits until a proposal is staged, decides, and goes on to the next."""

    def person() -> None:
        seen: set[str] = set()
        while not session.stop.is_set() and len(seen) < 2:
            staged = session.proposals.staged(session.group)
            if staged is not None and staged.proposal_id not in seen and "waiting" in events(session):
                seen.add(staged.proposal_id)
                decide(staged.proposal_id)
            session.stop.wait(0.05)

    thread = threading.Thread(target=person, daemon=True)
    thread.start()
    return thread


def test_manual_waits_for_a_person(make_session: Make, notebook: Notebook, proposals: Proposals) -> None:
    session = make_session(approve="manual", budgets=Budgets(max_runs=10))
    person = decide_when_waiting(session, lambda name: proposals.decide(name, ProposalState.APPROVED, "person"))
    session.run()
    person.join(10)
    baseline, filler, *approved = notebook.runs()
    assert (filler.replicates_of, len(filler.seeds)) == (baseline.run_id, 3)  # which needs no approval
    assert len(approved) == 2
    assert [d.who for d in proposals.all()[0].decisions] == ["offline", "person", "session", "session"]


def test_a_rejection_leads_to_another_proposal(make_session: Make, notebook: Notebook, proposals: Proposals) -> None:
    session = make_session(approve="manual", budgets=Budgets(max_runs=6))
    decided: list[str] = []

    def decide(name: str) -> None:
        state = ProposalState.APPROVED if decided else ProposalState.REJECTED
        decided.append(name)
        proposals.decide(name, state, "person", "not this one")

    person = decide_when_waiting(session, decide)
    session.run()
    person.join(10)
    first, second = (proposals.get(name) for name in decided)
    assert first.state is ProposalState.REJECTED
    assert first.overrides != second.overrides
    assert notebook.runs()[-1].proposal == second.proposal_id
    opening = [
        line["content"]
        for line in read_lines(notebook.paths(notebook.runs()[0].run_id).transcript)
        if line.get("role") == "user"
    ]
    assert "not this one" in opening[-1]


def test_manual_keeps_busy_and_ends_with_its_budget(
    make_session: Make, notebook: Notebook, proposals: Proposals, capsys: pytest.CaptureFixture[str]
) -> None:
    session = make_session(approve="manual", budgets=Budgets(hours=6 / 3600))
    record = session.run()
    assert "hours are over" in (record.ended_because or "")
    baseline, filler = notebook.runs()  # which needs no approval
    assert (filler.replicates_of, len(filler.seeds)) == (baseline.run_id, 3)
    assert "meanwhile more seeds train of what is there, which need no decision" in capsys.readouterr().out
    assert proposals.all()[-1].state is ProposalState.STAGED


def test_a_failed_baseline_ends_the_session(make_session: Make, notebook: Notebook) -> None:
    record = make_session(FakeRunner(faults={1: "crash"})).run()
    assert "the baseline ended without a score" in (record.ended_because or "")
    assert len(notebook.runs()) == 1
    assert notebook.paths(notebook.runs()[0].run_id).report.exists()


def test_where_even_the_incumbent_fails_the_session_ends(make_session: Make, notebook: Notebook) -> None:
    faults = dict.fromkeys(range(6, 30), "nan")
    record = make_session(FakeRunner(faults=faults), budgets=Budgets(max_runs=13)).run()
    assert "after 3 runs in a row without a score the incumbent had none either" in (record.ended_because or "")
    baseline, *failed, again = notebook.runs()
    assert baseline.state is RunState.FINISHED
    assert [run.state for run in failed] == [RunState.DIVERGED] * 3
    assert (again.replicates_of, again.state) == (baseline.run_id, RunState.DIVERGED)
    digest = notebook.workspace.session(record.session_id).digest.read_text()
    assert f"{failed[0].run_id}: diverged, seed 6: losses/value_loss became nan" in digest


def test_three_failures_in_a_row_bring_back_the_incumbent(make_session: Make, notebook: Notebook) -> None:
    faults = dict.fromkeys(range(6, 9), "nan")
    record = make_session(FakeRunner(faults=faults), budgets=Budgets(max_runs=11)).run()
    assert record.ended_because == "all 11 replicates are trained"
    baseline, *failed, again, after, last = notebook.runs()
    assert [run.state for run in failed] == [RunState.DIVERGED] * 3
    assert (again.replicates_of, again.state) == (baseline.run_id, RunState.FINISHED)
    assert after.parent == last.parent == baseline.run_id
    said = [line for line in read_lines(notebook.paths(failed[2].run_id).transcript) if line.get("role") == "user"]
    assert "3 runs in a row ended without a score" in said[0]["content"]
    said = [line for line in read_lines(notebook.paths(failed[0].run_id).transcript) if line.get("role") == "tool"]
    assert any("became nan" in line["content"] for line in said)  # the next proposal sees why


def test_a_stale_approval_is_dropped_not_run(make_session: Make, notebook: Notebook, proposals: Proposals) -> None:
    make_session(budgets=Budgets(max_runs=5)).run()
    (staged,) = proposals.all()
    proposals.decide(staged.proposal_id, ProposalState.APPROVED, "person")
    config: Path = notebook.paths(notebook.runs()[0].run_id).config
    config.write_text(config.read_text().replace('"gamma": 0.95', '"gamma": 0.9'))
    make_session(budgets=Budgets(max_runs=1)).run()
    assert proposals.get(staged.proposal_id).state is ProposalState.SUPERSEDED
    assert "stale" in proposals.get(staged.proposal_id).decisions[-1].why
    assert notebook.runs()[-1].proposal != staged.proposal_id


# --- pruning -----------------------------------------------------------------------------------------------------

HOPELESS = 0.9
"""A learning rate with which the fake runner's scores are next to nothing, as they are a little below it."""


@dataclass
class Reckless(OfflineResearcher):
    """The offline researcher, but that it moves one key only, and some of its proposals are hopeless."""

    when: Callable[[int], bool]
    """Whether the proposal of this number is, from 1 on."""
    proposed: int = 0

    def complete(self, messages: Sequence[Message], tools: Sequence[dict[str, Any]]) -> Reply:
        reply = super().complete(messages, tools)
        again = any(call.name == "stage_proposal" for message in messages for call in message.tool_calls)
        self.proposed -= again  # a report that went back, since it does not fit the hopeless proposal
        calls = tuple(self._changed(call) for call in reply.message.tool_calls)
        return reply.model_copy(update={"message": reply.message.model_copy(update={"tool_calls": calls})})

    def _changed(self, call: Any) -> Any:
        if call.name != "stage_proposal":
            return call
        self.proposed += 1
        if not self.when(self.proposed):
            arguments = json.loads(call.arguments)  # like all others but for one key, so that they are peers
            changes = {"train.learning_rate": round(0.005 + self.proposed / 1000, 4)}
            return call.model_copy(update={"arguments": json.dumps({**arguments, "changes": changes})})
        changes = {"train.learning_rate": HOPELESS - self.proposed / 100}  # each a config of its own
        arguments = {**json.loads(call.arguments), "changes": changes}
        return call.model_copy(update={"arguments": json.dumps(arguments)})


def test_what_the_offline_researcher_writes_is_true(make_session: Make, notebook: Notebook) -> None:
    make_session(prune=True, budgets=Budgets(max_runs=24)).run()
    found = 0
    for run in notebook.runs():
        if notebook.paths(run.run_id).claims.exists():
            checked = read_model(notebook.paths(run.run_id).claims, Checked)
            assert checked.failed == ()
            assert [c for c in checked.claims if c.status == "contradicted"] == []
            found += checked.count("verified")
    assert found > 100


def test_a_night_with_pruning_goes_on_past_hopeless_runs(
    make_session: Make, notebook: Notebook, proposals: Proposals, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lab.judge.pruning.SPARED", 2**64)  # nobody, by chance
    model = Reckless(when=lambda number: number >= 6 and number % 2 == 0)
    record = make_session(model=model, prune=True, budgets=Budgets(max_runs=16)).run()
    assert record.ended_because == "all 16 replicates are trained"
    runs = notebook.runs()
    hopeless = [run for run in runs if float(notebook.config(run.run_id).train["learning_rate"] or 0) > 0.5]
    assert [runs.index(run) for run in hopeless] == [6, 8, 10]
    verdicts = notebook.verdicts()
    for run in hopeless:
        assert (run.state, notebook.summary(run.run_id)) == (RunState.PRUNED, None)
        assert run.run_id not in verdicts
        assert run.pruning is not None
        assert (run.pruning.steps, run.pruning.spared) == (500_000, False)
        assert run.pruning.score < run.pruning.median
        assert f"pruned: {run.pruning.score:.4g} at 500,000 steps" in (run.reason or "")
        trained = [notebook.paths(run.run_id).seed(seed).metrics for seed in run.seeds]
        assert all(path.exists() for path in trained)
        report = notebook.paths(run.run_id).report.read_text()
        assert "pruned at 500,000 steps, behind its peers" in report.splitlines()[0]
        assert "the median of" in report
        assert "Nothing was staged" not in report
    assert all(notebook.paths(run.run_id).report.exists() for run in runs)
    ended = [proposal.state for proposal in proposals.all()]
    assert ended == [ProposalState.DONE] * 11 + [ProposalState.SUPERSEDED, ProposalState.STAGED]
    assert {run.state for run in runs} <= {RunState.FINISHED, RunState.PRUNED}


def test_the_digest_tells_pruned_from_failed_and_counts_the_spared(
    make_session: Make, notebook: Notebook, monkeypatch: pytest.MonkeyPatch
) -> None:
    def digest(spared: int, max_runs: int) -> str:
        monkeypatch.setattr("lab.judge.pruning.SPARED", spared)
        session = make_session(model=model, prune=True, budgets=Budgets(max_runs=max_runs))
        record = session.run()
        return notebook.workspace.session(record.session_id).digest.read_text()

    model = Reckless(when=lambda number: number in (6, 8))
    text = digest(spared=2**64, max_runs=11)
    stopped = [run for run in notebook.runs() if run.state is RunState.PRUNED]
    assert notebook.runs()[-1] in stopped
    count = f"{len(stopped)} {'was' if len(stopped) == 1 else 'were'}"
    assert f"{7 - len(stopped)} of 7 runs finished, {count} pruned." in text
    for run in stopped:
        assert re.search(rf"\| {run.run_id} \|.*\| pruned at [\d,]+ steps: [\d.e-]+, the median of \d peers 0\.", text)
    assert re.search(r"## Pruning\n\n\d runs? (was|were) stopped early and none was spared as a check", text)
    assert "## Failures" not in text
    assert "--prune" in text, "the command for another session like it"

    text = digest(spared=1, max_runs=1)
    spared = notebook.runs()[-1]
    assert spared.pruning is not None
    assert (spared.state, spared.pruning.spared) == (RunState.FINISHED, True)
    assert "1 of 1 runs finished. " in text
    assert "(n=1), spared by the pruner |" in text
    assert "0 runs were stopped early and 1 spared as a check; 0 of the 1 spared that finished (0 %)" in text


def test_failures_are_listed_and_pruning_is_not_mentioned_without_any(make_session: Make, notebook: Notebook) -> None:
    record = make_session(FakeRunner(faults={6: "crash"}), prune=True, budgets=Budgets(max_runs=6)).run()
    text = notebook.workspace.session(record.session_id).digest.read_text()
    assert "1 of 2 runs finished. " in text
    assert f"## Failures\n\n- {notebook.runs()[1].run_id}: failed, seed 6: ValueError: made up" in text
    assert "## Pruning" not in text


def test_the_command_for_another_session_has_all_that_this_one_was_given(
    make_session: Make, notebook: Notebook
) -> None:
    record = make_session(
        prune=True,
        mirrors=("tensorboard",),
        parallel=2,
        budgets=Budgets(max_runs=5),
        settings={"train.anneal_lr": False},
    ).run()
    command = notebook.workspace.session(record.session_id).digest.read_text().strip().splitlines()[-2]
    assert "--parallel 2" in command
    assert "--prune --tensorboard --set train.anneal_lr=false" in command


def test_fresh_seeds_that_there_is_no_time_for_are_put_off(
    make_session: Make, notebook: Notebook, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    session = make_session(Planted(), budgets=Budgets(max_runs=6))
    session.run()
    stage_planted(session)
    monkeypatch.setattr("agent.session.scheduler.longest_seconds", lambda *_: 7200.0)
    night = make_session(Planted(), budgets=Budgets(max_runs=12, hours=1))
    record = night.run()
    first, second, *_ = night.mine()  # the night goes on with something else
    assert (first.proposal, second.replicates_of) == ("planted", None)
    assert second.proposal is not None
    said = f"5 fresh seeds of {first.run_id} would take 2 h 00 min, and "
    assert capsys.readouterr().out.count(said) == 1
    digest = notebook.workspace.session(record.session_id).digest.read_text()
    assert f"autopilot confirm {first.run_id}" in digest


def test_what_was_to_improve_on_a_former_incumbent_is_not_trained(
    make_session: Make, notebook: Notebook, proposals: Proposals
) -> None:
    session = make_session(Planted(), budgets=Budgets(max_runs=6))
    session.run()
    stage_planted(session)
    night = make_session(Planted(), contenders=2, budgets=Budgets(max_runs=16))  # the first need not wait for the end
    night.run()
    planted, _, _, *after = night.mine()
    assert notebook.incumbent(night.group) == planted.run_id
    assert after
    assert {run.parent for run in after} == {planted.run_id}
    dropped = [
        p.decisions[-1].why for p in proposals.all() if "was the incumbent when it was made" in p.decisions[-1].why
    ]
    assert dropped
    assert all(why.endswith(f"and {planted.run_id} is now") for why in dropped)
    digest = notebook.workspace.session(night.record.session_id).digest.read_text()
    assert "train.vf_coef up helps: +" in digest


def test_a_proposal_file_that_somebody_has_damaged_is_passed_over(
    make_session: Make, notebook: Notebook, proposals: Proposals, capsys: pytest.CaptureFixture[str]
) -> None:
    session = make_session(approve="manual", budgets=Budgets(max_runs=6))
    damaged: list[str] = []

    def decide(name: str) -> None:
        if not damaged:
            damaged.append(name)
            notebook.workspace.proposal(name).write_text('{"half": ')
        else:
            proposals.decide(name, ProposalState.APPROVED, "person")

    person = decide_when_waiting(session, decide)
    assert session.run().ended_because == "all 6 replicates are trained"
    person.join(10)
    assert f"{damaged[0]} is passed over: " in capsys.readouterr().out


def test_a_session_of_no_time_waits_for_nobody(
    make_session: Make, notebook: Notebook, capsys: pytest.CaptureFixture[str]
) -> None:
    make_session(budgets=Budgets(max_runs=5)).run()  # leaves a proposal staged
    record = make_session(budgets=Budgets(hours=1e-7)).run()
    assert "hours are over" in (record.ended_because or "")
    assert "waiting for a decision" not in capsys.readouterr().out


def test_a_report_that_comes_after_the_confirmation_speaks_of_the_runs_end(
    make_session: Make, notebook: Notebook
) -> None:
    session = make_session(Planted(), budgets=Budgets(max_runs=6))
    session.run()
    stage_planted(session)
    night = make_session(Planted(), budgets=Budgets(max_runs=11))
    night.run()
    planted = night.mine()[0]
    assert notebook.incumbent(night.group) == planted.run_id
    paths = notebook.paths(planted.run_id)
    paths.report.unlink()
    paths.claims.unlink()
    night.analyst.should_stop = lambda: False
    night.analyst.analyse(planted)
    checked = read_model(paths.claims, Checked)
    assert [claim.quote for claim in checked.claims if claim.status == "contradicted"] == []
    assert "✗" not in paths.report.read_text()


def stage_mine(session: Session, overrides: dict[str, Any]) -> None:
    """A person's proposal in the place of the last one."""
    update = {"proposal_id": "mine", "arm": "person", "overrides": overrides}
    session.proposals.stage(session.proposals.all()[-1].model_copy(update=update))


def test_the_seed_that_a_person_sets_is_trained(make_session: Make, notebook: Notebook) -> None:
    session = make_session(budgets=Budgets(max_runs=6))
    session.run()
    stage_mine(session, {"train.seed": 77, "train.gamma": 0.9})
    night = make_session(budgets=Budgets(max_runs=1))
    night.run()
    (run,) = night.mine()
    assert (run.proposal, run.seeds) == ("mine", (77,))


def test_a_proposal_starts_on_one_replicate_unless_it_says_how_many(make_session: Make, notebook: Notebook) -> None:
    session = make_session(seeds=3, budgets=Budgets(max_runs=2))
    session.run()
    assert [len(run.seeds) for run in session.mine()] == [5, 1]  # of six, however many seeds a run was said to have
    stage_mine(session, {"autopilot.seeds": 2, "train.gamma": 0.9})
    night = make_session(budgets=Budgets(max_runs=2))
    night.run()
    (run,) = night.mine()
    assert (run.proposal, len(run.seeds)) == ("mine", 2)


def test_the_digest_tells_what_was_turned_down(make_session: Make, notebook: Notebook) -> None:
    session = make_session(approve="manual", budgets=Budgets(max_runs=6), parts={"patience": None})
    queue, stop = session.proposals, session.stop

    class Refusing(type(session.view)):
        def note(self, text: str) -> None:
            if text.startswith("waiting for a decision on"):
                queue.decide(queue.staged(session.group).proposal_id, ProposalState.REJECTED, "person ada", "so far")
                stop.set()

    session.view = session.journal.view = Refusing()
    session.run()
    digest = notebook.workspace.session(session.record.session_id).digest.read_text()
    assert "## Turned down" in digest
    assert "by person ada: so far" in digest


def test_whatever_breaks_a_session_is_told(make_session: Make, notebook: Notebook) -> None:
    class Broken(FakeRunner):
        def train(self, plan: Any, *more: Any) -> Any:
            raise ZeroDivisionError(plan.seeds)

    told = Told()
    session = make_session(Broken(), parts={"notifier": told})
    with pytest.raises(ZeroDivisionError):
        session.run()
    assert [event for event, _ in told.said] == ["failed"]
    assert "ZeroDivisionError" in told.said[0][1]
    assert "broke" in events(session)


def test_of_a_config_that_a_run_has_more_replicates_come(
    make_session: Make, notebook: Notebook, proposals: Proposals, capsys: pytest.CaptureFixture[str]
) -> None:
    session = make_session(budgets=Budgets(max_runs=6))
    session.run()
    baseline, first = session.mine()
    assert first.proposal is not None
    again = proposals.get(first.proposal).model_copy(update={"proposal_id": "again", "arm": "person"})
    proposals.stage(again.model_copy(update={"decisions": again.decisions[:1]}))
    night = make_session(seeds=3, budgets=Budgets(max_runs=1))
    night.run()
    (more,) = night.mine()
    assert (more.replicates_of, more.proposal, len(more.seeds)) == (first.run_id, "again", 3)
    assert not {*first.seeds, *baseline.seeds} & {*more.seeds}
    assert notebook.config(more.run_id).fingerprint() == notebook.config(first.run_id).fingerprint()
    assert notebook.verdict(more.run_id) is None
    assert proposals.get("again").state is ProposalState.DONE
    assert f"again: run {first.run_id} has this very config: more replicates of it train" in capsys.readouterr().out


def test_the_search_believes_in_nothing_that_was_trained_for_longer(
    make_session: Make, notebook: Notebook, inventory: Inventory
) -> None:
    session = make_session(FakeRunner(noise=0.001), budgets=Budgets(max_runs=5))
    session.run()
    (baseline,) = session.mine()
    base = notebook.config(baseline.run_id)
    made = []
    for changes in ({"train.learning_rate": 0.007}, {"train.learning_rate": 0.01, "train.total_timesteps": 3_000_000}):
        run = create_run(notebook, base.with_overrides({**changes, "autopilot.seeds": 2}), changes, preset="quick",
                              objective="perf:max", arm="person", parent=baseline.run_id)  # fmt: skip
        made.append(train_run(notebook, FakeRunner(noise=0.001), inventory, run.run_id, lambda _: None))
    alike, longer = made
    scores = [fmean(notebook.values(run.run_id, "perf")) for run in (baseline, alike, longer)]
    assert scores == sorted(scores)
    assert "Nothing is believed to be better than the baseline." in is_it_better(notebook, session.record)  # so far
    again = make_session(FakeRunner(noise=0.001), budgets=Budgets(max_runs=5))
    again.scheduler.searching.believe()
    said = is_it_better(notebook, again.record)
    assert f"The search believes most in {alike.run_id} (learning_rate 0.005 → 0.007, seeds 1 → 2): perf 0.8" in said
    assert "(2 replicates of this config)" in said
    write_digest(again.lab, again.proposals, again.record)
    digest = notebook.workspace.session(again.record.session_id).digest.read_text()
    assert re.search(rf"\| leader \| #{alike.number} .*\({alike.run_id}\) .*not proven \| 2 \|", digest)
    assert longer.run_id not in digest


class Paired(FakeRunner):
    """Two runs train side by side; the one that was begun first is through last."""

    def __init__(self, stops_at: int = 99) -> None:
        super().__init__(at_once=2)
        self.pairs: list[tuple[int, ...]] = []
        self._stops_at, self._meet, self._second = stops_at, threading.Barrier(2, timeout=20), threading.Event()
        self.session: Session | None = None

    def train(self, plan: Any, *more: Any) -> Any:
        assert self.session is not None
        waiting = [run for run in self.session.mine() if not run.state.ended]
        if len(waiting) < 2:
            return super().train(plan, *more)
        self._meet.wait()  # neither begins without the other
        first = plan.run.run_id == waiting[0].run_id
        if first:
            self.pairs.append(tuple(seed for run in waiting for seed in run.seeds))
            if len(self.session.mine()) >= self._stops_at:
                self.session.stop.set()
        self._meet.wait()
        if first:
            assert self._second.wait(20)
        results = super().train(plan, *more)
        self._second.set()
        self._meet.wait()
        self._second.clear()
        return results


def test_what_trains_side_by_side_is_recorded_in_order(make_session: Make, notebook: Notebook) -> None:
    runner = Paired()
    session = make_session(runner, budgets=Budgets(max_runs=10))
    runner.session = session
    assert session.run().ended_because == "all 10 replicates are trained"
    baseline, *others = notebook.runs()
    assert runner.pairs == [(6, 7), (8, 9)]
    assert runner.trained == [1, 2, 3, 4, 5, 7, 6, 9, 8, 10]
    assert [line["run"] for line in _events(session) if line["event"] == "trained"] == [
        run.run_id for run in (baseline, *others)
    ]
    assert list(notebook.verdicts()) == [run.run_id for run in (baseline, *others)]
    assert {run.arm for run in others} == {"offline", "race"}  # beside what was approved, the arm's own
    assert len({notebook.config(run.run_id).fingerprint() for run in others}) == 5
    assert all(notebook.paths(run.run_id).report.exists() for run in others)
    for run in others:
        if run.arm == "race":
            decisions = session.proposals.get(str(run.proposal)).decisions
            assert [d.who for d in decisions] == ["race", "policy auto", "session", "session"]


def test_a_stop_gives_back_all_that_trains_side_by_side(make_session: Make, notebook: Notebook) -> None:
    runner = Paired(stops_at=5)
    session = make_session(runner, budgets=Budgets(max_runs=10))
    runner.session = session
    record = session.run()
    assert record.ended is None
    begun = notebook.runs()[-2:]
    assert [(run.state, run.attempt) for run in begun] == [(RunState.QUEUED, 1)] * 2
    again = make_session(record=record)  # one at a time now
    assert again.run().ended_because == "all 10 replicates are trained"
    runs = notebook.runs()
    assert [run.run_id for run in runs[3:5]] == [run.run_id for run in begun]
    assert [run.attempt for run in runs] == [1, 1, 1, 2, 2, 1]
    assert all(run.state is RunState.FINISHED for run in runs)


@pytest.mark.parametrize(
    ("budgets", "more", "hurry"),
    [
        (Budgets(hours=8), {}, True),
        (Budgets(hours=8, max_runs=20), {}, True),
        (Budgets(max_runs=20), {}, False),
        (Budgets(hours=8), {"repeatable": True}, False),
    ],
)
def test_only_a_night_that_is_counted_in_hours_ends_what_is_slow(
    make_session: Make, budgets: Budgets, more: dict[str, Any], hurry: bool
) -> None:
    assert make_session(budgets=budgets, **more).wave.options.hurry == hurry
