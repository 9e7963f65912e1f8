"""The tool that writes the report: the model's part of it. Numbers and tables come from the record, by the program."""

from typing import Annotated, Any

from pydantic import Field

from lab.base import plain
from lab.claims import MARKS, Checked, check, cited
from lab.store import ENTRY
from report import ReportDraft
from tools.context import REWORKS, ToolContext, ToolError
from tools.prose import SENTENCE, is_prose, refuse_what_is_no_prose

TOLD = 8
"""Contradictions, and marked causes, that an answer names."""


def write_report(
    ctx: ToolContext,
    title: Annotated[str, Field(min_length=5, max_length=200, description="What was tried; what came of it.")],
    observations: Annotated[
        list[Annotated[str, Field(max_length=600)]],
        Field(min_length=1, max_length=12, description="One fact each."),
    ],
    theory: Annotated[str, Field(min_length=20, max_length=4000, description="A mechanism; what would refute it.")],
    next_step: Annotated[str, Field(min_length=10, max_length=2000, description="What to try next and what for.")],
    remember: Annotated[str, Field(max_length=ENTRY, description="A line for your next analyses, if any.")] = "",
) -> dict[str, Any]:
    """Write your part of the run's report; figures cited by reference are right by themselves."""
    if not ctx.report_wanted:
        raise ToolError(f"run {ctx.subject.run_id} has its report already; only a proposal is wanted")
    said = {"title": is_prose(title, 1), "observations": any(map(is_prose, observations))}
    refuse_what_is_no_prose(ctx, {**said, "theory": is_prose(theory, SENTENCE), "next_step": is_prose(next_step)})
    numbers: dict[str, float] = {}

    def filled(text: str, longest: int) -> str:
        return plain(cited(text, ctx.known, ctx.answers, numbers) if "{{" in text else text, longest)

    draft = ReportDraft(
        title=" ".join(filled(title, 240).split()),
        observations=[" ".join(filled(line, 800).split()) for line in observations],
        theory=filled(theory, 4800),
        next_step=filled(next_step, 2400),
        remember=" ".join(filled(remember, ENTRY).split()),
        cited=numbers,
    )
    checked = checked_draft(ctx, draft)
    ctx.report, ctx.contradicted = draft, checked.count("contradicted")
    ctx.reworks += ctx.contradicted > 0
    answer: dict[str, Any] = {
        "written": True,
        "claims": {status: checked.count(status) for status in ("verified", "contradicted", "unsupported")},
        "still_owed": ctx.still_owed,
    }
    if ctx.contradicted:
        wrong = [claim for claim in checked.claims if claim.status == "contradicted"]
        answer["contradicted"] = [{"text": c.quote, "in": c.section, "record": c.evidence} for c in wrong[:TOLD]]
        left = REWORKS + 1 - ctx.reworks
        answer["so"] = f"write the report again with these put right ({left} more)" if left else "they stay, marked"
    doubtful = [cause for cause in checked.causes if cause.marks]
    if doubtful:
        answer["causes_in_doubt"] = [
            {"text": plain(cause.quote, 160), "since": [MARKS[mark] for mark in cause.marks]}
            for cause in doubtful[:TOLD]
        ]
    return answer


def checked_draft(ctx: ToolContext, draft: ReportDraft) -> Checked:
    """The draft's claims. Its next step is checked once there is a proposal that it can be about."""
    known, sections = ctx.known_with_drafts, draft.sections
    if ctx.proposal_owed:
        del sections["next_step"]
    return check(known.model_copy(update={"told": {**known.told, **draft.cited}}), sections)
