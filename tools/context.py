"""What the tools of one analysis share: the run in question, the records, and the drafts that end the analysis."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from lab.errors import NotFound
from lab.inventory import Inventory
from lab.notebook import Notebook
from lab.proposals import Proposals
from lab.records import Group, Proposal, RunRecord, new_id, now


@dataclass
class ReportDraft:
    """The model's part of a report; the program writes the rest from the record."""

    title: str
    observations: list[str]
    theory: str
    next_step: str


def _fresh() -> tuple[datetime, str]:
    created = now()
    return created, new_id(created)


@dataclass
class ToolContext:
    """The surroundings of one analysis."""

    notebook: Notebook
    proposals: Proposals
    inventory: Inventory
    subject: RunRecord
    """The run under analysis."""
    session: str | None
    arm: str
    """Who analyses: `offline` or a model's name."""
    steps_left: int | None = None
    """Agent steps, of all replicates together, that the session's time leaves; None without a limit."""
    incumbent: str | None = None
    """Of the group, as the analysis began."""
    names: Iterator[tuple[datetime, str]] = field(default_factory=lambda: iter(_fresh, None))
    """When the next proposal is made, and its name."""
    report_wanted: bool = True
    """False when the run has its report already and only a proposal is missing."""
    report: ReportDraft | None = None
    proposal: Proposal | None = None
    """Validated and ready; staged when the analysis ends."""
    ended: str | None = None
    """Why nothing more should be tried, if the model said so."""

    @property
    def group(self) -> Group:
        """Of the run under analysis."""
        return self.subject.group

    @property
    def done(self) -> bool:
        """Everything the analysis owes is there."""
        return (self.proposal is not None or self.ended is not None) and (
            self.report is not None or not self.report_wanted
        )

    def resolve(self, run: str) -> str:
        """A run's id from what a model calls it: an id, or `current`, `parent` or `incumbent`.

        Raises:
            NotFound: there is none.
        """
        if run == "current":
            return self.subject.run_id
        if run == "parent":
            if self.subject.parent is None:
                raise NotFound("the run under analysis has no parent: it is a baseline")
            return self.subject.parent
        if run == "incumbent":
            if self.incumbent is None:
                raise NotFound("there is no incumbent yet: no run of this group has finished")
            return self.incumbent
        return self.notebook.run(run).run_id
