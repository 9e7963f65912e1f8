"""Replicates on a Ray cluster of three nodes on this machine: what is lost on the way, and what is not."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import psutil
import pytest

from lab.base import now
from lab.base.errors import InvalidInput, TrainingFailed
from lab.base.paths import Workspace, cache_dir
from lab.space.inventory import Inventory
from lab.store.notebook import Notebook
from lab.store.records import ReplicateResult, RunState
from tests.conftest import Cli
from tests.training.conftest import SHORT, LocalCluster, Queue
from training.executors import cluster as ray_cluster
from training.executors.choosing import executor_asked
from training.executors.cluster import RayExecutor
from training.executors.madeup import MadeUp
from training.executors.messages import SlotState
from training.executors.remote import of_machine
from training.executors.transfer import OutOfStep, Sender, receive
from training.protocol import Progress
from training.run import train_run
from training.runner import SlotRunner

Make = Callable[..., SlotRunner]


@pytest.fixture
def on_ray(one_cluster: LocalCluster, workspace: Workspace) -> Iterator[Make]:
    """Make a runner on the cluster, whose replicates are made up: `on_ray(seconds=2)`."""
    made: list[SlotRunner] = []

    def make(seconds: float = 0.0, owner: str = "test", at: LocalCluster = one_cluster) -> SlotRunner:
        made.append(SlotRunner(RayExecutor(workspace, at.address, owner, made_up=MadeUp(seconds=seconds))))
        return made[-1]

    yield make
    for runner in made:
        runner.close()


def slots() -> list[psutil.Process]:
    """The processes of slots on this machine."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.cmdline()[:1] and process.cmdline()[0].startswith("ray::Slot"):
                found.append(process)
        except psutil.Error:
            continue
    return found


def executor_of(runner: SlotRunner) -> RayExecutor:
    assert isinstance(runner.executor, RayExecutor)
    return runner.executor


@pytest.mark.slow
def test_a_slot_that_is_killed_is_another_attempt(
    on_ray: Make, queue: Queue, notebook: Notebook, inventory: Inventory
) -> None:
    runner, killed = on_ray(seconds=3.0), []

    def kill(progress: Progress) -> None:
        if not killed:
            working = [one for one in executor_of(runner).under_way() if one.seed == progress.seed]
            killed.append(working[0].pid)
            os.kill(working[0].pid, signal.SIGKILL)

    run = train_run(notebook, runner, inventory, queue().run_id, kill)
    assert (run.state, run.attempt) == (RunState.FINISHED, 2), run.reason
    assert len(killed) == 1


@pytest.mark.slow
def test_the_process_that_speaks_with_ray_is_killed_and_nothing_is_trained_twice(
    on_ray: Make, queue: Queue, notebook: Notebook, inventory: Inventory
) -> None:
    runner, killed, steps = on_ray(seconds=4.0), [], dict[int, list[int]]()

    def kill(progress: Progress) -> None:
        steps.setdefault(progress.seed, []).append(progress.steps)
        if not killed:
            killed.append(executor_of(runner).gateway_pid)
            os.kill(killed[0], signal.SIGKILL)

    run = train_run(notebook, runner, inventory, queue().run_id, kill)
    assert (run.state, run.attempt) == (RunState.FINISHED, 1), run.reason
    assert all(mine == sorted(set(mine)) for mine in steps.values()), "each went on from where it was"


@pytest.mark.slow
def test_a_session_that_was_killed_finds_its_replicates_again(
    on_ray: Make, one_cluster: LocalCluster, queue: Queue, notebook: Notebook, inventory: Inventory
) -> None:
    run = queue()
    code = f"""
        import sys
        from pathlib import Path
        from lab.base.paths import Workspace
        from lab.store.notebook import Notebook
        from training.executors.cluster import RayExecutor
        from training.executors.madeup import MadeUp
        from training.inventory import load_inventory
        from training.run import train_run
        from training.runner import SlotRunner

        workspace = Workspace(Path({str(notebook.workspace.root)!r}))
        executor = RayExecutor(workspace, {one_cluster.address!r}, "test", made_up=MadeUp(seconds=6))
        told = lambda progress: print("trains", progress.seed, flush=True)
        train_run(Notebook(workspace), SlotRunner(executor), load_inventory(["puffer_cartpole"]), {run.run_id!r}, told)
    """
    child = subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    begun = set()
    while len(begun) < 2:
        line = child.stdout.readline()
        assert line, "it ended before both were at it"
        begun.add(line)
    child.kill()
    child.wait()
    before = {one.pid for one in slots()}
    runner, steps = on_ray(seconds=6), dict[int, list[int]]()
    runner.warm()
    found = executor_of(runner).slots_now.values()
    assert sum(slot.order is not None for slot in found) == 2, "both are still at it"
    saw = lambda progress: steps.setdefault(progress.seed, []).append(progress.steps)  # noqa: E731
    ended = train_run(notebook, runner, inventory, run.run_id, saw)
    assert ended.state is RunState.FINISHED, ended.reason
    assert {one.pid for one in slots()} == before, "no other slot was needed"
    total = int(notebook.config(run.run_id).train["total_timesteps"] or 0)
    assert all(mine[0] > total // 20 for mine in steps.values()), "none began again"


@pytest.mark.slow
def test_a_node_is_lost_and_its_replicates_are_begun_elsewhere(
    on_ray: Make, workspace: Workspace, queue: Queue, notebook: Notebook, inventory: Inventory
) -> None:
    with LocalCluster(1, 2) as cluster:
        runner, lost = on_ray(seconds=4.0, at=cluster), []
        runner.warm()
        run = queue({"autopilot.seeds": 3})

        def lose(progress: Progress) -> None:
            where = {one.seed: one.node for one in executor_of(runner).under_way()}
            if not lost and where.get(progress.seed) == cluster.nodes[1]:
                lost.append(progress.seed)
                cluster.tell("1")

        ended = train_run(notebook, runner, inventory, run.run_id, lose)
        assert lost
        assert (ended.state, ended.attempt) == (RunState.FINISHED, 1), ended.reason
        assert len(notebook.results(ended)) == 3
        runner.close()


@pytest.mark.slow
def test_the_head_is_gone_and_the_run_waits(
    on_ray: Make, queue: Queue, notebook: Notebook, inventory: Inventory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray_cluster, "AGAIN", 3.0)
    with LocalCluster(1) as cluster:
        runner, run = on_ray(seconds=30.0, at=cluster), queue()

        def lose(progress: Progress) -> None:
            cluster.close()

        with pytest.raises(TrainingFailed, match=r"the Ray cluster at .* can't be reached.*queued again"):
            train_run(notebook, runner, inventory, run.run_id, lose)
    assert notebook.run(run.run_id).state is RunState.QUEUED


@pytest.mark.slow
def test_nothing_is_left_when_it_is_closed(
    on_ray: Make, queue: Queue, notebook: Notebook, inventory: Inventory
) -> None:
    runner = on_ray()
    train_run(notebook, runner, inventory, queue().run_id, lambda _: None)
    mine = {one.pid for one in executor_of(runner).known()}
    assert mine
    assert mine <= {one.pid for one in slots()}
    runner.close()
    psutil.wait_procs([one for one in slots() if one.pid in mine], timeout=20)
    assert not mine & {one.pid for one in slots()}
    assert [place for place in (cache_dir() / "slots").iterdir() if place.name.split("-")[0] in map(str, mine)] == []


@pytest.mark.slow
def test_real_replicates_are_those_of_this_machine(
    one_cluster: LocalCluster, real: SlotRunner, workspace: Workspace, queue: Queue, notebook: Notebook,
    inventory: Inventory,
) -> None:  # fmt: skip
    """Modules of the user's travel, and weights and scores are the same to the last bit."""
    runner = SlotRunner(RayExecutor(workspace, one_cluster.address, "real"))
    try:
        here, there = (
            train_run(notebook, one, inventory, queue({"train.seed": 5, "autopilot.seeds": 1}).run_id, lambda _: None)
            for one in (real, runner)
        )
        (mine,), (theirs,) = notebook.results(here), notebook.results(there)
        assert there.state is RunState.FINISHED, there.reason
        assert (mine.weights, mine.evaluations) == (theirs.weights, theirs.evaluations)
        assert (mine.node, bool(theirs.node)) == ("", True)
        assert notebook.paths(there.run_id).seed(5).weights("latest").exists()
    finally:
        runner.close()


@pytest.mark.slow
def test_a_person_trains_goes_on_and_confirms_on_the_cluster(
    one_cluster: LocalCluster, cli: Cli, queue: Queue, notebook: Notebook
) -> None:
    where = ["--executor", "ray", "--address", one_cluster.address]
    first = queue({"autopilot.seeds": 2})
    assert cli("resume", first.run_id, *where).code == 0
    changed = {**SHORT, "autopilot.seeds": 2, "train.learning_rate": 0.01}
    short = [word for key, value in changed.items() for word in ("--set", f"{key}={value}")]
    assert cli("train", *where, *short).code == 0
    assert cli("confirm", "2", *where).code == 0
    runs = notebook.index.records()
    assert len(runs) >= 4  # these two, and fresh seeds of both
    for run in runs:
        assert run.state is RunState.FINISHED, run.reason
        assert all(result.node for result in notebook.results(run)), "none of them trained here"


@pytest.mark.parametrize("behind", [-7200.0, 0.4, 86_400.0])
def test_moments_are_told_by_the_clock_of_who_asked(behind: float) -> None:
    here = now()
    state = SlotState.here("node", "far").model_copy(update={"behind": behind})
    there = here - timedelta(seconds=behind)
    result = of_machine(ReplicateResult(seed=1, state=RunState.FINISHED, first_step=there), state)
    assert result.node == "far"
    assert result.first_step is not None
    assert abs(result.first_step - here) < timedelta(seconds=1)


@pytest.mark.parametrize(
    ("kind", "address", "rule"),
    [
        ("slurmish", None, r"executor = 'slurmish': is none; valid: local \| ray"),
        ("local", "127.0.0.1:1", "has no part in --executor local"),
        ("ray", None, "is needed for --executor ray"),
        ("ray", "nowhere", "is no address of a Ray cluster's head"),
    ],
)
def test_what_is_no_executor_is_refused(workspace: Workspace, kind: str, address: str | None, rule: str) -> None:
    with pytest.raises(InvalidInput, match=rule):
        executor_asked(workspace, kind, address)


def test_files_come_as_they_grow_and_anew_when_they_were_rewritten(tmp_path: Path) -> None:
    there, here = tmp_path / "there", tmp_path / "here"
    there.mkdir()
    sender = Sender(there)

    def bring() -> list[tuple[str, int | None]]:
        pieces, gone, whole = sender.changes()
        assert whole
        receive(here, tuple(pieces), tuple(gone))
        assert {p.name: p.read_bytes() for p in here.iterdir()} == {
            p.name: p.read_bytes() for p in there.iterdir() if not p.name.startswith(".") and p.name != "result.json"
        }
        return [(piece.name, piece.at) for piece in pieces]

    (there / "train.log").write_bytes(b"a" * 10)
    (there / "result.json").write_bytes(b"{}")
    (there / ".latest.pt.part").write_bytes(b"half")
    assert bring() == [("train.log", None)]
    assert bring() == []
    with (there / "train.log").open("ab") as log:
        log.write(b"b" * 5)
    assert bring() == [("train.log", 10)]
    (there / "train.log").write_bytes(b"cut" + b"b" * 20)  # in place, and longer than before
    assert bring() == [("train.log", None)]
    (there / "train.log").unlink()
    assert bring() == []


@pytest.mark.parametrize("name", ["../out", "/etc/out", "a/../../out", "result.json", ""])
def test_a_file_lands_in_its_folder_or_nowhere(tmp_path: Path, name: str) -> None:
    from training.executors.messages import Piece

    with pytest.raises(OutOfStep):
        receive(tmp_path / "here", (Piece(name=name, data=b"x"),), ())
    assert list(tmp_path.iterdir()) == []


def test_a_session_waits_no_longer_than_it_has_to_for_a_cluster_that_is_not_there(workspace: Workspace) -> None:
    pytest.importorskip("ray")
    began = time.monotonic()
    runner = SlotRunner(RayExecutor(workspace, "127.0.0.1:9", "test"))
    with pytest.raises(TrainingFailed, match=r"the Ray cluster at 127.0.0.1:9 can't be reached"):
        runner.warm()
    runner.close()
    assert time.monotonic() - began < 120
