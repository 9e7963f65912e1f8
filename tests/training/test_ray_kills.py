"""Twenty kills at random, of slots, of what speaks with Ray, of the session and of machines: nothing is lost."""

import random
import subprocess
import sys
import textwrap
import time
from collections import Counter

import psutil
import pytest

from lab.store.notebook import Notebook
from lab.store.records import RunState
from tests.training.conftest import LocalCluster, Queue

KILLS = 20
RUNS = 12
PAUSE = 2.0
"""Seconds between two kills, about."""

SESSION = """
    import sys
    from pathlib import Path
    from lab.base.paths import Workspace
    from lab.store.notebook import Notebook
    from training.executors.cluster import RayExecutor
    from training.executors.madeup import MadeUp
    from training.inventory import load_inventory
    from training.run import train_run
    from training.runner import SlotRunner

    notebook, address = Notebook(Workspace(Path(sys.argv[1]))), sys.argv[2]
    runner = SlotRunner(RayExecutor(notebook.workspace, address, "kills", made_up=MadeUp(seconds=4)))
    for run in notebook.runs():
        if not run.state.ended:
            print("begins", run.run_id, flush=True)
            train_run(notebook, runner, load_inventory(["puffer_cartpole"]), run.run_id, lambda _: None)
    runner.close()
"""


def found(root: psutil.Process, word: str) -> list[psutil.Process]:
    """Processes below another one whose command line has a word in it."""
    matching = []
    for process in root.children(recursive=True):
        try:
            if any(word in part for part in process.cmdline()):
                matching.append(process)
        except psutil.Error:
            continue
    return matching


@pytest.mark.nights
def test_twenty_kills(queue: Queue, notebook: Notebook) -> None:
    pytest.importorskip("ray")
    runs = [queue({"autopilot.seeds": 2}) for _ in range(RUNS)]
    chance, killed = random.Random(26), Counter[str]()  # noqa: S311 - who is killed is no secret
    slots_of: Counter[str] = Counter()
    with LocalCluster(2, 2) as cluster:
        command = [sys.executable, "-c", textwrap.dedent(SESSION), str(notebook.workspace.root), cluster.address]
        session = subprocess.Popen(command)
        machines, deadline = psutil.Process(cluster.pid), time.monotonic() + 1500
        alive, made = [0, 1], 2
        while session.poll() is None or session.returncode != 0:
            assert time.monotonic() < deadline, [run.state for run in notebook.runs()]
            if session.poll() is not None:  # it was killed, or said that it can't go on
                session = subprocess.Popen(command)
            time.sleep(PAUSE * chance.uniform(0.5, 1.5))
            training = [run for run in notebook.runs() if run.state is RunState.RUNNING]
            if killed.total() >= KILLS or not training:
                continue
            what = chance.choice(("slot", "gateway", "session", "node"))
            if what == "slot" and (slots := found(machines, "ray::Slot")) and slots_of[training[0].run_id] < 2:
                slots_of[training[0].run_id] += 1  # three of them would be its outcome
                chance.choice(slots).kill()
            elif what == "gateway" and (gateways := found(psutil.Process(session.pid), "executors.gateway")):
                gateways[0].kill()
            elif what == "session":
                session.kill()
                session.wait()
            elif what == "node":
                cluster.tell(str(alive.pop(0)))
                cluster.tell("add")
                alive.append(made)
                made += 1
            else:
                continue
            killed[what] += 1
        assert killed.total() == KILLS, killed
        assert [run.state for run in notebook.runs()] == [RunState.FINISHED] * RUNS
        for run in runs:
            assert [result.seed for result in notebook.results(notebook.run(run.run_id))] == list(run.seeds)
            for seed in run.seeds:
                points = notebook.paths(run.run_id).seed(seed)
                assert points.metrics.exists()
        assert found(machines, "ray::Slot") == []
    assert len(killed) == 4, killed
