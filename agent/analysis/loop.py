"""The agent loop: a model reads a run through tools until it has written the report and staged a proposal.

    run → step → ask → act

How an analysis ends is a small hierarchy of exceptions; the transcript is written as it happens.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from agent.analysis.transcript import Transcript
from agent.model.budget import Budget
from agent.model.chat import ChatModel, Message, ModelError, Reply, TooLong
from lab.base.errors import AutopilotError
from lab.base.text import plain
from tools.context import ToolContext
from tools.proposing import candidates
from tools.registry import Toolbox

IDLE = 3
"""Answers in a row without a call, after which the model is given up."""
CALLS = 8
"""Calls of one answer that are done."""
LAST = 6
"""Requests that are left when only what the analysis still owes is offered, with a check of the config."""
OWED = 3
"""And when not even that check is."""
CUTS = ((2, 24_000), (1, 6_000), (1, 1_500), (0, 400))
"""How a conversation that is too long is shortened: answers of tools that are kept, and characters of each."""


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
    made: set[tuple[str, str]] = field(default_factory=set)
    """Calls so far, each with its arguments."""
    repeated: set[str] = field(default_factory=set)
    """Tools that the last answer called as they had been called before; they are not offered next."""
    idle: int = 0
    dropped: int = 0
    """Calls of the last answer that were not done."""
    cut: int = 0
    """How much the conversation is shortened; a model's context does not grow."""

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
        calls = () if reply.finish == "length" else reply.message.tool_calls
        for call in calls:
            self.act(call.id, call.name, call.arguments)
        if self.context.done:
            raise Complete
        self.idle = 0 if calls else self.idle + 1
        if self.idle >= IDLE:
            said = plain(reply.message.content, 120)
            raise GaveUp(f"{GIVEN_UP[reply.finish]} {self.idle} times in a row{f': {said!r}' if said else ''}")
        if not calls:
            self.say(Message(role="user", content=NUDGE[reply.finish]))
        elif self.dropped:
            self.say(Message(role="user", content=f"Only the first {CALLS} calls were done, {self.dropped} were not."))

    def ask(self) -> Reply:
        """The model's next answer, if the limits allow one more."""
        if self.should_stop():
            raise GaveUp("stopped on request")
        if (why := self.budget.why_not_ask()) is not None:
            raise GaveUp(why)
        tools = self.offered()
        begun = time.monotonic()
        try:
            reply = self.fitting(tools)
        except ModelError as error:
            if error.spent is not None:
                self.budget.charge(error.spent)
            raise
        dollars = self.budget.charge(reply.usage)
        spent = {"usage": reply.usage.model_dump(), "dollars": dollars, "seconds": round(time.monotonic() - begun, 3)}
        message, self.dropped = reply.message, 0
        if reply.finish == "length" or len(message.tool_calls) > CALLS:  # what is not done is not said either
            kept = () if reply.finish == "length" else message.tool_calls[:CALLS]
            self.dropped = len(message.tool_calls) - len(kept)
            reply = reply.model_copy(update={"message": message.model_copy(update={"tool_calls": kept})})
        self.say(reply.message, finish=reply.finish, cut=self.cut, offered=len(tools), **spent)
        self.repeated = {call.name for call in reply.message.tool_calls if (call.name, call.arguments) in self.made}
        self.made |= {(call.name, call.arguments) for call in reply.message.tool_calls}
        return reply

    def offered(self) -> list[dict[str, Any]]:
        """The tools of the next request: towards the end what is owed, and never one that was just called in vain."""
        tools, left = self.toolbox.schemas, self.budget.allowed - self.budget.turns
        owed = {"write_report"} if self.context.report is None and self.context.report_wanted else set[str]()
        if self.context.proposal is None and self.context.ended is None:
            owed |= {"stage_proposal"}
        if not owed and self.context.to_correct:
            owed = {"write_report"}
        if left <= LAST:
            names = owed | ({"check_config"} if left > OWED else set())
            tools = [without(tool, self.context.refused) for tool in tools if tool["function"]["name"] in names]
        if left <= OWED and "stage_proposal" in owed:
            tools = [choosing(tool, self.candidates) for tool in tools]
        fresh = [tool for tool in tools if tool["function"]["name"] not in self.repeated - owed]
        return fresh or tools

    @cached_property
    def candidates(self) -> list[dict[str, Any]]:
        """What the sampler would try next; asked once, when the model has found nothing by itself."""
        return candidates(self.context)

    def fitting(self, tools: Sequence[dict[str, Any]]) -> Reply:
        """An answer to the conversation, or to as much of it as the model's context holds."""
        while True:
            try:
                return self.model.complete(shortened(self.messages, self.cut), tools)
            except TooLong:
                if self.cut == len(CUTS):
                    raise
                self.cut += 1

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


GIVEN_UP = {
    "stop": "made no call",
    "length": "was cut off at its limit of tokens (see max_tokens in autopilot.toml)",
    "refusal": "refused",
}
NUDGE = {
    "stop": "Go on with tool calls: end with write_report and stage_proposal.",
    "length": "Your answer was cut off at its limit of tokens and nothing in it was done. Answer shorter: one call.",
    "refusal": "This is about training a game-playing policy on this machine. Go on with tool calls.",
}


def without(tool: dict[str, Any], refused: set[str]) -> dict[str, Any]:
    """A tool's schema without the keys that were refused before: a small model says the same again.

    Args:
        tool: as for the API's `tools`.
        refused: dotted keys.
    """
    parameters = tool["function"]["parameters"]
    keys = parameters["properties"].get("changes", {}).get("properties", {})
    kept = {key: schema for key, schema in keys.items() if key not in refused}
    if not kept or len(kept) == len(keys):
        return tool
    changes = {**parameters["properties"]["changes"], "properties": kept}
    narrowed = {**parameters, "properties": {**parameters["properties"], "changes": changes}}
    return {**tool, "function": {**tool["function"], "parameters": narrowed}}


def choosing(tool: dict[str, Any], changes: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """A tool's schema with the sampler's candidates for `changes`, for a model that has found none by itself.

    Args:
        tool: as for the API's `tools`.
        changes: of the candidates; nothing is narrowed where there are none.
    """
    parameters = tool["function"]["parameters"]
    if not changes or "changes" not in parameters["properties"]:
        return tool
    few = {"enum": list(changes), "description": "One of the sampler's candidates."}
    narrowed = {**parameters, "properties": {**parameters["properties"], "changes": few}}
    return {**tool, "function": {**tool["function"], "parameters": narrowed}}


def shortened(messages: Sequence[Message], cut: int) -> list[Message]:
    """The conversation with older answers of tools left out.

    Args:
        messages: all of it.
        cut: 0 for as it is, else which row of `CUTS`.
    """
    if cut == 0:
        return list(messages)
    keep, characters = CUTS[cut - 1]
    answers = [index for index, message in enumerate(messages) if message.role == "tool"]
    whole = set(answers[len(answers) - keep :])
    found = []
    for index, message in enumerate(messages):
        limit = characters if index in whole or message.role != "tool" else 0
        if message.role in ("tool", "assistant") and len(message.content) > limit:
            text = f"{message.content[:limit]}… (the rest was left out to save room; call again if you need it)"
            message = message.model_copy(update={"content": text})  # noqa: PLW2901 - the shorter one in its place
        found.append(message)
    return found
