"""Decisions about proposals: made once, about what was looked at, and recorded with what that was."""

import threading
from typing import Any

import pytest

from lab.base.errors import InvalidInput
from lab.base.files import write_model
from lab.space.inventory import Inventory
from lab.store.lab import Lab
from lab.store.notebook import Notebook
from lab.store.proposal import ProposalState as S
from lab.store.proposals import Proposals
from lab.store.unfit import refuse_unfit
from review import decisions
from tests.conftest import Cli


def test_a_decision_says_who_when_and_about_what(
    propose: Any, proposals: Proposals, notebook: Notebook, inventory: Inventory
) -> None:
    proposal = propose({"train.ent_coef": 0.02})
    decisions.approve(Lab(notebook, inventory), proposal, "person ada")
    made = proposals.get(proposal.proposal_id).decisions[-1]
    assert (made.state, made.who, made.overrides, made.seen) == (
        S.APPROVED, "person ada", {"train.ent_coef": 0.02}, proposal.version,
    )  # fmt: skip
    assert made.time > proposal.created


def test_of_two_who_decide_at_once_one_wins(
    propose: Any, proposals: Proposals, notebook: Notebook, inventory: Inventory
) -> None:
    for _ in range(5):
        proposal, barrier, outcomes = propose(), threading.Barrier(3), list[str]()

        def approve(barrier: threading.Barrier = barrier, proposal: Any = proposal, out: list[str] = outcomes) -> None:
            barrier.wait()
            try:
                decisions.approve(Lab(notebook, inventory), proposal, "person ada")
                out.append("approved")
            except InvalidInput as error:
                out.append(str(error))

        def reject(barrier: threading.Barrier = barrier, proposal: Any = proposal, out: list[str] = outcomes) -> None:
            barrier.wait()
            try:
                decisions.reject(Proposals(notebook.workspace), proposal, "person bob", "no")
                out.append("rejected")
            except InvalidInput as error:
                out.append(str(error))

        threads = [threading.Thread(target=what) for what in (approve, reject)]
        for thread in threads:
            thread.start()
        barrier.wait()
        for thread in threads:
            thread.join()
        now = proposals.get(proposal.proposal_id)
        assert len(now.decisions) == 2
        assert [out for out in outcomes if out in ("approved", "rejected")] == [now.state.value]
        (refusal,) = (out for out in outcomes if out not in ("approved", "rejected"))
        assert f"by {now.decisions[-1].who}" in refusal


def test_what_changed_since_it_was_looked_at_is_not_decided(
    propose: Any, proposals: Proposals, notebook: Notebook, inventory: Inventory
) -> None:
    looked_at = propose()
    changed = looked_at.model_copy(update={"overrides": {"train.gamma": 0.5}})
    write_model(notebook.workspace.proposal(looked_at.proposal_id), changed)
    for decide in (
        lambda: decisions.approve(Lab(notebook, inventory), looked_at, "person"),
        lambda: decisions.reject(proposals, looked_at, "person", "no"),
        lambda: decisions.edit(Lab(notebook, inventory), looked_at, {"train.ent_coef": 0.03}, "person"),
    ):
        with pytest.raises(InvalidInput, match="is not what it was when you looked"):
            decide()
    assert proposals.all() == [changed]


def test_what_is_changed_after_its_approval_does_not_run(
    propose: Any, proposals: Proposals, notebook: Notebook, inventory: Inventory
) -> None:
    proposal = propose({"train.ent_coef": 0.02})
    approved = decisions.approve(Lab(notebook, inventory), proposal, "person ada")
    refuse_unfit(approved, notebook, inventory)
    changed = approved.model_copy(update={"overrides": {"train.ent_coef": 0.9}})
    with pytest.raises(InvalidInput, match="changed after person ada had approved it"):
        refuse_unfit(changed, notebook, inventory)


def test_an_edited_proposal_takes_the_place_of_the_old_one_even_of_a_held_one(
    propose: Any, proposals: Proposals, notebook: Notebook, inventory: Inventory
) -> None:
    proposal = propose()
    held = proposals.decide(proposal.proposal_id, S.STAGED, "rules of [policy]", "warm starts wait for a person")
    new = decisions.edit(Lab(notebook, inventory), held, {"train.gamma": 0.99}, "person ada")
    assert proposals.get(new.proposal_id).overrides == {"train.ent_coef": 0.02, "train.gamma": 0.99}
    old = proposals.get(proposal.proposal_id)
    assert (old.state, old.decisions[-1].who) == (S.SUPERSEDED, "person ada")
    assert new.proposal_id in old.decisions[-1].why


def test_what_a_person_set_is_named_first(
    propose: Any, proposals: Proposals, notebook: Notebook, inventory: Inventory, called: Cli
) -> None:
    many = {"train.learning_rate": 0.004, "train.ent_coef": 0.02, "train.gamma": 0.9, "train.gae_lambda": 0.8,
            "train.vf_coef": 1.5, "train.clip_coef": 0.3}  # fmt: skip
    proposal = propose(many)
    assert proposal.brief == "train.learning_rate = 0.004, train.ent_coef = 0.02, train.gamma = 0.9, +3"
    assert called("edit", proposal.proposal_id, "--set", "train.adam_eps=1e-9").code == 0
    (new,) = proposals.live(S.STAGED)
    assert new.brief == "train.adam_eps = 1e-09, train.learning_rate = 0.004, train.ent_coef = 0.02, +4"
    again = decisions.edit(Lab(notebook, inventory), new, {"train.clip_coef": 0.4}, "person ada")
    assert again.brief == "train.clip_coef = 0.4, train.adam_eps = 1e-09, train.learning_rate = 0.004, +4"


def test_an_edit_may_ask_for_as_many_replicates_as_the_parent_has(
    propose: Any, proposals: Proposals, notebook: Notebook, inventory: Inventory
) -> None:
    """A proposal has one where it does not say, so to say the parent's number is a change."""
    proposal = propose()
    seeds = notebook.config(proposal.parent).autopilot["seeds"]
    assert (proposal.replicates, seeds) == (1, 2)
    new = decisions.edit(Lab(notebook, inventory), proposal, {"autopilot.seeds": seeds}, "person ada")
    assert proposals.get(new.proposal_id).replicates == 2


@pytest.mark.parametrize(
    ("changes", "said"),
    [({"train.gamma": 2.0}, "train.gamma = 2.0: must be from 0 to 0.999999"), ({"vec.nonsense": 1}, "vec.nonsense"),
     ({"train.ent_coef": 0.001}, "changes nothing")],
)  # fmt: skip
def test_an_edit_that_is_not_valid_changes_nothing(
    propose: Any, proposals: Proposals, notebook: Notebook, inventory: Inventory, changes: dict[str, Any], said: str
) -> None:
    proposal = propose()
    with pytest.raises(InvalidInput, match=said):
        decisions.edit(Lab(notebook, inventory), proposal, changes, "person")
    assert proposals.all() == [proposal]


def test_what_a_person_proposes_is_theirs(
    propose: Any, proposals: Proposals, notebook: Notebook, inventory: Inventory
) -> None:
    """Not the prediction of whoever made the old one, which was about other values."""
    predicted = ({"metric": "perf", "direction": "up", "low": 0.4, "high": 0.6, "coverage": 0.8},)
    proposal = propose({"train.ent_coef": 0.02}, predictions=predicted, theory="More noise.")
    new = decisions.edit(Lab(notebook, inventory), proposal, {"train.ent_coef": 0.03}, "person ada")
    assert (new.arm, new.predictions) == ("person", ())
    assert new.theory.startswith(f"person ada put this in the place of {proposal.proposal_id} (offline: train.ent_coef")
    assert new.theory.endswith("Its theory was:\n\nMore noise.")
    twice = decisions.amended(new, {"train.ent_coef": 0.04}, "person ada")
    assert twice.theory.startswith(f"person ada put this in the place of {new.proposal_id} (")
    assert (twice.theory.count("in the place of"), twice.theory.endswith("was:\n\nMore noise.")) == (1, True)


def test_a_key_that_is_set_back_is_no_change(
    propose: Any, proposals: Proposals, notebook: Notebook, inventory: Inventory
) -> None:
    proposal = propose({"train.ent_coef": 0.02, "train.gamma": 0.9})
    new = decisions.edit(Lab(notebook, inventory), proposal, {"train.gamma": 0.95}, "person")
    assert new.overrides == {"train.ent_coef": 0.02}
    with pytest.raises(InvalidInput, match="changes nothing of proposal"):
        decisions.edit(Lab(notebook, inventory), new, {"train.ent_coef": 0.02}, "person")


def test_a_rejection_needs_a_reason(propose: Any, proposals: Proposals) -> None:
    proposal = propose()
    with pytest.raises(InvalidInput, match="why"):
        decisions.reject(proposals, proposal, "person", " \n ")
    assert proposals.all() == [proposal]
