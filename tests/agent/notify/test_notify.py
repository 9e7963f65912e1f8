"""Telling someone, through a real server on the loopback and real commands that misbehave on purpose."""

import json
import os
import re
import shlex
import socket
import sys
import threading
import tomllib
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Queue
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.notify.hooks import Patience, hidden
from agent.notify.notifier import EVENTS, Notifier, NotifySettings, notifier_of, notify_settings, try_out
from cli.settings import defaults
from lab.base.errors import InvalidInput
from lab.base.paths import Workspace
from tests.conftest import Cli

UNSEEN = "T000/B111-very-secret"
LONG = 60.0
"""Seconds in which a busy machine gets done what takes none."""
QUICK = Patience(request=LONG, pause=0.0, command=LONG)
HANGING, GARBAGE, DRIPPING = 0, -1, -2
"""In place of a status: nothing comes; what comes is no HTTP and quotes the request; headers come, and never all."""


class Endpoint:
    """Answers with the statuses in order; the last is repeated. What it was sent is put in a queue."""

    def __init__(self) -> None:
        self.statuses = [200]
        self.bodies: Queue[dict[str, Any]] = Queue()
        self.paths: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.closing = threading.Event()
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                status = endpoint.statuses[min(len(endpoint.paths), len(endpoint.statuses) - 1)]
                endpoint.paths.append(self.path)
                endpoint.headers.append({key.lower(): value for key, value in self.headers.items()})
                endpoint.bodies.put(body)
                if status == GARBAGE:
                    self.wfile.write(f"HTTP/1.1 200 OK\r\n{self.path.split('/')[-1]}\r\n\r\n".encode())
                elif status == DRIPPING:
                    self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
                    while not endpoint.closing.wait(0.01):
                        self.wfile.write(b"x")
                elif status == HANGING:
                    endpoint.closing.wait(LONG)
                else:
                    self.send_response(status)
                    if status == 302:
                        self.send_header("Location", "/elsewhere")
                    self.send_header("Content-Length", "0")
                    self.end_headers()

            def handle(self) -> None:
                try:
                    super().handle()
                except OSError:
                    """The other side has gone."""

            def log_message(self, *_: Any) -> None:
                """Quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.place = f"127.0.0.1:{self.server.server_port}"
        self.url = f"http://{self.place}/{UNSEEN}?token=hush-hush"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    found = Endpoint()
    yield found
    found.closing.set()
    found.server.shutdown()
    found.server.server_close()


class Night:
    """A notifier, and the failures that it said."""

    def __init__(self, workspace: Workspace, patience: Patience, **table: Any) -> None:
        self.failures: list[str] = []
        self.failed = threading.Event()
        asked = NotifySettings.model_validate(table)
        self.notifier = Notifier(asked, workspace, "a-session", self.note, patience)

    def note(self, text: str) -> None:
        self.failures.append(text)
        self.failed.set()

    def close(self, timeout: float = LONG) -> list[str]:
        self.notifier.close(timeout)
        return self.failures


Begin = Callable[..., Night]


@pytest.fixture
def begin(workspace: Workspace) -> Iterator[Begin]:
    nights: list[Night] = []

    def make(patience: Patience = QUICK, **table: Any) -> Night:
        nights.append(Night(workspace, patience, **table))
        return nights[-1]

    yield make
    for night in nights:
        night.close(0)


def python(code: str, *arguments: object) -> str:
    """A command line that runs this."""
    return shlex.join([sys.executable, "-c", code, *map(str, arguments)])


# --- the webhook -----------------------------------------------------------------------------------------------------


def test_a_webhook_gets_all_there_is_to_know(endpoint: Endpoint, begin: Begin, workspace: Workspace) -> None:
    night = begin(webhook=endpoint.url)
    night.notifier.notify("incumbent", "it is better", run="a-run", score=0.5, gap=float("nan"), note="x" * 9000)
    assert night.close() == []
    told = endpoint.bodies.get_nowait()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", told.pop("time"))
    assert len(told.pop("note")) == 500
    assert told == {
        "event": "incumbent", "text": "it is better", "session": "a-session", "workspace": workspace.root.name,
        "run": "a-run", "proposal": None, "score": 0.5, "gap": None,
    }  # fmt: skip
    assert endpoint.headers[0]["content-type"] == "application/json"
    assert endpoint.paths == [f"/{UNSEEN}?token=hush-hush"]


@pytest.mark.parametrize("statuses", [[500, 500, 200], [503, 204], [201]])
def test_a_passing_fault_is_tried_again(endpoint: Endpoint, begin: Begin, statuses: list[int]) -> None:
    endpoint.statuses = statuses
    night = begin(webhook=endpoint.url)
    night.notifier.notify("finished", "done")
    assert night.close() == []
    assert len(endpoint.paths) == len(statuses)


def test_a_fault_that_does_not_pass_is_said_after_three_tries(endpoint: Endpoint, begin: Begin) -> None:
    endpoint.statuses = [500]
    night = begin(webhook=endpoint.url)
    night.notifier.notify("finished", "done")
    shown = f"webhook http://{endpoint.place}/…"
    assert night.close() == [f"{shown}: finished was not told: answered 500, 3 tries"]
    assert len(endpoint.paths) == 3


@pytest.mark.parametrize("status", [302, 400, 404, 410, 429])
def test_what_the_server_refuses_is_said_at_once(endpoint: Endpoint, begin: Begin, status: int) -> None:
    endpoint.statuses = [status]
    night = begin(webhook=endpoint.url)
    night.notifier.notify("failed", "no score")
    (said,) = night.close()
    assert f"answered {status}" in said
    assert len(endpoint.paths) == 1, "tried again, or a redirect was followed"


def test_nobody_listens(begin: Begin) -> None:
    with socket.socket() as taken:  # bound and not listening: refuses
        taken.bind(("127.0.0.1", 0))
        place = f"127.0.0.1:{taken.getsockname()[1]}"
        night = begin(webhook=f"http://{place}/{UNSEEN}")
        night.notifier.notify("finished", "done")
        (said,) = night.close()
    assert said.startswith(f"webhook http://{place}/…: finished was not told: ConnectError: ")
    assert said.endswith(", 3 tries")


def test_one_that_hangs_keeps_nobody_waiting(endpoint: Endpoint, begin: Begin) -> None:
    endpoint.statuses = [HANGING]
    night = begin(webhook=endpoint.url)
    for text in ("one", "two", "three"):
        night.notifier.notify("finished", text)
    endpoint.bodies.get(timeout=LONG)  # it hangs now, for longer than this test may take
    failures = night.close(0.5)
    assert failures
    assert all(said.endswith("given up, since the session is over") for said in failures)
    assert endpoint.bodies.empty(), "what waited was sent after all"


@pytest.mark.parametrize("status", [HANGING, DRIPPING])
def test_a_try_has_its_time(endpoint: Endpoint, begin: Begin, status: int) -> None:
    endpoint.statuses = [status]
    night = begin(Patience(request=0.2, attempts=2, pause=0.0), webhook=endpoint.url)
    night.notifier.notify("finished", "done")
    assert night.failed.wait(LONG)
    (said,) = night.close()
    assert said.endswith("no answer within 0.2 s, 2 tries")


def test_so_many_messages_wait_and_no_more(endpoint: Endpoint, begin: Begin) -> None:
    endpoint.statuses = [HANGING]
    night = begin(Patience(request=LONG, waiting=2), webhook=endpoint.url)
    night.notifier.notify("failed", "the first")
    endpoint.bodies.get(timeout=LONG)
    for _ in range(5):
        night.notifier.notify("failed", "one more")
    assert len(night.failures) == 3
    assert all("2 messages wait already" in said for said in night.failures)


def test_a_hook_that_hangs_does_not_keep_the_other_one(endpoint: Endpoint, begin: Begin, tmp_path: Path) -> None:
    endpoint.statuses = [HANGING]
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    night = begin(webhook=endpoint.url, command=python("import sys; open(sys.argv[1], 'w').write('told')", fifo))
    night.notifier.notify("finished", "done")
    assert fifo.read_text() == "told"
    assert night.failures == [], "the webhook was waited for"


def test_only_what_was_asked_for_is_told_and_nothing_after_the_end(endpoint: Endpoint, begin: Begin) -> None:
    night = begin(Patience(request=LONG, waiting=2), webhook=endpoint.url, on=["approval"])
    for event in EVENTS:
        night.notifier.notify(event, "text")
    assert night.close() == []
    for _ in range(5):
        night.notifier.notify("approval", "too late")
    assert night.close() == []
    assert endpoint.bodies.get_nowait()["event"] == "approval"
    assert endpoint.bodies.empty()


def test_text_is_made_harmless(endpoint: Endpoint, begin: Begin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "test-key-0123456789")
    night = begin(webhook=endpoint.url)
    night.notifier.notify(
        "failed", "\x1b[31mred\x1b[0m\0 \ud800 test-key-\u200b0123456789 é", reason="test-key-0123456789"
    )
    night.notifier.notify("failed", "x" * 100_000)
    night.notifier.notify("failed", "")
    assert night.close() == []
    first, second, third = (endpoint.bodies.get_nowait() for _ in range(3))
    assert (first["text"], first["reason"]) == ("red ? [key] é", "[key]")
    assert len(second["text"]) == 2000
    assert third["text"] == "failed"


def test_nothing_configured_does_nothing(workspace: Workspace) -> None:
    before = set(threading.enumerate())
    failures: list[str] = []
    notifier = notifier_of(workspace, "a-session", failures.append)
    notifier.notify("finished", "done")
    assert set(threading.enumerate()) <= before
    notifier.close()
    assert failures == []


def test_a_full_disk_does_not_end_it(endpoint: Endpoint, workspace: Workspace) -> None:
    def fail(_: str) -> None:
        raise OSError(28, "No space left on device")

    endpoint.statuses = [400, 200]
    notifier = Notifier(NotifySettings(webhook=endpoint.url), workspace, None, fail, QUICK)
    notifier.notify("failed", "one")
    notifier.notify("failed", "two")
    notifier.close(LONG)
    assert [endpoint.bodies.get_nowait()["text"] for _ in range(2)] == ["one", "two"]


# --- the command -----------------------------------------------------------------------------------------------------


RECORD = """
import json, os, sys
told = {"stdin": sys.stdin.read(), "environ": dict(os.environ), "cwd": os.getcwd()}
open(sys.argv[1], "w").write(json.dumps(told))
"""


def test_a_command_gets_the_same_and_no_secrets(
    begin: Begin, tmp_path: Path, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "test-key-0123456789")
    monkeypatch.setenv("AUTOPILOT_WEBHOOK", f"http://127.0.0.1:9/{UNSEEN}")
    place = tmp_path / "a file; with $HOME in its name"
    night = begin(command=python(RECORD, place))
    night.notifier.notify("approval", "two\nlines; $(touch x)", proposal="a-proposal")
    assert night.close() == []
    told = json.loads(place.read_text())
    message = json.loads(told["stdin"])
    assert (message["event"], message["text"], message["proposal"], message["session"]) == (
        "approval", "two\nlines; $(touch x)", "a-proposal", "a-session",
    )  # fmt: skip
    assert told["environ"]["AUTOPILOT_EVENT"] == "approval"
    assert told["environ"]["AUTOPILOT_TEXT"] == "two\nlines; $(touch x)"
    assert not {"OPENAI_API_KEY", "AUTOPILOT_WEBHOOK"} & told["environ"].keys()
    assert UNSEEN not in place.read_text()
    assert "test-key" not in place.read_text()
    assert told["environ"]["PATH"] == os.environ["PATH"]
    assert Path(told["cwd"]) == workspace.root


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("/no/such/program --at all", "command /no/such/program: finished was not told: can't be run: "),
        ("./autopilot.toml", "command ./autopilot.toml: finished was not told: can't be run: "),
        (python("import sys; sys.exit('first\\nno such user\\n')"), ": ended with status 1: no such user"),
        (python(f"import sys; sys.exit('http://u:p@host/{UNSEEN} is down')"), ": http://…".replace("…", "/… is down")),
        (python("import os; os.kill(os.getpid(), 15)"), ": ended with status -15"),
        (python("import os; os.close(2); os._exit(3)"), ": ended with status 3"),
    ],
)
def test_a_command_that_fails_is_said(begin: Begin, workspace: Workspace, command: str, said: str) -> None:
    workspace.settings.write_text("")  # no program
    night = begin(command=command)
    night.notifier.notify("finished", "done")
    (failure,) = night.close()
    assert said in failure
    assert UNSEEN not in failure


@pytest.mark.parametrize(
    "code",
    [
        "pass",  # does not read what it is told
        "import sys; sys.exit(len(sys.stdin.read()) < 200_000)",
        "import sys; sys.stdin.close(); sys.stderr.write('x' * 1_000_000)",
        "import os; os.close(0); os.close(1); os.close(2)",
    ],
)
def test_a_command_may_be_careless(begin: Begin, code: str) -> None:
    night = begin(command=python(code))
    night.notifier.notify("finished", "é" * 2000, **{f"field_{n}": "x" * 500 for n in range(400)})  # no pipe holds it
    assert night.close() == []


def test_what_has_left_its_group_and_holds_its_pipes_is_not_waited_for(begin: Begin, tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    stays = [sys.executable, "-c", f"open({str(fifo)!r}).read()"]
    night = begin(command=python(f"import subprocess; subprocess.Popen({stays!r}, start_new_session=True)"))
    night.notifier.notify("finished", "done")
    assert night.close() == []
    fifo.write_text("go")  # to one that is still there


FAMILY = """
import subprocess, sys
hangs = "import sys, time; pipe = open(sys.argv[1], 'w'); print('here', file=pipe, flush=True); time.sleep(30); " \
    "print('still here', file=pipe, flush=True)"
child = subprocess.Popen([sys.executable, "-c", hangs, sys.argv[1]])
"""


def test_a_command_that_takes_too_long_is_killed_with_its_children(begin: Begin, tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    with open(os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)) as pipe:  # noqa: PTH123 - whether it gets that far or not
        night = begin(Patience(command=2.0), command=python(f"{FAMILY}child.wait()", fifo))
        night.notifier.notify("finished", "done")
        assert night.failed.wait(LONG)
        (said,) = night.close()
        assert said.endswith(": finished was not told: killed, since it took longer than 2 s")
        os.set_blocking(pipe.fileno(), True)
        assert pipe.read() in ("here\n", "")  # until nobody holds it any more


def test_a_command_that_hangs_is_killed_with_its_children_at_the_end(begin: Begin, tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    night = begin(command=python(f"{FAMILY}child.wait()", fifo))
    night.notifier.notify("finished", "done")
    with fifo.open() as pipe:
        assert pipe.readline() == "here\n"
        (said,) = night.close(1.0)
        assert said.endswith(", since the session is over")
        assert pipe.read() == ""


def test_what_a_command_leaves_in_its_group_is_killed(begin: Begin, tmp_path: Path) -> None:
    fifo, gate = tmp_path / "fifo", tmp_path / "gate"
    os.mkfifo(fifo)
    os.mkfifo(gate)
    night = begin(command=python(f"{FAMILY}open(sys.argv[2]).read()", fifo, gate))
    night.notifier.notify("finished", "done")
    with fifo.open() as pipe:
        assert pipe.readline() == "here\n"
        gate.write_text("go")  # now the command ends
        assert pipe.read() == ""
    assert night.close() == []


def test_a_message_that_is_too_late_is_never_said_after_close(begin: Begin) -> None:
    night = begin(command=python("import time; time.sleep(3600)"))
    for _ in range(3):
        night.notifier.notify("failed", "no score")
    failures = list(night.close(0.2))
    assert 1 <= len(failures) <= 3
    for thread in threading.enumerate():
        if thread.name.startswith("notify: command"):
            thread.join(LONG)
    assert night.failures == failures


# --- secrets ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [HANGING, GARBAGE, DRIPPING, 302, 404, 500])
def test_the_path_is_in_no_failure(endpoint: Endpoint, begin: Begin, status: int) -> None:
    endpoint.statuses = [status]
    url = endpoint.url.replace("http://", "http://me-myself:pass-word@")
    limit = 0.2 if status in (HANGING, DRIPPING) else LONG
    night = begin(Patience(request=limit, attempts=2, pause=0.0), webhook=url)
    night.notifier.notify("failed", "no score")
    (said,) = night.close()
    assert said.startswith(f"webhook http://{endpoint.place}/…: failed was not told: ")
    for secret in (*UNSEEN.split("/"), "hush", "me-myself", "pass-word"):
        assert secret not in said
    assert UNSEEN not in repr(NotifySettings(webhook=url))


def test_who_logs_in_is_sent(endpoint: Endpoint, begin: Begin) -> None:
    night = begin(webhook=endpoint.url.replace("http://", "http://me:word@"))
    night.notifier.notify("failed", "no score")
    assert night.close() == []
    assert endpoint.headers[0]["authorization"].startswith("Basic ")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("see https://h.org/a/b?c#d, or not", "see https://h.org/… or not"),
        ("HTTPS://H.org", "HTTPS://H.org/…"),
        ("'http://u:p@h:1/x'", "'http:///…'"),
        ("http://u:p/w@h/x", "http:///…"),
        ("http://h?x http://h#y http://h\\z", "http://h/… http://h/… http://h/…"),
        ("no address", "no address"),
    ],
)
def test_an_address_is_cut_down(text: str, shown: str) -> None:
    assert hidden(text) == shown


# --- settings --------------------------------------------------------------------------------------------------------


def test_settings_as_they_are_written(workspace: Workspace) -> None:
    workspace.settings.write_text(
        '[notify]\nwebhook = "https://hooks.example.org/x"\ncommand = "say \'two words\' three"\non = ["failed"]\n'
    )
    found = notify_settings(workspace)
    assert found.webhook == "https://hooks.example.org/x"
    assert found.command == ("say", "two words", "three")
    assert found.on == ("failed",)
    assert defaults(workspace, {"start"}) == {}


def test_no_settings(workspace: Workspace) -> None:
    assert notify_settings(workspace) == NotifySettings(webhook=None, command=None, on=EVENTS)


def test_the_environment_goes_before_the_file(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace.settings.write_text('[notify]\nwebhook = "https://file.example.org/x"\n')
    monkeypatch.setenv("AUTOPILOT_WEBHOOK", "")
    assert notify_settings(workspace).webhook == "https://file.example.org/x"
    monkeypatch.setenv("AUTOPILOT_WEBHOOK", "https://environment.example.org/x")
    assert notify_settings(workspace).webhook == "https://environment.example.org/x"
    workspace.settings.unlink()
    assert notify_settings(workspace).webhook == "https://environment.example.org/x"
    monkeypatch.setenv("AUTOPILOT_WEBHOOK", f"ftp://example.org/{UNSEEN}")
    with pytest.raises(InvalidInput, match=r"^AUTOPILOT_WEBHOOK = 'ftp://example.org/…': must begin with http") as told:
        notify_settings(workspace)
    assert UNSEEN not in str(told.value)


def refusal(workspace: Workspace, text: str) -> str:
    """The one line that these settings end in."""
    workspace.settings.write_text(text)
    with pytest.raises(InvalidInput) as told:
        notify_settings(workspace)
    said = str(told.value)
    assert "\n" not in said
    assert re.fullmatch(r"notify[.\w]* = .+: .+; valid: .+", said)
    assert told.value.exit_code == 2
    assert not any(part in said for part in UNSEEN.split("/"))
    return said


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (f'webhook = "ftp://h/{UNSEEN}"', "notify.webhook = 'ftp://h/…': must begin with http:// or https://"),
        (f'webhook = "hooks.example.org/{UNSEEN}"', "notify.webhook = …: must begin with http"),
        (f'webhook = "https:///{UNSEEN}"', "notify.webhook = 'https:///…': must begin"),
        (f'webhook = "https://h:99999/{UNSEEN}"', "notify.webhook = 'https://h:99999/…': must begin"),
        (f'webhook = "https://[::1/{UNSEEN}"', "notify.webhook = 'https://[::1/…': must begin"),
        (f'webhook = "https://a b/{UNSEEN}"', "notify.webhook = …: must begin"),
        (f'webhook = "http://{UNSEEN}:x@h y/"', "notify.webhook = …: must begin"),
        (f'webhook = ["https://h/{UNSEEN}"]', "notify.webhook = …: must be a text"),
        ('webhook = ""', "notify.webhook = …: must begin"),
        ("webhook = 5", "notify.webhook = …: must be a text"),
        ('command = "say \'it"', """notify.command = "say 'it": can't be split into words: No closing quotation"""),
        (f'command = "curl https://h/{UNSEEN} \\""', "'curl https://h/… \"': can't be split into words"),
        ('command = "a\\u0000b"', "notify.command = 'a\\x00b': must be a text"),
        ('command = ["say", "it"]', "notify.command = ['say', 'it']: must be a text"),
        ('command = "  "', "notify.command = '  ': must name a program; valid: notify-send autopilot"),
        ("command = \"''\"", "must name a program"),
        ('on = ["finishd"]', "valid: finished, failed, incumbent, approval, model"),
        ('on = "finished"', "notify.on = 'finished': must be a list"),
        (
            f'webhok = "https://h/{UNSEEN}"',
            "notify.webhok = 'https://h/…': is unknown; valid: webhook, command",
        ),
    ],
)
def test_a_mistake_ends_in_one_line(workspace: Workspace, table: str, said: str) -> None:
    assert said in refusal(workspace, f"[notify]\n{table}\n")


def test_a_value_in_place_of_the_table(workspace: Workspace) -> None:
    assert "must be a table" in refusal(workspace, f'notify = "https://h/{UNSEEN}"\n')


def as_toml(text: str) -> str:
    return '"' + "".join(f"\\U{ord(char):08x}" for char in text) + '"'


texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=60)
addresses = st.builds("{}{}{}".format, st.sampled_from(["", "http://", "https://", "ftp:", "//"]), texts, texts)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """One workspace for many examples."""
    return Workspace(tmp_path_factory.mktemp("place"))


@given(addresses)
def test_any_webhook_is_taken_or_refused_in_one_line(place: Workspace, text: str) -> None:
    place.settings.write_text(f"[notify]\nwebhook = {as_toml(text)}\n")
    try:
        found = notify_settings(place)
    except InvalidInput as error:
        assert re.fullmatch(r"notify\.webhook = .+: must begin with .+; valid: .+", str(error))
        assert "\n" not in str(error)
    else:
        assert found.webhook == text
        assert re.match(r"https?://[^/]", text, re.IGNORECASE)
        Notifier(found, place, None, lambda _: None).close()  # its name can be said


@given(texts)
def test_any_command_is_taken_or_refused_in_one_line(place: Workspace, text: str) -> None:
    place.settings.write_text(f"[notify]\ncommand = {as_toml(text)}\n")
    try:
        found = notify_settings(place)
    except InvalidInput as error:
        assert re.fullmatch(r"notify\.command = .+: .+; valid: notify-send autopilot", str(error))
        assert "\n" not in str(error)
    else:
        assert found.command
        assert found.command == tuple(shlex.split(text))


# --- trying it -------------------------------------------------------------------------------------------------------


def test_trying_it_out(endpoint: Endpoint, workspace: Workspace, tmp_path: Path) -> None:
    assert try_out(workspace)[0].startswith("BAD  notify: nothing is configured: ")
    place = tmp_path / "told"
    command = json.dumps(python(RECORD, place))
    workspace.settings.write_text(f'[notify]\nwebhook = "{endpoint.url}"\ncommand = {command}\non = []\n')
    assert try_out(workspace, QUICK) == [
        f"ok   webhook http://{endpoint.place}/…: answered 200",
        f"ok   command {sys.executable}: ended with status 0",
    ]
    assert endpoint.bodies.get_nowait()["event"] == "test"
    assert json.loads(json.loads(place.read_text())["stdin"])["session"] is None
    endpoint.statuses = [404]
    workspace.settings.write_text(f'[notify]\nwebhook = "{endpoint.url}"\ncommand = "/no/such/program"\n')
    webhook, program = try_out(workspace, QUICK)
    assert webhook == f"BAD  webhook http://{endpoint.place}/…: answered 404"
    assert program.startswith("BAD  command /no/such/program: can't be run: ")


def test_doctor_tries_it(endpoint: Endpoint, cli: Cli, workspace: Workspace) -> None:
    done = cli("doctor", "--notify", AUTOPILOT_WEBHOOK=endpoint.url)
    assert (done.code, done.out, done.err) == (0, f"ok   webhook http://{endpoint.place}/…: answered 200\n", "")
    endpoint.statuses = [404]
    done = cli("doctor", "--notify", "--json", AUTOPILOT_WEBHOOK=endpoint.url)
    assert done.code == 1
    assert done.json() == [f"BAD  webhook http://{endpoint.place}/…: answered 404"]
    assert done.err == f"autopilot: webhook http://{endpoint.place}/…: answered 404\n"
    workspace.settings.write_text('[notify]\ncommand = "say \'it"\n')
    done = cli("doctor", "--notify")
    assert done.code == 2
    assert done.err.startswith("autopilot: notify.command = ")
    assert len(done.err.splitlines()) == 1


def test_the_examples_in_the_docs_are_accepted(workspace: Workspace) -> None:
    page = Path(__file__).resolve().parents[3] / "docs" / "notify.md"
    blocks = re.findall(r"```toml\n(.*?)```", page.read_text(), re.DOTALL)
    assert len(blocks) == 3
    for block in blocks:
        workspace.settings.write_text(block)
        assert notify_settings(workspace).command == tuple(shlex.split(tomllib.loads(block)["notify"]["command"]))
    assert all(f"`{event}`" in page.read_text() for event in EVENTS)
