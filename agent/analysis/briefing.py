"""The briefing: the page that a model is handed at the start of an analysis, composed each time from the record.

It is to be enough for a proposal without a tool's help. It does not grow with the history: the latest runs, the
clearest lessons, the newest rejections, so many and no more; sources, notes and log are bounded. The rest is for the
tools. Nothing is remembered between analyses, so a restart loses nothing.
"""

from typing import Any

from agent.analysis.evidence import shared_of, subject_of
from agent.analysis.memory import memory_of
from agent.analysis.surroundings import environment_of, keys_of, night_of, sources_of
from agent.model import Message
from lab.base import plain, storable
from lab.judge import Lesson, lessons_of, scored_predictions, track_records
from lab.search import BelievedBest, moved_most, state_of
from lab.space.parameters import Scalar
from lab.store import Notebook, Proposal, ProposalState, RunRecord, Selection
from report import effect_lines, effects_in, render, view_of, why_nothing
from tools import ToolContext

RUNS = 5
EFFECTS = 5
LESSONS = 5
PROPOSALS = 5
OFFLINE = "offline"
KEYS = 3
"""Of a config, that the opening names."""
CANDIDATES = 3
"""Of the optimizer, that it tells; and configs that this believes best."""
OWN = 400
"""Characters of the theory behind the run under analysis."""


def situation_of(context: ToolContext) -> dict[str, Any]:
    """Everything that the first messages are made of, as JSON has it.

    The offline researcher reads no page: what only a page has is left out for it.

    Args:
        context: of the analysis that begins.
    """
    run, notebook = context.subject, context.notebook
    mine = [proposal for proposal in context.proposals.all() if proposal.group == run.group]
    rejected = [proposal for proposal in reversed(mine) if proposal.state is ProposalState.REJECTED]
    undone = (ProposalState.STAGED, ProposalState.APPROVED, ProposalState.RUNNING)
    waiting = [p for p in mine if p.state in undone and p.proposal_id != run.proposal]
    situation = {
        "env_name": run.env_name,
        "preset": run.preset,
        "objective": run.objective,
        "run_id": run.run_id,
        "state": run.state,
        "arm": run.arm,
        "incumbent": context.incumbent,
        "leader": context.leader,
        "noise": context.noise,
        "predicted": _predicted(notebook, run, next((p for p in mine if p.proposal_id == run.proposal), None)),
        "foretold": _foretold(context),
        "runs": [_line(notebook, other) for other in notebook.before(run, RUNS)],
        "runs_in_all": notebook.index.count(Selection(run.group)),
        "effects": _effects(context),
        "lessons": [_counted(lesson) for lesson in lessons_of(notebook.index, run.group, LESSONS)],
        "waiting": [{"overrides": p.brief, "parent": p.parent} for p in waiting[-PROPOSALS:]],
        "rejected": [{"overrides": p.brief, "why": plain(p.decisions[-1].why, 300)} for p in rejected[:PROPOSALS]],
        "failures": context.failures,
        "plateau": context.plateau,
        "rules": list(context.rules),
        "report_wanted": context.report_wanted,
        "proposal_wanted": context.proposal_wanted,
        "ahead": context.ahead,
    }
    if context.arm != OFFLINE:
        origin = next((p for p in mine if p.proposal_id == run.proposal), None)
        situation |= _page(context, plain(" ".join(origin.theory.split()), OWN) if origin else "")
    return dict(storable(situation))


def _page(context: ToolContext, theory: str) -> dict[str, Any]:
    """What a colleague would want to know on the first morning: where this is, what is known, what may be changed."""
    wanted = context.proposal_wanted
    return {
        "environment": environment_of(context),
        "night": night_of(context),
        "memory": memory_of(context),
        "subject": subject_of(context),
        "theory": theory,
        "shared": shared_of(context),
        "optimizer": _optimizer(context) if wanted else None,
        "space": keys_of(context) if wanted else None,
        "sources": sources_of(context),
    }


def opening_of(situation: dict[str, Any], picture: bytes | None = None) -> list[Message]:
    """The first messages.

    Args:
        situation: from `situation_of`.
        picture: of the learning curves, where the model sees.
    """
    return [
        Message(role="system", content=render("system.md.j2")),
        Message(role="user", content=render("iteration.md.j2", **situation), picture=picture),
    ]


def _line(notebook: Notebook, run: RunRecord) -> dict[str, Any]:
    row = view_of(notebook, run)
    changed = plain(row.changed, 200) if notebook.readable(run.parent) or run.parent is None else "?"
    score = f"{run.goal.name} {row.scored}" if row.score else row.state
    return {"run": row.run_id, "changed": changed, "score": score, "verdict": row.verdict}


def _optimizer(context: ToolContext) -> dict[str, Any] | None:
    """What the optimizer believes and would do next, in short; None while it knows nothing, or may ask for nothing."""
    search = context.search()
    if search is None or not search.keys:
        return None
    state = state_of(search, CANDIDATES, context.avoided, latest=0)
    if not state.best:
        return None

    def told(values: tuple[Scalar, ...]) -> dict[str, Any]:
        moved = moved_most(search, values, len(values))
        at = dict(zip(state.keys, values, strict=True))
        return {"keys": [[_brief(key), at[key]] for key in moved[:KEYS]], "more": max(0, len(moved) - KEYS)}

    def about(one: BelievedBest) -> dict[str, Any]:
        return {"run": one.run, "mean": one.mean, "sd": one.sd, "n": one.n}

    agreed = sorted((one for one in state.centre if one.narrowed < 1), key=lambda one: one.narrowed)[:KEYS]
    point = [search.base.get(key) for key in state.keys]
    return {
        "replicates": state.replicates,
        "best": [{**about(one), **told(one.values)} for one in state.best[:CANDIDATES]],
        "agreed": [[_brief(one.key), one.low, one.high] for one in agreed] if len(state.best) > 2 else [],
        "next": [
            {
                **told(tuple(one.changes.get(key, value) for key, value in zip(state.keys, point, strict=True))),
                "low": outlook.low if outlook else None,
                "high": outlook.high if outlook else None,
            }
            for one, outlook in state.candidates
        ],
    }


def _brief(key: str) -> str:
    return key.removeprefix("train.")


def _predicted(notebook: Notebook, run: RunRecord, proposal: Proposal | None) -> list[dict[str, Any]]:
    scored = {one.metric: one for one in scored_predictions(notebook.workspace, run.run_id)}
    summary, rows = notebook.summary(run.run_id), []
    for p in proposal.predictions if proposal else ():
        one, metric = scored.get(p.metric), summary.metrics.get(p.metric) if summary else None
        came: dict[str, Any] = {"came": one.value if one else metric.mean if metric else None}
        came |= {"score": one.score, "reference": one.reference} if one else {}
        rows.append({**p.model_dump(), "metric": plain(p.metric, 60), **came})
    return rows


def _foretold(context: ToolContext) -> str | None:
    """How the one who analyses has predicted so far, in this group of runs."""
    group = context.group
    mine = [
        one for one in scored_predictions(context.notebook.workspace) if one.arm == context.arm and one.group == group
    ]
    records = track_records(mine, group.goal.metric)
    return records[0].text if records else None


def _effects(context: ToolContext) -> list[str]:
    """What the keys do by all runs, in words."""
    known = effects_in(context.lab, context.group, context.before)
    return effect_lines(known, context.group.goal, EFFECTS) if known and why_nothing(known) is None else []


def _counted(lesson: Lesson) -> dict[str, Any]:
    return {**lesson._asdict(), "agreeing": len(lesson.agreeing), "opposed": len(lesson.opposed)}
