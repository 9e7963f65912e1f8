"""What a session says: to whoever watches, to its file of events, and to whom it is asked to tell."""

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from lab.base import SessionPaths, append_line, now
from lab.store import RunRecord
from training import Progress

if TYPE_CHECKING:
    from agent.notify import Event


class View(Protocol):
    """What a person sees while it goes on."""

    def note(self, text: str) -> None:
        """Say one thing."""

    def night(self, lines: list[tuple[str, str]]) -> None:
        """How the session stands: label and text, such as `incumbent` and what it is."""

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
        """Notify whoever asked for it, if anybody did: `finished`, `failed`, `incumbent`, `approval`."""
        if self.notifier is not None:
            with contextlib.suppress(Exception):  # the night must not end because nobody could be told
                self.notifier.notify(event, text, **fields)
