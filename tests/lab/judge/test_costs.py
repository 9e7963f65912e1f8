"""How long a run would take, from runs of the fake runner whose clock is set."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from lab.base.files import write_model
from lab.base.schema import now
from lab.judge.costs import BEHIND, Estimate, expected_seconds, is_topology, is_work
from lab.space.config import Config
from lab.space.inventory import Inventory
from lab.space.parameters import PARAMETERS
from lab.store.creation import create_run
from lab.store.notebook import Notebook, active_time
from lab.store.records import ReplicateResult, RunRecord
from training.executors.madeup import POINTS
from training.fake import FakeRunner
from training.protocol import OnProgress, ShouldStop
from training.run import train_run
from training.runner import Plan


@dataclass
class Clocked(FakeRunner):
    """Its runs say that they began so many seconds ago."""

    seconds: float = 60.0
    at_once: int | None = None
    """Replicates side by side, in rounds; None records no times of theirs."""
    evaluation: float | None = None
    """Seconds of each replicate's time that go to its evaluation; about a fifth of it if None."""
    again: bool = False
    """It was interrupted when only its last replicate was left to train."""

    def train(self, plan: Plan, on_progress: OnProgress, should_stop: ShouldStop) -> list[ReplicateResult]:
        began = now() - timedelta(seconds=self.seconds)
        Notebook(plan.workspace).update(plan.run.run_id, started=began)
        results = super().train(plan, on_progress, should_stop)
        if self.at_once is None:
            return results
        lasts = self.seconds / -(-len(results) // self.at_once)
        evaluated = 0.19 * lasts if self.evaluation is None else self.evaluation
        timed = []
        for count, result in enumerate(results):
            first = began + timedelta(seconds=count // self.at_once * lasts)
            times = {"first_step": first, "train_seconds": 0.99 * lasts - evaluated, "eval_seconds": evaluated}
            timed.append(result.model_copy(update=times))
            write_model(plan.paths.seed(result.seed).result, timed[-1])
        if self.again:
            Notebook(plan.workspace).update(plan.run.run_id, started=timed[-1].first_step, attempt=2)
        return timed


Clock = Callable[..., RunRecord]


@pytest.fixture
def took(notebook: Notebook, inventory: Inventory, config: Config) -> Clock:
    """A finished run that took so many seconds: `took(60, {"vec.num_envs": 2}, replicates=5)`."""

    def make(seconds: float, overrides: dict[str, Any] | None = None, at_once: int | None = None,
             preset: str = "quick", evaluation: float | None = None, again: bool = False, **more: Any,
             ) -> RunRecord:  # fmt: skip
        made = config.with_overrides(overrides or {})
        run = create_run(notebook, made, {}, preset=preset, objective="perf:max", arm="person", **more)
        runner = Clocked(seconds=seconds, at_once=at_once, evaluation=evaluation, again=again)
        return train_run(notebook, runner, inventory, run.run_id, lambda _: None)

    return make


def about(seconds: float) -> Any:
    return pytest.approx(seconds, rel=0.02, abs=0.5)  # what making the run itself took is on the clock too


def estimated(notebook: Notebook, config: Config, run: RunRecord, replicates: int | None = None) -> Estimate:
    found = expected_seconds(notebook, config, run.group, replicates)
    assert found is not None
    return found


def test_nothing_was_measured(notebook: Notebook, config: Config) -> None:
    run = create_run(notebook, config, {}, preset="quick", objective="perf:max", arm="person")
    assert expected_seconds(notebook, config, run.group) is None


def test_as_long_as_the_run_that_is_like_it(notebook: Notebook, config: Config, took: Clock) -> None:
    run = took(100)
    found = estimated(notebook, config.with_overrides({"train.learning_rate": 0.1}), run)
    assert (found.runs, found.rough) == ((run.run_id,), False)
    assert found.seconds == about(100)
    thrice = {"train.total_timesteps": 3 * int(config.train["total_timesteps"] or 0)}
    assert estimated(notebook, config.with_overrides(thrice), run).seconds == about(300)


def test_other_replicates_without_their_times_count_one_after_the_other(
    notebook: Notebook, config: Config, took: Clock
) -> None:
    run = took(100)  # of two
    assert estimated(notebook, config.with_overrides({"autopilot.seeds": 4}), run).seconds == about(200)
    assert estimated(notebook, config, run, replicates=1).seconds == about(50)


@pytest.mark.parametrize(("at_once", "replicates", "seconds"), [
    (2, 5, 300),
    (2, 3, 200),
    (2, 2, 100),
    (2, 1, 100),
    (5, 3, 300),
    (5, 6, 600),
    (1, 3, 180),
])  # fmt: skip
def test_replicates_side_by_side_are_rounds(
    notebook: Notebook, config: Config, took: Clock, at_once: int, replicates: int, seconds: float
) -> None:
    run = took(300, at_once=at_once, replicates=5)
    assert estimated(notebook, config, run, replicates).seconds == about(seconds)


def test_the_median_of_the_newest(notebook: Notebook, config: Config, took: Clock) -> None:
    runs = [took(seconds) for seconds in (5000, 10, 20, 30, 40, 9000)]
    found = estimated(notebook, config, runs[0])
    assert found.runs == tuple(run.run_id for run in reversed(runs[1:]))
    assert len(found.runs) == BEHIND
    assert found.seconds == about(30)


@pytest.mark.parametrize("other", [
    {"vec.num_envs": 2}, {"env.num_envs": 512}, {"autopilot.threads": 2},
    {"train.update_epochs": 2}, {"policy.hidden_size": 64}, {"rnn.enabled": True},
])  # fmt: skip
def test_what_makes_other_steps_is_rough_and_gives_way(
    notebook: Notebook, config: Config, took: Clock, other: dict[str, Any]
) -> None:
    rough = took(400, other)
    assert estimated(notebook, config, rough) == (about(400), (rough.run_id,), True)
    same = took(100)
    assert estimated(notebook, config, rough) == (about(100), (same.run_id,), False)
    took(400, other)
    assert estimated(notebook, config, rough) == (about(100), (same.run_id,), False)


def test_its_own_topology_goes_before_its_own_policy(notebook: Notebook, config: Config, took: Clock) -> None:
    wide = took(200, {"policy.hidden_size": 64})
    took(400, {"vec.num_envs": 2})
    assert estimated(notebook, config, wide) == (about(200), (wide.run_id,), True)


def test_another_group_is_rough(notebook: Notebook, config: Config, took: Clock) -> None:
    full = took(400, preset="full")
    group = full.group._replace(preset="quick")
    assert expected_seconds(notebook, config, group) == (about(400), (full.run_id,), True)
    assert expected_seconds(notebook, config, group._replace(env_name="puffer_pong")) is None


def test_another_machine_is_rough(
    notebook: Notebook, config: Config, took: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = took(100)
    monkeypatch.setattr("platform.node", lambda: "another")
    assert estimated(notebook, config, run) == (about(100), (run.run_id,), True)


def test_a_run_begun_twice_says_nothing(notebook: Notebook, inventory: Inventory, config: Config, took: Clock) -> None:
    run = create_run(notebook, config, {}, preset="quick", objective="perf:max", arm="person")
    notebook.update(run.run_id, attempt=1)
    assert train_run(notebook, Clocked(), inventory, run.run_id, lambda _: None).attempt == 2
    assert expected_seconds(notebook, config, run.group) is None


@pytest.mark.parametrize(("at_once", "seconds"), [(1, 300), (2, 300), (3, 300)])
def test_its_replicates_say_how_fast_a_run_begun_twice_was(
    notebook: Notebook, config: Config, took: Clock, at_once: int, seconds: float
) -> None:
    run = took(seconds, at_once=at_once, replicates=3, again=True)
    assert run.attempt == 2
    assert active_time(run) is None
    assert estimated(notebook, config, run, replicates=3) == (about(seconds), (run.run_id,), False)


@pytest.mark.parametrize(("times", "seconds"), [(1, 100), (3, 200), (0.1, 55)])
def test_the_evaluation_is_as_long_however_long_the_training(
    notebook: Notebook, config: Config, took: Clock, times: float, seconds: float
) -> None:
    run = took(100, at_once=2, evaluation=50)
    steps = int(times * int(config.train["total_timesteps"] or 0))
    assert estimated(notebook, config.with_overrides({"train.total_timesteps": steps}), run).seconds == about(seconds)


def test_a_training_goes_on_to_the_end_of_a_batch(notebook: Notebook, config: Config, took: Clock) -> None:
    run = took(100, at_once=2, evaluation=50)
    batch = int(config.train["total_timesteps"] or 0) // POINTS
    less, more = ({"train.total_timesteps": steps} for steps in (10 * batch - 1, 10 * batch + 1))
    assert estimated(notebook, config.with_overrides(less), run).seconds == about(50 + 10 * 50 / POINTS)
    assert estimated(notebook, config.with_overrides(more), run).seconds == about(50 + 11 * 50 / POINTS)


def test_only_what_finished_counts(notebook: Notebook, inventory: Inventory, config: Config) -> None:
    run = create_run(notebook, config, {}, preset="quick", objective="perf:max", arm="person")
    train_run(notebook, Clocked(faults={run.seeds[0]: "crash"}), inventory, run.run_id, lambda _: None)
    assert expected_seconds(notebook, config, run.group) is None


def test_every_key_named_is_of_the_table() -> None:
    known = {parameter.key for parameter in PARAMETERS} | {"env.num_envs"}
    topology = {key for key in known if is_topology(key)}
    assert topology == {
        "vec.backend", "vec.num_envs", "vec.num_workers", "vec.batch_size", "env.num_envs", "train.device",
        "train.torch_deterministic", "train.cpu_offload", "train.compile", "train.compile_fullgraph",
        "train.compile_mode", "train.precision", "autopilot.threads",
    }  # fmt: skip
    assert not {key for key in topology if is_work(key)}
