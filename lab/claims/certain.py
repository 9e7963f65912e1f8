"""What is certain by structure: the gate that a contradiction passes only where quantity and subject are beyond doubt.

Certain is a quantity whose name stands directly before the number, with nothing but connectives between and no other
name or unknown word stuck to either; a cell whose row and column are both known; a count with its own noun; a run that
is named beside the number, leads the statement, or is the only one that is spoken of. A line that plans says nothing
of now. Of all else the text leaves open what is meant, and it is not called false.
"""

import re
from dataclasses import dataclass

from lab.claims.plans import FORWARD, KEEPS
from lab.claims.reading import Sentence
from lab.claims.subjects import OF
from lab.claims.words import FILLERS, GREEDY, SMALL, Code, Quantity, coded

UNLIKE = re.compile(
    r"\b(?:predicted|forecast|target|lifetime|worst|best|pooled|together|in all|total of|all|average of|both"
    r"|median|per seed|each seed|seeds? #?\d+|repeats?|reseeds?|curve|pts?|points?|@ ?\d)\b",
    re.IGNORECASE,
)
"""Words of a clause by which a figure is of something else than the run's mean."""
COLUMN = re.compile(r"\W*(?:value|mean|result|metric|key|setting|now|this run|run|)\W*", re.IGNORECASE)
"""A heading of a column, or of a row, that adds nothing to what the other says."""
PASSED = coded("=:(~[- aspect up down same from to by not better worse between run against than ratio")
"""Codes that may stand between a quantity and its number."""
VERBS = frozenset(("goes", "went", "going", "lie", "lies", "runs", "down", "up", "stays", "its", "apart", "lost"))
NOUNS = frozenset(("difference", "gap", "interval", "reading", "measured", "average"))
COUNTS = re.compile(coded("key|^[number and word not]* quantity.*[up down]"))
"""Codes of a count of changed keys, or of replicates above or below something."""
IMPLIED = re.compile(
    r"\bdifference (?:to|from|against) [^,.;\d]{0,40},? $|\bhalving to $"
    r"|\b(?:minibatch(?:es)?|epochs?|batch(?:es)?) of $",
    re.IGNORECASE,
)
"""What says by itself which quantity follows: the objective's difference, half of what was changed."""
AFTER = re.compile(
    r"[\s,(]{0,3}(?:seeds?\b|@|at (?:\d|step|ep(?:och)?s?\b|update)|after\b|by \d|half|around\b|early\b"
    r"|mid|in the first|when\b|until\b"
    r"|before\b|(?:for|on|in|over|of|from) (?:\w+ ){0,2}(?:seeds?|best|worst|all|both|\d)|(?:worst|best|peak|max)\b"
    r"|with (?:\d|half)|in [a-z]\b|twice\b|over (?:the|all)\b"
    r"|greedy|train|per\b|or\b|and (?:up|above|below|more|less|so)\b"
    r"|(?:is|was) (?:the|a|too|what|just|not)\b|would\b|(?:fell|dropped|rose|climbed|sank|went)\b"
    r"|seems?\b|looks?\b|->|=>|\u2192|\?|avg|mean|median|averaged?)",
    re.IGNORECASE,
)
"""What follows a figure that is of a part, of many, of a moment, or of no run at all."""
PLACED = re.compile(
    r"\b(?:an?|one|per|each|every|at|by|from|after|until|around|before|since|in) (?:the )?$", re.IGNORECASE
)
"""What stands before a noun of a moment, or of one of many: `at epoch 45`, `an epoch = 65,536`."""
_ABOUT = r"(?:(?:about|around|roughly|the|only|just|first|last|final) |~ ?)*"
_STEPS = (
    r"[\d.,]+ ?(?:[kM]|(?:agent |env )?steps|epochs?)\b(?! ?(?:agent |env )?(?:steps ?)?(?:per\b|/|a s))"  # no speed
)
MOMENT = re.compile(
    rf"\b(?:by|within|over|in) {_ABOUT}{_STEPS}"
    rf"|\b(?:at|after|around|from|until|till|past|before|near) {_ABOUT}"
    rf"(?:{_STEPS}|[\d.,]+ ?%(?! \w+er\b|-)|half[- ]?(?:way|time)|mid[- ]?\w+|(?:a |one )?(?:half|third|quarter)\b)",
    re.IGNORECASE,
)
"""A moment of a training, at which a figure or a comparison is not that of its end: `at 10 %`, `by 2M steps`."""
BETTER = re.compile(r"significan|confirm", re.IGNORECASE)
WHOLE = re.compile(r"epochs?|steps?|updates?|iterations?", re.IGNORECASE)
PARTED = re.compile(r" (?:minibatch(?:es)?|epochs?) of \d")
TIMED = re.compile(r"\b(?:was the|so far|yet|up to|at the time|when|then|until|first shots?)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Doubt:
    """Why a claim is not certain enough to be called false."""

    why: str
    open: bool = True
    """Whether it stays where no value of the record is what is said: what is meant is open, not only oddly put."""


def unclear(s: Sentence, first: int, last: int) -> Doubt | None:
    """Why a claim is not certain enough to be called false; None where it is."""
    if Code.SEED in s.codes:
        return Doubt("of which replicate it is is not clear")
    if why := _plan(s, first):
        return Doubt(why)
    if s.codes[first] == Code.EQUATION:
        return None
    counts = COUNTS.search(s.codes[first : last + 1])
    numbers = [i for i in range(first, last + 1) if s.codes[i] == Code.NUMBER and not counts]
    why = _subject(s, numbers[0] if numbers else first, last)
    if why is None and not numbers:  # `3.4 sd under the baseline` compares nothing of the two
        measure = re.search(coded("number quantity$"), s.codes[:first])
        why = "what it is a measure of is not clear" if measure else in_words(s, first, last)
    if why or not numbers:
        return Doubt(why) if why else None
    return _figure(s, numbers[0], numbers[-1])


def _plan(s: Sentence, first: int) -> str | None:
    """Whether a claim stands in a line that plans, and is neither said of now nor of what was staged."""
    before = s.text[: s.tokens[first].start]
    if s.ours:
        return None
    if s.section == "next_step" or s.forward or FORWARD.search(s.text):
        kept = s.section == "next_step" and KEEPS.search(re.split("[,;]", before)[-1])
        return None if kept else "a plan"
    return None


def _figure(s: Sentence, first: int, last: int) -> Doubt | None:
    """Why it is not clear which quantity a number, or a pair of them, is of."""
    if s.cells:
        moment = len(s.cells) == 1 and WHOLE.fullmatch(s.cells[0][0])
        told = "a row of one moment may be meant" if moment else "the column's heading is not known"
        return Doubt(told) if moment or not _headed(s) else None
    if IMPLIED.search(s.text[: s.tokens[first].start]) or PARTED.match(s.text, s.tokens[last].end):
        return None
    place = _named_before(s, first)
    beside = place is not None and (re.search("[:=]", s.codes[place:first]) or _touch(s, place, first))
    behind = re.match(coded("quantity (?![:=(]?~? number)"), s.codes[last + 1 :])
    near = place is not None and s.codes[last + 1 : last + 3] != coded("and number")
    place = last + 1 if behind and not beside else _sole(s, first) if place is None else place
    if place is None or _moment(s, place, first) or _other(s, place, first, last):
        return Doubt("which quantity is meant is not clear")
    if why := _counted(s, place, first, last, s.named_quantity(place)) or _of_mean(
        s, place, first, s.named_quantity(place)
    ):
        return Doubt(why)
    if (odd := _odd(s, min(place, first), max(place, last))) is not None:
        # `random policy: reward 3`: before the name an unknown word may say whose it is, where no run is named
        stuck = odd == max(place, last) + 1 or (odd < first and not named_beside(s, first, last))
        return Doubt(f"what '{s.word(odd)}' makes of it is not clear", open=stuck)
    return None if near or place > last else Doubt("which quantity is meant is not clear", open=False)


def _moment(s: Sentence, place: int, first: int) -> bool:
    """Whether a number behind a name is of a moment, or at one: `peak 0.94, epoch 46`."""
    if place > first or not WHOLE.fullmatch(s.word(place)):
        return False
    return s.number(first).step < 1 or not (s.word(place).endswith("s") or re.search("[:=]", s.codes[place:first]))


def _sole(s: Sentence, first: int) -> int | None:
    """The place of the one quantity that a sentence names, where a number is of nothing else."""
    places = [i for i, code in enumerate(s.codes) if code == Code.QUANTITY]
    named = {s.named_quantity(i) for i in places}
    sections = ("metric", "curve", "config") if named_beside(s, first, first) else ("metric", "curve")
    if len(named) != 1 or s.quantity(first) not in named or next(iter(named)).section not in sections:
        return None
    place = max((i for i in places if i < first), default=places[0])
    if place > first and re.search(coded("[,number]"), s.codes[first + 1 : place]):
        return None  # `+0.09 on #4, which has another gamma`; `+0.09 on it with 2x the gamma`
    between = s.text[s.tokens[place].end : s.tokens[first].start] if place < first else ""
    return None if re.search(r";|(?<!\.e)(?<!\.g)\.\s", between) or UNLIKE.search(between) else place


def _odd(s: Sentence, left: int, right: int) -> int | None:
    """The place of an unknown word in the clause of a figure and its name; None where there is none."""
    start, end, ends = left, right, ",;.)&|N"
    label = (
        ":"
        if any(s.codes[i] == Code.QUANTITY and s.named_quantity(i).section == "config" for i in (left, right))
        else ""
    )
    while start > 0 and s.codes[start - 1] not in f"{ends}({label}":
        start -= 1
    while end + 1 < len(s.codes) and s.codes[end + 1] not in f"{ends}(":
        end += 1
    return next((i for i in (*range(start, left), *range(right + 1, end + 1)) if unknown(s, i)), None)


def _other(s: Sentence, place: int, first: int, last: int) -> bool:
    """Whether a number may be of another quantity than the one at a place, or a bound, a factor, part of a product."""
    quantity, meant, number, tail = s.named_quantity(place), s.quantity(first), s.number(last), s.tokens[last].end
    return bool(
        s.word(place).startswith("rate")  # of learning, or of wins
        or (place > last and s.word(place) == "episodes")  # so many of them, none is so long
        or (place > last and number.step >= 1 and not number.percent and quantity.keys[0].startswith("curve:losses/"))
        or meant not in (None, quantity)
        or (re.match(r"\s*(?:[×x/·±]\s*\S|\*\s*\d)", s.text[tail:]) and len(quantity.keys) < 2)
        or (AFTER.match(s.text, tail) and not named_beside(s, first, last))
        or number.times
        or s.codes[place - 1 : place] == Code.ARROW
        or (number.signed and first == last and Code.RUN not in s.codes)
    )


def _counted(s: Sentence, place: int, first: int, last: int, quantity: Quantity) -> str | None:
    """Why a count is not certain: it has no noun of its own, or one of several meanings."""
    sections, word = {key.partition(":")[0] for key in quantity.keys}, s.word(place)
    if "verdict" in sections and Code.RUN not in s.codes[max(0, place) : last + 5]:
        return "against which run is not clear"
    if not sections & {"count", "derived", "steps", "noise"}:
        return None
    told = place < first and s.codes[place + 1 : place + 2] in (":", "=")
    own = told and s.own
    exact = word.replace(" ", "_") in {key.partition(":")[2] for key in quantity.keys} - {"epochs", "steps", "all"}
    alone = word.startswith("replicate") and not UNLIKE.search(s.text[: s.tokens[first].start])
    placed = PLACED.search(s.text[: s.tokens[place].start])
    if not placed and (own or alone or (exact and not sections & {"noise", "count"})):
        return None
    return "what is counted is not clear"


def _of_mean(s: Sentence, place: int, first: int, quantity: Quantity) -> str | None:
    """Why a figure of a metric may be none of the run's mean: of a policy, a seed, a point of the curve, of runs."""
    if quantity.section not in ("metric", "curve"):
        return None
    start = max([0, *(s.tokens[i].end for i in range(place) if s.codes[i] in ";.")])
    before = s.text[start : s.tokens[place].start]
    if GREEDY.search(s.text):
        return "of which policy it is is not clear"
    unlike = UNLIKE.search(before) or MOMENT.search(s.text[start : s.tokens[first].start])
    return "it may be of another figure than the mean" if unlike and not s.ours else None


def _named_before(s: Sentence, first: int) -> int | None:
    """The place of the quantity that is named directly before a number."""
    near = re.match(coded("(?:[word between against]|to (?!number)){0,3} run"), s.codes[first + 1 :]) or re.search(
        coded("run [:word (]?$"), s.codes[:first]
    )
    fraction, crossed, place = s.number(first).step < 1, False, first - 1
    labels = re.match(coded("-? quantity [:=][^quantity]*$"), s.codes)  # a label of a line with no other quantity
    while place >= 0 and (s.codes[place] != Code.QUANTITY or (fraction and s.word(place) == "replicates")):
        code = s.codes[place] if s.codes[place] != Code.QUANTITY else "w"
        if code == Code.WORD and s.codes[place] == Code.QUANTITY:
            pass  # `perf: its replicates lie 0.01 apart`
        elif (code == Code.WORD and s.word(place) not in FILLERS | VERBS) or s.word(place) == "flat":
            return None
        if code == Code.NUMBER and s.codes[place + 1] == "(" and not crossed:
            crossed = True  # `mean_reward 30.44 (+2.64 vs parent)`
        elif code in coded(", number and )") and labels:
            crossed = True  # `- success_rate: 0.000 (down from 9.38 @0.12 and 1.26e3 @0.01)`
        elif code in coded(", number and )") and near:
            crossed = True  # `perf 0.98, against 0.96 for the parent`
        elif code == "," and s.codes[place + 1] in coded("from ["):
            pass  # `the learning rate, from 0.005 to 0.0025`; `the effect, [-0.031, 0.072]`
        elif code not in PASSED + (coded("word arrow") if s.ours else Code.WORD):
            return None
        place -= 1
    return place if place >= 0 else None


def _touch(s: Sentence, left: int, right: int) -> bool:
    """Whether only blanks stand between two tokens."""
    return not s.text[s.tokens[left].end : s.tokens[right].start].strip(" *`_")


def _headed(s: Sentence) -> bool:
    """Whether the headings of a cell's row and column say quantity and run, and nothing else."""
    named = 0
    if any(re.match(r"\W*(?:seed|replicate|n\b)", text, re.IGNORECASE) for text, _ in s.cells):
        return False
    for text, codes in s.cells:
        if codes in (Code.QUANTITY, Code.RUN, coded("word run")):
            named += codes == Code.QUANTITY
        elif not COLUMN.fullmatch(text):
            return False
    return named == 1


BEHIND = r"(?:[word between]|to (?!number)|\()* run"
"""A run that is named right behind a figure."""


def named_beside(s: Sentence, place: int, last: int) -> bool:
    """Whether a run is named right beside a claim."""
    number = s.number(place) if s.codes[place] == Code.NUMBER else None
    relative = number and (number.signed or number.percent or number.points)
    behind = re.match(
        coded(r"(?:[word between against up down than]|to (?!number)|\()* run" if relative else BEHIND),
        s.codes[last + 1 : last + 5],
    )
    led = re.search(coded("run [word:=(aspect]{0,2}(?:quantity [word:=(aspect between]{0,3})?$"), s.codes[:place])
    return bool(behind or led or Code.RUN in s.codes[place:last])


def _subject(s: Sentence, place: int, last: int) -> str | None:
    """Why it is not clear whose the figure is: more than one run is spoken of, and none beside it."""
    if named_beside(s, place, last):
        return None
    runs = [i for i, code in enumerate(s.codes) if code == Code.RUN]
    told = "which run is meant is not clear"
    spoken = [i for i in runs if not s.refers(i)]
    others = {s.run_of(s.tokens[i]).run_id for i in spoken}
    midway = [i for i in spoken if s.word(i - 1) not in OF and any(unknown(s, j) for j in range(i))]
    if s.crowded or (midway and s.codes[place] == Code.NUMBER):
        return told  # `basically 7asp with another clip range`: of which of the two, this run or that one
    return told if len(others | ({s.home.run_id} if s.lead else set())) > 1 else None


def in_words(s: Sentence, first: int, last: int) -> str | None:
    """Why a claim in words is not certain: a rank among what nobody names, or as it stood once; a switch that turns."""
    codes = s.codes[first : last + 1]
    led = re.search(r"\b(?:after|at|by|for|the|about) $", s.text[: s.tokens[first].start])
    if Code.RATIO in codes and (led or s.word(first) == "half"):
        return "what it is a share of is not clear"
    if (way := re.search(coded("[better worse]"), codes)) and not BETTER.search(s.text):
        new, old = s.one(s.objective, s.subject, set()), s.one(s.objective, s.reference, set())
        sign = s.known.goal.sign if way[0] == Code.BETTER else -s.known.goal.sign
        if new is not None and old is not None and (new - old) * sign > 0:
            return "so it is by the means"
    ranks = Code.SUPERLATIVE in codes and not _among_all(s, first, last)
    return "among which runs is not clear" if ranks else _way(s, first, codes)


def _among_all(s: Sentence, first: int, last: int) -> bool:
    """Whether a rank is among all runs as they are now, for all that its words say."""
    clause = re.match(coded("[^,;.)]{0,5}"), s.codes[last + 1 :])
    after = range(last + 1, last + 1 + (clause.end() if clause else 0))
    return not (TIMED.search(s.text) or any(unknown(s, i) for i in (*range(first, last + 1), *after)))


def _way(s: Sentence, first: int, codes: str) -> str | None:
    """Why it is not certain of what a claim's words say which way it went, and of which moment of the training."""
    if s.ours or not re.search(coded("[up down better worse]"), codes):
        return None
    if MOMENT.search(s.text[: s.tokens[first].start]):
        return "of which moment it is said is not clear"
    quantity = s.quantity(first) if re.search(coded("[up down]"), codes) else None
    many = quantity and quantity.section == "noise"  # a spread has several measures
    judged = s.labelled or re.search(coded("[better worse]"), codes)
    told = s.carried is None or bool({*s.carried.keys} & {*s.objective.keys})  # else that of the sentence before
    bare = not judged and not re.search(coded("quantity|run" if told else "quantity"), s.codes)
    return "what is compared is not clear" if bare or many else None


def unknown(s: Sentence, index: int) -> bool:
    """Whether a token is a word that says nothing to the checker."""
    opening = next((s.word(i) for i, code in enumerate(s.codes) if code == Code.WORD), "")
    known = FILLERS | SMALL | VERBS | NOUNS | ({"keep", "set", "try", opening} if s.section == "next_step" else set())
    return s.codes[index] == Code.WORD and s.word(index) not in known
