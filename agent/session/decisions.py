"""Decisions about proposals: made by the session's rules, asked of a person, or overtaken by what has come since."""

import contextlib
from dataclasses import dataclass, field

from agent.approval import Approver
from agent.session.journal import Journal
from lab.base import AutopilotError, InvalidInput
from lab.judge import FAILURES
from lab.search import ARMS
from lab.space import Group
from lab.store import Lab, Proposal, ProposalState, refuse_unfit


@dataclass
class Decisions:
    """The decisions of one session, as far as no person has to make them."""

    lab: Lab
    group: Group
    approver: Approver
    journal: Journal
    _asked: set[str] = field(default_factory=set)
    """Proposals that a person was asked about."""

    def __post_init__(self) -> None:
        self.proposals = self.lab.proposals

    def decide(self, steps_left: int | None) -> None:
        """Decide what waits, as far as no person has to.

        Args:
            steps_left: agent steps that the session's time leaves; None without a limit.
        """
        while (staged := self.proposals.staged(self.group)) is not None:
            decision = self.approver.rule(staged, steps_left)
            if decision is None:
                return
            with contextlib.suppress(InvalidInput):  # a person was faster
                self.proposals.decide(staged.proposal_id, decision.state, decision.who, decision.why)
                self.journal.event("decided", proposal=staged.proposal_id, state=decision.state, why=decision.why)
                if decision.state is not ProposalState.APPROVED:
                    self.journal.note(f"{staged.proposal_id}: {decision.why}")
            if decision.state is ProposalState.STAGED:
                self.ask(staged)

    def approved(self, incumbent: str, steps_left: int | None, *, only_incumbent: bool) -> Proposal | None:
        """The proposal that was approved first; what does not fit any more is dropped.

        Args:
            incumbent: of the group, now.
            steps_left: agent steps that the session's time leaves; None without a limit.
            only_incumbent: nothing but changes of the incumbent may train, since so many ideas failed.
        """
        while (proposal := self.proposals.head(self.group, ARMS)) is not None:
            why = self._unfit(proposal, incumbent, steps_left, only_incumbent)
            if why is None:
                return proposal
            self.proposals.decide(proposal.proposal_id, ProposalState.SUPERSEDED, "session", why)
            self.journal.note(f"proposal {proposal.proposal_id} was dropped: {why}")
        return None

    def _unfit(self, proposal: Proposal, incumbent: str, steps_left: int | None, only_incumbent: bool) -> str | None:
        try:
            refuse_unfit(proposal, self.lab.notebook, self.lab.inventory, steps_left)
        except InvalidInput as error:
            return str(error)
        if proposal.by_person:
            return None
        if proposal.parent != incumbent and only_incumbent:
            return f"{FAILURES} runs in a row had no score: only the incumbent is built on now"
        if self._outdated(proposal):
            return outdated_text(proposal.parent, incumbent)
        return None

    def _outdated(self, proposal: Proposal) -> bool:
        """Whether a proposal was to improve on an incumbent that has been replaced since."""
        known = self.lab.notebook.index.confirmations(group=self.group)
        since = (one for one in known if one.outcome == "confirmed" and one.time > proposal.created)
        return any(one.incumbent == proposal.parent for one in since)

    def ask(self, proposal: Proposal) -> None:
        """Say once that a proposal waits for a person."""
        name = proposal.proposal_id
        if name in self._asked:
            return
        self._asked.add(name)
        self.journal.event("waiting", proposal=name)
        how = f"'autopilot approve {name}' or 'autopilot reject {name} --why …'"
        self.journal.note(f"waiting for a decision on {name}: {how}")
        self.journal.notify("approval", f"{name} ({proposal.brief}) waits for a decision: {how}", proposal=name)

    def waits(self, proposal: str) -> bool:
        """Whether a proposal still waits for a decision."""
        try:
            return self.proposals.get(proposal).state is ProposalState.STAGED
        except AutopilotError as error:  # somebody's editor has saved half of it
            self.journal.note(f"{proposal} is passed over: {error}")
            return False


def outdated_text(parent: str, incumbent: str) -> str:
    """Why a proposal to improve on a former incumbent is let go of.

    Args:
        parent: the run that it changes.
        incumbent: who has that run's place.
    """
    return f"its parent {parent} was the incumbent when it was made, and {incumbent} is now"
