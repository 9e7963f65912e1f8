"""Whether and how an endpoint's model calls tools: it is asked to call one, in either way, as it will be used.

What it may write is limited here, since a base model that knows no tools writes until something stops it. An answer
that was cut off by that says nothing yet: it is asked once more with room to think.
"""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Literal

from agent.model.chat import Message, ModelError, Reply, Usage
from agent.model.structured import call_in

Calling = Literal["tools", "response_format"]
SHORT, LONG = 512, 4096
"""Tokens that a first answer may have, and one that needs room to think."""
READY = {
    "type": "object",
    "properties": {"ok": {"type": "boolean"}},
    "required": ["ok"],
    "additionalProperties": False,
}
PING: dict[str, Any] = {
    "type": "function",
    "function": {"name": "ready", "description": "Say that you are ready.", "parameters": READY},
}
GREETING = (
    Message(role="system", content="You work through tool calls."),
    Message(role="user", content="Call the tool `ready` with ok = true."),
)


class Refused(ModelError):
    """The endpoint answered with a status that says no."""

    def __init__(self, text: str, status: int, *, tools: bool = False) -> None:
        """Say what it answered.

        Args:
            text: in words.
            status: HTTP's.
            tools: it says that it knows no tools.
        """
        super().__init__(text)
        self.status, self.tools = status, tools

    @property
    def is_about_the_request(self) -> bool:
        """Whether another kind of request may do."""
        return self.tools or self.status in (400, 404, 422, 501)


class Unable(ModelError):
    """The model can't do this work at all."""


Ask = Callable[..., Reply]
"""Ask(the way, messages, the tools offered, more of the request)."""


def find_out(
    ask: Ask, model: str, ways: Sequence[Calling], tools: Sequence[dict[str, Any]], *, limited: bool, twice: bool
) -> tuple[Calling, Usage]:
    """How this endpoint's model calls tools.

    Args:
        ask: asks it once.
        model: its name.
        ways: to try, in this order.
        tools: what it will be offered, besides the one that it is asked to call.
        limited: the user has set a limit of tokens, which then counts instead of ours.
        twice: a second turn, with what the tool answered, has to be accepted too.

    Returns:
        The first way that it calls a tool in, and what finding out took.

    Raises:
        Unable: in none.
        ModelError: it can't be asked; `spent` says what was used up.
    """
    spent, queue = Usage(), deque((way, SHORT) for way in ways)
    last: ModelError = Unable(f"{model} neither calls tools nor keeps to a JSON schema: it can't do this work")
    offered, refused, cut = [*tools, PING], None, None
    while queue:
        way, limit = queue.popleft()
        bound = {} if limited else {"max_tokens": limit}
        try:
            reply = ask(way, GREETING, offered, **bound)
            spent += reply.usage
            message = _called(way, reply, offered)
            if message is None:
                if reply.finish == "length":
                    cut = ModelError(
                        f"{model} was cut off at {'its' if limited else limit} tokens before it called a \
tool: [model] in autopilot.toml sets max_tokens or max_completion_tokens"
                    )
                    if not limited and limit == SHORT:  # who was thinking comes to a call, who rambled hardly does
                        (queue.appendleft if _was_thinking(reply) else queue.append)((way, LONG))
                continue
            if twice:
                answers = [Message(role="tool", content='{"ok": true}', tool_call_id=c.id) for c in message.tool_calls]
                spent += ask(way, [*GREETING, message, *answers], offered, **bound).usage
        except Refused as error:
            if not error.is_about_the_request:
                raise
            refused = error
            continue
        return way, spent
    failed = refused or cut or last
    failed.spent = spent
    raise failed


def _called(way: Calling, reply: Reply, offered: Sequence[dict[str, Any]]) -> Message | None:
    """The message with its calls; None where it holds none that is offered."""
    names = {tool["function"]["name"] for tool in offered}
    if way == "tools":
        return reply.message if any(call.name in names for call in reply.message.tool_calls) else None
    call = call_in(reply.message.content, len(GREETING), offered)
    return None if call is None or call.name not in names else Message(role="assistant", tool_calls=(call,))


def _was_thinking(reply: Reply) -> bool:
    return bool(reply.usage.reasoning_tokens or reply.message.extra or not reply.message.content.strip())
