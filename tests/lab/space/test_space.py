"""The search space: one table, from which the validator and the schema come."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.space.config import Config, derive, diff
from lab.space.environments import PRESETS, preset_config
from lab.space.inventory import Inventory
from lab.space.parameters import PARAMETERS, Parameter, space_for
from lab.space.validate import check_config, check_overrides

SPACE = space_for({"num_envs": 1, "continuous": False})


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("train.learning_rate", True),
        ("train.learning_rate", "0.1"),
        ("train.learning_rate", math.nan),
        ("train.learning_rate", math.inf),
        ("train.learning_rate", 2),
        ("train.learning_rate", 10**400),
        ("autopilot.target_score", 10**400),
        ("train.seed", 10**400),
        ("train.learning_rate", None),
        ("train.update_epochs", 1.0),
        ("train.update_epochs", True),
        ("train.update_epochs", 0),
        ("train.anneal_lr", 1),
        ("train.optimizer", "adamw"),
        ("train.gamma", 1.0),
        ("env.continuous", "yes"),
        ("train.nonsense", 1),
        ("learning_rate", 0.1),
        ("", 0),
    ],
)
def test_what_is_not_valid_is_refused_by_key(key: str, value: object) -> None:
    (problem,) = SPACE.problems({key: value})
    assert problem.key == key
    assert problem.rule
    assert problem.valid


def test_an_int_is_fine_where_a_float_is_wanted() -> None:
    assert SPACE.problems({"train.learning_rate": 1, "train.vf_coef": 0}) == []


def test_all_problems_come_at_once() -> None:
    assert len(SPACE.problems({"train.gamma": 2, "train.ent_coef": -1, "train.foo": 0})) == 3


@pytest.mark.parametrize(
    "key",
    ["train.seed", "autopilot.seeds", "train.device", "autopilot.threads", "train.compile", "train.checkpoint_interval",
     "vec.backend", "vec.num_workers", "env.continuous"],
)  # fmt: skip
def test_some_keys_are_for_people_only(key: str) -> None:
    value = {"vec.backend": "Serial", "train.device": "cpu", "train.compile": False, "env.continuous": True}.get(key, 1)
    assert SPACE.problems({key: value}) == []
    assert "person" in SPACE.problems({key: value}, proposing=True)[0].rule


@pytest.mark.parametrize("key", ["env.num_envs", "vec.num_envs", "train.bptt_horizon", "train.minibatch_size"])
def test_what_makes_the_batch_may_be_proposed(key: str) -> None:
    assert SPACE.problems({key: 1}, proposing=True) == []


def test_a_misspelt_key_gets_a_suggestion() -> None:
    assert "train.learning_rate" in SPACE.problems({"train.learning_rat": 0.1})[0].valid
    assert "train.ent_coef" in SPACE.problems({"ent_coef": 0.1})[0].valid


BOUNDED = [parameter for parameter in PARAMETERS if parameter.kind in (int, float) and parameter.high is not None]


@given(st.sampled_from(BOUNDED), st.floats(allow_nan=False, allow_infinity=False, width=32))
def test_the_nearest_value_of_a_refused_one_is_valid(parameter: Parameter, value: float) -> None:
    given_value = int(value) if parameter.kind is int else value
    if parameter.problem(given_value):
        assert parameter.problem(parameter.nearest(given_value)) is None


@given(st.sampled_from(PARAMETERS), st.recursive(st.none() | st.booleans() | st.floats() | st.text(), st.lists))
def test_any_value_is_either_fine_or_a_problem_in_words(parameter: Parameter, value: object) -> None:
    problem = parameter.problem(value)
    assert problem is None or (problem.key == parameter.key and len(str(problem)) < 500)


@pytest.mark.parametrize("preset", PRESETS)
def test_every_environment_has_valid_presets(inventory: Inventory, preset: str) -> None:
    for environment in inventory.environments.values():
        if environment.refused is None and environment.agents_per_env is not None:
            check_config(preset_config(environment, preset), inventory)


class TestAcrossFields:
    """Rules that PufferLib enforces late; each names key, value, rule and the nearest valid value."""

    @pytest.mark.parametrize(
        ("changes", "key", "valid"),
        [
            ({"train.minibatch_size": 1000}, "train.minibatch_size", "992"),
            ({"train.minibatch_size": 65536, "train.max_minibatch_size": 65536}, "train.minibatch_size", "32768"),
            ({"train.minibatch_size": 40000, "train.bptt_horizon": 64}, "train.minibatch_size", "32768"),
            ({"train.total_timesteps": 1000}, "train.total_timesteps", "32768"),
            ({"train.device": "cuda"}, "train.device", "auto"),
            ({"vec.backend": "Multiprocessing", "vec.num_envs": 3, "vec.num_workers": 2}, "vec.num_envs", "4"),
            ({"vec.backend": "Multiprocessing", "vec.num_envs": 64, "vec.num_workers": 64}, "vec.num_workers", ""),
        ],
    )
    def test_rule(self, inventory: Inventory, config: Config, changes: dict[str, object], key: str, valid: str) -> None:
        if changes.get("train.device") in inventory.devices:
            pytest.skip("this machine has the device")
        problems = [problem for problem in check_overrides(config, changes, inventory) if problem.key == key]
        assert problems
        assert valid in problems[0].valid

    def test_nothing_is_rewritten(self, inventory: Inventory, config: Config) -> None:
        before = config.model_dump()
        check_overrides(config, {"train.minibatch_size": 1000}, inventory)
        assert config.model_dump() == before


def test_a_batch_of_drones_follows_their_number_in_a_box(config: Config) -> None:
    drones = config.model_copy(update={"env_name": "drone_delivery", "env": {"num_envs": 16, "num_drones": 3}})
    assert derive(drones, agents_per_env=8).agents == 48
    assert derive(drones.with_overrides({"env.num_drones": 8}), agents_per_env=8).agents == 128


def test_the_batch_is_derived(config: Config) -> None:
    derived = derive(config.with_overrides({"env.num_envs": 256, "train.bptt_horizon": 64}), agents_per_env=2)
    assert (derived.agents, derived.batch_size, derived.segments) == (512, 32768, 512)
    assert (derived.minibatches, derived.epochs) == (4, 62)


def test_diff_and_overrides_undo_each_other(config: Config) -> None:
    changed = config.with_overrides({"train.ent_coef": 0.1, "rnn.enabled": True})
    found = diff(config, changed)
    assert found == {"rnn.enabled": (False, True), "train.ent_coef": (0.001, 0.1)}
    assert changed.with_overrides({key: old for key, (old, _) in found.items()}) == config
    assert changed.fingerprint() != config.fingerprint()


def test_the_inis_of_all_environments_make_valid_presets(inventory: Inventory) -> None:
    """Their oddities: lists as arguments, lower-case booleans, keys that PufferLib no longer reads, 2e9 steps."""
    usable = [environment for environment in inventory.environments.values() if environment.refused is None]
    assert len(usable) >= 28
    for environment in usable:
        for preset in PRESETS:
            check_config(preset_config(environment, preset), inventory)


@pytest.mark.parametrize(("said", "agents", "units"), [(1, 1.0, 64), (1, 3.0, 22), (1, None, 64), (200, 1.0, 200)])
def test_a_class_without_an_ini_trains_on_no_batch_of_one(
    inventory: Inventory, said: int, agents: float | None, units: int
) -> None:
    ocean = inventory.environment("puffer_cartpole")
    bare = {"name": "mine:Cart", "ini": {**ocean.ini, "env": {}}}
    told = {**bare, "constructor": {"num_envs": said}, "agents_per_env": agents}
    for preset in PRESETS:
        assert preset_config(ocean.model_copy(update=told), preset).env["num_envs"] == units
