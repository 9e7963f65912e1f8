"""The headline of a night: one sentence from the record, and at most seven lines of what it rests on.

Digest, page, `status` and notifications all begin with it.
"""

from collections.abc import Iterator, Sequence

from lab.base import Record, count_of, lasting
from lab.judge import Incumbency, promises, scores_of
from lab.store import (
    Confirmation,
    Notebook,
    Proposal,
    Proposals,
    ProposalState,
    Row,
    RunState,
    Selection,
    SessionRecord,
    Sessions,
)
from report.best import worth_a_proof
from report.confirmations import confirmations
from report.facts import name_text, proposed_text
from report.outcome import FAILED, of_session, outcome, to_tell
from report.trouble import mending_text
from report.view import idle_text

WAITING = 2
"""Proposals that are named."""


class Headline(Record):
    """What a reader knows after ten seconds."""

    text: str
    """One sentence, two where something else went wrong besides."""
    lines: tuple[tuple[str, str], ...]
    """Label and text: what waits, a new incumbent, what was learnt, runs that are gone, what it cost, what to do next
    as a command; then what would mend a model that gave up."""
    command: str | None
    """What to do next; None where there is nothing."""
    failed: bool = False
    """The night is over without a score: what waits mends nothing, so what to do next is told first."""

    def markdown(self) -> str:
        """As a digest begins with it."""
        lines = (f"- {label}: {f'`{text}`' if label == 'next' else text}" for label, text in self.lines)
        return "\n".join([f"**{self.text}**", "", *lines])


def headline_of(
    notebook: Notebook,
    proposals: Proposals,
    session: SessionRecord,
    learnt: str | None = None,
    *,
    at_work: bool | None = None,
) -> Headline:
    """The headline of a session as it stands.

    Args:
        notebook: where its runs are.
        proposals: the queue.
        session: whose.
        learnt: the most telling thing that was learnt, where somebody has worked that out.
        at_work: whether the session goes on now; looked up if None.
    """
    if at_work is None and session.ended is None:  # of one that is over nobody need ask
        running = Sessions(notebook.workspace).running()
        at_work = running is not None and running.session == session.session_id
    staged = proposals.live(ProposalState.STAGED, group=session.group)
    named = confirmations(notebook, session.group)
    runs = notebook.index.rows(Selection(session=session.session_id))
    failed = _failed(runs) if session.ended is not None else None
    command = next(_commands(notebook, session, named, failed, waits=bool(staged), at_work=bool(at_work)), None)
    rows = [
        ("waits", _waits(notebook, staged, proposals.live(ProposalState.APPROVED, group=session.group))),
        ("incumbent", _won(notebook, session, named)),
        ("learnt", learnt or ""),
        ("gone", Sessions(notebook.workspace).gone(session.session_id)),
        ("cost", _cost(notebook, session, len(runs))),
        ("next", command or ""),
        ("then", "" if session.ended is None else mending_text(session)),
    ]
    if failed:
        rows.sort(key=lambda row: row[0] != "next")
    lines = tuple(row for row in rows if row[1])
    return Headline(text=outcome(notebook, session, named), lines=lines, command=command, failed=bool(failed))


def _failed(runs: Sequence[Row]) -> int | None:
    """The number of the last run that failed, where none has a score; None in every other case."""
    failed = [run.number for run in runs if run.state in FAILED]
    scored = any(run.state == RunState.FINISHED for run in runs)
    return failed[-1] if failed and not scored else None


def _won(notebook: Notebook, session: SessionRecord, named: Sequence[Confirmation]) -> str:
    """That a session has a new incumbent, the whole gain where it took several steps, and how to take it home."""
    won = [one for one in of_session(notebook, named, session) if one.outcome == "confirmed"]
    if not won or won[-1].candidate != notebook.incumbent(session.group):
        return ""
    number = notebook.index.number_of(won[-1].candidate)
    whole = _whole(notebook, won) if len(won) > 1 else ""
    return f"#{number} from now on{whole}; autopilot export {number} takes its policy home"


def _whole(notebook: Notebook, won: Sequence[Confirmation]) -> str:
    """What a session's confirmations gain together, by all that is known of where it began and of where it ended."""
    began, goal = won[0].incumbent, notebook.run(won[-1].candidate).goal
    if not notebook.readable(began):
        return ""
    sides = [scores_of(notebook, run) for run in (began, won[-1].candidate)]
    figures = to_tell(*map(goal.of_scores, sides))
    before, after = (f"{figure} (n={len(side)})" for figure, side in zip(figures, sides, strict=True))
    return f", in {len(won)} steps from {name_text(notebook, notebook.run(began))}: {goal.name} {before} → {after}"


# --- the lines -------------------------------------------------------------------------------------------------------


def _waits(notebook: Notebook, staged: Sequence[Proposal], approved: Sequence[Proposal]) -> str:
    """What waits for a person; where nothing does, what a person has approved and nobody is there to train."""
    if not staged:
        mine = [one for one in approved if one.decisions[-1].who.startswith("person") and idle_text(notebook, one)]
        next_one = f"; the next session trains {count_of(len(mine), 'proposal')} that you approved" if mine else ""
        return f"nothing waits for a decision{next_one}"
    named = "; ".join(f"{proposed_text(notebook, p)} (by {p.by})" for p in staged[:WAITING])
    more = f"; {len(staged) - WAITING} more" if len(staged) > WAITING else ""
    return f"{count_of(len(staged), 'proposal')} for you (autopilot review): {named}{more}"


def _cost(notebook: Notebook, session: SessionRecord, runs: int) -> str:
    """Time, runs with the replicates that they consist of, tokens, money."""
    spent = session.spent
    trained = notebook.replicates(session.session_id)
    tokens = f", {spent.tokens:,} tokens" if spent.tokens else ""
    dollars = f", ${spent.dollars:.2f}" if spent.dollars else ""
    return f"{lasting(spent.seconds)}, {count_of(runs, 'run')} with {count_of(trained, 'replicate')}{tokens}{dollars}"


def _commands(
    notebook: Notebook,
    session: SessionRecord,
    named: Sequence[Confirmation],
    failed: int | None,
    *,
    waits: bool,
    at_work: bool,
) -> Iterator[str]:
    """What to do next, as commands, the first thing first; none while the session is at work and waits for nobody.

    Args:
        notebook: where its runs are.
        session: over or interrupted.
        named: the contenders of its group.
        failed: the run to look at where none has a score.
        waits: a proposal waits for a person.
        at_work: the session goes on now.
    """
    group = session.group
    if session.ended is None:
        if waits and session.approve == "manual":
            yield "autopilot review"
        if not at_work:
            yield "autopilot resume"
        return
    if failed is not None:
        yield f"autopilot logs {failed}"
    undecided = Incumbency(notebook, group).undecided()
    if undecided is not None:
        yield f"autopilot confirm {notebook.index.number_of(undecided.candidate)}"
    mine = of_session(notebook, named, session)
    if mine and promises(mine[-1], session.goal):
        yield f"autopilot confirm {notebook.index.number_of(mine[-1].candidate)}"
    leader, incumbent = worth_a_proof(notebook, session, mine), notebook.incumbent(group)
    if leader is not None and all(one.outcome != "confirmed" for one in mine):
        yield f"autopilot confirm {notebook.index.number_of(leader.run)}"
    if waits:
        yield "autopilot review"
    if incumbent is not None and any(one.candidate == incumbent and one.outcome == "confirmed" for one in named):
        yield f"autopilot report {notebook.index.number_of(incumbent)}"
    yield "autopilot report"
