"""How often equal arms are told apart: `.venv/bin/python -m benchmarks.arms.equal [--nights 400] [--arm tpe]`.

Two arms that are the same search, each with draws and a record of its own, in made-up worlds: one where all configs
are alike, and those where three of six keys decide, with noise between replicates of a fifth, three fifths or nearly
twice the spread of configs. The arms have as many replicates each, or one has four times those of the other; or there
are four of them. Counted are the nights in which one is said to be ahead beyond noise (`said`, of arms that are equal
each such sentence is wrong), those in which the leader of the arm that is said to be ahead is not better than the
other's (`wrong config`), and for comparison those in which the intervals alone would have said so (`by interval
alone`), which they do of a config that is truly better, by luck of the draw.
"""

import argparse
import itertools
from concurrent.futures import ProcessPoolExecutor

import numpy as np

from benchmarks.common import tell
from benchmarks.nights import upper
from lab.search import ARMS, BASELINE, History, Point, Range, SearchSpace, Trial
from lab.search.standing import Contest, Replicate, stand
from training import usable_cores

SPACE = SearchSpace(tuple(Range(f"key{at}", 0.0, 1.0) for at in range(6)))
NOISES = {"nothing matters": 0.0, "little noise": 3.0, "some noise": 1.0, "much noise": 1 / 3}
"""World to how steep it is: configs spread by 1.66 times that, in standard deviations between replicates of one."""
SHARES = {"equal": (20, 20), "one in five": (64, 16), "four arms": (16, 16, 16, 16)}
"""Replicates of each arm."""


def level(point: Point, apart: float) -> float:
    """The mean score of a config."""
    x = np.array([float(point[f"key{at}"] or 0) for at in range(6)])
    return apart * float(6.0 - 8.0 * ((x[:3] - (0.7, 0.3, 0.5)) ** 2).sum())


def night(arm: str, world: str, share: str, number: int) -> tuple[bool, bool, bool]:
    """Whether something is said of equal arms; whether that is wrong of the configs; whether intervals alone say it."""
    draw = np.random.default_rng([17, number, sorted(ARMS).index(arm), list(NOISES).index(world)])
    apart, base = NOISES[world], dict.fromkeys((f"key{at}" for at in range(6)), 0.5)
    first = tuple(float(score) for score in level(base, apart) + draw.standard_normal(BASELINE))
    points, owners, replicates = [base], [""], [Replicate(0, score) for score in first]
    spent = list[list[Replicate]]()
    for name, count in enumerate(SHARES[share]):
        proposer, mine = ARMS[arm](1), [0]
        trials, own = [Trial(base, first)], list[Replicate]()
        for _ in range(count):
            history = History(SPACE, tuple(trials), seed=int(draw.integers(2**31)), left=count - len(own))
            ask = proposer.propose(history, 1)[0]
            score = level(ask.point, apart) + float(draw.standard_normal())
            if ask.trial is None:
                mine.append(len(points))
                points.append(ask.point)
                owners.append(f"arm {name}")
                trials.append(Trial(ask.point, (score,)))
            else:
                trials[ask.trial] = Trial(ask.point, (*trials[ask.trial].scores, score))
            own.append(Replicate(mine[-1 if ask.trial is None else ask.trial], score))
        spent.append(own)
    mixed = [one for step in itertools.zip_longest(*spent) for one in step if one is not None]
    runs = tuple(str(at) for at in range(len(points)))
    contest = Contest(SPACE, tuple(points), tuple(owners), runs, (*replicates, *mixed))
    standing = stand(contest, 4)
    leaders = {one.arm: points[int(one.at_equal.run)] for one in standing.arms if one.at_equal}
    truth = {name: level(point, apart) for name, point in leaders.items()}
    said = [one for one in standing.ahead if one.beyond_noise]
    wrong = any(truth[one.arm] <= truth[one.than] for one in said)
    return bool(said), wrong, any(one.low > 0 for one in standing.ahead)


def shares(arm: str, world: str, share: str, nights: int) -> dict[str, float | int | str]:
    """How many of so many nights say something, with the upper end of the exact 95 % interval."""
    found = [night(arm, world, share, number) for number in range(nights)]
    said, wrong, alone = (sum(column) for column in zip(*found, strict=True))
    counted = {"said": said / nights, "upper": round(upper(said, nights), 4), "wrong config": wrong / nights}
    return {"world": world, "replicates": share, **counted, "by interval alone": alone / nights}


def main() -> None:
    """Print how often arms that are the same are told apart."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--nights", type=int, default=400)
    parser.add_argument("--arm", choices=sorted(ARMS), default="random")
    wanted = parser.parse_args()
    cases = list(itertools.product(NOISES, SHARES))
    with ProcessPoolExecutor(usable_cores()) as pool:
        arms, nights = itertools.repeat(wanted.arm), itertools.repeat(wanted.nights)
        found = list(pool.map(shares, arms, *zip(*cases, strict=True), nights))
    tell("nights in which equal arms are told apart", arm=wanted.arm, nights=wanted.nights, results=found)


if __name__ == "__main__":
    main()
