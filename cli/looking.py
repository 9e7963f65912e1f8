"""What a night left: its digest, a run's log, what runs are called. Slow imports happen where they are needed."""

import re
from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import JsonOption, whole
from lab.base import InvalidInput, NotFound, Workspace, invalid

if TYPE_CHECKING:
    from lab.store import Notebook

RunArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="[RUN]",
        help="Its number, part of its id, its name, or latest, incumbent, leader, baseline; latest if not given.",
    ),
]


def called(notebook: "Notebook", said: str | None) -> str:
    """The id of the run that a person means; what `latest` passes over is said on standard error.

    Args:
        notebook: where it is.
        said: as `lab.store.run_called` takes it; None for the latest.
    """
    from lab.store import run_called

    found = run_called(notebook, "latest" if said is None else said)
    newest = notebook.index.rows(order="newest", limit=1) if said in (None, "latest") else []
    if newest and newest[0].run_id != found:
        what = f"more seeds of #{notebook.index.number_of(newest[0].replicates_of or found)}"
        number = notebook.index.number_of(found)
        typer.echo(f"latest is #{number}: #{newest[0].number} is {what}, which count with that run", err=True)
    return found


def env_called(notebook: "Notebook", said: str) -> str:
    """The environment of runs here that a person means, by its name or the end of it, as lists print it.

    Raises:
        InvalidInput: no run is of such a one, or those of several are.
    """
    from lab.store import Questions

    there = sorted(Questions(notebook.index).kinds()["env_name"])
    fits = [said] if said in there else [one for one in there if re.search(rf"(?<![^\W_]){re.escape(said)}$", one)]
    if len(fits) == 1:
        return fits[0]
    rule = "is the end of several environments' names" if fits else "has no runs here"
    raise invalid("env", said, rule, ", ".join(fits or there) or "none, since there are no runs yet")


def latest_reported(notebook: "Notebook") -> str:
    """The latest run that has a report.

    Raises:
        NotFound: none has.
    """
    from lab.store import Selection

    for row in notebook.index.rows(Selection(own=True), order="newest"):
        if notebook.workspace.run(row.run_id).report.exists():
            return row.run_id
    raise NotFound("no run has a report yet: a session writes one when a run has ended ('autopilot start')")


def digest(
    context: typer.Context,
    session: Annotated[
        str | None, typer.Argument(metavar="[SESSION]", help="Its id, part of it, or latest; else latest.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """What a night came to: its headline, what waits, contenders, runs, what was learnt."""
    from lab.store import Notebook, Proposals, Sessions
    from report import digest_now, emit_json, headline_of, print_markdown

    workspace: Workspace = context.obj
    notebook, proposals = Notebook(workspace), Proposals(workspace)
    record = Sessions(workspace).named(session)
    text = digest_now(notebook, proposals, record)
    if as_json:
        headline = headline_of(notebook, proposals, record)
        emit_json({"session": record.session_id, "headline": headline.model_dump(mode="json"), "digest": text})
    else:
        print_markdown(text)


def logs(
    context: typer.Context,
    run: RunArgument = None,
    seed: Annotated[int | None, typer.Option(metavar="N", help="Of this replicate; else of the first.")] = None,
    lines: Annotated[int, typer.Option(parser=whole("lines"), metavar="N", help="The last lines.")] = 40,
) -> None:
    """What a replicate printed while it trained."""
    from lab.base import plain
    from lab.store import Notebook, log_tail

    notebook = Notebook(context.obj)
    record = notebook.run(called(notebook, run))
    if seed is not None and seed not in record.seeds:
        raise invalid("seed", seed, f"is none of run {record.run_id}", ", ".join(map(str, record.seeds)))
    told = log_tail(notebook.paths(record.run_id), record.seeds[0] if seed is None else seed, lines)
    if not told:
        raise NotFound(f"run {record.run_id} has no log of seed {record.seeds[0] if seed is None else seed}")
    for line in told:
        typer.echo(plain(line, 1000))


def name(
    context: typer.Context,
    run: str,
    text: Annotated[str | None, typer.Argument(metavar="[NAME]", help="Up to 60 characters; '' takes it away.")] = None,
    tag: Annotated[
        list[str] | None, typer.Option("--tag", metavar="WORD", help="Tag it; again for more. '' takes all away.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Give a run a name of your own, or tags; lists, titles and legends show it beside its number."""
    from lab.store import Notebook, give_name
    from report import emit_json, name_text

    if text is None and tag is None:
        raise InvalidInput("no name is given: it takes a NAME ('' takes one away), --tag WORD, or both")
    context.obj.require_writable()
    notebook = Notebook(context.obj)
    run_id = called(notebook, run)
    tags = None if tag is None else tuple(word for word in tag if word)
    named = give_name(notebook, run_id, text, tags)
    if as_json:
        emit_json(named.model_dump(mode="json"))
        return
    words = f" [{', '.join(named.tags)}]" if named.tags else ""
    typer.echo(f"{run_id} is {name_text(notebook, notebook.run(run_id))}{words}")
