"""What trains next: the baseline, fresh seeds, what was approved, what the search asks for.

The budget is replicates: a config starts on one, and the search decides which configs get more. What trains side by
side is asked for together, each as if those before it were under way.
"""

from collections import Counter
from dataclasses import dataclass
from functools import partial
from typing import Any

from agent.model import Work
from agent.session.decisions import Decisions
from agent.session.lengthening import longer_preset, why_longer
from agent.session.making import RunMaker
from agent.session.searching import NightSearch
from lab.base import InvalidInput, lasting
from lab.judge import (
    FAILURES,
    SPENDING,
    Incumbency,
    SeedRequest,
    failures,
    fresh_config,
    longest_seconds,
)
from lab.search import ARMS, BASELINE, contenders, plan_of
from lab.space import Group
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
)
from report import became_text, outlook_lines, plan_text

BASELINES = 2
"""Times that a baseline is begun anew which ended by a limit of time."""
KEPT = 1
"""Runs, of the budget, that are kept for proposals when a gap is to be filled."""
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
        self.incumbency = Incumbency(
            self.notebook,
            self.group,
            record.session_id,
            record.contenders or contenders(record.replicates),
            record.min_effect,
            record.confirm,
            short=record.confirm is None,
        )
        self.maker = RunMaker(record, self.lab, self.journal)
        self.searching = NightSearch(record, self.lab, self.decisions, self.maker, self.incumbency)
        if (plan := record.plan) is not None:
            self.searching.looks, self.incumbency.contenders = plan.looks or len(SPENDING), plan.contenders

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

    def _repeated(self) -> set[str | None]:
        """The runs of which more seeds are under way, on other slots; None stands for what is no more seeds."""
        return {run.replicates_of for run in self.untrained()}

    def work_of(self, run: RunRecord) -> Work:
        """What a run's time is spent on."""
        if run.proposal is not None:
            return "search"
        return "incumbent" if run.replicates_of in (None, self.notebook.incumbent(self.group)) else "confirming"

    def unreported(self) -> list[RunRecord]:
        """The runs of this session that have ended and have no report; fresh seeds of others get none."""
        own = [run for run in self.mine() if run.state.ended and not run.replicates_of]
        return [run for run in own if not self.notebook.workspace.run(run.run_id).report.exists()]

    def latest(self) -> RunRecord | None:
        """The newest run to be analysed: this session's, else the newest of the group, whoever made it."""
        ended = [run for run in self.notebook.runs(self.group) if run.state.ended and run.replicates_of is None]
        mine = [run for run in ended if run.session == self.record.session_id]
        return next(iter((mine or ended)[-1:]), None)

    def lay_out(self, seconds_left: float | None = None) -> dict[str, Any] | None:
        """The plan of the night, made firm by the noise of the baseline, and said; or longer trainings.

        Args:
            seconds_left: that the session has; None without a limit.

        Returns:
            What changes in the session's record; None while the baseline has no score.
        """
        incumbent = self.notebook.incumbent(self.group)
        if incumbent is None or not self.notebook.readable(incumbent):
            return None
        left, mine = self.searching.left(seconds_left), [run for run in self.mine() if run.group == self.group]
        known = not any(run.arm == "baseline" for run in mine)
        whole = None if left is None else left + sum(len(run.seeds) for run in mine)
        search = self.searching.search(reserve=False, permits=self.approver.permits)
        keys, named = len(search.keys) if search else 0, self.incumbency.contenders
        plan = plan_of(self.notebook, self.record, whole, keys=keys, named=named, known=known)
        plan = plan.model_copy(update={"firm": True})
        self.journal.event("plan", looks=plan.looks, reserve=plan.reserve, hopeless=plan.hopeless)
        for line in (f"the plan: {plan_text(plan)}", *outlook_lines(plan, self.record.goal, self.record.seeds)):
            self.journal.note(line)
        if (why := why_longer(self.lab, self.record, plan, left)) is None:
            return {"plan": plan}
        longer = longer_preset(self.lab, self.record)
        self.journal.event("longer", preset=longer, why=why)
        self.journal.note(f"{why}: on to the preset {longer}, with a baseline of its own")
        began_on = self.record.began_on or self.record.preset
        return {"preset": longer, "began_on": began_on, "lengthened": self.record.lengthened + 1}

    def begin(self, steps_left: int | None, seconds_left: float | None = None, room: int = 1) -> list[RunRecord]:
        """The next runs, queued: the baseline, fresh seeds of a contender, or what the search asks for.

        Args:
            steps_left: agent steps that the session's time is good for; None without a limit.
            seconds_left: that it has; None without a limit.
            room: replicates that train side by side.
        """
        incumbent = self.notebook.incumbent(self.group)
        under_way = self._repeated()
        if incumbent is None and under_way:  # the baseline
            return []
        if incumbent is None:
            several = max(self.record.seeds, BASELINE)
            settings = dict(self.record.settings)
            return [self.maker.create(self.maker.base_config(), settings, arm="baseline", replicates=several)]
        if (fresh := self.confirm(seconds_left)) is not None:
            return [fresh]
        incumbent = self.notebook.incumbent(self.group) or incumbent  # fresh seeds may just have made it another run
        if self.in_doubt() and incumbent not in under_way:
            self.journal.note(f"{FAILURES} runs in a row ended without a score: the incumbent is trained once more")
            return [self.maker.fresh(SeedRequest(incumbent, self.record.seeds))]
        if (known := self.searching.search(seconds_left, reserve=False)) is not None:
            self.searching.believe(known)
            if self.searching.name_contender(known, room) and (fresh := self.confirm(seconds_left)) is not None:
                return [fresh]
        runs, kept = list[RunRecord](), self._kept()
        for slot in range(room):
            left = self.searching.left(seconds_left if kept else None)
            if left is not None and ((left <= kept and (runs or kept)) or (runs and self.searching.asks_first(left))):
                break
            run = self._next(incumbent, steps_left, seconds_left, alone=slot == 0)
            if run is None:
                break
            runs.append(run)
        return runs

    def _next(
        self, incumbent: str, steps_left: int | None, seconds_left: float | None, *, alone: bool
    ) -> RunRecord | None:
        """One run, queued: what a person approved, a sweep's, more seeds of what is promising, what else was approved.

        Where something trains beside it that leaves room, an arm's own config too, if nobody has to decide on it.
        """
        proposal = self._approved(incumbent, steps_left)
        begun = proposal is not None and (proposal.by_person or proposal.arm in ARMS)
        if proposal is not None and (begun or self.proposals.sweeping(self.group) is not None):
            return self.maker.of_proposal(proposal)
        searching = self.searching
        asks = (
            partial(searching.controlled, steps_left, seconds_left),
            partial(searching.of_a_sweep, seconds_left),
            partial(searching.raced, seconds_left),
        )
        if (run := next(filter(None, (ask() for ask in asks)), None)) is not None:
            return run
        models = searching.shares.model_due()
        waits = models and (alone or proposal is not None)  # for the model's next proposal, or this one comes first
        asked = None
        if not waits and searching.shares.optimizer_due():
            asked = searching.asked(steps_left, seconds_left)
        return asked or (self.maker.of_proposal(proposal) if proposal is not None else None)

    def _approved(self, incumbent: str, steps_left: int | None) -> Proposal | None:
        """The single config that was approved first; sweeps that were approved before it begin."""
        while (
            proposal := self.decisions.approved(incumbent, steps_left, only_incumbent=self.only_incumbent())
        ) is not None and proposal.sweep is not None:
            self.proposals.decide(proposal.proposal_id, ProposalState.RUNNING, "session")
            self.journal.event("sweep", proposal=proposal.proposal_id)
            self.journal.note(f"{proposal.proposal_id} begins: {proposal.brief}")
        return proposal

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
        incumbent, left = self.notebook.incumbent(self.group), self.searching.left()
        if incumbent is None or (left is not None and left <= KEPT * self.record.seeds):
            return None
        again = self.notebook.index.records(
            Selection(replicates_of=incumbent, preset=self.group.preset, not_states=(RunState.KILLED,))
        )
        have = sum(len(run.seeds) for run in (self.notebook.run(incumbent), *again))
        if have < ENOUGH:
            kept = max(KEPT * self.record.seeds, self.searching.shares.kept(left or 0), self.searching.promised())
            more = ENOUGH - have if left is None else min(ENOUGH - have, left - kept)
            return self.maker.fresh(SeedRequest(incumbent, more)) if more > 0 else None
        if (raced := self.searching.raced()) is not None:
            return raced
        return self.searching.asked(steps_left) if self._room_for_optimizer(elapsed) else None

    def _room_for_optimizer(self, elapsed: float | None) -> bool:
        """Whether the optimizer's own configs leave the model its share, which is still at its proposal.

        Where time is what ends the night, they are free, and where it is ahead of the night's replicates.
        """
        most = self.record.replicates
        if most is None or self.searching.shares.optimizer_due(ahead=int(self.record.model != "offline")):
            return True
        return elapsed is not None and self.notebook.replicates(self.record.session_id) / most < elapsed

    def confirm(self, seconds_left: float | None = None) -> RunRecord | None:
        """Fresh seeds, queued, for a confirmation under way; None where none is, or no time is left.

        Args:
            seconds_left: that the session has; None without a limit.
        """
        while (outcome := self.incumbency.step(self._repeated())) is not None:
            if isinstance(outcome, SeedRequest):
                try:
                    if self._too_long(outcome, seconds_left) or self._too_many(outcome):
                        return None
                    return self.maker.fresh(outcome)
                except InvalidInput as error:
                    outcome = self.incumbency.drop(f"can't be trained on the preset {outcome.preset}: {error}")
            self.note_confirmation(outcome)
        return None

    def _kept(self) -> int:
        """Replicates that what trains beside fresh seeds leaves for those that are still to come."""
        current, begun = self.incumbency.current(), Counter[str | None]()
        if current is None or any(need.run in (current.candidate, current.incumbent) for need in self._put_off):
            return 0
        for run in self.untrained():
            begun[run.replicates_of] += len(run.seeds)
        return self.incumbency.outstanding(begun)

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

    def _too_many(self, need: SeedRequest) -> bool:
        """Whether the budget leaves too few replicates for some seeds; whoever reads the digest may go on with them."""
        left = self.searching.left()
        if left is None or need.seeds <= left:
            return False
        return self._later(need, f"are more than the {left} replicates that are left")

    def _too_long(self, need: SeedRequest, seconds_left: float | None) -> bool:
        """Whether no time is left for some seeds; whoever reads the digest may go on with them.

        Where it was the newest run alone that was slow, the next one says so, and the seeds are trained then.
        """
        if seconds_left is None:
            return False
        group = self.group._replace(preset=need.preset or self.group.preset)
        longest = longest_seconds(self.notebook, fresh_config(self.notebook, need, self.inventory), group, need.seeds)
        if longest <= seconds_left:
            return False
        return self._later(need, f"would take {lasting(longest)}, and {lasting(seconds_left)} are left")

    def _later(self, need: SeedRequest, why: str) -> bool:
        """Say once that some seeds are put off; true."""
        if need not in self._put_off:
            self._put_off.add(need)
            what = f"{need.seeds} fresh seeds of {need.run} {why}"
            self.journal.note(f"{what}: 'autopilot confirm' trains them later")
        return True


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
