"""A session: begin, go on, stop, look. Slow imports happen where they are needed."""

from typing import Annotated

import typer

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
    RepeatableOption,
    SetOption,
    TensorboardOption,
    WandbOption,
    any_number,
    dollars_of,
    hours_of,
    mirrors_of,
    mlflow_of,
    positive,
    shares_of,
    trade_of,
    whole,
)
from cli.runs import tell
from lab.base import Workspace, invalid

LARGEST_RUN = 0.25
"""Share of a session's budget that one run may take, where nobody says otherwise."""


def start(
    context: typer.Context,
    env: EnvOption = "puffer_cartpole",
    preset: PresetOption = "quick",
    objective: ObjectiveOption = None,
    model: Annotated[
        str,
        typer.Option(
            help="'offline'; 'agent': whoever asks for analyses over 'autopilot mcp'; or a model's name at an"
            " OpenAI-compatible endpoint."
        ),
    ] = "offline",
    base_url: Annotated[str | None, typer.Option(help="The endpoint, over OPENAI_BASE_URL.")] = None,
    approve: Annotated[
        str,
        typer.Option(
            help="auto; manual: each proposal waits for you; policy: the rules of [policy] in autopilot.toml."
        ),
    ] = "manual",
    hours: Annotated[float | None, typer.Option(parser=hours_of, metavar="H", help="Budget of time.")] = None,
    max_runs: Annotated[
        int | None,
        typer.Option(
            parser=whole("max-runs"), metavar="N", help="Budget: N times --seeds replicates, however they are spent."
        ),
    ] = None,
    max_tokens: Annotated[
        int | None, typer.Option(parser=whole("max-tokens"), metavar="N", help="Budget of the model's tokens.")
    ] = None,
    max_dollars: Annotated[
        float | None, typer.Option(parser=dollars_of, metavar="X", help="Budget of money, at the model's price.")
    ] = None,
    target: Annotated[
        float | None,
        typer.Option(parser=any_number("target"), metavar="X", help="End when the incumbent's score is as good."),
    ] = None,
    seeds: Annotated[
        int | None,
        typer.Option(
            parser=whole("seeds", 64),
            metavar="S",
            help="Replicates that each run of --max-runs stands for; else the preset's. The baseline has five or more.",
        ),
    ] = None,
    settings: SetOption = None,
    prune: Annotated[
        bool, typer.Option("--prune", help="End runs early that look hopeless beside their peers.")
    ] = False,
    min_effect: MinEffectOption = None,
    confirm: Annotated[
        str | None,
        typer.Option(
            metavar="PRESET", help="Where a run has to hold too before it is incumbent: full for quick, or none."
        ),
    ] = None,
    control: Annotated[
        str | None,
        typer.Option(metavar="ARM", help="A plain optimizer beside the search, to compare with: tpe, random, cmaes …"),
    ] = None,
    control_share: Annotated[
        float | None,
        typer.Option(
            parser=positive("control-share", 0.5, "0.2"), metavar="X", help="Its share of the search's replicates; 0.2."
        ),
    ] = None,
    model_share: Annotated[
        float | None,
        typer.Option(
            parser=positive("model-share", 1.0, "0.3"),
            metavar="X",
            help="The model's share of the other new configs, the rest being the optimizer's; 0.3. 1: the model alone.",
        ),
    ] = None,
    ahead: Annotated[
        int | None,
        typer.Option(parser=whole("ahead", 8), metavar="K", help="Proposals that a model may stage in an analysis; 1."),
    ] = None,
    largest_run: Annotated[
        float | None,
        typer.Option(
            parser=positive("largest-run", 1.0, "0.25"),
            metavar="X",
            help="The most that one run may take of the session's budget where no person approves it; 0.25.",
        ),
    ] = None,
    trade: Annotated[
        str | None,
        typer.Option(
            metavar="seconds", help="Search for the best score at each training time, not for the best alone."
        ),
    ] = None,
    parallel: ParallelOption = None,
    executor: ExecutorOption = "local",
    address: AddressOption = None,
    repeatable: RepeatableOption = False,
    tensorboard: TensorboardOption = False,
    wandb: WandbOption = False,
    mlflow: MlflowOption = None,
    detach: Annotated[bool, typer.Option("--detach", help="Run without this terminal.")] = False,
    new: Annotated[
        bool, typer.Option("--new", help="Begin another one although one with these options was interrupted.")
    ] = False,
) -> None:
    """Start a session: baseline, then analyse, report, stage, approve, search and train until a budget ends.

    An interrupted session with the same options is resumed instead.
    """
    from agent.session.launch import notes, prepare
    from agent.session.night import Night, the_same_again
    from lab.base import new_id, now
    from lab.space import assignments, check_reachable, names, task_of
    from lab.store import Approval, Budgets, SessionRecord, Sessions
    from report import say_where
    from training import executor_asked

    modes: dict[str, Approval] = {"auto": "auto", "manual": "manual", "policy": "policy"}
    if approve not in modes:
        raise invalid("approve", approve, "is unknown", " | ".join(modes))
    store = mlflow_of(mlflow)
    workspace: Workspace = context.obj
    Sessions(workspace).require_nobody()
    kind, head = executor_asked(workspace, executor, address)
    if repeatable and parallel is None:
        raise invalid("repeatable", True, "needs the number of replicates under way", "--parallel N beside it")
    inventory, config, goal = prepare(workspace, env, preset, objective, seeds, settings)
    then = {"none": None, None: "full" if preset == "quick" else None}.get(confirm, confirm)
    if then is not None and then not in (known := names(workspace, env)):
        raise invalid("confirm", then, f"is no preset of {env}", " | ".join([*known, "none"]))
    check_reachable(goal, env, target, min_effect)
    shares = shares_of(model, approve, control, control_share, model_share, ahead)
    created = now()
    record = SessionRecord(
        session_id=new_id(created),
        env_name=env,
        preset=preset,
        objective=goal,
        model=model,
        base_url=base_url,
        approve=modes[approve],
        seeds=int(config.autopilot["seeds"] or 1),
        settings=assignments(settings),
        task=task_of(config),
        prune=prune,
        mirrors=mirrors_of(tensorboard=tensorboard, wandb=wandb),
        mlflow=store,
        parallel=parallel,
        executor=kind,
        address=head,
        repeatable=repeatable,
        min_effect=min_effect,
        confirm=None if then == preset else then,
        target=target,
        trade=trade_of(trade),
        largest_run=largest_run or LARGEST_RUN,
        **shares,
        budgets=Budgets(hours=hours, max_runs=max_runs, max_tokens=max_tokens, max_dollars=max_dollars),
        created=created,
    )
    before = None if new else the_same_again(workspace, record)
    night = Night(workspace, inventory, before or record)
    if before is not None:
        say_where(workspace)
        typer.echo(f"session {before.session_id} with these options was interrupted: it is resumed (else: --new)")
    else:
        night.announce(config)
        for line in notes(workspace, inventory, env, preset, settings):
            typer.echo(line)
    night.detach() if detach else night.go()


def resume(
    context: typer.Context,
    name: Annotated[
        str | None,
        typer.Argument(metavar="[SESSION|RUN]", help="Which one; the latest session that has not ended if not given."),
    ] = None,
    detach: Annotated[bool, typer.Option("--detach", help="Run without this terminal.")] = False,
    executor: ExecutorOption = "local",
    address: AddressOption = None,
) -> None:
    """Go on with an interrupted session, with what is left of its budgets, or train an interrupted run again.

    A session goes on where it trained before, at another --address if the cluster has one now; a run does where
    --executor says.
    """
    from agent.session.launch import carry_out, run_to_resume
    from agent.session.night import Night, session_to_resume
    from lab.store import Notebook, Sessions
    from report import say_where
    from training import Options, executor_asked, load_inventory

    kind, head = executor_asked(context.obj, executor, address)
    run = run_to_resume(context.obj, name) if name else None
    if run is not None:
        inventory = load_inventory({run.env_name: run.task.env}, context.obj)
        say_where(context.obj)
        options = Options(executor=kind, address=head)
        tell(Notebook(context.obj), carry_out(context.obj, inventory, run, options), as_json=False)
        return
    Sessions(context.obj).require_nobody()
    record = session_to_resume(context.obj, name)
    if kind not in ("local", record.executor):
        raise invalid("executor", kind, f"session {record.session_id} trains on {record.executor}", "leave it out")
    if head is not None:
        record = record.model_copy(update={"address": head})
    night = Night(context.obj, load_inventory({record.env_name: record.task.env}, context.obj), record)
    say_where(context.obj)
    night.detach() if detach else night.go()


def stop(
    context: typer.Context,
    at_once: Annotated[bool, typer.Option("--now", help="Give up the present run; it is trained again later.")] = False,
) -> None:
    """Interrupt the running session once its present run is through; 'autopilot resume' resumes it."""
    from agent.session.signals import ask_to_stop

    typer.echo(ask_to_stop(context.obj, at_once=at_once))


def status(context: typer.Context, as_json: JsonOption = False) -> None:
    """What goes on, how far it is, what waits for a decision."""
    from lab.store import Notebook, Proposals
    from report import emit_json, print_status, status_of

    state = status_of(Notebook(context.obj), Proposals(context.obj))
    emit_json(state) if as_json else print_status(state)
