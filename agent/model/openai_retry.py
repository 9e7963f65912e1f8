"""The rules for asking an OpenAI-compatible endpoint again: after which faults, and after how long.

Passing faults (time-outs, cut connections, 408, 409, 429, 5xx) are tried again with growing, jittered pauses, or after
as long as the endpoint asks for.
"""

import email.utils
import json
import re
import time

import openai
from tenacity import RetryCallState, wait_random_exponential

PASSING = (408, 409, 429)
TOO_LONG = re.compile(
    r"context.{0,30}(length|size|window)|too long|too many tokens|maximum.{0,30}tokens", re.IGNORECASE
)
ABOUT_TOOLS = re.compile(
    r"--jinja|\btools?\b.{0,40}(unknown|unsupported|not (supported|known|allowed|available|implemented))"
    r"|(unknown|unsupported|unrecognized|not support).{0,40}\btools?\b",
    re.IGNORECASE,
)
LONGEST_PAUSE = 300.0
"""Seconds between two tries, at most; an endpoint that asks for more is asked earlier."""


def passing(error: BaseException) -> bool:
    """Whether a request that failed like this may succeed later."""
    if isinstance(error, openai.APIStatusError):
        if is_too_long(error) or is_about_tools(error):
            return False
        return (error.status_code in PASSING or error.status_code >= 500) and not is_broke(error)
    return isinstance(error, (openai.APIConnectionError, TimeoutError))


def said_by(error: BaseException) -> str:
    """What an error says on one line, its body whatever shape that has: most endpoints have one of their own."""
    said = str(error) or type(error).__name__
    body = getattr(error, "body", None)
    known = isinstance(body, dict) and isinstance(body.get("message"), str) and body["message"] in said
    if body and not known:
        said += f" - {body if isinstance(body, str) else json.dumps(body, default=str)}"
    return " ".join(re.sub(r"<[^<>]*>", " ", said).split())


def is_too_long(error: openai.APIStatusError) -> bool:
    """Whether a conversation does not fit the model's context; llama.cpp says so with 500 as well."""
    return error.status_code in (400, 413, 422, 500) and TOO_LONG.search(said_by(error)) is not None


def is_about_tools(error: openai.APIStatusError) -> bool:
    """Whether a server that fails says that it knows no tools, as llama.cpp without `--jinja`: waiting won't help."""
    return error.status_code == 500 and ABOUT_TOOLS.search(said_by(error)) is not None


def is_broke(error: openai.APIStatusError) -> bool:
    """Whether the account has no credit left: a 429 that no waiting mends."""
    return "insufficient_quota" in f"{error.code} {said_by(error)}"


def pause(state: RetryCallState) -> float:
    """Seconds until the next try: what the server asks for (`Retry-After`), else exponential with jitter."""
    error = state.outcome.exception() if state.outcome else None
    if isinstance(error, openai.APIStatusError):
        asked = _retry_after(error.response.headers.get("retry-after", ""))
        if asked is not None:
            return min(asked, LONGEST_PAUSE)
    return wait_random_exponential(multiplier=1, max=60)(state)


def _retry_after(header: str) -> float | None:
    """Seconds, given as such or as a date (RFC 9110, section 10.2.3)."""
    if re.fullmatch(r"\d+(\.\d+)?", header):
        return float(header)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(header).timestamp() - time.time())
    except (ValueError, TypeError, IndexError):
        return None
