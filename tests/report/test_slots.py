"""Where replicates train and how busy the slots were, as people are told."""

from lab.base.schema import now
from lab.store.notebook import Notebook
from lab.store.proposals import Proposals
from lab.store.session import Budgets, SessionRecord, SlotSeen, SlotsSeen, Spent
from lab.store.sessions import Sessions
from report.session_status import status_lines
from report.slots import slots_line, slots_text
from tests.conftest import ENV, RunMaker


def test_status_says_what_trains_where_while_the_session_is_at_work(
    notebook: Notebook, proposals: Proposals, make_run: RunMaker
) -> None:
    run, sessions = make_run(), Sessions(notebook.workspace)
    record = SessionRecord(
        session_id="night", env_name=ENV, preset="quick", objective="perf:max", model="offline", approve="auto",
        seeds=1, budgets=Budgets(), spent=Spent(seconds=1800), created=now(), executor="ray", address="10.0.0.1:6379",
    )  # fmt: skip
    sessions.save(record)
    slots = (
        SlotSeen(host="n1", run_id=run.run_id, seed=4),
        SlotSeen(host="n1"),
        SlotSeen(host="n2", gpus="1", run_id=run.run_id, seed=5),
    )
    assert slots_line(notebook, record) is None
    assert slots_text(notebook, record, 12) == ""
    sessions.saw_slots("night", SlotsSeen(time=now(), slots=slots, seconds=200, busy=187))
    assert slots_line(notebook, record) is None, "nobody is at work"
    with sessions.sole("night"):
        told = dict(status_lines(notebook, proposals, record, 0.0))
    assert told["slots"] == "2 of 3 busy; n1: #1 seed 4, 1 free; n2: #1 seed 5 on GPU 1"
    assert slots_text(notebook, record, 12) == " 24 replicates an hour; its slots were busy 94 %."
