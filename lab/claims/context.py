"""Where a sentence stands: the runs that its item, heading or cell names, and what the sentences before spoke of."""

import re
from dataclasses import dataclass, field

from lab.claims.charity import other_reading
from lab.claims.naming import RUN_ROLES
from lab.claims.numbers import Number
from lab.claims.plans import EITHER, FORWARD
from lab.claims.reading import Sentence
from lab.claims.readings import fitting
from lab.claims.structure import Meaning, Passage, heading
from lab.claims.tokens import Reader, Token
from lab.claims.words import Code, Quantity, coded
from lab.judge import Known

BEGUN = re.compile(r"\W*(?:plans?|next|to[ -]?do|tmrw|tomorrow|queued?|wants?|ideas?|targets?)\b", re.IGNORECASE)
"""A line that begins a plan, which the lines below it go on with."""
CHANGE = re.compile(r"\b(?:chang\w+|moved|edit\w*|touched|delta\w*|diff\w*|turned|overr\w+)\b|[Δδ]", re.IGNORECASE)
"""Words of a heading that compares two configs."""
OWN = {Meaning.CONFIG, Meaning.METRICS, Meaning.TITLE}
"""Meanings of parts that are about this run beyond doubt."""


def stages(text: str) -> bool:
    """Whether the text of a next step is that of a report, which says what was staged, and not of a note's plan."""
    return not (first := announced(text)) or re.search(r"\bnext step|\bstaged|\bpropos", first, re.I) is not None


def announced(text: str) -> str:
    """The heading that a text begins with: notes have theirs, reports of ours come without."""
    first = text.lstrip().partition("\n")[0]
    return first if heading(first) else ""


@dataclass
class Context:
    """What a text has said so far, and what stands above each of its statements."""

    known: Known
    reader: Reader
    text: str
    carried: Quantity | None = None
    """The quantity that the sentence before spoke of."""
    held: bool = True
    """Whether a plan is held against what was staged."""
    staged: bool = False
    """Whether this is the next step of a report: `next_step` by its section, not by a heading of a note."""
    named: set[str] = field(default_factory=set)
    """Names of all that the sentences before spoke of."""
    firm: bool = True
    """Whether the run that leads an item is its label, not only the first that the item names."""
    _rows: dict[tuple[int, int], list[tuple[str, Number]]] = field(default_factory=dict)
    _cut: dict[tuple[int, int], list[Token]] = field(default_factory=dict)

    def lead(self, passage: Passage) -> tuple[str, ...]:
        """The runs that a passage is about by its item, its cell's row or column, or what it stands under."""
        self.firm = True
        for place in passage.labels:
            if run := next((token for token in self._tokens(place) if token.code == Code.RUN), None):
                return self._ids(run)
        own = self._leading((passage.start, passage.end), item=passage.item)
        return own or next((runs for place in reversed(passage.above) if (runs := self._above(place))), ())

    def sentence(self, passage: Passage, lead: tuple[str, ...], start: int, end: int) -> Sentence:
        """A sentence of a passage, ready for the rules."""
        piece, before = self.text[start:end].replace("\n", " "), self._before(passage, start)
        heads = [token for place in reversed(passage.labels) for token in self._tokens(place)]
        label = next((token.value for token in heads if token.code == Code.QUANTITY), None)
        return Sentence(
            self.known,
            passage.meaning.value,
            piece,
            self.reader.tokens(piece),
            lead=lead,
            own=passage.meaning in OWN and not lead,
            held=self.held,
            against=next((runs for place in reversed(passage.above) if (runs := self._sides(place)[0])), ()),
            carried=label or self.carried,
            labelled=label is not None,
            spoken=set(self.named),
            charity=other_reading,
            reading=fitting,
            ours=self.staged and passage.meaning is Meaning.PLAN,
            before=before,
            forward=bool(FORWARD.search(before) or EITHER.search(self._listed(passage, start, end))),
            crowded=self._crowded(passage, start, lead),
            around=tuple(
                name
                for place in ((passage.start, passage.end), *reversed(passage.above))
                for t in self._tokens(place)
                if t.code == Code.RUN
                for name in self._ids(t)
            ),
            row=self.row(passage),
            cells=tuple(
                (self.text[a:b].strip(), "".join(token.code for token in self._tokens((a, b))))
                for a, b in passage.labels
            ),
        )

    def _before(self, passage: Passage, start: int) -> str:
        """What a statement says before a sentence of it, and what it stands under."""
        above = [self.text[a:b] for a, b in passage.above]
        block = self.text.rfind("\n\n", 0, passage.start) + 1
        above += [line for line in self.text[block : passage.start].splitlines() if BEGUN.match(line)]
        return "\n".join([*above, self.text[passage.start : start]])

    def _listed(self, passage: Passage, start: int, end: int) -> str:
        """A sentence with the others of the enumeration that it is a part of, from semicolon to semicolon."""
        before = re.split(r"[.:](?=\s)", self.text[passage.start : start])[-1]
        parts = before.rstrip().endswith(";") or self.text[start:end].endswith(";")
        after = re.split(r"\.(?=\s)", self.text[end : passage.end])[0] if parts else ""
        return f"{before}{self.text[start:end]}{after}"

    def _crowded(self, passage: Passage, start: int, lead: tuple[str, ...]) -> bool:
        """Whether what stands before a sentence in its statement names another run than the one it is about."""
        if lead and not self.firm and lead != (self.known.run.run_id,):
            return True
        free = not lead and not passage.item and passage.meaning not in (Meaning.CONFIG, Meaning.METRICS)
        begun = self.text.rfind("\n\n", 0, passage.start) + 1 if free else passage.start
        lead = lead or (self.known.run.run_id,)
        announced = [ids for place in passage.above if self.text[place[0]] != "#" for ids in self._sides(place)[1]]
        led = any(token.code == Code.RUN for place in passage.labels for token in self._tokens(place))
        if passage.labels and not led and any(ids != lead for ids in announced):
            return True  # a table below `What #3 had on other seeds:`
        place = (begun, passage.end)
        tokens = [token for token in self._tokens(place) if token.code == Code.RUN and token.end <= start - begun]
        named = [self._ids(token) for token in tokens if passage.start == begun or token.value not in RUN_ROLES]
        return any(ids != lead for ids in named)

    def row(self, passage: Passage) -> tuple[tuple[str, Number], ...]:
        """The figures before a cell in its row that were found true, each with the run that its column names."""
        return tuple(self._rows.get(passage.labels[0], ())) if len(passage.labels) > 1 else ()

    def carry(self, sentence: Sentence, passage: Passage) -> None:
        """Keep what a sentence spoke of, and a figure found true, for those behind it."""
        if (
            len(passage.labels) > 1
            and sentence.codes == Code.NUMBER
            and all(c.status == "verified" for c in sentence.claims)
        ):
            ids = (name for t in self._tokens(passage.labels[1]) if t.code == Code.RUN for name in self._ids(t))
            self._rows.setdefault(passage.labels[0], []).append((next(ids, ""), sentence.number(0)))
        quantities = [token.value for token in sentence.tokens if token.code == Code.QUANTITY]
        self.carried = quantities[0] if quantities else self.carried
        self.named |= {key.partition(":")[2] for quantity in quantities for key in quantity.keys}

    def _tokens(self, place: tuple[int, int]) -> list[Token]:
        if place not in self._cut:
            self._cut[place] = self.reader.tokens(self.text[place[0] : place[1]].replace("\n", " "))
        return self._cut[place]

    def _leading(self, place: tuple[int, int], *, item: bool) -> tuple[str, ...]:
        """The run that a statement opens with and goes on about, as in `- 08:15Z (lr 0.004): …`."""
        begun = self.text[place[0] : place[1]]
        if not item and not re.match(r"[^.;\n]{0,80}[:;\u2014]", begun):
            return ()
        tokens = self._tokens(place)
        codes = "".join(token.code for token in tokens)
        opened = re.match(coded("[-word]{0,3} run"), codes)
        if opened is None:
            return ()
        run = tokens[opened.end() - 1]
        labelled = re.match(coded(r"(?:\([^()]*\))?(?:[:;]|$)|-word"), codes[opened.end() :])
        role = isinstance(run.value, str) and run.value in RUN_ROLES
        if labelled:
            return self._ids(run)
        self.firm = False
        return self._ids(run) if item and not role and not isinstance(run.value, tuple) else ()

    def _above(self, place: tuple[int, int]) -> tuple[str, ...]:
        """The run that a heading, or the item above, is about: the only one that a heading names, or an item's lead."""
        if lead := self._leading(place, item=True):
            return lead
        named = self._sides(place)[1]
        return next(iter(named)) if len(named) == 1 and self.text[place[0]] in "#*" else ()

    def _sides(self, place: tuple[int, int]) -> tuple[tuple[str, ...], set[tuple[str, ...]]]:
        """The runs that a heading or a line above compares with, and those that it is about: `From #3 to #5`."""
        tokens, text = self._tokens(place), self.text[place[0] : place[1]]
        above = Sentence(self.known, "", text, tokens)
        moved = CHANGE.search(text) is not None
        runs = [i for i, token in enumerate(tokens) if token.code == Code.RUN]
        base = [
            i
            for i in runs
            if above.codes[i + 1 : i + 2] == Code.ARROW
            or (above.refers(i) and (moved or re.search(coded("[against than][word]?$"), above.codes[:i])))
        ]
        return (
            tuple(name for i in base for name in self._ids(tokens[i])),
            {self._ids(tokens[i]) for i in runs if i not in base},
        )

    def _ids(self, token: Token) -> tuple[str, ...]:
        """The runs that a token names; a role's run by its id."""
        if isinstance(token.value, tuple):
            return token.value
        if token.value in RUN_ROLES:
            speaker = Sentence(self.known, "", "", [])
            return (speaker.run_of(token).run_id,)
        return (str(token.value),)
