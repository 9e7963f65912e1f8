"""What stands as text in an endpoint's answer and is more: a stream nobody asked for, JSON, calls of tools.

Servers whose template or parser does not know a model's way of calling leave its calls in the text: Hermes and Qwen
write `<tool_call>{…}</tool_call>`, Mistral `[TOOL_CALLS][…]`, Llama `<function=name>{…}</function>` or bare JSON.
"""

import json
import re
from collections.abc import Collection, Iterator
from typing import Any

from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletion, ChatCompletionChunk

FUNCTION = re.compile(r"<function=([\w.:-]+)>\s*")
MOST = 8
"""Calls that are read out of one text."""


def completion_in(text: str) -> Any:
    """A completion from a body that was not declared as JSON; the text itself where it holds none.

    Args:
        text: of the body: JSON, or server-sent events of chunks.
    """
    if re.match(r"\s*(:|data:|event:)", text):
        return _streamed(text)
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return ChatCompletion.construct(**body) if isinstance(body, dict) else text


def _streamed(text: str) -> Any:
    """The chunks of a stream as the one answer that they add up to."""
    state, found = ChatCompletionStreamState(), False
    for line in text.splitlines():
        if not line.startswith("data:") or (data := line.removeprefix("data:").strip()) in ("", "[DONE]"):
            continue
        try:
            body = json.loads(data)
        except (ValueError, RecursionError):
            continue
        if "error" in body:
            return ChatCompletion.construct(**body)
        whole = {"id": "", "created": 0, "model": "", "object": "chat.completion.chunk", **body}
        whole["choices"] = [{"index": 0, "finish_reason": None, **choice} for choice in body.get("choices") or ()]
        state.handle_chunk(ChatCompletionChunk.model_validate(whole))
        found = True
    return state.current_completion_snapshot if found else text


def calls_in(text: str, names: Collection[str]) -> list[tuple[str, Any]]:
    """The calls that a text holds, each a name and its arguments.

    Args:
        text: what a model wrote.
        names: tools that it had the choice of; anything else is prose.
    """
    return [(name, arguments) for name, arguments in _objects(text) if name in names][:MOST]


def _objects(text: str) -> Iterator[tuple[str, Any]]:
    decoder, at = json.JSONDecoder(), 0
    while (start := text.find("{", at)) >= 0:
        try:
            found, end = decoder.raw_decode(text, start)
        except (ValueError, RecursionError):
            at = start + 1
            continue
        before = FUNCTION.findall(text[at:start])
        at = end
        if before:
            yield tool_name(before[-1]), found
            continue
        inner = found.get("function", found) if isinstance(found, dict) else {}
        if isinstance(inner, dict) and isinstance(name := inner.get("name"), str):
            arguments = inner.get("arguments", inner.get("parameters"))
            if arguments is not None:
                yield tool_name(name), arguments


def tool_name(written: str) -> str:
    """A tool's name without the prefix that some models put before it, and the number behind (`functions.ready:0`)."""
    return re.sub(r"^functions?[.:]|:\d+$", "", written)
