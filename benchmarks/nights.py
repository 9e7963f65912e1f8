"""How often the statistics are wrong, by simulation: `.venv/bin/python -m benchmarks.nights [--plot FILE]`.

The functions that judge real runs (`lab.judge.stats.compare`, `lab.judge.sequential`) on made-up replicates, under
noise of four shapes of the same standard deviation: normal, skewed (exponential), bimodal (two modes three tenths and
seven tenths of the time, as in a task that some seeds never solve), and cartpole's own: draws from 150 replicates of
its quick preset that were trained for real.

How often two equal configs of three seeds are called different, and how often an effect of three standard deviations is
found; and how often a contender that is better by a given size is crowned, at which cost in fresh seeds. Beside it what
many do: keep whatever scored best. With `--statistics`: how the proof fares for objectives of the worst, the
interquartile mean or the median. Nights in which nothing is better are those of `benchmarks.arms.null`.
"""

import argparse
import itertools
import json
import math
import sys
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.common import tell
from lab.judge import Plan, compare, level_for, look
from lab.space import NAMED, Objective, Statistic, weights
from training import usable_cores

PAIRS, SEEDS, BASELINE = 10_000, 3, 5
EFFECTS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0)
POWER_TRIALS = 400
MIN_EFFECT = 0.5
"""Standard deviations: the smallest effect that matters, where nobody says another."""
RECORDED = Path(__file__).resolve().parents[1] / "tests" / "data" / "replicates" / "preset.jsonl"
GOAL = Objective("score", "max")
Draw = Callable[[int], NDArray[np.float64]]


def noise(shape: str, random: np.random.Generator) -> Draw:
    """Draws of mean 0 and standard deviation 1."""
    if shape == "normal":
        return random.standard_normal
    if shape == "skewed":
        return lambda n: 1.0 - random.standard_exponential(n)
    if shape == "cartpole":
        scores = np.array([json.loads(line)["result"]["metrics"]["perf"] for line in RECORDED.read_text().splitlines()])
        return lambda n: random.choice((scores - scores.mean()) / scores.std(), n)
    low, spread = 0.3, 0.1  # the share of the lower mode; the width of both, beside their distance
    distance = math.sqrt((1 - spread**2) / (low * (1 - low)))

    def bimodal(n: int) -> NDArray[np.float64]:
        mode = np.where(random.random(n) < low, -(1 - low) * distance, low * distance)
        return mode + spread * random.standard_normal(n)

    return bimodal


SHAPES = ("normal", "skewed", "bimodal", "cartpole")


def upper(hits: int, of: int) -> float:
    """The upper end of the exact two-sided 95 % interval of a share (Clopper & Pearson 1934)."""
    from scipy.stats import binomtest

    return float(binomtest(hits, of).proportion_ci(0.95).high)


def pairs(shape: str) -> dict[str, float]:
    """Two configs of three seeds each: called different when equal, and found when 3 standard deviations apart."""
    draw = noise(shape, np.random.default_rng(1))
    called = sum(compare(draw(SEEDS), draw(SEEDS), GOAL).verdict != "inconclusive" for _ in range(PAIRS))
    found = sum(compare(draw(SEEDS) + 3.0, draw(SEEDS), GOAL).verdict == "better" for _ in range(PAIRS))
    return {"equal_called_different": called / PAIRS, "upper_bound": round(upper(called, PAIRS), 4),
            "found_at_3_sd": found / PAIRS}  # fmt: skip


def proof(
    contender: Callable[[int], Iterable[float]],
    incumbent: Callable[[int], Iterable[float]],
    plan: Plan,
    goal: Objective = GOAL,
) -> tuple[bool, list[float], list[float]]:
    """Fresh seeds of both sides, look by look: whether the contender is confirmed, and what each side scored.

    Args:
        contender: gives so many scores of it.
        incumbent: the same of the other side.
        plan: as it was laid down.
        goal: what sums up the seeds of a side.
    """
    new: list[float] = []
    old: list[float] = []
    while True:
        new.extend(contender(plan.group))
        old.extend(incumbent(plan.group))
        seen = look(new, old, plan, goal)
        if seen.decision != "continue":
            return seen.decision == "confirmed", new, old


def power(shape: str, effect: float) -> dict[str, float]:
    """A contender that is better by so many standard deviations: how often it is crowned, and at which cost."""
    draw = noise(shape, np.random.default_rng([3, int(100 * effect)]))
    plan = Plan(level_for(1), MIN_EFFECT)
    crowned = greedy = used = 0
    for _ in range(POWER_TRIALS):
        greedy += int((draw(SEEDS) + effect).mean() > draw(BASELINE).mean())
        won, new, old = proof(lambda n: draw(n) + effect, draw, plan)
        crowned, used = crowned + int(won), used + len(new) + len(old)
    return {"effect_sd": effect, "crowned": crowned / POWER_TRIALS, "keep_if_better": greedy / POWER_TRIALS,
            "fresh_seeds": round(used / POWER_TRIALS, 2)}  # fmt: skip


WIDE, DEPTH = 4.0, 6.0
"""Spread of a contender that is wide, its inverse that of a narrow one; depth of a collapse; in standard deviations."""
WIDTHS = (1.0, WIDE, 1 / WIDE)
BETTER, LACKS = (1.0, 2.0, 3.0), (1 / 8, 1 / 4, 2 / 5, 1 / 2, 2 / 3)
"""By how much a contender is better; shares of seeds on which an incumbent collapses, and its contender does not."""
FALSE_TRIALS, FOUND_TRIALS = 200, 100


def confirmed(statistic: Statistic, kind: str, size: float, trials: int) -> dict[str, float | str]:
    """How often a contender is confirmed by a statistic, against an incumbent with normal noise.

    Args:
        statistic: what sums up a side.
        kind: `level`: its spread is `size` times the incumbent's, and what the statistic of all seeds of a proof is
            expected to be is the same, so that no confirmation is right; `shift`: it is better by `size`; `collapse`:
            they are equal, but the incumbent collapses on that share of its seeds.
        size: see there.
        trials: proofs that are played.
    """
    random = np.random.default_rng([5, NAMED.index(statistic), int(100 * size)])
    goal = replace(GOAL, statistic=statistic)
    plan, draw, shift = Plan(level_for(1), 0.0), random.standard_normal, size if kind == "shift" else 0.0
    width, share = size if kind == "level" else 1.0, size if kind == "collapse" else 0.0
    if kind == "level":
        expected = np.sort(draw((20_000, plan.cap))) @ np.array(weights(statistic, plan.cap))
        shift = (1 - width) * float(expected.mean())
    won = sum(
        proof(lambda n: width * draw(n) + shift, lambda n: draw(n) - DEPTH * (random.random(n) < share), plan, goal)[0]
        for _ in range(trials)
    )
    return {
        "statistic": statistic,
        kind: round(size, 3),
        "confirmed": won / trials,
        "upper": round(upper(won, trials), 3),
    }


def beyond_the_mean() -> None:
    """Print how the proof fares for objectives of another statistic than the mean."""
    cases = [("level", size, FALSE_TRIALS) for size in WIDTHS]
    cases += [(kind, size, FOUND_TRIALS) for kind, of in (("shift", BETTER), ("collapse", LACKS)) for size in of]
    wanted = [(statistic, *case) for statistic in NAMED for case in cases]
    with ProcessPoolExecutor(usable_cores()) as pool:
        tell("proofs by another statistic than the mean", results=list(pool.map(confirmed, *zip(*wanted, strict=True))))


def plot(curves: dict[str, list[dict[str, float]]], path: Path) -> None:
    """Power and cost against the size of the effect."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    for shape, points in curves.items():
        at = [point["effect_sd"] for point in points]
        left.plot(at, [point["crowned"] for point in points], marker="o", label=f"crowned ({shape} noise)")
        right.plot(at, [point["fresh_seeds"] for point in points], marker="o", label=f"{shape} noise")
    normal = curves["normal"]
    at = [point["effect_sd"] for point in normal]
    left.plot(at, [point["keep_if_better"] for point in normal], "k--", label="keep whatever scores better (normal)")
    left.set(xlabel="true effect, standard deviations between seeds", ylabel="share of contenders", ylim=(-0.02, 1.02))
    right.set(xlabel="true effect, standard deviations between seeds", ylabel="fresh seeds of both sides",
              ylim=(0, None))  # fmt: skip
    left.legend(frameon=False, fontsize=8)
    right.legend(frameon=False, fontsize=8)
    for axes in (left, right):
        axes.grid(alpha=0.3)
    figure.savefig(path, dpi=120)


def main() -> None:
    """Print everything; draw the plot if asked to."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--statistics", action="store_true", help="proofs by worst, iqm and median alone")
    wanted = parser.parse_args()
    if wanted.statistics:
        beyond_the_mean()
        return
    with ProcessPoolExecutor(usable_cores()) as pool:
        two = dict(zip(SHAPES, pool.map(pairs, SHAPES), strict=True))
        points = list(pool.map(power, *zip(*itertools.product(SHAPES, EFFECTS), strict=True)))
    curves = {shape: points[i * len(EFFECTS) : (i + 1) * len(EFFECTS)] for i, shape in enumerate(SHAPES)}
    results: dict[str, Any] = {"pairs_of_three_seeds": two, "power": curves}
    tell("error rates of the verdicts and power of a proof, by simulation", pairs=PAIRS, **results)
    if wanted.plot:
        plot(curves, wanted.plot)
        sys.stderr.write(f"{wanted.plot}\n")


if __name__ == "__main__":
    main()
