"""One search on a world whose truth is known."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from benchmarks.arms.worlds import Narrow, Pool, Surrogate
from benchmarks.nights import proof
from lab.judge import FINEST, NIGHT, Plan, level_for, spent
from lab.search import BASELINE, Arm, History, Point, Trial, before_proof, contenders, name_contender


@dataclass(frozen=True)
class Ended:
    """What a search ended with."""

    truth: float
    """Of its leader, 0 worst and 1 best."""
    point: Point
    seconds: float
    """Time per proposal, the mean."""
    used: int
    """Replicates."""


def search(arm: Arm, world: Surrogate | Pool | Narrow, budget: int, seed: int, baseline: int = 0) -> Ended:
    """Replicates until the budget is used up, one after the other.

    Args:
        arm: who proposes.
        world: who answers.
        budget: replicates in all, the baseline's among them.
        seed: of the noise and of the search; the same one for every arm makes pairs.
        baseline: replicates of the default to begin with.
    """
    random = np.random.default_rng([1, seed])
    table, trials, used, taken, asked = world.table, [], 0, 0.0, 0
    pool = table.points if isinstance(world, Pool) else None
    if baseline:
        trials.append(Trial(table.default, tuple(world.draw(table.default, baseline, random))))
        used += baseline
    while used < budget:
        history = History(table.space, tuple(trials), seed, budget - used, pool)
        began = time.perf_counter()
        asks = arm.propose(history, 1)
        taken, asked = taken + time.perf_counter() - began, asked + 1
        if not asks:
            break
        ask = asks[0]
        scores = tuple(world.draw(ask.point, min(ask.replicates, budget - used), random))
        used += max(1, len(scores))
        if ask.trial is None:
            trials.append(Trial(ask.point, scores))
        else:
            old = trials[ask.trial]
            trials[ask.trial] = replace(old, scores=old.scores + scores)
    history = History(table.space, tuple(trials), seed, 0, pool)
    leader = arm.leader(history)
    point = trials[leader].point if leader is not None else table.default
    return Ended(world.truth(point), point, taken / max(1, asked), used)


@dataclass(frozen=True)
class Night(Ended):
    """What a night ended with, its proof included."""

    contender: float | None
    """Truth of what it tried to prove; None if it named nothing."""
    proven: bool
    """The contender was confirmed."""
    recommended_proven: bool
    """What it recommends is what it has proven."""


def night(arm: Arm, world: Surrogate | Pool | Narrow, budget: int, seed: int) -> Night:
    """Baseline, search and proof within one budget; what is recommended is the leader at the end."""
    random = np.random.default_rng([1, seed])
    table, taken, proposals = world.table, 0.0, 0
    trials = [Trial(table.default, tuple(world.draw(table.default, BASELINE, random)))]
    used, contender, proven, named = BASELINE, None, False, list[int]()
    unspent, shared, since = NIGHT, list[float](), 0
    while used < budget:
        history = History(table.space, tuple(trials), seed, budget - used, since=since)
        after = contenders(budget) - len(named) - 1
        level = level_for(contenders(budget)) if after >= 0 else 0.0 if proven or unspent < FINEST else unspent
        chosen = name_contender(history, level, had=named, after=max(0, after)) if level else None
        if chosen is not None:
            named, contender = [*named, chosen.trial], chosen.trial
            confirmed, new, old = prove(world, trials[chosen.trial].point, table.default, chosen.plan, shared, random)
            for at, more in ((chosen.trial, new), (0, old[len(shared) :])):
                trials[at] = replace(trials[at], scores=(*trials[at].scores, *more))
                used += len(more)
            shared, since = max(shared, old, key=len), used
            unspent -= spent(level, len(chosen.plan.spending), len(new) // chosen.plan.group)
            proven = proven or confirmed
            continue
        began = time.perf_counter()
        ask = arm.propose(before_proof(history, level, named) if level else history, 1)[0]
        taken, proposals = taken + time.perf_counter() - began, proposals + 1
        scores = tuple(world.draw(ask.point, min(ask.replicates, budget - used), random))
        used += len(scores)
        if ask.trial is None:
            trials.append(Trial(ask.point, scores))
        else:
            trials[ask.trial] = replace(trials[ask.trial], scores=(*trials[ask.trial].scores, *scores))
    leader = arm.leader(History(table.space, tuple(trials), seed, 0)) or 0
    truth = None if contender is None else world.truth(trials[contender].point)
    return Night(
        world.truth(trials[leader].point), trials[leader].point, taken / max(1, proposals), used, truth, proven,
        proven and leader == contender,
    )  # fmt: skip


def prove(
    world: Surrogate | Pool | Narrow, point: Point, default: Point, plan: Plan, shared: Sequence[float],
    random: np.random.Generator,
) -> tuple[bool, list[float], list[float]]:  # fmt: skip
    """Fresh seeds of both sides, look by look; the baseline's begin with those that an earlier contender had."""
    there = list(shared)

    def theirs(seeds: int) -> list[float]:
        taken = [*there[:seeds], *world.draw(default, max(0, seeds - len(there)), random)]
        del there[:seeds]
        return taken

    return proof(lambda seeds: world.draw(point, seeds, random), theirs, plan)
