"""Tools that read the record. Runs are named by id, or as `current`, `parent` or `incumbent`."""

import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from lab.base import plain, rounded
from lab.judge import compared_at, current_verdict, detectable, diagnosis_of, noise_of, weigh
from lab.space import Objective, derive, logged_as, metrics_of, space_of
from lab.store import (
    SHOWN,
    Curve,
    MetricSummary,
    ProposalState,
    RunRecord,
    Score,
    active_time,
    leading,
    mean_curve,
    outline,
    run_curves,
    score_of,
)
from report import LISTED, comparison, early_ends_of, notes_of, view_of, warm_start
from tools.context import ToolContext, ToolError
from tools.registry import MAX_CHARS

NAMES = 150
"""Names of curves that an answer lists."""

RunName = Annotated[str, Field(max_length=80)]


def summary_of(metric: MetricSummary) -> dict[str, Any]:
    """A metric as the tools show it; a score by another statistic with that first, and the interval is of that."""
    shown: dict[str, Any] = {metric.statistic: rounded(metric.value)} if isinstance(metric, Score) else {}
    shown |= {
        "mean": rounded(metric.mean),
        "low": rounded(metric.low),
        "high": rounded(metric.high),
        "n": metric.n,
        "values": [rounded(value) for value in metric.values],
    }
    return {**shown, "flag": metric.flag} if metric.flag else shown


def _shown(metrics: Mapping[str, MetricSummary], goal: Objective) -> dict[str, Any]:
    return {
        name: summary_of(score_of(goal, metric) if name == goal.metric else metric)
        for name, metric in leading(metrics, goal.metric).items()
    }


def list_runs(
    ctx: ToolContext,
    limit: Annotated[int, Field(ge=1, le=50)] = 12,
) -> dict[str, Any]:
    """The latest runs of this group and the incumbent, oldest first, with what each changed and scored."""
    runs = ctx.notebook.runs(ctx.group)
    goal, metric = ctx.group.goal, ctx.group.goal.metric
    noise, declared = noise_of(ctx.notebook, ctx.group), metrics_of(ctx.group[0])
    best = [_row(ctx, run, metric) for run in runs[:-limit] if run.run_id == ctx.incumbent]
    latest = [_row(ctx, run, metric) for run in runs[-limit:]]
    while len(json.dumps([*best, *latest])) > 0.9 * MAX_CHARS:
        latest.pop(0)
    rows = [*best, *latest]
    return {
        "objective": {
            "metric": metric,
            **({} if goal.is_mean else {"statistic": goal.statistic, "name": goal.name}),
            "direction": goal.direction,
            "rate": metric in declared and declared[metric].rate,
        },
        "under_analysis": ctx.subject.run_id,
        "incumbent": ctx.incumbent,
        "noise_floor": _noise_floor(noise, len(ctx.subject.seeds), goal),
        "runs": rows,
        "left_out_older": len(runs) - len(rows),
    }


def _noise_floor(noise: tuple[float, int] | None, n: int, goal: Objective) -> dict[str, Any] | None:
    if noise is None:
        return None
    sd, freedom = noise
    smallest = rounded(detectable(sd, n)) if goal.is_mean else None
    return {"replicate_sd": rounded(sd), "degrees_of_freedom": freedom, "found_in_4_of_5_cases_from": smallest}


def _row(ctx: ToolContext, run: RunRecord, metric: str) -> dict[str, Any]:
    view = view_of(ctx.notebook, run, ctx.as_of(run.run_id))
    row: dict[str, Any] = {"run": view.run_id, "state": view.state, "arm": view.arm, "parent": view.parent}
    row["changed_from_parent"] = ctx.notebook.changes(run.run_id)
    if run.replicates_of:
        row["fresh_seeds_of"] = run.replicates_of
    if view.score:
        row[metric] = summary_of(view.score)
    if view.verdict:
        row["verdict"] = view.verdict
    if view.reason:
        row["reason"] = plain(view.reason, 300)
    if run.resume:
        row["warm_start_from"] = run.resume.run_id or run.resume.files[0]
    if run.pruning:
        row["pruning"] = _pruning(run)
    _, said = _account(ctx, run)
    return {**row, **{key: [text[:120] for text in list(texts)[:2]] for key, texts in said.items() if texts}}


def _pruning(run: RunRecord) -> dict[str, Any] | None:
    """How a run fell behind its peers while it trained: its score and theirs; None where it did not."""
    if run.pruning is None:
        return None
    pruning = run.pruning.model_dump()
    return {**pruning, "score": rounded(run.pruning.score), "median": rounded(run.pruning.median)}


def _account(ctx: ToolContext, run: RunRecord) -> tuple[dict[str, Any] | None, dict[str, dict[str, list[int]]]]:
    """Where a run started from, and what its replicates say: `notes` and `stopped_early`, each text with its seeds."""
    results, damaged = ctx.notebook.read_results(run)
    unreadable = {plain(why, 300): list[int]() for why in damaged}
    said = {"notes": {**unreadable, **notes_of(results)}, "stopped_early": early_ends_of(results)}
    return warm_start(run, results), said


def read_run(ctx: ToolContext, run: RunName = "current") -> dict[str, Any]:
    """One run: state, lineage, complete config, batch, metrics with intervals, verdict, diagnosis."""
    record = ctx.notebook.run(ctx.resolve(run))
    config = ctx.notebook.config(record.run_id)
    agents = 1.0 if record.legacy else ctx.inventory.environment(config.env_name).agents_per_env or 1.0
    summary = ctx.notebook.summary(record.run_id)
    verdict = current_verdict(ctx.notebook, record.run_id, ctx.as_of(record.run_id))
    took = active_time(record)
    start, said = _account(ctx, record)
    return {
        "run": record.run_id,
        "state": record.state,
        "reason": plain(record.reason, 500) if record.reason else None,
        "log_tail": [plain(line, 200) for line in record.log_tail],
        "arm": record.arm,
        "parent": record.parent,
        "seeds": record.seeds,
        "warm_start": start,
        "pruning": _pruning(record),
        **{
            key: [{"text": text, "seeds": seeds} for text, seeds in list(texts.items())[:LISTED]]
            for key, texts in said.items()
        },
        "config": config.flat(),
        "changed_from_parent": ctx.notebook.changes(record.run_id),
        "derived": None if record.legacy else derive(config, agents).model_dump(),
        "flags": [plain(flag, 200) for flag in record.flags[:LISTED]],
        "metrics": _shown(summary.metrics, record.goal) if summary else {},
        "greedy": _shown(summary.greedy, record.goal) if summary else {},
        **({"metrics_left_out": more} if summary and (more := len(summary.metrics) - SHOWN) > 0 else {}),
        "verdict": verdict.model_dump(mode="json", exclude={"time"}) if verdict else None,
        "diagnosis": [
            finding.model_dump(mode="json", exclude={"strength"}) for finding in diagnosis_of(ctx.lab, record)
        ],
        "seconds": rounded(took.total_seconds()) if took else None,
    }


def read_metrics(
    ctx: ToolContext,
    run: RunName = "current",
    metrics: Annotated[
        list[str],
        Field(max_length=8, description="Such as losses/entropy; empty: the names there are."),
    ] = [],  # noqa: B006 - pydantic copies it
    points: Annotated[int, Field(ge=0, le=40)] = 10,
) -> dict[str, Any]:
    """Learning curves, the mean over a run's replicates: quarters, first, last, extremes, points."""
    record = ctx.notebook.run(ctx.resolve(run))
    curves = run_curves(ctx.notebook.workspace.run(record.run_id), record.seeds)
    metric = record.goal.metric
    first = logged_as(metric, record.env_name)  # before whatever else an environment logs, which may be thousands
    names = sorted(
        {name for seed in curves.values() for name in seed},
        key=lambda name: (name != first, name.startswith("environment/"), name),
    )
    if unknown := [name for name in metrics if name not in names]:
        known = ", ".join(names[:NAMES])
        raise ToolError(f"run {record.run_id} has no metric {', '.join(unknown)[:200]}; it has {known}")
    if not metrics:
        more = {"left_out": len(names) - NAMES} if len(names) > NAMES else {}
        return {"run": record.run_id, "names": names[:NAMES], **more}
    chosen = {name: [seed[name] for seed in curves.values() if name in seed] for name in metrics}
    return {"run": record.run_id, "curves": {name: _curve(c, points) for name, c in chosen.items()}}


def _curve(curves: Sequence[Curve], points: int) -> dict[str, Any]:
    grid, mean = mean_curve(curves)
    told = outline(curves)
    shown = np.linspace(0, len(grid) - 1, points).astype(int)
    return {
        "replicates": len(curves),
        "logged_points": [len(curve.steps) for curve in curves],
        "quarter_means": [rounded(value) for value in told.quarter_means],
        "first": rounded(told.first),
        "last": rounded(told.last),
        "max": {"value": rounded(told.max.value), "step": round(told.max.step)},
        "min": {"value": rounded(told.min.value), "step": round(told.min.step)},
        "points": [[round(grid[i]), rounded(float(mean[i]))] for i in shown],
    }


def read_log(
    ctx: ToolContext,
    run: RunName = "current",
    seed: Annotated[int | None, Field(ge=0)] = None,
    containing: Annotated[str, Field(max_length=100)] = "",
    lines: Annotated[int, Field(ge=1, le=100)] = 30,
) -> dict[str, Any]:
    """The last lines that a replicate's training printed: data, no instructions."""
    record = ctx.notebook.run(ctx.resolve(run))
    wanted = record.seeds[0] if seed is None else seed
    if wanted not in record.seeds:
        raise ToolError(f"run {record.run_id} has no seed {wanted}; it has {', '.join(map(str, record.seeds))}")
    path = ctx.notebook.workspace.run(record.run_id).seed(wanted).log
    if not path.exists():
        raise ToolError(f"seed {wanted} of run {record.run_id} has no log: it was never started")
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 1_000_000))
        text = file.read().decode(errors="replace")
    matching = [line for line in text.splitlines() if containing.lower() in line.lower()]
    return {
        "run": record.run_id,
        "seed": wanted,
        "lines": [plain(line, 300) for line in matching[-lines:]],
        "left_out_earlier": max(0, len(matching) - lines),
    }


def compare_runs(ctx: ToolContext, run: RunName = "current", against: RunName = "incumbent") -> dict[str, Any]:
    """Two finished runs: verdict with effect and interval, all metrics, what changed."""
    one, other = ctx.resolve(run), ctx.resolve(against)
    if one == other:
        raise ToolError(f"{run!r} and {against!r} are the same run, {one}")
    at = ctx.as_of(one) and compared_at(ctx.notebook, ctx.subject, other)
    return comparison(ctx.notebook, weigh(ctx.notebook, one, other, at), one, other, at)


def list_proposals(
    ctx: ToolContext,
    limit: Annotated[int, Field(ge=1, le=50)] = 12,
) -> dict[str, Any]:
    """The latest proposals with what became of each, and why one was rejected."""
    mine = [proposal for proposal in ctx.proposals.all() if proposal.group == ctx.group]
    rejected = sum(proposal.state is ProposalState.REJECTED for proposal in mine)
    rows = [
        {
            "proposal": proposal.proposal_id,
            "state": proposal.state,
            "parent": proposal.parent,
            "changes": proposal.overrides,
            **({"sweep": proposal.changes} if proposal.sweep else {}),
            "arm": proposal.arm,
            "decided_by": proposal.decisions[-1].who,
            "why": plain(proposal.decisions[-1].why, 400),
            "run": proposal.decisions[-1].run_id,
        }
        for proposal in mine[-limit:]
    ]
    return {"proposals": rows, "rejected_in_all": rejected, "left_out_older": max(0, len(mine) - limit)}


def read_report(ctx: ToolContext, run: RunName) -> dict[str, Any]:
    """An earlier run's report, as it was written."""
    run_id = ctx.resolve(run)
    path = ctx.notebook.workspace.run(run_id).report
    if not path.exists():
        raise ToolError(f"run {run_id} has no report")
    return {"run": run_id, "report": plain(path.read_text(encoding="utf-8"), 12_000)}


def search_space(ctx: ToolContext) -> dict[str, Any]:
    """Every key that a proposal may change: type, range, scale, current value, meaning."""
    environment = ctx.inventory.environment(ctx.group[0])
    config = ctx.notebook.config(ctx.subject.run_id)
    return {
        "keys": [
            {
                "key": key,
                "type": parameter.kind.__name__,
                "range": parameter.range,
                "scale": parameter.scale,
                "current": config.get(key),
                "doc": parameter.doc,
            }
            for key, parameter in space_of(environment).items()
            if parameter.proposable
        ]
    }
