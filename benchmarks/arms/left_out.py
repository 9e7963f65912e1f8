"""Rules chosen without a table, on it: `.venv/bin/python -m benchmarks.arms.left_out --table FILE --table FILE …`.

A night's constants are today's, or one of them is another. For each table the set is chosen that the others' nights
end best with, in the mean, and what it gives on the table that had no say is told beside what today's constants give
and what the best set for it would have given, on nights that nothing was chosen on.
"""

import argparse
import contextlib
import itertools
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from benchmarks.arms.replay import night
from benchmarks.arms.table import read_table
from benchmarks.arms.worlds import Surrogate
from benchmarks.common import tell
from lab.search import ARMS
from training import usable_cores

Rules = dict[str, float]
"""Another value for a constant, by its module and name."""

RULES: dict[str, Rules] = {
    "today's": {},
    "one look kept for a proof": {"night.KEPT": 1},
    "three": {"night.KEPT": 3},
    "a proof aimed at with 0.6": {"night.AIMED": 0.6},
    "with 0.9": {"night.AIMED": 0.9},
    "eight points before the model": {"arms.race.START": 8},
    "twenty": {"arms.race.START": 20},
    "a tenth raced at the end": {"arms.race.LAST": 0.1},
    "a third": {"arms.race.LAST": 0.33},
    "one point in three drawn blindly": {"arms.race.BREADTH": 0.33},
    "one replicate again for two new": {"arms.race.AGAIN": 0.5},
}
FIRST = 100_000
"""Number of the first night that something is chosen on; those that tell begin with 0."""

_WORLDS: list[Surrogate] = []


def ends(rule: str, world: int, budget: int, number: int) -> float:
    """What a night with these rules ends with, 0 worst and 1 best."""
    with under(RULES[rule]):
        return night(ARMS["race"](1), _WORLDS[world], budget, number).truth


@contextlib.contextmanager
def under(rules: Rules) -> Iterator[None]:
    """These constants in the place of today's."""
    with contextlib.ExitStack() as stack:
        for name, value in rules.items():
            stack.enter_context(mock.patch(f"lab.search.{name}", value))
        yield


def left_out(budget: int, choosing: int, telling: int) -> list[dict[str, Any]]:
    """For each table what was chosen on the others, and what that gives on it."""
    worlds, names = range(len(_WORLDS)), list(RULES)

    def nights(pairs: Sequence[tuple[str, int]], numbers: range) -> dict[tuple[str, int], Any]:
        jobs = [(rule, world, budget, number) for rule, world in pairs for number in numbers]
        every = np.array(list(pool.map(ends, *zip(*jobs, strict=True), chunksize=5)))
        return dict(zip(pairs, every.reshape(len(pairs), -1), strict=True))

    with ProcessPoolExecutor(usable_cores()) as pool:
        tried = nights(list(itertools.product(names, worlds)), range(FIRST, FIRST + choosing))
        mean = np.array([[tried[rule, world].mean() for world in worlds] for rule in names])
        elsewhere = [names[int(np.delete(mean, world, axis=1).mean(axis=1).argmax())] for world in worlds]
        here = [names[int(mean[:, world].argmax())] for world in worlds]
        asked = {(rule, world) for world in worlds for rule in (names[0], elsewhere[world], here[world])}
        told = nights(sorted(asked), range(telling))
    return [
        {
            "table": _WORLDS[world].table.name,
            "r2": round(_WORLDS[world].r2, 2),
            "chosen on the others": elsewhere[world],
            "ends with": round(float(told[elsewhere[world], world].mean()), 3),
            "today's": round(float(told[names[0], world].mean()), 3),
            "chosen less today's": interval(told[elsewhere[world], world] - told[names[0], world]),
            "chosen on itself": here[world],
            "which ends with": round(float(told[here[world], world].mean()), 3),
            "when choosing": dict(zip(names, mean[:, world].round(3).tolist(), strict=True)),
        }
        for world in worlds
    ]


def interval(values: Any) -> list[float]:
    """The mean between the ends of its 95 % interval."""
    half = 1.96 * float(values.std(ddof=1)) / len(values) ** 0.5
    return [round(float(values.mean()) + sign * half, 3) for sign in (-1, 0, 1)]


def main() -> None:
    """Print it for each table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.arms.left_out", description=__doc__)
    parser.add_argument("--table", type=Path, action="append", required=True, help="CSV or CSV.XZ, two or more")
    parser.add_argument("--budget", type=int, default=60, help="replicates")
    parser.add_argument("--choosing", type=int, default=60, help="nights of a table and set of rules to choose by")
    parser.add_argument("--telling", type=int, default=100, help="nights to tell by, others than these")
    wanted = parser.parse_args()
    _WORLDS.extend(Surrogate(read_table(path, None), "gp") for path in wanted.table)
    found = left_out(wanted.budget, wanted.choosing, wanted.telling)
    tell("rules chosen on all tables but one, on that one", results=found)


if __name__ == "__main__":
    main()
