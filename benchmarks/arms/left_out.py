"""Rules chosen without a table, on it: `.venv/bin/python -m benchmarks.arms.left_out --table FILE --table FILE …`.

A night's constants are today's, or one of them is another. For each table the set is chosen that the others' nights
end best with, in the mean, and what it gives on the table that had no say is told beside what today's constants give
and what the best set for it would have given, on nights that nothing was chosen on.
"""

import argparse
import contextlib
import itertools
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from benchmarks.arms.replay import night
from benchmarks.arms.table import read_table
from benchmarks.arms.worlds import Surrogate
from benchmarks.common import interval, tell
from lab.base import InvalidInput
from lab.search import ARMS
from training import usable_cores

RULES: dict[str, tuple[str, float] | None] = {
    "today's": None,
    "one look kept for a proof": ("night.KEPT", 1),
    "three": ("night.KEPT", 3),
    "a proof aimed at with 0.6": ("night.AIMED", 0.6),
    "with 0.9": ("night.AIMED", 0.9),
    "eight points before the model": ("arms.race.START", 8),
    "twenty": ("arms.race.START", 20),
    "a tenth raced at the end": ("arms.race.LAST", 0.1),
    "a third": ("arms.race.LAST", 0.33),
    "one point in three drawn blindly": ("arms.race.BREADTH", 0.33),
    "one replicate again for two new": ("arms.race.AGAIN", 0.5),
}
"""Another value for one of the constants, by its module and name."""
FIRST = 100_000
"""Number of the first night that something is chosen on; those that tell begin with 0."""

_WORLDS: list[Surrogate] = []


def ends(rule: str, world: int, budget: int, number: int) -> float:
    """What a night with such a rule ends with, 0 worst and 1 best."""
    other = RULES[rule]
    with mock.patch(f"lab.search.{other[0]}", other[1]) if other else contextlib.nullcontext():
        return night(ARMS["race"](1), _WORLDS[world], budget, number).truth


def left_out(every: Sequence[Surrogate], budget: int, choosing: int, telling: int) -> list[dict[str, Any]]:
    """For each table what was chosen on the others, and what that gives on it."""
    worlds, names = range(len(every)), list(RULES)

    def nights(pairs: Sequence[tuple[str, int]], numbers: range) -> dict[tuple[str, int], Any]:
        jobs = [(rule, world, budget, number) for rule, world in pairs for number in numbers]
        ended = np.array(list(pool.map(ends, *zip(*jobs, strict=True), chunksize=5)))
        return dict(zip(pairs, ended.reshape(len(pairs), -1), strict=True))

    with ProcessPoolExecutor(usable_cores(), initializer=_WORLDS.extend, initargs=(every,)) as pool:
        tried = nights(list(itertools.product(names, worlds)), range(FIRST, FIRST + choosing))
        mean = np.array([[tried[rule, world].mean() for world in worlds] for rule in names])
        elsewhere = [names[int(np.delete(mean, world, axis=1).mean(axis=1).argmax())] for world in worlds]
        here = [names[int(mean[:, world].argmax())] for world in worlds]
        asked = {(rule, world) for world in worlds for rule in (names[0], elsewhere[world], here[world])}
        told = nights(sorted(asked), range(telling))
    found = []
    for world in worlds:
        today, chosen = told[names[0], world], told[elsewhere[world], world]
        low, high = interval(chosen - today)
        found.append(
            {
                "table": every[world].table.name,
                "r2": round(every[world].r2, 2),
                "chosen on the others": elsewhere[world],
                "ends with": round(float(chosen.mean()), 3),
                "today's": round(float(today.mean()), 3),
                "chosen less today's": [low, round(float((chosen - today).mean()), 3), high],
                "chosen on itself": here[world],
                "which ends with": round(float(told[here[world], world].mean()), 3),
                "when choosing": dict(zip(names, mean[:, world].round(3).tolist(), strict=True)),
            }
        )
    return found


def main() -> None:
    """Print it for each table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.arms.left_out", description=__doc__)
    parser.add_argument("--table", type=Path, action="append", required=True, help="CSV or CSV.XZ, two or more")
    parser.add_argument("--budget", type=int, default=60, help="replicates")
    parser.add_argument("--choosing", type=int, default=60, help="nights of a table and set of rules to choose by")
    parser.add_argument("--telling", type=int, default=100, help="nights to tell by, others than these")
    wanted = parser.parse_args()
    if len(wanted.table) == 1:
        parser.error("--table: one table leaves none to choose on; name two or more")
    try:
        every = [Surrogate(read_table(path), "gp") for path in wanted.table]
    except (InvalidInput, OSError) as error:
        parser.error(str(error))
    found = left_out(every, wanted.budget, wanted.choosing, wanted.telling)
    tell("rules chosen on all tables but one, on that one", results=found)


if __name__ == "__main__":
    main()
