"""Runs: train one, list, show, compare, confirm, take in, replay. Slow imports happen where they are needed."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.looking import RunArgument, called, env_called, latest_reported
from cli.options import (
    AddressOption,
    EnvOption,
    ExecutorOption,
    JsonOption,
    MinEffectOption,
    MlflowOption,
    ObjectiveOption,
    ParallelOption,
    PresetOption,
    SeedsOption,
    SetOption,
    TensorboardOption,
    WandbOption,
    mirrors_of,
    mlflow_of,
    who,
    whole,
)
from lab.base import AutopilotError, ExportPaths, InvalidInput, Problem, Workspace, plain

if TYPE_CHECKING:
    from lab.store import Notebook, RunRecord


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
    executor: ExecutorOption = "local",
    address: AddressOption = None,
    tensorboard: TensorboardOption = False,
    wandb: WandbOption = False,
    mlflow: MlflowOption = None,
    by: Annotated[str, typer.Option(hidden=True, help="The arm that the record names, for an agent that asks.")] = (
        "person"
    ),
    as_json: JsonOption = False,
) -> None:
    """Train one config, without an agent."""
    from agent.session.launch import notes, prepare, train_control, train_once
    from lab.space import assignments
    from lab.store import Notebook
    from report import say_where
    from training import Options, executor_asked

    workspace: Workspace = context.obj
    kind, head = executor_asked(workspace, executor, address)
    mirrors = mirrors_of(tensorboard=tensorboard, wandb=wandb)
    options = Options(
        silent=as_json,
        parallel=parallel,
        mirrors=mirrors,
        mlflow=mlflow_of(mlflow),
        executor=kind,
        address=head,
    )
    if control_of is not None:
        if settings or seeds is not None:
            rule, valid = "changes nothing of the run that it is a control of", "no --set and no --seeds"
            raise InvalidInput([Problem(key="control-of", value=control_of, rule=rule, valid=valid)])
        if not as_json:
            say_where(workspace)
        control_of = called(Notebook(workspace), control_of)
        tell(Notebook(workspace), train_control(workspace, control_of, run_id, options), as_json=as_json)
        typer.echo(f"'autopilot compare {control_of}' compares the two", err=True)
        return
    inventory, config, goal = prepare(workspace, env, preset, objective, seeds, settings)
    fields = {"preset": preset, "objective": goal, "run_id": run_id}
    if not as_json:
        say_where(workspace)
        for line in notes(workspace, inventory, env, preset, settings):
            typer.echo(line)
    run = train_once(workspace, inventory, config, assignments(settings), options, by, **fields)
    tell(Notebook(workspace), run, as_json=as_json)


def tell(notebook: "Notebook", run: "RunRecord", *, as_json: bool) -> None:
    """Show what came of a person's run; raise where it did not finish."""
    from lab.store import RunState
    from report import emit_json, show_run, view_of

    emit_json(view_of(notebook, run, whole=True).model_dump()) if as_json else show_run(notebook, run)
    if run.state is not RunState.FINISHED:
        raise AutopilotError(f"run {run.run_id} ended as {run.state}: {run.reason}")


def confirm(
    context: typer.Context,
    run: str,
    min_effect: MinEffectOption = None,
    parallel: ParallelOption = None,
    executor: ExecutorOption = "local",
    address: AddressOption = None,
    by: Annotated[str | None, typer.Option(hidden=True, help="Who the record names, for an agent that asks.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Train a run and the incumbent on fresh seeds until it is clear whether it takes that place."""
    from agent.session.launch import confirm_run
    from report import emit_json, print_confirmation, say_where
    from training import Options, executor_asked

    kind, head = executor_asked(context.obj, executor, address)
    if not as_json:
        say_where(context.obj)
    from lab.store import Notebook

    run = called(Notebook(context.obj), run)
    options = Options(silent=as_json, parallel=parallel, executor=kind, address=head)
    confirmation = confirm_run(context.obj, run, min_effect, options, by or who())
    emit_json(confirmation.model_dump(mode="json")) if as_json else print_confirmation(confirmation)


def runs(
    context: typer.Context,
    env: Annotated[str | None, typer.Option("--env", help="Only this environment's.")] = None,
    limit: Annotated[int, typer.Option(parser=whole("limit"), metavar="N", help="How many, the latest.")] = 50,
    rebuild: Annotated[bool, typer.Option("--rebuild", help="Make the index again from the folders first.")] = False,
    as_json: JsonOption = False,
) -> None:
    """The runs of this workspace."""
    from lab.store import Notebook, Questions, Wanted
    from report import emit_json, passed_over, runs_table, view_of

    notebook = Notebook(context.obj)
    if rebuild:
        count = notebook.index.rebuild()
        over = count - len(notebook.index.rows())
        passed = f", {over} of them passed over" if over else ""
        typer.echo(f"indexed {count} folder{'' if count == 1 else 's'}{passed}", err=True)
    env = None if env is None else env_called(notebook, env)
    latest = notebook.latest(limit, env)
    if not as_json:
        runs_table(notebook, latest)
        if older := Questions(notebook.index).listing(Wanted(env_name=env or ""), 1, 1).total - len(latest):
            typer.echo(f"{older} older one{'' if older == 1 else 's'}: --limit {older + len(latest)}")
        return
    emit_json([view_of(notebook, run, whole=True).model_dump() for run in latest])
    for line in passed_over(notebook.damaged):
        typer.echo(plain(line, 1000), err=True)


def arms(
    context: typer.Context,
    env: Annotated[str | None, typer.Option("--env", help="Of this environment; else of the newest runs.")] = None,
    preset: Annotated[str | None, typer.Option(help="Of this preset.")] = None,
    objective: Annotated[str | None, typer.Option(help="Of this objective, METRIC:max or METRIC:min.")] = None,
    session: Annotated[str | None, typer.Option(metavar="ID", help="What one session trained, alone.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Who proposes best: a model, optimizers, a person side by side, and whether who is ahead is noise."""
    from lab.store import Notebook, Sessions
    from report import arms_of, emit_json, group_of, print_arms

    notebook = Notebook(context.obj)
    session = Sessions(context.obj).named(session).session_id if session else None
    env = None if env is None else env_called(notebook, env)
    group, others = group_of(notebook, env, preset, objective, session)
    found = arms_of(notebook, group, session) if group else None
    if as_json:
        emit_json(found.model_dump(mode="json") if found else None)
        return
    if found is None:
        typer.echo("no runs yet: 'autopilot start' begins a session")
        return
    print_arms(found)
    if others:
        typer.echo(f"{others} more group{'' if others == 1 else 's'} of runs: --env, --preset and --objective choose")


def import_runs(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folders of runs, or one run's own.")],
    objective: ObjectiveOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take in runs of another system, to be read and compared with; what is odd about them is flagged."""
    from lab.store import look, store
    from report import emit_json

    context.obj.require_writable()
    imported = look(folder, objective)
    names = store(context.obj, imported)
    records = [run.record for run in imported]
    if as_json:
        emit_json([{"run_id": r.run_id, "state": r.state.value, "flags": list(r.flags)} for r in records])
        return
    for record in records:
        flags = f"; {len(record.flags)} flagged: 'autopilot show {record.run_id}'" if record.flags else ""
        typer.echo(f"{record.run_id}: {record.env_name}, {record.state}{flags}")
    typer.echo(f"imported {len(names)} run{'' if len(names) == 1 else 's'}")


def show(context: typer.Context, run: RunArgument = None, as_json: JsonOption = False) -> None:
    """One run: state, lineage, metrics."""
    from lab.store import Notebook
    from report import emit_json, show_run, view_of

    notebook = Notebook(context.obj)
    run = called(notebook, run)
    record = notebook.run(run)
    if as_json:
        notebook.require_whole(run)
        summary = notebook.summary(run)
        more = {"record": record.model_dump(mode="json"), "config": notebook.config(run).model_dump()}
        emit_json(
            {
                **view_of(notebook, record, whole=True).model_dump(),
                **more,
                "summary": summary.model_dump(mode="json") if summary else None,
            }
        )
    else:
        show_run(notebook, record)


def compare(
    context: typer.Context,
    run: RunArgument = None,
    against: Annotated[
        str | None, typer.Argument(metavar="[RUN]", help="Its control or the incumbent if not given.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Two runs: the verdict with its interval, whether they are like with like, what changed, their metrics."""
    from lab.judge import rival
    from lab.store import Notebook
    from report import compared, emit_json, print_comparison

    notebook = Notebook(context.obj)
    run = called(notebook, run)
    other = called(notebook, against) if against else rival(notebook, run)
    comparison = compared(notebook, run, other, whole=True)
    emit_json(comparison) if as_json else print_comparison(comparison)


def report(context: typer.Context, run: RunArgument = None, as_json: JsonOption = False) -> None:
    """One run's report; the latest there is if none is named."""
    from lab.base import NotFound
    from lab.store import Notebook
    from report import emit_json, print_markdown, since_text

    notebook = Notebook(context.obj)
    run = latest_reported(notebook) if run is None else called(notebook, run)
    path = notebook.paths(run).report
    if not path.exists():
        if original := notebook.run(run).replicates_of:
            raise NotFound(f"run {run!r} has no report: it is more seeds of {original}, which has one")
        raise NotFound(f"run {run!r} has no report: a session writes one when the run has ended ('autopilot resume')")
    text, since = path.read_text(encoding="utf-8"), since_text(notebook, run)
    if as_json:
        emit_json({"run_id": run, "report": text} | ({"since": since} if since else {}))
    else:
        print_markdown(f"> **Since it was written:** {since}\n\n{text}" if since else text)


def check(
    context: typer.Context,
    what: Annotated[str, typer.Argument(metavar="RUN|FILE", help="A run whose report is checked, or a file.")],
    run: Annotated[
        str | None, typer.Option("--run", metavar="RUN", help="The run that a file is about; else the first it names.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Check what a report says against the record: figures, comparisons, arithmetic, causes."""
    from lab.store import Notebook
    from report import check_report, emit_json, print_checked

    notebook = Notebook(context.obj)
    if not Path(what).is_file():
        what = called(notebook, what)
    checked = check_report(notebook, what, called(notebook, run) if run else None)
    emit_json(checked.model_dump(mode="json")) if as_json else print_checked(checked)
    if wrong := checked.count("contradicted"):
        raise AutopilotError(f"the record contradicts {wrong} of {len(checked.claims)} claims")


def export(
    context: typer.Context,
    run: str,
    to: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder to make; else exports/RUN in the workspace.")
    ] = None,
    seed: Annotated[int | None, typer.Option(metavar="N", help="Which replicate; else the best one.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Write a folder with which PufferLib alone plays a run's policy: weights, ini, the command."""
    import shlex

    from lab.base import number
    from lab.space import Objective
    from lab.store import Notebook
    from report import emit_json, export_run

    notebook = Notebook(context.obj)
    exported, folder = export_run(notebook, called(notebook, run), to, seed)
    if as_json:
        emit_json({"dir": str(folder), **exported.model_dump(mode="json")})
        return
    which, count = "the best" if exported.chosen == "best" else "one", len(exported.scores)
    metric = Objective.of(exported.objective, exported.env_name).metric
    of = f", {which} of {count} replicates (mean {number(exported.mean)})" if count > 1 else ""
    typer.echo(f"{folder}: seed {exported.seed}, {metric} {number(exported.score)}{of}")
    typer.echo(f"PufferLib plays it: {shlex.join(['python', str(ExportPaths(folder).script)])}")
    if exported.command:
        typer.echo(f"or, in that folder: {exported.command}")


def replay(context: typer.Context, run: str, as_json: JsonOption = False) -> None:
    """Analyse a run again from its transcript, without a model or a network, and compare what comes out."""
    from dataclasses import asdict

    from agent.analysis import replay_run as again
    from lab.store import Lab, Notebook
    from report import emit_json
    from training import load_inventory

    notebook = Notebook(context.obj)
    run = called(notebook, run)
    outcome = again(Lab(notebook, load_inventory([notebook.run(run).env_name], context.obj)), run)
    if as_json:
        emit_json(asdict(outcome))
    else:
        for difference in outcome.differences:
            typer.echo(f"{difference.what} differs:\n{plain(difference.diff, 4000)}\n")
        typer.echo(f"replayed {outcome.requests} requests, {outcome.reports} reports, {outcome.proposals} proposals")
    if outcome.differences:
        raise AutopilotError(f"replay of {run}: {', '.join(item.what for item in outcome.differences)} differ")
    if not as_json:
        typer.echo("everything came out as it was")
