"""Tools as typed functions: the signature and the docstring are the schema that a model sees.

Whatever goes wrong in a tool is told to the model, and stands in the transcript. Every answer is JSON of bounded size.
"""

import inspect
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from lab.base import AutopilotError, rule_of, storable
from tools.context import ToolContext

SPOKEN = ("default", "additionalProperties")
"""Parts of a schema that a model is told of only where they say something; unknown arguments are refused anyway."""
MAX_CHARS = 24_000
"""Of one answer; tools bound their own lists well below it."""


@dataclass(frozen=True)
class Answer:
    """What a call came to."""

    ok: bool
    content: str
    """JSON, for the model."""


@dataclass(frozen=True)
class Tool:
    """One callable function."""

    name: str
    description: str
    arguments: type[BaseModel]
    function: Callable[..., Any]
    listed: bool = True
    """Whether a model is told of it; each request carries what is listed."""
    depending: Mapping[str, Callable[[ToolContext], dict[str, Any]]] = field(default_factory=dict)
    """Argument to what makes its schema, where that depends on the run in question."""

    def schema(self, context: ToolContext | None) -> dict[str, Any]:
        """The tool as the chat completions API wants it; without a context as far as it depends on none."""
        parameters = self.arguments.model_json_schema()
        if context is not None:
            parameters["properties"] |= {name: make(context) for name, make in self.depending.items()}
        if "$ref" not in json.dumps(parameters["properties"]):
            parameters.pop("$defs", None)
        return {
            "type": "function",
            "function": {"name": self.name, "description": self.description, "parameters": _told(parameters)},
        }


def _told(schema: Any) -> Any:
    """A schema without what tells a model nothing: titles, empty defaults, that there are no other arguments."""
    if isinstance(schema, list):
        return [_told(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {key: value for key, value in schema.items() if key != "title" and (key not in SPOKEN or value)}
    named = {name: _told(value) for name, value in kept.pop("properties", {}).items()}
    return {key: _told(value) for key, value in kept.items()} | ({"properties": named} if named else {})


def make_tool(
    function: Callable[..., Any], *, listed: bool = True, **depending: Callable[[ToolContext], dict[str, Any]]
) -> Tool:
    """A tool from a function whose first parameter is the `ToolContext`.

    Args:
        function: its other parameters, their annotations and its docstring are what a model sees.
        listed: False for one that is there for who knows of it.
        depending: parameter to what makes its schema for a context, in place of its annotation's.
    """
    fields: dict[str, Any] = {}
    for parameter in list(inspect.signature(function).parameters.values())[1:]:
        default = ... if parameter.default is inspect.Parameter.empty else parameter.default
        fields[parameter.name] = (parameter.annotation, default)
    config = ConfigDict(extra="forbid", strict=True)
    arguments = create_model(f"{function.__name__}_arguments", __config__=config, **fields)
    return Tool(function.__name__, inspect.cleandoc(function.__doc__ or ""), arguments, function, listed, depending)


class Toolbox:
    """The tools of one analysis, bound to what they may see."""

    def __init__(self, tools: list[Tool], context: ToolContext) -> None:
        self._tools = {tool.name: tool for tool in tools}
        self._context = context

    @cached_property
    def schemas(self) -> list[dict[str, Any]]:
        """The schemas of the tools that are listed, for a request; each request of an analysis has the same."""
        return [tool.schema(self._context) for tool in self._tools.values() if tool.listed]

    def call(self, name: str, arguments: str) -> Answer:
        """Do what a model asked for.

        Args:
            name: as the model wrote it.
            arguments: JSON object, as the model wrote it.
        """
        tool = self._tools.get(name)
        if tool is None:
            return _refusal(f"there is no tool {name[:80]!r}; there are {', '.join(self._tools)}")
        try:
            values = tool.arguments.model_validate_json(arguments or "{}")
            result = storable(
                tool.function(self._context, **{field: getattr(values, field) for field in type(values).model_fields})
            )
        except ValidationError as error:
            wrong = [
                f"{'.'.join(map(str, item['loc'])) or 'arguments'}: {rule_of(item)}" for item in error.errors()[:5]
            ]
            return _refusal("; ".join(wrong))
        except AutopilotError as error:
            return _refusal(str(error))
        except Exception as error:  # noqa: BLE001 - a mistake of ours in one tool must not end a night
            return _refusal(f"the tool itself failed: {type(error).__name__}: {error}")
        content = json.dumps(result, ensure_ascii=False)
        if len(content) <= MAX_CHARS:
            self._context.answers[name] = result
        else:
            content = json.dumps({"cut": content[:MAX_CHARS], "left_out_characters": len(content) - MAX_CHARS})
        return Answer(True, content)


def _refusal(reason: str) -> Answer:
    return Answer(False, json.dumps({"error": reason[:2000]}, ensure_ascii=False))
