"""What a session says: to whoever watches, to its file of events, and to whom it is asked to tell."""

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from lab.base import SessionPaths, append_line, now, plain
from lab.store import RunRecord, SessionRecord, Trouble
from report import trouble_text
from training import Progress

if TYPE_CHECKING:
    from agent.notify import Event
    from report.live import Status


class View(Protocol):
    """What a person sees while it goes on."""

    def note(self, text: str) -> None:
        """Say one thing."""

    def night(self, status: "Status") -> None:
        """How the session stands, for whoever shows it to ask as often as it is shown."""

    def training(self, run: RunRecord, what: str) -> None:
        """A run starts."""

    def progress(self, progress: Progress) -> None:
        """A replicate got further."""

    def trained(self, run: RunRecord, text: str) -> None:
        """A run ended."""

    def close(self) -> None:
        """Leave the terminal as it was."""


class Notifies(Protocol):
    """The way to somebody who is not watching."""

    def notify(self, event: "Event", text: str, **fields: Any) -> None:
        """Pass an event on and return at once."""


@dataclass
class Journal:
    """One session's."""

    paths: SessionPaths
    view: View
    notifier: Notifies | None = None

    def event(self, what: str, **more: Any) -> None:
        """Add to events.jsonl."""
        append_line(self.paths.events, {"time": now().isoformat(), "event": what, **more})

    def note(self, text: str) -> None:
        """Say one thing to whoever watches."""
        self.view.note(text)

    def notify(self, event: "Event", text: str, **fields: Any) -> None:
        """Notify whoever asked for it, if anybody did: `finished`, `failed`, `incumbent`, `approval`, `model`."""
        if self.notifier is not None:
            with contextlib.suppress(Exception):  # the night must not end because nobody could be told
                self.notifier.notify(event, text, **fields)

    def fared(self, record: SessionRecord, gave_up: str | None, *, over: str | None) -> Trouble | None:
        """Say how the model of a session fared, and tell somebody when it begins to fail.

        Args:
            record: of the session.
            gave_up: why the model did not finish an analysis; None where it did.
            over: why nothing more may be asked tonight; a model that gives up for that is no trouble.

        Returns:
            What the record is to keep of it.
        """
        before, row = record.trouble, record.trouble.in_a_row if record.trouble else 0
        if gave_up is None:
            if before is None or row == 0:
                return before
            self.note(f"{record.model} works again")
            return before.model_copy(update={"in_a_row": 0})
        self.note(f"the offline researcher finished the analysis: {gave_up}")
        if over is not None:
            return before
        count, why = before.analyses + 1 if before else 1, plain(gave_up, 300)
        at = now()
        since = before.since if before and row else at
        trouble = Trouble(analyses=count, in_a_row=row + 1, since=since, last=at, why=why)
        if row == 0:
            said = trouble_text(record.model_copy(update={"trouble": trouble}), alone=True)
            self.notify("model", f"{said}; it is asked again")
        return trouble
