"""The queue: decisions are made once, on the newest state, and never on what is stale or invalid."""

import threading
from pathlib import Path
from typing import Any

import pytest

from lab.base.errors import InvalidInput, NotFound
from lab.base.files import write_model
from lab.base.schema import now
from lab.space.inventory import Inventory
from lab.store.notebook import Notebook
from lab.store.proposal import ProposalState
from lab.store.proposals import ALLOWED, Proposals
from lab.store.unfit import refuse_unfit
from review.decisions import amended

S = ProposalState


def test_a_newer_proposal_supersedes_a_waiting_one(propose: Any, proposals: Proposals) -> None:
    first, second = propose(), propose({"train.gamma": 0.9})
    assert proposals.get(first.proposal_id).state is S.SUPERSEDED
    assert second.proposal_id in proposals.get(first.proposal_id).decisions[-1].why
    assert proposals.staged(second.group) == second


def test_next_config_shows_the_head_of_the_queue(propose: Any, proposals: Proposals) -> None:
    shown = proposals.workspace.next_config
    first = propose()
    assert first.proposal_id in shown.read_text()
    proposals.decide(first.proposal_id, S.APPROVED, "person")
    propose({"train.gamma": 0.9})
    assert first.proposal_id in shown.read_text()
    proposals.decide(first.proposal_id, S.RUNNING, "session", run_id="r")
    assert '"train.gamma": 0.9' in shown.read_text()
    proposals.decide(proposals.all()[-1].proposal_id, S.REJECTED, "person", "no")
    assert not shown.exists()


@pytest.mark.parametrize("state", list(S))
def test_only_the_steps_of_its_life_are_allowed(propose: Any, proposals: Proposals, state: ProposalState) -> None:
    proposal = propose()
    for then in ALLOWED[S.STAGED], ALLOWED[S.APPROVED], ALLOWED[S.RUNNING]:
        if state in then:
            break
    path = {S.RUNNING: [S.APPROVED], S.DONE: [S.APPROVED, S.RUNNING]}.get(state, [])
    for step in (*path, state):
        proposals.decide(proposal.proposal_id, step, "person", "because")
    with pytest.raises(InvalidInput, match="can't become"):
        proposals.decide(proposal.proposal_id, state, "person")
    assert [d.state for d in proposals.get(proposal.proposal_id).decisions] == [S.STAGED, *path, state]


def test_two_deciders_cannot_both_win(propose: Any, proposals: Proposals) -> None:
    proposal, start = propose(), threading.Barrier(8)
    won: list[str] = []
    lost: list[str] = []

    def decide(n: int) -> None:
        start.wait()
        try:
            proposals.decide(proposal.proposal_id, S.APPROVED if n % 2 else S.REJECTED, f"person {n}", "quick")
            won.append(f"person {n}")
        except InvalidInput:
            lost.append(f"person {n}")

    threads = [threading.Thread(target=decide, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # An approval may still be taken back by a rejection, once.
    decisions = proposals.get(proposal.proposal_id).decisions[1:]
    assert sorted(won) == sorted(decision.who for decision in decisions)
    assert len(won) + len(lost) == 8
    assert [d.state for d in decisions] in ([S.APPROVED], [S.REJECTED], [S.APPROVED, S.REJECTED])


def test_what_does_not_validate_any_more_is_refused(propose: Any, notebook: Notebook, inventory: Inventory) -> None:
    for overrides in ({"train.gamma": 3}, {"train.seed": 1}, {"train.minibatch_size": 1000}, {"train.ent_coef": 0.001}):
        with pytest.raises(InvalidInput):
            refuse_unfit(propose(overrides), notebook, inventory)
    refuse_unfit(propose(), notebook, inventory)


def test_a_stale_proposal_is_refused(propose: Any, notebook: Notebook, inventory: Inventory) -> None:
    with pytest.raises(InvalidInput, match="stale"):
        refuse_unfit(propose(parent_config="0" * 12), notebook, inventory)
    with pytest.raises(InvalidInput, match="stale: its parent run gone is gone"):
        refuse_unfit(propose(parent="gone"), notebook, inventory)


def test_a_person_may_edit_what_is_staged(
    propose: Any, proposals: Proposals, notebook: Notebook, inventory: Inventory
) -> None:
    first = propose()
    mine = amended(first, {"train.ent_coef": 0.03, "train.torch_deterministic": False}, "person ada")
    refuse_unfit(mine, notebook, inventory)
    proposals.stage(mine)
    assert proposals.get(first.proposal_id).state is S.SUPERSEDED
    assert (mine.arm, mine.overrides["train.ent_coef"]) == ("person", 0.03)
    assert mine.theory.startswith(f"person ada put this in the place of {first.proposal_id}")
    own = amended(first, {"train.ent_coef": 0.03}, "person ada", " entropy was gone \n by half time ")
    assert own.theory == "entropy was gone \n by half time"
    with pytest.raises(InvalidInput, match="superseded"):
        amended(proposals.get(first.proposal_id), {}, "person")


def test_a_damaged_file_is_reported_and_passed_over(propose: Any, proposals: Proposals) -> None:
    proposal = propose()
    Path(proposals.workspace.proposals, "bad.json").write_text("{")
    assert proposals.all() == [proposal]
    assert "bad.json" in proposals.damaged


def test_there_is_no_such_proposal(proposals: Proposals) -> None:
    for name in ("nope", "../run"):
        with pytest.raises(NotFound):
            proposals.get(name)


def test_two_that_wait_after_a_kill_are_made_one(propose: Any, proposals: Proposals) -> None:
    first = propose()
    second = first.model_copy(update={"proposal_id": "second", "created": now()})
    write_model(proposals.workspace.proposal("second"), second)  # killed before the first one gave way
    proposals.tidy(first.group)
    assert proposals.get(first.proposal_id).state is S.SUPERSEDED
    assert proposals.get(first.proposal_id).decisions[-1].why == "second was staged later"
    assert proposals.staged(first.group) == proposals.get("second")
    assert '"second"' in proposals.workspace.next_config.read_text()


def test_those_of_one_batch_wait_side_by_side(propose: Any, proposals: Proposals) -> None:
    first = propose()
    batch = [
        first.model_copy(update={"proposal_id": name, "created": now(), "batch": "one"}) for name in ("one", "two")
    ]
    proposals.stage(*batch)
    assert proposals.get(first.proposal_id).state is S.SUPERSEDED
    assert proposals.staged(first.group) == batch[0]  # the first first
    mine = amended(batch[0], {"train.gamma": 0.9}, "person ada")
    assert proposals.rejected(batch[0].group) == []
    proposals.replace(batch[0], mine, "person ada")
    assert proposals.rejected(batch[0].group) == [batch[0].overrides]  # others that give way to it are no bad ideas
    proposals.tidy(first.group)
    assert [p.proposal_id for p in proposals.all() if p.state is S.STAGED] == ["two", mine.proposal_id]
    proposals.decide("two", S.APPROVED, "person")
    proposals.stage(*batch)  # as after a kill: what is there is left alone
    assert [proposals.get(name).state for name in ("one", "two")] == [S.SUPERSEDED, S.APPROVED]


def test_what_is_held_gives_way_to_nothing(propose: Any, proposals: Proposals) -> None:
    first = propose()
    proposals.decide(first.proposal_id, S.STAGED, "policy policy", "warm starts are a person's to decide")
    assert proposals.staged(first.group) is None
    second = propose({"train.gamma": 0.9})
    assert proposals.get(first.proposal_id).held
    assert proposals.staged(first.group) == second
    assert proposals.decide(first.proposal_id, S.APPROVED, "person").state is S.APPROVED


def test_those_that_are_not_over_are_told_by_their_files(propose: Any, proposals: Proposals) -> None:
    first, second = propose(), propose({"train.gamma": 0.9})  # the first gives way
    assert proposals.live() == [second] == proposals.live(S.STAGED, group=second.group)
    assert proposals.all() == [proposals.get(first.proposal_id), second]
    other = Proposals(proposals.workspace)  # as another process would
    other.decide(second.proposal_id, S.APPROVED, "person")
    assert [one.state for one in proposals.live()] == [S.APPROVED]
    path = proposals.workspace.proposal(second.proposal_id)
    path.write_text(path.read_text().replace('"person"', '"somebody"'))  # in place
    assert proposals.live()[0].decisions[-1].who == "somebody"
    assert proposals.live(S.STAGED) == []
