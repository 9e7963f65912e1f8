"""How the objective went: collapse after a peak, never off the ground, still rising, replicates of two kinds.

Each says what happened, in how many replicates and from when; why it may have happened is for `lab/judge/causes.py`.
"""

import itertools
import statistics
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from lab.base import number, short
from lab.judge.evidence import Course, Evidence, ramp

FALLEN = (0.15, 0.5)
"""Share of what was gained that is lost again: below the first wobble of a sampled policy, at the second half of it is
gone. Today's early stopping in PPO (Achiam, Spinning Up, 2018) exists to prevent it."""
LATE = 0.9
"""A peak later than this share of the training has had no time to be followed by a collapse."""
LOUD = 2.0
"""How many times the wobble from point to point a change has to be."""
GAINED = (0.08, 0.3)
"""Share of a curve's range gained from the third quarter to the last: cosine annealing has all but stopped learning
in the last quarter, so a curve that rises then was cut off. At the second it is nearly as steep as a straight line,
whose quarters lie a third of its range apart."""
APART = (0.5, 0.8)
"""The widest gap between neighbouring replicates as a share of all that they lie apart. Of five normal draws it is 0.55
on average and above 0.8 in one case of fifty."""
WIDE = (0.15, 0.5)
"""How far replicates lie apart as a share of the best, for that to matter."""
WHOLE = (0.6, 0.95)
"""The same, from which on some replicates fail however the others lie."""
LEFT = 0.1
"""Share of the first quarter's mean that another has to be better by, to have left the start."""


SETTLED = 0.5
"""Entropy at the end, as a share of the uniform policy's, and explained variance, between which a policy has learnt
what its rewards pay for: where the objective does not show it, the two are different things, and no key is at fault."""


@dataclass(frozen=True)
class Symptom:
    """Something that happened to the objective."""

    name: str
    strength: float
    statement: str
    evidence: str
    seeds: tuple[int, ...] = ()
    """Replicates that show it."""


def symptoms(seen: Evidence) -> tuple[Symptom, ...]:
    """What happened to the objective, each at most once."""
    if not seen.courses:
        return ()
    found = (_collapse(seen), _never_left(seen), _rising(seen), _two_kinds(seen))
    return tuple(one for one in found if one is not None)


def counted(some: int, of: int, what: str = "replicate") -> str:
    """How many of the replicates, such as `4 of 5 replicates`."""
    return f"{some} of {of} {what}{'s' if of != 1 else ''}"


def lost(course: Course) -> float:
    """Share of what a replicate had gained at its peak that it had lost again at the end; 0 where it had no peak."""
    peak, at = course.peak
    early = course.steps <= at
    gained = peak - float(course.values[early].min())
    if at > LATE * course.steps[-1] or gained <= 0 or peak - course.end < LOUD * course.noise:
        return 0.0
    return (peak - course.end) / gained


def _collapse(seen: Evidence) -> Symptom | None:
    share = {seed: lost(course) for seed, course in seen.courses.items()}
    fell = {seed: much for seed, much in share.items() if much > FALLEN[0]}
    if not fell:
        return None
    depth, many = statistics.median(fell.values()), len(fell) / len(share)
    peaks = [seen.courses[seed].peak for seed in fell]
    at, best = statistics.median(step for _, step in peaks), statistics.median(value for value, _ in peaks)
    end = statistics.median(seen.courses[seed].end for seed in fell)
    sign, name = seen.goal.sign, seen.goal.metric
    evidence = (
        f"{counted(len(fell), len(share))} peak{'s' if len(fell) == 1 else ''} near {short(round(at))} steps at {name}"
        f" {number(sign * best)} and end{'s' if len(fell) == 1 else ''} at {number(sign * end)}"
    )
    return Symptom("collapse", many * ramp(depth, *FALLEN), "training was not stable: it fell back after a peak",
                   evidence, tuple(fell))  # fmt: skip


def _never_left(seen: Evidence) -> Symptom | None:
    """Replicates none of whose quarters is better than the first by more than the curve wobbles from point to point."""
    stuck = []
    for seed, course in seen.courses.items():
        first, best = course.quarters[0], max(course.quarters)
        if best - first <= max(course.noise, LEFT * abs(first), 1e-12):
            stuck.append(seed)
    if not stuck:
        return None
    quarters = ", ".join(number(seen.goal.sign * each) for each in _mean(seen.courses[seed].quarters for seed in stuck))
    evidence = (
        f"{counted(len(stuck), len(seen.courses))}; quarters of {seen.goal.metric} {quarters}, none better than the"
        " first by more than a tenth, or than the curve wobbles from point to point"
    )
    learnt = seen.entropy(0.75, 1.0) or 1.0
    certain = 0.8 if learnt > SETTLED or (seen.level("losses/explained_variance", 0.5, 1.0) or 0.0) < SETTLED else 0.3
    return Symptom("never_left", certain * len(stuck) / len(seen.courses), "it hardly left its start", evidence,
                   tuple(stuck))  # fmt: skip


def gain(course: Course) -> float:
    """How far a replicate rose from the third quarter to the last, as a share of its range."""
    spread = float(course.values.max() - course.values.min())
    third, last = course.quarters[-2:]
    return (last - third) / spread if spread > 0 else 0.0


def _rising(seen: Evidence) -> Symptom | None:
    gains = {seed: gain(course) for seed, course in seen.courses.items()}
    rising = [seed for seed, share in gains.items() if share > GAINED[0]]
    if 2 * len(rising) < len(gains):
        return None
    each = _mean(seen.courses[seed].quarters for seed in rising)
    quarters = ", ".join(number(seen.goal.sign * value) for value in each)
    evidence = (
        f"{counted(len(rising), len(gains))}; quarters of {seen.goal.metric} {quarters}, after"
        f" {short(int(seen.value('train.total_timesteps') or 0))} steps and {seen.derived.get('epochs', 0):.0f} updates"
    )
    return Symptom("still_rising", ramp(statistics.median(gains.values()), *GAINED),
                   "it was still rising when training ended", evidence, tuple(rising))  # fmt: skip


def _mean(rows: Iterator[list[float]] | list[list[float]]) -> list[float]:
    return [statistics.fmean(column) for column in zip(*rows, strict=True)]


def _two_kinds(seen: Evidence) -> Symptom | None:
    """Replicates in two groups with a gap between: some seeds learn, others do not."""
    scores = dict(zip(seen.curves, seen.scores, strict=False))
    if len(scores) < 3:
        return None
    ranked = sorted(scores, key=lambda seed: seen.goal.sign * scores[seed])
    values = [seen.goal.sign * scores[seed] for seed in ranked]
    spread, best = values[-1] - values[0], max(abs(value) for value in values)
    if spread <= 0 or best <= 0:
        return None
    gaps = [after - before for before, after in itertools.pairwise(values)]
    at = max(range(len(gaps)), key=gaps.__getitem__)
    certain = ramp(gaps[at] / spread, *APART) * ramp(spread / best, *WIDE)
    if len(values) < 4:  # three draws nearly always have one gap that is the wider one
        certain *= 0.5
    certain = max(certain, 0.6 * ramp(spread / best, *WHOLE))
    if certain <= 0:
        return None
    low, high = ranked[: at + 1], ranked[at + 1 :]
    seeds = f"seed{'s' if len(low) > 1 else ''} {_names(low)}"
    evidence = f"{seen.goal.metric} {_texts(scores, low)} of {seeds}, {_texts(scores, high)} of {_names(high)}"
    evidence += _since(seen, low, high)
    return Symptom("two_kinds", 0.9 * certain, "replicates come in two kinds: some seeds learn, others do not",
                   evidence, tuple(low))  # fmt: skip


def _texts(scores: dict[int, float], seeds: list[int]) -> str:
    return ", ".join(number(scores[seed]) for seed in seeds)


def _names(seeds: list[int]) -> str:
    return ", ".join(map(str, seeds))


def _since(seen: Evidence, low: list[int], high: list[int]) -> str:
    """From which step on the worse replicates are below all of the better ones for good; nothing where that is late."""
    sides = [[seen.courses[seed] for seed in side if seed in seen.courses] for side in (low, high)]
    if not all(sides):
        return ""
    last = min(float(course.steps[-1]) for side in sides for course in side)
    grid = np.linspace(0, last, 41)
    low_side, high_side = (
        np.array([np.interp(grid, course.steps, course.values) for course in side]) for side in sides
    )
    below = low_side.max(axis=0) < high_side.min(axis=0)
    if not below[-1]:
        return ""
    from_then = int(np.argmin(below[::-1])) if not below.all() else len(below)
    return f", apart from {short(int(grid[len(grid) - from_then]))} steps on" if from_then > 1 else ""
