"""An agent from outside as a model: whoever takes an analysis over `autopilot mcp` makes the next calls of it.

The loop that asks is the one of any model, so limits, tools, checks and transcript are too. It has to come first:
`OutsideAgent` offers an analysis, and is the agent that took it while that one is heard of.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from agent.model.chat import ChatModel, Message, ModelError, Reply, ToolCall
from agent.model.handover import Handover, Turn
from agent.model.settings import ModelSettings
from lab.base import SessionPaths, lasting

AGENT = "agent"
"""What a session calls its model where that is whoever comes."""
POLL = 0.05
"""Seconds between two looks at what an agent has done."""
TAKERS = 3
"""Agents that may take one analysis, one after the other, before it is the offline researcher's."""


@dataclass(frozen=True)
class Absent:
    """A `ChatModel` that can't be asked now."""

    name: str
    why: str

    def complete(self, messages: Sequence[Message], tools: Sequence[dict[str, Any]]) -> Reply:
        """Say why not; see `ChatModel.complete`."""
        raise ModelError(self.why)


@dataclass
class OutsideAgent:
    """A model that has to come first; see `agent.model.chat.Awaited`."""

    paths: SessionPaths
    """Of the session that asks."""
    settings: ModelSettings = field(default_factory=ModelSettings)
    clock: Callable[[], float] = time.monotonic
    pause: Callable[[float], None] = time.sleep
    _turn: Turn | None = field(default=None, init=False)
    _taken: int = field(default=0, init=False)
    _waited: float = field(default=0.0, init=False)
    """Seconds that the present analysis has waited for somebody."""
    _silent: bool = field(default=False, init=False)
    """Whether the one who had it last was silent for too long."""

    def __post_init__(self) -> None:
        self.handover = Handover(self.paths.handover)

    @property
    def name(self) -> str:
        """The name of whoever comes, before anybody has."""
        return AGENT

    def complete(self, messages: Sequence[Message], tools: Sequence[dict[str, Any]]) -> Reply:
        """Refuse: it is asked by way of `arrival`; see `ChatModel.complete`."""
        raise ModelError("no agent has come yet")

    def arrival(self, run_id: str, why_not: Callable[[], str | None], *, again: bool = False) -> ChatModel:
        """Whoever takes the analysis of a run, or a model that says why nobody does; see `Awaited`."""
        if not again:
            self._taken, self._waited = 0, 0.0
        self._silent = False
        turn = self._turn = self.handover.offer(run_id, self.settings.agent_silence, self.settings.turns)
        while self.handover.lease(turn) is None:
            begun, why = self.clock(), why_not()
            if why is None and self._waited >= self.settings.agent_wait:
                why = f"no agent asked for the analysis within {lasting(self.settings.agent_wait)}"
                why = f"no agent went on with it within {lasting(self.settings.agent_wait)}" if again else why
            if why is not None and self.handover.withdraw(turn, why):
                return Absent(AGENT, why)
            self.pause(POLL)
            self._waited += self.clock() - begun
        self._taken += 1
        lease = self.handover.lease(turn)
        return _Present(f"{AGENT} {lease.client if lease else ''}".strip(), self, turn, why_not)

    def another(self) -> bool:
        """Whether the one who had the analysis was silent, so that another one may have it."""
        return self._silent and self._taken < TAKERS

    def fell_silent(self) -> None:
        """Take note that the one who has the analysis was silent for too long."""
        self._silent = True

    def leave(self, why: str | None) -> None:
        """The analysis is over; see `Awaited`."""
        if self._turn is not None:
            self.handover.end(self._turn, why or "")
            self._turn = None

    def is_there(self) -> bool:
        """Whether an agent asked for an analysis a moment ago and got none."""
        return self.handover.somebody()


@dataclass
class _Present:
    """The agent that has taken an analysis."""

    name: str
    outside: OutsideAgent
    turn: Turn
    why_not: Callable[[], str | None]
    number: int = 0

    def complete(self, messages: Sequence[Message], tools: Sequence[dict[str, Any]]) -> Reply:
        """The agent's next call: what it was told is in the transcript; see `ChatModel.complete`."""
        handover = self.outside.handover
        turn = handover.ask(self.turn, self.number)
        self.number += 1
        while (call := handover.called(turn)) is None:
            if (why := self.why_not()) is not None:
                raise ModelError(why)
            silent = f"{self.name} said nothing for {lasting(turn.silence)}"
            if handover.is_silent(turn) and handover.take_away(turn, silent):
                self.outside.fell_silent()
                raise ModelError(silent)
            self.outside.pause(POLL)
        made = ToolCall(id=call.call_id, name=call.name, arguments=call.arguments)
        return Reply(message=Message(role="assistant", tool_calls=(made,)))
