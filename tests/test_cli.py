"""The command line as a person uses it: the installed program, in a process of its own, training for real."""

import json
import os
import pty
import re
import shlex
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pyte
import pytest
import typer

from cli.help import EXAMPLES
from cli.main import app, main
from cli.settings import find_workspace
from lab.base.files import read_lines
from lab.base.paths import Workspace
from lab.space.config import Config
from lab.store.creation import create_run
from lab.store.notebook import Notebook
from lab.store.proposal import ProposalState
from lab.store.proposals import Proposals
from lab.store.records import RunState
from tests.conftest import Cli, RunMaker, lasted, tree

SHORT = ("--set", "train.total_timesteps=65536", "--set", "autopilot.eval_steps=200")


def one_line(text: str) -> bool:
    return text.count("\n") == 1 and text.startswith("autopilot: ") and "Traceback" not in text


class TestBadInput:
    """One clear line, exit status 2, nothing left behind."""

    @pytest.mark.parametrize("command", ["train", "start"])
    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (["--env", "puffer_cartpol"], ["puffer_cartpol", "puffer_cartpole"]),
            (["--env", "puffer_impulse_wars"], ["Box2D"]),
            (["--env", "../../etc"], ["not an environment"]),
            (["--preset", "slow"], ["slow", "quick | full"]),
            (["--objective", "perf"], ["perf:max"]),
            (["--objective", "pref:max"], ["pref", "perf"]),
            (["--seeds", "0"], ["seeds", "0"]),
            (["--seeds", "many"], ["seeds", "many"]),
            (["--set", "train.nonsense=1"], ["train.nonsense", "not a key"]),
            (["--set", "train.gamma=1.5"], ["train.gamma", "1.5", "0.999999"]),
            (["--set", "train.learning_rate=fast"], ["train.learning_rate", "fast", "finite number"]),
            (["--set", "train.learning_rate=true"], ["train.learning_rate"]),
            (["--set", "train.learning_rate=NaN"], ["train.learning_rate", "nan"]),
            (["--set", "train.minibatch_size=1000"], ["train.minibatch_size", "992"]),
            (["--set", "train.gamma"], ["KEY=VALUE"]),
            (
                ["--set", "train.gamma=0.9", "--set", "train.gamma=0.8"],
                ["train.gamma = 0.9 and 0.8", "given more than once"],
            ),
            (["--set", "train.gamma=2", "--set", "train.ent_coef=-1"], ["train.gamma", "train.ent_coef"]),
            (["--no-such-flag"], ["--no-such-flag"]),
        ],
    )
    def test_of_a_training(
        self, called: Cli, unchanged: None, command: str, arguments: list[str], words: list[str]
    ) -> None:
        done = called(command, *arguments)
        assert done.code == 2, done.err
        assert one_line(done.err), done.err
        assert all(word in done.err for word in words), done.err
        assert done.out == ""

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (["start", "--approve", "maybe"], ["auto | manual"]),
            (["start", "--hours", "-1"], ["hours", "-1"]),
            (["start", "--max-runs", "0"], ["max-runs"]),
            (["start", "--max-dollars", "3"], ["max-dollars = 3.0: bounds nothing", "--max-runs"]),
            (["start", "--max-tokens", "9"], ["max-tokens = 9: bounds nothing", "--hours"]),
            (["start", "--model", "agent", "--max-tokens", "9"], ["max-tokens = 9: bounds nothing: tokens of an"]),
            (["show", "nope"], ["nope"]),
            (["report", "../x"], ["../x"]),
            (["approve", "nope"], ["nope"]),
            (["reject", "nope", "--why", "x"], ["nope"]),
            (["reject", "nope"], ["--why"]),
            (["resume"], ["autopilot start"]),
            (["stop"], ["no session"]),
            (["nonsense"], ["nonsense", "'autopilot --help' lists them"]),
            (["web", "--port", "abc"], ["port = 'abc': must be a whole number from 0 to 65535; valid: such as 0"]),
            (["web", "--port", "99999"], ["port = '99999'", "valid: such as 65535"]),
        ],
    )
    def test_of_the_others(self, called: Cli, unchanged: None, arguments: list[str], words: list[str]) -> None:
        done = called(*arguments)
        assert done.code == 2, done.err
        assert one_line(done.err), done.err
        assert all(word in done.err for word in words), done.err

    def test_a_workspace_that_cannot_be_written(self, cli: Cli, tmp_path: Path) -> None:
        occupied = tmp_path / "file"
        occupied.write_text("mine")
        for command in ("train", "start"):
            done = cli(command, at=occupied / "below")
            assert (done.code, one_line(done.err)) == (2, True), done.err
            assert "can't be written" in done.err
        assert tree(tmp_path) == {"file": b"mine"}
        for place in ("/proc/nowhere", "/sys/kernel"):
            assert cli("train", at=Path(place)).code == 2

    def test_a_workspace_that_is_a_file(self, cli: Cli, tmp_path: Path) -> None:
        occupied = tmp_path / "file"
        occupied.write_text("mine")
        commands = [(command, occupied) for command in ("status", "runs", "proposals", "review", "web")]
        for command, place in (*commands, ("status", occupied / "below"), ("status", Path(os.devnull))):
            done = cli(command, at=place)
            assert (done.code, one_line(done.err)) == (2, True), done.err
            assert "is no folder" in done.err

    def test_a_read_only_workspace(
        self, cli: Cli, propose: Any, read_only: Any, notebook: Notebook, config: Config
    ) -> None:
        proposal, place = propose(), read_only()
        waiting = create_run(notebook, config, {}, preset="quick", objective="perf:max", arm="person")
        for command in (
            "approve ID",
            "reject ID --why x",
            "edit ID --set train.gamma=0.9",
            "resume RUN",
            "confirm RUN",
        ):
            words = command.replace("ID", proposal.proposal_id).replace("RUN", waiting.run_id).split()
            done = cli(*words, at=place)
            assert (done.code, one_line(done.err)) == (2, True), done.err
            assert "can't be written" in done.err
            assert "read-only file system" in done.err

    def test_an_occupied_run_folder(self, cli: Cli, make_run: RunMaker, workspace: Workspace) -> None:
        make_run(run_id="mine")
        before = tree(workspace.root)
        done = cli("train", "--run-id", "mine", *SHORT)
        assert (done.code, one_line(done.err)) == (2, True), done.err
        assert "mine" in done.err
        assert tree(workspace.root) == before

    def test_a_reserved_name(self, cli: Cli, unchanged: None) -> None:
        done = cli("train", "--run-id", "sessions", *SHORT)
        assert (done.code, one_line(done.err)) == (2, True), done.err
        assert "reserved" in done.err

    def test_a_broken_settings_file(self, cli: Cli, workspace: Workspace) -> None:
        for content, word in (("[start\n", "can't be read"), ("[nonsense]\nx = 1\n", "nonsense")):
            workspace.settings.write_text(content)
            done = cli("runs")
            assert (done.code, one_line(done.err)) == (2, True), done.err
            assert word in done.err

    def test_a_model_without_a_key(self, cli: Cli, unchanged: None, workspace: Workspace) -> None:
        done = cli("start", "--model", "some-model", "--max-runs", "1")
        assert done.code == 2
        assert one_line(done.err)
        assert "OPENAI_API_KEY" in done.err
        assert Notebook(workspace).runs() == []


def test_help_names_every_command(installed: Cli) -> None:
    done = installed("--help")
    assert done.code == 0
    for command in ("start", "resume", "stop", "status", "runs", "show", "report", "proposals", "approve", "reject",
                    "edit", "train", "doctor"):  # fmt: skip
        assert re.search(rf"^  {command} ", done.out, re.MULTILINE), command


def test_help_begins_with_examples_that_are_right(capsys: pytest.CaptureFixture[str]) -> None:
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    assert set(EXAMPLES) <= {"autopilot", *commands}
    for lines in EXAMPLES.values():
        for line, _ in lines:
            program, name, *rest = shlex.split(line)
            flags = {flag for parameter in commands[name].params for flag in parameter.opts}
            assert program == "autopilot"
            assert {word for word in rest if word.startswith("-")} <= flags, line
    for name, command in commands.items():
        with pytest.raises(SystemExit) as ended:
            main([name, "--help"])
        assert ended.value.code == 0
        said = capsys.readouterr().out
        assert "env var" not in said
        assert said.count("AUTOPILOT_") <= 4
        listed = "What trains:" if name in ("start", "train") else "Options:"
        if name in EXAMPLES:
            assert said.index("Usage:") < said.index("Examples:") < said.index(listed)
        told_of = [parameter for parameter in command.params if not getattr(parameter, "hidden", False)]
        for flag in (flag for parameter in told_of for flag in parameter.opts if flag.startswith("--")):
            told = said.partition("Environment:")[0]
            assert len(re.findall(rf"^  (?:-h, )?{flag}\b(?!-)", told, re.MULTILINE)) == 1, flag


def test_settings_come_from_flags_over_environment_over_file(cli: Cli, workspace: Workspace) -> None:
    workspace.settings.write_text('[train]\nenv = "from_file"\n')
    assert "from_file" in cli("train").err
    assert "from_environment" in cli("train", AUTOPILOT_TRAIN_ENV="from_environment").err
    assert "from_flag" in cli("train", "--env", "from_flag", AUTOPILOT_TRAIN_ENV="from_environment").err


def test_train_for_real(installed: Cli, workspace: Workspace) -> None:
    done = installed("train", "--env", "puffer_cartpole", "--preset", "quick", "--seeds", "2", *SHORT)
    assert done.code == 0, done.err
    assert "perf" in done.out
    (run,) = Notebook(workspace).runs()
    assert (run.state, run.arm, len(run.seeds)) == (RunState.FINISHED, "person", 2)
    listed = installed("runs", "--json").json()
    assert listed[0]["score"]["n"] == 2
    assert run.run_id in installed("runs").out
    shown = installed("show", run.run_id, "--json").json()
    assert shown["config"]["train"]["total_timesteps"] == 65536
    assert shown["summary"]["metrics"]["perf"]["mean"] == listed[0]["score"]["mean"]


@pytest.mark.parametrize("made", [["autopilot.toml"], ["runs/", "proposals/"]])
def test_the_nearest_workspace_upward(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, made: list[str]) -> None:
    outer, inner = tmp_path / "outer", tmp_path / "outer" / "projects" / "inner"
    (inner / "src").mkdir(parents=True)
    (outer / "autopilot.toml").touch()
    monkeypatch.chdir(inner / "src")
    assert find_workspace(None).root == outer
    for name in made:
        (inner / name).mkdir() if name.endswith("/") else (inner / name).touch()
    assert find_workspace(None).root == inner
    assert find_workspace(tmp_path).root == tmp_path


@pytest.mark.slow
def test_what_trains_says_first_where(tmp_path: Path) -> None:
    (tmp_path / "autopilot.toml").write_text("[start]\nmax-runs = 1\n[train]\nseeds = 1\n")
    (tmp_path / "src").mkdir()
    program = Path(sys.executable).with_name("autopilot")
    for command in (["start", "--approve", "auto"], ["train"], ["train", "--json"]):
        done = subprocess.run(
            [program, *command, *SHORT], cwd=tmp_path / "src", capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        if "--json" in command:
            json.loads(done.stdout)
        else:
            assert done.stdout.splitlines()[0] == f"workspace {tmp_path}"
    assert len(Notebook(Workspace(tmp_path)).runs()) == 3


@pytest.mark.slow
def test_the_repro_command_gives_the_same_weights(cli: Cli, workspace: Workspace) -> None:
    assert (
        cli(
            "start", "--max-runs", "1", "--seeds", "2", *SHORT, "--set", "train.ent_coef=0.005", "--approve", "auto"
        ).code
        == 0
    )
    notebook = Notebook(workspace)
    (run,) = notebook.runs()
    report = notebook.paths(run.run_id).report.read_text()
    command = re.search(r"```sh\n(autopilot train .*)\n```", report)
    assert command
    assert cli(*command[1].split()[1:]).code == 0
    again = notebook.runs()[-1]
    assert [r.weights for r in notebook.results(again)] == [r.weights for r in notebook.results(run)]
    assert again.seeds == run.seeds


def test_any_two_runs_are_compared(cli: Cli, make_run: RunMaker, notebook: Notebook) -> None:
    first = make_run()
    second = make_run({"train.learning_rate": 0.01}, parent=first.run_id)
    told = cli("compare", second.run_id)
    assert told.code == 0, told.err
    assert told.out.startswith("#2 learning_rate 0.01 against #1 baseline\n")
    assert f"{second.run_id}, {first.run_id}" in told.out
    assert re.search(r"verdict +(better|worse|inconclusive): perf [+-]0\.\d+ \[[+-].*\] \(Welch", told.out)
    assert re.search(r"changed +train\.learning_rate \S+ → 0\.01", told.out)
    assert re.search(r"(?m)^perf +0\.\d+ +0\.\d+$", told.out)
    found = cli("compare", second.run_id, "--json").json()
    assert ("caution" in found) == ("caution" in told.out) == (found["verdict"] == "better")  # by one test alone
    back = cli("compare", first.run_id, second.run_id, "--json").json()
    assert back["effect"] == -cli("compare", second.run_id, first.run_id, "--json").json()["effect"]
    failed = make_run({"train.gamma": 0.9}, parent=first.run_id, fault="crash")
    other = make_run()
    lasted(notebook, other, 1, objective="episode_length:max")
    for arguments, why in (((first.run_id,), "is the incumbent itself"), ((failed.run_id,), "has no 'perf'"),
                           ((second.run_id, second.run_id), "is compared with itself"),
                           (("nothing",), "run 'nothing' is not in"),
                           ((second.run_id, other.run_id), "are of different objectives (perf and")):  # fmt: skip
        refused = cli("compare", *arguments)
        assert (refused.code, one_line(refused.err)) == (2, True)
        assert why in refused.err


class Terminal:
    """A command on a pseudo-terminal, and what its screen shows."""

    def __init__(self, workspace: Workspace, *arguments: str) -> None:
        command = [str(Path(sys.executable).with_name("autopilot")), "--workspace", str(workspace.root), *arguments]
        parent, child = pty.openpty()
        environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "110", "LINES": "50"}
        self.process = subprocess.Popen(command, stdin=child, stdout=child, stderr=child, env=environment)
        os.close(child)
        self.screen = pyte.Screen(110, 400)
        self.stream = pyte.ByteStream(self.screen)
        self.seen: list[str] = []
        self.changed = threading.Condition()
        threading.Thread(target=self._read, args=(parent,), daemon=True).start()

    def _read(self, handle: int) -> None:
        while True:
            try:
                data = os.read(handle, 65536)
            except OSError:  # the other end is closed
                data = b""
            with self.changed:
                if data:
                    self.stream.feed(data)
                    self.seen.append("\n".join(line.rstrip() for line in self.screen.display).strip())
                else:
                    self.seen.append("<end>")
                self.changed.notify_all()
            if not data:
                return

    def wait_for(self, pattern: str, timeout: float = 240) -> str:
        with self.changed:
            found = self.changed.wait_for(
                lambda: next((screen for screen in self.seen if re.search(pattern, screen)), None), timeout
            )
        assert found, f"{pattern!r} was never on the screen; last: {self.seen[-2:]}"
        return str(found)


def test_the_progress_bar_shows_steps_sps_score_and_eta(workspace: Workspace) -> None:
    terminal = Terminal(
        workspace,
        "train",
        "--seeds",
        "2",
        "--set",
        "train.total_timesteps=800000",
        "--set",
        "autopilot.eval_steps=200",
    )
    screen = terminal.wait_for(r"M/1\.60M steps  \d+K SPS in all  perf 0\.\d+  ETA \d:\d\d")
    assert "%" in screen
    assert terminal.process.wait(240) == 0


@pytest.mark.slow
def test_ctrl_c_then_resume(workspace: Workspace, cli: Cli) -> None:
    arguments = ["start", "--max-runs", "6", "--approve", "auto", "--seeds", "1", "--set", "autopilot.eval_steps=200"]
    terminal = Terminal(workspace, *arguments, "--set", "train.total_timesteps=300000")
    assert "SPS" not in terminal.wait_for(r"measuring how fast it trains …$")
    terminal.wait_for(r"run 1, replicates 1 to 5 of 6: baseline")
    terminal.wait_for(r"K SPS")
    terminal.process.send_signal(signal.SIGINT)
    screen = terminal.wait_for(r"autopilot resume")
    assert terminal.process.wait(240) == 0, screen
    (run,) = Notebook(workspace).runs()
    assert (run.state, run.attempt) == (RunState.QUEUED, 1)
    assert "interrupted" in cli("status").out
    done = cli("resume")
    assert done.code == 0, done.err
    runs = Notebook(workspace).runs()
    assert [r.state for r in runs] == [RunState.FINISHED] * 2
    assert (runs[0].run_id, runs[0].attempt) == (run.run_id, 2)
    assert cli("resume").code == 2


@pytest.mark.slow
def test_manual_approval_from_another_terminal(workspace: Workspace, cli: Cli) -> None:
    arguments = ["start", "--max-runs", "6", "--approve", "manual", "--seeds", "1", *SHORT]
    terminal = Terminal(workspace, *arguments)
    terminal.wait_for(r"waiting for a decision")
    proposals = Proposals(workspace)
    first = cli("proposals", "--json").json()[0]["proposal_id"]
    sweep = proposals.get(first).sweep
    assert sweep is not None
    assert (sweep.replicates, len(sweep.keys) > 12) == (1, True)
    assert cli("edit", first, "--set", "train.ent_coef=0.03").code == 2  # it has ranges, no values
    refused = cli("start", "--max-runs", "1")
    assert refused.code == 1
    assert re.search(r"is running in .*process \d+", refused.err)
    assert cli("status", "--json").json()["running"]["pid"] == terminal.process.pid
    assert cli("reject", first, "--why", "not\x1b[31m this one").code == 0
    terminal.wait_for(rf"(?s)waiting for a decision on (?!{first}).*")
    second = cli("proposals", "--json").json()[0]
    assert second["overrides"]  # after a sweep that was turned down, one config at a time
    assert cli("approve", first).code == 2
    done = cli("edit", second["proposal_id"], "--set", "train.ent_coef=0.03", "--why", "entropy was gone too soon")
    assert done.code == 0, done.err
    third = cli("proposals", "--json").json()[0]
    assert third["overrides"]["train.ent_coef"] == 0.03
    assert third["theory"] == "entropy was gone too soon"
    assert cli("approve", second["proposal_id"]).code == 2
    assert cli("approve", third["proposal_id"]).code == 0
    assert terminal.process.wait(240) == 0
    run = Notebook(workspace).runs()[-1]
    assert (run.proposal, run.arm) == (third["proposal_id"], "person")
    assert proposals.get(third["proposal_id"]).state is ProposalState.DONE
    transcript = read_lines(Notebook(workspace).paths(Notebook(workspace).runs()[0].run_id).transcript)
    assert any("not this one" in line.get("content", "") for line in transcript)


def test_doctor_says_what_is_here(cli: Cli) -> None:
    done = cli("doctor")
    assert done.code == 0, done.err
    assert re.search(r"torch built for (CPU|CUDA)", done.out)
    assert "puffer_cartpole" in done.out
    assert "OPENAI_API_KEY is not set" in done.out
    assert "OPENAI_API_KEY is set" in cli("doctor", OPENAI_API_KEY="sk-whatever").out
    assert "sk-whatever" not in cli("doctor", "--json", OPENAI_API_KEY="sk-whatever").out
    assert cli("doctor", "--json").json()["environments"]["puffer_cartpole"]["trainable"]
    listed = cli("doctor", "--space", "puffer_cartpole").out
    assert "train.ent_coef" in listed
    assert re.search(r"left alone by the search: train\..*, vec.num_envs, .*, env.num_envs$", listed, re.MULTILINE)
    assert "denied by the rules of [policy], whatever they allow: vec.num_envs, env.num_envs\n" in listed
    keys = {row["key"]: row for row in cli("doctor", "--space", "puffer_cartpole", "--json").json()}
    assert (keys["train.ent_coef"]["range"], keys["train.ent_coef"]["proposable"]) == ("from 0 to 1", True)


def test_doctor_fails_with_the_remedy(cli: Cli, tmp_path: Path) -> None:
    occupied = tmp_path / "file"
    occupied.write_text("mine")
    done = cli("doctor", at=occupied)
    assert done.code == 1
    assert one_line(done.err)
    assert "--workspace" in done.err


def test_an_empty_workspace_lists_nothing_and_makes_nothing(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    for command in ("runs", "proposals", "status"):
        assert cli(command, at=tmp_path / "new").code == 0
        assert cli(command, "--json", at=tmp_path / "new").code == 0
    assert tree(tmp_path / "new") == {}
    assert json.loads(cli("runs", "--json", at=tmp_path / "new").out) == []


def test_a_folder_that_is_not_there_has_no_record(called: Cli, tmp_path: Path) -> None:
    for command in (["status"], ["runs", "--json"], ["show", "latest"]):
        done = called(*command, at=tmp_path / "nope")
        assert (done.code, one_line(done.err), done.out) == (2, True, ""), done.err
        assert "nope: is not there; valid: a folder that is there" in done.err
    assert not (tmp_path / "nope").exists()


class TestDamage:
    """One damaged record is reported; everything else goes on."""

    def test_of_runs(self, cli: Cli, make_run: RunMaker, workspace: Workspace) -> None:
        good, no_config, bad_summary = make_run(), make_run(), make_run()
        workspace.run(no_config.run_id).config.unlink()
        workspace.run(bad_summary.run_id).summary.write_text("{")
        with workspace.verdicts.open("a") as file:
            file.write('{"x": 1}\n')
        done = cli("runs")
        assert done.code == 0, done.err
        assert good.run_id in done.out
        assert f"passed over: {no_config.run_id}: config.json is missing" in done.out
        assert f"passed over: {bad_summary.run_id}" in done.out
        assert "verdicts.jsonl" in done.out
        listed, status = cli("runs", "--json"), cli("status")
        assert [row["run_id"] for row in listed.json()] == [good.run_id]
        for said in (listed.err, status.out):
            assert f"passed over: {no_config.run_id}: config.json is missing\n" in said
            assert "passed over: verdicts.jsonl: " in said
        assert no_config.run_id in cli("status", "--json").json()["passed_over"]
        for run, name in ((no_config, "config.json is missing"), (bad_summary, "trainer_summary.json: ")):
            shown, told = cli("show", run.run_id, "--json"), cli("show", run.run_id)
            for done in (shown, told):
                assert (done.code, one_line(done.err)) == (1, True), done.err
                assert name in done.err
            assert shown.out == ""
            for line in (r"state +finished", r"verdict +Verdict", r"files +/"):
                assert re.search(rf"(?m)^{line}", told.out), told.out
            assert bool(re.search(r"(?m)^perf +0\.", told.out)) == (run is no_config)

    def test_of_a_session(self, cli: Cli, workspace: Workspace) -> None:
        folder = workspace.sessions / "2026-01-01T000000Z-abcd"
        folder.mkdir(parents=True)
        (folder / "session.json").write_text("junk")
        done = cli("status")
        assert done.code == 0, done.err
        assert "can't be read" in done.out
        assert cli("resume").code == 2
        assert one_line(cli("resume", folder.name).err)

    def test_of_a_parent(self, cli: Cli, workspace: Workspace) -> None:
        done = cli("start", "--max-runs", "1", "--seeds", "1", "--approve", "manual", *SHORT)
        assert done.code == 0, done.err
        (run,) = Notebook(workspace).runs()
        (proposal,) = Proposals(workspace).all()
        workspace.run(run.run_id).config.unlink()
        refused = cli("approve", proposal.proposal_id)
        assert (refused.code, one_line(refused.err)) == (2, True), refused.err
        assert "stale" in refused.err
        assert Proposals(workspace).get(proposal.proposal_id).state is ProposalState.STAGED


def test_a_session_is_refused_settings_that_the_runs_here_do_not_have(
    cli: Cli, workspace: Workspace, make_run: RunMaker
) -> None:
    run = make_run()
    there = sorted(path.name for path in workspace.root.rglob("*"))
    done = cli("start", "--model", "offline", "--max-runs", "1", "--set", "train.total_timesteps=3_000_000")
    assert done.code == 2
    assert done.err.startswith("autopilot: train.total_timesteps = 3000000: is not what the runs here have")
    assert run.run_id in done.err
    assert sorted(path.name for path in workspace.root.rglob("*")) == there


def test_a_key_that_is_no_option_is_refused(cli: Cli, workspace: Workspace) -> None:
    workspace.settings.write_text("[start]\nhour = 3\n")
    done = cli("start")
    assert done.code == 2
    assert done.err.startswith(
        "autopilot: start.hour = 3: is no option of 'autopilot start'; valid: hours, address, ahead, approve, base_url"
    )


def test_a_table_calls_an_option_as_its_flag_is_called(cli: Cli, workspace: Workspace) -> None:
    for content, words in (
        ('set = ["train.gamma=2"]', "train.gamma = 2"),
        ('settings = ["train.gamma=2"]', "train.gamma = 2"),  # the parameter's name, as in older files
        ('json = "maybe"', "'--json'"),
        (
            'set = "train.gamma=0.9"',
            "train.set = 'train.gamma=0.9': must be a list of texts; valid: set = [\"KEY=VALUE\"]",
        ),
        ("set = [1]", "train.set = [1]: must be a list of texts"),
        ("seeds = [1]", "train.seeds = [1]: must be one value"),
        ('run-id = "x"\nrun_id = "y"', "is there already"),
    ):
        workspace.settings.write_text(f"[train]\n{content}\n")
        done = cli("train")
        assert (done.code, one_line(done.err)) == (2, True), done.err
        assert words in done.err


def test_the_workspace_stands_before_the_command(cli: Cli) -> None:
    done = cli("status", "--workspace", "x")
    assert (done.code, "stands before the command" in done.err) == (2, True)


class TestNobodyReads:
    """Output that nobody reads costs nothing: what is said is in the records too."""

    @staticmethod
    def _piped(workspace: Workspace, command: str) -> tuple[int, str]:
        """Status and standard error of a command whose standard output is a pipe that nobody reads."""
        program = Path(sys.executable).with_name("autopilot")
        reading, writing = os.pipe()
        os.close(reading)
        words = [program, "--workspace", str(workspace.root), *command.split()]
        done = subprocess.run(words, stdout=writing, stderr=subprocess.PIPE, text=True, check=False)
        os.close(writing)
        return done.returncode, done.stderr

    def test_a_list(self, workspace: Workspace, make_run: RunMaker) -> None:
        make_run()
        for command in ("runs", "runs --json", "--help"):
            assert self._piped(workspace, command) == (0, ""), command
        assert self._piped(workspace, "show nothing")[0] == 2

    def test_a_night(self, workspace: Workspace) -> None:
        command = f"start --approve auto --max-runs 1 --seeds 1 {' '.join(SHORT)}"
        assert self._piped(workspace, command) == (0, "")
        (run,) = Notebook(workspace).runs()
        assert run.state is RunState.FINISHED

    def test_output_that_was_closed_before(self, workspace: Workspace, make_run: RunMaker) -> None:
        make_run()
        program = Path(sys.executable).with_name("autopilot")
        words = ["sh", "-c", '"$0" --workspace "$1" runs >&-', str(program), str(workspace.root)]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")


def test_a_report_commands_no_terminal(cli: Cli, make_run: RunMaker, notebook: Notebook) -> None:
    run = make_run()
    notebook.paths(run.run_id).report.write_text("# A\x1b[2J\x1b]0;title\x07 \u202eB\n")
    assert cli("report", run.run_id).out == "# A B\n"
    told = cli("report", run.run_id, "--json")
    assert told.json() == {"run_id": run.run_id, "report": notebook.paths(run.run_id).report.read_text()}
    assert "\x1b" not in told.out


def test_latest_says_what_it_passes_over(called: Cli, make_run: RunMaker) -> None:
    first = make_run()
    assert called("show", "--json").err == ""
    make_run(replicates_of=first.run_id)
    done = called("show", "latest", "--json")
    assert json.loads(done.out)["run_id"] == first.run_id
    assert done.err == "latest is #1: #2 is more seeds of #1, which count with that run\n"
    assert called("show", "2", "--json").err == ""


def test_a_list_says_what_it_leaves_out_and_takes_an_environment_as_it_prints_it(
    called: Cli, make_run: RunMaker
) -> None:
    runs = [make_run().run_id for _ in range(3)]
    assert called("runs", "--limit", "2").out.endswith("1 older one: --limit 3\n")
    assert "older" not in called("runs").out
    assert [run["run_id"] for run in called("runs", "--limit", "2", "--json").json()] == runs[1:]
    assert [run["run_id"] for run in called("runs", "--env", "cartpole", "--json").json()] == runs
    lost = called("runs", "--env", "pole")
    assert (lost.code, one_line(lost.err), "valid: puffer_cartpole" in lost.err) == (2, True, True)


def test_what_there_is_none_of_is_not_said(called: Cli, make_run: RunMaker, propose: Any, notebook: Notebook) -> None:
    alone = make_run({"autopilot.seeds": 1})
    assert re.search(r"(?m)^perf +0\.\d+ +1$", called("show", alone.run_id).out)
    assert "no name is given: it takes a NAME" in called("name", "1").err
    made = propose({"train.ent_coef": 0.013999999999999999, "train.anneal_lr": False})
    assert "train.ent_coef = 0.014" in called("proposals").out
    (one,) = called("review", "--json").json()
    assert {change["key"]: change["scale"] for change in one["changes"]}["train.anneal_lr"] == ""
    assert one["proposal_id"] == made.proposal_id
