"""What changing one thing has led to, from runs of the fake runner, which likes a learning rate of 0.008."""

import math

import pytest
from scipy.stats import t

from lab.judge.lessons import lessons_of
from lab.judge.sequential import NIGHT
from lab.judge.verdicts import noise_of
from lab.space.config import Config
from lab.space.parameters import PARAMETERS
from lab.store.notebook import Notebook
from tests.conftest import RunMaker


def test_one_key_at_a_time_with_an_interval(make_run: RunMaker, notebook: Notebook) -> None:
    base = make_run({"autopilot.seeds": 5})
    assert lessons_of(notebook.index, base.group) == []
    worse = [make_run({"train.learning_rate": rate}, parent=base.run_id) for rate in (0.0001, 0.0002)]
    make_run({"train.learning_rate": 0.0002, "train.gamma": 0.9}, parent=base.run_id)  # two things: no lesson
    make_run({"train.total_timesteps": 4_000_000}, parent=base.run_id)  # not like with like
    make_run({"train.optimizer": "muon"}, parent=base.run_id)
    make_run({"train.gamma": 0.9}, parent=base.run_id, fault="crash")  # no score
    found = {(lesson.key, lesson.direction): lesson for lesson in lessons_of(notebook.index, base.group)}
    assert set(found) == {("train.learning_rate", "down"), ("train.optimizer", "→ muon")}
    lesson = found["train.learning_rate", "down"]
    assert lesson.meaning == "hurts"
    assert (lesson.agreeing, lesson.opposed) == (tuple(run.run_id for run in worse), ())
    assert lesson.low < lesson.effect < lesson.high < 0
    means = [notebook.values(run.run_id, "perf") for run in (base, *worse)]
    score = [math.fsum(values) / len(values) for values in means]
    assert lesson.effect == pytest.approx((score[1] + score[2]) / 2 - score[0])  # equal weights: n is the same
    assert found["train.optimizer", "→ muon"].meaning == "unclear"


def test_a_lesson_needs_its_parent_and_is_bounded(make_run: RunMaker, notebook: Notebook, config: Config) -> None:
    base = make_run()
    keys = [p.key for p in PARAMETERS if p.key.startswith("train.adam")]
    for key in ["train.gamma", "train.gae_lambda", "train.vf_coef", *keys]:
        make_run({key: 0.5 if "eps" not in key else 1e-4}, parent=base.run_id)
    assert len(lessons_of(notebook.index, base.group)) == len(keys) + 3
    assert len(lessons_of(notebook.index, base.group, 2)) == 2


def test_runs_of_one_parent_are_one_comparison(make_run: RunMaker, notebook: Notebook) -> None:
    """However many children move a key the same way: the parent's luck is in all of their differences."""
    base = make_run({"autopilot.seeds": 2})
    for value in (0.9, 0.91, 0.92, 0.93):
        make_run({"train.gamma": value}, parent=base.run_id)
    (lesson,) = lessons_of(notebook.index, base.group)
    sd, freedom = noise_of(notebook, base.group) or (0.0, 0)
    alone = float(t.ppf(1 - NIGHT / 2, freedom)) * sd * math.sqrt(1 / 2)  # the parent's part of it
    assert (lesson.high - lesson.low) / 2 > alone


def test_all_lessons_hold_together(make_run: RunMaker, notebook: Notebook) -> None:
    """The more keys were tried, the wider each interval (Bonferroni)."""
    base = make_run({"autopilot.seeds": 4})
    for count, key in enumerate(("train.gamma", "train.gae_lambda", "train.ent_coef"), start=1):
        make_run({key: 0.05}, parent=base.run_id)  # of four seeds too, as its parent
        sd, freedom = noise_of(notebook, base.group) or (0.0, 0)
        half = float(t.ppf(1 - NIGHT / count / 2, freedom)) * sd * math.sqrt(1 / 4 + 1 / 4)
        found = lessons_of(notebook.index, base.group)
        assert [(lesson.high - lesson.low) / 2 for lesson in found] == pytest.approx([half] * count)
