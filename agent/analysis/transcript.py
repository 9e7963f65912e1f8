"""`transcript.jsonl`: every message of every analysis of a run, in order, appended as it happens."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from agent.model import Message, redacted
from lab.base import append_line, now, read_lines


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


class Answered(NamedTuple):
    """What a transcript has of a call."""

    content: str
    """JSON that the tool answered."""
    ended: bool
    """Whether the analysis came to its end after it."""
    gave_up: str | None
    """Why it was given up then; None where it is complete, or goes on."""


def opening_in(path: Path) -> list[str]:
    """The first messages of the latest analysis in a transcript, in order; empty where there is none.

    Args:
        path: of the file.
    """
    opening: list[str] = []
    for line in read_lines(path):
        if line.get("kind") == "analysis":
            opening = []
        elif line.get("role") in ("system", "user") and len(opening) < 2:
            opening.append(str(line.get("content", "")))
    return opening


def answer_in(path: Path, call_id: str) -> Answered | None:
    """What was answered to a call, once it was.

    Args:
        path: of the file.
        call_id: the call's, which no other analysis has.

    Returns:
        None where it was not carried out.
    """
    found: Answered | None = None
    for line in read_lines(path):
        if line.get("role") == "tool" and line.get("tool_call_id") == call_id:
            found = Answered(str(line.get("content", "")), ended=False, gave_up=None)
        elif found is not None and line.get("kind") == "end":
            return found._replace(ended=True, gave_up=line.get("gave_up"))
        elif found is not None and line.get("kind") == "analysis":
            return found
    return found
