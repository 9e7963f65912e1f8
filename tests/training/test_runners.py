"""One suite of behaviour for every runner: the real one, which trains for seconds, and the fake one."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from lab.config import Config
from lab.curves import run_curves
from lab.environments import metrics_of
from lab.errors import InvalidInput
from lab.inventory import Inventory
from lab.notebook import Notebook
from lab.records import ReplicateResult, RunRecord, RunState
from training.fake import FakeRunner
from training.process import Worker
from training.protocol import Progress
from training.runner import Plan, ProcessRunner, Runner, Stopped, train_run, usable_cores

SHORT = {"train.total_timesteps": 131_072, "autopilot.eval_steps": 200}


@pytest.fixture(params=["fake", "real"])
def runner(request: pytest.FixtureRequest) -> Iterator[Runner]:
    found: Runner = FakeRunner() if request.param == "fake" else ProcessRunner(usable_cores())
    yield found
    found.close()


@pytest.fixture
def real() -> Iterator[ProcessRunner]:
    found = ProcessRunner(usable_cores())
    yield found
    found.close()


Queue = Callable[..., RunRecord]


@pytest.fixture
def queue(notebook: Notebook, config: Config) -> Queue:
    def make(overrides: dict[str, Any] | None = None, **more: Any) -> RunRecord:
        changed = config.with_overrides({**SHORT, **(overrides or {})})
        return notebook.create(changed, {}, preset="quick", objective="perf:max", **{"arm": "person", **more})

    return make


def children() -> set[int]:
    return {child.pid for child in psutil.Process().children(recursive=True)}


def test_a_run_is_trained_and_recorded(runner: Runner, queue: Queue, notebook: Notebook, inventory: Inventory) -> None:
    seen: list[Progress] = []
    run = train_run(notebook, runner, inventory, queue().run_id, seen.append)
    assert (run.state, run.attempt, run.reason) == (RunState.FINISHED, 1, None)
    results = notebook.results(run)
    assert [result.seed for result in results] == list(run.seeds) == [1, 2]
    summary = notebook.summary(run.run_id)
    assert summary is not None
    perf = summary.metrics["perf"]
    assert perf.n == 2
    assert 0 <= min(perf.values) <= max(perf.values) <= 1
    assert summary.metrics["agent_steps"].mean >= SHORT["train.total_timesteps"]
    assert {p.seed for p in seen} == {1, 2}
    assert max(p.steps for p in seen) >= SHORT["train.total_timesteps"]
    curves = run_curves(notebook.workspace.run(run.run_id), run.seeds)
    for seed in run.seeds:
        assert curves[seed]["environment/perf"].steps.size > 0
        assert notebook.workspace.run(run.run_id).seed(seed).log.exists()


def test_stopping_returns_the_run_to_the_queue(
    runner: Runner, queue: Queue, notebook: Notebook, inventory: Inventory
) -> None:
    before, asked = children(), []
    run = queue({"train.total_timesteps": 500_000_000})

    def should_stop() -> bool:
        return bool(asked)

    with pytest.raises(Stopped):
        train_run(notebook, runner, inventory, run.run_id, asked.append, should_stop)
    assert notebook.run(run.run_id).state is RunState.QUEUED
    runner.close()
    assert children() <= before


def test_an_invalid_config_is_refused_before_anything_starts(
    runner: Runner, queue: Queue, notebook: Notebook, inventory: Inventory
) -> None:
    run = queue({"train.minibatch_size": 1000})
    with pytest.raises(InvalidInput, match="bptt_horizon"):
        train_run(notebook, runner, inventory, run.run_id, lambda _: None)
    assert notebook.run(run.run_id) == run


def test_an_objective_that_was_not_measured_fails_the_run(
    runner: Runner, notebook: Notebook, config: Config, inventory: Inventory
) -> None:
    run = notebook.create(config.with_overrides(SHORT), {}, preset="quick", objective="nonsense:max", arm="person")
    found = train_run(notebook, runner, inventory, run.run_id, lambda _: None)
    if isinstance(runner, FakeRunner):
        assert found.state is RunState.FINISHED  # it makes up whatever it is asked for
    else:
        assert found.state is RunState.FAILED
        assert "logged no 'nonsense'" in (found.reason or "")
        assert "perf" in (found.reason or "")


class TestReal:
    """What only real training can show."""

    def test_config_and_seed_give_the_same_weights_and_score(
        self, real: ProcessRunner, queue: Queue, notebook: Notebook, inventory: Inventory
    ) -> None:
        one, two = (
            train_run(notebook, real, inventory, queue({"train.seed": 5}).run_id, lambda _: None) for _ in range(2)
        )
        first, second = notebook.results(one), notebook.results(two)
        assert [r.weights for r in first] == [r.weights for r in second]
        assert [r.metrics["perf"] for r in first] == [r.metrics["perf"] for r in second]
        assert first[0].weights != first[1].weights

    def test_the_evaluation_weighs_unfinished_episodes_little(
        self, real: ProcessRunner, queue: Queue, notebook: Notebook, inventory: Inventory
    ) -> None:
        run = queue({"autopilot.eval_steps": 4000, "autopilot.seeds": 1})
        run = train_run(notebook, real, inventory, run.run_id, lambda _: None)
        (result,) = notebook.results(run)
        assert {evaluation.actions for evaluation in result.evaluations} == {"sampled", "greedy"}
        for evaluation in result.evaluations:
            assert evaluation.unfinished_share < 0.05
            assert evaluation.episodes >= 1280
        assert result.eval_seed is not None
        assert result.eval_seed > max(run.seeds)
        raw = result.evaluations[0].raw
        declared = metrics_of("puffer_cartpole")
        assert result.metrics["success_rate"] == raw["max_steps_termination"]
        assert result.metrics["mean_reward"] == pytest.approx(raw["perf"] * declared["mean_reward"].scale)

    def test_an_lstm_trains_and_is_evaluated(
        self, real: ProcessRunner, queue: Queue, notebook: Notebook, inventory: Inventory
    ) -> None:
        run = train_run(
            notebook, real, inventory, queue({"rnn.enabled": True, "autopilot.seeds": 1}).run_id, lambda _: None
        )
        assert run.state is RunState.FINISHED, run.reason

    def test_muon_trains(self, real: ProcessRunner, queue: Queue, notebook: Notebook, inventory: Inventory) -> None:
        run = train_run(
            notebook, real, inventory, queue({"train.optimizer": "muon", "autopilot.seeds": 1}).run_id, lambda _: None
        )
        assert run.state is RunState.FINISHED, run.reason

    def test_a_killed_worker_is_an_outcome(
        self, real: ProcessRunner, queue: Queue, notebook: Notebook, inventory: Inventory
    ) -> None:
        run, killed = queue({"train.total_timesteps": 500_000_000}), []

        def kill(progress: Progress) -> None:
            for child in psutil.Process().children() if not killed else []:
                if "training.worker" in child.cmdline():
                    killed.append(child.pid)
                    os.kill(child.pid, signal.SIGKILL)

        found = train_run(notebook, real, inventory, run.run_id, kill)
        assert killed
        assert found.state is RunState.FAILED
        assert "SIGKILL" in (found.reason or "")
        assert real.train  # and the runner goes on
        again = train_run(notebook, real, inventory, queue({"autopilot.seeds": 1}).run_id, lambda _: None)
        assert again.state is RunState.FINISHED

    def test_an_environment_that_raises_is_an_outcome(
        self, real: ProcessRunner, queue: Queue, notebook: Notebook, inventory: Inventory
    ) -> None:
        run = queue({"policy.name": "NoSuchPolicy", "autopilot.seeds": 1})
        found = train_run(notebook, real, inventory, run.run_id, lambda _: None)
        assert found.state is RunState.FAILED
        assert "NoSuchPolicy" in (found.reason or "")
        assert any("Traceback" in line or "NoSuchPolicy" in line for line in found.log_tail)

    def test_no_progress_is_an_outcome(self, queue: Queue, notebook: Notebook, inventory: Inventory) -> None:
        runner = ProcessRunner(usable_cores(), stall_seconds=0.05)  # imports alone take longer
        found = train_run(notebook, runner, inventory, queue({"autopilot.seeds": 1}).run_id, lambda _: None)
        assert found.state is RunState.TIMED_OUT
        assert "no progress" in (found.reason or "")

    def test_weights_that_are_no_longer_finite_are_called_diverged(
        self, queue: Queue, notebook: Notebook, inventory: Inventory, tmp_path: Path
    ) -> None:
        run = queue({"autopilot.seeds": 1})
        environment = inventory.environment("puffer_cartpole")
        plan = Plan(notebook.config(run.run_id), run.seeds, notebook.workspace.run(run.run_id), environment, "perf")
        code = (
            "import sys, torch; argument = sys.argv[1]\n"
            "from training import adapter; from training.protocol import TrainJob\n"
            "make = adapter.make_policy\n"
            "def poisoned(*a):\n"
            "    policy = make(*a); torch.nn.init.constant_(policy.value.weight, float('nan')); return policy\n"
            "adapter.make_policy = poisoned\n"
            "job = TrainJob.model_validate_json(argument)\n"
            "result = adapter.train(job, lambda _: None, lambda _: None)\n"
            "sys.stdout.write(chr(10) + result.model_dump_json()); sys.stdout.flush()\n"
            "import os; os._exit(0)"
        )
        arguments = [sys.executable, "-P", "-c", code, plan.job(1).model_dump_json()]
        done = subprocess.run(arguments, capture_output=True, text=True, check=True, timeout=120, cwd=tmp_path)
        result = ReplicateResult.model_validate_json(done.stdout.splitlines()[-1])
        assert result.state is RunState.DIVERGED
        assert "nan" in (result.reason or "") or "finite" in (result.reason or "")
        assert result.metrics == {}

    def test_a_worker_dies_with_its_parent(self, tmp_path: Path) -> None:
        code = (
            "import os, signal; from training.process import Worker; w = Worker(1);"
            "print(w.pid, flush=True); list(zip(range(1), w.events(60))); os.kill(os.getpid(), signal.SIGKILL)"
        )
        parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
        assert parent.stdout is not None
        worker = psutil.Process(int(parent.stdout.readline()))
        parent.wait(60)
        worker.wait(20)
        assert not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE

    def test_a_worker_leaves_nothing_in_the_current_folder(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)  # importing PufferLib makes a link where it is
        worker = Worker(threads=1)
        try:
            assert next(worker.events(60)).event == "ready"
        finally:
            worker.kill()
        assert list(tmp_path.iterdir()) == []

    def test_a_worker_never_sees_the_api_key(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
        worker = Worker(threads=1)
        try:
            assert "OPENAI_API_KEY" not in psutil.Process(worker.pid).environ()
            assert psutil.Process(worker.pid).environ()["OMP_NUM_THREADS"] == "1"
        finally:
            worker.kill()


def test_the_inventory_tells_what_can_be_trained(inventory: Inventory) -> None:
    names = {name for name, env in inventory.environments.items() if env.refused is None}
    assert {"puffer_cartpole", "puffer_breakout", "puffer_pong", "puffer_drone"} <= names
    assert "Box2D" in (inventory.environments["puffer_impulse_wars"].refused or "")
    assert inventory.devices[-1] == "cpu"
    assert inventory.environment("puffer_cartpole").constructor.keys() == {"num_envs", "report_interval", "continuous"}
    json.loads(inventory.model_dump_json())
