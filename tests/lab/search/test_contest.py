"""The record as arms are compared by it: whose a config is, and which replicates are nobody's."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from lab.base.files import write_model
from lab.judge.incumbency import Incumbency
from lab.judge.repeats import SeedRequest, repeat
from lab.search import standing_of
from lab.search.contest import contest_of
from lab.space.inventory import Inventory
from lab.store.notebook import Notebook
from lab.store.records import RunRecord
from tests.conftest import RunMaker
from training.fake import FakeRunner
from training.run import train_run

More = Callable[..., RunRecord]
BAD = {"train.learning_rate": 0.0005}


@pytest.fixture
def more(notebook: Notebook, inventory: Inventory) -> More:
    """More seeds of a run, trained."""

    def train(run: str, seeds: int, session: str | None = None) -> RunRecord:
        made = repeat(notebook, SeedRequest(run, seeds), session)
        return train_run(notebook, FakeRunner(), inventory, made.run_id, lambda _: None)

    return train


def test_a_config_is_of_the_arm_that_proposed_it_first_and_so_are_more_replicates_of_it(
    make_run: RunMaker, notebook: Notebook, more: More
) -> None:
    base = make_run({**BAD, "autopilot.seeds": 5})
    mine = make_run({"train.gamma": 0.9}, parent=base.run_id, arm="tpe")
    make_run({"train.gamma": 0.9, "train.seed": 70}, parent=base.run_id, arm="person")
    more(mine.run_id, 3)
    more(base.run_id, 2)
    contest = contest_of(notebook, base.group)
    assert contest is not None
    assert contest.present == ["tpe"]
    assert len(contest.of("tpe")) == 5 + 5 + 3
    (only,) = standing_of(notebook, base.group).arms
    assert (only.configs, only.replicates, only.failed) == (1, 13, 0)
    assert only.seconds > 0


def test_fresh_seeds_of_a_proof_are_nobodys_and_a_race_before_and_after_it_is_the_arms(
    make_run: RunMaker, notebook: Notebook, more: More
) -> None:
    base = make_run({**BAD, "autopilot.seeds": 5})
    better = make_run({"train.learning_rate": 0.01, "autopilot.seeds": 1}, parent=base.run_id, arm="race")
    more(better.run_id, 1)
    place = Incumbency(notebook, base.group, "night")
    place.open(better)
    while isinstance(need := place.step(), SeedRequest):
        more(need.run, need.seeds)
    more(better.run_id, 1)
    contest = contest_of(notebook, base.group)
    assert contest is not None
    assert len(contest.of("race")) == 3
    assert len(contest.replicates) == 5 + 3 + 2 * 5


def test_a_sessions_curves_are_its_own_replicates_and_their_worth_is_told_by_all(
    make_run: RunMaker, notebook: Notebook
) -> None:
    base = make_run({**BAD, "autopilot.seeds": 5})
    make_run({"train.gamma": 0.9}, parent=base.run_id, arm="tpe", session="first")
    make_run({"train.gamma": 0.8}, parent=base.run_id, arm="race", session="second", fault="nan")
    assert [one.arm for one in standing_of(notebook, base.group).arms] == ["tpe", "race"]
    (second,) = standing_of(notebook, base.group, "second").arms
    assert (second.arm, second.failed) == ("race", 1)
    contest = contest_of(notebook, base.group, "second")
    assert contest is not None
    assert len(contest.replicates) > len(contest.of("race")) + 5  # the first one's count for the model
    make_run({"train.gamma": 0.7}, parent=base.run_id, arm="race", session="second")
    assert [one.configs for one in standing_of(notebook, base.group, "second").arms] == [2]  # worked out anew


def test_without_a_baseline_the_first_run_is_what_arms_are_measured_from(
    make_run: RunMaker, notebook: Notebook
) -> None:
    first = make_run(arm="person")
    make_run({"train.gamma": 0.9}, parent=first.run_id, arm="person")
    (person,) = standing_of(notebook, first.group).arms
    assert (person.arm, person.configs) == ("person", 1)


def test_where_nothing_has_a_score_nobody_stands(make_run: RunMaker, notebook: Notebook) -> None:
    failed = make_run(fault="nan")
    assert contest_of(notebook, failed.group) is None
    assert standing_of(notebook, failed.group).arms == ()


def test_what_lies_between_two_attempts_is_nobodys_time(make_run: RunMaker, notebook: Notebook) -> None:
    """A session that was killed in the evening and went on in the morning has not trained all night."""
    base = make_run({**BAD, "autopilot.seeds": 5})
    run = make_run({"train.gamma": 0.9}, parent=base.run_id, arm="tpe")
    for one in notebook.results(run):
        clocked = one.model_copy(update={"train_seconds": 20.0, "eval_seconds": 4.0})
        write_model(notebook.paths(run.run_id).seed(one.seed).result, clocked)
    killed = run.model_copy(update={"attempt": 2, "created": run.created - timedelta(hours=9)})
    write_model(notebook.paths(run.run_id).run, killed)
    (only,) = standing_of(notebook, base.group).arms
    assert only.seconds == pytest.approx(24 * len(run.seeds))
