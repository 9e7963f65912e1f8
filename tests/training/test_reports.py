"""What an environment reports: odd values, odd names, far too much of it; none of it ends a run, or the night."""

import json
import os
from collections.abc import Callable

import pytest

from lab.base.files import read_model
from lab.base.paths import Workspace
from lab.space.inventory import Inventory
from lab.store.curves import run_curves
from lab.store.notebook import Notebook
from lab.store.records import ReplicateResult, RunState
from tests.conftest import Cli
from tests.training.conftest import Queue, Train
from training.protocol import Progress
from training.run import ATTEMPTS, Stopped, train_run
from training.runner import ProcessRunner

REPORTING = """
    import math
    import gymnasium
    import numpy as np
    import pufferlib

    class Base(gymnasium.Env):
        observation_space = gymnasium.spaces.Box(-1, 1, (2,), np.float32)
        action_space = gymnasium.spaces.Discrete(2)
        reward = 1.0
        def reset(self, seed=None, options=None):
            self.steps = 0
            return np.zeros(2, np.float32), {"begun": math.nan}
        def step(self, action):
            self.steps += 1
            return np.zeros(2, np.float32), self.reward, self.steps >= 5, False, self.told()
        def told(self):
            return {"score": math.nan, "fine": 1.0}

    class Infinite(Base):
        reward = math.inf

    class Odd(Base):
        def told(self):
            return {1: 2.0, ("a", 3): 1.0, "two\\nlines": 2.0, "half\\ud800": 1.0, None: 3, "none": None, "text": "x",
                    "array": np.arange(5), "nested": {"deep": {7: np.float32(2)}}, "huge": 10**400, "big": 1e308,
                    "names": ["a", "b"], "ragged": [[1], [1, 2]], "Case": 1.0, "case": 2.0}

    class Many(Base):
        def told(self):
            return {f"key {count}": float(count) for count in range(3000)} if self.steps >= 5 else {}

    class Native(pufferlib.PufferEnv):
        def __init__(self, buf=None, seed=0):
            self.single_observation_space = gymnasium.spaces.Box(-1, 1, (2,), np.float32)
            self.single_action_space = gymnasium.spaces.Discrete(2)
            self.num_agents, self.steps = 4, 0
            super().__init__(buf)
        def reset(self, seed=None):
            return self.observations, {"begun": "now"}
        def step(self, actions):
            self.steps += 1
            self.terminals[:] = ended = self.steps % 5 == 0
            told = [{**Odd().told(), "perf": 0.5, "n": math.nan}, None, "nothing"] if ended else None
            return self.observations, self.rewards, self.terminals, self.truncations, told
        def close(self):
            pass
"""


@pytest.fixture
def reporting(module: Callable[[str, str], str], request: pytest.FixtureRequest) -> str:
    return module(REPORTING, f"reporting_{abs(hash(request.node.name))}")


def test_a_side_metric_that_is_not_finite_is_left_out_and_flagged(
    train_env: Train, notebook: Notebook, reporting: str, cli: Cli
) -> None:
    run = train_env(f"{reporting}:Base")
    assert (run.state, run.reason) == (RunState.FINISHED, None)
    (result,) = notebook.results(run)
    assert [sorted(one.not_finite.items()) for one in result.evaluations] == [[("score", "nan")]] * 2
    summary = notebook.summary(run.run_id)
    assert summary is not None
    assert summary.metrics["mean_reward"].mean == summary.metrics["fine"].mean == 5
    assert "score" not in summary.metrics
    assert "left out of the sampled evaluation, not finite: score (nan)" in cli("show", run.run_id).out


@pytest.mark.parametrize(
    ("env", "objective", "reason"),
    [
        ("Base", "score:max", "score came to nan in the final evaluation"),
        ("Infinite", "mean_reward:max", "mean_reward came to inf in the final evaluation"),
    ],
)
def test_an_objective_that_is_not_finite_is_a_divergence(
    train_env: Train, notebook: Notebook, reporting: str, env: str, objective: str, reason: str
) -> None:
    run = train_env(f"{reporting}:{env}", objective=objective)
    assert (run.state, run.reason) == (RunState.DIVERGED, f"seed 1: {reason}")
    assert [one.actions for one in notebook.results(run)[0].evaluations] == ["sampled", "greedy"]


@pytest.mark.parametrize("env", ["Odd", "Native"])
def test_odd_names_and_values(train_env: Train, notebook: Notebook, reporting: str, env: str) -> None:
    objective = "perf:max" if env == "Native" else None
    run = train_env(f"{reporting}:{env}", objective=objective)
    assert run.state is RunState.FINISHED, run.reason
    summary, (result,) = notebook.summary(run.run_id), notebook.results(run)
    assert summary is not None
    names = {"1", "a/3", "two lines", "half?", "None", "nested/deep/7", "Case", "case"}
    assert names <= summary.metrics.keys()
    assert {"huge", "big"} & result.evaluations[0].not_finite.keys()
    curves = run_curves(notebook.paths(run.run_id), run.seeds)[1]
    assert {f"environment/{name}" for name in names - {"case"}} | {"environment/case (2)"} <= curves.keys()


@pytest.mark.slow
def test_three_thousand_names(train_env: Train, notebook: Notebook, reporting: str) -> None:
    run = train_env(f"{reporting}:Many", {"autopilot.eval_steps": 50})
    assert run.state is RunState.FINISHED, run.reason
    summary = notebook.summary(run.run_id)
    assert summary is not None
    assert summary.metrics["key 2999"].mean == 2999
    assert len(run_curves(notebook.paths(run.run_id), run.seeds)[1]) > 3000


GARBLING = """
    import os, pathlib, stat
    from pufferlib.ocean.cartpole.cartpole import Cartpole

    class Garbling(Cartpole):
        '''Writes where it has no business, in as many processes as the file beside it says.'''
        quiet = False
        def step(self, actions):
            left = pathlib.Path(__file__).with_suffix(".left")
            times = int(left.read_text())
            if times and not Garbling.quiet:
                Garbling.quiet = True
                left.write_text(str(times - 1))
                for handle in map(int, os.listdir("/proc/self/fd")):
                    try:
                        if stat.S_ISSOCK(os.fstat(handle).st_mode):
                            os.write(handle, b'{"event": "progress", "steps": null}\\n')
                    except OSError:
                        pass
            return super().step(actions)
"""


@pytest.mark.parametrize(("times", "state"), [(1, RunState.FINISHED), (ATTEMPTS, RunState.FAILED)])
def test_a_worker_that_says_what_cannot_be_read(
    train_env: Train, module: Callable[[str, str], str], workspace: Workspace, times: int, state: RunState
) -> None:
    name = module(GARBLING, f"garbling_{times}")
    left = workspace.root / f"{name}.left"
    left.write_text("0")  # while the machine is looked at
    run = train_env(f"{name}:Garbling", objective="perf:max", before=lambda: left.write_text(str(times)))
    assert (run.state, run.attempt) == (state, min(times + 1, ATTEMPTS))
    if state is RunState.FAILED:
        assert "said what is no event of ours" in str(run.reason)
        assert f"was begun {ATTEMPTS} times" in str(run.reason)


def test_a_result_that_cannot_be_read_is_trained_again(
    notebook: Notebook, real: ProcessRunner, inventory: Inventory, queue: Queue
) -> None:
    """As a night left it whose environment had returned what the record could not hold."""
    run = queue({"autopilot.seeds": 2})
    path = notebook.paths(run.run_id).seed(1).result
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"seed": 1, "state": "finished", "metrics": {"perf": None}}))
    notebook.update(run.run_id, state=RunState.RUNNING, attempt=1)
    run = train_run(notebook, real, inventory, run.run_id, lambda _: None)
    assert run.state is RunState.FINISHED, run.reason
    assert read_model(path, ReplicateResult).state is RunState.FINISHED


def test_whoever_watches_and_fails_costs_no_training(
    notebook: Notebook, real: ProcessRunner, inventory: Inventory, queue: Queue
) -> None:
    run = queue({"autopilot.seeds": 1})

    def fail(progress: Progress) -> None:
        raise OSError(5, os.strerror(5))  # the terminal has gone

    with pytest.raises(OSError, match="Input/output error"):
        train_run(notebook, real, inventory, run.run_id, fail)
    assert notebook.run(run.run_id).state is RunState.FINISHED


@pytest.mark.parametrize("error", [RuntimeError("made up"), Stopped("on request"), KeyboardInterrupt()])
def test_what_ends_a_training_from_outside_leaves_the_run_queued(
    notebook: Notebook, real: ProcessRunner, inventory: Inventory, queue: Queue, error: BaseException
) -> None:
    run = queue({"autopilot.seeds": 1})

    def fail() -> None:
        raise error

    with pytest.raises(type(error)):
        train_run(notebook, real, inventory, run.run_id, lambda _: None, before_recording=fail)
    assert notebook.run(run.run_id).state is RunState.QUEUED
    assert train_run(notebook, real, inventory, run.run_id, lambda _: None).state is RunState.FINISHED
