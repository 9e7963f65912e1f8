"""The contents of pages about sessions, from the same functions as the terminal's lists and `--json`."""

from collections.abc import Callable
from typing import Any, NamedTuple

from lab.base.errors import AutopilotError, NotFound
from lab.base.files import read_model
from lab.base.text import lasting
from lab.store.notebook import Notebook
from lab.store.proposals import Proposals
from lab.store.session import SessionRecord
from report.confirmations import candidates
from report.show import run_row
from report.status import status


def sessions(notebook: Notebook) -> list[SessionRecord]:
    """The sessions that can be read, the newest first."""
    records, folder = list[SessionRecord](), notebook.workspace.sessions
    for path in sorted(folder.iterdir(), reverse=True) if folder.is_dir() else ():
        try:
            records.append(read_model(notebook.workspace.session(path.name).session, SessionRecord))
        except (AutopilotError, OSError) as error:
            notebook.notice({path.name: str(error)})
    return records


def session(notebook: Notebook, name: str) -> SessionRecord:
    """The record of one session.

    Raises:
        NotFound: there is none of that name.
    """
    path = notebook.workspace.session(name).session
    if not path.exists():
        raise NotFound(f"session {name!r} is not in {notebook.workspace.root}")
    return read_model(path, SessionRecord)


def tonight(notebook: Notebook, proposals: Proposals) -> dict[str, Any]:
    """The session under way, as `autopilot status` has it, with the latest runs and how far budgets are used."""
    state = status(notebook, proposals)
    record = SessionRecord.model_validate(state["session"]) if state["session"] else None
    rows = notebook.index.records("session = ?", (record.session_id,), newest=8)[::-1] if record else []
    return {
        **state,
        "record": record,
        "runs_by_state": state["runs"],
        "latest": [run_row(notebook, run) for run in rows],
        "budgets": _budgets(notebook, record) if record else [],
        "candidates": candidates(notebook, record.group, []) if record else [],
        "unreadable": state.get("damaged", ""),
        "damaged": notebook.damaged,
        "busy": _share(record.spent.training, record.spent.seconds) if record else None,
    }


class Used(NamedTuple):
    """A budget, and how far it is used."""

    name: str
    share: float
    """The used part, 0 to 1."""
    text: str


def _budgets(notebook: Notebook, record: SessionRecord) -> list[Used]:
    limits, spent = record.budgets, record.spent
    runs = len(notebook.index.ask("SELECT 1 FROM runs WHERE session = ?", (record.session_id,)))
    budgets: list[tuple[str, float, float | None, Callable[[float], str]]] = [
        ("time", spent.seconds, limits.hours and limits.hours * 3600, lasting),
        ("runs", runs, limits.max_runs, lambda value: f"{value:,.0f}"),
        ("tokens", spent.tokens, limits.max_tokens, lambda value: f"{value:,.0f}"),
        ("dollars", spent.dollars, limits.max_dollars, lambda value: f"${value:.2f}"),
    ]
    return [_used(name, used, most, say) for name, used, most, say in budgets if most or used]


def _used(name: str, used: float, most: float | None, say: Callable[[float], str]) -> Used:
    if not most:
        return Used(name, 0.0, f"{say(used)}, no limit")
    return Used(name, min(1.0, used / most), f"{say(used)} of {say(most)}")


def _share(part: float, whole: float) -> float | None:
    return part / whole if whole else None
