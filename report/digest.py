"""`digest.md`: what the session came to, for the morning. Everything in it is computed from the record."""

import re
import shlex
from pathlib import Path

from lab.base import count_of, lasting, number, plain, write_atomic
from lab.judge import (
    ENOUGH,
    Incumbency,
    group_diagnosis,
    pruning_report,
    scored_predictions,
    scores_of,
    track_records,
)
from lab.store import Lab, Notebook, Proposals, ProposalState, RunRecord, RunState, SessionRecord, score_of, summarize
from report.arms import compared_arms
from report.best import Compared, compared_of, comparison_text
from report.confirmations import contenders
from report.facts import interval_text, name_text
from report.headline import headline_of
from report.learnt import effects_in, learnt_lines, why_nothing
from report.morning import waiting_lines
from report.planning import outlook_lines, plan_text, reached_text, stage_text
from report.plots import arms_so_far, best_so_far
from report.progress import believed_of, progress_of
from report.repro import setting
from report.slots import slots_text
from report.templates import render
from report.trade import traded
from report.trouble import trouble_text
from report.view import RunView, view_of

TESTS = {
    "mean": "by permutation and by Welch's test; the intervals are Welch's, and show how large a difference may be",
    "iqm": "by permutation and by Yuen's test; the intervals are Yuen's, and show how large a difference may be",
    "median": "by permutation alone, which holds if both sides spread alike",
    "worst": "by permutation alone, which holds if both sides spread alike",
}
"""How fresh seeds decide, by the statistic of the objective."""
ROWS = 60
"""Runs up to which a digest lists all of them."""
SHARED = 3
"""Findings of the group that a digest tells, the first."""
TURNED_DOWN = 10
"""Rejected proposals that a digest tells, the latest."""


def write_digest(lab: Lab, proposals: Proposals, session: SessionRecord) -> None:
    """Write a session's digest and its plot, over the ones from before an interruption."""
    notebook = lab.notebook
    paths = notebook.workspace.session(session.session_id)
    group = session.group
    metric = session.goal.metric
    runs = notebook.runs(session=session.session_id)
    compared = compared_of(notebook, session)
    scored = [run for run in _own(runs) if (summary := notebook.summary(run.run_id)) and metric in summary.metrics]
    if scored:
        _draw(notebook, session, paths.plots / "best_so_far.png")
    arms = compared_arms(notebook, group, session.session_id)
    if arms:
        arms_so_far(paths.plots / "arms.png", [row.standing for row in arms.rows], session.goal)
    shown = _shown(notebook, session, runs, metric)
    learnt, effects = learnt_lines(lab, group), effects_in(lab, group)
    told = effects is not None and why_nothing(effects) is None
    headline = headline_of(notebook, proposals, session, learnt[0] if told else None, at_work=False)
    text = render(
        "digest.md.j2",
        session=session,
        headline=headline.markdown(),
        course=_course(session, runs) + slots_text(notebook, session, _ended(runs)),
        trouble=trouble_text(session),
        metric=session.goal.name,
        standing=_named(notebook, metric, compared, notebook.incumbent(group)),
        comparison=comparison_text(notebook, compared, session),
        reached=reached_text(notebook, session, compared.leader),
        plan=_plan(notebook, session),
        shared=[finding.sentence for finding in group_diagnosis(lab, group, session.session_id)[:SHARED]],
        confirmations=contenders(notebook, group, session.session_id),
        test=TESTS[session.goal.statistic],
        arms=arms,
        arms_plot="plots/arms.png" if arms else None,
        trade=traded(notebook, group) if session.trade else [],
        plot="plots/best_so_far.png" if scored else None,
        runs=[_row(notebook, run) for run in shown],
        left_out=len(runs) - len(shown),
        learnt=learnt,
        predictions=track_records(
            [one for one in scored_predictions(notebook.workspace) if one.group == group], metric
        ),
        enough=ENOUGH,
        spent=_spent(session),
        pruning=_pruning(notebook, runs),
        failures=[
            f"{run.run_id}: {run.state}, {plain(run.reason, 400)}" for run in runs if run.reason and _failed(run)
        ],
        turned_down=_turned_down(proposals, session),
        waiting=waiting_lines(notebook, proposals, group),
        commands=_commands(session, proposals, runs, Incumbency(notebook, group), compared, headline.command),
    )
    write_atomic(paths.digest, re.sub(r"\n{3,}", "\n\n", text))


def _plan(notebook: Notebook, session: SessionRecord) -> list[str]:
    """How the night was laid out, what could have been found, and where in it the session is."""
    if (plan := session.plan) is None:
        return []
    longer = f"the session began on the preset {session.began_on} and went on to longer trainings"
    told = [
        longer if session.began_on else "",
        plan_text(plan),
        *outlook_lines(plan, session.goal, session.seeds),
        stage_text(notebook, session) or "",
    ]
    return [f"{line[0].upper()}{line[1:]}." for line in told if line]


def _draw(notebook: Notebook, session: SessionRecord, path: Path) -> None:
    """Best so far over time."""
    ended = progress_of(notebook, session)
    won = notebook.index.confirmations(group=session.group, session=session.session_id)
    crowned = [(one.time - session.created).total_seconds() / 3600 for one in won if one.outcome == "confirmed"]
    scores, hours = [one[1:] for one in ended], [one.hours for one in ended]
    believed = believed_of(notebook, session)
    best_so_far(path, scores, session.goal, hours=hours, crowned=crowned, believed=believed)


def _own(runs: list[RunRecord]) -> list[RunRecord]:
    """The runs that are no fresh seeds of another one."""
    return [run for run in runs if run.replicates_of is None]


def _shown(notebook: Notebook, session: SessionRecord, runs: list[RunRecord], metric: str) -> list[RunRecord]:
    """The runs that a digest lists: all of a short night, of a long one baseline, contenders, the best, the latest."""
    if len(runs) <= ROWS:
        return runs
    had = {one.candidate for one in notebook.index.confirmations(group=session.group)}
    scores = {run.run_id: summary.metrics[metric].mean for run in runs if (summary := notebook.summary(run.run_id))}
    own = [run.run_id for run in runs if run.replicates_of is None and run.run_id in scores]
    best = set(sorted(own, key=lambda run_id: -session.goal.sign * scores[run_id])[: ROWS // 3])
    kept = {run.run_id for run in runs[:1] + runs[-(ROWS // 6) :]} | had | best
    return [run for run in runs if run.run_id in kept or run.replicates_of in had]


def _row(notebook: Notebook, run: RunRecord) -> dict[str, str]:
    row = view_of(notebook, run, whole=True)
    return {
        "number": f"#{row.number}",
        "run": row.run_id,
        "arm": row.arm,
        "changed": row.changed,
        "score": _outcome(row, run),
        "verdict": row.judged or "none",
        "report": f"[report](../../{run.run_id}/report.md)" if _reported(notebook, run) else "none",
    }


def _reported(notebook: Notebook, run: RunRecord) -> bool:
    return notebook.workspace.run(run.run_id).report.exists()


def _failed(run: RunRecord) -> bool:
    """Whether a run ended without a score, and not because it was found hopeless."""
    return run.state.ended and run.state not in (RunState.FINISHED, RunState.PRUNED)


def _outcome(row: RunView, run: RunRecord) -> str:
    """A run's score, or its state, and what the pruner found."""
    text, pruning = row.scored, run.pruning
    if pruning is None:
        return text
    if pruning.spared:
        return f"{text}, spared by the pruner"
    if run.state is not RunState.PRUNED:
        return text
    peers = f"the median of {pruning.peers} peers {number(pruning.median)}"
    return f"{text} at {pruning.steps:,} steps: {number(pruning.score)}, {peers}"


def _pruning(notebook: Notebook, runs: list[RunRecord]) -> str | None:
    """What became of the hopeless runs, and how often it was a mistake; None when there was none."""
    hopeless = [(run, run.pruning) for run in runs if run.pruning is not None]
    return pruning_report(hopeless, notebook).text if hopeless else None


def _course(session: SessionRecord, runs: list[RunRecord]) -> str:
    finished = sum(run.state is RunState.FINISHED for run in runs)
    how = (
        f"It ended because {session.ended_because}." if session.ended_because else "It is not over: it was interrupted."
    )
    fresh = sum(run.replicates_of is not None for run in runs)
    more = f"{fresh} of them {'was' if fresh == 1 else 'were'} more replicates of others. " if fresh else ""
    trained = sum(len(run.seeds) for run in runs)
    most = session.replicates
    asked = f" (asked for: {most})" if most else ""
    budget = f"{count_of(trained, 'replicate')} in all{asked}"
    if most and trained <= most:  # which a baseline may go beyond
        budget = f"{trained} of {count_of(most, 'replicate')} in all"
    how = f"{more}{budget}. {how}"
    pruned = sum(run.state is RunState.PRUNED for run in runs)
    and_pruned = f", {pruned} {'was' if pruned == 1 else 'were'} pruned" if pruned else ""
    return f"{finished} of {len(runs)} runs finished{and_pruned}. {how}"


def _ended(runs: list[RunRecord]) -> int:
    """Replicates of runs that have ended."""
    return sum(len(run.seeds) for run in runs if run.state.ended)


def _named(notebook: Notebook, metric: str, compared: Compared, incumbent: str | None) -> list[dict[str, str]]:
    """Baseline, incumbent and leader; of the leader what is believed, since its own mean is flattered."""
    baseline, leader = compared.baseline, compared.leader
    roles: dict[str, list[str]] = {}
    for what, run_id in (("baseline", baseline.run_id if baseline else None), ("incumbent", incumbent)):
        if run_id is not None and notebook.readable(run_id):
            roles.setdefault(run_id, []).append(what)
    rows = []
    for run_id, whats in roles.items():
        if scores := scores_of(notebook, run_id):
            goal = notebook.run(run_id).goal
            score = score_of(goal, summarize(scores, bounds=(goal.low, goal.high)))
            figures = {"mean": number(score.value), "interval": interval_text(score), "n": str(score.n)}
            rows.append({"what": ", ".join(whats), "run": _titled(notebook, run_id), **figures})
    if leader is not None and leader.run not in roles:
        believed = {"mean": f"{number(leader.mean)} believed", "interval": "not proven", "n": str(leader.replicates)}
        rows.append({"what": "leader", "run": _titled(notebook, leader.run), **believed})
    return rows


def _titled(notebook: Notebook, run_id: str) -> str:
    return f"{name_text(notebook, notebook.run(run_id))} ({run_id})"


def _spent(session: SessionRecord) -> str:
    spent = session.spent
    parts = [f"{lasting(spent.seconds)} in all"]
    if spent.training:
        busy, search, confirming = (
            round(100 * part / whole)
            for part, whole in (
                (spent.training, spent.seconds),
                (spent.search, spent.training),
                (spent.confirming, spent.training),
            )
        )
        parts = [
            f"{parts[0]}, of which the trainer was busy {busy} % ({lasting(spent.training)}): {search} % of that on"
            f" new configs, {confirming} % on more seeds of these, {100 - search - confirming} % on"
            f" the baseline and more seeds of the incumbent"
        ]
    dollars = f", ${spent.dollars:.2f}" if spent.dollars else ""
    parts.append(f"{spent.tokens:,} tokens of {session.model}{dollars}" if spent.tokens else "no tokens")
    return "; ".join(parts) + "."


def _turned_down(proposals: Proposals, session: SessionRecord) -> list[str]:
    """The session's proposals that were rejected, with who said so and why, the latest last."""
    rejected = [p for p in proposals.all() if p.group == session.group and p.state is ProposalState.REJECTED]
    mine = [p for p in rejected if p.session == session.session_id or p.decisions[-1].time >= session.created]
    return [
        f"{p.proposal_id} ({p.brief}), by {p.decisions[-1].who}: {plain(p.decisions[-1].why, 300)}"
        for p in mine[-TURNED_DOWN:]
    ]


def _commands(
    session: SessionRecord,
    proposals: Proposals,
    runs: list[RunRecord],
    incumbency: Incumbency,
    compared: Compared,
    first: str | None,
) -> list[str]:
    """How a person goes on, with what the headline says to do next where it is a proof.

    Args:
        session: over or not.
        proposals: the queue.
        runs: the session's.
        incumbency: of its group.
        compared: what its search believes in.
        first: the headline's command.
    """
    group, undecided = session.group, incumbency.undecided()
    staged = next(reversed(proposals.live(ProposalState.STAGED, group=group)), None)
    commands = ["autopilot runs"]
    if told := [run.run_id for run in _own(runs) if _reported(incumbency.notebook, run)]:
        leader, incumbent = compared.leader, incumbency.notebook.incumbent(group)
        telling = next((run for run in (incumbent, leader.run if leader else None) if run in told[1:]), told[-1])
        commands.append(f"autopilot report {telling}")
    if undecided is not None and session.ended is not None:
        commands.append(f"autopilot confirm {undecided.candidate}")
    elif first is not None and first.startswith("autopilot confirm "):
        commands.append(first)
    if staged:
        commands += [
            f"autopilot approve {staged.proposal_id}",
            f'autopilot reject {staged.proposal_id} --why "…"',
        ]
    incumbent = incumbency.notebook.incumbent(group)
    if incumbent is not None and session.env_name.startswith("puffer_"):
        commands.append(f"autopilot export {incumbent}")
    if session.ended is None:
        return [f"autopilot resume {session.session_id}", *commands]
    return [*commands, _again(session)]


def _again(session: SessionRecord) -> str:
    """The command that starts another session like this one."""
    budgets = session.budgets
    given = {
        "env": session.env_name,
        "preset": session.preset,
        "objective": session.objective,
        "model": session.model,
        "base-url": session.base_url,
        "approve": session.approve,
        "seeds": session.seeds,
        "hours": budgets.hours,
        "max-runs": budgets.max_runs,
        "max-tokens": budgets.max_tokens,
        "max-dollars": budgets.max_dollars,
        "min-effect": session.min_effect,
        "confirm": session.confirm or ("none" if session.preset == "quick" else None),
        "target": session.target,
        "control": session.control,
        "control-share": session.control_share if session.control else None,
        "model-share": session.model_share if session.model != "offline" else None,
        "ahead": session.ahead if session.ahead > 1 else None,
        "trade": session.trade,
        "parallel": session.parallel,
        "executor": session.executor if session.executor != "local" else None,
        "address": session.address,
        "mlflow": session.mlflow,
    }
    parts = ["autopilot", "start"]
    for option, value in given.items():
        parts += [f"--{option}", str(value)] if value is not None else []
    flags = {"prune": session.prune, "repeatable": session.repeatable}
    parts += [f"--{flag}" for flag in (*(name for name, wanted in flags.items() if wanted), *session.mirrors)]
    for key, value in session.settings.items():
        parts += ["--set", f"{key}={setting(value)}"]
    return shlex.join(parts)
