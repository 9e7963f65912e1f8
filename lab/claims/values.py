"""Claims about single values, and about an old one and a new one: `0.98`, `0.12 -> 0.06`, `down from 9.38`."""

import re

from lab.claims.figures import over_runs
from lab.claims.numbers import Number, real
from lab.claims.plans import exchanged, planned
from lab.claims.reading import Sentence
from lab.claims.recorded import fits, settles
from lab.claims.words import Code, Quantity, coded


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
        if s.headed("seeds?") and number.value in s.subject.seeds:
            s.judge(index, index, True, f"a seed of {s.subject.run_id}")
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
    if number.than:
        s.judge(index, index, None, "it is not said what it bounds")
        return
    true = any(settles(number, value, quantity) for value, _ in values)
    false = False if s.attached(index) else None
    s.judge(index, index, true or false, "; ".join(what for _, what in values[:2]))


COUNTED = re.compile(r"\s*(?:of the |one |runs?\b)", re.IGNORECASE)


def _no_claim(s: Sentence, index: int, number: Number, quantity: Quantity | None) -> bool:
    """Whether a number claims nothing of a run: a count of runs, `one` as a pronoun, the method in general."""
    token = s.tokens[index]
    if COUNTED.match(s.text, token.end) and not number.percent:
        return True
    if number.word and number.value == 1 and s.codes[index + 1 : index + 2] not in (Code.QUANTITY, Code.KEY):
        return True
    counting = quantity is not None and quantity.section in ("count", "config", "derived", "noise")
    far = index + 2 < len(s.codes) and Code.QUANTITY not in s.codes[index + 1 : index + 3]
    return number.word and (not counting or far)


def changes(s: Sentence) -> None:
    """Judge old and new value, of parent and run or of a curve's ends: `0.12 -> 0.06`, `from 0.12 to 0.06`."""
    for first, last in s.matches(
        "from [run word]{0,2} number [word quantity,aspect]{0,4} [up down]? to number"
        "|number [word quantity]? arrow [word quantity]? number|number from number"
    ):
        ends = [i for i in range(first, last + 1) if s.codes[i] == Code.NUMBER]
        old, new = s.number(ends[0]), s.number(ends[-1])
        quantity = s.quantity(first)
        if s.codes[first : last + 1] == coded("number from number"):
            old, new = new, old
        beside = s.codes[max(0, first - 3) : first] + s.codes[last + 1 : last + 4]
        if Code.ARROW in s.codes[first : last + 1] and Code.ARROW in beside.split(";")[0]:
            continue  # `0.08 -> 0.19 -> 0.33`: a longer way
        if quantity and exchanged(s, first, last, quantity, old, new):
            continue
        pairs = _pairs(s, quantity)
        names = [key.partition(":")[2] for key in quantity.keys] if quantity else []
        pairs += [pair for low, high, what in over_runs(s, names) for pair in ((low, high, what), (high, low, what))]
        for other in [t.value for t in s.tokens[:first] if t.code == Code.QUANTITY and t.value.section == "config"]:
            pairs += _pairs(s, other)  # `train.gamma (discount of reward) went up, from 0.95 to 0.99`
        true: bool | None = None
        if pairs:
            true = any(
                settles(old, a, quantity or s.objective) and settles(new, b, quantity or s.objective)
                for a, b, _ in pairs
            )
        if true and (led := re.search(coded("([up down]) word?$"), s.codes[:first])) and s.codes[first] == Code.FROM:
            true = (new.value > old.value) == (led.group(1) == Code.UP)
        if not any(fits(old, a) or fits(new, b) for a, b, _ in pairs):
            true = None  # `lr 0.001 → 0.26`: of something else
        if true is None and Code.ARROW in s.codes[first:last] and not s.reading(s, first, last):
            continue  # `lr 0.001 → 0.26`: each for itself
        s.judge(
            first, last, true, "; ".join(f"{what}: {a:.6g} to {b:.6g}" for a, b, what in pairs[:2]) or "no such pair"
        )


def _pairs(s: Sentence, quantity: Quantity | None) -> list[tuple[float, float, str]]:
    if quantity is None:
        return []
    pairs = []
    said = {token.value for token in s.tokens if token.code == Code.ASPECT}
    reference, parent = s.reference, s.known.get(s.subject.parent)
    for key in quantity.settable:
        section, _, name = key.partition(":")
        for other in [run for run in (reference, parent) if run]:
            single = Quantity((key,))
            for aspects in ({"last"}, *({aspect} for aspect in ("max", "greedy") if aspect in said)):
                old, new = s.values(single, other, aspects), s.values(single, s.subject, aspects)
                if old and new:
                    pairs.append((old[0][0], new[0][0], f"{name} in {other.run_id} and {s.subject.run_id}"))
        if section == "curve" and (curve := s.subject.curves.get(name)):
            pairs.append((curve.first, curve.last, f"{name}, first and last"))
    return pairs


def origins(s: Sentence) -> None:
    """Judge a value with a direction: `down from 1.096`, `above the parent's 0.61`, `down to 0.4`."""
    for first, last in s.matches(
        "[up down] word?(?:from|against|than) [run word from]{0,2} number|[up down] word? run number"
        "|[up down] word? than [word run]{0,3} number"
    ):
        number = s.number(last)
        quantity = s.quantity(first) or s.objective
        aspects = s.aspects(last)
        up = s.codes[first] == Code.UP
        named = next((s.run_of(s.tokens[i]) for i in range(first, last) if s.codes[i] == Code.RUN), None)
        now = s.one(quantity, s.subject, aspects)
        others = s.values(quantity, named or s.reference, aspects)
        if s.section == "next_step" and now is not None and settles(number, now, quantity):
            s.judge(first, last, True, f"now {now:.6g}")  # `up from 0.004`, where it is to go
            continue
        if not others or now is None:
            s.judge(first, last, None, "nothing in the record to compare it with")
            continue
        told = "; ".join([f"now {now:.6g}", *(what for _, what in others[:2])])
        hit = [value for value, _ in others if fits(number, value)]
        rising = any((now > value) == up for value in hit or [others[0][0]])
        if rising and hit:
            s.judge(first, last, True, told)
            continue
        s.judge(first, last - 1, rising, told)
        s.judge(last, last, bool(hit), told)
