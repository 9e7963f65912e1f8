"""Claims found in a sentence, each judged against the record.

Rules look for patterns over one letter per token (`words.CODES`); what a rule has used, later ones leave alone. A
number that no rule can put to a quantity is unsupported: it is never called true.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from lab.claims.tokens import Number, Token, real
from lab.claims.words import FILLERS, SMALL, STRANGE, Quantity
from lab.judge.known import Known, KnownRun
from lab.store.curves import Outline

Status = Literal["verified", "contradicted", "unsupported"]


NOBODY = KnownRun(run_id="?", state="unknown")
"""A run that is not in the record: nothing is known of it."""


OF = {"in", "of", "for", "at", "under", "with", "by", "from", "the", "on", "("}
"""Between a number and the run it is of: `0.98 for the parent`."""


@dataclass(frozen=True)
class Found:
    """A claim, by its place in the text."""

    start: int
    end: int
    status: Status
    evidence: str


@dataclass
class Sentence:
    """One sentence under examination."""

    known: Known
    section: str
    text: str
    tokens: list[Token]
    carried: Quantity | None = None
    """What the sentence before spoke of."""
    named: set[str] = field(default_factory=set)
    """Names of what the sentences before spoke of."""
    used: set[int] = field(default_factory=set)
    found: list[Found] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.codes = "".join(token.code for token in self.tokens)
        self.subject = self.subject_at(len(self.tokens))
        """The run that is spoken of where a rule looks at present."""

    def look(self, index: int) -> None:
        """Turn to a token: what follows is about the run spoken of there."""
        self.subject = self.subject_at(index)

    # What is meant

    def word(self, index: int) -> str:
        """A token as written, in lower case."""
        return self.text[self.tokens[index].start : self.tokens[index].end].lower().strip("'\u2019")

    def within(self, start: int, end: int) -> list[int]:
        """The tokens that begin in a part of the text."""
        return [i for i, token in enumerate(self.tokens) if start <= token.start < end]

    def _ids(self, token: Token) -> tuple[str, ...]:
        """Runs that a token names."""
        if isinstance(token.value, tuple):
            return token.value
        if token.value in ("parent", "incumbent", "baseline", "run", "failed", "best"):
            return (str(token.value),)
        return (token.value,) if self.known.get(token.value) else ()

    def run_of(self, token: Token, subject: KnownRun | None = None) -> KnownRun:
        """The run that a token names; nobody for one that is not in the record."""
        subject = subject or self.subject
        failed = next((run.run_id for run in reversed(self.known.runs) if not run.metrics), None)
        for name in self._ids(token):
            run_id = {"parent": subject.parent, "incumbent": self.known.incumbent, "baseline": self.known.baseline,
                      "run": self.known.run.run_id, "failed": failed, "best": self._best()}.get(name, name)  # fmt: skip
            if run := self.known.get(run_id):
                return run
        return NOBODY

    def _best(self) -> str | None:
        goal, name = self.known.goal, self.known.metric
        runs = [run for run in self.known.finished if run is not self.known.run and name in run.metrics]
        return max(runs, key=lambda run: goal.sign * run.metrics[name].mean).run_id if runs else None

    def alike(self, run: KnownRun) -> list[KnownRun]:
        """Runs that are spoken of by a value which this run has too: `@0.01` may be three of them."""
        for token in self.tokens:
            if isinstance(token.value, tuple) and run.run_id in token.value:
                return [other for name in token.value if (other := self.known.get(name))]
        return [run]

    def subject_at(self, index: int) -> KnownRun:
        """The run that the sentence is about at a token."""
        for place in range(len(self.tokens) - 1, -1, -1):
            token = self.tokens[place]
            if token.code != "R" or self._is_reference(place) or self._scope(place) > index:
                continue
            if token.value in ("parent", "incumbent", "baseline") and not self._opens(place):
                continue
            return self.run_of(token, self.known.run)
        return self.known.run

    def _scope(self, place: int) -> int:
        """Where what is said of the run at a token begins: with its clause if that begins with it, else anywhere."""
        before = place - 1
        while before >= 0 and self.codes[before] == "w" and self.word(before) in {"the", "run", "in", "with", "of"}:
            before -= 1
        if before >= 0 and (
            self.codes[before] in ",;&|" or self.word(before) in {"while", "whereas", "but", "although"}
        ):
            return place
        return 0

    def _opens(self, index: int) -> bool:
        """Only small words before it, and no number right after: the sentence is about it."""
        before = all(self.codes[i] in "wm" and len(self.word(i)) <= 4 for i in range(index))
        return before and not re.match(r"[w:=]?N", self.codes[index + 1 :]) and "(" not in self.codes[:index]

    def _is_reference(self, index: int) -> bool:
        """It stands behind `than`, `against`, `above`: something is compared with it."""
        before = index - 1
        if self.text[self.tokens[index].start] == "@":
            return True
        if re.search(
            r"\b(?:that|those|the one|as) (?:of|in|for) (?:the |its )?$", self.text[: self.tokens[index].start].lower()
        ):
            return True
        while before >= 0 and self.codes[before] in "wp" and self.word(before) in {"the", "its", "a", "our"}:
            before -= 1
        return before >= 0 and self.codes[before] in "taudbgef"

    @property
    def reference(self) -> KnownRun:
        """What the subject is compared with: the run that is named, else its parent, else the incumbent."""
        named = [i for i, token in enumerate(self.tokens) if token.code == "R"]
        for index in [*filter(self._is_reference, named), *named]:
            run = self.run_of(self.tokens[index])
            if run is not self.subject and run is not NOBODY:
                return run
        return self.known.get(self.subject.parent) or self.known.get(self.known.incumbent) or NOBODY

    def reference_at(self, index: int) -> KnownRun:
        """What is compared with at a token: the run named next to it in its clause, else the sentence's."""
        for place in range(index, min(index + 8, len(self.codes))):
            if self.codes[place] in ",;" or (self.codes[place] == "&" and place > index):
                break
            if self.codes[place] == "R" and self._is_reference(place):
                run = self.run_of(self.tokens[place])
                return run if run is not self.subject else self.reference
        return self.reference

    def aspects(self, index: int) -> set[str]:
        """How the number at `index` is to be read: peak, end, first …, from the words around it."""
        found: set[str] = set()
        compared = re.search(r"[at]w?$", self.codes[:index]) is not None
        for i in range(index - 1, -1, -1):
            if self.codes[i] == "p":
                found.add(str(self.tokens[i].value))
            if self.codes[i] == ";" or (self.codes[i] in ",&" and found) or (self.codes[i] == "N" and not compared):
                break
        after = index + 1
        while after < len(self.codes) and self.codes[after] in "wpmR" and after <= index + 3:
            if self.codes[after] == "p" and not re.match(r"[wp]*N", self.codes[after + 1 :]):
                found.add(str(self.tokens[after].value))
            after += 1
        return found

    def quantity(self, index: int) -> Quantity | None:
        """What the number at `index` is of."""
        found = self._nearest(index)
        if found is not None and found.section == "config" and self._at_aspect(index) and not self.adjacent(index):
            return self.objective  # a config neither ends nor peaks
        return found

    def _at_aspect(self, index: int) -> bool:
        """`ended at 0.65`."""
        before = self._before(index, "")
        return before >= 0 and self.codes[before] == "p"

    def _before(self, index: int, passed: str = "=:(op~m") -> int:
        """The token before one, small words and what else is passed over left out; -1 where there is none."""
        before = index - 1
        while before >= 0 and (
            self.codes[before] in passed or (self.codes[before] == "w" and self.word(before) in FILLERS)
        ):
            before -= 1
        return before

    def _nearest(self, index: int) -> Quantity | None:
        place = self._beside(index)
        if place is None:
            remarks = self._remarks(index)
            for i in range(index - 1, -1, -1):
                if self.codes[i] == "|" and "w" in self.codes[i:index]:
                    return None  # another cell, of something else
                if i in remarks:
                    continue
                if self.codes[i] == "Q" and self._possible(i, index):
                    return self._value(i)
            clause = re.match(r"[^;.Q]*Q", self.codes[index + 1 :])
            place = index + clause.end() if clause else None
        return self.carried if place is None else self._value(place)

    def _remarks(self, index: int) -> set[int]:
        """Tokens before one that stand in parentheses behind a quantity: `gamma (discount of reward) went up`."""
        end, found = self.tokens[index].start, set[int]()
        for remark in re.finditer(r"\((?:[^()]|\([^()]*\))*\)", self.text[:end]):
            inside = self.within(remark.start() + 1, remark.end())
            if inside and "Q" in self.codes[: inside[0]] and not re.search(r"\d", remark.group()):
                found.update(inside)
        return found

    def _beside(self, index: int) -> int | None:
        """Where the quantity stands that a number is of beyond doubt."""
        left = self._before(index)
        if left >= 0 and self.codes[left] == "Q" and self._possible(left, index):
            return left
        if re.match(r"[mw]Q", self.codes[index + 1 :]) and self.word(index + 1) in {"in", "of"}:
            return index + 2
        right = index + 1
        if right < len(self.codes) and self.codes[right] in "wz" and self.word(right) not in {"and", "in", "for", "at"}:
            right += 1
        return right if self.codes[right : right + 1] == "Q" and not self._taken(right) else None

    def _possible(self, place: int, index: int) -> bool:
        """Not what is counted in whole numbers, for a number with a fraction."""
        token, quantity = self.tokens[index], self._value(place)
        if token.code != "N" or token.value.step >= 1 or token.value.percent or not quantity.keys:
            return True
        return any(not self._whole(key) for key in quantity.keys)

    def _whole(self, key: str) -> bool:
        section, _, name = key.partition(":")
        value = self.known.run.config.get(name)
        whole = section == "config" and isinstance(value, int) and not isinstance(value, bool)
        return whole or section in ("count", "derived")

    def _taken(self, index: int) -> bool:
        """The quantity belongs to a number that follows it."""
        after = re.match(r"[:=]?N|wN", self.codes[index + 1 :])
        return after is not None and (after.group() != "wN" or self.word(index + 1) in {"of", "at", "is", "was"})

    def adjacent(self, index: int) -> bool:
        """The quantity stands right beside the number: there is no doubt what it is of."""
        left = self._before(index)
        return (left >= 0 and self.codes[left] == "Q") or self.codes[index + 1 : index + 2] == "Q"

    def attached(self, index: int) -> bool:
        """Nothing but small words between the number and its quantity: it may be called false."""
        led, follows = re.search(r"[hud]w?o$", self.codes[:index]), re.match(r"[wm]w?R", self.codes[index + 1 :])
        if self.adjacent(index) or self._at_aspect(index) or led or follows:
            return True  # `ended at 0.65`; `halving to 0.06`; `12.7 % in the baseline`
        if self.codes[index + 1 : index + 2] == "w" and self.word(index + 1) not in SMALL:
            return False
        before = index - 1
        while before >= 0 and self.codes[before] != "Q":
            word = self.word(before)
            if self.codes[before] == "w" and word not in FILLERS | SMALL and not re.search("(ing|ed|ly)$", word):
                return False
            before -= 1
        return before >= 0 or self.carried is not None

    @property
    def objective(self) -> Quantity:
        """What runs are compared by."""
        name = self.known.metric
        return Quantity((f"metric:{name}", f"curve:environment/{name}"))

    def _value(self, index: int) -> Quantity:
        found: Quantity = self.tokens[index].value
        return found

    def owner(self, index: int) -> KnownRun:
        """Whose number it is."""
        after = re.match(r"[wm]{0,2}\(?R", self.codes[index + 1 :])
        if after and all(self.word(index + 1 + i) in OF for i in range(after.end() - 1)):
            place = index + after.end()
            if not re.match(r"[:=]?N", self.codes[place + 1 :]):
                return self.run_of(self.tokens[place])
        before = index - 1
        while before >= max(0, index - 6) and (
            self.codes[before] in "Q=:(p"
            or (
                self.codes[before] == "w"
                and (self.word(before) in FILLERS - {"with", "used"} or re.search("ing$|^along$", self.word(before)))
            )
        ):
            before -= 1
        between = self.codes[before + 1 : index]
        if before >= 0 and self.codes[before] == "R" and not (":" in between and "Q" in between):
            return self.run_of(self.tokens[before])
        if before >= 0 and self.codes[before] in "at":
            return self.reference
        return self.subject_at(index)

    def values(self, quantity: Quantity, run: KnownRun, aspects: set[str]) -> list[tuple[float, str]]:
        """What the record has of a quantity of a run, each with words for it."""
        found: list[tuple[float, str]] = []
        for key in quantity.keys:
            section, _, name = key.partition(":")
            if section == "metric":
                found += self._metric(run, name, aspects)
            elif section == "curve" and (curve := run.curves.get(name)):
                only = not any(k.startswith("metric:") for k in quantity.keys) or not set(run.metrics) & {
                    k.partition(":")[2] for k in quantity.keys}  # fmt: skip
                found += _points(name, curve, aspects, only)
            elif section == "config" and real(run.config.get(name)):
                found.append((float(run.config[name]), f"{name} {run.config[name]} in {run.run_id}"))
            elif section == "derived" and name in run.derived:
                found.append((float(run.derived[name]), f"{name} {run.derived[name]:,} in {run.run_id}"))
            else:
                found += self._counted(run, section, name)
        return found

    def _metric(self, run: KnownRun, name: str, aspects: set[str]) -> list[tuple[float, str]]:
        if "greedy" in aspects:
            return (
                [(run.greedy[name], f"greedy {name} {run.greedy[name]:.6g} in {run.run_id}")]
                if name in run.greedy
                else []
            )
        metric = run.metrics.get(name)
        if metric is None or aspects & {"max", "min", "first", "quarter", "while"}:
            return []
        return [(metric.mean, f"{name} {metric.mean:.6g} in {run.run_id}")]

    def _counted(self, run: KnownRun, section: str, name: str) -> list[tuple[float, str]]:
        noise, verdict = self.known.noise, next(iter(run.verdicts.values()), None)
        value: float | None = None
        if section == "count" and name == "replicates" and run.metrics:
            value = max(metric.n for metric in run.metrics.values())
        elif section == "count" and name == "finished":
            value = len(self.known.finished)
        elif section == "noise" and noise:
            value = noise.replicate_sd if name == "sd" else noise.degrees_of_freedom
        elif section == "steps":
            value = run.steps
        elif section == "verdict" and verdict:
            value = verdict.effect
        elif section == "proposal" and self.known.proposal:
            return [(p.coverage, f"coverage {p.coverage}") for p in self.known.proposal.predictions]
        return [] if value is None else [(value, f"{name} {value:.6g} of {run.run_id}")]

    def one(self, quantity: Quantity | None, run: KnownRun, aspects: set[str]) -> float | None:
        """The value that a comparison is about."""
        if quantity is None:
            return None
        found = self.values(quantity, run, aspects or ({"last"} if quantity.section == "curve" else set()))
        return found[0][0] if found else None

    # What comes of it

    def say(self, first: int, last: int, status: Status, evidence: str) -> None:
        """Note a claim that reaches from one token to another."""
        if self.subject is NOBODY:
            status, evidence = "unsupported", "that run is not in the record"
        if status != "unsupported" and self._strange(first, last):
            status, evidence = "unsupported", "it speaks of something that is not in the record"
        self.used.update(range(first, last + 1))
        self.found.append(Found(self.tokens[first].start, self.tokens[last].end, status, evidence))

    def _strange(self, first: int, last: int) -> bool:
        """It is about something that is in no record, and does not come back to the run."""
        found = STRANGE.search(self.text)
        if found is None:
            return False
        return not re.search(
            r"\b(we|our|ours|this run|the run)\b", self.text[found.end() : self.tokens[last].end].lower()
        )

    def judge(self, first: int, last: int, true: bool | None, evidence: str) -> None:
        """Note a claim as true, false, or, with None, as what nothing speaks of."""
        places = [i for i in range(first, last + 1) if self.codes[i] == "N"]
        if not true and len(places) == 1 and not self.number(places[0]).vague:
            told = next((what for what, value in self.known.told.items() if fits(self.number(places[0]), value)), None)
            true, evidence = (True, told) if told else (true, evidence)
        self.say(first, last, "unsupported" if true is None else "verified" if true else "contradicted", evidence)

    def matches(self, pattern: str) -> Iterator[tuple[int, int]]:
        """Places of a pattern none of whose numbers were used before: first and last token."""
        for found in re.finditer(pattern, self.codes):
            span = range(found.start(), found.end())
            if not any(i in self.used and self.codes[i] in "NE" for i in span):
                self.look(found.start())
                yield found.start(), found.end() - 1

    def number(self, index: int) -> Number:
        """The number at a token."""
        found: Number = self.tokens[index].value
        return found


def _points(name: str, curve: Outline, aspects: set[str], only: bool) -> list[tuple[float, str]]:
    """Values of a curve: those of an aspect, or all where nothing else has the name."""
    places: list[tuple[str, float]] = []
    if "max" in aspects:
        places.append(("peak", curve.max.value))
    if "min" in aspects:
        places.append(("lowest", curve.min.value))
    if "first" in aspects and "quarter" not in aspects:
        places.append(("first", curve.first))
    if "quarter" in aspects:
        places += [(f"quarter {i + 1}", mean) for i, mean in enumerate(curve.quarter_means)]
    if "last" in aspects and "quarter" not in aspects:
        places.append(("last", curve.last))
    if not places and (only or "while" in aspects):
        places = [("last", curve.last), ("first", curve.first), ("peak", curve.max.value), ("lowest", curve.min.value),
                  *((f"quarter {i + 1}", mean) for i, mean in enumerate(curve.quarter_means))]  # fmt: skip
    return [(value, f"{name}, {place}: {value:.6g}") for place, value in places]


def fits(number: Number, value: float) -> bool:
    """Whether a number says this value, percentages of a share included."""
    if number.percent or number.points:
        return number.scaled(0.01).fits(value)
    return number.fits(value)
