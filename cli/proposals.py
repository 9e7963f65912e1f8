"""Proposals: list, approve, reject, edit. Slow imports happen where they are needed."""

from typing import Annotated

import typer

from cli.options import JsonOption, who, whole
from lab.base import plain

ProposalArgument = Annotated[str, typer.Argument(metavar="PROPOSAL", help="Its id, or part of it.")]


def proposals(
    context: typer.Context,
    everything: Annotated[bool, typer.Option("--all", help="Also those that are done or decided.")] = False,
    as_json: JsonOption = False,
) -> None:
    """What is staged or approved."""
    from lab.store import Notebook, Proposals
    from report import emit_json, passed_over, proposal_row, proposals_table

    queue, notebook = Proposals(context.obj), Notebook(context.obj)
    listed = queue.all() if everything else queue.live()
    if not as_json:
        proposals_table(notebook, queue, listed)
        return
    emit_json([proposal_row(notebook, p) for p in listed])
    for line in passed_over(queue.damaged):
        typer.echo(plain(line, 1000), err=True)


def approve(context: typer.Context, proposal: ProposalArgument) -> None:
    """Approve a staged proposal: it runs next."""
    from lab.store import Lab, Notebook, Proposals, proposal_called
    from report import idle_text
    from review.decisions import approve as decide
    from training import load_inventory

    queue = Proposals(context.obj)
    seen = proposal_called(queue, proposal)
    lab = Lab(Notebook(context.obj), load_inventory([seen.env_name], context.obj))
    idle = idle_text(lab.notebook, decide(lab, seen, who()))
    typer.echo(f"approved {seen.proposal_id}{f': {idle}' if idle else ''}")


def reject(
    context: typer.Context,
    proposal: ProposalArgument,
    why: Annotated[str, typer.Option(help="The reason; the next analysis reads it.")],
) -> None:
    """Reject a proposal, with a reason."""
    from lab.store import Proposals, proposal_called
    from review.decisions import reject as decide

    queue = Proposals(context.obj)
    typer.echo(f"rejected {decide(queue, proposal_called(queue, proposal), who(), why).proposal_id}")


def edit(
    context: typer.Context,
    proposal: ProposalArgument,
    settings: Annotated[list[str], typer.Option("--set", metavar="KEY=VALUE", help="A change of yours.")],
    why: Annotated[
        str, typer.Option(metavar="TEXT", help="Your theory, in the place of the proposal's; analyses read it.")
    ] = "",
) -> None:
    """Put your own proposal in the place of a staged one: its changes, with some of your own."""
    from lab.space import assignments, remarks
    from lab.store import Lab, Notebook, Proposals, proposal_called
    from review.decisions import edit as decide
    from training import load_inventory

    queue, changes = Proposals(context.obj), assignments(settings)
    seen = proposal_called(queue, proposal)
    inventory = load_inventory([seen.env_name], context.obj)
    new = decide(Lab(Notebook(context.obj), inventory), seen, changes, who(), why)
    typer.echo(f"staged {new.proposal_id} in the place of {seen.proposal_id}")
    for line in remarks(Notebook(context.obj).config(new.parent), new.overrides, inventory):
        typer.echo(f"note: {line}", err=True)


def review(context: typer.Context, as_json: JsonOption = False) -> None:
    """Decide about what waits, one proposal at a time: what changes, why, what it would cost, what the rules say."""
    import pydoc
    import sys

    from lab.store import Lab, Notebook, Proposals
    from report import emit_json, say
    from review.terminal import Terminal, show
    from review.waiting import seen, undecided
    from training import load_inventory

    queue, notebook = Proposals(context.obj), Notebook(context.obj)
    if not as_json and sys.stdin.isatty() and sys.stdout.isatty():
        terminal = Terminal(
            notebook,
            queue,
            lambda env: load_inventory([env], context.obj),
            who(),
            key=typer.getchar,
            line=lambda ask: str(typer.prompt(ask, default="", show_default=False)),
            page=pydoc.pager,
        )
        terminal.run()
        return
    waiting = [seen(p, Lab(notebook, load_inventory([p.env_name], context.obj))) for p in undecided(queue)]
    if as_json:
        emit_json([one.model_dump(mode="json") for one in waiting])
        return
    for one in waiting:
        show(one, notebook)
    if not waiting:
        say("nothing waits for a decision")
        return
    how = "'autopilot review' on a terminal, or 'autopilot approve ID', 'reject', 'edit'"
    say(f"\n{len(waiting)} wait{'s' if len(waiting) == 1 else ''} for a decision: {how}")


def web(
    context: typer.Context,
    host: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Where it listens; other than this machine's own only with a token.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(parser=whole("port", 65535, low=0), metavar="N", help="0 for a free one.")
    ] = 8321,
    token: Annotated[
        str | None, typer.Option(help="What a browser from elsewhere has to bring; a new one if not given.")
    ] = None,
    browser: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
) -> None:
    """The review and more on a local page: tonight, runs, reports, curves, search, proposals, decisions."""
    from functools import lru_cache

    from review.page import Page
    from review.serve import address_of, listening, serve
    from training import load_inventory

    bound, guard = listening(host, port, token)
    page = Page(context.obj, lru_cache(lambda env: load_inventory([env], context.obj)), f"{who()}, web", guard)
    address = address_of(bound, guard)
    typer.echo(f"{address} shows {context.obj.root}; Ctrl-C ends it")
    if browser:
        typer.launch(address)
    serve(page, bound)
