"""The probe: which topology trains a given policy fastest on this machine, and at no cost to the score.

What may vary is what PuffeRL's result should not depend on: the vectorization backend, how many environments are
stepped together, threads, how many replicates train side by side; and the minibatch, up to the larger of the start's
and the ini's. So at equal steps there are never fewer optimizer updates than PufferLib itself would make, and enough
batches for the policy to learn from. What is measured is what a night is made of: steps per second of all replicates
together.
"""

import select
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from lab.base import TrainingFailed
from lab.space import (
    Config,
    Environment,
    Inventory,
    Measurement,
    Task,
    base_config,
    check_overrides,
    chosen,
    derive,
    memory_of,
)
from training.process import Worker, start_worker
from training.protocol import Ended, MeasureJob, Moment
from training.room import room_for, usable_cores
from training.run import Stopped
from training.runner import ProcessRunner

SECONDS = 2.5
"""Seconds that each topology is measured for."""
PATIENCE = 90.0
"""Seconds after which a topology is given up."""
INI_PATIENCE = 300.0
"""Seconds after which PufferLib's ini is given up: one batch of its 524,288 steps takes half a minute or more."""
INI_TIMES = 3
TICK = 0.5
BATCHES = 30
"""Fewer batches than this in a whole training leave little to learn from."""
SIMILAR = 0.03
"""Relative difference below which two speeds are the same, and the smaller batch is preferred."""
VEC = ("vec.backend", "vec.num_envs", "vec.num_workers", "vec.batch_size")
KEYS = (*VEC, "env.num_envs", "train.minibatch_size", "autopilot.threads")
"""The part of a config that a topology is."""
FROM_INI = ("vec.backend", "vec.num_envs", "train.bptt_horizon", "train.minibatch_size", "train.max_minibatch_size")
"""The part of PufferLib's ini that is measured with the start's policy."""


@dataclass
class Probe:
    """A search for the fastest topology of one config."""

    start: Config
    environment: Environment
    inventory: Inventory
    runner: ProcessRunner
    workspace: str | None = None
    """Where the user's modules may lie."""
    stopping: Callable[[], bool] = lambda: False
    """Polled; once true what is being measured is given up, and no more is."""
    measured: list[Measurement] = field(default_factory=list)
    why: str = ""
    """Why the last moment came to nothing."""
    late: bool = False
    """Whether that was because it took too long."""

    def run(self, deadline: float, on_measured: Callable[[Measurement], None]) -> Measurement:
        """Measure topologies until none is left or time is up.

        Args:
            deadline: by `time.monotonic`; the topology in hand is still finished.
            on_measured: called with each as it was measured.

        Raises:
            TrainingFailed: not even the start could be measured.
            Stopped: before anything was measured.
        """
        for overrides in self._candidates():
            if self.stopping() or (self.measured and time.monotonic() > deadline):
                break
            config = self.start.with_overrides(overrides)
            if check_overrides(self.start, overrides, self.inventory) or self._learns_less(config):
                continue
            measurement = self.measure(config)
            if measurement is not None:
                self.measured.append(measurement)
                on_measured(measurement)
        if not self.measured and self.stopping():
            raise Stopped("stopped: no preset was kept")
        if not self.measured:
            raise TrainingFailed(f"{self.start.env_name} could not be trained in any topology")
        return self.best()

    def best(self) -> Measurement:
        """The fastest measurement so far; of those that are as fast, the one with the smallest batch."""
        fastest = max(measurement.sps for measurement in self.measured)
        close = [measurement for measurement in self.measured if measurement.sps >= (1 - SIMILAR) * fastest]
        return min(close, key=lambda measurement: (measurement.batch_size, -measurement.sps))

    def ini(self) -> Measurement | None:
        """Measure PufferLib's own ini for this environment with the start's policy; None if that can't be done.

        As `puffer train` runs it: alone, in a fresh process, on every core, but with no more processes than PufferLib
        allows here. Its threads and its busy-waiting processes fight over the cores, so that its speed differs by a
        factor of two or more from start to start: the median of three counts.
        """
        base = base_config(self.environment)
        workers = min(int(base.vec["num_envs"] or 1), self.inventory.cores)
        while int(base.vec["num_envs"] or 1) % workers:
            workers -= 1
        changes = {key: base.get(key) for key in FROM_INI} | {"autopilot.threads": usable_cores()}
        if "num_envs" in base.env:
            changes["env.num_envs"] = base.env["num_envs"]
        if base.vec["backend"] == "Multiprocessing":
            changes["vec.num_workers"] = workers
        changes["train.total_timesteps"] = 10**9  # its batches are large; nothing is trained to the end here
        config = self.start.with_overrides(changes)
        tries = [
            self._moments([start_worker(usable_cores())], config, INI_PATIENCE)
            for _ in range(INI_TIMES)
            if not self.stopping()
        ]
        speeds = [moment.sps for several in tries for moment in several or ()]
        return self._measurement(config, 1, statistics.median(speeds)) if speeds else None

    def measure(self, config: Config) -> Measurement | None:
        """Measure how fast a config trains, with as many replicates side by side as the runner would train.

        Args:
            config: valid here.

        Returns:
            None if it fails or takes too long.
        """
        moments = self.moments(config)
        if moments is None:
            return None
        return self._measurement(config, len(moments), sum(moment.sps for moment in moments))

    def moments(self, config: Config, task: Task | None = None, most: int | None = None) -> list[Moment] | None:
        """Measure a moment of as many replicates side by side as the runner would train.

        Args:
            config: valid here.
            task: what they are scored on, to measure its evaluation too.
            most: no more replicates than this; None for as many as there is room for.

        Returns:
            None if one fails or takes too long.
        """
        device = self.inventory.device(config.train["device"])
        room = room_for(config, self.environment, device, None)  # of one GPU, where there are several
        threads = int(config.autopilot["threads"] or 1)
        workers = [self.runner.worker(threads, device) for _ in range(min(room, most or room))]
        return self._moments(workers, config, PATIENCE, task)

    def _moments(
        self, workers: list[Worker], config: Config, patience: float, task: Task | None = None
    ) -> list[Moment] | None:
        """What each worker measured, side by side; the workers are gone afterwards."""
        variants = chosen(config, self.environment.variants)
        job = MeasureJob(
            config=config,
            device=self.inventory.device(config.train["device"]),
            package=self.environment.ini["base"]["package"],
            seconds=SECONDS,
            task=task,
            agents_per_env=self.environment.agents_per_env or 1.0,
            workspace=self.workspace,
            variants=variants,
        )
        try:
            for worker in workers:
                worker.send(job)
            moments = _gathered(workers, patience, self.stopping)
            if moments is None:
                ended = next((worker for worker in workers if worker.gone()), None)
                self.why, self.late = ended.said() if ended else f"it takes longer than {patience:g} s", ended is None
            return moments
        finally:
            for worker in workers:
                worker.kill()

    def _measurement(self, config: Config, at_once: int, sps: float) -> Measurement:
        return Measurement(
            overrides={key: config.get(key) for key in KEYS if config.get(key) is not None},
            threads=int(config.autopilot["threads"] or 1),
            at_once=at_once,
            batch_size=derive(config, self.environment.agents_per_env or 1).batch_size,
            sps=sps,
        )

    # --- what is tried -------------------------------------------------------------------------------------------

    def _candidates(self) -> Iterator[dict[str, Any]]:
        """The start, then more and fewer agents, threads, smaller minibatches, several processes; best kept on."""
        yield {"vec.backend": self.start.vec["backend"]}
        for threads in dict.fromkeys((1, usable_cores())):
            for factor in (1, 2, 4, 8, 0.5, 0.25):
                yield {**self._agents(factor), "autopilot.threads": threads, "vec.backend": "Serial"}
        yield from self._minibatches(2.0)
        yield from self._minibatches(0.5)
        for workers in dict.fromkeys((2, usable_cores())):
            yield from self._processes(workers)

    def _minibatches(self, factor: float) -> Iterator[dict[str, Any]]:
        """Larger or smaller minibatches, for as long as that helps: fewer calls, or arrays that stay in the caches."""
        best = self.best().overrides
        minibatch = int(int(best["train.minibatch_size"]) * factor)
        while int(self.start.train["bptt_horizon"] or 1) <= minibatch <= self.largest_minibatch:
            yield {**best, "train.minibatch_size": minibatch}
            if self.best().overrides["train.minibatch_size"] != minibatch:
                return
            minibatch = int(minibatch * factor)

    @property
    def largest_minibatch(self) -> int:
        """The largest minibatch with no fewer updates than PufferLib's ini makes, or than the start does."""
        base = base_config(self.environment)
        return max(int(config.train["minibatch_size"] or 1) for config in (self.start, base))

    def _agents(self, factor: float) -> dict[str, Any]:
        """So many times the start's environments, with the start's minibatch where it fits."""
        scalable = "num_envs" in self.start.env
        key = "env.num_envs" if scalable else "vec.num_envs"
        count = max(1, round(int(self.start.get(key)) * factor))
        changes: dict[str, Any] = {key: count, **({"vec.num_envs": 1} if scalable else {})}
        batch = derive(self.start.with_overrides(changes), self.environment.agents_per_env or 1).batch_size
        return {**changes, "train.minibatch_size": min(batch, int(self.start.train["minibatch_size"] or batch))}

    def _processes(self, workers: int) -> Iterator[dict[str, Any]]:
        best = self.best().overrides
        total = int(best.get("env.num_envs") or 1) * int(best["vec.num_envs"])
        shared = {**best, "vec.backend": "Multiprocessing", "vec.num_workers": workers}
        if "env.num_envs" in best:
            yield {**shared, "vec.num_envs": workers, "env.num_envs": max(1, total // workers)}
            twice = {"vec.num_envs": 2 * workers, "env.num_envs": max(1, total // (2 * workers))}
            yield {**shared, **twice, "vec.batch_size": workers}
        elif total % workers == 0:
            yield {**shared, "vec.num_envs": total}

    def _learns_less(self, config: Config) -> bool:
        """Whether a config has too few batches in the whole training, or needs more memory than the machine has."""
        agents = self.environment.agents_per_env or 1
        start, here = derive(self.start, agents), derive(config, agents)
        enough = min(BATCHES, start.epochs)
        total = self.inventory.memory_gib * 2**30
        return here.epochs < enough or memory_of(config, self.environment) > total / 2


def _gathered(workers: list[Worker], patience: float, stopping: Callable[[], bool]) -> list[Moment] | None:
    """What each worker measured; None if one failed, all took too long, or nobody wants to know any more."""
    deadline, moments = time.monotonic() + patience, dict[int, Moment]()
    while len(moments) < len(workers):
        waiting = [worker for index, worker in enumerate(workers) if index not in moments]
        if time.monotonic() > deadline or not select.select(waiting, [], [], TICK)[0]:
            if stopping() or time.monotonic() > deadline or any(worker.gone() for worker in waiting):
                return None
            continue
        for index, worker in enumerate(workers):
            events = worker.read(0) if index not in moments else []
            if events is None:
                return None
            for event in events:
                if isinstance(event, Ended) and event.moment is not None:
                    moments[index] = event.moment
    return [moments[index] for index in range(len(workers))]
