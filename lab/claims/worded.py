"""The part of the gate (`certain`) that is for claims in words: a direction, a ratio, a rank."""

import re

from lab.claims.manners import BETTER, EVERY, MOMENT, NOUNS, TIMED, VERBS
from lab.claims.reading import Sentence
from lab.claims.words import FILLERS, SMALL, Code, coded


def in_words(s: Sentence, first: int, last: int) -> str | None:
    """Why a claim in words is not certain: a rank among what nobody names, or as it stood once; a switch that turns.

    Args:
        s: the sentence.
        first: the claim's first token.
        last: its last one.
    """
    codes = s.codes[first : last + 1]
    led = re.search(r"\b(?:after|at|by|for|the|about) $", s.text[: s.tokens[first].start])
    if Code.RATIO in codes and (led or EVERY.search(s.text) or s.word(first) == "half"):
        return "what it is a share of is not clear"
    if (way := re.search(coded("[better worse]"), codes)) and not BETTER.search(s.text):
        new, old = s.one(s.objective, s.subject, set()), s.one(s.objective, s.reference, set())
        sign = s.known.goal.sign if way[0] == Code.BETTER else -s.known.goal.sign
        if new is not None and old is not None and (new - old) * sign > 0:
            return "so it is by the means"
    if re.match(r"\s*(?:->|=>|→)", s.text[s.tokens[last].end :]):
        return "of which figure it is said is not clear"
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
    """Whether a token is a word that says nothing to the checker.

    Args:
        s: the sentence.
        index: the token.
    """
    opening = next((s.word(i) for i, code in enumerate(s.codes) if code == Code.WORD), "")
    known = FILLERS | SMALL | VERBS | NOUNS | ({"keep", "set", "try", opening} if s.section == "next_step" else set())
    return s.codes[index] == Code.WORD and s.word(index) not in known
