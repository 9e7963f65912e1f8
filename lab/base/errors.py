"""The errors that the program raises on purpose, as one small hierarchy.

A message is one line a person can act on. `InvalidInput` means the call or the config is wrong (exit status 2) and
nothing was changed on disk; any other `AutopilotError` means that something failed (exit status 1).
"""

import errno
from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""The system's errors where no more can be written: a full disk, a quota, a limit on files (`ulimit -f`)."""


class Problem(BaseModel):
    """One thing wrong with an input."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    key: str
    """Dotted name of the field, such as `train.gamma`."""
    value: str
    """The value that was given, as text."""
    rule: str
    """What the value has to satisfy, or how it fails to."""
    valid: str
    """The nearest valid value, or what would be valid."""

    def __str__(self) -> str:
        return f"{self.key} = {self.value}: {self.rule}; valid: {self.valid}"


class AutopilotError(Exception):
    """The base of all errors on purpose: something failed. The text is one line for the user."""

    exit_code = 1


class InvalidInput(AutopilotError):
    """The call or the config is wrong; nothing was changed."""

    exit_code = 2

    def __init__(self, problems: Sequence[Problem] | str) -> None:
        self.problems = () if isinstance(problems, str) else tuple(problems)
        super().__init__(problems if isinstance(problems, str) else " | ".join(str(p) for p in problems))


def invalid(key: str, value: object, rule: str, valid: str) -> InvalidInput:
    """An `InvalidInput` of one problem, to be raised.

    Args:
        key: dotted name of the field.
        value: what was given; its first sixty characters are shown.
        rule: what is wrong with it.
        valid: what would be valid.
    """
    return InvalidInput([Problem(key=key, value=repr(value)[:60], rule=rule, valid=valid)])


class NotFound(InvalidInput):
    """A run, proposal or session of that name is not in this workspace."""


class Busy(AutopilotError):
    """Another process holds what this one needs; the text says who and since when."""


class Damaged(AutopilotError):
    """A record on disk can't be read back; the text names the file and what is wrong with it."""


class TrainingFailed(AutopilotError):
    """The training process ended without a result, or could not be started."""


def no_more_text(error: OSError | RuntimeError) -> str:
    """The message where the system starts no further process or thread, with what helps."""
    return f"{error}: end other processes, or raise the limit ('ulimit -u')"


def full_text(error: OSError, place: Path) -> str:
    """The message for an error of `FULL`: what is wrong and what helps."""
    if error.errno == errno.EFBIG:
        return f"a file in {place} may not grow any larger: raise the limit ('ulimit -f')"
    return f"the disk of {place} is full: make room"
