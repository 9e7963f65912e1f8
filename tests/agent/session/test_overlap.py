"""Training goes on while a model thinks: what trains then, what is recorded when, and what a slow model changes."""

import errno
import re
import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from agent.analysis.job import AnalysisJob, wait_for
from agent.analysis.replay import replay_run
from agent.model.chat import Message, Reply
from agent.model.offline import OfflineResearcher
from lab.base.errors import AutopilotError
from lab.space.inventory import Inventory
from lab.store.lab import Lab
from lab.store.notebook import Notebook
from lab.store.proposal import Proposal
from lab.store.proposals import Proposals
from lab.store.records import ReplicateResult, RunState
from lab.store.session import Budgets
from tests.agent.conftest import Make
from training.fake import FakeRunner
from training.runner import Plan

LONG = 20.0
"""Seconds after which something that should have happened has not."""


class Thinking(OfflineResearcher):
    """Does something before it gives the first answer of an analysis."""

    def __init__(self, before: Callable[[int], None]) -> None:
        self.analyses, self._before = 0, before

    def complete(self, messages: Sequence[Message], tools: Sequence[dict[str, Any]]) -> Reply:
        if not any(message.role == "assistant" for message in messages):
            self.analyses += 1
            self._before(self.analyses)
        return super().complete(messages, tools)


class Telling(FakeRunner):
    """Says when a training begins and ends."""

    def __init__(self, begins: Callable[[Plan], None], ends: Callable[[Plan], None] = lambda _: None) -> None:
        super().__init__()
        self._begins, self._ends = begins, ends

    def train(self, plan: Plan, *more: Any) -> list[ReplicateResult]:
        self._begins(plan)
        results = super().train(plan, *more)
        self._ends(plan)
        return results


def test_the_next_run_trains_while_the_last_one_is_analysed(make_session: Make, notebook: Notebook) -> None:
    trains, thinks = threading.Event(), threading.Event()

    def before(number: int) -> None:
        if number == 3:  # of the first proposal's run; the second one's trains meanwhile
            thinks.set()
            assert trains.wait(LONG), "nothing trains while the model thinks"

    def begins(plan: Plan) -> None:
        if len(notebook.runs()) == 3:
            assert thinks.wait(LONG), "nobody thinks while it trains"
            trains.set()

    make_session(Telling(begins), model=Thinking(before), budgets=Budgets(max_runs=7)).run()
    assert trains.is_set()
    assert [run.state for run in notebook.runs()] == [RunState.FINISHED] * 3


def test_a_run_is_recorded_after_the_analysis_beside_it(make_session: Make, notebook: Notebook) -> None:
    """So what a model sees does not depend on who is faster."""
    trained, seen = threading.Event(), list[RunState]()

    def before(number: int) -> None:
        if number == 3:
            assert trained.wait(LONG)
            seen.append(notebook.runs()[-1].state)

    def ends(plan: Plan) -> None:
        if len(notebook.runs()) == 3:
            trained.set()

    make_session(Telling(lambda _: None, ends), model=Thinking(before), budgets=Budgets(max_runs=7)).run()
    assert seen == [RunState.RUNNING]
    assert notebook.runs()[-1].state is RunState.FINISHED


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setattr("agent.session.session.MOMENT", 0.0)
    return {"patience": 0.0}


def test_beside_a_slow_model_replicates_of_the_incumbent_train_and_then_what_the_search_asks(
    make_session: Make,
    notebook: Notebook,
    proposals: Proposals,
    inventory: Inventory,
    impatient: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    enough, staged, stage = threading.Event(), threading.Event(), Proposals.stage

    def staging(queue: Proposals, proposal: Proposal) -> None:
        stage(queue, proposal)
        staged.set()

    monkeypatch.setattr(Proposals, "stage", staging)

    def before(number: int) -> None:
        if number == 1:
            assert enough.wait(LONG)
        else:  # the search's own have been reported on by now
            session.stop.set()

    def begins(plan: Plan) -> None:
        if len(notebook.runs()) == 5:  # whatever trains then, the model's proposal comes after it
            enough.set()
            assert staged.wait(LONG)

    session = make_session(Telling(begins), model=Thinking(before), parts=impatient,
                           budgets=Budgets(hours=24))  # fmt: skip
    record = session.run()
    assert record.ended is None  # stopped
    baseline, again, *controls, mine = notebook.runs()[:6]
    assert (again.replicates_of, len(again.seeds)) == (baseline.run_id, 3)  # eight in all, and no more
    assert [run.arm for run in (*controls, mine)] == ["race"] * 3 + ["offline"]
    for run in controls:
        proposal = proposals.get(str(run.proposal))
        assert [(d.state, d.who) for d in proposal.decisions] == [
            ("staged", "race"), ("approved", "policy auto"), ("running", "session"), ("done", "session"),
        ]  # fmt: skip
        assert proposal.predictions
        report = notebook.paths(run.run_id).report.read_text()
        assert "Nothing was staged: this config was the search's own" in report
        assert replay_run(Lab(notebook, inventory), run.run_id).differences == ()
    assert len({notebook.config(run.run_id).fingerprint() for run in controls}) == 3
    digest = notebook.workspace.session(record.session_id).digest.read_text()
    assert "the trainer was busy" in digest
    shares = re.search(r"(\d+) % of that on new configs, (\d+) % on more seeds of these", digest)
    assert shares is not None
    raced = [run for run in notebook.runs() if run.replicates_of not in (None, baseline.run_id)]
    assert raced or shares[2] == "0"  # the search's own are none; what trains until the stop may be raced


def test_where_replicates_are_what_is_short_the_search_leaves_them_to_proposals(
    make_session: Make, notebook: Notebook, impatient: dict[str, Any]
) -> None:
    """However long the model takes."""
    trained = threading.Condition()

    def before(number: int) -> None:
        with trained:  # until nothing more is trained for a while
            while trained.wait(0.3):
                pass

    def ends(plan: Plan) -> None:
        with trained:
            trained.notify()

    session = make_session(Telling(lambda _: None, ends), model=Thinking(before), parts=impatient,
                           budgets=Budgets(max_runs=14))  # fmt: skip
    session.run()
    arms = [run.arm for run in notebook.runs() if not run.replicates_of]
    assert sum(len(run.seeds) for run in notebook.runs()) == 14
    assert arms.count("race") <= arms.count("offline")
    assert arms.count("offline") >= 3


def test_the_last_replicates_are_the_models_and_not_the_incumbents(
    make_session: Make, notebook: Notebook, impatient: dict[str, Any]
) -> None:
    """Beside a baseline of five, eight leave three; all that is new is to be the model's, who takes a while."""
    more = threading.Event()

    def before(number: int) -> None:
        if number == 1:
            more.wait(0.5)  # whether something trains meanwhile

    def begins(plan: Plan) -> None:
        if len(notebook.runs()) > 1:
            more.set()

    record = make_session().record.model_copy(update={"model": "thinker"})
    session = make_session(Telling(begins), record, Thinking(before), impatient)
    session.run()
    assert [len(run.seeds) for run in notebook.runs()] == [5, 1, 1, 1]
    assert not any(run.replicates_of for run in notebook.runs())


def test_a_stop_gives_up_both(make_session: Make, notebook: Notebook) -> None:
    def begins(plan: Plan) -> None:
        if len(notebook.runs()) == 3:
            session.stop.set()

    session = make_session(Telling(begins), budgets=Budgets(max_runs=8))
    record = session.run()
    assert record.ended is None
    assert notebook.runs()[-1].state is RunState.QUEUED
    again = make_session(record=record)
    assert again.run().ended_because == "all 8 replicates are trained"


def test_a_pause_lets_the_run_and_its_neighbour_end(make_session: Make, notebook: Notebook) -> None:
    def begins(plan: Plan) -> None:
        if len(notebook.runs()) == 3:
            session.pause.set()

    session = make_session(Telling(begins), budgets=Budgets(max_runs=10))
    record = session.run()
    assert record.ended is None
    runs = notebook.runs()
    assert [run.state for run in runs] == [RunState.FINISHED] * 3
    assert all(notebook.paths(run.run_id).report.exists() for run in runs)  # its own analysis too
    again = make_session(record=record)
    assert again.run().ended_because == "all 10 replicates are trained"
    assert len(notebook.runs()) == 6


def test_the_time_of_training_is_told_from_that_of_thinking(make_session: Make) -> None:
    spent = make_session(budgets=Budgets(max_runs=7)).run().spent
    assert 0 < spent.search < spent.training < spent.seconds


@pytest.mark.parametrize(
    ("error", "raised", "said"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), AutopilotError, "is full: make room"),
        (OSError(errno.EIO, "Input/output error"), OSError, "Input/output error"),
        (ZeroDivisionError("made up"), ZeroDivisionError, "made up"),
    ],
)
def test_an_analysis_that_breaks_costs_no_training(
    make_session: Make, notebook: Notebook, error: Exception, raised: type[Exception], said: str
) -> None:
    """The run beside it is trained and recorded, then the session says what broke; the next one goes on from there."""
    jobs: list[AnalysisJob] = []

    def before(number: int) -> None:
        if number == 3:  # of the first proposal's run; the second one's trains meanwhile
            raise error

    def begins(plan: Plan) -> None:
        if len(notebook.runs()) == 3:
            assert wait_for(jobs[-1], LONG, threading.Event())
            assert jobs[-1].exception() is not None

    session = make_session(Telling(begins), model=Thinking(before), budgets=Budgets(max_runs=7))
    think = session.think
    session.think = lambda *, idle: jobs.append(job) or job if (job := think(idle=idle)) else None  # type: ignore[method-assign,func-returns-value]
    with pytest.raises(raised, match=said):
        session.run()
    assert [(run.state, run.attempt) for run in notebook.runs()] == [(RunState.FINISHED, 1)] * 3
    record = make_session(record=session.record).run()
    assert record.ended_because == "all 7 replicates are trained"
    assert [run.attempt for run in notebook.runs()] == [1] * 3
    assert all(notebook.paths(run.run_id).report.exists() for run in notebook.runs())
