"""Score against time in the digest, and the session that is asked for it."""

from collections.abc import Callable

import pytest

from lab.base.paths import Workspace
from lab.base.schema import now
from lab.search import front_of
from lab.space.inventory import Inventory
from lab.store.lab import Lab
from lab.store.notebook import Notebook
from lab.store.proposals import Proposals
from lab.store.session import Budgets, SessionRecord, Trade
from lab.store.sessions import Sessions
from report.digest import write_digest
from tests.conftest import ENV, RunMaker, lasted

SESSION = "night-1"
Written = Callable[[Trade | None], str]


@pytest.fixture
def written(make_run: RunMaker, notebook: Notebook, proposals: Proposals, inventory: Inventory) -> Written:
    """The digest of a session of a baseline and three configs: of rates, 0.01 is best and slow, 0.1 beaten."""

    def write(trade: Trade | None) -> str:
        base = make_run({"train.learning_rate": 0.0005, "autopilot.seeds": 5}, session=SESSION)
        lasted(notebook, base, 500.0)
        for rate, seconds in ((0.01, 300.0), (0.005, 60.0), (0.1, 200.0)):
            changes = {"train.learning_rate": rate, "autopilot.seeds": 1}
            run = make_run(changes, parent=base.run_id, arm="race", session=SESSION)
            lasted(notebook, run, seconds)
        record = SessionRecord(
            session_id=SESSION, env_name=ENV, preset="quick", objective="perf:max", model="offline", approve="auto",
            seeds=1, budgets=Budgets(max_runs=30), created=now(), task=base.task, trade=trade, ended=now(),
        )  # fmt: skip
        Sessions(notebook.workspace).save(record)
        write_digest(Lab(notebook, inventory), proposals, record)
        return notebook.workspace.session(SESSION).digest.read_text()

    return write


def test_the_digest_lists_what_no_other_beats_the_baseline_and_the_incumbent(
    written: Written, notebook: Notebook
) -> None:
    text = written("seconds")
    table = text.partition("## Score against time\n")[2].partition("\n## ")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.split("\n") if line.startswith("|")]
    assert rows[0] == ["a replicate takes", "perf", "n", "config", "is"]
    group = notebook.runs()[0].group
    front = [one for one in front_of(notebook, group) if one.front]
    base, best, fast, beaten = notebook.runs()
    assert [one.run for one in front] == [fast.run_id, best.run_id]
    assert [(row[0], row[2], row[3].split()[0], row[4]) for row in rows[2:]] == [
        ("1 min 00 s", "1", fast.run_id, ""),
        # The fake runner keeps no clock of a replicate: the five share the run's time.
        ("1 min 40 s", "5", base.run_id, "baseline, incumbent, beaten"),
        ("5 min 00 s", "1", best.run_id, ""),
    ]
    assert beaten.run_id not in table
    assert "autopilot start" in text
    assert "--trade seconds" in text


def test_who_did_not_ask_is_told_nothing_of_time(written: Written) -> None:
    text = written(None)
    assert "Score against time" not in text
    assert "--trade" not in text


def test_a_run_that_was_begun_again_has_no_time(written: Written, notebook: Notebook, workspace: Workspace) -> None:
    written("seconds")
    fast = notebook.runs()[2]
    lasted(notebook, fast, 1.0, attempt=2)
    assert fast.run_id not in {one.run for one in front_of(Notebook(workspace), fast.group)}
