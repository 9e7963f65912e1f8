"""Three corpora of labelled sentences, written before the checker, and a report with tensions of its own."""

import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.claims import CORPORA, NAMES, known_of, score, sentences
from lab.claims.checking import Checked, check
from lab.claims.reports import sections_of
from lab.judge.known import Known

SEED = (CORPORA.parent / "seed_run_report.txt").read_text(encoding="utf-8")
LEAST = {"breakout": (0.99, 0.82), "drive": (0.99, 0.71), "squared": (0.99, 0.69)}
"""Precision and recall below which something was broken."""


def checked(text: str) -> Checked:
    known = Known.model_validate_json((CORPORA / "seed.json").read_text(encoding="utf-8"))
    return check(known, sections_of(text))


@pytest.mark.parametrize("name", NAMES)
def test_labelled_sentences(name: str) -> None:
    found = score(name)
    assert found["sentences"] >= 80
    assert (found["precision"], found["recall"]) >= LEAST[name]
    assert found["recall"] >= LEAST[name][1]
    assert found["causes_right"] >= 0.95


@pytest.mark.parametrize("name", NAMES)
def test_no_rule_breaks_on_any_of_them(name: str) -> None:
    known = known_of(name)
    for sentence in sentences(name):
        for section in ("title", "observations", "theory", "next_step"):
            assert check(known, {section: sentence["text"]}).failed == ()


def test_the_seed_report_claim_by_claim() -> None:
    found = checked(SEED)
    labels = json.loads((CORPORA / "seed_labels.json").read_text(encoding="utf-8"))
    assert [[claim.section, claim.quote, claim.status] for claim in found.claims] == labels
    assert len(labels) >= 25
    assert {status for _, _, status in labels} == {"verified", "unsupported"}


ALTERED = [
    ("(0.12→0.06)", "(0.12→0.07)"), ("vec 28/56, env", "vec 24/56, env"), ("bptt 16\n", "bptt 32\n"),
    ("lr 2.5e-3", "lr 2.5e-4"), ("ent_coef 0.06 (prev", "ent_coef 0.6 (prev"), ("(prev 0.12)", "(prev 0.21)"),
    ("total_timesteps 20M", "total_timesteps 30M"), ("16 = 28,672", "16 = 28,627"), ("56 % 28 = 0", "56 % 28 = 2"),
    ("success_rate: 0.000", "success_rate: 0.100"), ("down from 9.38 @0.12", "down from 8.38 @0.12"),
    ("~1.26e3 @0.01", "~1.62e3 @0.01"), ("mean_reward: 139.37", "mean_reward: 193.37"), ("from 250.57", "from 205.57"),
    ("481.55\u2013474.92", "481.55\u2013447.92"), ("rate: 0.00196", "rate: 0.00169"), ("490.08", "409.08"),
    ("135.10K", "153.10K"), ("prior 126.67K", "prior 162.67K"), ("agent_steps: 20.93M", "agent_steps: 29.03M"),
    ("epoch: 698", "epoch: 689"), ("(~1.25e3)", "(~2.15e3)"), ("(~475\u2013497)", "(~475\u2013597)"),
    ("success ~9.38", "success ~3.98"), ("reward ~250.6", "reward ~260.5"), ("reward ~139.4", "reward ~193.4"),
    ("success 0.0,", "success 0.9,"), ("halving to 0.06", "halving to 0.08"),
    ("lower lr (0.002) and", "lower lr (0.004) and"),
    ("Revert ent_coef → 0.01", "Revert ent_coef → 0.02"), ("lower lr → 0.002", "lower lr → 0.001"),
]  # fmt: skip


@pytest.mark.parametrize(("true", "false"), ALTERED)
def test_an_altered_number_is_caught_and_no_true_one_is_called_false(true: str, false: str) -> None:
    assert true in SEED
    wrong = [claim.quote for claim in checked(SEED.replace(true, false, 1)).claims if claim.status == "contradicted"]
    assert len(wrong) == 1
    new = set(re.findall(r"[\d.,]*\d", false)) - set(re.findall(r"[\d.,]*\d", true))
    assert any(number in wrong[0] for number in new)


@given(st.text(max_size=300) | st.lists(st.sampled_from(
    ["perf", "0.98", "→", "from", "to", "the", "parent", "12 %", "halved", "[", "]", "0.1", ",", "and", "best",
     "of all",
     "no", "overrides", "1e999", "-", "=", "x", "×", "8 x 9 = 72", "@0.01", "(", ")", "zfy5", "better", "than", "up",
     "because", "{{", "|", "\n", ". ", "steps", "1,000,000,000,000,000", "0.", ".5", "%", "~", "between"]),
    max_size=25).map(" ".join))  # fmt: skip
@settings(max_examples=300, deadline=None)
def test_whatever_is_written_no_rule_breaks_and_places_are_right(text: str) -> None:
    for section in ("observations", "next_step"):
        found = check(known_of("breakout"), {section: text})
        assert found.failed == ()
        for claim in found.claims:
            assert text[claim.start : claim.end] == claim.quote
