"""One iteration: a run that has ended is analysed, reported on, and followed by a staged proposal.

When the model does not get there, the offline researcher finishes the iteration and the report says so: a night is
never lost.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from pydantic import RootModel

from agent.analysis.briefing import opening_of, situation_of
from agent.analysis.loop import Analysis, GaveUp
from agent.analysis.outset import Outset
from agent.analysis.picture import picture_of
from agent.analysis.resting import Rest
from agent.analysis.transcript import Transcript
from agent.model import Awaited, Budget, ChatModel, OfflineResearcher, Sees
from lab.base import now, plain, read_model, write_model
from lab.claims import Checked
from lab.judge import score_predictions
from lab.search import ARMS, Permits
from lab.store import Lab, LogEntry, Proposal, RunRecord, keep_entry
from report import Report, ReportDraft, report_of, write_report
from tools import TOOLS, Toolbox, ToolContext, checked_draft
from training import Stopped

WAITING = "what was staged before is to be trained first."
CONTROL = "this config was the search's own, whose next one follows from its model alone"
STOPPED: str | None = "the session was stopped"
SHORTER = "the session went on to longer trainings"


class Kept(RootModel[tuple[Proposal, ...] | Proposal]):
    """What an analysis proposes, beside its report until it is staged; earlier versions kept a single proposal."""


@dataclass(frozen=True)
class Outcome:
    """What an analysis came to."""

    subject: str
    """The run that was analysed."""
    staged: tuple[Proposal, ...]
    """What it proposes, in the order in which it is to be trained."""
    ended: str | None
    """Why the search should end, if the model said so."""
    fell_back: str | None
    """Why the offline researcher had to finish it, if it had to."""


@dataclass
class Analyst:
    """Analyses runs of one workspace with one model."""

    lab: Lab
    model: ChatModel
    session: str | None = None
    should_stop: Callable[[], bool] = lambda: False
    permits: Permits | None = None
    """What the session's policy denies; None where anything valid may pass."""
    rules: tuple[str, ...] = ()
    """What it lets pass, in words."""
    ahead: int = 1
    """Proposals that one analysis may stage."""
    rest: Rest = field(default_factory=Rest)
    """Whether the model is asked at all just now."""

    def work(
        self,
        run: RunRecord | None,
        controls: Sequence[RunRecord],
        budget: Budget,
        steps_left: int | None,
        *,
        propose: bool = True,
    ) -> Outcome | None:
        """Report on runs that an arm asked for, then analyse a run: what is due beside a training.

        Args:
            run: it has ended; None where only the others are due.
            controls: runs of arms, ended.
            budget: as for `analyse`.
            steps_left: as for `analyse`.
            propose: as for `analyse`.

        Raises:
            Stopped: on request.
        """
        for control in controls:
            self.report_control(control)
        return None if run is None else self.analyse(run, budget, steps_left, propose=propose)

    def analyse(
        self, run: RunRecord, budget: Budget | None = None, steps_left: int | None = None, *, propose: bool = True
    ) -> Outcome:
        """Report on a run (once) and stage a proposal, or as many as may be.

        Args:
            run: it has ended.
            budget: what the session may still use, charged with what this takes; no limits if None.
            steps_left: agent steps that its time leaves; a longer training can't be proposed.
            propose: False where a report is all that is wanted, since what was staged before is to be trained first.

        Raises:
            Stopped: on request; nothing was staged or written.
        """
        score_predictions(self.lab.notebook, run, self.lab.proposals.origin(run))
        budget = budget or Budget()
        before, why = budget.spent, STOPPED
        try:
            context, name, fell_back = self._asked(run, budget, steps_left, propose=propose)
            dollars = budget.spent.dollars - before.dollars if budget.price else None
            cost = cost_text(budget.turns, budget.spent.tokens - before.tokens, dollars)
            if context.report is not None:
                author, checked = author_text(name, fell_back) + cost, checked_draft(context, context.report)
                report = finished_report(context, context.report, checked, author)
                self._remember(context, context.report)
                self._keep(run, context.drafts)  # with the report the analysis is done, so this has to be there before
                write_report(self.lab.notebook, run, report, checked)
            if context.drafts:
                self.lab.proposals.stage(*context.drafts)
            self._keep(run, ())
            why = fell_back
        finally:
            if isinstance(self.model, Awaited):
                self.model.leave(why)
        return Outcome(run.run_id, context.drafts, context.ended, fell_back)

    def _asked(
        self, run: RunRecord, budget: Budget, steps_left: int | None, *, propose: bool
    ) -> tuple[ToolContext, str, str | None]:
        """What the model made of a run, or the offline researcher; the model's name, and why it did not get there.

        Who falls silent over an analysis may be followed by another.
        """
        model = self.rest.model(self.model)
        again = False
        while True:
            asked = self._arrived(model, run, budget, again=again)
            context, budget.turns = self._context(run, asked.name, steps_left, propose=propose), 0
            try:
                self._run(asked, context, budget)
            except GaveUp as error:
                if isinstance(model, Awaited):
                    model.leave(str(error))  # at once: who had it need not wait for the offline researcher
                    again = model.another()
                if again:
                    continue
                self.rest.gave_up(why := str(error))
                context = self._context(run, "offline", steps_left, propose=propose)
                self._run(OfflineResearcher(), context, Budget())
                return context, asked.name, why
            self.rest.went_well()
            return context, asked.name, None

    def _arrived(self, model: ChatModel, run: RunRecord, budget: Budget, *, again: bool) -> ChatModel:
        """The model itself, or whoever takes the analysis where it has to come first."""
        if not isinstance(model, Awaited):
            return model
        arrived = model.arrival(
            run.run_id, lambda: "stopped on request" if self.should_stop() else budget.why_over(), again=again
        )
        if self.should_stop():
            raise Stopped("stopped on request")
        return arrived

    def report_control(self, run: RunRecord) -> None:
        """Report on a run that an arm asked for: by the offline researcher, and without a proposal.

        Args:
            run: it has ended.

        Raises:
            Stopped: on request; nothing was written.
        """
        score_predictions(self.lab.notebook, run, self.lab.proposals.origin(run))
        context = self._context(run, "offline", None)
        try:
            self._run(OfflineResearcher(), context, Budget())
        except GaveUp:
            if context.report is None:  # nothing is proposed here, so a report is all that is owed
                raise
        without_proposal(context)
        if context.report is not None:
            checked = checked_draft(context, context.report)
            report = finished_report(context, context.report, checked, "offline")
            write_report(self.lab.notebook, run, report, checked)

    def _run(self, model: ChatModel, context: ToolContext, budget: Budget) -> None:
        try:
            self._analysis(model, context, budget).run()
        except GaveUp as error:
            if self.should_stop():
                raise Stopped("stopped on request") from error
            raise

    def recover(self, run: RunRecord) -> None:
        """Stage what an analysis led to that was killed between its report and its proposals."""
        paths = self.lab.notebook.workspace.run(run.run_id)
        if paths.proposed.exists():
            kept = read_model(paths.proposed, Kept).root
            drafts = (kept,) if isinstance(kept, Proposal) else kept
            if paths.report.exists() and not all(self.lab.proposals.has(draft.proposal_id) for draft in drafts):
                self.lab.proposals.stage(*drafts)
            self._keep(run, ())

    def _remember(self, context: ToolContext, draft: ReportDraft) -> None:
        """Add what the model wants to know again to its research log."""
        if draft.remember:
            run = context.subject
            entry = LogEntry(time=now(), run_id=run.run_id, arm=context.arm, group=run.group, text=draft.remember)
            keep_entry(self.lab.notebook.workspace, entry)

    def _keep(self, run: RunRecord, drafts: tuple[Proposal, ...]) -> None:
        path = self.lab.notebook.workspace.run(run.run_id).proposed
        if drafts:
            write_model(path, Kept(drafts))
        else:
            path.unlink(missing_ok=True)

    def _context(self, run: RunRecord, arm: str, steps_left: int | None, *, propose: bool = True) -> ToolContext:
        ahead = self.ahead if arm != "offline" else 1
        outset = Outset.now(self.lab, run, self.session, arm, steps_left, self.rules, ahead=ahead, propose=propose)
        return outset.context(self.lab, run, self.permits)

    def _analysis(self, model: ChatModel, context: ToolContext, budget: Budget) -> Analysis:
        toolbox = Toolbox(TOOLS, context)
        situation, picture = situation_of(context), None
        if isinstance(model, Sees) and model.takes_images():
            picture = picture_of(context)
        situation["picture"] = picture is not None
        opening = opening_of(situation, picture)
        path = self.lab.notebook.workspace.run(context.subject.run_id).transcript
        about = {"session": self.session, "steps_left": context.steps_left, "turns": budget.allowed}
        transcript = Transcript(
            path, model=model.name, tools=toolbox.schemas, opening=opening, situation=situation, **about
        )
        return Analysis(model, toolbox, context, transcript, opening, budget, self.should_stop)


def without_proposal(context: ToolContext) -> None:
    """Make of an analysis one that only reports, as those of an arm's runs are."""
    why = CONTROL if context.subject.arm in ARMS else SHORTER
    context.drafts, context.ended = (), why
    if context.report is not None:
        context.report.next_step = f"Nothing was proposed: {why}."


def finished_report(context: ToolContext, draft: ReportDraft, checked: Checked, author: str) -> Report:
    """The report of an analysis that is complete."""
    reason = context.ended or (None if context.proposal_wanted else WAITING)
    return report_of(context.lab, context.subject, draft, checked, context.drafts, author, reason)


def author_text(model: str, fell_back: str | None) -> str:
    """Who wrote a report, and why it was not the model if it was not."""
    return model if fell_back is None else f"offline, after {model} gave up ({plain(fell_back, 200)})"


def cost_text(requests: int, tokens: int, dollars: float | None) -> str:
    """What an analysis took; nothing where no model was paid for."""
    if not tokens:
        return ""
    price = "" if dollars is None else f", ${dollars:.4f}"
    return f"; {requests} request{'' if requests == 1 else 's'}, {tokens:,} tokens{price}"
