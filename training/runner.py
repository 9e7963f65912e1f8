"""The runner: replicates of one run trained side by side, each in its own process, every end an outcome.

`Runner` is the interface; `ProcessRunner` trains for real, `training.fake.FakeRunner` makes curves up for tests of
everything around training. `train_run` is what callers use.
"""

import contextlib
import os
import select
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from lab.config import Config
from lab.environments import metrics_of, objective_of
from lab.errors import AutopilotError, Damaged, TrainingFailed
from lab.files import read_model, write_model
from lab.inventory import Environment, Inventory
from lab.notebook import Notebook
from lab.paths import RunPaths
from lab.records import ReplicateResult, RunRecord, RunState, now
from lab.validate import check_config
from training.process import Worker
from training.protocol import Progress, TrainJob


class Stopped(AutopilotError):
    """Somebody asked for the training to stop; what it was doing is void."""


@dataclass(frozen=True)
class Plan:
    """One run to be trained."""

    config: Config
    seeds: tuple[int, ...]
    paths: RunPaths
    environment: Environment
    objective: str
    """Common name of the metric to show while it trains."""

    def job(self, seed: int) -> TrainJob:
        """What one worker is told."""
        metric = metrics_of(self.config.env_name).get(self.objective)
        return TrainJob(
            config=self.config,
            package=str(self.environment.ini["base"]["package"]),
            agents_per_env=self.environment.agents_per_env or 1.0,
            seed=seed,
            dir=str(self.paths.seed(seed).dir.absolute()),
            score=metric.source if metric else self.objective,
            score_scale=metric.scale if metric else 1.0,
        )


class Runner(Protocol):
    """Trains the replicates of a run and says what came of each."""

    def train(
        self, plan: Plan, on_progress: Callable[[Progress], None], should_stop: Callable[[], bool]
    ) -> list[ReplicateResult]:
        """One result per seed, in order, each also in its `result.json`.

        Raises:
            Stopped: `should_stop` became true; no process is left.
        """

    def warm(self, threads: int) -> None:
        """Get ready for the next run while nothing trains."""

    def close(self) -> None:
        """Leave no process behind."""


@dataclass
class ProcessRunner:
    """Replicates side by side in worker processes, as many as there are cores for."""

    cores: int
    stall_seconds: float = 300
    """A replicate that shows no progress for this long is ended."""
    time_limit: float | None = None
    """Seconds that one replicate may take."""

    def __post_init__(self) -> None:
        self._spare: deque[Worker] = deque()

    def train(
        self, plan: Plan, on_progress: Callable[[Progress], None], should_stop: Callable[[], bool]
    ) -> list[ReplicateResult]:
        """See `Runner.train`."""
        threads = int(plan.config.autopilot["threads"] or 1)
        waiting, active = deque(plan.seeds), dict[int, _Replicate]()
        results: dict[int, ReplicateResult] = {}
        try:
            while waiting or active:
                while waiting and len(active) < max(1, self.cores // threads):
                    seed = waiting.popleft()
                    active[seed] = _Replicate(self._worker(threads), plan, seed, self.stall_seconds, self.time_limit)
                select.select([replicate.worker for replicate in active.values()], [], [], 0.25)
                if should_stop():
                    raise Stopped("stopped on request")
                for seed, replicate in list(active.items()):
                    if result := replicate.poll(on_progress):
                        active.pop(seed).worker.kill()
                        results[seed] = result
        finally:
            for replicate in active.values():
                replicate.worker.kill()
        return [results[seed] for seed in plan.seeds]

    def warm(self, threads: int) -> None:
        """See `Runner.warm`."""
        self._spare = deque(worker for worker in self._spare if worker.alive())
        while len(self._spare) < max(1, self.cores // threads):
            self._spare.append(Worker(threads))

    def close(self) -> None:
        """See `Runner.close`."""
        while self._spare:
            self._spare.pop().kill()

    def _worker(self, threads: int) -> Worker:
        while self._spare:
            worker = self._spare.popleft()
            if worker.alive() and worker.threads == threads:
                return worker
            worker.kill()
        return Worker(threads)


class _Replicate:
    """One seed being trained."""

    def __init__(self, worker: Worker, plan: Plan, seed: int, stall: float, limit: float | None) -> None:
        self.worker, self._plan, self._seed = worker, plan, seed
        self._stall, self._limit = stall, limit
        self._began = self._heard = time.monotonic()
        worker.send(plan.job(seed))

    def poll(self, on_progress: Callable[[Progress], None]) -> ReplicateResult | None:
        """Pass on what has arrived; the result once there is one."""
        at = time.monotonic()
        if select.select([self.worker], [], [], 0)[0]:
            self._heard = at
            events = self.worker.read()
            if events is None:
                return self._outcome()
            for event in events:
                if isinstance(event, Progress):
                    on_progress(event)
        if at - self._heard > self._stall:
            return self._end(RunState.TIMED_OUT, f"no progress for {self._stall:.0f} s")
        if self._limit is not None and at - self._began > self._limit:
            return self._end(RunState.TIMED_OUT, f"took longer than {self._limit:.0f} s")
        return None

    def _outcome(self) -> ReplicateResult:
        try:
            return read_model(self._plan.paths.seed(self._seed).result, ReplicateResult)
        except FileNotFoundError:
            last = f": {self.worker.said()}" if not self._plan.paths.seed(self._seed).log.exists() else ""
            return self._end(RunState.FAILED, f"the training process {self.worker.how_it_ended()}{last}")
        except Damaged as error:
            return self._end(RunState.FAILED, str(error))

    def _end(self, state: RunState, reason: str) -> ReplicateResult:
        self.worker.kill()
        result = ReplicateResult(seed=self._seed, state=state, reason=reason, threads=self.worker.threads)
        with contextlib.suppress(OSError):  # a full disk must not hide the outcome
            write_model(self._plan.paths.seed(self._seed).result, result)
        return result


def train_run(
    notebook: Notebook,
    runner: Runner,
    inventory: Inventory,
    run_id: str,
    on_progress: Callable[[Progress], None],
    should_stop: Callable[[], bool] = lambda: False,
) -> RunRecord:
    """Train a queued run to its end and record what came of it.

    Replicates that had ended before an interruption are not trained again.

    Args:
        notebook: where the run lies.
        runner: what trains it.
        inventory: what this machine has.
        run_id: a run in state queued or running (interrupted).
        on_progress: called with each replicate's progress.
        should_stop: polled; once true the training is given up and the run returns to queued.

    Raises:
        Stopped: on request; the run is queued again.
        InvalidInput: the config is not valid here.
    """
    record, config = notebook.run(run_id), notebook.config(run_id)
    check_config(config, inventory)
    metric, _ = objective_of(record.objective, record.env_name)
    paths = notebook.workspace.run(run_id)
    done = {result.seed: result for result in notebook.results(record)}
    plan = Plan(
        config=config,
        seeds=tuple(seed for seed in record.seeds if seed not in done),
        paths=paths,
        environment=inventory.environment(config.env_name),
        objective=metric,
    )
    notebook.update(run_id, state=RunState.RUNNING, started=now(), attempt=record.attempt + 1)
    try:
        results = runner.train(plan, on_progress, should_stop) if plan.seeds else []
    except (Stopped, KeyboardInterrupt):
        notebook.update(run_id, state=RunState.QUEUED)
        raise
    except OSError as error:
        raise TrainingFailed(f"run {run_id}: the training could not be carried out: {error}") from error
    done |= {result.seed: result for result in results}
    return notebook.finish(run_id, [done[seed] for seed in record.seeds], dict(inventory.versions))


def usable_cores() -> int:
    """Cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
