"""Telling someone what happens in a night: a webhook and a command, `[notify]` in autopilot.toml.

Nobody waits for it. Each hook has a daemon thread and a bounded queue of its own, so one that hangs, is slow or fails
delays neither the night nor the other one; what could not be delivered is said to a callback. The path of a webhook may
be a secret: its scheme and host are all that is ever shown.
"""

import contextlib
import json
import math
import os
import re
import select
import shlex
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Annotated, Any, Final, Literal, Protocol

import httpx2
from pydantic import AfterValidator, BeforeValidator, Field, ValidationError
from pydantic_core import PydanticCustomError
from tenacity import (
    Retrying,
    retry_if_exception,
    sleep_using_event,
    stop_after_attempt,
    stop_when_event_set,
    wait_exponential,
    wait_random,
)

from agent.transcript import redacted
from lab.errors import InvalidInput, refused, refused_as
from lab.paths import Workspace
from lab.records import Record, now
from lab.text import plain
from lab.toml import settings

Event = Literal["finished", "failed", "incumbent", "approval"]
EVENTS: Final[tuple[Event, ...]] = ("finished", "failed", "incumbent", "approval")
WEBHOOK = "AUTOPILOT_WEBHOOK"
"""Goes before the one in the file."""
PRIVATE = ("OPENAI_API_KEY", WEBHOOK)
"""No business of a command."""
VALID = {
    "webhook": "https://hooks.example.org/…",
    "command": "notify-send autopilot",
    "on": ", ".join(EVENTS),
}
TEXT = 2000
"""Characters of a message; chat services take no more."""
VALUE = 500
"""Characters of what goes with it."""
FAILURE = 400
"""Characters of what is said of a failure."""
SAID = 2000
"""Bytes of a command's last words that are kept."""
OVER = "given up, since the session is over"
GRACE = 0.5
"""Seconds of `close` that are kept for ending what still works."""
TICK = 0.05
"""Seconds between two looks at whether to give up."""

_URL = re.compile(r"([a-z][a-z0-9+.-]*://)([^\s'\"<>]*)", re.IGNORECASE)


def hidden(text: str) -> str:
    """`text` with each URL in it cut down to scheme and host: the rest, or who is logged in, may be a secret."""

    def short(found: re.Match[str]) -> str:
        host = "" if "@" in found[2] else re.split(r"[/?#\\]", found[2], maxsplit=1)[0]
        return f"{found[1]}{host}/…"

    return _URL.sub(short, text)


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


class NotifySettings(Record):
    """`[notify]` in autopilot.toml: who is told, and of what."""

    webhook: Annotated[str, AfterValidator(_address)] | None = Field(default=None, repr=False)
    """Where messages are posted to; its path may be a secret."""
    command: Annotated[tuple[str, ...], BeforeValidator(_words)] | None = None
    """What is run for each message, in words."""
    on: tuple[Event, ...] = EVENTS
    """What is told."""


def notify_settings(workspace: Workspace) -> NotifySettings:
    """Those of a workspace; `AUTOPILOT_WEBHOOK` goes before the file's webhook.

    Raises:
        InvalidInput: the table is not written as it has to be.
    """
    table = settings(workspace).get("notify", {})
    if not isinstance(table, Mapping):
        raise refused("notify", "…", "must be a table", f"[notify] with {', '.join(NotifySettings.model_fields)}")
    by_environment = os.environ.get(WEBHOOK)
    if by_environment:
        table = {**table, "webhook": by_environment}
    try:
        return NotifySettings.model_validate(table)
    except ValidationError as error:
        raise _without_secrets(error, "webhook" if by_environment else None) from None


def _without_secrets(error: ValidationError, by_environment: str | None) -> InvalidInput:
    """The line for a person: a mistyped webhook is as secret as a right one."""
    first = error.errors()[0]
    field, given = str(first["loc"][0]), first["input"]
    problem = refused_as("notify", error, VALID.get(field, ", ".join(NotifySettings.model_fields))).problems[0]
    shown = hidden(repr(given))[:60]
    if field not in ("command", "on") and not (isinstance(given, str) and _URL.fullmatch(given)):
        shown = "…"
    key = WEBHOOK if field == by_environment else problem.key
    return InvalidInput([problem.model_copy(update={"key": key, "value": shown})])


# --- messages --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Message:
    """What is told."""

    event: str
    text: str
    body: bytes
    """All of it, as JSON."""


def _message(event: str, text: str, workspace: Workspace, session: str | None, fields: Mapping[str, Any]) -> Message:
    text = _clean(text, TEXT) or event
    told = {
        "event": event,
        "text": text,
        "time": now().isoformat(timespec="seconds"),
        "session": session,
        "workspace": _clean(workspace.root.absolute().name, VALUE),
        "run": None,
        "proposal": None,
        **{key: _value(value) for key, value in fields.items()},
    }
    return Message(event, text, json.dumps(told, ensure_ascii=False, allow_nan=False).encode())


def _value(value: Any) -> Any:
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None  # JSON has no NaN
    return _clean(str(value), VALUE)


def _clean(text: str, limit: int) -> str:
    """Bounded, without control characters, keys, and halves of characters, which UTF-8 can't hold."""
    text = plain(text.encode("utf-8", "replace").decode(), len(text))  # first: what is left may spell a key
    return plain(redacted(text), limit)


# --- hooks -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Patience:
    """How long a hook is waited for."""

    request: float = 10.0
    """Seconds for one try of the webhook."""
    attempts: int = 3
    """Tries of the webhook in all."""
    pause: float = 1.0
    """Seconds until the second try, doubled for each further one, and up to as much again by chance."""
    command: float = 30.0
    """Seconds for the command."""
    waiting: int = 100
    """Messages that may wait for one hook."""


class Undelivered(Exception):
    """A hook did not take a message; says why."""


class _Hook(Protocol):
    """Where messages go."""

    name: str
    """As it may be shown."""

    def deliver(self, message: Message) -> str:
        """Hand a message over and say what came of it, or raise `Undelivered`."""

    def shown(self, text: str) -> str:
        """`text` without this hook's secrets."""


class _Answered(Exception):
    """The webhook's server did not accept it."""

    def __init__(self, status: int) -> None:
        said = f"answered {status}"
        super().__init__(f"{said}: redirects are not followed" if 300 <= status < 400 else said)
        self.passing = status >= 500


class _Webhook:
    """A URL that takes JSON."""

    def __init__(self, url: str, patience: Patience, giving_up: threading.Event) -> None:
        self._url = httpx2.URL(url)
        self.name = f"webhook {self._url.scheme}://{self._url.netloc.decode('ascii', 'replace')}/…"
        parts = (self._url.raw_path.decode("ascii"), self._url.path, self._url.username, self._url.password)
        self._secrets = [part for part in parts if len(part) > 1]
        self._patience, self._giving_up = patience, giving_up
        self._retrying = Retrying(
            retry=retry_if_exception(_passing),
            wait=wait_exponential(multiplier=patience.pause) + wait_random(0, patience.pause),
            stop=stop_after_attempt(patience.attempts) | stop_when_event_set(giving_up),
            sleep=sleep_using_event(giving_up),
            reraise=True,
        )

    def deliver(self, message: Message) -> str:
        """Post it, again after faults that may pass."""
        try:
            return f"answered {self._retrying(self._within, message)}"
        except _Answered as error:
            why = str(error)
        except (TimeoutError, httpx2.TimeoutException):
            why = f"no answer within {self._patience.request:g} s"
        except httpx2.ProtocolError as error:
            why = type(error).__name__  # its text quotes what the server said, which may be what it was sent
        except httpx2.TransportError as error:
            why = f"{type(error).__name__}: {error}"
        tries = self._retrying.statistics["attempt_number"]
        raise Undelivered(self.shown(f"{why}, {tries} tries" if tries > 1 else why))

    def shown(self, text: str) -> str:
        """See `_Hook`."""
        text = hidden(text)
        for secret in self._secrets:
            text = text.replace(secret, "…")
        return text

    def _within(self, message: Message) -> int:
        """One try, given up when its time is over: a time-out of the socket counts from each byte that drips in."""
        if self._giving_up.is_set():
            raise Undelivered(OVER)
        done: SimpleQueue[int | BaseException] = SimpleQueue()

        def attempt() -> None:
            try:
                done.put(self._post(message))
            except BaseException as error:  # noqa: BLE001 - handed to the one who waits
                done.put(error)

        threading.Thread(target=attempt, daemon=True).start()
        deadline = time.monotonic() + self._patience.request
        while True:
            with contextlib.suppress(Empty):
                outcome = done.get(timeout=TICK)
                break
            if self._giving_up.is_set():
                raise Undelivered(OVER)
            if time.monotonic() > deadline:
                raise TimeoutError
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    def _post(self, message: Message) -> int:
        headers = {"Content-Type": "application/json"}
        with httpx2.stream(
            "POST",
            self._url,
            content=message.body,
            headers=headers,
            timeout=self._patience.request,
            follow_redirects=False,
        ) as response:  # its body, which may never end, is not read
            if not response.is_success:
                raise _Answered(response.status_code)
            return response.status_code


def _passing(error: BaseException) -> bool:
    """Whether the same request may succeed later."""
    return error.passing if isinstance(error, _Answered) else isinstance(error, (httpx2.TransportError, TimeoutError))


class _Command:
    """A program that is run for each message."""

    def __init__(
        self, words: tuple[str, ...], workspace: Workspace, patience: Patience, giving_up: threading.Event
    ) -> None:
        self._words, self._workspace = words, workspace
        self._patience, self._giving_up = patience, giving_up
        self.name = f"command {self.shown(words[0])}"

    def deliver(self, message: Message) -> str:
        """Run it without a shell, and end whatever it has started."""
        inherited = {key: value for key, value in os.environ.items() if key not in PRIVATE}
        environment = {**inherited, "AUTOPILOT_EVENT": message.event, "AUTOPILOT_TEXT": message.text}
        try:
            process = subprocess.Popen(  # noqa: S603 - the user's own
                self._words, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, bufsize=0,
                env=environment, start_new_session=True, cwd=self._workspace.root,
            )  # fmt: skip
        except OSError as error:
            raise Undelivered(self.shown(f"can't be run: {error}")) from None
        with process:
            try:
                said = self._attend(process, message.body)
            finally:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(process.pid, signal.SIGKILL)
        if process.returncode:
            lines = said.decode(errors="replace").strip().splitlines()
            raise Undelivered(self.shown(": ".join([f"ended with status {process.returncode}", *lines[-1:]])))
        return "ended with status 0"

    def shown(self, text: str) -> str:
        """See `_Hook`."""
        return hidden(text)

    def _attend(self, process: subprocess.Popen[bytes], body: bytes) -> bytes:
        """Feed it and listen until it ends; returns the last of what it said on standard error.

        Its end is what counts, not that of its pipes: what it started may hold them for ever, and say anything.
        """
        to, of = process.stdin, process.stderr
        assert to is not None  # noqa: S101 - pipes
        assert of is not None  # noqa: S101
        os.set_blocking(to.fileno(), False)
        os.set_blocking(of.fileno(), False)
        deadline = time.monotonic() + self._patience.command
        said, listening = b"", True
        while process.poll() is None:
            if self._giving_up.is_set():
                raise Undelivered("killed, since the session is over")
            if time.monotonic() > deadline:
                raise Undelivered(f"killed, since it took longer than {self._patience.command:g} s")
            readable, writable, _ = select.select([of] if listening else [], [] if to.closed else [to], [], TICK)
            if writable:
                try:
                    body = body[os.write(to.fileno(), body) :]
                except BrokenPipeError:  # it does not care to read
                    body = b""
                if not body:
                    to.close()
            if readable:
                heard = of.read(SAID)
                listening = heard != b""
                said = (said + (heard or b""))[-SAID:]
        return (said + (of.read(2**16) or b""))[-SAID:]


def _hooks(
    asked: NotifySettings, workspace: Workspace, patience: Patience, giving_up: threading.Event
) -> list[_Webhook | _Command]:
    """Those that are configured."""
    found: list[_Webhook | _Command] = []
    if asked.webhook is not None:
        found.append(_Webhook(asked.webhook, patience, giving_up))
    if asked.command is not None:
        found.append(_Command(asked.command, workspace, patience, giving_up))
    return found


def _handed(hook: _Hook, message: Message) -> tuple[bool, str]:
    """Whether a hook took a message, and what came of it in one line."""
    try:
        return True, hook.deliver(message)
    except Undelivered as error:
        why = str(error)
    except Exception as error:  # noqa: BLE001 - whatever a hook comes upon is said, and ends nothing
        why = hook.shown(f"{type(error).__name__}: {error}")
    return False, " ".join(_clean(why, FAILURE).split())


class _Line:
    """A hook and the messages that wait for it, handed over one by one."""

    def __init__(self, hook: _Hook, most: int, giving_up: threading.Event, failed: Callable[[str], None]) -> None:
        self.hook, self._most, self._giving_up, self._failed = hook, most, giving_up, failed
        self._waiting: SimpleQueue[Message | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name=f"notify: {hook.name}", daemon=True)
        self._thread.start()

    def put(self, message: Message) -> None:
        """Have it handed over when its turn comes."""
        if self._waiting.qsize() >= self._most:
            self._failed(f"{self.hook.name}: {message.event} was not told: {self._most} messages wait already")
        else:
            self._waiting.put(message)

    def end(self) -> None:
        """Nothing more will come."""
        self._waiting.put(None)

    def ended(self, deadline: float) -> bool:
        """Wait until all were handed over, or until then."""
        self._thread.join(max(0.0, deadline - time.monotonic()))
        return not self._thread.is_alive()

    def _work(self) -> None:
        while (message := self._waiting.get()) is not None:
            if self._giving_up.is_set():
                taken, said = False, OVER
            else:
                taken, said = _handed(self.hook, message)
            if not taken:
                self._failed(f"{self.hook.name}: {message.event} was not told: {said}")


class Notifier:
    """Tells someone what happens, in the background. Does nothing, and has no thread, where nothing is configured."""

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
            asked: who is told, and of what.
            workspace: its folder's name is told; commands are run in it.
            session: its id, which is told.
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

    def tell(self, event: Event, text: str, **fields: str | float | bool | None) -> None:
        """Have it told, if it is among what was asked for; returns at once. Nothing is told after `close`.

        Args:
            event: what kind of thing happened.
            text: for a person; its first 2000 characters are told.
            fields: what else a program may want to know, such as run=…, proposal=…
        """
        if self._lines and event in self._asked.on:
            message = _message(event, text, self._workspace, self._session, fields)
            for line in self._lines:
                line.put(message)

    def close(self, timeout: float = 5.0) -> None:
        """Let what waits be told, end what takes longer, and say what was not told.

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
    """What a session tells someone with.

    Args:
        workspace: whose autopilot.toml says who is told.
        session_id: the session.
        on_failure: see `Notifier`.

    Raises:
        InvalidInput: `[notify]` is not written as it has to be.
    """
    return Notifier(notify_settings(workspace), workspace, session_id, on_failure)


def try_out(workspace: Workspace, patience: Patience | None = None) -> list[str]:
    """Send the event `test` through everything that is configured, one after the other, and wait for it.

    Args:
        workspace: whose autopilot.toml says who is told.
        patience: how long a hook is waited for.

    Returns:
        A line for each hook, which begins with `ok` or `BAD`, as those of `autopilot doctor` do.

    Raises:
        InvalidInput: `[notify]` is not written as it has to be.
    """
    hooks = _hooks(notify_settings(workspace), workspace, patience or Patience(), threading.Event())
    if not hooks:
        return [
            f"BAD  notify: nothing is configured: set webhook or command in [notify] of autopilot.toml, or {WEBHOOK}"
        ]
    message = _message("test", "autopilot: a message to try this out", workspace, None, {})
    outcomes = [(hook.name, *_handed(hook, message)) for hook in hooks]
    return [f"{'ok ' if taken else 'BAD'}  {name}: {said}" for name, taken, said in outcomes]
