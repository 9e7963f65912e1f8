"""Whose turn it is: the control arm's, the model's or the optimizer's, by the shares of a session."""

from dataclasses import dataclass

from lab.search import ARMS, phases
from lab.store import Lab, RunRecord, Selection, SessionRecord


@dataclass
class Shares:
    """The shares of one session."""

    record: SessionRecord
    lab: Lab

    def __post_init__(self) -> None:
        self.notebook = self.lab.notebook

    def control_due(self) -> bool:
        """Whether the control arm has had less than its share of the search's replicates."""
        control = self.record.control
        if control is None:
            return False
        had = sum(len(run.seeds) for run in self._new() if run.arm == control)
        return had < self.record.control_share * (phases(self.notebook, self.record).search + 1)

    def model_due(self) -> bool:
        """Whether the model has had less than its share of what the control arm leaves.

        The offline researcher proposes what the optimizer would, and has no share of its own.
        """
        if self.record.model == "offline" or self.record.approve == "manual":
            return True
        models, own = self._had()
        return models < self.record.model_share * (models + own + 1)

    def optimizer_due(self, ahead: int = 1) -> bool:
        """Whether the optimizer may have one more config.

        Args:
            ahead: the model's next proposals that count as if they were there.
        """
        (models, own), share = self._had(), self.record.model_share
        if self.record.model == "offline":  # it asks for what the optimizer would: neither waits for the other
            return ahead > 0 or own < models
        return own < (1 - share) / share * (models + ahead)

    def start(self) -> str | None:
        """The run that the session began from: the control arm changes that one, whatever was confirmed since."""
        group = self.record.group
        mine = self.notebook.index.confirmations(group=group, session=self.record.session_id)
        return mine[0].incumbent if mine else self.notebook.incumbent(group)

    def _had(self) -> tuple[int, int]:
        """New configs that the model, and that the optimizer, has had; a turn that was passed was the model's."""
        others = [run for run in self._new() if run.arm != self.record.control]
        passed = {one.proposal_id for one in self.lab.proposals.all() if one.passed_by is not None}
        own = sum(run.arm in ARMS and run.proposal not in passed for run in others)
        return len(others) - own, own

    def _new(self) -> list[RunRecord]:
        """The session's runs of new configs that somebody proposed."""
        runs = self.notebook.index.records(Selection(session=self.record.session_id, own=True))
        return [run for run in runs if run.arm not in ("baseline", "person")]
