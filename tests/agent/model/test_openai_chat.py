"""The wire, against a real HTTP server on the loopback that misbehaves on purpose."""

import email.utils
import json
import re
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.model.budget import price_of
from agent.model.chat import Message, ModelError, ToolCall, TooLong, Usage
from agent.model.openai_chat import OpenAIChat
from agent.model.settings import ModelSettings
from agent.model.structured import answer_format, call_in
from lab.base.errors import InvalidInput
from lab.base.paths import Workspace
from lab.space.inventory import Inventory
from lab.store.lab import Lab
from lab.store.notebook import Notebook
from tests.conftest import Cli, RunMaker
from tools import catalog
from tools.context import ToolContext
from tools.registry import Toolbox


def completion(
    content: str | None = "hello", tool_calls: list[dict[str, Any]] | None = None, finish: str = "stop", **usage: Any
) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": content}
    if tool_calls:
        message["tool_calls"] = tool_calls
    usage = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18, **usage}
    choice = {"index": 0, "message": message, "finish_reason": finish}
    return {"id": "x", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice], "usage": usage}


CUT, SILENT, DRIPPING = 0, -1, -2
"""In place of a status: the connection is cut in mid-answer; nothing comes; bytes come, and never all of them."""


class Endpoint:
    """Plays answers in order, the last one over and over.

    Each is a status, headers and a body (or what makes one of a request), or what makes all three of a request.
    """

    def __init__(self) -> None:
        self.answers: list[Any] = [(200, {}, completion())]
        self.closing = threading.Event()
        self.requests: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                index = min(len(endpoint.requests), len(endpoint.answers) - 1)
                endpoint.requests.append(body)
                endpoint.headers.append({key.lower(): value for key, value in self.headers.items()})
                played = endpoint.answers[index]
                status, headers, answer = played(body) if callable(played) else played
                if status <= 0:
                    if status != SILENT:
                        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{")
                    while status != CUT and not endpoint.closing.wait(0.05):
                        if status == DRIPPING:
                            self.wfile.write(b" ")
                    self.connection.close()
                    return
                answer = answer(body) if callable(answer) else answer
                data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
                self.send_response(status)
                for key, value in {
                    "Content-Type": "application/json",
                    "Content-Length": str(len(data)),
                    **headers,
                }.items():
                    self.send_header(key, value)
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: Any) -> None:
                """Quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    found = Endpoint()
    yield found
    found.closing.set()
    found.server.shutdown()
    found.server.server_close()


@pytest.fixture
def waits() -> list[float]:
    return []


@pytest.fixture
def connect(endpoint: Endpoint, waits: list[float], monkeypatch: pytest.MonkeyPatch) -> Callable[..., OpenAIChat]:
    monkeypatch.setenv("OPENAI_API_KEY", "test-key-0123456789")

    def make(calling: str | None = "tools", **asked: Any) -> OpenAIChat:
        return OpenAIChat("m", endpoint.url, ModelSettings(calling=calling, **asked), sleep=waits.append)

    return make


ASK = [Message(role="system", content="s"), Message(role="user", content="u")]
TOOLS = [{"type": "function", "function": {"name": "list_runs", "parameters": {"type": "object", "properties": {}}}}]


def test_tool_calls_several_in_one_message(endpoint: Endpoint, connect: Callable[..., OpenAIChat]) -> None:
    wanted = [
        {"id": f"c{n}", "type": "function", "function": {"name": "list_runs", "arguments": '{"limit": 3}'}}
        for n in range(2)
    ]
    endpoint.answers = [(200, {}, completion(None, wanted))]
    reply = connect().complete(ASK, TOOLS)
    assert [call.name for call in reply.message.tool_calls] == ["list_runs"] * 2
    assert reply.usage.total == 18
    assert endpoint.requests[0]["tools"] == TOOLS
    assert endpoint.headers[0]["authorization"] == "Bearer test-key-0123456789"


def test_a_conversation_with_tools_goes_out_as_the_api_wants_it(
    endpoint: Endpoint, connect: Callable[..., OpenAIChat]
) -> None:
    call = ToolCall(id="c1", name="list_runs", arguments="{}")
    talk = [*ASK, Message(role="assistant", tool_calls=(call,)), Message(role="tool", content="{}", tool_call_id="c1")]
    connect().complete(talk, TOOLS)
    sent = endpoint.requests[0]["messages"]
    assert sent[2] == {"role": "assistant", "content": None, "tool_calls": [
        {"id": "c1", "type": "function", "function": {"name": "list_runs", "arguments": "{}"}}]}  # fmt: skip
    assert sent[3] == {"role": "tool", "tool_call_id": "c1", "content": "{}"}


@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503])
def test_a_passing_fault_is_tried_again(
    endpoint: Endpoint, connect: Callable[..., OpenAIChat], waits: list[float], status: int
) -> None:
    endpoint.answers = [(status, {}, {"error": {"message": "busy"}})] * 2 + [(200, {}, completion())]
    assert connect().complete(ASK, TOOLS).message.content == "hello"
    assert len(endpoint.requests) == 3
    assert len(waits) == 2


def test_retry_after_is_respected(endpoint: Endpoint, connect: Callable[..., OpenAIChat], waits: list[float]) -> None:
    endpoint.answers = [(429, {"Retry-After": "17"}, {"error": {"message": "slow down"}}), (200, {}, completion())]
    connect().complete(ASK, TOOLS)
    assert waits == [17.0]


def test_a_storm_ends(endpoint: Endpoint, connect: Callable[..., OpenAIChat], waits: list[float]) -> None:
    endpoint.answers = [(429, {}, {"error": {"message": "storm"}})]
    with pytest.raises(ModelError, match="429"):
        connect().complete(ASK, TOOLS)
    assert len(endpoint.requests) == ModelSettings().attempts


def test_a_connection_cut_in_mid_answer_is_tried_again(endpoint: Endpoint, connect: Callable[..., OpenAIChat]) -> None:
    endpoint.answers = [(CUT, {}, None), (200, {}, completion())]
    assert connect().complete(ASK, TOOLS).message.content == "hello"


@pytest.mark.parametrize(
    ("status", "remedy"),
    [(400, "does not accept the request"), (401, "OPENAI_API_KEY"), (403, "key"), (404, "--model")],
)
def test_what_waiting_cannot_mend_is_said_at_once(
    endpoint: Endpoint, connect: Callable[..., OpenAIChat], status: int, remedy: str
) -> None:
    endpoint.answers = [(status, {}, {"error": {"message": "no"}})]
    with pytest.raises(ModelError, match=remedy):
        connect().complete(ASK, TOOLS)
    assert len(endpoint.requests) == 1


def test_nobody_there(connect: Callable[..., OpenAIChat], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    gone = OpenAIChat("m", "http://127.0.0.1:9/v1", sleep=lambda _: None)
    with pytest.raises(ModelError, match="could not be reached"):
        gone.complete(ASK, TOOLS)


@pytest.mark.parametrize("body", [{}, {"choices": []}, {**completion(), "choices": None}])
def test_an_answer_without_a_choice(
    endpoint: Endpoint, connect: Callable[..., OpenAIChat], body: dict[str, Any]
) -> None:
    endpoint.answers = [(200, {}, body)]
    with pytest.raises(ModelError, match="without any choice"):
        connect().complete(ASK, TOOLS)


@pytest.mark.parametrize(
    "choice",
    [{"index": 0}, {"index": 0, "message": None}, {"index": 0, "message": {"role": "assistant", "content": 7}}],
)  # fmt: skip
def test_an_answer_of_another_shape(endpoint: Endpoint, connect: Callable[..., OpenAIChat], choice: Any) -> None:
    endpoint.answers = [(200, {}, {**completion(), "choices": [choice]})]
    with pytest.raises(ModelError, match="shape"):
        connect().complete(ASK, TOOLS)


def test_choices_that_are_no_list(endpoint: Endpoint, connect: Callable[..., OpenAIChat]) -> None:
    endpoint.answers = [(200, {}, {**completion(), "choices": {"a": 1}})]
    with pytest.raises(ModelError, match="shape") as caught:
        connect().complete(ASK, TOOLS)
    assert caught.value.spent == Usage(input_tokens=11, output_tokens=7)  # paid for all the same


def test_a_call_without_a_name_costs_that_call_alone(endpoint: Endpoint, connect: Callable[..., OpenAIChat]) -> None:
    (good,) = calling("list_runs")
    nameless = {"id": "c", "type": "function", "function": {"name": None, "arguments": "{}"}}
    endpoint.answers = [(200, {}, completion(None, [good, nameless]))]
    assert [call.name for call in connect().complete(ASK, TOOLS).message.tool_calls] == ["list_runs", ""]


@pytest.mark.parametrize(
    "counted", [{"prompt_tokens": "many"}, {"prompt_tokens": 10**400}, {"completion_tokens": None}]
)
def test_counts_that_are_none_cost_no_answer(
    endpoint: Endpoint, connect: Callable[..., OpenAIChat], counted: dict[str, Any]
) -> None:
    body = completion()
    endpoint.answers = [(200, {}, {**body, "usage": {**body["usage"], **counted}})]
    assert 0 < connect().complete(ASK, TOOLS).usage.total <= 200_000_000


def test_more_tokens_from_the_cache_than_were_read_are_not_believed(
    endpoint: Endpoint, connect: Callable[..., OpenAIChat]
) -> None:
    endpoint.answers = [(200, {}, completion(prompt_tokens_details={"cached_tokens": 5000}))]
    usage = connect().complete(ASK, TOOLS).usage
    assert usage.cached_tokens == usage.input_tokens == 11


def test_an_answer_that_quotes_the_key_comes_without_it(endpoint: Endpoint, connect: Callable[..., OpenAIChat]) -> None:
    escaped = "".join(f"\\u{ord(letter):04x}" for letter in "test-key-0123456789")
    (call,) = calling("list_runs")
    call["function"]["arguments"] = f'{{"a": "{escaped}"}}'
    endpoint.answers = [(200, {}, completion("you use test-key-0123456789", [call]))]
    message = connect().complete(ASK, TOOLS).message
    assert message.content == "you use [key]"
    assert json.loads(message.tool_calls[0].arguments) == {"a": "[key]"}


def test_arguments_are_bounded(endpoint: Endpoint, connect: Callable[..., OpenAIChat]) -> None:
    endpoint.answers = [(200, {}, completion(None, calling("list_runs", sql="x" * 2_000_000)))]
    assert len(connect().complete(ASK, TOOLS).message.tool_calls[0].arguments) == 100_000


def test_a_page_instead_of_an_api_is_said(endpoint: Endpoint, connect: Callable[..., OpenAIChat]) -> None:
    endpoint.answers = [(200, {"Content-Type": "text/html"}, b"<html>welcome</html>")]
    with pytest.raises(ModelError, match="OPENAI_BASE_URL"):
        connect().complete(ASK, TOOLS)


def test_no_waiting_past_the_end_of_the_night(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    endpoint.answers = [(429, {"Retry-After": "100"}, {"error": {"message": "slow"}})]
    slept: list[float] = []
    model = OpenAIChat("m", endpoint.url, ModelSettings(calling="tools"), left=lambda: 20.0, sleep=slept.append)
    with pytest.raises(ModelError, match="429"):
        model.complete(ASK, TOOLS)
    assert (slept, len(endpoint.requests)) == ([], 1)


def test_an_endpoint_that_is_down_is_tried_once_until_it_is_back(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    down = (503, {}, {"error": {"message": "down"}})
    endpoint.answers = [down]
    asked = ModelSettings(calling="tools", attempts=3)
    model = OpenAIChat("m", endpoint.url, asked, sleep=lambda _: None)
    for requests in (3, 4, 5):
        with pytest.raises(ModelError, match="503"):
            model.complete(ASK, TOOLS)
        assert len(endpoint.requests) == requests
    endpoint.answers = [down] * 5 + [(200, {}, completion()), down]
    model.complete(ASK, TOOLS)
    with pytest.raises(ModelError, match="503"):
        model.complete(ASK, TOOLS)
    assert len(endpoint.requests) == 9


def test_an_account_without_credit_is_not_asked_again(endpoint: Endpoint, connect: Callable[..., OpenAIChat]) -> None:
    endpoint.answers = [(429, {}, {"error": {"message": "no", "code": "insufficient_quota"}})]
    with pytest.raises(ModelError, match="no credit"):
        connect().complete(ASK, TOOLS)
    assert len(endpoint.requests) == 1


def test_an_answer_that_is_no_json(endpoint: Endpoint, connect: Callable[..., OpenAIChat]) -> None:
    endpoint.answers = [(200, {"Content-Length": "9"}, b"{nonsense")]
    with pytest.raises(ModelError, match="can't be read"):
        connect().complete(ASK, TOOLS)


def test_content_in_parts(endpoint: Endpoint, connect: Callable[..., OpenAIChat]) -> None:
    parts = [{"type": "text", "text": "hel"}, {"type": "text", "text": "lo"}]
    endpoint.answers = [(200, {}, completion(parts))]  # type: ignore[arg-type]
    assert connect().complete(ASK, TOOLS).message.content == "hello"


def test_without_a_key_there_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(InvalidInput, match="OPENAI_API_KEY"):
        OpenAIChat("m")


@pytest.mark.parametrize("kind", [SILENT, DRIPPING])
def test_silence_is_given_up_and_tried_again(
    endpoint: Endpoint, connect: Callable[..., OpenAIChat], waits: list[float], kind: int
) -> None:
    endpoint.answers = [(kind, {}, None), (200, {}, completion())]
    assert connect(timeout=1).complete(ASK, TOOLS).message.content == "hello"
    assert (len(endpoint.requests), len(waits)) == (2, 1)
    endpoint.answers = [(kind, {}, None)]
    with pytest.raises(ModelError, match="took the request and is still writing, or stuck, after 1 s"):
        connect(timeout=1, attempts=2).complete(ASK, TOOLS)


def test_retry_after_as_a_date_and_no_longer_than_five_minutes(
    endpoint: Endpoint, connect: Callable[..., OpenAIChat], waits: list[float]
) -> None:
    soon = email.utils.format_datetime(datetime.now(UTC) + timedelta(seconds=40), usegmt=True)
    busy = {"error": {"message": "busy"}}
    endpoint.answers = [(429, {"Retry-After": soon}, busy), (503, {"Retry-After": "7200"}, busy),
                        (503, {"Retry-After": "whenever"}, busy), (200, {}, completion())]  # fmt: skip
    connect().complete(ASK, TOOLS)
    assert 35 < waits[0] <= 40
    assert waits[1] == 300
    assert 0 <= waits[2] <= 60


def test_a_stop_ends_the_waiting(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    stopping = threading.Event()

    def storm(_: dict[str, Any]) -> dict[str, Any]:
        stopping.set()
        return {"error": {"message": "busy"}}

    endpoint.answers = [(429, {"Retry-After": "300"}, storm)]
    with pytest.raises(ModelError, match="429"):
        OpenAIChat("m", endpoint.url, ModelSettings(calling="tools"), stopping=stopping).complete(ASK, TOOLS)
    assert len(endpoint.requests) == 1


def test_the_key_is_in_no_message(endpoint: Endpoint, connect: Callable[..., OpenAIChat]) -> None:
    endpoint.answers = [(401, {}, {"error": {"message": "Incorrect API key provided: test-key-0123456789"}})]
    with pytest.raises(ModelError) as caught:
        connect().complete(ASK, TOOLS)
    assert "test-key" not in str(caught.value)
    assert "[key]" in str(caught.value)


def test_what_reasoning_and_a_cache_count(endpoint: Endpoint, connect: Callable[..., OpenAIChat]) -> None:
    details = {"prompt_tokens_details": {"cached_tokens": 8}, "completion_tokens_details": {"reasoning_tokens": 5}}
    endpoint.answers = [(200, {}, completion(**details)), (200, {}, completion(prompt_tokens_details=None)),
                        (200, {}, {**completion(), "usage": None})]  # fmt: skip
    model = connect(reasoning_effort="low", max_completion_tokens=2000)
    assert model.complete(ASK, TOOLS).usage == Usage(
        input_tokens=11, output_tokens=7, cached_tokens=8, reasoning_tokens=5
    )
    assert model.complete(ASK, TOOLS).usage == Usage(input_tokens=11, output_tokens=7)
    estimated = model.complete(ASK, TOOLS).usage  # who does not count is counted for: a limit must hold
    assert estimated.input_tokens > 10 < estimated.total
    sent = endpoint.requests[0]
    assert (sent["reasoning_effort"], sent["max_completion_tokens"]) == ("low", 2000)
    assert not {"temperature", "top_p", "max_tokens", "timeout", "attempts", "turns"} & sent.keys()


@pytest.mark.parametrize(("answer", "finish"), [
    (completion("half a", finish="length"), "length"),
    (completion(None, finish="content_filter"), "refusal"),
    (completion("", finish="stop"), "stop"),
    ({**completion(), "choices": [{"index": 0, "finish_reason": "stop", "message": {
        "role": "assistant", "content": None, "refusal": "I would rather not."}}]}, "refusal"),
])  # fmt: skip
def test_how_an_answer_ended(
    endpoint: Endpoint, connect: Callable[..., OpenAIChat], answer: dict[str, Any], finish: str
) -> None:
    endpoint.answers = [(200, {}, answer)]
    assert connect().complete(ASK, TOOLS).finish == finish


@pytest.mark.parametrize(("status", "error"), [
    (400, {"message": "This model's maximum context length is 8192 tokens.", "code": "context_length_exceeded"}),
    (400, {"message": "the request exceeds the available context size (2048 tokens)", "code": 400}),
    (413, {"message": "prompt is too long"}),
])  # fmt: skip
def test_a_conversation_that_does_not_fit(
    endpoint: Endpoint, connect: Callable[..., OpenAIChat], status: int, error: dict[str, Any]
) -> None:
    endpoint.answers = [(status, {}, {"error": error})]
    with pytest.raises(TooLong):
        connect().complete(ASK, TOOLS)


def calling(name: str, **arguments: Any) -> list[dict[str, Any]]:
    return [{"id": "c", "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}]


def through_a_schema(body: dict[str, Any]) -> dict[str, Any]:
    """As llama.cpp without a template for tools: prose, unless the answer is held to a schema."""
    if "response_format" not in body:
        return completion("I am ready, thank you.")
    kinds = body["response_format"]["json_schema"]["schema"]["properties"]["call"]["anyOf"]
    name = kinds[0]["properties"]["tool"]["const"]
    return completion(json.dumps({"call": {"tool": name, "arguments": {"ok": True} if name == "ready" else {}}}))


def test_a_model_that_calls_tools_is_found_out(endpoint: Endpoint, connect: Callable[..., OpenAIChat]) -> None:
    endpoint.answers = [(200, {}, completion(None, calling("ready", ok=True))), (200, {}, completion())]
    model = connect("auto")
    assert model.complete(ASK, TOOLS).usage.total == 36  # what finding out took is counted
    assert model.complete(ASK, TOOLS).usage.total == 18
    assert [[tool["function"]["name"] for tool in sent["tools"]] for sent in endpoint.requests] == [
        ["ready"], ["list_runs"], ["list_runs"]]  # fmt: skip


def test_an_endpoint_that_ignores_tools_calls_them_through_a_schema(
    endpoint: Endpoint, connect: Callable[..., OpenAIChat]
) -> None:
    endpoint.answers = [(200, {}, through_a_schema)]
    model = connect("auto")
    reply = model.complete(ASK, TOOLS)
    (call,) = reply.message.tool_calls
    assert (call.name, call.arguments) == ("list_runs", "{}")
    assert "tools" not in endpoint.requests[-1]
    talk = [*ASK, reply.message, Message(role="tool", content='{"runs": []}', tool_call_id=call.id),
            Message(role="user", content="Go on.")]  # fmt: skip
    model.complete(talk, TOOLS)
    sent = endpoint.requests[-1]["messages"]
    assert [message["role"] for message in sent] == ["system", "user", "assistant", "user"]
    assert "- list_runs()" in sent[0]["content"]
    assert json.loads(sent[2]["content"]) == {"call": {"tool": "list_runs", "arguments": {}}}
    assert sent[3]["content"] == 'list_runs answered:\n{"runs": []}\n\nGo on.'


def test_an_endpoint_that_refuses_tools_is_asked_through_a_schema(
    endpoint: Endpoint, connect: Callable[..., OpenAIChat]
) -> None:
    no = (400, {}, {"error": {"message": "tools are not supported"}})
    endpoint.answers = [no, (200, {}, through_a_schema)]
    assert connect("auto").complete(ASK, TOOLS).message.tool_calls


def test_a_model_that_can_do_neither_is_said(endpoint: Endpoint, connect: Callable[..., OpenAIChat]) -> None:
    with pytest.raises(ModelError, match="neither calls tools nor keeps to a JSON schema"):
        connect("auto").complete(ASK, TOOLS)
    endpoint.answers = [(401, {}, {"error": {"message": "no"}})]
    before = len(endpoint.requests)
    with pytest.raises(ModelError, match="OPENAI_API_KEY"):
        connect("auto").complete(ASK, TOOLS)
    assert len(endpoint.requests) == before + 1


@pytest.mark.parametrize(
    ("status", "answer", "sees"),
    [(200, "It is **magenta**.", True), (200, "I can't see pictures.", False), (200, None, False), (400, "", False),
     (422, "", False), (500, "", False)],
)  # fmt: skip
def test_whether_a_model_sees_is_found_out_once_with_a_tiny_picture(
    endpoint: Endpoint, connect: Callable[..., OpenAIChat], status: int, answer: str | None, sees: bool
) -> None:
    said = completion(answer) if status == 200 else {"error": {"message": "no images"}}
    endpoint.answers = [(200, {}, completion(None, calling("ready", ok=True))), (status, {}, said)]
    model = connect("auto")
    assert model.takes_images() is sees
    asked = len(endpoint.requests)
    text, image = endpoint.requests[-1]["messages"][0]["content"]
    assert text["text"].startswith("What colour")
    assert len(image["image_url"]["url"]) < 300
    assert model.takes_images() is sees
    assert len(endpoint.requests) == asked == 2
    endpoint.answers = [(200, {}, completion())]
    spent = model.complete(ASK, TOOLS).usage.total
    assert spent == (54 if status == 200 else 36)  # what finding out took is counted, once
    assert model.complete(ASK, TOOLS).usage.total == 18


@pytest.mark.parametrize(("images", "calls", "sees"), [("on", "tools", True), ("off", "tools", False),
                                                       ("on", "response_format", False)])  # fmt: skip
def test_a_setting_says_whether_it_sees(
    endpoint: Endpoint, connect: Callable[..., OpenAIChat], images: str, calls: str, sees: bool
) -> None:
    assert connect(calls, images=images).takes_images() is sees
    assert endpoint.requests == []


def test_a_model_that_could_do_neither_is_asked_again_after_a_while(
    endpoint: Endpoint, connect: Callable[..., OpenAIChat], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = connect("auto")
    for _ in range(2):
        with pytest.raises(ModelError, match="neither calls tools"):
            model.complete(ASK, TOOLS)
    assert len(endpoint.requests) == 2
    monkeypatch.setattr("agent.model.openai_chat.AGAIN", 0.0)
    monkeypatch.setattr(model, "_again", 0.0)
    endpoint.answers = [(200, {}, completion(None, calling("ready", ok=True))), (200, {}, completion())]
    endpoint.requests.clear()
    assert model.complete(ASK, TOOLS).message.content == "hello"


@given(st.text(max_size=60) | st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["call", "tool", "arguments"]), inner),
    max_leaves=8).map(json.dumps))  # fmt: skip
def test_any_text_is_a_call_or_none(text: str) -> None:
    found = call_in(text, 1, TOOLS)
    if found is not None:
        assert isinstance(json.loads(text)["call"], dict)


def test_the_real_tools_as_one_schema(inventory: Inventory, make_run: RunMaker, notebook: Notebook) -> None:
    context = ToolContext(Lab(notebook, inventory), make_run(), None, "scripted")
    schema = answer_format(Toolbox(catalog.TOOLS, context).schemas)["json_schema"]["schema"]
    text = json.dumps(schema)
    assert "$ref" not in text
    assert "$defs" not in text
    kinds = {kind["properties"]["tool"]["const"]: kind["properties"]["arguments"] for kind in
             schema["properties"]["call"]["anyOf"]}  # fmt: skip
    assert set(kinds) == {tool.name for tool in catalog.TOOLS if tool.listed}
    report = kinds["write_report"]
    assert set(report["required"]) == {"title", "observations", "theory", "next_step"}
    assert set(report["properties"]) == {*report["required"], "remember"}  # an argument may be called 'title'
    assert report["properties"]["theory"]["maxLength"] == 240
    one = {next(iter(kind["properties"])): kind for kind in
           kinds["stage_proposal"]["properties"]["changes"]["items"]["anyOf"]}  # fmt: skip
    assert one["env.num_envs"]["properties"]["env.num_envs"]["minimum"] == 1
    share = re.compile(one["train.gamma"]["properties"]["train.gamma"]["pattern"])  # see agent.model.structured.SHARE
    assert all(share.search(text) for text in ("0.95", "0.000001", "1"))
    assert not any(share.search(text) for text in ("1.5", "-0.1", "0", "0.95 or so", "1e-3"))
    assert kinds["stage_proposal"]["properties"]["parent"] == {"enum": ["incumbent", "current"]}
    said = {
        "call": {"tool": "stage_proposal", "arguments": {"changes": [{"train.gamma": "0.9"}, {"train.ent_coef": 0.1}]}}
    }
    call = call_in(json.dumps(said), 1, Toolbox(catalog.TOOLS, context).schemas)
    assert call is not None
    assert json.loads(call.arguments) == {"changes": {"train.gamma": 0.9, "train.ent_coef": 0.1}}
    assert kinds["stage_proposal"]["properties"]["also_expected"]["items"]["properties"]["metric"]["enum"]


@pytest.mark.parametrize(("text", "said"), [
    ("[model]\ntimeout = 0", "model.timeout = 0: must be 1 or more; valid: 1 or more"),
    ("[model]\ncalling = 'x'", "; valid: 'auto', 'tools' or 'response_format'"),
    ("[model]\nagent_wait = 0", "model.agent_wait = 0: must be 1 or more; valid: 1 or more"),
    ("[model]\ntims = 3", "; valid: calling, images, turns, timeout"),
    ("[model]\nstream = true", "model.stream"),
    ('[model]\ncalling = "smoke signals"', "model.calling"),
    ('[prices."m"]\ninput = -1\noutput = 1', "prices.m.input = -1"),
    ('[prices."gpt-5"]\ninput = 1', "prices.gpt-5.output"),
    ("prices = 3", "prices = 3: is not a table"),
])  # fmt: skip
def test_settings_that_are_none_are_refused_in_one_line(
    workspace: Workspace, called: Cli, text: str, said: str
) -> None:
    workspace.settings.write_text(text)
    done = called("start", "--model", "m" if "gpt" not in said else "gpt-5", OPENAI_API_KEY="k")
    assert (done.code, done.err.count("\n")) == (2, 1), done.err
    assert said in done.err
    assert list(workspace.runs.iterdir()) == []


def test_a_budget_of_dollars_needs_a_price(workspace: Workspace, cli: Cli) -> None:
    done = cli("start", "--model", "mine", "--max-dollars", "3", OPENAI_API_KEY="k")
    assert done.code == 2
    assert 'max-dollars = 3.0: needs the price of mine; valid: [prices."mine"] in autopilot.toml' in done.err
    workspace.settings.write_text('[prices."mine"]\ninput = 1\ncached = 0.5\noutput = 2')
    price = price_of(workspace, "mine")
    assert price is not None
    used = Usage(input_tokens=1_000_000, cached_tokens=400_000, output_tokens=500_000, reasoning_tokens=400_000)
    assert price.of(used) == pytest.approx(0.6 + 0.2 + 1.0)
    assert price_of(workspace, "gpt-4.1-2025-04-14") == price_of(workspace, "gpt-4.1") != None  # noqa: E711
    assert price_of(workspace, "nobody's") is None
