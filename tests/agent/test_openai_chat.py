"""The wire, against a real HTTP server on the loopback that misbehaves on purpose."""

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from agent.chat import Message, ModelError, ToolCall
from agent.openai_chat import ATTEMPTS, OpenAIChat
from lab.errors import InvalidInput


def completion(content: str | None = "hello", tool_calls: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": content}
    if tool_calls:
        message["tool_calls"] = tool_calls
    usage = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return {"id": "x", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice], "usage": usage}


class Endpoint:
    """Plays answers in order: a status, headers and a body each; the last one is repeated."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, dict[str, str], Any]] = [(200, {}, completion())]
        self.requests: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                index = min(len(endpoint.requests), len(endpoint.answers) - 1)
                endpoint.requests.append(body)
                endpoint.headers.append({key.lower(): value for key, value in self.headers.items()})
                status, headers, answer = endpoint.answers[index]
                if status == 0:  # cut the connection in mid-answer
                    self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{")
                    self.connection.close()
                    return
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
    found.server.shutdown()
    found.server.server_close()


@pytest.fixture
def waits() -> list[float]:
    return []


@pytest.fixture
def connect(endpoint: Endpoint, waits: list[float], monkeypatch: pytest.MonkeyPatch) -> Callable[..., OpenAIChat]:
    monkeypatch.setenv("OPENAI_API_KEY", "test-key-0123456789")
    return lambda **more: OpenAIChat("m", endpoint.url, sleep=waits.append, **more)


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
    assert len(endpoint.requests) == ATTEMPTS


def test_a_connection_cut_in_mid_answer_is_tried_again(endpoint: Endpoint, connect: Callable[..., OpenAIChat]) -> None:
    endpoint.answers = [(0, {}, None), (200, {}, completion())]
    assert connect().complete(ASK, TOOLS).message.content == "hello"


@pytest.mark.parametrize(
    ("status", "remedy"), [(400, "tool calls"), (401, "OPENAI_API_KEY"), (403, "key"), (404, "--model")]
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
    [{"index": 0}, {"index": 0, "message": None}, {"index": 0, "message": {"role": "assistant", "content": 7}},
     {"index": 0, "message": {"role": "assistant", "tool_calls": [
         {"id": "c", "type": "function", "function": {"name": None, "arguments": "{}"}}]}}],
)  # fmt: skip
def test_an_answer_of_another_shape(endpoint: Endpoint, connect: Callable[..., OpenAIChat], choice: Any) -> None:
    endpoint.answers = [(200, {}, {**completion(), "choices": [choice]})]
    with pytest.raises(ModelError, match="shape"):
        connect().complete(ASK, TOOLS)


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
