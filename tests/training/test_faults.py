"""Everything that goes wrong, for real: killed processes, a full file system, memory, signals, a parent that dies."""

import contextlib
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from lab.base.errors import TrainingFailed
from lab.base.paths import Workspace
from lab.space.config import Config
from lab.space.inventory import Inventory
from lab.space.task import Variant
from lab.store.creation import create_run
from lab.store.curves import run_curves
from lab.store.notebook import Notebook
from lab.store.records import RunRecord, RunState
from lab.store.selection import Selection
from tests.conftest import Cli
from tests.training.conftest import LONG, Queue, Train
from training.process import ForkServer, Worker, start_worker
from training.protocol import Progress, Ready
from training.run import ATTEMPTS, Options, train_run
from training.runner import Plan, ProcessRunner

pytestmark = pytest.mark.slow


def training_processes(real: ProcessRunner) -> list[psutil.Process]:
    assert real.executor.server is not None
    return psutil.Process(real.executor.server.pid).children(recursive=True)


@pytest.mark.parametrize("times", [1, ATTEMPTS])
def test_a_worker_that_the_system_kills(train: Train, real: ProcessRunner, times: int) -> None:
    killed: set[int] = set()

    def kill(progress: Progress) -> None:
        pid = training_processes(real)[0].pid
        if len(killed) < times and pid not in killed:
            killed.add(pid)
            os.kill(pid, signal.SIGKILL)

    found = train({"train.total_timesteps": 2_000_000, "autopilot.seeds": 1}, on_progress=kill)
    assert len(killed) == times
    if times < ATTEMPTS:  # once may be anybody's mistake: the run is begun again, and its attempts are counted
        assert (found.state, found.attempt) == (RunState.FINISHED, times + 1)
        return
    assert found.state is RunState.FAILED
    assert "was killed by signal 9 (SIGKILL: often the system, out of memory)" in (found.reason or "")
    assert f"was begun {ATTEMPTS} times" in (found.reason or "")
    assert train({"autopilot.seeds": 1}).state is RunState.FINISHED


def test_interruptions_of_a_session_do_not_count_against_a_run(
    queue: Queue, notebook: Notebook, real: ProcessRunner, inventory: Inventory
) -> None:
    run = queue({"autopilot.seeds": 1})
    notebook.update(run.run_id, attempt=ATTEMPTS + 4)
    killed: set[int] = set()

    def kill(progress: Progress) -> None:
        if not killed:
            killed.add(training_processes(real)[0].pid)
            os.kill(min(killed), signal.SIGKILL)

    found = train_run(notebook, real, inventory, run.run_id, kill)
    assert (found.state, found.attempt) == (RunState.FINISHED, ATTEMPTS + 6)


def test_a_worker_that_gets_a_sigterm(train: Train, real: ProcessRunner) -> None:
    def kill(progress: Progress) -> None:
        for process in training_processes(real):
            process.terminate()

    found = train({**LONG, "autopilot.seeds": 1}, on_progress=kill)
    assert found.state is RunState.FAILED
    assert "SIGTERM" in (found.reason or "")


@pytest.mark.parametrize(
    ("times", "seeds", "state"),
    [(1, 1, RunState.FINISHED), (1, 2, RunState.FINISHED), (ATTEMPTS, 1, RunState.FAILED)],
)
def test_the_server_that_forks_is_killed(
    train: Train, real: ProcessRunner, times: int, seeds: int, state: RunState
) -> None:
    killed: set[int] = set()

    def kill(progress: Progress) -> None:
        assert real.executor.server is not None
        if real.executor.server.pid not in killed and len(killed) < times:
            killed.add(real.executor.server.pid)
            os.kill(real.executor.server.pid, signal.SIGKILL)

    found = train({"autopilot.seeds": seeds}, on_progress=kill)
    assert len(killed) == times
    assert found.state is state, found.reason  # once, and the replicate is begun anew
    if state is RunState.FAILED:
        assert "lost the process that forks workers" in (found.reason or "")
    assert train({"autopilot.seeds": 1}).state is RunState.FINISHED


@pytest.mark.parametrize("how", ["raises", "killed"])
def test_an_environments_own_process_dies(train: Train, module: Callable[[str], str], how: str) -> None:
    name = module("""
        import os, signal
        from pufferlib.ocean.cartpole.cartpole import Cartpole

        class Dying(Cartpole):
            def step(self, actions):
                self.steps = getattr(self, "steps", 0) + 1
                if self.steps > 40:
                    self.die()
                return super().step(actions)

        class raises(Dying):
            def die(self):
                raise RuntimeError("the simulator broke")

        class killed(Dying):
            def die(self):
                os.kill(os.getpid(), signal.SIGKILL)
    """)
    vec = {"vec.backend": "Multiprocessing", "vec.num_envs": 2, "vec.num_workers": 2, "env.num_envs": 256}
    found = train({**LONG, **vec, "autopilot.seeds": 1}, variants={"environment": Variant(call=f"{name}:{how}")})
    assert found.state is RunState.FAILED
    assert "process of the environments ended with status" in (found.reason or ""), found.reason
    if how == "raises":
        assert any("the simulator broke" in line for line in found.log_tail)


def test_memory_beyond_its_limit(train: Train, module: Callable[[str], str]) -> None:
    name = module("""
        import numpy as np
        from pufferlib.ocean.cartpole.cartpole import Cartpole

        kept = []

        class Hungry(Cartpole):
            def step(self, actions):
                kept.append(np.ones(2_000_000))
                return super().step(actions)
    """)
    hungry = {"environment": Variant(call=f"{name}:Hungry")}
    found = train({**LONG, "autopilot.memory_limit": 2.0, "autopilot.seeds": 1}, variants=hungry)
    assert found.state is RunState.FAILED
    assert "more than 2 GiB (autopilot.memory_limit)" in (found.reason or "")


def test_time_beyond_its_limit(train: Train) -> None:
    found = train({**LONG, "autopilot.time_limit": 2.0, "autopilot.seeds": 1})
    assert found.state is RunState.TIMED_OUT
    assert "took longer than 2 s (autopilot.time_limit)" in (found.reason or "")


def test_a_hang_that_holds_the_interpreter(train: Train, module: Callable[[str], str]) -> None:
    name = module("""
        import ctypes
        from pufferlib.ocean.cartpole.cartpole import Cartpole

        class Stuck(Cartpole):
            def step(self, actions):
                ctypes.PyDLL(None).sleep(3600)  # as C code does that never comes back: the lock is not released
                return super().step(actions)
    """)
    stuck = {"environment": Variant(call=f"{name}:Stuck")}
    found = train({**LONG, "autopilot.stall_limit": 3.0, "autopilot.seeds": 1}, variants=stuck)
    assert found.state is RunState.TIMED_OUT


def test_a_replicate_that_does_not_end_when_asked_is_ended(
    train: Train, module: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.executors.watching.GRACE", 1.0)
    name = module("""
        import time
        from pufferlib.ocean.cartpole.cartpole import Cartpole

        class Slow(Cartpole):
            def step(self, actions):
                self.steps = getattr(self, "steps", 0) + 1
                if self.steps > 40:
                    time.sleep(3600)
                return super().step(actions)
    """)
    began = time.monotonic()
    found = train(
        {**LONG, "autopilot.seeds": 1}, variants={"environment": Variant(call=f"{name}:Slow")},
        should_stop=lambda: time.monotonic() - began > 2, options=Options(requeue=False),
    )  # fmt: skip
    assert found.state is RunState.KILLED
    assert "did not end by itself within 1 s" in (found.reason or "")


def test_an_environment_that_ends_the_process(train: Train, module: Callable[[str], str]) -> None:
    name = module("""
        import ctypes
        from pufferlib.ocean.cartpole.cartpole import Cartpole

        class Crashing(Cartpole):
            def step(self, actions):
                ctypes.string_at(0)  # a segmentation fault
    """)
    found = train({"autopilot.seeds": 1}, variants={"environment": Variant(call=f"{name}:Crashing")})
    assert found.state is RunState.FAILED
    assert "SIGSEGV" in (found.reason or "")


# --- a full disk -------------------------------------------------------------------------------------------------


def test_a_disk_that_fills_while_it_trains(
    small_disk: Path, real: ProcessRunner, inventory: Inventory, config: Config
) -> None:
    workspace = Workspace(small_disk)
    workspace.create()
    notebook = Notebook(workspace)
    changes = {**LONG, "autopilot.seeds": 1, "train.checkpoint_interval": 10}
    run = create_run(notebook, config.with_overrides(changes), {}, preset="quick", objective="perf:max", arm="person")
    filler = small_disk / "filler"

    def fill(progress: Progress) -> None:
        with filler.open("ab", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(os.urandom(4096))

    found = train_run(notebook, real, inventory, run.run_id, fill)
    assert shutil.disk_usage(small_disk).free < 2**20
    assert found.state is RunState.FAILED
    assert "No space left on device" in (found.reason or "")
    assert notebook.run(run.run_id) == found  # on the disk, full as it is
    with pytest.raises(TrainingFailed, match=r"disk .* is full"):
        next_run = run.model_copy(update={"run_id": "next", "state": RunState.QUEUED})
        filler.unlink()
        create_run(notebook, config, {}, preset="quick", objective="perf:max", arm="person", run_id=next_run.run_id)
        filler.write_bytes(os.urandom(shutil.disk_usage(small_disk).free - 10 * 2**20))
        train_run(notebook, real, inventory, next_run.run_id, lambda _: None)
    filler.unlink()
    again = train_run(notebook, real, inventory, "next", lambda _: None, lambda: True, Options(requeue=False))
    assert again.state is RunState.KILLED


def test_a_disk_that_is_full_for_a_while_costs_points_of_the_curve_alone(
    small_disk: Path, real: ProcessRunner, inventory: Inventory, config: Config
) -> None:
    workspace = Workspace(small_disk)
    workspace.create()
    notebook = Notebook(workspace)
    changes = {"train.total_timesteps": 2_000_000, "autopilot.seeds": 1, "train.checkpoint_interval": 10_000}
    run = create_run(notebook, config.with_overrides(changes), {}, preset="quick", objective="perf:max", arm="person")
    filler, seen = small_disk / "filler", list[Progress]()

    def fill(progress: Progress) -> None:
        seen.append(progress)
        if len(seen) == 6:
            filler.unlink()
        elif len(seen) < 6:
            with filler.open("ab", buffering=0) as file, contextlib.suppress(OSError):
                while True:
                    file.write(os.urandom(4096))

    found = train_run(notebook, real, inventory, run.run_id, fill)
    assert found.state is RunState.FINISHED
    (result,) = notebook.results(found)
    assert any("of its curves could not be written" in note for note in result.notes)
    steps = run_curves(notebook.paths(run.run_id), run.seeds)[run.seeds[0]]["losses/entropy"].steps
    logged = [p.steps for p in seen if p.phase == "train"]
    assert set(logged[8:]) <= set(steps) < set(logged)  # each line after the gap can be read


# --- processes ---------------------------------------------------------------------------------------------------


def test_environments_in_processes_of_their_own_end_with_whoever_trains(queue: Queue, notebook: Notebook) -> None:
    """On a machine of a cluster nobody is left to end them."""
    vec = {"vec.backend": "Multiprocessing", "vec.num_envs": 2, "vec.num_workers": 2, "env.num_envs": 256}
    run = queue({**LONG, **vec, "autopilot.seeds": 1})
    code = f"""
        import os, signal, psutil
        from pathlib import Path
        from lab.base.paths import Workspace
        from lab.store.notebook import Notebook
        from training.inventory import load_inventory
        from training.run import train_run
        from training.runner import ProcessRunner

        def die(_):
            print(*(one.pid for one in psutil.Process().children(recursive=True)), flush=True)
            os.kill(os.getpid(), signal.SIGKILL)

        notebook = Notebook(Workspace(Path({str(notebook.workspace.root)!r})))
        train_run(notebook, ProcessRunner(), load_inventory(["puffer_cartpole"]), {run.run_id!r}, die)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE, text=True, check=False, timeout=300
    )
    pids = [int(pid) for pid in done.stdout.split()]
    assert len(pids) >= 4, "the server, its worker, two processes of environments"
    _, left = psutil.wait_procs([psutil.Process(pid) for pid in pids if psutil.pid_exists(pid)], timeout=20)
    assert [one for one in left if one.status() != psutil.STATUS_ZOMBIE] == []


def gone(process: psutil.Process) -> bool:
    psutil.wait_procs([process], timeout=20)
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


@pytest.mark.parametrize("code", [
    "from training.process import start_worker; w = start_worker(1)",
    "from training.process import ForkServer; s = ForkServer(); w = s.worker(1)",
])  # fmt: skip
def test_a_worker_dies_with_its_parent(code: str) -> None:
    code += "; import os, signal; next(w.events(60)); print(w.pid, flush=True); os.kill(os.getpid(), signal.SIGKILL)"
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    worker = psutil.Process(int(parent.stdout.readline()))
    parent.wait(60)
    parent.stdout.close()
    assert gone(worker)


@pytest.fixture(params=["started", "forked"])
def worker(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Worker]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    server = ForkServer() if request.param == "forked" else None
    found = server.worker(1) if server else start_worker(1)
    yield found
    found.kill()
    if server:
        server.close()


def test_a_worker_leaves_nothing_in_the_current_folder_and_never_sees_the_api_key(
    worker: Worker, tmp_path: Path
) -> None:
    assert isinstance(next(worker.events(60)), Ready)
    assert list(tmp_path.iterdir()) == []  # importing PufferLib makes a link where it is
    environment = psutil.Process(worker.pid).environ()
    assert "OPENAI_API_KEY" not in environment
    assert environment["OMP_NUM_THREADS"] == "1"
    assert os.getpgid(worker.pid or 0) == worker.pid


def test_how_a_worker_ended_is_told(worker: Worker) -> None:
    next(worker.events(60))
    assert worker.pid is not None
    os.kill(worker.pid, signal.SIGUSR1)
    assert worker.read() is None
    assert "SIGUSR1" in worker.how_it_ended()
    assert worker.gone()


class Living:
    """The origin of a process that the system still counts among the living."""

    def exit_code(self, _pid: int | None, _timeout: float) -> int | None:
        return None

    def alive(self) -> bool:
        return True

    def said(self) -> str:
        return "ValueError: made up"

    def end(self, _pid: int | None) -> None:
        pass


def test_a_worker_that_closed_its_socket_is_gone_before_the_system_says_so() -> None:
    ours, theirs = socket.socketpair()
    ending = Worker(ours, Living(), 1)
    assert not ending.gone()
    theirs.close()
    assert ending.read() is None
    assert ending.gone()
    ending.kill()


def test_a_worker_that_is_given_up_before_it_is_ready_ends_by_itself() -> None:
    server = ForkServer()
    try:
        server.worker(1).kill()
        other = server.worker(1)
        next(other.events(60))
        children = {child.pid for child in psutil.Process(server.pid).children()} - {other.pid}
        _, alive = psutil.wait_procs([psutil.Process(pid) for pid in children if psutil.pid_exists(pid)], timeout=10)
        assert alive == []
        other.kill()
    finally:
        server.close()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_or_sigterm_once_ends_a_training_cleanly_and_keeps_its_weights(
    workspace: Workspace, notebook: Notebook, number: signal.Signals
) -> None:
    found = interrupted(workspace, times=1, number=number)
    assert found.returncode == 1
    assert "ended as killed: seed 1: stopped by the user, after" in found.stderr
    (run,) = notebook.runs()
    assert run.state is RunState.KILLED
    assert workspace.run(run.run_id).seed(run.seeds[0]).weights("latest").exists()


def test_ctrl_c_twice_ends_it_at_once(workspace: Workspace, notebook: Notebook) -> None:
    found = interrupted(workspace, times=2)
    assert found.returncode == 130
    (run,) = notebook.runs()
    assert (run.state, run.reason) == (RunState.KILLED, "stopped by the user, at once")


def interrupted(
    workspace: Workspace, times: int, number: signal.Signals = signal.SIGINT
) -> "subprocess.CompletedProcess[str]":
    """`autopilot train` in the middle of a training, interrupted so many times."""
    command = [str(Path(sys.executable).with_name("autopilot")), "--workspace", str(workspace.root), "train", "--json",
               "--seeds", "1", "--set", "train.total_timesteps=500000000"]  # fmt: skip
    if times > 1:  # an update that takes long, so that the second one comes before the first was heeded
        command += ["--set", "env.num_envs=16384", "--set", "train.bptt_horizon=128", "--set",
                    "train.update_epochs=16", "--set", "train.minibatch_size=512"]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    metrics = lambda: list(workspace.runs.glob("*/seeds/*/metrics.jsonl"))  # noqa: E731
    while not metrics() or (times == 1 and not metrics()[0].stat().st_size):
        assert process.poll() is None, process.communicate()
        os.sched_yield()
    workers = psutil.Process(process.pid).children(recursive=True)
    for _ in range(times):
        process.send_signal(number)
        if times > 1:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(1)
    out, err = process.communicate(timeout=240)
    _, alive = psutil.wait_procs(workers, timeout=10)
    assert alive == []
    return subprocess.CompletedProcess(command, process.returncode, out, err)


def test_a_training_whose_parent_is_killed_is_told_from_one_that_goes_on_and_trained_again(
    workspace: Workspace, notebook: Notebook, cli: Cli
) -> None:
    settings = ("--set", "train.total_timesteps=1500000", "--set", "autopilot.eval_steps=200")
    autopilot = [str(Path(sys.executable).with_name("autopilot")), "--workspace", str(workspace.root)]
    command = [*autopilot, "train", "--json", "--seeds", "1", *settings]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    while not list(workspace.runs.glob("*/seeds/*/metrics.jsonl")):
        assert process.poll() is None, process.communicate()
        os.sched_yield()
    workers = psutil.Process(process.pid).children(recursive=True)
    (run,) = notebook.runs()
    assert not notebook.interrupted(run)
    busy = cli("resume", run.run_id)
    assert busy.code == 1
    assert f"is being trained: process {process.pid} is at it" in busy.err
    process.kill()
    process.communicate()
    _, alive = psutil.wait_procs(workers, timeout=10)
    assert alive == []
    (run,) = notebook.runs()
    assert run.state is RunState.RUNNING
    assert notebook.interrupted(run)
    assert cli("runs", "--json").json()[0]["state"] == "interrupted"
    for what in ((), ("latest",)):
        assert (
            f"no session to go on with; run 1 was interrupted: 'autopilot resume {run.run_id}'"
            in cli("resume", *what).err
        )
    again = cli("resume", run.run_id)
    assert again.code == 0, again.err
    (run,) = notebook.runs()
    assert (run.state, run.attempt) == (RunState.FINISHED, 2)
    assert "has ended (finished)" in cli("resume", run.run_id).err
    assert "was interrupted" not in cli("resume").err


def test_a_confirmation_that_was_stopped_goes_on_with_the_seeds_it_had_drawn(
    workspace: Workspace, notebook: Notebook, train: Train, cli: Cli
) -> None:
    """Whoever could have other seeds drawn by stopping it could choose among them."""
    base, contender = (train({"autopilot.seeds": 1, "train.learning_rate": rate}) for rate in (0.005, 0.01))
    command = ["confirm", "2", "--min-effect", "0.9"]  # which the first look rules out
    autopilot = [str(Path(sys.executable).with_name("autopilot")), "--workspace", str(workspace.root)]
    process = subprocess.Popen([*autopilot, *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def fresh() -> list[RunRecord]:
        return notebook.index.records(Selection(replicates_of=contender.run_id))

    while not any(notebook.results(run) for run in fresh()):
        assert process.poll() is None, process.communicate()
        os.sched_yield()
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=240)
    assert process.returncode == 1
    assert f"stopped; 'autopilot confirm {contender.run_id}' goes on with these seeds" in said
    (stopped,) = fresh()
    assert stopped.state is RunState.QUEUED
    done = {result.seed: result for result in notebook.results(stopped) if result.state is RunState.FINISHED}
    assert 0 < len(done) < len(stopped.seeds)
    assert cli(*command).code == 0
    first, *_ = fresh()
    assert (first.run_id, first.seeds, first.attempt) == (stopped.run_id, stopped.seeds, 2)
    assert all(result == done.get(result.seed, result) for result in notebook.results(first))
    repeated = [*fresh(), *notebook.index.records(Selection(replicates_of=base.run_id))]
    assert {run.state for run in repeated} == {RunState.FINISHED}


def test_a_worker_whose_server_was_closed_can_still_be_asked_how_it_ended() -> None:
    """Of two replicates, the first one to notice that the server is gone closes it."""
    server = ForkServer()
    worker = server.worker(1)
    while worker.pid is None:
        assert worker.read(60) is not None
    server.close()
    assert worker.was_killed()
    assert "lost the process that forks workers" in worker.how_it_ended()
    worker.kill()


def test_a_replicate_whose_news_nobody_reads_any_more_has_not_failed(
    workspace: Workspace, notebook: Notebook, inventory: Inventory, queue: Queue
) -> None:
    """Whoever trains was killed before it had read all: what lies unread resets the socket, in place of closing it."""
    run = queue({**LONG, "autopilot.seeds": 1})
    environment = inventory.environment(run.env_name)
    plan = Plan(run, notebook.config(run.run_id), run.seeds, workspace, environment, "cpu", run.goal)
    server = ForkServer()
    try:
        worker = server.worker(1)
        worker.send(plan.job(run.seeds[0]))
        while not any(isinstance(event, Progress) for event in worker.read(60) or ()):
            assert not worker.gone(), worker.said()
        assert worker.pid is not None
        process = psutil.Process(worker.pid)
        assert select.select([worker], [], [], 60)[0]  # more of it, which nobody reads
        with Path(os.devnull).open() as nothing:
            os.dup2(nothing.fileno(), worker.fileno())  # our end is closed, and the server lives
        process.wait(60)
    finally:
        server.close()
    paths = workspace.run(run.run_id).seed(run.seeds[0])
    assert paths.log.exists()
    assert not paths.result.exists()
