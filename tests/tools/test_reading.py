"""What a model is told of a run beyond its score, in bounded answers; and that curves can be read from any thread."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from lab.base.files import append_line
from lab.base.paths import Workspace
from lab.space.config import Config
from lab.space.inventory import Inventory
from lab.store.creation import create_run
from lab.store.curves import compact, run_curves
from lab.store.notebook import Notebook
from lab.store.records import Pruning, RunRecord, RunState
from tests.conftest import RunMaker
from tests.report.test_run_report import Desk, keep_best
from tests.tools.test_tools import Bench
from tools.registry import MAX_CHARS

EXTRAS = {"warm_start_from", "pruning", "notes", "stopped_early"}


@pytest.fixture
def made(notebook: Notebook, inventory: Inventory, config: Config) -> Desk:
    return Desk(notebook, inventory, config)


def bench(made: Desk, run: RunRecord) -> Bench:
    return Bench(made.notebook, made.inventory, run)


def test_an_ordinary_run_has_nothing_extra(made: Desk) -> None:
    ask = bench(made, made.run())
    found = ask("read_run")
    assert (found["warm_start"], found["pruning"], found["notes"], found["stopped_early"]) == (None, None, [], [])
    assert not EXTRAS & ask("list_runs")["runs"][0].keys()


def test_a_warm_start_is_told_with_its_steps(made: Desk, notebook: Notebook) -> None:
    first = made.run()
    keep_best(notebook, first)
    ask = bench(made, made.warm("best", overrides={"train.total_timesteps": 1_000_000}))
    assert ask("read_run")["warm_start"] == {
        "from_run": first.run_id,
        "files": [f"runs/{first.run_id}/seeds/{seed}/checkpoints/best.pt" for seed in first.seeds],
        "files_in_all": 2,
        "steps_before": 2_000_000,
        "own_steps": 1_000_000,
        "cumulative_steps": 3_000_000,
    }
    assert ask("list_runs")["runs"][1]["warm_start_from"] == first.run_id


def test_what_the_pruner_found_is_told(made: Desk, notebook: Notebook) -> None:
    made.run()
    run = create_run(notebook, made.config, {}, preset="quick", objective="perf:max", arm="offline")
    found = Pruning(steps=500_000, score=1 / 3, median=2 / 3, peers=5, spared=False)
    run = notebook.fail(run.run_id, RunState.PRUNED, "seed 3: pruned: 0.3333 at 500,000 steps", pruning=found)
    ask = bench(made, run)
    told = {"steps": 500_000, "score": 0.333333, "median": 0.666667, "peers": 5, "spared": False}
    assert ask("read_run")["pruning"] == told
    row = ask("list_runs")["runs"][1]
    assert (row["state"], row["pruning"]) == ("pruned", told)
    assert row["reason"].startswith("seed 3: pruned")


def test_notes_and_early_ends_are_told_once_with_their_seeds(made: Desk) -> None:
    def say(at: int) -> dict[str, Any]:
        return {"notes": ("both \x1b[31msay\x1b[0m this", f"only {at}"), "stopped_early": "enough" if at else None}

    ask = bench(made, made.run(say=say))
    found = ask("read_run")
    assert found["notes"] == [
        {"text": "both say this", "seeds": [1, 2]},
        {"text": "only 0", "seeds": [1]},
        {"text": "only 1", "seeds": [2]},
    ]
    assert found["stopped_early"] == [{"text": "enough", "seeds": [2]}]
    row = ask("list_runs")["runs"][0]
    assert (row["notes"], row["stopped_early"]) == (["both say this", "only 0"], ["enough"])


def test_answers_stay_bounded(made: Desk, notebook: Notebook) -> None:
    first = made.run({"autopilot.seeds": 16})
    run = made.warm(
        first.run_id,
        overrides={"autopilot.seeds": 16},
        say=lambda at: {"notes": tuple(f"{at} {n} {'x' * 5000}" for n in range(20)), "stopped_early": f"{at}" * 5000},
    )
    for _ in range(60):
        other = create_run(notebook, made.config, {}, preset="quick", objective="perf:max", arm="offline")
        paths = notebook.paths(other.run_id)
        for old, seed in zip(run.seeds, other.seeds, strict=False):
            paths.seed(seed).dir.mkdir(parents=True)
            paths.seed(seed).result.write_bytes(notebook.paths(run.run_id).seed(old).result.read_bytes())
        notebook.fail(other.run_id, RunState.FAILED, "y" * 5000)
    ask = bench(made, run)
    for tool, arguments in (("read_run", {}), ("list_runs", {"limit": 50}), ("list_runs", {})):
        answer = ask.toolbox.call(tool, str(arguments).replace("'", '"'))
        assert len(answer.content) <= MAX_CHARS
        assert '"cut"' not in answer.content, tool
    found = ask("list_runs", limit=50)
    assert len(found["runs"]) >= 12
    assert len(found["runs"]) + found["left_out_older"] == 62
    assert len(ask("read_run")["warm_start"]["files"]) == 8


def test_a_damaged_result_is_told_and_ends_nothing(made: Desk, notebook: Notebook) -> None:
    run = made.run()
    notebook.paths(run.run_id).seed(run.seeds[1]).result.write_text("{")
    ask = bench(made, run)
    assert "result.json" in ask("read_run")["notes"][0]["text"]
    assert "notes" in ask("list_runs")["runs"][0]


# --- curves ------------------------------------------------------------------------------------------------------


def test_curves_can_be_read_by_several_threads_at_once(make_run: RunMaker, notebook: Notebook) -> None:
    runs = [make_run({"train.learning_rate": rate}) for rate in (0.001, 0.01, 0.1)]

    def read(run: RunRecord) -> list[list[float]]:
        curves = run_curves(notebook.paths(run.run_id), run.seeds)
        return [curves[seed]["environment/perf"].values.tolist() for seed in run.seeds]

    expected = [read(run) for run in runs]
    assert len({str(curves) for curves in expected}) == 3
    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(read, runs * 40)) == expected * 40


def test_a_curve_that_was_replaced_is_read_anew(workspace: Workspace) -> None:
    paths = workspace.run("r").seed(1)
    for value in (0.25, 0.75):
        for step in (100, 200):
            append_line(paths.metrics_live, {"agent_steps": step, "environment/perf": value})
        compact(paths)
        assert run_curves(workspace.run("r"), (1,))[1]["environment/perf"].values.tolist() == [value, value]


def test_a_workspace_may_be_called_anything(workspace: Workspace, notebook: Notebook) -> None:
    """DuckDB takes a path for a pattern: what lies in `ab` must not be read for `a*`."""
    for name, value in (("ab", 0.25), ("a*", 0.75), ("a[b]", 0.5), ("a'?", 1.0)):
        paths = Workspace(workspace.root / name).run("r").seed(1)
        append_line(paths.metrics_live, {"agent_steps": 100, "environment/perf": value})
        compact(paths)
        curves = run_curves(Workspace(workspace.root / name).run("r"), (1,))[1]
        assert curves["environment/perf"].values.tolist() == [value], name
