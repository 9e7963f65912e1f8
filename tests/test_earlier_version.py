"""A workspace that version 0.7.0 left interrupted: read, replayed and resumed as one of today's."""

import hashlib
import json
import re
import shutil
from collections import Counter
from pathlib import Path

import pytest

from lab.base.paths import Workspace
from lab.claims import sections_of
from lab.store.notebook import Notebook
from lab.store.records import RunState
from tests.conftest import Cli
from tools.catalog import TOOLS

EARLIER = Path(__file__).resolve().parent / "data" / "workspace-0.7.0"
SESSION = "2026-11-28T031814Z-jywv"
INTERRUPTED = "2026-11-28T031822Z-9stf"
UNREPORTED = "2026-11-28T031815Z-q2uh"


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
    """What a model is told of the tools and of the search is today's; what came of it is the same."""
    for path in sorted(EARLIER.glob("runs/2*/report.md")):  # one analysis was killed before it had written any
        found = cli("replay", path.parent.name, "--json").json()
        assert (found["reports"], found["proposals"]) == (1, found["requests"] // 4)
        for difference in found["differences"]:
            lines = difference["diff"].splitlines()[2:]
            old, new = ([line[1:] for line in lines if line[0] == sign] for sign in "-+")
            if difference["what"] == "conversation":
                # What a model is told has other words now; what it did has none: no call of it differs.
                assert {line.split()[0] for line in (*old, *new)} == {'"content":'}
            elif difference["what"] == "report":
                # What the program writes stands elsewhere and says it shorter; no word of the author's is lost.
                prose = {line for text in sections_of(path.read_text()).values() for line in text.splitlines()}
                assert not prose & (Counter(old) - Counter(new)).keys()
            else:
                assert difference["what"] == "tools"
                # One tool was taken away since; the others are told in fewer words, and all of them still answer.
                names = {name for line in old for name in re.findall(r'"name": "(\w+)",', line)}
                assert names - {tool.name for tool in TOOLS} == {"parameter_importance"}


@pytest.mark.slow
def test_its_session_goes_on(cli: Cli, earlier: Workspace) -> None:
    before = digests(earlier.root)
    assert f"session    {SESSION} (interrupted: 'autopilot resume' goes on)" in cli("status").out
    done = cli("resume")
    assert done.code == 0, done.err
    assert "It ended because all 6 replicates are trained." in done.out
    notebook = Notebook(earlier)
    runs = notebook.runs(session=SESSION)
    assert {run.state for run in runs} == {RunState.FINISHED}
    assert [len(run.seeds) for run in runs] == [2, 2, 1, 1]  # the budget that it had is replicates now
    assert notebook.run(INTERRUPTED).attempt == 2
    assert notebook.paths(INTERRUPTED).report.exists()
    after = digests(earlier.root)
    kept = {name: digest for name, digest in before.items() if name.startswith("runs")}
    kept.pop(f"runs/{UNREPORTED}/claims.json")  # of the analysis that was killed, and is made again
    assert {name: digest for name, digest in after.items() if name in kept} == kept
