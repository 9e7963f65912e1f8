"""The plan of a night: what goes to baseline, search and proof, and what could be found at this noise.

Laid out before the first run from what is known, and made firm once the baseline has trained: the noise between its
replicates says what fresh seeds can show. Where that is more than there is left to gain, or than a person wants to
find, more looks are planned, up to half of what is left, or more where few keys are searched. Where even those would
show nothing, the plan says so.
"""

import math
from bisect import bisect_left
from functools import cache
from typing import NamedTuple

from lab.judge import GROUP, SPENDING, level_for, noise_of, room_above, scores_of
from lab.search.contest import Proving
from lab.search.night import BASELINE, SURE, contenders, power
from lab.space import Statistic
from lab.store import NightPlan, Notebook, SessionRecord

MOST_LOOKS = 12
"""Groups of fresh seeds a side that a proof may take where the noise asks for them: sixty seeds a side."""


FAR = 100.0
"""Standard deviations between replicates that any number of seeds shows which can show anything."""
ENOUGH = 12
"""Replicates for each key, and once more, from which on a search gives way to a proof that needs them: as many as it
begins with where there are few."""


def lay_out(
    replicates: int | None,
    seeds: int,
    *,
    keys: int,
    named: int | None = None,
    known: bool = False,
    noise: tuple[float, int] | None = None,
    room: float | None = None,
    wanted: float | None = None,
    statistic: Statistic = "mean",
) -> NightPlan:
    """The plan of a night.

    Args:
        replicates: that the night has, the baseline's included; None without a limit.
        seeds: replicates that a run stands for, which the baseline has at least.
        keys: that are searched.
        named: contenders that it may name, if the noise does not ask for fewer; None for the usual number.
        known: the group has an incumbent already, and no baseline is trained.
        noise: standard deviation between replicates, and its degrees of freedom; None while nobody knows.
        room: the most that can be gained, in the objective's units; None where nothing is declared.
        wanted: the smallest difference that a person wants to find; None where nobody said.
        statistic: what sums up replicates.
    """
    baseline = 0 if known else max(seeds, BASELINE)
    count = named or contenders(replicates)
    free = None if replicates is None else max(0, replicates - baseline)
    looks = len(SPENDING) if free is None else min(len(SPENDING), free // (2 * GROUP))
    aim = min((x for x in (wanted, room) if x is not None and x > 0), default=None)

    def shown(looks: int, level: float, scale: float = 1.0) -> float:
        return findable(scale * noise[0], GROUP * looks, level, statistic) if noise else math.inf

    if (
        noise
        and aim
        and looks == len(SPENDING)
        and findable(noise[0], GROUP * looks, level_for(count), statistic) > aim
    ):
        count = 1  # all the seeds there are for one are worth more than some for each of two
        spare = 0 if free is None else max(free // 2, free - ENOUGH * (1 + keys)) // (2 * GROUP)
        most = MOST_LOOKS if free is None else min(MOST_LOOKS, max(looks, spare))
        looks = next(
            (n for n in range(looks, most) if findable(noise[0], GROUP * n, level_for(1), statistic) <= aim), most
        )
    level, each = level_for(count), 2 * GROUP * count
    return NightPlan(
        replicates=replicates,
        baseline=baseline,
        looks=looks,
        reserve=min(each * looks, free) if free is not None else each * looks,
        contenders=count,
        noise=noise[0] if noise else None,
        freedom=noise[1] if noise else 0,
        findable=tuple(shown(n, level) for n in range(1, looks + 1)) if noise else (),
        room=room,
        wanted=wanted,
        hopeless=bool(
            noise
            and looks
            and room is not None
            and findable(noise[0] / math.sqrt(2), GROUP * looks, level, statistic) > room
        ),
        enough=seeds_for(room, noise[0], level, statistic) if noise and room else None,
    )


def plan_of(
    notebook: Notebook, record: SessionRecord, replicates: int | None, *, keys: int, named: int, known: bool
) -> NightPlan:
    """The plan of a session by what its record says now.

    Args:
        notebook: where the runs are.
        record: the session.
        replicates: as for `lay_out`, as are the others.
        keys: that are searched.
        named: contenders that it may name.
        known: no baseline is trained.
    """
    group = record.group
    incumbent = notebook.incumbent(group)
    scores = scores_of(notebook, incumbent) if incumbent and notebook.readable(incumbent) else []
    return lay_out(
        replicates,
        record.seeds,
        keys=keys,
        named=named,
        known=known,
        noise=noise_of(notebook, group),
        room=room_above(scores, group.goal) if scores else None,
        wanted=record.min_effect,
        statistic=record.goal.statistic,
    )


class Phases(NamedTuple):
    """Replicates of a session by what they were for."""

    baseline: int
    search: int
    proof: int


def phases(notebook: Notebook, record: SessionRecord) -> Phases:
    """What a session's replicates of its group went to so far, those that are queued included.

    Args:
        notebook: where its runs are.
        record: the session.
    """
    proving = Proving(notebook, record.group)
    counts = {"baseline": 0, "search": 0, "proof": 0}
    for run in notebook.runs(record.group, session=record.session_id):
        if run.arm == "baseline" and run.replicates_of is None:
            what = "baseline"
        elif proving.has(run.replicates_of, run.created.timestamp()):
            what = "proof"
        else:
            what = "search"
        counts[what] += len(run.seeds)
    return Phases(**counts)


def findable(noise: float, seeds: int, level: float, statistic: Statistic = "mean") -> float:
    """The smallest gain that so many fresh seeds a side show in nine of ten cases; infinite where they show none.

    Args:
        noise: standard deviation between replicates, equal on both sides.
        seeds: on each side, 2 or more.
        level: one-sided.
        statistic: of which the gain is.
    """
    return noise * _in_deviations(seeds, level, statistic) if noise > 0 else 0.0


@cache
def _in_deviations(seeds: int, level: float, statistic: Statistic) -> float:
    """The same in standard deviations between replicates."""
    from scipy.optimize import brentq

    def short(gain: float) -> float:
        return power(gain, 1.0, seeds, level, statistic) - SURE

    return float(brentq(short, 0.0, FAR)) if short(FAR) > 0 else math.inf


def seeds_for(gain: float, noise: float, level: float, statistic: Statistic = "mean", most: int = 1000) -> int | None:
    """Fresh seeds a side that show a gain in nine of ten cases; None where not even `most` do.

    Args:
        gain: in the objective's units, more is better.
        noise: standard deviation between replicates, in the same.
        level: one-sided.
        statistic: of which the gain is.
        most: up to which they are counted.
    """
    sizes = range(GROUP, most + 1, GROUP)
    at = bisect_left(sizes, SURE, key=lambda n: power(gain, noise, n, level, statistic)) if gain > 0 else len(sizes)
    return sizes[at] if at < len(sizes) else None
