"""Readings under which an unclear figure is true: of a seed, of the greedy policy, of the curve, a difference.

They are tried only where the gate (`certain`) finds that what is meant is not clear, and only where a word of the
statement speaks of such a figure.
"""

import re
import statistics
from collections.abc import Iterator

from lab.claims.certain import unclear
from lab.claims.numbers import Number
from lab.claims.reading import Sentence
from lab.claims.recorded import fits
from lab.judge import KnownRun

SEED = re.compile(r"\b(?:seeds?|replicates?|vals|values|median|std|sd|spread|range)\b", re.IGNORECASE)
CURVE = re.compile(r"\b(?:curve|peak\w*|end|ends|ended|last|train|training|points?|pts?|start|first)\b", re.IGNORECASE)
GREEDY = re.compile(r"\bgreed", re.IGNORECASE)
LEAST = 2
"""Digits that a figure needs to be told by its value."""


def fitting(s: Sentence, first: int, last: int, false: bool) -> str | None:
    """Words for what makes a figure true that is not clear; None where nothing does, or where it is certain.

    Args:
        s: the sentence.
        first: the claim's first token.
        last: its last one.
        false: whether the plainest reading makes it false.
    """
    places = [i for i in range(first, last + 1) if s.codes[i] == "N"]
    if len(places) != 1 or s.section == "next_step":
        return None
    number = s.number(places[0])
    if number.digits < LEAST or number.than or (false and unclear(s, first, last) is None):
        return None
    said = "\n".join([s.before, s.text, *(text for text, _ in s.cells)])
    near = [s.owner(places[0]), s.home, *s.runs_named()]
    runs = list({run.run_id: run for run in near if run.metrics}.values())
    return next((what for run in runs for value, what in _values(s, run, said) if fits(number, value)), None) or (
        _difference(s, number, runs) if number.signed else None
    )


def _values(s: Sentence, run: KnownRun, said: str) -> Iterator[tuple[float, str]]:
    """What the words of a statement may mean of a run beside the means of its metrics."""
    if SEED.search(said):
        for name, metric in run.metrics.items():
            if metric.n > 1 and name in (s.known.metric, "score"):
                yield from ((value, f"a replicate of {name}: {value:.6g}") for value in metric.values)
                yield statistics.median(metric.values), f"the median replicate of {name}"
                yield statistics.stdev(metric.values), f"the standard deviation of {name}"
                yield max(metric.values) - min(metric.values), f"the spread of {name}"
    if GREEDY.search(said):
        yield from ((value, f"greedy {name} {value:.6g} in {run.run_id}") for name, value in run.greedy.items())
    curve = run.curves.get(f"environment/{s.known.metric}")
    if curve and CURVE.search(said):
        places = {"first": curve.first, "last": curve.last, "peak": curve.max.value, "lowest": curve.min.value}
        yield from ((value, f"{s.known.metric}, {place} of the curve: {value:.6g}") for place, value in places.items())


def _difference(s: Sentence, number: Number, runs: list[KnownRun]) -> str | None:
    """Between which runs a signed figure is the difference in the objective: named ones, or run and parent."""
    name = s.known.scored
    others = [*runs, *(run for run in (s.known.get(s.home.parent), s.known.get(s.known.baseline)) if run)]
    for run in (s.subject,):
        for other in others:
            if run is other or name not in run.metrics or name not in other.metrics:
                continue
            new, old = run.metrics[name].mean, other.metrics[name].mean
            if number.fits(100 * (new - old) / abs(old) if number.percent and old else new - old):
                return f"the difference of {run.run_id} to {other.run_id} in {name}"
    return None
