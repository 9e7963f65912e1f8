"""Any environment: Gymnasium's by id, the user's by module, and what a user declares in autopilot.toml."""

from collections.abc import Callable

import pytest

from lab.base.errors import InvalidInput
from lab.base.paths import Workspace
from lab.space.environments import preset_config
from lab.space.validate import check_overrides, space_of
from lab.space.variants import declared_variants
from lab.store.creation import create_run
from lab.store.notebook import Notebook
from lab.store.records import RunState
from tests.conftest import Cli
from tests.training.conftest import Train
from training.inventory import load_inventory
from training.run import train_run
from training.runner import ProcessRunner

MINE = """
    import gymnasium
    import numpy as np
    import torch
    import pufferlib.models
    from pufferlib.ocean.cartpole.cartpole import Cartpole

    class Native(Cartpole):
        def __init__(self, num_envs=8, easy=False, buf=None, seed=0):
            super().__init__(num_envs=num_envs, buf=buf, seed=seed)

    class Corridor(gymnasium.Env):
        observation_space = gymnasium.spaces.Box(-1, 1, (2,), np.float32)
        action_space = gymnasium.spaces.Discrete(2)

        def __init__(self, length=4):
            self.length = length

        def reset(self, seed=None, options=None):
            super().reset(seed=seed)
            self.at = 0
            return self._see(), {"started": 1}

        def step(self, action):
            self.at += 1 if action else -1
            done = abs(self.at) >= self.length
            return self._see(), float(self.at >= self.length), done, False, {}

        def _see(self):
            return np.array([self.at / self.length, 1.0], dtype=np.float32)

    class Deep(pufferlib.models.Default):
        def __init__(self, env, layers=1):
            super().__init__(env, hidden_size=32)
            extra = [m for _ in range(layers) for m in (torch.nn.Linear(32, 32), torch.nn.Tanh())]
            self.encoder = torch.nn.Sequential(*self.encoder, *extra)

    def bonus(scale=1.0):
        return lambda observations, actions, rewards, terminals: rewards * scale

    class Stated(Corridor):
        # says what collides with a log's own names, at a reset and in between
        def reset(self, seed=None, options=None):
            return super().reset(seed)[0], {"episode_length": 0}

        def step(self, action):
            return *super().step(action)[:4], {"episode_return": 7, "right": int(action), "note": "text"}

    def emulated(buf=None, seed=0):
        import pufferlib.emulation
        return pufferlib.emulation.GymnasiumPufferEnv(env=Corridor(), buf=buf, seed=seed)

    class Wider(Corridor):
        action_space = gymnasium.spaces.Discrete(7)

    class Endless(Corridor):
        def step(self, action):
            return *super().step(action)[:2], False, False, {}

    def nothing(env):
        return 7

    def scalar():
        return lambda observations, actions, rewards, terminals: 1.0

    class Short(Cartpole):
        def __init__(self, limit=3, **arguments):
            super().__init__(**arguments)
"""


def test_a_gymnasium_environment_by_its_id(train_env: Train, notebook: Notebook) -> None:
    run = train_env("gymnasium:CartPole-v1")
    assert run.state is RunState.FINISHED, run.reason
    assert run.objective == "mean_reward:max"
    (result,) = notebook.results(run)
    for evaluation in result.evaluations:
        assert evaluation.per_slot is not None
        assert evaluation.episodes == evaluation.per_slot * run.task.slots  # each slot counts the same number
        assert evaluation.unfinished_share == 0
    assert result.metrics["mean_reward"] == result.metrics["episode_length"] > 5  # one reward a step


def test_continuous_actions_of_gymnasium(train_env: Train) -> None:
    run = train_env("gymnasium:Pendulum-v1")
    assert run.state is RunState.FINISHED, run.reason


def test_a_pufferenv_of_the_users(train_env: Train, module: Callable[..., str], notebook: Notebook) -> None:
    name = module(MINE)
    run = train_env(
        f"{name}:Native", {"env.num_envs": 64, "train.minibatch_size": 2048, "env.easy": True}, objective="perf:max"
    )
    assert run.state is RunState.FINISHED, run.reason
    assert f"{name}.py" in run.sources
    assert any("binding" in source for source in run.sources)
    assert run.task.env == {"easy": True}


def test_a_gymnasium_environment_of_the_users_with_its_lstm(train_env: Train, module: Callable[..., str],
                                                            notebook: Notebook) -> None:  # fmt: skip
    name = module(MINE)
    run = train_env(f"{name}:Corridor", {"env.length": 3, "rnn.enabled": True})
    assert run.state is RunState.FINISHED, run.reason
    (result,) = notebook.results(run)
    assert 0 <= result.metrics["mean_reward"] <= 1


@pytest.mark.parametrize("kind", ["Stated", "emulated"])
def test_every_end_of_an_episode_is_counted_once(train_env: Train, module: Callable[..., str], notebook: Notebook,
                                                 kind: str) -> None:  # fmt: skip
    name = module(MINE)
    run = train_env(f"{name}:{kind}")
    assert run.state is RunState.FINISHED, run.reason
    (result,) = notebook.results(run)
    for evaluation in result.evaluations:
        assert evaluation.per_slot == run.task.episodes
        assert 0 <= evaluation.raw["episode_return"] <= 1
        assert evaluation.raw["episode_length"] >= 4


@pytest.mark.parametrize("env_name", ["gymnasium:Taxi-v3", "gymnasium:Blackjack-v1"])
def test_discrete_observations_are_made_one_hot(train_env: Train, env_name: str) -> None:
    run = train_env(env_name, {"autopilot.eval_steps": 2000, "autopilot.eval_episodes": 2})
    assert run.state is RunState.FINISHED, run.reason


def test_an_objective_that_can_not_be_had_says_what_can(train_env: Train, module: Callable[..., str]) -> None:
    name = module(MINE)
    endless = train_env(f"{name}:Endless", {"autopilot.eval_steps": 50})
    assert "no episode ended in it (autopilot.eval_steps makes it longer)" in (endless.reason or "")
    native = train_env(f"{name}:Native", {"env.num_envs": 64, "train.minibatch_size": 2048})
    assert "choose one, as in --objective" in (native.reason or "")


@pytest.mark.parametrize(("kind", "call", "said"), [
    ("environment", "mine:Wider", "it trains on other spaces than the task's that it is scored on: action space"),
    ("policy", "mine:nothing", "the policy variant made a int without hidden_size, forward, forward_eval"),
    ("reward", "mine:scalar", "the reward variant returned shape () for"),
    ("policy", "mine:absent", "the policy variant mine:absent can't be loaded"),
])  # fmt: skip
def test_a_variant_that_can_not_be_used_is_said_before_training(
    train_env: Train, module: Callable[..., str], workspace: Workspace, notebook: Notebook, kind: str, call: str,
    said: str,
) -> None:  # fmt: skip
    name = module(MINE)
    workspace.settings.write_text(f'[variants.{kind}.odd]\ncall = "{call}"\n')
    run = train_env(f"{name}:Corridor", {f"autopilot.{kind}_variant": "odd"})
    assert run.state is RunState.FAILED
    assert said in (run.reason or ""), run.reason
    assert notebook.results(run)[0].train_seconds == 0


def test_a_variant_that_can_not_be_loaded_is_said_before_a_night(
    cli: Cli, module: Callable[..., str], workspace: Workspace
) -> None:
    name = module(MINE)
    for call, why in ((f"{name}:absent", "has no attribute 'absent'"), ("nosuch:Deep", "No module named 'nosuch'")):
        workspace.settings.write_text(f'[variants.policy.deep]\ncall = "{call}"\n')
        line = f"variants.policy.deep.call = '{call}': can't be loaded: "
        for command, code in ((("start", "--max-runs", "1"), 2), (("doctor",), 1)):
            done = cli(*command)
            assert (done.code, done.err.count("\n")) == (code, 1), done.err
            assert line in done.err + done.out
            assert why in done.err + done.out
    assert list(workspace.runs.iterdir()) == []


def test_a_task_of_other_spaces_is_refused_before_training(train_env: Train, notebook: Notebook) -> None:
    parent = train_env("puffer_cartpole", {"env.num_envs": 64, "train.minibatch_size": 2048})
    config = notebook.config(parent.run_id).with_overrides({"env.continuous": True})
    child = create_run(notebook, config, {}, preset="quick", objective="perf:max", arm="person", parent=parent.run_id)
    inventory = load_inventory(["puffer_cartpole"], notebook.workspace)
    runner = ProcessRunner()
    try:
        found = train_run(notebook, runner, inventory, child.run_id, lambda _: None)
    finally:
        runner.close()
    assert "action space" in (found.reason or "")


@pytest.mark.parametrize(("env_name", "why"), [
    ("gymnasium:NoSuchThing-v0", "NoSuchThing"),
    ("nowhere:Thing", "No module named 'nowhere'"),
    ("mine:NoThing", "no attribute 'NoThing'"),
    ("mine:bonus", "neither a PufferEnv nor a Gymnasium one"),
])  # fmt: skip
def test_what_can_not_be_made_is_refused_in_one_line(cli: Cli, module: Callable[..., str], env_name: str, why: str,
                                                     workspace: Workspace) -> None:  # fmt: skip
    module(MINE)
    done = cli("train", "--env", env_name)
    assert done.code == 2
    assert why in done.err
    assert done.err.count("\n") == 1
    assert list(workspace.runs.iterdir()) == []


def test_what_other_workspaces_have_is_not_listed(module: Callable[..., str], workspace: Workspace) -> None:
    name = f"{module(MINE)}:Corridor"
    assert name in load_inventory([name], workspace).environments
    assert name not in load_inventory(["puffer_cartpole"]).environments


def test_a_users_environment_is_read_again_when_it_changed(module: Callable[..., str], workspace: Workspace) -> None:
    name = module("""
        from pufferlib.ocean.cartpole.cartpole import Cartpole
        class Mine(Cartpole):
            def __init__(self, num_envs=8, buf=None, seed=0):
                super().__init__(num_envs=num_envs, buf=buf, seed=seed)
    """, "changing")  # fmt: skip
    first = load_inventory([f"{name}:Mine"], workspace).environment(f"{name}:Mine")
    assert set(first.constructor) == {"num_envs"}
    module("""
        from pufferlib.ocean.cartpole.cartpole import Cartpole
        class Mine(Cartpole):
            def __init__(self, num_envs=8, wind=0.5, buf=None, seed=0):
                super().__init__(num_envs=num_envs, buf=buf, seed=seed)
    """, "changing")  # fmt: skip
    second = load_inventory([f"{name}:Mine"], workspace).environment(f"{name}:Mine")
    assert set(second.constructor) == {"num_envs", "wind"}


VARIANTS = """
[variants.policy.deep]
call = "mine:Deep"
arguments = {layers = 2}

[variants.reward.small]
call = "mine:bonus"
arguments = {scale = 0.5}

[variants.environment.short]
call = "mine:Short"
env = "puffer_cartpole"
"""


def test_variants_become_parameters_that_can_be_proposed(workspace: Workspace, module: Callable[..., str]) -> None:
    module(MINE)
    workspace.settings.write_text(VARIANTS)
    inventory = load_inventory(["puffer_cartpole"], workspace)
    environment = inventory.environment("puffer_cartpole")
    space = space_of(environment)
    assert space["autopilot.policy_variant"].choices == ("none", "deep")
    assert space["autopilot.reward_variant"].proposable
    base = preset_config(environment, "quick")
    assert base.autopilot["environment_variant"] == "none"
    assert check_overrides(base, {"autopilot.policy_variant": "deep"}, inventory, proposing=True) == []
    (problem,) = check_overrides(base, {"autopilot.policy_variant": "wide"}, inventory)
    assert problem.valid == "none | deep"
    other = space_of(load_inventory([], workspace).environment("puffer_pong"))
    assert "autopilot.environment_variant" not in other


def test_variants_train_and_the_evaluation_stays_the_tasks(
    train_env: Train, module: Callable[..., str], workspace: Workspace, notebook: Notebook
) -> None:
    module(MINE)
    workspace.settings.write_text(VARIANTS)
    chosen = {f"autopilot.{kind}_variant": name for kind, name in
              (("policy", "deep"), ("reward", "small"), ("environment", "short"))}  # fmt: skip
    run = train_env("puffer_cartpole", {"env.num_envs": 64, "train.minibatch_size": 2048, **chosen})
    assert run.state is RunState.FINISHED, run.reason
    assert {kind: variant.call for kind, variant in run.variants.items()} == {
        "policy": "mine:Deep", "reward": "mine:bonus", "environment": "mine:Short"}  # fmt: skip
    assert "mine.py" in run.sources
    workspace.settings.write_text("")  # what was declared then stays on record
    assert notebook.run(run.run_id).variants["policy"].arguments == {"layers": 2}


@pytest.mark.parametrize(("text", "rule"), [
    ("[variants.colour.red]\ncall = 'a:b'", "variants.colour"),
    ("[variants.policy.none]\ncall = 'a:b'", "not a name for a variant"),
    ("[variants.policy.x]\ncall = 'no colon'", "variants.policy.x.call = .*is not module:callable"),
    ("[variants.policy.x]\ncall = 'a:b'\nsize = 3", "variants.policy.x.size"),
    ("[variants.policy.x]\ncall = 'a:b'\narguments = {a = [1]}", "variants.policy.x.arguments.a"),
])  # fmt: skip
def test_a_variant_that_is_written_wrongly_is_refused(workspace: Workspace, text: str, rule: str) -> None:
    workspace.settings.write_text(text)
    with pytest.raises(InvalidInput, match=rule):
        declared_variants(workspace)


def test_a_proposal_can_not_make_the_task_easier(train_env: Train, workspace: Workspace, notebook: Notebook,
                                                 module: Callable[..., str]) -> None:  # fmt: skip
    name = module(MINE)
    parent = train_env(f"{name}:Corridor", {"env.length": 4})
    config = notebook.config(parent.run_id).with_overrides({"env.length": 1, "autopilot.eval_steps": 10})
    child = create_run(notebook, config, {"env.length": 1}, preset="quick", objective=parent.objective, arm="person",
                            parent=parent.run_id)  # fmt: skip
    assert child.task == parent.task
    assert child.group == parent.group
    assert child.task.env == {"length": 4}
