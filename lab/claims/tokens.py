"""Prose cut into tokens: numbers with what their digits imply, quantities, runs, and the words between them."""

import re
from dataclasses import dataclass
from functools import cache
from typing import Any

from lab.claims.naming import CLOCK, RUN_ROLES, RunNames
from lab.claims.numbers import NUMBER, Number, number_in
from lab.claims.vocabulary import vocabulary
from lab.claims.words import (
    ASPECTS,
    CODES,
    FILLERS,
    ORDINALS,
    PARENT_IF_LAST,
    RATIOS,
    ROLES,
    SMALL,
    WORDS,
    Code,
    Quantity,
)
from lab.judge import Known

# Minus, en dash, hyphen that does not break, and em dash, which begins another clause; quotes; blanks; about.
SAME_LENGTH = str.maketrans(
    "\u2212\u2013\u2011\u2014" + "\u2018\u2019\u201c\u201d" + "\u00a0\u202f\t`*" + "\u2248",
    "---;" + "''\"\"" + " " * 5 + "~",
)
"""Characters to the plain ones that mean the same, one for one, so that places stay."""


@dataclass(frozen=True)
class Token:
    """A piece of the text."""

    code: str
    """One of `Code`, or a sign as it stands."""
    start: int
    end: int
    value: Any = None


FACTOR = r"(?:\d[\d,._]*(?:\s[a-z]{2,12}){0,2}|[A-Za-z]\w*[._]\w[\w.]*)"
TERM = rf"\(*\s?{FACTOR}\s?\)*"
EQUATION = re.compile(
    rf"(?<![\w.=]){TERM}(?:\s?[x×·*/÷%+-]\s?{TERM})+\s?(?:==?\s?-?\d(?:[\d,._]*\d)?|(?:is|gives|makes)\s?-?\d[\d,._]*\d)"
    r"(?![\d,.]*\d|\s?[x×·*/÷%]\s?\d)",
    re.IGNORECASE,
)
DATE = re.compile(r"\d{4}-\d\d-\d\d(?:T[\d:]+Z?)?|v\d+(?:\.\d+)+|\d+(?:\.\d+){2,}")
COVERAGE = re.compile(r"95 ?%(?= (?:confidence|interval|CI|conf))|95 ?% ?(?:CI\b|interval)", re.IGNORECASE)
HORIZON = re.compile(r"1 ?/ ?\(1 ?- ?(?:\u03b3|gamma)\)(?:,? (?:in )?steps)?")
TIME = re.compile(r"(\d\d?):(\d\d):(\d\d\.\d{1,6})(?!\w)")
"""A time of day with a part of a second, by which nobody names a run."""
NAMES = ((Code.WORD, DATE), (Code.WORD, CLOCK), (Code.WORD, COVERAGE), (Code.EQUATION, EQUATION))
ARROWS = {
    "<-": Code.FROM,
    "->": Code.ARROW,
    "=>": Code.ARROW,
    "→": Code.ARROW,
    "⟶": Code.ARROW,
    "⇒": Code.ARROW,
    "↑": Code.UP,
    "↗": Code.UP,
    "↓": Code.DOWN,
    "↘": Code.DOWN,
}
ARROW = re.compile("|".join(ARROWS))
WORDS_OF_ANY = re.compile(r"\w+")
SEED = re.compile(r"s(\d{1,9})(?!\w|\.\d)")
"""A replicate by its seed: `s22`."""
PLACE = re.compile(r"(\d{1,2})(?:st|nd|rd|th)(?!\w)")
LABEL = re.compile(r"(?P<name>[A-Za-z][A-Za-z_]*)\s?(?:[=:]\s?)?~?[+-]?(?=\.?\d)")
"""A word right before a number."""
SHORTEST = 3
"""Letters of a name cut short."""


def _begins(parts: list[str], name: list[str]) -> bool:
    """Whether the parts of a name cut short begin those of a whole one, in order."""
    return len(parts) <= len(name) and all(len(a) > 1 and b.startswith(a) for a, b in zip(parts, name, strict=False))


@cache
def _coded() -> list[tuple[str, Any, re.Pattern[str]]]:
    """Kinds of words in the order they are tried; the longest match counts."""
    kinds: list[tuple[str, Any, re.Pattern[str]]] = []
    for aspect, pattern in ASPECTS.items():
        kinds.append((Code.ASPECT, aspect, _whole(pattern)))
    for pattern, ratio in RATIOS.items():
        kinds.append((Code.RATIO, ratio, _whole(pattern)))
    for pattern, role in ROLES.items():
        kinds.append((Code.RUN, role, _whole(pattern)))
    kinds.append((Code.RUN, "previous", re.compile(rf"(?:{PARENT_IF_LAST})(?=\s*(?:$|[.,;:()]))", re.IGNORECASE)))
    kinds += [(code, None, _whole(pattern)) for code, pattern in CODES.items()]
    return kinds


def _whole(pattern: str) -> re.Pattern[str]:
    return re.compile(rf"(?:{pattern})(?![\w])", re.IGNORECASE)


def _merged(tokens: list[Token]) -> list[Token]:
    """Tokens with those of a run that is named twice made one: `the incumbent c5np`, `the 0.01 run (m7rv)`."""
    merged: list[Token] = []
    for token in tokens:
        if token.code == Code.RUN and merged and merged[-1].code == Code.RUN:
            is_role = isinstance(token.value, str) and token.value in RUN_ROLES
            named = merged[-1].value if is_role else token.value
            merged[-1] = Token(Code.RUN, merged[-1].start, token.end, named)
        elif token.code == ")" and len(merged) > 2 and [t.code for t in merged[-3:]] == [Code.RUN, "(", Code.RUN]:
            first, last = merged[-3], merged[-1]
            named = first.value if isinstance(last.value, str) and last.value in RUN_ROLES else last.value
            merged[-3:] = [Token(Code.RUN, first.start, token.end, named)]
        else:
            merged.append(token)
    return merged


class Reader:
    """A reader of prose: it cuts text into tokens by the names of one record."""

    def __init__(self, known: Known) -> None:
        self.known = known
        self.quantities = vocabulary(known)
        self.names: dict[str, tuple[str, ...]] = {name: () for run in known.runs for name in run.metrics}
        for key in {key for run in known.runs for key in run.config}:
            leaf = key.rpartition(".")[2]
            self.names[leaf] = (*self.names.get(leaf, ()), f"config:{key}")
        self.runs = RunNames(known, self.quantity)

    def tokens(self, sentence: str) -> list[Token]:
        """The tokens of one sentence, in order."""
        text, tokens, place = sentence.translate(SAME_LENGTH), list[Token](), 0
        if headed := self.runs.heading(text):
            tokens, place = [Token(Code.RUN, headed[1], headed[2], headed[0])], headed[2]
        while place < len(text):
            token = None if text[place].isspace() else self._next(text, place)
            if token is None:
                place += 1
                continue
            tokens.append(token)
            place = token.end
        return _merged(tokens)

    def _next(self, text: str, at: int) -> Token | None:
        if arrow := ARROW.match(text, at):
            return Token(ARROWS[arrow.group()], at, arrow.end())
        inside = at > 0 and (text[at - 1].isalnum() or text[at - 1] == "_")
        if not inside and (short := SEED.match(text, at) or PLACE.match(text, at)):
            return Token(Code.SEED if text[at] == "s" else Code.ORDINAL, at, short.end(), int(short[1]))
        named = None if inside else self._name(text, at) or self._number(text, at)
        if named is not None or (text[at].isalnum() and not inside):
            return named or self._word(text, at)
        if text.startswith("..", at):
            return Token("-", at, at + len(text[at:]) - len(text[at:].lstrip(".")))
        return Token(text[at], at, at + 1) if text[at] in ",;.:()[]-=/|" else None

    def _name(self, text: str, at: int) -> Token | None:
        """A token of a run, an equation, or of what is no number though it has digits."""
        if discounted := HORIZON.match(text, at):
            return Token(Code.QUANTITY, at, discounted.end(), Quantity(("horizon:discount",)))
        if time := TIME.match(text, at):
            return Token(Code.WORD, at, time.end())
        if run := self.runs.at(text, at):
            return Token(Code.RUN, at, run[1], run[0])
        return next((Token(code, at, it.end()) for code, pattern in NAMES if (it := pattern.match(text, at))), None)

    def _number(self, text: str, at: int) -> Token | None:
        match = NUMBER.match(text, at)
        if match is None:
            return None
        end = match.end()
        if end < len(text) and text[end].isalpha():
            return None  # a name that begins with a digit
        return Token(Code.NUMBER, at, end, number_in(match))

    def _word(self, text: str, at: int) -> Token | None:
        quantity = self.quantity(text, at)
        best = Token(Code.QUANTITY, at, quantity[1], quantity[0]) if quantity else None
        for code, value, pattern in _coded():
            match = pattern.match(text, at)
            if match and (best is None or match.end() > best.end):
                best = Token(code, at, match.end(), value)
        if (best is None or best.code == Code.WORD) and (short := self._shortened(text, at)):
            return short
        if best is None:
            match = WORDS_OF_ANY.match(text, at)
            return Token(Code.WORD, at, match.end()) if match else None
        word = text[best.start : best.end].lower()
        if word in WORDS and best.code == Code.WORD:
            return Token(Code.NUMBER, at, best.end, Number(float(WORDS[word]), 1.0, word=True))
        if word in ORDINALS and best.code == Code.WORD:
            return Token(Code.ORDINAL, at, best.end, ORDINALS[word])
        return best

    def _shortened(self, text: str, at: int) -> Token | None:
        """A name cut short right before a number (`upd=5`, `episode_len 248`), or one that no record has (`cups=0`)."""
        match = LABEL.match(text, at)
        if match is None or match["name"].lower() in FILLERS | SMALL | WORDS.keys():
            return None
        parts = match["name"].lower().split("_")
        whole = [name for name in self.names if _begins(parts, name.split("_"))]
        part = [n for n in self.names if len(parts) == 1 and any(_begins(parts, [one]) for one in n.split("_")[1:])]
        for names in (whole, part):
            if len({*names}) == 1 and len("".join(parts)) >= SHORTEST:
                keys = (f"metric:{names[0]}", f"curve:environment/{names[0]}", *self.names[names[0]])
                return Token(Code.QUANTITY, at, match.end("name"), Quantity(keys))
        unknown = "_" in match["name"] or "=" in match.group()
        return Token(Code.QUANTITY, at, match.end("name"), Quantity(())) if unknown else None

    def quantity(self, text: str, at: int) -> tuple[Quantity, int] | None:
        """The quantity with the longest name at a place in a text, and where that name ends."""
        best: tuple[Quantity, int] | None = None
        for pattern, quantity in self.quantities:
            match = pattern.match(text, at)
            if match and match.end() > at and (best is None or match.end() > best[1]):
                best = quantity, match.end()
        return best
