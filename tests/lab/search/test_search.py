"""The record as a search reads it, and what it asks for: valid, permitted, not tried, and no idea that was refused."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from agent.approval.approver import Approver
from agent.approval.policy import Allow, PolicySettings
from lab.judge.repeats import SeedRequest, repeat
from lab.search import Choice, History, Permits, Range, Search
from lab.search.history import Ask
from lab.space.inventory import Inventory
from lab.space.parameters import Scale
from lab.space.validate import check_overrides
from lab.store.creation import create_run
from lab.store.lab import Lab
from lab.store.notebook import Notebook
from lab.store.records import RunRecord, RunState
from tests.conftest import RunMaker
from training.fake import FakeRunner
from training.run import train_run


@pytest.fixture
def lab(notebook: Notebook, inventory: Inventory) -> Lab:
    return Lab(notebook, inventory)


def known(lab: Lab, run: RunRecord, **more: Any) -> Search:
    search = Search.of(lab, run.group, **more)
    assert search is not None
    return search


class Fixed:
    """An arm that always asks for the same point."""

    def __init__(self, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
        self._change, self.asked = change, 0

    def propose(self, history: History, count: int) -> list[Ask]:
        self.asked += 1
        return [Ask({**history.trials[0].point, **self._change(dict(history.trials[0].point))}, 1)]

    def leader(self, history: History) -> int | None:
        return None


# --- trials from runs --------------------------------------------------------------------------------------------


def test_without_an_incumbent_nothing_is_known(lab: Lab, make_run: RunMaker) -> None:
    failed = make_run(fault="nan")
    assert Search.of(lab, failed.group) is None


def test_equal_configs_are_one_trial_whoever_made_them(
    lab: Lab, make_run: RunMaker, notebook: Notebook, inventory: Inventory
) -> None:
    base = make_run()
    mine = make_run({"train.gamma": 0.9}, parent=base.run_id)
    theirs = make_run({"train.gamma": 0.9, "train.seed": 70}, parent=base.run_id, arm="person")
    more = train_run(notebook, FakeRunner(), inventory, repeat(notebook, SeedRequest(mine.run_id, 3)).run_id, _nothing)
    search = known(lab, base)
    assert search.runs == (base.run_id, mine.run_id)
    scores = [value for run in (mine, theirs, more) for value in notebook.values(run.run_id, "perf")]
    assert sorted(search.history.trials[1].scores) == sorted(scores)
    assert search.replicates == {base.run_id: 2, mine.run_id: 7}
    assert search.history.trials[1].point["train.gamma"] == 0.9


def test_the_incumbent_is_the_first_trial_whenever_it_was_made(lab: Lab, make_run: RunMaker) -> None:
    base = make_run()
    other = make_run({"train.gamma": 0.9}, parent=base.run_id)
    assert known(lab, base, parent=other.run_id).runs == (other.run_id, base.run_id)
    assert known(lab, base).runs == (base.run_id, other.run_id)


def test_what_is_under_way_and_what_failed_is_counted_and_what_a_person_stopped_is_not(
    lab: Lab, make_run: RunMaker, notebook: Notebook
) -> None:
    base = make_run()
    make_run({"train.gamma": 0.8}, parent=base.run_id, fault="nan")
    repeat(notebook, SeedRequest(base.run_id, 3))  # queued
    stopped = repeat(notebook, SeedRequest(base.run_id, 4))
    notebook.fail(stopped.run_id, RunState.KILLED, "stopped by the user")
    first, failed = known(lab, base).history.trials
    assert (len(first.scores), first.pending, first.failed) == (2, 3, 0)
    assert (failed.scores, failed.pending, failed.failed) == ((), 0, 1)


def test_nothing_is_believed_to_be_beyond_what_the_metric_can_be(lab: Lab, make_run: RunMaker) -> None:
    search = known(lab, make_run({"train.learning_rate": 0.01}))
    assert search.believed is not None
    baseline = search.believed.mean - search.believed.gain
    vars(search)["believed"] = replace(search.believed, mean=1.2, gain=1.2 - baseline)
    assert search.leader is not None
    assert (search.leader.mean, search.leader.gain) == pytest.approx((1.0, 1.0 - baseline))


def test_less_is_better_where_the_objective_says_so(
    lab: Lab, make_run: RunMaker, notebook: Notebook, inventory: Inventory
) -> None:
    config = notebook.config(make_run().run_id)
    runs = []
    for rate in (0.01, 0.0005):  # scores about 0.9 and 0.1
        changes = {"train.learning_rate": rate, "autopilot.seeds": 3}
        parent = runs[0].run_id if runs else None
        made = create_run(notebook, config.with_overrides(changes), changes, preset="quick", objective="perf:min",
                          arm="offline" if runs else "baseline", parent=parent)  # fmt: skip
        runs.append(train_run(notebook, FakeRunner(), inventory, made.run_id, _nothing))
    high, low = runs
    search = known(lab, high)
    assert [[-score for score in trial.scores] for trial in search.history.trials] == [
        list(notebook.values(run.run_id, "perf")) for run in (high, low)
    ]
    leader = search.leader
    assert leader is not None
    assert leader.run == low.run_id
    assert leader.gain > 0  # more is better, whatever the direction
    assert 0 <= leader.mean < 0.5  # in the metric's own units
    outlook = search.outlook({})
    assert outlook is not None
    assert outlook.low < outlook.mean < outlook.high
    assert outlook.mean > leader.mean


def test_other_lengths_and_other_beginnings_are_another_experiment(lab: Lab, make_run: RunMaker) -> None:
    base = make_run()
    make_run({"train.total_timesteps": 4_000_000}, parent=base.run_id)
    make_run({"autopilot.resume_mode": "continue", "autopilot.resume_from": base.run_id}, parent=base.run_id)
    like = make_run({"train.gamma": 0.9}, parent=base.run_id)
    assert known(lab, base).runs == (base.run_id, like.run_id)
    assert known(lab, base, before=like.created).runs == (base.run_id,)


# --- what it asks for --------------------------------------------------------------------------------------------


def test_suggestions_are_valid_new_and_the_same_each_time(lab: Lab, make_run: RunMaker, notebook: Notebook) -> None:
    base = make_run()
    make_run({"train.gamma": 0.9}, parent=base.run_id)
    search = known(lab, base, seed="night")
    asked = search.suggest(4, only_new=True)
    assert len(asked) == 4
    assert all(one.run is None and one.replicates == 1 for one in asked)
    for one in asked:
        assert check_overrides(search.base, one.changes, lab.inventory, proposing=True) == []
    assert len({notebook.config(base.run_id).with_overrides(one.changes).fingerprint() for one in asked}) == 4
    assert known(lab, base, seed="night").suggest(4, only_new=True) == asked
    assert known(lab, base, seed="another").suggest(4, only_new=True) != asked


def test_what_does_not_go_together_is_mended(lab: Lab, make_run: RunMaker) -> None:
    base = make_run()
    search = known(lab, base)
    batch = search.base.get("train.minibatch_size")
    odd = Fixed(lambda _: {"train.minibatch_size": batch // 2 + 5, "train.bptt_horizon": 64})
    (asked,) = search.suggest(1, arm=odd)
    assert check_overrides(search.base, asked.changes, lab.inventory, proposing=True) == []
    assert asked.changes["train.bptt_horizon"] == 64


def test_what_is_mended_back_to_where_it_stood_is_no_change(lab: Lab, make_run: RunMaker) -> None:
    """A larger minibatch than the batch becomes the batch, which is what the base has."""
    base = make_run({"env.num_envs": 64, "train.minibatch_size": 2048})
    arm = Fixed(lambda point: {"train.minibatch_size": 16_384, "train.gamma": 0.9})
    (suggestion,) = known(lab, base).suggest(1, arm=arm)
    assert suggestion.changes == {"train.gamma": 0.9}


def test_what_was_tried_is_not_asked_for_again(lab: Lab, make_run: RunMaker) -> None:
    base = make_run()
    make_run({"train.gamma": 0.9}, parent=base.run_id)
    for tried in (0.9, 0.95):  # another run's, and its own, which changes nothing
        arm = Fixed(lambda _, tried=tried: {"train.gamma": tried})  # type: ignore[misc]
        assert known(lab, base).suggest(1, arm=arm) == []
        assert 1 < arm.asked < 20  # asked again, and given up


def test_it_keeps_away_from_what_people_turned_down(lab: Lab, make_run: RunMaker) -> None:
    search = known(lab, make_run())
    arm = Fixed(lambda _: {"train.gamma": 0.9})
    assert [one.changes for one in search.suggest(1, arm=arm)] == [{"train.gamma": 0.9}]
    for refused in (0.9, 0.9005):  # the same idea to whoever turned it down
        assert search.suggest(1, arm=arm, avoid=[{"train.gamma": refused}]) == []
    assert len(search.suggest(1, arm=arm, avoid=[{"train.gamma": 0.999}])) == 1
    first = search.suggest(1)[0].changes
    assert search.suggest(1, avoid=[first])[0].changes != first


def test_a_policy_is_kept_to(lab: Lab, make_run: RunMaker) -> None:
    base = make_run()
    rules = PolicySettings(
        max_keys=2, allow=(Allow(keys=("train.learning_rate", "train.gamma", "train.ent_coef"), factor=2.0),)
    )
    permits = Approver("policy", lab, rules).permits
    search = known(lab, base, permits=permits)
    assert sorted(search.keys) == ["train.ent_coef", "train.gamma", "train.learning_rate"]
    asked = search.suggest(8, only_new=True)
    assert len(asked) == 8
    for one in asked:
        assert 1 <= len(one.changes) <= 2
        assert permits(base.run_id, one.changes) is None
        for key, new in one.changes.items():
            old = search.base.get(key)
            share = (1 - new) / (1 - old) if key == "train.gamma" else new / old
            assert 0.5 <= share <= 2


def test_what_is_denied_gives_way_to_another_draw(lab: Lab, make_run: RunMaker) -> None:
    base = make_run()
    seen: list[dict[str, Any]] = []

    def denied(_: str, changes: Any) -> str | None:
        seen.append(dict(changes))
        return "not this one" if len(seen) == 1 else None

    (asked,) = known(lab, base, permits=Permits(denied)).suggest(1)
    assert asked.changes == seen[1] != seen[0]
    nothing = known(lab, base, permits=Permits(denied, narrow=lambda *_: None))
    assert (nothing.keys, nothing.suggest(3)) == ([], [])


# --- what a policy leaves of a key -------------------------------------------------------------------------------

RATE = Range("train.learning_rate", 1e-4, 1.0, Scale.LOG)
GAMMA = Range("train.gamma", 0.5, 0.9999, Scale.LOGIT)


def test_a_factor_narrows_a_range_around_what_the_key_has() -> None:
    left = Allow(keys=("train.*",), factor=3.0).leaves(RATE, 0.01)
    assert isinstance(left, Range)
    assert (left.low, left.high) == pytest.approx((0.01 / 3, 0.03))
    near = Allow(keys=("train.*",), factor=3.0).leaves(RATE, 0.0002)
    assert isinstance(near, Range)
    assert (near.low, near.high) == pytest.approx((1e-4, 0.0006))  # no further than the search would go


def test_a_factor_of_a_logit_key_is_of_the_rest_to_one() -> None:
    left = Allow(keys=("train.gamma",), factor=2.0).leaves(GAMMA, 0.98)
    assert isinstance(left, Range)
    assert (left.low, left.high) == pytest.approx((0.96, 0.99))
    assert left.scale is Scale.LOGIT


def test_a_step_narrows_and_both_limits_hold() -> None:
    stepped = Allow(keys=("train.gamma",), step=0.01).leaves(GAMMA, 0.98)
    assert isinstance(stepped, Range)
    assert (stepped.low, stepped.high) == pytest.approx((0.97, 0.99))
    both = Allow(keys=("train.gamma",), step=0.01, factor=1.25).leaves(GAMMA, 0.98)
    assert isinstance(both, Range)
    assert (both.low, both.high) == pytest.approx((0.975, 0.984))


def test_values_leave_those_that_the_search_would_try_and_the_one_there_is() -> None:
    entry = Allow(keys=("train.*",), values=(0.005, 0.02, 7.0))
    assert entry.leaves(RATE, 0.01) == Choice("train.learning_rate", (0.005, 0.02, 0.01))
    assert replace_factor(entry, 1.5).leaves(RATE, 0.01) is None
    assert replace_factor(entry, 2.0).leaves(RATE, 0.01) == Choice("train.learning_rate", (0.005, 0.02, 0.01))
    assert Allow(keys=("train.*",), values=(0.01,)).leaves(RATE, 0.01) is None  # that is no change
    optimizer = Choice("train.optimizer", ("muon", "adam"))
    assert Allow(keys=("train.*",), values=("adam", "sgd")).leaves(optimizer, "muon") == replace(
        optimizer, values=("adam", "muon")
    )


def replace_factor(entry: Allow, factor: float) -> Allow:
    return entry.model_copy(update={"factor": factor})


def test_choices_keep_what_is_within_the_limits() -> None:
    sizes = Choice("policy.hidden_size", (32, 64, 128, 256))
    assert Allow(keys=("policy.*",), factor=2.0).leaves(sizes, 64) == replace(sizes, values=(32, 64, 128))
    assert Allow(keys=("policy.*",), step=10.0).leaves(sizes, 64) is None
    assert Allow(keys=("policy.*",)).leaves(sizes, 64) == sizes


def test_of_several_rules_the_one_that_leaves_most_counts_and_what_no_rule_names_stays() -> None:
    rules = PolicySettings(
        allow=(Allow(keys=("train.learning_rate",), factor=2.0), Allow(keys=("train.*",), step=0.02))
    )
    left = rules.narrowed(RATE, 0.01)
    assert isinstance(left, Range)
    assert (left.low, left.high) == pytest.approx((1e-4, 0.03))
    assert rules.narrowed(Choice("rnn.enabled", (False, True)), old=True) is None
    assert rules.narrowed(Range("vec.num_envs", 1, 64, Scale.POW2), 8) is None  # the topology


def _nothing(_: object) -> None:
    """No progress is shown."""
