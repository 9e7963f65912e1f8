"""A training that is mirrored, by real workers: to TensorBoard, to W&B offline, and to a W&B that can't work."""

from pathlib import Path

import pytest

from lab.base.paths import Workspace
from lab.store.notebook import Notebook
from lab.store.records import RunState
from tests.conftest import Cli
from tests.training.conftest import Train
from training.run import Options

pytestmark = pytest.mark.slow


def test_tensorboard_holds_what_the_live_record_held(train: Train, workspace: Workspace) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    from lab.store.curves import run_curves

    run = train({"train.total_timesteps": 600_000, "autopilot.seeds": 1}, options=Options(mirrors=("tensorboard",)))
    paths = workspace.run(run.run_id).seed(run.seeds[0])
    events = EventAccumulator(str(paths.dir / "tensorboard"))
    events.Reload()
    curve = run_curves(workspace.run(run.run_id), run.seeds)[run.seeds[0]]["environment/perf"]
    scalars = events.Scalars("environment/perf")
    assert [event.step for event in scalars] == [int(step) for step in curve.steps]
    assert [event.value for event in scalars] == pytest.approx(list(curve.values))


def test_wandb_offline_and_a_mirror_that_fails_leave_the_training_alone(
    cli: Cli, workspace: Workspace, notebook: Notebook
) -> None:
    short = ("--seeds", "1", "--set", "train.total_timesteps=300000", "--set", "autopilot.eval_steps=200")
    done = cli("train", "--wandb", *short, WANDB_MODE="offline", WANDB_SILENT="true")
    assert done.code == 0, done.err
    (run,) = notebook.runs()
    folder = workspace.run(run.run_id).seed(run.seeds[0]).dir
    assert list(folder.rglob("*.wandb"))
    refused = cli(
        "train", "--wandb", *short, WANDB_MODE="online", WANDB_BASE_URL="http://127.0.0.1:9", WANDB_API_KEY="0" * 40
    )
    assert refused.code == 0, refused.err
    run = notebook.runs()[-1]
    assert run.state is RunState.FINISHED
    log = Path(workspace.run(run.run_id).seed(run.seeds[0]).log).read_text()
    assert "wandb" in log
