"""How a session stands, in a few lines: the same for the live view, `status` and whoever asks."""

from typing import TYPE_CHECKING

from agent.facts import changed_text, score_text
from lab.environments import objective_of
from lab.notebook import Notebook
from lab.proposals import Proposals
from lab.records import Group, ProposalState, SessionRecord
from lab.text import lasting, plain

if TYPE_CHECKING:
    from agent.session import Session

THEORY = 160
"""Characters of the last theory."""


def standing(session: "Session") -> list[tuple[str, str]]:
    """Of a session at work: label and text."""
    return standing_of(session.notebook, session.proposals, session.record, session.budget.seconds)


def standing_of(
    notebook: Notebook, proposals: Proposals, record: SessionRecord, seconds: float
) -> list[tuple[str, str]]:
    """Incumbent, queue, budgets left and last theory of a session: label and text.

    Args:
        notebook: where its runs are.
        proposals: the queue.
        record: the session.
        seconds: that it has worked so far.
    """
    group = record.group
    lines = [("incumbent", _incumbent(notebook, group)), ("queue", _queue(proposals, group))]
    lines.append(("left", _left(notebook, record, seconds)))
    theories = [p for p in proposals.all() if p.group == group and p.theory]
    if theories:
        lines.append(("theory", f"{theories[-1].arm}: {plain(' '.join(theories[-1].theory.split()), THEORY)}"))
    return lines


def _incumbent(notebook: Notebook, group: Group) -> str:
    name = notebook.incumbent(group)
    if name is None:
        return "none yet"
    metric, _ = objective_of(group.objective, group.env_name)
    run = notebook.run(name)
    return f"{metric} {score_text(notebook, run, metric)}, {name} ({changed_text(notebook, run)})"


def _queue(proposals: Proposals, group: Group) -> str:
    wanted = {ProposalState.APPROVED: "approved", ProposalState.STAGED: "waits for a decision"}
    found = []
    for proposal in proposals.all():
        if proposal.group == group and proposal.state in wanted:
            changes = ", ".join(f"{key.partition('.')[2]} = {value}" for key, value in proposal.overrides.items())
            found.append(f"{changes} ({wanted[proposal.state]})")
    return "; ".join(found) or "empty"


def _left(notebook: Notebook, record: SessionRecord, seconds: float) -> str:
    limits, spent = record.budgets, record.spent
    runs = len(notebook.index.ask("SELECT 1 FROM runs WHERE session = ?", (record.session_id,)))
    parts = [
        lasting(max(0.0, limits.hours * 3600 - seconds)) if limits.hours else "",
        f"{max(0, limits.max_runs - runs)} of {limits.max_runs} runs" if limits.max_runs else "",
        f"{max(0, limits.max_tokens - spent.tokens):,} tokens" if limits.max_tokens else "",
        f"${max(0.0, limits.max_dollars - spent.dollars):.2f}" if limits.max_dollars else "",
    ]
    return ", ".join(filter(None, parts)) or "no limit"
