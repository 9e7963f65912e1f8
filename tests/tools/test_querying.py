"""Questions over many runs: SQL that reaches nothing but the metrics, importance, the search so far."""

import json
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lab.space.inventory import Inventory
from lab.store.notebook import Notebook
from tests.conftest import RunMaker, tree
from tests.tools.test_tools import Bench, bench

__all__ = ["bench"]


def test_sql_over_the_metrics_of_all_runs(bench: Bench, notebook: Notebook) -> None:
    first, second = (run.run_id for run in notebook.runs())
    answer = bench(
        "query_metrics",
        sql='SELECT run, count(DISTINCT seed) AS seeds, max("environment/perf") AS top, max(agent_steps) AS steps'
        " FROM metrics GROUP BY run ORDER BY run",
    )
    assert answer["columns"] == ["run", "seeds", "top", "steps"]
    assert sorted(row[:2] for row in answer["rows"]) == sorted([[first, 2], [second, 2]])
    assert all(0 < row[2] <= 1 for row in answer["rows"])
    assert answer["metrics_of_replicates"] == 4
    joined = bench(
        "query_metrics",
        sql="SELECT p.value, r.score, r.verdict FROM runs r JOIN params p USING (run)"
        " WHERE p.key = 'train.learning_rate' ORDER BY r.created",
    )
    assert joined["rows"][1][0] == "0.01"
    summary = notebook.summary(first)
    assert summary is not None
    assert joined["rows"][0][1:] == [pytest.approx(summary.metrics["perf"].mean, rel=1e-5), "first"]


def test_lines_of_a_run_that_was_not_compacted_are_read_too(bench: Bench, notebook: Notebook) -> None:
    run = notebook.runs()[0]
    paths = notebook.workspace.run(run.run_id).seed(run.seeds[0])
    paths.metrics.unlink()
    paths.metrics_live.write_text('{"agent_steps": 5, "losses/odd": 1.5}\n{"agent_steps": 9, "losses/o')
    answer = bench("query_metrics", sql='SELECT "losses/odd" FROM metrics WHERE agent_steps = 5')
    assert [1.5] in answer["rows"]


def test_a_workspace_whose_path_has_wildcards(
    bench: Bench, notebook: Notebook, inventory: Inventory, tmp_path: Path
) -> None:
    from lab.base.paths import Workspace

    odd = tmp_path / "a [b]* 'c'?"
    shutil.copytree(notebook.workspace.root, odd)
    moved = Notebook(Workspace(odd))
    answer = Bench(moved, inventory, moved.runs()[0])("query_metrics", sql="SELECT count(DISTINCT run) FROM metrics")
    assert answer["rows"] == [[2]]


def test_answers_are_bounded_and_say_so(bench: Bench) -> None:
    many = bench("query_metrics", sql="SELECT i, repeat('x', 10000) FROM range(100000) t(i)")
    assert (len(many["rows"]), many["more"]) == (100, True)
    assert len(json.dumps(many)) < 24_000
    assert "memory" in bench.refused("query_metrics", sql="SELECT list(i) FROM range(1000000000) t(i)").lower()


@pytest.mark.parametrize("sql", [
    "SELECT * FROM read_text('/etc/passwd')",
    "SELECT * FROM '/etc/passwd'",
    "SELECT * FROM glob('/*')",
    "SELECT * FROM read_csv('http://127.0.0.1:9/x.csv')",
    "COPY (SELECT 1) TO '/tmp/autopilot-was-here.csv'",
    "COPY metrics TO 'here.parquet'",
    "ATTACH '/tmp/autopilot-was-here.db'",
    "SET enable_external_access = true",
    "INSTALL httpfs",
    "DROP TABLE metrics",
    "SELECT 1; SELECT 2",
    "PRAGMA database_list",
    "SELECT getenv('OPENAI_API_KEY')",
    "SELECT nonsense FROM metrics",
])  # fmt: skip
def test_sql_that_reaches_further_is_refused(bench: Bench, notebook: Notebook, sql: str) -> None:
    before = tree(notebook.workspace.root)
    assert bench.refused("query_metrics", sql=sql)
    assert tree(notebook.workspace.root) == before
    assert not list(Path("/tmp").glob("autopilot-was-here*"))  # noqa: S108 - where it would be


def test_the_process_that_asks_has_no_key(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    import subprocess

    seen: list[dict[str, str]] = []
    run = subprocess.run

    def watch(*arguments: object, **more: object) -> object:
        seen.append(more["env"])  # type: ignore[arg-type]
        return run(*arguments, **more)  # type: ignore[call-overload]

    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    monkeypatch.setattr("tools.querying.subprocess.run", watch)
    bench("query_metrics", sql="SELECT 1 FROM runs")
    assert [set(environment) for environment in seen] == [{"PATH", "PYTHONPATH", "HOME"}]


def test_a_query_that_never_ends_is_ended(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tools.querying.SECONDS", 1)
    sql = "SELECT count(*) FROM range(10000000) a, range(10000000) b WHERE (a.range * b.range) % 7 = 3"
    assert "was ended" in bench.refused("query_metrics", sql=sql)


@pytest.mark.slow
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sql=st.text(min_size=8, max_size=200))
def test_any_text_is_an_answer_or_an_error(bench: Bench, sql: str) -> None:
    answer = bench.toolbox.call("query_metrics", json.dumps({"sql": sql}))
    assert "the tool itself failed" not in answer.content


def test_what_the_keys_do_and_the_search_so_far(bench: Bench, make_run: RunMaker, notebook: Notebook) -> None:
    assert "2 configs with a score" in bench("lessons_learnt")["note"]
    base = notebook.runs()[0].run_id
    for number in range(10):
        make_run({"train.learning_rate": 0.001 * 1.5**number}, parent=base)
    so_far = bench("search_so_far", count=3)
    assert len(so_far["best"]) == 3
    scores = [row["score"] for row in so_far["best_so_far"]]
    assert scores == sorted(scores)
    assert so_far["trend"]["over_runs"] == 12
    assert so_far["best"][0]["score"] == scores[-1]


def test_lessons_and_what_a_candidate_may_score(bench: Bench, make_run: RunMaker, notebook: Notebook) -> None:
    base = notebook.runs()[0].run_id
    for rate in (0.0001, 0.0002):
        make_run({"train.learning_rate": rate}, parent=base)
    found = bench("lessons_learnt", key="train.learning_rate")
    moved = {lesson["moved"]: lesson for lesson in found["lessons"]}
    assert moved["down"]["meaning"] == "hurts"
    assert len(moved["down"]["runs_for"]) == 2
    assert found["left_out"] == 0
    assert bench("lessons_learnt", key="train.gamma")["lessons"] == []
    candidates = bench("suggest_configs", parent=base, count=12)["candidates"]
    assert candidates
    for candidate in candidates:
        expected = candidate["expected"]
        assert 0 <= expected["low"] < expected["mean"] < expected["high"] <= 1
