"""A run from queued to its end: train its replicates, watch over them, record the outcome.

Whatever happens, the record says so: a state, a reason, the tail of the log. When the disk is full even that would
fail; a little space is kept in hand for it.
"""

import contextlib
import os
import resource
import shutil
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from lab.base import FULL, AutopilotError, Busy, TrainingFailed, Workspace, full_text, now, owned, write_atomic
from lab.judge import Slowness, Watch, record_verdict, slowness, watch
from lab.space import Inventory, check_config
from lab.store import Notebook, Pruning, ReplicateResult, RunRecord, RunState, StopReason
from training.executors import ExecutorKind
from training.filming import film
from training.protocol import Progress
from training.runner import Plan, Runner

NEEDED = 32 * 2**20
"""Bytes that must be free on the disk before a training begins."""
BALLAST = 256 * 2**10

Result = TypeVar("Result")


class Stopped(AutopilotError):
    """The training was stopped on request, and the run went back to the queue."""


ATTEMPTS = 3
"""Times in a row that a run is begun, at most, because a process of its was killed; then that is its outcome. A config
that needs more memory than there is has its processes killed each time. Interruptions of the session do not count."""
BY_USER = StopReason(state=RunState.KILLED, reason="stopped by the user")


@dataclass(frozen=True)
class Options:
    """How runs are trained and shown, beyond their config."""

    prune: bool = False
    """End runs that look hopeless beside their peers."""
    hurry: bool = False
    """Hours are what a session counts by: end what a search asked for if it trains far more slowly than is usual."""
    mirrors: tuple[str, ...] = ()
    """`tensorboard`, `wandb`."""
    mlflow: str | None = None
    """The store of MLflow that a process beside the training mirrors it to; None for none."""
    requeue: bool = True
    """A run that was stopped by the user returns to the queue; else it ends as killed."""
    parallel: int | None = None
    """Replicates at once; None derives it."""
    silent: bool = False
    """Nothing is shown while it trains."""
    executor: ExecutorKind = "local"
    """Where it trains."""
    address: str | None = None
    """Of the cluster's head, where that is not this machine."""


def train_run(
    notebook: Notebook,
    runner: Runner,
    inventory: Inventory,
    run_id: str,
    on_progress: Callable[[Progress], None],
    should_stop: Callable[[], bool] = lambda: False,
    options: Options = Options(),
    before_recording: Callable[[], None] = lambda: None,
) -> RunRecord:
    """Train a queued run to its end and record what came of it.

    Replicates that had ended before an interruption are not trained again; one whose process was killed by somebody
    else is, `ATTEMPTS` times at the most.

    Args:
        notebook: where the run lies.
        runner: what trains it.
        inventory: what this machine has.
        run_id: a run in state queued or running (interrupted).
        on_progress: called with each replicate's progress; what it raises is raised once the run is recorded.
        should_stop: polled; once true the training is ended after the present update.
        options: pruning, mirrors, what becomes of a run that is stopped.
        before_recording: called once the training is over and before its outcome is recorded; may raise Stopped.

    Raises:
        Busy: another process trains it.
        Stopped: on request; the run is queued again.
        InvalidInput: the config is not valid here.
        TrainingFailed: the disk is too full to begin, or the training could not be carried out; the run is queued.
    """
    onlooker = _Onlooker(on_progress)

    def busy(pid: str) -> Busy:
        return Busy(f"run {run_id} is being trained: process {pid or 'unknown'} is at it")

    with owned(notebook.paths(run_id).owner, str(os.getpid()), busy):
        for left in reversed(range(ATTEMPTS)):
            again = left > 0
            run = _train(
                notebook, runner, inventory, run_id, onlooker.saw, should_stop, options, before_recording, again
            )
            if run.state is not RunState.QUEUED:
                break
    if onlooker.failed is not None:
        raise onlooker.failed
    return run


def _train(
    notebook: Notebook,
    runner: Runner,
    inventory: Inventory,
    run_id: str,
    on_progress: Callable[[Progress], None],
    should_stop: Callable[[], bool],
    options: Options,
    before_recording: Callable[[], None],
    again: bool,
) -> RunRecord:
    record, config = notebook.run(run_id), notebook.config(run_id)
    check_config(config, inventory)
    done = {r.seed: r for r in notebook.results(record) if r.state is not RunState.KILLED}
    plan = Plan(
        run=record,
        config=config,
        seeds=tuple(seed for seed in record.seeds if seed not in done),
        workspace=notebook.workspace,
        environment=inventory.environment(config.env_name),
        device=inventory.device(config.train["device"]),
        goal=record.goal,
        mirrors=options.mirrors,
    )
    require_space(notebook.workspace)
    _keep_ballast(notebook.workspace)
    with contextlib.suppress(RuntimeError):  # no further thread: it will take a moment longer then
        threading.Thread(target=_get_ready_to_conclude, daemon=True).start()
    pruner = _Pruner(
        watch(notebook, record, config) if options.prune else None,
        slowness(notebook, record, config) if options.hurry else None,
    )
    notebook.update(run_id, state=RunState.RUNNING, started=now(), attempt=record.attempt + 1)

    def seen(progress: Progress) -> None:
        pruner.saw(progress)
        on_progress(progress)

    try:
        asked = lambda: BY_USER if should_stop() else pruner.stopping()  # noqa: E731
        results = runner.train(plan, seen, asked) if plan.seeds else []
    except BaseException as error:
        _with_room(notebook.workspace, lambda: notebook.update(run_id, state=RunState.QUEUED))
        if not isinstance(error, (OSError, TrainingFailed)):
            raise
        why = str(error)
        if isinstance(error, OSError) and error.errno in FULL:
            why = full_text(error, notebook.workspace.root)
        waiting = f"queued again: 'autopilot resume {record.session or run_id}' goes on"
        raise TrainingFailed(f"run {run_id}: the training could not be carried out: {why} ({waiting})") from error
    if options.requeue and (should_stop() and _unfinished(record, done, results)):
        notebook.update(run_id, state=RunState.QUEUED)
        raise Stopped("stopped on request")
    killed = any(result.state is RunState.KILLED for result in results) and not should_stop()
    if killed and again:
        return notebook.update(run_id, state=RunState.QUEUED)
    at = now()
    try:
        before_recording()
    except BaseException:
        notebook.update(run_id, state=RunState.QUEUED)  # its replicates are there: none is trained again
        raise
    done |= {result.seed: _final(result) if killed else result for result in results}
    ended = [done[seed] for seed in record.seeds if seed in done]

    few = len(record.seeds) == 1 and record.session is not None  # of which a night has many
    if config.autopilot.get("film") and not few and not should_stop():
        with contextlib.suppress(OSError):  # a full disk: the run is what counts
            film(plan, ended, should_stop)

    def conclude() -> RunRecord:
        run = notebook.run(run_id)
        if not run.state.ended:  # else a first try came as far as that
            run = notebook.finish(run_id, ended, dict(inventory.versions), pruning=pruner.pruning, at=at)
        if run.state is RunState.FINISHED:
            record_verdict(notebook, run)
        return run

    return _with_room(notebook.workspace, conclude)


def _final(result: ReplicateResult) -> ReplicateResult:
    """Being killed as the outcome of a replicate: nobody asked for it, so it is a failure."""
    if result.state is not RunState.KILLED:
        return result
    reason = f"{result.reason}, and was begun {ATTEMPTS} times"
    return result.model_copy(update={"state": RunState.FAILED, "reason": reason})


def _get_ready_to_conclude() -> None:
    """Import what the summary needs while others train: it takes most of a second, once."""
    import duckdb  # noqa: F401
    import scipy.stats  # noqa: F401


def _unfinished(record: RunRecord, done: dict[int, ReplicateResult], results: list[ReplicateResult]) -> bool:
    """The user's wish to stop left some replicate untrained."""
    killed = any(result.state is RunState.KILLED for result in results)
    return killed or len(done) + len(results) < len(record.seeds)


class _Onlooker:
    """A caller's `on_progress`, whose failure is no outcome of the training and waits until that is recorded."""

    def __init__(self, on_progress: Callable[[Progress], None]) -> None:
        self._on_progress = on_progress
        self.failed: Exception | None = None

    def saw(self, progress: Progress) -> None:
        if self.failed is None:
            try:
                self._on_progress(progress)
            except Exception as error:  # noqa: BLE001 - raised again once the run is recorded
                self.failed = error


class _Pruner:
    """The link between those who watch a run and those who ask whether to stop it."""

    def __init__(self, watch: Watch | None, slowness: Slowness | None) -> None:
        self._watch, self._slowness = watch, slowness

    @property
    def pruning(self) -> Pruning | None:
        return self._watch.verdict() if self._watch else None

    def saw(self, progress: Progress) -> None:
        if self._watch is not None and progress.phase == "train":
            self._watch.saw(progress.seed, progress.steps, progress.score)
        if self._slowness is not None and progress.phase == "train":
            self._slowness.saw(progress.seed, progress.steps, progress.total)

    def stopping(self) -> StopReason | None:
        if self._slowness is not None and (slow := self._slowness.verdict()) is not None:
            return StopReason(state=RunState.PRUNED, reason=f"pruned: {slow}")
        pruning = self.pruning
        if pruning is None or pruning.spared:
            return None
        reason = (
            f"pruned: {pruning.score:.4g} at {pruning.steps:,} steps, where the median of {pruning.peers} runs is"
            f" {pruning.median:.4g}"
        )
        return StopReason(state=RunState.PRUNED, reason=reason)


def require_space(workspace: Workspace) -> None:
    """Refuse to begin on a disk that is all but full.

    Raises:
        TrainingFailed: there is no room.
    """
    if limited := limit_text():
        raise TrainingFailed(limited)
    free = shutil.disk_usage(workspace.runs).free
    if free < NEEDED:
        raise TrainingFailed(
            f"the disk of {workspace.runs} is full: {free / 2**20:.0f} MiB are free, a training needs"
            f" {NEEDED / 2**20:.0f} MiB: make room"
        )


def _keep_ballast(workspace: Workspace) -> None:
    """Keep a little space in hand for the record of what goes wrong."""
    if not workspace.ballast.exists():
        try:
            write_atomic(workspace.ballast, os.urandom(BALLAST))  # random, so that no file system stores it in less
        except OSError as error:
            if error.errno not in FULL:
                raise
            raise TrainingFailed(full_text(error, workspace.runs)) from error


def limit_text() -> str | None:
    """The reason why files of this process can't grow as large as a training's; None where they can."""
    limit, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
    if not 0 <= limit < NEEDED:  # negative, or huge, for none
        return None
    return (
        f"a file may have {limit / 2**20:.2g} MiB at most, a training needs {NEEDED / 2**20:.0f} MiB: raise the limit"
        " ('ulimit -f')"
    )


def _with_room(workspace: Workspace, record: Callable[[], Result]) -> Result:
    """Do what has to be recorded, with the space kept in hand if the disk is full."""
    try:
        return record()
    except OSError as error:
        if error.errno not in FULL:
            raise
        workspace.ballast.unlink(missing_ok=True)
        return record()
