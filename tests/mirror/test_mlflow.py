"""MLflow holds what the record holds, once, whatever happened while it was copied. A file is the store; MLflow's own
client reads it back."""

import json
import shutil
import signal
import sqlite3
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from lab.base.files import write_model
from lab.base.paths import Workspace
from lab.base.schema import now
from lab.store.creation import create_run
from lab.store.curves import run_curves
from lab.store.notebook import Notebook
from lab.store.records import RunState
from lab.store.session import Budgets, SessionRecord
from mirror import copy_to_mlflow, followed
from mirror.store import Store
from tests.conftest import ENV, Cli, RunMaker

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(  # its import takes a second, which is not for whoever collects the tests
        find_spec("mlflow") is None, reason="the extra mlflow is not installed: pip install mlflow-skinny"
    ),
]


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store that holds nothing: MLflow takes seconds to make one."""
    file = tmp_path_factory.mktemp("mlflow") / "empty.db"
    Store(f"sqlite:///{file}")
    return file


@pytest.fixture
def file(empty: Path, workspace: Workspace) -> Path:
    """A store of the workspace's own, where `mirror` looks for it."""
    return Path(shutil.copy(empty, workspace.root / "mlflow.db"))


def client(file: Path) -> Any:
    from mlflow import MlflowClient

    return MlflowClient(f"sqlite:///{file}")


def entries(file: Path) -> dict[str, Any]:
    """What the store has, by name; the last of a name."""
    found = client(file).search_runs([one.experiment_id for one in client(file).search_experiments()], "")
    return {run.info.run_name: run for run in reversed(list(found))}


def content(file: Path) -> list[list[tuple[object, ...]]]:
    """All that the store says of runs, in an order that does not depend on the ids that it gave them."""
    asked = (
        "SELECT r.name, r.status, r.start_time, r.end_time FROM runs r",
        "SELECT r.name, m.key, m.value, m.step, m.timestamp FROM metrics m JOIN runs r USING (run_uuid)",
        "SELECT r.name, p.key, p.value FROM params p JOIN runs r USING (run_uuid)",
        "SELECT r.name, t.key, t.value FROM tags t JOIN runs r USING (run_uuid)"
        " WHERE t.key NOT IN ('mlflow.parentRunId', 'autopilot.holds', 'autopilot.parent_mlflow_run',"
        " 'mlflow.note.content')",
    )
    with sqlite3.connect(file) as base:
        return [sorted(base.execute(sql).fetchall(), key=repr) for sql in asked]


@pytest.fixture
def night(workspace: Workspace, make_run: RunMaker) -> SessionRecord:
    """A session of three runs that has ended, with a report, pictures and a digest."""
    record = SessionRecord(
        session_id="night-1", env_name=ENV, preset="quick", objective="perf:max", model="offline", approve="auto",
        seeds=2, budgets=Budgets(max_runs=3), created=now(), task=make_run().task, ended=now(), ended_because="done",
    )  # fmt: skip
    paths = workspace.session(record.session_id)
    write_model(paths.session, record)
    base = make_run(session=record.session_id)
    run = make_run({"train.ent_coef": 0.02}, parent=base.run_id, session=record.session_id)
    paths.digest.write_text("# Digest\n")
    workspace.run(run.run_id).report.write_text("# Report\n")
    workspace.run(run.run_id).plots.mkdir()
    (workspace.run(run.run_id).plots / "learning_curves.png").write_bytes(b"a picture")
    return record


def test_a_night_is_held_with_params_curves_tags_lineage_report_and_pictures(
    cli: Cli, night: SessionRecord, workspace: Workspace, notebook: Notebook, file: Path
) -> None:
    done = cli("mirror")
    assert done.code == 0, done.err
    assert done.out == f"3 runs copied to mlflow at sqlite:///{file}\n"
    _, base, run = notebook.runs()
    held, asked = entries(file), client(file)
    mine = next(one for name, one in held.items() if name.startswith("#3"))
    parent = next(one for name, one in held.items() if name.startswith("#2"))
    assert mine.data.params["train.ent_coef"] == "0.02" and len(mine.data.params) > 40
    tags = mine.data.tags
    assert (tags["autopilot.run"], tags["autopilot.parent"], tags["autopilot.session"]) == (
        run.run_id, base.run_id, "night-1",
    )  # fmt: skip
    assert tags["autopilot.parent_mlflow_run"] == parent.info.run_id
    assert f"/runs/{parent.info.run_id})" in tags["mlflow.note.content"]
    verdict = notebook.verdict(run.run_id)
    assert verdict and tags["autopilot.verdict"] == verdict.verdict
    summary = notebook.summary(run.run_id)
    assert summary and mine.data.metrics["perf"] == pytest.approx(summary.metrics["perf"].mean)
    assert mine.info.status == "FINISHED"
    there = {one.path for one in asked.list_artifacts(mine.info.run_id)}
    assert there == {"report.md", "config.json", "config_diff.json", "plots"}
    assert [one.path for one in asked.list_artifacts(mine.info.run_id, "plots")] == ["plots/learning_curves.png"]
    session = held["session night-1"]
    assert [one.path for one in asked.list_artifacts(session.info.run_id)] == ["digest.md"]
    assert tags["mlflow.parentRunId"] == session.info.run_id
    below = [one for one in _all(file) if one.data.tags.get("mlflow.parentRunId") == mine.info.run_id]
    assert {one.data.params["seed"] for one in below} == {str(seed) for seed in run.seeds}
    for one in below:
        curve = run_curves(workspace.run(run.run_id), run.seeds)[int(one.data.params["seed"])]["losses/entropy"]
        history = asked.get_metric_history(one.info.run_id, "losses/entropy")
        assert [(point.step, point.value) for point in history] == [
            (int(step), pytest.approx(value)) for step, value in zip(curve.steps, curve.values, strict=True)
        ]


def _all(file: Path) -> list[Any]:
    asked = client(file)
    return list(asked.search_runs([one.experiment_id for one in asked.search_experiments()], ""))


def test_a_second_call_adds_nothing_and_a_third_only_what_is_new(
    notebook: Notebook, night: SessionRecord, workspace: Workspace, file: Path
) -> None:
    uri = f"sqlite:///{file}"
    runs = notebook.runs()
    assert copy_to_mlflow(notebook, Store(uri), runs).written == tuple(run.run_id for run in runs)
    before = content(file)
    assert copy_to_mlflow(notebook, Store(uri), runs).there == tuple(run.run_id for run in runs)
    assert content(file) == before
    workspace.run(runs[1].run_id).report.write_text("# A new report\n")
    assert copy_to_mlflow(notebook, Store(uri), runs).written == (runs[1].run_id,)
    assert content(file) == before
    names = {run.info.run_name: run.info.run_id for run in _all(file)}
    which = next(found for name, found in names.items() if name.startswith("#2"))
    assert Path(client(file).download_artifacts(which, "report.md")).read_text() == "# A new report\n"


def test_a_copy_that_is_killed_is_completed_by_the_next(
    notebook: Notebook, night: SessionRecord, workspace: Workspace, file: Path, empty: Path, tmp_path: Path
) -> None:
    """Killed at its so-manieth request, between a batch of points and what would say that it is there."""
    code = (
        "import os, signal, sys\n"
        "from mlflow import MlflowClient\n"
        "from cli.main import main\n"
        "done, left = MlflowClient.log_batch, [int(sys.argv[2])]\n"
        "def log_batch(self, *given, **more):\n"
        "    done(self, *given, **{key: value for key, value in more.items() if left[0] or key != 'tags'})\n"
        "    if not left[0]: os.kill(os.getpid(), signal.SIGKILL)\n"
        "    left[0] -= 1\n"
        "MlflowClient.log_batch = log_batch\n"
        "main(['--workspace', sys.argv[1], 'mirror'])\n"
    )
    killed = subprocess.run([sys.executable, "-c", code, str(workspace.root), "5"], check=False)
    assert killed.returncode == -signal.SIGKILL
    copy_to_mlflow(notebook, Store(f"sqlite:///{file}"), notebook.runs())
    whole = Path(shutil.copy(empty, tmp_path / "whole.db"))
    copy_to_mlflow(notebook, Store(f"sqlite:///{whole}"), notebook.runs())
    assert content(file) == content(whole)


def test_an_attempt_that_was_cut_short_is_told_from_the_one_that_came_of_it(
    notebook: Notebook, make_run: RunMaker, workspace: Workspace, file: Path
) -> None:
    config = notebook.config(make_run().run_id).with_overrides({"autopilot.seeds": 1})
    run = create_run(notebook, config, {}, preset="quick", objective="perf:max", arm="person")
    run = notebook.update(run.run_id, state=RunState.RUNNING, started=now())
    live = workspace.run(run.run_id).seed(run.seeds[0]).metrics_live
    live.parent.mkdir(parents=True)
    store = Store(f"sqlite:///{file}")
    lines = [{"agent_steps": 10 * n, "uptime": float(n), "SPS": 5.0} for n in (1, 2, 3)]
    for count in (1, 3):  # as it grows
        live.write_text("".join(json.dumps(line) + "\n" for line in lines[:count]))
        copy_to_mlflow(notebook, store, [run])
    live.write_text(json.dumps({"agent_steps": 10, "uptime": 1.5, "SPS": 6.0}) + "\n")
    copy_to_mlflow(notebook, store, [run])
    replicates = [one for one in _all(file) if one.info.run_name.startswith("seed") and one.data.metrics["SPS"]]
    found = sorted((one.info.status, client(file).get_metric_history(one.info.run_id, "SPS")) for one in replicates)
    assert [(status, [(point.step, point.value) for point in history]) for status, history in found] == [
        ("KILLED", [(10, 5.0), (20, 5.0), (30, 5.0)]), ("RUNNING", [(10, 6.0)]),
    ]  # fmt: skip


def test_a_process_beside_a_night_mirrors_it_and_the_night_does_not_notice_one_that_fails(
    workspace: Workspace, notebook: Notebook, make_run: RunMaker, night: SessionRecord, file: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")  # nobody comes to listen at that port
    notes: list[str] = []
    log = workspace.session(night.session_id).mirror_log
    with followed(workspace, f"sqlite:///{file}", log, notes.append, session=night.session_id, patience=600):
        latest = make_run(session=night.session_id)
    assert notes == [], log.read_text()
    held = {one.data.tags.get("autopilot.run") for one in _all(file)}
    assert held == {None, *(run.run_id for run in notebook.runs(session=night.session_id))} and latest.run_id in held
    with followed(workspace, "http://127.0.0.1:9", log, notes.append, session=night.session_id, patience=600):
        make_run(session=night.session_id)
    (note,) = notes
    assert note.startswith("mirror mlflow: mlflow at http://127.0.0.1:9: MlflowException: ")
    assert note.endswith("'autopilot mirror --session night-1 --to mlflow' completes it")


def test_a_training_is_mirrored_as_it_goes_on(cli: Cli, notebook: Notebook, workspace: Workspace, file: Path) -> None:
    short = ("--seeds", "1", "--set", "train.total_timesteps=300000", "--set", "autopilot.eval_steps=200")
    done = cli("train", "--mlflow", f"sqlite:///{file}", *short)
    assert done.code == 0, done.err
    (run,) = notebook.runs()
    assert {one.data.tags.get("autopilot.run") for one in _all(file)} == {run.run_id}
    (replicate,) = [one for one in _all(file) if one.info.run_name.startswith("seed")]
    curve = run_curves(workspace.run(run.run_id), run.seeds)[run.seeds[0]]["SPS"]
    history = client(file).get_metric_history(replicate.info.run_id, "SPS")
    assert [(one.step, one.value) for one in history] == list(zip(curve.steps, curve.values, strict=True))
    assert list((workspace.root / "mlflow-artifacts").rglob("config.json"))
