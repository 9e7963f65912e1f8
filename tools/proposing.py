"""Tools that lead to the next config: suggestions, a check without consequences, and the proposal itself."""

import math
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from lab.base import AutopilotError, InvalidInput, plain, rounded
from lab.search import Outlook, Search, State, retreat_of, state_of
from lab.space import Config, Metric, check_overrides, derive, diff, metrics_of, space_of
from lab.store import Prediction, Sessions, twin_of
from tools.context import ToolContext, ToolError
from tools.prose import SENTENCE, is_prose, refuse_what_is_no_prose

KEYS = 60
"""Keys that one proposal may change: all that a search moves at once, the environment's own arguments among them."""
Changes = Annotated[
    dict[str, bool | int | float | str],
    Field(max_length=KEYS),
]

ParentName = Annotated[
    str,
    Field(
        max_length=80,
        examples=["incumbent", "current"],
    ),
]


def changes_schema(ctx: ToolContext) -> dict[str, Any]:
    """The schema of `changes`: every key that may be proposed here, with its type and hard limits.

    One tool carries it. What a key means, its scale and where to look first stand in the first message.
    """
    space = space_of(ctx.inventory.environment(ctx.group.env_name))
    return {
        "type": "object",
        "description": "Key to new value; only what changes.",
        "properties": {key: parameter.schema() for key, parameter in space.items() if parameter.proposable},
        "minProperties": 1,
    }


DENIED = "the approval policy of this session denies it: "
METRICS = 20
"""Names of metrics that a schema lists."""


class Forecast(BaseModel):
    """Where the objective will come to lie."""

    model_config = ConfigDict(extra="forbid", strict=True)

    direction: Literal["up", "down", "same"]
    low: Annotated[float, Field(allow_inf_nan=False, description="Of the run's mean.")]
    high: Annotated[float, Field(allow_inf_nan=False)]
    coverage: Annotated[float, Field(gt=0, lt=1, description="How often such an interval should hold.")] = 0.8


class Expectation(Forecast):
    """An expectation of another metric than the objective."""

    direction: Literal["up", "down", "same"] = "same"
    metric: Annotated[str, Field(max_length=60)]


COVERAGES = [0.5, 0.8, 0.9, 0.95]


def expected_schema(ctx: ToolContext) -> dict[str, Any]:
    """The schema of `expected`: of the objective, by its name, within what it can be."""
    name = ctx.group.goal.metric
    low, high = _bounds(ctx, name)
    bounds = {key: value for key, value in (("minimum", low), ("maximum", high)) if math.isfinite(value)}
    schema = _forecast(Forecast)
    schema["description"] = f"Where {name}, the objective, will come to lie: an interval that you would bet on."
    for end in ("low", "high"):
        schema["properties"][end] |= bounds
    if not ctx.group.goal.is_mean:
        schema["description"] += f" Its score is the {ctx.group.goal.statistic} of its replicates, of one that one."
        schema["properties"]["low"]["description"] = "Of the run's score."
    return schema


def also_expected_schema(ctx: ToolContext) -> dict[str, Any]:
    """The schema of `also_expected`: of the other metrics that a run of this group has."""
    item = _forecast(Expectation)
    item["properties"]["metric"] = {"enum": _others(ctx)}
    item["properties"]["low"].pop("description")
    for more in ("direction", "coverage"):
        del item["properties"][more]
    return {"type": "array", "items": item, "maxItems": 4}


def _others(ctx: ToolContext) -> list[str]:
    """Metrics of the run beside the objective."""
    objective = ctx.group.goal.metric
    summary = ctx.notebook.summary(ctx.subject.run_id)
    return [name for name in (summary.metrics if summary else ()) if name != objective][:METRICS] or ["score"]


def _bounds(ctx: ToolContext, metric: str) -> tuple[float, float]:
    """What a metric can be; anything, where a run has gone beyond what is declared of it."""
    low, high = metrics_of(ctx.group.env_name).get(metric, Metric(metric)).bounds
    for run in {ctx.subject.run_id, ctx.incumbent}:
        summary = ctx.notebook.summary(run) if run else None
        if summary and metric in summary.metrics and summary.metrics[metric].flag:
            low = high = None
    return -math.inf if low is None else low, math.inf if high is None else high


def _forecast(of: type[Forecast]) -> dict[str, Any]:
    schema = of.model_json_schema()
    schema["properties"]["coverage"] = {"enum": COVERAGES}
    del schema["description"]
    return schema


def suggest_configs(
    ctx: ToolContext,
    parent: ParentName = "incumbent",
    count: Annotated[int, Field(ge=1, le=12, description="Candidates.")] = 5,
) -> dict[str, Any]:
    """All that the optimizer knows, with every value, and what it would try next; rows follow the order of `keys`."""
    run_id = ctx.resolve(parent)
    search, base = ctx.search(run_id), ctx.notebook.config(run_id)
    state = state_of(search, count, ctx.avoided) if search else None
    return {
        "parent": run_id,
        "sampler": "a Gaussian process over all keys, expected improvement; a share at random",
        "replicates_behind_it": state.replicates if state else 0,
        "kept_away_from_rejected": len(ctx.proposals.rejected(ctx.group)),
        "leader": _leader(search),
        "session": _session(ctx),
        "keys": state.keys if state else [],
        "parent_values": [base.get(key) for key in state.keys] if state else [],
        **_told(state),
        "candidates": [
            {"changes": suggestion.changes, "expected": _expected(outlook)}
            for suggestion, outlook in (state.candidates if state else ())
        ],
        **_back(ctx, search),
    }


def _back(ctx: ToolContext, search: Search | None) -> dict[str, Any]:
    """The step back to what was stable, where replicates of what the search builds on collapse; nothing elsewhere.

    Where so many runs failed that only the incumbent may be changed, that comes first.
    """
    retreat = retreat_of(search, ctx.avoided) if search and not ctx.failures else None
    if retreat is None:
        return {}
    from_before = {"autopilot.resume_mode": "continue", "autopilot.resume_from": retreat.checkpoint}
    said = {
        "collapses": retreat.collapsed,
        "why": retreat.why,
        "evidence": plain(retreat.evidence, 400),
        "parent": retreat.stable,
        "stable_replicates": retreat.replicates,
        "changes": retreat.changes,
        "expected": _expected(retreat.outlook),
        "before_it_fell": from_before if retreat.checkpoint else None,
    }
    return {"back_to_stable": said}


def _told(state: State | None) -> dict[str, Any]:
    """The optimizer's state as rows, whose values stand in the order of the keys."""
    if state is None:
        return {}
    return {
        "best": [
            {"run": one.run, "believed": rounded(one.mean), "sd": rounded(one.sd), "n": one.n, "values": one.values}
            for one in state.best
        ],
        "mean_of_best": [one.mean for one in state.centre],
        "spread_of_best": [None if one.scale == "choice" else [one.low, one.high] for one in state.centre],
        "scales": [one.scale for one in state.centre],
        "latest": [[one.run, [rounded(score) for score in one.scores], *one.values] for one in state.latest],
    }


def _session(ctx: ToolContext) -> dict[str, Any] | None:
    """Who decides on what is staged, and how many replicates the session may still train."""
    if ctx.session is None:
        return None
    try:
        record = Sessions(ctx.notebook.workspace).get(ctx.session)
    except AutopilotError:
        return None
    trained = ctx.notebook.replicates(ctx.session)
    left = None if record.replicates is None else max(0, record.replicates - trained)
    return {"approval": record.approve, "replicates_left": left}


def _leader(search: Search | None) -> dict[str, Any] | None:
    leader = search.leader if search else None
    if leader is None:
        return None
    return {"run": leader.run, "believed": rounded(leader.mean), "replicates": leader.replicates}


def _expected(outlook: Outlook | None) -> dict[str, float | None] | None:
    if outlook is None:
        return None
    return {"mean": rounded(outlook.mean), "low": rounded(outlook.low), "high": rounded(outlook.high)}


def suggestions(ctx: ToolContext, count: int = 6) -> list[dict[str, Any]]:
    """Changes that the sampler would try next on the incumbent, or on the run itself; none where it has none."""
    try:
        candidates = suggest_configs(ctx, "incumbent" if ctx.incumbent else "current", count)["candidates"]
    except AutopilotError:
        return []
    return [candidate["changes"] for candidate in candidates]


def check_config(ctx: ToolContext, changes: Changes, parent: ParentName = "incumbent") -> dict[str, Any]:
    """Whether a config would be valid: its problems with the nearest valid values, or its batch."""
    base = ctx.notebook.config(ctx.resolve(parent))
    problems = check_overrides(base, changes, ctx.inventory, proposing=True, steps_left=ctx.steps_left)
    if problems:
        ctx.refused |= set(changes)
        return {"valid": False, "problems": [problem.model_dump() for problem in problems]}
    config = base.with_overrides(changes)
    environment = ctx.inventory.environment(config.env_name)
    twin = _twin(ctx, config)
    return {
        "valid": True,
        **({"tried_already": twin} if twin else {}),
        "changed": {key: list(values) for key, values in diff(base, config).items()},
        "derived": derive(config, environment.agents_per_env or 1).model_dump(),
    }


def _twin(ctx: ToolContext, config: Config) -> str | None:
    """A sentence that names the run which has a config already, and says what follows; None where none has."""
    twin = twin_of(ctx.notebook.index, config, ctx.group, ctx.before)
    if twin is None:
        return None
    return f"run {twin} has this very config: only more replicates of it could come of this, so change something else"


def end_search(
    ctx: ToolContext,
    reason: Annotated[str, Field(min_length=10, max_length=1000)],
) -> dict[str, Any]:
    """Instead of stage_proposal: end the session, only when no further run could teach anything."""
    if ctx.drafts:
        raise ToolError(f"{ctx.drafts[0].proposal_id} is staged already: it is to be trained, so the search goes on")
    ctx.ended = " ".join(plain(reason, 1000).split())
    return {"ended": True, "still_owed": ctx.still_owed}


def stage_proposal(
    ctx: ToolContext,
    changes: Changes,
    theory: Annotated[str, Field(min_length=20, max_length=4000, description="A mechanism; what would refute it.")],
    expected: Forecast,
    also_expected: Annotated[list[Expectation], Field(max_length=4)] = [],  # noqa: B006 - never changed
    parent: ParentName = "incumbent",
) -> dict[str, Any]:
    """Propose the next run: changes to a parent's config, why, and what will happen. Validated at once."""
    ctx.require_draft()
    refuse_what_is_no_prose(ctx, {"theory": is_prose(theory, SENTENCE)})
    parent_id = ctx.resolve(parent)
    base = ctx.notebook.config(parent_id)
    if problems := check_overrides(base, changes, ctx.inventory, proposing=True, steps_left=ctx.steps_left):
        ctx.refused |= set(changes)
        raise InvalidInput(problems)
    if ctx.failures and parent_id != ctx.incumbent:
        raise ToolError(f"{ctx.failures} runs in a row ended without a score: change the incumbent {ctx.incumbent}")
    if ctx.permits is not None and (why := ctx.permits(parent_id, changes)):
        ctx.refused |= set(changes)
        raise ToolError(f"{DENIED}{why}")
    if not diff(base, base.with_overrides(changes)):
        ctx.refused |= set(changes)
        raise ToolError(f"this changes nothing: the parent {parent_id} has these values already")
    if (twin := _twin(ctx, base.with_overrides(changes))) is not None:
        raise ToolError(twin)
    metric = ctx.group.goal.metric
    if unknown := [other.metric for other in also_expected if other.metric not in _others(ctx)]:
        raise ToolError(f"also_expected: no metric {plain(unknown[0], 60)!r}; there are {', '.join(_others(ctx))}")
    predictions = [Prediction(metric=metric, **expected.model_dump())]
    predictions += [Prediction.model_validate(other.model_dump()) for other in also_expected]
    for prediction in predictions:
        if prediction.low > prediction.high:
            raise ToolError(f"{prediction.metric!r}: low {prediction.low} is above high {prediction.high}")
        least, most = _bounds(ctx, prediction.metric)
        if prediction.low < least or prediction.high > most:
            raise ToolError(f"{prediction.metric!r} lies between {least:g} and {most:g}: predict it within that")
    proposal = ctx.draft(parent_id, changes, plain(theory, 4000), predictions=tuple(predictions))
    config = base.with_overrides(changes)
    environment = ctx.inventory.environment(config.env_name)
    return ctx.answer(
        proposal,
        derived=derive(config, environment.agents_per_env or 1).model_dump(),
        predictions=[{**p.model_dump(), "low": rounded(p.low), "high": rounded(p.high)} for p in proposal.predictions],
    )
