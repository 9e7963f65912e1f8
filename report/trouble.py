"""A model that gave up, in words: in the headline, beside how a session stands, and what would mend it."""

import re
from typing import NamedTuple

from lab.base import plain
from lab.store import SessionRecord

ENDPOINT = re.compile(
    r"(?P<what>(?:the endpoint|what answered) [^:(]*[^:( ])(?:: (?P<then>[^(]*[^( ]))?(?: \((?P<said>.*?)\)?)?",
    re.DOTALL,
)
"""What an endpoint did, what is to be done, and in brackets what it said itself (`agent/model/openai_chat.py`)."""
RESTING = re.compile(r"rests until .*?, last: ")
"""What stands before the reason of a model that was not even asked (`agent/analysis/resting.py`)."""


class _Reason(NamedTuple):
    """Why a model gave up, taken apart; the whole of it in the first part where it can't be."""

    what: str
    then: str = ""
    said: str = ""


def gave_up_text(session: SessionRecord) -> str:
    """That a session's model gave up, from when on, how often, and why in a few words; empty where it works."""
    trouble = session.trouble
    if trouble is None or trouble.in_a_row == 0:
        return ""
    when = f"at {trouble.last:%H:%M} UTC"
    if trouble.in_a_row > 1:
        since = f"last {when}" if trouble.since is None else f"from {trouble.since:%H:%M} UTC on"
        when = f"{trouble.in_a_row} times in a row, {since}"
    return f"The model gave up {when} ({plain(_reason(trouble.why).what, 100)}); the offline researcher went on."


def mending_text(session: SessionRecord) -> str:
    """What a person has to see to before a session's model works again; empty where it does, or nobody can tell."""
    if session.trouble is None or session.trouble.in_a_row == 0:
        return ""
    reason = _reason(session.trouble.why)
    if "could not be reached" in reason.what:
        return f"see that the endpoint of {session.model} can be reached"
    return f"{plain(reason.then, 100)}, for {session.model}" if reason.then else ""


def trouble_text(record: SessionRecord, *, alone: bool = False) -> str | None:
    """How often a session's model gave up, and why; None where it never did.

    Args:
        record: the session.
        alone: no headline stands above, so what an endpoint did is told beside what it said itself.
    """
    trouble = record.trouble
    if trouble is None:
        return None
    times = "once" if trouble.analyses == 1 else f"{trouble.analyses} times"
    row = f", the last {trouble.in_a_row} in a row" if trouble.in_a_row > 1 else ""
    first = f", from {trouble.since:%H:%M} on" if row and trouble.since is not None else ""
    then = "it works again" if trouble.in_a_row == 0 else "the offline researcher works on in its place"
    told = trouble.why if alone or trouble.in_a_row == 0 else _reason(trouble.why).said or trouble.why
    why = plain(told, 200).rstrip(".")
    return f"{record.model} gave up {times}{row}{first}, last at {trouble.last:%H:%M} UTC ({why}); {then}"


def _reason(why: str) -> _Reason:
    """A reason taken apart."""
    why = RESTING.sub("", why, count=1).rstrip(".")
    if found := ENDPOINT.fullmatch(why):
        return _Reason(*(found[part] or "" for part in _Reason._fields))
    return _Reason(why.partition(": ")[0])
