"""A new run: complete on disk, with fresh seeds of its own, or not there at all."""

import platform
import shutil
from typing import Any

from lab.base import InvalidInput, Problem, RunPaths, locked, new_id, now, write_atomic, write_json, write_model
from lab.space import Config, Group, Task, Variant, diff, free_of_evaluation, task_of
from lab.store.code import code_state
from lab.store.index import Index
from lab.store.lineage import resolve
from lab.store.notebook import Notebook
from lab.store.records import Resume, RunRecord


def create_run(
    notebook: Notebook,
    config: Config,
    overrides: dict[str, Any],
    *,
    preset: str,
    objective: str,
    arm: str,
    run_id: str | None = None,
    parent: str | None = None,
    proposal: str | None = None,
    session: str | None = None,
    replicates: int | None = None,
    replicates_of: str | None = None,
    task: Task | None = None,
    variants: dict[str, Variant] | None = None,
    resume: Resume | None = None,
) -> RunRecord:
    """A new queued run, complete on disk or not there at all.

    Args:
        notebook: where.
        config: complete and valid.
        overrides: what was asked for on top of the parent's config, or of the preset where there is no parent.
        preset: the preset it belongs to.
        objective: such as `perf:max`.
        arm: who made the config.
        run_id: its name; a new one if None.
        parent: the run that the overrides change.
        proposal: the proposal it carries out.
        session: the session that asked for it.
        replicates: how many; as many as the config says if None.
        replicates_of: the run whose config it repeats on fresh seeds.
        task: what it is scored on; its parent's if None, or the config's own where there is no parent.
        variants: the user's stand-ins that the config names.
        resume: the very weights it goes on from; found by what the config says if None.

    Raises:
        InvalidInput: the name is taken, or there is nothing of what it should resume from.
    """
    created = now()
    task = task or (notebook.run(parent).task if parent else task_of(config))
    resume = resume or resolve(notebook, config, Group(config.env_name, objective, preset, task.key))
    code, changed_code = code_state(notebook.workspace.root)
    paths = notebook.workspace.run(run_id or new_id(created))
    with locked(notebook.workspace.runs / ".lock"):
        while run_id is None and _is_taken(notebook, paths):  # two in one second may draw the same
            paths = notebook.workspace.run(new_id(created))
        if _is_taken(notebook, paths):
            rule = "is taken: a run is never overwritten, and one that was deleted keeps its verdict"
            raise InvalidInput([Problem(key="run-id", value=repr(run_id), rule=rule, valid="another name, or none")])
        record = RunRecord(
            run_id=paths.dir.name,
            number=next_number(notebook.index),
            env_name=config.env_name,
            preset=preset,
            objective=objective,
            arm=arm,
            parent=parent,
            proposal=proposal,
            session=session,
            replicates_of=replicates_of,
            seeds=_seeds(notebook, config, task, replicates),
            created=created,
            host=platform.node(),
            task=task,
            variants=variants or {},
            resume=resume,
            code=code,
        )
        work = RunPaths(notebook.workspace.runs / f".new-{paths.dir.name}")
        shutil.rmtree(work.dir, ignore_errors=True)
        write_model(work.config, config)
        write_json(work.override, overrides)
        changed = diff(notebook.config(str(parent)), config) if notebook.readable(parent) else {}
        write_json(work.config_diff, {key: list(values) for key, values in changed.items()})
        if changed_code:
            write_atomic(work.code_diff, changed_code)
        write_model(work.run, record)
        work.dir.rename(paths.dir)
    return record


def next_number(index: Index) -> int:
    """The number of the next run of a workspace; asked for while its lock is held."""
    return int(index.ask("SELECT MAX(nth) FROM runs")[0][0] or 0) + 1


def _is_taken(notebook: Notebook, paths: RunPaths) -> bool:
    return paths.dir.exists() or notebook.verdict(paths.dir.name) is not None


def _seeds(notebook: Notebook, config: Config, task: Task, replicates: int | None) -> tuple[int, ...]:
    """The person's seeds if they set one, else the next ones that no run of this environment has used.

    Fresh seeds for every run: with the same few for all, the best config would be the one that suits them.
    """
    count = replicates or int(config.autopilot["seeds"] or 1)
    first = config.train.get("seed")
    if isinstance(first, int):
        return tuple(range(first, first + count))
    query = "SELECT MAX(last_seed) FROM runs WHERE env_name = ? AND NOT legacy"
    first = (notebook.index.ask(query, (config.env_name,))[0][0] or 0) + 1
    shape = (1, task.slots) if "num_envs" in config.env else (task.slots, 1)
    while not free_of_evaluation(config, range(first, first + count), shape):
        first += count
    return tuple(range(first, first + count))
