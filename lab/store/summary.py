"""What a run's replicates add up to: the common metrics, each with mean, interval and n."""

import math
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any, TypeVar

from lab.base import now
from lab.space import TRIM, Config, Objective, bounds_of, metrics_of
from lab.store.records import MetricSummary, ReplicateResult, RunRecord, Score, TrainerSummary

Kept = TypeVar("Kept")
Bounds = tuple[float | None, float | None]
CONFIDENCE = 0.95
"""Of every interval of a mean or a difference."""
COUNTS = ("sps", "agent_steps", "epoch", "cumulative_steps")
"""Metrics of the training itself, which every replicate has."""


def summary_of(record: RunRecord, config: Config, results: list[ReplicateResult]) -> TrainerSummary:
    """The summary of a finished run.

    Args:
        record: of the run.
        config: what it trained.
        results: of all its replicates, each finished; a metric counts when every one of them has it.
    """
    names = [name for name in results[0].metrics if all(name in result.metrics for result in results)]
    metrics = {name: _bounded([result.metrics[name] for result in results], name, record.env_name) for name in names}
    return TrainerSummary(
        timestamp=now(),
        run_id=record.run_id,
        train=config.train,
        env=config.env,
        vec=config.vec,
        metrics=metrics,
        greedy=_greedy(results, record.env_name),
    )


FIRST = ("success_rate", "mean_reward", "collision_rate", "episode_length", "sps", "agent_steps", "epoch")
"""Metrics that are shown before others, after the objective."""
SHOWN = 40
"""Metrics of a run that a report or an answer has room for; an environment may log thousands."""


def leading(metrics: Mapping[str, Kept], objective: str) -> dict[str, Kept]:
    """The metrics that are shown, `SHOWN` at most: the objective, the common ones, then others as they come.

    Args:
        metrics: by name.
        objective: its name.
    """
    names = dict.fromkeys(name for name in (objective, *FIRST, *metrics) if name in metrics)
    return {name: metrics[name] for name in islice(names, SHOWN)}


def oddity(values: Sequence[float], bounds: Bounds) -> str | None:
    """What to flag a metric with whose values are not all between its declared bounds; None where they are."""
    low, high = bounds
    outside = any((low is not None and value < low) or (high is not None and value > high) for value in values)
    what = "a rate, but outside 0 to 1" if bounds == (0.0, 1.0) else f"between {low} and {high}, but outside"
    return f"declared as {what}" if outside else None


def _greedy(results: list[ReplicateResult], env_name: str) -> dict[str, Any]:
    passes = [next((e for e in result.evaluations if e.actions == "greedy"), None) for result in results]
    mapped = [map_metrics(evaluation.raw, env_name) for evaluation in passes if evaluation]
    if len(mapped) < len(results):
        return {}
    names = [name for name in mapped[0] if all(name in one for one in mapped)]
    return {name: _bounded([one[name] for one in mapped], name, env_name) for name in names}


def _bounded(values: list[float], name: str, env_name: str) -> MetricSummary:
    """A metric over the replicates, its interval cut where the metric ends."""
    bounds = bounds_of(name, env_name)
    flag = oddity(values, bounds)
    return summarize(values, flag, bounds=(None, None) if flag else bounds)


def map_metrics(raw: dict[str, float], env_name: str) -> dict[str, float]:
    """What an environment logged, under the common names; names without a mapping stay as they are."""
    declared = metrics_of(env_name)
    mapped = {name: raw[metric.source] * metric.scale for name, metric in declared.items() if metric.source in raw}
    return {**{name: value for name, value in raw.items() if name != "n"}, **mapped}


def summarize(values: Sequence[float], flag: str | None = None, *, bounds: Bounds = (None, None)) -> MetricSummary:
    """Mean and its two-sided 95 % t-interval (Student 1908) over replicates.

    Args:
        values: one finite number per replicate, at least one.
        flag: what is odd about the metric, if anything.
        bounds: what the metric can't be below or above; the interval is cut there, which does not change how often it
            holds.
    """
    n = len(values)
    mean = math.fsum(values) / n
    if n < 2:
        return MetricSummary(mean=mean, low=None, high=None, n=n, values=tuple(values), flag=flag)
    from scipy.stats import t

    half = float(t.ppf((1 + CONFIDENCE) / 2, n - 1)) * spread(values) / math.sqrt(n)
    low = mean - half if bounds[0] is None else max(bounds[0], mean - half)
    high = mean + half if bounds[1] is None else min(bounds[1], mean + half)
    return MetricSummary(mean=mean, low=low, high=high, n=n, values=tuple(values), flag=flag)


def score_of(goal: Objective, metric: MetricSummary) -> Score:
    """The score of a run, or of all replicates of a config, with the interval that holds for its statistic.

    Of the mean the t-interval; of the interquartile mean that of a trimmed mean (Tukey & McLaughlin 1963), from four
    replicates on; of the median the exact one between two of the values in order (Conover 1999, chapter 3.2), from six
    replicates on. There is none of the worst: what a few replicates have not shown can be anywhere below.

    Args:
        goal: the objective.
        metric: its metric over the replicates.
    """
    low, high = _interval(goal, metric)
    same = metric.model_dump(exclude={"low", "high"})
    return Score(**same, low=low, high=high, value=goal.of_scores(metric.values), statistic=goal.statistic)


def _interval(goal: Objective, metric: MetricSummary) -> Bounds:
    """The two-sided 95 % interval of a statistic, cut where the metric ends."""
    values = metric.values
    if goal.statistic == "worst" or (goal.statistic == "median" and len(values) < ORDERED):
        return None, None
    if goal.is_mean or len(values) * TRIM < 1:
        return metric.low, metric.high
    if goal.statistic == "median":
        from scipy.stats import quantile_test

        found: Any = quantile_test(values, q=0, p=0.5).confidence_interval(CONFIDENCE)
        return float(found.low), float(found.high)
    from scipy.stats.mstats import trimmed_mean_ci

    low, high = (float(end) for end in trimmed_mean_ci(values, limits=(TRIM, TRIM), alpha=1 - CONFIDENCE))
    least, most = (None, None) if metric.flag else (goal.low, goal.high)
    return low if least is None else max(least, low), high if most is None else min(most, high)


ORDERED = 6
"""Values from which on the whole of them is a 95 % interval of their median: 1 - 2 / 2^6."""


def spread(values: Sequence[float]) -> float:
    """Sample standard deviation (n - 1); 0 with fewer than two values."""
    if len(values) < 2:
        return 0.0
    mean = math.fsum(values) / len(values)
    return math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1))
