"""Decisions about staged proposals: made by the session's rules, or asked of a person and waited for."""

import contextlib
from dataclasses import dataclass, field

from agent.approval import Approver
from agent.session.journal import Journal
from lab.base import AutopilotError, InvalidInput
from lab.space import Group
from lab.store import Proposal, Proposals, ProposalState


@dataclass
class Decisions:
    """The decisions of one session, as far as no person has to make them."""

    proposals: Proposals
    group: Group
    approver: Approver
    journal: Journal
    _asked: set[str] = field(default_factory=set)
    """Proposals that a person was asked about."""

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

    def ask(self, proposal: Proposal) -> None:
        """Say once that a proposal waits for a person."""
        name = proposal.proposal_id
        if name in self._asked:
            return
        self._asked.add(name)
        self.journal.event("waiting", proposal=name)
        how = f"'autopilot approve {name}' or 'autopilot reject {name} --why …'"
        self.journal.note(f"waiting for a decision on {name}: {how}")
        self.journal.notify("approval", f"{name} ({proposal.changes}) waits for a decision: {how}", proposal=name)

    def waits(self, proposal: str) -> bool:
        """Whether a proposal still waits for a decision."""
        try:
            return self.proposals.get(proposal).state is ProposalState.STAGED
        except AutopilotError as error:  # somebody's editor has saved half of it
            self.journal.note(f"{proposal} is passed over: {error}")
            return False
