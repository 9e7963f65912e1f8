"""Make docs/examples/reports/: what version 0.7.0 wrote of six runs, and what this version writes of the same.

    .venv/bin/python docs/make_reports.py [--workspace DIR]

Without a workspace the code of 0.7.0 trains one for real (git worktree, some minutes): a night of eight short runs, and
four more with `--prune`, among them one that a person has ruined. Each of six runs is then analysed once more by this
version, by the offline researcher, in a copy of the workspace from which all is taken away that came after the run had
ended. Nothing is edited by hand; of pictures only the titles are kept.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from agent.analysis import Analyst
from agent.model import OfflineResearcher
from lab.base import Workspace
from lab.store import Lab, Notebook, RunRecord, RunState
from training import load_inventory

ROOT = Path(__file__).resolve().parent.parent
REPORTS = ROOT / "docs" / "examples" / "reports"
EARLIER = "1dcdf1d"
"""The commit of version 0.7.0."""
NIGHT = "start --env puffer_cartpole --preset quick --set train.total_timesteps=600000 --model offline --approve auto"
RULE = "\n---\n"
"""What parts a report from its details; 0.7.0 had none."""
PICTURE = re.compile(r"!\[([^]]*)\]\([^)]*\)")
RUINED = """
import sys
from pathlib import Path
from lab.paths import Workspace
from lab.proposals import Proposals
from lab.records import Decision, ProposalState, new_id, now

queue, at, changes = Proposals(Workspace(Path(sys.argv[1]))), now(), {"train.learning_rate": 1e-5}
steps = (Decision(time=at, state=ProposalState.STAGED, who="person"),
         Decision(time=at, state=ProposalState.APPROVED, who="person", overrides=changes))
queue.add(queue.all()[-1].model_copy(update={
    "proposal_id": new_id(at), "created": at, "arm": "person", "overrides": changes, "predictions": (),
    "theory": "A five-hundredth of the rate: how slow is too slow?", "decisions": steps}))
"""
"""What a person proposes, in the words of 0.7.0."""


@contextmanager
def earlier() -> Iterator[Path]:
    """The code of 0.7.0, in a folder."""
    with tempfile.TemporaryDirectory() as folder:
        code, git = Path(folder) / "code", shutil.which("git") or "git"
        subprocess.run([git, "-C", ROOT, "worktree", "add", "--detach", code, EARLIER], check=True)
        try:
            yield code
        finally:
            subprocess.run([git, "-C", ROOT, "worktree", "remove", "--force", code], check=True)


def record(workspace: Path) -> None:
    """Fill a workspace by the code of 0.7.0."""
    with earlier() as code:
        cli = [sys.executable, "-c", "from agent.cli import main; main()", "--workspace", str(workspace)]
        place: dict[str, Any] = {"cwd": code, "env": {**os.environ, "PYTHONPATH": str(code)}}
        subprocess.run([*cli, *NIGHT.split(), "--max-runs", "8", "--seeds", "3", "--new"], check=True, **place)
        subprocess.run([sys.executable, "-c", RUINED, str(workspace)], check=True, **place)
        more = ["--max-runs", "4", "--seeds", "3", "--confirm", "none", "--prune", "--new"]
        subprocess.run([*cli, *NIGHT.split(), *more], check=True, **place)


def chosen(notebook: Notebook) -> Iterator[tuple[str, RunRecord]]:
    """Six runs that differ in kind, with a report each: what each is, and the run."""
    runs = [run for run in notebook.runs() if notebook.paths(run.run_id).report.exists()]
    verdicts = {run.run_id: notebook.verdict(run.run_id) for run in runs}
    effects = {name: one.effect for name, one in verdicts.items() if one and one.effect is not None}
    scored = [run for run in runs if run.run_id in effects]
    kinds = {
        "the baseline": [run for run in runs if run.parent is None],
        "worse": [run for run in scored if (one := verdicts[run.run_id]) and one.verdict == "worse"],
        "the most promising": sorted(scored, key=lambda run: -effects[run.run_id]),
        "no difference to be seen": sorted(scored, key=lambda run: abs(effects[run.run_id])),
        "two keys at once": [run for run in scored if len(notebook.changes(run.run_id)) > 1],
        "pruned": sorted((run for run in runs if run.state is RunState.PRUNED), key=lambda run: run.arm != "person"),
    }
    taken = set[str]()
    for kind, those in kinds.items():
        run = next((run for run in those if run.run_id not in taken), None)
        if run is None:
            sys.exit(f"no run of the kind {kind!r}: train another workspace")
        taken.add(run.run_id)
        yield kind, run


def as_it_was(workspace: Path, run: RunRecord, place: Path) -> None:
    """Copy a workspace as it was when a run had just ended: without its analysis, and without what came later."""
    assert run.finished is not None  # noqa: S101 - it has a report
    shutil.copytree(workspace, place, dirs_exist_ok=True, ignore=shutil.ignore_patterns("index.sqlite*", "*.lock"))
    for path in (place / "runs").glob("2*/run.json"):
        if datetime.fromisoformat(json.loads(path.read_text())["created"]) > run.finished:
            shutil.rmtree(path.parent)
    for path in (place / "proposals").glob("2*.json"):
        if datetime.fromisoformat(json.loads(path.read_text())["created"]) > run.finished:
            path.unlink()
    for path in (place / "runs").glob("*.jsonl"):
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        known = [line for line in lines if datetime.fromisoformat(line["time"]) <= run.finished]
        kept = known if path.name != "verdicts.jsonl" else [one for one in lines if _there(place, one)]
        path.write_text("".join(json.dumps(line) + "\n" for line in kept))
    own = place / "runs" / run.run_id
    for name in ("report.md", "claims.json", "transcript.jsonl"):
        (own / name).unlink()
    shutil.rmtree(own / "plots", ignore_errors=True)


def _there(place: Path, line: dict[str, Any]) -> bool:
    return (place / "runs" / str(line["run_id"])).is_dir()


def report_of_today(workspace: Path, run: RunRecord) -> str:
    """What this version writes of a run."""
    with tempfile.TemporaryDirectory() as folder:
        as_it_was(workspace, run, Path(folder))
        notebook = Notebook(Workspace(Path(folder)))
        lab = Lab(notebook, load_inventory([run.env_name]))
        Analyst(lab, OfflineResearcher(), session=run.session).analyse(notebook.run(run.run_id))
        return notebook.paths(run.run_id).report.read_text()


def words(text: str) -> int:
    """Words up to the rule; all where there is none."""
    return len(text.partition(RULE)[0].split())


def main() -> None:
    """Write the six pairs and their README."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--workspace", type=Path, help="one that 0.7.0 has filled; else it is trained")
    given = parser.parse_args().workspace
    with tempfile.TemporaryDirectory() as folder:
        workspace = given or Path(folder)
        if given is None:
            record(workspace)
        notebook = Notebook(Workspace(workspace))
        pairs = [(kind, run, notebook.paths(run.run_id).report.read_text(), report_of_today(workspace, run))
                 for kind, run in chosen(notebook)]  # fmt: skip
    shutil.rmtree(REPORTS, ignore_errors=True)
    REPORTS.mkdir(parents=True)
    rows = []
    for number, (kind, _, *texts) in enumerate(pairs, start=1):
        before, after = (PICTURE.sub(r"*(picture) \1*", text) for text in texts)
        (REPORTS / f"{number}-before.md").write_text(before)
        (REPORTS / f"{number}-after.md").write_text(after)
        links = f"[before]({number}-before.md) | [after]({number}-after.md)"
        rows.append(f"| {kind} | {links} | {words(before)} | {words(after)} | {len(after.split())} |")
    (REPORTS / "README.md").write_text(
        "# Six reports, before and after\n\n"
        "The same six runs of puffer_cartpole, as version 0.7.0 reported on them and as this one does, by the offline"
        " researcher. `docs/make_reports.py` made them: 0.7.0 trained the runs and wrote *before*; *after* is an"
        " analysis of the same record, as it was when the run had ended. Pictures are left out but for their titles."
        " Words are those that one reads first, up to the rule above the details; 0.7.0 had no such rule.\n\n"
        "| the run | | | words before | words after | with details |\n|---|---|---|---|---|---|\n"
        + "\n".join(rows) + "\n"
    )  # fmt: skip
    if over := [number for number, (*_, after) in enumerate(pairs, start=1) if words(after) > 450]:
        sys.exit(f"more than 450 words before the details: {over}")


if __name__ == "__main__":
    main()
