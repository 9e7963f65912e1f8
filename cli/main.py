"""The command line: wiring only. It may import anything, lazily, and nothing imports it.

Exit status: 0 done, 1 it failed, 2 the call or the config is wrong. An error is one line on standard error.
"""

import errno
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from cli import agents, looking, machine, mirrors, notes, proposals, runs, sessions, skills, starting
from cli.help import Command, Group
from cli.output import tolerate_no_reader
from cli.settings import Option
from lab.base import FULL, AutopilotError, full_text, no_more_text, plain

app = typer.Typer(
    name="autopilot",
    cls=Group,
    help="Trains PufferLib policies through the night: reads each run, writes its report, stages the next config.",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "auto_envvar_prefix": "AUTOPILOT"},
)


FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)
"""The system's errors where something may not be read or written."""


TRAIN = ("start", "resume", "train", "confirm")
"""Commands that train."""
READ = (
    "resume", "stop", "status", "digest", "runs", "arms", "show", "compare", "report", "logs", "name", "check",
    "replay", "export", "mirror", "proposals", "review", "approve", "reject", "edit", "comment", "confirm",
)  # fmt: skip
"""Commands about what is there already: in a folder that is not there they would only hide a slip of the pen."""


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"autopilot {version('autopilot')}")
        raise typer.Exit


@app.callback()
def common(
    context: typer.Context,
    workspace: Annotated[
        Path | None, typer.Option(envvar="AUTOPILOT_WORKSPACE", help="Folder of runs and proposals.")
    ] = None,
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            envvar=[],
            show_envvar=False,
            is_eager=True,
            callback=_version,
            help="Print the version and end.",
        ),
    ] = False,
) -> None:
    """Find the workspace and its settings: flags over environment over autopilot.toml."""
    from cli.settings import check_environment, defaults, every_table, find_workspace

    context.obj = find_workspace(workspace)
    if context.invoked_subcommand not in ("doctor", "init"):  # which says it beside whatever else is wrong; makes one
        context.obj.require_folder()
    if context.invoked_subcommand in READ:
        context.obj.require_there()
    options = options_of(context)
    context.default_map = defaults(context.obj, options)
    if (command := context.invoked_subcommand) in options:
        check_environment(command, options)
    if command in TRAIN:  # a table that only a model or a notification would read must not wait for either
        every_table().of(context.obj)


def options_of(context: typer.Context) -> dict[str, dict[str, Option]]:
    """Name of each command to its options, by the names that they may have in `autopilot.toml`: flag or parameter."""
    commands: dict[str, Any] = getattr(context.command, "commands", {})
    options: dict[str, dict[str, Option]] = {}
    for name, command in commands.items():
        options[name] = {}
        for parameter in command.params:
            flags = [text.lstrip("-").replace("-", "_") for text in parameter.opts]
            each = (parameter.metavar or "…") if getattr(parameter, "multiple", False) else None
            option = Option(parameter.name, flags[0], each)
            options[name] |= dict.fromkeys((*flags, parameter.name), option)
    return options


SESSIONS = (sessions.start, sessions.resume, sessions.stop, sessions.status, looking.digest)
TRAINING = (runs.train, runs.confirm)
RECORD = (
    runs.runs, runs.arms, runs.show, runs.compare, runs.report, looking.logs, looking.name, runs.check, runs.replay,
    runs.export, mirrors.mirror,
)  # fmt: skip
PROPOSALS = (proposals.proposals, proposals.review, proposals.approve, proposals.reject, proposals.edit, proposals.web)
NOTES = (notes.note, notes.comment)
MACHINE = (starting.init, machine.probe, machine.doctor, agents.mcp, skills.skill)
ABOUT = {"A session": SESSIONS, "Trainings of your own": TRAINING, "Proposals": PROPOSALS, "The record": RECORD,
         "What you tell it": NOTES, "This machine": MACHINE}  # fmt: skip
for title, named in ABOUT.items():
    for command in named:
        app.command(cls=Command, rich_help_panel=title)(command)
app.command("import", cls=Command, rich_help_panel="The record")(runs.import_runs)


def main(arguments: Sequence[str] | None = None) -> None:
    """The entry point: runs a command and turns every expected error into one line and an exit status."""
    from typer.exceptions import TyperException

    tolerate_no_reader()
    # Before numpy is there: the search's models are small, and threads that wait for each other beside trainings made
    # them ten times as slow. Workers are told their own number.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        given = list(sys.argv[1:] if arguments is None else arguments)
        status = app(args=given or ["--help"], standalone_mode=False)
        sys.exit(status if isinstance(status, int) else 0)
    except TyperException as error:
        text = error.format_message()
        before = "--workspace" in text and "No such option" in text
        hint = ": it stands before the command, as in 'autopilot --workspace DIR status'" if before else ""
        if text.startswith("No such command"):
            hint = " 'autopilot --help' lists them"
        _fail(f"{text}{hint}", error.exit_code)
    except AutopilotError as error:
        _fail(str(error), error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        _fail("interrupted", 130)
    except OSError as error:
        if error.errno == errno.EAGAIN:
            _fail(no_more_text(error), 1)
        if error.errno in FORBIDDEN:
            why = f"can't be used ({error.strerror}): its permissions have to allow it, or --workspace names another"
            _fail(f"{error.filename or 'the workspace'} {why}", 2)
        if error.errno not in FULL:
            raise
        _fail(full_text(error, Path(error.filename or "the workspace")), 1)
    except RuntimeError as error:
        if "can't start new thread" not in str(error):
            raise
        _fail(no_more_text(error), 1)


def _fail(message: str, code: int) -> None:
    sys.stderr.write(f"autopilot: {' '.join(plain(message, 4000).split())}\n")
    sys.exit(code)


if __name__ == "__main__":
    main()
