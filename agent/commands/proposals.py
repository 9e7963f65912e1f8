"""Proposals: list, approve, reject, edit. Slow imports happen where they are needed."""

from typing import Annotated

import typer

from agent.options import (
    JsonOption,
    assignments,
    who,
)
from lab.errors import InvalidInput, Problem
from lab.text import plain


def proposals(
    context: typer.Context,
    everything: Annotated[bool, typer.Option("--all", help="Also those that are done or decided.")] = False,
    as_json: JsonOption = False,
) -> None:
    """What is staged or approved."""
    from agent.show import emit_json, proposal_row, proposals_table
    from lab.proposals import Proposals
    from lab.records import ProposalState as S

    queue = Proposals(context.obj)
    found = [p for p in queue.all() if everything or p.state in (S.STAGED, S.APPROVED, S.RUNNING)]
    emit_json([proposal_row(p) for p in found]) if as_json else proposals_table(queue, found)


def approve(context: typer.Context, proposal: str) -> None:
    """Approve a staged proposal: it runs next."""
    from lab.notebook import Notebook
    from lab.proposals import Proposals, refuse_unfit
    from lab.records import ProposalState
    from training.machine import load_inventory

    queue, notebook = Proposals(context.obj), Notebook(context.obj)
    inventory = load_inventory([queue.get(proposal).env_name], context.obj)
    queue.decide(
        proposal,
        ProposalState.APPROVED,
        who(),
        check=lambda newest: refuse_unfit(newest, notebook, inventory),
    )
    typer.echo(f"approved {proposal}")


def reject(
    context: typer.Context,
    proposal: str,
    why: Annotated[str, typer.Option(help="The reason; the next analysis reads it.")],
) -> None:
    """Reject a proposal, with a reason."""
    from lab.proposals import Proposals
    from lab.records import ProposalState

    if not why.strip():
        raise InvalidInput([Problem(key="why", value=repr(why), rule="must say something", valid="a short reason")])
    Proposals(context.obj).decide(proposal, ProposalState.REJECTED, who(), plain(why.strip(), 1000))
    typer.echo(f"rejected {proposal}")


def edit(
    context: typer.Context,
    proposal: str,
    settings: Annotated[list[str], typer.Option("--set", metavar="KEY=VALUE", help="A change of yours.")],
) -> None:
    """Put your own proposal in the place of a staged one: its changes, with some of your own."""
    from lab.notebook import Notebook
    from lab.proposals import Proposals, amended, refuse_unfit
    from training.machine import load_inventory

    queue, notebook = Proposals(context.obj), Notebook(context.obj)
    new = amended(queue.get(proposal), assignments(settings), who())
    refuse_unfit(new, notebook, load_inventory([new.env_name], context.obj))
    queue.stage(new)
    typer.echo(f"staged {new.proposal_id} in the place of {proposal}")
