"""The rules for asking an OpenAI-compatible endpoint again: after which faults, and after how long.

Passing faults (time-outs, cut connections, 408, 409, 429, 5xx) are tried again with growing, jittered pauses, or after
as long as the endpoint asks for.
"""

import email.utils
import re
import time

import openai
from tenacity import RetryCallState, wait_random_exponential

PASSING = (408, 409, 429)
LONGEST_PAUSE = 300.0
"""Seconds between two tries, at most; an endpoint that asks for more is asked earlier."""


def passing(error: BaseException) -> bool:
    """Whether a request that failed like this may succeed later."""
    if isinstance(error, openai.APIStatusError):
        return (error.status_code in PASSING or error.status_code >= 500) and not is_broke(error)
    return isinstance(error, (openai.APIConnectionError, TimeoutError))


def is_broke(error: openai.APIStatusError) -> bool:
    """Whether the account has no credit left: a 429 that no waiting mends."""
    return "insufficient_quota" in f"{error.code} {error}"


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
