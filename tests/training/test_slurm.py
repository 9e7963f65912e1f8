"""Replicates as jobs: what is lost on the way and what is not, without Slurm and with three nodes of it."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from lab.base.errors import InvalidInput
from lab.base.files import read_model, write_model
from lab.base.paths import Workspace
from lab.base.schema import now
from lab.space.inventory import Inventory
from lab.store.notebook import Notebook
from lab.store.records import ReplicateResult, RunState, StopReason
from tests.training.batches import LocalBatch, NoBatch, until
from tests.training.conftest import LONG, Queue
from tests.training.slurm_cluster import LocalSlurm
from training.executors import batched, choosing, slurm
from training.executors.attempts import BatchOrder, Post, Reader, Writer
from training.executors.choosing import executor_asked
from training.executors.executor import Lost, Running
from training.executors.madeup import MadeUp
from training.executors.messages import SlotState
from training.executors.settings import SlurmSettings, slurm_settings
from training.executors.slurm import SlurmExecutor
from training.inventory import versions_here
from training.protocol import Progress, TrainJob
from training.run import train_run
from training.runner import Plan, SlotRunner


@pytest.fixture
def job(notebook: Notebook, inventory: Inventory, queue: Queue) -> TrainJob:
    """The first replicate of a run."""
    run = queue()
    plan = Plan(
        run, notebook.config(run.run_id), run.seeds, notebook.workspace, inventory.environment(run.env_name), "cpu",
        run.goal,
    )  # fmt: skip
    return plan.job(run.seeds[0])


def result_of(running: Running, seconds: float = 600.0) -> ReplicateResult:
    found: list[ReplicateResult | None] = []

    def ended() -> bool:
        found.append(running.poll(lambda _: None))
        return found[-1] is not None

    until(ended, seconds)
    running.end()
    assert found[-1] is not None
    return found[-1]


# --- a job from the inside ---------------------------------------------------------------------------------------


class OneJob:
    """A job in a process of its own, at an order for a made-up replicate."""

    def __init__(self, folder: Path, job: TrainJob, keep: float = 60.0) -> None:
        self.post = Post(folder / "order")
        self.post.write(BatchOrder(key="k", job=job, keep=keep, made_up=MadeUp(seconds=3600)))
        self.process = self.begin(0)
        self.reader = Reader(self.post.folder / "0", folder / "home")
        until(self.has_begun)

    def has_begun(self) -> bool:
        self.reader.news()
        return self.reader.state is not None

    def begin(self, again: int) -> subprocess.Popen[bytes]:
        code = f"from training.executors.batch_job import carry_out; carry_out({str(self.post.folder)!r})"
        return subprocess.Popen([sys.executable, "-c", code], env={**os.environ, "SLURM_RESTART_COUNT": str(again)})


@pytest.fixture
def one_job(tmp_path: Path, job: TrainJob) -> Iterator[OneJob]:
    found = OneJob(tmp_path / "batch", job)
    yield found
    found.process.kill()
    found.process.wait()


def test_a_job_that_outlived_its_node_ends_and_is_not_read(one_job: OneJob) -> None:
    second = one_job.begin(1)
    assert one_job.process.wait(600) == 0
    assert one_job.reader.news().result is None
    assert one_job.post.newest() == 1
    assert second.poll() is None, "the other one is at it"
    third = one_job.begin(1)
    assert third.wait(600) == 0, "nobody is at an attempt that somebody is at"
    assert second.poll() is None
    one_job.post.withdraw()
    assert second.wait(600) == 0


def test_a_job_whose_order_is_withdrawn_ends_and_none_begins(one_job: OneJob) -> None:
    one_job.post.withdraw()
    assert one_job.process.wait(600) == 0
    assert one_job.begin(1).wait(600) == 0
    assert one_job.post.newest() == 0


def test_a_job_ends_when_its_session_does_not_come_back(tmp_path: Path, job: TrainJob) -> None:
    alone = OneJob(tmp_path / "batch", job, keep=3.0)
    assert alone.process.wait(600) == 0
    assert alone.reader.news().result is None


def test_a_job_that_is_told_to_go_leaves_no_result(one_job: OneJob) -> None:
    one_job.process.send_signal(signal.SIGUSR2)  # a while before a time limit
    one_job.process.send_signal(signal.SIGTERM)
    assert one_job.process.wait(600) == 0
    assert one_job.reader.news().result is None


# --- a session -----------------------------------------------------------------------------------------------------


def test_who_comes_back_finds_jobs_and_their_results(workspace: Workspace, job: TrainJob) -> None:
    batch, how = LocalBatch(), MadeUp(seconds=2)
    first, second, third = (SlurmExecutor(workspace, "night", batch=batch, made_up=how) for _ in range(3))
    begun = first.begin(job, 1)
    assert begun is not None
    submitted = len(batch.jobs)  # nobody ends `first`: it was killed
    again = second.begin(job, 1)
    assert again is not None
    until(lambda: not any(state.state == "RUNNING" for state in batch.survey().values()))
    found = third.begin(job, 1)
    assert found is not None
    assert len(batch.jobs) == submitted
    assert result_of(found).state is RunState.FINISHED
    third.close()
    assert not workspace.batch.exists()


def test_a_replicate_that_is_recorded_is_not_found_again(
    workspace: Workspace, job: TrainJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slurm, "CHECK", 0.0)
    batch = NoBatch()
    SlurmExecutor(workspace, "night", batch=batch).begin(job, 1)
    write_model(Path(job.dir) / "result.json", ReplicateResult(seed=job.seed, state=RunState.FINISHED))
    batch.cancelled.clear()
    again = SlurmExecutor(workspace, "night", batch=batch)
    again.warm(None, "cpu")
    assert len(batch.cancelled) >= 1
    assert again.places() == []


@pytest.mark.parametrize(
    ("state", "signs", "comes_to"),
    [
        ("TIMEOUT", True, RunState.TIMED_OUT),
        ("CANCELLED", True, RunState.KILLED),
        ("OUT_OF_MEMORY", True, RunState.KILLED),
        ("NODE_FAIL", True, "n2: its job ended \\(node_fail\\)"),
        ("FAILED", False, "n7: its job ended \\(failed\\) without a sign of life"),
    ],
)
def test_how_a_job_ended_is_an_outcome_or_a_loss(
    workspace: Workspace, job: TrainJob, monkeypatch: pytest.MonkeyPatch, state: str, signs: bool,
    comes_to: RunState | str,
) -> None:  # fmt: skip
    for module, name in ((slurm, "CHECK"), (slurm, "SURVEY"), (batched, "SETTLES")):
        monkeypatch.setattr(module, name, 0.0)
    batch = NoBatch()
    executor = SlurmExecutor(workspace, "night", batch=batch)
    running = executor.begin(job, 1)
    assert running is not None
    assert running.poll(lambda _: None) is None
    assert running.place == "Slurm's queue (Resources)"
    if signs:
        (order,) = workspace.batch.glob("*/*/order.json")
        (order.parent / "0").mkdir()
        here = SlotState(node="1", host="n2", pid=1, versions={}, time=now())
        write_model(order.parent / "0" / ".here.json", here)
        assert running.poll(lambda _: None) is None
        assert running.place == "n2"
    batch.state = state
    if isinstance(comes_to, RunState):
        assert result_of(running).state is comes_to
    else:
        with pytest.raises(Lost, match=comes_to):
            result_of(running)
        running.end()
    executor.close()


def test_a_node_with_other_versions_is_told_of_in_the_record(
    workspace: Workspace, job: TrainJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slurm, "CHECK", 0.0)
    batch = NoBatch("RUNNING")
    executor = SlurmExecutor(workspace, "night", batch=batch)
    running = executor.begin(job, 1)
    assert running is not None
    (order,) = workspace.batch.glob("*/*/order.json")
    versions = {**versions_here(), "torch": "1.0"}
    state = SlotState(node="1", host="n2", pid=1, versions=versions, time=now())
    attempt = Writer(Post(order.parent), 1, state)
    (attempt.folder / "train.log").write_text("trained")
    attempt.end(ReplicateResult(seed=job.seed, state=RunState.FINISHED, notes=("mine",)))
    result = result_of(running)
    assert result.node == "n2"
    assert result.notes[0] == "mine"
    assert re.fullmatch(r"trained on n2 with torch 1\.0 \(here .*\)", result.notes[1])
    assert result.notes[2] == "its job was begun 2 times"
    assert read_model(Path(job.dir) / "result.json", ReplicateResult) == result
    assert (Path(job.dir) / "train.log").read_text() == "trained"
    batch.state = "COMPLETED"
    executor.close()


def test_a_replicate_that_waits_ends_at_once_when_it_is_stopped(
    workspace: Workspace, job: TrainJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slurm, "CHECK", 0.0)
    monkeypatch.setattr(slurm, "SURVEY", 0.0)
    batch = NoBatch()
    executor = SlurmExecutor(workspace, "night", batch=batch)
    running = executor.begin(job, 1)
    assert running is not None
    running.stop(StopReason(state=RunState.PRUNED, reason="hopeless"))
    result = result_of(running)
    assert (result.state, result.reason) == (RunState.PRUNED, "hopeless; its job had not begun")
    assert batch.cancelled


def test_a_workspace_that_no_node_sees_is_told_of_at_the_start(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slurm, "SURVEY", 0.0)
    monkeypatch.setattr(batched, "SETTLES", 1.0)
    with pytest.raises(InvalidInput, match=r"workspace = .*can't be used by Slurm's node n7 \(its job ended: failed\)"):
        SlurmExecutor(workspace, "night", batch=NoBatch("FAILED")).warm(None, "cpu")
    assert not workspace.batch.exists()


def test_what_is_asked_for_without_slurm_is_refused(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InvalidInput, match="has no part in --executor slurm"):
        executor_asked(workspace, "slurm", "127.0.0.1:1")
    monkeypatch.setenv("PATH", "")
    with pytest.raises(InvalidInput, match="finds no sbatch, squeue, scancel, srun here"):
        executor_asked(workspace, "slurm", None)
    monkeypatch.setattr(choosing, "find_spec", lambda _: None)
    with pytest.raises(InvalidInput, match=r"needs the package submitit.*pip install submitit"):
        executor_asked(workspace, "slurm", None)


def test_settings_are_read(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace.settings.write_text('[slurm]\npartition = "gpu"\ntime = "1-12:00"\noptions = { account = "us" }\n')
    monkeypatch.setenv("AUTOPILOT_SLURM_GRES", "gpu:1")
    found = slurm_settings(workspace)
    assert (found.partition, found.time, found.gres, found.options) == ("gpu", "1-12:00", "gpu:1", {"account": "us"})
    workspace.settings.write_text('[slurm]\ntime = "an hour"\n')
    with pytest.raises(InvalidInput, match=r"slurm\.time"):
        slurm_settings(workspace)


# --- Slurm itself --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cluster() -> Iterator[LocalSlurm]:
    """Three nodes, kept from test to test."""
    pytest.importorskip("submitit")
    with LocalSlurm() as found:
        yield found


def runner_on(workspace: Workspace, seconds: float | None, owner: str = "test", **asked: object) -> SlotRunner:
    made_up = MadeUp(seconds=seconds) if seconds is not None else None
    return SlotRunner(SlurmExecutor(workspace, owner, SlurmSettings.model_validate(asked), 2, made_up=made_up))


@pytest.mark.slow
def test_a_node_is_lost_and_who_outlived_it_is_no_second_writer(
    cluster: LocalSlurm, workspace: Workspace, queue: Queue, notebook: Notebook, inventory: Inventory
) -> None:
    """It hangs while Slurm begins its job again elsewhere, and goes on when that one trains."""
    runner, lost, after = runner_on(workspace, 8.0), list[psutil.Process](), list[str]()
    seed, node = 0, ""

    def lose(progress: Progress) -> None:
        nonlocal seed, node
        (place,) = (one for one in runner.places() if one.seed == progress.seed)
        if not lost:
            seed, node = progress.seed, place.host
            cluster.lose(node)
            for process in cluster.processes(node):
                with contextlib.suppress(psutil.NoSuchProcess):  # one that was about to end
                    process.suspend()
                    lost.append(process)
        elif progress.seed == seed and place.host != node and not after:
            after.append(place.host)
            for process in lost:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.resume()

    run = train_run(notebook, runner, inventory, queue().run_id, lose)
    assert lost, "somebody outlived it"
    assert (run.state, run.attempt) == (RunState.FINISHED, 1), run.reason
    results = {result.seed: result for result in notebook.results(run)}
    assert [results[seed].node] == after != [node]
    assert [result.notes for result in results.values() if result.notes] == [("its job was begun 2 times",)]
    until(lambda: not any(process.is_running() for process in lost))
    runner.close()
    assert cluster.processes() == []
    cluster.recover(node)


@pytest.mark.slow
def test_a_session_that_was_killed_finds_its_jobs_again(
    cluster: LocalSlurm, queue: Queue, notebook: Notebook, inventory: Inventory
) -> None:
    run = queue()
    code = f"""
        from pathlib import Path
        from lab.base.paths import Workspace
        from lab.store.notebook import Notebook
        from training.executors.madeup import MadeUp
        from training.executors.slurm import SlurmExecutor
        from training.inventory import load_inventory
        from training.run import train_run
        from training.runner import SlotRunner

        workspace = Workspace(Path({str(notebook.workspace.root)!r}))
        runner = SlotRunner(SlurmExecutor(workspace, "test", parallel=2, made_up=MadeUp(seconds=6)))
        told = lambda progress: print("trains", progress.seed, flush=True)
        train_run(Notebook(workspace), runner, load_inventory(["puffer_cartpole"]), {run.run_id!r}, told)
    """
    secret = {**os.environ, "OPENAI_API_KEY": "a-secret"}
    command = [sys.executable, "-c", textwrap.dedent(code)]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=secret)
    assert child.stdout is not None
    begun = set()
    while len(begun) < 2:
        said = child.stdout.readline()
        assert said, "it ended"
        begun.add(said)
    keys = {one.environ().get("OPENAI_API_KEY") for one in cluster.processes()}
    child.kill()
    child.wait()
    assert keys == {""}, "the session has one, its jobs have none"
    before = cluster.tell("squeue", "-h", "-t", "all", "-o", "%i").split()
    runner = runner_on(notebook.workspace, 6.0)
    ended = train_run(notebook, runner, inventory, run.run_id, lambda _: None)
    assert ended.state is RunState.FINISHED, ended.reason
    after = cluster.tell("squeue", "-h", "-t", "all", "-o", "%i").split()
    assert max(map(int, after)) == max(map(int, before)), "no other job was needed"
    assert [result.notes for result in notebook.results(ended)] == [(), ()]
    runner.close()


@pytest.mark.slow
def test_real_replicates_are_those_of_this_machine_and_leave_nothing(
    cluster: LocalSlurm, real: SlotRunner, workspace: Workspace, queue: Queue, notebook: Notebook, inventory: Inventory
) -> None:
    several = {"vec.backend": "Multiprocessing", "vec.num_envs": 2, "vec.num_workers": 2, "env.num_envs": 256}
    runner, one = runner_on(workspace, None), {"train.seed": 5, "autopilot.seeds": 1}
    here, there = (train_run(notebook, each, inventory, queue(one).run_id, lambda _: None) for each in (real, runner))
    (mine,), (theirs,) = notebook.results(here), notebook.results(there)
    assert there.state is RunState.FINISHED, there.reason
    assert (mine.weights, mine.evaluations) == (theirs.weights, theirs.evaluations)
    assert (mine.node, bool(theirs.node)) == ("", True)
    at_work: list[list[psutil.Process]] = []

    def give_up(progress: Progress) -> None:
        at_work.append(cluster.processes())
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_run(notebook, runner, inventory, queue({**LONG, **one, **several}).run_id, give_up)
    runner.close()
    assert len(at_work[0]) >= 8, "srun and its own, and what trains: four, two environments' processes among them"
    assert cluster.processes() == []


@pytest.mark.slow
def test_a_node_that_does_not_see_the_workspace_is_named(cluster: LocalSlurm) -> None:
    workspace = Workspace(cluster.hidden / "workspace")
    workspace.create()
    runner = runner_on(workspace, 0.0, options={"nodelist": "n3"})
    with pytest.raises(InvalidInput, match="can't be used by Slurm's node n3"):
        runner.warm()
    nowhere = runner_on(workspace, 0.0, partition="nowhere")
    with pytest.raises(
        InvalidInput, match=r"\[slurm\] in .*autopilot.toml: Slurm takes no job: .*invalid partition specified: nowhere"
    ):
        nowhere.warm()
    assert not workspace.batch.exists()
