"""Readings under which an unclear figure is true: which statistic of the record it is, by what the statement speaks of.

They are tried where no rule could put a figure to a quantity, or where the gate (`certain`) finds that what is meant is
not clear. A family of statistics is looked through only where a word of the statement speaks of it, and only for the
runs that the statement is about: a figure with one digit would be found anywhere.
"""

import re
import statistics
from collections.abc import Callable, Iterator, Sequence
from itertools import combinations, pairwise, permutations, product

from lab.claims.certain import named_beside, unclear
from lab.claims.differences import PEAK, SIGN
from lab.claims.numbers import NUMBER, Number, number_in
from lab.claims.reading import Sentence
from lab.claims.recorded import fits, settles
from lab.claims.words import Code, Quantity, coded
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
    r"[Δδ+]|\b(?:diff\w*|delta|gap|gain\w*|by|above|below|over|under|minus|apart|agree|lower|higher|better|worse|less|more"
    r"|down|up|ahead|behind|from|vs|on|lost|adds?|spread|reproduces?)\b|=>|⇒|→",
    re.IGNORECASE,
)
TOOK = re.compile(r"\b(?:took|wall|train\w*|eval\w*|secs?|seconds?|s|min|minutes?|mem\w*)\b", re.IGNORECASE)
SPLIT = re.compile(
    r"\b(?:mbs?|minibatch\w*|batch\w*|updates?|steps|epochs?|eps?|gradient|grad|rollouts?)\b", re.IGNORECASE
)
NAMED = re.compile(r"\bcurves?\b|\btrain(?:ing)? (?:p(?:oin)?ts?|end)\b", re.IGNORECASE)
AVERAGED = re.compile(r"\b(?:quarters?|average[sd]?|avg|means)\b", re.IGNORECASE)
LEAST = 2
"""Digits that a figure needs to be told by its value; a difference needs one."""
STEPS = Quantity(("metric:agent_steps", "config:train.total_timesteps", "steps:all"))
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
    places = [i for i in range(first, last + 1) if s.codes[i] == Code.NUMBER]
    if len(places) not in (1, 2) or s.section == "next_step" or (false and unclear(s, first, last) is None):
        return None
    owner, _ = s.owned(places[0])
    every = [owner, s.home, s.known.run, *s.runs_named(), *filter(None, map(s.known.get, s.around))]
    near = [run for run in {run.run_id: run for run in every}.values() if run.metrics]
    runs = [run for run in near if run is owner] if named_beside(s, places[0], places[-1]) else near
    told = "\n".join([s.before, s.text, *(text for text, _ in s.cells)])
    if len(places) == 1:
        return _one(s, places[0], runs, near, told)
    pair = s.number(places[0]), s.number(places[1])
    return _two(s, places[0], pair, runs, told)


def said_somewhere(s: Sentence, place: int) -> str | None:
    """Words for which value of the record a number is, of all runs and all quantities that the sentence may speak of.

    Args:
        s: the sentence.
        place: the number's token.
    """
    number, known, every = s.number(place), s.known, (*s.known.runs, *s.known.repeats.values())
    owner, _ = s.owned(place)
    beside = named_beside(s, place, place) or PEAK.match(s.text, s.tokens[place].end) is not None
    spoken = [key for token in s.tokens if token.code == Code.QUANTITY for key in token.value.settable]
    steps = STEPS.keys if number.value >= MANY else ()
    keys = dict.fromkeys([f"metric:{known.scored}", f"curve:environment/{known.metric}", *spoken, *steps])
    ends = (end for p in (*known.predicted, *known.expected) for end in (p.low, p.high))
    if any(fits(number, value) for value in (*known.told.values(), *ends)):
        return "is told of the run otherwise"
    for run in (owner,) if beside else every:
        values = (*_named(s, run, Quantity(tuple(keys)), s.aspects(place), s.text), *_scatter(s, run, s.text))
        if hit := _hit(number, iter(values)):
            return f"is {s.role_of(run)}'s: {hit}"
    if beside or not (number.signed or number.percent or number.points or number.times or APART.search(s.text)):
        return None  # whom it is compared with is said: that has been tried
    for key in keys:
        values = [value for run in every if (value := s.one(Quantity((key,)), run, set())) is not None]
        if any(number.fits(worth) for a, b in permutations(values, 2) for worth in _worths(number, a, b, 0)):
            return f"is a difference of two runs in {key.partition(':')[2]}"
    return None


def _one(s: Sentence, place: int, runs: list[KnownRun], near: list[KnownRun], said: str) -> str | None:
    """What one figure is.

    Args:
        s: the sentence.
        place: the figure's token.
        runs: those that it may be of: the one that is named beside it, else all that the statement is about.
        near: all that the statement is about.
        said: the statement with what it stands under.
    """
    number, quantity = s.number(place), s.quantity(place)
    whole = number.step >= 1 and not number.percent
    adjacent = quantity is not None and s.adjacent(place) and not s.cells
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
        if not adjacent and (_of_objective(s, quantity) or NAMED.search(said)):
            families.append(lambda run: _points(s, run, place, said))
    if (number.digits >= LEAST or not whole) and (SEED.search(said) or not adjacent):
        families.append(lambda run: _scatter(s, run, said))
    if not whole:
        families.append(lambda run: _since(s, run))
    if whole:
        families.append(lambda run: _steps(s, run, said))
        if hit := _hit(number, (pair for run in near for pair in _counts(s, run, place))):
            return hit
    for family in families:
        if hit := _hit(number, (pair for run in runs for pair in family(run))):
            return hit
    if FORETOLD.search(said) and number.digits >= LEAST:
        ends = (
            (end, f"predicted of {p.metric}: {p.low:.6g} to {p.high:.6g}")
            for p in s.known.predicted
            for end in (p.low, p.high)
        )
        if hit := _hit(number, ends):
            return hit
    apart = number.signed or number.percent or number.times or (not adjacent and APART.search(s.text))
    return _difference(s, place, near) if apart and (not whole or number.times) else None


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
        if (greedy and name in (s.known.metric, "score")) or words & set(name.split("_")):
            yield value, f"greedy {name} {value:.6g} in {run.run_id}"


def _scatter(s: Sentence, run: KnownRun, said: str) -> Statistics:
    """How the replicates of a run lie, the greedy policy's too, and those of all runs that repeat one config."""
    same = _repeats(s, run)
    seeds = {str(seed) for one in (run, *same) for seed in one.seeds}
    rows = any(text.strip() in seeds for text, _ in s.cells)
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
    yield from _spread(_pooled(s, same), f"{name} over the repeats of {run.run_id}")


def _spread(values: Sequence[float], what: str) -> Statistics:
    if len(values) < 2:
        return
    yield from ((value, f"a replicate of {what}: {value:.6g}") for value in values)
    yield statistics.median(values), f"the median replicate of {what}"
    yield statistics.stdev(values), f"the standard deviation of {what}"
    yield max(values) - min(values), f"the spread of {what}"
    yield statistics.fmean(values), f"the mean of {what}"


def _repeats(s: Sentence, run: KnownRun) -> list[KnownRun]:
    """All runs of one config: a run, the one that it repeats, and what else repeats that."""
    origin, every = run.replicates_of or run.run_id, (*s.known.runs, *s.known.repeats.values())
    return [one for one in every if origin in (one.run_id, one.replicates_of) and s.known.metric in one.metrics]


def _pooled(s: Sentence, runs: Sequence[KnownRun]) -> list[float]:
    """The objective's values of several runs; none of a single one."""
    return [value for run in runs for value in run.metrics[s.known.metric].values] if len(runs) > 1 else []


def _of_objective(s: Sentence, quantity: Quantity | None) -> bool:
    """Whether a figure is of the objective, or of nothing that is named."""
    return quantity is None or f"metric:{s.known.scored}" in quantity.keys or quantity.section == "count"


def _points(s: Sentence, run: KnownRun, place: int, said: str) -> Statistics:
    """Points of the objective's curve, where the statement speaks of one: that at the step beside a figure, or any."""
    name = f"environment/{s.known.metric}"
    if name not in run.curves or not CURVE.search(said):
        return
    beside = [text for text, _ in s.cells if re.match(r"\d", text)] or re.findall(
        r"[\d.]+[KM]\b", f"{s.text[: s.tokens[place].start][-7:]} {s.text[s.tokens[place].end :][:7]}"
    )
    steps = [found for text in beside if (found := number_in(NUMBER.match(text))) and found.value >= MANY]
    if not steps:
        yield from _of_curve(run, name, s.aspects(place), said)
    for step, value in run.points.get(name, ()) if steps else ():
        if any(one.fits(step) for one in steps):
            yield value, f"{name} at step {step:,.0f}: {value:.6g}"


def _since(s: Sentence, run: KnownRun) -> Statistics:
    """How far the objective's curve went since a step that the sentence names, or over so many steps at its end."""
    name = f"environment/{s.known.metric}"
    logged = dict(run.points.get(name, ()))
    steps = [s.number(i).value for i, code in enumerate(s.codes) if code == Code.NUMBER and s.number(i).value >= MANY]
    for step in steps if logged else ():
        if step in logged:
            yield run.curves[name].last - logged[step], f"{name} since step {step:,.0f}"
        if (back := max(logged, default=0) - step) in logged:
            yield run.curves[name].last - logged[back], f"{name} over the last {step:,.0f} steps"


def _steps(s: Sentence, run: KnownRun, said: str) -> Statistics:
    """How many steps a run was trained for; those at which a curve has its extremes, or was logged."""
    yield from s.values(STEPS, run, set())
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
        yield len(_pooled(s, _repeats(s, run))), f"replicates over the repeats of {run.run_id}"
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


def _difference(s: Sentence, place: int, runs: list[KnownRun]) -> str | None:
    """Between which runs a figure is the difference: in the objective, or a ratio in what the sentence names."""
    number, name = s.number(place), s.known.scored
    owner, _ = s.owned(place)
    anchors = [s.known.get(s.home.parent), s.known.get(s.known.baseline), _origin(s)]
    others = list({run.run_id: run for run in (*runs, *filter(None, anchors))}.values())
    if named_beside(s, place, place):
        others = [s.reference_at(place) if owner in (s.home, s.subject) else owner]
    mine = (s.home, s.subject, s.known.run, owner)
    way = re.search(coded("([up down]) word?$"), s.codes[:place]) or re.match(
        coded("word? ([up down])"), s.codes[place + 1 :]
    )
    sign = (1 if number.value > 0 else -1) if number.signed else SIGN[way[1]] if way else 0
    keys = [f"metric:{name}"]
    if number.times or number.percent:
        keys += [key for token in s.tokens if token.code == Code.QUANTITY for key in token.value.settable]
    for key in dict.fromkeys(keys):
        for run, other in product([run for run in runs if run in mine], others):
            new, old = (s.one(Quantity((key,)), one, set()) for one in (run, other))
            if run is other or new is None or old is None or not s.known.alike(key.partition(":")[2], run, other):
                continue
            if any(number.fits(worth) for worth in _worths(number, new, old, sign)):
                return f"{key.partition(':')[2]} of {run.run_id} against {other.run_id}: {old:.6g} to {new:.6g}"
    return None


def _worths(number: Number, new: float, old: float, sign: int) -> Iterator[float]:
    """A difference in the number's unit, without its sign where only a word says which way it is."""
    if number.times:
        yield from (a / b for a, b in ((new, old), (old, new)) if b)
        return
    worth = (100 * (new - old) / abs(old) if old else 0.0) if number.percent else new - old
    if not sign or worth * sign > 0:
        yield worth if number.signed else abs(worth)


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
        groups.append((_pooled(s, _repeats(s, run)), f"repeats of {run.run_id}"))
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
