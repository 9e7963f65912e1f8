"""A workspace that version 0.7.0 left interrupted: read, replayed and resumed as one of today's."""

import hashlib
import json
import shutil
from pathlib import Path

import pytest

from lab.base.paths import Workspace
from lab.store.notebook import Notebook
from lab.store.records import RunState
from tests.conftest import Cli

EARLIER = Path(__file__).resolve().parent / "data" / "workspace-0.7.0"
SESSION = "2026-11-28T031814Z-jywv"
INTERRUPTED = "2026-11-28T031822Z-9stf"


@pytest.fixture
def earlier(workspace: Workspace) -> Workspace:
    shutil.copytree(EARLIER, workspace.root, dirs_exist_ok=True)
    return workspace


def digests(root: Path) -> dict[str, str]:
    """Each file of the runs that have ended, and of the proposals."""
    ended = [path for path in root.rglob("*") if path.is_file() and INTERRUPTED not in path.parts]
    frozen = (".json", ".md", ".parquet", ".log")
    kept = [p for p in ended if p.suffix in frozen and "sessions" not in p.parts and not p.name.startswith(".")]
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in kept}


def test_its_runs_are_listed_shown_and_reported_as_they_were(cli: Cli, earlier: Workspace) -> None:
    before = digests(earlier.root)
    rows = cli("runs", "--json").json()
    assert {row["run_id"] for row in rows} == {path.parent.name for path in EARLIER.glob("runs/2*/run.json")}
    for row in rows:
        summary = EARLIER / "runs" / row["run_id"] / "trainer_summary.json"
        mean = json.loads(summary.read_text())["metrics"]["perf"]["mean"] if summary.exists() else None
        assert (row["score"] and row["score"]["mean"]) == mean
        assert row["state"] == ("interrupted" if row["run_id"] == INTERRUPTED else "finished")
        assert row["run_id"] in cli("show", row["run_id"]).out
        report = EARLIER / "runs" / row["run_id"] / "report.md"
        if report.exists():
            assert cli("report", row["run_id"]).out == report.read_text()
    verdicts = [json.loads(line) for line in (EARLIER / "runs" / "verdicts.jsonl").read_text().splitlines()]
    assert {line["run_id"]: line["verdict"] for line in verdicts} == {
        row["run_id"]: row["verdict"] for row in rows if row["verdict"]
    }
    assert digests(earlier.root) == before


def test_its_analyses_come_out_as_they_were(cli: Cli, earlier: Workspace) -> None:
    for path in sorted(EARLIER.glob("runs/2*/report.md")):  # one analysis was killed before it had written any
        done = cli("replay", path.parent.name)
        assert (done.code, done.err) == (0, ""), done.out


def test_its_session_goes_on(cli: Cli, earlier: Workspace) -> None:
    before = digests(earlier.root)
    assert f"session    {SESSION} (interrupted: 'autopilot resume' goes on)" in cli("status").out
    done = cli("resume")
    assert done.code == 0, done.err
    assert "It ended because all 3 runs are done." in done.out
    notebook = Notebook(earlier)
    runs = notebook.runs(session=SESSION)
    assert [run.state for run in runs] == [RunState.FINISHED] * 3
    assert notebook.run(INTERRUPTED).attempt == 2
    assert notebook.paths(INTERRUPTED).report.exists()
    after = digests(earlier.root)
    assert {name: digest for name, digest in after.items() if name in before and name.startswith("runs")} == {
        name: digest for name, digest in before.items() if name.startswith("runs")
    }
