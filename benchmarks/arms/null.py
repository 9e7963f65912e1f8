"""Nights in which nothing is better: `.venv/bin/python -m benchmarks.arms.null [--nights 2000] [--noise wide]`.

Every config has the baseline's mean. What a search names is then as good as any other, whoever proposed it, and its
fresh seeds are drawn anew; so a night comes down to its proofs: `K` contenders, each against the baseline's fresh seeds
(the same for all of them, as in a night), at its share of the night's level; and where all were dropped before their
last look, further ones at what these left of it. The noise is normal, skewed, bimodal or cartpole's own; or the
contender has four times the baseline's spread; or it collapses on one seed in eight and is so much better on the
others. A night that names a contender less often is wrong less often.
"""

import argparse
import itertools
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial

import numpy as np

from benchmarks.common import tell
from benchmarks.nights import noise, proof, upper
from lab.judge import FINEST, GROUP, NIGHT, Plan, level_for, spending, spent
from training import usable_cores

SHAPES = ("normal", "skewed", "bimodal", "cartpole", "wide", "collapse")
WIDE = 4.0
"""The contender's spread, in the baseline's."""
EIGHTH, DEPTH = 1 / 8, 6.0
"""How often a contender collapses, and how far down, in standard deviations."""
LOOKS = (3, 8)
"""Looks of a usual night, and of one whose noise asks for more seeds."""


def contender(shape: str, random: np.random.Generator, seeds: int) -> list[float]:
    """Fresh seeds of a config with mean 0."""
    if shape == "wide":
        return (WIDE * random.standard_normal(seeds)).tolist()
    if shape == "collapse":
        down = random.random(seeds) < EIGHTH
        return (random.standard_normal(seeds) + EIGHTH * DEPTH - DEPTH * down).tolist()
    return noise(shape, random)(seeds).tolist()


def is_fooled(shape: str, count: int, looks: int, number: int) -> bool:
    """Whether a night of so many contenders, and of what these leave, calls one of them better."""
    more = () if looks == LOOKS[0] else (looks,)
    random = np.random.default_rng([13, SHAPES.index(shape), count, number, *more])
    base = "normal" if shape in ("wide", "collapse") else shape
    old, unspent, named = noise(base, random)(GROUP * looks).tolist(), NIGHT, 0
    while named < count or unspent >= FINEST:
        plan = Plan(level_for(count) if named < count else unspent, 0.0, spending=spending(looks))
        new, theirs = iter(contender(shape, random, plan.cap)), iter(old)
        won, trained, _ = proof(partial(_next, new), partial(_next, theirs), plan)
        if won:
            return True
        unspent -= spent(plan.level, looks, len(trained) // GROUP)
        named += 1
    return False


def _next(scores: Iterator[float], count: int) -> list[float]:
    return list(itertools.islice(scores, count))


def shares(shape: str, count: int, looks: int, nights: int) -> dict[str, float | int | str]:
    """How many of so many nights are fooled, with the upper end of the exact 95 % interval."""
    fooled = sum(is_fooled(shape, count, looks, number) for number in range(nights))
    end = round(upper(fooled, nights), 4)
    return {
        "noise": shape,
        "contenders": count,
        "looks": looks,
        "false": fooled,
        "share": fooled / nights,
        "upper": end,
    }


def main() -> None:
    """Print the share of nights that call something better."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--nights", type=int, default=2000)
    parser.add_argument("--noise", choices=SHAPES, action="append", help="this one alone, again for more")
    wanted = parser.parse_args()
    shapes = wanted.noise or SHAPES
    cases = [*itertools.product(shapes, (1, 2, 3), LOOKS[:1]), *itertools.product(shapes, (1, 2), LOOKS[1:])]
    with ProcessPoolExecutor(usable_cores()) as pool:
        found = list(pool.map(shares, *zip(*cases, strict=True), itertools.repeat(wanted.nights)))
    tell("nights in which no config is better than the baseline", nights=wanted.nights, results=found)


if __name__ == "__main__":
    main()
