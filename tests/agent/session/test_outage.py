"""A night through which the endpoint is gone for a while: a real server, really closed and opened again."""

import itertools
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from agent.model.chat import Message, ToolCall
from agent.model.offline import OfflineResearcher
from agent.model.openai_chat import OpenAIChat
from agent.model.settings import ModelSettings
from lab.base.files import read_lines
from lab.store.notebook import Notebook
from lab.store.records import ReplicateResult, RunState
from lab.store.session import Budgets
from tests.agent.conftest import Make
from training.fake import FakeRunner
from training.runner import Plan

RUNS = 9


class Server:
    """An endpoint whose model answers as the offline researcher would, until it is closed."""

    def __init__(self) -> None:
        self.port, self._server, self.answered = 0, None, 0
        self.open()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def open(self) -> None:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                data = json.dumps(outer.answer(asked)).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: Any) -> None:
                """Quiet."""

        class Reusing(ThreadingHTTPServer):
            allow_reuse_address = True
            daemon_threads = True

        self._server = Reusing(("127.0.0.1", self.port), Handler)
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def answer(self, asked: dict[str, Any]) -> dict[str, Any]:
        self.answered += 1
        names = [tool["function"]["name"] for tool in asked.get("tools", [])]
        if "ready" in names:
            calls = [ToolCall(id="c", name="ready", arguments='{"ok": true}')]
        else:
            messages = [_message(line) for line in asked["messages"]]
            calls = list(OfflineResearcher().complete(messages, []).message.tool_calls)
        message = {"role": "assistant", "content": None, "tool_calls": [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in calls
        ]}  # fmt: skip
        usage = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
        choice = {"index": 0, "message": message, "finish_reason": "tool_calls"}
        return {"id": "x", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice], "usage": usage}


def _message(line: dict[str, Any]) -> Message:
    calls = tuple(
        ToolCall(id=call["id"], name=call["function"]["name"], arguments=call["function"]["arguments"])
        for call in line.get("tool_calls") or ()
    )
    return Message(role=line["role"], content=line.get("content") or "", tool_calls=calls,
                   tool_call_id=line.get("tool_call_id"))  # fmt: skip


@pytest.fixture
def server() -> Iterator[Server]:
    found = Server()
    yield found
    found.close()


class Outage(FakeRunner):
    """Closes the endpoint when the middle third of the night begins, and opens it again when it is over."""

    def __init__(self, server: Server, notebook: Notebook) -> None:
        super().__init__()
        self._server, self._notebook = server, notebook

    def train(self, plan: Plan, *more: Any) -> list[ReplicateResult]:
        number = len(self._notebook.runs())
        if number == RUNS // 3 + 1:
            self._server.close()
        if number == 2 * RUNS // 3 + 1:
            self._server.open()
        return super().train(plan, *more)


@pytest.mark.slow
def test_a_night_whose_endpoint_is_gone_for_its_middle_third(
    make_session: Make, notebook: Notebook, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "test-key-0123456789")
    model = OpenAIChat("m", server.url, ModelSettings(attempts=3, images="off"), sleep=lambda _: None)
    session = make_session(Outage(server, notebook), model=model, budgets=Budgets(max_runs=RUNS + 4))
    record = session.run()
    assert record.ended_because == f"all {RUNS + 4} replicates are trained"
    runs = notebook.runs()
    assert [run.state for run in runs] == [RunState.FINISHED] * RUNS
    authors = [_author(notebook, run.run_id) for run in runs if not run.replicates_of]
    assert authors[0] == authors[-1] == "m"
    fallen = [author.startswith("offline, after m gave up") for author in authors]
    assert [one for one, _ in itertools.groupby(fallen)] == [False, True, False]  # one stretch of it
    assert record.spent.tokens == 110 * server.answered
    lines = list(read_lines(notebook.workspace.session(record.session_id).events))
    reasons = [line["fell_back"] for line in lines if line["event"] == "analysed" and line["fell_back"]]
    assert len(reasons) >= 2
    assert all("onnect" in reason for reason in reasons), reasons
    arms = {run.arm for run in runs}
    assert {"baseline", "m", "offline"} <= arms


def _author(notebook: Notebook, run_id: str) -> str:
    lines = notebook.paths(run_id).report.read_text().splitlines()
    return next(line for line in lines if line.startswith("- Analysis: ")).removeprefix("- Analysis: ").split(";")[0]
