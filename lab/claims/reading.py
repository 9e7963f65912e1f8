"""A sentence under examination: what its numbers are of, and the claims found in it, judged against the record.

Rules look for patterns over one letter per token (`words.CODES`); what a rule has used, later ones leave alone. A
number that no rule can put to a quantity is unsupported: it is never called true. A claim reaches from its `first` to
its `last` token; a `place` or an `index` is one of a figure or a word.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from lab.claims.numbers import Number
from lab.claims.recorded import fits, recorded
from lab.claims.subjects import NOBODY, Phrase
from lab.claims.words import FILLERS, SMALL, STRANGE, Code, Quantity, coded
from lab.judge import KnownRun

Status = Literal["verified", "contradicted", "unsupported"]


ITEM = (
    r"(?:[quantity aspect /]{1,4} (?:\([^()]*\))? [:=]? to? number (?:[arrow -] number)?"
    r"|number quantity word{0,2} number? quantity?) (?:\([^()]*\))? [,; and /]{1,2}"
)
LABEL = r"aspect? quantity (?:\([^()]*\))? (?:[aspect between word]{0,3} [:=]|aspect)? to?|aspect quantity word"
LABELLED = re.compile(coded(rf"-? word? word? (?:{ITEM})* (?:{LABEL})|-? word? word? (?:{ITEM})+"))
"""What stands before a number in a line that begins with its label, or in a list of such: `perf 0.98, score: `."""


ASKS = re.compile(r"\b(?:whether|see if|check if|to see|in case|would|could|should|will)\b", re.IGNORECASE)
LISTED = re.compile(coded("quantity (?:/ quantity)+ [:=]? number (?:/ number)+"))


@dataclass(frozen=True)
class Found:
    """A claim, by its place in the text."""

    start: int
    end: int
    status: Status
    evidence: str


@dataclass
class Sentence(Phrase):
    """One sentence under examination: what its numbers are of, and the claims that were found in it."""

    carried: Quantity | None = None
    """The quantity that the sentence before spoke of."""
    spoken: set[str] = field(default_factory=set)
    """Names of the quantities that the sentences before spoke of."""
    labelled: bool = False
    """Whether `carried` is the name of the cell which the sentence stands in."""
    charity: Callable[["Sentence", int, int], str | None] = lambda *_: None
    """Words for a reading that makes a claim true which seems false."""
    reading: Callable[["Sentence", int, int], str | None] = lambda *_: None
    """Words for what makes a claim true that is not clear."""
    ours: bool = False
    """Whether it stands in the next step of a report."""
    held: bool = True
    """Whether that is the plan which was staged, so that its new values are held against it."""
    before: str = ""
    """What its statement, and those that it stands under, say before it."""
    forward: bool = False
    """Whether what stands before it, or in one enumeration with it, looks forward."""
    crowded: bool = False
    """Whether what stands before it speaks of runs beside the one that it is about."""
    around: tuple[str, ...] = ()
    """The runs that the statement which it stands in names, by id."""
    cells: tuple[tuple[str, str], ...] = ()
    """The headings of its row and column, each with the codes of its tokens."""
    row: tuple[tuple[str, Number], ...] = ()
    """The figures before it in its row that were found true, each with the run that its column names."""
    seed: int | None = None
    """The seed of the replicate that the figure which a reading looks at is of."""
    place: int | None = None
    """The token of that figure."""
    used: set[int] = field(default_factory=set)
    claims: list[Found] = field(default_factory=list)

    # What is meant

    def headed(self, words: str) -> bool:
        """Whether the row or the column of the cell which it stands in has a heading of these words alone."""
        return any(re.fullmatch(rf"\W*(?:{words})\W*", text, re.IGNORECASE) for text, _ in self.cells)

    def aspects(self, index: int) -> set[str]:
        """The aspects of the number at `index`, from the words around it: peak, end, first and others."""
        aspects: set[str] = set()
        compared = re.search(coded("[against than] word?$"), self.codes[:index]) is not None
        for i in range(index - 1, -1, -1):
            if self.codes[i] == Code.ASPECT:
                aspects.add(str(self.tokens[i].value))
            if (
                self.codes[i] == ";"
                or (self.codes[i] in coded(", and") and aspects)
                or (self.codes[i] == Code.NUMBER and not compared)
            ):
                break
        after = index + 1
        while after < len(self.codes) and self.codes[after] in coded("word aspect between run") and after <= index + 3:
            if self.codes[after] == Code.ASPECT:
                aspects.add(str(self.tokens[after].value))
            after += 1
        return aspects

    def quantity(self, index: int) -> Quantity | None:
        """The quantity that the number at `index` is of."""
        quantity = self._nearest(index)
        of_config = quantity is not None and quantity.section == "config"
        if of_config and self._at_aspect(index) and not self.adjacent(index):
            return self.objective  # a config neither ends nor peaks
        return quantity

    def _at_aspect(self, index: int) -> bool:
        """Whether the number stands right behind an aspect, as in `ended at 0.65`."""
        before = self._before(index, "")
        return before >= 0 and self.codes[before] == Code.ASPECT

    def _before(self, index: int, passed: str = "=:(op~m") -> int:
        """The token before one, small words and what else is passed over left out; -1 where there is none."""
        before = index - 1
        while before >= 0 and (
            self.codes[before] in passed or (self.codes[before] == Code.WORD and self.word(before) in FILLERS)
        ):
            before -= 1
        return before

    def _listed(self, index: int) -> int | None:
        """The place of a number's quantity where names and numbers stand in lists: `gamma / lambda: 0.99 / 0.95`."""
        for listed in LISTED.finditer(self.codes):
            span = range(*listed.span())
            names, figures = ([i for i in span if self.codes[i] == code] for code in (Code.QUANTITY, Code.NUMBER))
            if index in figures:
                return names[figures.index(index)]
        return None

    def _nearest(self, index: int) -> Quantity | None:
        place = self._listed(index)
        place = self._beside(index) if place is None else place
        if place is None:
            remarks = self._remarks(index)
            for i in range(index - 1, -1, -1):
                if i in remarks:
                    continue
                if self.codes[i] == Code.QUANTITY and self._possible(i, index):
                    return self.named_quantity(i)
            clause = re.match(coded("[^;.quantity]* quantity"), self.codes[index + 1 :])
            place = index + clause.end() if clause else None
        return self.carried if place is None else self.named_quantity(place)

    def _remarks(self, index: int) -> set[int]:
        """Tokens before one that stand in parentheses behind a quantity: `gamma (discount of reward) went up`."""
        end, places = self.tokens[index].start, set[int]()
        for remark in re.finditer(r"\((?:[^()]|\([^()]*\))*\)", self.text[:end]):
            inside = self.within(remark.start() + 1, remark.end())
            if inside and Code.QUANTITY in self.codes[: inside[0]] and not re.search(r"\d", remark.group()):
                places.update(inside)
        return places

    def _beside(self, index: int) -> int | None:
        """The place of the quantity that a number is of beyond doubt."""
        left = self._before(index)
        labelled = left >= 0 and re.fullmatch(
            coded("quantity :[^number]* number quantity"), self.codes[left : index + 2]
        )
        if labelled and not self._taken(index + 1) and self.number(index).step >= 1:
            return index + 1  # `Steps: ~653 epochs`
        if left >= 0 and self.codes[left] == Code.QUANTITY and self._possible(left, index):
            return left
        if re.match(coded("[between word] quantity"), self.codes[index + 1 :]) and self.word(index + 1) in {"in", "of"}:
            return index + 2
        right = index + 1
        if (
            right < len(self.codes)
            and self.codes[right] in coded("word only")
            and self.word(right) not in {"and", "in", "for", "at"}
        ):
            right += 1
        return right if self.codes[right : right + 1] == Code.QUANTITY and not self._taken(right) else None

    def _possible(self, place: int, index: int) -> bool:
        """Whether a number can be of a quantity: one with a fraction is not of what is counted in whole numbers."""
        token, quantity = self.tokens[index], self.named_quantity(place)
        if token.code != Code.NUMBER or token.value.step >= 1 or token.value.percent or not quantity.keys:
            return True
        return any(not self.whole(key) for key in quantity.keys)

    def whole(self, key: str) -> bool:
        """Whether a key's values are whole numbers."""
        section, _, name = key.partition(":")
        value = self.known.run.config.get(name)
        whole = section == "config" and isinstance(value, int) and not isinstance(value, bool)
        return whole or section in ("count", "derived")

    def _taken(self, index: int) -> bool:
        """Whether the quantity at a token belongs to a number that follows it."""
        after = re.match(coded("[:=]? number|word number"), self.codes[index + 1 :])
        return after is not None and (after.group() != "wN" or self.word(index + 1) in {"of", "at", "is", "was"})

    def labelled_line(self, index: int) -> bool:
        """Whether a number stands behind the label that its line begins with: `- perf: 0.98` is said of this run."""
        before, after = self.codes[:index], self.codes[index + 1 : index + 2]
        named = Code.QUANTITY in before[-4:] or (after == Code.QUANTITY and Code.QUANTITY in before)
        return named and LABELLED.fullmatch(before) is not None

    def adjacent(self, index: int) -> bool:
        """Whether the quantity stands right beside the number: there is no doubt what the number is of."""
        if self.labelled and Code.QUANTITY not in self.codes:
            return True
        left = self._before(index)
        return (left >= 0 and self.codes[left] == Code.QUANTITY) or self.codes[index + 1 : index + 2] == Code.QUANTITY

    def attached(self, index: int) -> bool:
        """Whether only small words part the number from its quantity: then the claim may be called false."""
        led, follows = (
            re.search(coded("[ratio up down] word? to$"), self.codes[:index]),
            re.match(coded("[word between] word? run"), self.codes[index + 1 :]),
        )
        if self.adjacent(index) or self._at_aspect(index) or led or follows:
            return True  # `ended at 0.65`; `halving to 0.06`; `12.7 % in the baseline`
        if self.codes[index + 1 : index + 2] == Code.WORD and self.word(index + 1) not in SMALL:
            return False
        before = index - 1
        while before >= 0 and self.codes[before] != Code.QUANTITY:
            word = self.word(before)
            if self.codes[before] == Code.WORD and word not in FILLERS | SMALL and not re.search("(ing|ed|ly)$", word):
                return False
            before -= 1
        return before >= 0 or self.carried is not None

    @property
    def objective(self) -> Quantity:
        """The quantity that runs are compared by."""
        return Quantity((f"metric:{self.known.scored}", f"curve:environment/{self.known.metric}"))

    def named_quantity(self, index: int) -> Quantity:
        """The quantity that a token names."""
        quantity: Quantity = self.tokens[index].value
        return quantity

    def values(self, quantity: Quantity, run: KnownRun, aspects: set[str]) -> list[tuple[float, str]]:
        """The values that the record has of a quantity of a run, each with words for it."""
        return recorded(self.known, quantity, run, aspects)

    def one(self, quantity: Quantity | None, run: KnownRun, aspects: set[str]) -> float | None:
        """The value that a comparison is about."""
        if quantity is None:
            return None
        values = self.values(quantity, run, aspects or ({"last"} if quantity.section == "curve" else set()))
        return values[0][0] if values else None

    # What comes of it

    def say(self, first: int, last: int, status: Status, evidence: str) -> None:
        """Note a claim that reaches from one token to another."""
        if self.subject is NOBODY:
            status, evidence = "unsupported", "that run is not in the record"
        if status != "unsupported" and self._strange(first, last):
            status, evidence = "unsupported", "it speaks of something that is not in the record"
        asked = ASKS.search(self.text[: self.tokens[first].start])
        if status == "verified" and Code.NUMBER not in self.codes[first : last + 1] and asked:
            status, evidence = "unsupported", f"a question or a plan; {evidence}"
        if status == "contradicted" and (reading := self.charity(self, first, last)):
            status, evidence = "unsupported", f"{reading}; {evidence}"
        self.used.update(range(first, last + 1))
        self.claims.append(Found(self.tokens[first].start, self.tokens[last].end, status, evidence))

    def _strange(self, first: int, last: int) -> bool:
        """Whether the sentence is about something that no record has, and does not come back to the run."""
        strange = STRANGE.search(self.text)
        if strange is None:
            return False
        return not re.search(
            r"\b(we|our|ours|this run|the run)\b", self.text[strange.end() : self.tokens[last].end].lower()
        )

    def judge(self, first: int, last: int, true: bool | None, evidence: str) -> None:
        """Note a claim as true, false, or, with None, as what nothing speaks of."""
        places = [i for i in range(first, last + 1) if self.codes[i] == Code.NUMBER]
        if not true and places and (not self.number(places[0]).vague or self.number(places[0]).value == 0):
            among = self.known.told.items() if len(places) == 1 and not self.number(places[0]).vague else ()
            told = next((what for what, value in among if fits(self.number(places[0]), value)), None)
            certain = true is False and self.charity(self, first, last) is None
            told = told or (None if certain else self.reading(self, first, last))
            true, evidence = (True, told) if told else (true, evidence)
        self.say(first, last, "unsupported" if true is None else "verified" if true else "contradicted", evidence)

    def matches(self, pattern: str) -> Iterator[tuple[int, int]]:
        """Places of a pattern none of whose numbers were used before: first and last token."""
        for match in re.finditer(coded(pattern), self.codes):
            span = range(match.start(), match.end())
            if not any(i in self.used and self.codes[i] in coded("number equation") for i in span):
                self.look(match.start())
                yield match.start(), match.end() - 1

    def phrases(self, pattern: str | re.Pattern[str]) -> Iterator[tuple[re.Match[str], int, int]]:
        """Where words stand that no rule has used yet: the match of a pattern, its first and its last token."""
        for said in re.finditer(pattern, self.text):
            inside = self.within(*said.span())
            if inside and not self.used & set(inside):
                self.look(inside[0])
                yield said, inside[0], inside[-1]

    def free(self, first: int, last: int) -> bool:
        """Whether no rule has used any of some tokens."""
        return not self.used & set(range(first, last + 1))

    def number(self, index: int) -> Number:
        """The number at a token."""
        number: Number = self.tokens[index].value
        return number
