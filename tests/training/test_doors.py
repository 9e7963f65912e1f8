"""What people bring: spaces and interfaces of every kind are told at the door, before anything trains."""

import json
import os
import subprocess
import sys
from collections.abc import Callable

import pytest

from lab.base.paths import Workspace
from lab.space import Told, aggregated, is_state
from lab.space.environments import preset_config
from lab.space.inventory import Inventory
from lab.space.task import Task
from lab.space.validate import check_overrides, space_of
from lab.store.notebook import Notebook
from lab.store.records import RunState
from tests.conftest import Cli
from tests.training.conftest import Train
from tests.training.odd import ODD
from training.inventory import load_inventory
from training.process import THREADS

SMALL = {"vec.num_envs": 4, "train.minibatch_size": 128, "train.total_timesteps": 1024, "autopilot.eval_steps": 60,
         "autopilot.eval_slots": 4, "autopilot.eval_episodes": 2}  # fmt: skip

REFUSED = {
    "ActMixed": ("choices and numbers in a box at once", "ActionWrapper"),
    "ActSequence": ("Sequence(Discrete(2)", "ActionWrapper"),
    "ActText": ("Text(1, 5)", "ActionWrapper"),
    "ActGraph": ("Graph(Box", "ActionWrapper"),
    "ActBoxInt": ("Box(0, 4, (2,), int64)", "MultiDiscrete"),
    "ActBoxHalf": ("Box(0.0, inf, (2,), float32), bounded on some sides only", "bounds on all sides"),
    "SeeMission": ("mission: Text(1, 20)", "minigrid.wrappers:ImgObsWrapper"),
    "SeeText": ("Text(1, 5)", "ObservationWrapper"),
    "SeeSequence": ("Sequence(Discrete(2)", "ObservationWrapper"),
    "SeeGraph": ("Graph(Box", "ObservationWrapper"),
    "SaysBytes": ("an observation of float64, and Box(0, 255, (2,), uint8) is declared", "declaring dtype float64"),
    "SaysOutside": ("outside of Box(-1.0, 1.0, (2,), float32): 2 at 0, for -1 to 1", "wider bounds"),
    "SaysWider": ("of shape (3,), and Box(-1.0, 1.0, (2,), float32)", "FlattenObservation"),
    "OldStep": ("its step returned 4 values", "gymnasium.wrappers:StepAPICompatibility"),
    "Old": ("its reset takes no seed", "gymnasium.wrappers:EnvCompatibility"),
    "OfGym": ("gym.spaces", "shimmy"),
    "Different": ("different action spaces, Discrete(2) and Discrete(3)", "pad_action_space_v0"),
    "Unknown": ("its agents are not known before", "possible_agents"),
    "InTurn": ("lets its agents act in turn", "aec_to_parallel"),
    "Broken": ("RuntimeError: no display", "can be built, reset and stepped"),
}  # fmt: skip
FITTED = (
    "ActTuple", "ActDict", "ActBoxes", "ActMultiBinary", "ActMultiBinary2d", "ActBox0d", "ActBox2d", "ActBox64",
    "ActBox16", "ActBoxFar", "ActBoxUneven", "ActBoxFree", "ActStart", "ActMultiDiscrete2d", "SeeTuple", "SeeDict",
    "SeeNested", "SeeBits", "SeeBool", "SeeBox64", "SeeBox0d", "SeeInt64", "SeeUint16", "SeeStart", "Says64",
    "SaysList", "Together", "Native",
)  # fmt: skip


@pytest.fixture
def odd(module: Callable[..., str]) -> str:
    return module(ODD, "odd")


def test_what_no_policy_can_be_given_is_refused_by_name_with_what_helps(odd: str, workspace: Workspace) -> None:
    inventory = load_inventory([f"{odd}:{name}" for name in (*REFUSED, *FITTED)], workspace)
    for name, (rule, helps) in REFUSED.items():
        found = inventory.environments[f"{odd}:{name}"]
        assert rule in (found.refused or ""), (name, found.refused)
        assert (helps is None) == (found.helps is None) and (helps or "") in (found.helps or ""), (name, found.helps)
    for name in FITTED:
        assert inventory.environments[f"{odd}:{name}"].refused is None, name


def test_a_pettingzoo_environment_is_short_in_its_presets_too(odd: str, workspace: Workspace) -> None:
    """A step of it costs as much as one of Gymnasium's; that its score took thirteen times its training was a fault."""
    environment = load_inventory([f"{odd}:Together"], workspace).environment(f"{odd}:Together")
    quick = preset_config(environment, "quick")
    slots, steps = quick.autopilot["eval_slots"], quick.autopilot["eval_steps"]
    assert (quick.train["total_timesteps"], slots, steps) == (300_000, 16, 2000)


def test_what_is_told_of_a_space_names_the_environments_own(odd: str, workspace: Workspace) -> None:
    names = [f"{odd}:{name}" for name in ("ActBoxFar", "ActStart", "SeeNested", "Together", "Native")]
    far, start, nested, together, native = (load_inventory(names, workspace).environments[name] for name in names)
    assert far.actions == "(2,) float32, from -1 to 1, made of (2,) float32, from 100 to 200"
    assert start.actions == "one of 3, made of one of 3, from 5 on"
    assert nested.observations.endswith("made of a.c (3,) float32, from -1 to 1; b 2 choices, one of 2, 3")
    assert together.actions == "(1,) float32, from -1 to 1, made of () float64, from 0 to 10"
    assert together.observations == "(2,) float32, from -1 to 1"
    assert not any("made of" in text for text in (native.observations, native.actions))


def test_a_refusal_is_one_line_and_leaves_no_run(odd: str, cli: Cli, workspace: Workspace) -> None:
    done = cli("train", "--env", f"{odd}:ActText")
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert "Text(1, 5)" in done.err and "valid: a gymnasium.ActionWrapper" in done.err
    assert list(workspace.runs.iterdir()) == []


IN_ONE = """
import sys, json, os
sys.path.append(sys.argv[1])
from training import adapter
import torch
from lab.space import Environment, preset_config
ini = adapter.default_ini()
ini["base"] |= {"env_name": "x", "policy_name": "Default", "rnn_name": "Recurrent"}
said = {}
for name in NAMES:
    environment = Environment(name=name, agents_per_env=1, emulated=True, ini=ini, policies=("Default",))
    base = preset_config(environment, "quick")
    config = base.with_overrides(SMALL)
    vecenv = adapter.make_vecenv(adapter.maker_of(name), {}, config.vec, 1)
    logs = []
    policy = adapter.make_policy(config, None, vecenv, "cpu")
    trainer = adapter.Trainer(config, vecenv, policy, seed=1, device="cpu", on_log=lambda log, _: logs.append(log))
    while trainer.global_step < 1024:
        trainer.evaluate(); trainer.train()
    said[name] = {k: float(v) for k, v in logs[-1].items() if k.startswith("environment/")}
    vecenv.close()
sys.stdout.write("\\n" + json.dumps(said)); sys.stdout.flush(); os._exit(0)
"""


def test_what_is_let_in_trains_and_gets_actions_of_its_own_space(odd: str, workspace: Workspace) -> None:
    names = [f"{odd}:{name}" for name in FITTED]
    code = IN_ONE.replace("NAMES", repr(names)).replace("SMALL", repr(SMALL))
    command = [sys.executable, "-P", "-c", code, str(workspace.root)]
    threads = {**os.environ, **dict.fromkeys(THREADS, "1")}
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300, env=threads)
    assert done.returncode == 0, done.stderr[-3000:]
    said = json.loads(done.stdout.splitlines()[-1])
    for name in names[:-2]:
        assert said[name]["environment/episode_return"] == 10  # each insists on actions of its own space
        assert said[name]["environment/is_success"] == 1
        assert said[name]["environment/cost"] == 20
    together, native = said[names[-2]], said[names[-1]]
    assert together["environment/episode_return"] == pytest.approx((3 + 10 + 10) / 3)
    assert together["environment/episode_length"] == 10
    assert 130 < native["environment/told"] < 170  # a new policy acts around the middle, not at the lower end


def test_pettingzoo_is_trained_and_scored(odd: str, train_env: Train, notebook: Notebook) -> None:
    run = train_env(f"{odd}:Together", {**SMALL, "vec.num_envs": 2, "env.agents": 2}, objective="is_success:max")
    assert run.state is RunState.FINISHED, run.reason
    (result,) = notebook.results(run)
    assert result.metrics["is_success"] == 1
    assert result.metrics["mean_reward"] == pytest.approx((3 + 10) / 2)


def known(name: str, workspace: Workspace, **arguments: object) -> Inventory:
    return load_inventory({name: arguments} if arguments else [name], workspace)


def test_a_module_registers_environments_with_gymnasium(odd: str, workspace: Workspace) -> None:
    for name in (f"gymnasium:{odd}:Own-v0", f"gymnasium:{odd}:mine/Own-v0"):
        assert known(name, workspace).environment(name).sources  # read again when the module changes
    refused = known(f"gymnasium:{odd}:Old-v0", workspace).environments[f"gymnasium:{odd}:Old-v0"]
    assert "apply_api_compatibility" in (refused.helps or "")


def test_arguments_that_no_registration_names_are_keys() -> None:
    inventory = load_inventory(["gymnasium:FrozenLake-v1", "gymnasium:Pendulum-v1", "gymnasium:Blackjack-v1"])
    lake = inventory.environment("gymnasium:FrozenLake-v1")
    assert lake.constructor == {"desc": None, "map_name": "4x4", "is_slippery": True}
    base = preset_config(lake, "quick")
    assert check_overrides(base, {"env.is_slippery": False}, inventory) == []
    (problem,) = check_overrides(base, {"env.is_slippery": 3}, inventory)
    assert problem.valid == "true | false"
    (problem,) = check_overrides(base, {"env.slippery": False}, inventory)
    assert problem.valid == "env.is_slippery"
    assert inventory.environment("gymnasium:Pendulum-v1").constructor == {"g": 10.0}
    # What the registration says goes before the constructor's own.
    assert inventory.environment("gymnasium:Blackjack-v1").constructor == {"natural": False, "sab": True}


def test_what_a_constructor_needs_counts_before_it_is_built(odd: str, workspace: Workspace) -> None:
    name = f"gymnasium:{odd}:Needs-v0"
    bare = known(name, workspace)
    environment = bare.environment(name)
    assert environment.constructor == {"wind": 2.0, "size": None, "speed": None}  # a base's through **more
    assert (environment.needs, environment.agents_per_env) == (("size",), None)
    base = preset_config(environment, "quick")
    (problem,) = check_overrides(base, {}, bare)
    assert (problem.key, problem.valid) == ("env.size", "--set env.size=VALUE")
    built = known(name, workspace, size=3, nothing=1)
    assert built.environment(name).observation_bytes == 12
    assert known(name, workspace, size=5).environment(name).observation_bytes == 20
    assert known(name, workspace).environment(name).observation_bytes == 20  # as it was built last
    space = space_of(built.environment(name))
    for value in (1, 2.5, "fast", True):
        assert space["env.speed"].problem(value) is None
    for value in (None, [1], float("nan"), 2**70):
        assert space["env.speed"].problem(value) is not None


WRAPPED = """
[wrappers.new]
call = "gymnasium.wrappers:StepAPICompatibility"
env = "odd:OldStep"

[wrappers.old]
call = "gymnasium.wrappers:EnvCompatibility"
env = "odd:Old"

[wrappers.limit]
call = "gymnasium.wrappers:TimeLimit"
arguments = {max_episode_steps = 4}
env = "odd:Env"
"""


def test_the_wrapper_that_helps_is_named_in_autopilot_toml(
    odd: str, workspace: Workspace, train_env: Train, notebook: Notebook
) -> None:
    bare = train_env(f"{odd}:Env", SMALL)
    workspace.settings.write_text(WRAPPED)
    inventory = load_inventory([f"{odd}:OldStep", f"{odd}:Old"], workspace)
    assert inventory.environment(f"{odd}:OldStep").wrappers == ("gymnasium.wrappers:StepAPICompatibility",)
    assert inventory.environment(f"{odd}:Old").refused is None
    run = train_env(f"{odd}:Env", SMALL)
    assert run.state is RunState.FINISHED, run.reason
    (result,) = notebook.results(run)
    assert result.metrics["episode_length"] == 4  # in the evaluation too: a wrapper belongs to the task
    assert run.task.env == {"wrappers": ['gymnasium.wrappers:TimeLimit {"max_episode_steps": 4}']}
    assert run.group != bare.group


# --- metrics -------------------------------------------------------------------------------------------------------


def test_success_is_what_was_told_last_unless_the_metric_says_otherwise(
    odd: str, train_env: Train, notebook: Notebook
) -> None:
    usual = train_env(f"{odd}:Env", SMALL, objective="is_success:max")
    (result,) = notebook.results(usual)
    assert (result.metrics["is_success"], result.metrics["cost"]) == (1, 20)
    summed = train_env(f"{odd}:Env", SMALL, objective="is_success@sum:max")
    assert notebook.results(summed)[0].metrics["is_success@sum"] == 6
    assert len({usual.group, summed.group}) == 2
    assert usual.task.told == "kind"


def test_tasks_of_earlier_versions_keep_their_group_and_their_meaning() -> None:
    assert Task().key == "33d1aac2"
    assert Task(told="kind").key != Task().key
    assert Told(rule="sum").summed_up({"is_success": [0, 1, 1]}) == {"is_success": 2}
    assert Told().summed_up({"is_success": [0, 1, 1], "reward/live": [1, 2]}) == {"is_success": 1, "reward/live": 3}
    assert Told(metric="x@mean").summed_up({"x": [1, 2]}) == {"x": 3, "x@mean": 1.5}
    assert aggregated("x@mean") == ("x", "mean")
    assert aggregated("perf@worst") == ("perf@worst", None)


@pytest.mark.parametrize("name", ["success", "is_success", "isSuccess", "episode/is-success", "solved", "goal_reached",
                                  "win", "task.success", "failure"])  # fmt: skip
def test_names_that_say_how_it_stands(name: str) -> None:
    assert is_state(name)


@pytest.mark.parametrize("name", ["reward", "distance_to_goal", "window", "wins", "speed", "reached", "success/cost"])
def test_names_that_do_not(name: str) -> None:
    assert not is_state(name)


# --- what is said ----------------------------------------------------------------------------------------------------


def test_a_name_that_a_module_has_not_is_answered_with_those_it_has(odd: str, workspace: Workspace) -> None:
    for name, meant in (
        (f"{odd}:Nothing", f"{odd}:Env, "),
        (f"gymnasium:{odd}:Nope-v0", f"gymnasium:{odd}:Own-v0, gymnasium:{odd}:mine/Own-v0"),
    ):
        found = load_inventory([name], workspace).environments[name]
        assert found.refused is not None
        assert (found.helps or "").startswith(meant)


LATE = """
    from odd import Env

    class Late(Env):
        def step(self, action):
            self.steps = getattr(self, "steps", 0) + 1
            if self.steps > 20:
                raise RuntimeError("the simulator lost its license")
            return super().step(action)
"""


@pytest.mark.parametrize("command", [("train", "--seeds", "1"), ("start", "--max-runs", "1", "--confirm", "none")])
def test_an_environment_that_raises_says_so_in_train_and_start(
    odd: str, module: Callable[..., str], cli: Cli, command: tuple[str, ...]
) -> None:
    name = module(LATE, "late")
    small = [word for key, value in SMALL.items() for word in ("--set", f"{key}={value}")]
    done = cli(*command, "--env", f"{name}:Late", *small)
    assert done.code != 0
    assert "RuntimeError: the simulator lost its license" in done.err.splitlines()[-1]
    if command[0] == "train":  # a session is refused before it is announced
        assert "note: train.total_timesteps = 1,024 in the place of 300,000" in done.out
