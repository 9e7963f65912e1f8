"""One suite of behaviour for every runner: the real one, which trains for seconds, and the fake one."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from lab.base.errors import InvalidInput
from lab.space.inventory import Inventory
from lab.space.task import Variant
from lab.store.curves import run_curves
from lab.store.notebook import Notebook
from lab.store.records import RunRecord, RunState
from tests.training.conftest import LONG, SHORT, InJobs, MadeUpRunner, OnRay, Queue
from training.fake import FakeRunner
from training.protocol import Progress
from training.run import Options, Stopped, train_run
from training.runner import ProcessRunner, Runner

BROKEN = """
    import time
    import numpy as np
    from pufferlib.ocean.cartpole.cartpole import Cartpole

    class Broken(Cartpole):
        fault = None
        def step(self, actions):
            out = super().step(actions)
            self.steps = getattr(self, "steps", 0) + 1
            if self.steps > 40:
                self.break_down()
            return out

    class Nan(Broken):
        def break_down(self):
            self.rewards[:] = np.nan

    class Crash(Broken):
        def break_down(self):
            raise ValueError("made up")

    class Hang(Broken):
        def break_down(self):
            time.sleep(3600)
"""


def test_a_run_is_trained_and_recorded(runner: Runner, queue: Queue, notebook: Notebook, inventory: Inventory) -> None:
    seen: list[Progress] = []
    run = train_run(notebook, runner, inventory, queue().run_id, seen.append)
    assert (run.state, run.attempt, run.reason) == (RunState.FINISHED, 1, None)
    results = notebook.results(run)
    assert [result.seed for result in results] == list(run.seeds) == [1, 2]
    assert [[e.actions for e in result.evaluations] for result in results] == [["sampled", "greedy"]] * 2
    summary = notebook.summary(run.run_id)
    assert summary is not None
    perf = summary.metrics["perf"]
    assert perf.n == 2
    assert 0 <= min(perf.values) <= max(perf.values) <= 1
    for name in ("agent_steps", "cumulative_steps"):
        assert summary.metrics[name].mean >= SHORT["train.total_timesteps"]
    assert {p.seed for p in seen} == {1, 2}
    assert max(p.steps for p in seen) >= SHORT["train.total_timesteps"]
    curves = run_curves(notebook.workspace.run(run.run_id), run.seeds)
    for seed in run.seeds:
        assert curves[seed]["environment/perf"].steps.size > 0
        paths = notebook.workspace.run(run.run_id).seed(seed)
        assert paths.log.exists()
        assert paths.weights("latest").exists()


def test_the_live_record_can_be_read_while_it_trains(
    runner: Runner, queue: Queue, notebook: Notebook, inventory: Inventory
) -> None:
    run, points = queue({"train.total_timesteps": 600_000}), []

    def look(progress: Progress) -> None:
        if progress.phase == "train":
            curves = run_curves(notebook.workspace.run(run.run_id), (progress.seed,))[progress.seed]
            points.append((curves["environment/perf"].steps[-1], progress.steps))

    train_run(notebook, runner, inventory, run.run_id, look)
    assert points
    assert all(written >= told for written, told in points)  # on disk before it is told


def test_stopping_returns_the_run_to_the_queue(
    runner: Runner, queue: Queue, notebook: Notebook, inventory: Inventory
) -> None:
    run, seen = queue(LONG), []
    if isinstance(runner, InJobs):
        runner.take_long()
    with pytest.raises(Stopped):
        train_run(notebook, runner, inventory, run.run_id, seen.append, lambda: bool(seen))
    again = notebook.run(run.run_id)
    assert (again.state, again.attempt) == (RunState.QUEUED, 1)


def test_stopping_for_good_keeps_what_there_is(
    runner: Runner, queue: Queue, notebook: Notebook, inventory: Inventory
) -> None:
    run, seen = queue(LONG), []
    if isinstance(runner, InJobs):
        runner.take_long()
    options = Options(requeue=False)
    found = train_run(notebook, runner, inventory, run.run_id, seen.append, lambda: bool(seen), options)
    assert found.state is RunState.KILLED
    assert "stopped by the user, after" in (found.reason or "")
    assert notebook.summary(run.run_id) is None


def test_what_had_ended_before_an_interruption_is_not_trained_again(
    runner: Runner, queue: Queue, notebook: Notebook, inventory: Inventory
) -> None:
    run = queue()
    first = train_run(notebook, runner, inventory, queue({"train.seed": run.seeds[0]}).run_id, lambda _: None)
    kept, mine = (notebook.workspace.run(r.run_id).seed(run.seeds[0]) for r in (first, run))
    mine.dir.mkdir(parents=True)
    mine.result.write_bytes(kept.result.read_bytes())
    seen: list[Progress] = []
    found = train_run(notebook, runner, inventory, run.run_id, seen.append)
    assert found.state is RunState.FINISHED
    assert {p.seed for p in seen} == {run.seeds[1]}


def test_an_invalid_config_is_refused_before_anything_starts(
    runner: Runner, queue: Queue, notebook: Notebook, inventory: Inventory
) -> None:
    run = queue({"train.minibatch_size": 1000})
    with pytest.raises(InvalidInput, match="bptt_horizon"):
        train_run(notebook, runner, inventory, run.run_id, lambda _: None)
    assert notebook.run(run.run_id) == run


def test_an_objective_that_was_not_measured_fails_the_run(
    runner: Runner, queue: Queue, notebook: Notebook, inventory: Inventory
) -> None:
    run = queue(objective="nonsense:max")
    found = train_run(notebook, runner, inventory, run.run_id, lambda _: None)
    if not isinstance(runner, ProcessRunner):
        assert found.state is RunState.FINISHED  # it makes up whatever it is asked for
    else:
        assert found.state is RunState.FAILED
        assert "logged no 'nonsense'" in (found.reason or "")
        assert "perf" in (found.reason or "")


def test_what_an_environment_never_logs_ends_the_training_with_its_first_log(
    real: ProcessRunner, queue: Queue, notebook: Notebook, inventory: Inventory
) -> None:
    run = queue({"train.total_timesteps": 20_000_000, "autopilot.seeds": 1}, objective="nonsense:max")
    found = train_run(notebook, real, inventory, run.run_id, lambda _: None)
    assert found.state is RunState.FAILED
    assert "the environment logged no 'nonsense' and never will: it logs collision_rate, " in (found.reason or "")
    (result,) = notebook.results(found)
    assert result.train_seconds == 0  # it did not train to its end


@pytest.mark.parametrize(
    ("fault", "state", "reason"),
    [
        ("nan", RunState.DIVERGED, r"became nan|not finite"),
        ("crash", RunState.FAILED, r"ValueError: made up"),
        ("hang", RunState.TIMED_OUT, r"no progress for 4 s \(autopilot.stall_limit\)"),
    ],
)
def test_a_fault_is_an_outcome_and_the_next_run_is_unharmed(
    runner: Runner, queue: Queue, notebook: Notebook, inventory: Inventory, module: Callable[[str], str],
    fault: str, state: RunState, reason: str,
) -> None:  # fmt: skip
    name = module(BROKEN)
    broken = {"environment": Variant(call=f"{name}:{fault.title()}")}
    limit = {"autopilot.stall_limit": 4.0} if fault == "hang" else {}  # the others end of themselves, however slowly
    run = queue({"autopilot.seeds": 1, **limit}, variants=broken)
    if isinstance(runner, FakeRunner):
        runner.faults = {run.seeds[0]: fault}  # type: ignore[dict-item]
    elif isinstance(runner, (OnRay, InJobs, MadeUpRunner)):
        runner.go_wrong({run.seeds[0]: fault})  # type: ignore[dict-item]
    found = train_run(notebook, runner, inventory, run.run_id, lambda _: None)
    assert found.state is state, found.reason
    assert found.reason is not None
    assert re.search(reason, found.reason), found.reason
    assert found.finished is not None
    if fault != "hang":
        assert found.log_tail
    assert notebook.summary(run.run_id) is None
    (result,) = notebook.results(found)
    assert (result.state, result.metrics) == (state, {})
    good = train_run(notebook, runner, inventory, queue({"autopilot.seeds": 1}).run_id, lambda _: None)
    assert good.state is RunState.FINISHED


def test_a_child_goes_on_from_its_parents_weights(
    runner: Runner, queue: Queue, notebook: Notebook, inventory: Inventory
) -> None:
    def train(overrides: dict[str, object]) -> RunRecord:
        return train_run(notebook, runner, inventory, queue(overrides).run_id, lambda _: None)

    parent = train({})
    child = train({"autopilot.resume_mode": "continue", "autopilot.resume_from": "best"})
    assert child.resume is not None
    assert child.resume.run_id == parent.run_id
    assert len(child.resume.files) == len(parent.seeds)
    steps = [result.metrics["cumulative_steps"] for run in (parent, child) for result in notebook.results(run)]
    assert steps[2:] == [2 * steps[0], 2 * steps[1]]
    verdict = notebook.verdicts()[child.run_id]
    assert verdict.verdict == "inconclusive"
    assert any("warm-started" in confound for confound in verdict.confounds)


def test_a_warm_start_from_nothing_is_refused(queue: Queue, notebook: Notebook, tmp_path: Path) -> None:
    outside = tmp_path / "weights.pt"
    outside.write_bytes(b"")
    with pytest.raises(InvalidInput, match="is no run"):
        queue({"autopilot.resume_mode": "continue", "autopilot.resume_from": "no-such-run"})
    for wanted, rule in {
        "best": "there is none yet",
        "latest": "there is none yet",
        "2020-01-01T000000Z-aaaa": "is no run of this workspace",
        "runs/none.pt": "is not a file",
        "../weights.pt": "lies outside the workspace",
        str(outside): "lies outside the workspace",
    }.items():
        with pytest.raises(InvalidInput, match=rule):
            queue({"autopilot.resume_mode": "continue", "autopilot.resume_from": wanted})
    assert notebook.runs() == []
