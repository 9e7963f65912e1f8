"""Runs on disk: whole or not there, frozen once ended, readable when damaged."""

import json
from pathlib import Path

import pytest

from lab.base.errors import AutopilotError, Damaged, InvalidInput, NotFound
from lab.base.files import append_line, read_lines, read_model, write_atomic, write_model
from lab.base.paths import Workspace
from lab.judge.verdicts import compare_runs
from lab.space.config import Config
from lab.store.creation import create_run
from lab.store.curves import run_curves
from lab.store.notebook import Notebook
from lab.store.records import RunRecord, RunState
from tests.conftest import RunMaker


def test_a_run_folder_holds_what_the_design_says(make_run: RunMaker, notebook: Notebook) -> None:
    parent = make_run()
    run = make_run({"train.ent_coef": 0.01}, parent=parent.run_id)
    folder = notebook.paths(run.run_id).dir
    names = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    seed = run.seeds[0]
    of_run = {"run.json", "config.json", "override.json", "config_diff.json", "trainer_summary.json"}
    assert names >= of_run | {f"seeds/{seed}/{name}" for name in ("metrics.parquet", "train.log", "result.json")}
    assert f"seeds/{seed}/metrics.jsonl" not in names
    summary = notebook.summary(run.run_id)
    assert summary is not None
    assert summary.metrics["perf"].n == 2
    assert {"sps", "agent_steps", "epoch"} <= summary.metrics.keys()


def test_ids_sort_by_time_and_seeds_are_fresh(make_run: RunMaker, notebook: Notebook) -> None:
    made = [make_run() for _ in range(3)]
    assert [run.seeds for run in made] == [(1, 2), (3, 4), (5, 6)]
    assert [run.run_id for run in notebook.runs()] == [run.run_id for run in made]


def test_a_person_may_fix_the_seeds(make_run: RunMaker) -> None:
    assert make_run({"train.seed": 70, "autopilot.seeds": 3}).seeds == (70, 71, 72)


def test_an_occupied_name_is_refused(make_run: RunMaker, notebook: Notebook, config: Config) -> None:
    make_run(run_id="mine")
    before = notebook.run("mine")
    with pytest.raises(InvalidInput, match="taken"):
        create_run(notebook, config, {}, preset="quick", objective="perf:max", arm="person", run_id="mine")
    assert notebook.run("mine") == before


@pytest.mark.parametrize("name", ["../x", "a/b", "", ".", "..", "/etc", "a\0b", "x" * 200, "-rf", "a..b"])
def test_no_name_reaches_outside(notebook: Notebook, name: str) -> None:
    with pytest.raises(NotFound):
        notebook.run(name)


def test_a_run_that_ended_never_changes(make_run: RunMaker, notebook: Notebook) -> None:
    run = make_run()
    with pytest.raises(AutopilotError, match="has ended"):
        notebook.update(run.run_id, state=RunState.QUEUED)
    assert notebook.run(run.run_id) == run


def test_a_damaged_folder_is_reported_and_passed_over(make_run: RunMaker, notebook: Notebook) -> None:
    good = make_run()
    (notebook.workspace.runs / "half").mkdir()
    broken = notebook.workspace.runs / "broken"
    broken.mkdir()
    (broken / "run.json").write_text('{"run_id": "broken", "sta')
    odd = notebook.workspace.runs / "odd"
    odd.mkdir()
    (odd / "run.json").write_text(good.model_dump_json().replace('"seeds"', '"sheep"'))
    assert [run.run_id for run in notebook.runs()] == [good.run_id]
    assert notebook.damaged.keys() == {"half", "broken", "odd"}


def test_a_failed_run_has_a_reason_and_no_score(make_run: RunMaker, notebook: Notebook) -> None:
    run = make_run(fault="nan")
    assert run.state is RunState.DIVERGED
    assert "became nan" in (run.reason or "")
    assert run.log_tail
    assert notebook.summary(run.run_id) is None
    assert notebook.incumbent(notebook.runs()[0].group) is None


def test_the_first_run_is_the_incumbent_until_one_is_better(make_run: RunMaker, notebook: Notebook) -> None:
    first = make_run({"autopilot.seeds": 4})
    assert notebook.incumbent(notebook.runs()[0].group) == first.run_id
    worse = make_run({"train.learning_rate": 1e-5, "autopilot.seeds": 4}, parent=first.run_id)
    assert notebook.verdicts()[worse.run_id].verdict == "worse"
    assert notebook.incumbent(notebook.runs()[0].group) == first.run_id
    better = make_run({"train.learning_rate": 0.01}, parent=worse.run_id)
    assert notebook.verdicts()[better.run_id].against == first.run_id
    expected = better if notebook.verdicts()[better.run_id].verdict == "better" else first
    assert notebook.incumbent(notebook.runs()[0].group) == expected.run_id


def test_a_longer_training_is_not_compared_unmarked(make_run: RunMaker, notebook: Notebook) -> None:
    first = make_run({"train.learning_rate": 1e-5, "autopilot.seeds": 4})
    longer = make_run({"train.learning_rate": 0.01, "train.total_timesteps": 4_000_000}, parent=first.run_id)
    verdict = notebook.verdicts()[longer.run_id]
    assert verdict.verdict == "inconclusive"
    assert "4,000,000 steps against 2,000,000" in verdict.confounds[0]


def test_curves_are_the_same_before_and_after_compaction(notebook: Notebook, workspace: Workspace) -> None:
    from lab.store.curves import compact, read_seed

    paths = workspace.run("r").seed(1)
    for step in range(1, 6):
        line = {"agent_steps": step * 100, "losses/entropy": 1 / step}
        append_line(paths.metrics_live, line if step != 3 else {**line, "environment/perf": 0.5})
    before = read_seed(paths)
    compact(paths)
    after = read_seed(paths)
    assert not paths.metrics_live.exists()
    assert before.keys() == after.keys() == {"losses/entropy", "environment/perf"}
    for name, curve in before.items():
        assert curve.steps.tolist() == after[name].steps.tolist()
        assert curve.values.tolist() == after[name].values.tolist()
    assert run_curves(workspace.run("r"), (1, 2))[2] == {}


def test_a_line_cut_off_by_a_crash_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    append_line(path, {"a": 1})
    with path.open("a") as file:
        file.write('{"a": 2')
    assert list(read_lines(path)) == [{"a": 1}]


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "record.json"
    write_atomic(path, "old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_atomic(path, "new")
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["record.json"]


def test_records_refuse_fields_they_do_not_know(make_run: RunMaker, notebook: Notebook) -> None:
    path = notebook.paths(make_run().run_id).run
    path.write_text(path.read_text().replace('"state"', '"color": "red", "state"'))
    with pytest.raises(AutopilotError, match="color"):
        read_model(path, RunRecord)


def test_the_same_file_with_other_content_is_a_confound(make_run: RunMaker, notebook: Notebook) -> None:
    first, second = make_run(), make_run({"train.learning_rate": 0.01})
    for run, sources in ((first, {"mine.py": "aa", "policy.py": "11"}), (second, {"mine.py": "bb", "deep.py": "22"})):
        path = notebook.paths(run.run_id).run
        write_model(path, run.model_copy(update={"sources": sources}))
    verdict = compare_runs(notebook, second.run_id, first.run_id)
    assert verdict.verdict == "inconclusive"
    assert verdict.confounds == ("the code has changed: mine.py",)  # another policy is the change under test


def test_runs_of_another_task_have_an_incumbent_of_their_own(
    notebook: Notebook, make_run: RunMaker, config: Config
) -> None:
    first = make_run()
    other = make_run({"env.report_interval": 2})
    assert other.group != first.group
    assert notebook.incumbent(other.group) == other.run_id
    child = make_run({"env.report_interval": 3, "autopilot.eval_steps": 1}, parent=first.run_id)
    assert child.task == first.task


def test_a_record_of_an_older_version_is_read_and_one_of_a_newer_refused(
    make_run: RunMaker, notebook: Notebook
) -> None:
    run = make_run()
    path = notebook.paths(run.run_id).run
    now_written = json.loads(path.read_text())
    older = {key: value for key, value in now_written.items() if key not in ("replicates_of", "legacy", "flags")}
    path.write_text(json.dumps({**older, "schema_version": 1}))
    assert notebook.run(run.run_id) == run
    assert json.loads(path.read_text())["schema_version"] == 1  # to read is not to write
    assert [row.run_id for row in notebook.index.rows()] == [run.run_id]
    path.write_text(json.dumps({**now_written, "schema_version": 99, "tomorrow": 1}))
    with pytest.raises(Damaged, match="has schema 99, this version reads up to 2: a newer one wrote it"):
        notebook.run(run.run_id)
    assert notebook.runs() == []
    assert "schema 99" in notebook.damaged[run.run_id]
    path.write_text(json.dumps({**older, "schema_version": 0}))
    with pytest.raises(Damaged, match="schema_version"):
        notebook.run(run.run_id)


def test_a_name_drawn_twice_is_drawn_again(
    make_run: RunMaker, notebook: Notebook, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = iter(["one", "one", "one", "two"])
    monkeypatch.setattr("lab.store.creation.new_id", lambda at: next(names))
    assert [make_run().run_id, make_run().run_id] == ["one", "two"]
