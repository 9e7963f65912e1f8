"""Settings that do nothing, numbers as people write them, and what they may have meant."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.base.errors import InvalidInput
from lab.search.keys import search_space
from lab.space import assignments, bounds_of, changed, derive, idle_changes, inert, remarks
from lab.space.config import Config
from lab.space.inventory import Inventory
from lab.space.task import Limit
from lab.space.validate import check_overrides, space_of

ENV = "puffer_cartpole"
IDLE = [
    ({}, "vec.num_workers", 3, "with vec.backend = Serial"),
    ({}, "vec.batch_size", 2, "with vec.backend = Serial"),
    ({}, "train.compile_mode", "max-autotune", "with train.compile = false"),
    ({}, "rnn.name", "Recurrent", "with rnn.enabled = false"),
    ({"train.prio_alpha": 0.0}, "train.prio_beta0", 0.9, "with train.prio_alpha = 0"),
    ({"train.device": "cpu"}, "train.precision", "bfloat16", "with train.device = cpu"),
    ({"train.optimizer": "muon"}, "train.adam_eps", 1e-3, "with train.optimizer = muon"),
    ({"train.optimizer": "muon"}, "train.adam_beta2", 0.5, "with train.optimizer = muon"),
    ({"train.vf_coef": 0.0}, "train.vf_clip_coef", 3.0, "with train.vf_coef = 0"),
    ({}, "train.max_minibatch_size", 16384, "from train.minibatch_size = 8192 on"),
    ({"autopilot.policy_variant": "deep"}, "policy.hidden_size", 64, "with a policy of your own"),
]


@pytest.mark.parametrize(("around", "key", "value", "why"), IDLE, ids=[key for _, key, _, _ in IDLE])
def test_a_setting_that_does_nothing_is_said_and_is_no_change(
    config: Config, around: dict[str, Any], key: str, value: Any, why: str
) -> None:
    base = config.with_overrides({"rnn.name": "Other", **around})
    assert idle_changes(base, {key: value}) == {key: why}
    assert remarks(base, {key: value}) == [f"{key} has no effect {why}"]
    assert changed(base, base.with_overrides({key: value})) == {}


def test_what_makes_it_work_is_a_change_with_it(config: Config) -> None:
    both = {"vec.backend": "Multiprocessing", "vec.num_workers": 2, "vec.num_envs": 2}
    assert idle_changes(config, both) == {}
    assert set(changed(config, config.with_overrides(both))) == {"vec.backend", "vec.num_workers", "vec.num_envs"}
    assert "vec.num_workers" not in inert(config.with_overrides(both))


def test_a_proposal_of_what_does_nothing_is_refused(config: Config, inventory: Inventory) -> None:
    base = config.with_overrides({"train.prio_alpha": 0.0})
    (problem,) = check_overrides(base, {"train.prio_beta0": 0.9, "train.gamma": 0.9}, inventory, proposing=True)
    assert (problem.key, problem.rule) == ("train.prio_beta0", "has no effect with train.prio_alpha = 0")
    assert check_overrides(base, {"train.prio_beta0": 0.9}, inventory) == []  # a person may
    assert "train.max_minibatch_size" not in {d.key for d in search_space(inventory.environment(ENV), base).dimensions}


def test_what_rests_on_the_machine_and_on_the_batch_is_said_where_they_are_known(
    config: Config, inventory: Inventory
) -> None:
    cpu = inventory.model_copy(update={"devices": ("cpu",)})
    (line,) = remarks(config, {"train.precision": "bfloat16"}, cpu)
    assert line == "train.precision has no effect with train.device = auto, which is the CPU here"
    assert remarks(config, {"train.precision": "bfloat16"}, cpu.model_copy(update={"devices": ("cuda", "cpu")})) == []
    batch = derive(config, inventory.environment(ENV).agents_per_env or 1).batch_size
    whole = config.with_overrides({"train.minibatch_size": batch, "train.max_minibatch_size": batch})
    clips = {"train.clip_coef": 0.4, "train.vtrace_c_clip": 2.0}
    why = "with one minibatch an update, before which nothing has moved"
    assert idle_changes(whole, clips, cpu) == dict.fromkeys(clips, why)
    assert idle_changes(whole, clips) == {}  # nothing is said of a batch that nobody knows
    assert idle_changes(whole, {**clips, "train.update_epochs": 2}, cpu) == {}
    assert idle_changes(whole, {"train.vtrace_c_clip": 0.5}, cpu) == {}  # below 1 it clips the ratio of 1 itself
    assert idle_changes(whole.with_overrides({"train.vtrace_c_clip": 0.5}), {"train.vtrace_c_clip": 2.0}, cpu) == {}
    assert idle_changes(whole.with_overrides({"autopilot.policy_variant": "deep"}), clips, cpu) == {}


def test_a_key_that_nothing_searched_brings_to_life_is_not_searched(config: Config, inventory: Inventory) -> None:
    environment, muon = inventory.environment(ENV), config.with_overrides({"train.optimizer": "muon"})
    assert "train.adam_eps" in {one.key for one in search_space(environment, muon).dimensions}
    only = environment.model_copy(update={"limits": {"train.optimizer": Limit(choices=("muon",))}})
    assert not {"train.adam_eps", "train.adam_beta2"} & {one.key for one in search_space(only, muon).dimensions}


def test_another_length_is_told_what_it_costs_and_what_it_can_show(config: Config) -> None:
    (line,) = remarks(config, {"train.total_timesteps": 8_000_000})
    assert "2,000,000: a comparison with runs of another length can only end inconclusive" in line
    assert "about 4 times as long" in line


@pytest.mark.parametrize(("text", "value"), [
    ("1M", 1_000_000), ("2.5M", 2_500_000), ("500k", 500_000), ("2e6", 2_000_000), ("1_000_000", 1_000_000),
    ("1_000.5", 1000.5), ("1e-3", 0.001), ("0.5", 0.5), ("2.0", 2.0), ("-3", -3), ("1B", 10**9), ("true", True),
    ("null", None), ("M", "M"), ("1.2.3", "1.2.3"), ("4x4", "4x4"), ("", ""), ("nan", "nan"), ("007", 7),
])  # fmt: skip
def test_numbers_as_people_write_them(text: str, value: Any) -> None:
    found = assignments([f"train.total_timesteps={text}"])["train.total_timesteps"]
    assert (found, type(found)) == (value, type(value))


@given(st.integers(-(10**15), 10**15) | st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_stays_what_it_is(number: float) -> None:
    assert assignments([f"k={number!r}"])["k"] == number


@given(st.text(max_size=20))
def test_any_text_is_a_value(text: str) -> None:
    assert set(assignments([f"k={text}"])) == {"k"}


@pytest.mark.parametrize(("key", "meant"), [
    ("train.lr", "train.learning_rate"), ("lr", "train.learning_rate"), ("train.batch_size", "train.minibatch_size"),
    ("train.n_steps", "train.bptt_horizon"), ("policy.lstm", "rnn.enabled"), ("vec.workers", "vec.num_workers"),
    ("train.learning_rat", "train.learning_rate"), ("zzz", "see 'autopilot doctor --space'"),
])  # fmt: skip
def test_a_key_is_hinted_at_by_meaning(inventory: Inventory, key: str, meant: str) -> None:
    assert space_of(inventory.environment(ENV)).closest(key).split(" or ")[0] == meant


@pytest.mark.parametrize(("name", "meant"), [
    ("CartPole-v9", "gymnasium:CartPole-v1"), ("cartpole", "gymnasium:CartPole-v1"),
    ("Pendulum", "gymnasium:Pendulum-v1"), ("gymnasium:FrozenLake-v7", "gymnasium:FrozenLake-v1"),
    ("puffer_brekout", "puffer_breakout"),
])  # fmt: skip
def test_an_environment_is_hinted_at_by_meaning(inventory: Inventory, name: str, meant: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        inventory.environment(name)
    assert meant in str(caught.value).partition("; valid: ")[2].partition(" (")[0].split(", ")


def test_what_a_metric_can_be() -> None:
    assert bounds_of("sps", ENV) == (0.0, None)
    assert bounds_of("success_rate", ENV) == (0.0, 1.0)
    assert bounds_of("max_steps_termination", ENV) == (0.0, 1.0)  # the environment's own name of it
    assert bounds_of("is_odd", "gymnasium:CartPole-v1") == (None, None)
