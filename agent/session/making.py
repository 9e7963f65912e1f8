"""Runs of a session, made: the baseline, a proposal's config, more seeds of a run."""

import contextlib
from dataclasses import dataclass
from typing import Any

from agent.session.journal import Journal
from lab.base import AutopilotError
from lab.judge import SeedRequest, repeat
from lab.space import Config, chosen
from lab.space import preset as preset_named
from lab.store import (
    UNDONE,
    Lab,
    Proposal,
    ProposalState,
    RunRecord,
    RunState,
    Selection,
    SessionRecord,
    create_run,
    twin_of,
)


@dataclass
class RunMaker:
    """Puts runs of one session in the queue."""

    record: SessionRecord
    lab: Lab
    journal: Journal

    def base_config(self) -> Config:
        """The preset with the person's own settings."""
        environment = self.lab.inventory.environment(self.record.env_name)
        preset = preset_named(self.lab.notebook.workspace, environment, self.record.preset)
        return preset.with_overrides({**self.record.settings, "autopilot.seeds": self.record.seeds})

    def fresh(self, need: SeedRequest, proposal: str | None = None) -> RunRecord:
        """More seeds of a run, queued: those that `autopilot confirm` had drawn before it was stopped, if it had.

        Args:
            need: whose, how many, on which preset.
            proposal: that they come of.
        """
        run = None if proposal else self._left_by_confirm(need)
        run = run or repeat(self.lab.notebook, need, self.record.session_id, self.lab.inventory, proposal)
        self.journal.event("created", run=run.run_id, replicates_of=need.run, proposal=proposal)
        return run

    def of_proposal(self, proposal: Proposal) -> RunRecord:
        """The run of an approved proposal, queued: more seeds where a run has its very config."""
        config = self.lab.notebook.config(proposal.parent).with_overrides(proposal.overrides)
        twin = twin_of(self.lab.notebook.index, config, self.record.group)
        if (
            twin is not None
            and "train.seed" not in proposal.overrides
            and not _without_score(self.lab.notebook.run(twin))
        ):
            self.journal.note(f"{proposal.proposal_id}: run {twin} has this very config: more replicates of it train")
            run = self.fresh(SeedRequest(twin, self.record.seeds), proposal.proposal_id)
        else:
            run = self.train(proposal, proposal.replicates)
        self.lab.proposals.decide(proposal.proposal_id, ProposalState.RUNNING, "session", run_id=run.run_id)
        return run

    def _left_by_confirm(self, need: SeedRequest) -> RunRecord | None:
        """Seeds of a person's that wait for just this: whoever could have others drawn could choose among them."""
        notebook = self.lab.notebook
        preset = need.preset or notebook.run(need.run).preset
        for run in notebook.index.records(Selection(replicates_of=need.run, preset=preset, states=UNDONE)):
            if (run.session, run.proposal, len(run.seeds)) == (None, None, need.seeds):
                return notebook.update(run.run_id, session=self.record.session_id)
        return None

    def done(self, run: RunRecord) -> None:
        """Take note that a proposal's run has ended; a sweep goes on."""
        proposal = self.lab.proposals.origin(run)
        if proposal is not None and proposal.sweep is None:
            with contextlib.suppress(AutopilotError):  # its file is gone or damaged; the run is there all the same
                self.lab.proposals.decide(proposal.proposal_id, ProposalState.DONE, "session", run_id=run.run_id)

    def train(self, proposal: Proposal, replicates: int) -> RunRecord:
        """A run of a proposal's config, queued."""
        return self.create(
            self.lab.notebook.config(proposal.parent).with_overrides(proposal.overrides),
            proposal.overrides,
            arm=proposal.arm,
            parent=proposal.parent,
            proposal=proposal.proposal_id,
            replicates=replicates,
        )

    def create(self, config: Config, overrides: dict[str, Any], **more: Any) -> RunRecord:
        """A run, queued; `more` as in `create_run`."""
        if "train.seed" not in {**self.record.settings, **overrides}:  # a person's own seeds stay
            config = config.without_seed()
        run = create_run(
            self.lab.notebook,
            config,
            overrides,
            preset=self.record.preset,
            objective=self.record.objective,
            session=self.record.session_id,
            task=self.record.task,
            variants=chosen(config, self.lab.inventory.environment(config.env_name).variants),
            **more,
        )
        self.journal.event("created", run=run.run_id, proposal=run.proposal)
        return run


def _without_score(run: RunRecord) -> bool:
    """Whether a run ended without a score, so that more replicates of it could not be brought together with any."""
    return run.state.ended and run.state is not RunState.FINISHED
