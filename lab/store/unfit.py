"""Whether a proposal may still be approved or run: not stale, not changed since, and valid."""

from lab.base import Damaged, InvalidInput, NotFound, invalid
from lab.space import TASK_KEYS, Inventory, Space, check_overrides, diff, space_of
from lab.store.notebook import Notebook
from lab.store.proposal import Proposal, Sweep
from lab.store.proposal import ProposalState as S


def refuse_sweep(sweep: Sweep, space: Space, *, arm: str) -> None:
    """Refuse a sweep whose ends are not valid.

    Args:
        sweep: to be staged, approved or begun.
        space: what may be set in its environment.
        arm: who proposes it; a person may set more.

    Raises:
        InvalidInput: with every problem found.
    """
    problems = []
    for key, span in sweep.keys.items():
        if key in TASK_KEYS:
            rule = "is part of what runs are scored on, which is frozen when a session starts"
            raise invalid(key, span.text, rule, "leave it out")
        if not span.values and (span.low is None or span.high is None or span.low > span.high):
            raise invalid(key, f"{span.low} to {span.high}", "is no range", "a low end and a high end, or values")
        whole = key in space and space[key].kind is int
        for end in span.ends:
            value = int(end) if whole and isinstance(end, float) and end.is_integer() else end
            problems += space.problems({key: value}, proposing=arm != "person")
    if problems:
        raise InvalidInput(problems)


def refuse_unfit(proposal: Proposal, notebook: Notebook, inventory: Inventory, steps_left: int | None = None) -> None:
    """Refuse a proposal that is stale or does not validate any more.

    Args:
        proposal: about to be approved or to run.
        notebook: where its parent is.
        inventory: what is valid here.
        steps_left: that the session's time leaves; None without a limit.

    Raises:
        InvalidInput: with what is wrong.
    """
    try:
        base = notebook.config(proposal.parent)
    except NotFound:
        raise InvalidInput(
            f"proposal {proposal.proposal_id} is stale: its parent run {proposal.parent} is gone"
        ) from None
    except Damaged as error:
        raise InvalidInput(f"proposal {proposal.proposal_id} is stale: its parent can't be read: {error}") from error
    if base.fingerprint() != proposal.parent_config:
        raise InvalidInput(
            f"proposal {proposal.proposal_id} is stale: the config of its parent {proposal.parent} is no longer the one"
            " it was made for"
        )
    approved = [one for one in proposal.decisions if one.state is S.APPROVED and one.overrides is not None]
    if approved and (approved[-1].overrides, approved[-1].sweep) != (proposal.overrides, proposal.sweep):
        raise InvalidInput(
            f"proposal {proposal.proposal_id} was changed after {approved[-1].who} had approved it; what was approved:"
            f" {approved[-1].sweep or approved[-1].overrides}"
        )
    if proposal.sweep is not None:
        refuse_sweep(proposal.sweep, space_of(inventory.environment(proposal.env_name)), arm=proposal.arm)
        return
    if frozen := sorted(key for key in proposal.overrides if key in TASK_KEYS):
        rule = "is part of what runs are scored on, which is frozen when a session starts"
        raise invalid(frozen[0], proposal.overrides[frozen[0]], rule, "leave it out, or start a session with it")
    proposing = proposal.arm != "person"
    if problems := check_overrides(base, proposal.overrides, inventory, proposing=proposing, steps_left=steps_left):
        raise InvalidInput(problems)
    if not diff(base, base.with_overrides(proposal.overrides)):
        raise InvalidInput(f"that changes nothing against the parent {proposal.parent}")
