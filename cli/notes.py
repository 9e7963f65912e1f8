"""Notes and comments: what a person wants every analysis, or the next ones, to know."""

from typing import Annotated

import typer

from cli.options import JsonOption, who
from lab.base import plain

SHOWN = 12
"""Entries of the research log that are printed, the latest."""


def note(
    context: typer.Context,
    text: Annotated[str | None, typer.Argument(help="What every analysis should know.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Add to notes.md, which every analysis reads; without a text, open it in $EDITOR, or print it."""
    import os
    import shlex
    import subprocess
    import sys

    from lab.store import add_note, log_lines, notes_in
    from report import emit_json, say

    workspace = context.obj
    if text is not None:
        typer.echo(plain(add_note(workspace, text), 4000).rstrip())
        return
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR")
    if editor and not as_json and sys.stdin.isatty() and sys.stdout.isatty():
        workspace.root.mkdir(parents=True, exist_ok=True)
        raise typer.Exit(subprocess.call([*shlex.split(editor), str(workspace.notes)]))  # noqa: S603 - the user's own
    notes, kept = notes_in(workspace), log_lines(workspace)[-SHOWN:]
    if as_json:
        emit_json({"notes": notes, "research_log": [one.model_dump(mode="json") for one in kept]})
        return
    say(notes or f"no notes yet: 'autopilot note \"…\"' adds one to {workspace.notes}")
    for one in kept:
        say(f"{one.arm} on {one.run_id}: {plain(one.text, 600)}")


def comment(
    context: typer.Context,
    about: Annotated[str, typer.Argument(metavar="RUN|PROPOSAL", help="What it is about.")],
    text: Annotated[str, typer.Argument(help="What the next analyses should know of it.")],
) -> None:
    """Comment on a run, its report, or a proposal: the next analyses read it."""
    from lab.store import add_comment

    kept = add_comment(context.obj, about, who(), text)
    typer.echo(f"kept; the next analyses read it with {kept.about}")
