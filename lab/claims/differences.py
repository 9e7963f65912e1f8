"""How far apart two values are: `up 22 %`, `by 0.087`, `halved`."""

import math
import re
from collections.abc import Iterator

from lab.claims.numbers import Number
from lab.claims.reading import Sentence
from lab.claims.recorded import fits
from lab.claims.words import Code, Quantity, coded
from lab.judge import KnownRun

SIGN: dict[str, int] = {Code.UP: 1, Code.DOWN: -1, Code.BETTER: 1, Code.WORSE: -1}
SHOWN = 1e-6
"""Tools show six digits: a difference taken from what they show is off by this share of its operands."""
CLOSE = 0.05
"""How far off a ratio said in a word (half, twice, a third) may be."""
TIMES = 0.25
"""How far off a factor in digits may be."""
NEARLY = re.compile(
    r"(?:\b(?:nearly|almost|about|roughly|around|some|close to|not quite|over|more than|short of)|~) ?(?:a |an )?$"
)
THAT = re.compile(
    r"\s+(?:that|its|as|what|the (?=\w+ (?:of|as))|more|less|faster|slower|higher|lower|longer|shorter|\w+er)\b"
)
FAR = 1.35
"""By which factor it has to be off to be false behind these words: `nearly double` is said of 1.6 times."""


def relatives(s: Sentence) -> None:
    """Judge differences: `up 22 %`, `6.7 % higher than the parent's`, `by 0.087`, `3x faster`."""
    for index, token in enumerate(s.tokens):
        if token.code != Code.NUMBER or index in s.used:
            continue
        s.look(index)
        number = s.number(index)
        before = s.codes[max(0, index - 3) : index]
        after = s.codes[index + 1 : index + 3]
        led = re.search(coded("([up down better worse]) [word between quantity by]{0,2}$"), before) or re.search(
            coded("(by)$"), before
        )
        trailed = re.match(coded("quantity? ([up down])"), after)
        beside = re.match(coded("[word quantity]? [against than]"), after)
        rises = number.value > 0 and not GAP.search(s.text[: token.start][-40:].lower())
        plus = number.signed and (rises or _behind_value(s, index))
        if not (led or trailed or plus or (number.signed and (number.percent or beside)) or number.times):
            continue
        if not (number.percent or number.points or number.times or plus) and not (
            re.search(coded("by$"), before) or beside or (trailed and not number.word)
        ):
            continue
        if not (led or trailed or number.times) and _is_value(s, index, number):
            continue  # `explains -3 % of the variance`
        _relative(s, index, number, led, trailed)


def _is_value(s: Sentence, index: int, number: Number) -> bool:
    quantity = s.quantity(index)
    values = s.values(quantity, s.owner(index), s.aspects(index)) if quantity else []
    return any(fits(number, value) for value, _ in values)


def _behind_value(s: Sentence, index: int) -> bool:
    """Whether a signed number stands behind a value as its difference to something that is spoken of.

    `worse than the parent (-0.129)`, `with the likeliest action they score 0.079, -0.0274`.
    """
    before = s.codes[:index]
    in_brackets = before.endswith(coded("(")) and Code.RUN in s.codes
    return in_brackets or (before.endswith(coded("number ,")) and Code.ASPECT in before)


def _relative(
    s: Sentence, index: int, number: Number, led: re.Match[str] | None, trailed: re.Match[str] | None
) -> None:
    quantity = s.quantity(index)
    code = next((match.group(1) for match in (trailed, led) if match and match.group(1) != Code.BY), None)
    if code is None:
        around = [c for c in s.codes[:index] if c in coded("up down better worse")]
        code = around[-1] if around else None
    first = index - len(led.group(0)) if led else index
    last = index + 1 if trailed else index
    sign = SIGN.get(code or "", 0)
    if number.signed:
        sign = 1 if number.value > 0 else -1
    if quantity is None or (quantity.section == "count" and number.signed):
        quantity = s.objective
    bases = compared(s, quantity, index)
    if not bases:
        s.judge(first, last, None, "nothing in the record to take it from")
        return
    said = Number(abs(number.value), number.step, number.approximate)
    results, told = [], list[str]()
    for new, old, what in bases:
        worth = _worth(number, new, old)
        direction = not sign or number.times or (worth > 0) == (sign > 0)
        off = 0.0 if number.percent or number.points or number.times else SHOWN * max(abs(new), abs(old))
        results.append(said.fits(abs(worth), off) and direction and _close(number, worth))
        told.append(f"{what}: {old:.6g} to {new:.6g}, {worth:+.4g}{' %' if number.percent else ''}")
    s.judge(first, last, any(results), "; ".join(told[:2]))


def _close(number: Number, worth: float) -> bool:
    """Whether a factor is not only rounded to what is said: 0.5 is not once."""
    return not number.times or abs(worth - number.value) <= TIMES * number.value


def _worth(number: Number, new: float, old: float) -> float:
    """The difference in the number's unit: %, percentage points, times, or that of the quantity."""
    if number.percent:
        return 100 * (new - old) / abs(old) if old else math.inf
    if number.points:
        return 100 * (new - old)
    if number.times:
        return new / old if old else math.inf
    return new - old


def compared(s: Sentence, quantity: Quantity | None, index: int) -> list[tuple[float, float, str]]:
    """New and old value of what a relative number is about, with words for the pair."""
    if quantity is None:
        return []
    aspects = s.aspects(index) - {"first"}
    if {"greedy", "sampled"} & {token.value for token in s.tokens if token.code == Code.ASPECT}:
        means, name = s.subject.metrics, s.known.metric
        meant = {key.partition(":")[2] for key in quantity.keys} | ({name} if quantity == s.objective else set())
        greedy = [(key, value) for key, value in s.subject.greedy.items() if key in means and key in meant]
        return [(value, means[key].mean, f"greedy {key}") for key, value in greedy]
    if PEAK.match(s.text[s.tokens[index].end :]):
        curves = [(key, s.subject.curves.get(key.partition(":")[2])) for key in quantity.keys]
        return [(curve.last, curve.max.value, f"{key}, its end against its peak") for key, curve in curves if curve]
    reference = s.reference_at(index)
    pairs: list[tuple[float, float, str]] = []
    for single in [Quantity((key,)) for key in quantity.keys]:
        new, old = s.one(single, s.subject, aspects), s.one(single, reference, aspects)
        name = single.keys[0].partition(":")[2]
        alike = s.known.alike(name, s.subject, reference)
        if alike and new is not None and old is not None and not (pairs and single.section == "curve"):
            pairs.append((new, old, f"{single.keys[0]} against {reference.run_id}"))
        if single.section == "metric" and new is not None and not aspects:
            pairs += [(new, value, what) for value, what in _weighed(s, name, new, reference)]
    if any(token.code == Code.ASPECT and token.value == "first" for token in s.tokens):
        curves = [(key, s.subject.curves.get(key.partition(":")[2])) for key in quantity.keys]
        pairs += [(curve.last, curve.first, f"{key} from first to last") for key, curve in curves if curve]
    return pairs


def _weighed(s: Sentence, name: str, new: float, reference: KnownRun) -> Iterator[tuple[float, str]]:
    """What a run's metric is by the replicates that it is compared with: its fresh seeds, or as a verdict had it."""
    if (old := reference.fresh.get(name)) is not None:
        yield old, f"{name} against the fresh seeds of {reference.run_id}"
    verdict = s.subject.verdicts.get(reference.run_id)
    if name == s.known.scored and verdict and verdict.effect is not None:
        yield new - verdict.effect, f"{name} as the verdict has it against {reference.run_id}"


PEAK = re.compile(
    r"\s*(?:below|under|short of|lower than|off|above|higher than|from) (?:its|the|this run's) (?:own )?"
    r"(?:(?:earlier|training|previous) )?"
    r"(?:peak|maximum|best|high(?:est)? point)\b"
    r"(?! (?:run|prior|config|mean|so far|of the night))"
)
"""What follows a number that is measured from a curve's peak: `34 % below its own peak`."""


GAP = re.compile(
    r"(?:\b|d\()(gap|gain|difference|effect|\u03b4|delta|deficit|advantage|margin|drop|loss of|lead|apart|spread)\b"
)


def gaps(s: Sentence) -> None:
    """Judge gaps: `far below the 0.055 gap to the incumbent`, `a gain of 0.079`, `effect -0.055`."""
    for place in [i for i, code in enumerate(s.codes) if code == Code.NUMBER and i not in s.used]:
        end = s.tokens[min(len(s.tokens) - 1, place + 1)].end
        near, far = (s.text[s.tokens[max(0, place - back)].start : end].lower() for back in (2, 4))
        near = far if re.search(r"\b(difference|effect)\b", far) else near
        if not GAP.search(near):
            continue
        s.look(place)
        number = s.number(place)
        effects = [(v.effect, a) for a, v in s.subject.verdicts.items() if v.effect is not None]
        spoken = (token.value for token in s.tokens if token.code == Code.QUANTITY and token.value.section == "metric")
        quantity = s.quantity(place) or next(spoken, None)
        base = compared(s, quantity, place) if quantity and quantity.section == "metric" else []
        values = [(value, f"effect against {against}: {value:.6g}") for value, against in effects]
        values += [(new - old, f"{what}: {new - old:+.6g}") for new, old, what in base]
        if re.search(r"apart|spread", near) and quantity:
            values = _spread(s, (*quantity.keys, *s.objective.keys)) or values
        if not values:
            s.judge(place, place, None, "no such difference in the record")
            continue
        signed = number.signed or "effect" in near
        unit = number.scaled(0.01) if number.percent or number.points else number
        size = Number(abs(unit.value), unit.step, unit.approximate)
        keys = (*(quantity.keys if quantity else ()), *s.objective.keys)
        metrics = [s.subject.metrics.get(key.partition(":")[2]) for key in keys]
        off = SHOWN * max((abs(metric.mean) for metric in metrics if metric), default=0.0)
        true = any(unit.fits(value, off) if signed else size.fits(abs(value), off) for value, _ in values)
        s.judge(place, place, true, "; ".join(what for _, what in values[:2]))


def _spread(s: Sentence, keys: tuple[str, ...]) -> list[tuple[float, str]]:
    """How far apart the replicates of a metric lie."""
    metrics = [(name, m) for name, m in s.subject.metrics.items() if f"metric:{name}" in keys]
    return [
        (max(m.values) - min(m.values), f"from the lowest to the highest replicate of {name}") for name, m in metrics
    ]


SHARED = frozenset(("noise", "count"))
"""Sections whose figures are of many runs at once, or of how many there are."""


def _says_of_what(s: Sentence, index: int, quantity: Quantity) -> bool:
    """Whether a ratio's own clause names what it is of, and no pair of figures that says it better."""
    if quantity.section in SHARED or re.match(coded("[^;.]{0,4} number [arrow to] number"), s.codes[index + 1 :]):
        return False
    begin = max(s.codes.rfind(mark, 0, index) for mark in ",;.") + 1
    ends = [at for mark in ",;." if (at := s.codes.find(mark, index)) >= 0]
    return Code.QUANTITY in s.codes[begin : min(ends, default=len(s.codes))] or (s.labelled and begin == 0)


def ratios(s: Sentence) -> None:
    """Judge ratios in words: `halved`, `twice that of the parent`, `one third higher`, `half as many steps as`."""
    for index, token in enumerate(s.tokens):
        if token.code != Code.RATIO or index in s.used:
            continue
        s.look(index)
        ratio, kind = token.value
        if re.search("(?:twice|thrice|times)$", s.word(index)) and not THAT.match(s.text, token.end):
            continue  # `traversed twice`; `four times the score came close`
        quantity = s.quantity(index)
        after = re.match(coded("word? ([up down])"), s.codes[index + 1 :])
        before = re.search(coded("([up down]) [word by]? word?$"), s.codes[:index])
        bases = compared(s, quantity, index)
        if quantity is None or not bases:
            continue
        if re.search(coded("[up down] than word?$"), s.codes[:index]):
            continue  # `less than half of #3's 15 s`: a bound
        last = index + (after.end() if after else 0)
        first = index - (before.end() - before.start() if before else 0)
        code = after.group(1) if after else before.group(1) if before else None
        wanted = ratio
        if kind == "share":
            wanted = 1 + ratio if code == Code.UP else 1 - ratio if code == Code.DOWN else ratio
        true = any(old and abs(new / old - wanted) <= CLOSE * wanted for new, old, _ in bases)
        told = "; ".join(f"{what}: {old:.6g} to {new:.6g}" for new, old, what in bases[:2])
        about = NEARLY.search(s.text[: token.start])
        near = about and any(old and wanted / FAR <= new / old <= wanted * FAR for new, old, _ in bases)
        open_ = near or not _says_of_what(s, index, quantity)
        s.judge(first, last, true or (None if open_ else False), told)
