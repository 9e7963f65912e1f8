"""The whole, as its user meets it: a bare checkout, the demo, a night that is killed. Minutes, so `make test-slow`."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from lab.base.files import read_lines
from lab.base.paths import Workspace
from lab.store.notebook import Notebook
from lab.store.proposal import ProposalState
from lab.store.proposals import Proposals
from lab.store.records import RunState
from tests.conftest import Cli

ROOT = Path(__file__).resolve().parent.parent
pytestmark = pytest.mark.slow
# A make inside a make says where it is; a checkout knows nothing of the one that tests it.
NOT_INHERITED = {
    "VIRTUAL_ENV", "PYTHONPATH", "MAKEFLAGS", "MAKELEVEL", "MFLAGS", "MAKEOVERRIDES", "PYTHONDONTWRITEBYTECODE",
}  # fmt: skip


def test_the_demo(installed: Cli, workspace: Workspace) -> None:
    rules = (ROOT / "Makefile").read_text().replace("\\\n", "")
    recipe = re.search(r"^demo:.*\n\t@\$\(BIN\)/autopilot (.*)$", rules, re.MULTILINE)
    assert recipe
    done = installed(*recipe[1].split())
    assert done.code == 0, done.err
    notebook = Notebook(workspace)
    runs = notebook.runs()
    assert [run.state for run in runs] == [RunState.FINISHED] * 4
    assert [len(run.seeds) for run in runs] == [5, 1, 1, 1]  # a config starts on one replicate
    for run in runs:
        report = notebook.paths(run.run_id).report.read_text()
        for section in (
            "Config",
            "Key metrics",
            "Observations",
            "Theory",
            "Next step" if run.arm == "race" else "Next step (staged in proposals/",
            "Repro notes",
        ):
            assert f"## {section}" in report
        pictures = set(re.findall(r"!\[[^]]+\]\((plots/\w+\.png)\)", report))
        assert pictures == {f"plots/{path.name}" for path in notebook.paths(run.run_id).plots.iterdir()}
        assert re.search(r"^- \*\*Tried:\*\* .*\*\*Verdict: (first of its kind|worse|inconclusive)\b", report, re.M)
        assert "## Diagnosis" in report
        if run.parent:
            said = r"^- perf (about as|up from|down from) .*; it came to [01](\.\d+)?: (within|outside) the interval"
            assert re.search(said, report, re.M)
            assert pictures == {"plots/learning_curves.png"}  # as of any run with one replicate
        assert run.run_id in done.out
        mean = notebook.summary(run.run_id).metrics["perf"].mean  # type: ignore[union-attr]
        assert f"| perf | {mean:.4g} |" in report
        claims = json.loads(notebook.paths(run.run_id).claims.read_text())["claims"]
        wrong = {claim["section"] for claim in claims if claim["status"] == "contradicted"}
        assert wrong <= {"observations"}  # what it says of many keys at once is so
    assert "4 of 4 runs finished. 8 of 8 replicates in all. It ended because all 8 replicates are trained." in done.out
    assert re.search(r"\| baseline[^|]* \| #1 baseline with [^(]*\(\S+\) \| 0\.\d+", done.out)
    states = [proposal.state for proposal in Proposals(workspace).all()]
    assert states.count(ProposalState.DONE) == 3
    assert set(states) <= {ProposalState.DONE, ProposalState.SUPERSEDED, ProposalState.APPROVED, ProposalState.STAGED}
    assert states[-1] is ProposalState.STAGED
    used = {
        call["name"]
        for line in read_lines(notebook.paths(runs[1].run_id).transcript)
        for call in line.get("tool_calls", [])
    }
    assert {
        "list_runs",
        "read_run",
        "compare_runs",
        "suggest_configs",
        "stage_proposal",
        "write_report",
    } <= used


def test_a_night_that_is_killed_goes_on(workspace: Workspace, installed: Cli) -> None:
    short = ["--set", "train.total_timesteps=131072", "--set", "autopilot.eval_steps=200"]
    arguments = ["start", "--max-runs", "4", "--approve", "auto", "--seeds", "2", *short]
    command = [str(Path(sys.executable).with_name("autopilot")), "--workspace", str(workspace.root)]
    begun, killed = [*command, *arguments], list[str]()
    for kill_at in (1, 2):
        process = subprocess.Popen(begun, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        for line in process.stdout:
            if f"run {kill_at}, replicate" in line:
                break
        while any(run.state is RunState.QUEUED for run in Notebook(workspace).runs()):  # the line comes a moment before
            assert process.poll() is None
        children = psutil.Process(process.pid).children(recursive=True)
        workers = [child for child in children if "training.worker" in child.cmdline()]
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()
        _, alive = psutil.wait_procs(workers, timeout=20)
        assert alive == []
        killed += [run.run_id for run in Notebook(workspace).runs() if run.state is RunState.RUNNING]
        begun = [*command, "resume"]
    done = installed("resume")
    assert done.code == 0, done.err
    runs = Notebook(workspace).runs()
    assert [(run.state, len(run.seeds)) for run in runs] == [(RunState.FINISHED, n) for n in (5, 1, 1, 1)]
    assert {runs[0].run_id, runs[1].run_id} <= set(killed)  # and what trained beside the second
    assert {run.run_id: run.attempt for run in runs} == {run.run_id: 1 + (run.run_id in killed) for run in runs}
    assert len({run.proposal for run in runs}) == 4
    states = [proposal.state for proposal in Proposals(workspace).all()]
    assert states.count(ProposalState.DONE) == 3
    assert set(states) <= {ProposalState.DONE, ProposalState.SUPERSEDED, ProposalState.APPROVED, ProposalState.STAGED}
    assert states[-1] is ProposalState.STAGED


def test_a_bare_checkout_installs_in_a_path_with_spaces(tmp_path: Path) -> None:
    checkout = tmp_path / "a bare checkout"
    subprocess.run(["git", "clone", "-q", str(ROOT), str(checkout)], check=True)
    environment = {key: value for key, value in os.environ.items() if key not in NOT_INHERITED}
    environment["PYTHON"] = str(Path(sys.base_prefix) / "bin" / "python3.11")
    environment["PIP_COMPILE"] = "0"  # of 19,000 modules what is imported is compiled when it is

    def make(target: str) -> str:
        done = subprocess.run(
            ["make", target], cwd=checkout, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    try:
        assert "done" in make("install")
        assert make("install") == ""  # there is nothing left to do
        autopilot = [str(checkout / ".venv" / "bin" / "autopilot"), "--workspace", str(tmp_path / "night")]
        short = ["--seeds", "1", "--set", "train.total_timesteps=65536", "--set", "autopilot.eval_steps=200"]
        done = subprocess.run(
            [*autopilot, "train", *short], env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        doctor = subprocess.run([*autopilot, "doctor"], env=environment, capture_output=True, text=True, check=False)
        assert doctor.returncode == 0, doctor.stdout + doctor.stderr
        assert "BAD" not in doctor.stdout
    finally:
        shutil.rmtree(checkout)  # a gigabyte
