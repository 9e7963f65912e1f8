"""The prose of a report, ours or another system's: what is checked in it, and what is not."""

import re

from lab.claims.structure import FENCE, Meaning, heading

OWN = re.compile(r"^## (?P<name>[^|\n]+)$")
PROSE = {"Observations": "observations", "Theory": "theory", "Next step": "next_step"}
"""Sections of our own reports that somebody wrote; the program wrote the others from the record."""
KINDS = {Meaning.TITLE: "title", Meaning.THEORY: "theory", Meaning.PLAN: "next_step"}
"""Meanings that say more than that something was observed."""
OURS = re.compile(r"\A\s*# Run \S+ \u2014 .*?^## Key metrics$.*?^## Observations$", re.MULTILINE | re.DOTALL)
"""How a report of ours begins; another's may well have its headings."""
SETTINGS = re.compile(r"\s*(?:[\w.]+\s?[=:]\s?[^\s:=]+[\s,;]*)+")
"""A line of code that is a list of settings or figures: `lr=0.0089  gamma=0.99`."""
SIGNS = re.compile(r" (?:✗|\(\?\))")


def sections_of(text: str) -> dict[str, str]:
    """Sections of a report that somebody wrote, by what kind of statements they hold.

    Code, but for lists of settings, and, in reports of ours, the program's own sections and tables are left out: they
    are made from the record. In other texts headings stay where they are: what they announce is part of what is said.

    Args:
        text: the report, Markdown or plain.

    Returns:
        title, observations, theory, next_step, as far as there are any.
    """
    lines = SIGNS.sub("", text).splitlines()
    kinds = _own(lines) if OURS.search(text) else _others(lines)
    sections: dict[str, list[str]] = {}
    for kind, line in kinds:
        sections.setdefault(kind, []).append(line)
    return {kind: "\n".join(lines) for kind, lines in sections.items() if any(line.strip() for line in lines)}


def _own(lines: list[str]) -> list[tuple[str, str]]:
    """Lines of a report of ours that its author wrote, each with its kind."""
    kind, told = "title", list[tuple[str, str]]()
    for line in lines:
        if line == "---":
            kind = ""  # details, by the program
        elif section := OWN.match(line):
            kind = PROSE.get(section["name"].partition(" (")[0].strip(), "")
        elif kind == "title":
            told += [(kind, line.partition(" — ")[2])] if line.startswith("# ") else []
        elif kind and line.strip() and not line.lstrip().startswith(("|", "Recent runs:", "- Expects ", "![")):
            told += [] if line.startswith("Nothing was staged") else [(kind, line)]
    return told


def _others(lines: list[str]) -> list[tuple[str, str]]:
    """Lines of any other text, each with its kind."""
    kind, told, fenced = "title", list[tuple[str, str]](), False
    for line in lines:
        fenced = fenced != bool(FENCE.match(line))
        if FENCE.match(line) or (fenced and not SETTINGS.fullmatch(line)):
            continue
        if meaning := heading(line):
            kind = KINDS.get(meaning, "observations")
        elif re.match(r"#{2,6}\s", line):
            kind = "observations"
        told.append((kind, line))
    return told
