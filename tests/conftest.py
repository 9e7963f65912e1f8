"""Shared fixtures: a workspace in a temporary folder, an inventory of this machine, runs made by the fake runner."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from lab.base.files import write_model
from lab.base.paths import Workspace
from lab.base.schema import new_id, now
from lab.space.config import Config
from lab.space.environments import preset_config
from lab.space.inventory import Inventory
from lab.store.creation import create_run
from lab.store.notebook import Notebook
from lab.store.proposal import Decision, Proposal, ProposalState
from lab.store.proposals import Proposals
from lab.store.records import RunRecord
from tests.warm import PROGRAM, Warm
from training.executors.madeup import Fault
from training.fake import FakeRunner
from training.inventory import load_inventory
from training.run import train_run

ENV = "puffer_cartpole"

# On a busy machine an example that imports something takes seconds: no time is an assertion.
hypothesis.settings.register_profile("autopilot", deadline=None)
hypothesis.settings.load_profile("autopilot")

# What is started by nohup or in the background of a script has signals ignored, and so has all that it starts: the
# programs under test would rightly not heed them.
for number in (signal.SIGINT, signal.SIGHUP):
    if signal.getsignal(number) is signal.SIG_IGN and threading.current_thread() is threading.main_thread():
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)


@pytest.fixture(autouse=True)
def _no_model_by_accident(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test may reach a real endpoint, and the developer's own settings must not leak in."""
    for name in list(os.environ):
        if name.startswith(("OPENAI_", "AUTOPILOT_")) and name != "AUTOPILOT_CACHE":
            monkeypatch.delenv(name)
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9")  # discard: nothing listens there


@pytest.fixture(scope="session")
def inventory() -> Inventory:
    """This machine's, from a real worker."""
    return load_inventory([ENV])


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """An empty workspace whose path has a space in it."""
    root = tmp_path / "my workspace"
    for folder in ("runs", "proposals"):
        (root / folder).mkdir(parents=True)
    return Workspace(root)


@pytest.fixture
def notebook(workspace: Workspace) -> Notebook:
    """The workspace's."""
    return Notebook(workspace)


@pytest.fixture
def proposals(workspace: Workspace) -> Proposals:
    """The workspace's."""
    return Proposals(workspace)


@pytest.fixture
def config(inventory: Inventory) -> Config:
    """The quick preset, with two replicates."""
    return preset_config(inventory.environment(ENV), "quick").with_overrides({"autopilot.seeds": 2})


RunMaker = Callable[..., RunRecord]


@pytest.fixture
def make_run(notebook: Notebook, inventory: Inventory, config: Config) -> RunMaker:
    """Runs trained by the fake runner: `make_run({"train.learning_rate": 0.01}, parent=...)`."""

    def make(overrides: dict[str, Any] | None = None, *, fault: Fault | None = None, **more: Any) -> RunRecord:
        parent = more.get("parent")
        base = notebook.config(parent) if parent else config
        more = {"arm": "offline" if parent else "baseline", **more}
        run = create_run(
            notebook,
            base.with_overrides(overrides or {}),
            overrides or {},
            preset="quick",
            objective="perf:max",
            **more,
        )
        faults = {run.seeds[0]: fault} if fault else {}
        return train_run(notebook, FakeRunner(faults=faults), inventory, run.run_id, lambda _: None)

    return make


def lasted(notebook: Notebook, run: RunRecord, seconds: float, **more: Any) -> None:
    """Have the record say that a run took so long; the notebook changes nothing of one that has ended."""
    changes = {"started": run.created, "finished": run.created + timedelta(seconds=seconds), **more}
    write_model(notebook.workspace.run(run.run_id).run, run.model_copy(update=changes))


def seconds_told(text: str) -> float:
    """A duration as it is told, such as `2 h 05 min`."""
    found = re.fullmatch(r"(?:(\d+) h ?)?(?:(\d+) min ?)?(?:([\d.]+) s)?", text)
    assert found, text
    hours, minutes, rest = (float(part or 0) for part in found.groups())
    return 3600 * hours + 60 * minutes + rest


@dataclass
class Finished:
    """What a command came to."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        return json.loads(self.out)


Cli = Callable[..., Finished]


@pytest.fixture(scope="session")
def warm() -> Iterator[Warm]:
    """The process that has the program imported."""
    found = Warm(PROGRAM, {})
    yield found
    found.close()


@pytest.fixture
def cli(workspace: Workspace, request: pytest.FixtureRequest) -> Cli:
    """Run the program in a process of its own: `cli("runs", "--json")`."""

    def run(*arguments: str, at: Path | None = None, **environment: str) -> Finished:
        given = ["--workspace", str(at or workspace.root), *arguments]
        return Finished(*request.getfixturevalue("warm").run(given, {**os.environ, **environment}))

    return run


@pytest.fixture
def installed(workspace: Workspace) -> Cli:
    """Run the installed command as a shell does: `installed("--help")`."""

    def run(*arguments: str, at: Path | None = None, **environment: str) -> Finished:
        program = str(Path(sys.executable).with_name("autopilot"))
        command = [program, "--workspace", str(at or workspace.root), *arguments]
        done = subprocess.run(
            command, capture_output=True, text=True, env={**os.environ, **environment}, check=False, timeout=900
        )
        return Finished(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def called(workspace: Workspace, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Cli:
    """The command line's entry point in this process, for the many calls that are refused: `called("runs")`."""

    def run(*arguments: str, at: Path | None = None, **environment: str) -> Finished:
        from cli.main import main

        with monkeypatch.context() as patch:
            for stream in ("stdout", "stderr"):  # which the program wraps
                patch.setattr(sys, stream, getattr(sys, stream))
            for name, value in environment.items():
                patch.setenv(name, value)
            capfd.readouterr()
            with pytest.raises(SystemExit) as ended:
                main(["--workspace", str(at or workspace.root), *arguments])
            sys.stdout.flush()
            sys.stderr.flush()
        said = capfd.readouterr()
        return Finished(int(ended.value.code or 0), said.out, said.err)

    return run


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 48 MiB of its own."""
    place = tmp_path / "small disk"
    place.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", str(place)], check=False).returncode:
        pytest.skip("mounting a file system is not allowed here")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.fixture
def read_only(workspace: Workspace, tmp_path: Path) -> Iterator[Callable[[], Path]]:
    """Makes the workspace seen elsewhere, on a file system that can't be written: `read_only()`."""
    place, mounted = tmp_path / "read-only", list[Path]()

    def make() -> Path:
        place.mkdir()
        if subprocess.run(["mount", "--bind", str(workspace.root), str(place)], check=False).returncode:
            pytest.skip("mounting a file system is not allowed here")
        mounted.append(place)
        subprocess.run(["mount", "-o", "remount,ro,bind", str(place)], check=True)
        return place

    yield make
    for one in mounted:
        subprocess.run(["umount", "-l", str(one)], check=True)


def tree(root: Path) -> dict[str, bytes]:
    """Every file below a folder with its content: equal trees mean that nothing was changed. The index is no record."""
    if not root.exists():
        return {}
    files = [path for path in sorted(root.rglob("*")) if path.is_file() and not path.name.startswith("index.sqlite")]
    return {str(path.relative_to(root)): path.read_bytes() for path in files}


@pytest.fixture
def unchanged(workspace: Workspace) -> Iterator[None]:
    """The test must leave the workspace as it was."""
    before = tree(workspace.root)
    yield
    assert tree(workspace.root) == before


@pytest.fixture
def propose(make_run: RunMaker, notebook: Notebook, proposals: Proposals) -> Any:
    """Stages proposals that change the baseline: `propose({"train.gamma": 0.9}, arm="person")`."""
    parent = make_run()

    def make(overrides: dict[str, Any] | None = None, **more: Any) -> Proposal:
        created = now()
        fields: dict[str, Any] = {
            "proposal_id": new_id(created),
            "created": created,
            "env_name": ENV,
            "preset": "quick",
            "objective": "perf:max",
            "task": parent.group.task,
            "parent": parent.run_id,
            "parent_config": notebook.config(parent.run_id).fingerprint(),
            "analysed": parent.run_id,
            "session": None,
            "arm": "offline",
            "overrides": overrides or {"train.ent_coef": 0.02},
            "theory": "t",
            "decisions": (Decision(time=created, state=ProposalState.STAGED, who="offline"),),
        }
        proposal = Proposal.model_validate({**fields, **more})
        proposals.stage(proposal)
        return proposal

    return make
