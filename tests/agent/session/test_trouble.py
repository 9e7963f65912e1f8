"""A model that gave up is seen: in the record, status, digest and notification, with the reason, until it works."""

from pathlib import Path

from agent.model.scripted import ScriptedModel
from agent.session.journal import Journal
from lab.base.folders import SessionPaths
from lab.store.notebook import Notebook
from lab.store.proposals import Proposals
from lab.store.sessions import Sessions
from report.live import SilentView
from report.session_status import status_lines
from tests.agent.analysis.test_loop import text
from tests.agent.conftest import Make, Told

TURTLES = text("I like turtles.")


def test_a_model_that_gave_up_is_seen(make_session: Make, notebook: Notebook, proposals: Proposals) -> None:
    told = Told()
    session = make_session(model=ScriptedModel([TURTLES] * 100, "gpt-x"), parts={"notifier": told})
    session.record = session.record.model_copy(update={"model": "gpt-x"})
    session.run()
    record = Sessions(notebook.workspace).get(session.record.session_id)
    assert record.trouble is not None
    assert record.trouble.in_a_row == record.trouble.analyses > 1
    why = "made no call 3 times in a row: 'I like turtles.'"
    assert why in record.trouble.why
    (said,) = [line for event, line in told.said if event == "model"]
    assert said.startswith("gpt-x gave up once, last at ")
    assert why in said
    shown = dict(status_lines(notebook, proposals, record, 0.0))["model"]
    assert f"gave up {record.trouble.analyses} times, the last {record.trouble.in_a_row} in a row" in shown
    assert "the offline researcher works on in its place" in shown
    digest = notebook.workspace.session(record.session_id).digest.read_text()
    assert f"**The model:** {shown}." in digest


def test_it_is_said_once_when_it_begins_and_once_when_it_is_over(make_session: Make, tmp_path: Path) -> None:
    told, record = Told(), make_session(model=ScriptedModel([], "gpt-x")).record
    journal = Journal(SessionPaths(tmp_path), SilentView(), told)
    for gave_up in (None, "no answer", "no answer", None, None, "a refusal"):
        record = record.model_copy(update={"trouble": journal.fared(record, gave_up, over=None)})
    assert record.trouble is not None
    assert (record.trouble.analyses, record.trouble.in_a_row) == (3, 1)
    assert [event for event, _ in told.said] == ["model", "model"]
    assert journal.fared(record, "the 25 tokens are used up", over="the 25 tokens are used up") == record.trouble
    assert len(told.said) == 2
