"""A model that gave up is seen: in the record, status, digest and notification, with the reason, until it works."""

from pathlib import Path

import pytest

from agent.model.scripted import ScriptedModel
from agent.session.journal import Journal
from lab.base.folders import SessionPaths
from lab.base.schema import now
from lab.store.notebook import Notebook
from lab.store.proposals import Proposals
from lab.store.sessions import Sessions
from report.headline import headline_of
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


EXPIRED = "the endpoint answered 401: set OPENAI_API_KEY to a valid key (Error code: 401 - Your key (a1) has expired.)"


@pytest.mark.parametrize(("why", "what", "then", "said"), [
    (EXPIRED, "the endpoint answered 401", "set OPENAI_API_KEY to a valid key, for gpt-x",
     "Error code: 401 - Your key (a1) has expired"),
    (f"rests until 05:10 UTC, having given up 3 times in a row, last: {EXPIRED}", "the endpoint answered 401",
     "set OPENAI_API_KEY to a valid key, for gpt-x", "Error code: 401 - Your key (a1) has expired"),
    ("the endpoint could not be reached: Connection error.", "the endpoint could not be reached",
     "see that the endpoint of gpt-x can be reached", "the endpoint could not be reached: Connection error"),
    ("made no call 3 times in a row: 'No.'", "made no call 3 times in a row", None,
     "made no call 3 times in a row: 'No.'"),
])  # fmt: skip
def test_it_is_told_since_when_why_in_few_words_and_what_would_mend_it(
    make_session: Make, notebook: Notebook, proposals: Proposals, tmp_path: Path,
    why: str, what: str, then: str | None, said: str,
) -> None:  # fmt: skip
    told = Told()
    record = make_session(model=ScriptedModel([], "gpt-x")).record.model_copy(update={"model": "gpt-x"})
    journal = Journal(SessionPaths(tmp_path), SilentView(), told)
    fared = []
    for gave_up in ("a refusal", None, why, why):
        fared.append(journal.fared(record, gave_up, over=None))
        record = record.model_copy(update={"trouble": fared[-1]})
    first, last = fared[2], fared[3]
    assert first is not None and last is not None
    assert last.since == first.last < last.last
    record = record.model_copy(update={"ended": now(), "ended_because": "a test"})
    headline = headline_of(notebook, proposals, record)
    since = f"{first.last:%H:%M} UTC on"
    assert headline.text.endswith(
        f" The model gave up 2 times in a row, from {since} ({what}); the offline researcher went on."
    )
    assert dict(headline.lines).get("then") == then
    shown = dict(status_lines(notebook, proposals, record, 0.0))["model"]
    assert shown.startswith(f"gpt-x gave up 3 times, the last 2 in a row, from {first.last:%H:%M} on, last at ")
    assert f" UTC ({said}); the offline" in shown
    assert why.rstrip(".") in told.said[-1][1]  # a notification stands alone
