"""`transcript.jsonl`: every message of every analysis of a run, in order, appended as it happens."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from agent.model import Message, redacted
from lab.base import append_line, now


class Transcript:
    """One analysis, on its way to disk."""

    def __init__(
        self, path: Path, *, model: str, tools: Sequence[dict[str, Any]], opening: Sequence[Message], **about: Any
    ) -> None:
        """Start with who is asked, what it may call, and what it is told first.

        Args:
            path: of the file.
            model: its name.
            tools: their schemas.
            opening: the first messages.
            about: what they were made from.
        """
        self._path = path
        append_line(path, {"time": now().isoformat(), "kind": "analysis", "model": model, **about, "tools": tools})
        for message in opening:
            self.add(message)

    def end(self, why: str | None) -> None:
        """The analysis is over: it is complete, or the model was given up for this reason."""
        append_line(self._path, {"time": now().isoformat(), "kind": "end", "gave_up": why and redacted(why)})

    def add(self, message: Message, **more: Any) -> None:
        """Append one message.

        Args:
            message: what was said.
            more: what else there is to know of it: tokens, dollars, seconds, how the conversation was shortened.
        """
        body = message.model_dump(exclude_defaults=True)
        body["content"] = redacted(message.content)
        if message.tool_calls:
            body["tool_calls"] = [{**call, "arguments": redacted(call["arguments"])} for call in body["tool_calls"]]
            body["tool_calls"] = json.loads(redacted(json.dumps(body["tool_calls"])))
        if message.extra:
            body["extra"] = json.loads(redacted(json.dumps(message.extra)))
        append_line(self._path, {"time": now().isoformat(), "kind": "message", **body, **more})
