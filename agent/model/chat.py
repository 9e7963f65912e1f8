"""The interface to a model: messages and tool schemas in, one reply out. Shapes follow the chat completions API.

Behind it are an OpenAI-compatible endpoint, the offline researcher, an agent from outside, and a script for tests.
"""

import base64
from collections.abc import Callable, Sequence
from typing import Any, Literal, Protocol, runtime_checkable

from pydantic import BaseModel, ConfigDict, Field, field_validator

from lab.base import AutopilotError, storable, text_of

NOTHING = "…"
"""What an assistant said that said nothing: endpoints refuse an empty message."""


class ModelError(AutopilotError):
    """The model can't be asked: the endpoint refuses, is gone, or answers nonsense. Says what to do."""

    spent: "Usage | None" = None
    """Tokens that were used up in vain."""


class TooLong(ModelError):
    """The conversation is longer than the model's context; a shorter one may do."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    @field_validator("*")
    @classmethod
    def _can_be_sent(cls, value: Any) -> Any:
        """A model may write half of a character, which no request and no file can hold."""
        return text_of(value) if isinstance(value, str) else storable(value) if isinstance(value, dict) else value


class ToolCall(_Part):
    """A model's wish to call a tool."""

    id: str
    name: str
    arguments: str
    """JSON, as the model wrote it."""
    extra: dict[str, Any] = {}
    """What came with the call beyond the API's fields, such as a signature of the thinking before it."""

    def wire(self) -> dict[str, Any]:
        """The call as the API wants it, and with what came with it."""
        return {
            **self.extra,
            "id": self.id,
            "type": "function",
            "function": {"name": self.name, "arguments": self.arguments},
        }


class Message(_Part):
    """One turn of a conversation."""

    role: Literal["system", "user", "assistant", "tool"]
    content: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    """Calls that an assistant asked for."""
    tool_call_id: str | None = None
    """Id of the call that a tool message answers."""
    extra: dict[str, Any] = {}
    """What an assistant's message carried beyond the API's fields (`reasoning_content`); it goes back as it came."""
    picture: bytes | None = Field(default=None, exclude=True, repr=False)
    """A PNG that is sent along, where the endpoint takes images; no transcript holds it."""

    def wire(self) -> dict[str, Any]:
        """The message as the API wants it, and with what came with it; an assistant's is never empty."""
        if self.role == "tool":
            return {"role": "tool", "tool_call_id": self.tool_call_id, "content": self.content}
        if self.picture is not None:
            url = f"data:image/png;base64,{base64.b64encode(self.picture).decode()}"
            parts = [{"type": "text", "text": self.content}, {"type": "image_url", "image_url": {"url": url}}]
            return {"role": self.role, "content": parts}
        if not self.tool_calls:
            content = self.content if self.role != "assistant" else (self.content.strip() and self.content) or NOTHING
            return {**self.extra, "role": self.role, "content": content}
        calls = [call.wire() for call in self.tool_calls]
        return {**self.extra, "role": "assistant", "content": self.content or None, "tool_calls": calls}


class Usage(_Part):
    """The tokens that a request cost."""

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    """Tokens of the input that the endpoint had seen before."""
    reasoning_tokens: int = 0
    """Tokens of the output that the model thought and did not say."""

    @property
    def total(self) -> int:
        """Tokens of input and output together."""
        return self.input_tokens + self.output_tokens

    def __add__(self, other: "Usage") -> "Usage":
        mine, theirs = self.model_dump(), other.model_dump()
        return Usage(**{key: mine[key] + theirs[key] for key in mine})


class Reply(_Part):
    """The answer of a model."""

    message: Message
    usage: Usage = Usage()
    finish: Literal["stop", "length", "refusal"] = "stop"
    """`length`: the answer was cut off at a limit of tokens, so that a call in it may be half a call."""


class ChatModel(Protocol):
    """A model that answers conversations."""

    @property
    def name(self) -> str:
        """The model's name, for reports and records."""

    def complete(self, messages: Sequence[Message], tools: Sequence[dict[str, Any]]) -> Reply:
        """Get the reply to a conversation.

        Args:
            messages: the conversation so far.
            tools: schemas of what may be called.

        Raises:
            TooLong: the conversation does not fit the model's context.
            ModelError: there is no reply to be had.
        """


@runtime_checkable
class Sees(Protocol):
    """A model that may take pictures."""

    def takes_images(self) -> bool:
        """Whether it does; asked once, of whoever knows."""


@runtime_checkable
class Awaited(Protocol):
    """A model that has to come first: whoever takes an analysis that is offered."""

    def arrival(self, run_id: str, why_not: Callable[[], str | None], *, again: bool = False) -> ChatModel:
        """Whoever takes the analysis of a run, once somebody has.

        Args:
            run_id: to be analysed.
            why_not: why nobody is to be asked any more; None while somebody may be.
            again: the one who took it before has left.

        Returns:
            A model by its own name; one that can't be asked and says why, where nobody came.
        """

    def another(self) -> bool:
        """Whether the one who came has left, and another one may have the analysis."""

    def leave(self, why: str | None) -> None:
        """The analysis is over: complete, or given up for this reason."""

    def is_there(self) -> bool:
        """Whether somebody asked for an analysis a moment ago and got none."""
