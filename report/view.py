"""What is shown of a run: the one value that lists, reports, digests, tools and the page take it from.

A further column is a field here and a place that shows it.
"""

import contextlib
from datetime import datetime

from lab.base import AutopilotError, Record, is_id
from lab.judge import Yardsticks, current_verdict, degree_of, faced, fresh_scores, whole_scores
from lab.space import Objective, bounds_of
from lab.store import (
    Notebook,
    Proposal,
    ProposalState,
    RunRecord,
    RunState,
    Score,
    Sessions,
    number_of,
    score_of,
    summarize,
)
from report.facts import changed_text, name_text


class RunView(Record):
    """One run, as `autopilot runs --json` has it."""

    run_id: str
    number: int
    """Its number in the workspace."""
    name: str
    """What it is called, such as `#12 learning_rate 0.002`."""
    state: str
    """`interrupted` where it says that it runs and its process has gone."""
    env_name: str
    preset: str
    objective: str
    arm: str
    parent: str | None
    session: str | None
    seeds: tuple[int, ...]
    changed: str
    """What it changed against its parent, such as `ent_coef 0.001 → 0.01`."""
    score: Score | None
    """The objective's statistic over the replicates; None unless the run finished. Of the fresh seeds alone once these
    have decided about it: what a run was named for flatters it. For people with all more seeds of its config."""
    verdict: str | None
    """`better` once fresh seeds have confirmed it, else what the run got when it ended."""
    degree: str | None
    """Of an inconclusive one, how much: promising, undecided, no different within so much, hopeless."""
    incumbent: bool
    reason: str | None
    """Why it is not finished."""
    fresh: bool = False
    """Whether its score is that of fresh seeds."""

    @property
    def judged(self) -> str:
        """The verdict as people read it; empty while there is none."""
        return self.degree or self.verdict or ""

    @property
    def scored(self) -> str:
        """The score as people read it, or the state."""
        fresh = " fresh" if self.fresh else ""
        return self.state if self.score is None else f"{self.score.value:.4g} (n={self.score.n}{fresh})"

    @property
    def elsewhere(self) -> str:
        """What more seeds of its config say, beside figures of its own replicates; empty where there are none."""
        if self.score is None or not (self.fresh or self.score.n > len(self.seeds)):
            return ""
        own = f"{len(self.seeds)} replicates" if len(self.seeds) > 1 else "one replicate"
        which = f"{self.score.n} fresh seeds" if self.fresh else f"all {self.score.n} seeds of its config"
        return (
            f"of its own {own}; on {which} {Objective.of(self.objective, self.env_name).name} is {self.score.value:.4g}"
        )


def view_of(
    notebook: Notebook,
    run: RunRecord,
    at: datetime | None = None,
    known: Yardsticks | None = None,
    *,
    whole: bool = False,
) -> RunView:
    """What is shown of a run.

    Args:
        notebook: where it lies.
        run: its record.
        at: the verdict is the one that it had then; the one it has now if not given.
        known: what a list of runs keeps from one to the next.
        whole: with more seeds of its config that were trained since, as people are told of it now; its own alone if
            not, as reports and models are.
    """
    summary, verdict = notebook.summary(run.run_id), current_verdict(notebook, run.run_id, at)
    metric = summary.metrics.get(run.goal.metric) if summary else None
    open_ = verdict is not None and verdict.verdict == "inconclusive" and not verdict.confounds
    fresh = fresh_scores(notebook, run.run_id, at)
    told = fresh or (whole_scores(notebook, run.group).get(run.run_id, []) if whole else [])
    metric = summarize(told, bounds=bounds_of(run.goal.metric, run.env_name)) if metric and told else metric
    degree = degree_of(notebook, run, known=known, mine=metric.values if metric else ()) if open_ else None
    lost = bool(fresh) and open_ and faced(notebook, run.run_id, at) is not None
    same = {name: getattr(run, name) for name in RunView.model_fields.keys() & RunRecord.model_fields.keys()}
    return RunView.model_validate(
        {
            **same,
            "state": _shown_state(notebook, run),
            "changed": changed_text(notebook, run),
            "number": number_of(notebook, run),
            "name": name_text(notebook, run),
            "score": score_of(run.goal, metric) if metric else None,
            "verdict": verdict.verdict if verdict else None,
            "degree": "not proven better" if lost else degree.text if degree else None,
            "fresh": bool(fresh),
            "incumbent": notebook.incumbent(run.group) == run.run_id,
        }
    )


def proposal_state(notebook: Notebook, proposal: Proposal) -> str:
    """The state of a proposal as people are shown it; of one that is carried out, the state of its run.

    So it is `interrupted` where the process that trained the run has gone.
    """
    run_id = proposal.decisions[-1].run_id
    if proposal.state is ProposalState.RUNNING and run_id is not None:
        with contextlib.suppress(AutopilotError):  # the run is gone or can't be read
            run = notebook.run(run_id)
            return proposal.state.value if run.state.ended else _shown_state(notebook, run)
    return proposal.state.value


def idle_text(notebook: Notebook, proposal: Proposal, *, over: bool = False) -> str:
    """What an approved proposal waits for, where no session is at work that would train it; empty for any other.

    A proposal stays approved when its session ends, and the next session of its kind trains it first.

    Args:
        notebook: where it lies.
        proposal: of any state.
        over: for whoever reads it once the session that is at work now is over.
    """
    sessions = Sessions(notebook.workspace)
    if proposal.state is not ProposalState.APPROVED:
        return ""
    held = None if over else sessions.running()
    name = (held.session if held else None) or ""
    with contextlib.suppress(AutopilotError):  # 'autopilot confirm' is at work, or the record can't be read
        record = sessions.get(name) if is_id(name) else None
        if record and record.ended is None and record.group == proposal.group:
            return ""
    kind = f"{proposal.env_name}, {proposal.preset}, {proposal.objective}"
    return f"nothing trains it until a session of {kind} begins ('autopilot start') or goes on ('autopilot resume')"


def _shown_state(notebook: Notebook, run: RunRecord) -> str:
    return "interrupted" if notebook.interrupted(run) else run.state.value


def outcome_text(notebook: Notebook, run: RunRecord) -> str:
    """What came of a run, in a line: its score and verdict, or why it has none."""
    if run.state is not RunState.FINISHED:
        return f"{run.state}: {run.reason}"
    verdict = notebook.verdict(run.run_id)
    judged = verdict.verdict if verdict else f"more seeds of {run.replicates_of}"
    return f"{run.goal.name} {view_of(notebook, run).scored}, {judged}"
