"""Tool calls for endpoints that ignore `tools`: the same tools as one JSON schema for the whole answer.

Many self-hosted models have no template for tools, but their server holds an answer to a schema. The answer is then
`{"call": {"tool": …, "arguments": {…}}}`, one call a turn; what tools answer goes back as a user's message.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from agent.model.chat import Message, ToolCall

LONGEST = 240
"""Characters of a text in an answer, at most: a small model that may ramble does, until its limit cuts the JSON off."""
TEXTS = 6
"""Texts that the longest answer, a report, has with lists of `MOST`."""
MOST = 3
"""Items of a list, at most, for the same reason as `LONGEST`."""
MANY = 8
"""Optional properties above which an object is asked for as a list of objects with one property each.

A server's grammar has a rule for each order and choice of them, and a token takes seconds with thirty.
"""
SHARE = r"0\.[0-9]{1,6}|1"
"""A number from 0 to 1, as text: the grammars of servers hold whole numbers to their bounds, and text to a pattern."""
RULES = """Answer with one JSON object and nothing else, one call at a time:
{"call": {"tool": "<name>", "arguments": {…}}}
What the tool answers comes with the next message. The tools:"""


def answer_format(tools: Sequence[dict[str, Any]], longest: int = LONGEST) -> dict[str, Any]:
    """`response_format` for an answer that is a call of one of these tools.

    Args:
        tools: as for the API's `tools`.
        longest: characters of a text in the answer, at most.
    """
    calls = [
        {
            "type": "object",
            "properties": {
                "tool": {"const": tool["function"]["name"]},
                "arguments": _narrowed(inlined(tool["function"]["parameters"]), longest),
            },
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
    turns: list[dict[str, Any]] = []
    for message in messages:
        role, text = message.role, message.content
        if message.role == "system":
            listed = [f"- {_signature(tool['function'])}" for tool in tools]
            text = "\n".join([message.content, "", RULES, *listed])
        elif message.tool_calls:
            text = "\n".join(_call(call) for call in message.tool_calls)
        elif message.role == "tool":
            role, text = "user", f"{names.get(message.tool_call_id or '', 'The tool')} answered:\n{message.content}"
        if turns and turns[-1]["role"] == role:
            turns[-1]["content"] += f"\n\n{text}"
        else:
            turns.append({"role": role, "content": text or "…"})
    return turns


def call_in(text: str, number: int, tools: Sequence[dict[str, Any]]) -> ToolCall | None:
    """The call that an answer holds; None where it holds none.

    Args:
        text: the answer.
        number: of the message in its conversation; makes the call's id.
        tools: that it had the choice of.
    """
    try:
        call = json.loads(text)["call"]
        name, arguments = str(call["tool"]), call["arguments"]
        schema: dict[str, Any] = next(
            (inlined(tool["function"]["parameters"]) for tool in tools if tool["function"]["name"] == name), {}
        )
        arguments = _read(arguments, schema)
        return ToolCall(id=f"call_{number}", name=name, arguments=json.dumps(arguments))
    except (ValueError, TypeError, KeyError, RecursionError):
        return None


def _read(value: Any, schema: Mapping[str, Any]) -> Any:
    """A value as the tool takes it, from how `_narrowed` had it asked for."""
    if isinstance(value, list) and _is_wide(schema) and all(isinstance(part, dict) for part in value):
        value = {key: inner for part in value for key, inner in part.items()}
    if isinstance(value, dict):
        known = schema.get("properties", {})
        return {key: _read(inner, known.get(key, {})) for key, inner in value.items()}
    if isinstance(value, list):
        return [_read(inner, schema.get("items", {})) for inner in value]
    return float(value) if isinstance(value, str) and _is_share(schema) and re.fullmatch(SHARE, value) else value


def _is_share(schema: Mapping[str, Any]) -> bool:
    return schema.get("type") == "number" and schema.get("minimum", -1) >= 0 and schema.get("maximum", 2) <= 1


def _is_wide(schema: Mapping[str, Any]) -> bool:
    return len(schema.get("properties", {})) > MANY and not schema.get("required")


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


def inlined(schema: Any, defined: Mapping[str, Any] | None = None, *, described: bool = False) -> Any:
    """A schema without references, titles and defaults, and without descriptions.

    Args:
        schema: as a tool has it.
        defined: what it may refer to; its own `$defs` if not given.
        described: descriptions are kept.
    """
    if isinstance(schema, list):
        return [inlined(item, defined, described=described) for item in schema]
    if not isinstance(schema, Mapping):
        return schema
    defined = schema.get("$defs", {}) if defined is None else defined
    if "$ref" in schema:
        return inlined(defined[schema["$ref"].rpartition("/")[2]], defined, described=described)
    left_out = ("$defs", "title", "default") if described else ("$defs", "title", "default", "description")
    kept = {key: value for key, value in schema.items() if key not in left_out}
    named = {k: inlined(value, defined, described=described) for k, value in kept.pop("properties", {}).items()}
    rest = {key: inlined(value, defined, described=described) for key, value in kept.items()}
    return rest | ({"properties": named} if named else {})


def _object_of(name: str, schema: Any) -> dict[str, Any]:
    """The schema of an object with one property and no other."""
    return {"type": "object", "properties": {name: schema}, "required": [name], "additionalProperties": False}


def _narrowed(schema: Any, longest: int) -> Any:
    """A schema that leaves a small model little room to ramble and to be wrong in.

    Where there are examples, such as the names of a proposal's parent, nothing else can be said.
    """
    if isinstance(schema, list):
        return [_narrowed(item, longest) for item in schema]
    if not isinstance(schema, Mapping):
        return schema
    named = {name: _narrowed(value, longest) for name, value in schema.get("properties", {}).items()}
    if _is_wide(schema):
        choices = [_object_of(name, value) for name, value in named.items()]
        return {"type": "array", "items": {"anyOf": choices}, "minItems": 1, "maxItems": MOST}
    if _is_share(schema):
        return {"type": "string", "pattern": f"^({SHARE})$"}
    if "examples" in schema:
        return {"enum": schema["examples"]}
    kept = {key: _narrowed(value, longest) for key, value in schema.items() if key != "properties"}
    if named:
        kept["additionalProperties"] = False
    if "maxLength" in kept:
        kept["maxLength"] = max(min(kept["maxLength"], longest), kept.get("minLength", 0))
    if "maxItems" in kept:
        kept["maxItems"] = max(min(kept["maxItems"], MOST), kept.get("minItems", 0))
    return kept | ({"properties": named} if named else {})
