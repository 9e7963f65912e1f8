"""Readings under which an unclear figure is true: which statistic of the record it is, by what the statement speaks of.

They are tried where no rule could put a figure to a quantity, or where the gate (`certain`) finds that what is meant is
not clear. A family of statistics is looked through only where a word of the statement speaks of it, and only for the
runs that the statement is about: a figure with one digit would be found anywhere.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain, permutations, product

from lab.claims.certain import named_beside
from lab.claims.chance import CHANCE, DIFFERS, chance, somehow
from lab.claims.chance import told as told_by
from lab.claims.differences import PEAK, SIGN
from lab.claims.families import (
    CURVE,
    MANY,
    STEPS,
    amounts,
    counts,
    means,
    of_curve,
    of_quantity,
    seed_of,
    since,
    steps_of,
    stretches,
)
from lab.claims.moments import at_moments, dated
from lab.claims.numbers import Number
from lab.claims.reading import Sentence
from lab.claims.recorded import fits
from lab.claims.scattering import AMONG, SEED, Statistics, fresh, pooled, repeats, scatter
from lab.claims.words import GREEDY, STRANGE, Code, Quantity, coded
from lab.judge import KnownRun

FORETOLD = re.compile(r"\b(?:predict\w*|pred|forecast|expect\w*|band|bet|foretold)\b", re.IGNORECASE)
APART = re.compile(
    r"[Δδ+]|\b(?:diff\w*|delta|gap|gain\w*|by|above|below|over|under|minus|apart|agree|lower|higher|better|worse|less|more"
    r"|down|up|ahead|behind|from|vs|on|lost|adds?|spread|reproduces?)\b|=>|⇒|→",
    re.IGNORECASE,
)
TOOK = re.compile(r"\b(?:took|wall|train\w*|eval\w*|secs?|seconds?|s|min|minutes?|mem\w*)\b", re.IGNORECASE)
NAMED = re.compile(r"\bcurves?\b|\btrain(?:ing)? (?:p(?:oin)?ts?|end)\b", re.IGNORECASE)


def fitting(s: Sentence, first: int, last: int) -> str | None:
    """Words for what makes a figure, or two of them, true where it is not clear what they are; None if nothing does."""
    places = [i for i in range(first, last + 1) if s.codes[i] == Code.NUMBER]
    if len(places) not in (1, 2) or s.section == "next_step":
        return None
    s.seed, s.place = seed_of(s, places[0]), places[0]
    found = _fitting(s, first, last, places) if s.seed is not None else None
    before, behind = s.codes[: places[0]], s.codes[places[-1] + 1 :]
    beside = re.search(coded("seed [^,;.number]{0,6}$"), before) or re.match(coded(r"\(? seed"), behind)
    if found is None and not (s.seed is not None and (beside or dated(s, places[0]))):
        s.seed = None
        found = _fitting(s, first, last, places)
    return found


def _fitting(s: Sentence, first: int, last: int, places: list[int]) -> str | None:
    """What makes a claim true, said of one replicate where `s.seed` names it."""
    owner, _ = s.owned(places[0])
    every = [owner, s.home, s.known.run, *s.runs_named(), *filter(None, map(s.known.get, s.around))]
    near = [run for run in {run.run_id: run for run in every}.values() if run.metrics or run.points]
    if s.seed is not None:  # whose replicate it is, its seed says
        near = [run for run in near if s.seed in run.seeds] or [r for r in s.known.runs if s.seed in r.seeds]
        owner = owner if owner in near or not near else near[0]
    beside = named_beside(s, places[0], places[-1]) and s.codes[places[0] - 1 : places[0]] != "("
    if not beside and re.search(coded("[against than] word{0,2}$"), s.codes[: places[0]]):
        near += [run for run in (s.reference, s.known.get(s.known.baseline)) if run and run not in near]
    runs = [run for run in near if run is owner] if beside else near
    told = "\n".join([s.before, s.text, *(text for text, _ in s.cells)])
    if s.number(places[0]).value == 0 and s.number(places[0]).vague:
        return _nothing(s, places[0], owner) if len(places) == 1 and owner.metrics else None
    if len(places) == 1:
        number, at = s.number(places[0]), dated(s, places[0])
        then = [*at_moments(s, places[0], runs, _curves(s, places[0], told))] if at and number.step < 1 else []
        return told_by(number, then) if then else _one(s, places[0], runs, near, told)
    one, other = s.number(places[0]), s.number(places[1])
    pairs = ((low, high, what) for low, high, what in _pairs(s, places[0], runs, told) if low != high)
    hit = next((pair for pair in pairs if fits(one, pair[0]) and fits(other, pair[1])), None)
    return f"{hit[2]}: {hit[0]:.6g} to {hit[1]:.6g}" if hit else None


def _nothing(s: Sentence, place: int, run: KnownRun) -> str | None:
    """Whether a run has nothing of what a zero is of, or of the objective where no quantity stands beside it."""
    quantity = s.quantity(place)
    if quantity is None or not s.adjacent(place):
        quantity = s.objective if s.owned(place)[1] and not STRANGE.search(s.text) else None
    if quantity is None or quantity.section not in ("metric", "curve"):
        return None
    value = s.one(quantity, run, s.aspects(place) - {"last"})
    return f"{quantity.keys[0].partition(':')[2]} {value:.6g} in {run.run_id}" if value == 0 else None


def said_somewhere(s: Sentence, place: int, first: int, *, sure: bool) -> str | None:
    """Words for which value of the record a number is, of all runs and all quantities that the sentence may speak of.

    Args:
        s: the sentence.
        place: the number's token.
        first: that of the first number of its claim.
        sure: whether it can be of the claim's own quantity alone.
    """
    number, known, every = s.number(place), s.known, (*s.known.runs, *s.known.repeats.values())
    quantity, (owner, _) = s.quantity(first), s.owned(place)
    beside = named_beside(s, place, place) or PEAK.match(s.text, s.tokens[place].end) is not None
    spoken = [key for token in s.tokens if token.code == Code.QUANTITY for key in token.value.settable]
    steps = STEPS.keys if number.value >= MANY else ()
    keys = tuple(dict.fromkeys([f"metric:{known.scored}", f"curve:environment/{known.metric}", *spoken, *steps]))
    meant = Quantity((*quantity.settable, *steps) if quantity and sure else keys)
    hits = [
        f"is {s.role_of(run)}'s: {found}"
        for run in ((owner,) if beside else every)
        if (
            found := somehow(
                number,
                (
                    *chain.from_iterable(of_quantity(s, run, meant, s.aspects(place), s.text)),
                    *(scatter(s, run, [known.metric], s.text) if SEED.search(s.text) else ()),
                ),
            )
        )
    ]
    ends = (end for p in (*known.predicted, *known.expected) for end in (p.low, p.high))
    if any(fits(number, value) for value in (*known.told.values(), *ends)):
        hits.append("is told of the run otherwise")
    relative = number.signed or number.percent or number.points or number.times or APART.search(s.text)
    for key in keys if relative and not beside and not hits else ():
        values = [value for run in every if (value := s.one(Quantity((key,)), run, set())) is not None]
        if any(number.fits(worth) for a, b in permutations(values, 2) for worth in _worths(number, a, b, 0)):
            hits.append(f"is a difference of two runs in {key.partition(':')[2]}")
    return next(iter(hits), None)


def _one(s: Sentence, place: int, runs: list[KnownRun], near: list[KnownRun], said: str) -> str | None:
    """What one figure is: the first family that has it, and would not have nearly any other figure as well.

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
    if quantity and not quantity.foreign and not number.unit:
        about = [run for run in runs if run in (runs[0], s.home, s.known.run) or run not in s.runs_named()]
        for run in about if adjacent else runs:
            for family in of_quantity(s, run, quantity, s.aspects(place), said):
                if found := told_by(number, [*family], quantity, sure=whole and adjacent):
                    return found
    if whole and (found := somehow(number, [pair for run in near for pair in counts(s, run, place)])):
        return found
    if number.value >= MANY and (
        found := somehow(number, [pair for run in runs for pair in s.values(STEPS, run, set())])
    ):
        return found
    for family in _families(s, place, number, runs, said, free=not adjacent):
        if found := told_by(number, [*family]):
            return found
    open_ = not adjacent or (quantity is not None and quantity.section in ("count", "steps", "derived"))
    spoken = [token.value for token in s.tokens if token.code == Code.QUANTITY and not token.value.foreign]
    for other in dict.fromkeys([*reversed(spoken), *([s.carried] if s.carried else []), s.objective]):
        families = (of_quantity(s, run, other, s.aspects(place), said, points=False) for run in runs)
        every = [*chain.from_iterable(chain.from_iterable(families))]
        tells = open_ and not number.unit and chance(number, [value for value, _ in every]) <= CHANCE / 2
        if tells and (found := told_by(number, every, other)):
            return found
    apart = number.signed or number.percent or number.times or (not adjacent and APART.search(s.text))
    return _difference(s, place, near) if apart and not number.unit and (not whole or number.times) else None


def _families(
    s: Sentence, place: int, number: Number, runs: list[KnownRun], said: str, *, free: bool
) -> Iterator[Statistics]:
    """All that a figure may be by the words of its statement, `free` where no quantity's name stands beside it."""
    whole = number.step >= 1 and not number.percent
    if number.unit or (free and TOOK.search(said)):
        unit = s.text[s.tokens[place].start : s.tokens[place].end].lower()
        yield from (amounts(s, run, unit) for run in runs)
    if number.unit:
        return
    names = _names(s, place, said)
    curves = _curves(s, place, said)
    if not whole:
        yield at_moments(s, place, runs, curves)
    for run in runs:
        yield fresh(s, run, said)
        if its := run.by_seed.get(-1 if s.seed is None else s.seed):
            every = [one for name in names for one in (name, f"greedy {name}") if one in its]
            yield ((its[one], f"{one} of seed {s.seed}: {its[one]:.6g}") for one in every)
        if free and not whole:
            yield means(s, run, said)
        if free or SEED.search(said):
            yield scatter(s, run, names, said)
        if (free or NAMED.search(said)) and CURVE.search(said):
            for name in filter(run.curves.get, curves):
                yield from of_curve(s, run, name, s.aspects(place), said)
        yield from steps_of(s, run, curves, said) if whole else (since(s, run),)
    if FORETOLD.search(said):
        ends = [(end, p) for p in s.known.predicted for end in (p.low, p.high)]
        yield ((end, f"predicted of {p.metric}: {p.low:.6g} to {p.high:.6g}") for end, p in ends)


def _spoken(s: Sentence, place: int) -> list[Quantity]:
    """The quantities that a figure may be of where none stands beside it: the nearest, then the objective."""
    nearest = s.quantity(place)
    return [*([nearest] if nearest and nearest.section in ("metric", "curve") else []), s.objective]


def _names(s: Sentence, place: int, said: str) -> list[str]:
    """The metrics that a figure may be of, by their names."""
    keys = [key for quantity in _spoken(s, place) for key in quantity.keys]
    return [*dict.fromkeys(key.rpartition(":")[2].rpartition("/")[2] for key in keys), s.known.metric]


def _curves(s: Sentence, place: int, said: str) -> list[str]:
    """The curves that a figure may be of where none stands beside it, by their names."""
    told = [key.partition(":")[2] for q in _spoken(s, place) for key in q.keys if key.startswith("curve:")]
    return [*dict.fromkeys([*(f"environment/{name}" for name in _names(s, place, said)), *told])]


def _difference(s: Sentence, place: int, runs: list[KnownRun]) -> str | None:
    """Of which two values a figure is the difference, or the ratio: of two runs, or of greedy and sampled actions."""
    number, (owner, _) = s.number(place), s.owned(place)
    anchors = [s.known.get(s.home.parent), s.known.get(s.known.baseline), s.known.get(s.home.replicates_of)]
    others = list({run.run_id: run for run in (*runs, *filter(None, anchors))}.values())
    mine = [*{run.run_id: run for run in (owner, s.subject, s.home, s.known.run)}.values()]
    if named_beside(s, place, place) or s.compared_by_name():
        others = [s.reference_at(place), owner]
    way = re.search(coded("([up down]) word?$"), s.codes[:place]) or re.match(
        coded("word? ([up down])"), s.codes[place + 1 :]
    )
    sign = (1 if number.value > 0 else -1) if number.signed else SIGN[way[1]] if way else 0
    keys = [key for token in s.tokens if token.code == Code.QUANTITY for key in token.value.settable]
    of = re.match(r"\s*(?:of|as)\b", s.text[s.tokens[place].end :]) is not None
    for key in dict.fromkeys([*keys, f"metric:{s.known.scored}"]):
        name, worths = key.partition(":")[2], list[tuple[float, str]]()
        for run, other in product(mine, others):
            new, old = (s.one(Quantity((key,)), one, set()) for one in (run, other))
            if run is other or new is None or old is None or not s.known.alike(name, run, other):
                continue
            told = f"{name} of {run.run_id} against {other.run_id}: {old:.6g} to {new:.6g}"
            worths += [(worth, told) for worth in _worths(number, new, old, sign)]
            worths += [(100 * new / old, told)] if of and number.percent and old else []
        for run in mine if GREEDY.search(s.text) else ():
            if name in run.greedy and name in run.metrics:
                told = f"greedy {name} of {run.run_id} against sampled"
                worths += [(worth, told) for worth in _worths(number, run.greedy[name], run.metrics[name].mean, sign)]
        hit = next((told for worth, told in worths if number.fits(worth)), None)
        if hit and chance(replace(number, percent=False, points=False), [worth for worth, _ in worths]) <= DIFFERS:
            return hit
    return None


def _worths(number: Number, new: float, old: float, sign: int) -> Iterator[float]:
    """A difference in the number's unit, without its sign where only a word says which way it is."""
    if number.times:
        yield from (a / b for a, b in ((new, old), (old, new)) if b)
        return
    scale = 100.0 if number.points else 1.0
    worth = (100 * (new - old) / abs(old) if old else 0.0) if number.percent else scale * (new - old)
    if not sign or worth * sign > 0:
        yield worth if number.signed else abs(worth)


def _pairs(s: Sentence, place: int, runs: list[KnownRun], said: str) -> Iterator[tuple[float, float, str]]:
    """What two figures may be: ends of a range, of an interval or of a stretch of a curve, or two settings."""
    quantity = s.quantity(place)
    for run in runs:
        seeds = run.seeds
        if len(seeds) > 1 and "seed" in said.lower():
            yield min(seeds), max(seeds), f"seeds of {run.run_id}"
        groups: list[tuple[Sequence[float], str]] = [
            (metric.values, f"replicates of {name} in {run.run_id}") for name, metric in run.metrics.items()
        ]
        groups += [(values, f"greedy {name} in {run.run_id}") for name, values in run.greedy_values.items()]
        groups.append((pooled(s, repeats(s, run)), f"repeats of {run.run_id}"))
        for values, what in groups:
            if len(set(values)) > 1 and (SEED.search(said) or AMONG.search(said)):
                yield min(values), max(values), what
        intervals = (("its", run.metrics.get(s.known.scored)), ("the fresh", run.confirmed))
        told = [(it.low, it.high, f"95 % interval in {run.run_id}, of {of} seeds") for of, it in intervals if it]
        yield from ((low, high, what) for low, high, what in told if low is not None and high is not None)
        names = [key.partition(":")[2] for key in (quantity.settable if quantity else ()) if key.startswith("curve:")]
        if CURVE.search(said):
            names.append(f"environment/{s.known.metric}")
        for name in dict.fromkeys(names):
            yield from stretches(s, run, name)
    yield from ((p.low, p.high, f"predicted of {p.metric}") for p in s.known.predicted if FORETOLD.search(said))
