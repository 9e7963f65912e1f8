"""How a text names runs: by id or a part of it, clock time, number by creation, role, or a value that they have."""

import math
import re
from collections.abc import Callable, Iterable

from lab.claims.numbers import MAGNITUDES, NUMBER, Number, number_in, real
from lab.claims.words import FILLERS, SMALL, Quantity
from lab.judge import Known

RUN_ROLES = ("parent", "previous", "incumbent", "leader", "baseline", "run", "failed", "best")
"""What a run may be to the one that a text is about."""
RUN_ID = re.compile(r"\d{4}-\d\d-\d\dT\d{6}Z(?:-[a-z0-9]{4})?")
BY_VALUE = re.compile(
    r"@\s?(?!steps?\b|epochs?\b|end\b)(?P<key>[a-z][a-z_ ]*?[ =]?)?(?P<number>\d*\.?\d+(?:e-?\d+)?)(?P<m>[KM])?|"
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
CLOCK = re.compile(r"(?:\d{4}-\d\d-\d\d[T ])?(?P<clock>[0-2]?\d:[0-5]\d)(?::[0-5]\d)?(?: ?(?:Z|UTC))?(?!\w|:\d)")
PART = re.compile(
    r"(?:\d{4}-)?\d\d-\d\dT(?P<stamp>\d{4,6})Z?\b|(?:T|[Rr]un )?(?P<zulu>\d{4}(?:\d\d)?)Z\b"
    r"|(?:T|[Rr]un |(?=0))(?P<bare>\d{6})\b(?![.,]\d)"
)
"""A part of an id: its day and time, or the time alone."""
COUNTED = re.compile(
    r"(?:#|\b[Rr]un (?:#|no\.? ?|number ))(?P<number>[1-9]\d{0,4})(?![\w.,:%-]*\d)"
    r"|\b[Rr]un (?P<plain>[1-9]\d{0,4})(?=\s*(?:[:,.;()]|'s\b|$|was\b|had\b|is\b|has\b|scored\b|reached\b|got\b)(?!\d))"
)
"""A number by creation: `#12`, `run 12`."""
ALIAS = re.compile(r"\b(?:the|our|my) (?P<name>[A-Za-z]{4,})(?: run| one| config)? \(#(?P<number>[1-9]\d{0,4})[,)]")
COMMON = FILLERS | SMALL | {"parent", "baseline", "incumbent", "leader", "best", "worst", "previous", "same", "other"}
NAMED = re.compile(r"\brun\s+(?P<name>[a-z0-9]{4,8})\b(?<=[\w])", re.IGNORECASE)
WORD = re.compile(r"[A-Za-z0-9]+")
MOST = 40
"""Runs that a text is looked up for, beside those that a report speaks of anyway."""


def clock_of(run_id: str) -> str | None:
    """The time of day in an id, as `HHMMSS`; None where it has none."""
    made = re.search(r"T(\d{6})Z", run_id)
    return made[1] if made else None


def runs_named(text: str, ids: Iterable[str]) -> list[str]:
    """The runs that a text names by id, a part of it or clock time: the latest of `ids`, which are the oldest first."""
    words, clocks = set(WORD.findall(text)), set[str]()
    for match in (*CLOCK.finditer(text), *PART.finditer(text)):
        parts = [part for part in match.groupdict().values() if part]
        clocks |= {part.replace(":", "").zfill(4) for part in parts}
    named = [
        name
        for name in ids
        if name in text
        or ("-" in name and name.rpartition("-")[2] in words and clock_of(name))
        or ((clock := clock_of(name)) and clocks & {clock, clock[:4]})
    ]
    return named[-MOST:]


def numbers_named(text: str) -> list[int]:
    """The numbers by which a text names runs: `#12`."""
    return [int(match["number"] or match["plain"]) for match in COUNTED.finditer(text)][:MOST]


class RunNames:
    """The names of one record's runs, found in a text."""

    def __init__(self, known: Known, quantity: Callable[[str, int], tuple[Quantity, int] | None]) -> None:
        self.known, self.quantity = known, quantity
        self.clocks: dict[str, list[str]] = {}
        for run in reversed(known.runs):
            clock = clock_of(run.run_id) or (f"{run.created:%H%M%S}" if run.created else None)
            for length in (4, 6) if clock else ():
                self.clocks.setdefault(str(clock)[:length], []).append(run.run_id)
        self.numbered = {run.number: run.run_id for run in known.runs if run.number}
        self.aliases: dict[str, str] = {}
        """What a text calls a run beside its number: `the preset (#12)`."""
        self.short = {run.run_id.rpartition("-")[2]: run.run_id for run in known.runs if "-" in run.run_id}

    def at(self, text: str, at: int) -> tuple[str | tuple[str, ...], int] | None:
        """The run, or runs, named at a place in a text, and where the name ends; `?` for one that is not known."""
        if match := RUN_ID.match(text, at):
            return match.group(), match.end()
        if (match := CLOCK.match(text, at) or PART.match(text, at)) and (
            timed := self.clocks.get(next(filter(None, match.groups())).replace(":", "").zfill(4))
        ):
            return (timed[0] if len(timed) == 1 else tuple(timed)), match.end()
        if (match := COUNTED.match(text, at)) and self.numbered:
            return self.numbered.get(int(match["number"] or match["plain"]), "?"), match.end()
        if (match := BY_VALUE.match(text, at)) and (runs := self._alike(match)):
            return runs, match.end()
        return self._short(text, at)

    def learn(self, text: str) -> None:
        """Take in what a text calls runs by a word of its own."""
        for said in ALIAS.finditer(text):
            run = self.numbered.get(int(said["number"]))
            if run and not self.quantity(said["name"], 0) and said["name"].lower() not in COMMON:
                self.aliases.setdefault(said["name"].lower(), run)

    def _short(self, text: str, at: int) -> tuple[str, int] | None:
        """A run by the last part of its id, `c5np` or `run c5np`, or by what the text calls it."""
        if (match := WORD.match(text, at)) and match.group().lower() in self.aliases:
            return self.aliases[match.group().lower()], match.end()
        if (match := WORD.match(text, at)) and match.group().lower() in self.short:
            return self.short[match.group().lower()], match.end()
        if (match := NAMED.match(text, at)) and re.search(r"\d", match["name"]) and re.search("[a-z]", match["name"]):
            return self.short.get(match["name"].lower(), "?"), match.end()
        return None

    def heading(self, text: str) -> tuple[tuple[str, ...], int, int] | None:
        """The runs that a bullet is about by a value, `- 0.01 ent_coef: …`, with the place of that."""
        headed = HEADED.match(text)
        if headed is None:
            return None
        number = number_in(NUMBER.match(headed["number"] or headed["number2"]))
        runs = self._by_value(headed["key"] or headed["key2"], number)
        begin = min(i for i in (headed.start("number"), headed.start("key2")) if i >= 0)
        return (runs, begin, max(headed.end("key"), headed.end("number2"))) if runs else None

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
