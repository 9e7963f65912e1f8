"""Score against time, in words: the configs that no other beats in both, beside the baseline and the incumbent."""

from lab.base import lasting, number
from lab.search import Placed, front_of
from lab.space import Group
from lab.store import Notebook, Selection
from report.facts import changed_text

ROWS = 12
"""Configs of a front that are listed, at most, spread evenly over it."""


def marked(notebook: Notebook, group: Group) -> dict[str, str]:
    """Run to what it is: the baseline, which is the group's first one, and the incumbent, or both."""
    which = Selection(group, scored=True, native=True, own=True, arm="baseline")
    first, known = notebook.index.rows(which, limit=1), dict[str, str]()
    if first:
        known[first[0].run_id] = "baseline"
    if incumbent := notebook.incumbent(group):
        known[incumbent] = f"{known[incumbent]}, incumbent" if incumbent in known else "incumbent"
    return known


def traded(notebook: Notebook, group: Group) -> list[dict[str, str]]:
    """Heading to text, row by row, the fastest first; nothing while fewer than two configs have a score and a time."""
    every, marks = front_of(notebook, group), marked(notebook, group)
    if len(every) < 2:
        return []
    front = [one.run for one in every if one.front]
    step = max(1.0, (len(front) - 1) / (ROWS - 1))
    shown = {front[round(at * step)] for at in range(min(ROWS, len(front)))} | marks.keys()
    return [_row(notebook, group, one, marks.get(one.run, "")) for one in every if one.run in shown]


def _row(notebook: Notebook, group: Group, one: Placed, mark: str) -> dict[str, str]:
    beaten = "" if one.front else "beaten"
    return {
        "a replicate takes": lasting(one.seconds),
        group.goal.name: f"{number(one.mean)} [{number(one.low)}, {number(one.high)}]",
        "n": str(one.replicates),
        "config": f"{one.run} ({changed_text(notebook, notebook.run(one.run))})",
        "is": ", ".join(text for text in (mark, beaten) if text),
    }
