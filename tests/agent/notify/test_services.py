"""Services of apprise, through real servers on the loopback; nothing that it knows of a URL reaches anybody."""

import json
import logging
import os
import shlex
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Queue
from typing import Any, NamedTuple

import pytest

from agent.notify.hooks import Patience
from agent.notify.notifier import Notifier, NotifySettings, notify_settings, try_out
from lab.base.errors import InvalidInput
from lab.base.paths import Workspace
from tests.conftest import Cli, tree

LONG = 60.0
QUICK = Patience(request=LONG, pause=0.0, command=LONG)
SECRETS = ("me-hidden", "pass-hidden", "path-hidden", "query-hidden", "header-hidden")
USER, PASSWORD, PATH, QUERY, HEADER = SECRETS
HANGING = 0
"""In place of a status: nothing comes."""


class Post(NamedTuple):
    path: str
    headers: dict[str, str]
    body: str


class Server:
    """Answers with the statuses in order; the last is repeated."""

    def __init__(self) -> None:
        self.statuses = [200]
        self.posts: Queue[Post] = Queue()
        self.closing = threading.Event()
        mine = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                status = mine.statuses.pop(0) if len(mine.statuses) > 1 else mine.statuses[0]
                mine.posts.put(Post(self.path, {k.lower(): v for k, v in self.headers.items()}, body))
                if status == HANGING:
                    mine.closing.wait(LONG)
                    return
                said = f"{self.path} {self.headers['Authorization']}".encode()  # it quotes what it was sent
                self.send_response(status)
                self.send_header("Content-Length", str(len(said)))
                self.end_headers()
                self.wfile.write(said)

            def log_message(self, *_: Any) -> None:
                """Quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def url(self, scheme: str) -> str:
        place = f"127.0.0.1:{self.server.server_port}"
        return f"{scheme}://{USER}:{PASSWORD}@{place}/{PATH}?-key={QUERY}&+X-Token={HEADER}"


@pytest.fixture
def server() -> Iterator[Server]:
    found = Server()
    yield found
    found.closing.set()
    found.server.shutdown()
    found.server.server_close()


@pytest.fixture(autouse=True)
def _nothing_is_told(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> Iterator[None]:
    """Whatever a test does: no log of any library and nothing printed has a secret in it."""
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.WARNING, "urllib3")  # of which nobody hears unless the root is asked for everything
    yield
    printed = capfd.readouterr()
    everything = caplog.text + printed.out + printed.err
    assert [secret for secret in SECRETS if secret in everything] == []


Send = Callable[..., list[str]]


@pytest.fixture
def send(workspace: Workspace) -> Send:
    """What was said of messages that were not taken: `send(["json://…"])`."""

    def told(urls: list[str], patience: Patience = QUICK, timeout: float = LONG) -> list[str]:
        failures: list[str] = []
        asked = NotifySettings.model_validate({"urls": urls})
        notifier = Notifier(asked, workspace, "a-session", failures.append, patience)
        notifier.notify("failed", "no score\nat all <b>", run="a-run")
        notifier.close(timeout)
        assert [secret for secret in SECRETS if secret in str(failures)] == []
        return failures

    return told


def test_json_and_forms_are_sent(server: Server, send: Send) -> None:
    assert send([server.url("json"), server.url("form")]) == []
    posts = [server.posts.get_nowait() for _ in range(2)]
    (by_json,) = [post for post in posts if "json" in post.headers["content-type"]]
    (by_form,) = [post for post in posts if post is not by_json]
    told = json.loads(by_json.body)
    assert (told["title"], told["type"]) == ("autopilot: failed", "failure")
    assert told["message"] == "no score\nat all <b>"
    assert by_json.path == f"/{PATH}?key={QUERY}"
    assert by_json.headers["x-token"] == HEADER
    assert by_json.headers["authorization"].startswith("Basic ")
    assert "no+score" in by_form.body
    assert by_form.headers["content-type"].startswith("application/x-www-form-urlencoded")


def test_a_passing_fault_is_tried_again_and_another_is_not(server: Server, send: Send) -> None:
    server.statuses = [503, 500, 200]
    assert send([server.url("json")]) == []
    assert server.posts.qsize() == 3
    server.statuses = [500]
    assert send([server.url("json")]) == ["apprise json://…: failed was not told: answered 500, 3 tries"]
    server.statuses = [403]
    assert send([server.url("json")]) == ["apprise json://…: failed was not told: answered 403"]
    assert server.posts.qsize() == 7


def test_one_that_refuses_does_not_keep_the_other(server: Server, send: Send) -> None:
    with socket.socket() as taken:  # bound and not listening: refuses
        taken.bind(("127.0.0.1", 0))
        nobody = f"json://{USER}:{PASSWORD}@127.0.0.1:{taken.getsockname()[1]}/{PATH}"
        (said,) = send([nobody, server.url("json")])
    assert said == "apprise json://… (1 of 2): failed was not told: was not reached, or did not take it, 3 tries"
    assert server.posts.qsize() == 1


def test_one_that_hangs_is_given_up(server: Server, send: Send) -> None:
    server.statuses = [HANGING]
    (said,) = send([server.url("json")], Patience(request=0.2, attempts=2, pause=0.0))
    assert said == "apprise json://…: failed was not told: no answer within 0.2 s, 2 tries"
    (said,) = send([server.url("form")], QUICK, timeout=0.2)
    assert said == "apprise form://…: failed was not told: given up, since the session is over"


@pytest.mark.parametrize(("written", "said"), [
    (f'["jsn://{USER}:{PASSWORD}@h/{PATH}"]', "notify.urls.0 = 'jsn://…': has a scheme that apprise does not know;"
     " valid: json://"),
    (f'["json://h", "https://h/{PATH}"]', "notify.urls.1 = 'https://…': has a scheme that apprise does not know;"),
    (f'["slack://{PATH}"]', "notify.urls.0 = 'slack://…': is not what apprise takes for slack://; valid: the form"),
    (f'["{PATH}"]', "notify.urls.0 = '…': has a scheme that apprise does not know; valid: json://, mailto://"),
    (f'"json://h jsn://{PATH}"', "notify.urls.1 = 'jsn://…': has a scheme"),
    (f'[["json://{PATH}"]]', "notify.urls.0 = …: must be a text"),
    ("5", "notify.urls = …: must be a list; valid: urls = ["),
])  # fmt: skip
def test_what_apprise_does_not_know_is_refused_in_one_line(
    workspace: Workspace, called: Cli, written: str, said: str
) -> None:
    workspace.settings.write_text(f"[notify]\nurls = {written}\n")
    before = tree(workspace.root)
    done = called("doctor", "--notify")
    assert (done.code, done.err.count("\n")) == (2, 1), done.err
    assert done.err.startswith(f"autopilot: {said}")
    assert not any(secret in done.err for secret in SECRETS)
    assert tree(workspace.root) == before


def test_a_night_does_not_begin_with_a_url_that_is_none(workspace: Workspace, called: Cli) -> None:
    workspace.settings.write_text(f'[notify]\nurls = ["jsn://{PATH}"]\n')
    before = tree(workspace.root)
    done = called("start", "--max-runs", "1", "--approve", "auto")
    assert (done.code, done.err.count("\n")) == (2, 1), done.err
    assert "notify.urls.0 = 'jsn://…': has a scheme that apprise does not know" in done.err
    assert tree(workspace.root) == before


def test_without_the_package(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "apprise", None)
    workspace.settings.write_text('[notify]\nurls = ["json://h"]\n')
    with pytest.raises(InvalidInput, match=r"^notify\.urls\.0 = 'json://…': needs the package apprise; valid: leave"):
        notify_settings(workspace)


def test_the_environment_names_services_and_no_command_sees_them(
    server: Server, workspace: Workspace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    place = tmp_path / "seen"
    code = "import os, sys, pathlib; pathlib.Path(sys.argv[1]).write_text(' '.join(os.environ.values()))"
    command = shlex.join([sys.executable, "-c", code, str(place)])
    workspace.settings.write_text(f'[notify]\nurls = ["json://h/{PATH}"]\ncommand = {json.dumps(command)}\n')
    for name in ("AUTOPILOT_NOTIFY_URLS", "autopilot_notify_urls"):
        monkeypatch.setenv(name, f"{server.url('json')} {server.url('form')}")
        assert try_out(workspace, QUICK)[1:] == [
            "ok   apprise json://… (1 of 2): taken",
            "ok   apprise form://… (2 of 2): taken",
        ]
        assert PATH not in place.read_text()
        monkeypatch.delenv(name)
    assert "AUTOPILOT_NOTIFY_URLS" not in os.environ
    assert json.loads(server.posts.get_nowait().body)["type"] == "info"
