"""Which of the search's configs the offline researcher takes, and what it says where search and diagnosis disagree."""

from typing import Any

import pytest

from agent.analysis import Analyst
from agent.model import OfflineResearcher
from agent.model.reasoning import answer, open_questions, way, weighed
from lab.store import Lab, Notebook
from tests.conftest import RunMaker

LARGE = {
    "name": "updates_too_large", "weight": "ill", "statement": "updates are too large", "meaning": "they are",
    "moves": [{"key": "train.learning_rate", "direction": "down"}, {"key": "train.update_epochs", "direction": "down"}],
}  # fmt: skip
NOTE = {**LARGE, "name": "slow", "weight": "note"}
OLD = {"train.learning_rate": 0.1, "train.update_epochs": 1, "train.gamma": 0.99, "train.anneal_lr": True}


def candidate(mean: float = 0.5, half: float = 0.2, **changes: Any) -> dict[str, Any]:
    named = {f"train.{key}": value for key, value in changes.items()}
    return {"changes": named, "expected": {"mean": mean, "low": mean - half, "high": mean + half}}


def test_of_several_that_the_search_likes_the_one_is_taken_that_tests_the_finding() -> None:
    up, little, down = candidate(learning_rate=0.4), candidate(learning_rate=0.095), candidate(learning_rate=0.01)
    assert weighed([up, little, down], [LARGE], OLD, 1)[0] is down


def test_a_config_that_the_search_thinks_clearly_less_of_is_not_taken_for_it() -> None:
    good, bad = candidate(0.9, learning_rate=0.4), candidate(0.2, learning_rate=0.01)
    assert weighed([good, bad], [LARGE], OLD, 1)[0] is good
    assert weighed([bad, good], [LARGE], OLD, 1)[0] is bad
    low, high = candidate(0.2, gamma=0.9), candidate(0.9, learning_rate=0.01)
    assert weighed([low, high], [LARGE], OLD, -1)[0] is low  # less is better


def test_without_a_finding_the_order_is_the_searchs() -> None:
    both = [candidate(learning_rate=0.4), candidate(learning_rate=0.01)]
    assert weighed(both, [], OLD, 1) == both


def test_a_finding_that_three_runs_have_looked_into_is_closed() -> None:
    row = {"changed_from_parent": {"train.learning_rate": [0.1, 0.01]}}
    other = {"changed_from_parent": {"train.learning_rate": [0.1, 0.5]}}
    assert open_questions([LARGE, NOTE], [row, row, other, other, {"changed_from_parent": None}]) == [LARGE]
    assert open_questions([LARGE], [row, row, row]) == []


@pytest.mark.parametrize(("old", "new", "expected"), [
    (0.1, 0.01, "down"), (0.1, 0.2, "up"), (0.1, 0.11, None), (0.99, 0.999, "up"), (0.99, 0.991, None),
    (0.99, 0.9, "down"), (True, False, None), ("adam", "muon", None), (1, 4, "up"), (None, 3, None), (0.0, 0.01, "up"),
])  # fmt: skip
def test_the_way_that_a_value_moves(old: Any, new: Any, expected: str | None) -> None:
    assert way(old, new) == expected


def test_agreement_and_disagreement_are_told_apart() -> None:
    agrees = answer([LARGE], {"train.learning_rate": 0.01}, OLD)
    differs = answer([LARGE], {"train.learning_rate": 0.9}, OLD)
    assert agrees is not None
    assert agrees.agrees
    assert differs is not None
    assert (differs.agrees, differs.direction, differs.wanted) == (False, "up", "down")
    assert answer([LARGE], {"train.gamma": 0.9}, OLD) is None


def test_a_short_sighted_discount_is_put_first_and_the_next_config_raises_it(
    make_run: RunMaker, notebook: Notebook, inventory: Any
) -> None:
    run = make_run({"train.gamma": 0.3})
    (proposal,) = Analyst(Lab(notebook, inventory), OfflineResearcher()).analyse(run).staged
    report = notebook.paths(run.run_id).report.read_text()
    head = report.splitlines()[2:5]
    assert [line.split(":**")[0] for line in head] == ["- **Tried", "- **Why", "- **Next"]
    assert "the discount looks only 1 steps ahead" in head[1]
    assert "A run with gamma up in which this stays as it is refutes it." in report
    assert proposal.overrides["train.gamma"] > 0.3
    assert "train.gamma goes up, as the diagnosis asks" in report
    assert len(report.partition("\n---\n")[0].split()) <= 450


def test_a_report_of_a_run_that_moved_many_keys_is_short_above_the_details(
    make_run: RunMaker, notebook: Notebook, inventory: Any
) -> None:
    base = make_run()
    changes = {
        "train.learning_rate": 0.02, "train.gamma": 0.98, "train.gae_lambda": 0.8, "train.ent_coef": 0.01,
        "train.clip_coef": 0.3, "train.vf_coef": 1.0, "train.vf_clip_coef": 1.0, "train.max_grad_norm": 3.0,
        "train.update_epochs": 2, "train.adam_beta1": 0.9, "train.prio_alpha": 0.5,
    }  # fmt: skip
    run = make_run(changes, parent=base.run_id)
    Analyst(Lab(notebook, inventory), OfflineResearcher()).analyse(run)
    report = notebook.paths(run.run_id).report.read_text()
    above, _, details = report.partition("\n---\n")
    assert len(above.split()) <= 450
    assert all(f"| `{key}` |" in details for key in changes)
