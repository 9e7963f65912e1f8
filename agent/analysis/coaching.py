"""Coaching: what a small model needs to get to report and proposal, and a large one never notices.

Towards the end only what is owed is offered, never what was just called in vain; an answer without a call gets a
nudge, a flood of calls is cut, a conversation that does not fit is shortened.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from agent.model import ChatModel, Message, Reply, TooLong
from lab.base import plain
from tools import ToolContext, suggestions

IDLE = 3
"""Answers in a row without a call, after which the model is given up."""
BABBLE = 3
"""Texts without a sentence in them, after which it is given up too."""
CALLS = 8
"""Calls of one answer that are done."""
LAST = 6
"""Requests that are left when only what the analysis still owes is offered."""
OWED = 3
"""And when a config is to be one of the search's candidates."""
CUTS = ((2, 24_000), (1, 6_000), (1, 1_500), (0, 400))
"""How a conversation that is too long is shortened: answers of tools that are kept, and characters of each."""

SOURCES = re.compile(r"\n## Sources \(data\)\n.*?(?=\n## What is wanted)", re.DOTALL)
"""The section of the first message that is left out first where the conversation is too long."""


@dataclass
class Coach:
    """One analysis, as far as its model needs help."""

    context: ToolContext
    cut: int = 0
    """How much the conversation is shortened; a model's context does not grow."""
    dropped: int = 0
    """Calls of the last answer that were not done."""
    _made: set[tuple[str, str]] = field(default_factory=set)
    """Calls so far, each with its arguments."""
    _repeated: set[str] = field(default_factory=set)
    """Tools that the last answer called as they had been called before; they are not offered next."""
    _idle: int = 0

    def offered(self, tools: list[dict[str, Any]], left: int) -> list[dict[str, Any]]:
        """The tools of the next request: towards the end what is owed, and never one that was just called in vain.

        Args:
            tools: the schemas of all.
            left: requests that are left.
        """
        owed = {"write_report"} if self.context.report_owed else set[str]()
        if self.context.proposal_owed:
            owed |= {"stage_proposal"}
        if not owed and self.context.to_correct:
            owed = {"write_report"}
        if left <= LAST:
            tools = [without(tool, self.context.refused) for tool in tools if tool["function"]["name"] in owed]
        if left <= OWED and "stage_proposal" in owed:
            tools = [choosing(tool, self.suggestions) for tool in tools]
        fresh = [tool for tool in tools if tool["function"]["name"] not in self._repeated - owed]
        return fresh or tools

    @cached_property
    def suggestions(self) -> list[dict[str, Any]]:
        """What the sampler would try next; asked once, when the model has found nothing by itself."""
        return suggestions(self.context)

    def fitting(self, model: ChatModel, messages: Sequence[Message], tools: Sequence[dict[str, Any]]) -> Reply:
        """A model's answer to a conversation, or to as much of it as its context holds.

        Raises:
            ModelError: it can't be asked.
        """
        while True:
            try:
                return model.complete(shortened(messages, self.cut), tools)
            except TooLong:
                if self.cut == len(CUTS):
                    raise
                self.cut += 1

    def heard(self, reply: Reply) -> Reply:
        """An answer with the calls that are done: none of one that was cut off, the first ones of a flood."""
        message, self.dropped = reply.message, 0
        if reply.finish == "length" or len(message.tool_calls) > CALLS:  # what is not done is not said either
            kept = () if reply.finish == "length" else message.tool_calls[:CALLS]
            self.dropped = len(message.tool_calls) - len(kept)
            reply = reply.model_copy(update={"message": message.model_copy(update={"tool_calls": kept})})
        return reply

    def noted(self, reply: Reply) -> None:
        """Remember what an answer calls, and what of it had been called before."""
        made = {(call.name, call.arguments) for call in reply.message.tool_calls}
        self._repeated = {name for name, _ in made & self._made}
        self._made |= made

    def given_up(self, reply: Reply) -> str | None:
        """Why a model is given up that answers without a call again, or in no words; None while it is not."""
        if self.context.babbled >= BABBLE:
            return f"wrote no sentences {self.context.babbled} times"
        self._idle = 0 if reply.message.tool_calls else self._idle + 1
        if self._idle < IDLE:
            return None
        said = plain(reply.message.content, 120)
        return f"{GIVEN_UP[reply.finish]} {self._idle} times in a row{f': {said!r}' if said else ''}"

    def nudge(self, reply: Reply) -> Message | None:
        """What is said to a model after an answer without a call, or with too many; None after any other."""
        if not reply.message.tool_calls:
            return Message(role="user", content=NUDGE[reply.finish])
        if self.dropped:
            return Message(role="user", content=f"Only the first {CALLS} calls were done, {self.dropped} were not.")
        return None


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
    """The conversation with sources, pictures and older answers of tools left out.

    Args:
        messages: all of it.
        cut: 0 for as it is, else which row of `CUTS`.
    """
    if cut == 0:
        return list(messages)
    keep, characters = CUTS[cut - 1]
    answers = [index for index, message in enumerate(messages) if message.role == "tool"]
    whole = set(answers[len(answers) - keep :])
    conversation = []
    for index, message in enumerate(messages):
        limit = characters if index in whole or message.role != "tool" else 0
        if message.role in ("tool", "assistant") and len(message.content) > limit:
            text = f"{message.content[:limit]}… (the rest was left out to save room; call again if you need it)"
            message = message.model_copy(update={"content": text})  # noqa: PLW2901 - the shorter one in its place
        elif message.role == "user":
            told = {"content": SOURCES.sub("", message.content), "picture": None}
            message = message.model_copy(update=told)  # noqa: PLW2901 - as above
        conversation.append(message)
    return conversation
