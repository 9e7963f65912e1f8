"""One iteration: a run that has ended is analysed, reported on, and followed by a staged proposal.

When the model does not get there, the offline researcher finishes the iteration and the report says so: a night is
never lost.
"""

from collections.abc import Callable
from dataclasses import dataclass

from agent.budget import Budget
from agent.chat import ChatModel, Message
from agent.loop import Analysis, GaveUp
from agent.offline import OfflineResearcher
from agent.prompts import render
from agent.report import write_report
from agent.transcript import Transcript
from lab.inventory import Inventory
from lab.notebook import Notebook
from lab.proposals import Proposals
from lab.records import Proposal, ProposalState, RunRecord, Spent
from lab.text import plain
from tools.catalog import TOOLS
from tools.context import ToolContext
from tools.registry import Toolbox
from training.run import Stopped


@dataclass(frozen=True)
class Outcome:
    """What an analysis came to."""

    proposal: Proposal | None
    ended: str | None
    """Why the search should end, if the model said so."""
    fell_back: str | None
    """Why the offline researcher had to finish it, if it had to."""


@dataclass
class Analyst:
    """Analyses runs of one workspace with one model."""

    notebook: Notebook
    proposals: Proposals
    inventory: Inventory
    model: ChatModel
    session: str | None = None
    should_stop: Callable[[], bool] = lambda: False

    def analyse(self, run: RunRecord, budget: Budget | None = None, steps_left: int | None = None) -> Outcome:
        """Report on a run (once) and stage a proposal.

        Args:
            run: it has ended.
            budget: what the session may still use, charged with what this takes; no limits if None.
            steps_left: agent steps that its time leaves; a longer training can't be proposed.

        Raises:
            Stopped: on request; nothing was staged or written.
        """
        context = self._context(run, self.model.name, steps_left)
        budget = budget or Budget()
        before, budget.turns = budget.spent, 0
        fell_back, author = None, self.model.name
        try:
            self._analysis(self.model, context, budget).run()
        except GaveUp as error:
            if self.should_stop():
                raise Stopped("stopped on request") from error
            fell_back = str(error)
            author = f"offline, after {self.model.name} gave up ({plain(fell_back, 200)})"
            context = self._context(run, "offline", steps_left)
            self._analysis(OfflineResearcher(), context, Budget()).run()
        author += _cost(before, budget)
        if context.proposal is not None:
            self.proposals.stage(context.proposal)
        if context.report is not None:
            reason = context.ended or "the analysis ended without a valid proposal."
            write_report(self.notebook, self.inventory, run, context.report, context.proposal, author, reason)
        return Outcome(context.proposal, context.ended, fell_back)

    def _context(self, run: RunRecord, arm: str, steps_left: int | None) -> ToolContext:
        return ToolContext(
            notebook=self.notebook,
            proposals=self.proposals,
            inventory=self.inventory,
            subject=run,
            session=self.session,
            arm=arm,
            steps_left=steps_left,
            report_wanted=not self.notebook.workspace.run(run.run_id).report.exists(),
        )

    def _analysis(self, model: ChatModel, context: ToolContext, budget: Budget) -> Analysis:
        toolbox = Toolbox(TOOLS, context)
        opening = [
            Message(role="system", content=render("system.md.j2")),
            Message(role="user", content=render("iteration.md.j2", **self._situation(context))),
        ]
        path = self.notebook.workspace.run(context.subject.run_id).transcript
        transcript = Transcript(path, model=model.name, tools=toolbox.schemas(), opening=opening)
        return Analysis(model, toolbox, context, transcript, opening, budget, self.should_stop)

    def _situation(self, context: ToolContext) -> dict[str, object]:
        run = context.subject
        mine = [proposal for proposal in self.proposals.all() if proposal.group == run.group]
        rejected = [proposal for proposal in reversed(mine) if proposal.state is ProposalState.REJECTED]
        return {
            "env_name": run.env_name,
            "preset": run.preset,
            "objective": run.objective,
            "run_id": run.run_id,
            "state": run.state,
            "arm": run.arm,
            "incumbent": self.notebook.incumbent(run.group),
            "noise": self.notebook.noise(run.group),
            "rejected": [
                {"overrides": proposal.overrides, "why": plain(proposal.decisions[-1].why, 300)}
                for proposal in rejected[:5]
            ],
            "report_wanted": context.report_wanted,
        }


def _cost(before: Spent, budget: Budget) -> str:
    """What an analysis took, in words; nothing where no model was paid for."""
    tokens = budget.spent.tokens - before.tokens
    if not tokens:
        return ""
    dollars = f", ${budget.spent.dollars - before.dollars:.4f}" if budget.price else ""
    return f"; {budget.turns} request{'' if budget.turns == 1 else 's'}, {tokens:,} tokens{dollars}"
