"""One overnight stretch: train, analyse, approve, train again, until a budget ends or somebody stops it.

Everything it knows is on disk, so it can be killed at any moment and resumed: a run that was training goes back to
the queue and keeps its id, an ended run without a report is analysed, an approved proposal is run once.
"""

import fcntl
import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

from agent.analysis import Analyst
from agent.budget import TURNS, Budget, Price
from agent.digest import write_digest
from lab.config import Config
from lab.errors import Busy, InvalidInput
from lab.files import append_line, write_model
from lab.incumbency import Incumbency, Need, repeat
from lab.inventory import Inventory
from lab.notebook import Notebook, active_time
from lab.paths import SessionPaths, Workspace
from lab.presets import preset as preset_named
from lab.proposals import Proposals, refuse_unfit
from lab.records import Confirmation, Group, Proposal, ProposalState, RunRecord, RunState, SessionRecord, Spent, now
from lab.variants import chosen
from training.protocol import Progress
from training.run import Options, Stopped, train_run
from training.runner import Runner

POLL_SECONDS = 0.2
FAILURES = 3
BASELINE_SEEDS = 5
"""Replicates of the baseline at the least: the noise floor and every screen rest on them."""


class View(Protocol):
    """What a person sees while it goes on."""

    def note(self, text: str) -> None:
        """Say one thing."""

    def training(self, run: RunRecord, what: str) -> None:
        """A run starts."""

    def progress(self, progress: Progress) -> None:
        """A replicate got further."""

    def trained(self, run: RunRecord, text: str) -> None:
        """A run ended."""

    def close(self) -> None:
        """Leave the terminal as it was."""


@contextmanager
def sole_session(workspace: Workspace, session_id: str) -> Iterator[None]:
    """Be the only session of a workspace; the system gives the lock back when the process ends, however it ends.

    Raises:
        Busy: another one is running, with its pid and start.
    """
    workspace.runs.mkdir(parents=True, exist_ok=True)
    with workspace.session_lock.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = json.loads(file.read() or "{}")
            raise Busy(
                f"session {holder.get('session', 'of unknown name')} is running in {workspace.root}:"
                f" process {holder.get('pid', 'unknown')}, since {holder.get('since', 'an unknown time')};"
                " 'autopilot stop' ends it"
            ) from None
        file.truncate(0)
        file.write(json.dumps({"session": session_id, "pid": os.getpid(), "since": f"{now():%Y-%m-%d %H:%M:%S} UTC"}))
        file.flush()
        try:
            yield
        finally:
            file.truncate(0)


@dataclass
class Session:
    """A session at work."""

    record: SessionRecord
    notebook: Notebook
    inventory: Inventory
    runner: Runner
    analyst: Analyst
    view: View
    stop: threading.Event = field(default_factory=threading.Event)
    """Set by a signal: give up what is going on, keep it for later, return."""
    price: Price | None = None
    """Of the model; None where it is not known."""
    turns: int = TURNS
    """Requests that one analysis may take."""

    def __post_init__(self) -> None:
        self.proposals = Proposals(self.notebook.workspace)
        self.incumbency = Incumbency(
            self.notebook, self.group, self.record.session_id, self.record.budgets.max_runs, self.record.min_effect
        )
        record = self.record
        self.budget = Budget(record.budgets, record.spent, self.price, self._spent, self.turns)

    # --- the loop ------------------------------------------------------------------------------------------------

    def run(self) -> SessionRecord:
        """Go on until a budget ends, the search is over, or somebody stops it.

        Raises:
            Busy: another session runs in this workspace.
        """
        with sole_session(self.notebook.workspace, self.record.session_id):
            self._save()
            self._event("started")
            try:
                self._reconcile()
                while (why := self.over()) is None:
                    self.step()
                self.note_confirmation(self.incumbency.settle())
                self._end(why)
            except Stopped:
                self._event("interrupted")
            finally:
                self.runner.close()
                self._save()
                write_digest(self.notebook, self.proposals, self.record)
        return self.record

    def step(self) -> None:
        """One thing: finish what was begun, else start the next run, else get a proposal decided or made."""
        run = self.unfinished() or self.begin()
        if run is not None:
            run = run if run.state.ended else self.train(run)
            if run.replicates_of is None:
                self.analyse(run)
        elif (staged := self.proposals.staged(self.group)) is not None:
            self.decide(staged)
        else:
            self.analyse(self.latest())

    def over(self) -> str | None:
        """Why the session is over, or None."""
        if self.stop.is_set():
            raise Stopped("stopped on request")
        if self.record.ended_because is not None:
            return self.record.ended_because
        if self.unfinished() is not None:
            return None  # what was begun is finished first
        budgets, mine = self.record.budgets, self.mine()
        scored = [run.state in (RunState.FINISHED, RunState.PRUNED) for run in mine]
        reason = mine[-1].reason if mine else None
        endings = {
            f"all {budgets.max_runs} runs are done": budgets.max_runs is not None and len(mine) >= budgets.max_runs,
            f"{FAILURES} runs in a row ended without a score: {reason}": len(mine) >= FAILURES
            and not any(scored[-FAILURES:]),
            f"the baseline ended without a score: {reason}": bool(mine)
            and mine[-1].arm == "baseline"
            and mine[-1].replicates_of is None
            and not scored[-1],
        }
        return next((why for why, holds in endings.items() if holds), None) or self.budget.why_over()

    # --- its parts -----------------------------------------------------------------------------------------------

    @property
    def group(self) -> Group:
        """What this session works on."""
        return self.record.group

    def mine(self) -> list[RunRecord]:
        """This session's runs, oldest first."""
        return self.notebook.runs(self.group, session=self.record.session_id)

    def latest(self) -> RunRecord:
        """The newest run to be analysed: this session's, else the newest of the group, whoever made it."""
        ended = [run for run in self.notebook.runs(self.group) if run.state.ended and run.replicates_of is None]
        return next((run for run in reversed(ended) if run.session == self.record.session_id), ended[-1])

    def unfinished(self) -> RunRecord | None:
        """A run of this session that is not trained or not reported on yet."""
        for run in self.mine():
            reported = run.replicates_of or self.notebook.workspace.run(run.run_id).report.exists()
            if not run.state.ended or not reported:
                return run
        return None

    def begin(self) -> RunRecord | None:
        """The next run, queued: the baseline, fresh seeds of a promising run, what was approved; None when none may."""
        if self.notebook.incumbent(self.group) is None:
            several = max(self.record.seeds, BASELINE_SEEDS)
            settings = dict(self.record.settings)
            return self._create(self.base_config(), settings, arm="baseline", replicates=several)
        if (fresh := self.confirm()) is not None:
            return fresh
        proposal = self.proposals.head(self.group)
        if proposal is None:
            return None
        try:
            refuse_unfit(proposal, self.notebook, self.inventory, self.steps_left())
        except InvalidInput as error:
            self.proposals.decide(proposal.proposal_id, ProposalState.SUPERSEDED, "session", str(error))
            self.view.note(f"proposal {proposal.proposal_id} was dropped: {error}")
            return None
        config = self.notebook.config(proposal.parent).with_overrides(proposal.overrides)
        run = self._create(
            config,
            proposal.overrides,
            arm=proposal.arm,
            parent=proposal.parent,
            proposal=proposal.proposal_id,
        )
        self.proposals.decide(proposal.proposal_id, ProposalState.RUNNING, "session", run_id=run.run_id)
        return run

    def confirm(self) -> RunRecord | None:
        """Fresh seeds, queued, for a run that may become incumbent; None when no run is promising."""
        while (found := self.incumbency.step()) is not None:
            if isinstance(found, Need):
                run = repeat(self.notebook, found, self.record.session_id)
                self._event("created", run=run.run_id, replicates_of=found.run)
                return run
            self.note_confirmation(found)
        return None

    def note_confirmation(self, found: Confirmation | None) -> None:
        """Say how a confirmation ended."""
        if found is not None:
            self._event(found.outcome, run=found.candidate, incumbent=found.incumbent, why=found.why)
            became = "is the incumbent now" if found.outcome == "confirmed" else "does not become incumbent"
            self.view.note(f"{found.candidate} {became}: {found.why}")

    def train(self, run: RunRecord) -> RunRecord:
        """Train a queued run to its end."""
        number = [mine.run_id for mine in self.mine()].index(run.run_id) + 1
        of = f"/{self.record.budgets.max_runs}" if self.record.budgets.max_runs else ""
        self.view.training(run, f"run {number}{of} {self._what(run)}")
        options = Options(prune=self.record.prune, mirrors=self.record.mirrors)
        run = train_run(
            self.notebook, self.runner, self.inventory, run.run_id, self.view.progress, self.stop.is_set, options
        )
        self._event("trained", run=run.run_id, state=run.state)
        if run.proposal is not None:
            self.proposals.decide(run.proposal, ProposalState.DONE, "session", run_id=run.run_id)
        self.view.trained(run, self._result(run))
        return run

    def analyse(self, run: RunRecord) -> None:
        """Have a run reported on and the next config staged; the next workers warm up meanwhile."""
        self.runner.warm(self.notebook.config(run.run_id), self.inventory.devices[0])
        outcome = self.analyst.analyse(run, self.budget, self.steps_left())
        staged = outcome.proposal.proposal_id if outcome.proposal else None
        self._event("analysed", run=run.run_id, staged=staged, fell_back=outcome.fell_back)
        if outcome.fell_back:
            self.view.note(f"the offline researcher finished the analysis: {outcome.fell_back}")
        if outcome.proposal:
            changes = ", ".join(f"{key} = {value}" for key, value in outcome.proposal.overrides.items())
            self.view.note(f"staged {staged}: {changes}")
        if outcome.ended:
            self.record = self.record.model_copy(update={"ended_because": f"nothing more to try: {outcome.ended}"})
        self._save()

    def decide(self, proposal: Proposal) -> None:
        """Approve by policy, or wait until a person has decided, the budget is over, or somebody stops."""
        if self.record.approve == "auto":
            try:
                self.proposals.decide(
                    proposal.proposal_id,
                    ProposalState.APPROVED,
                    "policy auto",
                    "valid, and this session approves what is valid",
                    check=lambda newest: refuse_unfit(newest, self.notebook, self.inventory, self.steps_left()),
                )
            except InvalidInput as error:
                self.proposals.decide(proposal.proposal_id, ProposalState.SUPERSEDED, "policy auto", str(error))
            return
        self._event("waiting", proposal=proposal.proposal_id)
        self.view.note(
            f"waiting for a decision on {proposal.proposal_id}: 'autopilot approve {proposal.proposal_id}' or"
            f" 'autopilot reject {proposal.proposal_id} --why …'"
        )
        while self.over() is None:
            if self.proposals.get(proposal.proposal_id).state is not ProposalState.STAGED:
                return
            self.stop.wait(POLL_SECONDS)

    # --- bookkeeping ---------------------------------------------------------------------------------------------

    def base_config(self) -> Config:
        """The preset with the person's own settings."""
        environment = self.inventory.environment(self.record.env_name)
        preset = preset_named(self.notebook.workspace, environment, self.record.preset)
        return preset.with_overrides({**self.record.settings, "autopilot.seeds": self.record.seeds})

    def steps_left(self) -> int | None:
        """Agent steps of all replicates together that the time left is good for, at the latest run's speed."""
        if self.record.budgets.hours is None:
            return None
        finished = [run for run in self.mine() if run.state is RunState.FINISHED]
        took = active_time(finished[-1]) if finished else None
        if not took:
            return None
        steps = sum(self.notebook.values(finished[-1].run_id, "agent_steps"))
        left = self.record.budgets.hours * 3600 - self.budget.seconds
        return max(0, int(left * steps / took.total_seconds()))

    def _create(self, config: Config, overrides: dict[str, Any], **more: Any) -> RunRecord:
        if "train.seed" not in self.record.settings:
            config = config.without_seed()
        run = self.notebook.create(
            config,
            overrides,
            preset=self.record.preset,
            objective=self.record.objective,
            session=self.record.session_id,
            task=self.record.task,
            variants=chosen(config, self.inventory.environment(config.env_name).variants),
            **more,
        )
        self._event("created", run=run.run_id, proposal=run.proposal)
        return run

    def _reconcile(self) -> None:
        """Close the gaps that a kill can leave between two files."""
        by_proposal = {run.proposal: run for run in self.notebook.runs(self.group) if run.proposal}
        for proposal in self.proposals.all():
            run, state = by_proposal.get(proposal.proposal_id), proposal.state
            if run is not None and state is ProposalState.APPROVED:
                state = ProposalState.RUNNING
                self.proposals.decide(proposal.proposal_id, state, "session", "its run existed", run_id=run.run_id)
            if run is not None and state is ProposalState.RUNNING and run.state.ended:
                self.proposals.decide(proposal.proposal_id, ProposalState.DONE, "session", run_id=run.run_id)

    def _end(self, why: str) -> None:
        self.record = self.record.model_copy(update={"ended": now(), "ended_because": why})
        self._event("ended", why=why)

    def _save(self) -> None:
        self.budget.checkpoint()

    def _spent(self, spent: Spent) -> None:
        self.record = self.record.model_copy(update={"spent": spent})
        write_model(self._paths.session, self.record)

    def _event(self, what: str, **more: Any) -> None:
        append_line(self._paths.events, {"time": now().isoformat(), "event": what, **more})

    @property
    def _paths(self) -> SessionPaths:
        return self.notebook.workspace.session(self.record.session_id)

    def _what(self, run: RunRecord) -> str:
        from agent.facts import changed_text

        return changed_text(self.notebook, run)

    def _result(self, run: RunRecord) -> str:
        from agent.facts import score_text
        from lab.environments import objective_of

        metric, _ = objective_of(run.objective, run.env_name)
        if run.state is not RunState.FINISHED:
            return f"{run.state}: {run.reason}"
        verdict = self.notebook.verdict(run.run_id)
        standing = verdict.verdict if verdict else f"fresh seeds of {run.replicates_of}"
        return f"{metric} {score_text(self.notebook, run, metric)}, {standing}"
