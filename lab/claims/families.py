"""Families of statistics: what the record has of a run beside the one value that a quantity's name says.

Each is looked through where a word of the statement speaks of it: of seeds, the curve, the greedy policy, the time.
"""

import re
import statistics
from collections.abc import Iterator, Sequence
from itertools import combinations, groupby, pairwise

from lab.claims.chance import CHANCE, chance
from lab.claims.numbers import NUMBER, Number, number_in, real
from lab.claims.reading import Sentence
from lab.claims.scattering import Statistics, pooled, repeats
from lab.claims.words import GREEDY, Code, Quantity, coded
from lab.judge import KnownRun

CURVE = re.compile(
    r"\b(?:curves?|peak\w*|ends?|ended|last|train|training|points?|pts?|start\w*|first|rising|falls?|fell|drop\w*|dips?"
    r"|climb\w*|plateau\w*|flat\w*|monotone|quarters?|at step|jump\w*|grow\w*|adds|gained|throughout|ep(?:och)?s?"
    r"|cross\w*|pass\w*|past|nothing|shows|half ?way|mid\w*|early|late\w*|by|around|final\w*|max|min|lowest|highest"
    r"|tops?|bottom|rows?|at [\d.,]+ ?[kM]?)\b"
    r"|@|->|=>|\u2192",
    re.IGNORECASE,
)
SPLIT = re.compile(
    r"\b(?:mbs?|minibatch\w*|batch\w*|updates?|steps|epochs?|eps?|gradient|grad|rollouts?)\b", re.IGNORECASE
)
AVERAGED = re.compile(r"\b(?:quarters?|q[1-4]|average[sd]?|avg|means)\b", re.IGNORECASE)
SEEDED = re.compile(r"\bseed #?(\d+)\b", re.IGNORECASE)
BEHIND = re.compile(
    r"\s*\(?(?:for|in|of|on|by|with)? ?seed #?(\d+)\b(?! ?(?:had|has|got|was|is|came|made|[:=(]))", re.IGNORECASE
)
OWNED = re.compile(r"\bseed #?(\d+) (?:of|in|from) (?:the )?$", re.IGNORECASE)
"""What names the seed of a figure: behind it, or before the run that the seed is of."""
HEADED = re.compile(r"\W*(?:seed |s)?(\d+)\W*")
"""A row's heading, or the label of an item, that is a seed."""
LEVEL = re.compile(r"\b(?:past|pass\w*|cross\w*|over|above|below|reach\w*|beyond|hits?|exceed\w*) (-?\d*\.?\d+ ?%?)")
BEGUN = re.compile(r"\b(?:first|nothing|starts?|shows?|begins?|takes? off)\b", re.IGNORECASE)
EPOCH = re.compile(r"\b(?:ep(?:och)?s?|updates?|iter(?:ation)?s?)\.?\s*#?\s*$", re.IGNORECASE)
TOOK = ("training seconds", "evaluation seconds", "memory MiB")
STEPS = Quantity(("metric:agent_steps", "config:train.total_timesteps", "steps:all"))
MANY = 1e4
"""From which on a number may be a place on a curve, in steps."""


def of_quantity(
    s: Sentence, run: KnownRun, quantity: Quantity, aspects: set[str], said: str, *, points: bool = True
) -> Iterator[Statistics]:
    """Families of all that a run has of the quantity that is named: its mean, the greedy policy's, its curve."""
    for key in quantity.settable:
        section, _, name = key.partition(":")
        its = run.by_seed.get(s.seed) if s.seed is not None and section == "metric" else None
        if its:
            names = [name, f"greedy {name}"]
            names = names[::-1] if GREEDY.search(s.text) else names
            yield ((its[one], f"{one} of seed {s.seed}") for one in names if one in its)
        if section != "curve":
            yield iter(s.values(Quantity((key,)), run, aspects - {"last"}))
        if section == "metric" and name in run.greedy and (name not in run.metrics or GREEDY.search(said)):
            yield iter([(run.greedy[name], f"greedy {name} {run.greedy[name]:.6g} in {run.run_id}")])
        measured = any(f"metric:{name.rpartition('/')[2]}" == one for one in quantity.keys)
        if section == "curve" and name in run.curves and (CURVE.search(said) or not measured):
            yield from of_curve(s, run, name, aspects, said, every=points)


def of_curve(
    s: Sentence, run: KnownRun, name: str, aspects: set[str], said: str, *, every: bool = True
) -> Iterator[Statistics]:
    """Families of a curve: its ends and extremes, its quarters, its values at a moment that is named, its points."""
    curve = run.curves[name]
    points: Sequence[tuple[float, float]] = run.points.get(name, ())
    if (seed := seed_curve(s, run, points)) is not None:
        points = seed
        values = [value for _, value in seed]
        four = (max(values), values[-1], min(values), values[0])
        yield ((value, f"{name} of seed {s.seed}: {value:.6g}") for value in four)
    places = {"first": curve.first, "last": curve.last, "max": curve.max.value, "min": curve.min.value}
    meant = aspects & places.keys()
    yield ((places[place], f"{name}, {place} of the curve: {places[place]:.6g}") for place in sorted(meant or places))
    if AVERAGED.search(said):
        yield ((mean, f"{name}, quarter {i}: {mean:.6g}") for i, mean in enumerate(curve.quarter_means, 1))
    moments = [*_moments(s, run)] if points else []
    for moment in moments:
        at = f"{name} near step {moment.value:,.0f}"
        yield from (((value, f"{at}: {value:.6g}") for value in values) for values in _near(points, moment))
    if every and not meant and not moments and _tells(s, [value for _, value in points]):
        yield ((value, f"{name} at step {step:,.0f}: {value:.6g}") for step, value in points)


def seed_curve(s: Sentence, run: KnownRun, points: Sequence[tuple[float, float]]) -> list[tuple[float, float]] | None:
    """The points of the one replicate whose seed the sentence, or the row of its cell, names."""
    curves = [*curves_of(points)]
    if len(curves) != len(run.seeds) or s.seed is None:
        return None
    return next((curve for seed, curve in zip(run.seeds, curves, strict=True) if seed == s.seed), None)


def _tells(s: Sentence, values: Sequence[float]) -> bool:
    """Whether single points tell the figure that is looked at apart, of which any may be meant."""
    return s.place is None or chance(s.number(s.place), values) <= CHANCE / 2


def seed_of(s: Sentence, place: int) -> int | None:
    """The seed of the replicate that a figure is of: named right behind it, before it in its clause, as its label."""
    behind = re.match(coded(r"\(?(seed)(?![:=(]?~? number)"), s.codes[place + 1 :])
    if behind:
        return int(s.tokens[place + 1 + behind.start(1)].value)
    if after := BEHIND.match(s.text, s.tokens[place].end):
        return int(after[1])
    for i in range(place - 1, -1, -1):
        if s.codes[i] == Code.SEED:
            return int(s.tokens[i].value)
        if s.codes[i] == Code.RUN and (of := OWNED.search(s.text[: s.tokens[i].start])):
            return int(of[1])
        if s.codes[i] == Code.RUN or (s.codes[i] == "." and i + 1 < place):
            break
        if s.codes[i] == Code.NUMBER and SEEDED.match(s.text, s.tokens[max(0, i - 1)].start):
            return int(s.number(i).value)
    every = {seed for run in s.known.runs for seed in run.seeds}
    labels = [*(text for text, _ in s.cells[:1]), re.split("[:;|\u2014]", s.text)[0]]
    heads = [int(head[1]) for text in labels if (head := HEADED.fullmatch(text))]
    return next((seed for seed in heads if seed in every and s.tokens[place].start > 0), None)


def _crossings(s: Sentence, points: Sequence[tuple[float, float]]) -> Statistics:
    """The steps at which a curve gets to a level that the sentence, or the heading of its column, names."""
    texts = [s.text, *(text for text, _ in s.cells)]
    levels = [number_in(NUMBER.match(said[1])) for text in texts for said in LEVEL.finditer(text)]
    wanted = [level.bound for level in levels if level and abs(level.bound) < MANY]
    wanted += [1e-9] if BEGUN.search(s.text) else []
    for level in wanted:
        for (_, before), (step, after) in pairwise(points):
            if (before < level) != (after < level):
                yield step, f"it gets to {level:.6g} at step {step:,.0f}"


def _moments(s: Sentence, run: KnownRun) -> Iterator[Number]:
    """The moments of a training that a sentence, or the row of its cell, names: in steps, or as an epoch's."""
    batch = run.derived.get("batch_size")
    own = re.match(coded("[word between]{0,2}(number)"), s.codes[s.place + 1 :]) if s.place is not None else None
    if own and (moment := s.number((s.place or 0) + 1 + own.start(1))).value >= MANY:
        yield moment  # `0.21 @ 106k -> 0.257 @ 164k`: each has its own
        return
    for i, code in enumerate(s.codes):
        number = s.number(i) if code == Code.NUMBER else None
        if number and not number.unit and (number.value >= MANY or number.step >= 1):
            if number.value >= MANY:
                yield number
            elif batch and EPOCH.search(s.text[: s.tokens[i].start]):
                yield number.scaled(batch)
    heads = (number_in(NUMBER.match(text)) for text, _ in s.cells)
    yield from (head for head in heads if head and head.value >= MANY)


def _near(points: Sequence[tuple[float, float]], moment: Number) -> Iterator[list[float]]:
    """The values of a curve about a moment: the mean over replicates there, then the points beside it of each."""
    between, beside = list[float](), list[float]()
    for curve in curves_of(points):
        beside += [value for step, value in curve if moment.fits(step)]
        before = max((i for i, (step, _) in enumerate(curve) if step <= moment.value), default=None)
        if before is not None and (before + 1 < len(curve) or moment.fits(curve[before][0])):
            (a, one), (b, other) = curve[before], curve[min(before + 1, len(curve) - 1)]
            beside += [one, other]
            between.append(one + (other - one) * (moment.value - a) / (b - a) if b > a else one)
    yield [statistics.fmean(between)] if between else []
    yield beside


def curves_of(points: Sequence[tuple[float, float]]) -> Iterator[list[tuple[float, float]]]:
    """The points of each replicate, which follow each other."""
    which, last, marked = 0, float("-inf"), list[tuple[int, tuple[float, float]]]()
    for point in points:
        which, last = which + (point[0] <= last), point[0]
        marked.append((which, point))
    for _, group in groupby(marked, key=lambda pair: pair[0]):
        yield [point for _, point in group]


def means(s: Sentence, run: KnownRun, said: str) -> Statistics:
    """The objective's mean, the greedy policy's metrics, those metrics that a word of the statement is a part of."""
    words = set(re.findall(r"[a-z]{4,}", said.lower())) - {"mean", "rate", "steps"}
    greedy = GREEDY.search(said) is not None
    for name, metric in run.metrics.items():
        if name == s.known.scored or words & set(name.split("_")):
            yield metric.mean, f"{name} {metric.mean:.6g} in {run.run_id}"
    for name, value in run.greedy.items():
        if (greedy and name in (s.known.metric, "score")) or words & set(name.split("_")):
            yield value, f"greedy {name} {value:.6g} in {run.run_id}"


PARTS = (
    (r"\b(?:second|last) half\b", None, -1),
    (r"\b(?:last|final) (?:step|interval|increment|point)\b", -2, -1),
    (r"\bfirst (?:step|interval|increment)\b", 0, 1),
)
"""Parts of a training by their words, with where among its points they begin (None: half way) and end."""


def since(s: Sentence, run: KnownRun) -> Statistics:
    """How far the objective's curve went since a step that the sentence names, or over so many steps at its end."""
    name = f"environment/{s.known.metric}"
    logged = dict(run.points.get(name, ()))
    steps = [s.number(i).value for i, code in enumerate(s.codes) if code == Code.NUMBER and s.number(i).value >= MANY]
    for step in steps if logged else ():
        if step in logged:
            yield run.curves[name].last - logged[step], f"{name} since step {step:,.0f}"
        if (back := max(logged, default=0) - step) in logged:
            yield run.curves[name].last - logged[back], f"{name} over the last {step:,.0f} steps"
    values = [*logged.values()]
    for words, begin, end in PARTS if len(run.seeds) == 1 and len(values) > 2 else ():
        if re.search(words, s.text, re.IGNORECASE):
            old, new = values[len(values) // 2 - 1 if begin is None else begin], values[end]
            yield new - old, f"{name} went from {old:.6g} to {new:.6g}"


def steps_of(s: Sentence, run: KnownRun, names: Sequence[str], said: str) -> Iterator[Statistics]:
    """How many steps a run was trained for; those at which curves have their extremes, or were logged."""
    yield iter(s.values(STEPS, run, set()))
    for name in names if s.cells or CURVE.search(said) else ():
        if (curve := run.curves.get(name)) is None:
            continue
        ends = {"peaks": curve.max.step, "is lowest": curve.min.step}
        yield ((step, f"{name} {end} at step {step:,.0f}") for end, step in ends.items())
        points: Sequence[tuple[float, float]] = run.points.get(name, ())
        if (seed := seed_curve(s, run, points)) is not None:
            points = seed
        yield from (_crossings(s, one) for one in curves_of(points))
        peaks = [max(curve, key=lambda point: point[1])[0] for curve in curves_of(points)]
        yield ((step, f"{name} of a replicate peaks at step {step:,.0f}") for step in peaks)
        if _tells(s, [step for step, _ in points]):
            yield ((step, f"{name} was logged at step {step:,.0f}") for step, _ in points)


def amounts(s: Sentence, run: KnownRun, unit: str) -> Statistics:
    """The time, in the unit that is written, or the memory that a run took."""
    per = 60 if "min" in unit and not unit.endswith(("s", "sec", "seconds")) else 1
    its = run.by_seed.get(-1 if s.seed is None else s.seed, {})
    told = {name: its[name] for name in TOOK if name in its} or run.amounts
    for name, amount in told.items():
        if ("MiB" in name) == ("mib" in unit or "mb" in unit):
            yield amount / per, f"{name} of {run.run_id}: {amount:.6g}"


def counts(s: Sentence, run: KnownRun, place: int) -> Statistics:
    """Whole numbers: a seed, replicates over all repeats, how a batch is split."""
    before, after = s.text[: s.tokens[place].start], s.text[s.tokens[place].end :]
    if re.search(r"\bseeds?\b[^.;\d]{0,30}(?:\d+(?:,? and |, ?| ))*$|\b(?:best|worst)\s$", before, re.IGNORECASE):
        seeds = (*run.seeds, run.config.get("train.seed"))
        yield from ((float(seed), f"a seed of {run.run_id}") for seed in seeds if real(seed))
    if re.match(r"\W{0,3}(?:fresh )?(?:seeds?|replicates?)\b", after):
        yield from ((metric.n, f"replicates of {run.run_id}") for metric in list(run.metrics.values())[:1])
    if re.match(r"\W{0,3}seeds?\b", after) or re.search(r"\bn\s?=\s?$", before):
        yield len(pooled(s, repeats(s, run))), f"replicates over the repeats of {run.run_id}"
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


def stretches(s: Sentence, run: KnownRun, name: str) -> Iterator[tuple[float, float, str]]:
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
