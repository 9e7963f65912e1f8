"""The interface to a model: messages and tool schemas in, one reply out. Shapes follow the chat completions API.

Three things sit behind it: an OpenAI-compatible endpoint, the offline researcher, and a script for tests.
"""

from collections.abc import Sequence
from typing import Any, Literal, Protocol

from pydantic import BaseModel, ConfigDict

from lab.errors import AutopilotError


class ModelError(AutopilotError):
    """The model can't be asked: the endpoint refuses, is gone, or answers nonsense. Says what to do."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ToolCall(_Part):
    """A model's wish to call a tool."""

    id: str
    name: str
    arguments: str
    """JSON, as the model wrote it."""


class Message(_Part):
    """One turn of a conversation."""

    role: Literal["system", "user", "assistant", "tool"]
    content: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    """What an assistant asked for."""
    tool_call_id: str | None = None
    """Which of them a tool message answers."""

    def wire(self) -> dict[str, Any]:
        """As the API wants it."""
        if self.role == "tool":
            return {"role": "tool", "tool_call_id": self.tool_call_id, "content": self.content}
        if not self.tool_calls:
            return {"role": self.role, "content": self.content}
        calls = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in self.tool_calls
        ]
        return {"role": "assistant", "content": self.content or None, "tool_calls": calls}


class Usage(_Part):
    """What a request cost."""

    input_tokens: int = 0
    output_tokens: int = 0

    @property
    def total(self) -> int:
        """Both."""
        return self.input_tokens + self.output_tokens


class Reply(_Part):
    """What a model answered."""

    message: Message
    usage: Usage = Usage()


class ChatModel(Protocol):
    """Something that answers."""

    @property
    def name(self) -> str:
        """Who it is, for reports and records."""

    def complete(self, messages: Sequence[Message], tools: Sequence[dict[str, Any]]) -> Reply:
        """One reply.

        Args:
            messages: the conversation so far.
            tools: schemas of what may be called.

        Raises:
            ModelError: there is no reply to be had.
        """
