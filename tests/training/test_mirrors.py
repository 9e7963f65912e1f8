"""Mirrors: what they are given arrives, and none of the ways in which they can fail reaches the training."""

import contextlib
import json
import os
import random
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from tests.conftest import tree
from training.mirrors import CAPACITY, Mirror, MirrorName, Mirrors, openers

POINT = {"environment/perf": 0.7351, "SPS": 1e6}


class Double:
    """A mirror that does `act` where it is told to, and keeps what it gets."""

    def __init__(self, at: str = "", act: Callable[[], object] = lambda: None) -> None:
        self.got: list[tuple[int, Mapping[str, float]]] = []
        self.calls: list[str] = []
        self._at, self._act = at, act

    def open(self) -> Mirror:
        self._do("open")
        return self

    def log(self, numbers: Mapping[str, float], step: int) -> None:
        self._do("log")
        self.got.append((step, numbers))

    def close(self) -> None:
        self._do("close")

    def _do(self, what: str) -> None:
        self.calls.append(what)
        if what == self._at:
            self._act()


@pytest.fixture
def notes() -> list[str]:
    return []


@pytest.fixture
def never() -> Iterator[threading.Event]:
    """Not set while the test runs; afterwards the threads that wait for it can end."""
    event = threading.Event()
    yield event
    event.set()


def boom() -> None:
    raise OSError(28, "No space\nleft")


def real(name: MirrorName, folder: Path, **more: Any) -> list[tuple[str, Callable[[], Mirror]]]:
    return openers([name], folder=folder, **{"project": "p", "run": "r-1", "seed": 7, "config": {}, **more})


def run_python(code: str, *arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith("WANDB_")}
    command = [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=60, env={**kept, **environment},
        stdin=subprocess.DEVNULL,
    )  # fmt: skip


# --- the feed ----------------------------------------------------------------------------------------------------


def test_every_mirror_gets_every_point_in_order_and_is_closed(notes: list[str]) -> None:
    one, two = Double(), Double()
    mirrors = Mirrors([("one", one.open), ("two", two.open)], notes.append)
    numbers = dict(POINT)
    for step in range(100):
        mirrors.log(numbers, step)
    numbers.clear()  # the caller's own, to use again
    mirrors.close()
    assert one.got == two.got == [(step, POINT) for step in range(100)]
    assert one.calls == ["open", *["log"] * 100, "close"]
    assert notes == []


def test_nothing_is_opened_before_the_first_point_nor_fed_after_the_end(notes: list[str]) -> None:
    unused, used = Double(), Double()
    before = threading.active_count()
    mirrors = Mirrors([("x", unused.open)], notes.append)
    assert threading.active_count() == before
    mirrors.close()
    mirrors.log(POINT, 1)
    assert unused.calls == []
    mirrors = Mirrors([("x", used.open)], notes.append)
    mirrors.log(POINT, 1)
    mirrors.close()
    mirrors.close()
    mirrors.log(POINT, 2)
    assert used.calls == ["open", "log", "close"]
    assert notes == []


@pytest.mark.parametrize("at", ["open", "log", "close"])
@pytest.mark.parametrize("act", [boom, sys.exit])
def test_a_mirror_that_raises_is_noted_once_and_left_alone(at: str, act: Callable[[], object]) -> None:
    bad, good, notes = Double(at, act), Double(), list[str]()
    mirrors = Mirrors([("bad", bad.open), ("good", good.open)], notes.append)
    for step in range(5):
        mirrors.log(POINT, step)
    mirrors.close()
    assert bad.calls == {"open": ["open"], "log": ["open", "log", "close"]}.get(at, ["open", *["log"] * 5, "close"])
    assert len(good.got) == 5
    assert notes == [
        "mirror bad: given up: " + ("SystemExit" if act is sys.exit else "OSError: [Errno 28] No space left")
    ]


def test_a_note_that_raises_is_nobodys_business() -> None:
    def note(_: str) -> None:
        boom()

    mirrors = Mirrors([("bad", Double("open", boom).open)], note)
    mirrors.log(POINT, 1)
    mirrors.close()


@pytest.mark.parametrize("at", ["open", "log", "close"])
def test_mirrors_that_hang_cost_the_timeout_once(at: str, notes: list[str], never: threading.Event) -> None:
    good = Double()
    hanging = [(f"bad{i}", Double(at, never.wait).open) for i in range(4)]
    mirrors = Mirrors([*hanging, ("good", good.open)], notes.append)
    began = time.monotonic()
    for step in range(CAPACITY):
        mirrors.log(POINT, step)
    logged = time.monotonic()
    mirrors.close(timeout=1)
    assert logged - began < 1
    assert time.monotonic() - logged < 2
    assert len(good.got) == CAPACITY
    given_up = [note for note in notes if "given up" in note]
    assert given_up == [f"mirror bad{i}: given up: it did not end within 1 s" for i in range(4)]
    lost = CAPACITY - {"open": 0, "log": 1, "close": CAPACITY}[at]
    assert [note for note in notes if "dropped" in note] == [
        f"mirror bad{i}: {lost} points were dropped" for i in range(4) if lost
    ]


def test_a_full_queue_drops_and_counts(notes: list[str], never: threading.Event) -> None:
    slow = Double("open", never.wait)
    mirrors = Mirrors([("slow", slow.open)], notes.append)
    for step in range(CAPACITY + 12):
        mirrors.log(POINT, step)
    never.set()
    mirrors.close()
    assert [step for step, _ in slow.got] == list(range(CAPACITY))
    assert notes == ["mirror slow: 12 points were dropped"]


@pytest.mark.parametrize("name", ["tensorboard", "wandb"])
def test_a_missing_package_is_one_note(
    name: MirrorName, notes: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in [name, *(module for module in sys.modules if module.startswith(f"{name}."))]:
        monkeypatch.setitem(sys.modules, module, None)
    mirrors = Mirrors(real(name, tmp_path), notes.append)
    mirrors.log(POINT, 1)
    mirrors.close()
    (note,) = notes
    assert note.startswith(f"mirror {name}: given up: ")
    assert note.endswith(f"pip install {name}")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("at", ["open", "log", "close"])
def test_no_mirror_keeps_the_interpreter_alive(at: str) -> None:
    done = run_python(
        """
        import sys, threading
        from training.mirrors import Mirrors

        reached, never, at = threading.Event(), threading.Event(), sys.argv[1]

        class Hanging:
            def __init__(self): self.at("open")
            def log(self, numbers, step): self.at("log")
            def close(self): self.at("close")
            def at(self, what):
                if what == at:
                    reached.set()
                    never.wait()

        mirrors = Mirrors([("x", Hanging)], print)
        mirrors.log({"a": 1.0}, 1)
        if at == "close":
            mirrors.close(timeout=0.01)
        reached.wait()
        """,
        at,
    )
    assert (done.returncode, done.stderr) == (0, "")


# --- TensorBoard -------------------------------------------------------------------------------------------------


def events(folder: Path) -> Any:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    return EventAccumulator(str(folder / "tensorboard")).Reload()


def test_tensorboard_reads_the_points_back(notes: list[str], tmp_path: Path) -> None:
    folder = tmp_path / "a [replicate]" / "7"
    state, numpys = random.getstate(), np.random.get_state()[1].tolist()
    mirrors = Mirrors(real("tensorboard", folder), notes.append)
    for step in (0, 65_536, 5_000_000_000):
        mirrors.log({"environment/perf": step / 4, "SPS": 5.0}, step)
    mirrors.close()
    assert notes == []
    read = events(folder)
    assert read.Tags()["scalars"] == ["environment/perf", "SPS"]
    found = [(event.step, event.value) for event in read.Scalars("environment/perf")]
    assert found == [(0, 0.0), (65_536, 16_384.0), (5_000_000_000, 1_250_000_000.0)]
    assert time.time() - 60 < read.Scalars("SPS")[0].wall_time <= time.time()
    assert (random.getstate(), np.random.get_state()[1].tolist()) == (state, numpys)


def test_tensorboard_has_a_point_at_once_and_only_those_of_the_last_attempt(tmp_path: Path) -> None:
    ((_, opener),) = real("tensorboard", tmp_path)
    for attempt in range(2):
        mirror = opener()  # and never closed: killed
        mirror.log({"SPS": 1.0 + attempt}, 10 - attempt)
        assert [(event.step, event.value) for event in events(tmp_path).Scalars("SPS")] == [
            (10 - attempt, 1.0 + attempt)
        ]


def test_tensorboard_that_can_not_write_is_noted(notes: list[str], tmp_path: Path) -> None:
    (tmp_path / "tensorboard").write_text("in the way")
    mirrors = Mirrors(real("tensorboard", tmp_path), notes.append)
    mirrors.log(POINT, 1)
    mirrors.close()
    assert len(notes) == 1
    assert "FileExistsError" in notes[0]


# --- Weights & Biases --------------------------------------------------------------------------------------------

REPLICATE = """
    import json, os, random, signal, sys
    from pathlib import Path
    import psutil
    from training.mirrors import Mirrors, openers

    folder, seconds, killed = Path(sys.argv[1]), float(sys.argv[2]), len(sys.argv) > 3
    config = {"train": {"learning_rate": 0.0321}, "path": folder, "pair": (1, 2), "none": None}
    (mirror,) = openers(["wandb"], folder=folder, project="p", run="r-1", seed=7, config=config)
    notes, state = [], random.getstate()
    mirrors = mirror[1]() if killed else Mirrors([mirror], notes.append)
    for step in range(5):
        mirrors.log({"environment/perf": step + 0.7351}, step)
    if not killed:
        mirrors.close(seconds)
    children = [child.pid for child in psutil.Process().children(recursive=True)]
    print(json.dumps([notes, children, random.getstate() == state]), flush=True)
    os.kill(os.getpid(), signal.SIGKILL) if killed else os._exit(0)
"""


def replicate(folder: Path, seconds: float, *more: str, **environment: str) -> tuple[list[str], list[int]]:
    """Mirror a training in a process that ends as a worker does; its notes, and the processes that were left then."""
    done = run_python(REPLICATE, folder, seconds, *more, HOME=str(folder.parent / "home"), **environment)
    notes, children, random_undisturbed = json.loads(done.stdout)
    assert random_undisturbed
    assert done.stderr == ""
    return notes, children


def test_wandb_offline_keeps_metrics_and_config_and_nothing_else(tmp_path: Path) -> None:
    folder = tmp_path / "a replicate"
    _, left = replicate(folder, 0, "killed", WANDB_MODE="offline")
    assert len(left) == 1
    gone(left)
    (killed,) = folder.glob("wandb/offline-run-*")
    before = tree(killed)
    assert replicate(folder, 30, WANDB_MODE="offline") == ([], [])
    assert tree(killed) == before  # the second attempt is a run of its own
    (run,) = set(folder.glob("wandb/offline-run-*")) - {killed}
    (file,) = run.glob("run-r-1-seed7-*.wandb")
    data = file.read_bytes()
    for wanted in (b"environment/perf", b"learning_rate", b"0.0321", str(folder).encode(), b"[1,2]"):
        assert wanted in data
    assert [f"{step}.7351".encode() in data for step in range(5)] == [True] * 5
    for private in (b"requirements", b".git", sys.executable.encode()):
        assert private not in data
    assert [path for path in (run / "files").rglob("*") if path.is_file()] == []


def gone(pids: list[int]) -> None:
    """Wait until they are."""
    for pid in pids:
        with contextlib.suppress(psutil.NoSuchProcess):
            psutil.Process(pid).wait(30)


def test_wandb_without_an_account_is_one_note(tmp_path: Path) -> None:
    (note,), _ = replicate(tmp_path / "7", 30, WANDB_BASE_URL="http://127.0.0.1:9")
    assert note.startswith("mirror wandb: given up: UsageError: No API key")


def test_wandb_without_a_network_costs_the_timeout_and_leaves_no_process(tmp_path: Path) -> None:
    nowhere = {"WANDB_BASE_URL": "http://127.0.0.1:9", "WANDB_API_KEY": "0" * 40}
    notes, left = replicate(tmp_path / "7", 1, **nowhere)
    assert notes == ["mirror wandb: given up: it did not end within 1 s", "mirror wandb: 5 points were dropped"]
    gone(left)
