"""A disk that fills in the night, and a session that goes on once there is room: a real file system of its own."""

import contextlib
import os
import resource
import threading
from pathlib import Path
from typing import Any

import pytest

from agent.analysis.analyst import Analyst
from agent.model.offline import OfflineResearcher
from agent.session.session import Session
from lab.base.errors import AutopilotError
from lab.base.files import read_model
from lab.base.paths import Workspace
from lab.base.schema import now
from lab.judge.verdicts import record_verdict
from lab.space.inventory import Inventory
from lab.store.lab import Lab
from lab.store.notebook import Notebook
from lab.store.proposals import Proposals
from lab.store.records import ReplicateResult, RunState
from lab.store.session import Budgets, SessionRecord
from report.live import LineView
from tests.conftest import ENV, RunMaker
from training.fake import FakeRunner
from training.runner import Plan


class Filling(FakeRunner):
    """Leaves no byte free while the run of a number trains."""

    def __init__(self, notebook: Notebook, at: int) -> None:
        super().__init__()
        self._notebook, self._at = notebook, at

    def train(self, plan: Plan, *more: Any) -> list[ReplicateResult]:
        results = super().train(plan, *more)
        if len(self._notebook.runs()) == self._at:
            with (self._notebook.workspace.root / "filler").open("ab", buffering=0) as file:
                with contextlib.suppress(OSError):
                    while True:
                        file.write(os.urandom(65_536))
                with contextlib.suppress(OSError):
                    while True:
                        file.write(b"x")
        return results


@pytest.mark.parametrize("at", [1, 3])
def test_a_full_disk_ends_it_with_one_line_and_nothing_is_lost(small_disk: Path, inventory: Inventory, at: int) -> None:
    workspace = Workspace(small_disk)
    workspace.create()
    notebook = Notebook(workspace)

    def session(runner: FakeRunner, record: SessionRecord) -> Session:
        stop = threading.Event()
        analyst = Analyst(Lab(notebook, inventory), OfflineResearcher(), record.session_id, stop.is_set)
        return Session(record, Lab(notebook, inventory), runner, analyst, LineView(), stop, patience=None)

    record = SessionRecord.model_validate({
        "session_id": "full", "env_name": ENV, "preset": "quick", "objective": "perf:max", "model": "offline",
        "approve": "auto", "seeds": 1, "budgets": Budgets(max_runs=8), "created": now(),
    })  # fmt: skip
    with pytest.raises(AutopilotError, match=r"the disk of .* is full"):
        session(Filling(notebook, at), record).run()
    before = {run.run_id for run in notebook.runs()}
    (small_disk / "filler").unlink()
    stored = read_model(workspace.session("full").session, SessionRecord)
    assert stored.ended is None
    ended = session(FakeRunner(), stored).run()
    assert ended.ended_because == "all 8 replicates are trained"
    runs = notebook.runs()
    assert before <= {run.run_id for run in runs}
    assert [run.state for run in runs] == [RunState.FINISHED] * 4
    assert notebook.damaged == {}
    assert all(notebook.paths(run.run_id).report.exists() for run in runs)
    proposals = Proposals(workspace)
    assert len({run.proposal for run in runs[1:]}) == 3
    assert len(proposals.all()) >= 4
    assert proposals.damaged == {}


def test_a_verdict_that_finds_no_room_is_given_once_there_is(make_run: RunMaker, notebook: Notebook) -> None:
    first, path = make_run(), notebook.workspace.verdicts
    padded = path.read_bytes().rstrip(b"\n") + b" " * 2**25 + b"\n"  # larger than any other file
    path.write_bytes(padded)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(padded) + 5, hard))
    try:
        with pytest.raises(OSError, match="File too large"):
            make_run({"train.ent_coef": 0.02}, parent=first.run_id)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == padded
    second = notebook.runs()[-1]
    assert second.state is RunState.FINISHED
    assert record_verdict(notebook, second) == notebook.verdict(second.run_id) is not None
