"""Claims in a report: marked where they stand, and listed with their evidence."""

from typing import Any

from lab.base import plain
from lab.claims import MARKS, Checked

SIGNS = {"contradicted": " ✗", "unsupported": " (?)"}
LISTED = 20
"""Claims that a report lists; `claims.json` has them all."""


def marked(text: str, section: str, checked: Checked) -> str:
    """A section with a sign behind each claim that the record contradicts or does not speak to.

    Args:
        text: of the section, as it was checked.
        section: its name.
        checked: the claims.
    """
    for claim in sorted(checked.claims, key=lambda claim: claim.end, reverse=True):
        if claim.section == section and claim.status in SIGNS:
            text = text[: claim.end] + SIGNS[claim.status] + text[claim.end :]
    return text


def told_of(checked: Checked) -> dict[str, Any]:
    """What the report's section about its claims is made of."""
    doubtful = [cause for cause in checked.causes if cause.marks]
    return {
        "claims": {status: checked.count(status) for status in ("verified", "contradicted", "unsupported")},
        "wrong": [
            {"quote": _quote(claim.quote), "evidence": _quote(claim.evidence)}
            for claim in checked.claims
            if claim.status == "contradicted"
        ][:LISTED],
        "unsaid": [_quote(claim.quote) for claim in checked.claims if claim.status == "unsupported"][:LISTED],
        "doubtful": [
            {"quote": _quote(cause.quote, 200), "marks": "; ".join(MARKS[mark] for mark in cause.marks)}
            for cause in doubtful
        ][:LISTED],
    }


def _quote(text: str, longest: int = 160) -> str:
    return " ".join(plain(text, longest).replace("|", "/").replace("`", "'").split())
