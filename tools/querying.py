"""Tools that ask of many runs at once: SQL over their metrics, what was learnt, what was tried."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from lab.base import plain, rounded
from lab.judge import lessons_of
from lab.store import Questions, Selection
from report import LISTED, effect_data, effects_in
from tools.context import ToolContext, ToolError
from tools.sandbox import Query

RUNS = 2_000
"""The latest runs of the group that a query sees."""
REPLICATES = 400
"""The latest replicates whose metrics it sees."""
ROWS = 100
SECONDS = 10
COLUMNS = {
    "run": "VARCHAR",
    "created": "DOUBLE",
    "state": "VARCHAR",
    "arm": "VARCHAR",
    "parent": "VARCHAR",
    "replicates_of": "VARCHAR",
    "score": "DOUBLE",
    "low": "DOUBLE",
    "high": "DOUBLE",
    "n": "INTEGER",
    "verdict": "VARCHAR",
}


def query_metrics(
    ctx: ToolContext,
    sql: Annotated[
        str,
        Field(
            min_length=8,
            max_length=4000,
        ),
    ],
) -> dict[str, Any]:
    """SQL (DuckDB) over this group's runs, 100 rows at most: aggregate.

    metrics(run, seed, agent_steps, a column for each logged name, as "losses/entropy"); runs(run, created, state, arm,
    parent, replicates_of, score, low, high, n, verdict); params(run, key, value).
    """
    rows = ctx.notebook.index.rows(Selection(ctx.group), order="newest", limit=RUNS)
    runs = [{name: getattr(row, "run_id" if name == "run" else name) for name in COLUMNS} for row in rows]
    params = [
        {"run": run, "key": key, "value": str(value)}
        for run, config in Questions(ctx.notebook.index).configs(ctx.group, RUNS).items()
        for key, value in config.flat().items()
        if value is not None
    ]
    query = Query(
        sql=sql,
        files=_files(ctx),
        tables={
            "runs": (COLUMNS, runs),
            "params": ({"run": "VARCHAR", "key": "VARCHAR", "value": "VARCHAR"}, params),
        },
        limit=ROWS,
        seconds=SECONDS,
    )
    answer = _ask(query)
    if "error" in answer:
        raise ToolError(plain(str(answer["error"]), 1500))
    return {
        **answer,
        "rows": [[plain(cell, 300) if isinstance(cell, str) else cell for cell in row] for row in answer["rows"]],
        "metrics_of_replicates": len(query.files),
        "left_out": "older replicates" if len(query.files) == REPLICATES else None,
    }


def _files(ctx: ToolContext) -> list[tuple[str, int, str]]:
    files: list[tuple[str, int, str]] = []
    for run in reversed(ctx.notebook.index.records(Selection(ctx.group), newest=REPLICATES)):
        for seed in run.seeds if len(files) < REPLICATES else ():
            paths = ctx.notebook.workspace.run(run.run_id).seed(seed)
            lines = paths.metrics_live.exists() and paths.metrics_live.stat().st_size
            path = paths.metrics if paths.metrics.exists() else paths.metrics_live if lines else None
            if path is not None:
                files.append((run.run_id, seed, str(path.resolve())))
    return files[:REPLICATES]


def _ask(query: Query) -> dict[str, Any]:
    """The answer of a process that has nothing of ours: no key in its environment, no network, no other files."""
    root = Path(__file__).resolve().parent.parent
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "tools.sandbox"],
            input=query.model_dump_json(),
            capture_output=True,
            text=True,
            timeout=2 * SECONDS,
            cwd=root,
            check=False,
            env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(root), "HOME": "/nonexistent"},
        )
    except subprocess.TimeoutExpired:
        raise ToolError(f"the query took longer than {2 * SECONDS} s and was ended: aggregate less at once") from None
    if done.returncode != 0:
        what = "took too long" if done.returncode in (-9, -24) else "ended with an error"
        last = (done.stderr.strip().splitlines() or [""])[-1]
        raise ToolError(f"the query {what} and was ended: aggregate less at once ({plain(last, 200)})")
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def lessons_learnt(
    ctx: ToolContext,
    key: Annotated[str | None, Field(max_length=80)] = None,
    count: Annotated[int, Field(ge=1, le=40)] = 12,
) -> dict[str, Any]:
    """What was learnt: what each key does by all runs, what changing one thing has led to."""
    lessons = [lesson for lesson in lessons_of(ctx.notebook.index, ctx.group, 1000) if key in (None, lesson.key)]
    return {
        **effect_data(effects_in(ctx.lab, ctx.group, ctx.before), ctx.group.goal, key),
        "lessons": [
            {
                "key": lesson.key,
                "moved": lesson.direction,
                "meaning": lesson.meaning,
                "effect": rounded(lesson.effect),
                "low": rounded(lesson.low),
                "high": rounded(lesson.high),
                "runs_for": lesson.agreeing[:LISTED],
                "runs_against": lesson.opposed[:LISTED],
                "runs_in_all": len(lesson.agreeing) + len(lesson.opposed),
            }
            for lesson in lessons[:count]
        ],
        "left_out": max(0, len(lessons) - count),
    }


def search_so_far(ctx: ToolContext, count: Annotated[int, Field(ge=1, le=20)] = 5) -> dict[str, Any]:
    """The best scores of this group (flattered by being picked), how the best grew, the recent trend."""
    questions = Questions(ctx.notebook.index)
    trend, goal = questions.trend(ctx.group, 20), ctx.group.goal
    by_mean = {"ranked_by": f"the mean: runs of different numbers of replicates have no {goal.statistic} in common"}
    return {
        **({} if goal.is_mean else by_mean),
        "best": [
            {"run": row.run_id, "score": rounded(row.score), "n": row.n, "verdict": row.verdict}
            for row in questions.best(ctx.group, count)
        ],
        "best_so_far": [
            {"run": best.run_id, "score": rounded(best.score)} for best in questions.best_so_far(ctx.group)[-count:]
        ],
        "trend": {
            "over_runs": len(trend.rows),
            "slope_per_run": rounded(trend.slope),
            "low": rounded(trend.low),
            "high": rounded(trend.high),
        },
    }
