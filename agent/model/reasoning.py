"""How the offline researcher reasons: from the findings of a diagnosis to the config that would test one of them.

The search proposes several configs; the diagnosis says which of them move the right key the right way. It only weighs:
a config that the search believes to be clearly worse is not taken for its sake, nor one that answers a question which
several runs have answered.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

ANSWERED = 3
"""Runs that moved a key the way a finding asks for, after which it has had its test."""
MOVED = 0.3
"""Share of the larger value, or distance to 1, by which it has to change for a finding to be put to the test."""
WORSE = 0.25
"""How far below the first candidate's mean another may be expected, as a share of the first one's interval."""


@dataclass(frozen=True)
class Answer:
    """What a config does about a finding of the run that it changes."""

    finding: Mapping[str, Any]
    """As `read_run` gives it."""
    key: str
    """Key that it moves, one that the finding names."""
    direction: str
    """Way that it moves it, `up` or `down`."""
    agrees: bool
    """Whether that is the way that the finding asks for."""
    wanted: str
    """Way that the finding asks for."""


def ill(findings: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The findings that ask for a remedy, the first first."""
    return [one for one in findings if one["weight"] == "ill"]


def open_questions(
    findings: Sequence[Mapping[str, Any]], history: Sequence[Mapping[str, Any]]
) -> list[Mapping[str, Any]]:
    """The findings that ask for a remedy which too few runs have tried.

    Args:
        findings: of the run that is to be changed.
        history: rows of `list_runs`.
    """

    def tried(move: Mapping[str, str]) -> int:
        changes = [(row.get("changed_from_parent") or {}).get(move["key"]) for row in history]
        return sum(change is not None and way(*change) == move["direction"] for change in changes)

    return [one for one in ill(findings) if one["moves"] and tried(one["moves"][0]) < ANSWERED]


def way(old: Any, new: Any) -> str | None:
    """The way that a value moved, `up` or `down`; None for too little, and for what has no order."""
    if any(isinstance(value, bool) or not isinstance(value, (int, float)) for value in (old, new)):
        return None
    scale = max(abs(old), abs(new))
    if 0.5 < scale < 1 and min(old, new) >= 0.5:
        scale = max(1 - old, 1 - new)
    if abs(new - old) < MOVED * scale:
        return None
    return "up" if new > old else "down"


def answer(findings: Sequence[Mapping[str, Any]], changes: Mapping[str, Any], old: Mapping[str, Any]) -> Answer | None:
    """What a config does about the first finding that it has anything to do with; None where that is none.

    Args:
        findings: that ask for a remedy.
        changes: key to new value.
        old: key to the value that is changed.
    """
    for finding in findings:
        for move in finding["moves"]:
            if (direction := way(old.get(move["key"]), changes.get(move["key"]))) is not None:
                agrees = direction == move["direction"]
                return Answer(finding, move["key"], direction, agrees, move["direction"])
    return None


def weighed(
    candidates: Sequence[Mapping[str, Any]], findings: Sequence[Mapping[str, Any]], old: Mapping[str, Any], sign: int
) -> list[Mapping[str, Any]]:
    """The search's candidates, those first that put the first finding to the test; their order is kept otherwise.

    Args:
        candidates: of `suggest_configs`, each with `changes` and what the search expects.
        findings: open ones of the run that is changed.
        old: that run's values by key.
        sign: 1 where more of the objective is better, -1 where less is.
    """
    if not candidates or not findings:
        return list(candidates)
    first = candidates[0].get("expected")

    def rank(candidate: Mapping[str, Any]) -> int:
        expected = candidate.get("expected")
        if first and expected:
            behind = sign * (first["mean"] - expected["mean"])
            if behind > WORSE * (first["high"] - first["low"]):
                return len(findings)
        for at, finding in enumerate(findings):
            found = answer([{**finding, "moves": finding["moves"][:1]}], candidate["changes"], old)
            if found is not None and found.agrees:
                return at
        return len(findings)

    return sorted(candidates, key=rank)
