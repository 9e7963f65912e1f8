"""What is said of keys in worlds whose truth is known: `.venv/bin/python -m benchmarks.effects [--worlds 24]`.

Made-up worlds: nothing matters; one key does; two keys do, but only together (XOR); three do. Beside them a model
fitted to real trainings of cartpole. Configs are chosen as a search chooses them, spread at first, then most of them
near the best and some of the best once more, so that what was tried depends on luck (`--by near`); or by the race
itself, which takes ten times as long (`--by race`), or at random (`--by random`).
"""

import argparse
import itertools
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import qmc

from benchmarks.arms.table import read_table
from benchmarks.arms.worlds import Surrogate
from benchmarks.common import tell
from benchmarks.nights import upper
from lab.search import BASELINE, Effect, Effects, History, Point, RaceArm, Range, SearchSpace, Trial, effects_of
from training import usable_cores

Places = NDArray[np.float64]
TABLE = Path(__file__).parent / "tables" / "puffer_cartpole.csv.xz"
SIZES = ((5, 40), (20, 60), (20, 120))
"""Keys, and replicates."""
KINDS = ("nothing", "one", "together", "three")
NOISE = 0.3
"""Standard deviation between replicates, where a key moves the score by 1."""
NEAR, AGAIN, RANDOM = 0.1, 0.2, 0.15
"""Of a search: how far from the best it looks, how often it trains the best once more, or draws anywhere."""
BEST = 4
POWER = 11
"""True shares are worked out from 2 to this power of points."""


Score = Callable[[Point], float]


def raced(space: SearchSpace, draw: np.random.Generator, count: int, score: Score) -> History:
    """A history of so many replicates, as the race leaves it."""
    base = space.point(draw.random(len(space.dimensions)))
    trials = [Trial(base, tuple(score(base) for _ in range(BASELINE)))]
    for used in range(BASELINE, count):
        (ask,) = RaceArm().propose(History(space, tuple(trials), left=count - used), 1)
        at = len(trials) if ask.trial is None else ask.trial
        old = trials[at].scores if ask.trial is not None else ()
        trials[at : at + 1] = [Trial(ask.point, (*old, score(ask.point)))]
    return History(space, tuple(trials))


def at_random(space: SearchSpace, draw: np.random.Generator, count: int, score: Score) -> History:
    """A history of so many replicates, one for each config, the first one's as of a baseline."""
    trials = []
    for number in range(count - BASELINE + 1):
        point = space.point(draw.random(len(space.dimensions)))
        trials.append(Trial(point, tuple(score(point) for _ in range(BASELINE if number == 0 else 1))))
    return History(space, tuple(trials))


def near(space: SearchSpace, draw: np.random.Generator, count: int, score: Score) -> History:
    """A history of so many replicates, as a search leaves it that looks near the best and has no model."""
    width, trials = len(space.dimensions), list[Trial]()
    first = qmc.LatinHypercube(width, seed=draw).random(max(12, width))
    for number in range(count):
        ranked = sorted(range(len(trials)), key=lambda at: -trials[at].mean)[:BEST]
        if number < len(first):
            places = first[number]
        elif draw.random() < AGAIN:
            at = int(draw.choice(ranked))
            trials[at] = replace(trials[at], scores=(*trials[at].scores, score(trials[at].point)))
            continue
        elif draw.random() < RANDOM:
            places = draw.random(width)
        else:
            step = NEAR * draw.standard_normal(width) * (draw.random(width) < 0.5)
            places = np.clip(space.places(trials[int(draw.choice(ranked))].point) + step, 0, 1)
        point = space.point(places)
        trials.append(Trial(point, (score(point),)))
    return History(space, tuple(trials))


BY = {"near": near, "race": raced, "random": at_random}


@dataclass(frozen=True)
class World:
    """A made-up one: keys `k0`, `k1`, …, each from 0 to 1."""

    kind: str
    keys: int
    top: tuple[float, ...]
    """Where `k0`, `k1` and `k2` are best."""

    def alone(self, key: int, place: Places) -> Places:
        """What a key does by itself, 0 to 1: it falls off on both sides of its best place."""
        planted = {"one": 1, "three": 3}.get(self.kind, 0)
        return np.maximum(0.0, 1 - 2 * np.abs(place - self.top[key])) if key < planted else 0 * place

    def score(self, point: Point, draw: np.random.Generator) -> float:
        """Of one replicate."""
        places = np.array([float(point[f"k{at}"] or 0) for at in range(self.keys)])
        together = self.kind == "together" and bool((places[0] > 0.5) != (places[1] > 0.5))
        return float(sum(self.alone(at, places[at]) for at in range(3)) + together + NOISE * draw.standard_normal())


def made_up(by: str, kind: str, keys: int, count: int, number: int) -> dict[str, float]:
    """What is said of one world, judged."""
    draw = np.random.default_rng([17, KINDS.index(kind), keys, count, number])
    space = SearchSpace(tuple(Range(f"k{at}", 0.0, 1.0) for at in range(keys)))
    world = World(kind, keys, tuple(draw.uniform(0.15, 0.85, 3)))
    found = effects_of(BY[by](space, draw, count, lambda point: world.score(point, draw)))
    planted = {"k0"} if kind == "one" else {"k0", "k1", "k2"} if kind == "three" else set()
    pairs = {("k0", "k1")} if kind == "together" else set()
    named = [one for one in found.found if one.keys[0] in planted]
    tops = [world.top[int(one.keys[0][1:])] for one in named]
    truths = [_between(one, partial(world.alone, int(one.keys[0][1:]))) for one in named]
    wanted = planted if kind != "together" else pairs
    return {
        "false": any(one.keys[0] not in planted for one in found.found) and kind != "together",
        "false_pair": any(one.keys not in pairs for one in found.together),
        "found": len(named) / len(planted) if planted else float(any(one.keys in pairs for one in found.together)),
        "named": len(named), "wanted": len(wanted),
        "covered": sum(_covers(one, top) for one, top in zip(named, tops, strict=True)),
        "over": sum(one.low > truth for one, truth in zip(named, truths, strict=True)),
        "under": sum(one.high < truth for one, truth in zip(named, truths, strict=True)),
        "width": sum(end[1] - end[0] for one in named if (end := one.best[0].ends)),
        "silent": found.lacking is not None,
    }  # fmt: skip


def _covers(one: Effect, top: float) -> bool:
    return one.best[0].ends is not None and one.best[0].ends[0] <= top <= one.best[0].ends[1]


def _between(one: Effect, truth: Callable[[Places], Places]) -> float:
    """How much better the best region of an effect is than its worst one, in truth."""
    means = []
    for span in (one.best[0], one.worst[0]):
        low, high = span.ends or (0.0, 1.0)
        means.append(float(truth(np.linspace(low, high, 101)).mean()))
    return means[0] - means[1]


def summed(kind: str, keys: int, count: int, judged: list[dict[str, float]]) -> dict[str, Any]:
    """Over all worlds of a kind."""
    worlds, total = len(judged), {name: sum(one[name] for one in judged) for name in judged[0]}
    told = {"world": kind, "keys": keys, "replicates": count, "worlds": worlds, "silent": int(total["silent"]),
            "false_key": int(total["false"]), "false_key_upper": round(upper(int(total["false"]), worlds), 3),
            "false_pair": int(total["false_pair"])}  # fmt: skip
    if kind == "nothing":
        return told
    named = max(1.0, total["named"])
    more = {"covers_best": round(total["covered"] / named, 3), "says_too_much": round(total["over"] / named, 3),
            "says_too_little": round(total["under"] / named, 3),
            "region": round(total["width"] / named, 3)}  # fmt: skip
    return {**told, "found": round(total["found"] / worlds, 3), **(more if kind != "together" else {})}


def true_shares(world: Surrogate) -> dict[str, float]:
    """First-order Sobol indices of a fitted model (Saltelli et al. 2010, estimator b)."""
    keys = [dim.key for dim in world.table.space.dimensions]
    both = qmc.Sobol(2 * len(keys), seed=0).random_base2(POWER)
    one, other = both[:, : len(keys)], both[:, len(keys) :]
    here, there = world.means(one), world.means(other)
    shares = {}
    for at, key in enumerate(keys):
        mixed = one.copy()
        mixed[:, at] = other[:, at]
        shares[key] = float((there * (world.means(mixed) - here)).mean() / np.concatenate([here, there]).var())
    return shares


def cartpole(by: str, world: Surrogate, count: int, number: int) -> Effects:
    """What is said after a search on cartpole's surrogate."""
    draw = np.random.default_rng([19, count, number])
    return effects_of(BY[by](world.table.space, draw, count, lambda point: world.draw(point, 1, draw)[0]))


def on_cartpole(pool: ProcessPoolExecutor, by: str, worlds: int) -> dict[str, Any]:
    """How often each key is named on cartpole's surrogate, the mean share that it is given, and its true share."""
    world = Surrogate(read_table(TABLE), "trees")
    truth = true_shares(world)
    told: dict[str, Any] = {}
    for count in (60, 120):
        said = list(pool.map(partial(cartpole, by, world, count), range(worlds)))
        shares: dict[str, list[float]] = {}
        for one in itertools.chain.from_iterable(found.found for found in said):
            shares.setdefault(one.keys[0], []).append(one.share)
        told[f"{count} replicates"] = {
            key: {"true": round(share, 3), "named": len(shares.get(key, [])),
                  "share": round(float(np.mean(shares[key])), 3) if key in shares else None}
            for key, share in sorted(truth.items(), key=lambda item: -item[1]) if share >= 0.02 or key in shares
        }  # fmt: skip
    return told


def main() -> None:
    """Print what is found, what is not there and said all the same, and how often regions and intervals hold."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--worlds", type=int, default=24, help="of each kind")
    parser.add_argument("--by", choices=BY, default="near")
    parser.add_argument("--kinds", default=",".join(KINDS))
    parser.add_argument("--no-table", action="store_true")
    wanted = parser.parse_args()
    with ProcessPoolExecutor(usable_cores()) as pool:
        results = [
            summed(kind, *size, list(pool.map(partial(made_up, wanted.by, kind, *size), range(wanted.worlds))))
            for kind, size in itertools.product(wanted.kinds.split(","), SIZES)
        ]
        table = {} if wanted.no_table else on_cartpole(pool, wanted.by, wanted.worlds)
    tell("what is said of keys, in worlds whose truth is known", by=wanted.by, results=results, cartpole=table)


if __name__ == "__main__":
    main()
