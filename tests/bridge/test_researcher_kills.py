"""A session that asks an agent is killed in the middle of analyses: the night comes to the same as one that is not."""

import multiprocessing
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest

pytest.importorskip("mcp", reason="the extra mcp is not installed: pip install 'mcp>=2,<3'")

from mcp import Client, types

from agent.analysis.analyst import Analyst
from agent.model.outside import OutsideAgent
from agent.session.session import Session
from bridge.door import Door
from bridge.server import server_of
from lab.base.files import read_model
from lab.base.paths import Workspace
from lab.base.schema import now
from lab.space.inventory import Inventory
from lab.store.lab import Lab
from lab.store.notebook import Notebook
from lab.store.proposals import Proposals
from lab.store.session import Budgets, SessionRecord
from report.live import SilentView
from tests.agent.session.test_kills import NAME, Death, die, same, told
from tests.bridge.researcher import Refused, finished
from tests.bridge.researcher import told as asked
from tests.conftest import ENV
from training.fake import FakeRunner
from training.inventory import load_inventory

pytestmark = pytest.mark.slow
DEATHS = (
    Death("turn.json", 2, "named"),  # handed out
    Death("transcript.jsonl", 5, "named"),  # a call is in the transcript, and not yet answered
    Death("report.md", 1, "named"),  # reported, and what it proposes not yet staged
    Death("proposals/", 1, "named"),  # staged, and the agent not yet told
)


def night(root: str, death: Death | None) -> None:
    """A session in this process that asks an agent, to its end or until it kills itself."""
    if death is not None:
        die(death)
    notebook, inventory, stop = Notebook(Workspace(Path(root))), load_inventory([ENV]), threading.Event()
    path = notebook.workspace.session(NAME).session
    record = read_model(path, SessionRecord) if path.exists() else SessionRecord(
        session_id=NAME, env_name=ENV, preset="quick", objective="perf:max", model="agent", approve="auto", seeds=1,
        budgets=Budgets(max_runs=6), created=now(), model_share=1,
    )  # fmt: skip
    lab = Lab(notebook, inventory)
    analyst = Analyst(lab, OutsideAgent(notebook.workspace.session(NAME)), NAME, stop.is_set)
    Session(record, lab, FakeRunner(), analyst, SilentView(), stop, patience=None).run()


def through(context: Any, root: Path, inventory: Inventory, deaths: tuple[Death, ...] = ()) -> int:
    """A night driven by an agent that outlives the session; how often that was killed."""
    workspace, notebook = Workspace(root), Notebook(Workspace(root))
    workspace.create()
    killed = 0

    def keep() -> None:
        nonlocal killed
        for death in (*deaths, None):
            process = context.Process(target=night, args=(str(root), death))
            process.start()
            process.join()
            killed += process.exitcode == -signal.SIGKILL

    async def drive() -> None:
        about = types.Implementation(name="tester", version="1")
        async with Client(server_of(Door(workspace, notebook, lambda _: inventory)), client_info=about) as client:
            while keeper.is_alive():
                briefing = await asked(client, "next_analysis", wait=1)
                if briefing["state"] != "yours":
                    await anyio.sleep(0.05)
                    continue
                try:  # what it proposes follows from the record, so it is the same in every night
                    count = len(Proposals(workspace).all())
                    await finished(client, briefing, {"train.ent_coef": 0.02 + 0.01 * count})
                except Refused:  # the session has gone
                    continue

    keeper = threading.Thread(target=keep, daemon=True)
    keeper.start()
    anyio.run(drive)
    return killed


@pytest.fixture(scope="module")
def context() -> Iterator[Any]:
    found = multiprocessing.get_context("forkserver")
    found.set_forkserver_preload(["tests.bridge.test_researcher_kills", "duckdb", "optuna", "scipy.stats"])
    yield found


def test_a_session_that_is_killed_in_the_middle_of_analyses_loses_nothing(
    context: Any, tmp_path: Path, inventory: Inventory
) -> None:
    assert through(context, tmp_path / "undisturbed", inventory) == 0
    undisturbed = told(tmp_path / "undisturbed")
    assert [run["arm"] for run in undisturbed["runs"]] == ["baseline", "agent tester"]
    assert through(context, tmp_path / "killed", inventory, DEATHS) == len(DEATHS)
    same(undisturbed, told(tmp_path / "killed"))
