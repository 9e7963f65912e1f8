"""`autopilot review`: the queue one proposal at a time, with one key for each decision.

It needs no colours and eighty columns. Where there is no terminal it prints the queue and decides nothing.
"""

import shutil
import sys
import textwrap
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from lab.base import AutopilotError, InvalidInput, plain
from lab.space import Inventory, assignments
from lab.store import Lab, Notebook, Proposal, Proposals, mean_curve
from report import idle_text, objective_bands, say
from review import decisions
from review.waiting import Change, Waiting, seen, undecided

NARROW, WIDE = 40, 100
"""Columns that are used, at least and at most."""
ROWS = 12
"""Rows of a learning curve."""
LABEL = 12
"""Columns of the labels on the left."""
KEYS = "[a]pprove  [r]eject  [e]dit  [s]kip  [o]pen the report  [q]uit"


@dataclass
class Terminal:
    """A person at a terminal, deciding."""

    notebook: Notebook
    proposals: Proposals
    inventory_of: Callable[[str], Inventory]
    """A function from an environment's name to the inventory that has it."""
    who: str
    key: Callable[[], str]
    """A function that waits for the next key; it raises `EOFError` where there is none any more."""
    line: Callable[[str], str]
    """A function that asks for a line of text with a prompt."""
    page: Callable[[str], None]
    """A function that shows a long text."""
    _passed: set[str] = field(default_factory=set, init=False)

    def run(self) -> None:
        """Ask about one proposal after the other until the queue is through, or the person quits."""
        while (proposal := self._next()) is not None:
            try:
                if not self._decide(proposal):
                    return
            except EOFError:  # Ctrl-D
                return
            except AutopilotError as error:  # somebody was faster, or it is not valid: it is shown again if it waits
                say(f"not done: {error}")
        say("nothing else waits for a decision" if self._passed else "nothing waits for a decision")

    def _next(self) -> Proposal | None:
        return next((p for p in undecided(self.proposals) if p.proposal_id not in self._passed), None)

    def _decide(self, proposal: Proposal) -> bool:
        """Show a proposal and take the person's decision; False to quit."""
        lab = Lab(self.notebook, self.inventory_of(proposal.env_name))
        waiting, left = seen(proposal, lab), len(undecided(self.proposals))
        show(waiting, self.notebook, f"{left} wait{'s' if left == 1 else ''}")
        while True:
            sys.stdout.write(f"\n{KEYS} > ")
            sys.stdout.flush()
            match self.key().lower():
                case "a":
                    sys.stdout.write("approve\n")
                    newest = decisions.approve(lab, proposal, self.who)
                    say(f"approved {proposal.proposal_id}: {idle_text(self.notebook, newest) or 'it runs next'}")
                    return True
                case "r":
                    sys.stdout.write("reject\n")
                    why = self.line("why (the next analysis reads it; nothing to leave it)")
                    if not why.strip():
                        continue
                    decisions.reject(self.proposals, proposal, self.who, why)
                    say(f"rejected {proposal.proposal_id}")
                    return True
                case "e":
                    sys.stdout.write("edit\n")
                    if self._edit(proposal, lab):
                        return True
                case "s" | "n":
                    sys.stdout.write("skip\n")
                    self._passed.add(proposal.proposal_id)
                    return True
                case "o":
                    sys.stdout.write("open\n")
                    self._open(proposal)
                case "q" | "\x1b":
                    sys.stdout.write("quit\n")
                    return False
                case other:
                    sys.stdout.write(f"{plain(other, 20)!r} is none of these keys\n")

    def _edit(self, proposal: Proposal, lab: Lab) -> bool:
        """Take values of the person's own, each checked at once; whether they were staged."""
        changes: dict[str, Any] = {}
        while text := self.line("KEY=VALUE, such as train.ent_coef=0.01 (nothing to end)").strip():
            try:
                more = {**changes, **assignments([text])}
                new = decisions.edited(lab, proposal, more, self.who)
            except InvalidInput as error:
                say(f"  not valid: {error}")
                continue
            changes = more
            say(f"  valid: {new.changes}")
            for note in seen(new, lab).notes:
                say(f"  note: {note}")
        if not changes:
            return False
        new = decisions.edit(lab, proposal, changes, self.who)
        say(f"staged {new.proposal_id} in the place of {proposal.proposal_id}")
        return True

    def _open(self, proposal: Proposal) -> None:
        report = self.notebook.workspace.run(proposal.analysed).report
        if report.exists():
            self.page(plain(report.read_text(encoding="utf-8"), 1_000_000))
        else:
            say(f"run {proposal.analysed} has no report")


def show(waiting: Waiting, notebook: Notebook, beside: str = "") -> None:
    """Print a proposal.

    Args:
        waiting: what there is to say of it.
        notebook: where its parent's curves are.
        beside: said at the end of the first line.
    """
    width = columns()
    say("")
    held = ", held for a person" if waiting.held else ""
    say(" · ".join(filter(None, (waiting.proposal_id, f"by {waiting.arm}", f"{waiting.state}{held}", beside))))
    say(f"{waiting.env_name}, {waiting.preset}, {waiting.objective}; made {waiting.created}")
    say("")
    if waiting.sweep:
        _block("sweep", waiting.sweep, width)
    for change in waiting.changes:
        for line in _change(change, width):
            say(line)
    say("")
    _block("theory", waiting.theory or "none", width)
    _block("predicted", "; ".join(waiting.predicted) or "nothing", width)
    for cited in waiting.evidence:
        verdict = f", {cited.verdict}" if cited.verdict else ""
        _block(cited.role, f"{cited.run_id} ({cited.changed}): {cited.score}{verdict}", width)
    for note in waiting.notes:
        _block("note", note, width)
    for lesson in waiting.lessons:
        _block("learnt", lesson, width)
    _block("cost", waiting.cost, width)
    _block("rules", f"{waiting.risk.outcome}: {waiting.risk.rule}", width)
    if waiting.unfit:
        _block("not valid", waiting.unfit, width)
    for line in curve(waiting, notebook, width):
        sys.stdout.write(line + "\n")


def columns() -> int:
    """The width of a page."""
    return max(NARROW, min(WIDE, shutil.get_terminal_size().columns - 1))


def _block(label: str, text: str, width: int) -> None:
    """Print a label on the left and a wrapped text on the right, whose paragraphs stay apart."""
    paragraphs = [part for part in text.split("\n") if part.strip()] or [""]
    for number, paragraph in enumerate(paragraphs):
        first = f"{label:{LABEL}} " if number == 0 else " " * (LABEL + 1)
        for line in textwrap.wrap(paragraph, width, initial_indent=first, subsequent_indent=" " * (LABEL + 1)):
            say(line)


def _change(change: Change, width: int) -> list[str]:
    """The lines of a changed key: old and new value, and their places in the range."""
    lines = textwrap.wrap(f"{change.key}  {change.old} → {change.new}", width, subsequent_indent="  ")
    if change.is_now is None:
        return [*lines, *([f"  valid: {change.range}"] if change.range else [])]
    cells = ["-"] * min(50, width - 20)
    last = len(cells) - 1
    if change.was is not None:
        cells[round(change.was * last)] = "o"
    cells[round(change.is_now * last)] = "x"
    scale = f", {change.scale} scale" if change.scale else ""
    return [*lines, f"  |{''.join(cells)}|", f"  {change.range}{scale}; o as in the parent, x proposed"]


def curve(waiting: Waiting, notebook: Notebook, width: int) -> list[str]:
    """The parent's learning curve, the incumbent's beside it, as lines of text; none where nothing was logged."""
    import plotext

    if not (sys.stdout.encoding or "").lower().startswith("utf"):
        return []
    incumbent = _incumbent(waiting, notebook)
    named = [("parent", waiting.parent), *([("incumbent", incumbent)] if incumbent else [])]
    try:
        source, bands = objective_bands(notebook, [pair for pair in named if notebook.readable(pair[1])])
    except (AutopilotError, IndexError):
        return []
    plotext.clear_figure()
    plotext.theme("clear")
    plotext.plotsize(width, ROWS)
    drawn = 0
    for band, marker in zip(bands, ("braille", "."), strict=False):
        curves = [one for one in band.curves if one.steps.size > 1]
        if curves:
            steps, values = mean_curve(curves)
            plotext.plot(list(steps / 1e6), list(values), marker=marker, label=band.label)
            drawn += 1
    if not drawn:
        return []
    plotext.title(f"{source} while training, mean of the replicates")
    plotext.xlabel("million agent steps")
    return [plain(line, 1000).rstrip() for line in str(plotext.build()).splitlines()]


def _incumbent(waiting: Waiting, notebook: Notebook) -> str | None:
    try:
        incumbent = notebook.incumbent(notebook.run(waiting.parent).group)
    except AutopilotError:
        return None
    return incumbent if incumbent != waiting.parent else None
