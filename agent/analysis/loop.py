"""The agent loop: a model reads a run through tools until it has written the report and staged a proposal.

    run → step → ask → act

How an analysis ends is a small hierarchy of exceptions; the transcript is written as it happens.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from agent.analysis.coaching import Coach
from agent.analysis.transcript import Transcript
from agent.model import Budget, ChatModel, Message, ModelError, Reply
from lab.base import AutopilotError
from tools import Toolbox, ToolContext


class AnalysisEnds(Exception):
    """The loop is over."""


class Complete(AnalysisEnds):
    """Report and proposal are there."""


class GaveUp(AnalysisEnds, AutopilotError):
    """The model did not get there; says why."""


@dataclass
class Analysis:
    """One model at work on one run."""

    model: ChatModel
    toolbox: Toolbox
    context: ToolContext
    transcript: Transcript
    messages: list[Message]
    budget: Budget
    should_stop: Callable[[], bool] = lambda: False

    def __post_init__(self) -> None:
        self.coach = Coach(self.context)

    def run(self) -> None:
        """Go on until report and proposal are there.

        Raises:
            GaveUp: a limit was reached, or the model can't be asked.
        """
        try:
            while True:
                self.step()
        except Complete:
            self.transcript.end(None)
        except (GaveUp, ModelError) as error:
            if self.context.settled:  # only a better report was still wanted
                self.transcript.end(None)
                return
            self.transcript.end(str(error))
            raise GaveUp(str(error)) from error

    def step(self) -> None:
        """One request, and the calls that came back with it."""
        reply = self.ask()
        for call in reply.message.tool_calls:
            self.act(call.id, call.name, call.arguments)
        if self.context.done:
            raise Complete
        if (why := self.coach.given_up(reply)) is not None:
            raise GaveUp(why)
        if (nudge := self.coach.nudge(reply)) is not None:
            self.say(nudge)

    def ask(self) -> Reply:
        """The model's next answer, if the limits allow one more."""
        if self.should_stop():
            raise GaveUp("stopped on request")
        if (why := self.budget.why_not_ask()) is not None:
            raise GaveUp(why)
        tools = self.coach.offered(self.toolbox.schemas, self.budget.allowed - self.budget.turns)
        begun = time.monotonic()
        try:
            reply = self.coach.fitting(self.model, self.messages, tools)
        except ModelError as error:
            if error.spent is not None:
                self.budget.charge(error.spent)
            raise
        dollars = self.budget.charge(reply.usage)
        spent = {"usage": reply.usage.model_dump(), "dollars": dollars, "seconds": round(time.monotonic() - begun, 3)}
        reply = self.coach.heard(reply)
        self.say(reply.message, finish=reply.finish, cut=self.coach.cut, offered=len(tools), **spent)
        self.coach.noted(reply)
        return reply

    def act(self, call_id: str, name: str, arguments: str) -> None:
        """Do one call; its answer, an error included, goes back to the model."""
        begun = time.monotonic()
        answer = self.toolbox.call(name, arguments)
        took = round(time.monotonic() - begun, 3)
        self.say(Message(role="tool", content=answer.content, tool_call_id=call_id), seconds=took)

    def say(self, message: Message, **more: Any) -> None:
        """Add to the conversation and to the transcript."""
        self.messages.append(message)
        self.transcript.add(message, **more)
