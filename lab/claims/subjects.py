"""The runs of a sentence: which one it is about at each token, and which one that is compared with.

Patterns are over one letter per token (`words.CODES`).
"""

import re
from dataclasses import dataclass

from lab.claims.naming import RUN_ROLES
from lab.claims.tokens import Token
from lab.claims.words import FILLERS, Code, coded
from lab.judge import Known, KnownRun

NOBODY = KnownRun(run_id="?", state="unknown")
"""A run that is not in the record: nothing is known of it."""
WAS = re.compile(r"\((?:was|from|down from|up from|before|formerly|earlier|instead of|old) $", re.IGNORECASE)
"""What stands before an older value in brackets."""
ATTACHED = re.compile(coded("[against than,][^number]* number [word between]{1,2}$"))
"""What stands between a number and a run that is named for another number behind it."""
COMPARED = re.compile(
    r"\b(?:(?:that|those|the one|as) (?:of|in|for)|on top of|(?:child|copy|sibling) of|same as|(?:un)?like"
    r"|than(?: (?:in|of|any|every|each|all|both|seeds?|replicates?))+"
    r"|(?:diff\w*|delta|relative|close|changes?) (?:to|from|with|against)) (?:the |its )?$"
    r"|(?:chang\w+|moved|away|keys|settings|differ\w*|diff|delta\w*) off (?:of )?(?:the |its )?$"
    r"|(?<![\w.])[+\u2212-]\d[\d.]* ?%? (?:on|to|for|over) (?:the |its )?$",
    re.IGNORECASE,
)
"""What stands before a run that something is compared with: `the diff to #3`, `+0.12 on the parent`."""
OTHERS = ("parent", "previous", "incumbent", "leader", "baseline")
"""Roles that a sentence is about only where it opens with them."""
OF = {"in", "of", "for", "at", "under", "with", "by", "from", "the", "on", "("}
"""Words between a number and the run that the number is of: `0.98 for the parent`."""


@dataclass
class Phrase:
    """A sentence cut into tokens, with the runs that it speaks of."""

    known: Known
    section: str
    text: str
    tokens: list[Token]
    lead: tuple[str, ...] = ()
    """The runs that the item or cell which the sentence stands in names; none where it names none."""
    against: tuple[str, ...] = ()
    """The runs that its heading compares with: `Changed against #3`."""
    own: bool = False
    """Whether what names no run is said of this run beyond doubt: in a config, under key metrics."""

    def __post_init__(self) -> None:
        self.codes = "".join(token.code for token in self.tokens)
        self.home = next(filter(None, map(self.known.get, self.lead)), NOBODY if self.lead else self.known.run)
        """The run that is spoken of where the sentence names none."""
        self.subject = self.subject_at(len(self.tokens))
        """The run that is spoken of where a rule looks at present."""

    def look(self, index: int) -> None:
        """Turn to a token: what follows is about the run spoken of there."""
        self.subject = self.subject_at(index)

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
        if token.value in RUN_ROLES:
            return (str(token.value),)
        return (token.value,) if self.known.get(token.value) else ()

    def run_of(self, token: Token, subject: KnownRun | None = None) -> KnownRun:
        """The run that a token names; nobody for one that is not in the record."""
        subject = subject or self.subject
        failed = next((run.run_id for run in reversed(self.known.runs) if not run.metrics), None)
        known = self.known
        roles = {"parent": subject.parent, "incumbent": known.incumbent, "baseline": known.baseline}
        roles |= {"run": known.run.run_id, "failed": failed, "best": self._best(), "leader": known.leader}
        roles["previous"] = subject.parent or self._preceding(subject)
        for name in self._ids(token):
            if run := self.known.get(roles.get(name, name)):
                return run
        return NOBODY

    def _preceding(self, run: KnownRun) -> str | None:
        """The run that was made right before one."""
        names = [one.run_id for one in self.known.runs]
        place = names.index(run.run_id) if run.run_id in names else 0
        return names[place - 1] if place else None

    def _best(self) -> str | None:
        goal, name = self.known.goal, self.known.scored
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
        place = self.about(index)
        return self.home if place is None else self.run_of(self.tokens[place], self.known.run)

    def about(self, index: int) -> int | None:
        """The place of the run that the sentence is about at a token."""
        behind = [i for i in range(index + 1, len(self.tokens)) if self.codes[i] == Code.RUN]
        others = [self.tokens[i].value for i in behind if ATTACHED.search(self.codes[index:i])]
        for place in range(len(self.tokens) - 1, -1, -1):
            token = self.tokens[place]
            if index < place and token.value in others:
                continue  # `0.301 vs 0.347 in X`: of the second number alone, and so wherever X is named again
            if token.code != Code.RUN or self.refers(place) or self._scope(place) > index:
                continue
            if token.value in OTHERS and not self._opens(place):
                continue
            bare = self.codes[place - 1 : place + 2] == coded("(run)")
            within = self.codes.count("(", index, place) > self.codes.count(")", index, place)
            if index < place and within and not bare:
                continue  # `63.84 (before: 57.33, run X)`: named in brackets, and of what stands in them
            return place
        return None

    def _scope(self, place: int) -> int:
        """Where the words about the run at a token begin: at the token if it opens a clause, else anywhere."""
        before = place - 1
        while (
            before >= 0 and self.codes[before] == Code.WORD and self.word(before) in {"the", "run", "in", "with", "of"}
        ):
            before -= 1
        if before >= 0 and (
            self.codes[before] in coded(", ; and |") or self.word(before) in {"while", "whereas", "but", "although"}
        ):
            return place
        return 0

    def _opens(self, index: int) -> bool:
        """Whether only small words stand before a run, and no number right after: the sentence is about this run."""
        before = all(self.codes[i] in coded("word between") and len(self.word(i)) <= 4 for i in range(index))
        return (
            before
            and not re.match(coded("[word:=]? number"), self.codes[index + 1 :])
            and "(" not in self.codes[:index]
        )

    def refers(self, index: int) -> bool:
        """Whether a run stands behind `than`, `against` or `above`: something is compared with this run."""
        before = index - 1
        if self.text[self.tokens[index].start] == "@":
            return True
        if COMPARED.search(self.text[: self.tokens[index].start]):
            return True
        while (
            before >= 0
            and self.codes[before] in coded("word aspect")
            and self.word(before) in {"the", "its", "a", "our"}
        ):
            before -= 1
        return before >= 0 and self.codes[before] in coded("than against up down better worse same from")

    def compared_by_name(self) -> bool:
        """Whether the sentence names the run that it compares with."""
        return any(code == Code.RUN and self.refers(place) for place, code in enumerate(self.codes))

    def runs_named(self) -> list[KnownRun]:
        """The runs that the sentence names, and the one that it is about."""
        return [
            self.subject,
            *(run for t in self.tokens if t.code == Code.RUN and (run := self.run_of(t)) is not NOBODY),
        ]

    def role_of(self, run: KnownRun) -> str:
        """What a run is to this one: `the parent`, or its id."""
        roles = {self.known.run.run_id: "this run", self.known.run.parent: "the parent"}
        roles |= {self.known.incumbent: "the incumbent"} if self.known.incumbent not in roles else {}
        return roles.get(run.run_id, run.run_id)

    @property
    def reference(self) -> KnownRun:
        """The run that the subject is compared with: the one that is named, else its parent, else the incumbent."""
        named = [i for i, token in enumerate(self.tokens) if token.code == Code.RUN]
        for index in [*filter(self.refers, named), *named]:
            run = self.run_of(self.tokens[index])
            if run is not self.subject and run is not NOBODY:
                return run
        if self.lead and self.home is not self.subject:
            return self.home
        if base := next(filter(None, map(self.known.get, self.against)), None):
            return base
        return self.known.get(self.subject.parent) or self.known.get(self.known.incumbent) or NOBODY

    def reference_at(self, index: int) -> KnownRun:
        """The run that is compared with at a token: the next one named in the clause, else the sentence's."""
        for place in range(index, min(index + 8, len(self.codes))):
            if self.codes[place] in ",;" or (self.codes[place] == Code.AND and place > index):
                break
            if self.codes[place] == Code.RUN and self.refers(place):
                run = self.run_of(self.tokens[place])
                return run if run is not self.subject else self.reference
        return self.reference

    def owner(self, index: int) -> KnownRun:
        """The run that a number is of."""
        return self.owned(index)[0]

    def owned(self, index: int) -> tuple[KnownRun, bool]:
        """The run that a number is of, and whether the text names it: else this run is only presumed."""
        if Code.RUN not in self.codes[max(0, index - 3) : index] and WAS.search(self.text[: self.tokens[index].start]):
            return self.reference, False  # `0.015 (was 0.03)`
        after = re.match(coded(r"[word between]{0,2}\(?run"), self.codes[index + 1 :])
        if after and all(self.word(index + 1 + i) in OF for i in range(after.end() - 1)):
            place = index + after.end()
            if not self.has_its_own(index, place) and not re.match(coded("[:=]? number"), self.codes[place + 1 :]):
                return self.run_of(self.tokens[place]), True
        before = index - 1
        while before >= max(0, index - 6) and (
            self.codes[before] in coded("quantity = : ( aspect")
            or (
                self.codes[before] == Code.WORD
                and (self.word(before) in FILLERS - {"with", "used"} or re.search("ing$|^along$", self.word(before)))
            )
        ):
            before -= 1
        between = self.codes[before + 1 : index]
        if before >= 0 and self.codes[before] == Code.RUN and not (":" in between and Code.QUANTITY in between):
            opens = self.about(index) == before  # then it is a role to this run, not to itself
            return self.run_of(self.tokens[before], self.known.run if opens else None), True
        if before >= 0 and self.codes[before] in coded("against than"):
            return self.reference, Code.RUN in self.codes
        return self.subject_at(index), self.named(index)

    def has_its_own(self, index: int, place: int) -> bool:
        """Whether a run behind a number stands in brackets with a number of its own: `1.2 (the parent has 1.0)`."""
        if "(" not in self.codes[index + 1 : place]:
            return False
        return Code.NUMBER in self.codes[place:].partition(")")[0]

    def named(self, index: int) -> bool:
        """Whether the text says which run is spoken of at a token."""
        return self.own or bool(self.lead) or self.about(index) is not None
