"""What is known of the run under analysis: its diagnosis, its metrics and curves beside its parent and the leader."""

from collections.abc import Sequence, Set
from typing import Any

import numpy as np

from lab.base import plain
from lab.judge import Weight, beyond_noise, group_diagnosis
from lab.space import logged_as, metrics_of
from lab.store import Curve, MetricSummary, RunRecord, Selection, leading, mean_curve, run_curves, score_of
from report import changed_text, view_of
from tools import ToolContext

FINDINGS = 4
SAID = 220
"""Characters of what a finding says, and of what it means."""
MOVES = 3
SHARED = 3
"""Findings of the group as a whole."""
METRICS = 8
POINTS = 10
CURVES = (
    "losses/entropy", "losses/explained_variance", "losses/approx_kl", "losses/clipfrac", "losses/value_loss",
)  # fmt: skip
"""What PPO logs of its updates, in the order in which they are told."""
SPEED = ("agent_steps", "cumulative_steps", "epoch")
"""Metrics that say nothing of what was learnt."""


def subject_of(context: ToolContext) -> dict[str, Any]:
    """The run under analysis, and what it is compared with.

    Args:
        context: of the analysis.
    """
    run, notebook = context.subject, context.notebook
    view, others = view_of(notebook, run, context.as_of(run.run_id)), _others(context)
    metrics = _metrics(context, others)
    return {
        "changed": plain(changed_text(notebook, run), 300),
        "scored": f"{run.goal.name} {view.scored}" if view.score else None,
        "verdict": view.verdict,
        "reason": plain(run.reason or "", 300),
        "log": [plain(line, 160) for line in run.log_tail[-3:]] if run.reason else [],
        "findings": findings_of(context, {row[0] for row in metrics}),
        "others": list(others),
        "metrics": metrics,
        "curves": _curves(context, others),
    }


def findings_of(context: ToolContext, shown: Set[str]) -> list[dict[str, str]]:
    """The diagnosis of the run, the most telling first: what, what it usually means, what would test it.

    Args:
        context: of the analysis.
        shown: metrics that the page's table has beside the parent's, and marks; that they moved is not told again.
    """
    found = [one for one in context.findings if one.name != "metric_moved" or not set(one.metrics) <= shown]
    return [
        {
            "says": plain(one.sentence, SAID),
            "meaning": _sentence(plain(one.meaning, SAID)) if one.weight is Weight.ILL else "",
            "moves": ", ".join(move.text for move in one.moves[:MOVES]),
        }
        for one in found[:FINDINGS]
    ]


def shared_of(context: ToolContext) -> list[str]:
    """What several runs of the group share, the most telling first; of a single run its own diagnosis tells it."""
    if context.notebook.index.count(Selection(context.group)) < 2:
        return []
    return [plain(one.sentence, SAID) for one in group_diagnosis(context.lab, context.group)[:SHARED]]


def _sentence(clause: str) -> str:
    return f"{clause[:1].upper()}{clause[1:].rstrip('.')}." if clause else ""


def _others(context: ToolContext) -> dict[str, RunRecord]:
    """Parent, leader and incumbent, each once, that have a score."""
    notebook, found = context.notebook, dict[str, RunRecord]()
    roles = {"parent": context.subject.parent, "leader": context.leader, "incumbent": context.incumbent}
    for role, name in roles.items():
        if name is None or name == context.subject.run_id or not notebook.readable(name):
            continue
        same = next((label for label, run in found.items() if run.run_id == name), None)
        if same is not None:
            found = {(f"{label}, {role}" if label == same else label): run for label, run in found.items()}
        elif notebook.summary(name) is not None:
            found[role] = notebook.run(name)
    return found


def _metrics(context: ToolContext, others: dict[str, RunRecord]) -> list[list[str]]:
    """Rows of a table: metric, this run with its replicates, the means of the others."""
    run, notebook = context.subject, context.notebook
    summary = notebook.summary(run.run_id)
    if summary is None:
        return []
    means = [notebook.summary(other.run_id) for other in others.values()]
    rows = []
    declared = metrics_of(run.env_name)
    twice = {one.source for name, one in declared.items() if name in summary.metrics} - set(declared)
    shown = [name for name in leading(summary.metrics, run.goal.metric) if name not in twice.union(SPEED)]
    for name in shown[:METRICS]:
        mine = summary.metrics[name]
        value, each = mine.mean, ""
        if name == run.goal.metric:
            value = score_of(run.goal, mine).value
            each = f" ({', '.join(f'{one:.3g}' for one in mine.values[:6])})" if mine.n > 1 else ""
        known = [one.metrics.get(name) if one else None for one in means]
        theirs = [_beside(mine, one, marked=name not in (run.goal.metric, "sps")) for one in known]
        rows.append([plain(name, 40), f"{value:.3g}{each}", *theirs])
    return rows


def _beside(mine: MetricSummary, other: MetricSummary | None, *, marked: bool) -> str:
    """Another run's mean, with a star where the difference is more than noise; of the score the verdict says that."""
    if other is None:
        return ""
    known = mine.n + other.n > 2  # of one replicate a side the noise is not known
    return f"{other.mean:.3g}{'*' if marked and known and beyond_noise(mine.values, other.values) else ''}"


def _curves(context: ToolContext, others: dict[str, RunRecord]) -> list[dict[str, str]]:
    """Curves at ten points: the objective of this run, and the others; then what PPO logs of itself."""
    run, workspace = context.subject, context.notebook.workspace
    mine = run_curves(workspace.run(run.run_id), run.seeds)
    objective = logged_as(run.goal.metric, run.env_name)
    told = [_row(objective, [seed[objective] for seed in mine.values() if objective in seed])]
    for role, other in others.items():
        theirs = run_curves(workspace.run(other.run_id), other.seeds)
        told.append(_row(f"of {role}", [seed[objective] for seed in theirs.values() if objective in seed]))
    told += [_row(name, [seed[name] for seed in mine.values() if name in seed]) for name in CURVES]
    return [row for row in told if row]


def _row(name: str, curves: Sequence[Curve]) -> dict[str, str]:
    """One curve, the mean over replicates, at ten points from the first tenth of the training to its end."""
    if not curves:
        return {}
    grid, mean = mean_curve(curves)
    at = np.linspace(0, len(grid) - 1, POINTS + 1).round().astype(int)[1:]
    return {"name": plain(name.removeprefix("losses/"), 40), "points": " ".join(f"{mean[i]:.2g}" for i in at)}
