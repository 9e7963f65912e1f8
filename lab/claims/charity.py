"""Readings that a text leaves open: what would make a claim true that the plainest reading makes false.

A claim is contradicted only where quantity and subject are certain. Where the text does not name the run, the figure
may be another run's; where nothing parts a number from being a difference, a step count or a new value of a plan, it
may be that. Such a reading makes the claim unsupported, and is its evidence.
"""

import re
from collections.abc import Iterator

from lab.claims.certain import named_beside, unclear
from lab.claims.numbers import real
from lab.claims.plans import KEEPS
from lab.claims.reading import Sentence
from lab.claims.readings import said_somewhere
from lab.claims.words import Code, Quantity, coded

ELSEWHERE = re.compile(
    r"\b(?:earlier|previous(?:ly)?|prior|before|older|formerly|used to|tried|others?|another|history|ranged|varied)\b"
    r"(?! (?:training|steps|peak|part|phase|half|value))"
    r"|(?<!of )(?<!of the )\b(?:first|last|past|recent|all|both|most|some|several|few|two|three|four|five|older|across)"
    r" (?:\w+ )?(?:runs?|attempts?|configs?|tries|trials|settings?)\b|[∈{}]",
    re.IGNORECASE,
)
"""Words that speak of runs which they do not name."""


def other_reading(s: Sentence, first: int, last: int) -> str | None:
    """Words for a reading which the text leaves open and under which a claim is true; None where there is none."""
    numbers = [i for i in range(first, last + 1) if s.codes[i] == Code.NUMBER]
    doubt = unclear(s, first, last)
    told = s.own or any(named_beside(s, i, last) for i in numbers)  # what is oddly put, of a run that is named
    if doubt and (doubt.open or not told or _elsewhere(s)):
        return doubt.why
    if doubt and all(said_somewhere(s, i, numbers[0], sure=s.adjacent(i)) for i in numbers):
        return doubt.why
    if s.section == "next_step" and not (s.known.proposals or KEEPS.search(s.text)):
        return "a plan: nothing that is now so"
    readings = _of_numbers(s, numbers, first, last) if numbers else _of_words(s, first, last)
    return next((reading for reading in readings if reading), None) or _of_fresh_seeds(s, numbers, first, last)


def _of_fresh_seeds(s: Sentence, numbers: list[int], first: int, last: int) -> str | None:
    """The reading of a comparison as one of a run's fresh seeds, which lists and verdicts tell in its own's place."""
    quantity, compared = s.quantity(numbers[0] if numbers else first) or s.objective, "[up down better worse same than]"
    relative = re.search(coded(compared), s.codes[first : last + 1]) or any(s.number(i).signed for i in numbers)
    if not relative or f"metric:{s.known.metric}" not in quantity.keys:
        return None
    proven = [run for run in (s.subject, s.reference) if run.confirmed and run.confirmed.scores]
    return f"it may be of the fresh seeds of {proven[0].run_id}" if proven else None


def _of_numbers(s: Sentence, numbers: list[int], first: int, last: int) -> Iterator[str | None]:
    """Readings of a number, or of two of them, whose run is only presumed or that may be a difference."""
    place, number = numbers[0], s.number(numbers[-1])
    free = not s.owned(place)[1] and not s.labelled_line(place)
    yield from _to_come(s, numbers, s.quantity(place) or s.objective)
    compared = re.search(coded("[up down better worse than not by]"), s.codes[first : last + 1]) is not None
    relative = number.signed or compared
    way = re.search(coded("([up down]) word? from? word?$"), s.codes[: numbers[0]])
    turned = way and len(numbers) > 1 and (number.value > s.number(place).value) != (way[1] == Code.UP)
    if s.section == "next_step" or number.word or turned:
        return
    if s.adjacent(place) and not (free or relative):
        return
    if _elsewhere(s) and (free or relative):
        yield "which run is meant is not said"
    bound = compared and not (number.signed or number.percent or number.points or number.times)
    against = (
        any(run is not s.subject for run in s.runs_named()) if len(numbers) > 1 else relative and s.compared_by_name()
    )
    if not against and not bound:  # where whom it is compared with is said, that has been tried
        readings = [said_somewhere(s, i, place, sure=len(numbers) > 1 or s.adjacent(i)) for i in numbers]
        yield readings[0] if all(readings) else None


def _elsewhere(s: Sentence) -> bool:
    """Whether the text speaks of runs that it does not name, outside the words that name one."""
    names = [(token.start, token.end) for token in s.tokens if token.code == Code.RUN]
    return any(not any(a <= it.start() < b for a, b in names) for it in ELSEWHERE.finditer(s.text))


def _to_come(s: Sentence, numbers: list[int], quantity: Quantity) -> Iterator[str | None]:
    """Readings as something that is still to come, and that nothing staged speaks against."""
    keys = {key.partition(":")[2] for key in quantity.settable}
    staged = any(keys & proposal.overrides.keys() for proposal in s.known.proposals)
    last = s.tokens[numbers[-1]].end
    if staged or quantity.section != "config" or s.own or s.lead or Code.RUN in s.codes:
        return
    behind = ORIGIN.match(s.text, last)
    origin = (
        numbers[0]
        if len(numbers) > 1
        else next((i for i in s.within(last, len(s.text)) if s.codes[i] == Code.NUMBER), None)
    )
    now = [float(value) for key in keys if real(value := s.subject.config.get(key))]
    if (len(numbers) > 1 or behind) and origin is not None and any(s.number(origin).sets(value) for value in now):
        yield f"it begins at what is now so ({now[0]:.6g}): a plan"


ORIGIN = re.compile(r"\s*\((?:(?:up |down )?from|was|now|currently|instead of)\s")
"""What follows a new value where the old one stands in brackets: `0.35 (from 0.2)`."""


def _of_words(s: Sentence, first: int, last: int) -> Iterator[str | None]:
    """Readings of a direction in words: against another run, within the training, of what nobody names."""
    codes = s.codes[first : last + 1]
    directed = re.search(coded("[up down same]"), codes)
    if re.search(coded("[run aspect than undecided]"), codes) or s.section == "next_step":
        return
    quantity = s.named_quantity(first) if s.codes[first] == Code.QUANTITY else s.quantity(first) or s.objective
    if s.compared_by_name() or quantity.section not in ("metric", "curve"):
        return
    if Code.RATIO in codes or directed is None or s.section == "title":
        return
    curves = [curve for key in quantity.keys if (curve := s.subject.curves.get(key.partition(":")[2]))]
    up = directed.group() == Code.UP
    for curve in curves:
        if any((b > a) == up for a, b in ((curve.first, curve.last), (curve.max.value, curve.last))):
            course = f"from {curve.first:.6g} over {curve.max.value:.6g} to {curve.last:.6g}"
            yield f"it may be said of the training: {course}"
    mine = s.one(quantity, s.subject, set())
    for run in s.known.runs:
        old = s.one(quantity, run, set())
        if mine is not None and old is not None and old != mine and (mine > old) == up:
            yield f"so it is against {s.role_of(run)}: {old:.6g} there, {mine:.6g} here"
