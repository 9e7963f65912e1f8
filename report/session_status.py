"""How a session stands, in a few lines: the same for the live view, `status` and whoever asks."""

from typing import Any

from lab.base import last_line, lasting, number, plain
from lab.judge import scores_of
from lab.space import Group, logged_as, metrics_of
from lab.store import Notebook, Proposals, ProposalState, RunState, Selection, SessionRecord
from report.best import leader_of
from report.facts import changed_text, name_text
from report.planning import stage_text
from report.slots import slots_line
from report.trouble import trouble_text
from report.view import view_of

THEORY = 160
"""Characters of the last theory."""


def status_lines(
    notebook: Notebook, proposals: Proposals, record: SessionRecord, seconds: float
) -> list[tuple[str, str]]:
    """Incumbent, leader, queue, budgets left and last theory of a session: label and text.

    Args:
        notebook: where its runs are.
        proposals: the queue.
        record: the session.
        seconds: that it has worked so far.
    """
    group = record.group
    lines = [("incumbent", _incumbent(notebook, group)), ("leader", _leader(notebook, record))]
    if (stage := stage_text(notebook, record)) is not None:
        lines.append(("plan", stage))
    if (slots := slots_line(notebook, record)) is not None:
        lines.append(("slots", slots))
    lines.append(("queue", _queue(proposals, group)))
    lines.append(("left", _left(notebook, record, seconds)))
    if (trouble := trouble_text(record)) is not None:
        lines.append(("model", trouble))
    last = next((p for p in reversed(proposals.all()) if p.theory and p.group == group), None)
    if last is not None:
        lines.append(("theory", f"{last.by}: {plain(' '.join(last.theory.split()), THEORY)}"))
    return lines


def training_of(notebook: Notebook, session: str) -> dict[str, Any] | None:
    """The run of a session that trains: what it changes, steps done of all, its score so far; None while none does."""
    running = notebook.index.records(Selection(session=session, states=(RunState.RUNNING,)))
    if not running:
        return None
    run = running[0]
    total = int(notebook.config(run.run_id).train["total_timesteps"] or 0)
    metric = run.goal.metric
    known, steps, scores, speed = metrics_of(run.env_name).get(metric), 0, [], 0.0
    for seed in run.seeds:
        paths = notebook.workspace.run(run.run_id).seed(seed)
        line = last_line(paths.metrics_live) or {}
        steps += min(total, int(line.get("agent_steps", 0)))
        speed += 0.0 if paths.result.exists() else float(line.get("SPS", 0.0))
        raw = line.get(logged_as(metric, run.env_name))
        scores += [raw * (known.scale if known else 1.0)] if isinstance(raw, (int, float)) else []
    return {
        "run_id": run.run_id,
        "name": name_text(notebook, run),
        "changed": changed_text(notebook, run),
        "since": run.started.isoformat() if run.started else None,
        "steps": steps,
        "total_steps": total * len(run.seeds),
        "sps": speed,
        "metric": metric,
        "score": sum(scores) / len(scores) if scores else None,
    }


def _incumbent(notebook: Notebook, group: Group) -> str:
    name = notebook.incumbent(group)
    if name is None:
        return "none yet"
    row, scores = view_of(notebook, notebook.run(name)), scores_of(notebook, name)
    score = f"{number(group.goal.of_scores(scores))} (n={len(scores)})" if scores else row.scored
    return f"{group.goal.name} {score}, {row.name} ({name})"


def _leader(notebook: Notebook, record: SessionRecord) -> str:
    leader = leader_of(notebook, record)
    if leader is None:
        return "none yet"
    if leader.run == notebook.incumbent(record.group):
        return "the incumbent"
    row, count = view_of(notebook, notebook.run(leader.run)), leader.replicates
    believed = f"believed {number(leader.mean)} (n={count}), not proven"
    return f"{record.goal.name} {believed}, {row.name} ({leader.run})"


def _queue(proposals: Proposals, group: Group) -> str:
    wanted = {ProposalState.APPROVED: "approved", ProposalState.STAGED: "staged"}
    queued = [f"{proposal.brief} ({wanted[proposal.state]})" for proposal in proposals.live(*wanted, group=group)]
    return "; ".join(queued) or "empty"


def _left(notebook: Notebook, record: SessionRecord, seconds: float) -> str:
    limits, spent = record.budgets, record.spent
    used, most = notebook.replicates(record.session_id), record.replicates
    parts = [
        lasting(max(0.0, limits.hours * 3600 - seconds)) if limits.hours else "",
        f"{max(0, most - used)} of {most} replicate{'' if most == 1 else 's'}" if most else "",
        f"{max(0, limits.max_tokens - spent.tokens):,} tokens" if limits.max_tokens else "",
        f"${max(0.0, limits.max_dollars - spent.dollars):.2f}" if limits.max_dollars else "",
    ]
    return ", ".join(filter(None, parts)) or "no limit"
