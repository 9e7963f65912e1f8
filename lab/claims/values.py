"""Claims about single values: of a run, of the next config, of a prediction."""

import re

from lab.claims.numbers import Number, real
from lab.claims.plans import planned
from lab.claims.reading import Sentence
from lab.claims.recorded import fits, settles
from lab.claims.words import GENERAL, Code, Quantity


def numbers(s: Sentence) -> None:
    """Judge every number that no other rule has taken, as a value of a quantity."""
    for index, token in enumerate(s.tokens):
        if token.code != Code.NUMBER or index in s.used:
            continue
        s.look(index)
        number = s.number(index)
        quantity = s.quantity(index)
        if _no_claim(s, index, number, quantity):
            continue
        if told := re.search(r"\bseed\s?([:=])?#?\s?$", s.text[: token.start], re.IGNORECASE):
            seeds = [float(seed) for seed in (*s.subject.seeds, s.subject.config.get("train.seed")) if real(seed)]
            true = number.value in seeds or (False if told[1] and seeds else None)
            s.judge(index, index, true, f"seeds {seeds}")
            continue
        whole = quantity is None or quantity.section != "config" or any(map(s.whole, quantity.keys))
        if number.unit or (number.word and not whole) or (quantity is not None and quantity.foreign):
            s.judge(index, index, None, "nothing in the record has that name")
            continue
        if quantity is None:
            s.judge(index, index, None, "it is not said what it is of")
            continue
        position = (
            re.search(r"\bsteps?\s*$", s.text[: token.start].lower().rstrip("~ ")) and Code.ASPECT in s.codes[:index]
        )
        if position:
            _position(s, index, number)
            continue
        if s.section == "next_step":
            planned(s, index, quantity, number)
            continue
        _of_a_run(s, index, number, quantity)


def _of_a_run(s: Sentence, index: int, number: Number, quantity: Quantity) -> None:
    runs = s.alike(s.owner(index))
    values = [v for run in runs for v in s.values(quantity, run, s.aspects(index))]
    values = values or [v for run in runs for v in s.values(Quantity(quantity.settable), run, s.aspects(index))]
    if number.percent and all(abs(value) > 1 for value, _ in values):
        values = []
    if not values:
        s.judge(index, index, None, "nothing in the record says it")
        return
    if number.than and not s.adjacent(index):
        s.judge(index, index, None, "it is not said what it bounds")
        return
    true = any(settles(number, value, quantity) for value, _ in values)
    if not true and s.known.proposals and AHEAD.search(s.text):
        keys = [key.partition(":")[2] for key in quantity.settable]
        staged = [proposal.overrides.get(key) for proposal in s.known.proposals for key in keys]
        true = any(real(value) and fits(number, float(value)) for value in staged if value is not None)
    false = False if s.attached(index) else None
    s.judge(index, index, true or false, "; ".join(what for _, what in values[:2]))


AHEAD = re.compile(r"\b(next|propos\w+|try|trying|staged?)\b", re.IGNORECASE)
"""A sentence about what is to come."""
COUNTED = re.compile(r"\s*(?:of the |one |runs?\b)", re.IGNORECASE)


def _no_claim(s: Sentence, index: int, number: Number, quantity: Quantity | None) -> bool:
    """Whether a number claims nothing of a run: a count of runs, `one` as a pronoun, the method in general."""
    token = s.tokens[index]
    position = (
        quantity is not None
        and "steps:all" in quantity.keys
        and re.search(r"\b(at|after|around|near|until|within|first)\s+(step\s+)?$", s.text[: token.start].lower())
    )
    if position and not any(fits(number, value) for value in s.known.told.values()):
        return True
    if COUNTED.match(s.text, token.end) and not number.percent:
        return True
    if number.word and number.value == 1 and s.codes[index + 1 : index + 2] not in (Code.QUANTITY, Code.KEY):
        return True
    counting = quantity is not None and quantity.section in ("count", "config", "derived", "noise")
    far = index + 2 < len(s.codes) and Code.QUANTITY not in s.codes[index + 1 : index + 3]
    if number.word and (not counting or far):
        return True
    return GENERAL.search(s.text[: token.start]) is not None and s.section in ("theory", "next_step")


def _position(s: Sentence, index: int, number: Number) -> None:
    """Judge a number as the step of a curve's extreme."""
    named = (s.named_quantity(i) for i in range(index, -1, -1) if s.codes[i] == Code.QUANTITY)
    quantity = next((one for one in named if "steps:all" not in one.keys), None)
    curves = [c for k in (quantity.keys if quantity else ()) if (c := s.subject.curves.get(k.partition(":")[2]))]
    steps = [extreme.step for curve in curves for extreme in (curve.max, curve.min)]
    true = any(number.fits(step) for step in steps) if steps else None
    s.judge(index, index, true, f"extremes at steps {', '.join(f'{step:,.0f}' for step in steps)}")
