"""How often the statistics are wrong, by simulation: `.venv/bin/python -m benchmarks.nights [--plot FILE]`.

The functions that judge real runs (`lab.judge.stats.compare`, `lab.judge.sequential`) on made-up replicates, under
noise of four shapes of the same standard deviation: normal, skewed (exponential), bimodal (two modes three tenths and
seven tenths of the time, as in a task that some seeds never solve), and cartpole's own: draws from 150 replicates of
its quick preset that were trained for real.

Three questions: how often two equal configs of three seeds are called different, and how often an effect of three
standard deviations is found; how many nights of 50 equal configs end with a false incumbent, where the one that scored
best on its one seed is the contender; and how often a contender that is better by a given size is crowned, at which
cost in replicates. Beside it what many do: keep whatever scored best.
"""

import argparse
import itertools
import json
import math
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.common import tell
from lab.judge import GROUP, Plan, compare, level_for, look
from training import usable_cores

PAIRS, NIGHTS, CONFIGS, SEEDS, BASELINE = 10_000, 1_000, 50, 3, 5
EFFECTS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0)
POWER_TRIALS = 400
MIN_EFFECT = 0.5
"""Standard deviations: the smallest effect that matters, where nobody says another."""
RECORDED = Path(__file__).resolve().parents[1] / "tests" / "data" / "replicates" / "preset.jsonl"
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
    called = sum(compare(draw(SEEDS), draw(SEEDS), "max").verdict != "inconclusive" for _ in range(PAIRS))
    found = sum(compare(draw(SEEDS) + 3.0, draw(SEEDS), "max").verdict == "better" for _ in range(PAIRS))
    return {"equal_called_different": called / PAIRS, "upper_bound": round(upper(called, PAIRS), 4),
            "found_at_3_sd": found / PAIRS}  # fmt: skip


def confirmation(candidate: Draw, incumbent: Iterator[float], plan: Plan) -> tuple[bool, int]:
    """One confirmation: how it ends and the fresh seeds of the candidate."""
    new: list[float] = []
    old: list[float] = []
    while True:
        new += candidate(plan.group).tolist()
        old += itertools.islice(incumbent, plan.group)
        found = look(new, old, plan, "max")
        if found.decision != "continue":
            return found.decision == "confirmed", len(new)


def night(shape: str, seed: int) -> tuple[bool, bool, int]:
    """Fifty configs no better than the baseline: a false incumbent, one by keeping the best, replicates in all."""
    draw = noise(shape, np.random.default_rng([2, seed]))
    baseline, firsts = draw(BASELINE), draw(CONFIGS)
    greedy = bool(firsts.max() > baseline.mean())
    crowned, more = confirmation(draw, _endless(draw), Plan(level_for(1), MIN_EFFECT))  # all are alike: no matter which
    return crowned, greedy, BASELINE + CONFIGS + 2 * more


def power(shape: str, effect: float) -> dict[str, float]:
    """A contender that is better by so many standard deviations: how often it is crowned, and at which cost."""
    draw = noise(shape, np.random.default_rng([3, int(100 * effect)]))
    plan = Plan(level_for(1), MIN_EFFECT)
    crowned = greedy = used = 0
    for _ in range(POWER_TRIALS):
        baseline, first = draw(BASELINE), draw(1) + effect
        greedy += int(first.mean() > baseline.mean())
        won, more = confirmation(lambda n: draw(n) + effect, _endless(draw), plan)
        crowned, used = crowned + int(won), used + 1 + 2 * more
    return {"effect_sd": effect, "crowned": crowned / POWER_TRIALS, "keep_if_better": greedy / POWER_TRIALS,
            "replicates": round(used / POWER_TRIALS, 2)}  # fmt: skip


def _endless(draw: Draw) -> Iterator[float]:
    while True:
        yield from draw(GROUP).tolist()


def nights(shape: str) -> dict[str, float]:
    """A thousand nights of fifty equal configs."""
    found = [night(shape, seed) for seed in range(NIGHTS)]
    false = sum(crowned for crowned, _, _ in found)
    return {"false_incumbent": false / NIGHTS, "upper_bound": round(upper(false, NIGHTS), 4),
            "keep_if_better_false_incumbent": sum(greedy for _, greedy, _ in found) / NIGHTS,
            "replicates_per_night": round(float(np.mean([used for _, _, used in found])), 1)}  # fmt: skip


def plot(curves: dict[str, list[dict[str, float]]], path: Path) -> None:
    """Power and cost against the size of the effect."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    for shape, points in curves.items():
        at = [point["effect_sd"] for point in points]
        left.plot(at, [point["crowned"] for point in points], marker="o", label=f"crowned ({shape} noise)")
        right.plot(at, [point["replicates"] for point in points], marker="o", label=f"{shape} noise")
    normal = curves["normal"]
    at = [point["effect_sd"] for point in normal]
    left.plot(at, [point["keep_if_better"] for point in normal], "k--", label="keep whatever scores better (normal)")
    left.set(xlabel="true effect, standard deviations between seeds", ylabel="share of contenders", ylim=(-0.02, 1.02))
    right.set(xlabel="true effect, standard deviations between seeds", ylabel="replicates spent per contender",
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
    wanted = parser.parse_args()
    with ProcessPoolExecutor(usable_cores()) as pool:
        two = dict(zip(SHAPES, pool.map(pairs, SHAPES), strict=True))
        whole = dict(zip(SHAPES, pool.map(nights, SHAPES), strict=True))
        points = list(pool.map(power, *zip(*itertools.product(SHAPES, EFFECTS), strict=True)))
    curves = {shape: points[i * len(EFFECTS) : (i + 1) * len(EFFECTS)] for i, shape in enumerate(SHAPES)}
    results: dict[str, Any] = {"pairs_of_three_seeds": two, "nights_of_50_equal_configs": whole, "power": curves}
    tell("error rates of the verdicts and of who becomes incumbent, by simulation", pairs=PAIRS, nights=NIGHTS,
         **results)  # fmt: skip
    if wanted.plot:
        plot(curves, wanted.plot)
        sys.stderr.write(f"{wanted.plot}\n")


if __name__ == "__main__":
    main()
