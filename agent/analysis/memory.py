"""What an analysis knows of those before it: the user's notes and comments, the model's own log and last theories.

All of it is read from the record each time, and bounded: nothing is remembered in between.
"""

from typing import Any

from lab.base import number, plain
from lab.judge import scored_predictions
from lab.store import Proposal, ProposalState, comments_in, log_of, notes_in
from report import view_of
from tools import ToolContext

NOTES = 4_000
"""Characters of the user's notes that are told: their head and their end, where they are longer."""
LOG = 8
"""Entries of the model's log, the latest."""
COMMENTS = 6
COMMENT = 400
THEORIES = 3
THEORY = 200
"""Characters of an earlier theory."""


def memory_of(context: ToolContext) -> dict[str, Any]:
    """What the first message tells of earlier: `notes`, `comments`, `log`, `theories`.

    Args:
        context: of the analysis.
    """
    workspace = context.notebook.workspace
    entries = log_of(workspace, context.group, context.arm)[-LOG:]
    return {
        "notes": _notes(notes_in(workspace)),
        "comments": _comments(context),
        "log": [{"run": one.run_id, "text": plain(one.text, 500)} for one in entries],
        "theories": _theories(context),
    }


def _notes(text: str) -> str:
    if len(text) <= NOTES:
        return text
    head, end = text[: NOTES // 2].rpartition("\n")[0], text[-NOTES // 2 :].partition("\n")[2]
    return f"{head}\n… ({len(text) - len(head) - len(end):,} characters left out)\n{end}"


def _comments(context: ToolContext) -> list[dict[str, str]]:
    """The latest comments about runs and proposals of this group."""
    mine = {proposal.proposal_id for proposal in context.proposals.all() if proposal.group == context.group}
    told = []
    for one in reversed(comments_in(context.notebook.workspace)):
        notebook = context.notebook
        if one.about in mine or (notebook.readable(one.about) and notebook.run(one.about).group == context.group):
            told.append({"about": one.about, "who": plain(one.who, 40), "text": plain(one.text, COMMENT)})
        if len(told) == COMMENTS:
            break
    return told[::-1]


def _theories(context: ToolContext) -> list[dict[str, Any]]:
    """The model's last proposals that were trained: theory, what was predicted, what came."""
    scored = {one.proposal: one for one in reversed(scored_predictions(context.notebook.workspace))}
    mine = [
        one
        for one in context.proposals.all()
        if one.group == context.group and one.arm == context.arm and one.state is ProposalState.DONE
    ]
    return [_theory(context, one, scored.get(one.proposal_id)) for one in mine[-THEORIES:]]


def _theory(context: ToolContext, proposal: Proposal, scored: Any) -> dict[str, Any]:
    run_id, notebook = proposal.decisions[-1].run_id, context.notebook
    came = "not trained"
    if run_id is not None and notebook.readable(run_id):
        view = view_of(notebook, notebook.run(run_id))
        came = f"{context.group.goal.name} {view.scored}" if view.score else view.state
    held = ""
    if scored is not None:
        held = f"{'held' if scored.hit else 'missed'}: {number(scored.low)} to {number(scored.high)} was predicted"
    theory = plain(" ".join(proposal.theory.split()), THEORY)
    return {"changes": plain(proposal.brief, 160), "theory": theory, "came": came, "held": held}
