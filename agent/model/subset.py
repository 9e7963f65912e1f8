"""The schemas of tools in the one subset of JSON Schema that every kind of endpoint takes.

What OpenAI's strict mode, Gemini's function declarations and llama.cpp's grammars have in common: a type, a
description, objects of named properties, arrays of one kind of items, choices among texts, `anyOf`, and bounds of
numbers and of lengths of lists. References are written out; what can't be said in it goes into the description, and is
checked when the tool is called all the same.

Sources: platform.openai.com/docs/guides/structured-outputs ("Supported schemas"), ai.google.dev/api/caching#Schema,
llama.cpp's grammars/README.md ("JSON Schemas"). Gemini: no `$defs`, and "enum: only allowed for STRING type".
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from agent.model.structured import inlined

KEYS = frozenset(
    ("type", "description", "properties", "required", "items", "anyOf", "enum", "minimum", "maximum", "minItems",
     "maxItems", "additionalProperties")
)  # fmt: skip
"""Keywords of the subset; `additionalProperties` is false or absent."""
LONG = 300
"""Characters of the choices that a description lists."""


def declared(tools: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Tools as for the API, with their parameters in the subset."""
    return [
        {**tool, "function": {**tool["function"], "parameters": _within(_inlined(tool["function"]["parameters"]))}}
        for tool in tools
    ]


def _inlined(schema: dict[str, Any]) -> Any:
    return inlined(schema, described=True)


def _within(schema: Any) -> Any:
    if not isinstance(schema, Mapping):
        return schema
    schema = _one_of(schema)
    kept = {key: value for key, value in schema.items() if key in KEYS}
    if "properties" in kept:
        kept["properties"] = {name: _within(value) for name, value in kept["properties"].items()}
    if "items" in kept:
        kept["items"] = _within(kept["items"])
    if "anyOf" in kept:
        kept["anyOf"] = [_within(value) for value in kept["anyOf"]]
    if kept.get("type") == "object":
        kept.setdefault("properties", {})
    if kept.get("additionalProperties") is not False:
        kept.pop("additionalProperties", None)
    if "exclusiveMinimum" in schema:
        _say(kept, f"above {schema['exclusiveMinimum']}")
    if "exclusiveMaximum" in schema:
        _say(kept, f"below {schema['exclusiveMaximum']}")
    if isinstance(kept.get("type"), list):  # several types are several choices
        kept["anyOf"] = [{"type": kind} for kind in kept.pop("type")]
    return kept


def _one_of(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A schema whose choices are texts; of others the description tells them."""
    choices = [schema["const"]] if "const" in schema else schema.get("enum")
    if choices is None:
        return dict(schema)
    rest = {key: value for key, value in schema.items() if key not in ("const", "enum")}
    if all(isinstance(choice, str) for choice in choices):
        return {**rest, "type": "string", "enum": list(choices)}
    kinds = list(dict.fromkeys(_TYPE.get(type(choice), "object") for choice in choices))
    rest = {**rest, **({"type": kinds[0]} if len(kinds) == 1 else {"anyOf": [{"type": kind} for kind in kinds]})}
    if len(kinds) > 1:
        rest.pop("type", None)
    _say(rest, f"one of {', '.join(map(json.dumps, choices))}"[:LONG])
    return rest


_TYPE = {str: "string", bool: "boolean", int: "integer", float: "number", list: "array", type(None): "null"}


def _say(schema: dict[str, Any], what: str) -> None:
    schema["description"] = f"{schema['description'].rstrip('.')}; {what}." if schema.get("description") else what
