"""A session from the command line: its parts put together, announced, detached, run, resumed."""

import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from agent.analysis import Analyst
from agent.approval import Approver, policy_settings
from agent.model import AGENT, ChatModel, ModelSettings, OfflineResearcher, OutsideAgent, model_settings, price_of
from agent.notify import notifier_of, notify_settings
from agent.session.preflight import Endpoint, Preflight
from agent.session.session import PATIENCE, Session
from agent.session.signals import Stopping
from agent.session.streaming import StreamingSession
from lab.base import AutopilotError, InvalidInput, Workspace, append_line, invalid, now, plain
from lab.space import Config, Inventory
from lab.store import LATEST, Lab, Notebook, RunState, Selection, SessionRecord, Sessions
from mirror import followed
from report import make_view, print_markdown, say_where
from training import ProcessRunner, SlotRunner, executor_for

POLL = 0.1
"""Seconds between two looks at whether a detached session has come to life."""


def session_to_resume(workspace: Workspace, name: str | None) -> SessionRecord:
    """The session that is called so, or the latest one that has not ended, which `latest` means as well.

    Raises:
        InvalidInput: there is none, several are called that, or it has ended.
    """
    if name not in (None, LATEST):
        record = Sessions(workspace).named(name)
        if record.ended is not None:
            raise InvalidInput(f"session {name} has ended ({record.ended_because}): 'autopilot start' begins another")
        return record
    if interrupted := Sessions(workspace).interrupted():
        return interrupted[0]
    notebook = Notebook(workspace)
    running = notebook.index.records(Selection(states=(RunState.RUNNING,)))
    left = next((run.run_id for run in running[::-1] if run.session is None and notebook.interrupted(run)), None)
    if left is not None:
        which = f"run {notebook.index.number_of(left)} was interrupted: 'autopilot resume {left}' trains it again"
        raise InvalidInput(f"there is no session to go on with; {which}")
    raise InvalidInput("there is no session to go on with: 'autopilot start' begins one")


def the_same_again(workspace: Workspace, record: SessionRecord) -> SessionRecord | None:
    """An interrupted session that was asked for in the same words as this one."""
    of_its_own = {
        "session_id", "created", "spent", "ended", "ended_because", "contenders", "plan", "began_on", "lengthened"
    }  # fmt: skip

    def asked(one: SessionRecord) -> dict[str, Any]:
        return {**one.model_dump(exclude=of_its_own), "preset": one.began_on or one.preset}

    return next((one for one in Sessions(workspace).interrupted() if asked(one) == asked(record)), None)


@dataclass
class Night:
    """A session with everything it needs, about to begin or to go on."""

    workspace: Workspace
    inventory: Inventory
    record: SessionRecord
    stopping: threading.Event = field(default_factory=threading.Event)
    pausing: threading.Event = field(default_factory=threading.Event)
    session: Session | None = None

    def __post_init__(self) -> None:
        """Check what its settings say.

        Raises:
            InvalidInput: the price of the model is needed and not known, or a table of autopilot.toml is wrong.
        """
        record, workspace = self.record, self.workspace
        self.asked, self.price = model_settings(workspace), price_of(workspace, record.model)
        unpaid = record.model in ("offline", AGENT)
        if record.budgets.max_dollars is not None and not unpaid and self.price is None:
            rule, valid = f"needs the price of {record.model}", f'[prices."{record.model}"] in autopilot.toml'
            raise invalid("max-dollars", record.budgets.max_dollars, rule, valid)
        self.model: ChatModel = (
            OutsideAgent(workspace.session(record.session_id), self.asked)
            if record.model == AGENT
            else model_named(record.model, record.base_url, self.asked, self.stopping, self._left)
        )
        self.lab = Lab(Notebook(workspace), self.inventory)
        environment = self.inventory.environment(record.env_name)
        rules = policy_settings(workspace, environment) if record.approve == "policy" else None
        self.approver = Approver(record.approve, self.lab, rules)
        notify_settings(workspace)
        self.runner: SlotRunner
        self.runner = self._here = ProcessRunner(record.parallel)
        if record.executor != "local":
            where = (record.executor, record.address, record.session_id, record.parallel)
            self.runner = SlotRunner(executor_for(workspace, *where))

    def announce(self, config: Config) -> None:
        """Say what is going to happen.

        Raises:
            AutopilotError: it can't: no room on the disk, no answer from the endpoint.
        """
        endpoint = self.model if isinstance(self.model, Endpoint) else None
        preflight = Preflight(
            self.record, config, self.lab, self.runner, self._here, endpoint, self.approver, self.price, _while_waiting
        )
        if endpoint is not None:
            _while_waiting(f"asking {self.record.model} …")
        with self._or_remembered():
            preflight.require()
        say_where(self.workspace)
        sys.stdout.write(f"session {self.record.session_id}\n")
        sys.stdout.flush()
        self.runner.warm(config, self.inventory.device(config.train["device"]))
        try:
            with self._or_remembered():
                lines = preflight.lines()
            for label, text in lines:
                sys.stdout.write(f"  {label:12} {plain(text, 1000)}\n")
            sys.stdout.flush()
        except BaseException:
            self.runner.close()
            raise
        finally:
            if self._here is not self.runner:
                self._here.close()  # which measured how fast it trains
        self.record = self.record.model_copy(update={"contenders": preflight.contenders})

    @contextmanager
    def _or_remembered(self) -> Iterator[None]:
        """A failure is remembered for `autopilot status`; a wrong call changes nothing."""
        try:
            yield
        except InvalidInput:
            raise
        except AutopilotError as error:
            with suppress(OSError, InvalidInput):  # no room, which is the failure
                self.workspace.create()
                Sessions(self.workspace).fail_to_begin(self.record, str(error))
            raise

    def detach(self) -> None:
        """Leave it to a process of its own, which no terminal ends.

        Raises:
            AutopilotError: it did not come to life; says why.
        """
        self.runner.close()
        self.workspace.create()
        paths, sessions = self.workspace.session(self.record.session_id), Sessions(self.workspace)
        sessions.save(self.record)
        command = [sys.executable, "-P", "-m", "cli.main", "--workspace", str(self.workspace.root), "resume"]
        with paths.log.open("ab") as log:
            process = subprocess.Popen(  # noqa: S603 - our own module
                [*command, self.record.session_id],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        while (running := sessions.running()) is None or running.session != self.record.session_id:
            if process.poll() is not None:
                said = paths.log.read_text(errors="replace").strip().splitlines()[-1:]
                raise AutopilotError(f"the detached session ended at once: {plain(''.join(said), 400)}")
            time.sleep(POLL)
        sys.stdout.write(
            f"detached: process {process.pid}; 'autopilot status' looks, 'autopilot stop' ends it after the present"
            f" run, {paths.log} has what it says\n"
        )

    def go(self) -> None:
        """Run or go on with it, and print its digest.

        Raises:
            Busy: another session runs in this workspace.
            AutopilotError: it ended without a finished run.
        """
        self.workspace.create()
        record, view = self.record, make_view()
        with Stopping(self.stopping, self.pausing):
            analyst = Analyst(
                self.lab,
                self.model,
                record.session_id,
                self.stopping.is_set,
                self.approver.permits,
                self.approver.rules,
                record.ahead,
            )
            self.runner.warm(device=self.inventory.device(record.settings.get("train.device", "auto")))
            events = self.workspace.session(record.session_id).events
            notifier = notifier_of(self.workspace, record.session_id, lambda text: _untold(events, text))
            # The offline researcher takes seconds, and is worth waiting for: it proposes what the sampler would.
            patience = None if record.model == "offline" else PATIENCE
            streams = record.repeatable or record.executor != "local"
            kind = partial(StreamingSession, in_order=record.repeatable) if streams else Session
            self.session = kind(
                record,
                self.lab,
                self.runner,
                analyst,
                view,
                self.stopping,
                self.price,
                self.asked.turns,
                self.approver,
                notifier,
                self.pausing,
                patience,
            )
            view.note(f"session {record.session_id} begins" if not self.session.mine() else _going_on(self.session))
            mirror_log = self.workspace.session(record.session_id).mirror_log
            try:
                with followed(self.workspace, record.mlflow, mirror_log, view.note, session=record.session_id):
                    record = self.session.run()
            finally:
                view.close()
                notifier.close()
        print_markdown(Sessions(self.workspace).digest(record.session_id))
        if record.ended is None:
            sys.stdout.write(f"\ninterrupted; to go on: autopilot resume {record.session_id}\n")
        elif not any(run.state == "finished" for run in self.session.mine()):
            raise AutopilotError(f"session {record.session_id} ended without a finished run: {record.ended_because}")

    def _left(self) -> float | None:
        return self.session.budget.left() if self.session else None


def _untold(events: Path, text: str) -> None:
    append_line(events, {"time": now().isoformat(), "event": "not told", "why": text})


def _going_on(session: Session) -> str:
    ended = sum(run.state.ended for run in session.mine())
    return f"session {session.record.session_id} goes on: {ended} run{'s have' if ended != 1 else ' has'} ended"


def model_named(
    name: str,
    base_url: str | None,
    asked: ModelSettings,
    stopping: threading.Event,
    left: Callable[[], float | None] = lambda: None,
) -> ChatModel:
    """The model of that name: the offline researcher, or one at an OpenAI-compatible endpoint.

    Args:
        name: `offline`, or as the endpoint calls it.
        base_url: the endpoint; None for OPENAI_BASE_URL.
        asked: how it is asked.
        stopping: ends its waiting when it is set.
        left: seconds that the session has left; None without a limit.

    Raises:
        InvalidInput: no key is set for it, or the address holds a password.
    """
    if name == "offline":
        return OfflineResearcher()
    from agent.model.openai_chat import OpenAIChat

    place = base_url or os.environ.get("OPENAI_BASE_URL", "")
    if "@" in place.partition("//")[2].partition("/")[0]:
        rule = "has a user or a password in it, which would stand in files"
        raise invalid("base-url", redacted_address(place), rule, "the address alone, and the key in OPENAI_API_KEY")
    if place and not re.match(r"https?://[^/\s]+", place):
        raise invalid("base-url", place, "is no address of an endpoint", "such as http://127.0.0.1:8000/v1")
    return OpenAIChat(name, base_url, asked, stopping=stopping, left=left)


def redacted_address(address: str) -> str:
    """An address without what stands before its host."""
    return re.sub(r"//[^/@]*@", "//…@", address)


def _while_waiting(text: str) -> None:
    """Say what takes a while to whoever sits at the terminal; a log says what came of it."""
    if sys.stdout.isatty():
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()
