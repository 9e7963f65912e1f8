"""What is certain by structure: the gate that a contradiction passes only where quantity and subject are beyond doubt.

Certain is a quantity whose name stands directly before the number, with nothing but connectives between and no other
name or unknown word stuck to either; a cell whose row and column are both known; a count with its own noun; a run that
is named beside the number, leads the statement, or is the only one that is spoken of. A line that plans says nothing
of now. Of all else the text leaves open what is meant, and it is not called false.
"""

import re

from lab.claims.plans import KEEPS, PAST
from lab.claims.reading import Sentence
from lab.claims.words import FILLERS, SMALL, Quantity

PLAN = re.compile(
    r"\b(?:plan(?:s|ned|ning)?|tmrw|tmr|tomorrow|tonight|want\w*|to-?do|still to do|targets?|goal|hop(?:e|es|ing)|tempted"
    r"|try|tries|trying|next|repeat|re-?run|redo|retry|retest|re-?check|ablate|extend|queued?|guess|should|would|could"
    r"|will|let'?s|aim\w*|idea|if ever|if i|maybe|perhaps|worth|consider|suggest\w*|propos\w+|need|budget next"
    r"|go (?:to|back)|fix|then (?:ent|lr)|later|before judging|expect\w*|predict\w*|forecast|recommend\w*|else)\b"
    r"|\[ \]|\bbar ?=|^\W*(?:use|set|drop|raise|lower|keep|turn|add|cut|go|run (?:\d\d?|it|more|with|w/)|put|bump|skip|test|switch|revert)\b|\?",
    re.IGNORECASE,
)
"""Words and manners of a line that looks forward."""
UNLIKE = re.compile(
    r"\b(?:predicted|forecast|target|lifetime|worst|best|pooled|together|in all|total of|all|average of|both"
    r"|median|per seed|each seed|repeats?|reseeds?|curve|pts?|points?|@ ?\d)\b",
    re.IGNORECASE,
)
"""Words of a clause by which a figure is of something else than the run's mean."""
COLUMN = re.compile(r"\W*(?:value|mean|result|metric|key|setting|now|this run|run|)\W*", re.IGNORECASE)
"""A heading of a column, or of a row, that adds nothing to what the other says."""
STUCK = re.compile(r"[×*/·^α-ωΑ-Ω≥≤<>±+]|\bx\b|\d")
"""What may not stand between a name and its number."""
PASSED = "=:(puderfoyxbgmR~[-ath"
"""Codes that may stand between a quantity and its number."""
VERBS = {"goes", "went", "going", "lie", "lies", "runs", "down", "up", "measured", "estimated", "lost", "stays", "its", "apart"}
GREEDY = re.compile(r"\bgreed", re.IGNORECASE)
EVERY = re.compile(r"\b(?:pooled|means|every|each|all|repeats?|reseeds?)\b", re.IGNORECASE)
COUNTS = re.compile("k|^[N&wx]*Q.*[ud]")
"""Codes of a count of changed keys, or of replicates above or below something."""
IMPLIED = re.compile(r"\bdifference (?:to|from|against) [^,.;\d]{0,40},? $|\bhalving to $|\b(?:minibatch(?:es)?|epochs?|batch(?:es)?) of $", re.IGNORECASE)
"""What says by itself which quantity follows: the objective's difference, half of what was changed."""
PARTED = re.compile(r" (?:minibatch(?:es)?|epochs?) of \d")
TIMED = re.compile(r"\b(?:was the|so far|up to|at the time|when|then|until|first shots?)\b", re.IGNORECASE)


def unclear(s: Sentence, first: int, last: int) -> str | None:
    """Words for why a claim is not certain enough to be called false; None where it is.

    Args:
        s: the sentence.
        first: the claim's first token.
        last: its last one.
    """
    if plan := _plan(s, first):
        return plan
    if s.codes[first] == "E":
        return _equation(s, first)
    numbers = [i for i in range(first, last + 1) if s.codes[i] == "N"] if not COUNTS.search(s.codes[first : last + 1]) else []
    return (
        (_figure(s, numbers[0], numbers[-1]) if numbers else _word(s, first, last))
        or _subject(s, numbers[0] if numbers else first, last)
    )


def _plan(s: Sentence, first: int) -> str | None:
    """Whether a claim stands in a line that plans, and is neither said of now nor of what was staged."""
    before = s.text[: s.tokens[first].start]
    if s.ours:
        return None
    if s.section == "next_step" or PLAN.search(s.text) or PLAN.search(s.before):
        kept = s.section == "next_step" and (KEEPS.search(before) or PAST.search(before))
        return None if kept else "a plan"
    return None


def _equation(s: Sentence, place: int) -> str | None:
    """Why an equation is not certain: words in it, or a part of a longer one."""
    start, end = s.tokens[place].start, s.tokens[place].end
    words = re.search(r"[A-Za-wyz]{2}", re.sub(r"[\w.]*[._]\w+", "", s.text[start:end]))
    longer = re.match(r"[.,]?\d|\s*[-/×*x+=]", s.text[end:]) or re.search(r"[\d,/×*+]\s*$", s.text[:start])
    return "what is worked out is not clear" if words or longer else None


def _figure(s: Sentence, first: int, last: int) -> str | None:
    """Why it is not clear which quantity a number, or a pair of them, is of."""
    if s.cells:
        return None if _headed(s) else "the column's heading is not known"
    if IMPLIED.search(s.text[: s.tokens[first].start]) or PARTED.match(s.text, s.tokens[last].end):
        return None
    place = _named_before(s, first)
    behind = s.codes[last + 1 : last + 2]
    follows = behind == "Q" and _touch(s, last, last + 1) and not re.match("[:=(]?~?N", s.codes[last + 2 :])
    near = place is not None and re.search("[:=]", s.codes[place:first])
    if follows and not (place is not None and (near or _touch(s, place, first))):
        place = last + 1
    if place is None:
        return "which quantity is meant is not clear"
    quantity = s.named_quantity(place)
    meant = s.quantity(first)
    if quantity.foreign or (meant is not None and meant != quantity and meant.section != "count"):
        return "which quantity is meant is not clear"
    if any(key.startswith("curve:performance/") for key in quantity.keys[:1]):
        return "which quantity is meant is not clear"
    if s.word(place) == "ent" and (first != last or not _touch(s, place, first)):
        return "whether the entropy or its coefficient is meant is not clear"
    if behind == "R" and re.search("[~=]", s.text[s.tokens[last].end : s.tokens[last + 1].start]):
        return "of which run it is is not clear"
    if place > 0 and _unknown(s, place - 1) and _touch(s, place - 1, place):
        return f"what '{s.word(place - 1)}' makes of it is not clear"
    if last + 1 < len(s.tokens) and _touch(s, last, last + 1) and _unknown(s, last + 1):
        return f"what '{s.word(last + 1)}' makes of it is not clear"
    if first != last and s.number(last).signed:
        return "which quantity is meant is not clear"
    tail = s.text[s.tokens[last].end :]
    if re.match(r"\s*[×x*/·±]\s*\S", tail) and len(quantity.keys) < 2:
        return "which quantity is meant is not clear"
    if s.number(last).than or (s.number(last).times and not re.search("[at]", s.codes[last:])):
        return "which quantity is meant is not clear"
    if follows and place != last + 1:
        return "which quantity is meant is not clear"
    return _counted(s, place, first, last, quantity) or _of_mean(s, place, quantity)


def _counted(s: Sentence, place: int, first: int, last: int, quantity: Quantity) -> str | None:
    """Why a count is not certain: it has no noun of its own, or one of several meanings."""
    sections, word = {key.partition(":")[0] for key in quantity.keys}, s.word(place)
    if "verdict" in sections and "R" not in s.codes[max(0, place) : last + 5]:
        return "against which run is not clear"
    if not sections & {"count", "derived", "steps", "noise"}:
        return None
    told = place < first and s.codes[place + 1 : place + 2] in (":", "=")
    own = told and s.own and len(word) > 1 and word != "seeds"
    exact = word.replace(" ", "_") in {key.partition(":")[2] for key in quantity.keys} - {"epochs", "steps", "all"}
    alone = word.startswith("replicate") and place > first and not UNLIKE.search(s.text[: s.tokens[first].start])
    if own or alone or (exact and not sections & {"noise", "count"}) or (told and "_" in word):
        return None
    return "what is counted is not clear"


def _of_mean(s: Sentence, place: int, quantity: Quantity) -> str | None:
    """Why a figure of a metric may be none of the run's mean: of a policy, a seed, a point of the curve, of many runs."""
    if quantity.section not in ("metric", "curve"):
        return None
    if GREEDY.search(s.before) or GREEDY.search(s.text):
        return "of which policy it is is not clear"
    start = max([0, *(s.tokens[i].end for i in range(place) if s.codes[i] in ";.")])
    return "it may be of another figure than the mean" if UNLIKE.search(s.text[start : s.tokens[place].start]) else None


def _named_before(s: Sentence, first: int) -> int | None:
    """The place of the quantity that is named directly before a number."""
    near = re.match("(?:[wma]|o(?!N)){0,3}R", s.codes[first + 1 :]) or re.search("R[:w(]?$", s.codes[:first])
    fraction, crossed, place = s.number(first).step < 1, False, first - 1
    while place >= 0 and (s.codes[place] != "Q" or (fraction and s.word(place) == "replicates")):
        code = s.codes[place] if s.codes[place] != "Q" else "w"
        if code == "w" and s.codes[place] == "Q":
            pass  # `perf: its replicates lie 0.01 apart`
        elif (code == "w" and s.word(place) not in FILLERS | VERBS) or s.word(place) == "flat":
            return None
        if code == "N" and s.codes[place + 1] == "(" and not crossed:
            crossed = True  # `mean_reward 30.44 (+2.64 vs parent)`
        elif code in ",N&)" and _label(s):
            crossed = True  # `- success_rate: 0.000 (down from 9.38 @0.12 and 1.26e3 @0.01)`
        elif code in ",N&)" and near:
            crossed = True  # `perf 0.98, against 0.96 for the parent`
        elif code == "," and s.codes[place + 1] == "f":
            pass  # `the learning rate, from 0.005 to 0.0025`
        elif code not in PASSED + ("w>" if s.ours else "w"):
            return None
        place -= 1
    if place < 0:
        return None
    between = s.text[s.tokens[place].end : s.tokens[first].start]
    if not crossed and "R" not in s.codes[place:first] and STUCK.search(between.translate({0x3E: None})):
        return None
    return place


def _label(s: Sentence) -> bool:
    """Whether a sentence begins with the one quantity that it names, as a label."""
    return re.match("-?Q[:=]", s.codes) is not None and s.codes.count("Q") == 1


def _unknown(s: Sentence, index: int) -> bool:
    """Whether a token is a word that says nothing to the checker."""
    opening = next((s.word(i) for i, code in enumerate(s.codes) if code == "w"), "")
    known = FILLERS | SMALL | VERBS | ({"keep", "set", "try", opening} if s.section == "next_step" else set())
    return s.codes[index] == "w" and s.word(index) not in known


def _touch(s: Sentence, left: int, right: int) -> bool:
    """Whether only blanks stand between two tokens."""
    return not s.text[s.tokens[left].end : s.tokens[right].start].strip(" *`_")


def _headed(s: Sentence) -> bool:
    """Whether the headings of a cell's row and column say quantity and run, and nothing else."""
    named = 0
    for text, codes in s.cells:
        if codes in ("Q", "R", "wR"):
            named += codes == "Q"
        elif not COLUMN.fullmatch(text):
            return False
    return named == 1 and "Q" not in s.codes and s.codes.count("N") == 1


def _subject(s: Sentence, place: int, last: int) -> str | None:
    """Why it is not clear whose the figure is: more than one run is spoken of, and none beside it."""
    runs = [i for i, code in enumerate(s.codes) if code == "R"]
    told = "which run is meant is not clear"
    relative = s.codes[place] == "N" and (s.number(place).signed or s.number(place).percent)
    behind = re.match(rf"(?:[wm{'a' if relative else ''}]|o(?!N)|\()*R", s.codes[last + 1 : last + 5])
    if behind or re.search(r"R[w:=(p]{0,2}(?:Q[w:=(pm]{0,3})?$", s.codes[:place]) or re.search("R", s.codes[place:last]):
        return None
    if s.crowded:
        return told
    others = {s.run_of(s.tokens[i]).run_id for i in runs if not s.refers(i)}
    led = {s.home.run_id} if s.lead else set()
    return told if len(others | led) > 1 else None


def _word(s: Sentence, first: int, last: int) -> str | None:
    """Why a claim in words is not certain: a rank among what nobody names, or as it stood once; a switch that turns."""
    if re.search("[bg]", s.codes[first : last + 1]) and EVERY.search(s.text):
        return "which figures are compared is not clear"
    if re.match(r"\s*(?:->|=>|→)", s.text[s.tokens[last].end :]):
        return "which of the two is now so is not clear"
    if "s" in s.codes[first : last + 1]:
        after = range(last + 1, min(last + 3, len(s.tokens)))
        if TIMED.search(s.text) or any(_unknown(s, i) for i in (*range(first, last + 1), *after)):
            return "among which runs is not clear"
    return None
