"""How well claims are found and judged: three corpora of sentences labelled by hand, and the time it takes.

    python -m benchmarks.claims

A decision is `verified` or `contradicted`; `unsupported` is none and never counts as right. precision: right decisions
among all, those on what the labels know of no claim included where they are `contradicted`. recall: right decisions
among the labelled claims that can be decided. coverage: those of them that any decision was made on.
"""

import json
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.common import tell
from lab.claims import Claim, check
from lab.judge import Known

CORPORA = Path(__file__).resolve().parent.parent / "tests" / "data" / "claims"
NAMES = ("breakout", "drive", "squared")
FIRST_SIGHT = {"breakout": (0.938, 0.723), "drive": (0.730, 0.535), "squared": (0.887, 0.772)}
"""Precision and recall when the corpus was first run, before the checker was improved on it."""


def sentences(name: str) -> Iterator[dict[str, Any]]:
    """The labelled sentences of a corpus."""
    for line in (CORPORA / f"{name}.jsonl").read_text(encoding="utf-8").splitlines():
        yield json.loads(line)


def known_of(name: str) -> Known:
    """The record that a corpus is about."""
    return Known.model_validate_json((CORPORA / f"{name}.json").read_text(encoding="utf-8"))


def score(name: str) -> dict[str, Any]:
    """Precision, recall and coverage on a corpus.

    Args:
        name: one of `NAMES`.
    """
    known, count, causes, begun = known_of(name), Counter[str](), Counter[bool](), time.process_time()
    for sentence in sentences(name):
        found = check(known, {sentence["section"]: sentence["text"]})
        spans = []
        for label in sentence["claims"]:
            start = sentence["text"].index(label["quote"])
            end = start + len(label["quote"])
            spans.append((start, end))
            said = _said([claim for claim in found.claims if claim.start < end and claim.end > start])
            count["labelled"] += 1
            count["decidable"] += label["status"] != "unsupported"
            count["decided"] += said != "unsupported"
            count["covered"] += said != "unsupported" != label["status"]
            count["right"] += said == label["status"] != "unsupported"
        stray = [c for c in found.claims if not any(c.start < end and c.end > start for start, end in spans)]
        count["decided"] += sum(claim.status == "contradicted" for claim in stray)
        marks = set(found.causes[0].marks) if found.causes else set()
        causes[marks == set(sentence["cause"] or ())] += 1
    sight = {"at_first_sight": dict(zip(("precision", "recall"), FIRST_SIGHT[name], strict=True))}
    return {
        "sentences": causes.total(),
        "labelled_claims": count["labelled"],
        "decidable": count["decidable"],
        "precision": round(count["right"] / count["decided"], 3),
        "recall": round(count["right"] / count["decidable"], 3),
        "coverage": round(count["covered"] / count["decidable"], 3),
        "causes_right": round(causes[True] / causes.total(), 3),
        "milliseconds_a_sentence": round(1000 * (time.process_time() - begun) / causes.total(), 2),
        **sight,
    }


def _said(claims: list[Claim]) -> str:
    """What claims that overlap a label come to: the worst of them."""
    said = {claim.status for claim in claims} or {"unsupported"}
    return next(status for status in ("contradicted", "unsupported", "verified") if status in said)


if __name__ == "__main__":
    tell("claims of reports", **{name: score(name) for name in NAMES})
