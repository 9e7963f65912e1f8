"""The machine: its fastest topology, its state. Slow imports happen where they are needed."""

from typing import Annotated

import typer

from cli.options import EnvOption, JsonOption, PresetOption, SetOption, minutes_of
from lab.base import AutopilotError, Workspace


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
    from agent.session.launch import prepare
    from agent.session.signals import Stopping
    from lab.space import assignments
    from report import MeasurementTable, emit_json, print_preset, say_where
    from training import Probing

    workspace: Workspace = context.obj
    with Stopping() as stopping:  # from the first moment: who stops it while environments are read is heard as well
        inventory, config, _ = prepare(workspace, env, preset, None, None, settings)
        if not as_json:
            say_where(workspace)
        with MeasurementTable(silent=as_json) as table:
            given = assignments(settings)
            probing = Probing(workspace, inventory, config, preset, save_as, given, minutes, table.add, table.note)
            stored = probing.run(check_score=check_score, stopping=stopping.is_set)
    emit_json(stored.model_dump(mode="json")) if as_json else print_preset(workspace, stored)


def doctor(
    context: typer.Context,
    space: Annotated[str | None, typer.Option(metavar="ENV", help="Print the search space of an environment.")] = None,
    notify: Annotated[
        bool, typer.Option("--notify", help="Send a message to try what [notify] of autopilot.toml names.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """What is installed, which device is used, what can be trained, whether a model is configured."""
    from cli.doctor import as_json as report_json
    from cli.doctor import examine
    from report import emit_json, print_space, space_rows

    if space is not None:
        from training import load_inventory

        environment = load_inventory([space], context.obj).environment(space)
        emit_json(space_rows(environment)) if as_json else print_space(environment)
        return
    if notify:
        from agent.notify import try_out

        lines = try_out(context.obj)
        emit_json(lines) if as_json else typer.echo("\n".join(lines))
        if failed := [line.removeprefix("BAD").strip() for line in lines if line.startswith("BAD")]:
            raise AutopilotError("; ".join(failed))
        return
    checks, inventory = examine(context.obj)
    if as_json:
        emit_json(report_json(checks, inventory))
    else:
        for check in checks:
            typer.echo(f"{'ok ' if check.ok else 'BAD'}  {check.name:13} {check.found}")
        if inventory is not None:
            usable = [name for name, environment in inventory.environments.items() if environment.refused is None]
            typer.echo(f"\ncan be trained: {', '.join(usable)}")
            typer.echo("refused:")
            for name, environment in inventory.environments.items():
                if environment.refused is not None:
                    typer.echo(f"  {name}: {environment.refused}")
    bad = [f"{check.name}: {check.remedy}" for check in checks if not check.ok]
    if bad:
        raise AutopilotError("; ".join(bad))
