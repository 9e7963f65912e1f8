"""Runs queued in a workspace, runners that leave nothing behind, and a user's own module to train with."""

import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from lab.base.paths import Workspace
from lab.space.config import Config
from lab.space.environments import preset_config
from lab.space.inventory import Inventory
from lab.space.objective import Objective
from lab.space.validate import check_overrides
from lab.space.variants import chosen
from lab.store.creation import create_run
from lab.store.notebook import Notebook
from lab.store.records import RunRecord
from tests.training.batches import LocalBatch
from tests.warm import Warm
from training.executors.cluster import RayExecutor
from training.executors.madeup import Fault, MadeUp, MadeUpExecutor
from training.executors.slurm import SlurmExecutor
from training.fake import FakeRunner
from training.inventory import load_inventory
from training.process import THREADS
from training.protocol import Progress
from training.run import Options, train_run
from training.runner import ProcessRunner, Runner, SlotRunner

SHORT = {"train.total_timesteps": 131_072, "autopilot.eval_steps": 200}
LONG = {"train.total_timesteps": 500_000_000}


@pytest.fixture(scope="session")
def one_runner() -> Iterator[ProcessRunner]:
    """The real one, kept warm from test to test as it would be through a night."""
    found = ProcessRunner()
    yield found
    found.close()


@pytest.fixture(autouse=True)
def _looked_at_by_forks(one_runner: ProcessRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    """What looks at environments is forked too, in these processes: most tests look at some, and to import PufferLib
    takes three seconds. Commands start what they need. A server that forks hides GPUs: not where there are some."""
    if not any(Path("/dev").glob("nvidia[0-9]*")):
        monkeypatch.setattr("training.inventory.start_worker", lambda threads, role: one_runner.worker(threads, "cpu"))


@pytest.fixture(scope="session")
def trainer() -> Iterator[Warm]:
    """A process that has torch and PufferLib imported, for scripts: `trainer.run([], script="…")`."""
    found = Warm(("training.adapter", "training.replicate"), dict.fromkeys(THREADS, "1"))
    yield found
    found.close()


@pytest.fixture
def real(one_runner: ProcessRunner) -> Iterator[ProcessRunner]:
    """The real one; every test leaves it without a process of its own."""
    yield one_runner
    server = one_runner.executor.server
    left = psutil.Process(server.pid).children(recursive=True) if server and server.alive() else []
    _, alive = psutil.wait_procs(left, timeout=10)
    assert alive == [], "a training process is left"


class LocalCluster:
    """A Ray cluster on this machine, in a process of its own."""

    def __init__(self, *cpus: int) -> None:
        os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"  # also for whoever connects: all on the loopback
        command = [sys.executable, str(Path(__file__).with_name("ray_cluster.py")), *map(str, cpus)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        while not (said := self._process.stdout.readline()).startswith("cluster "):
            assert said, "the cluster did not come up"
        _, self.address, *self.nodes = said.split()

    @property
    def pid(self) -> int:
        return self._process.pid

    def tell(self, what: str) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{what}\n")
        self._process.stdin.flush()
        while self._process.stdout.readline() != "done\n":
            assert self._process.poll() is None

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def __enter__(self) -> "LocalCluster":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@pytest.fixture(scope="session")
def one_cluster() -> Iterator[LocalCluster]:
    """A head and two nodes, kept from test to test."""
    pytest.importorskip("ray")
    with LocalCluster(1, 2) as cluster:
        yield cluster


class OnRay(SlotRunner):
    """Made-up replicates on a cluster, whose faults can be set as those of the fake runner."""

    def __init__(self, workspace: Workspace, address: str) -> None:
        self._where = workspace, address, "suite"
        super().__init__(RayExecutor(*self._where, made_up=MadeUp(seconds=1)))

    def go_wrong(self, faults: dict[int, Fault]) -> None:
        self.executor.close()
        self.executor = RayExecutor(*self._where, made_up=MadeUp(seconds=1, faults=faults))


@pytest.fixture
def suite_on_ray(one_cluster: LocalCluster, workspace: Workspace) -> Iterator[OnRay]:
    """A runner on the cluster."""
    found = OnRay(workspace, one_cluster.address)
    yield found
    found.close()


class InJobs(SlotRunner):
    """Made-up replicates in jobs, whose faults can be set as those of the fake runner."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace, self._batch = workspace, LocalBatch()
        super().__init__(self._with(MadeUp(seconds=1)))

    def go_wrong(self, faults: dict[int, Fault]) -> None:
        self.executor.close()
        self.executor = self._with(MadeUp(seconds=1, faults=faults))

    def take_long(self) -> None:
        """What is to be stopped must not be over before its job has looked for that."""
        self.executor.close()
        self.executor = self._with(MadeUp(seconds=60))

    def _with(self, how: MadeUp) -> SlurmExecutor:
        return SlurmExecutor(self._workspace, "suite", parallel=2, batch=self._batch, made_up=how)


@pytest.fixture
def suite_in_jobs(workspace: Workspace) -> Iterator[InJobs]:
    """A runner whose replicates are jobs of submitit's, on this machine."""
    pytest.importorskip("submitit")
    found = InJobs(workspace)
    yield found
    found.close()


@pytest.fixture(params=["fake", "real", "made-up", "jobs", pytest.param("ray", marks=pytest.mark.slow)])
def runner(request: pytest.FixtureRequest) -> Runner:
    """Each in turn."""
    if request.param == "fake":
        return FakeRunner()
    if request.param == "made-up":
        return MadeUpRunner()
    name = {"real": "real", "ray": "suite_on_ray", "jobs": "suite_in_jobs"}[request.param]
    return request.getfixturevalue(name)  # type: ignore[no-any-return]


class MadeUpRunner(SlotRunner):
    """Made-up replicates in the slots of this process."""

    def __init__(self, how: MadeUp = MadeUp(seconds=1)) -> None:  # noqa: B008
        super().__init__(MadeUpExecutor(how, slots=2))

    def go_wrong(self, faults: dict[int, Fault]) -> None:
        self.executor = MadeUpExecutor(MadeUp(seconds=1, faults=faults), slots=2)


Queue = Callable[..., RunRecord]


@pytest.fixture
def queue(notebook: Notebook, config: Config) -> Queue:
    """Queue a short run of cartpole: `queue({"train.gamma": 0.9})`."""

    def make(overrides: dict[str, Any] | None = None, **more: Any) -> RunRecord:
        changed = config.with_overrides({**SHORT, **(overrides or {})})
        fields = {"preset": "quick", "objective": "perf:max", "arm": "person", **more}
        return create_run(notebook, changed, {}, **fields)

    return make


Train = Callable[..., RunRecord]


@pytest.fixture
def train(notebook: Notebook, real: ProcessRunner, inventory: Inventory, queue: Queue) -> Train:
    """Queue a short run and train it for real."""

    def run(overrides: dict[str, Any] | None = None, *, options: Options = Options(), **more: Any) -> RunRecord:  # noqa: B008
        seen: Callable[[Progress], None] = more.pop("on_progress", lambda _: None)
        stop: Callable[[], bool] = more.pop("should_stop", lambda: False)
        made = queue(overrides, **more)
        return train_run(notebook, real, inventory, made.run_id, seen, stop, options)

    return run


@pytest.fixture
def module(workspace: Workspace) -> Callable[[str], str]:
    """Write a module of the user's into the workspace; its name is the test's own, since nothing is unimported."""

    def write(source: str, name: str = "mine") -> str:
        Path(workspace.root / f"{name}.py").write_text(textwrap.dedent(source))
        return name

    return write


@pytest.fixture
def train_env(notebook: Notebook, real: ProcessRunner) -> Train:
    """Train any environment by name, a few thousand steps: `train_env("gymnasium:CartPole-v1", {...})`."""

    def run(env_name: str, overrides: dict[str, Any] | None = None, **more: Any) -> RunRecord:
        inventory = load_inventory([env_name], notebook.workspace)
        environment = inventory.environment(env_name)
        small = {"train.total_timesteps": 8192, "autopilot.seeds": 1, "autopilot.eval_steps": 400}
        changes = {**small, **(overrides or {})}
        base = preset_config(environment, "quick")
        assert check_overrides(base, changes, inventory) == []
        config = base.with_overrides(changes)
        objective = str(Objective.of(more.pop("objective", None), env_name))
        before: Callable[[], object] = more.pop("before", lambda: None)
        made = create_run(
        notebook,
            config, {}, preset="quick", objective=objective, arm="person",
            variants=chosen(config, environment.variants), **more,
        )  # fmt: skip
        before()
        return train_run(notebook, real, inventory, made.run_id, lambda _: None)

    return run
