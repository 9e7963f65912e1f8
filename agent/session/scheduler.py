"""What trains next: the baseline, fresh seeds, what was approved; and what may train while a model still thinks."""

from dataclasses import dataclass
from typing import Any

from agent.session.decisions import Decisions
from lab.base import InvalidInput, lasting
from lab.judge import FAILURES, Incumbency, SeedRequest, expected_seconds, failures, fresh_config, repeat
from lab.search import ARM, sampled
from lab.space import Config, Group, chosen
from lab.space import preset as preset_named
from lab.store import (
    UNDONE,
    Confirmation,
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
from report import became_text

BASELINE_SEEDS = 5
"""Replicates of the baseline at the least: the noise floor and every screen rest on them."""
BASELINES = 2
"""Times that a baseline is begun anew which ended by a limit of time."""
KEPT = 1
"""Runs of the budget that are kept for proposals when a gap is to be filled."""
ENOUGH = 8
"""Replicates of the incumbent, from which on more of them are no longer trained to fill a gap."""


@dataclass
class Scheduler:
    """Chooses for one session, and puts what it has chosen in the queue of runs."""

    record: SessionRecord
    """What was asked for when the session was started."""
    lab: Lab
    decisions: Decisions

    def __post_init__(self) -> None:
        record = self.record
        self.approver, self.journal = self.decisions.approver, self.decisions.journal
        self.notebook, self.proposals, self.inventory = self.lab.notebook, self.lab.proposals, self.lab.inventory
        self._put_off: set[SeedRequest] = set()
        candidates = record.candidates or record.budgets.max_runs
        self.incumbency = Incumbency(
            self.notebook,
            self.group,
            record.session_id,
            candidates,
            record.min_effect,
            record.confirm,
            short=record.confirm is None,
        )

    @property
    def group(self) -> Group:
        """What the session works on."""
        return self.record.group

    def mine(self) -> list[RunRecord]:
        """The session's runs, oldest first."""
        return self.notebook.runs(session=self.record.session_id)

    def untrained(self) -> RunRecord | None:
        """The first run of this session that has not ended."""
        waiting = Selection(session=self.record.session_id, states=UNDONE)
        return next(iter(self.notebook.index.records(waiting)), None)

    def unreported(self) -> list[RunRecord]:
        """The runs of this session that have ended and have no report; fresh seeds of others get none."""
        own = [run for run in self.mine() if run.state.ended and not run.replicates_of]
        return [run for run in own if not self.notebook.workspace.run(run.run_id).report.exists()]

    def latest(self) -> RunRecord | None:
        """The newest run to be analysed: this session's, else the newest of the group, whoever made it."""
        ended = [run for run in self.notebook.runs(self.group) if run.state.ended and run.replicates_of is None]
        mine = [run for run in ended if run.session == self.record.session_id]
        return next(iter((mine or ended)[-1:]), None)

    def begin(self, steps_left: int | None, seconds_left: float | None = None) -> RunRecord | None:
        """The next run, queued: the baseline, fresh seeds of a promising run, what was approved; None when none may.

        Args:
            steps_left: agent steps that the session's time is good for; None without a limit.
            seconds_left: that it has; None without a limit.
        """
        incumbent = self.notebook.incumbent(self.group)
        if incumbent is None:
            several = max(self.record.seeds, BASELINE_SEEDS)
            return self._create(self.base_config(), dict(self.record.settings), arm="baseline", replicates=several)
        if (fresh := self.confirm(seconds_left)) is not None:
            return fresh
        incumbent = self.notebook.incumbent(self.group) or incumbent  # fresh seeds may just have made it another run
        if self.in_doubt():
            self.journal.note(f"{FAILURES} runs in a row ended without a score: the incumbent is trained once more")
            return self._fresh(SeedRequest(incumbent, self.record.seeds))
        proposal = self.decisions.approved(incumbent, steps_left, only_incumbent=self.only_incumbent())
        return None if proposal is None else self._run_of(proposal)

    def in_doubt(self) -> bool:
        """Several runs in a row have failed, and the incumbent has not been trained again since."""
        ended = [run for run in self.mine() if run.state.ended]
        streak = failures(ended)
        return streak >= FAILURES and not any(run.replicates_of for run in ended[-streak:])

    def only_incumbent(self) -> bool:
        """Several ideas in a row have failed: only changes of the incumbent are tried until one has a score."""
        return failures([run for run in self.mine() if run.state.ended and not run.replicates_of]) >= FAILURES

    def filler(self, steps_left: int | None, elapsed: float | None = None) -> RunRecord | None:
        """Something that needs nobody's decision, queued: more replicates of the incumbent, else the control arm's.

        Args:
            steps_left: agent steps that the session's time leaves; None without a limit.
            elapsed: share of the session's time that is over; None where it has no limit.

        Returns:
            None where there is nothing; the control arm proposes nothing where a person approves each proposal.
        """
        incumbent, left = self.notebook.incumbent(self.group), self.left()
        if incumbent is None or (left is not None and left <= KEPT):
            return None
        again = self.notebook.index.records(
            Selection(replicates_of=incumbent, preset=self.group.preset, not_states=(RunState.KILLED,))
        )
        have = sum(len(run.seeds) for run in (self.notebook.run(incumbent), *again))
        if have < ENOUGH:
            return self._fresh(SeedRequest(incumbent, ENOUGH - have))
        if self.record.approve == "manual" or not self._room_for_control(elapsed):
            return None
        permits = self.approver.permits if self.record.approve == "policy" else None
        session = self.record.session_id
        proposal = sampled(self.lab, self.group, session, permits)
        decision = self.approver.rule(proposal, steps_left) if proposal else None
        if proposal is None or decision is None or decision.state is not ProposalState.APPROVED:
            return None
        proposal = proposal.model_copy(update={"decisions": (*proposal.decisions, decision)})
        self.proposals.add(proposal)
        return self._run_of(proposal)

    def _room_for_control(self, elapsed: float | None) -> bool:
        """Whether runs of the control arm leave enough of the budget of runs to proposals.

        Where time is what ends the night, they are free. Where runs are, they are fewer than the others, or wait until
        the night's time is ahead of its runs.
        """
        most, runs = self.record.budgets.max_runs, self.mine()
        if most is None:
            return True
        controls = sum(run.arm == ARM for run in runs)
        others = sum(run.proposal is not None and run.arm != ARM for run in runs)
        return controls < others or (elapsed is not None and len(runs) / most < elapsed)

    def left(self) -> int | None:
        """Runs that the budget leaves; None without a limit."""
        most = self.record.budgets.max_runs
        return None if most is None else most - len(self.mine())

    def confirm(self, seconds_left: float | None = None) -> RunRecord | None:
        """Fresh seeds, queued, for a run that may become incumbent; None when no run is promising, or no time is left.

        Args:
            seconds_left: that the session has; None without a limit.
        """
        while (outcome := self.incumbency.step()) is not None:
            if isinstance(outcome, SeedRequest):
                try:
                    if self._too_long(outcome, seconds_left):
                        return None
                    return self._fresh(outcome)
                except InvalidInput as error:
                    outcome = self.incumbency.drop(f"can't be trained on the preset {outcome.preset}: {error}")
            self.note_confirmation(outcome)
        return None

    def settle(self) -> None:
        """Take note that a confirmation has ended, if the seeds that are there decide it."""
        self.note_confirmation(self.incumbency.settle())

    def note_confirmation(self, confirmation: Confirmation | None) -> None:
        """Say how a confirmation ended."""
        if confirmation is None:
            return
        self.journal.event(
            confirmation.outcome, run=confirmation.candidate, incumbent=confirmation.incumbent, why=confirmation.why
        )
        became = f"{confirmation.candidate} {became_text(confirmation)}: {confirmation.why}"
        self.journal.note(became)
        if confirmation.outcome == "confirmed":
            self.journal.notify("incumbent", became, run=confirmation.candidate)

    def base_config(self) -> Config:
        """The preset with the person's own settings."""
        environment = self.inventory.environment(self.record.env_name)
        preset = preset_named(self.notebook.workspace, environment, self.record.preset)
        return preset.with_overrides({**self.record.settings, "autopilot.seeds": self.record.seeds})

    def _too_long(self, need: SeedRequest, seconds_left: float | None) -> bool:
        """Whether no time is left for some seeds; whoever reads the digest may go on with them."""
        if seconds_left is None:
            return False
        group = self.group._replace(preset=need.preset or self.group.preset)
        expected = expected_seconds(self.notebook, fresh_config(self.notebook, need, self.inventory), group, need.seeds)
        if expected is None or expected.seconds <= seconds_left:
            return False
        if need not in self._put_off:
            self._put_off.add(need)
            takes = f"{need.seeds} fresh seeds of {need.run} would take {lasting(expected.seconds)}"
            self.journal.note(f"{takes}, and {lasting(seconds_left)} are left: 'autopilot confirm' trains them later")
        return True

    def _fresh(self, need: SeedRequest, proposal: str | None = None) -> RunRecord:
        run = repeat(self.notebook, need, self.record.session_id, self.inventory, proposal)
        self.journal.event("created", run=run.run_id, replicates_of=need.run, proposal=proposal)
        return run

    def _run_of(self, proposal: Proposal) -> RunRecord:
        config = self.notebook.config(proposal.parent).with_overrides(proposal.overrides)
        twin = twin_of(self.notebook.index, config, self.group)
        if twin is not None and "train.seed" not in proposal.overrides and not _without_score(self.notebook.run(twin)):
            self.journal.note(f"{proposal.proposal_id}: run {twin} has this very config: more replicates of it train")
            run = self._fresh(SeedRequest(twin, self.record.seeds), proposal.proposal_id)
        else:
            run = self._create(
                config, proposal.overrides, arm=proposal.arm, parent=proposal.parent, proposal=proposal.proposal_id
            )
        self.proposals.decide(proposal.proposal_id, ProposalState.RUNNING, "session", run_id=run.run_id)
        return run

    def _create(self, config: Config, overrides: dict[str, Any], **more: Any) -> RunRecord:
        if "train.seed" not in {**self.record.settings, **overrides}:  # a person's own seeds stay
            config = config.without_seed()
        run = create_run(
            self.notebook,
            config,
            overrides,
            preset=self.record.preset,
            objective=self.record.objective,
            session=self.record.session_id,
            task=self.record.task,
            variants=chosen(config, self.inventory.environment(config.env_name).variants),
            **more,
        )
        self.journal.event("created", run=run.run_id, proposal=run.proposal)
        return run


def _without_score(run: RunRecord) -> bool:
    """Whether a run ended without a score, so that more replicates of it could not be brought together with any."""
    return run.state.ended and run.state is not RunState.FINISHED


def why_over(runs: list[RunRecord], max_runs: int | None) -> str | None:
    """Why the runs themselves end a session; None while they do not.

    Args:
        runs: the session's, oldest first.
        max_runs: how many it may have; None without a limit.
    """
    ended = [run for run in runs if run.state.ended]
    if not ended:
        return None
    last, streak = ended[-1], failures(ended)
    if max_runs is not None and len(runs) >= max_runs:
        return f"all {max_runs} runs are done"
    baselines = [run for run in ended if run.arm == "baseline" and run.replicates_of is None]
    hung = last.state is RunState.TIMED_OUT and len(baselines) < BASELINES  # the machine, perhaps: once more
    if last in baselines and last.state is not RunState.FINISHED and not hung:
        return f"the baseline ended without a score: {last.reason}"
    if streak > FAILURES and last.replicates_of is not None:
        return f"after {streak - 1} runs in a row without a score the incumbent had none either: {last.reason}"
    return None
