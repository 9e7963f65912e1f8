"""Hooks that take messages: a webhook and a command, each given up in time, neither telling a secret."""

import contextlib
import json
import math
import os
import re
import select
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any, Protocol

import httpx2
from tenacity import (
    Retrying,
    retry_if_exception,
    sleep_using_event,
    stop_after_attempt,
    stop_when_event_set,
    wait_exponential,
    wait_random,
)

from agent.model import redacted
from lab.base import Workspace, now, plain, text_of
from training import PRIVATE

WEBHOOK = "AUTOPILOT_WEBHOOK"
"""Environment variable whose webhook goes before the one in the file."""
TEXT = 2000
"""Characters of a message; chat services take no more."""
VALUE = 500
"""Characters of a field that goes with a message."""
FAILURE = 400
"""Characters of the text about a failure."""
SAID = 2000
"""Bytes of a command's last words that are kept."""
OVER = "given up, since the session is over"
TICK = 0.05
"""Seconds between two looks at whether to give up."""


URL = re.compile(r"([a-z][a-z0-9+.-]*://)([^\s'\"<>]*)", re.IGNORECASE)


def hidden(text: str) -> str:
    """`text` with each URL in it cut down to scheme and host: the rest, or who is logged in, may be a secret."""

    def short(url: re.Match[str]) -> str:
        host = "" if "@" in url[2] else re.split(r"[/?#\\]", url[2], maxsplit=1)[0]
        return f"{url[1]}{host}/…"

    return URL.sub(short, text)


# --- messages --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Message:
    """A message about an event."""

    event: str
    text: str
    body: bytes
    """The whole message as JSON."""


def message_of(event: str, text: str, workspace: Workspace, session: str | None, fields: Mapping[str, Any]) -> Message:
    """The message about an event.

    Args:
        event: its kind.
        text: for a person; bounded, and without keys.
        workspace: its folder's name goes with the message.
        session: its id.
        fields: what else there is to know.
    """
    text = cleaned(text, TEXT) or event
    content = {
        "event": event,
        "text": text,
        "time": now().isoformat(timespec="seconds"),
        "session": session,
        "workspace": cleaned(workspace.root.absolute().name, VALUE),
        "run": None,
        "proposal": None,
        **{key: _value(value) for key, value in fields.items()},
    }
    return Message(event, text, json.dumps(content, ensure_ascii=False, allow_nan=False).encode())


def _value(value: Any) -> Any:
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None  # JSON has no NaN
    return cleaned(str(value), VALUE)


def cleaned(text: str, limit: int) -> str:
    """`text` within a limit, without control characters, keys, and halves of characters, which UTF-8 can't hold."""
    text = plain(text_of(text), len(text))  # first: what is left may spell a key
    return plain(redacted(text), limit)


# --- hooks -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Patience:
    """The limits within which a hook is waited for."""

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
    """A hook did not take a message; the text says why."""


class Hook(Protocol):
    """A way by which messages go out."""

    name: str
    """The hook's name as it may be shown."""

    def deliver(self, message: Message) -> str:
        """Hand a message over and say what came of it, or raise `Undelivered`."""

    def shown(self, text: str) -> str:
        """`text` without this hook's secrets."""


def retrying(patience: Patience, giving_up: threading.Event, passing: Callable[[BaseException], bool]) -> Retrying:
    """What tries again after faults that may pass, until it is given up."""
    return Retrying(
        retry=retry_if_exception(passing),
        wait=wait_exponential(multiplier=patience.pause) + wait_random(0, patience.pause),
        stop=stop_after_attempt(patience.attempts) | stop_when_event_set(giving_up),
        sleep=sleep_using_event(giving_up),
        reraise=True,
    )


def within(seconds: float, giving_up: threading.Event, attempt: Callable[[], Any]) -> Any:
    """One try, given up when its time is over: a time-out of the socket counts from each byte that drips in.

    Raises:
        TimeoutError: the time is over.
        Undelivered: it was given up before.
    """
    if giving_up.is_set():
        raise Undelivered(OVER)
    done: SimpleQueue[tuple[Any, BaseException | None]] = SimpleQueue()

    def work() -> None:
        try:
            done.put((attempt(), None))
        except BaseException as error:  # noqa: BLE001 - handed to the one who waits
            done.put((None, error))

    threading.Thread(target=work, daemon=True).start()
    deadline = time.monotonic() + seconds
    while True:
        with contextlib.suppress(Empty):
            outcome, error = done.get(timeout=TICK)
            break
        if giving_up.is_set():
            raise Undelivered(OVER)
        if time.monotonic() > deadline:
            raise TimeoutError
    if error is not None:
        raise error
    return outcome


class _Answered(Exception):
    """The webhook's server did not accept it."""

    def __init__(self, status: int) -> None:
        said = f"answered {status}"
        super().__init__(f"{said}: redirects are not followed" if 300 <= status < 400 else said)
        self.passing = status >= 500


class Webhook:
    """A URL that takes JSON."""

    def __init__(self, url: str, patience: Patience, giving_up: threading.Event) -> None:
        self._url = httpx2.URL(url)
        self.name = f"webhook {self._url.scheme}://{self._url.netloc.decode('ascii', 'replace')}/…"
        parts = (self._url.raw_path.decode("ascii"), self._url.path, self._url.username, self._url.password)
        self._secrets = [part for part in parts if len(part) > 1]
        self._patience, self._giving_up = patience, giving_up
        self._retrying = retrying(patience, giving_up, _passing)

    def deliver(self, message: Message) -> str:
        """Post a message, again after faults that may pass."""
        try:
            status = self._retrying(within, self._patience.request, self._giving_up, lambda: self._post(message))
        except _Answered as error:
            why = str(error)
        except (TimeoutError, httpx2.TimeoutException):
            why = f"no answer within {self._patience.request:g} s"
        except httpx2.ProtocolError as error:
            why = type(error).__name__  # its text quotes what the server said, which may be what it was sent
        except httpx2.TransportError as error:
            why = f"{type(error).__name__}: {error}"
        else:
            return f"answered {status}"
        tries = self._retrying.statistics["attempt_number"]
        raise Undelivered(self.shown(f"{why}, {tries} tries" if tries > 1 else why))

    def shown(self, text: str) -> str:
        """`text` without the hook's secrets; see `Hook`."""
        text = hidden(text)
        for secret in self._secrets:
            text = text.replace(secret, "…")
        return text

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


class Command:
    """A program that is run for each message."""

    def __init__(
        self, words: tuple[str, ...], workspace: Workspace, patience: Patience, giving_up: threading.Event
    ) -> None:
        self._words, self._workspace = words, workspace
        self._patience, self._giving_up = patience, giving_up
        self.name = f"command {self.shown(words[0])}"

    def deliver(self, message: Message) -> str:
        """Run the program without a shell, and end whatever it has started."""
        inherited = {key: value for key, value in os.environ.items() if key.upper() not in PRIVATE}
        environment = {**inherited, "AUTOPILOT_EVENT": message.event, "AUTOPILOT_TEXT": message.text}
        try:
            process = subprocess.Popen(  # noqa: S603 - the user's own
                self._words,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                bufsize=0,
                env=environment,
                start_new_session=True,
                cwd=self._workspace.root,
            )
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
        """`text` without the hook's secrets; see `Hook`."""
        return hidden(text)

    def _attend(self, process: subprocess.Popen[bytes], body: bytes) -> bytes:
        """Feed the program and listen until it ends; returns the last of what it said on standard error.

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


def handed(hook: Hook, message: Message) -> tuple[bool, str]:
    """Whether a hook took a message, and what came of it in one line."""
    try:
        return True, hook.deliver(message)
    except Undelivered as error:
        why = str(error)
    except Exception as error:  # noqa: BLE001 - whatever a hook comes upon is said, and ends nothing
        why = hook.shown(f"{type(error).__name__}: {error}")
    return False, " ".join(cleaned(why, FAILURE).split())
