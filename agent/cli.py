"""The command line: wiring only. It may import anything, lazily, and nothing imports it.

Exit status: 0 done, 1 it failed, 2 the call or the config is wrong. An error is one line on standard error.
"""

import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from agent.options import (
    EnvOption,
    JsonOption,
    MinEffectOption,
    ObjectiveOption,
    ParallelOption,
    PresetOption,
    SeedsOption,
    SetOption,
    TensorboardOption,
    WandbOption,
    assignments,
    dollars_of,
    hours_of,
    minutes_of,
    mirrors_of,
    who,
    whole,
)
from lab.errors import AutopilotError, InvalidInput, Problem
from lab.paths import Workspace
from lab.text import plain

if TYPE_CHECKING:
    from lab.notebook import Notebook
    from lab.records import RunRecord

app = typer.Typer(
    name="autopilot",
    help="Trains PufferLib policies through the night: reads each run, writes its report, stages the next config.",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "auto_envvar_prefix": "AUTOPILOT"},
)


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
    max_dollars: Annotated[
        float | None, typer.Option(parser=dollars_of, metavar="X", help="Budget of money, at the model's price.")
    ] = None,
    seeds: SeedsOption = None,
    settings: SetOption = None,
    prune: Annotated[
        bool, typer.Option("--prune", help="End runs early that look hopeless beside their peers.")
    ] = False,
    min_effect: MinEffectOption = None,
    parallel: ParallelOption = None,
    tensorboard: TensorboardOption = False,
    wandb: WandbOption = False,
) -> None:
    """Start a session: baseline, then analyse, report, stage, approve and train until a budget ends."""
    from agent.launch import prepare, run_session
    from lab.environments import task_of
    from lab.records import Budgets, SessionRecord, new_id, now

    if approve not in ("auto", "manual"):
        raise InvalidInput([Problem(key="approve", value=repr(approve), rule="is unknown", valid="auto | manual")])
    workspace: Workspace = context.obj
    inventory, config, goal = prepare(workspace, env, preset, objective, seeds, settings)
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
        settings=assignments(settings),
        task=task_of(config),
        prune=prune,
        mirrors=mirrors_of(tensorboard=tensorboard, wandb=wandb),
        parallel=parallel,
        min_effect=min_effect,
        budgets=Budgets(hours=hours, max_runs=max_runs, max_tokens=max_tokens, max_dollars=max_dollars),
        created=created,
    )
    run_session(workspace, inventory, record)


@app.command()
def resume(
    context: typer.Context,
    name: Annotated[
        str | None,
        typer.Argument(metavar="[SESSION|RUN]", help="Which one; the latest session that has not ended if not given."),
    ] = None,
) -> None:
    """Go on with an interrupted session, with what is left of its budgets, or train an interrupted run again."""
    from agent.launch import Manner, carry_out, run_session, run_to_resume, session_to_resume
    from lab.notebook import Notebook
    from training.machine import load_inventory

    run = run_to_resume(context.obj, name) if name else None
    if run is not None:
        inventory = load_inventory([run.env_name], context.obj)
        _tell(Notebook(context.obj), carry_out(context.obj, inventory, run, Manner()), as_json=False)
        return
    record = session_to_resume(context.obj, name)
    run_session(context.obj, load_inventory([record.env_name], context.obj), record)


@app.command()
def stop(context: typer.Context) -> None:
    """Interrupt the running session; 'autopilot resume' goes on with it."""
    from agent.show import status as look

    holder = look(context.obj)["running"]
    if holder is None:
        raise InvalidInput(f"no session is running in {context.obj.root}")
    if holder["pid"] is None:
        raise AutopilotError("the session is only just starting: try again in a moment")
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
    control_of: Annotated[
        str | None, typer.Option(metavar="RUN", help="Go on from the weights that RUN went on from, unchanged.")
    ] = None,
    parallel: ParallelOption = None,
    tensorboard: TensorboardOption = False,
    wandb: WandbOption = False,
    as_json: JsonOption = False,
) -> None:
    """Train one config, without an agent."""
    from agent.launch import Manner, prepare, train_control, train_once
    from lab.notebook import Notebook

    workspace: Workspace = context.obj
    mirrors = mirrors_of(tensorboard=tensorboard, wandb=wandb)
    manner = Manner(silent=as_json, parallel=parallel, mirrors=mirrors)
    if control_of is not None:
        if settings or seeds is not None:
            rule, valid = "changes nothing of the run that it is a control of", "no --set and no --seeds"
            raise InvalidInput([Problem(key="control-of", value=control_of, rule=rule, valid=valid)])
        _tell(Notebook(workspace), train_control(workspace, control_of, run_id, manner), as_json=as_json)
        typer.echo(f"'autopilot compare {control_of}' compares the two", err=True)
        return
    inventory, config, goal = prepare(workspace, env, preset, objective, seeds, settings)
    fields = {"preset": preset, "objective": goal, "run_id": run_id}
    run = train_once(workspace, inventory, config, assignments(settings), manner, **fields)
    _tell(Notebook(workspace), run, as_json=as_json)


def _tell(notebook: "Notebook", run: "RunRecord", *, as_json: bool) -> None:
    """What came of a person's run."""
    from agent.show import emit_json, run_row, show_run
    from lab.records import RunState

    emit_json(run_row(notebook, run)) if as_json else show_run(notebook, run)
    if run.state is not RunState.FINISHED:
        raise AutopilotError(f"run {run.run_id} ended as {run.state}: {run.reason}")


@app.command()
def confirm(
    context: typer.Context,
    run: str,
    min_effect: MinEffectOption = None,
    parallel: ParallelOption = None,
    as_json: JsonOption = False,
) -> None:
    """Train a run and the incumbent on fresh seeds until it is clear whether it takes that place."""
    from agent.launch import Manner, confirm_run
    from agent.show import emit_json, print_confirmation

    found = confirm_run(context.obj, run, min_effect, Manner(silent=as_json, parallel=parallel))
    emit_json(found.model_dump(mode="json")) if as_json else print_confirmation(found)


@app.command()
def runs(
    context: typer.Context,
    env: Annotated[str | None, typer.Option("--env", help="Only this environment's.")] = None,
    limit: Annotated[int, typer.Option(parser=whole("limit"), metavar="N", help="How many, the latest.")] = 50,
    rebuild: Annotated[bool, typer.Option("--rebuild", help="Make the index again from the folders first.")] = False,
    as_json: JsonOption = False,
) -> None:
    """The runs of this workspace."""
    from agent.show import emit_json, run_row, runs_table
    from lab.notebook import Notebook

    notebook = Notebook(context.obj)
    if rebuild:
        count = notebook.index.rebuild()
        typer.echo(f"indexed {count} folder{'' if count == 1 else 's'}", err=True)
    found = notebook.latest(limit, env)
    emit_json([run_row(notebook, run) for run in found]) if as_json else runs_table(notebook, found)


@app.command("import")
def import_runs(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folders of runs, or one run's own.")],
    objective: ObjectiveOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take in runs of another system, to be read and compared with; what is odd about them is flagged."""
    from agent.show import emit_json
    from lab.legacy import look, store

    context.obj.require_writable()
    found = look(folder, objective)
    names = store(context.obj, found)
    if as_json:
        emit_json([{"run_id": run.record.run_id, "state": run.record.state.value, "flags": list(run.record.flags)}
                   for run in found])  # fmt: skip
        return
    for run in found:
        flags = f"; {len(run.record.flags)} flagged: 'autopilot show {run.record.run_id}'" if run.record.flags else ""
        typer.echo(f"{run.record.run_id}: {run.record.env_name}, {run.record.state}{flags}")
    typer.echo(f"imported {len(names)} run{'' if len(names) == 1 else 's'}")


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
def compare(
    context: typer.Context,
    run: str,
    against: Annotated[
        str | None, typer.Argument(metavar="[RUN]", help="Its control or the incumbent if not given.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Two runs: the verdict with its interval, whether they are like with like, what changed, their metrics."""
    from agent.show import emit_json, print_comparison
    from lab.notebook import Notebook
    from tools.reading import comparison

    notebook = Notebook(context.obj)
    found = comparison(notebook, run, against or notebook.rival(run))
    emit_json(found) if as_json else print_comparison(found)


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


@app.command()
def replay(context: typer.Context, run: str, as_json: JsonOption = False) -> None:
    """Analyse a run again from its transcript, without a model or a network, and compare what comes out."""
    from dataclasses import asdict

    from agent.replay import replay as again
    from agent.show import emit_json
    from lab.notebook import Notebook
    from training.machine import load_inventory

    notebook = Notebook(context.obj)
    found = again(notebook, load_inventory([notebook.run(run).env_name], context.obj), run)
    if as_json:
        emit_json(asdict(found))
    else:
        for difference in found.differences:
            typer.echo(f"{difference.what} differs:\n{plain(difference.diff, 4000)}\n")
        typer.echo(f"replayed {found.requests} requests, {found.reports} reports, {found.proposals} proposals")
    if found.differences:
        raise AutopilotError(f"replay of {run}: {', '.join(item.what for item in found.differences)} differ")
    if not as_json:
        typer.echo("everything came out as it was")


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
    inventory = load_inventory([queue.get(proposal).env_name], context.obj)
    queue.decide(
        proposal,
        ProposalState.APPROVED,
        who(),
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
    Proposals(context.obj).decide(proposal, ProposalState.REJECTED, who(), plain(why.strip(), 1000))
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
    new = amended(queue.get(proposal), assignments(settings), who())
    refuse_unfit(new, notebook, load_inventory([new.env_name], context.obj))
    queue.stage(new)
    typer.echo(f"staged {new.proposal_id} in the place of {proposal}")


# --- the machine -------------------------------------------------------------------------------------------------


@app.command()
def probe(
    context: typer.Context,
    env: EnvOption = "puffer_cartpole",
    preset: PresetOption = "quick",
    settings: SetOption = None,
    minutes: Annotated[
        float, typer.Option(parser=minutes_of, metavar="M", help="Time for measuring; the check of scores is extra.")
    ] = 4.0,
    save_as: Annotated[str, typer.Option(help="Name of the preset that it becomes.")] = "probed",
    check_score: Annotated[
        bool, typer.Option("--check-score/--no-check-score", help="Train both topologies and compare their scores.")
    ] = True,
    as_json: JsonOption = False,
) -> None:
    """Find the fastest topology for this machine and keep it as a preset."""
    from agent.launch import Stopping, prepare
    from agent.live import MeasurementTable, print_preset
    from agent.probing import Probing
    from agent.show import emit_json

    workspace: Workspace = context.obj
    inventory, config, _ = prepare(workspace, env, preset, None, None, settings)
    table = MeasurementTable(silent=as_json)
    given = assignments(settings)
    with Stopping() as stopping, table:
        probing = Probing(workspace, inventory, config, preset, save_as, given, minutes, table.add, table.note)
        found = probing.run(check_score=check_score, stopping=stopping.is_set)
    emit_json(found.model_dump(mode="json")) if as_json else print_preset(workspace, found)


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

        print_space(load_inventory([space], context.obj).environment(space))
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


def main(arguments: Sequence[str] | None = None) -> None:
    """The entry point: runs a command and turns every expected error into one line and an exit status."""
    from typer.exceptions import TyperException

    try:
        given = list(sys.argv[1:] if arguments is None else arguments)
        status = app(args=given or ["--help"], standalone_mode=False)
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
    sys.stderr.write(f"autopilot: {' '.join(plain(message, 4000).split())}\n")
    sys.exit(code)


if __name__ == "__main__":
    main()
