"""The values that the record has of a quantity, and whether a number says one of them."""

import statistics

from lab.claims.numbers import Number, real
from lab.claims.words import Quantity
from lab.judge import Known, KnownRun
from lab.store import Outline


def recorded(known: Known, quantity: Quantity, run: KnownRun, aspects: set[str]) -> list[tuple[float, str]]:
    """The values that the record has of a quantity of a run, each with words for it.

    Args:
        known: the record.
        quantity: what is asked for.
        run: the run whose values are wanted.
        aspects: how it is to be read: max, min, first, last, quarter, while, greedy, sampled.
    """
    values: list[tuple[float, str]] = []
    for key in quantity.keys:
        section, _, name = key.partition(":")
        if section == "metric":
            values += _metric(known, run, name, aspects)
        elif section == "curve" and (curve := run.curves.get(name)):
            values += _points(name, curve, aspects, not _has_metric(run, quantity))
        elif section == "config" and real(run.config.get(name)):
            values.append((float(run.config[name]), f"{name} {run.config[name]} in {run.run_id}"))
        elif section == "derived" and name in run.derived:
            values.append((float(run.derived[name]), f"{name} {run.derived[name]:,} in {run.run_id}"))
        else:
            values += _counted(known, run, section, name)
    return values


def _has_metric(run: KnownRun, quantity: Quantity) -> bool:
    """Whether a quantity may be a metric, and the run has one of its names."""
    names = {key.partition(":")[2] for key in quantity.keys}
    return any(key.startswith("metric:") for key in quantity.keys) and bool(set(run.metrics) & names)


def _metric(known: Known, run: KnownRun, name: str, aspects: set[str]) -> list[tuple[float, str]]:
    if "greedy" in aspects:
        greedy = run.greedy.get(known.metric if name == known.scored else name)
        return [] if greedy is None else [(greedy, f"greedy {name} {greedy:.6g} in {run.run_id}")]
    metric = run.metrics.get(name)
    if metric is None or aspects & {"max", "min", "first", "quarter", "while"}:
        return []
    told = [(metric.mean, f"{name} {metric.mean:.6g} in {run.run_id}")]
    fresh = run.confirmed.scores if run.confirmed and name == known.metric else ()
    if fresh:  # lists tell it so
        told.append((mean := statistics.fmean(fresh), f"{name} {mean:.6g} on {len(fresh)} fresh seeds of {run.run_id}"))
    if (against := run.fresh.get(name)) is not None:  # what others are compared with
        told.append((against, f"{name} {against:.6g} on the fresh seeds of {run.run_id}"))
    return told


def _counted(known: Known, run: KnownRun, section: str, name: str) -> list[tuple[float, str]]:
    noise, verdict = known.noise, next(iter(run.verdicts.values()), None)
    value: float | None = None
    if section == "count" and name == "replicates" and run.metrics:
        value = max(metric.n for metric in run.metrics.values())
    elif section == "count" and name == "finished":
        value = len(known.finished)
    elif section == "noise" and name == "sd":
        metric = run.metrics.get(known.metric)
        told = [(noise.replicate_sd, f"the noise floor {noise.replicate_sd:.6g}")] if noise else []
        if metric and metric.n > 1:
            told.append((sd := statistics.stdev(metric.values), f"sd of {known.metric} {sd:.6g} in {run.run_id}"))
        return told
    elif section == "noise" and noise:
        value = noise.degrees_of_freedom
    elif section == "horizon" and real(gamma := run.config.get("train.gamma")) and gamma < 1:
        value = 1 / (1 - gamma)
    elif section == "steps":
        value = run.steps
    elif section == "verdict" and verdict:
        value = verdict.effect
    elif section == "proposal" and known.proposals:
        return [(p.coverage, f"coverage {p.coverage}") for p in known.expected]
    return [] if value is None else [(value, f"{name} {value:.6g} of {run.run_id}")]


def _points(name: str, curve: Outline, aspects: set[str], only: bool) -> list[tuple[float, str]]:
    """Values of a curve: those of an aspect, or all where nothing else has the name."""
    places: list[tuple[str, float]] = []
    quarters = [(f"quarter {i + 1}", mean) for i, mean in enumerate(curve.quarter_means)]
    if "max" in aspects:
        places.append(("peak", curve.max.value))
    if "min" in aspects:
        places.append(("lowest", curve.min.value))
    if "first" in aspects and "quarter" not in aspects:
        places.append(("first", curve.first))
    if "quarter" in aspects:
        places += quarters
    if "last" in aspects and "quarter" not in aspects:
        places.append(("last", curve.last))
    if not places and (only or "while" in aspects):
        places = [("last", curve.last), ("first", curve.first), ("peak", curve.max.value), ("lowest", curve.min.value)]
        places += quarters
    return [(value, f"{name}, {place}: {value:.6g}") for place, value in places]


def fits(number: Number, value: float) -> bool:
    """Whether a number says a value of the record, as itself or as a percentage of a share."""
    if number.percent or number.points:
        return number.scaled(0.01).fits(value)
    return number.fits(value)


def settles(number: Number, value: float, quantity: Quantity) -> bool:
    """Whether a number says a value of a quantity: a setting is exact, and one digit no licence to round it."""
    return number.sets(value) if quantity.section == "config" and not number.percent else fits(number, value)
