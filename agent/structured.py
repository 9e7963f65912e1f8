"""Tool calls for endpoints that ignore `tools`: the same tools as one JSON schema for the whole answer.

Many self-hosted models have no template for tools, but their server holds an answer to a schema. The answer is then
`{"call": {"tool": …, "arguments": {…}}}`, one call a turn; what tools answer goes back as a user's message.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from agent.chat import Message, ToolCall

LONGEST = 400
"""Characters of a text in an answer, at most: a small model that may ramble does, until its limit cuts the JSON off."""
RULES = """Answer with one JSON object and nothing else, one call at a time:
{"call": {"tool": "<name>", "arguments": {…}}}
What the tool answers comes with the next message. The tools:"""


def answer_format(tools: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """`response_format` for an answer that is a call of one of these tools.

    Args:
        tools: as for the API's `tools`.
    """
    calls = [
        {
            "type": "object",
            "properties": {"tool": {"const": tool["function"]["name"]}, "arguments": _plain(tool["function"])},
            "required": ["tool", "arguments"],
            "additionalProperties": False,
        }
        for tool in tools
    ]
    schema = {
        "type": "object",
        "properties": {"call": {"anyOf": calls}},
        "required": ["call"],
        "additionalProperties": False,
    }
    return {"type": "json_schema", "json_schema": {"name": "call", "schema": schema}}


def conversation(messages: Sequence[Message], tools: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The messages as an endpoint without tools takes them: roles alternate, the tools stand in the system's message.

    Args:
        messages: the conversation so far.
        tools: as for the API's `tools`.
    """
    names = {call.id: call.name for message in messages for call in message.tool_calls}
    found: list[dict[str, Any]] = []
    for message in messages:
        role, text = message.role, message.content
        if message.role == "system":
            listed = [f"- {_signature(tool['function'])}" for tool in tools]
            text = "\n".join([message.content, "", RULES, *listed])
        elif message.tool_calls:
            text = "\n".join(_call(call) for call in message.tool_calls)
        elif message.role == "tool":
            role, text = "user", f"{names.get(message.tool_call_id or '', 'The tool')} answered:\n{message.content}"
        if found and found[-1]["role"] == role:
            found[-1]["content"] += f"\n\n{text}"
        else:
            found.append({"role": role, "content": text or "…"})
    return found


def call_in(text: str, number: int) -> ToolCall | None:
    """The call that an answer holds; None where it holds none.

    Args:
        text: the answer.
        number: of the message in its conversation; makes the call's id.
    """
    try:
        call = json.loads(text)["call"]
        return ToolCall(id=f"call_{number}", name=str(call["tool"]), arguments=json.dumps(call["arguments"]))
    except (ValueError, TypeError, KeyError, RecursionError):
        return None


def _call(call: ToolCall) -> str:
    try:
        arguments = json.loads(call.arguments)
    except (ValueError, RecursionError):
        arguments = call.arguments
    return json.dumps({"call": {"tool": call.name, "arguments": arguments}}, ensure_ascii=False)


def _signature(function: Mapping[str, Any]) -> str:
    parameters = function["parameters"]
    needed = set(parameters.get("required", ()))
    names = [name if name in needed else f"{name}?" for name in parameters.get("properties", {})]
    return f"{function['name']}({', '.join(names)}): {function.get('description', '').split(chr(10))[0]}"


def _plain(function: Mapping[str, Any]) -> dict[str, Any]:
    """The schema of a function's arguments without references, descriptions and long texts."""
    parameters = function["parameters"]
    found: dict[str, Any] = _inlined(parameters, parameters.get("$defs", {}))
    return found


def _inlined(schema: Any, defined: Mapping[str, Any]) -> Any:
    if isinstance(schema, list):
        return [_inlined(item, defined) for item in schema]
    if not isinstance(schema, Mapping):
        return schema
    if "$ref" in schema:
        return _inlined(defined[schema["$ref"].rpartition("/")[2]], defined)
    kept = {key: value for key, value in schema.items() if key not in ("$defs", "title", "default", "description")}
    if "maxLength" in kept:
        kept["maxLength"] = min(kept["maxLength"], LONGEST)
    named = {name: _inlined(value, defined) for name, value in kept.pop("properties", {}).items()}
    return {key: _inlined(value, defined) for key, value in kept.items()} | ({"properties": named} if named else {})
