"""A person's decisions about a proposal: the same from the command line, the terminal and the page.

Each decision names the version that was looked at. Whoever comes second, or has looked at something else, is told so.
"""

from collections.abc import Mapping
from typing import Any

from lab.base import InvalidInput, invalid, new_id, now, plain
from lab.store import Decision, Lab, Proposal, Proposals, ProposalState, refuse_unfit

LONGEST = 1000
"""Characters of a reason that are kept."""
ITS = "Its theory was:\n\n"
"""Stands before the theory of a proposal that was edited; of one that was edited twice, before the first one's."""


def approve(lab: Lab, seen: Proposal, who: str) -> Proposal:
    """Approve a proposal: it runs next.

    Args:
        lab: where the proposal and its parent are, and what is valid here.
        seen: the proposal as the person has seen it.
        who: the person, for the record.

    Raises:
        NotFound: it is gone.
        InvalidInput: somebody was faster, or it is not valid any more.
    """
    return lab.proposals.decide(
        seen.proposal_id,
        ProposalState.APPROVED,
        who,
        check=lambda newest: refuse_unfit(newest, lab.notebook, lab.inventory),
        seen=seen.version,
    )


def reject(proposals: Proposals, seen: Proposal, who: str, why: str) -> Proposal:
    """Reject a proposal, with a reason that the next analysis reads.

    Args:
        proposals: the queue.
        seen: the proposal as the person has seen it.
        who: the person, for the record.
        why: their reason; not empty.

    Raises:
        NotFound: it is gone.
        InvalidInput: somebody was faster, or there is no reason.
    """
    why = plain(why.strip(), LONGEST)
    if not why:
        raise invalid("why", why, "must say something", "a short reason")
    return proposals.decide(seen.proposal_id, ProposalState.REJECTED, who, why, seen=seen.version)


def edited(lab: Lab, seen: Proposal, changes: Mapping[str, Any], who: str, why: str = "") -> Proposal:
    """A person's version of a proposal, checked; nothing is written.

    Args:
        lab: where its parent is, and what is valid here.
        seen: the proposal as the person has seen it.
        changes: dotted key to value, over its own.
        who: the person, for the record.
        why: their theory, in the place of the proposal's; the proposal's is kept where it is empty.

    Raises:
        InvalidInput: it has moved on, nothing is changed, or a value is not valid: with key, value, rule and what
            would be.
    """
    changes = {
        key: value for key, value in changes.items() if key not in seen.overrides or seen.overrides[key] != value
    }
    if not changes:
        raise InvalidInput(f"that changes nothing of proposal {seen.proposal_id}")
    new = amended(seen, changes, who, why)
    if lab.notebook.readable(new.parent):  # a key that is set back to what the parent has is no change, but for
        base = lab.notebook.config(new.parent)  # the replicates: a proposal has one where it does not say
        kept = {k: value for k, value in new.overrides.items() if base.get(k) != value or k == "autopilot.seeds"}
        new = new.model_copy(update={"overrides": kept})
    refuse_unfit(new, lab.notebook, lab.inventory)
    return new


def edit(lab: Lab, seen: Proposal, changes: Mapping[str, Any], who: str, why: str = "") -> Proposal:
    """Put a person's version in the place of a proposal; it is staged, by them.

    Args:
        lab: where the proposal and its parent are, and what is valid here.
        seen: the proposal as the person has seen it.
        changes: dotted key to value, over its own.
        who: the person, for the record.
        why: their theory, in the place of the proposal's; the proposal's is kept where it is empty.

    Raises:
        NotFound: it is gone.
        InvalidInput: somebody was faster, or a value is not valid.
    """
    new = edited(lab, seen, changes, who, why)
    lab.proposals.replace(seen, new, who)
    return new


def amended(proposal: Proposal, changes: Mapping[str, Any], who: str, why: str = "") -> Proposal:
    """A person's version of a staged proposal: the same, with some values of their own.

    Args:
        proposal: still staged.
        changes: dotted key to value, over the proposal's own.
        who: the person.
        why: their theory; the proposal's is kept where it is empty.

    Raises:
        InvalidInput: it has moved on.
    """
    if proposal.state is not ProposalState.STAGED:
        raise InvalidInput(f"proposal {proposal.proposal_id} is {proposal.state} and can't be edited any more")
    if proposal.sweep is not None:
        rule = "is a sweep, whose ranges can't be edited: reject it with a reason, and the next one heeds it"
        raise InvalidInput(f"proposal {proposal.proposal_id} {rule}")
    created, said = now(), plain(why.strip(), LONGEST)
    step = Decision(time=created, state=ProposalState.STAGED, who=who, why=f"in the place of {proposal.proposal_id}")
    instead = f"{who} put this in the place of {proposal.proposal_id} ({proposal.by}: {proposal.changes})."
    theory = proposal.theory.rpartition(ITS)[2] if proposal.arm == "person" else proposal.theory
    return proposal.model_copy(
        update={
            "proposal_id": new_id(created),
            "created": created,
            "arm": "person",
            "passed_by": None,
            "overrides": {**proposal.overrides, **changes},
            "set_by_person": tuple(dict.fromkeys((*proposal.set_by_person, *changes))),
            "theory": said or f"{instead} {ITS}{theory}",
            "predictions": (),  # they were about other values, and somebody else's
            "decisions": (step,),
        }
    )
