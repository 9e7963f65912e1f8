"""Endpoints as they are: each manner, taken from public reports of real servers, played by a real HTTP server."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from agent.model.chat import Message, ModelError, Reply, ToolCall, TooLong
from agent.model.openai_chat import OpenAIChat
from agent.model.openai_text import calls_in
from agent.model.settings import ModelSettings
from agent.model.subset import KEYS, declared
from lab.base.paths import Workspace
from lab.space.inventory import Inventory
from lab.store.lab import Lab
from lab.store.notebook import Notebook
from tests.agent.model.test_openai_chat import SILENT, Endpoint, calling, completion, endpoint, through_a_schema
from tests.conftest import RunMaker
from tools import outline
from tools.catalog import TOOLS
from tools.context import ToolContext
from tools.registry import Toolbox

__all__ = ["endpoint"]

Answer = tuple[int, dict[str, str], Any]


def no(status: int, message: str) -> Answer:
    return status, {}, {"error": {"message": message, "code": status}}


class Manner:
    """A server that calls the first tool that it is offered, `ready` if that is among them."""

    def __call__(self, body: dict[str, Any]) -> Answer:
        return 200, {}, self.answer(body)

    def answer(self, body: dict[str, Any]) -> Any:
        return completion(None, [self.call(body)]) if "tools" in body else through_a_schema(body)

    def call(self, body: dict[str, Any]) -> dict[str, Any]:
        names = [tool["function"]["name"] for tool in body["tools"]]
        name = "ready" if "ready" in names else names[0]
        (made,) = calling(name, **({"ok": True} if name == "ready" else {}))
        return made


class Gemini(Manner):
    """Wants its thought signature back with each call, and knows a part of JSON Schema only.

    ai.google.dev/gemini-api/docs/thought-signatures; no `$defs`, and enums of texts alone.
    """

    def __call__(self, body: dict[str, Any]) -> Answer:
        for tool in body.get("tools", ()):
            for schema in schemas(tool["function"]["parameters"]):
                if {"$defs", "$ref", "const"} & schema.keys():
                    return no(400, 'Invalid JSON payload received. Unknown name "$defs"')
                if any(not isinstance(choice, str) for choice in schema.get("enum", ())):
                    return no(400, "enum: only allowed for STRING type")
        for message in body["messages"]:
            for call in message.get("tool_calls", ()):
                if call.get("extra_content") != {"google": {"thought_signature": "c2lnbmVk"}}:
                    return no(400, "Function call is missing a thought_signature in functionCall parts.")
        return super().__call__(body)

    def call(self, body: dict[str, Any]) -> dict[str, Any]:
        return {**super().call(body), "extra_content": {"google": {"thought_signature": "c2lnbmVk"}}}


class DeepSeek(Manner):
    """Wants the reasoning of its tool turns back (api-docs.deepseek.com/guides/thinking_mode, "Tool calls")."""

    def __call__(self, body: dict[str, Any]) -> Answer:
        for message in body["messages"]:
            if message["role"] == "assistant" and message.get("reasoning_content") != "the run is fine":
                return no(400, "Missing `reasoning_content` field in the assistant message at message index 2")
        return super().__call__(body)

    def answer(self, body: dict[str, Any]) -> Any:
        answer = super().answer(body)
        answer["choices"][0]["message"]["reasoning_content"] = "the run is fine"
        return answer


class Strict(Manner):
    """Sends its reasoning, and refuses to have it back (Groq: "property 'reasoning' is unsupported")."""

    def __call__(self, body: dict[str, Any]) -> Answer:
        if any("reasoning" in message for message in body["messages"]):
            return no(
                400,
                "'messages.2' : for 'role:assistant' the following must be satisfied: property 'reasoning' \
is unsupported",
            )
        return super().__call__(body)

    def answer(self, body: dict[str, Any]) -> Any:
        answer = super().answer(body)
        answer["choices"][0]["message"]["reasoning"] = "hm"
        return answer


class SameIds(Manner):
    """Sends the same id each time, and wants them unique (xorbitsai/inference#4237, fw-ai/fireconnect#16)."""

    def __call__(self, body: dict[str, Any]) -> Answer:
        ids = [call["id"] for message in body["messages"] for call in message.get("tool_calls", ())]
        answered = [message["tool_call_id"] for message in body["messages"] if message["role"] == "tool"]
        if len(set(ids)) != len(ids) or ids != answered:
            return no(400, "Duplicate value for 'tool_call_id'")
        return super().__call__(body)


class NeverEmpty(Manner):
    """Refuses an empty message (Moonshot: "message at position 2 with role 'assistant' must not be empty")."""

    def __call__(self, body: dict[str, Any]) -> Answer:
        if any(not message.get("content") and not message.get("tool_calls") for message in body["messages"]):
            return no(400, "message at position 2 with role 'assistant' must not be empty")
        return super().__call__(body)


class NoJinja(Manner):
    """Knows no tools, and says so with 500 ("tools param requires --jinja flag", containers/ramalama#988)."""

    def __call__(self, body: dict[str, Any]) -> Answer:
        return no(500, "tools param requires --jinja flag") if "tools" in body else super().__call__(body)


class NoToolRole(Manner):
    """Calls tools, and can't be told what they answered (chat templates: "Conversation roles must alternate")."""

    def __call__(self, body: dict[str, Any]) -> Answer:
        if any(message["role"] == "tool" for message in body["messages"]):
            return no(400, "Conversation roles must alternate user/assistant/user/assistant/...")
        return super().__call__(body)


class ChokesOnMany(Manner):
    """Takes one tool and not the real list (a proxy's limit: "tools: too many properties in the request")."""

    def __call__(self, body: dict[str, Any]) -> Answer:
        return no(400, "tools: request too complex") if len(body.get("tools", ())) > 4 else super().__call__(body)


class Router(Manner):
    """Answers 200 with the provider's error in the body, now and then (openrouter.ai/docs/api-reference/errors)."""

    def __init__(self, fault: Any) -> None:
        self.fault, self.asked = fault, 0

    def __call__(self, body: dict[str, Any]) -> Answer:
        self.asked += 1
        return (200, {}, self.fault) if self.asked == 3 else super().__call__(body)


class Streams(Manner):
    """Streams although nobody asked for it (decolua/9router#3492)."""

    def __call__(self, body: dict[str, Any]) -> Answer:
        whole = self.answer(body)
        message = whole["choices"][0]["message"]
        parts: list[dict[str, Any]] = [{"role": "assistant"}]
        for index, call in enumerate(message.get("tool_calls", ())):
            text = call["function"]["arguments"]
            for piece in (text[:3], text[3:]):
                function = {"name": call["function"]["name"] if piece == text[:3] else None, "arguments": piece}
                parts.append({"tool_calls": [{"index": index, "id": call["id"], "type": "function",
                                              "function": function}]})  # fmt: skip
        if message.get("content"):
            parts += [{"content": message["content"][:5]}, {"content": message["content"][5:]}]
        chunks = [{"id": "x", "object": "chat.completion.chunk", "created": 0, "model": "m", "choices": [
            {"index": 0, "delta": delta, "finish_reason": None}]} for delta in parts]  # fmt: skip
        lines = [": keep-alive", *(f"data: {json.dumps(chunk)}\n" for chunk in chunks), "data: [DONE]"]
        return 200, {"Content-Type": "text/event-stream"}, "\n".join(lines).encode()


class AsText(Manner):
    """Leaves the call in the text, each family in its way (vllm-project/vllm#17161, #46863)."""

    def __init__(self, form: str) -> None:
        self.form = form

    def answer(self, body: dict[str, Any]) -> Any:
        if "tools" not in body:
            return completion("I would rather not.")
        function = self.call(body)["function"]
        return completion(self.form % (function["name"], function["arguments"]))


class Prefixed(Manner):
    """Calls `functions.ready:0` (Kimi K2 and gpt-oss on vLLM; MoonshotAI/Kimi-K2 docs/tool_call_guidance.md)."""

    def call(self, body: dict[str, Any]) -> dict[str, Any]:
        made = super().call(body)
        made["function"]["name"] = f"functions.{made['function']['name']}:0"
        return made


class Twice(Manner):
    """Encodes arguments twice (FoundationAgents/OpenManus#989, quarkiverse/quarkus-langchain4j#2642)."""

    def call(self, body: dict[str, Any]) -> dict[str, Any]:
        made = super().call(body)
        made["function"]["arguments"] = json.dumps(made["function"]["arguments"])
        return made


class Rambling(Manner):
    """A base model: knows no tools and writes until it is stopped (llama.cpp, `n_predict` -1)."""

    def __call__(self, body: dict[str, Any]) -> Answer:
        if "response_format" in body:
            return super().__call__(body)
        if "max_tokens" not in body:
            return SILENT, {}, None
        return 200, {}, completion("and then the run " * 50, finish="length")


class Thinking(Manner):
    """Thinks for a while before anything else (reasoning models under a small `max_tokens`: an empty answer)."""

    def answer(self, body: dict[str, Any]) -> Any:
        if body.get("max_tokens", 9999) < 2000:
            return completion("", finish="length")
        return super().answer(body)


class NewNames(Manner):
    """Knows the limit by its newer name only (OpenAI's o-series)."""

    def __call__(self, body: dict[str, Any]) -> Answer:
        if "max_tokens" in body:
            return no(
                400,
                "Unsupported parameter: 'max_tokens' is not supported with this model. Use \
'max_completion_tokens' instead.",
            )
        return super().__call__(body)


def schemas(schema: Any) -> Iterator[dict[str, Any]]:
    """A schema and all within it."""
    yield schema
    for inner in schema.get("properties", {}).values():
        yield from schemas(inner)
    for inner in schema.get("anyOf", ()):
        yield from schemas(inner)
    if isinstance(schema.get("items"), dict):
        yield from schemas(schema["items"])


@pytest.fixture
def model(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> OpenAIChat:
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    return OpenAIChat("m", endpoint.url, ModelSettings(timeout=3, attempts=2, images="off"), sleep=lambda _: None)


FAULT = {"error": {"code": 429, "message": "Rate limit exceeded"}}
IN_CHOICE = {**completion(None), "choices": [{"index": 0, "finish_reason": "error", "message": {
    "role": "assistant", "content": ""}, "error": {"code": 502, "message": "Provider returned error"}}]}  # fmt: skip
BY_TOOLS = [
    Manner(), Gemini(), DeepSeek(), Strict(), SameIds(), NeverEmpty(), Router(FAULT), Router(IN_CHOICE), Streams(),
    AsText('<tool_call>\n{"name": "%s", "arguments": %s}\n</tool_call>'),
    AsText('[TOOL_CALLS] [{"name": "%s", "arguments": %s}]'),
    AsText("Sure.\n<function=%s>%s</function>"), AsText('```json\n{"name": "%s", "parameters": %s}\n```'),
    Prefixed(), Twice(), Thinking(), NewNames(),
]  # fmt: skip
BY_SCHEMA = [NoJinja(), NoToolRole(), ChokesOnMany(), Rambling()]


def named(manner: Any) -> str:
    return type(manner).__name__ + (f"({manner.form[:9]!r})" if isinstance(manner, AsText) else "")


def talk(model: OpenAIChat, tools: list[dict[str, Any]], turns: int = 3) -> list[Reply]:
    """An analysis in small: a few turns, each with what the tool answered; one answer of the model was empty."""
    messages = [Message(role="system", content="s"), Message(role="user", content="u")]
    replies = []
    for _ in range(turns):
        reply = model.complete(messages, tools)
        answers = [Message(role="tool", content='{"runs": []}', tool_call_id=c.id) for c in reply.message.tool_calls]
        messages += [reply.message, *answers]
        replies.append(reply)
    return replies


@pytest.mark.parametrize("manner", BY_TOOLS, ids=named)
def test_a_night_goes_by_tools(endpoint: Endpoint, model: OpenAIChat, manner: Manner) -> None:
    endpoint.answers = [manner]
    model.check(outline())
    sent = endpoint.requests[0]
    assert {tool["function"]["name"] for tool in sent["tools"]} == {"ready", *(tool.name for tool in TOOLS)}
    assert sum(any(m["role"] == "tool" for m in request["messages"]) for request in endpoint.requests) >= 1
    assert not isinstance(manner, Router) or manner.asked == 2
    for reply in talk(model, outline()):
        (call,) = reply.message.tool_calls
        assert (call.name, json.loads(call.arguments)) == ("list_runs", {})
    assert "tools" in endpoint.requests[-1]
    assert not {"max_tokens", "max_completion_tokens"} & endpoint.requests[-1].keys()


@pytest.mark.parametrize("manner", BY_SCHEMA, ids=named)
def test_a_night_goes_through_a_schema(endpoint: Endpoint, model: OpenAIChat, manner: Manner) -> None:
    endpoint.answers = [manner]
    model.check(outline())
    for reply in talk(model, outline()):
        assert [call.name for call in reply.message.tool_calls] == ["list_runs"]
    assert "response_format" in endpoint.requests[-1]


def test_an_empty_answer_goes_back_as_something(endpoint: Endpoint, model: OpenAIChat) -> None:
    endpoint.answers = [NeverEmpty()]
    model.check()
    said = [Message(role="user", content="u"), Message(role="assistant"), Message(role="user", content="Go on.")]
    assert model.complete(said, outline()).message.tool_calls


@pytest.mark.parametrize("status", [400, 413, 500])
def test_an_overflow_is_one_whatever_its_status(endpoint: Endpoint, model: OpenAIChat, status: int) -> None:
    """llama.cpp: its server says 500 of a conversation that is too long."""
    endpoint.answers = [Manner()]
    model.check(outline())
    endpoint.answers = [no(status, "the request exceeds the available context size, try increasing it")]
    before = len(endpoint.requests)
    with pytest.raises(TooLong):
        talk(model, outline())
    assert len(endpoint.requests) == before + 1


def test_what_was_cut_off_is_not_useless(endpoint: Endpoint, model: OpenAIChat) -> None:
    endpoint.answers = [(200, {}, completion("", finish="length"))]
    with pytest.raises(ModelError, match=r"was cut off at 4096 tokens before it called a tool: \[model\]"):
        model.check(outline())
    endpoint.answers = [Manner()]
    model.check(outline())  # it may be asked again
    assert talk(model, outline())


@pytest.mark.parametrize(("body", "said"), [
    ([{"error": {"code": 400, "message": "API key not valid", "status": "INVALID_ARGUMENT"}}], "API key not valid"),
    ({"detail": [{"loc": ["body", "model"], "msg": "field required"}]}, "field required"),
    ({"object": "error", "message": "The model `x` does not exist."}, "The model `x` does not exist."),
    ({"error": "model 'x' not found"}, "model 'x' not found"),
    (b"<html>\n<body>\nupstream connect error\n</body>", "upstream connect error"),
    (b'{\n  "fault": {\n    "faultstring": "quota of the gateway"}}', "quota of the gateway"),
    (b"no such deployment", "no such deployment"),
])  # fmt: skip
def test_the_body_of_an_error_is_quoted_whatever_its_shape(
    endpoint: Endpoint, model: OpenAIChat, body: Any, said: str
) -> None:
    """Gemini's list, FastAPI's detail, vLLM's own, Ollama's text, Envoy's page, Apigee's fault, plain text."""
    endpoint.answers = [(403, {}, body)]
    with pytest.raises(ModelError, match="answered 403") as caught:
        model.check(outline())
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_came_beyond_the_fields_survives_the_transcript_of_a_message() -> None:
    call = ToolCall(id="a", name="n", arguments="{}", extra={"extra_content": {"google": {"thought_signature": "x"}}})
    message = Message(role="assistant", tool_calls=(call,), extra={"reasoning_content": "so"})
    assert Message.model_validate_json(message.model_dump_json()) == message
    assert message.wire()["tool_calls"][0]["extra_content"] == {"google": {"thought_signature": "x"}}


@pytest.mark.parametrize("text", ['{"name": "delete_all", "arguments": {}}', "{", '{"name": "list_runs"}', "", "{}{}"])
def test_prose_is_no_call(text: str) -> None:
    assert calls_in(text, {"list_runs"}) == []


def test_all_tools_keep_to_the_declared_subset(
    inventory: Inventory, make_run: RunMaker, notebook: Notebook, workspace: Workspace
) -> None:
    context = ToolContext(Lab(notebook, inventory), make_run(), None, "scripted")
    for tools in (Toolbox(TOOLS, context).schemas, outline()):
        for tool in declared(tools):
            for schema in schemas(tool["function"]["parameters"]):
                where = (tool["function"]["name"], schema)
                assert schema.keys() <= KEYS, where
                assert isinstance(schema.get("type"), str) or "anyOf" in schema, where
                assert all(isinstance(choice, str) for choice in schema.get("enum", ())), where
                assert schema.get("additionalProperties", False) is False, where
                assert set(schema.get("required", ())) <= schema.get("properties", {}).keys(), where
                if schema.get("type") == "array":
                    assert isinstance(schema["items"], dict), where


@pytest.mark.parametrize(("schema", "expected"), [
    ({"enum": [1, 2]}, {"type": "integer", "description": "one of 1, 2"}),
    ({"const": "a"}, {"type": "string", "enum": ["a"]}),
    ({"type": "number", "exclusiveMinimum": 0, "description": "A share."},
     {"type": "number", "description": "A share; above 0."}),
    ({"type": ["string", "null"]}, {"anyOf": [{"type": "string"}, {"type": "null"}]}),
])  # fmt: skip
def test_what_can_not_be_said_in_the_subset_is_described(schema: dict[str, Any], expected: dict[str, Any]) -> None:
    parameters = {"type": "object", "properties": {"x": schema}}
    (tool,) = declared([{"type": "function", "function": {"name": "t", "parameters": parameters}}])
    assert tool["function"]["parameters"]["properties"]["x"] == expected
