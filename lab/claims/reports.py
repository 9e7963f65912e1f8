"""The prose of a report, ours or another system's: what is checked in it, and what is not."""

import re

HEADING = re.compile(
    r"^(?:#+\s*|\*\*)?(?P<name>Config(?:uration)?|Key metrics|Metrics|Results|Observations|Theory|Analysis|Next steps?"
    r"|Claims|Repro(?:duction)? notes)\b[^|\n]*$",
    re.IGNORECASE,
)
KINDS = {"theory": "theory", "analysis": "theory", "next step": "next_step", "next steps": "next_step"}
"""Headings that say more than that something was observed."""
OURS = re.compile(r"^## Key metrics$.*?^## Observations$", re.MULTILINE | re.DOTALL)
SIGNS = re.compile(r" (?:✗|\(\?\))")


def sections_of(text: str) -> dict[str, str]:
    """Sections of a report that somebody wrote, by what kind of statements they hold.

    Tables, code and, in reports of ours, the program's own sections are left out: they are made from the record.

    Args:
        text: the report, Markdown or plain.

    Returns:
        title, observations, theory, next_step, as far as there are any.
    """
    ours, kind, sections, fenced = OURS.search(text) is not None, "title", dict[str, list[str]](), False
    for line in SIGNS.sub("", text).splitlines():
        if line.lstrip().startswith("```"):
            fenced = not fenced
        heading = HEADING.match(line.strip()) if not fenced else None
        if heading:
            name = heading["name"].lower()
            kind = KINDS.get(name, "observations")
            if name == "claims" or (ours and name not in ("observations", "theory", "next step")):
                kind = ""
            continue
        if ours and kind == "title" and not line.startswith("# "):
            continue  # the verdict, by the program
        if ours and line == "---":
            kind = ""  # details, by the program
            continue
        if ours and line.startswith(("Recent runs:", "- Expects ", "Nothing was staged", "![")):
            continue
        if kind and not fenced and not line.lstrip().startswith("|") and line.strip():
            sections.setdefault(kind, []).append(line.partition(" — ")[2] if ours and kind == "title" else line)
    return {kind: "\n".join(lines) for kind, lines in sections.items()}
