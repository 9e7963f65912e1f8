"""Whether the replicates of a config hold what they gained, all of its runs taken together.

A run of one seed, as most of a search's are, says little of it; with the more seeds that a promising config gets, the
diagnosis can tell replicates that collapse from those that do not.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from lab.base import AutopilotError
from lab.judge.causes import RATE_DOWN
from lab.judge.diagnosis import diagnose
from lab.judge.evidence import Evidence
from lab.judge.finding import Finding, Weight
from lab.judge.symptoms import FALLEN, counted, lost
from lab.space import Objective
from lab.store import Curve, Lab, RunRecord, RunState, Selection, run_curves, summarize

COLLAPSES = ("collapse", "two_kinds")
"""Findings by which replicates of a config are not stable: they fell back after a peak, or only some of them learn."""
SEVERAL = 2
"""Replicates from which on those of a config are said to collapse."""


@dataclass(frozen=True)
class Stability:
    """What all replicates of a config say of it."""

    replicates: int
    """That have a score, or that diverged."""
    collapse: Finding | None = None
    """How they collapse; None where they don't, or are too few to say."""
    before: str | None = None
    """The latest checkpoint, relative to the workspace, of a replicate from before it fell back; None without one."""


@dataclass(frozen=True)
class _Replicate:
    """One that has a score."""

    run: RunRecord
    curves: Mapping[str, Curve]
    score: float


def stability_of(lab: Lab, run_id: str) -> Stability:
    """Whether the replicates of a run's config hold what they gained, those of its further seeds included.

    Args:
        lab: where they lie.
        run_id: the run whose config it is. Of a seed that was trained twice the first counts.

    Raises:
        AutopilotError: the run can't be read.
    """
    notebook, first = lab.notebook, lab.notebook.run(run_id)
    more = notebook.index.records(Selection(replicates_of=run_id, preset=first.preset))
    had, diverged = dict[int, _Replicate](), 0
    for run in (first, *more):
        if run.state not in (RunState.FINISHED, RunState.DIVERGED):
            continue
        curves = _curves(lab, run)
        for result in notebook.results(run):
            score = result.metrics.get(run.goal.metric)
            diverged += result.state is RunState.DIVERGED
            if score is not None:
                had.setdefault(result.seed, _Replicate(run, curves.get(result.seed, {}), score))
    count = len(had) + diverged
    if count < SEVERAL or not had:
        return Stability(count)
    seen = _together(lab, first, had)
    collapse = _gone(diverged, count) if diverged else _collapse(seen)
    return Stability(count, collapse, _before(lab, seen, had) if collapse else None)


def _curves(lab: Lab, run: RunRecord) -> Mapping[int, Mapping[str, Curve]]:
    try:
        return run_curves(lab.notebook.workspace.run(run.run_id), run.seeds)
    except AutopilotError:  # their scores are there all the same
        return {}


def _together(lab: Lab, first: RunRecord, had: Mapping[int, _Replicate]) -> Evidence:
    """What a diagnosis would look at if all replicates were of one run."""
    goal: Objective = first.goal
    scores = summarize([one.score for one in had.values()], bounds=(goal.low, goal.high))
    curves = {seed: one.curves for seed, one in had.items()}
    return replace(Evidence.of(lab, first), curves=curves, metrics={goal.metric: scores})


def _collapse(seen: Evidence) -> Finding | None:
    return next((one for one in diagnose(seen) if one.name in COLLAPSES and one.weight is Weight.ILL), None)


def _gone(diverged: int, count: int) -> Finding:
    return Finding(
        name="collapse", weight=Weight.ILL, statement="training was not stable: losses or weights became no numbers",
        evidence=f"{counted(diverged, count)} diverged", meaning="smaller steps should keep the others together",
        moves=(RATE_DOWN,), strength=diverged / count,
    )  # fmt: skip


def _before(lab: Lab, seen: Evidence, had: Mapping[int, _Replicate]) -> str | None:
    """The checkpoint of the replicate that fell back the deepest: its best one, else the last at or before its peak."""
    fell = {seed: lost(course) for seed, course in seen.courses.items() if lost(course) > FALLEN[0]}
    for seed in sorted(fell, key=lambda seed: -fell[seed]):
        paths = lab.notebook.workspace.run(had[seed].run.run_id).seed(seed)
        _, peak = seen.courses[seed].peak
        steps = [path for path in sorted(paths.checkpoints.glob("step_*.pt")) if (_steps(path) or peak + 1) <= peak]
        if kept := next((path for path in (paths.weights("best"), *reversed(steps)) if path.exists()), None):
            return str(kept.relative_to(lab.notebook.workspace.root))
    return None


def _steps(path: Path) -> int | None:
    """The steps in a checkpoint's name, such as `step_000000098304`; None for its state beside it."""
    number = path.stem.removeprefix("step_")
    return int(number) if number.isdecimal() else None
