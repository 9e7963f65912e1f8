"""From a contender to the incumbent: what has to be trained on fresh seeds, and what came of it.

Everything follows from the record: `runs/confirmations.jsonl` says which contender was named, with its level, its looks
and the smallest effect that matters laid down before its first fresh seed, and how it ended. Fresh seeds are runs with
`replicates_of` that were made after that: whatever was trained before may have had a part in choosing it. The
contenders of one session share the incumbent's fresh seeds. So a confirmation goes on after any interruption where it
was.

A search on a short preset may ask for a second confirmation, of the same changes on a longer one: what helps for two
million steps need not help for twenty. Only a run that passed the first gets one, so that long trainings are spent on
few.
"""

import itertools
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from lab.base import InvalidInput, append_line, now
from lab.judge.repeats import SeedRequest
from lab.judge.sequential import (
    FINEST,
    GROUP,
    NIGHT,
    SPENDING,
    Look,
    Plan,
    level_for,
    level_outside,
    look,
    spending,
    spent,
)
from lab.judge.stopping import promises
from lab.judge.verdicts import confounds, noise_of
from lab.space import Group
from lab.store import Confirmation, Notebook, RunRecord, RunState, Selection

MATTERS = 0.5
"""The smallest effect that matters where nobody says another: half the standard deviation between replicates."""
THEN_LEVEL = 0.05
"""One-sided level of the second confirmation: that chance alone brings a run so far is what the first one rules out."""
ENDED = ("confirmed", "dropped")
RETRIES = 2
"""Runs of the incumbent's fresh seeds that may fail before a confirmation is given up."""


@dataclass
class Incumbency:
    """Who is incumbent of one group, and who may become it."""

    notebook: Notebook
    group: Group
    session: str | None = None
    """Its error budget is what is spent; None: that of everything outside sessions."""
    contenders: int = 1
    """That the session may name; its error budget is divided among them."""
    min_effect: float | None = None
    """The smallest difference that matters, in the objective's units; None derives it from the noise floor."""
    then: str | None = None
    """The preset that candidates have to be confirmed on afterwards; None for none."""
    short: bool = False
    """Leave second confirmations alone that others have asked for."""
    who: str | None = None
    """Who asks for a confirmation outside of a session; the record names them."""

    def step(self, under_way: Collection[str | None] = ()) -> SeedRequest | Confirmation | None:
        """What to do: train fresh seeds, or take note that a confirmation ended; None where nothing is to be done.

        Args:
            under_way: runs of which more seeds train already: meanwhile the other side's may.
        """
        current = self.current() or self._go_on()
        return None if current is None else self._advance(current, under_way)

    def outstanding(self, begun: Mapping[str | None, int]) -> int:
        """Fresh seeds that the confirmation under way may yet ask for, by its plan; 0 where none is.

        Args:
            begun: run to its seeds that train now.
        """
        if (current := self.current()) is None:
            return 0
        most = current.group * current.looks
        sides = (current.candidate, current.incumbent)
        have = [sum(len(run.seeds) for run in self.fresh(side, current)) + begun.get(side, 0) for side in sides]
        return sum(max(0, most - count) for count in have)

    def current(self) -> Confirmation | None:
        """The confirmation under way; none against a run that has lost its place since, which would decide nothing."""
        return self._latest("opened")

    def undecided(self) -> Confirmation | None:
        """The candidate of which it is not clear yet what becomes: under way, or between its two confirmations."""
        return self._latest("opened", "passed")

    @property
    def named(self) -> int:
        """Contenders that the session, or whoever works outside sessions, has named so far, each time."""
        return sum(one.outcome == "opened" and not one.preset and one.session == self.session for one in self._all())

    @property
    def left(self) -> int:
        """Contenders that the session may still name: one more where those it had were dropped early."""
        return max(self.contenders - self.named, int(self.level > 0))

    @property
    def level(self) -> float:
        """The level of the session's next contender, one-sided; what is not spent of the night's where all were named.

        0 where no further one may be named.
        """
        return level_for(self.contenders) if self.named < self.contenders else self._unspent()

    def open(self, run: RunRecord, looks: int = len(SPENDING)) -> Confirmation:
        """Name a contender, whatever it was chosen by.

        Args:
            run: the contender.
            looks: at its fresh seeds, at most, each after another group of them.

        Raises:
            InvalidInput: the run can't become incumbent, or another confirmation is under way.
        """
        incumbent = self.notebook.incumbent(self.group)
        if run.run_id == incumbent:
            raise InvalidInput(f"run {run.run_id} is the incumbent: there is nothing to confirm it against")
        if why := self._unfit(run):
            raise InvalidInput(f"run {run.run_id} {why}")
        current = self.current() or self._go_on()
        if current and current.candidate == run.run_id:
            return current
        if incumbent is None:
            raise InvalidInput(f"there is no incumbent to confirm {run.run_id} against: the first run to finish is it")
        mine, theirs = (self.notebook.config(name).train["total_timesteps"] for name in (run.run_id, incumbent))
        if mine != theirs:
            rule = "only equal lengths can be compared"
            raise InvalidInput(f"run {run.run_id} trains for {mine:,} steps and the incumbent for {theirs:,}: {rule}")
        if current:
            rule = f"is open: 'autopilot confirm {current.candidate}' ends it first"
            raise InvalidInput(f"the confirmation of {current.candidate} {rule}")
        return self._record(
            Confirmation(
                time=now(),
                candidate=run.run_id,
                incumbent=incumbent,
                session=self.session,
                who=self.who,
                outcome="opened",
                why=f"{GROUP * looks} fresh seeds a side at most",
                level=self._level(),
                min_effect=self.matters(),
                group=GROUP,
                looks=looks,
                metric=self.group.goal.name,
                then=None if self.then == run.preset else self.then,
            )
        )

    def drop(self, why: str) -> Confirmation | None:
        """End the confirmation under way, since what it needs can't be trained."""
        current = self.current()
        return self._end(current, "dropped", why, []) if current else None

    def _go_on(self) -> Confirmation | None:
        """Open the second confirmation of a candidate that passed its first."""
        passed = self._latest("passed")
        if passed is None:
            return None
        changes = {
            "time": now(),
            "outcome": "opened",
            "why": f"{GROUP * len(SPENDING)} fresh seeds a side at most",
            "preset": passed.then,
            "then": None,
            "level": THEN_LEVEL,
            "looks": len(SPENDING),
            "seeds": 0,
            "effect": None,
            "low": None,
            "high": None,
            "runs": (),
        }
        return self._record(Confirmation.model_validate({**passed.model_dump(), **changes}))

    def settle(self) -> Confirmation | None:
        """Take note that the confirmation under way has ended, if the seeds that are there decide it."""
        current = self.current()
        outcome = self._advance(current, ()) if current else None
        return outcome if isinstance(outcome, Confirmation) else None

    def _unfit(self, run: RunRecord) -> str | None:
        """Why a run can't become incumbent, whatever its score; None when it can."""
        if run.legacy or run.replicates_of or run.state is not RunState.FINISHED:
            what = f"a replicate of {run.replicates_of}" if run.replicates_of else run.state
            return f"is {'imported' if run.legacy else what}: only a finished run of its own can become incumbent"
        if run.resume is not None:
            return "went on from other weights: only a fresh start can become incumbent"
        beaten = next((c for c in self._all() if c.incumbent == run.run_id and c.outcome == "confirmed"), None)
        if beaten is not None:
            return f"has lost its place to {beaten.candidate} on {beaten.seeds} fresh seeds a side"
        ended = self._ended(run.run_id)
        if ended is None or (self.session is None and promises(ended, self.group.goal)):
            return None
        return f"was {ended.outcome} against {ended.incumbent} and gets no second confirmation"

    def _ended(self, run_id: str, before: datetime | None = None) -> Confirmation | None:
        """The last confirmation of a run that has come to an end, of those that ended before some moment."""
        ended = [one for one in self._all() if one.candidate == run_id and one.outcome in ENDED]
        return next((one for one in reversed(ended) if before is None or one.time < before), None)

    def fresh(self, run_id: str, current: Confirmation) -> list[RunRecord]:
        """The ended runs that repeated a config on fresh seeds for a confirmation, in order.

        Args:
            run_id: whose config: the contender's or the incumbent's.
            current: the confirmation.
        """
        preset, since = current.preset or self.group.preset, self._since(run_id, current)
        chosen = ("passed", "confirmed")
        chosen_by = {run for c in self._all() if c.candidate == run_id and c.outcome in chosen for run in c.runs}
        runs = self.notebook.index.records(Selection(replicates_of=run_id, preset=preset))
        lost = (RunState.QUEUED, RunState.RUNNING, RunState.KILLED)  # what a person stopped says nothing
        return [run for run in runs if run.run_id not in chosen_by and run.state not in lost and run.created >= since]

    def _since(self, run_id: str, current: Confirmation) -> datetime:
        """When the fresh seeds of one side began: for the incumbent, with the session's first contender against it.

        With a contender that was dropped and is named anew both sides begin anew: by what they had it was chosen.
        """
        opened = [one for one in self._all() if one.outcome == "opened" and one.incumbent == current.incumbent]
        mine = [one.time for one in opened if one.candidate == current.candidate and one.time <= current.time]
        if earlier := self._ended(current.candidate, before=max(mine, default=current.time)):
            return min((time for time in mine if time > earlier.time), default=current.time)
        shared = [one.time for one in opened if run_id == current.incumbent and one.session == current.session]
        return min([*mine, *shared], default=current.time)

    # --- one confirmation ----------------------------------------------------------------------------------------

    def _advance(self, current: Confirmation, under_way: Collection[str | None]) -> SeedRequest | Confirmation | None:
        new, old = (self.fresh(run, current) for run in (current.candidate, current.incumbent))
        if failed := next((run for run in new if run.state is not RunState.FINISHED), None):
            return self._end(current, "dropped", f"a fresh seed ended as {failed.state}: {failed.reason}", new)
        broken = [run for run in old if run.state is not RunState.FINISHED]
        if len(broken) > RETRIES:
            return self._end(current, "dropped", f"the incumbent's fresh seeds failed: {broken[-1].reason}", new)
        sound = [run for run in old if run.state is RunState.FINISHED]
        mine, theirs = self.values(new), self.values(sound)
        plan = Plan(current.level, current.min_effect, current.group, spending(current.looks))
        result: Look | None = None
        for target in range(plan.group, plan.cap + 1, plan.group):
            sides = ((current.candidate, mine), (current.incumbent, theirs))
            if short := [(run, target - len(values)) for run, values in sides if len(values) < target]:
                asked = next(((run, more) for run, more in short if run not in under_way), None)
                return SeedRequest(*asked, current.preset) if asked else None
            if why := self._unlike(new, sound):
                return self._end(current, "dropped", f"the fresh seeds are not like with like: {why}", new)
            result = look(mine[:target], theirs[:target], plan, self.group.goal)
            if result.decision != "continue":
                break
        assert result is not None  # noqa: S101 - there is a look at least
        reached = "passed" if current.then else "confirmed"
        return self._end(current, reached if result.decision == "confirmed" else "dropped", result.why, new, result)

    def _end(
        self, current: Confirmation, outcome: str, why: str, runs: list[RunRecord], result: Look | None = None
    ) -> Confirmation:
        numbers = (
            {"seeds": result.seeds, "effect": result.effect, "low": result.low, "high": result.high} if result else {}
        )
        names = tuple(run.run_id for run in runs)
        changes = {"time": now(), "outcome": outcome, "why": why[:500], "runs": names, **numbers}
        return self._record(Confirmation.model_validate({**current.model_dump(), **changes}))

    def _unlike(self, new: list[RunRecord], old: list[RunRecord]) -> str | None:
        reasons = [confounds(self.notebook, one.run_id, other.run_id) for one, other in itertools.product(new, old)]
        return next((why[0] for why in reasons if why), None)

    def values(self, runs: list[RunRecord]) -> list[float]:
        """The objective's metric in each replicate of some runs, in their order."""
        metric = self.group.goal.metric
        return [value for run in runs for value in self.notebook.values(run.run_id, metric)]

    # --- which runs ----------------------------------------------------------------------------------------------

    def _level(self) -> float:
        """What a contender may use of the error budget.

        Raises:
            InvalidInput: the session has named as many as it was laid out for.
        """
        if self.session is None:  # nobody said how many there would be: later ones get less
            return level_outside(self.named + 1)
        if not self.left:
            rule = "the error budget that was laid out for them is used up"
            raise InvalidInput(f"session {self.session} has named {self.named} contenders: {rule}")
        return self.level

    def _unspent(self) -> float:
        """What contenders that were dropped before their last look have left of the night's level.

        0 where it is too little for a look, or one of them was not dropped.
        """
        last = {one.candidate: one for one in self._all() if one.session == self.session}
        if self.session is None or any(one.outcome != "dropped" for one in last.values()):
            return 0.0
        unspent = NIGHT - sum(spent(one.level, one.looks, one.seeds // one.group) for one in last.values())
        return unspent if unspent >= FINEST else 0.0

    def matters(self) -> float:
        """The smallest difference that matters, in the objective's units."""
        if self.min_effect is not None:
            return self.min_effect
        noise = noise_of(self.notebook, self.group)
        return MATTERS * noise[0] if noise else 0.0

    def _latest(self, *outcomes: str) -> Confirmation | None:
        """The first candidate whose last entry is one of these, and who still faces the incumbent."""
        last, incumbent = {one.candidate: one for one in self._all()}, self.notebook.incumbent(self.group)
        mine = (one for one in last.values() if one.outcome in outcomes and self._is_ours(one))
        return next((one for one in mine if one.incumbent == incumbent), None)

    def _is_ours(self, confirmation: Confirmation) -> bool:
        """Whether a confirmation is this one's to go on with: one on a longer preset may be left to others."""
        elsewhere = confirmation.outcome == "passed" or confirmation.preset is not None
        return not (self.short and elsewhere)

    def _all(self) -> list[Confirmation]:
        """The group's confirmations, in order."""
        return self.notebook.index.confirmations(group=self.group)

    def _record(self, confirmation: Confirmation) -> Confirmation:
        append_line(self.notebook.workspace.confirmations, confirmation.model_dump(mode="json"))
        return confirmation
