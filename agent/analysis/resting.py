"""A model that gave up several times in a row rests, and is asked again after a while: a night has other work to do.

A try may take minutes of time-outs; the longer it took, the longer the rest, so that one that fails at once is asked
with each run. While it rests the offline researcher works on, and the transcript says why.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

from agent.model import Absent, Awaited, ChatModel
from lab.base import now, plain

TIRED = 3
"""Times in a row that a model may give up before it rests."""
REST = 900.0
"""Seconds that it rests, at most."""
TIMES = 5
"""How much longer it rests than its last try took."""


@dataclass
class Rest:
    """How a model has fared of late."""

    clock: Callable[[], float] = time.monotonic
    in_a_row: int = 0
    """Analyses in a row that it gave up."""
    _begun: float = field(default=0.0, init=False)
    _until: float = field(default=0.0, init=False)
    _why: str = field(default="", init=False)

    def model(self, model: ChatModel) -> ChatModel:
        """The model that is asked now: the one given, or one that says that it rests.

        An agent from outside that was away is asked again as soon as it is seen to be there.
        """
        self._begun = self.clock()
        if self._begun < self._until and isinstance(model, Awaited) and model.is_there():
            self._until = self._begun
        left = self._until - self._begun
        if left <= 0:
            return model
        at = now() + timedelta(seconds=left)
        return Absent(
            model.name, f"rests until {at:%H:%M} UTC, having given up {self.in_a_row} times in a row, last: {self._why}"
        )

    def gave_up(self, why: str) -> None:
        """Take note that it gave up."""
        if self._begun < self._until:  # it was not asked
            return
        self.in_a_row, self._why = self.in_a_row + 1, plain(why, 200)
        if self.in_a_row >= TIRED:
            self._until = self.clock() + min(REST, TIMES * (self.clock() - self._begun))

    def went_well(self) -> None:
        """Take note that it did not."""
        self.in_a_row = 0
