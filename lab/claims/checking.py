"""A text checked: its claims with their status and evidence, and the causes that the record does not bear out."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict

from lab.claims import differences, directions, figures, replicates, settings, values, verbal, weighing
from lab.claims.context import Context, announced, stages
from lab.claims.reading import Sentence, Status
from lab.claims.structure import Meaning, passages
from lab.claims.tokens import Reader
from lab.claims.words import CAUSES, Code
from lab.judge import Known

RULES: tuple[Callable[[Sentence], None], ...] = (
    figures.zeros,
    figures.equations,
    settings.options,
    settings.cells,
    settings.makings,
    settings.starts,
    settings.kinship,
    settings.endings,
    verbal.alterations,
    figures.intervals,
    replicates.splits,
    replicates.counted,
    values.changes,
    values.origins,
    figures.thresholds,
    differences.relatives,
    differences.gaps,
    differences.ratios,
    values.numbers,
    verbal.comparisons,
    verbal.sames,
    verbal.outcomes,
    verbal.verdicts,
    verbal.ranks,
    directions.foretold,
    directions.courses,
    directions.moved,
    directions.went,
    directions.turned,
    weighing.across,
    weighing.timed,
    weighing.listed,
    weighing.related,
    weighing.weighed,
    weighing.placed,
)
"""The kinds of claims, in the order in which they take their words: the more particular before the general."""
MEANINGS = {"title": Meaning.TITLE, "theory": Meaning.THEORY, "next_step": Meaning.PLAN}
Mark = Literal["several_changes", "warm_start", "steps_differ", "inconclusive"]
MARKS: Mapping[str, str] = {
    "several_changes": "more than one key was changed",
    "warm_start": "the run went on from another's weights",
    "steps_differ": "it has another number of steps behind it than its parent",
    "inconclusive": "the verdict is inconclusive",
}


class Claim(BaseModel):
    """One statement that the record can speak to."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    section: str
    quote: str
    start: int
    """Place in the section's text, in characters."""
    end: int
    status: Status
    evidence: str


class Cause(BaseModel):
    """A statement of why something came about, with what speaks against it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    section: str
    quote: str
    marks: tuple[Mark, ...]


class Checked(BaseModel):
    """The claims and causes of a checked text; `claims.json`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    claims: tuple[Claim, ...] = ()
    causes: tuple[Cause, ...] = ()
    failed: tuple[str, ...] = ()
    """Rules that broke on a sentence: mistakes of the program, not of the text."""

    def count(self, status: Status) -> int:
        """How many claims have one status."""
        return sum(claim.status == status for claim in self.claims)


def check(known: Known, sections: Mapping[str, str]) -> Checked:
    """The claims and causes in every section's text, each judged against the record.

    Args:
        known: the record.
        sections: name (title, observations, theory, next_step) to prose.
    """
    reader, claims, causes, failed = Reader(known), list[Claim](), list[Cause](), list[str]()
    for text in sections.values():
        reader.runs.learn(text)
    for section, text in sections.items():
        found = _section(known, reader, section, text, held=True)
        if section == "next_step" and announced(text) and not _as_staged(found.claims):
            found = _section(known, reader, section, text, held=False)
        claims, causes, failed = [*claims, *found.claims], [*causes, *found.causes], [*failed, *found.failed]
    return Checked(claims=tuple(claims), causes=tuple(causes), failed=tuple(failed))


def _as_staged(claims: Sequence[Claim]) -> bool:
    """Whether the values of a plan are, half of them at least, those that were staged: else it is its writer's own."""
    held = [claim.status for claim in claims if claim.evidence.startswith("staged: ")]
    return held.count("verified") > 0 and held.count("verified") >= held.count("contradicted")


def _section(known: Known, reader: Reader, section: str, text: str, *, held: bool) -> Checked:
    """The claims and causes of one section; of a plan, `held` against what was staged."""
    claims, causes, failed = list[Claim](), list[Cause](), list[str]()
    context = Context(known, reader, text, staged=section == "next_step" and stages(text), held=held)
    for passage in passages(text, MEANINGS.get(section, Meaning.OBSERVATIONS)):
        lead = context.lead(passage)
        for start, end in sentences(text, passage.start, passage.end):
            sentence = context.sentence(passage, lead, start, end)
            for rule in RULES:
                try:
                    rule(sentence)
                except Exception as error:  # noqa: BLE001 - a mistake of ours in one rule must not cost a night's report
                    failed.append(f"{rule.__name__}: {type(error).__name__}: {error}")
            piece = sentence.text
            spans = [(at, at + len(line)) for line in known.quoted if (at := piece.find(line)) >= 0]
            told = [f for f in sentence.claims if not any(a <= f.start and f.end <= b for a, b in spans)]
            for f in sorted(told, key=lambda f: f.start):
                a, b = start + f.start, start + f.end
                claim = Claim(section=section, quote=text[a:b], start=a, end=b, status=f.status, evidence=f.evidence)
                claims.append(claim)
            context.carry(sentence, passage)
            if CAUSES.search(piece) and _of_an_outcome(sentence):
                causes.append(Cause(section=section, quote=piece.strip(), marks=marks(known, sentence)))
    return Checked(claims=tuple(claims), causes=tuple(causes), failed=tuple(failed))


def marks(known: Known, sentence: Sentence) -> tuple[Mark, ...]:
    """The marks of a sentence about a cause: what keeps that cause from being told from others."""
    sentence.look(len(sentence.tokens))
    run = sentence.subject
    parent, marked = known.get(run.parent), list[Mark]()
    named = {
        key.partition(":")[2] for token in sentence.tokens if token.code == Code.QUANTITY for key in token.value.keys
    }
    all_of_them = re.search(r"\b(both|all)( the| these| two| of the)* (changes|keys|of them)", sentence.text.lower())
    if len(run.changed) > 1 and not set(run.changed) <= named and not all_of_them:
        marked.append("several_changes")
    if run.warm_start:
        marked.append("warm_start")
    if parent and run.steps and parent.steps and abs(run.steps - parent.steps) > 0.02 * parent.steps:
        marked.append("steps_differ")
    against = sentence.reference
    if against.run_id in run.verdicts and run.verdicts[against.run_id].verdict == "inconclusive":
        marked.append("inconclusive")
    return tuple(marked)


def _of_an_outcome(sentence: Sentence) -> bool:
    """Whether a sentence speaks of a run or of something measured, not of the method in general."""
    measured = any(t.code == Code.QUANTITY and t.value.section in ("metric", "curve") for t in sentence.tokens)
    return measured or Code.RUN in sentence.codes or Code.NUMBER in sentence.codes


SENTENCE = re.compile(
    r"(?:\([^()\n]{0,200}\)|[^\n])+?"  # a full stop or semicolon in parentheses ends nothing
    r"(?:;(?=\s)|(?<!\bvs)(?<!\be\.g)(?<!\bi\.e)(?<!\bapprox)(?<!\bca)[.!?](?=\s+[A-Z`*\"“(\d~#-]|\s*$)|(?=\n)|$)"
)


def sentences(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Places of the sentences in a part of a text; a line that runs on is one with the next."""
    for match in SENTENCE.finditer(text[start:end].replace("\n", " ")):
        if match.group().strip():
            yield start + match.start(), start + match.end()
