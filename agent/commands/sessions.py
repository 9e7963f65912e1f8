"""A session: begin, go on, stop, look. Slow imports happen where they are needed."""

import os
import signal
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from agent.commands.runs import tell
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
    mirrors_of,
    whole,
)
from lab.errors import AutopilotError, InvalidInput, Problem
from lab.paths import Workspace

if TYPE_CHECKING:
    pass


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
        tell(Notebook(context.obj), carry_out(context.obj, inventory, run, Manner()), as_json=False)
        return
    record = session_to_resume(context.obj, name)
    run_session(context.obj, load_inventory([record.env_name], context.obj), record)


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


def status(context: typer.Context, as_json: JsonOption = False) -> None:
    """What goes on, how far it is, what waits for a decision."""
    from agent.show import emit_json, print_status
    from agent.show import status as look

    found = look(context.obj)
    emit_json(found) if as_json else print_status(found)
