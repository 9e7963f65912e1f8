"""Statements of every kind that was once judged wrongly, about made-up runs: what each of them comes to."""

import json
from pathlib import Path
from typing import Any

import pytest

from lab.claims import check
from lab.judge import Known
from lab.judge.known import Proposed
from lab.store import Notebook
from tests.lab.claims.made_up import A, B, C, D, imported, statuses

CASES = [json.loads(line) for line in Path("tests/data/claims/kinds.jsonl").read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def notebook(tmp_path_factory: pytest.TempPathFactory) -> Notebook:
    return imported(tmp_path_factory.mktemp("kinds"))


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['kind']}: {case['token']}")
def test_a_statement_of_its_kind(case: dict[str, Any], notebook: Notebook, tmp_path: Path) -> None:
    said, checked = statuses(notebook, tmp_path, case)
    assert checked.failed == ()
    if case["right"].startswith("not "):
        assert case["right"].removeprefix("not ") not in said, checked.claims
    else:
        assert said == {case["right"]}, checked.claims


def test_the_evidence_names_the_reading(notebook: Notebook, tmp_path: Path) -> None:
    _, checked = statuses(notebook, tmp_path, {"text": "Observations\nOnce the reward was 33.08.", "token": "33.08"})
    assert [(claim.status, claim.evidence.partition(":")[0]) for claim in checked.claims] == [
        ("unsupported", "is the parent's")
    ]


def test_a_plan_is_judged_by_what_was_staged() -> None:
    known = Known.model_validate_json(Path("tests/data/claims/breakout.json").read_text(encoding="utf-8"))
    staged = Proposed(parent=known.run.run_id, overrides={"train.ent_coef": 0.004})
    known = known.model_copy(update={"proposals": (staged,)})
    for text, status in (
        ("ent_coef goes to 0.004.", "verified"),
        ("ent_coef goes to 0.04.", "contradicted"),
        ("Sweep gae_lambda over 0.8 later.", None),
    ):
        said = {claim.status for claim in check(known, {"next_step": text}).claims}
        assert said == ({status} if status else set()), (text, said)


def test_a_note_may_have_a_plan_of_its_own() -> None:
    known = Known.model_validate_json(Path("tests/data/claims/breakout.json").read_text(encoding="utf-8"))
    staged = Proposed(parent=known.run.run_id, overrides={"train.ent_coef": 0.004, "train.gamma": 0.9})
    known = known.model_copy(update={"proposals": (staged,)})
    for text, status in (
        ("## Next step\n- ent_coef 0.0173\n- gamma 0.95", {"unsupported"}),
        ("## Next step\n- ent_coef 0.004\n- gamma 0.95", {"verified", "contradicted"}),
        ("- ent_coef 0.0173\n- gamma 0.95", {"contradicted"}),
    ):
        assert {claim.status for claim in check(known, {"next_step": text}).claims} == status, text


def test_a_number_is_that_of_the_creation(notebook: Notebook) -> None:
    index = notebook.index
    assert [index.number_of(run) for run in (A, B, C, D)] == [1, 2, 3, 4]
    assert [index.by_number(number) for number in (1, 4, 5, 0)] == [A, D, None, None]
    assert index.number_of("nobody") is None


def test_what_an_import_takes_in(notebook: Notebook) -> None:
    record = notebook.run(C)
    assert (record.parent, f"{record.created:%H:%M}") == (B, "09:40")
    assert record.resume is not None
    assert (record.resume.run_id, record.resume.files) == (B, (f"checkpoints/{B}/best.pt",))
    assert notebook.run(D).resume is None
