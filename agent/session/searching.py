"""The search of a session: what it knows, what its arms ask for, the sweep under way, the contender it names.

Replicates are what it counts. What it believes is written down each time something has been trained, for whoever looks.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from agent.session.decisions import Decisions
from agent.session.making import RunMaker
from agent.session.shares import Shares
from lab.base import InvalidInput, now
from lab.judge import GROUP, SPENDING, Incumbency, SeedRequest, paces
from lab.search import (
    ARMS,
    Arm,
    Permits,
    Search,
    Suggestion,
    asked_for,
    before_proof,
    complete,
    name_contender,
    provable,
)
from lab.store import Lab, Leading, Proposal, ProposalState, RunRecord, Selection, SessionRecord, Sessions

DEFAULT = "race"
"""The name of the arm that searches."""


@dataclass
class NightSearch:
    """The search of one session."""

    record: SessionRecord
    lab: Lab
    decisions: Decisions
    maker: RunMaker
    incumbency: Incumbency
    looks: int = len(SPENDING)
    """At the fresh seeds of a contender, at most, as the night's plan has it."""
    nothing_new: str = ""
    """Why no new config can be had, once that is known: what was tried may then be proven without waiting for more."""
    _arms: dict[str, Arm] = field(default_factory=dict)
    """Name to the arm of a sweep; some hold a process."""

    def __post_init__(self) -> None:
        self.notebook, self.proposals = self.lab.notebook, self.lab.proposals
        self.approver, self.journal = self.decisions.approver, self.decisions.journal
        self.group = self.record.group
        self.shares = Shares(self.record, self.lab)

    def of_a_sweep(self, seconds_left: float | None) -> RunRecord | None:
        """The next run of the sweep under way, queued; a sweep that is through, or finds nothing more, ends."""
        while (proposal := self.proposals.sweeping(self.group)) is not None:
            assert proposal.sweep is not None  # noqa: S101 - it is one
            mine = self.notebook.index.records(Selection(proposal=proposal.proposal_id))
            left = proposal.sweep.replicates - sum(len(run.seeds) for run in mine)
            asked = self._swept(proposal, mine, left, seconds_left) if left > 0 else []
            if asked:
                count = min(left, asked[0].replicates)
                if asked[0].run is not None:
                    return self._more(replace(asked[0], replicates=count), proposal.proposal_id)
                one = proposal.model_copy(update={"overrides": asked[0].changes, "arm": proposal.sweep.arm})
                return self.maker.train(one, count)
            self.proposals.decide(proposal.proposal_id, ProposalState.DONE, "session")
            self.journal.note(f"{proposal.proposal_id} is through")
        return None

    def end_sweeps(self, why: str) -> None:
        """End the sweeps under way with the session: what they allow was allowed for it."""
        while (proposal := self.proposals.sweeping(self.group)) is not None:
            self.proposals.decide(proposal.proposal_id, ProposalState.DONE, "session", why)

    def _swept(
        self, proposal: Proposal, mine: Sequence[RunRecord], left: int, seconds_left: float | None
    ) -> list[Suggestion]:
        """What the arm of a sweep asks for next, after its own runs so far."""
        assert proposal.sweep is not None  # noqa: S101 - it is one
        budget = self.left(seconds_left)
        search = Search.of(
            self.lab,
            self.group,
            seed=self.record.session_id,
            left=left if budget is None else min(left, budget),
            parent=proposal.parent,
            permits=self.approver.permits,
            sweep=proposal.sweep,
            trade=self.record.trade,
        )
        return _begun(search, mine).suggest(arm=self.arm(proposal.sweep.arm)) if search else []

    def asked(self, steps_left: int | None, seconds_left: float | None = None) -> RunRecord | None:
        """A run of what the search asks for, queued, if nobody has to decide on it."""
        if self.record.approve == "manual":
            return None
        return self._allowed(self.search(seconds_left, self.approver.permits), DEFAULT, steps_left)

    def controlled(self, steps_left: int | None, seconds_left: float | None) -> RunRecord | None:
        """A run of the control arm, queued, if it is its turn and nobody has to decide on it.

        It sees the baseline and its own runs, nothing else: what it would have come to alone.
        """
        if self.record.approve == "manual" or not self.shares.control_due():
            return None
        control = self.record.control
        assert control is not None  # noqa: S101 - it is due
        whole = self.search(seconds_left)
        search = Search.of(
            self.lab, self.group, seed=self.record.session_id, left=whole.history.left if whole else None,
            parent=self.shares.start(), permits=self.approver.permits, arm=control,
        )  # fmt: skip
        return self._allowed(search, control, steps_left)

    def _allowed(self, search: Search | None, arm: str, steps_left: int | None) -> RunRecord | None:
        """A run of a new config that an arm asks for, queued, if the rules approve it."""
        waiting = self._proposed(search.parent) if search and arm == DEFAULT else []  # a control arm knows of nobody
        suggested = search.suggest(only_new=True, arm=self.arm(arm), avoid=waiting) if search else []
        if search is None or not suggested:
            return None
        saw = "all runs" if arm == DEFAULT else "the baseline and its own runs"
        proposal = asked_for(search, suggested[0], arm, self.record.session_id, saw)
        decision = self.approver.rule(proposal, steps_left)
        if decision is None or decision.state is not ProposalState.APPROVED:
            return None
        proposal = proposal.model_copy(update={"decisions": (*proposal.decisions, decision)})
        self.proposals.add(proposal)
        return self.maker.of_proposal(proposal)

    def _proposed(self, parent: str) -> list[dict[str, Any]]:
        """Changes of a run that wait to be trained: the optimizer would ask for what was taken from it once more."""
        waits = (ProposalState.STAGED, ProposalState.APPROVED)
        mine = [one for one in self.proposals.all() if one.group == self.group and one.parent == parent]
        return [one.overrides for one in mine if one.state in waits and one.sweep is None]

    def search(
        self, seconds_left: float | None = None, permits: Permits | None = None, *, reserve: bool = True
    ) -> Search | None:
        """What the search knows now.

        Args:
            seconds_left: that the session has; None without a limit.
            permits: what a policy leaves, where something new is asked for.
            reserve: the replicates that a proof will need count as spent.
        """
        left = self.left(seconds_left)
        seed, trade = self.record.session_id, self.record.trade
        search = Search.of(self.lab, self.group, seed=seed, left=left, permits=permits, trade=trade)
        if search is None or not reserve:
            return search
        search = _begun(search, self._since_proof())
        if not (level := self.incumbency.level):
            return search
        return replace(search, history=before_proof(search.history, level, self._had(search), self.looks))

    def _since_proof(self) -> list[RunRecord]:
        """The session's runs of its group; of those beside and after a proof that has ended the latter."""
        ends = [
            one.time
            for one in self.notebook.index.confirmations(group=self.group)
            if one.session == self.record.session_id and one.outcome != "opened"
        ]
        mine = self.notebook.runs(self.group, session=self.record.session_id)
        return [run for run in mine if not ends or run.created >= ends[-1]]

    def _had(self, search: Search) -> list[int]:
        """The trials that were contenders before."""
        had = {one.candidate for one in self.notebook.index.confirmations(group=self.group)}
        return [at for at, run in enumerate(search.runs) if run in had]

    def raced(self, seconds_left: float | None = None) -> RunRecord | None:
        """More seeds of a config, queued, if that is what the search asks for next.

        Args:
            seconds_left: that the session has; None without a limit.
        """
        search = self.search(seconds_left)
        asked = search.suggest() if search else []
        if search is not None and not asked and self.may_prove(seconds_left):  # nothing new can be had
            asked = list(filter(None, [search.more_seeds()]))
        return self._more(asked[0]) if asked and asked[0].run is not None else None

    def through(self, seconds_left: float | None = None) -> str | None:
        """Why the search is at its end: nothing new can be had, and what there is can't be proven; None while it isn't.

        Args:
            seconds_left: that the session has; None without a limit.
        """
        return self.nothing_new if self.nothing_new and not self.may_prove(seconds_left) else None

    def may_prove(self, seconds_left: float | None = None) -> bool:
        """Whether what is believed in may yet be named and proven with the replicates that are left.

        Args:
            seconds_left: that the session has; None without a limit.
        """
        level = self.incumbency.level
        if not level or self.incumbency.undecided() is not None:
            return False
        search = self.search(seconds_left, reserve=False)
        return search is not None and provable(search.history, level, self._had(search), self.looks)

    def _more(self, asked: Suggestion, proposal: str | None = None) -> RunRecord:
        """The seeds that are asked for, queued."""
        assert asked.run is not None  # noqa: S101 - not of a new config
        return self.maker.fresh(SeedRequest(asked.run, asked.replicates), proposal)

    def believe(self, search: Search | None = None) -> None:
        """Write down what the search believes in, for whoever looks.

        Args:
            search: what is known, where somebody has read it.
        """
        search = search or self.search(reserve=False)
        leader = search.leader if search else None
        if leader is not None:
            ended = sum(len(run.seeds) for run in self._mine() if run.state.ended)
            believed = Leading(time=now(), trained=ended, **asdict(leader))
            Sessions(self.notebook.workspace).believe(self.record.session_id, believed)

    def arm(self, name: str) -> Arm:
        """The arm of that name, made once."""
        if name not in self._arms:
            self._arms[name] = ARMS[name](1)
        return self._arms[name]

    def name_contender(self, search: Search, room: int = 1) -> bool:
        """Name a contender if it is time to; whether one was named.

        Args:
            search: what is known, all that is left to be spent.
            room: replicates that train side by side.
        """
        incumbency = self.incumbency
        if not incumbency.left or incumbency.undecided() is not None:
            return False
        after, level = incumbency.left - 1, incumbency.level
        leader, goal = search.leader, self.group.goal
        done = leader is not None and complete(leader.mean, leader.gain, goal.limit, incumbency.min_effect)
        done = done or bool(self.nothing_new)
        named = name_contender(
            search.history, level, incumbency.matters(), self._had(search), after, room, self.looks, complete=done
        )
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

    def asks_first(self, left: int) -> bool:
        """Whether one more config beside others would cost a proof one of its looks: first these are to tell.

        Args:
            left: replicates that the budget leaves.
        """
        before, after = (min(self.looks, count // (2 * GROUP)) for count in (left, left - self.record.seeds))
        return after < before and bool(self.incumbency.left) and self.incumbency.undecided() is None

    def promised(self) -> int:
        """Replicates that are the plan's for a proof, and for one config to prove; 0 where none is planned."""
        plan = self.record.plan
        return plan.reserve + self.record.seeds if plan is not None and plan.looks and self.incumbency.left else 0

    def left(self, seconds: float | None = None) -> int | None:
        """Replicates that the budget leaves; None without a limit.

        Args:
            seconds: that the session has; None without a limit.
        """
        most = self.record.replicates
        by_count = None if most is None else max(0, most - self.notebook.replicates(self.record.session_id))
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

    def _mine(self) -> list[RunRecord]:
        return self.notebook.runs(session=self.record.session_id)


def _begun(search: Search, runs: Sequence[RunRecord]) -> Search:
    """A search that was begun with these runs: what else there is of its history was there before."""
    before = search.history.replicates - sum(len(run.seeds) for run in runs)
    return replace(search, history=replace(search.history, since=max(0, before)))
