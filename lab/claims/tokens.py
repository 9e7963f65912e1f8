"""Prose cut into tokens: numbers with what their digits imply, quantities, runs, and the words between them."""

import math
import re
from dataclasses import dataclass
from functools import cache
from typing import Any

from lab.claims.numbers import MAGNITUDES, NUMBER, Number, number_in, real
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


@dataclass(frozen=True)
class Token:
    """A piece of the text."""

    code: str
    """One letter; see `words.CODES`, and N number, Q quantity, R run, p aspect, h ratio, n ordinal."""
    start: int
    end: int
    value: Any = None


FACTOR = r"(?:\d[\d,._]*(?:\s[a-z]{2,12}){0,2}|[A-Za-z]\w*[._]\w[\w.]*)"
TERM = rf"\(*\s?{FACTOR}\s?\)*"
EQUATION = re.compile(
    rf"(?<![\w.=]){TERM}(?:\s?[x×·*/÷%+-]\s?{TERM})+\s?(?:==?\s?-?\d(?:[\d,._]*\d)?|(?:is|gives|makes)\s?-?\d[\d,._]*\d)"
    r"(?!\d|\s?[x×·*/÷%]\s?\d)",
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
ARROWS = {"->": ">", "=>": ">", "→": ">", "⟶": ">", "⇒": ">", "↑": "u", "↗": "u", "↓": "d", "↘": "d"}
ARROW = re.compile("|".join(ARROWS))
CLOCK = re.compile(r"(?:\d{4}-\d\d-\d\d[T ])?(?P<clock>[0-2]?\d:[0-5]\d)(?::[0-5]\d)?(?P<zulu> ?(?:Z|UTC))?(?![\w:])")
PART = re.compile(r"(?:T|run )?(?P<part>\d{4,6})Z\b|(?:T|\brun )(?P<part2>\d{6})\b")
COUNTED = re.compile(
    r"(?:#|\b[Rr]un (?:#|no\.? ?|number )?)(?P<number>[1-9]\d{0,4})(?![\w.,:%-]*\d)(?! ?(?:%|x\b|times|steps|of\b))"
)
NAMED = re.compile(r"\brun\s+(?P<name>[a-z0-9]{4,8})\b(?<=[\w])", re.IGNORECASE)


WORDS_OF_ANY = re.compile(r"\w+")
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
        kinds.append(("p", aspect, _whole(pattern)))
    for pattern, ratio in RATIOS.items():
        kinds.append(("h", ratio, _whole(pattern)))
    for pattern, role in ROLES.items():
        kinds.append(("R", role, _whole(pattern)))
    kinds.append(("R", "previous", re.compile(rf"(?:{PARENT_IF_LAST})(?=\s*(?:$|[.,;:()]))", re.IGNORECASE)))
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


OWN_ROLES = ("parent", "previous", "incumbent", "leader", "baseline", "run", "failed", "best")


class Reader:
    """A reader of prose: it cuts text into tokens by the names of one record."""

    def __init__(self, known: Known) -> None:
        self.known = known
        self.quantities = vocabulary(known)
        self.names: dict[str, tuple[str, ...]] = {name: () for run in known.runs for name in run.metrics}
        for key in {key for run in known.runs for key in run.config}:
            leaf = key.rpartition(".")[2]
            self.names[leaf] = (*self.names.get(leaf, ()), f"config:{key}")
        self.clocks: dict[str, list[str]] = {}
        for run in reversed(known.runs):
            made = re.search(r"T(\d\d)(\d\d)(\d\d)Z", run.run_id)
            clock = f"{made[1]}{made[2]}{made[3]}" if made else f"{run.created:%H%M%S}" if run.created else None
            for length in (4, 6) if clock else ():
                self.clocks.setdefault(str(clock)[:length], []).append(run.run_id)
        self.numbered = {run.number: run.run_id for run in known.runs if run.number}
        self.short = {run.run_id.rpartition("-")[2]: run.run_id for run in known.runs if "-" in run.run_id}

    def tokens(self, sentence: str) -> list[Token]:
        """The tokens of one sentence, in order."""
        text, tokens, place = sentence.translate(SAME_LENGTH), list[Token](), 0
        if headed := HEADED.match(text):
            number = number_in(NUMBER.match(headed["number"] or headed["number2"]))
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
        if (match := CLOCK.match(text, at) or PART.match(text, at)) and (named := self._timed(match)):
            return named
        if (match := COUNTED.match(text, at)) and self.numbered:
            return Token("R", at, match.end(), self.numbered.get(int(match["number"]), "?"))
        if (match := BY_VALUE.match(text, at)) and (runs := self._alike(match)):
            return Token("R", at, match.end(), runs)
        if (match := WORD.match(text, at)) and match.group().lower() in self.short:
            return Token("R", at, match.end(), self.short[match.group().lower()])
        if (match := NAMED.match(text, at)) and re.search(r"\d", match["name"]) and re.search("[a-z]", match["name"]):
            return Token("R", at, match.end(), self.short.get(match["name"].lower(), "?"))
        return None

    def _timed(self, match: re.Match[str]) -> Token | None:
        """The run that a clock time names, or a part of an id; a time of day at which none began is no number."""
        parts = match.groupdict()
        clock = parts.get("clock") or ""
        digits = clock.replace(":", "").zfill(4) if clock else parts.get("part") or parts.get("part2") or ""
        runs = tuple(self.clocks.get(digits, ()))
        if runs:
            return Token("R", match.start(), match.end(), runs[0] if len(runs) == 1 else runs)
        return Token("w", match.start(), match.end()) if clock and len(clock) > 4 else None

    def _alike(self, match: re.Match[str]) -> tuple[str, ...]:
        """Runs that have the value which a match of `BY_VALUE` names."""
        key = (match["key"] or match["key3"] or match["key4"] or "").strip(" =").replace("-", " ")
        number = number_in(NUMBER.match(match["number"] or match["number2"] or match["number3"] or match["number4"]))
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
        number = number_in(match)
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
        if (best is None or best.code == "w") and (short := self._shortened(text, at)):
            return short
        if best is None:
            match = WORDS_OF_ANY.match(text, at)
            return Token("w", at, match.end()) if match else None
        word = text[best.start : best.end].lower()
        if word in WORDS and best.code == "w":
            return Token("N", at, best.end, Number(float(WORDS[word]), 1.0, word=True))
        if word in ORDINALS and best.code == "w":
            return Token("n", at, best.end, ORDINALS[word])
        return best

    def _shortened(self, text: str, at: int) -> Token | None:
        """A name cut short right before a number (`upd=5`, `episode_len ~248`), or one that no record has (`cups=0`)."""
        match = LABEL.match(text, at)
        if match is None or match["name"].lower() in FILLERS | SMALL | WORDS.keys():
            return None
        parts = match["name"].lower().split("_")
        whole = [name for name in self.names if _begins(parts, name.split("_"))]
        part = [name for name in self.names if len(parts) == 1 and _begins(parts, name.split("_")[-1:])]
        for names in (whole, part):
            if len({*names}) == 1 and len("".join(parts)) >= SHORTEST:
                keys = (f"metric:{names[0]}", f"curve:environment/{names[0]}", *self.names[names[0]])
                return Token("Q", at, match.end("name"), Quantity(keys))
        unknown = "_" in match["name"] or "=" in match.group()
        return Token("Q", at, match.end("name"), Quantity(())) if unknown else None

    def quantity(self, text: str, at: int) -> tuple[Quantity, int] | None:
        """The quantity with the longest name at a place in a text, and where that name ends."""
        best: tuple[Quantity, int] | None = None
        for pattern, quantity in self.quantities:
            match = pattern.match(text, at)
            if match and match.end() > at and (best is None or match.end() > best[1]):
                best = quantity, match.end()
        return best
