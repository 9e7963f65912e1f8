"""The contents of pages about sessions, from the same functions as the terminal's lists and `--json`."""

from collections.abc import Callable
from typing import Any, NamedTuple

from lab.base import lasting
from lab.store import Lab, Notebook, Proposals, ProposalState, Selection, SessionRecord, Sessions
from report import contenders, headline_of, idle_text, proposal_state, status_of, view_of
from review.waiting import seen, undecided

DECIDED = 100
"""Decided proposals that the history shows, the latest ones."""
MOST = 8
"""Proposals that the first page lets a person decide about; the others are a page away."""


def sessions(notebook: Notebook, proposals: Proposals) -> list[tuple[SessionRecord, str]]:
    """The sessions that can be read, the newest first, each with its headline."""
    known = Sessions(notebook.workspace)
    records = known.all()
    notebook.notice(known.damaged)
    return [(record, headline_of(notebook, proposals, record).text) for record in records]


def tonight(notebook: Notebook, proposals: Proposals) -> dict[str, Any]:
    """The session under way, as `autopilot status` has it, with the latest runs and how far budgets are used."""
    state = status_of(notebook, proposals)
    record = SessionRecord.model_validate(state["session"]) if state["session"] else None
    rows = notebook.index.records(Selection(session=record.session_id), newest=8)[::-1] if record else []
    return {
        **state,
        "record": record,
        **deciding(proposals),
        "queued": [row for row in state["waiting"] if row["state"] != "staged"],
        "runs_by_state": state["runs"],
        "latest": [view_of(notebook, run, whole=True) for run in rows],
        "budgets": _budgets(notebook, record) if record else [],
        "candidates": contenders(notebook, record.group, record.session_id) if record else [],
        "unreadable": state.get("damaged", ""),
        "damaged": notebook.damaged,
        "busy": _share(record.spent.training, record.spent.seconds) if record else None,
    }


def queue(notebook: Notebook, proposals: Proposals, lab_of: Callable[[str], Lab]) -> dict[str, Any]:
    """The queue: what waits, what was approved, and what was decided.

    Args:
        notebook: where the runs are.
        proposals: the queue.
        lab_of: a function from an environment's name to the lab that has it.
    """
    live = proposals.live(ProposalState.APPROVED, ProposalState.RUNNING)
    decided = [p for p in reversed(proposals.all()) if p.state is not ProposalState.STAGED][:DECIDED]
    return {
        "waiting": [seen(p, lab_of(p.env_name)) for p in undecided(proposals)],
        "live": [(p, proposal_state(notebook, p), idle_text(notebook, p)) for p in live],
        "decided": [(p, proposal_state(notebook, p)) for p in decided],
        "damaged": proposals.damaged,
        "problems": [],
        "given": "",
        "ticked": [],
    }


def deciding(proposals: Proposals) -> dict[str, Any]:
    """What waits for a person, as far as it fits the first page."""
    waiting = undecided(proposals)
    return {"decide": waiting[:MOST], "more": len(waiting) > MOST}


class Used(NamedTuple):
    """A budget, and how far it is used."""

    name: str
    share: float
    """The used part, 0 to 1."""
    text: str


def _budgets(notebook: Notebook, record: SessionRecord) -> list[Used]:
    limits, spent = record.budgets, record.spent
    replicates = notebook.replicates(record.session_id)
    budgets: list[tuple[str, float, float | None, Callable[[float], str]]] = [
        ("time", spent.seconds, limits.hours and limits.hours * 3600, lasting),
        ("replicates", replicates, record.replicates, lambda value: f"{value:,.0f}"),
        ("tokens", spent.tokens, limits.max_tokens, lambda value: f"{value:,.0f}"),
        ("dollars", spent.dollars, limits.max_dollars, lambda value: f"${value:.2f}"),
    ]
    return [_used(name, used, most, say) for name, used, most, say in budgets if most or used]


def _used(name: str, used: float, most: float | None, say: Callable[[float], str]) -> Used:
    if not most:
        return Used(name, 0.0, f"{say(used)}, no limit")
    return Used(name, min(1.0, used / most), f"{say(used)} of {say(most)}")


def _share(part: float, whole: float) -> float | None:
    return part / whole if whole else None
