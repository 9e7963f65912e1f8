"""Whose turn it is: the control arm's, the model's or the optimizer's, by the shares of a session."""

import math
from dataclasses import dataclass

from lab.judge import paces
from lab.search import ARMS, phases
from lab.space import Group
from lab.store import Lab, Notebook, RunRecord, Selection, SessionRecord


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

    def kept(self, left: int) -> int:
        """Of so many replicates that the search may still have, those that are the model's to propose with."""
        alone = self.record.model == "offline" or self.record.approve == "manual"
        return 0 if alone else math.ceil(self.record.model_share * left)

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


def steps_of_a_run(notebook: Notebook, record: SessionRecord, group: Group, left: float | None) -> int | None:
    """Agent steps of all replicates together that one more run of a session may take; None without a limit.

    What the time left is good for, at the speed of the incumbent's kind, since proposals build on it; and where no
    person approves, the session's `largest_run` of its whole budget, but always as many as the incumbent's.

    Args:
        notebook: where the runs are.
        record: of the session.
        group: what it trains.
        left: seconds; None without a limit of time.
    """
    incumbent = notebook.incumbent(group)
    if incumbent is None or not notebook.readable(incumbent):
        return None
    config, seeds, budgets = notebook.config(incumbent), record.seeds, record.budgets
    usual = int(config.train["total_timesteps"] or 0) * seeds
    bounds, whole = [], usual * budgets.max_runs if budgets.max_runs else None
    if left is not None and (known := paces(notebook, config, group)) is not None and not known.rough:
        bounds.append(known.steps(left, seeds))
        whole = known.steps(budgets.hours * 3600, seeds) if budgets.hours else whole
    if whole is not None and record.approve != "manual":
        bounds.append(max(usual, int(whole * record.largest_run)))
    return min(bounds, default=None)
