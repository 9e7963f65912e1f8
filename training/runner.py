"""The runner: replicates of one run trained side by side, each in a slot of an executor, every end an outcome.

`Runner` is the interface; `SlotRunner` trains for real, on this machine (`ProcessRunner`) or elsewhere;
`training.fake.FakeRunner` makes curves up for tests of everything around training. `training.run.train_run` is what
callers use.
"""

from collections import Counter, deque
from dataclasses import dataclass
from typing import Protocol

from lab.base import RunPaths, TrainingFailed, Workspace
from lab.space import Config, Environment, Objective, metrics_of
from lab.store import ReplicateResult, RunRecord, StopReason, source_file
from training.executors import Executor, LocalExecutor, Lost, Place, Running
from training.process import Worker
from training.protocol import OnProgress, ShouldStop, TrainJob

TICK = 0.25
LOSSES = 20
"""Times that one replicate may lose its machine: a cluster that is preempted all night must not keep a run for ever."""


@dataclass(frozen=True)
class Plan:
    """A run that is to be trained, with all that a worker has to know."""

    run: RunRecord
    config: Config
    seeds: tuple[int, ...]
    """Seeds of the run that are still to be trained."""
    workspace: Workspace
    environment: Environment
    device: str
    """Device that the run trains on: cpu, cuda or mps."""
    goal: Objective
    mirrors: tuple[str, ...] = ()

    @property
    def paths(self) -> RunPaths:
        """Paths of the run's files."""
        return self.workspace.run(self.run.run_id)

    def job(self, seed: int) -> TrainJob:
        """The job of the worker that trains a seed."""
        metric = metrics_of(self.config.env_name).get(self.goal.metric)
        root, resume = self.workspace.root.absolute(), self.run.resume
        start = source_file(root, resume, self.run.seeds.index(seed)) if resume else None
        job = {
            "config": self.config,
            "device": self.device,
            "package": self.environment.ini["base"]["package"],
            "agents_per_env": self.environment.agents_per_env or 1.0,
            "seed": seed,
            "dir": str(self.paths.seed(seed).dir.absolute()),
            "score": metric.source if metric else self.goal.metric,
            "score_scale": metric.scale if metric else 1.0,
            "objective": str(self.goal),
            "task": self.run.task,
            "workspace": str(root),
            "variants": self.run.variants,
            "start_from": str(start) if start else None,
            "mirrors": self.mirrors,
            "project": self.run.env_name.replace(":", "-"),
            "run_id": self.run.run_id,
        }
        return TrainJob.model_validate(job)


class Runner(Protocol):
    """A trainer of the replicates of a run, which says what came of each."""

    def train(self, plan: Plan, on_progress: OnProgress, should_stop: ShouldStop) -> list[ReplicateResult]:
        """Train a plan: one result per seed that was begun, in order, each also in its `result.json`.

        Once `should_stop` answers, replicates end after their present update, or are ended, and no more are begun;
        their results carry the state and the reason of the answer. One whose process somebody else killed, or who said
        what can't be read, is `killed`.

        Raises:
            TrainingFailed: a process for one can't be started.
        """

    def room(self, config: Config, environment: Environment, device: str) -> int:
        """The number of replicates of a config that there is room for side by side."""

    def warm(self, config: Config | None = None, device: str = "cpu") -> None:
        """Get ready for the next run while nothing trains."""

    def places(self) -> list[Place]:
        """The slots that are there and what trains in them, where that is known."""

    def close(self) -> None:
        """Leave no process behind."""


class SlotRunner:
    """A runner of replicates side by side, in the slots of an executor; it knows of no machine."""

    def __init__(self, executor: Executor) -> None:
        """Start nothing yet.

        Args:
            executor: what carries them out; closed with this.
        """
        self.executor = executor

    def train(self, plan: Plan, on_progress: OnProgress, should_stop: ShouldStop) -> list[ReplicateResult]:
        """Train the replicates side by side; see `Runner.train`."""
        room = self.room(plan.config, plan.environment, plan.device)
        waiting, active = deque(plan.seeds), dict[int, Running]()
        results: dict[int, ReplicateResult] = {}
        losses: Counter[int] = Counter()
        why: StopReason | None = None
        try:
            while active or (waiting and why is None):
                while waiting and why is None:
                    began = self.executor.begin(plan.job(waiting[0]), room)
                    if began is None:  # no slot is free
                        break
                    active[waiting.popleft()] = began
                if waiting and why is None and all(replicate.trains for replicate in active.values()):
                    # Importing takes seconds; not while those that are to train import.
                    self.executor.expect(plan.config, plan.device)
                self.executor.wait(active.values(), TICK)
                if why is None and (why := should_stop()):
                    for replicate in active.values():
                        replicate.stop(why)
                for seed, replicate in list(active.items()):
                    try:
                        result = replicate.poll(on_progress)
                    except Lost as lost:
                        active.pop(seed).end()
                        losses[seed] += 1
                        if losses[seed] > LOSSES:
                            raise TrainingFailed(f"seed {seed} lost {losses[seed]} machines: {lost}") from lost
                        waiting.append(seed)
                        continue
                    if result is not None:
                        active.pop(seed).end()
                        results[seed] = result
        finally:
            for replicate in active.values():
                replicate.end()
        return [results[seed] for seed in plan.seeds if seed in results]

    def room(self, config: Config, environment: Environment, device: str) -> int:
        """The executor's slots; see `Runner.room`."""
        return self.executor.slots(config, environment, device)

    def warm(self, config: Config | None = None, device: str = "cpu") -> None:
        """Get ready for the next run; see `Runner.warm`."""
        self.executor.warm(config, device)

    def places(self) -> list[Place]:
        """The executor's; see `Runner.places`."""
        return self.executor.places()

    def close(self) -> None:
        """Leave no process behind; see `Runner.close`."""
        self.executor.close()


class ProcessRunner(SlotRunner):
    """A runner on this machine, whose workers can also be had for something else than training."""

    executor: LocalExecutor

    def __init__(self, parallel: int | None = None) -> None:
        """Start nothing yet.

        Args:
            parallel: replicates to train at once; None derives that from cores, memory and device.
        """
        super().__init__(LocalExecutor(parallel))

    def worker(self, threads: int, device: str) -> Worker:
        """A worker of the kind that suits a device; see `LocalExecutor.worker`."""
        return self.executor.worker(threads, device)
