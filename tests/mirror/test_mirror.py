"""`autopilot mirror`: what it refuses, and TensorBoard and W&B for runs that are there already."""

from collections.abc import Callable
from pathlib import Path

import pytest

from lab.base.paths import Workspace
from lab.store.creation import create_run
from lab.store.curves import run_curves
from lab.store.notebook import Notebook
from mirror import copy_curves
from tests.conftest import Cli, RunMaker, tree


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--to", "neptune"), "valid: mlflow | tensorboard | wandb"),
        (("--to", "tensorboard", "--mlflow", "sqlite:///x.db"), "has no part in --to tensorboard"),
        (("--mlflow", "x.db"), "is no store; valid: sqlite:///mlflow.db"),
        (("--mlflow", "file:///tmp/x"), "is no store"),
        (("--mlflow", "databricks"), "is no store"),
        (("--mlflow", "sqlite:////nowhere/at/all/x.db"), "lies in no folder that is there"),
        (("--mlflow", "sqlite:////"), "is a folder"),
        (("--mlflow", "https://me:secret@host/"), "has a user or a password in it"),
        (("--session", "none"), "none"),
        (("nobody",), "nobody"),
        (("1", "--session", "none"), "one of the two"),
    ],
)
def test_what_can_not_be_mirrored_is_one_line(
    called: Cli, unchanged: None, arguments: tuple[str, ...], said: str
) -> None:
    done = called("mirror", *arguments)
    assert done.code in (1, 2) and said in done.err
    assert done.err.count("\n") == 1
    assert "secret" not in done.err


@pytest.mark.parametrize("command", ["start", "train"])
def test_a_store_that_is_none_is_refused_before_anything_is_begun(called: Cli, unchanged: None, command: str) -> None:
    done = called(command, "--mlflow", "mysql://host/db")
    assert done.code == 2 and "mlflow = 'mysql://host/db': is no store" in done.err


def test_tensorboard_holds_the_record_and_the_same_again_changes_nothing(
    called: Cli, make_run: RunMaker, workspace: Workspace, notebook: Notebook
) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run = make_run()
    assert called("mirror", "--to", "tensorboard").out == "1 run copied to tensorboard\n"
    before = tree(workspace.root)
    assert called("mirror", "1", "--to", "tensorboard").out == "1 run there already\n"
    assert tree(workspace.root) == before
    for seed, curves in run_curves(workspace.run(run.run_id), run.seeds).items():
        events = EventAccumulator(str(workspace.run(run.run_id).seed(seed).events.parent)).Reload()
        assert set(events.Tags()["scalars"]) == set(curves)
        for name, curve in curves.items():
            scalars = events.Scalars(name)
            assert [event.step for event in scalars] == [int(step) for step in curve.steps]
            assert [event.value for event in scalars] == pytest.approx(list(curve.values))


def test_what_a_mirror_wrote_before_is_replaced_by_what_the_record_holds(
    make_run: RunMaker, workspace: Workspace, notebook: Notebook
) -> None:
    run = make_run()
    copy_curves(notebook, "tensorboard", [run])
    before = tree(workspace.runs)
    workspace.run(run.run_id).seed(run.seeds[0]).events.write_bytes(b"cut short")
    assert copy_curves(notebook, "tensorboard", [run]).written == (run.run_id,)
    assert tree(workspace.runs) == before


def test_runs_without_curves_or_an_end_are_passed_over(
    called: Cli, make_run: RunMaker, notebook: Notebook, config: Callable[..., None]
) -> None:
    ended = make_run()
    queued = create_run(notebook, notebook.config(ended.run_id), {}, preset="quick", objective="perf:max", arm="person")
    done = called("mirror", "--to", "tensorboard", "--json")
    assert done.json() == {"to": "tensorboard", "store": None, "written": [ended.run_id], "there": []}
    assert f"passed over: {queued.run_id}: is queued still" in done.err


@pytest.mark.slow
def test_wandb_offline_is_sent_each_replicate_once(
    cli: Cli, make_run: RunMaker, workspace: Workspace, tmp_path: Path
) -> None:
    run = make_run()
    environment = {"WANDB_MODE": "offline", "HOME": str(tmp_path / "home")}
    done = cli("mirror", "--to", "wandb", **environment)
    assert done.out == "1 run copied to wandb\n", done.err
    files = sorted(workspace.runs.rglob("*.wandb"))
    assert len(files) == len(run.seeds)
    again = cli("mirror", "--to", "wandb", **environment)
    assert again.out == "1 run there already\n", again.err
    assert sorted(workspace.runs.rglob("*.wandb")) == files
    seed = workspace.run(run.run_id).seed(run.seeds[0])
    seed.sent.write_text("3 points as a-live-mirror-that-was-ended\n")
    assert cli("mirror", "--to", "wandb", **environment).out == "1 run copied to wandb\n"
    assert len(list(workspace.runs.rglob("*.wandb"))) == len(files) + 1
