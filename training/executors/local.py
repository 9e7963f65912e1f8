"""Replicates on this machine: each in a process of its own, as many as cores, memory and GPUs have room for."""

import select
import threading
from collections import Counter, deque
from collections.abc import Collection
from typing import cast

from lab.space import Config, Environment
from training.executors.executor import Place, Running
from training.executors.watching import Watched
from training.process import ForkServer, Worker, can_fork, start_worker
from training.protocol import TrainJob
from training.room import room_for, usable_gpus


class LocalExecutor:
    """This machine's slots.

    On a CPU they are cores and memory; of several GPUs each is a slot, whose replicates see that one alone
    (`CUDA_VISIBLE_DEVICES`).
    """

    def __init__(self, parallel: int | None = None, gpus: tuple[str, ...] | None = None) -> None:
        """Start nothing yet.

        Args:
            parallel: replicates to train at once; None derives that from cores, memory and device.
            gpus: names of the GPUs that may be used, as CUDA_VISIBLE_DEVICES takes them; None asks the driver.
        """
        self._parallel, self._gpus = parallel, gpus
        self._busy: Counter[str] = Counter()
        """GPU to replicates under way on it; the empty name for those on no GPU of their own."""
        self._places: dict[str, Place] = {}
        """Folder of a replicate to where it trains."""
        self._spare: deque[Worker] = deque()
        self._lock = threading.RLock()
        """Runs that train side by side ask for workers at the same time."""
        self.server: ForkServer | None = None
        """The process that forks workers, while there is one."""

    def gpus(self, device: str) -> tuple[str, ...]:
        """The GPUs among which replicates on a device are divided; one empty name where there is nothing to divide."""
        if device != "cuda":
            return ("",)
        if self._gpus is None:
            self._gpus = usable_gpus()
        return self._gpus if len(self._gpus) > 1 else ("",)

    def slots(self, config: Config, environment: Environment, device: str) -> int:
        """The number of replicates by cores, memory and device; see `Executor.slots`."""
        return room_for(config, environment, device, self._parallel, len(self.gpus(device)))

    def begin(self, job: TrainJob, slots: int) -> Running | None:
        """Begin a replicate in a worker; see `Executor.begin`."""
        threads = int(job.config.autopilot["threads"] or 1)
        with self._lock:
            if self._busy.total() >= slots:
                return None
            gpu = self._freest(job.device)
            worker = self.worker(threads, job.device, gpu)
            self._busy[gpu] += 1
            self._places[job.dir] = Place("", gpu, job.run_id, job.seed)
        return Watched(worker, job, f"GPU {gpu}" if gpu else "", lambda: self._ended(gpu, job.dir))

    def wait(self, running: Collection[Running], seconds: float) -> None:
        """Wait for a worker to say something; see `Executor.wait`."""
        select.select([cast(Watched, one).worker for one in running], [], [], seconds)

    def expect(self, config: Config, device: str) -> None:
        """Start a worker ahead of need, where they are not forked; see `Executor.expect`."""
        if not can_fork(device):
            self._start_ahead(1, int(config.autopilot["threads"] or 1), device)

    def warm(self, config: Config | None, device: str) -> None:
        """Start the server that forks, or workers ahead of need; see `Executor.warm`."""
        if can_fork(device):
            with self._lock:
                self._forking()
            return
        threads = int(config.autopilot["threads"] or 1) if config else 1
        self._start_ahead(self._parallel or len(self.gpus(device)), threads, device)

    def worker(self, threads: int, device: str, gpu: str = "") -> Worker:
        """A worker of the kind that suits a device, as soon as can be.

        Args:
            threads: how many it may compute with.
            device: cpu, cuda or mps.
            gpu: the one that it may see; empty for all that this process may.
        """
        with self._lock:
            if can_fork(device):
                return self._forking().worker(threads)
            for worker in list(self._spare):
                if worker.gone():
                    self._spare.remove(worker)
                    worker.kill()
                elif (worker.threads, worker.gpu) == (threads, gpu):
                    self._spare.remove(worker)
                    return worker
            if self._spare and len(self.gpus(device)) == 1:
                self._spare.popleft().kill()  # of another number of threads: it would wait for nothing
            return start_worker(threads, gpu=gpu)

    def places(self) -> list[Place]:
        """What trains, and on which GPU; see `Executor.places`."""
        with self._lock:
            return list(self._places.values())

    def close(self) -> None:
        """End every worker and the server that forks; see `Executor.close`."""
        while self._spare:
            self._spare.pop().kill()
        if self.server is not None:
            self.server.close()
            self.server = None

    def _ended(self, gpu: str, folder: str) -> None:
        with self._lock:
            self._busy[gpu] -= 1
            self._places.pop(folder, None)

    def _freest(self, device: str) -> str:
        """The GPU with the fewest replicates; of those the first."""
        return min(self.gpus(device), key=lambda gpu: self._busy[gpu])

    def _start_ahead(self, count: int, threads: int, device: str) -> None:
        with self._lock:
            self._spare = deque(worker for worker in self._spare if not worker.gone())
            while len(self._spare) < count:
                waiting = Counter(worker.gpu for worker in self._spare)
                gpu = min(self.gpus(device), key=lambda one: self._busy[one] + waiting[one])
                self._spare.append(start_worker(threads, gpu=gpu))

    def _forking(self) -> ForkServer:
        if self.server is not None and not self.server.alive():
            self.server.close()
            self.server = None
        self.server = self.server or ForkServer()
        return self.server
