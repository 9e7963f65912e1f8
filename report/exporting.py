"""`autopilot export`: one replicate's policy in a folder of its own, which PufferLib can play without us.

Nothing is handed over that was not tried: a worker reads the ini and builds the policy with PufferLib's own functions
first. The folder is made aside and renamed, so it is there whole or not at all; what is there already is never touched.
"""

import errno
import hashlib
import os
import shlex
import shutil
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Literal

from lab.base import (
    AutopilotError,
    Damaged,
    ExportPaths,
    InvalidInput,
    Record,
    TrainingFailed,
    Workspace,
    existing,
    invalid,
    now,
    write_atomic,
)
from lab.space import Config, Objective, Task
from lab.store import Evaluation, Notebook, ReplicateResult, RunRecord, RunState, map_metrics
from report.templates import render
from training import Ended, ExportJob, Handover, missing, start_worker

PATIENCE = 300.0
"""Seconds that the worker may take: some environments draw thousands of maps when they are built."""


class Export(Record):
    """`export.json`."""

    schema_version: Literal[1] = 1
    created: datetime
    run_id: str
    seed: int
    chosen: Literal["best", "asked for"]
    """Why this replicate: it scored best, or `--seed` named it."""
    env_name: str
    objective: str
    score: float
    """Recorded of this replicate: the objective's metric in the final evaluation, sampled actions."""
    greedy: float | None
    """The same with the likeliest actions; None where the evaluation has no such metric."""
    mean: float
    """Of its replicates, whatever statistic its score is by. The best of them is above it by its luck too."""
    scores: dict[int, float]
    """Of every replicate, by seed."""
    task: Task
    """What it was scored on."""
    evaluations: tuple[Evaluation, ...]
    """Everything that the final evaluation of this replicate measured."""
    steps: float
    """Agent steps that it trained for."""
    device: str
    """That it trained on."""
    weights: str
    """SHA-256 of the weights, over names and values, as in the replicate's `result.json`."""
    weights_file: str
    """SHA-256 of `weights.pt`."""
    versions: dict[str, str]
    """What it was trained with."""
    command: str | None
    """PufferLib's own, to be typed in the folder; None where its flags can't say everything."""
    unsayable: tuple[str, ...]
    """What they can't say."""
    notes: tuple[str, ...]
    """What the config does not say of its training and its score."""


def export_run(notebook: Notebook, run_id: str, to: Path | None = None, seed: int | None = None) -> tuple[Export, Path]:
    """Write a folder with which PufferLib alone plays a policy of a run.

    Args:
        notebook: where the run lies.
        run_id: a finished run, trained here on one of PufferLib's own environments.
        to: the folder to make, not there yet or empty; `exports/<run_id>` of the workspace if None.
        seed: of the replicate; the best one by the run's objective if None.

    Returns:
        What was exported, and the folder.

    Raises:
        NotFound: no such run.
        InvalidInput: PufferLib alone could not play it, there are no weights, or something is in the folder.
        Damaged: the weights are not those that were scored, or a record can't be read.
        TrainingFailed: the worker that tries it out failed.
    """
    run = notebook.run(run_id)
    _require_exportable(notebook, run)
    config, (results, damaged) = notebook.config(run_id), notebook.read_results(run)
    if damaged:
        raise Damaged(damaged[0])
    result = _replicate(run, results, seed)
    weights = notebook.paths(run_id).seed(result.seed).weights("latest")
    if not weights.is_file():
        raise invalid(
            "seed",
            result.seed,
            f"has no weights any more: {weights} is not there",
            "another replicate or run, or 'autopilot train' with the command in its report",
        )
    folder = _target(notebook.workspace, run_id, to)
    handover = _try_out(config, result, weights)
    if handover.problem is not None:
        raise invalid("run", run_id, f"PufferLib alone can't play it: {handover.problem}", "another run")
    if handover.weights != result.weights:
        raise Damaged(f"{weights} does not hold the weights that were scored: their hash is not the recorded one")
    content = weights.read_bytes()
    export = _export(run, config, results, result, handover, content, asked=seed is not None)
    aside = ExportPaths(folder.with_name(f".{folder.name}.{os.getpid()}.part"))
    _write(aside, folder, _files(aside, export, config, handover, content))
    return export, folder


# --- what can't be exported --------------------------------------------------------------------------------------


def _require_exportable(notebook: Notebook, run: RunRecord) -> None:
    name = run.run_id
    if run.legacy:
        raise invalid("run", name, "was imported: its weights are not here", "a run that was trained here")
    if run.state is not RunState.FINISHED:
        state = "interrupted" if notebook.interrupted(run) else run.state.value
        raise invalid("run", name, f"is {state}: only a finished run has a score", "one that 'autopilot runs' says is")
    if ":" in run.env_name:
        rule = f"trains in {run.env_name}, which 'puffer eval' does not know: it plays PufferLib's own environments"
        raise invalid("run", name, rule, "a run in one of these; the weights are in its folder")
    if variant := run.variants.get("policy"):
        rule = f"has your own policy ({variant.call}), which PufferLib alone can't build"
        raise invalid("run", name, rule, "a run with a policy of PufferLib's; the weights are in its folder")


def _replicate(run: RunRecord, results: Sequence[ReplicateResult], seed: int | None) -> ReplicateResult:
    goal = run.goal
    by_seed = {result.seed: result for result in results if goal.metric in result.metrics}
    if not by_seed:
        rule = "has no replicate any more: their results in seeds/ are gone"
        raise invalid("run", run.run_id, rule, "another run, or 'autopilot train' with the command in its report")
    if seed is None:
        return max(by_seed.values(), key=lambda result: goal.sign * result.metrics[goal.metric])
    if seed not in by_seed:
        raise invalid("seed", seed, f"is no replicate of {run.run_id}", ", ".join(map(str, by_seed)))
    return by_seed[seed]


def _target(workspace: Workspace, run_id: str, to: Path | None) -> Path:
    """The folder to make, resolved; that it can be made is certain but for what happens meanwhile."""
    wanted = to or workspace.exports / run_id
    try:
        folder = wanted.resolve()
    except (OSError, RuntimeError) as error:  # links that lead in a circle
        raise invalid("to", str(wanted), "leads nowhere", "a folder that is not there yet, or empty") from error
    if any(folder.is_relative_to(own.resolve()) for own in (workspace.runs, workspace.proposals)):
        raise invalid("to", str(folder), "lies among the workspace's records", "a folder elsewhere")
    if folder == Path.cwd().resolve():
        raise invalid("to", str(folder), "is the folder that you are in", "one that is not there yet")
    if os.path.lexists(folder) and not folder.is_dir():
        raise invalid("to", str(folder), "is no folder", "one that is not there yet, or empty")
    nearest = existing(folder.parent)
    if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
        raise invalid("to", str(folder), f"can't be made: {nearest} is no writable folder", "a folder elsewhere")
    if folder.is_dir() and any(folder.iterdir()):
        raise _occupied(folder)
    return folder


def _occupied(folder: Path) -> InvalidInput:
    return invalid("to", str(folder), "is not empty: nothing of yours is overwritten", "--to DIR, another folder")


# --- what is ------------------------------------------------------------------------------------------------------


def _try_out(config: Config, result: ReplicateResult, weights: Path) -> Handover:
    if absent := missing():
        raise TrainingFailed(f"not installed: {', '.join(absent)}; 'make install' builds the environment")
    worker = start_worker(1, role="look")
    try:
        worker.send(
            ExportJob(config=config, seed=result.seed, device=result.device, checkpoint=str(weights.absolute()))
        )
        for event in worker.events(PATIENCE):
            if isinstance(event, Ended) and event.handover is not None:
                return event.handover
        raise TrainingFailed(f"the worker that tries the export {worker.how_it_ended()}: {worker.said()}")
    finally:
        worker.kill()


def _export(
    run: RunRecord,
    config: Config,
    results: Sequence[ReplicateResult],
    result: ReplicateResult,
    handover: Handover,
    content: bytes,
    *,
    asked: bool,
) -> Export:
    metric = run.goal.metric
    greedy = next((one for one in result.evaluations if one.actions == "greedy"), None)
    scores = {one.seed: one.metrics[metric] for one in results}
    words = ["puffer", "eval", run.env_name, "--load-model-path=weights.pt", *handover.flags]
    return Export(
        created=now(),
        run_id=run.run_id,
        seed=result.seed,
        chosen="asked for" if asked else "best",
        env_name=run.env_name,
        objective=run.objective,
        score=result.metrics[metric],
        greedy=map_metrics(greedy.raw, run.env_name).get(metric) if greedy else None,
        mean=sum(scores.values()) / len(scores),
        scores=scores,
        task=run.task,
        evaluations=result.evaluations,
        steps=result.metrics.get("agent_steps", 0.0),
        device=result.device,
        weights=handover.weights,
        weights_file=hashlib.sha256(content).hexdigest(),
        versions=run.versions,
        command=None if handover.unsayable else shlex.join(words),
        unsayable=handover.unsayable,
        notes=_notes(run, config),
    )


def _notes(run: RunRecord, config: Config) -> tuple[str, ...]:
    trained = {key: value for key, value in config.env.items() if key != "num_envs"}
    notes = [
        f"it was scored with env.{key} = {value} and trained with {trained.get(key, 'the default')}"
        for key, value in run.task.env.items()
        if key not in trained or trained[key] != value
    ]
    notes += [
        f"it was trained with your own {kind} ({variant.call}), of which this config knows nothing"
        for kind, variant in run.variants.items()
    ]
    if run.resume is not None:
        notes.append("its training went on from the weights of another one")
    return tuple(notes)


# --- the folder --------------------------------------------------------------------------------------------------


def _files(
    paths: ExportPaths, export: Export, config: Config, handover: Handover, content: bytes
) -> dict[Path, str | bytes]:
    ini = paths.ini(export.env_name)
    about = {
        "metric": Objective.of(export.objective, export.env_name).metric,
        "ini": ini.name,
        "own_ini": handover.own_ini,
        "units": config.env.get("num_envs"),
    }
    return {
        paths.weights: content,
        ini: handover.ini,
        paths.script: render("export.py.j2", env_name=export.env_name, ini=ini.name),
        paths.readme: render("export.md.j2", export=export, **about),
        paths.record: export.model_dump_json(indent=2) + "\n",
    }


def _write(aside: ExportPaths, folder: Path, files: Mapping[Path, str | bytes]) -> None:
    """Make the folder, whole or not at all.

    Args:
        aside: where it is made, beside its place.
        folder: its place.
        files: below `aside`.

    Raises:
        InvalidInput: something has come into its place meanwhile.
        AutopilotError: it can't be written.
    """
    try:
        shutil.rmtree(aside.dir, ignore_errors=True)  # of a process of our number which was killed
        for path, content in files.items():
            write_atomic(path, content)
        aside.dir.rename(folder)
        _flush(folder.parent)
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
            raise _occupied(folder) from error
        raise AutopilotError(f"{folder} can't be written: {error.strerror or error}") from error
    finally:
        shutil.rmtree(aside.dir, ignore_errors=True)


def _flush(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)  # else the rename itself may be lost with the power
    finally:
        os.close(handle)
