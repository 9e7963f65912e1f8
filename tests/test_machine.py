"""Machines as they are: no home, no account, no temporary folder, limits of the shell, odd names."""

import os
import resource
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lab.base.paths import Workspace
from lab.store.notebook import Notebook
from lab.store.records import RunState

PROGRAM = str(Path(sys.executable).with_name("autopilot"))
SHORT = ["--seeds", "1", "--set", "train.total_timesteps=65536", "--set", "autopilot.eval_steps=200"]
TRAINING = [["train", *SHORT], ["start", "--max-runs", "1", "--approve", "auto", *SHORT]]
UID = 54_321
"""Of nobody."""

Done = subprocess.CompletedProcess[str]
Start = Callable[..., Done]


def started(*command: str | bytes, limit: tuple[int, int] | None = None, **more: object) -> Done:
    """A command in a process of its own, with a limit of the system if one is given."""

    def limited() -> None:
        if limit is not None:
            resource.setrlimit(limit[0], (limit[1], limit[1]))

    return subprocess.run(command, capture_output=True, text=True, errors="replace", check=False, timeout=300,
                          preexec_fn=limited, **more)  # type: ignore[call-overload, no-any-return]  # fmt: skip


def one_line(done: Done) -> str:
    """What it said on standard error, if that is one line as it has to be."""
    assert done.stderr.count("\n") == 1, done.stderr
    assert done.stderr.startswith("autopilot: ")
    return done.stderr


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that any account may write to, unlike pytest's own."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o777)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def nobody(place: Path) -> Start:
    """Starts commands as a user without an account, in an environment without a home."""
    if os.geteuid() != 0:
        pytest.skip("only root can start a process as somebody else")

    def start(*command: str, limit: tuple[int, int] | None = None, **environment: str) -> Done:
        env = {"PATH": os.environ["PATH"], "OPENBLAS_NUM_THREADS": "1", **environment}
        return started(*command, limit=limit, env=env, cwd=place, user=UID, group=UID, extra_groups=[])

    if start(sys.executable, "-c", "import torch").returncode:
        pytest.skip("this Python can be read by root alone")
    return start


@pytest.mark.parametrize("command", TRAINING, ids=["train", "start"])
@pytest.mark.parametrize("environment", [
    {"HOME": "/dev/null", "AUTOPILOT_CACHE": ""},
    {"AUTOPILOT_CACHE": "/dev/null/cache"},
    {"AUTOPILOT_CACHE": "w\udce4hle"},
], ids=["home", "cache", "not UTF-8"])  # fmt: skip
def test_no_folder_for_the_cache(tmp_path: Path, command: list[str], environment: dict[str, str]) -> None:
    done = started(PROGRAM, "--workspace", str(tmp_path), *command, env={**os.environ, **environment})
    assert (done.returncode, done.stdout) == (2, "")
    assert "AUTOPILOT_CACHE=DIR" in one_line(done)
    assert list(tmp_path.iterdir()) == []


def test_no_home_and_no_account(nobody: Start, place: Path) -> None:
    done = nobody(PROGRAM, "--workspace", str(place), "train", *SHORT)
    assert (done.returncode, done.stdout) == (2, "")
    assert "AUTOPILOT_CACHE=DIR" in one_line(done)
    assert list(place.iterdir()) == []
    told = nobody(PROGRAM, "--workspace", "~/nights", "runs")
    assert (told.returncode, "HOME" in told.stderr or "home" in one_line(told)) == (2, True)


@pytest.mark.slow
def test_without_an_account_it_trains_and_draws(nobody: Start, place: Path) -> None:
    for command in TRAINING:
        done = nobody(PROGRAM, "--workspace", str(place / "ws"), *command, AUTOPILOT_CACHE=str(place / "cache"))
        assert (done.returncode, done.stderr) == (0, "")
    runs = Notebook(Workspace(place / "ws")).runs()
    assert [run.state for run in runs] == [RunState.FINISHED] * 2
    assert list((place / "ws").rglob("plots/*.png"))


@pytest.mark.slow
def test_a_root_that_is_read_only_and_no_temporary_folder(place: Path) -> None:
    """All that can be written is the workspace and the cache."""
    inner = f"""
        mount -t tmpfs tmpfs {place} && mount -o remount,bind,ro / || exit 77
        cd / && AUTOPILOT_CACHE={place}/cache {PROGRAM} --workspace {place}/ws {shlex.join(TRAINING[1])}
        status=$?; ls {place}/ws/runs/*/plots; exit $status
    """
    done = started("unshare", "-m", "sh", "-c", inner)
    if done.returncode == 77 or started("unshare", "-m", "true").returncode:
        pytest.skip("no namespace for mounts here")
    assert (done.returncode, done.stderr) == (0, "")
    assert ".png" in done.stdout


def test_a_path_that_is_not_utf8(tmp_path: Path) -> None:
    place = tmp_path / os.fsdecode(b"w\xe4hle")
    place.mkdir()
    for command in (["runs"], *TRAINING):
        done = started(PROGRAM, "--workspace", str(place), *command)
        assert (done.returncode, done.stdout) == (2, "")
        assert "is a path that is not UTF-8" in one_line(done)
    assert list(place.iterdir()) == []


def test_a_folder_that_is_gone(tmp_path: Path) -> None:
    done = started("sh", "-c", f"cd {shlex.quote(str(tmp_path))}; mkdir gone; cd gone; rmdir ../gone; {PROGRAM} runs")
    assert done.returncode == 2
    assert "workspace = '.': can't be found" in done.stderr


@pytest.mark.parametrize("command", TRAINING, ids=["train", "start"])
def test_files_may_not_grow(tmp_path: Path, command: list[str]) -> None:
    done = started(PROGRAM, "--workspace", str(tmp_path), *command, limit=(resource.RLIMIT_FSIZE, 100 * 1024))
    assert done.returncode == 1
    assert "'ulimit -f'" in one_line(done)
    left = ["not_begun.json"] if command[0] == "start" else []  # why nothing trained, for the morning
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == left


@pytest.mark.slow
@pytest.mark.parametrize("command", TRAINING, ids=["train", "start"])
def test_no_process_can_be_started(nobody: Start, place: Path, command: list[str]) -> None:
    cache, workspace = str(place / "cache"), Workspace(place / "ws")
    assert nobody(PROGRAM, "--workspace", str(workspace.root), "doctor", AUTOPILOT_CACHE=cache).returncode == 0
    limit = (resource.RLIMIT_NPROC, 1)
    done = nobody(PROGRAM, "--workspace", str(workspace.root), *command, limit=limit, AUTOPILOT_CACHE=cache)
    assert done.returncode == 1
    assert "'ulimit -u'" in one_line(done)
    assert Notebook(workspace).runs() == []


@pytest.mark.slow
def test_no_process_can_be_forked(nobody: Start, place: Path) -> None:
    """No outcome of the config: the run waits."""
    code = f"""
import resource
from pathlib import Path
from lab.space.environments import preset_config
from lab.store.creation import create_run
from lab.store.notebook import Notebook
from lab.base.paths import Workspace
from training.inventory import load_inventory
from training.run import train_run
from training.runner import ProcessRunner

inventory, runner, workspace = load_inventory(["puffer_cartpole"]), ProcessRunner(), Workspace(Path({str(place / "ws")!r}))
workspace.create()
runner.warm()
next(runner.worker(1, "cpu").events(60))
resource.prlimit(runner.executor.server.pid, resource.RLIMIT_NPROC, (0, 0))
config = preset_config(inventory.environment("puffer_cartpole"), "quick")
run = create_run(Notebook(workspace), config, {{}}, preset="quick", objective="perf:max", arm="person", run_id="waits")
try:
    train_run(Notebook(workspace), runner, inventory, "waits", print)
finally:
    runner.close()
"""  # noqa: E501 - a program of its own
    done = nobody(sys.executable, "-c", code, AUTOPILOT_CACHE=str(place / "cache"))
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith(
        "lab.base.errors.TrainingFailed: run waits: the training could not be carried out: no training"
    )
    assert "'ulimit -u') (queued again: 'autopilot resume waits' goes on)" in last
    assert Notebook(Workspace(place / "ws")).run("waits").state is RunState.QUEUED
