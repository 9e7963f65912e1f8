"""The examples work as they are: each is copied, and its commands are run."""

import shutil
from pathlib import Path

import pytest

from lab.base.paths import Workspace
from lab.store.curves import run_curves
from lab.store.notebook import Notebook
from lab.store.records import RunState
from tests.conftest import Cli

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parent.parent
CORRIDOR = ("--env", "corridor:Corridor", "--objective", "success_rate:max", "--seeds", "1")


def test_an_environment_of_ones_own_is_learnt_with_its_variants(cli: Cli, tmp_path: Path) -> None:
    place = tmp_path / "corridor"
    shutil.copytree(ROOT / "examples" / "corridor", place)
    chosen = [part for kind, name in (("policy", "deep"), ("reward", "progress"))
              for part in ("--set", f"autopilot.{kind}_variant={name}")]  # fmt: skip
    done = cli("train", *CORRIDOR, *chosen, "--set", "train.total_timesteps=300000", "--tensorboard", at=place)
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


def test_its_settings_start_a_session(cli: Cli, tmp_path: Path) -> None:
    place = tmp_path / "corridor"
    shutil.copytree(ROOT / "examples" / "corridor", place)
    short = ("--set", "train.total_timesteps=32768", "--set", "autopilot.eval_steps=300")
    done = cli("start", "--max-runs", "6", "--seeds", "1", *short, at=place)
    assert done.code == 0, done.err
    runs = Notebook(Workspace(place)).runs()
    assert [(run.env_name, run.state) for run in runs] == [("corridor:Corridor", RunState.FINISHED)] * 2
