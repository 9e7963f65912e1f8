"""Services that apprise knows how to reach: a URL each, such as `slack://…`, `mailto://…` or `json://…`.

A URL of apprise's is a secret from its first character after the scheme on, so the scheme is all that is ever shown.
By itself apprise logs more than that. What it logs reaches nobody: of its warnings the status that a server answered
with is kept, a number, and no text at all.
"""

import difflib
import json
import logging
import re
import threading
from functools import cache
from importlib.util import find_spec
from typing import Any

from agent.notify.hooks import Message, Patience, Undelivered, retrying, within
from lab.base import wrong

KINDS = {"finished": "success", "incumbent": "success", "failed": "failure", "approval": "warning", "model": "warning"}
"""How apprise colours what happened."""


def scheme_of(url: str) -> str:
    """What may be shown of a URL: `json://…`, or `…` where it has no scheme."""
    found = re.match(r"[a-z][a-z0-9+.-]{0,30}://", url, re.IGNORECASE)
    return f"{found[0] if found else ''}…"


def listed(given: Any) -> Any:
    """A list, also as the environment can have it: JSON, or words with spaces between them."""
    if not isinstance(given, str):
        return given
    try:
        return json.loads(given) if given.lstrip().startswith("[") else given.split()
    except ValueError:
        raise wrong("is no list", '["json://example.org/…"]') from None


def check_service(url: str) -> str:
    """The URL, if apprise can send to it.

    Raises:
        PydanticCustomError: it can't, or apprise is not installed.
    """
    if find_spec("apprise") is None:
        raise wrong("needs the package apprise", "leave it out, or install it: pip install apprise")
    if _service(url) is not None:
        return url
    scheme = scheme_of(url).partition("://")[0].lower()
    known = {str(one) for entry in _apprise().Apprise().details()["schemas"] for one in _schemes(entry)}
    if scheme in known:
        raise wrong(f"is not what apprise takes for {scheme}://", f"the form that apprise documents for {scheme}://")
    near = difflib.get_close_matches(scheme, sorted(known), n=3) or ["json", "mailto", "slack", "tgram"]
    raise wrong("has a scheme that apprise does not know", ", ".join(f"{one}://" for one in near))


def _schemes(entry: dict[str, Any]) -> list[str]:
    return [one for key in ("protocols", "secure_protocols") for one in entry[key] or ()]


@cache
def _apprise() -> Any:
    """The library, kept from telling anybody what it does; it takes half a second to import."""
    import apprise

    logger = logging.getLogger("apprise")
    logger.propagate = False
    logger.setLevel(logging.WARNING)
    logger.addHandler(logging.NullHandler())
    return apprise


def _service(url: str) -> Any:
    """An object of apprise's for a URL, which talks to nobody yet; None where there is none."""
    # Without a time-out of its own it works in the thread that calls it: ours, which no end of the program waits for.
    asset = _apprise().AppriseAsset(app_id="autopilot", app_desc="autopilot", app_url="", service_timeout=0)
    try:
        return _apprise().Apprise.instantiate(url, asset=asset)
    except Exception:  # noqa: BLE001 - what one of a hundred plugins makes of a text that is none of its URLs
        return None


class _Status(logging.Handler):
    """What a server answered, from the warnings that apprise logs in this thread."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.status: int | None = None
        self._thread = threading.get_ident()

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the number and drop the text."""
        if record.thread == self._thread and (found := re.search(r"\berror=([1-5]\d\d)\b", record.getMessage())):
            self.status = int(found[1])


class _NotTaken(Exception):
    """The service did not take a message."""

    def __init__(self, status: int | None) -> None:
        super().__init__("was not reached, or did not take it" if status is None else f"answered {status}")
        self.passing = status is None or status >= 500


class Service:
    """A service of apprise's as a hook."""

    def __init__(self, url: str, place: str, patience: Patience, giving_up: threading.Event) -> None:
        """Take a URL.

        Args:
            url: one that `check_service` lets pass.
            place: which one of several it is.
            patience: how long the service is waited for.
            giving_up: set when the session is over.
        """
        self.name = f"apprise {scheme_of(url)}{place}"
        self._url, self._patience, self._giving_up = url, patience, giving_up
        self._retrying = retrying(patience, giving_up, _passing)

    def deliver(self, message: Message) -> str:
        """Send a message, again after faults that may pass."""
        try:
            self._retrying(within, self._patience.request, self._giving_up, lambda: self._send(message))
        except Undelivered:
            raise
        except _NotTaken as error:
            why = str(error)
        except TimeoutError:
            why = f"no answer within {self._patience.request:g} s"
        except Exception as error:  # noqa: BLE001 - said by its kind, as its text may quote the URL
            why = type(error).__name__
        else:
            return "taken"
        tries = self._retrying.statistics["attempt_number"]
        raise Undelivered(f"{why}, {tries} tries" if tries > 1 else why)

    def shown(self, text: str) -> str:
        """Nothing of `text`, of which any part may be a secret; see `Hook`."""
        return text.partition(":")[0]

    def _send(self, message: Message) -> None:
        library = _apprise()
        service = _service(self._url)
        kind = KINDS.get(message.event, "info")
        logger, heard = logging.getLogger("apprise"), _Status()
        sender = library.Apprise(asset=service.asset)
        sender.add(service)
        logger.addHandler(heard)
        try:
            title = f"autopilot: {message.event}"
            taken = sender.notify(body=message.text, title=title, notify_type=kind, body_format="text")
        finally:
            logger.removeHandler(heard)
        if not taken:
            raise _NotTaken(heard.status)


def _passing(error: BaseException) -> bool:
    """Whether the same message may be taken later."""
    return error.passing if isinstance(error, _NotTaken) else isinstance(error, TimeoutError)
