"""What `start`, `resume` and `train` do once their arguments are read: check everything, put the parts together."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

from agent.session.decisions import outdated_text
from agent.session.signals import Stopping
from lab.base import AutopilotError, InvalidInput, NotFound, Problem, Workspace
from lab.judge import Incumbency, SeedRequest, repeat
from lab.space import (
    Config,
    Group,
    Inventory,
    Objective,
    assignments,
    check_config,
    check_objective,
    check_open,
    check_overrides,
    chosen,
    limits_elsewhere,
    remarks,
)
from lab.space import preset as preset_named
from lab.store import (
    UNDONE,
    Confirmation,
    Notebook,
    Proposals,
    ProposalState,
    RunRecord,
    RunState,
    Selection,
    Sessions,
    create_run,
    run_called,
)
from mirror import followed
from report import SilentView, confirming_text, make_view
from training import Options, SlotRunner, Stopped, executor_for, load_inventory, require_space, train_run


def prepare(
    workspace: Workspace,
    env: str,
    preset: str,
    objective: str | None,
    seeds: int | None,
    settings: list[str] | None,
) -> tuple[Inventory, Config, str]:
    """Check everything that a person gave before anything is written."""
    workspace.require_writable()
    overrides = assignments(settings)
    goal = Objective.of(objective, env)
    check_objective(goal.metric, env)
    given = {key.partition(".")[2]: value for key, value in overrides.items() if key.startswith("env.")}
    inventory = load_inventory({env: given}, workspace)
    check_open(inventory.environment(env).limits, goal.metric)
    base = preset_named(workspace, inventory.environment(env), preset)
    if seeds is not None:
        base = base.with_overrides({"autopilot.seeds": seeds})
    if problems := check_overrides(base, overrides, inventory):
        raise InvalidInput(problems)
    config = base.with_overrides(overrides)
    check_config(config, inventory)
    return inventory, config, str(goal)


def notes(workspace: Workspace, inventory: Inventory, env: str, preset: str, settings: list[str] | None) -> list[str]:
    """What a person is told of what they set, once all of it is accepted, a line each.

    A limit on a key that the environment does not take may be meant for another one, so it is no mistake; misspelt, it
    would limit nothing without a word.
    """
    environment = inventory.environment(env)
    base = preset_named(workspace, environment, preset)
    rule = f"and {env} has no such key: nothing is limited"
    limits = [f"[space] in autopilot.toml has {key}, {rule}" for key in limits_elsewhere(environment)]
    return [f"note: {line}" for line in (*remarks(base, assignments(settings), inventory), *limits)]


def train_once(
    workspace: Workspace,
    inventory: Inventory,
    config: Config,
    overrides: dict[str, Any],
    options: Options,
    arm: str = "person",
    **fields: Any,
) -> RunRecord:
    """Train one config for a person, or for the agent of theirs that asked.

    Args:
        workspace: where the run goes.
        inventory: what this machine has.
        config: complete and valid.
        overrides: what the person set on top of the preset.
        options: how it is trained and shown.
        arm: who asked, as the record has it.
        fields: preset, objective and, if given, run_id, as `create_run` takes them.

    Raises:
        InvalidInput: the name is taken.
        TrainingFailed: it can't be begun: no room, no process.
    """
    workspace.create()
    with _ready(workspace, inventory, config, options) as runner:
        variants = chosen(config, inventory.environment(config.env_name).variants)
        run = create_run(Notebook(workspace), config, overrides, arm=arm, variants=variants, **fields)
        return _trained(workspace, inventory, run, replace(options, requeue=False), runner)


def carry_out(
    workspace: Workspace, inventory: Inventory, run: RunRecord, options: Options, *, requeue: bool = False
) -> RunRecord:
    """Train a person's run that is queued or was interrupted, and keep its weights if it is stopped.

    Args:
        workspace: where it is.
        inventory: what this machine has.
        run: the run.
        options: how it is trained and shown.
        requeue: it goes back to the queue if it is stopped, and the command that asked for it goes on with it.

    Raises:
        Busy: another process trains it.
        InvalidInput: the workspace can't be written.
        TrainingFailed: it could not be begun; it stays queued.
        Stopped: it was stopped and went back to the queue.
    """
    options = replace(options, requeue=requeue)
    with _ready(workspace, inventory, Notebook(workspace).config(run.run_id), options) as runner:
        return _trained(workspace, inventory, run, options, runner)


@contextmanager
def _ready(workspace: Workspace, inventory: Inventory, config: Config, options: Options) -> Iterator[SlotRunner]:
    """A runner that has begun to get ready: made before a run is queued, since it may not come to that."""
    workspace.require_writable()
    require_space(workspace)
    where = (options.executor, options.address, f"process {os.getpid()}", options.parallel)
    runner = SlotRunner(executor_for(workspace, *where, comes_back=False))  # a person's run begins anew
    try:
        runner.warm(config, inventory.device(config.train["device"]))
        yield runner
    finally:
        runner.close()


def _warn(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def _trained(
    workspace: Workspace, inventory: Inventory, run: RunRecord, options: Options, runner: SlotRunner
) -> RunRecord:
    notebook, log = Notebook(workspace), workspace.run(run.run_id).mirror_log
    with followed(workspace, options.mlflow, log, _warn, run=run.run_id):
        view = SilentView() if options.silent else make_view()
        try:
            with Stopping() as stopping:
                view.training(run, f"{run.env_name}, {run.preset}")
                return train_run(notebook, runner, inventory, run.run_id, view.progress, stopping.is_set, options)
        except KeyboardInterrupt:  # asked twice: at once
            if not options.requeue:  # and nobody is to go on with it
                notebook.fail(run.run_id, RunState.KILLED, "stopped by the user, at once")
            raise
        finally:
            view.close()


def train_control(workspace: Workspace, name: str, run_id: str | None, options: Options) -> RunRecord:
    """Train what a warm start is compared with: the same weights, gone on from without a change.

    Args:
        workspace: where the run is.
        name: the warm start.
        run_id: the control's name; a new one if None.
        options: how it is trained and shown.

    Raises:
        InvalidInput: the run did not go on from another run's weights.
    """
    workspace.require_writable()
    notebook = Notebook(workspace)
    run = notebook.run(name)
    if run.resume is None or run.resume.run_id is None:
        rule, valid = "did not go on from another run's weights", "a warm start"
        raise InvalidInput([Problem(key="control-of", value=repr(name), rule=rule, valid=valid)])
    wanted = {key: notebook.config(name).get(key) for key in ("autopilot.resume_mode", "autopilot.resume_from")}
    config = notebook.config(run.resume.run_id).with_overrides({**wanted, "autopilot.seeds": len(run.seeds)})
    config = config.without_seed()
    inventory = load_inventory({run.env_name: run.task.env}, workspace)
    check_config(config, inventory)
    with _ready(workspace, inventory, config, options) as runner:
        made = create_run(
            notebook,
            config,
            {},
            preset=run.preset,
            objective=run.objective,
            arm="control",
            run_id=run_id,
            task=run.task,
            parent=run.resume.run_id,
            variants=notebook.run(run.resume.run_id).variants,
            resume=run.resume,
        )
        return _trained(workspace, inventory, made, replace(options, requeue=False), runner)


def confirm_run(workspace: Workspace, name: str, min_effect: float | None, options: Options, who: str) -> Confirmation:
    """Train fresh seeds of a run and of the incumbent until it is clear whether the run takes its place.

    Args:
        workspace: where they are.
        name: the candidate.
        min_effect: the smallest difference that matters; None derives it.
        options: how they are trained and shown.
        who: asks for it.

    Raises:
        InvalidInput: it can't become incumbent.
        Busy: a session runs here, which does this by itself.
        AutopilotError: it was stopped; the same command goes on.
    """
    workspace.require_writable()
    notebook = Notebook(workspace)
    run = notebook.run(name)
    inventory = load_inventory({run.env_name: run.task.env}, workspace)
    place = Incumbency(notebook, run.group, who=who, min_effect=min_effect)
    with Sessions(workspace).sole(f"confirm {name}"):
        opened = place.open(run)
        if min_effect is not None and opened.min_effect != min_effect:
            rule = f"{opened.min_effect:.6g} was laid down when the confirmation was opened"
            raise InvalidInput([Problem(key="min-effect", value=f"{min_effect:g}", rule=rule, valid="leave it out")])
        if not options.silent:
            sys.stdout.write(f"{confirming_text(notebook, opened, inventory)}\n")
            sys.stdout.flush()
        while isinstance(outcome := place.step(), SeedRequest):
            waiting = notebook.index.records(Selection(replicates_of=outcome.run, states=UNDONE))
            try:
                made = waiting[0] if waiting else repeat(notebook, outcome, inventory=inventory)
            except InvalidInput as error:
                if (dropped := place.drop(f"can't be trained on the preset {outcome.preset}: {error}")) is not None:
                    return dropped
                raise
            try:  # these very seeds are gone on with: whoever could have others drawn could choose among them
                carry_out(workspace, inventory, made, options, requeue=True)
            except Stopped as error:
                raise AutopilotError(f"stopped; 'autopilot confirm {name}' goes on with these seeds") from error
    if outcome is None:
        raise AutopilotError(f"the confirmation of {name} can't go on: its records can't be read ('autopilot runs')")
    if outcome.outcome == "confirmed":
        _outdate(Proposals(workspace), run.group, outcome)
    return outcome


def _outdate(proposals: Proposals, group: Group, won: Confirmation) -> None:
    """Let go of what was to improve on a run that has lost its place, as a session does; a person's own stays."""
    why = outdated_text(won.incumbent, won.candidate)
    for one in proposals.live(ProposalState.STAGED, ProposalState.APPROVED, group=group):
        if one.parent == won.incumbent and not one.by_person:
            with suppress(InvalidInput):  # somebody decided on it meanwhile
                proposals.decide(one.proposal_id, ProposalState.SUPERSEDED, "confirm", why)


def run_to_resume(workspace: Workspace, name: str) -> RunRecord | None:
    """The person's run of that name, if there is one that never came to its end.

    Raises:
        InvalidInput: it ended, or a session has to go on with it.
    """
    notebook = Notebook(workspace)
    if Sessions(workspace).may_mean(name):
        return None
    try:
        run = notebook.run(run_called(notebook, name))
    except (NotFound, InvalidInput):
        return None
    if run.state.ended:
        raise InvalidInput(f"run {name} has ended ({run.state}): 'autopilot train' begins another")
    if run.session is not None:
        raise InvalidInput(f"run {name} belongs to session {run.session}: 'autopilot resume {run.session}'")
    return run
