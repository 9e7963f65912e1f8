"""How often the search's predictions hold: `.venv/bin/python -m benchmarks.predictions --table FILE [--table FILE]`.

Nights of the race on tasks whose truth is known (`benchmarks/arms`): each new config is foretold before its first
replicate is drawn, and the forecast is scored on that replicate alone, whatever the race adds to it later. Beside it
what "as the baseline, give or take its noise" scores. An interval is meant to hold in four of five cases.
"""

import argparse
import math
import statistics
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.arms.table import read_table
from benchmarks.arms.worlds import Surrogate
from benchmarks.common import tell
from lab.judge import NEIGHBOURHOOD, interval_score
from lab.search import ARMS, BASELINE, History, Trial, forecast

Z = statistics.NormalDist().inv_cdf((1 + NEIGHBOURHOOD) / 2)


def night(world: Surrogate, budget: int, seed: int) -> list[tuple[bool, float, float]]:
    """Of each new config of a night: whether its interval held, its score, and that of saying `no change`."""
    random, arm, table = np.random.default_rng([9, seed]), ARMS["race"](1), world.table
    trials = [Trial(table.default, tuple(world.draw(table.default, BASELINE, random)))]
    base, sd = trials[0].mean, statistics.stdev(trials[0].scores)
    half, made = Z * sd * math.sqrt(2), []
    for used in range(BASELINE, budget):
        history = History(table.space, tuple(trials), seed, budget - used)
        ask = arm.propose(history, 1)[0]
        (came,) = world.draw(ask.point, 1, random)
        if ask.trial is not None:
            trials[ask.trial] = replace(trials[ask.trial], scores=(*trials[ask.trial].scores, came))
            continue
        said = forecast(history, ask.point, NEIGHBOURHOOD, world.bounds)
        assert said is not None  # noqa: S101 - the baseline has scores
        reference = interval_score(base - half, base + half, NEIGHBOURHOOD, came)
        score = interval_score(said.low, said.high, NEIGHBOURHOOD, came)
        made.append((said.low <= came <= said.high, score, reference))
        trials.append(Trial(ask.point, (came,)))
    return made


def main() -> None:
    """Print how often intervals held, and what they were worth."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--table", type=Path, action="append", required=True)
    parser.add_argument("--world", default="trees")
    parser.add_argument("--budget", type=int, default=60)
    parser.add_argument("--predictions", type=int, default=200)
    wanted = parser.parse_args()
    results = []
    for path in wanted.table:
        world, made, seed = Surrogate(read_table(path), wanted.world), list[tuple[bool, float, float]](), 0
        while len(made) < wanted.predictions:
            made += night(world, wanted.budget, seed)
            seed += 1
        held, scores, references = zip(*made, strict=True)
        skill = 1 - math.fsum(scores) / math.fsum(references)
        results.append({"table": world.table.name, "predictions": len(made), "nights": seed,
                        "held": round(statistics.fmean(held), 3), "skill": round(skill, 3)})  # fmt: skip
    tell("predictions of the search's model on tasks whose truth is known", meant=NEIGHBOURHOOD, results=results)


if __name__ == "__main__":
    main()
