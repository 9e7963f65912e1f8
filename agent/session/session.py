"""One overnight stretch: train, analyse, approve, train again, until a budget ends or somebody stops it.

It goes in rounds. The next run trains while the one before it is analysed, and its outcome is recorded after that
analysis is through: so what a model sees does not depend on who was faster, and a night that was killed and resumed
comes to the same as one that was not. Where a model takes much longer than a training, what needs nobody's decision is
trained until it is through.

Everything it knows is on disk: a run that was training goes back to the queue and keeps its id, an ended run without a
report is analysed, an approved proposal is run once.
"""

import contextlib
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from agent.analysis import AnalysisJob, Analyst, wait_for
from agent.approval import Approver
from agent.model import TURNS, Budget, Price
from agent.session.decisions import Decisions
from agent.session.journal import Journal, Notifies, View
from agent.session.recovery import recover
from agent.session.scheduler import Scheduler, why_over
from agent.session.shares import steps_of_a_run
from agent.session.wave import Wave, numbered
from lab.base import FULL, AutopilotError, SessionPaths, before_threads, full_text, now
from lab.judge import exhausted, reached
from lab.search import ARMS
from lab.space import Group
from lab.store import Lab, RunRecord, RunState, SessionRecord, Sessions, Spent, active_time
from report import changed_text, outcome, outcome_text, status_lines, write_digest
from training import Options, Progress, Runner, Stopped

POLL = 0.2
"""Seconds between two looks at whether a person has decided."""
PATIENCE = 0.05
"""Share of the last training's time that a model is given when the trainer is free, before something is trained that
nobody asked for; at least `MOMENT` seconds."""
MOMENT = 2.0
SAVED = 10.0
"""Seconds after which the time spent is saved again, so that a kill costs no more of it."""


@dataclass
class Session:
    """A session at work."""

    record: SessionRecord
    lab: Lab
    runner: Runner
    analyst: Analyst
    view: View
    stop: threading.Event = field(default_factory=threading.Event)
    """Set by a signal: give up what is going on, keep it for later, return."""
    price: Price | None = None
    """Of the model; None where it is not known."""
    turns: int = TURNS
    """Requests that one analysis may take."""
    rules: Approver | None = None
    """Who approves; None for the one that the record names, without rules of its own."""
    notifier: Notifies | None = None
    pause: threading.Event = field(default_factory=threading.Event)
    """Set by a signal: stop when the run that trains is through."""
    patience: float | None = PATIENCE
    """As a share of the last training's time; None for as long as it takes, which makes nights repeatable."""

    def __post_init__(self) -> None:
        record, self._lock = self.record, threading.Lock()
        self.notebook, self.proposals, self.inventory = self.lab.notebook, self.lab.proposals, self.lab.inventory
        self.sessions = Sessions(self.notebook.workspace)
        self.journal = Journal(self._paths, self.view, self.notifier)
        self.approver = self.rules or Approver(record.approve, self.lab)
        self._work_on()
        hurry = record.budgets.hours is not None and not record.repeatable  # else no clock has a part in it
        options = Options(prune=record.prune, hurry=hurry, mirrors=record.mirrors)
        self.wave = Wave(self.lab, self.runner, self.stop, options)
        self.budget = Budget(record.budgets, record.spent, self.price, self._spent, self.turns)
        before_threads()
        self._analyses = ThreadPoolExecutor(1, thread_name_prefix="analysis")  # so that the trainer need not wait
        self._noted: AnalysisJob | None = None

    def _work_on(self) -> None:
        """Begin with the group of the record."""
        self.decisions = Decisions(self.lab, self.group, self.approver, self.journal)
        self.scheduler = Scheduler(self.record, self.lab, self.decisions)

    # --- the loop ------------------------------------------------------------------------------------------------

    def run(self) -> SessionRecord:
        """Go on until a budget ends, the search is over, or somebody stops it.

        Raises:
            Busy: another session runs in this workspace.
            AutopilotError: it can't go on, such as with a full disk; `autopilot resume` does once it can.
        """
        with self.sessions.sole(self.record.session_id), self._whatever_happens():
            self._save()
            self.journal.event("started")
            recover(self.lab, self.analyst, self.group, self.record.session_id)
            while (why := self.over()) is None:
                self.step()
            self.scheduler.settle()
            self.scheduler.searching.believe()
            self._end(why)
        return self.record

    def step(self) -> None:
        """One round: the next run trains while the last one is analysed."""
        if self.record.plan is None and (laid := self.scheduler.lay_out(self.budget.left())) is not None:
            self._update(**laid)
            self._save()
            self._work_on()
        runs = [] if self.pause.is_set() else self.scheduler.untrained()
        if not runs and not self.pause.is_set() and self.enough() is None:
            self.decisions.decide(self.steps_left())
            runs = self.scheduler.begin(self.steps_left(), self.budget.left(), self.wave.room(self.group))
        job = self.think(idle=not runs)
        if runs:
            self.train(runs, job)
        if job is not None:
            self.beside(job)
        elif not runs and self.record.approve == "manual":
            self.wait()

    def over(self) -> str | None:
        """Why the session is over, or None.

        Raises:
            Stopped: somebody asked for it.
        """
        if self.stop.is_set() or (self.pause.is_set() and not self.scheduler.unreported()):
            raise Stopped("stopped on request")
        if self.scheduler.untrained() or self.scheduler.unreported():
            return None  # what was begun is finished first
        return self.enough()

    def enough(self) -> str | None:
        """Why no further run is begun; None while one may be."""
        record = self.record
        why = record.ended_because or why_over(self.mine(), record.replicates) or self.budget.why_over()
        if why is not None or self.scheduler.incumbency.undecided() is not None:  # a confirmation is carried through
            return why
        why = reached(self.notebook, self.group, record.target) or exhausted(
            self.notebook, self.group, self.scheduler.incumbency.matters()
        )
        return why or self.scheduler.searching.through(self.budget.left())

    # --- its parts -----------------------------------------------------------------------------------------------

    @property
    def group(self) -> Group:
        """What this session works on."""
        return self.record.group

    def mine(self) -> list[RunRecord]:
        """This session's runs, oldest first."""
        return self.scheduler.mine()

    def think(self, *, idle: bool) -> AnalysisJob | None:
        """Begin the analysis that is due: of a run that has none, else for a proposal where none waits.

        The offline researcher reports on what an arm asked for, since a model would fall behind by each. One that may
        stage several does so where none of them waits, and its reports are not too many.
        """
        due = self.scheduler.unreported()
        controls = [run for run in due if run.arm in ARMS or run.group != self.group]
        own = [run for run in due if run not in controls]
        ahead, left = self.record.ahead, self.steps_left()
        propose = ahead == 1 or (self.proposals.waiting(self.group) is None and len(own) < ahead)
        subject = own[0] if own else self.scheduler.latest() if self.proposal_wanted(idle=idle) else None
        if subject is None and not controls:
            return None
        return self._analyses.submit(self.analyst.work, subject, controls, self.budget, left, propose=propose)

    def proposal_wanted(self, *, idle: bool) -> bool:
        """Whether nothing is approved or waits, and another run may be begun; where all is idle whatever the share."""
        waiting = self.proposals.waiting(self.group)
        if self.record.model == "offline":  # it would propose what the sweep trains
            waiting = waiting or self.proposals.sweeping(self.group)
        elif not idle and not self.scheduler.searching.shares.model_due():
            return False
        return waiting is None and self.enough() is None

    def train(self, runs: list[RunRecord], job: AnalysisJob | None = None) -> None:
        """Train queued runs side by side to their ends, and record what came of them once the analysis is through."""
        self.view.night(self._status)
        for run in runs:
            number = numbered(self.mine(), run, self.record.replicates)
            self.view.training(run, f"{number}: {changed_text(self.notebook, run)}")
        self.budget.works(self.scheduler.work_of(runs[0]))
        noting = threading.Lock()

        def on_progress(progress: Progress) -> None:
            with noting:
                self.budget.checkpoint(older=SAVED)
                self.view.progress(progress)
                if job is not None and job.done() and job.exception() is None and not self.stop.is_set():
                    self.note(job)  # one that failed ends the session, after this training

        def trained() -> None:
            self.budget.works(None)
            if job is not None:
                self.hold(job)

        try:
            ended = self.wave.train(runs, on_progress, trained)
        finally:
            self.budget.works(None)
        for before, run in zip(runs, ended, strict=True):
            self._took_note(before, run)
        config = self.notebook.config(runs[-1].run_id)
        self.runner.warm(config, self.inventory.device(config.train["device"]))

    def _took_note(self, before: RunRecord, run: RunRecord) -> None:
        """Say what came of a run."""
        self.journal.event("trained", run=run.run_id, state=run.state)
        if run.attempt > before.attempt + 1:
            self.journal.event("begun again", run=run.run_id, attempt=run.attempt)
            self.journal.note(f"{run.run_id}: a process of it was killed from outside; attempt {run.attempt}")
        self.scheduler.maker.done(run)
        text = outcome_text(self.notebook, run)
        self.view.trained(run, text)
        if run.state not in (RunState.FINISHED, RunState.PRUNED):
            self.journal.notify("failed", f"{run.run_id}: {text}", run=run.run_id)

    def _status(self) -> list[tuple[str, str]]:
        return status_lines(self.notebook, self.proposals, self.record, self.budget.seconds)

    def hold(self, job: AnalysisJob) -> None:
        """Give an analysis a moment more, since the trainer is free.

        Raises:
            Stopped: on request.
        """
        took = next((time.total_seconds() for run in reversed(self.mine()) if (time := active_time(run))), 0.0)
        wait_for(job, None if self.patience is None else max(MOMENT, self.patience * took), self.stop)
        if self.stop.is_set():
            raise Stopped("stopped on request")

    def beside(self, job: AnalysisJob) -> None:
        """Until an analysis is through, train what needs nobody's decision; then take note of what it came to."""
        self.hold(job)
        while not job.done() and not self.pause.is_set():
            filler = self.scheduler.filler(self.steps_left(), self.elapsed()) if self.enough() is None else None
            if filler is None:
                break
            self.journal.note("the model is still at it; meanwhile something trains that needs no decision")
            self.train([filler])
        wait_for(job, None, self.stop)
        self.note(job)

    def note(self, job: AnalysisJob) -> None:
        """Take note, once, of what an analysis came to."""
        if job is self._noted:
            return
        outcome, self._noted = job.result(), job
        if outcome is None:
            return
        names = ", ".join(proposal.proposal_id for proposal in outcome.staged) or None
        self.journal.event("analysed", run=outcome.subject, staged=names, fell_back=outcome.fell_back)
        if self.record.model != "offline":
            self._update(trouble=self.journal.fared(self.record, outcome.fell_back, over=self.budget.why_over()))
        for proposal in outcome.staged:
            self.journal.note(f"staged {proposal.proposal_id} by {proposal.by}: {proposal.brief}")
            self.view.night(self._status)
            self.scheduler.searching.nothing_new = ""
        if outcome.ended:
            rules = "; ".join(self.approver.rules)
            let_pass = f" (the rules of [policy] let pass: {rules})" if rules else ""
            self.scheduler.searching.nothing_new = f"nothing more to try: {outcome.ended.rstrip('.')}{let_pass}"
        self._save()

    def wait(self) -> None:
        """Until a person has decided: train what needs no decision, else nothing."""
        staged = self.proposals.staged(self.group)
        if staged is None:
            return
        self.decisions.ask(staged)
        if (filler := self.scheduler.filler(self.steps_left(), self.elapsed())) is not None:
            self.journal.note("meanwhile more seeds train of what is there, which need no decision")
            self.train([filler])
            return
        self.view.night(self._status)
        while self.decisions.waits(staged.proposal_id):
            if self.stop.wait(POLL) or self.pause.is_set() or self.budget.why_over() is not None:
                return
            self.budget.checkpoint(older=SAVED)

    # --- bookkeeping ---------------------------------------------------------------------------------------------

    def elapsed(self) -> float | None:
        """Share of the session's time that is over; None without a limit."""
        hours = self.record.budgets.hours
        return None if hours is None else self.budget.seconds / (3600 * hours)

    def steps_left(self) -> int | None:
        """Agent steps of all replicates together that one more run may take; None without a limit."""
        return steps_of_a_run(self.notebook, self.record, self.group, self.budget.left())

    @contextlib.contextmanager
    def _whatever_happens(self) -> Iterator[None]:
        """Leave no process behind and write down where the session stands, however it ends."""
        try:
            yield
        except Stopped:
            self.scheduler.searching.believe()  # with what was trained last
            self.journal.event("interrupted")
        except AutopilotError as error:
            self.journal.notify("failed", f"the session can't go on: {error}")
            raise
        except Exception as error:
            if isinstance(error, OSError) and error.errno in FULL:
                full = f"{full_text(error, self.notebook.workspace.root)}, then 'autopilot resume' goes on"
                self.journal.notify("failed", full)
                raise AutopilotError(full) from error
            self.journal.event("broke", why=f"{type(error).__name__}: {error}"[:500])
            self.journal.notify("failed", f"the session broke: {type(error).__name__}; 'autopilot resume' goes on")
            raise
        finally:
            self.stop.set()  # an analysis under way is given up
            self.runner.close()
            self._analyses.shutdown()  # it ends soon: the session is stopped
            with contextlib.suppress(OSError):
                self._save()
                write_digest(self.lab, self.proposals, self.record)

    def _end(self, why: str) -> None:
        self.scheduler.searching.end_sweeps(why)
        self._update(ended=now(), ended_because=why)
        self.journal.event("ended", why=why)
        told = outcome(self.notebook, self.record)
        self.journal.notify("finished", f"{told} Session {self.record.session_id} is over: {why}")

    def _save(self) -> None:
        self.budget.checkpoint()

    def _spent(self, spent: Spent) -> None:
        self._update(spent=spent)
        self.sessions.save(self.record)

    def _update(self, **changes: Any) -> None:
        with self._lock:  # an analysis that is charged, and the training beside it
            self.record = self.record.model_copy(update=changes)

    @property
    def _paths(self) -> SessionPaths:
        return self.notebook.workspace.session(self.record.session_id)
