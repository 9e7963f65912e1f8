"""An OpenAI-compatible endpoint's answer, read as a reply and its usage; any part of it may be missing."""

import json
from collections.abc import Collection
from typing import Any

from agent.model.chat import Message, ModelError, Reply, ToolCall, Usage
from agent.model.openai_text import calls_in, tool_name
from agent.model.redaction import redacted

TEXT = 100_000
"""Characters of an answer, or of a call's arguments, that are kept."""
MOST_TOKENS = 100_000_000
"""Tokens of one answer, at most: more is a mistake of who counts."""
PER_TOKEN = 4
"""Characters that are taken for a token, where an endpoint does not count."""


def reply_of(completion: Any, offered: Collection[str] = (), used: Collection[str] = ()) -> Reply:
    """The answer of an endpoint, bounded and without keys.

    Args:
        completion: what the `openai` package made of the body; whatever an endpoint sends.
        offered: names of the tools that it had; a call of one that stands in the text is one.
        used: ids of the conversation's calls so far: a new call gets one of its own.

    Raises:
        ModelError: no choice is in it, or what answered is no chat completions API.
    """
    if isinstance(completion, str):
        raise ModelError("what answered is no chat completions API: check OPENAI_BASE_URL (it often ends in /v1)")
    if not getattr(completion, "choices", None):
        raise ModelError("the endpoint answered without any choice")
    choice = completion.choices[0]
    message = choice.message
    taken = set(used)
    calls = tuple(
        ToolCall(
            id=_fresh(call.id, taken),
            name=tool_name(str(call.function.name or "")),
            arguments=_arguments(call.function.arguments),
            extra=_beyond(call),
        )
        for call in message.tool_calls or ()
        if getattr(call, "function", None)
    )
    refusal = getattr(message, "refusal", None)
    refused_it = bool(refusal) or choice.finish_reason == "content_filter"
    text = message.content or refusal or ""
    if isinstance(text, list):  # some servers answer in parts
        text = "".join(str(part.get("text", "")) for part in text if isinstance(part, dict))
    if not calls and offered:
        calls = tuple(
            ToolCall(id=_fresh(None, taken), name=name, arguments=_arguments(arguments))
            for name, arguments in calls_in(text[:TEXT], offered)
        )
    return Reply(
        message=Message(role="assistant", content=redacted(text[:TEXT]), tool_calls=calls, extra=_beyond(message)),
        finish="length" if choice.finish_reason == "length" else "refusal" if refused_it else "stop",
    )


def fault_in(completion: Any) -> tuple[int, str] | None:
    """The error that the body of a 200 holds, as status and text, as OpenRouter and others send it; None for none."""
    choices = getattr(completion, "choices", None)
    first = choices[0] if isinstance(choices, list) and choices else None
    held = getattr(completion, "error", None) or (
        getattr(first, "error", None) if getattr(first, "finish_reason", None) in ("error", None) else None
    )
    if not held:
        return None
    code = held.get("code") or held.get("status") if isinstance(held, dict) else None
    said = held.get("message") or json.dumps(held, default=str) if isinstance(held, dict) else str(held)
    number = int(code) if isinstance(code, (int, str)) and str(code).isdigit() and 400 <= int(code) < 600 else 500
    kind = f" ({code})" if number == 500 and code else ""
    return 429 if "rate" in str(code) and "limit" in str(code) else number, f"{said}{kind}"


def _fresh(given: Any, taken: set[str]) -> str:
    """An id that no other call of the conversation has; taken from then on."""
    wanted = str(given or "call")
    names = (wanted if number == 0 and given else f"{wanted}_{number}" for number in range(len(taken) + 2))
    fresh = next(name for name in names if name not in taken)
    taken.add(fresh)
    return fresh


def _beyond(part: Any) -> dict[str, Any]:
    """What a part of an answer carries beyond the API's fields; what is too long to be sent again is left out."""
    extra = getattr(part, "model_extra", None)
    return {key: value for key, value in (extra or {}).items() if len(repr(value)) <= TEXT and value is not None}


def _arguments(given: Any) -> str:
    """A call's arguments, bounded and without keys; some servers send the object itself, some encode it twice."""
    text = given if isinstance(given, str) and given else json.dumps(given or {})
    text = _once(text[:TEXT])
    try:
        spelt_out = json.dumps(json.loads(text), ensure_ascii=False)
    except (ValueError, RecursionError):
        return redacted(text)
    clean = redacted(spelt_out)
    return clean if clean != spelt_out else text


def _once(text: str) -> str:
    """JSON of an object, where it came as JSON of its JSON."""
    try:
        inner = json.loads(text)
        return inner if isinstance(inner, str) and isinstance(json.loads(inner), dict) else text
    except (ValueError, RecursionError):
        return text


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
