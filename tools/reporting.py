"""The tool that writes the report: the model's part of it. Numbers and tables come from the record, by the program."""

from typing import Annotated, Any

from pydantic import Field

from lab.text import plain
from tools.context import ReportDraft, ToolContext
from tools.registry import ToolError


def write_report(
    ctx: ToolContext,
    title: Annotated[str, Field(min_length=5, max_length=200, description="What was tried; what came of it.")],
    observations: Annotated[
        list[Annotated[str, Field(max_length=600)]],
        Field(min_length=1, max_length=12, description="One fact each."),
    ],
    theory: Annotated[str, Field(min_length=20, max_length=4000, description="Why it came out like this.")],
    next_step: Annotated[str, Field(min_length=10, max_length=2000, description="What to try next and what for.")],
) -> dict[str, Any]:
    """Write your part of the run's report; config, metrics, comparisons and the command are added from the record."""
    if not ctx.report_wanted:
        raise ToolError(f"run {ctx.subject.run_id} has its report already; only a proposal is wanted")
    ctx.report = ReportDraft(
        title=" ".join(plain(title, 200).split()),
        observations=[" ".join(plain(line, 600).split()) for line in observations],
        theory=plain(theory, 4000),
        next_step=plain(next_step, 2000),
    )
    return {"written": True, "still_owed": "stage_proposal" if ctx.proposal is None else None}
