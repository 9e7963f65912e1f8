"""What trains next: the baseline, fresh seeds, what was approved, what the search asks for.

The budget is replicates: a config starts on one, and the search decides which configs get more. What trains side by
side is asked for together, each as if those before it were under way.
"""

from dataclasses import dataclass, field
from typing import Any

from agent.session.decisions import Decisions
from lab.base import InvalidInput, lasting, now
from lab.judge import (
    FAILURES,
    Incumbency,
    SeedRequest,
    expected_seconds,
    failures,
    fresh_config,
    level_for,
    paces,
    repeat,
)
from lab.search import ARMS, BASELINE, Arm, Search, Suggestion, asked_for, contenders, name_contender
from lab.space import Config, Group, chosen
from lab.space import preset as preset_named
from lab.store import (
    UNDONE,
    Confirmation,
    Lab,
    Leading,
    Proposal,
    ProposalState,
    RunRecord,
    RunState,
    Selection,
    SessionRecord,
    Sessions,
    create_run,
    twin_of,
)
from report import became_text

BASELINES = 2
"""Times that a baseline is begun anew which ended by a limit of time."""
KEPT = 1
"""Runs, of the budget, that are kept for proposals when a gap is to be filled."""
DEFAULT = "race"
"""The arm that searches."""
ENOUGH = 8
"""Replicates of the incumbent, from which on more of them are no longer trained to fill a gap."""


@dataclass
class Scheduler:
    """Chooses for one session, and puts what it has chosen in the queue of runs."""

    record: SessionRecord
    """What was asked for when the session was started."""
    lab: Lab
    decisions: Decisions
    _arms: dict[str, Arm] = field(default_factory=dict)
    """Name to arm; some hold a process."""

    def __post_init__(self) -> None:
        record = self.record
        self.approver, self.journal = self.decisions.approver, self.decisions.journal
        self.notebook, self.proposals, self.inventory = self.lab.notebook, self.lab.proposals, self.lab.inventory
        self._put_off: set[SeedRequest] = set()
        self.incumbency = Incumbency(
            self.notebook,
            self.group,
            record.session_id,
            record.contenders or contenders(record.replicates),
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

    def untrained(self) -> list[RunRecord]:
        """The runs of this session that have not ended."""
        return self.notebook.index.records(Selection(session=self.record.session_id, states=UNDONE))

    def unreported(self) -> list[RunRecord]:
        """The runs of this session that have ended and have no report; fresh seeds of others get none."""
        own = [run for run in self.mine() if run.state.ended and not run.replicates_of]
        return [run for run in own if not self.notebook.workspace.run(run.run_id).report.exists()]

    def latest(self) -> RunRecord | None:
        """The newest run to be analysed: this session's, else the newest of the group, whoever made it."""
        ended = [run for run in self.notebook.runs(self.group) if run.state.ended and run.replicates_of is None]
        mine = [run for run in ended if run.session == self.record.session_id]
        return next(iter((mine or ended)[-1:]), None)

    def begin(self, steps_left: int | None, seconds_left: float | None = None, room: int = 1) -> list[RunRecord]:
        """The next runs, queued: the baseline, fresh seeds of a contender, or what the search asks for.

        Args:
            steps_left: agent steps that the session's time is good for; None without a limit.
            seconds_left: that it has; None without a limit.
            room: replicates that train side by side.
        """
        incumbent = self.notebook.incumbent(self.group)
        if incumbent is None:
            several = max(self.record.seeds, BASELINE)
            settings = dict(self.record.settings)
            return [self._create(self.base_config(), settings, arm="baseline", replicates=several)]
        if (fresh := self.confirm(seconds_left)) is not None:
            return [fresh]
        incumbent = self.notebook.incumbent(self.group) or incumbent  # fresh seeds may just have made it another run
        if self.in_doubt():
            self.journal.note(f"{FAILURES} runs in a row ended without a score: the incumbent is trained once more")
            return [self._fresh(SeedRequest(incumbent, self.record.seeds))]
        self.believe()
        if self._named_contender(seconds_left) and (fresh := self.confirm(seconds_left)) is not None:
            return [fresh]
        runs: list[RunRecord] = []
        for slot in range(room):
            if (left := self.left()) is not None and left <= 0 and runs:
                break
            run = self._next(incumbent, steps_left, seconds_left, alone=slot == 0)
            if run is None:
                break
            runs.append(run)
        return runs

    def _next(
        self, incumbent: str, steps_left: int | None, seconds_left: float | None, *, alone: bool
    ) -> RunRecord | None:
        """One run, queued: what a person approved, more seeds of a promising config, what else was approved.

        Where something trains beside it that leaves room, an arm's own config too, if nobody has to decide on it.
        """
        proposal = self.decisions.approved(incumbent, steps_left, only_incumbent=self.only_incumbent())
        if proposal is not None and proposal.by_person:
            return self._run_of(proposal)
        search = self.search(seconds_left)
        asked = search.suggest(1, arm=self.arm(DEFAULT)) if search else []
        if search and asked and asked[0].run is not None:
            return self._fresh(SeedRequest(asked[0].run, asked[0].replicates))
        if proposal is not None:
            return self._run_of(proposal)
        if alone or search is None or not asked or self.record.approve == "manual":
            return None
        return self._asked(search, asked[0], steps_left)

    def _asked(self, search: Search, suggestion: Suggestion, steps_left: int | None) -> RunRecord | None:
        """A run of what an arm asks for, queued, if nobody has to decide on it."""
        proposal = asked_for(search, suggestion, DEFAULT, self.record.session_id)
        decision = self.approver.rule(proposal, steps_left)
        if decision is None or decision.state is not ProposalState.APPROVED:
            return None
        proposal = proposal.model_copy(update={"decisions": (*proposal.decisions, decision)})
        self.proposals.add(proposal)
        return self._run_of(proposal)

    def search(self, seconds_left: float | None = None) -> Search | None:
        """What the search knows now.

        Args:
            seconds_left: that the session has; None without a limit.
        """
        permits = self.approver.permits if self.record.approve == "policy" else None
        left = self.left(seconds_left)
        return Search.of(self.lab, self.group, seed=self.record.session_id, left=left, permits=permits)

    def believe(self) -> None:
        """Write down what the search believes in, for whoever looks."""
        search = self.search()
        leader = search.leader if search else None
        if leader is not None:
            ended = sum(len(run.seeds) for run in self.mine() if run.state.ended)
            Sessions(self.notebook.workspace).believe(
                self.record.session_id,
                Leading(
                    time=now(),
                    trained=ended,
                    run=leader.run,
                    mean=leader.mean,
                    gain=leader.gain,
                    replicates=leader.replicates,
                ),
            )

    def arm(self, name: str) -> Arm:
        """The arm of that name, made once."""
        if name not in self._arms:
            self._arms[name] = ARMS[name](1)
        return self._arms[name]

    def _named_contender(self, seconds_left: float | None) -> bool:
        """Name a contender if it is time to; whether one was named."""
        incumbency = self.incumbency
        if incumbency.named >= incumbency.contenders or incumbency.undecided() is not None:
            return False
        search = self.search(seconds_left)
        if search is None:
            return False
        had = {one.candidate for one in self.notebook.index.confirmations(group=self.group)}
        before = [at for at, run in enumerate(search.runs) if run in had]
        named = name_contender(search.history, level_for(incumbency.contenders), incumbency.matters(), before)
        if named is None:
            return False
        run = search.runs[named.trial]
        try:
            opened = incumbency.open(self.notebook.run(run), len(named.plan.spending))
        except InvalidInput as error:
            self.journal.note(f"{run} is believed to be best, and can't be confirmed: {error}")
            return False
        self.journal.event("contender", run=run, incumbent=opened.incumbent, looks=opened.looks, level=opened.level)
        self.journal.note(f"{run} is the contender: {opened.why}, against {opened.incumbent}")
        return True

    def in_doubt(self) -> bool:
        """Several runs in a row have failed, and the incumbent has not been trained again since."""
        ended = [run for run in self.mine() if run.state.ended]
        streak = failures(ended)
        return streak >= FAILURES and not any(run.replicates_of for run in ended[-streak:])

    def only_incumbent(self) -> bool:
        """Several ideas in a row have failed: only changes of the incumbent are tried until one has a score."""
        return failures([run for run in self.mine() if run.state.ended and not run.replicates_of]) >= FAILURES

    def filler(self, steps_left: int | None, elapsed: float | None = None) -> RunRecord | None:
        """Something that needs nobody's decision, queued: more replicates of the incumbent, else what the search asks.

        Args:
            steps_left: agent steps that the session's time leaves; None without a limit.
            elapsed: share of the session's time that is over; None where it has no limit.

        Returns:
            None where there is nothing; no new config where a person approves each proposal.
        """
        incumbent, left = self.notebook.incumbent(self.group), self.left()
        if incumbent is None or (left is not None and left <= KEPT * self.record.seeds):
            return None
        again = self.notebook.index.records(
            Selection(replicates_of=incumbent, preset=self.group.preset, not_states=(RunState.KILLED,))
        )
        have = sum(len(run.seeds) for run in (self.notebook.run(incumbent), *again))
        if have < ENOUGH:
            more = ENOUGH - have
            return self._fresh(SeedRequest(incumbent, more if left is None else min(more, left)))
        search = self.search()
        asked = search.suggest(1, arm=self.arm(DEFAULT)) if search else []
        if search is None or not asked:
            return None
        if asked[0].run is not None:
            return self._fresh(SeedRequest(asked[0].run, asked[0].replicates))
        if self.record.approve == "manual" or not self._room_for_control(elapsed):
            return None
        return self._asked(search, asked[0], steps_left)

    def _room_for_control(self, elapsed: float | None) -> bool:
        """Whether configs of an arm leave enough of the budget to proposals.

        Where time is what ends the night, they are free. Where replicates are, they are fewer than the others, or wait
        until the night's time is ahead of its replicates.
        """
        most, runs = self.record.replicates, self.mine()
        if most is None:
            return True
        controls = sum(run.arm in ARMS for run in runs)
        others = sum(run.proposal is not None and run.arm not in ARMS for run in runs)
        return controls < others or (elapsed is not None and self.trained / most < elapsed)

    @property
    def trained(self) -> int:
        """Replicates of the session, those that are queued included."""
        return sum(len(run.seeds) for run in self.mine())

    def left(self, seconds: float | None = None) -> int | None:
        """Replicates that the budget leaves; None without a limit.

        Args:
            seconds: that the session has; None without a limit.
        """
        most = self.record.replicates
        by_count = None if most is None else max(0, most - self.trained)
        by_time = None if seconds is None else self._affordable(seconds)
        return min((n for n in (by_count, by_time) if n is not None), default=None)

    def _affordable(self, seconds: float) -> int | None:
        """Replicates of the incumbent that so many seconds are good for; None while nobody knows."""
        incumbent = self.notebook.incumbent(self.group)
        if incumbent is None or not self.notebook.readable(incumbent):
            return None
        config = self.notebook.config(incumbent)
        known = paces(self.notebook, config, self.group)
        if known is None or known.rough:
            return None
        at_once = max(pace.at_once for pace in known.each)
        wave = known.seconds(int(config.train["total_timesteps"] or 0), at_once)
        return int(at_once * seconds / wave) if wave > 0 else None

    def confirm(self, seconds_left: float | None = None) -> RunRecord | None:
        """Fresh seeds, queued, for a confirmation under way; None where none is, or no time is left.

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
                config,
                proposal.overrides,
                arm=proposal.arm,
                parent=proposal.parent,
                proposal=proposal.proposal_id,
                replicates=proposal.overrides.get("autopilot.seeds", 1),
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


def why_over(runs: list[RunRecord], replicates: int | None) -> str | None:
    """Why the runs themselves end a session; None while they do not.

    Args:
        runs: the session's, oldest first.
        replicates: how many it may have; None without a limit.
    """
    ended = [run for run in runs if run.state.ended]
    if not ended:
        return None
    last, streak = ended[-1], failures(ended)
    if replicates is not None and sum(len(run.seeds) for run in runs) >= replicates:
        return f"all {replicates} replicates are trained"
    baselines = [run for run in ended if run.arm == "baseline" and run.replicates_of is None]
    hung = last.state is RunState.TIMED_OUT and len(baselines) < BASELINES  # the machine, perhaps: once more
    if last in baselines and last.state is not RunState.FINISHED and not hung:
        return f"the baseline ended without a score: {last.reason}"
    if streak > FAILURES and last.replicates_of is not None:
        return f"after {streak - 1} runs in a row without a score the incumbent had none either: {last.reason}"
    return None
