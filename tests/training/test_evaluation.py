"""Scores, determinism, checkpoints and what is recorded beside them, by real training."""

import time
from collections.abc import Callable

import numpy as np
import psutil
import pytest

from lab.base.paths import Workspace
from lab.space.environments import metrics_of
from lab.store.curves import run_curves
from lab.store.notebook import Notebook
from lab.store.records import RunState
from tests.training.conftest import Train
from training.process import Worker, start_worker
from training.runner import ProcessRunner


def test_config_and_seed_give_the_same_weights_and_score(train: Train, notebook: Notebook) -> None:
    one, two = (notebook.results(train({"train.seed": 5})) for _ in range(2))
    assert [r.weights for r in one] == [r.weights for r in two]
    assert [r.evaluations for r in one] == [r.evaluations for r in two]
    assert one[0].weights != one[1].weights


def test_a_forked_worker_trains_what_a_started_one_does(
    train: Train, notebook: Notebook, monkeypatch: pytest.MonkeyPatch
) -> None:
    (forked,) = notebook.results(train({"train.seed": 5, "autopilot.seeds": 1}))
    monkeypatch.setattr("training.executors.local.can_fork", lambda device: False)
    (started,) = notebook.results(train({"train.seed": 5, "autopilot.seeds": 1}))
    assert started.weights == forked.weights
    assert started.evaluations == forked.evaluations


def test_threads_are_as_configured(train: Train, notebook: Notebook, real: ProcessRunner) -> None:
    counts: set[int] = set()

    def look(_: object) -> None:
        assert real.executor.server is not None
        counts.update(child.num_threads() for child in psutil.Process(real.executor.server.pid).children())

    (result,) = notebook.results(train({"autopilot.threads": 2, "autopilot.seeds": 1}, on_progress=look))
    assert result.threads == 2
    assert max(counts) >= 3  # the main one, the one that listens, and another of OpenMP's


def test_the_evaluation_weighs_unfinished_episodes_little(train: Train, notebook: Notebook) -> None:
    run = train({"autopilot.eval_steps": 4000, "autopilot.seeds": 1})
    (result,) = notebook.results(run)
    for evaluation in result.evaluations:
        assert evaluation.unfinished_share < 0.05
        assert evaluation.unfinished_share == pytest.approx(64 / (64 + evaluation.episodes))
        assert evaluation.per_slot is None
    raw = result.evaluations[0].raw
    declared = metrics_of("puffer_cartpole")
    assert result.metrics["success_rate"] == raw["max_steps_termination"]
    assert result.metrics["mean_reward"] == pytest.approx(raw["perf"] * declared["mean_reward"].scale)


def test_an_evaluation_that_is_too_short_is_made_longer_and_says_so_if_that_was_not_enough(
    train: Train, notebook: Notebook
) -> None:
    (short,) = notebook.results(train({"autopilot.eval_steps": 150, "autopilot.seeds": 1}))
    assert {evaluation.steps for evaluation in short.evaluations} <= {150, 300, 450, 600}
    assert max(evaluation.steps for evaluation in short.evaluations) > 150
    (tiny,) = notebook.results(train({"autopilot.eval_steps": 20, "autopilot.seeds": 1}))
    assert tiny.evaluations[0].steps == 80
    assert any("cut off may weigh up to" in note for note in tiny.notes)


@pytest.mark.parametrize("optimizer", ["adam", "muon"])
def test_the_moments_of_an_optimizer_go_on_from_its_file(train: Train, notebook: Notebook, optimizer: str) -> None:
    settings = {"train.optimizer": optimizer, "autopilot.seeds": 1, "autopilot.eval_steps": 1000}
    parent = train(settings)
    child = train({**settings, "autopilot.resume_mode": "continue", "autopilot.resume_from": parent.run_id})
    (result,) = notebook.results(child)
    assert not any("optimizer" in note or "moments" in note for note in result.notes)
    assert result.metrics["cumulative_steps"] == 2 * result.metrics["agent_steps"]


def test_where_workers_are_not_forked_the_next_one_starts_while_one_trains(
    train: Train, notebook: Notebook, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a GPU, where a replicate after the other trains."""
    started: list[float] = []

    def start(threads: int, gpu: str) -> Worker:
        started.append(time.time())
        return start_worker(threads, gpu=gpu)

    monkeypatch.setattr("training.executors.local.can_fork", lambda device: False)
    monkeypatch.setattr("training.executors.local.room_for", lambda *_: 1)
    monkeypatch.setattr("training.executors.local.start_worker", start)
    run = train({"autopilot.seeds": 2})
    first, second = notebook.results(run)
    assert len(started) == 2
    assert first.first_step is not None
    assert second.first_step is not None
    ended = notebook.paths(run.run_id).seed(first.seed).result.stat().st_mtime
    assert first.first_step.timestamp() < started[1] < ended
    assert started[1] < second.first_step.timestamp()


def test_muon_and_an_lstm_train(train: Train) -> None:
    run = train({"train.optimizer": "muon", "rnn.enabled": True, "autopilot.seeds": 1})
    assert run.state is RunState.FINISHED, run.reason


def test_the_machine_is_in_the_record(train: Train, workspace: Workspace, notebook: Notebook) -> None:
    run = train({"autopilot.seeds": 1})
    curves = run_curves(workspace.run(run.run_id), run.seeds)[run.seeds[0]]
    assert curves["system/memory_mib"].values.min() > 50
    assert curves["system/cpu_percent"].values.max() > 10
    assert {"SPS", "learning_rate", "losses/entropy", "losses/value_loss"} <= curves.keys()
    (result,) = notebook.results(run)
    assert result.peak_memory_mib > 100
    assert result.first_step is not None
    assert run.started is not None
    assert result.first_step > run.started
    assert {"python", "torch", "pufferlib"} <= run.versions.keys()
    assert any(name.endswith("cartpole.py") for name in run.sources)
    assert any(".so" in name for name in run.sources)


def test_a_target_ends_training_and_the_run_is_scored(train: Train, notebook: Notebook) -> None:
    run = train({"train.total_timesteps": 50_000_000, "autopilot.target_score": 0.15, "autopilot.seeds": 1})
    assert run.state is RunState.FINISHED
    (result,) = notebook.results(run)
    assert result.metrics["agent_steps"] < 50_000_000
    assert "its score reached 0." in (result.stopped_early or "")
    assert result.evaluations


class TestCheckpoints:
    """What is kept, and what a child makes of it."""

    def test_strategies(self, train: Train, workspace: Workspace) -> None:
        kept = {}
        for strategy in ("latest", "best", "all"):
            run = train({"autopilot.save_strategy": strategy, "train.checkpoint_interval": 1, "autopilot.seeds": 1})
            folder = workspace.run(run.run_id).seed(run.seeds[0]).checkpoints
            kept[strategy] = {path.name for path in folder.iterdir()}
        assert kept["latest"] == {"latest.pt", "latest.state.pt"}
        assert kept["best"] == {"latest.pt", "latest.state.pt", "best.pt", "best.state.pt"}
        assert len([name for name in kept["all"] if name.startswith("step_")]) == 2 * 4  # one for each update

    def test_disk_is_bounded(self, train: Train, workspace: Workspace) -> None:
        many = {"autopilot.save_strategy": "all", "autopilot.save_limit_mib": 1, "train.checkpoint_interval": 1}
        run = train({**many, "policy.hidden_size": 512, "train.total_timesteps": 20 * 32768, "autopilot.seeds": 1})
        paths = workspace.run(run.run_id).seed(run.seeds[0])
        used = sum(path.stat().st_size for path in paths.checkpoints.iterdir())
        assert used <= 2**20
        steps = sorted(path.name for path in paths.checkpoints.glob("step_*") if ".state" not in path.name)
        assert 1 < len(steps) < 20
        assert steps[-1] == f"step_{20 * 32768:012d}.pt"  # the oldest went first

    def test_a_child_starts_from_those_weights_with_its_own_rate(
        self, train: Train, notebook: Notebook, workspace: Workspace
    ) -> None:
        parent = train({"train.learning_rate": 0.005})
        more = {"train.learning_rate": 0.002, "autopilot.resume_mode": "continue"}
        child = train({**more, "autopilot.resume_from": parent.run_id})
        assert child.state is RunState.FINISHED, child.reason
        for old, new in zip(notebook.results(parent), notebook.results(child), strict=True):
            assert new.started_from == old.weights
            assert new.weights != old.weights
            assert new.metrics["cumulative_steps"] == 2 * old.metrics["cumulative_steps"]
            assert not any("moments" in note for note in new.notes)
        curves = run_curves(workspace.run(child.run_id), child.seeds)[child.seeds[0]]
        epochs, rates = curves["epoch"].values, curves["learning_rate"].values
        assert rates == pytest.approx(0.002 * (1 + np.cos(np.pi * epochs / 4)) / 2)  # its own schedule, of 4 updates

    def test_weights_that_do_not_fit_are_refused_before_training(self, train: Train) -> None:
        parent = train({"autopilot.seeds": 1})
        more = {"autopilot.resume_mode": "continue", "autopilot.resume_from": parent.run_id, "autopilot.seeds": 1}
        child = train({**more, "policy.hidden_size": 64})
        assert child.state is RunState.FAILED
        assert "does not fit this policy: decoder.weight is 2×128 there and 2×64 here" in (child.reason or "")

    def test_a_checkpoint_is_data_and_never_code(self, train: Train, workspace: Workspace) -> None:
        import pickle

        class Evil:
            def __reduce__(self) -> tuple[Callable[..., object], tuple[str, ...]]:
                return open, (str(workspace.root / "owned"), "w")  # type: ignore[return-value]

        (workspace.root / "evil.pt").write_bytes(pickle.dumps({"a": Evil()}))
        run = train({"autopilot.resume_mode": "continue", "autopilot.resume_from": "evil.pt", "autopilot.seeds": 1})
        assert run.state is RunState.FAILED
        assert "can't be read" in (run.reason or "")
        assert not (workspace.root / "owned").exists()
