"""The record of a group as a search reads it, and what a search asks for in the words of the record.

Runs of exactly the same config are one trial, whoever made them and for whatever reason: a run, its replicates, its
fresh seeds. Its point is what the run has for the keys of the space. Trial 0 is the incumbent, which proposals change.
Every answer has been made valid: what does not go together is mended as the validator says, and what can't be mended,
is denied or was tried gives way to another draw.
"""

import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from typing import Any, NamedTuple

from lab.judge import NEIGHBOURHOOD
from lab.search.arms import RaceArm
from lab.search.beliefs import WINDOW, Believed, believed
from lab.search.forecast import forecast
from lab.search.history import Arm, Ask, History, Trial
from lab.search.keys import search_space
from lab.search.permits import Permits
from lab.search.points import Point
from lab.search.sweeps import swept
from lab.search.trials import trials_of
from lab.space import Config, Group, check_overrides, identity, idle_changes
from lab.store import Lab, Questions, Selection, Sweep, Trade

OWN: Arm = RaceArm()
"""The arm that searches where nobody names another."""
SAME = 0.002
"""A value that is closer to the parent's than this share of the key's range changes nothing."""
ALIKE = 0.1
"""Values that are closer than this share of the range, in every key, are one idea to somebody who turned it down."""
MENDED = 6
"""Problems of one config that are mended, at most."""
REDRAWN = 12
"""Times that an arm is asked again for what could not be had."""


@dataclass(frozen=True)
class Suggestion:
    """Replicates that a search asks for."""

    changes: dict[str, Any]
    """Valid overrides of the incumbent's config; empty for more replicates of a run."""
    replicates: int
    run: str | None = None
    """The run that gets more replicates; None for a config that nobody has tried."""


class Outlook(NamedTuple):
    """Where a replicate of a config is expected to lie: the mean, and an 80 % interval."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Leader:
    """The run that is now believed to be best; nothing is claimed of it."""

    run: str
    mean: float
    """What its config is believed to score, in the objective's units, what is known of its neighbours included; for an
    objective of another statistic than the mean, that of five replicates."""
    gain: float
    """How much better than the incumbent that is, in the objective's units, more is better."""
    replicates: int
    """Of its config, all that have a score."""


@dataclass(frozen=True)
class Search:
    """What is known of a group, for whoever asks where to look next."""

    lab: Lab
    group: Group
    parent: str
    """The run whose config is changed, trial 0: the incumbent, where nobody names another."""
    base: Config
    """Its config."""
    history: History
    runs: tuple[str, ...]
    """The run of each trial that was made first."""
    identities: tuple[str, ...]
    """What the config of each trial is known by."""
    permits: Permits | None = None
    sweep: Sweep | None = None
    before: datetime | None = None
    """Runs that were made later don't count; None where all do."""

    @classmethod
    def of(
        cls,
        lab: Lab,
        group: Group,
        *,
        seed: str = "",
        left: int | None = None,
        parent: str | None = None,
        before: datetime | None = None,
        permits: Permits | None = None,
        sweep: Sweep | None = None,
        arm: str | None = None,
        thinned: bool = False,
        trade: Trade | None = None,
    ) -> "Search | None":
        """What is known now.

        Args:
            lab: where the runs are.
            group: which of them count.
            seed: what is drawn follows from it, and from the record.
            left: replicates that may still be trained; None where nobody counts.
            parent: the run whose config is changed, in the place of the incumbent.
            before: runs that were made later don't count; None for all.
            permits: what a policy leaves; None for anything valid.
            sweep: the part of the space to search; None for every key that may be proposed.
            arm: runs of other arms don't count, but for the parent's; None for those of all.
            thinned: of a long history take no more than a model reads, evenly: for what all runs say together.
            trade: what the score is weighed against; None where it counts alone.

        Returns:
            None while the group has no incumbent, or it can't be read.
        """
        parent = parent or lab.notebook.incumbent(group)
        if parent is None or not lab.notebook.readable(parent):
            return None
        base = lab.notebook.config(parent)
        space = search_space(lab.inventory.environment(group.env_name), base)
        space = swept(space, sweep) if sweep else space
        space = permits.narrowed(space, base) if permits else space
        narrow = frozenset(dim.key for dim in space.dimensions) if sweep or permits else None
        which = Selection(group, native=True, before=before)
        if thinned:
            which = replace(which, names=[parent, *Questions(lab.notebook.index).spread(which, WINDOW)])
        trials, runs = trials_of(lab, which, parent, base, space, narrow, arm)
        names = tuple(trials)
        drawn = zlib.crc32(f"{seed}|{group.env_name}|{group.objective}|{group.preset}".encode())
        most, statistic = permits.most if permits else None, group.goal.statistic
        history = History(space, tuple(trials.values()), drawn, left, most=most, statistic=statistic, trade=trade)
        first = tuple(runs[name] for name in names)
        return cls(lab, group, parent, base, history, first, names, permits, sweep, before)

    @property
    def keys(self) -> list[str]:
        """What is searched."""
        return [dimension.key for dimension in self.history.space.dimensions]

    def suggest(
        self, count: int = 1, *, arm: Arm = OWN, only_new: bool = False, avoid: Sequence[Mapping[str, Any]] = ()
    ) -> list[Suggestion]:
        """What to train next, the first first; each as if those before it were being trained.

        Args:
            count: how many are wanted; fewer where nothing valid is left to try.
            arm: who is asked.
            only_new: no more replicates of configs that were tried.
            avoid: changes that people turned down.
        """
        if not self.keys:
            return []
        history, suggested = replace(self.history, only_new=only_new), list[Suggestion]()
        tried = frozenset(self.identities)
        for changes in avoid:  # as if somebody were at it: the model looks elsewhere
            history = _pending(history, self._point(changes), None, 1)
        for again in range(1, count + REDRAWN):
            if len(suggested) == count or not (asks := arm.propose(history, 1)):
                break
            suggestion = self._said(asks[0], tried, avoid)
            if suggestion is None:  # the same history would give the same answer
                history = replace(history, seed=history.seed + again)
                continue
            suggested.append(suggestion)
            history = _pending(history, self._point(suggestion.changes), asks[0].trial, suggestion.replicates)
            tried = tried | {self._identity(suggestion.changes)}
        return suggested

    def more_seeds(self) -> Suggestion | None:
        """One more replicate of what may be the best, where nothing new can be had; None while nothing has a score."""
        asks = OWN.propose(replace(self.history, only_tried=True), 1)
        return self._said(asks[0], frozenset(), ()) if asks else None

    @cached_property
    def believed(self) -> Believed | None:
        """What the product's own model of all replicates says; None while nothing has a score."""
        return believed(self.history)

    @property
    def leader(self) -> Leader | None:
        """The run that the search now believes in; None while nothing has a score."""
        known, goal = self.believed, self.group.goal
        if known is None:
            return None
        scores = self.history.trials[known.leader].scores
        mean = goal.within(goal.sign * known.mean)  # the model is of lines, and knows no bound
        gain = known.gain - abs(mean - goal.sign * known.mean)
        return Leader(self.runs[known.leader], mean, gain, len(scores))

    def outlook(self, changes: Mapping[str, Any]) -> Outlook | None:
        """Where the model sees one replicate of a changed config; None while nothing has a score.

        Args:
            changes: overrides of the parent's config.
        """
        goal = self.group.goal
        ends = (goal.low, goal.high) if goal.sign > 0 else (_turned(goal.high), _turned(goal.low))
        known = forecast(self.history, self._point(changes), NEIGHBOURHOOD, ends)
        if known is None:
            return None
        low, high = sorted((goal.sign * known.low, goal.sign * known.high))
        return Outlook(goal.sign * known.mean, low, high)

    @property
    def replicates(self) -> Counter[str]:
        """Run to the replicates of its config that have a score."""
        return Counter({run: len(trial.scores) for run, trial in zip(self.runs, self.history.trials, strict=True)})

    def valid(self, point: Point, avoid: Sequence[Mapping[str, Any]] = ()) -> dict[str, Any] | None:
        """A point as overrides of the parent that train; None where that can't be had, or was tried.

        Args:
            point: a value for each key.
            avoid: changes that people turned down.
        """
        said = self._said(Ask(point, 1), frozenset(self.identities), avoid)
        return said.changes if said else None

    def has(self, point: Point) -> bool:
        """Whether somebody has tried a point, as it is once it is valid."""
        changes = self._mended(self._changes(point))
        return bool(changes) and self._identity(changes or {}) in self.identities

    # --- answers in the words of the record ----------------------------------------------------------------------

    def _said(self, ask: Ask, tried: frozenset[str], avoid: Sequence[Mapping[str, Any]]) -> Suggestion | None:
        """An arm's answer as overrides that train; None where it can't be had."""
        if ask.trial is not None:
            return Suggestion({}, ask.replicates, self.runs[ask.trial])
        changes = self._mended(self._changes(ask.point))
        if not changes or self._identity(changes) in tried or self._is_one_of(changes, avoid):
            return None
        if self.sweep is not None and not self.sweep.covers(changes):
            return None
        if self.permits is not None and self.permits(self.parent, changes) is not None:
            return None
        return Suggestion(changes, ask.replicates)

    def _changes(self, point: Point) -> dict[str, Any]:
        """What a point changes of the incumbent; what is too close to tell stays as it is."""
        changes = {}
        for dimension in self.history.space.dimensions:
            new, old = point[dimension.key], self.base.get(dimension.key)
            far = abs(dimension.place(new) - dimension.place(old)) > SAME
            if new != old and (far or not dimension.holds(old)):
                changes[dimension.key] = new
        return changes

    def _mended(self, changes: dict[str, Any]) -> dict[str, Any] | None:
        """The nearest changes that the validator lets pass; None where it names none."""
        known = {dimension.key: dimension for dimension in self.history.space.dimensions}
        for _ in range(MENDED):
            idle = idle_changes(self.base, changes, self.lab.inventory)
            changes = {key: value for key, value in changes.items() if key not in idle}
            problems = check_overrides(self.base, changes, self.lab.inventory, proposing=True)
            if not problems:  # what was put right may be back where it stood
                return {key: value for key, value in changes.items() if value != self.base.get(key)} or None
            problem = problems[0]
            if problem.key not in known or not problem.valid.isdecimal():
                return None
            changes = {**changes, problem.key: int(problem.valid)}
        return None

    def _point(self, changes: Mapping[str, Any]) -> Point:
        return {key: changes.get(key, self.base.get(key)) for key in self.keys}

    def _is_one_of(self, changes: Mapping[str, Any], others: Sequence[Mapping[str, Any]]) -> bool:
        """Whether changes are so close to some others, in every key, that they are the same idea."""
        place = self.history.space.places
        mine = place(self._point(changes))
        return any(bool((abs(mine - place(self._point(other))) < ALIKE).all()) for other in others)

    def _identity(self, changes: Mapping[str, Any]) -> str:
        return identity(self.group.env_name, self.base.with_overrides(changes).flat())


def _turned(bound: float | None) -> float | None:
    return None if bound is None else -bound


def _pending(history: History, point: Point, trial: int | None, replicates: int) -> History:
    """A history in which somebody is about to train what was just asked for."""
    trials = list(history.trials)
    if trial is None:
        trials.append(Trial(point, pending=replicates))
    else:
        trials[trial] = replace(trials[trial], pending=trials[trial].pending + replicates)
    left = None if history.left is None else max(0, history.left - replicates)
    return replace(history, trials=tuple(trials), left=left)
