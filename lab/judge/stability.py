"""Whether a config holds what its replicates gain, by all of its runs and by those of configs that are like it.

A run of one seed, as most of a search's are, says little of its config. More seeds of it say more, and so do the curves
of its neighbours: where those fall back after a peak, its own seeds were lucky.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from lab.base import AutopilotError
from lab.judge.causes import RATE_DOWN
from lab.judge.diagnosis import ILL, diagnose, solved
from lab.judge.evidence import Evidence
from lab.judge.finding import Finding, Weight
from lab.judge.symptoms import FALLEN, counted, lost
from lab.store import Curve, Lab, RunRecord, RunState, Selection, run_curves, summarize

SEVERAL = 2
"""Replicates from which on a config is said to collapse."""
OFTEN = 0.25
"""Strength of a collapse, the share of replicates that fall back where they fall deep, from which on it is one.

Less than a diagnosis asks for of a single run: with one seed in four the next ones are the worse for it. Of 48 real
replicates of a config that holds (tests/data/replicates), sets of three are called a collapse in one case of forty, at
0.2 in one of twelve; of 150 of a config that does not hold, in six of seven."""


@dataclass(frozen=True)
class Stability:
    """What replicates say of a config."""

    replicates: int
    """That have a score, or that diverged, those of configs like it among them."""
    collapse: Finding | None = None
    """How they collapse; None where they don't, or are too few to say."""
    before: str | None = None
    """The best checkpoint of one that fell back, or the last up to its peak, relative to the workspace; None without
    one."""


@dataclass(frozen=True)
class _Replicate:
    """One that has a score."""

    run: RunRecord
    seed: int
    curves: Mapping[str, Curve]
    score: float


@dataclass
class Stabilities:
    """The stability of configs of one workspace; each run is read once."""

    lab: Lab
    _known: dict[str, tuple[list[_Replicate], int]] = field(default_factory=dict)
    """Run to the replicates of its config that have a score, and how many diverged."""

    def of(self, run_id: str, alike: Sequence[str] = ()) -> Stability:
        """Whether a config holds what its replicates gain.

        Replicates of another config may lie apart for what the configs do; only what their own curves lost counts.

        Args:
            run_id: the run whose config it is; its further seeds count too.
            alike: runs of configs that are like it.
        """
        own, gone = self._replicates(run_id)
        every, diverged = list(own), gone
        for other in alike:
            more, lost_ones = self._replicates(other)
            every, diverged = every + more, diverged + lost_ones
        count = len(every) + diverged
        if count < SEVERAL or not own:
            return Stability(count)
        seen = self._together(own[0].run, every)
        collapse = _gone(diverged, count) if diverged else _named("collapse", seen, OFTEN)
        collapse = collapse or _named("two_kinds", self._together(own[0].run, own), ILL)
        return Stability(count, collapse, self._before(seen, every) if collapse else None)

    def _replicates(self, run_id: str) -> tuple[list[_Replicate], int]:
        if run_id not in self._known:
            try:
                self._known[run_id] = self._read(self.lab.notebook.run(run_id))
            except AutopilotError:  # its folder is gone, or damaged
                self._known[run_id] = [], 0
        return self._known[run_id]

    def _read(self, first: RunRecord) -> tuple[list[_Replicate], int]:
        notebook, had, diverged = self.lab.notebook, list[_Replicate](), 0
        more = notebook.index.records(Selection(replicates_of=first.run_id, preset=first.preset))
        for run in (first, *more):
            if run.state not in (RunState.FINISHED, RunState.DIVERGED):
                continue
            curves = run_curves(notebook.workspace.run(run.run_id), run.seeds)
            for result in notebook.results(run):
                diverged += result.state is RunState.DIVERGED
                if (score := result.metrics.get(run.goal.metric)) is not None:
                    had.append(_Replicate(run, result.seed, curves.get(result.seed, {}), score))
        return had, diverged

    def _together(self, first: RunRecord, replicates: Sequence[_Replicate]) -> Evidence:
        """What a diagnosis would look at if all of them were of one run; a number in the place of a seed."""
        goal = first.goal
        scores = summarize([one.score for one in replicates], bounds=(goal.low, goal.high))
        curves = {one.seed: one.curves for one in replicates}
        if len(curves) < len(replicates):  # a seed was trained twice
            curves = {at: one.curves for at, one in enumerate(replicates, start=1)}
        return replace(Evidence.of(self.lab, first), curves=curves, metrics={goal.metric: scores})

    def _before(self, seen: Evidence, replicates: Sequence[_Replicate]) -> str | None:
        """The checkpoint of the replicate that fell back the deepest."""
        fell = {seed: lost(course) for seed, course in seen.courses.items() if lost(course) > FALLEN[0]}
        of = dict(zip(seen.curves, replicates, strict=True))
        for seed in sorted(fell, key=lambda seed: -fell[seed]):
            paths = self.lab.notebook.workspace.run(of[seed].run.run_id).seed(of[seed].seed)
            _, peak = seen.courses[seed].peak
            steps = [path for path in sorted(paths.checkpoints.glob("step_*.pt")) if 0 < _steps(path) <= peak]
            if kept := next((path for path in (paths.weights("best"), *reversed(steps)) if path.exists()), None):
                return str(kept.relative_to(self.lab.notebook.workspace.root))
        return None


def _named(name: str, seen: Evidence, least: float) -> Finding | None:
    """A finding of that name that is so strong, where there is anything left to remedy."""
    found = (one for one in diagnose(seen) if one.name == name and one.strength >= least)
    return None if solved(seen) else next(found, None)


def _gone(diverged: int, count: int) -> Finding:
    return Finding(
        name="collapse", weight=Weight.ILL, statement="training was not stable: losses or weights became no numbers",
        evidence=f"{counted(diverged, count)} diverged", meaning="smaller steps should keep the others together",
        moves=(RATE_DOWN,), strength=diverged / count,
    )  # fmt: skip


def _steps(path: Path) -> int:
    """The steps in a checkpoint's name, such as `step_000000098304`; 0 for its state beside it."""
    number = path.stem.removeprefix("step_")
    return int(number) if number.isdecimal() else 0
