"""Readings under which an unclear figure is true: which statistic of the record it is, by what the statement speaks of.

They are tried where no rule could put a figure to a quantity, or where the gate (`certain`) finds that what is meant is
not clear. A family of statistics is looked through only where a word of the statement speaks of it, and only for the
runs that the statement is about: a figure with one digit would be found anywhere.
"""

import re
import statistics
from collections.abc import Callable, Iterator, Sequence
from itertools import combinations, pairwise

from lab.claims.certain import named_beside, unclear
from lab.claims.numbers import Number
from lab.claims.reading import Sentence
from lab.claims.recorded import fits, settles
from lab.claims.words import Quantity
from lab.judge import KnownRun

Statistics = Iterator[tuple[float, str]]

SEED = re.compile(
    r"\b(?:seeds?|replicates?|vals|median|std|sds?|spread|pooled|repeats?|reseeds?|redone|rerun)\b|[±]", re.IGNORECASE
)
AMONG = re.compile(
    r"\b(?:values|mean|avg|average|range|ci(?:95)?|interval|blocks?|family|together|min|max|lo|hi|low\w*|high\w*|worst"
    r"|best|n ?=|others?)\b",
    re.IGNORECASE,
)
"""Words of what may be seeds', where no quantity stands beside the figure."""
CURVE = re.compile(
    r"\b(?:curves?|peak\w*|ends?|ended|last|train|training|points?|pts?|start\w*|first|rising|falls?|fell|drop\w*|dips?"
    r"|climb\w*|plateau\w*|flat\w*|monotone|quarters?|at step|jump\w*|grow\w*|adds|gained|throughout)\b|@",
    re.IGNORECASE,
)
GREEDY = re.compile(r"\bgreed", re.IGNORECASE)
FORETOLD = re.compile(r"\b(?:predict\w*|pred|forecast|expect\w*|band|bet|foretold)\b", re.IGNORECASE)
APART = re.compile(
    r"[Δδ]|\b(?:diff\w*|delta|gap|gain\w*|by|above|below|over|under|minus|apart|agree|lower|higher|better|worse|less|more"
    r"|down|up|ahead|behind|from|vs|on|lost|adds?|spread|reproduces?)\b|=>|⇒|→",
    re.IGNORECASE,
)
TOOK = re.compile(r"\b(?:took|wall|train\w*|eval\w*|secs?|seconds?|s|min|minutes?|mem\w*)\b", re.IGNORECASE)
SPLIT = re.compile(r"\b(?:mbs?|minibatch\w*|batch\w*|updates?|steps|epochs?|eps?|gradient|grad|rollouts?)\b", re.IGNORECASE)
AVERAGED = re.compile(r"\b(?:quarters?|average[sd]?|avg|means)\b", re.IGNORECASE)
LEAST = 2
"""Digits that a figure needs to be told by its value; a difference needs one."""
MANY = 1e4
"""From which on a number may be a place on a curve, in steps."""


def fitting(s: Sentence, first: int, last: int, false: bool) -> str | None:
    """Words for what makes a figure, or two of them, true where it is not clear what they are; None if nothing does.

    Args:
        s: the sentence.
        first: the claim's first token.
        last: its last one.
        false: whether the plainest reading makes it false.
    """
    places = [i for i in range(first, last + 1) if s.codes[i] == "N"]
    if len(places) not in (1, 2) or s.section == "next_step" or (false and unclear(s, first, last) is None):
        return None
    runs = _near(s, places)
    told = "\n".join([s.before, s.text, *(text for text, _ in s.cells)])
    if len(places) == 1:
        return _one(s, places[0], runs, told)
    pair = s.number(places[0]), s.number(places[1])
    return _two(s, places[0], pair, runs, told)


def _near(s: Sentence, places: Sequence[int]) -> list[KnownRun]:
    """The runs that a figure may be of: the one that is named beside it, else all that the statement is about."""
    owner, _ = s.owned(places[0])
    if named_beside(s, places[0], places[-1]):
        return [owner] if owner.metrics else []
    runs = [owner, s.home, s.known.run, *s.runs_named(), *filter(None, map(s.known.get, s.around))]
    return [run for run in {run.run_id: run for run in runs}.values() if run.metrics]


def _one(s: Sentence, place: int, runs: list[KnownRun], said: str) -> str | None:
    number, quantity = s.number(place), s.quantity(place)
    whole = number.step >= 1 and not number.percent
    adjacent = quantity is not None and s.adjacent(place)
    unit = s.text[s.tokens[place].start : s.tokens[place].end].lower()
    families: list[Callable[[KnownRun], Statistics]] = []
    if number.unit or (TOOK.search(said) and not adjacent):
        hit = _hit(number, (pair for run in runs for pair in _amounts(run, unit)))
        if hit or number.unit:
            return hit
    if number.digits >= LEAST or (whole and adjacent):
        if quantity and not quantity.foreign:
            ours = [run for run in runs if run in (runs[0], s.home, s.known.run)] if adjacent else runs
            values = (pair for run in ours for pair in _named(s, run, quantity, s.aspects(place), said))
            if hit := next((what for value, what in values if _says(number, value, quantity)), None):
                return hit
        if not whole and not adjacent:
            families.append(lambda run: _means(s, run, said))
        if not adjacent:
            families.append(lambda run: _points(s, run, s.aspects(place), said))
    if (number.digits >= LEAST or not whole) and (SEED.search(said) or not adjacent):
        families.append(lambda run: _scatter(s, run, said))
    if whole:
        families += [lambda run: _counts(s, run, place), lambda run: _steps(s, run, said)]
    for family in families:
        if hit := _hit(number, (pair for run in runs for pair in family(run))):
            return hit
    if FORETOLD.search(said) and number.digits >= LEAST:
        ends = ((end, f"predicted of {p.metric}: {p.low:.6g} to {p.high:.6g}") for p in s.known.predicted for end in (p.low, p.high))
        if hit := _hit(number, ends):
            return hit
    apart = number.signed or number.percent or number.times or APART.search(s.text)
    return _difference(s, number, runs) if apart and not (whole and not (number.percent or number.times)) else None


def _hit(number: Number, values: Statistics) -> str | None:
    return next((what for value, what in values if _says(number, value)), None)


def _says(number: Number, value: float, quantity: Quantity | None = None) -> bool:
    """Whether a number says a value; a bound only where it is near."""
    if number.than:
        near = abs(value) <= 2 * abs(number.bound) and abs(number.bound) <= 2 * abs(value)
        return near and fits(number, value)
    return settles(number, value, quantity) if quantity else fits(number, value)


def _named(s: Sentence, run: KnownRun, quantity: Quantity, aspects: set[str], said: str) -> Statistics:
    """All that a run has of the quantity that is named: its mean, the greedy policy's, the points of its curve."""
    for key in quantity.settable:
        section, _, name = key.partition(":")
        if section != "curve":
            yield from s.values(Quantity((key,)), run, aspects - {"last"})
        if section == "metric" and name in run.greedy and name not in run.metrics:
            yield run.greedy[name], f"greedy {name} {run.greedy[name]:.6g} in {run.run_id}"
        measured = any(f"metric:{name.rpartition('/')[2]}" == one for one in quantity.keys)
        if section == "curve" and name in run.curves and (CURVE.search(said) or not measured):
            yield from _of_curve(run, name, aspects, said)


def _of_curve(run: KnownRun, name: str, aspects: set[str], said: str) -> Statistics:
    curve = run.curves[name]
    places = {"first": curve.first, "last": curve.last, "max": curve.max.value, "min": curve.min.value}
    meant = aspects & places.keys()
    for place in sorted(meant or places):
        yield places[place], f"{name}, {place} of the curve: {places[place]:.6g}"
    if AVERAGED.search(said):
        yield from ((mean, f"{name}, quarter {i}: {mean:.6g}") for i, mean in enumerate(curve.quarter_means, 1))
    if meant:
        return
    yield from ((value, f"{name} at step {step:,.0f}: {value:.6g}") for step, value in run.points.get(name, ()))


def _means(s: Sentence, run: KnownRun, said: str) -> Statistics:
    """The objective's mean, the greedy policy's metrics, those metrics that a word of the statement is a part of."""
    words = set(re.findall(r"[a-z]{4,}", said.lower())) - {"mean", "rate", "steps"}
    greedy = GREEDY.search(said) is not None
    for name, metric in run.metrics.items():
        if name == s.known.scored or words & set(name.split("_")):
            yield metric.mean, f"{name} {metric.mean:.6g} in {run.run_id}"
    for name, value in run.greedy.items():
        if greedy or words & set(name.split("_")):
            yield value, f"greedy {name} {value:.6g} in {run.run_id}"


def _scatter(s: Sentence, run: KnownRun, said: str) -> Statistics:
    """How the replicates of a run lie, the greedy policy's too, and those of all runs that repeat one config."""
    rows = any(text.strip().isdigit() and int(text) in run.seeds for text, _ in s.cells)
    if not (SEED.search(said) or AMONG.search(said) or rows):
        return
    name, metric = s.known.metric, run.metrics.get(s.known.metric)
    if metric and metric.n > 1:
        yield from _spread(metric.values, f"{name} in {run.run_id}")
        for end, value in (("low", metric.low), ("high", metric.high)):
            if value is not None:
                yield value, f"{end} end of the 95 % interval of {name} in {run.run_id}"
    if (GREEDY.search(said) or rows) and len(values := run.greedy_values.get(name, ())) > 1:
        yield from _spread(values, f"greedy {name} in {run.run_id}")
    yield from _spread(_pooled(s, run), f"{name} over the repeats of {run.run_id}")


def _spread(values: Sequence[float], what: str) -> Statistics:
    if len(values) < 2:
        return
    yield from ((value, f"a replicate of {what}: {value:.6g}") for value in values)
    yield statistics.median(values), f"the median replicate of {what}"
    yield statistics.stdev(values), f"the standard deviation of {what}"
    yield max(values) - min(values), f"the spread of {what}"
    yield statistics.fmean(values), f"the mean of {what}"


def _pooled(s: Sentence, run: KnownRun) -> list[float]:
    """The objective's values of a run and of all that repeat its config."""
    origin, every = run.replicates_of or run.run_id, {one.run_id: one for one in (*s.known.runs, *s.known.repeats.values())}
    same = [one for one in every.values() if origin in (one.run_id, one.replicates_of) and s.known.metric in one.metrics]
    return [value for one in same for value in one.metrics[s.known.metric].values] if len(same) > 1 else []


def _points(s: Sentence, run: KnownRun, aspects: set[str], said: str) -> Statistics:
    """Points of the objective's curve, where the statement speaks of one, at the steps that it names too."""
    name = f"environment/{s.known.metric}"
    if name not in run.curves or not CURVE.search(said):
        return
    yield from _of_curve(run, name, aspects, said)
    steps = [s.number(i).value for i, code in enumerate(s.codes) if code == "N" and s.number(i).value >= MANY]
    logged = dict(run.points.get(name, ()))
    for step in steps:
        if step in logged:
            yield run.curves[name].last - logged[step], f"{name} since step {step:,.0f}"
        if (back := max(logged, default=0) - step) in logged:
            yield run.curves[name].last - logged[back], f"{name} over the last {step:,.0f} steps"


def _steps(s: Sentence, run: KnownRun, said: str) -> Statistics:
    """Steps at which a curve has its extremes, or first crosses a figure of the sentence."""
    name = f"environment/{s.known.metric}"
    if name not in run.curves or not CURVE.search(said):
        return
    curve = run.curves[name]
    yield curve.max.step, f"{name} peaks at step {curve.max.step:,.0f}"
    yield curve.min.step, f"{name} is lowest at step {curve.min.step:,.0f}"
    for step, _ in run.points.get(name, ()):
        yield step, f"{name} was logged at step {step:,.0f}"


def _amounts(run: KnownRun, unit: str) -> Statistics:
    per = 60 if "min" in unit else 3600 if re.search(r"\dh|hour", unit) else 1
    for name, amount in run.amounts.items():
        if name.endswith("MiB") == ("mib" in unit or "mb" in unit):
            yield amount / per, f"{name} of {run.run_id}: {amount:.6g}"


def _counts(s: Sentence, run: KnownRun, place: int) -> Statistics:
    """Whole numbers: a seed, replicates over all repeats, how a batch is split."""
    before, after = s.text[: s.tokens[place].start], s.text[s.tokens[place].end :]
    if re.search(r"\bseeds?\b[^.;\d]{0,12}$|\b(?:best|worst)\s$", before, re.IGNORECASE):
        yield from ((seed, f"a seed of {run.run_id}") for seed in run.seeds)
    if re.match(r"\W{0,3}seeds?\b", after) or re.search(r"\bn\s?=\s?$", before):
        yield len(_pooled(s, run)), f"replicates over the repeats of {run.run_id}"
    if SPLIT.search(s.text):
        batch, mini = run.derived.get("batch_size"), run.config.get("train.minibatch_size")
        for name in ("minibatches", "epochs", "agents", "batch_size"):
            if name in run.derived:
                yield run.derived[name], f"{name} {run.derived[name]:,.0f} in {run.run_id}"
        if "minibatches" in run.derived and "epochs" in run.derived:
            updates = run.derived["minibatches"] * run.derived["epochs"]
            yield updates, f"{updates:,.0f} optimizer steps in {run.run_id}"
        if batch and isinstance(mini, int) and mini:
            yield batch / mini, f"a batch is {batch / mini:g} minibatches in {run.run_id}"


def _difference(s: Sentence, number: Number, runs: list[KnownRun]) -> str | None:
    """Between which runs a figure is the difference in the objective: of this one, or the one that is spoken of."""
    name = s.known.scored
    anchors = [s.known.get(s.home.parent), s.known.get(s.known.baseline), _origin(s)]
    others = list({run.run_id: run for run in (*runs, *filter(None, anchors)) if name in run.metrics}.values())
    for run in others[: len(runs)]:
        for other in others:
            if run is other or not s.known.alike(name, run, other):
                continue
            new, old = run.metrics[name].mean, other.metrics[name].mean
            if any(number.fits(worth) for worth in _worths(number, new, old)):
                return f"the difference of {run.run_id} to {other.run_id} in {name}: {new - old:+.4g}"
    return None


def _worths(number: Number, new: float, old: float) -> Iterator[float]:
    if number.times:
        yield new / old if old else 0.0
    elif number.percent:
        yield from ((sign * 100 * (new - old) / abs(old) if old else 0.0) for sign in ((1,) if number.signed else (1, -1)))
    else:
        yield from ((sign * (new - old)) for sign in ((1,) if number.signed else (1, -1)))


def _origin(s: Sentence) -> KnownRun | None:
    """The run whose config the one that is spoken of repeats."""
    name = s.home.replicates_of
    return s.known.get(name) or s.known.repeats.get(name or "")


def _two(s: Sentence, place: int, pair: tuple[Number, Number], runs: list[KnownRun], said: str) -> str | None:
    """What two figures are together: the ends of a range, of an interval, or of a stretch of a curve; settings of two."""
    one, other = pair
    if other.percent and not one.percent:
        one = one.scaled(1.0).__class__(one.value, one.step, percent=True)
    for low, high, what in _pairs(s, place, runs, said):
        if fits(one, low) and fits(other, high):
            return f"{what}: {low:.6g} to {high:.6g}"
    return None


def _pairs(s: Sentence, place: int, runs: list[KnownRun], said: str) -> Iterator[tuple[float, float, str]]:
    quantity = s.quantity(place)
    for run in runs:
        seeds = run.seeds
        if len(seeds) > 1 and "seed" in said.lower():
            yield min(seeds), max(seeds), f"seeds of {run.run_id}"
        groups: list[tuple[Sequence[float], str]] = [
            (metric.values, f"replicates of {name} in {run.run_id}") for name, metric in run.metrics.items()
        ]
        groups += [(values, f"greedy {name} in {run.run_id}") for name, values in run.greedy_values.items()]
        groups.append((_pooled(s, run), f"repeats of {run.run_id}"))
        for values, what in groups:
            if len(set(values)) > 1 and (SEED.search(said) or AMONG.search(said)):
                yield min(values), max(values), what
        if (metric := run.metrics.get(s.known.scored)) and metric.low is not None and metric.high is not None:
            yield metric.low, metric.high, f"95 % interval in {run.run_id}"
        names = [key.partition(":")[2] for key in (quantity.settable if quantity else ()) if key.startswith("curve:")]
        if CURVE.search(said):
            names.append(f"environment/{s.known.metric}")
        for name in dict.fromkeys(names):
            yield from _stretches(run, name)
    yield from ((p.low, p.high, f"predicted of {p.metric}") for p in s.known.predicted if FORETOLD.search(said))
    if quantity and not quantity.foreign:
        anchors = [run for run in (s.known.get(s.known.run.parent), s.known.get(s.known.baseline)) if run]
        for new in runs:
            for old in (*runs, *anchors):
                for key in quantity.settable if _before(s, old, new) else ():
                    a, b = s.one(Quantity((key,)), old, set()), s.one(Quantity((key,)), new, set())
                    if a is not None and b is not None:
                        yield a, b, f"{key} in {old.run_id} and {new.run_id}"


def _before(s: Sentence, old: KnownRun, new: KnownRun) -> bool:
    """Whether one run may be what another one came from: it is older, and no other one is named to compare with."""
    if old is new or old.created is None or new.created is None:
        return old is not new and old.run_id == new.parent
    return old.created < new.created and (not s.compared_by_name() or s.reference in (old, new))


def _stretches(run: KnownRun, name: str) -> Iterator[tuple[float, float, str]]:
    """A curve's ends and extremes in their order, and its points one after the other."""
    curve = run.curves.get(name)
    if curve is None:
        return
    yield curve.first, curve.last, f"{name}, first and last"
    yield curve.min.value, curve.max.value, f"{name}, lowest and highest"
    yield curve.first, curve.max.value, f"{name}, first and highest"
    yield curve.max.value, curve.last, f"{name}, highest and last"
    points = run.points.get(name, ())
    for (a, one), (b, other) in combinations(points, 2) if len(points) <= 24 else pairwise(points):
        if a < b:
            yield one, other, f"{name} at steps {a:,.0f} and {b:,.0f}"
