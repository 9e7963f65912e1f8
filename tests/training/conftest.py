"""Runs queued in a workspace, runners that leave nothing behind, and a user's own module to train with."""

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
from training.fake import FakeRunner
from training.inventory import load_inventory
from training.protocol import Progress
from training.run import Options, train_run
from training.runner import ProcessRunner, Runner

SHORT = {"train.total_timesteps": 131_072, "autopilot.eval_steps": 200}
LONG = {"train.total_timesteps": 500_000_000}


@pytest.fixture(scope="session")
def one_runner() -> Iterator[ProcessRunner]:
    """The real one, kept warm from test to test as it would be through a night."""
    found = ProcessRunner()
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


@pytest.fixture(params=["fake", "real"])
def runner(request: pytest.FixtureRequest) -> Runner:
    """Each of the two in turn."""
    return FakeRunner() if request.param == "fake" else request.getfixturevalue("real")  # type: ignore[no-any-return]


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
