"""Sessions on the fake runner, and what they say."""

import itertools
import threading
from collections.abc import Callable
from typing import Any

import pytest

from agent.analysis.analyst import Analyst
from agent.model.chat import ChatModel
from agent.model.offline import OfflineResearcher
from agent.session.session import Session
from lab.base.files import read_lines
from lab.base.schema import now
from lab.space.inventory import Inventory
from lab.store.lab import Lab
from lab.store.notebook import Notebook
from lab.store.session import Budgets, SessionRecord
from report.live import LineView
from tests.conftest import ENV
from training.fake import FakeRunner
from training.runner import Runner

Make = Callable[..., Session]


@pytest.fixture
def make_session(notebook: Notebook, inventory: Inventory) -> Make:
    made = itertools.count(1)

    def make(
        runner: Runner | None = None,
        record: SessionRecord | None = None,
        model: ChatModel | None = None,
        parts: dict[str, Any] | None = None,
        **fields: Any,
    ) -> Session:
        created = now()
        fresh = {
            "session_id": f"night-{next(made)}", "env_name": ENV, "preset": "quick", "objective": "perf:max",
            "model": "offline", "approve": "auto", "seeds": 1, "budgets": Budgets(max_runs=8), "created": created,
            "model_share": 1,  # of a model of one's own, all that is new; tests of shares say otherwise
        }  # fmt: skip
        record = record or SessionRecord.model_validate({**fresh, **fields})
        stop = threading.Event()
        analyst = Analyst(Lab(notebook, inventory), model or OfflineResearcher(), record.session_id, stop.is_set)
        analyst.ahead = record.ahead
        parts = {"patience": None, **(parts or {})}
        if "rules" in parts:
            analyst.permits, analyst.rules = parts["rules"].permits, parts["rules"].rules
        return Session(record, Lab(notebook, inventory), runner or FakeRunner(), analyst, LineView(), stop, **parts)

    return make


def events(session: Session) -> list[str]:
    path = session.notebook.workspace.session(session.record.session_id).events
    return [line["event"] for line in read_lines(path)]


class Told:
    """Somebody who is notified."""

    def __init__(self) -> None:
        self.said: list[tuple[str, str]] = []

    def notify(self, event: str, text: str, **_: Any) -> None:
        self.said.append((event, text))
