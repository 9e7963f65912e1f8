"""Prose cut into tokens: numbers with what their digits imply, quantities, runs, and the words between them."""

import math
import re
from dataclasses import dataclass
from functools import cache
from typing import Any

from lab.claims.words import (
    ASPECTS,
    CODES,
    ORDINALS,
    PARENT_IF_LAST,
    RATIOS,
    ROLES,
    UNITS,
    WORDS,
    Quantity,
    vocabulary,
)
from lab.judge import Known

# Minus, en dash, hyphen that does not break, and em dash, which begins another clause; quotes; blanks; about.
SAME_LENGTH = str.maketrans(
    "\u2212\u2013\u2011\u2014" + "\u2018\u2019\u201c\u201d" + "\u00a0\u202f\t`*" + "\u2248",
    "---;" + "''\"\"" + " " * 5 + "~",
)
"""Characters to the plain ones that mean the same, one for one, so that places stay."""
WHOLE = 0.05
"""How far a written 0 or 1 may be from the value that is meant: what lies between is most rates' whole range."""
MAGNITUDES = {"k": 1e3, "m": 1e6, "b": 1e9, "": 1.0}


@dataclass(frozen=True)
class Number:
    """A number as written."""

    value: float
    step: float
    """One unit of the last digit."""
    approximate: bool = False
    percent: bool = False
    points: bool = False
    """Whether the number counts percentage points."""
    times: bool = False
    signed: bool = False
    unit: bool = False
    """Whether a unit follows that no record has."""
    word: bool = False

    @property
    def bound(self) -> float:
        """The number without its unit: a percentage as a share."""
        return self.value / (100 if self.percent else 1)

    @property
    def vague(self) -> bool:
        """Whether this is 0 or 1 without a digit behind the point: as a rounded figure, any rate would fit."""
        return self.step >= 1 and abs(self.value) <= 1

    def fits(self, value: float, off: float = 0.0) -> bool:
        """Whether `value`, rounded as this number is, could be written so.

        Args:
            value: of the record.
            off: how far a writer's value may be from it, who had rounded ones to work with.
        """
        slack = self.step / 2
        if self.vague:
            slack = min(slack, WHOLE)  # `perf is 0` is not said of 0.26
        if self.approximate:
            digits = len(f"{abs(self.value) / self.step:.0f}") if self.step else 1
            slack = max(self.step, (0.05 if digits < 4 else 0.01) * abs(value))
        return abs(value - self.value) <= slack * 1.01 + 1e-12 * abs(value) + off

    def scaled(self, factor: float) -> "Number":
        """The number in another unit, `factor` times as large."""
        return Number(self.value * factor, self.step * factor, self.approximate, self.percent, signed=self.signed)


@dataclass(frozen=True)
class Token:
    """A piece of the text."""

    code: str
    """One letter; see `words.CODES`, and N number, Q quantity, R run, p aspect, h ratio, n ordinal."""
    start: int
    end: int
    value: Any = None


NUMBER = re.compile(
    r"(?P<about>(?:~|about |around |roughly |approximately |approx\.? |circa |nearly |almost |some )\s*)?"
    r"(?P<sign>(?<![\w.)\]])[+-])?"
    r"(?P<digits>\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+)(?P<exponent>e[+-]?\d+)?"
    r"(?:(?P<magnitude>[KMkB](?![\w])|[ ](?:[KM]|million|thousand)(?![\w]))"
    r"|\s?(?P<percent>%|percent\b|per cent\b)|(?P<points>\s?%?[ -]?(?:percentage[ -])?points?\b|\s?pp\b))?"
    r"(?P<times>\s?(?:x|×)(?![\w])(?!\s?\d)|\s?times\b|-?fold\b)?"
    rf"(?P<unit>\s?{UNITS}(?![\w/%]))?",
    re.IGNORECASE,
)
TERM = r"\d[\d,.]*"
EQUATION = re.compile(
    rf"(?<![\w.]){TERM}(?:\s?[x×·*/÷%+-]\s?{TERM})+\s?(?:==?\s?-?\d(?:[\d,.]*\d)?|(?:is|gives|makes)\s?-?\d[\d,.]*\d)",
    re.IGNORECASE,
)
RUN_ID = re.compile(r"\d{4}-\d\d-\d\dT\d{6}Z(?:-[a-z0-9]{4})?")
BY_VALUE = re.compile(
    r"@\s?(?P<key>[a-z][a-z_ ]*?[ =]?)?(?P<number>\d*\.?\d+(?:e-?\d+)?)(?P<m>[KM])?|"
    r"(?:the |a )?(?P<number2>\d*\.\d+(?:e-?\d+)?|\d+(?:\.\d+)?[KM])(?: steps?|-step)? (?:run|one|config)\b|"
    r"(?:the |a )?(?P<key3>[a-z_]+(?: [a-z_]+)?)[ =-](?P<number3>\d*\.?\d+(?:e-?\d+)?) (?:run|one)\b|"
    r"(?:the |a )?(?P<number4>\d*\.\d+(?:e-?\d+)?)[ -](?P<key4>[a-z_]+(?:[ -][a-z_]+)?) (?:run|one)\b",
    re.IGNORECASE,
)
HEADED = re.compile(
    r"^\s*[-*•]\W*(?:(?P<number>\d*\.\d+(?:e-?\d+)?) (?P<key>[a-z_]+(?: [a-z_]+)?)"
    r"|(?P<key2>[a-z_]+(?: [a-z_]+)?)[ =](?P<number2>\d*\.\d+(?:e-?\d+)?))(?: \([^)]*\))?:",
    re.IGNORECASE,
)
"""A bullet about the runs with a value: `0.01 ent_coef: …`."""
DATE = re.compile(r"\d{4}-\d\d-\d\d(?:T[\d:]+Z?)?|v\d+(?:\.\d+)+|\d+(?:\.\d+){2,}")
COVERAGE = re.compile(r"95 ?%(?= (?:confidence|interval|CI|conf))|95 ?% ?(?:CI\b|interval)", re.IGNORECASE)
WORD = re.compile(r"[A-Za-z0-9]+")
NAMES = (("R", RUN_ID), ("w", DATE), ("w", COVERAGE), ("E", EQUATION))
ARROWS = {"->": ">", "→": ">", "⟶": ">", "⇒": ">", "↑": "u", "↗": "u", "↓": "d", "↘": "d"}
ARROW = re.compile("|".join(ARROWS))
NAMED = re.compile(r"\brun\s+(?P<name>[a-z0-9]{4,8})\b(?<=[\w])", re.IGNORECASE)


@cache
def _coded() -> list[tuple[str, Any, re.Pattern[str]]]:
    """Kinds of words in the order they are tried; the longest match counts."""
    kinds: list[tuple[str, Any, re.Pattern[str]]] = []
    for aspect, pattern in ASPECTS.items():
        kinds.append(("p", aspect, _whole(pattern)))
    for pattern, ratio in RATIOS.items():
        kinds.append(("h", ratio, _whole(pattern)))
    for pattern, role in ROLES.items():
        kinds.append(("R", role, _whole(pattern)))
    kinds.append(("R", "parent", re.compile(rf"(?:{PARENT_IF_LAST})(?=\s*(?:$|[.,;:)]))", re.IGNORECASE)))
    kinds += [(code, None, _whole(pattern)) for code, pattern in CODES.items()]
    return kinds


def _whole(pattern: str) -> re.Pattern[str]:
    return re.compile(rf"(?:{pattern})(?![\w])", re.IGNORECASE)


def _merged(tokens: list[Token]) -> list[Token]:
    """Tokens with those of a run that is named twice made one: `the incumbent c5np`, `the 0.01 run (m7rv)`."""
    merged: list[Token] = []
    for token in tokens:
        if token.code == "R" and merged and merged[-1].code == "R":
            is_role = isinstance(token.value, str) and token.value in OWN_ROLES
            named = merged[-1].value if is_role else token.value
            merged[-1] = Token("R", merged[-1].start, token.end, named)
        elif token.code == ")" and len(merged) > 2 and [t.code for t in merged[-3:]] == ["R", "(", "R"]:
            merged[-3:] = [Token("R", merged[-3].start, token.end, merged[-1].value)]
        else:
            merged.append(token)
    return merged


OWN_ROLES = ("parent", "incumbent", "baseline", "run", "failed", "best")


class Reader:
    """A reader of prose: it cuts text into tokens by the names of one record."""

    def __init__(self, known: Known) -> None:
        self.known = known
        self.quantities = vocabulary(known)
        self.short = {run.run_id.rpartition("-")[2]: run.run_id for run in known.runs if "-" in run.run_id}

    def tokens(self, sentence: str) -> list[Token]:
        """The tokens of one sentence, in order."""
        text, tokens, place = sentence.translate(SAME_LENGTH), list[Token](), 0
        if headed := HEADED.match(text):
            number = _number(NUMBER.match(headed["number"] or headed["number2"]))
            runs = self._by_value(headed["key"] or headed["key2"], number)
            if runs:
                begin = min(i for i in (headed.start("number"), headed.start("key2")) if i >= 0)
                place = max(headed.end("key"), headed.end("number2"))
                tokens.append(Token("R", begin, place, runs))
        while place < len(text):
            token = self._next(text, place)
            if token is None:
                place += 1
                continue
            tokens.append(token)
            place = token.end
        return _merged(tokens)

    def _next(self, text: str, at: int) -> Token | None:
        if text[at].isspace():
            return None
        if arrow := ARROW.match(text, at):
            return Token(ARROWS[arrow.group()], at, arrow.end())
        inside = at > 0 and (text[at - 1].isalnum() or text[at - 1] == "_")
        named = None if inside else self._name(text, at) or self._number(text, at)
        if named is not None or (text[at].isalnum() and not inside):
            return named or self._word(text, at)
        return Token(text[at], at, at + 1) if text[at] in ",;.:()[]-=/|" else None

    def _name(self, text: str, at: int) -> Token | None:
        """A token of an id, a run by value, an equation, or of what is no number though it has digits."""
        for code, pattern in NAMES:
            if match := pattern.match(text, at):
                return Token(code, at, match.end(), match.group())
        if (match := BY_VALUE.match(text, at)) and (runs := self._alike(match)):
            return Token("R", at, match.end(), runs)
        if (match := WORD.match(text, at)) and match.group().lower() in self.short:
            return Token("R", at, match.end(), self.short[match.group().lower()])
        if (match := NAMED.match(text, at)) and re.search(r"\d", match["name"]) and re.search("[a-z]", match["name"]):
            return Token("R", at, match.end(), self.short.get(match["name"].lower(), "?"))
        return None

    def _alike(self, match: re.Match[str]) -> tuple[str, ...]:
        """Runs that have the value which a match of `BY_VALUE` names."""
        key = (match["key"] or match["key3"] or match["key4"] or "").strip(" =").replace("-", " ")
        number = _number(NUMBER.match(match["number"] or match["number2"] or match["number3"] or match["number4"]))
        if (match["key3"] or match["key4"]) and number and self.quantity(key, 0):
            return self._by_value(key, number) or ("?",)
        return self._by_value(key, number.scaled(MAGNITUDES[(match["m"] or "").lower()]) if number else None)

    def _by_value(self, key: str, number: Number | None) -> tuple[str, ...]:
        """Runs whose config has this value, of this key or of any that was ever changed."""
        if number is None:
            return ()
        quantity = self.quantity(key, 0) if key else None
        if quantity is not None:
            keys = {name.partition(":")[2] for name in quantity[0].keys}
        else:
            keys = {name for run in self.known.runs for name in run.changed}
        return tuple(
            run.run_id
            for run in reversed(self.known.runs)
            if any(
                real(value := run.config.get(name)) and math.isclose(float(value or 0), number.value, rel_tol=0.02)
                for name in keys
            )
        )

    def _number(self, text: str, at: int) -> Token | None:
        match = NUMBER.match(text, at)
        if match is None:
            return None
        end = match.end()
        if end < len(text) and (text[end].isalpha() or text[end] == "_") and not match["unit"]:
            return None  # a name that begins with a digit
        number = _number(match)
        while end > at and text[end - 1].isspace():
            end -= 1
        return Token("N", at, end, number)

    def _word(self, text: str, at: int) -> Token | None:
        quantity = self.quantity(text, at)
        best: Token | None = Token("Q", at, quantity[1], quantity[0]) if quantity else None
        for code, value, pattern in _coded():
            match = pattern.match(text, at)
            if match and (best is None or match.end() > best.end):
                best = Token(code, at, match.end(), value)
        if best is None:
            match = re.compile(r"\w+").match(text, at)
            return Token("w", at, match.end()) if match else None
        word = text[best.start : best.end].lower()
        if word in WORDS and best.code == "w":
            return Token("N", at, best.end, Number(float(WORDS[word]), 1.0, word=True))
        if word in ORDINALS and best.code == "w":
            return Token("n", at, best.end, ORDINALS[word])
        return best

    def quantity(self, text: str, at: int) -> tuple[Quantity, int] | None:
        """The quantity with the longest name at a place in a text, and where that name ends."""
        best: tuple[Quantity, int] | None = None
        for pattern, quantity in self.quantities:
            match = pattern.match(text, at)
            if match and match.end() > at and (best is None or match.end() > best[1]):
                best = quantity, match.end()
        return best


def _number(match: re.Match[str] | None) -> Number | None:
    if match is None:
        return None
    digits = match["digits"].replace(",", "")
    magnitude = MAGNITUDES[{"million": "m", "thousand": "k"}.get(m := (match["magnitude"] or "").strip().lower(), m)]
    exponent = 10.0 ** max(-300, min(300, int((match["exponent"] or "e0")[1:])))
    decimals = len(digits.partition(".")[2])
    value = float(digits) * exponent * magnitude
    return Number(
        value=-value if match["sign"] == "-" else value,
        step=10.0**-decimals * exponent * magnitude,
        approximate=bool(match["about"]),
        percent=bool(match["percent"]) and not match["points"],
        points=bool(match["points"]),
        times=bool(match["times"]),
        signed=bool(match["sign"]),
        unit=bool(match["unit"]),
    )


def real(value: object) -> bool:
    """Whether a value is a number, and no truth value."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def as_number(text: str) -> float:
    """The number that a text of an equation stands for."""
    return float(text.replace(",", "").rstrip("."))
