"""What is left for later analyses: added to, never changed, bounded, and harmless to show."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lab.base.errors import InvalidInput, NotFound
from lab.base.paths import Workspace
from lab.base.schema import now
from lab.space.objective import Group
from lab.store.notes import (
    COMMENT,
    NOTE,
    LogEntry,
    add_comment,
    add_note,
    comments_in,
    keep_entry,
    log_lines,
    log_of,
    notes_in,
)
from tests.conftest import Cli, RunMaker

GROUP = Group("puffer_cartpole", "perf:max", "quick", "0" * 8)


def entry(text: str, **more: str) -> LogEntry:
    return LogEntry(time=now(), **{"run_id": "a-run", "arm": "gpt-5", "text": text, **more}, group=GROUP)


def test_notes_are_added_to_whatever_an_editor_has_left(workspace: Workspace) -> None:
    assert notes_in(workspace) == ""
    workspace.notes.write_text("# The goal\n\nA pole that stands")
    add_note(workspace, "Never\ntouch \x1b[31mgamma.")
    first, *_, last = notes_in(workspace).splitlines()
    assert first == "# The goal"
    assert last.endswith("UTC: Never touch gamma.")
    assert "A pole that stands\n- " in workspace.notes.read_text()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(st.text(max_size=300))
def test_any_text_is_one_line_of_the_notes_or_refused(workspace: Workspace, text: str) -> None:
    workspace.notes.unlink(missing_ok=True)
    try:
        add_note(workspace, text)
    except InvalidInput:
        assert not workspace.notes.exists()
        return
    assert len(workspace.notes.read_text().splitlines()) == 1


def test_what_says_nothing_or_too_much_is_refused(workspace: Workspace, make_run: RunMaker) -> None:
    run = make_run().run_id
    for text in (" \n", "x" * (NOTE + 1)):
        with pytest.raises(InvalidInput, match="note"):
            add_note(workspace, text)
    for text in ("", "x" * (COMMENT + 1)):
        with pytest.raises(InvalidInput, match="comment"):
            add_comment(workspace, run, "person", text)
    for name in ("no-such-run", "../etc", "sessions"):
        with pytest.raises(NotFound):
            add_comment(workspace, name, "person", "hello")
    assert comments_in(workspace) == []


def test_the_log_keeps_each_entry_once_and_by_whom(workspace: Workspace) -> None:
    for one in (entry("first"), entry("first"), entry("second"), entry("theirs", arm="other")):
        keep_entry(workspace, one)
    with workspace.research_log.open("a") as file:
        file.write('{"text": "damaged"}\nno json\n')
    assert [one.text for one in log_lines(workspace)] == ["first", "second", "theirs"]
    assert [one.text for one in log_of(workspace, GROUP, "gpt-5")] == ["first", "second"]
    assert log_of(workspace, GROUP._replace(preset="full")) == []


def test_from_the_command_line(workspace: Workspace, cli: Cli, make_run: RunMaker) -> None:
    run = make_run().run_id
    assert "no notes yet" in cli("note").out
    assert cli("note", "Never touch gamma.").out.endswith("UTC: Never touch gamma.\n")
    assert "Never touch gamma." in cli("note").out
    assert cli("note", "--json").json()["research_log"] == []
    assert cli("comment", run, "look at the second seed").code == 0
    (said,) = comments_in(workspace)
    assert (said.about, said.text) == (run, "look at the second seed")
    refused = cli("comment", "no-such-run", "hello")
    assert refused.code != 0
    assert refused.err.count("\n") == 1
