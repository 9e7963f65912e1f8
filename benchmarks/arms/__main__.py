"""Arms and nights side by side: `.venv/bin/python -m benchmarks.arms --table FILE [--arms …] [--json]`."""

import argparse
import json
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.arms.product import product_night
from benchmarks.arms.replay import Night, night, search
from benchmarks.arms.table import Table, read_table
from benchmarks.arms.worlds import TUNED, Narrow, Pool, Surrogate
from benchmarks.common import interval
from lab.base import InvalidInput
from lab.search import ARMS, ApartArm, Arm
from training import usable_cores

WORLDS = ("trees", "gp", "pool", "narrow")
CHEAP = ("night", "race", "random:1", "random:3", "tpe:1", "tpe:3", "cmaes:1", "cmaes:3")
"""`night` is search and proof as `lab.search.night` plans them; `NAME:N` an arm with N replicates for each new point,
search only."""
DRAWN: dict[str, type[Pool | Narrow]] = {"pool": Pool, "narrow": Narrow}
"""Worlds that are drawn anew for each repetition."""
NIGHTS = ("night", "product")
"""The second is a whole session of the product, half a minute each."""
LUCK = 200
"""Configs by which luck is measured."""
AGAINST = "random"
"""Whose better form the share of wins is counted against."""


@dataclass(frozen=True)
class Outcome:
    """What an arm ended with in all repetitions on one world."""

    arm: str
    mean: float
    """Mean truth of what it recommends, 0 worst and 1 best."""
    low: float
    """Lower end of the 95 % interval of the mean."""
    high: float
    tenth: float
    """A tenth of the repetitions ended below it."""
    to_best: float
    """Paired difference to the best of the other arms, in the mean."""
    to_best_low: float
    """Lower end of its 95 % interval."""
    wins: float
    """Share of repetitions in which it ended above the better form of random search; ties count half."""
    seconds: float
    """Time per proposal, the mean."""
    proof: dict[str, int] | None = None
    """Of nights: how many named a contender, proved one, proved one that is no better, missed one that is."""


def main() -> None:
    """Print what each arm ended with."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.arms", description=__doc__)
    parser.add_argument("--table", type=Path, action="append", required=True, help="CSV or CSV.XZ, again for more")
    valid = ", ".join((*NIGHTS, *(f"{name}:N" for name in ARMS)))
    parser.add_argument("--arms", default=",".join(CHEAP), help=f"of: {valid}")
    parser.add_argument("--worlds", default=",".join(WORLDS))
    parser.add_argument("--budget", type=int, default=60, help="replicates")
    parser.add_argument("--repetitions", type=int, default=50)
    parser.add_argument("--first", type=int, default=0, help="number of the first repetition, from which its seeds are")
    parser.add_argument("--default", type=json.loads, default=None, help="the baseline as JSON, by column")
    parser.add_argument("--json", action="store_true")
    wanted = parser.parse_args()
    arms = wanted.arms.split(",")
    for name in arms:
        if name not in NIGHTS and name.partition(":")[0] not in ARMS:
            parser.error(f"--arms {name}: no such arm; valid: {valid}")
    results = []
    for path in wanted.table:
        try:
            table = read_table(path, wanted.default)
        except (InvalidInput, OSError) as error:
            parser.error(str(error))
        for kind in wanted.worlds.split(","):
            ended = compared(table, kind, arms, wanted.budget, wanted.repetitions, wanted.first)
            results.append(ended)
            if not wanted.json:
                sys.stdout.write(in_words(ended))
                sys.stdout.flush()
    if wanted.json:
        sys.stdout.write(json.dumps(results, indent=2) + "\n")


def compared(
    table: Table, kind: str, names: Sequence[str], budget: int, repetitions: int, first: int = 0
) -> dict[str, Any]:
    """Every arm on one world, the same seeds for each."""
    truths, seconds, nights = {}, {}, {}
    world = None if kind in DRAWN else Surrogate(table, kind)
    default = TUNED if kind == "narrow" else None if world is None else world.truth(table.default)
    numbers = range(first, first + repetitions)
    with ProcessPoolExecutor(usable_cores(), initializer=_begin, initargs=(table, kind, world)) as pool:
        for name in names:
            if kind == "pool" and name in NIGHTS:
                continue  # half of a table's seeds are too few to search and to prove with
            ended = list(pool.map(_one, [name] * repetitions, [budget] * repetitions, numbers))
            truths[name] = np.array([one.truth for one in ended])
            seconds[name] = float(np.mean([one.seconds for one in ended]))
            nights[name] = _proofs([one for one in ended if isinstance(one, Night)], default)
    return {
        "table": table.name, "world": kind, "budget": budget, "repetitions": repetitions,
        "r2": None if world is None else round(world.r2, 3), "default": None if default is None else round(default, 3),
        "luck": None if kind == "pool" else round(luck(world or Narrow(table, first)), 3),
        "arms": [asdict(_outcome(name, truths, seconds[name], nights[name])) for name in truths],
    }  # fmt: skip


def luck(world: Surrogate | Narrow) -> float:
    """The mean truth of a config that is drawn blindly: what a search must beat, as 0 is the worst and 1 the best."""
    draw, space = np.random.default_rng(0), world.table.space
    return float(np.mean([world.truth(space.point(draw.random(len(space.dimensions)))) for _ in range(LUCK)]))


_WORLD: dict[str, Any] = {}


def _begin(table: Table, kind: str, world: Surrogate | None) -> None:
    _WORLD.update(table=table, drawn=DRAWN.get(kind), world=world, arms={})


def _one(name: str, budget: int, seed: int) -> Any:
    world = _WORLD["world"] or _WORLD["drawn"](_WORLD["table"], seed)
    if name == "product":
        return product_night(world, budget, seed)
    if name == "night":
        return night(ARMS["race"](1), world, budget, seed)
    return search(_arm(name), world, budget, seed)


def _arm(name: str) -> Arm:
    kind, _, replicates = name.partition(":")
    made: dict[str, Arm] = _WORLD["arms"]
    if name not in made:
        for other in made.values():
            if isinstance(other, ApartArm):
                other.close()
        made[name] = ARMS[kind](int(replicates or 1))
    return made[name]


def _outcome(name: str, truths: dict[str, Any], seconds: float, proof: dict[str, int] | None) -> Outcome:
    mine = truths[name]
    low, high = interval(mine)
    others = [other for other in truths if other != name and other not in NIGHTS] or [name]
    best = max(others, key=lambda other: truths[other].mean())
    away = mine - truths[best]
    forms = [other for other in truths if other.partition(":")[0] == AGAINST] or [name]
    rival = truths[max(forms, key=lambda other: truths[other].mean())]
    wins = float(np.mean((mine > rival + 1e-9) + 0.5 * (np.abs(mine - rival) <= 1e-9)))
    return Outcome(
        name, round(float(mine.mean()), 3), low, high, round(float(np.quantile(mine, 0.1)), 3),
        round(float(away.mean()), 3), interval(away)[0], round(wins, 3), round(seconds, 4), proof,
    )  # fmt: skip


def _proofs(nights: Sequence[Night], default: float | None) -> dict[str, int] | None:
    if not nights or default is None:
        return None
    named = [one for one in nights if one.contender is not None]
    return {
        "named": len(named), "proven": sum(one.proven for one in named),
        "false": sum(one.proven and float(one.contender or 0) <= default for one in named),
        "missed": sum(not one.proven and float(one.contender or 0) > default for one in named),
    }  # fmt: skip


def in_words(found: dict[str, Any]) -> str:
    """A world's outcomes as lines."""
    fit = "" if found["r2"] is None else f"R² {found['r2']}, "
    what = (
        "half of the seeds as truth"
        if found["default"] is None
        else f"{fit}default {found['default']}, luck {found['luck']}"
    )
    lines = [f"{found['table']}, {found['world']} ({what}), {found['budget']} replicates, {found['repetitions']} times"]
    lines.append(f"  {'arm':10} {'mean':>6} {'95 %':>15} {'tenth':>6} {'to best':>8} {'from':>7} {'wins':>6} {'s':>8}")
    for one in found["arms"]:
        span = f"{one['low']:.3f} to {one['high']:.3f}"
        lines.append(
            f"  {one['arm']:10} {one['mean']:6.3f} {span:>15} {one['tenth']:6.3f} {one['to_best']:+8.3f} "
            f"{one['to_best_low']:+7.3f} {one['wins']:6.1%} {one['seconds']:8.4f}"
            + (f"  {one['proof']}" if one["proof"] else "")
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
