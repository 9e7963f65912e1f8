"""Words that compare, weighed by figures that were found true: `0.917, over base's best seed 0.673`, `half of 0.92`.

What a direction, a ratio or a rank is of stands beside it, as figures or as a run. Rules here come last and find true
only: where the two sides are not beyond doubt, a false word may be one of other sides.
"""

import re
from collections.abc import Iterator, Sequence

from lab.claims.chance import DIFFERS, chance
from lab.claims.families import curves_of, seed_of
from lab.claims.numbers import Number
from lab.claims.reading import Sentence
from lab.claims.subjects import NOBODY
from lab.claims.words import LOWER_IS_BETTER, SMALLER, Code, Quantity, coded, whole
from lab.judge import KnownRun

WAYS: dict[str, int] = {Code.UP: 1, Code.DOWN: -1, Code.BETTER: 1, Code.WORSE: -1, Code.SAME: 0}
NEAR, ALIKE, SCALE = 8, 0.02, 50.0
"""How many tokens apart a word and its figure may stand; by what share what is the same may differ; by what factor two
figures of one quantity may."""
ABOUT = re.compile(r"\b(?:about|roughly|nearly|almost|around|some)\s+$|~$", re.IGNORECASE)
AMONG = re.compile(r"#(\d+) ?(?:-|\u2013|to) ?#?(\d+)")
OF = re.compile(r"\b(?:of|among|out of) (?:the |these |all )?(?:(\w+)\b)?", re.IGNORECASE)
VERDICT = re.compile(r"significan|confirm", re.IGNORECASE)
"""Words of a verdict, which is none of the means."""
FAR = 32
APART = re.compile(
    r"\b(?:by|gap|gain\w*|lost|differ\w*|lower|higher|more|less|up|down|sum|together|short|spread|between|adds?|jump)\b",
    re.IGNORECASE,
)
"""Words of what is a difference, so many characters about it."""
LAST, FIRST = {"last", "bottom"}, {"first", "top"}
Sides = tuple[float, float, str]


def weighed(s: Sentence) -> None:
    """Find true directions and ratios whose two sides are figures, or runs that are named."""
    figures = _figures(s)
    for i, code in enumerate(s.codes):
        if i in s.used or (code not in WAYS and code != Code.RATIO) or s.section == "next_step":
            continue
        if Code.NOT in s.codes[max(0, i - 2) : i] or VERDICT.search(s.text):
            continue
        s.look(i)
        for new, old, told in _sides(s, i, figures):
            if old and 1 / SCALE < abs(new / old) < SCALE and _holds(s, i, new, old):
                s.say(i, i, "verified", told)
                break


def _holds(s: Sentence, i: int, new: float, old: float) -> bool:
    """Whether a word is true of two sides."""
    if s.codes[i] == Code.RATIO:
        ratio, kind = s.tokens[i].value
        slack = 0.15 if ABOUT.search(s.text[: s.tokens[i].start]) else 0.06
        wanted = [ratio] if kind == "times" else [ratio, 1 + ratio, 1 - ratio]
        return any(abs(new / old - one) <= slack * one for one in wanted)
    way = WAYS[s.codes[i]]
    return (new - old) * way > 0 if way else abs(new - old) <= ALIKE * abs(old)


def _figures(s: Sentence) -> dict[int, float]:
    """The numbers that were found true, by their tokens."""
    spans = [(claim.start, claim.end) for claim in s.claims if claim.status == "verified"]
    return {
        i: s.number(i).bound
        for i, token in enumerate(s.tokens)
        if token.code == Code.NUMBER and any(a <= token.start < b for a, b in spans)
    }


def _sides(s: Sentence, i: int, figures: dict[int, float]) -> Iterator[Sides]:
    """What a word may compare: the new, or greater, side first."""
    ends = [at for mark in ";." if (at := s.codes.find(mark, i)) >= 0]
    end = min([*ends, i + NEAR, len(s.codes)])
    behind = [j for j in figures if i < j < end]
    before = [j for j in figures if s.codes.rfind(";", 0, i) < j < i]
    between = s.codes[i + 1 : behind[0]] if behind else ""
    if len(behind) > 1 and re.search(coded("arrow|to"), s.codes[behind[0] : behind[1]]):
        yield figures[behind[1]], figures[behind[0]], "by the two figures behind it"
    elif len(behind) > 1 and re.search(coded("against"), s.codes[behind[0] : behind[1]]) and not before:
        yield figures[behind[0]], figures[behind[1]], "by the two figures behind it"
    elif behind and before and Code.TO in between:
        yield figures[behind[0]], figures[before[-1]], "by the figures about it"
    elif behind and before:
        yield figures[before[-1]], figures[behind[0]], "by the figures about it"
    elif len(before) > 1 and Code.RUN not in s.codes[i:end]:
        yield figures[before[-2]], figures[before[-1]], "by the two figures before it"
    yield from _of_runs(s, i, end, figures)


def _of_runs(s: Sentence, i: int, end: int, figures: dict[int, float]) -> Iterator[Sides]:
    """The sides where a run is named behind a word, or as what is compared with."""
    place = next((j for j in range(i + 1, min(end, i + 5)) if s.codes[j] == Code.RUN), None)
    if place is None or re.search("[,;.N]", s.codes[i:place]):
        return
    other, quantity = s.run_of(s.tokens[place]), quantity_at(s, i)
    if other is NOBODY or other is s.subject or quantity is None:
        return
    name = quantity.keys[0].partition(":")[2]
    mine, seed = s.one(quantity, s.subject, s.aspects(i)), seed_of(s, i)
    if seed is not None:
        mine = s.subject.by_seed.get(seed, {}).get(name)
    theirs = s.one(quantity, other, s.aspects(i))
    if mine is not None and theirs is not None and s.known.alike(name, s.subject, other):
        yield mine, theirs, f"{name}: {theirs:.6g} in {other.run_id}, {mine:.6g}"


def quantity_at(s: Sentence, i: int) -> Quantity | None:
    """What a word that compares is of: speed, the nearest quantity that is measured or set, else the objective."""
    if s.word(i) in {"slower", "faster", "slowest", "fastest"}:
        return Quantity(("metric:sps",))
    start = max(s.codes.rfind(mark, 0, i) for mark in ";.") + 1
    places = [*range(start, i), *range(i + 1, min(i + 3, len(s.codes)))]
    near = [s.named_quantity(j) for j in places if s.codes[j] == Code.QUANTITY]
    near = [quantity for quantity in near if quantity.section != "count"]
    return next(
        (q for q in reversed(near) if q.section in ("metric", "curve", "config")), None if near else s.objective
    )


def related(s: Sentence) -> None:
    """Find true figures that say how far apart, or how many times, two others are that were found true."""
    figures = _figures(s)
    for claim in [c for c in s.claims if c.status == "unsupported"]:
        places = [i for i in s.within(claim.start, claim.end) if s.codes[i] == Code.NUMBER]
        if len(places) != 1 or s.section == "next_step":
            continue
        number = s.number(places[0])
        if number.signed and re.match(coded("against? word? run"), s.codes[places[0] + 1 :]):
            continue  # to a run that is named, which the figures beside it may not be of
        about = s.text[max(0, claim.start - FAR) : claim.end + FAR]
        if not (number.signed or number.percent or number.times or APART.search(about)):
            continue
        before = [figures[j] for j in figures if places[0] - 2 * NEAR < j < places[0]][-3:]
        after = [figures[j] for j in figures if places[0] < j < places[0] + NEAR][:2]
        worths = [*_worths(number, [*before, *after])]
        said = next((told for worth, told in worths if number.fits(worth)), None)
        if said and chance(number, [worth for worth, _ in worths]) <= DIFFERS:
            s.claims.remove(claim)
            s.say(places[0], places[0], "verified", said)


def across(s: Sentence) -> None:
    """Find true what a cell makes of two figures of its row that were found true: `up 32 %`, `x1.8`, `lower`."""
    places = [i for i, code in enumerate(s.codes) if code == Code.NUMBER]
    ways = [WAYS[code] for code in s.codes if code in WAYS]
    if len(s.row) < 2 or len(places) > 1 or s.section == "next_step":
        return
    if any(claim.status == "verified" for claim in s.claims) or set(s.codes) - {*WAYS, Code.NUMBER, Code.BY}:
        return
    pairs = [*_pairs(s)]
    if places:
        number = s.number(places[0])
        worths = [worth for pair in pairs for worth in _between(s, number, *pair, way=ways[0] if ways else 0)]
        true = any(abs(number.value - worth) <= off for worth, off in worths)
        true = true and chance(number, [worth for worth, _ in worths]) <= DIFFERS
    else:
        true = bool(ways and pairs) and all((new.value - old.value) * ways[0] > 0 for new, old in pairs)
    if true:
        s.claims.clear()
        s.say(0, len(s.tokens) - 1, "verified", "by the figures of its row")


def _pairs(s: Sentence) -> Iterator[tuple[Number, Number]]:
    """The new and the old figure that a cell may compare: of the runs in its heading, else the last one with others."""
    runs = re.findall(r"#(\d+)", s.cells[-1][0])
    row = [(name, _exact(s, name, figure)) for name, figure in s.row]
    named = [
        figure for run in runs for name, figure in row if (known := s.known.get(name)) and str(known.number) == run
    ]
    (last, figure), home = row[-1], s.known.run.run_id
    for name, other in row[:-1]:
        if not named or other in named or figure in named:
            yield (other, figure) if name == home and last != home else (figure, other)


def _exact(s: Sentence, name: str, figure: Number) -> Number:
    """A figure of a row as the record has it, where the row's name is that of a quantity."""
    run = s.known.get(name)
    value = s.one(s.carried, run, set()) if run and s.labelled else None
    return figure if value is None or not figure.fits(value) else Number(value, 0.0)


def _between(s: Sentence, number: Number, new: Number, old: Number, way: int) -> Iterator[tuple[float, float]]:
    """How far apart, or how many times each other, two figures are, in a number's unit, and how far rounding is off."""
    a, b, heading = new.value, old.value, s.cells[-1][0]
    if not b or not a:
        return
    sign = -1 if way < 0 else 1
    blur = new.step / abs(a) / 2 + old.step / abs(b) / 2
    factor = number.times or (not number.signed and FACTOR.search(heading))
    if number.percent:
        yield 100 * (a - b) / abs(b) * sign, number.step / 2 + 100 * abs(a / b) * blur
    elif factor:
        yield (b / a if way < 0 else a / b), number.step / 2 + abs(b / a if way < 0 else a / b) * blur
    elif number.signed or way:
        yield (a - b) * sign, (number.step + new.step + old.step) / 2


FACTOR = re.compile(r"/|\b(?:ratio|factor|times|over)\b|[×÷]", re.IGNORECASE)
"""What the heading of a column of factors has."""


def timed(s: Sentence) -> None:
    """Find true the moment by which the figure before it was found: `0.43 at 1.2M`."""
    for claim in [c for c in s.claims if c.status == "unsupported"]:
        said = s.text[claim.start : claim.end].strip()
        found = [c for c in s.claims if c.status == "verified" and c.end <= claim.start <= c.end + FAR]
        if found and re.search(rf" {re.escape(said)} in \S+: ", told := max(found, key=lambda c: c.end).evidence):
            s.claims.remove(claim)
            first, *rest = s.within(claim.start, claim.end)
            s.say(first, rest[-1] if rest else first, "verified", told)


def _worths(number: Number, figures: list[float]) -> Iterator[tuple[float, str]]:
    """What two of some figures are apart, in a number's unit."""
    for new in figures:
        for old in figures:
            if new == old or not old or not 1 / SCALE < abs(new / old) < SCALE:
                continue
            told = f"{new:g} against {old:g}"
            if number.times:
                yield new / old, told
            elif number.percent:
                yield (100 * (new - old) / abs(old)) if number.signed else 100 * abs(new - old) / abs(old), told
            else:
                yield new - old, told


def listed(s: Sentence) -> None:
    """Find true a list of figures that are one each of a run's replicates: `Per seed 0.39, 0.17, 0.32`."""
    for said in re.finditer(coded("number (?:[,/and]{1,2} number){2,}"), s.codes):
        places = [i for i in range(*said.span()) if s.codes[i] == Code.NUMBER]
        open_ = [c for c in s.claims if c.status == "unsupported" and s.tokens[places[0]].start <= c.start]
        open_ = [c for c in open_ if c.end <= s.tokens[places[-1]].end]
        numbers = [s.number(i) for i in places]
        if s.section == "next_step" or not open_:
            continue
        for values, what in _of_replicates(s, places[0]):
            if len(values) == len(numbers) and all(n.fits(value) for n, value in zip(numbers, values, strict=True)):
                s.claims = [claim for claim in s.claims if claim not in open_]
                for i in places:
                    if not any(c.start <= s.tokens[i].start < c.end for c in s.claims):
                        s.say(i, i, "verified", what)
                break


def _of_replicates(s: Sentence, place: int) -> Iterator[tuple[Sequence[float], str]]:
    """Figures of the replicates of the runs that are spoken of, in their order: scores, ends and peaks of curves."""
    spoken = [*s.objective.keys, *(key for t in s.tokens if t.code == Code.QUANTITY for key in t.value.keys)]
    names = dict.fromkeys(key.partition(":")[2] for key in spoken)
    for run in {run.run_id: run for run in (s.owner(place), s.home, *s.runs_named())}.values():
        for name in names:
            told = f"{name} of the replicates of {run.run_id}"
            yield run.metrics[name].values if name in run.metrics else (), told
            yield run.greedy_values.get(name, ()), f"greedy {told}"
            curves = [*curves_of(run.points.get(name, ()))]
            yield [curve[-1][1] for curve in curves], f"{told}, at the end"
            yield [max(value for _, value in curve) for curve in curves], f"{told}, at the peak"


def placed(s: Sentence) -> None:
    """Find true ranks: of a replicate among its run's, of a run among those that are named, or all."""
    if s.section == "next_step":
        return
    for i, code in enumerate(s.codes):
        open_ = next((c for c in s.claims if c.status == "unsupported" and c.start <= s.tokens[i].start < c.end), None)
        if (i in s.used and not open_) or (
            code not in (Code.ORDINAL, Code.SUPERLATIVE) and s.word(i) not in LAST | FIRST
        ):
            continue
        s.look(i)
        quantity = quantity_at(s, i)
        if quantity is None or (open_ and "place " in open_.evidence):
            continue
        seed = seed_of(s, i)
        told = _among_seeds(s, i, seed, quantity) if seed is not None else _among_runs(s, i, quantity)
        if told:
            s.claims = [claim for claim in s.claims if claim is not open_]
            s.say(i, i, "verified", told)


def _lower(s: Sentence, i: int, name: str) -> bool | None:
    """Whether the first by a word is the lowest; None for a word that ranks nothing."""
    word = s.word(i)
    good = -1 if LOWER_IS_BETTER.search(name) else s.known.goal.sign if name == s.known.scored else 1
    if word in SMALLER:
        return True
    return (good > 0) == (word in {"worst", *LAST}) if word in {"worst", "best", *LAST} or good < 0 else False


def _among_seeds(s: Sentence, i: int, seed: int, quantity: Quantity) -> str | None:
    name = quantity.keys[0].partition(":")[2]
    for run in s.known.runs:
        values = {one: its[name] for one, its in run.by_seed.items() if name in its}
        if seed in values and len(values) > 1 and s.codes[i] != Code.ORDINAL:
            extreme = min(values.values()) if _lower(s, i, name) else max(values.values())
            return f"{name} of seed {seed}: {extreme:.6g}" if values[seed] == extreme else None
    return None


def _among_runs(s: Sentence, i: int, quantity: Quantity) -> str | None:
    place = s.tokens[i].value if s.codes[i] == Code.ORDINAL else 1
    name = quantity.keys[0].partition(":")[2]
    beside = [j for j in (i + 1, i - 1, i - 2) if 0 <= j < len(s.codes) and s.codes[j] == Code.RUN]
    run = s.run_of(s.tokens[beside[0]]) if beside and not s.refers(beside[0]) else s.subject
    low = _lower(s, i, name) or False
    for runs in _sets(s, i):
        values = {one.run_id: value for one in runs if (value := s.one(quantity, one, s.aspects(i))) is not None}
        if run.run_id not in values or len(values) < 3:
            continue
        mine = values[run.run_id]
        if place == 1 + sum(value < mine if low else value > mine for value in values.values()):
            return f"place {place} of {len(values)} by {name}: {mine:.6g}"
    return None


def _sets(s: Sentence, i: int) -> Iterator[list[KnownRun]]:
    """The runs that a rank is among: a span of numbers, as many as are named, else all that have a score."""
    finished = s.known.finished
    if span := AMONG.search(s.text):
        yield [run for run in finished if run.number and int(span[1]) <= run.number <= int(span[2])]
        return
    named = {run.run_id: run for run in (*s.runs_named(), *filter(None, map(s.known.get, s.around)), s.known.run)}
    said = OF.search(s.text, s.tokens[i].end)
    if said and (count := whole(said[1] or "")) and len(named) == count:
        yield [*named.values()]
    yield finished
