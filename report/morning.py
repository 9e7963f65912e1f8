"""A digest as it is read: people decide after a night, and what it begins and ends with is told as it stands now."""

import re

from lab.space import Group
from lab.store import Notebook, Proposals, ProposalState, SessionRecord, Sessions
from report.facts import proposed_text
from report.headline import headline_of
from report.view import idle_text

HEAD = re.compile(r"\*\*.+\*\*\n(?:\n(?:- [a-z]+: .*\n+)+)?")
"""A headline in a digest."""
LEARNT = re.compile(r"^- learnt: (.+)$", re.MULTILINE)
WAITS = re.compile(r"(?<=^## What waits\n\n)(?:- .*\n)+", re.MULTILINE)
DECIDES = re.compile(r"^autopilot (?:approve|reject) (\S+).*\n", re.MULTILINE)


def digest_now(notebook: Notebook, proposals: Proposals, session: SessionRecord) -> str:
    """A session's digest, in Markdown: its headline and what waits as the record stands now, the rest as written.

    Args:
        notebook: where its runs are.
        proposals: the queue.
        session: whose.

    Raises:
        NotFound: it has none yet.
    """
    title, _, written = Sessions(notebook.workspace).digest(session.session_id).partition("\n\n")
    then = head[0].strip() if (head := HEAD.match(written)) else ""
    learnt = found[1] if (found := LEARNT.search(then)) else None
    now = headline_of(notebook, proposals, session, learnt).markdown()
    since = "What follows is from when the digest was written, but for what waits." if now != then else ""
    waits = "".join(f"- {line}\n" for line in waiting_lines(notebook, proposals, session.group))
    rest = WAITS.sub(lambda _: waits, written[head.end() :] if head else written)
    staged = {one.proposal_id for one in proposals.live(ProposalState.STAGED)}
    rest = DECIDES.sub(lambda command: command[0] if command[1] in staged else "", rest)
    return "\n\n".join(part for part in (title, now, since, rest.lstrip("\n")) if part)


def waiting_lines(notebook: Notebook, proposals: Proposals, group: Group) -> list[str]:
    """What waits for a decision, and what was approved and is not trained yet."""
    live = proposals.live(ProposalState.STAGED, ProposalState.APPROVED, group=group)
    lines = [
        f"{proposal.proposal_id} ({'held' if proposal.held else proposal.state}, by {proposal.by}):"
        f" {proposed_text(notebook, proposal)}"
        + (f" ({proposal.decisions[-1].why})" if proposal.held else "")
        + (f"; {idle}" if (idle := idle_text(notebook, proposal, over=True)) else "")
        for proposal in live
    ]
    return lines or ["Nothing waits for a decision."]
