"""The command line: wiring only. It may import anything, lazily, and nothing imports it.

Exit status: 0 done, 1 it failed, 2 the call or the config is wrong. An error is one line on standard error.
"""

import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from lab.errors import AutopilotError, InvalidInput, Problem
from lab.paths import Workspace

if TYPE_CHECKING:
    from agent.session import Session
    from lab.config import Config
    from lab.inventory import Inventory
    from lab.notebook import Notebook
    from lab.records import SessionRecord


def whole(key: str, high: int = 10**12) -> Callable[[Any], int]:
    """A reader of whole numbers from 1 to `high`."""

    def read(text: Any) -> int:
        try:
            value = int(str(text).replace("_", ""))
        except ValueError:
            value = 0
        if not 1 <= value <= high:
            rule = f"must be a whole number from 1{f' to {high}' if high < 10**12 else ' on'}"
            raise InvalidInput([Problem(key=key, value=repr(text), rule=rule, valid=str(min(max(value, 1), high)))])
        return value

    return read


def hours_of(text: Any) -> float:
    """Read a budget of time."""
    try:
        value = float(str(text))
    except ValueError:
        value = 0.0
    if not 0 < value <= 24 * 365:
        valid = "such as 8 or 0.5"
        raise InvalidInput([Problem(key="hours", value=repr(text), rule="must be a number above 0", valid=valid)])
    return value


app = typer.Typer(
    name="autopilot",
    help="Trains PufferLib policies through the night: reads each run, writes its report, stages the next config.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "auto_envvar_prefix": "AUTOPILOT"},
)

EnvOption = Annotated[str, typer.Option("--env", help="PufferLib's name of the environment.")]
PresetOption = Annotated[str, typer.Option(help="quick (seconds to a minute) or full (PufferLib's own length).")]
ObjectiveOption = Annotated[str | None, typer.Option(help="METRIC:max or METRIC:min; else the environment's own.")]
SeedsOption = Annotated[
    int | None, typer.Option(parser=whole("seeds", 64), metavar="N", help="Replicates of each run; else the preset's.")
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Set a key, such as train.ent_coef=0.01."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="For programs.")]


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
        typer.Option("--version", envvar=[], is_eager=True, callback=_version, help="Print the version and end."),
    ] = False,
) -> None:
    """Find the workspace and its settings: flags over environment over autopilot.toml."""
    from agent.settings import defaults, find_workspace

    context.obj = find_workspace(workspace)
    context.default_map = defaults(context.obj, set(app_commands()))


def app_commands() -> list[str]:
    """Names of all commands."""
    return [command.name or command.callback.__name__ for command in app.registered_commands if command.callback]


# --- sessions ----------------------------------------------------------------------------------------------------


@app.command()
def start(
    context: typer.Context,
    env: EnvOption = "puffer_cartpole",
    preset: PresetOption = "quick",
    objective: ObjectiveOption = None,
    model: Annotated[
        str, typer.Option(help="'offline', or a model's name at an OpenAI-compatible endpoint.")
    ] = "offline",
    base_url: Annotated[str | None, typer.Option(help="The endpoint, over OPENAI_BASE_URL.")] = None,
    approve: Annotated[str, typer.Option(help="auto, or manual: each proposal waits for you.")] = "manual",
    hours: Annotated[float | None, typer.Option(parser=hours_of, metavar="H", help="Budget of time.")] = None,
    max_runs: Annotated[int | None, typer.Option(parser=whole("max-runs"), metavar="N", help="Budget of runs.")] = None,
    max_tokens: Annotated[
        int | None, typer.Option(parser=whole("max-tokens"), metavar="N", help="Budget of the model's tokens.")
    ] = None,
    seeds: SeedsOption = None,
    settings: SetOption = None,
) -> None:
    """Start a session: baseline, then analyse, report, stage, approve and train until a budget ends."""
    from lab.records import Budgets, SessionRecord, new_id, now

    if approve not in ("auto", "manual"):
        raise InvalidInput([Problem(key="approve", value=repr(approve), rule="is unknown", valid="auto | manual")])
    workspace: Workspace = context.obj
    inventory, config, goal = _prepare(workspace, env, preset, objective, seeds, settings)
    created = now()
    mode: Literal["auto", "manual"] = "auto" if approve == "auto" else "manual"
    record = SessionRecord(
        session_id=new_id(created),
        env_name=env,
        preset=preset,
        objective=goal,
        model=model,
        base_url=base_url,
        approve=mode,
        seeds=int(config.autopilot["seeds"] or 1),
        settings=_assignments(settings),
        budgets=Budgets(hours=hours, max_runs=max_runs, max_tokens=max_tokens),
        created=created,
    )
    _run_session(workspace, inventory, record)


@app.command()
def resume(
    context: typer.Context,
    session: Annotated[
        str | None, typer.Argument(help="Which one; the latest that has not ended if not given.")
    ] = None,
) -> None:
    """Go on with an interrupted session, with what is left of its budgets."""
    from lab.files import read_model
    from lab.records import SessionRecord
    from training.machine import load_inventory

    workspace: Workspace = context.obj
    names = sorted((path.name for path in workspace.sessions.glob("*")), reverse=True)
    records = [read_model(workspace.session(name).session, SessionRecord) for name in ([session] if session else names)
               if workspace.session(name).session.exists()]  # fmt: skip
    record = next((found for found in records if found.ended is None), None)
    if record is None:
        ended = f"session {session} has ended" if session and records else "there is no session to go on with"
        raise InvalidInput(f"{ended}: 'autopilot start' begins one")
    _run_session(workspace, load_inventory([record.env_name]), record)


@app.command()
def stop(context: typer.Context) -> None:
    """Interrupt the running session; 'autopilot resume' goes on with it."""
    from agent.show import status as look

    holder = look(context.obj)["running"]
    if holder is None:
        raise InvalidInput(f"no session is running in {context.obj.root}")
    os.kill(int(holder["pid"]), signal.SIGINT)
    typer.echo(f"asked session {holder['session']} (process {holder['pid']}) to stop")


@app.command()
def status(context: typer.Context, as_json: JsonOption = False) -> None:
    """What goes on, how far it is, what waits for a decision."""
    from agent.show import emit_json, print_status
    from agent.show import status as look

    found = look(context.obj)
    emit_json(found) if as_json else print_status(found)


# --- runs --------------------------------------------------------------------------------------------------------


@app.command()
def train(
    context: typer.Context,
    env: EnvOption = "puffer_cartpole",
    preset: PresetOption = "quick",
    objective: ObjectiveOption = None,
    seeds: SeedsOption = None,
    settings: SetOption = None,
    run_id: Annotated[str | None, typer.Option(help="Name of the run; else a new one.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Train one config, without an agent."""
    from agent.live import LineView, make_view
    from agent.show import emit_json, run_row, show_run
    from lab.notebook import Notebook
    from lab.records import RunState
    from training.runner import ProcessRunner, Stopped, train_run, usable_cores

    workspace: Workspace = context.obj
    inventory, config, goal = _prepare(workspace, env, preset, objective, seeds, settings)
    notebook = Notebook(workspace)
    workspace.create()
    runner = ProcessRunner(usable_cores())
    runner.warm(int(config.autopilot["threads"] or 1))
    view = _Silent() if as_json else make_view()
    try:
        run = notebook.create(
            config, _assignments(settings), preset=preset, objective=goal, arm="person", run_id=run_id
        )
        view.training(run, f"{env}, {preset}")
        with _stopping() as stopping:
            run = train_run(notebook, runner, inventory, run.run_id, view.progress, stopping.is_set)
    except Stopped:
        _drop(notebook, run.run_id)
        raise AutopilotError(f"run {run.run_id} was stopped; what it had done is kept in {workspace.runs}") from None
    finally:
        runner.close()
        if not isinstance(view, (LineView, _Silent)):
            view.close()
    if as_json:
        emit_json(run_row(notebook, run))
    else:
        show_run(notebook, run)
    if run.state is not RunState.FINISHED:
        raise AutopilotError(f"run {run.run_id} ended as {run.state}: {run.reason}")


@app.command()
def runs(
    context: typer.Context,
    env: Annotated[str | None, typer.Option("--env", help="Only this environment's.")] = None,
    limit: Annotated[int, typer.Option(parser=whole("limit"), metavar="N", help="How many, the latest.")] = 50,
    as_json: JsonOption = False,
) -> None:
    """The runs of this workspace."""
    from agent.show import emit_json, run_row, runs_table
    from lab.notebook import Notebook

    notebook = Notebook(context.obj)
    found = [run for run in notebook.runs() if env in (None, run.env_name)][-limit:]
    emit_json([run_row(notebook, run) for run in found]) if as_json else runs_table(notebook, found)


@app.command()
def show(context: typer.Context, run: str, as_json: JsonOption = False) -> None:
    """One run: state, lineage, metrics."""
    from agent.show import emit_json, run_row, show_run
    from lab.notebook import Notebook

    notebook = Notebook(context.obj)
    record = notebook.run(run)
    if as_json:
        summary = notebook.summary(run)
        more = {"record": record.model_dump(mode="json"), "config": notebook.config(run).model_dump()}
        emit_json(
            {
                **run_row(notebook, record),
                **more,
                "summary": summary.model_dump(mode="json") if summary else None,
            }
        )
    else:
        show_run(notebook, record)


@app.command()
def report(context: typer.Context, run: str) -> None:
    """One run's report."""
    from agent.show import print_markdown
    from lab.errors import NotFound
    from lab.notebook import Notebook

    path = Notebook(context.obj).paths(run).report
    if not path.exists():
        raise NotFound(f"run {run!r} has no report: only a session writes them")
    print_markdown(path.read_text(encoding="utf-8"))


# --- proposals ---------------------------------------------------------------------------------------------------


@app.command()
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


@app.command()
def approve(context: typer.Context, proposal: str) -> None:
    """Approve a staged proposal: it runs next."""
    from lab.notebook import Notebook
    from lab.proposals import Proposals, refuse_unfit
    from lab.records import ProposalState
    from training.machine import load_inventory

    queue, notebook = Proposals(context.obj), Notebook(context.obj)
    inventory = load_inventory([queue.get(proposal).env_name])
    queue.decide(
        proposal,
        ProposalState.APPROVED,
        _who(),
        check=lambda newest: refuse_unfit(newest, notebook, inventory),
    )
    typer.echo(f"approved {proposal}")


@app.command()
def reject(
    context: typer.Context,
    proposal: str,
    why: Annotated[str, typer.Option(help="The reason; the next analysis reads it.")],
) -> None:
    """Reject a proposal, with a reason."""
    from lab.proposals import Proposals
    from lab.records import ProposalState
    from lab.text import plain

    if not why.strip():
        raise InvalidInput([Problem(key="why", value=repr(why), rule="must say something", valid="a short reason")])
    Proposals(context.obj).decide(proposal, ProposalState.REJECTED, _who(), plain(why.strip(), 1000))
    typer.echo(f"rejected {proposal}")


@app.command()
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
    new = amended(queue.get(proposal), _assignments(settings), _who())
    refuse_unfit(new, notebook, load_inventory([new.env_name]))
    queue.stage(new)
    typer.echo(f"staged {new.proposal_id} in the place of {proposal}")


# --- the machine -------------------------------------------------------------------------------------------------


@app.command()
def doctor(
    context: typer.Context,
    space: Annotated[str | None, typer.Option(metavar="ENV", help="Print the search space of an environment.")] = None,
    as_json: JsonOption = False,
) -> None:
    """What is installed, which device is used, what can be trained, whether a model is configured."""
    from agent.doctor import as_json as report_json
    from agent.doctor import examine
    from agent.show import emit_json, print_space

    if space is not None:
        from training.machine import load_inventory

        print_space(load_inventory().environment(space))
        return
    checks, inventory = examine(context.obj)
    if as_json:
        emit_json(report_json(checks, inventory))
    else:
        for check in checks:
            typer.echo(f"{'ok ' if check.ok else 'BAD'}  {check.name:13} {check.found}")
        if inventory is not None:
            usable = [name for name, found in inventory.environments.items() if found.refused is None]
            typer.echo(f"\ncan be trained: {', '.join(usable)}")
            typer.echo("refused:")
            for name, found in inventory.environments.items():
                if found.refused is not None:
                    typer.echo(f"  {name}: {found.refused}")
    bad = [f"{check.name}: {check.remedy}" for check in checks if not check.ok]
    if bad:
        raise AutopilotError("; ".join(bad))


# --- shared ------------------------------------------------------------------------------------------------------


def _prepare(
    workspace: Workspace,
    env: str,
    preset: str,
    objective: str | None,
    seeds: int | None,
    settings: list[str] | None,
) -> "tuple[Inventory, Config, str]":
    """Check everything that a person gave before anything is written."""
    from lab.environments import objective_of, preset_config
    from lab.validate import check_config, check_overrides
    from training.machine import load_inventory

    workspace.require_writable()
    overrides = _assignments(settings)
    metric, direction = objective_of(objective, env)
    inventory = load_inventory([env])
    base = preset_config(inventory.environment(env), preset)
    if seeds is not None:
        base = base.with_overrides({"autopilot.seeds": seeds})
    if problems := check_overrides(base, overrides, inventory):
        raise InvalidInput(problems)
    config = base.with_overrides(overrides)
    check_config(config, inventory)
    return inventory, config, f"{metric}:{direction}"


def _assignments(settings: list[str] | None) -> dict[str, Any]:
    """`KEY=VALUE` pairs; a value is JSON where it can be read as such, else a text."""
    import json

    found: dict[str, Any] = {}
    for item in settings or ():
        key, equals, text = item.partition("=")
        if not equals or not key.strip():
            raise InvalidInput(
                [Problem(key="set", value=repr(item), rule="is not KEY=VALUE", valid="train.ent_coef=0.01")]
            )
        try:
            found[key.strip()] = json.loads(
                text.strip().replace("_", "") if text.strip().replace("_", "").isdigit() else text
            )
        except ValueError:
            found[key.strip()] = text.strip()
    return found


def _run_session(workspace: Workspace, inventory: "Inventory", record: "SessionRecord") -> None:
    from agent.analysis import Analyst
    from agent.live import LineView, make_view
    from agent.session import Session
    from agent.show import print_markdown
    from lab.notebook import Notebook
    from lab.proposals import Proposals
    from training.runner import ProcessRunner, usable_cores

    model = _model(record.model, record.base_url)
    workspace.create()
    notebook, view = Notebook(workspace), make_view()
    with _stopping() as stopping:
        analyst = Analyst(notebook, Proposals(workspace), inventory, model, record.session_id, stopping.is_set)
        runner = ProcessRunner(usable_cores())
        session: Session = Session(record, notebook, inventory, runner, analyst, view, stopping)
        _greet(view, session)
        try:
            record = session.run()
        finally:
            if not isinstance(view, LineView):
                view.close()
    print_markdown(workspace.session(record.session_id).digest.read_text(encoding="utf-8"))
    if record.ended is None:
        typer.echo(f"\ninterrupted; to go on: autopilot resume {record.session_id}")
    elif not any(run.state == "finished" for run in session.mine()):
        raise AutopilotError(f"session {record.session_id} ended without a finished run: {record.ended_because}")


def _greet(view: Any, session: "Session") -> None:
    record = session.record
    limits = [f"{record.budgets.hours:g} h" if record.budgets.hours else "",
              f"{record.budgets.max_runs} runs" if record.budgets.max_runs else "",
              f"{record.budgets.max_tokens:,} tokens" if record.budgets.max_tokens else ""]  # fmt: skip
    view.note(
        f"session {record.session_id}: {record.env_name}, {record.preset}, {record.objective}, model {record.model},"
        f" approval {record.approve}, budget {', '.join(filter(None, limits)) or 'none (Ctrl-C ends it)'}"
    )


def _model(name: str, base_url: str | None) -> Any:
    if name == "offline":
        from agent.offline import OfflineResearcher

        return OfflineResearcher()
    from agent.openai_chat import OpenAIChat

    return OpenAIChat(name, base_url)


class _Silent:
    """Shows nothing: standard output is for JSON."""

    def note(self, text: str) -> None:
        """Nothing."""

    def training(self, run: object, what: str) -> None:
        """Nothing."""

    def progress(self, progress: object) -> None:
        """Nothing."""


class _stopping:  # noqa: N801 - reads as a verb
    """Ctrl-C or SIGTERM once: stop cleanly. A second time: at once."""

    def __enter__(self) -> Any:
        import threading

        event = threading.Event()

        def handle(number: int, frame: object) -> None:
            if event.is_set():
                raise KeyboardInterrupt
            event.set()

        self._before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
        return event

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)


def _drop(notebook: "Notebook", run_id: str) -> None:
    from lab.records import RunState

    notebook.fail(run_id, RunState.KILLED, "stopped by the user")


def _who() -> str:
    import getpass

    try:
        return f"person {getpass.getuser()}"
    except (KeyError, OSError):
        return "person"


def main(arguments: Sequence[str] | None = None) -> None:
    """The entry point: runs a command and turns every expected error into one line and an exit status."""
    from typer.exceptions import TyperException

    try:
        status = app(args=list(arguments) if arguments is not None else None, standalone_mode=False)
        sys.exit(status if isinstance(status, int) else 0)
    except TyperException as error:
        _fail(error.format_message(), error.exit_code)
    except AutopilotError as error:
        _fail(str(error), error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        _fail("interrupted", 130)
    except BrokenPipeError:  # the reader of our output has gone: `autopilot runs | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        sys.exit(0)


def _fail(message: str, code: int) -> None:
    sys.stderr.write(f"autopilot: {' '.join(message.split())}\n")
    sys.exit(code)


if __name__ == "__main__":
    main()
