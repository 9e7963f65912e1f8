"""One SQL query in a process of its own: it reads the files it was told of and nothing else, and can be killed.

Run as `python -m tools.sandbox` with a `Query` on standard input; an answer or an error comes back as JSON. The
files are read first; then DuckDB may open no other and its settings are locked. The system bounds memory and time.
"""

import json
import resource
import sys
from glob import escape
from typing import Any

from pydantic import BaseModel, ConfigDict

MEMORY = "256MB"
"""For DuckDB; the process may have sixteen times as much, since threads reserve more than they use."""
CELL = 200
"""Characters of one value."""


class Query(BaseModel):
    """What to ask, of what."""

    model_config = ConfigDict(extra="forbid")

    sql: str
    files: list[tuple[str, int, str]]
    """Run, seed and path of each replicate's metrics, Parquet or JSON lines."""
    tables: dict[str, tuple[dict[str, str], list[dict[str, Any]]]]
    """Table to its columns with their types, and its rows."""
    limit: int
    """Rows of the answer."""
    seconds: int
    """Of computing, at most."""


def main() -> None:
    """Answer one query."""
    query = Query.model_validate_json(sys.stdin.read())
    resource.setrlimit(resource.RLIMIT_CPU, (query.seconds, query.seconds + 1))
    resource.setrlimit(resource.RLIMIT_AS, (2**32, 2**32))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    sys.stdout.write(json.dumps(answer(query), default=str))


def answer(query: Query) -> dict[str, Any]:
    """Rows, or what is wrong with the query."""
    import duckdb

    base = duckdb.connect(config={"threads": 1, "memory_limit": MEMORY})
    base.execute("SET temp_directory = ''")
    for name, (columns, rows) in query.tables.items():
        shape = json.dumps([columns])
        base.execute(
            f"CREATE TABLE {name} AS SELECT unnest(from_json(?, '{shape}'), recursive := true)",
            [json.dumps(rows)],
        )
    base.execute(metrics_table(query.files))
    base.execute("SET enable_external_access = false")
    base.execute("SET lock_configuration = true")
    try:
        statements = duckdb.extract_statements(query.sql)
        if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
            return {"error": "one SELECT statement, and nothing else"}
        result = base.execute(statements[0])
        names = [column[0] for column in result.description or ()]
        fetched = result.fetchmany(query.limit + 1)
    except duckdb.Error as error:
        return {"error": str(error)[:1500]}
    shown = [[_cell(value) for value in row] for row in fetched[: query.limit]]
    return {"columns": names, "rows": shown, "more": len(fetched) > query.limit}


def metrics_table(files: list[tuple[str, int, str]]) -> str:
    """The SQL that makes all replicates' metrics one table: run, seed, and each metric that any of them logged."""
    parquet = [path for _, _, path in files if path.endswith(".parquet")]
    lines = [path for _, _, path in files if not path.endswith(".parquet")]
    parts = []
    if parquet:
        parts.append(f"FROM read_parquet([{_texts(parquet)}], union_by_name = true, filename = true)")
    if lines:
        parts.append(
            f"FROM read_json([{_texts(lines)}], format = 'newline_delimited', ignore_errors = true,"
            " union_by_name = true, filename = true, sample_size = -1,"
            " map_inference_threshold = -1)"
        )
    if not parts:
        return "CREATE TABLE metrics AS SELECT '' AS run, 0 AS seed, 0 AS agent_steps LIMIT 0"
    known = ", ".join(f"({_text(path)}, {_text(run)}, {seed})" for run, seed, path in files)
    return (
        "CREATE TABLE metrics AS SELECT known.run, known.seed, logged.* EXCLUDE (filename)"  # noqa: S608 - quoted paths
        f" FROM ({' UNION ALL BY NAME '.join(parts)}) AS logged"
        f" JOIN (VALUES {known}) AS known(path, run, seed) ON logged.filename = known.path"
    )


def _texts(values: list[str]) -> str:
    return ", ".join(_text(escape(value)) for value in values)


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _cell(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.6g}") if value == value and abs(value) != float("inf") else str(value)  # noqa: PLR0124
    if value is None or isinstance(value, (bool, int)):
        return value
    text = str(value)
    return text if len(text) <= CELL else text[: CELL - 1] + "…"


if __name__ == "__main__":
    main()
