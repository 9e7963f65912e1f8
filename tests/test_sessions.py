"""Sessions from the command line: detached, looked at, stopped, resumed, refused."""

import re

import psutil
import pytest

from lab.base.paths import Workspace
from lab.store.notebook import Notebook
from lab.store.records import RunState
from tests.conftest import Cli

SHORT = ["--seeds", "2", "--set", "train.total_timesteps=500000", "--set", "autopilot.eval_steps=200"]
NIGHT = ["start", "--max-runs", "4", "--approve", "auto", *SHORT]


def one_line(text: str) -> bool:
    return text.count("\n") == 1 and text.startswith("autopilot: ") and "Traceback" not in text


@pytest.mark.slow
def test_a_detached_session_is_looked_at_stopped_and_gone_on_with(cli: Cli, workspace: Workspace) -> None:
    done = cli(*NIGHT, "--detach")
    assert done.code == 0, done.err
    assert re.search(r"time +\S+ .* a run of 2 replicates \([\d,]+ SPS in all, measured just now", done.out)
    assert re.search(r"budget +4 runs × 2 seeds: 8 replicates, however they are spent, take about \d", done.out)
    found = re.search(r"detached: process (\d+)", done.out)
    assert found is not None
    process = psutil.Process(int(found[1]))
    for command in (NIGHT, ["resume"]):
        refused = cli(*command)
        assert (refused.code, one_line(refused.err)) == (1, True), refused.err
        assert f"process {process.pid}, since 20" in refused.err
        assert re.search(r", for \d+ (s|min \d\d s);", refused.err)
    looked = cli("status", "--json").json()
    assert looked["running"]["pid"] == process.pid
    assert looked["standing"]["left"].endswith("of 8 replicates")
    stopped = cli("stop")
    assert "to stop after the present run and its analysis" in stopped.out
    _, alive = psutil.wait_procs([process], timeout=300)  # a busy machine takes its time
    assert alive == []
    notebook = Notebook(workspace)
    runs = notebook.runs()
    assert 5 <= sum(len(run.seeds) for run in runs) < 8
    assert {run.state for run in runs} == {RunState.FINISHED}
    assert "interrupted: 'autopilot resume' goes on" in cli("status").out
    again = cli(*NIGHT)
    assert again.code == 0, again.err
    assert "with these options was interrupted: it is resumed" in again.out
    assert "It ended because all 8 replicates are trained." in again.out
    assert len(list(workspace.sessions.iterdir())) == 1
    assert [(run.attempt, len(run.seeds)) for run in notebook.runs()] == [(1, 5), (1, 1), (1, 1), (1, 1)]
    log = workspace.session(looked["session"]["session_id"]).log.read_text()
    assert "run 1, replicates 1 to 5 of 8: baseline" in log


def test_an_endpoint_that_is_not_there_is_said_before_the_night_and_in_the_morning(
    cli: Cli, workspace: Workspace
) -> None:
    done = cli("start", "--model", "m", "--max-runs", "2", OPENAI_API_KEY="test-key-0123456789")
    assert (done.code, one_line(done.err)) == (1, True), done.err
    assert "the endpoint could not be reached" in done.err
    assert done.out == ""
    first = cli("status").out.splitlines()[0]
    assert first.startswith("not begun: puffer_cartpole, quick, perf:max, model m, at 20")
    assert "the endpoint could not be reached" in first
    assert [path.name for path in workspace.runs.iterdir()] == ["not_begun.json"]
    assert cli("start", "--max-runs", "none").code == 2
    assert cli("status").out.splitlines()[0] == first


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--approve", "policy"], ["approve", "would deny everything", "[[policy.allow]]"]),
        (["--target", "high"], ["target", "must be a number"]),
        (["--target", "5"], ["target = 5.0", "can't be reached: perf lies between 0.0 and 1.0", "valid: 1"]),
        (["--min-effect", "2"], ["min-effect = 2.0", "leaves nothing to find", "below 1"]),
        (["--trade", "tokens"], ["trade = 'tokens'", "is nothing that the score can be weighed against", "seconds"]),
        (["--confirm", "fast"], ["confirm", "'fast'", "quick | full | none"]),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    called: Cli, workspace: Workspace, unchanged: None, arguments: list[str], words: list[str]
) -> None:
    done = called("start", "--max-runs", "2", *arguments)
    assert (done.code, one_line(done.err)) == (2, True), done.err
    assert all(word in done.err for word in words), done.err


@pytest.mark.parametrize(("env", "named"), [
    ("puffer_breakout", " | perf | "),
    ("gymnasium:CartPole-v1", "valid: episode_length | episode_return | mean_reward\n"),
])  # fmt: skip
def test_an_objective_that_is_not_logged_is_refused_before_anything_is_trained(
    called: Cli, workspace: Workspace, unchanged: None, env: str, named: str
) -> None:
    done = called("start", "--env", env, "--objective", "scroe:max", "--max-runs", "2")
    assert (done.code, one_line(done.err)) == (2, True), done.err
    assert f"objective = 'scroe': is nothing that {env} logs; valid: " in done.err
    assert named in done.err


def test_a_settings_file_that_is_wrong_is_said_too(cli: Cli, workspace: Workspace) -> None:
    workspace.settings.write_text('[notify]\nwebhook = "nowhere"\n')
    done = cli("start", "--max-runs", "2")
    assert (done.code, one_line(done.err)) == (2, True), done.err
    assert "notify.webhook" in done.err
