"""The notifier of a night, who tells someone what happens: a webhook, a command, services of apprise, `[notify]`.

Nobody waits for it. Each hook has a daemon thread and a bounded queue of its own, so one that hangs, is slow or fails
delays neither the night nor the others; what could not be delivered is said to a callback. The path of a webhook may
be a secret: its scheme and host are all that is ever shown.
"""

import contextlib
import re
import shlex
import threading
import time
from collections.abc import Callable
from queue import SimpleQueue
from typing import Annotated, Any, Final, Literal

import httpx2
from pydantic import AfterValidator, BeforeValidator, Field, ValidationError
from pydantic_core import PydanticCustomError

from agent.notify.hooks import (
    OVER,
    URL,
    WEBHOOK,
    Command,
    Hook,
    Message,
    Patience,
    Webhook,
    handed,
    hidden,
    message_of,
)
from agent.notify.services import Service, check_service, listed, scheme_of
from lab.base import InvalidInput, Record, Table, Tables, Workspace, invalid, refusal

Event = Literal["finished", "failed", "incumbent", "approval", "model"]
EVENTS: Final[tuple[Event, ...]] = ("finished", "failed", "incumbent", "approval", "model")
VALID = {
    "webhook": "https://hooks.example.org/…",
    "command": "notify-send autopilot",
    "urls": 'urls = ["json://example.org/…"]',
    "on": ", ".join(EVENTS),
}
GRACE = 0.5
"""Seconds of `close` that are kept for ending what still works."""


# --- settings --------------------------------------------------------------------------------------------------------


def _address(text: str) -> str:
    """The URL, if it can be posted to."""
    try:
        url = httpx2.URL(text)
        fit = url.scheme in ("http", "https") and url.host and (url.port or 0) < 2**16 and not re.search(r"\s", text)
    except (httpx2.InvalidURL, ValueError):
        fit = False
    if not fit:
        raise PydanticCustomError("webhook", "must begin with http:// or https:// and name a host")
    return text


def _words(given: Any) -> tuple[str, ...]:
    """A command line, split as a shell would."""
    if not isinstance(given, str) or "\0" in given:
        raise PydanticCustomError("command", "must be a text")
    try:
        words = tuple(shlex.split(given))
    except ValueError as error:
        raise PydanticCustomError("command", "can't be split into words: {why}", {"why": str(error)}) from None
    if not words or not words[0]:
        raise PydanticCustomError("command", "must name a program")
    return words


def _events(given: Any) -> Any:
    """A list as the environment can have it."""
    return listed(given) if isinstance(given, str) and given.startswith("[") else given


Address = Annotated[str, AfterValidator(_address)]
"""A URL that can be posted to."""


class NotifySettings(Record):
    """`[notify]` in autopilot.toml: who is notified, and of what."""

    webhook: Address | None = Field(default=None, repr=False)
    """URL that messages are posted to; its path may be a secret."""
    command: Annotated[tuple[str, ...], BeforeValidator(_words)] | None = None
    """Command that is run for each message, in words."""
    urls: Annotated[tuple[Annotated[str, AfterValidator(check_service)], ...], BeforeValidator(listed)] = Field(
        default=(), repr=False
    )
    """URLs of services that apprise sends messages to, each a secret."""
    on: Annotated[tuple[Event, ...], BeforeValidator(_events)] = EVENTS
    """Events that are notified of."""


class NotifyTables(Tables):
    """`[notify]` in autopilot.toml, or the environment."""

    notify: Annotated[NotifySettings, Table(example="[notify]", environment=True)] = NotifySettings()
    webhook: Address | None = Field(default=None, alias=WEBHOOK)
    """The webhook that goes before the file's."""

    @classmethod
    def refused(cls, error: ValidationError) -> InvalidInput:
        """The line for a person: a mistyped address is as secret as a right one."""
        first = error.errors()[0]
        if first["loc"][0] not in ("notify", WEBHOOK):
            return super().refused(error)
        names = ", ".join(NotifySettings.model_fields)
        if first["loc"] == ("notify",):
            return invalid("notify", "…", "must be a table", f"[notify] with {names}")
        field = "webhook" if first["loc"][0] == WEBHOOK else str(first["loc"][1])
        (problem,) = refusal(first, VALID.get(field, ""), names).problems
        shown = hidden(repr(first["input"]))[:60]
        if field == "urls" and isinstance(first["input"], str):
            shown = f"'{scheme_of(first['input'])}'"
        elif field not in ("command", "on") and not (isinstance(first["input"], str) and URL.fullmatch(first["input"])):
            shown = "…"
        return InvalidInput([problem.model_copy(update={"value": shown})])


def notify_settings(workspace: Workspace) -> NotifySettings:
    """The `[notify]` settings of a workspace; `AUTOPILOT_WEBHOOK` goes before the file's webhook.

    Raises:
        InvalidInput: the table is not written as it has to be.
    """
    tables = NotifyTables.of(workspace)
    return tables.notify.model_copy(update={"webhook": tables.webhook}) if tables.webhook else tables.notify


def _hooks(asked: NotifySettings, workspace: Workspace, patience: Patience, giving_up: threading.Event) -> list[Hook]:
    """The hooks that are configured."""
    hooks: list[Hook] = []
    if asked.webhook is not None:
        hooks.append(Webhook(asked.webhook, patience, giving_up))
    if asked.command is not None:
        hooks.append(Command(asked.command, workspace, patience, giving_up))
    for at, url in enumerate(asked.urls, start=1):
        place = f" ({at} of {len(asked.urls)})" if len(asked.urls) > 1 else ""
        hooks.append(Service(url, place, patience, giving_up))
    return hooks


class _Line:
    """A hook and the messages that wait for it, handed over one by one."""

    def __init__(self, hook: Hook, most: int, giving_up: threading.Event, failed: Callable[[str], None]) -> None:
        self.hook, self._most, self._giving_up, self._failed = hook, most, giving_up, failed
        self._waiting: SimpleQueue[Message | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name=f"notify: {hook.name}", daemon=True)
        self._thread.start()

    def put(self, message: Message) -> None:
        """Have a message handed over when its turn comes."""
        if self._waiting.qsize() >= self._most:
            self._failed(f"{self.hook.name}: {message.event} was not told: {self._most} messages wait already")
        else:
            self._waiting.put(message)

    def end(self) -> None:
        """End once the messages that wait are handed over: no more will come."""
        self._waiting.put(None)

    def ended(self, deadline: float) -> bool:
        """Wait until all messages were handed over, or until `deadline`; whether they were."""
        self._thread.join(max(0.0, deadline - time.monotonic()))
        return not self._thread.is_alive()

    def _work(self) -> None:
        while (message := self._waiting.get()) is not None:
            if self._giving_up.is_set():
                taken, said = False, OVER
            else:
                taken, said = handed(self.hook, message)
            if not taken:
                self._failed(f"{self.hook.name}: {message.event} was not told: {said}")


class Notifier:
    """A notifier in the background: tells someone what happens. It has no thread where nothing is configured."""

    def __init__(
        self,
        asked: NotifySettings,
        workspace: Workspace,
        session: str | None,
        on_failure: Callable[[str], None],
        patience: Patience | None = None,
    ) -> None:
        """Start a thread for each hook.

        Args:
            asked: who is notified, and of what.
            workspace: its folder's name goes with each message; commands are run in it.
            session: its id, which goes with each message.
            on_failure: is given one line for each message that a hook did not take, from any thread, and never once
                `close` has returned; an `OSError` of its own is ignored.
            patience: how long a hook is waited for.
        """
        patience = patience or Patience()
        self._asked, self._workspace, self._session, self._on_failure = asked, workspace, session, on_failure
        self._giving_up = threading.Event()
        self._silent = False
        self._saying = threading.RLock()
        hooks = _hooks(asked, workspace, patience, self._giving_up)
        self._lines = [_Line(hook, patience.waiting, self._giving_up, self._failed) for hook in hooks]

    def notify(self, event: Event, text: str, **fields: str | float | bool | None) -> None:
        """Send an event, if it is among what was asked for; returns at once. Nothing is sent after `close`.

        Args:
            event: what kind of thing happened.
            text: for a person; its first 2000 characters are sent.
            fields: what else a program may want to know, such as run=…, proposal=…
        """
        if self._lines and event in self._asked.on:
            message = message_of(event, text, self._workspace, self._session, fields)
            for line in self._lines:
                line.put(message)

    def close(self, timeout: float = 5.0) -> None:
        """Let what waits be sent, end what takes longer, and say what was not sent.

        Args:
            timeout: seconds that this may take.
        """
        deadline = time.monotonic() + timeout
        for line in self._lines:
            line.end()
        for line in self._lines:
            line.ended(deadline - min(GRACE, timeout / 2))
        self._giving_up.set()
        for line in self._lines:
            if not line.ended(deadline):
                self._failed(f"{line.hook.name}: {OVER}")
        with self._saying:
            self._silent = True

    def _failed(self, text: str) -> None:
        with self._saying:
            if not self._silent:
                with contextlib.suppress(OSError):  # a full disk: there is nowhere left to say it
                    self._on_failure(text)


def notifier_of(workspace: Workspace, session_id: str, on_failure: Callable[[str], None]) -> Notifier:
    """The notifier of a session.

    Args:
        workspace: whose autopilot.toml says who is notified.
        session_id: the session.
        on_failure: see `Notifier`.

    Raises:
        InvalidInput: `[notify]` is not written as it has to be.
    """
    return Notifier(notify_settings(workspace), workspace, session_id, on_failure)


def try_out(workspace: Workspace, patience: Patience | None = None) -> list[str]:
    """Send the event `test` through everything that is configured, one after the other, and wait for it.

    Args:
        workspace: whose autopilot.toml says who is notified.
        patience: how long a hook is waited for.

    Returns:
        A line for each hook, which begins with `ok` or `BAD`, as those of `autopilot doctor` do.

    Raises:
        InvalidInput: `[notify]` is not written as it has to be.
    """
    hooks = _hooks(notify_settings(workspace), workspace, patience or Patience(), threading.Event())
    if not hooks:
        return [
            "BAD  notify: nothing is configured: set webhook, command or urls in [notify] of autopilot.toml, or "
            f"{WEBHOOK}"
        ]
    message = message_of("test", "autopilot: a message to try this out", workspace, None, {})
    outcomes = [(hook.name, *handed(hook, message)) for hook in hooks]
    return [f"{'ok ' if taken else 'BAD'}  {name}: {said}" for name, taken, said in outcomes]
