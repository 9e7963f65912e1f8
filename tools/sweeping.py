"""The tool that stages a sweep: many configs, approved once."""

from typing import Annotated, Any

from pydantic import Field

from lab.base import invalid, plain
from lab.search import ARMS, Choice, search_space, sweep_of
from lab.space import space_of
from lab.store import Span, refuse_sweep
from tools.context import ToolContext, ToolError
from tools.proposing import DENIED, ParentName

MOST = 10_000
"""Replicates of one sweep."""
OWN = "race"
"""The arm that searches where none is named, and the only one that goes by another statistic than the mean."""


def any_ranges(_: ToolContext) -> dict[str, Any]:
    """The schema of `ranges`, short."""
    return {"type": "object", "description": "Key to [low, high] or its choices; the usual range if left out."}


def stage_sweep(
    ctx: ToolContext,
    theory: Annotated[str, Field(min_length=20, max_length=4000)],
    replicates: Annotated[int, Field(ge=1, le=MOST)],
    keys: Annotated[list[str], Field(max_length=100, description="Keys to search; all if empty.")] = [],  # noqa: B006 - never changed
    ranges: Annotated[
        dict[str, list[bool | int | float | str]],
        Field(max_length=100),
    ] = {},  # noqa: B006 - never changed
    arm: Annotated[str, Field(description=", ".join(ARMS))] = OWN,
    parent: ParentName = "incumbent",
) -> dict[str, Any]:
    """Instead of stage_proposal: many configs, approved once; an arm searches these keys from a parent's config."""
    ctx.require_draft()
    parent_id = ctx.resolve(parent)
    base = ctx.notebook.config(parent_id)
    environment = ctx.inventory.environment(ctx.group.env_name)
    space = search_space(environment, base)
    if ctx.permits is not None:
        space = ctx.permits.narrowed(space, base)
        if not space.dimensions:
            raise ToolError(f"{DENIED}it leaves no key to a search")
    choices = {dimension.key for dimension in space.dimensions if isinstance(dimension, Choice)}
    spans = {key: _span(key, given, choice=key in choices) for key, given in ranges.items()}
    if not ctx.group.goal.is_mean and arm != OWN:
        raise invalid("arm", arm, f"searches by the mean, and the objective is {ctx.group.goal.name}", OWN)
    sweep = sweep_of(space, arm, replicates, keys=keys, ranges=spans)
    refuse_sweep(sweep, space_of(environment), arm=ctx.arm)
    proposal = ctx.draft(parent_id, {}, plain(theory, 4000), sweep=sweep)
    return ctx.answer(proposal, allows={key: span.text for key, span in sweep.keys.items()})


def _span(key: str, given: list[bool | int | float | str], *, choice: bool) -> Span:
    """What was given for a key: its choices, or two ends."""
    if choice:
        return Span(values=tuple(given))
    ends = [end for end in given if isinstance(end, (int, float)) and not isinstance(end, bool)]
    if len(ends) != 2 or len(given) != 2:
        raise invalid(key, given, "is no range", "[low, high]")
    return Span(low=ends[0], high=ends[1])
