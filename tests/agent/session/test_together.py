"""A model beside the optimizer: whose turn it is, several proposals ahead, a turn that is passed."""

import itertools
import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pytest

from agent.model.chat import Message, Reply, ToolCall
from agent.model.scripted import ScriptedModel
from agent.session.session import Session
from lab.base.schema import now
from lab.store.notebook import Notebook
from lab.store.proposal import ProposalState
from lab.store.proposals import Proposals
from lab.store.records import RunRecord
from lab.store.session import Budgets, SessionRecord
from tests.agent.analysis.test_loop import REPORT
from tests.agent.conftest import Make
from tests.conftest import ENV
from tests.tools.test_tools import PROPOSAL

Calls = list[tuple[str, dict[str, Any]]]
UNDONE = (ProposalState.STAGED, ProposalState.APPROVED)


def model_of(turn: Callable[[str], Calls]) -> ScriptedModel:
    """A model that has one answer to an opening: its turn, where a proposal is wanted, and a report where one is."""

    def answer(messages: Sequence[Message]) -> Reply:
        opening = messages[1].content
        wanted = [] if "no proposal is wanted" in opening else turn(opening)
        wanted += [] if "no report is wanted" in opening else [("write_report", REPORT)]
        made = [ToolCall(id=f"c{n}", name=name, arguments=json.dumps(given)) for n, (name, given) in enumerate(wanted)]
        return Reply(message=Message(role="assistant", tool_calls=tuple(made)))

    return ScriptedModel(itertools.repeat(answer))


def record_of(**more: Any) -> SessionRecord:
    return SessionRecord.model_validate({
        "session_id": "together", "env_name": ENV, "preset": "quick", "objective": "perf:max", "model": "scripted",
        "approve": "auto", "seeds": 1, "created": now(), **more,
    })  # fmt: skip


def new_of(session: Session) -> list[RunRecord]:
    """The runs of new configs that a session trained."""
    return [run for run in session.mine() if run.arm != "baseline" and run.replicates_of is None]


def test_three_ahead_are_trained_in_their_order(
    make_session: Make, notebook: Notebook, proposals: Proposals, monkeypatch: pytest.MonkeyPatch
) -> None:
    number, waiting, stage = itertools.count(1), list[int](), Proposals.stage

    def turn(opening: str) -> Calls:
        assert "up to 3 that differ" in opening
        changes = [{"train.vf_coef": 1 + next(number) / 10} for _ in range(3)]
        return [("stage_proposal", {**PROPOSAL, "changes": change}) for change in changes]

    def staging(queue: Proposals, *staged: Any) -> None:
        waiting.append(sum(one.state in UNDONE for one in queue.all()))
        stage(queue, *staged)

    monkeypatch.setattr(Proposals, "stage", staging)
    session = make_session(record=record_of(model_share=1, ahead=3, budgets=Budgets(max_runs=12)), model=model_of(turn))
    session.run()
    runs = new_of(session)
    assert len(runs) >= 6
    assert {run.arm for run in runs} == {"scripted"}
    staged = [proposal.proposal_id for proposal in proposals.all()]
    assert [run.proposal for run in runs] == staged[: len(runs)]
    assert set(waiting) == {0}  # the next ones come when none of those before them waits
    assert len({proposal.batch for proposal in proposals.all()}) * 3 == len(staged)
    assert all(notebook.paths(run.run_id).report.exists() for run in runs)


@pytest.mark.parametrize(("share", "models"), [(0.5, range(4, 6)), (0.25, range(2, 4))])
def test_a_turn_that_is_passed_is_the_model_s_all_the_same(
    make_session: Make, notebook: Notebook, proposals: Proposals, share: float, models: Iterable[int]
) -> None:
    model = model_of(lambda _: [("pass_round", {"reason": "It has seen more than I have."})])
    session = make_session(record=record_of(model_share=share, budgets=Budgets(max_runs=13)), model=model)
    session.run()
    runs = new_of(session)
    assert {run.arm for run in runs} == {"race"}
    made = {proposal.proposal_id: proposal for proposal in proposals.all()}
    passed = [run for run in runs if made[str(run.proposal)].passed_by == "scripted"]
    of_nine = round(len(passed) * 9 / len(runs))
    assert of_nine in models
    for run in passed:
        assert "Nothing was staged: this config was the search's own" in notebook.paths(run.run_id).report.read_text()


def test_what_waits_is_not_asked_for_a_second_time(
    make_session: Make, notebook: Notebook, proposals: Proposals
) -> None:
    model = model_of(lambda _: [("pass_round", {"reason": "It has seen more than I have."})] * 3)
    record = record_of(model_share=0.4, ahead=3, budgets=Budgets(max_runs=12))
    make_session(record=record, model=model).run()
    made = [proposal for proposal in proposals.all() if proposal.state is ProposalState.DONE]
    assert len({str(sorted(one.overrides.items())) for one in proposals.all()}) == len(proposals.all())
    assert any(one.passed_by for one in made)
    assert any(one.passed_by is None for one in made)
    for one in made:  # each is a config of its own, and no replicate of another
        assert notebook.run(str(one.decisions[-1].run_id)).replicates_of is None


@pytest.mark.slow
def test_a_model_has_its_share_and_no_more(make_session: Make, proposals: Proposals) -> None:
    number = itertools.count(1)
    model = model_of(lambda _: [("stage_proposal", {**PROPOSAL, "changes": {"train.vf_coef": 1 + next(number) / 10}})])
    session = make_session(record=record_of(model_share=0.25, budgets=Budgets(max_runs=14)), model=model)
    session.run()
    runs = new_of(session)
    assert len(runs) >= 6
    for count in range(1, len(runs) + 1):
        assert sum(run.arm == "scripted" for run in runs[:count]) <= 0.25 * count + 1
    assert {run.arm for run in runs} == {"scripted", "race"}
