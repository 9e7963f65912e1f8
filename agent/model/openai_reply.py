"""An OpenAI-compatible endpoint's answer, read as a reply and its usage; any part of it may be missing."""

import json
from typing import Any

from agent.model.chat import Message, ModelError, Reply, ToolCall, Usage
from agent.model.redaction import redacted

TEXT = 100_000
"""Characters of an answer, or of a call's arguments, that are kept."""
MOST_TOKENS = 100_000_000
"""Tokens of one answer, at most: more is a mistake of who counts."""
PER_TOKEN = 4
"""Characters that are taken for a token, where an endpoint does not count."""


def reply_of(completion: Any) -> Reply:
    """The answer of an endpoint, bounded and without keys.

    Args:
        completion: what the `openai` package made of the body; whatever an endpoint sends.

    Raises:
        ModelError: no choice is in it, or what answered is no chat completions API.
    """
    if isinstance(completion, str):
        raise ModelError("what answered is no chat completions API: check OPENAI_BASE_URL (it often ends in /v1)")
    if not getattr(completion, "choices", None):
        raise ModelError("the endpoint answered without any choice")
    choice = completion.choices[0]
    message = choice.message
    calls = tuple(
        ToolCall(
            id=str(call.id or f"call_{index}"),
            name=str(call.function.name or ""),
            arguments=_arguments(call.function.arguments),
        )
        for index, call in enumerate(message.tool_calls or ())
        if getattr(call, "function", None)
    )
    refusal = getattr(message, "refusal", None)
    refused_it = bool(refusal) or choice.finish_reason == "content_filter"
    text = message.content or refusal or ""
    if isinstance(text, list):  # some servers answer in parts
        text = "".join(str(part.get("text", "")) for part in text if isinstance(part, dict))
    return Reply(
        message=Message(role="assistant", content=redacted(text[:TEXT]), tool_calls=calls),
        finish="length" if choice.finish_reason == "length" else "refusal" if refused_it else "stop",
    )


def _arguments(given: Any) -> str:
    """A call's arguments, bounded and without keys; some servers send the object itself."""
    text = given if isinstance(given, str) and given else json.dumps(given or {})
    text = text[:TEXT]
    try:
        spelt_out = json.dumps(json.loads(text), ensure_ascii=False)
    except (ValueError, RecursionError):
        return redacted(text)
    clean = redacted(spelt_out)
    return clean if clean != spelt_out else text


def usage_of(used: Any) -> Usage:
    """The tokens that an endpoint counted; none where it does not count."""
    if not used:
        return Usage()
    read = _count(used, "prompt_tokens")
    return Usage(
        input_tokens=read,
        output_tokens=_count(used, "completion_tokens"),
        cached_tokens=min(read, _count(getattr(used, "prompt_tokens_details", None), "cached_tokens")),
        reasoning_tokens=_count(getattr(used, "completion_tokens_details", None), "reasoning_tokens"),
    )


def estimated_usage(request: dict[str, Any], reply: Reply) -> Usage:
    """Tokens of an endpoint that does not count them: a limit on them must hold all the same."""
    read = len(json.dumps([request["messages"], request.get("tools"), request.get("response_format")]))
    said = len(reply.message.content) + sum(len(call.arguments) for call in reply.message.tool_calls)
    return Usage(input_tokens=read // PER_TOKEN, output_tokens=1 + said // PER_TOKEN)


def _count(of: Any, name: str) -> int:
    try:
        return min(MOST_TOKENS, max(0, int(getattr(of, name, 0) or 0)))
    except (ValueError, TypeError, OverflowError):
        return 0
