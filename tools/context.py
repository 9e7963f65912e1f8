"""What the tools of one analysis share: the run in question, the records, and the drafts that end the analysis."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any, NamedTuple

from lab.base import AutopilotError, NotFound, new_id, now, tail
from lab.judge import Finding, Known, diagnosis_of, known_of, proposed_of
from lab.search import Permits, Search
from lab.space import Group, Inventory, identity
from lab.store import (
    Decision,
    Lab,
    Notebook,
    Prediction,
    Proposal,
    Proposals,
    ProposalState,
    RunRecord,
    Selection,
    Sessions,
    Trade,
)
from report import ReportDraft

NAMED = 500
"""The latest runs that may be called by the ends of their ids."""
REWORKS = 2
"""How often a report whose figures contradict the record goes back to its author."""


class ToolError(AutopilotError):
    """The model called a tool in a way that can't work; it is told why."""


class Asked(NamedTuple):
    """A config that the optimizer asked for."""

    parent: str
    changes: Mapping[str, Any]
    predictions: tuple[Prediction, ...]


def _fresh() -> tuple[datetime, str]:
    created = now()
    return created, new_id(created)


@dataclass
class ToolContext:
    """The surroundings of one analysis."""

    lab: Lab
    subject: RunRecord
    """The run under analysis."""
    session: str | None
    arm: str
    """Who analyses: `offline` or a model's name."""
    steps_left: int | None = None
    """Agent steps, of all replicates together, that the session's time leaves; None without a limit."""
    incumbent: str | None = None
    """Of the group, as the analysis began."""
    leader: str | None = None
    """The run that the search believed to be best as the analysis began; nothing is claimed of it."""
    noise: tuple[float, int] | None = None
    """Standard deviation of the group's replicates and its degrees of freedom, as the analysis began."""
    before: datetime | None = None
    """When the present call was answered, where it is replayed: runs that were made later don't count."""
    names: Iterator[tuple[datetime, str]] = field(default_factory=lambda: iter(_fresh, None))
    """When the next proposal is made, and its name."""
    asked: tuple[Asked, ...] | None = None
    """What the optimizer asked for when a turn was passed, where that is replayed; the search is asked if None."""
    report_wanted: bool = True
    """False when the run has its report already and only a proposal is missing."""
    proposal_wanted: bool = True
    """False when what was staged before still waits to be trained, and only a report is missing."""
    ahead: int = 1
    """Proposals that may be staged; of one, a second takes the place of the first."""
    failures: int = 0
    """Runs in a row that ended without a score, where they are so many that only the incumbent is built on; else 0."""
    plateau: int = 0
    """Scored runs in a row that changed nothing about which is believed to be best, where they are many; else 0."""
    permits: Permits | None = None
    """What the session's policy denies; None where anything valid may pass."""
    rules: tuple[str, ...] = ()
    """What it lets pass, in words."""
    refused: set[str] = field(default_factory=set)
    """Keys whose new values were not valid; towards the end they are not offered again."""
    answers: dict[str, Any] = field(default_factory=dict)
    """Tool to its latest answer, for a report to refer to."""
    report: ReportDraft | None = None
    contradicted: int = 0
    """Claims of the report that the record contradicts."""
    reworks: int = 0
    """Times that the report was sent back for it."""
    babbled: int = 0
    """Times that a text was sent back for being no prose."""
    drafts: tuple[Proposal, ...] = ()
    """Proposals that are validated and ready; staged when the analysis ends."""
    ended: str | None = None
    """Why nothing more should be tried, if the model said so."""

    @property
    def notebook(self) -> Notebook:
        """The lab's runs."""
        return self.lab.notebook

    @property
    def proposals(self) -> Proposals:
        """The lab's proposals."""
        return self.lab.proposals

    @property
    def inventory(self) -> Inventory:
        """The lab's environments and devices."""
        return self.lab.inventory

    @property
    def group(self) -> Group:
        """The group of the run under analysis."""
        return self.subject.group

    @property
    def report_owed(self) -> bool:
        """No report is there, and one is wanted."""
        return self.report_wanted and self.report is None

    @property
    def proposal_owed(self) -> bool:
        """No proposal is there, and one is wanted."""
        return self.proposal_wanted and not self.drafts and self.ended is None

    @property
    def still_owed(self) -> str | None:
        """The tool that the analysis still has to call; None where it may end."""
        return "write_report" if self.report_owed else "stage_proposal" if self.proposal_owed else None

    @property
    def to_correct(self) -> bool:
        """The report is there, but contradicts the record, and may be written once more."""
        return self.report is not None and self.contradicted > 0 and self.reworks <= REWORKS

    @property
    def settled(self) -> bool:
        """Everything the analysis owes is there, if need be with a report that could be better."""
        return not self.proposal_owed and not self.report_owed

    @property
    def done(self) -> bool:
        """Everything the analysis owes is there."""
        return self.settled and not self.to_correct

    def as_of(self, run_id: str) -> datetime | None:
        """When a verdict is to be as it stood: for the run under analysis when it ended, since its report says so.

        It may have been confirmed since, where its analysis was interrupted.
        """
        return self.subject.finished if run_id == self.subject.run_id and self.report_wanted else None

    @cached_property
    def known(self) -> Known:
        """The record that the report's figures are checked against; the proposals are not in it yet."""
        return self._known(())

    @property
    def known_with_drafts(self) -> Known:
        """The record that figures are checked against, with what is to be staged."""
        if any(self.known.get(draft.parent) is None for draft in self.drafts):
            return self._known(self.drafts)
        return self.known.model_copy(update={"proposals": tuple(map(proposed_of, self.drafts))})

    def _known(self, drafts: tuple[Proposal, ...]) -> Known:
        agents = self.inventory.environment(self.subject.env_name).agents_per_env or 1
        return known_of(self.notebook, self.subject, agents, self.incumbent, self.noise, drafts, findings=self.findings)

    @cached_property
    def findings(self) -> tuple[Finding, ...]:
        """The diagnosis of the run under analysis."""
        return diagnosis_of(self.lab, self.subject)

    @property
    def avoided(self) -> list[dict[str, Any]]:
        """Changes that the optimizer is not to ask for: a person turned them down, or they are drafted already."""
        mine = [draft.overrides for draft in self.drafts if draft.sweep is None] if self.ahead > 1 else []
        return [*self.proposals.rejected(self.group), *mine]

    def require_draft(self) -> None:
        """Refuse to draft anything where nothing may be staged any more.

        Raises:
            ToolError: the search was ended, others wait, or as many are drafted as may be.
        """
        if self.ended is not None:
            raise ToolError("the search was ended already; there is nothing to propose")
        if not self.proposal_wanted:
            raise ToolError("no proposal is wanted: what was staged before is to be trained first; write the report")
        if self.ahead > 1 and len(self.drafts) >= self.ahead:
            raise ToolError(f"{self.ahead} proposals are staged, and there may be no more: write the report")

    def draft(self, parent: str, overrides: Mapping[str, Any], theory: str, **more: Any) -> Proposal:
        """Keep a proposal until the analysis ends: beside those before it, or in the place of the only one.

        Args:
            parent: the run whose config is changed.
            overrides: of it.
            theory: why.
            more: other fields of the proposal.

        Raises:
            ToolError: nothing may be staged any more, or the very same thing is staged already.
        """
        self.require_draft()
        base = self.notebook.config(parent)
        others = self.drafts if self.ahead > 1 else ()
        mine = (identity(base.env_name, base.with_overrides(overrides).flat()), more.get("sweep"))
        for other in others:
            config = self.notebook.config(other.parent).with_overrides(other.overrides)
            if (identity(base.env_name, config.flat()), other.sweep) == mine:
                raise ToolError(f"{other.proposal_id}, staged before, has this very config: change something else")
        created, name = next(self.names)
        proposal = Proposal(
            proposal_id=name,
            created=created,
            **self.group._asdict(),
            parent=parent,
            parent_config=base.fingerprint(),
            analysed=self.subject.run_id,
            session=self.session,
            overrides=dict(overrides),
            theory=theory,
            decisions=(Decision(time=created, state=ProposalState.STAGED, who=self.arm),),
            batch=(others[0].proposal_id if others else name) if self.ahead > 1 else None,
            **{"arm": self.arm, **more},
        )
        self.drafts = (*others, proposal)
        return proposal

    def answer(self, proposal: Proposal, **more: Any) -> dict[str, Any]:
        """What a tool answers that has drafted a proposal.

        Args:
            proposal: the draft.
            more: what there is to say of it.
        """
        may = self.ahead - len(self.drafts)
        return {
            "proposal": proposal.proposal_id,
            "created": proposal.created.isoformat(),
            "valid": True,
            **more,
            "still_owed": self.still_owed,
            **({"more_may_be_staged": may} if self.ahead > 1 else {}),
        }

    def search(self, parent: str | None = None) -> Search | None:
        """What the search knows of the group; None while it has no incumbent.

        Args:
            parent: the run whose config is to be changed; the incumbent if None.
        """
        return Search.of(
            self.lab,
            self.group,
            seed=self.session or "",
            parent=parent,
            before=self.before,
            permits=self.permits,
            trade=self._trade,
        )

    @property
    def _trade(self) -> Trade | None:
        """What the session weighs the score against."""
        sessions = Sessions(self.lab.notebook.workspace)
        return sessions.get(self.session).trade if self.session in sessions.names() else None

    def resolve(self, run: str) -> str:
        """A run's id from what a model calls it: an id or its end, `current`, `parent`, `incumbent` or `leader`.

        Raises:
            NotFound: there is none.
        """
        if run == "current":
            return self.subject.run_id
        if run == "parent":
            if self.subject.parent is None:
                raise NotFound("the run under analysis has no parent: it is a baseline")
            return self.subject.parent
        if run == "leader":
            if self.leader is None:
                raise NotFound("there is no leader yet: no run of this group has a score")
            return self.leader
        if run == "incumbent":
            if self.incumbent is None:
                raise NotFound("there is no incumbent yet: no run of this group has finished")
            return self.incumbent
        latest = self.notebook.index.records(Selection(self.group), newest=NAMED)
        ends = (one.run_id for one in reversed(latest) if tail(one.run_id) == run)
        return next(ends, None) or self.notebook.run(run).run_id
