"""Nights in which there is hardly anything to search: one key is open, with three values."""

import random

import pytest

from lab.space.inventory import Environment, Inventory
from lab.space.task import Limit
from lab.space.validate import space_of
from lab.store.notebook import Notebook
from lab.store.session import Budgets
from tests.agent.conftest import Make
from tests.conftest import ENV
from training.fake import FakeRunner
from training.inventory import load_inventory
from training.runner import Plan

RATES = (0.001, 0.005, 0.02)


@pytest.fixture
def inventory() -> Inventory:
    """Of the environment's keys only the learning rate may be proposed, the preset's own value among three."""
    inventory = load_inventory([ENV])
    known = inventory.environment(ENV)
    limits = {name: Limit(frozen=True) for name, key in space_of(known).items() if key.proposable}
    limits["train.learning_rate"] = Limit(choices=RATES)
    narrow = known.model_copy(update={"limits": {**known.limits, **limits}})
    return inventory.model_copy(update={"environments": {ENV: Environment.model_validate(narrow.model_dump())}})


class ByRate(FakeRunner):
    """One learning rate is better than the others by so much; seeds spread by 0.04."""

    def __init__(self, best: float, gain: float) -> None:
        super().__init__()
        self._best, self._gain = best, gain

    def _score(self, plan: Plan, seed: int) -> float:
        better = plan.config.train["learning_rate"] == self._best
        return 0.6 + self._gain * better + random.Random(seed).gauss(0, 0.04)  # noqa: S311 - made up


def test_what_was_tried_gets_more_seeds_and_a_proof(make_session: Make, notebook: Notebook) -> None:
    """With every config tried there still is a question: which of them is best."""
    record = make_session(ByRate(0.02, 0.15), budgets=Budgets(max_runs=45)).run()
    runs = notebook.runs()
    tried = [run for run in runs if not run.replicates_of]
    assert {notebook.config(run.run_id).train["learning_rate"] for run in tried} == set(RATES)
    incumbent = notebook.incumbent(record.group)
    assert incumbent is not None
    assert notebook.config(incumbent).train["learning_rate"] == 0.02
    assert str(record.ended_because).startswith("nothing more to try: ")
    assert notebook.replicates(record.session_id) < 45  # nothing was left to ask for the others


def test_where_none_of_them_is_better_the_night_ends_early(make_session: Make, notebook: Notebook) -> None:
    record = make_session(ByRate(0.005, 0.15), budgets=Budgets(max_runs=45)).run()
    assert str(record.ended_because).startswith("nothing more to try: ")
    assert notebook.replicates(record.session_id) < 15
