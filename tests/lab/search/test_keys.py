"""Which keys a search may change: every one that a proposal may, within the ini's priors and a person's limits."""

import pytest

from lab.search import Choice, Range, SearchSpace, search_space
from lab.search.keys import CONFOUNDS, NO_LEARNING, seen_space
from lab.space import Environment, Inventory, Scale, check_overrides, preset_config, space_of
from lab.space.task import Limit, Variant


@pytest.fixture(scope="module")
def environment(inventory: Inventory) -> Environment:
    return inventory.environment("puffer_cartpole")


def searched(environment: Environment, **overrides: object) -> SearchSpace:
    named = {key.replace("__", "."): value for key, value in overrides.items()}
    return search_space(environment, preset_config(environment, "quick").with_overrides(named))


def dimension(space: SearchSpace, key: str) -> Range | Choice:
    return next(dim for dim in space.dimensions if dim.key == key)


def test_every_proposable_key_is_searched_switches_and_choices_too(environment: Environment) -> None:
    keys = {dim.key for dim in searched(environment).dimensions}
    proposable = {key for key, parameter in space_of(environment).items() if parameter.proposable}
    assert (
        proposable - keys == (CONFOUNDS | NO_LEARNING | {"policy.hidden_size"}) & proposable
    )  # its width is not known
    assert {"train.optimizer", "train.anneal_lr", "rnn.enabled", "train.update_epochs"} <= keys


def test_ranges_are_those_of_the_ini_and_reach_beyond_where_the_search_starts(environment: Environment) -> None:
    space = searched(environment)
    clip, rate, batch = (dimension(space, f"train.{key}") for key in ("clip_coef", "learning_rate", "minibatch_size"))
    assert (clip.low, clip.high) == (0.01, 1.0)  # type: ignore[union-attr]
    assert isinstance(rate, Range)
    assert (rate.low, rate.high, rate.scale) == (0.0001, 0.01, Scale.LOG)  # the preset's 0.005 is beyond the ini's end
    assert batch.value(0.0) == 512
    assert batch.value(1.0) == 16384
    assert batch.value(0.5) in (2048, 4096)


def test_the_start_has_a_place_inside_each_range(environment: Environment) -> None:
    base = preset_config(environment, "quick")
    for dim in searched(environment).dimensions:
        start, again = base.get(dim.key), dim.value(dim.place(base.get(dim.key)))
        assert again == (pytest.approx(start, rel=0.02) if isinstance(dim, Range) else start)


def test_limits_and_variants_count(environment: Environment) -> None:
    limits = {
        "train.learning_rate": Limit(low=0.001, high=0.002), "train.gamma": Limit(frozen=True),
        "train.minibatch_size": Limit(choices=(1024, 2048)),
    }  # fmt: skip
    variants = {"policy": {name: Variant(call=f"mine:{name}") for name in ("deep", "wide")}}
    narrow = environment.model_copy(update={"limits": limits, "variants": variants})
    space = searched(narrow, train__learning_rate=0.0015, train__minibatch_size=2048)
    rate = dimension(space, "train.learning_rate")
    assert isinstance(rate, Range)
    assert (rate.low, rate.high) == (0.001, 0.002)
    assert "train.gamma" not in {dim.key for dim in space.dimensions}
    assert dimension(space, "train.minibatch_size") == Choice("train.minibatch_size", (1024, 2048), work=True)
    variant = Choice("autopilot.policy_variant", ("none", "deep", "wide"), work=True)
    assert dimension(space, "autopilot.policy_variant") == variant


def test_what_is_searched_is_valid_but_for_what_goes_together(environment: Environment, inventory: Inventory) -> None:
    base, space = preset_config(environment, "quick"), searched(environment)
    for dim in space.dimensions:
        for place in (0.0, 0.3, 1.0):
            if dim.key not in ("train.minibatch_size", "train.bptt_horizon"):
                assert check_overrides(base, {dim.key: dim.value(place)}, inventory, proposing=True) == []


def test_the_space_that_was_seen_has_what_differs_and_places_all_of_it(environment: Environment) -> None:
    base = preset_config(environment, "quick")
    changes = [
        {"train.learning_rate": 0.1, "train.gamma": 1.0, "train.ent_coef": 0.0},
        {"train.optimizer": "muon", "train.minibatch_size": 1024, "train.anneal_lr": False, "train.gamma": 0.9},
        {"train.seed": 9, "train.total_timesteps": 5, "env.kinds": [1, 2], "env.map": None},
    ]
    others = [base.with_overrides(one) for one in changes]
    space = seen_space(base, [base, *others])
    assert {dim.key for dim in space.dimensions} == {
        *changes[0], "train.minibatch_size", *(key for key in ("train.optimizer", "train.anneal_lr")
                                               if base.get(key) != changes[1][key]),
    }  # fmt: skip
    for dim in space.dimensions:
        found = [dim.place(config.get(dim.key)) for config in (base, *others)]
        assert all(0 <= place <= 1 for place in found)
        assert len(set(found)) > 1
    rate = dimension(space, "train.learning_rate")
    assert isinstance(rate, Range)
    assert (rate.low, rate.high, rate.scale) == (0.005, 0.1, Scale.LOG)
    assert seen_space(base, [base]).dimensions == ()
