"""What is known of a run, taken from the notebook: the record that claims about it are checked against."""

import math
import statistics
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from lab.base import AutopilotError
from lab.judge.finding import Finding
from lab.judge.known import Confirmed, Judgement, Known, KnownRun, Noise, Proposed, WarmStart
from lab.judge.stats import detectable
from lab.judge.stopping import fresh_rows, fresh_scores
from lab.judge.verdicts import compared_at, current_verdict, weigh
from lab.space import changed, derive
from lab.store import (
    Curve,
    MetricSummary,
    Notebook,
    Proposal,
    Proposals,
    ReplicateResult,
    RunRecord,
    Sessions,
    Verdict,
    outline,
    run_curves,
    score_of,
)

QUOTED = 12
"""Characters of a line that can be recognized as quoted."""
POINTS = 200
"""Points of a replicate's curve up to which they are kept: a run logs a few dozen, another system's thousands."""
HISTORY = 12
"""Runs before it that a report may speak of, beside parent, baseline and whom it is compared with."""


def known_of(
    notebook: Notebook,
    run: RunRecord,
    agents_per_env: float,
    incumbent: str | None,
    noise: tuple[float, int] | None,
    proposals: Sequence[Proposal] = (),
    mentioned: Collection[str] = (),
    findings: Sequence[Finding] = (),
) -> Known:
    """The record of a run and of those that a report about it may speak of.

    Args:
        notebook: where it lies.
        run: the run, ended.
        agents_per_env: of its environment.
        incumbent: of its group, when the report is written.
        noise: pooled standard deviation of the group's replicates then, and its degrees of freedom.
        proposals: what was staged after it.
        mentioned: further runs that the text names.
        findings: its diagnosis, whose evidence a report may quote.
    """
    verdict = notebook.verdict(run.run_id)
    against = (verdict.against if verdict else None) or incumbent
    latest = [other.run_id for other in notebook.before(run, HISTORY)]
    names = {_root(notebook, run), run.parent, against, *(proposal.parent for proposal in proposals), *latest}
    believed = Sessions(notebook.workspace).leader_beside(run)
    names |= {leader := believed.run if believed else None, *mentioned}
    records = [notebook.run(name) for name in names if name and name != run.run_id and notebook.readable(name)]
    others = {
        record.run_id: known_run(notebook, record, agents_per_env, compared_at(notebook, run, record.run_id))
        for record in sorted(records, key=lambda record: (record.created, record.run_id))
    }
    mine = known_run(notebook, run, agents_per_env, run.finished)
    repeats = sorted(_repeats(notebook, {run.run_id, *mentioned}) - {run.run_id, *others})
    compared = _compared(notebook, run, [name for name in (run.parent, against) if name])
    verdicts = {**compared, **mine.verdicts}
    origin = Proposals(notebook.workspace).origin(run)
    lines = (run.reason, *run.log_tail, *_said(findings))
    return Known(
        env_name=run.env_name,
        objective=run.objective,
        run=mine.model_copy(update={"verdicts": verdicts}),
        others=others,
        repeats={name: known_run(notebook, notebook.run(name), agents_per_env, run.finished) for name in repeats},
        incumbent=against,
        leader=leader,
        noise=Noise(replicate_sd=noise[0], degrees_of_freedom=noise[1]) if noise else None,
        predicted=origin.predictions if origin else (),
        proposals=tuple(map(proposed_of, proposals)),
        told=_told(notebook, run, mine, noise),
        quoted=tuple(line for line in lines if line and len(line) >= QUOTED),
    )


def _said(findings: Sequence[Finding]) -> list[str]:
    """What findings say, clause by clause, as it stands within a sentence and at the beginning of one."""
    texts = [text for one in findings for text in (one.statement, one.evidence, one.meaning)]
    for move in {move for one in findings for move in one.moves}:  # what would test it is no claim about the run
        texts += [f"run with {move.text} that", f"asks for {move.key} {move.direction}"]
    clauses = [clause for text in texts for clause in (text, *text.split("; "))]
    return [said for clause in clauses for said in (clause, clause[:1].upper() + clause[1:])]


def _told(notebook: Notebook, run: RunRecord, mine: KnownRun, noise: tuple[float, int] | None) -> dict[str, float]:
    """Numbers without a word of their own, which reports cite all the same."""
    numbers: dict[str, float] = {}
    if run.pruning:
        about = run.pruning.model_dump(exclude={"spared"})
        numbers |= {f"pruning: {name} {value:.6g}": float(value) for name, value in about.items()}
        for result in notebook.results(run):
            if "agent_steps" in result.metrics:
                steps = result.metrics["agent_steps"]
                numbers[f"seed {result.seed}: {steps:,.0f} steps"] = steps
    n = max((metric.n for metric in mine.metrics.values()), default=0)
    verdict = notebook.verdict(run.run_id)
    if noise and verdict and verdict.n:
        error = noise[0] * math.hypot(*(size**-0.5 for size in verdict.n))
        numbers[f"standard error of a difference of {verdict.n[0]} and {verdict.n[1]} replicates: {error:.6g}"] = error
    if noise and n:
        error = noise[0] * math.sqrt(2 / n)
        numbers[f"standard error of a difference of {n} replicates a side: {error:.6g}"] = error
        if run.goal.is_mean and (least := detectable(noise[0], n)) is not None:
            numbers[f"difference that {n} replicates a side show in 4 of 5 cases: {least:.6g}"] = least
    return numbers


def _repeats(notebook: Notebook, named: Collection[str]) -> set[str]:
    """The runs that repeat the config of one of these, with the ones that they repeat."""
    origins = {notebook.run(name).replicates_of or name for name in named if notebook.readable(name)}
    marks = ", ".join("?" * len(origins))
    query = f"SELECT run_id FROM runs WHERE damaged IS NULL AND replicates_of IN ({marks})"  # noqa: S608 - marks only
    return {
        name
        for name in (*origins, *(row[0] for row in notebook.index.ask(query, sorted(origins))))
        if notebook.readable(name)
    }


def _root(notebook: Notebook, run: RunRecord) -> str:
    """The run at the end of the line of parents; itself where it has none."""
    seen = {run.run_id}
    while run.parent and run.parent not in seen and notebook.readable(run.parent):
        seen.add(run.parent)
        run = notebook.run(run.parent)
    return run.run_id


def known_run(notebook: Notebook, run: RunRecord, agents_per_env: float, at: datetime | None = None) -> KnownRun:
    """One run as far as its record goes.

    Args:
        notebook: where it lies.
        run: the run.
        agents_per_env: of its environment.
        at: what fresh seeds came to later is left out of its verdicts and of what others are compared with; nothing is
            if not given.
    """
    config, summary = notebook.config(run.run_id), notebook.summary(run.run_id)
    parent = notebook.config(str(run.parent)) if notebook.readable(run.parent) else None
    differs = changed(parent, config) if parent else {}
    curves: dict[str, list[Curve]] = {}
    for seed in run_curves(notebook.workspace.run(run.run_id), run.seeds).values():
        for name, curve in seed.items():
            curves.setdefault(name, []).append(curve)
    return KnownRun(
        run_id=run.run_id,
        state=run.state.value,
        arm=run.arm,
        created=run.created,
        started=run.started,
        number=notebook.index.number_of(run.run_id),
        seeds=run.seeds,
        parent=run.parent,
        replicates_of=run.replicates_of,
        changed={key: values for key, values in differs.items() if key != "autopilot.seeds"},
        config=config.flat(),
        derived={} if run.legacy else derive(config, agents_per_env).model_dump(),
        metrics=_metrics(run, summary.metrics) if summary else {},
        greedy={name: metric.mean for name, metric in summary.greedy.items()} if summary else {},
        greedy_values={name: metric.values for name, metric in summary.greedy.items()} if summary else {},
        curves={name: outline(replicates) for name, replicates in curves.items()},
        points={name: points for name, replicates in curves.items() if (points := _points(replicates))},
        by_seed={result.seed: _measured(result) for result in notebook.results(run)},
        amounts=_amounts(notebook, run),
        verdicts=_judged(current_verdict(notebook, run.run_id, at)),
        confirmed=_confirmed(notebook, run.run_id),
        fresh=_fresh(notebook, run.run_id, at),
        warm_start=_warm_start(notebook, run),
    )


def _confirmed(notebook: Notebook, run_id: str) -> Confirmed | None:
    """What the fresh seeds of a candidate came to last; None where they have not come to anything."""
    ended = [one for one in notebook.index.confirmations(run_id) if one.outcome != "opened"]
    if not ended:
        return None
    told = ended[-1].model_dump(include={"outcome", "effect", "low", "high", "level"})
    return Confirmed(against=ended[-1].incumbent, scores=tuple(fresh_scores(notebook, run_id)), **told)


def _fresh(notebook: Notebook, run_id: str, at: datetime | None) -> dict[str, float]:
    """Each metric's mean over the fresh seeds of a run, as `fresh_rows`."""
    values = defaultdict[str, list[float]](list)
    for summary in filter(None, (notebook.summary(row.run_id) for row in fresh_rows(notebook, run_id, at))):
        for name, metric in summary.metrics.items():
            values[name] += metric.values
    return {name: statistics.fmean(each) for name, each in values.items()}


def _points(curves: Sequence[Curve]) -> tuple[tuple[float, float], ...]:
    """Step and value of all points of a curve's replicates, where there are few of them."""
    if any(len(curve.steps) > POINTS for curve in curves):
        return ()
    return tuple(pair for curve in curves for pair in zip(curve.steps.tolist(), curve.values.tolist(), strict=True))


def _measured(result: ReplicateResult) -> dict[str, float]:
    """What one replicate measured and took."""
    greedy = {
        f"greedy {name}": value
        for one in result.evaluations
        if one.actions == "greedy"
        for name, value in one.raw.items()
    }
    took = {"training seconds": result.train_seconds, "evaluation seconds": result.eval_seconds}
    took |= {"memory MiB": result.peak_memory_mib}
    return {**result.metrics, **greedy, **{name: value for name, value in took.items() if value}}


def _amounts(notebook: Notebook, run: RunRecord) -> dict[str, float]:
    """The time and memory that a run took: of all replicates that one after the other had, and their mean."""
    amounts: dict[str, float] = {}
    if run.started and run.finished:
        amounts["run seconds"] = (run.finished - run.started).total_seconds()
    results = notebook.results(run)
    for name, seconds in (
        ("training seconds", {result.seed: result.train_seconds for result in results}),
        ("evaluation seconds", {result.seed: result.eval_seconds for result in results}),
    ):
        if told := {seed: one for seed, one in seconds.items() if one}:
            amounts[name], amounts[f"mean {name}"] = sum(told.values()), statistics.fmean(told.values())
    if memory := [result.peak_memory_mib for result in results if result.peak_memory_mib]:
        amounts["memory MiB"] = max(memory)
    return amounts


def _metrics(run: RunRecord, metrics: Mapping[str, MetricSummary]) -> Mapping[str, MetricSummary]:
    """A run's metrics, and under its own name the score where that is another statistic than the mean."""
    goal = run.goal
    if goal.is_mean or goal.metric not in metrics:
        return metrics
    score = score_of(goal, metrics[goal.metric])
    return {
        **metrics,
        goal.name: metrics[goal.metric].model_copy(update={"mean": score.value, "low": score.low, "high": score.high}),
    }


def _warm_start(notebook: Notebook, run: RunRecord) -> WarmStart | None:
    if run.resume is None:
        return None
    behind = [
        result.metrics["cumulative_steps"] - result.metrics["agent_steps"]
        for result in notebook.results(run)
        if {"cumulative_steps", "agent_steps"} <= result.metrics.keys()
    ]
    return WarmStart(origin=run.resume.run_id or "", steps_behind=statistics.fmean(behind) if behind else None)


def _compared(notebook: Notebook, run: RunRecord, others: list[str]) -> dict[str, Judgement]:
    """Verdicts against parent and incumbent, where there is a score on both sides."""
    judgements: dict[str, Judgement] = {}
    for other in others:
        try:
            judgements |= _judged(weigh(notebook, run.run_id, other, run.finished))
        except AutopilotError:
            continue
    judgements.pop(run.run_id, None)
    return judgements


def _judged(verdict: Verdict | None) -> dict[str, Judgement]:
    """A verdict by whom it is against; nothing for the first of a group."""
    if verdict is None or verdict.against is None or verdict.verdict == "first":
        return {}
    told = Judgement(verdict=verdict.verdict, effect=verdict.effect, low=verdict.low, high=verdict.high)
    return {verdict.against: told}


def proposed_of(proposal: Proposal) -> Proposed:
    """A proposal as far as a report may speak of it."""
    return Proposed(parent=proposal.parent, overrides=proposal.overrides, predictions=proposal.predictions)
