"""`docs/your-own-environment.md`: what it builds is what `autopilot init` writes, and works as it says."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from lab.base.paths import Workspace
from lab.base.settings import settings
from lab.store.curves import run_curves
from lab.store.notebook import Notebook
from lab.store.records import RunState
from tests.conftest import Cli, Finished

PAGE = Path(__file__).resolve().parent.parent / "docs" / "your-own-environment.md"
PROGRAM = str(Path(sys.executable).with_name("autopilot"))


def blocks(language: str) -> str:
    found = re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(), re.DOTALL)
    return "\n".join(found)


def lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.strip() and not line.startswith("#")]


def init(*arguments: str, at: Path) -> Finished:
    done = subprocess.run([PROGRAM, "init", *arguments], cwd=at, capture_output=True, text=True, check=False,
                          env={**os.environ, "COLUMNS": "200"})  # fmt: skip
    return Finished(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """What `init` writes."""
    assert init("corridor", at=tmp_path).code == 0
    return tmp_path / "corridor"


def test_the_page_builds_what_init_writes(place: Path) -> None:
    assert lines(blocks("python")) == lines((place / "corridor.py").read_text())
    assert lines(blocks("toml")) == lines((place / "autopilot.toml").read_text())
    assert (place / "notes.md").read_text()
    assert settings(Workspace(place))["start"]["env"] == "corridor:Corridor"


def test_init_writes_over_nothing(place: Path) -> None:
    (place / "autopilot.toml").unlink()
    (place / "notes.md").unlink()
    (place / "corridor.py").write_text("mine")
    done = init(at=place)
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert "corridor.py" in done.err
    assert sorted(path.name for path in place.iterdir()) == ["corridor.py"]
    assert (place / "corridor.py").read_text() == "mine"
    barred = init(str(place / "corridor.py" / "below"), at=place)
    assert (barred.code, barred.err.count("\n")) == (2, 1)


@pytest.mark.slow
def test_the_pages_code_is_learnt_with_its_variants(cli: Cli, tmp_path: Path) -> None:
    place = tmp_path / "corridor"
    place.mkdir()
    (place / "corridor.py").write_text(blocks("python"))
    (place / "autopilot.toml").write_text(blocks("toml"))
    chosen = [part for kind, name in (("policy", "deep"), ("reward", "progress"))
              for part in ("--set", f"autopilot.{kind}_variant={name}")]  # fmt: skip
    done = cli("train", "--seeds", "1", *chosen, "--set", "train.total_timesteps=300000", "--tensorboard", at=place)
    assert done.code == 0, done.err
    notebook = Notebook(Workspace(place))
    (run,) = notebook.runs()
    assert run.state is RunState.FINISHED
    assert set(run.variants) == {"policy", "reward"}
    assert run.sources.keys() >= {"corridor.py"}
    summary = notebook.summary(run.run_id)
    assert summary is not None
    curve = run_curves(notebook.paths(run.run_id), run.seeds)[run.seeds[0]]["environment/success_rate"]
    assert summary.metrics["success_rate"].mean > 0.9 > curve.values[0]  # it is learnt, from next to nothing
    assert list(notebook.paths(run.run_id).seed(run.seeds[0]).dir.glob("tensorboard/events*"))


@pytest.mark.slow
def test_its_settings_start_a_session(cli: Cli, place: Path) -> None:
    short = ("--set", "train.total_timesteps=32768", "--set", "autopilot.eval_steps=300")
    done = cli("start", "--max-runs", "6", "--seeds", "1", *short, at=place)
    assert done.code == 0, done.err
    runs = Notebook(Workspace(place)).runs()
    assert [(run.env_name, run.state) for run in runs] == [("corridor:Corridor", RunState.FINISHED)] * 2
