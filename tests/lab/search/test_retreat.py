"""Back to what was stable: a smaller step where replicates collapse, and none where they hold."""

from typing import Any

import pytest

from lab.search import Search, retreat_of
from lab.space import Config, Inventory
from lab.store import Notebook, RunRecord
from tests.brittle import EDGE, START, Trainings

FAR = 0.001
"""A learning rate beyond the edge."""
HALF = pytest.approx((START * FAR) ** 0.5, rel=0.01)
QUARTER = pytest.approx(START * (FAR / START) ** 0.25, rel=0.01)


@pytest.fixture
def trainings(notebook: Notebook, inventory: Inventory, config: Config) -> Trainings:
    return Trainings(notebook, inventory, config)


def known(trainings: Trainings, run: RunRecord) -> Search:
    search = Search.of(trainings.lab, run.group)
    assert search is not None
    return search


def promising(trainings: Trainings, base: RunRecord, rate: float = FAR, **settings: Any) -> RunRecord:
    """A config that was lucky on its first seed and unlucky on the next."""
    trainings.runner.chance = 0.0
    run = trainings.train(rate, 2, base.run_id, **settings)
    trainings.runner.chance = 1.0
    trainings.again(run, 1)
    return run


def test_where_replicates_collapse_the_next_step_is_a_smaller_one_from_what_was_stable(trainings: Trainings) -> None:
    base = trainings.train(START, 5)
    run = promising(trainings, base)
    back = retreat_of(known(trainings, base))
    assert back is not None
    assert (back.collapsed, back.stable, back.replicates, back.checkpoint) == (run.run_id, base.run_id, 5, None)
    assert back.changes in ({"train.learning_rate": HALF}, {"train.learning_rate": QUARTER})
    assert back.why == "training was not stable: it fell back after a peak"
    assert back.evidence.startswith("1 of 3 replicates peaks near ")
    assert back.outlook is not None
    assert START < back.changes["train.learning_rate"] < EDGE


def test_two_steps_are_tried_and_no_third(trainings: Trainings) -> None:
    base = trainings.train(START, 5)
    run = promising(trainings, base)
    tried = []
    while (back := retreat_of(known(trainings, base))) is not None:
        assert back.collapsed == run.run_id
        trainings.train(back.changes["train.learning_rate"], 1, base.run_id)
        tried.append(back.changes["train.learning_rate"])
    assert sorted(tried) == [QUARTER, HALF]


def test_replicates_of_nearly_the_same_config_say_it_early(trainings: Trainings) -> None:
    """The leader has one lucky seed, and the configs around it had none."""
    base = trainings.train(START, 5)
    trainings.runner.chance = 1.0
    for rate in (0.00088, 0.00092):
        trainings.train(rate, 1, base.run_id)
    trainings.runner.chance = 0.0
    lucky = trainings.train(FAR, 1, base.run_id)
    back = retreat_of(known(trainings, base))
    assert back is not None
    assert (back.collapsed, back.stable) == (lucky.run_id, base.run_id)
    assert back.evidence.startswith("2 of 3 replicates peak near ")
    assert START < back.changes["train.learning_rate"] < EDGE


def test_where_replicates_hold_nothing_goes_back(trainings: Trainings) -> None:
    base = trainings.train(START, 5)
    trainings.train(EDGE, 4, base.run_id)
    assert retreat_of(known(trainings, base)) is None


def test_one_unlucky_replicate_is_no_collapse_of_a_config(trainings: Trainings) -> None:
    base = trainings.train(START, 5)
    trainings.runner.chance = 1.0
    trainings.train(FAR, 1, base.run_id)
    assert retreat_of(known(trainings, base)) is None


def test_nothing_is_gone_back_to_that_has_too_few_replicates(trainings: Trainings) -> None:
    base = trainings.train(START, 4)
    promising(trainings, base)
    assert retreat_of(known(trainings, base)) is None


def test_what_reaches_no_more_than_the_stable_one_is_left_alone(trainings: Trainings) -> None:
    base = trainings.train(EDGE, 5)
    trainings.runner.chance = 1.0
    trainings.train(FAR, 3, base.run_id)
    assert retreat_of(known(trainings, base)) is None


def test_of_an_incumbent_that_collapses_the_neighbour_is_changed_that_does_not(trainings: Trainings) -> None:
    trainings.runner.chance = 0.0
    base = trainings.train(FAR, 4)
    trainings.runner.chance = 1.0
    trainings.again(base, 1)
    far, held = (trainings.train(rate, 5, base.run_id) for rate in (START, 0.0004))
    search = known(trainings, base)
    assert search.leader is not None
    assert search.leader.run == base.run_id
    back = retreat_of(search)
    assert back is not None
    assert (back.collapsed, back.stable) == (base.run_id, held.run_id)
    assert 0.0004 < back.changes["train.learning_rate"] < FAR
    assert far.run_id != back.stable


def test_of_many_keys_the_suspect_goes_half_way_or_all_of_them_do(trainings: Trainings) -> None:
    base = trainings.train(START, 5)
    others_too: dict[str, Any] = {"train.gamma": 0.99, "train.ent_coef": 0.01, "train.optimizer": "muon"}
    promising(trainings, base, **others_too)
    steps = list[dict[str, Any]]()
    while (back := retreat_of(known(trainings, base), steps)) is not None:
        steps.append(back.changes)
    suspect = {"train.learning_rate": HALF, **others_too}
    assert suspect in steps
    others = [step for step in steps if step != suspect]
    assert others
    assert all(step.keys() == {"train.learning_rate", "train.gamma", "train.ent_coef"} for step in others)
    assert all(0.95 < step["train.gamma"] < 0.99 for step in others)


def test_what_people_turned_down_is_not_asked_for_again(trainings: Trainings) -> None:
    base = trainings.train(START, 5)
    promising(trainings, base)
    first = retreat_of(known(trainings, base))
    assert first is not None
    second = retreat_of(known(trainings, base), [first.changes])
    assert second is not None
    assert second.changes != first.changes
    assert retreat_of(known(trainings, base), [first.changes, second.changes]) is None
