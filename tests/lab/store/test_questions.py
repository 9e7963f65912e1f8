"""Questions to all runs at once, against answers worked out by hand from the folders."""

from typing import Any

import pytest

from lab.base.errors import NotFound
from lab.space.config import diff
from lab.space.parameters import BOOKKEEPING, in_order
from lab.store.creation import create_run
from lab.store.notebook import Notebook
from lab.store.questions import Questions
from lab.store.selection import Selection
from lab.store.tried import runs_that_tried
from lab.store.varied import varied_keys
from tests.conftest import RunMaker
from training.fake import FakeRunner
from training.run import train_run


@pytest.fixture
def questions(notebook: Notebook) -> Questions:
    return Questions(notebook.index)


def test_best_last_and_best_so_far(make_run: RunMaker, notebook: Notebook, questions: Questions) -> None:
    first = make_run({"train.learning_rate": 0.0001})
    runs = [first, *(make_run({"train.learning_rate": rate}, parent=first.run_id) for rate in (0.001, 0.0005, 0.01))]
    runs.append(make_run({"train.gamma": 0.5}, parent=first.run_id, fault="nan"))
    means = {run.run_id: sum(values) / len(values) for run in runs if (values := notebook.values(run.run_id, "perf"))}
    assert [row.run_id for row in questions.best(first.group, 2)] == sorted(means, key=lambda name: -means[name])[:2]
    assert [row.run_id for row in questions.last(2)] == [run.run_id for run in runs[-2:]]
    assert questions.last(5, "puffer_pong") == []
    so_far = [best.run_id for best in questions.best_so_far(first.group)]
    by_hand, top = [], float("-inf")
    for run in runs:
        if means.get(run.run_id, float("-inf")) > top:
            top = means[run.run_id]
            by_hand.append(run.run_id)
    assert so_far == by_hand
    trend = questions.trend(first.group, 3)
    assert [row.run_id for row in trend.rows] == [run.run_id for run in runs[1:4]]
    assert trend.slope is not None
    assert trend.low is not None
    assert trend.low <= trend.slope


def test_where_less_is_better_the_best_is_the_least(
    make_run: RunMaker, questions: Questions, notebook: Notebook
) -> None:
    config = notebook.config(make_run().run_id)
    from training.inventory import load_inventory

    inventory = load_inventory(["puffer_cartpole"])
    found = []
    for rate in (0.01, 0.0001):
        run = create_run(notebook, config.with_overrides({"train.learning_rate": rate}), {}, preset="quick",
                              objective="perf:min", arm="person")  # fmt: skip
        found.append(train_run(notebook, FakeRunner(), inventory, run.run_id, lambda _: None))
    assert [row.run_id for row in questions.best(found[0].group, 5)] == [found[1].run_id, found[0].run_id]
    assert [best.run_id for best in questions.best_so_far(found[0].group)] == [run.run_id for run in found]


def test_the_keys_in_which_configs_differ_are_those_that_reading_all_of_them_finds(
    make_run: RunMaker, notebook: Notebook, questions: Questions
) -> None:
    every = Selection()
    assert varied_keys(questions.index, every, 100) == []
    first = make_run({"autopilot.seeds": 1, "autopilot.threads": 1})
    again = make_run({"autopilot.seeds": 2, "train.seed": 3})  # bookkeeping is no difference
    assert varied_keys(questions.index, every, 100) == []
    make_run({"train.gamma": 0.9})
    make_run({"train.gamma": 0.9, "train.optimizer": "muon", "train.ent_coef": 0.03})
    make_run({"env.num_envs": 512})
    keys = ["train.ent_coef", "train.gamma", "train.optimizer", "env.num_envs"]
    assert varied_keys(questions.index, every, 100) == in_order(keys)
    assert varied_keys(questions.index, every, 3) == in_order(keys)
    assert varied_keys(questions.index, every, 2) == in_order(keys)  # the last two differ in all of these
    assert varied_keys(questions.index, Selection(names=[first.run_id, again.run_id]), 100) == []
    flats = [notebook.config(run.run_id).flat() for run in notebook.runs()]
    read = {key for flat in flats for key in flat if len({str(one.get(key)) for one in flats}) > 1}
    assert set(keys) == read - BOOKKEEPING


def test_configs_come_newest_first(make_run: RunMaker, questions: Questions) -> None:
    runs = [make_run({"train.gamma": 0.9 + 0.01 * at}) for at in range(4)]
    newest = [run.run_id for run in reversed(runs)]
    assert list(questions.configs(runs[0].group)) == newest
    known = questions.configs(runs[0].group, 2)
    assert [(run, config.train["gamma"]) for run, config in known.items()] == [(newest[0], 0.93), (newest[1], 0.92)]


def test_kinds_are_named_by_how_many_runs_are_of_them(make_run: RunMaker, questions: Questions) -> None:
    for arm, session in (("race", "b"), ("tpe", "a"), ("tpe", None)):
        make_run(arm=arm, session=session)
    found = questions.kinds()
    assert (found["arm"], found["session"], found["state"]) == (["tpe", "race"], ["a", "b"], ["finished"])
    assert questions.kinds(Selection(session="b"))["arm"] == ["race"]


def test_lineage_and_what_changed(make_run: RunMaker, notebook: Notebook, questions: Questions) -> None:
    one = make_run()
    two = make_run({"train.gamma": 0.9}, parent=one.run_id)
    three = make_run({"train.ent_coef": 0.02}, parent=two.run_id)
    other = make_run({"train.gamma": 0.8}, parent=one.run_id)
    assert [row.run_id for row in questions.lineage(three.run_id)] == [three.run_id, two.run_id, one.run_id]
    assert [row.run_id for row in questions.children(one.run_id)] == [two.run_id, other.run_id]
    assert questions.changed(three.run_id, other.run_id) == diff(
        notebook.config(three.run_id), notebook.config(other.run_id)
    )
    for ask in (questions.lineage, questions.config):
        with pytest.raises(NotFound, match="no-such-run"):
            ask("no-such-run")


def test_whether_a_config_has_been_tried(make_run: RunMaker, notebook: Notebook, questions: Questions) -> None:
    run = make_run({"train.learning_rate": 0.005, "train.gamma": 0.99})
    config = notebook.config(run.run_id)

    def tried(**changes: Any) -> list[str]:
        overrides = {key.replace("__", "."): value for key, value in changes.items()}
        return [row.run_id for row in runs_that_tried(questions.index, config.with_overrides(overrides), run.group)]

    assert tried() == [run.run_id]
    assert tried(autopilot__seeds=7, train__seed=3, autopilot__threads=2) == [run.run_id]  # bookkeeping
    assert tried(train__learning_rate=0.00505) == [run.run_id]  # 1 % off
    assert tried(train__gamma=0.99005) == [run.run_id]  # half a per cent of what is left to 1
    assert tried(train__learning_rate=0.0052) == []
    assert tried(train__gamma=0.991) == []
    assert tried(train__optimizer="muon") == []
    assert tried(train__anneal_lr=not config.train["anneal_lr"]) == []
    again = make_run({"train.learning_rate": 0.00502, "train.gamma": 0.99})
    assert tried(train__learning_rate=0.00502) == [again.run_id, run.run_id]  # the exact one first
