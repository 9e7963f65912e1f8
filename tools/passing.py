"""The tool by which a model passes its turn to the optimizer."""

from typing import Annotated, Any

from pydantic import Field

from lab.base import plain
from lab.search import predicted_of
from tools.context import Asked, ToolContext, ToolError

ARM = "race"
"""The optimizer beside which a model works."""


def pass_round(
    ctx: ToolContext,
    reason: Annotated[str, Field(min_length=10, max_length=1000)],
) -> dict[str, Any]:
    """Instead of stage_proposal: pass your turn, and the optimizer's own next config is staged."""
    ctx.require_draft()
    asked = _asked(ctx) if ctx.asked is None else ctx.asked
    if not asked:
        raise ToolError("the optimizer has nothing to ask for: stage a proposal of your own, or end the search")
    (config,) = asked
    why = " ".join(plain(reason, 1000).split())
    theory = f"The optimizer's next config, from a model of all replicates; {ctx.arm} passed its turn: {why}"
    made = {"arm": ARM, "passed_by": ctx.arm, "predictions": config.predictions}
    proposal = ctx.draft(config.parent, config.changes, theory, **made)
    return ctx.answer(
        proposal,
        parent=config.parent,
        changes=proposal.overrides,
        predictions=[prediction.model_dump() for prediction in proposal.predictions],
    )


def _asked(ctx: ToolContext) -> tuple[Asked, ...]:
    """What the optimizer would train next, beside what is staged already; nothing where it finds nothing."""
    search = ctx.search()
    if search is None:
        return ()
    suggested = search.suggest(only_new=True, avoid=ctx.avoided)
    return tuple(Asked(search.parent, one.changes, predicted_of(search, one.changes)) for one in suggested)
