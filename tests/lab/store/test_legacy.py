"""Runs of another system, whole or in pieces, become runs that every tool can read."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.base.paths import Workspace
from lab.judge.verdicts import compare_runs, record_verdict
from lab.store.legacy import FILES, look, store
from lab.store.notebook import Notebook
from lab.store.questions import Questions
from lab.store.records import RunState
from report.show import show_run
from report.view import view_of
from tests.conftest import Cli, tree

SUMMARY = {
    "timestamp": "2025-09-20T16:40:00Z", "run_id": "2025-09-20T162635Z",
    "train": {"learning_rate": 0.0025, "entropy_coef": 0.06, "total_timesteps": 20_000_000, "bptt_horizon": 16},
    "env": {"num_drones": 64}, "vec": {"num_workers": 28, "num_envs": 56},
    "metrics": {"success_rate": 1255.0, "mean_reward": 139.37, "collision_rate": 0.00196, "episode_length": 490.08,
                "sps": 135100.0, "agent_steps": 20930000, "epoch": 698},
}  # fmt: skip


def write(folder: Path, **files: Any) -> Path:
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / name.replace("__", ".")).write_text(content if isinstance(content, str) else json.dumps(content))
    return folder


@pytest.fixture
def old(tmp_path: Path) -> Path:
    root = tmp_path / "old runs"
    write(root / "2025-09-20T162635Z", trainer_summary__json=SUMMARY, config__json={**SUMMARY, "env_name": "swarm"},
          run__json={"parent": "2025-09-19T120000Z", "env_name": "swarm"}, notes__txt="Run — entropy\x1b[31m halved",
          override__json={"train.entropy_coef": 0.06}, config_diff__json={"train.entropy_coef": [0.12, 0.06]},
          model_path__txt="models/a.pt")  # fmt: skip
    write(root / "2025-09-19T120000Z", trainer_summary__json={**SUMMARY, "metrics": {"success_rate": 0.5}})
    write(root / "2025-09-21T000000Z", notes__txt="only a report")
    write(root / "2025-09-22T000000Z", config__json='{"train": {"learning_rate": NaN, "gamma": 7, "x": [1]}',
          summary__json="not json",
          trainer_summary__json={"metrics": {"mean_reward": "high", "perf": 0.4}})  # fmt: skip
    (root / "2025-09-23T000000Z").mkdir()  # nothing in it
    (root / "a file").write_text("")
    return root


def test_what_is_there_becomes_a_run(old: Path, workspace: Workspace, notebook: Notebook) -> None:
    assert store(workspace, look(old)) == [f"2025-09-{day}" for day in
                                           ("19T120000Z", "20T162635Z", "21T000000Z", "22T000000Z")]  # fmt: skip
    run = notebook.run("2025-09-20T162635Z")
    assert (run.legacy, run.state, run.env_name, run.parent) == (True, RunState.FINISHED, "swarm", "2025-09-19T120000Z")
    assert (run.objective, f"{run.created:%Y-%m-%d %H:%M}") == ("success_rate:max", "2025-09-20 16:40")
    config = notebook.config(run.run_id)
    assert config.train["ent_coef"] == 0.06  # under its name of today
    assert config.env == {"num_drones": 64}
    summary = notebook.summary(run.run_id)
    assert summary is not None
    assert summary.metrics["success_rate"].mean == 1255.0  # kept
    assert summary.metrics["success_rate"].flag == "declared as a rate, but outside 0 to 1"
    assert any("success_rate = 1255" in flag for flag in run.flags)
    paths = workspace.run(run.run_id)
    assert paths.report.read_text() == "Run — entropy halved"
    assert (paths.imported / "model_path.txt").read_text() == "models/a.pt"
    assert json.loads(paths.config_diff.read_text()) == {"train.entropy_coef": [0.12, 0.06]}


def test_what_is_missing_or_odd_is_said(old: Path, workspace: Workspace, notebook: Notebook) -> None:
    store(workspace, look(old))
    bare = notebook.run("2025-09-21T000000Z")
    assert (bare.state, bare.env_name, bare.reason) == (RunState.FAILED, "unknown", "imported without a 'perf'")
    assert workspace.run(bare.run_id).report.read_text() == "only a report"
    odd = notebook.run("2025-09-22T000000Z")
    assert odd.state is RunState.FINISHED  # it has a perf
    said = " | ".join(odd.flags)
    assert "summary.json is not a JSON object" in said
    assert "config.json is not a JSON object" in said
    assert "metric mean_reward = high: not a finite number" in said


def test_values_outside_todays_space_are_kept_and_flagged(tmp_path: Path, workspace: Workspace) -> None:
    write(tmp_path / "old" / "one", config__json={"train.gamma": 7, "train.magic": 1, "env_name": "swarm"},
          trainer_summary__json={"metrics": {"perf": 0.4}})  # fmt: skip
    (found,) = look(tmp_path / "old")
    assert (found.config.train["gamma"], found.config.train["magic"]) == (7, 1)
    said = " | ".join(found.record.flags)
    assert "train.gamma = 7: must be from 0 to 0.999999" in said
    assert "train.magic = 1: not a key of today's search space" in said
    assert store(workspace, look(tmp_path / "old" / "one")) == ["one"]  # one run's own folder does too


def test_imported_runs_can_be_read_and_compared_but_never_win(old: Path, notebook: Notebook, cli: Cli) -> None:
    done = cli("import", str(old))
    assert done.code == 0, done.err
    assert "imported 4 runs" in done.out
    assert {row["run_id"] for row in cli("runs", "--json").json()} >= {"2025-09-20T162635Z"}
    shown = cli("show", "2025-09-20T162635Z")
    assert shown.code == 0, shown.err
    assert "1255" in shown.out
    assert "entropy halved" in cli("report", "2025-09-20T162635Z").out
    verdict = compare_runs(notebook, "2025-09-20T162635Z", "2025-09-19T120000Z")
    assert verdict.verdict == "inconclusive"
    assert "imported" in verdict.confounds[0]
    run = notebook.run("2025-09-20T162635Z")
    assert record_verdict(notebook, run) is None
    assert notebook.incumbent(run.group) is None


@pytest.mark.parametrize(("make", "said"), [
    (lambda place: place / "nowhere", "is not a folder"),
    (lambda place: write(place / "empty") and place / "empty", "has no run in it"),
    (lambda place: write(place / "x" / "a b", notes__txt="") and place / "x", "can't be a run's name"),
])  # fmt: skip
@pytest.mark.usefixtures("unchanged")
def test_what_is_no_folder_of_runs_is_refused(cli: Cli, tmp_path: Path, make: Any, said: str) -> None:
    done = cli("import", str(make(tmp_path)))
    assert done.code == 2
    assert said in done.err
    assert done.err.count("\n") == 1


def test_a_second_import_changes_nothing(old: Path, workspace: Workspace, cli: Cli) -> None:
    cli("import", str(old))
    before = tree(workspace.runs / "2025-09-20T162635Z")
    again = cli("import", str(old))
    assert again.code == 2
    assert "are in this workspace already" in again.err
    assert tree(workspace.runs / "2025-09-20T162635Z") == before


def test_hostile_files_stay_outside(tmp_path: Path, workspace: Workspace) -> None:
    secret = tmp_path / "secret"
    secret.write_text("hidden")
    place = write(tmp_path / "old" / "one", trainer_summary__json={"metrics": {"perf": 1}},
                  config__json={"env": {"a": {"deep": [1]}}, "train": {"learning_rate": {"x": 1}}})  # fmt: skip
    (place / "notes.txt").symlink_to(secret)
    (found,) = look(tmp_path / "old")
    store(workspace, [found])
    assert "notes.txt is a link" in " ".join(found.record.flags)
    assert not any(b"hidden" in content for content in tree(workspace.root).values())
    nested = "[" * 100_000
    write(tmp_path / "old" / "two", config__json=nested)
    assert look(tmp_path / "old")[1].record.state is RunState.FAILED


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.integers(10**300, 10**310) | st.floats() | st.text(max_size=8)
    | st.sampled_from(["\ud800", "\x1b[31m", "2025-09-20T16:40:00Z", "a" * 500]),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from(["train", "env", "vec", "metrics", "perf", "parent", "timestamp", "env_name",
                                       "learning_rate", "seed", "gamma", "created"]) | st.text(max_size=5), inner,
                      max_size=5),
    max_leaves=12,
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(files=st.dictionaries(st.sampled_from(FILES), anything, min_size=1, max_size=4))
def test_whatever_is_in_the_files_it_becomes_a_run_that_can_be_read(
    tmp_path_factory: pytest.TempPathFactory, files: dict[str, Any]
) -> None:
    root = tmp_path_factory.mktemp("import")
    (root / "old" / "one").mkdir(parents=True)
    for name, content in files.items():
        (root / "old" / "one" / name).write_text(json.dumps(content))
    workspace = Workspace(root / "workspace")
    assert store(workspace, look(root / "old")) == ["one"]
    notebook = Notebook(workspace)
    (run,) = notebook.runs()
    assert notebook.damaged == {}
    assert run.legacy
    view_of(notebook, run)
    show_run(notebook, run)
    assert Questions(notebook.index).lineage("one")[0].run_id == "one"


def test_nesting_and_numbers_beyond_measure(tmp_path: Path, workspace: Workspace, notebook: Notebook) -> None:
    deep = '{"env": ' + '{"a": ' * 500 + "1" + "}" * 501
    write(tmp_path / "old" / "deep", config__json=deep, trainer_summary__json={"metrics": {"perf": 0.5}})
    write(tmp_path / "old" / "huge", config__json={"train": {"gamma": 10**400, "seed": 10**30}},
          trainer_summary__json='{"metrics": {"perf": 0.5, "score": 1' + "0" * 400 + "}}")  # fmt: skip
    store(workspace, look(tmp_path / "old"))
    assert notebook.damaged == {}
    assert [run.state for run in notebook.runs()] == [RunState.FINISHED] * 2
    assert "train.gamma = '1000" in " ".join(notebook.run("huge").flags)
