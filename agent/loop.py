"""The agent loop: a model reads a run through tools until it has written the report and staged a proposal.

    run → step → ask → act

How an analysis ends is a small hierarchy of exceptions; the transcript is written as it happens.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from agent.chat import ChatModel, Message, ModelError
from agent.transcript import Transcript
from lab.errors import AutopilotError
from tools.context import ToolContext
from tools.registry import Toolbox


class AnalysisEnds(Exception):
    """The loop is over."""


class Complete(AnalysisEnds):
    """Report and proposal are there."""


class GaveUp(AnalysisEnds, AutopilotError):
    """The model did not get there; says why."""


@dataclass
class Limits:
    """What one analysis may use; checked before each request."""

    turns: int = 24
    tokens: int | None = None
    """Left in the session's budget."""


@dataclass
class Analysis:
    """One model at work on one run."""

    model: ChatModel
    toolbox: Toolbox
    context: ToolContext
    transcript: Transcript
    messages: list[Message]
    limits: Limits = field(default_factory=Limits)
    should_stop: Callable[[], bool] = lambda: False
    turns: int = 0
    tokens: int = 0

    def run(self) -> None:
        """Go on until report and proposal are there.

        Raises:
            GaveUp: a limit was reached, or the model can't be asked.
        """
        try:
            while True:
                self.step()
        except Complete:
            return
        except ModelError as error:
            raise GaveUp(str(error)) from error

    def step(self) -> None:
        """One request, and all the calls that came back with it."""
        reply = self.ask()
        for call in reply.tool_calls:
            self.act(call.id, call.name, call.arguments)
        if self.context.done:
            raise Complete
        if not reply.tool_calls:
            self.say(Message(role="user", content="Go on with tool calls: end with write_report and stage_proposal."))

    def ask(self) -> Message:
        """The model's next message, if the limits allow one more."""
        if self.should_stop():
            raise GaveUp("stopped on request")
        if self.turns >= self.limits.turns:
            raise GaveUp(f"no report and proposal after {self.turns} requests")
        if self.limits.tokens is not None and self.tokens >= self.limits.tokens:
            raise GaveUp(f"the session's tokens are used up ({self.tokens:,} in this analysis)")
        self.turns += 1
        reply = self.model.complete(self.messages, self.toolbox.schemas())
        self.tokens += reply.usage.total
        self.say(reply.message, usage=reply.usage.model_dump())
        return reply.message

    def act(self, call_id: str, name: str, arguments: str) -> None:
        """Do one call; its answer, an error included, goes back to the model."""
        answer = self.toolbox.call(name, arguments)
        self.say(Message(role="tool", content=answer.content, tool_call_id=call_id))

    def say(self, message: Message, **more: Any) -> None:
        """Add to the conversation and to the transcript."""
        self.messages.append(message)
        self.transcript.add(message, **more)
