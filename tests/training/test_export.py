"""A policy that is taken home: PufferLib alone loads it and it scores what is on record; what can't be is refused."""

import json
import os
import shlex
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lab.base.errors import AutopilotError
from lab.base.files import write_model
from lab.base.paths import Workspace
from lab.space.config import Config
from lab.space.task import Task, Variant
from lab.store.creation import create_run
from lab.store.legacy import look, store
from lab.store.notebook import Notebook
from lab.store.records import RunRecord, RunState
from report.exporting import export_run
from tests.conftest import Cli, RunMaker, tree
from tests.training.conftest import Queue, Train
from training.process import THREADS

# PufferLib's commands as they are typed, in the exported folder, up to the fourth picture that they would draw: a
# machine without a display has none. What they loaded is then put through the record's own evaluation.
PLAY = """
    import json, os, runpy, shutil, sys
    from pathlib import Path

    import pufferlib.pufferl as pufferl
    from pufferlib.ocean.cartpole.cartpole import Cartpole

    task, recurrent, commands, own_ini, place = json.loads(sys.argv[1])
    home, kept, load = pufferl.__file__, [], pufferl.load_policy

    class Enough(Exception):
        pass

    def render(self):
        drawn.append(self.num_agents)
        if len(drawn) > 3:
            raise Enough

    def load_policy(args, vecenv):
        kept.append(load(args, vecenv))
        return kept[-1]

    Cartpole.render, pufferl.load_policy = render, load_policy

    def play(words):
        drawn.clear()
        sys.argv = list(words)
        try:
            runpy.run_path(words[0], run_name="__main__") if words[0].endswith(".py") else pufferl.main()
        except Enough:
            return drawn[0]
        finally:
            pufferl.__file__ = home

    drawn = []
    agents = [play(words) for words in commands]
    if own_ini:  # ours in the place of PufferLib's, in a copy of its folder
        shutil.copytree(Path(home).parent / "config", Path(place) / "config")
        assert (Path(place) / "config" / own_ini).exists()
        shutil.copy(next(Path("config").glob("*.ini")), Path(place) / "config" / own_ini)
        pufferl.__file__ = str(Path(place) / "pufferl.py")
        agents.append(play(["puffer", "eval", "puffer_cartpole", "--load-model-path=weights.pt"]))

    import torch
    from lab.space.task import Task
    from training import adapter
    from training.evaluation import Evaluator

    torch.set_num_threads(1)
    evaluator = Evaluator(maker=adapter.maker_of("puffer_cartpole"), task=Task.model_validate(task), device="cpu",
                          agents_per_env=1.0, scalable=True, recurrent=recurrent, alive=lambda: None)
    found = [[done.model_dump(mode="json") for done in evaluator.run(policy)] for policy in kept]
    sys.stdout.write("\\n" + json.dumps({"evaluations": found, "agents": agents}))
    sys.stdout.flush()
    os._exit(0)
"""


def child(script: str, given: Any, place: Path) -> Any:
    """What a script prints last, as JSON; it runs in a folder, with one argument."""
    command = [sys.executable, "-c", textwrap.dedent(script), json.dumps(given)]
    environment = {**os.environ, **dict.fromkeys(THREADS, "1")}
    done = subprocess.run(command, cwd=place, capture_output=True, text=True, check=False, timeout=300, env=environment)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


def play(folder: Path, commands: list[list[str]], own_ini: str | None, *, recurrent: bool, place: Path) -> Any:
    task = json.loads((folder / "export.json").read_text())["task"]
    return child(PLAY, [task, recurrent, commands, own_ini, str(place)], folder)


class TestPufferLibAlone:
    """Loads what was exported, and it plays as it was scored."""

    def test_without_an_lstm_which_no_flag_can_say(
        self, train: Train, notebook: Notebook, workspace: Workspace, cli: Cli, tmp_path: Path
    ) -> None:
        run = train()
        results = notebook.results(run)
        best = max(results, key=lambda result: result.metrics["perf"])
        assert len({result.metrics["perf"] for result in results}) == 2
        done = cli("export", run.run_id, "--json")
        assert done.code == 0, done.err
        found, folder = done.json(), workspace.exports / run.run_id
        assert (found["dir"], found["seed"], found["chosen"]) == (str(folder), best.seed, "best")
        assert found["command"] is None
        assert found["unsayable"] == ["rnn_name = None"]
        played = play(folder, [["eval.py"], ["eval.py", "--env.num-envs=2"]], "ocean/cartpole.ini", recurrent=False,
                      place=tmp_path / "home")  # fmt: skip
        assert played["agents"] == [1024, 2, 1024]
        recorded = [evaluation.model_dump(mode="json") for evaluation in best.evaluations]
        assert played["evaluations"] == [recorded] * 3
        assert found["score"] == best.metrics["perf"] == recorded[0]["raw"]["perf"]
        assert found["evaluations"] == recorded
        assert found["weights"] == best.weights
        assert found["mean"] == pytest.approx(sum(found["scores"].values()) / 2)

    def test_with_an_lstm_by_the_very_command(self, train: Train, notebook: Notebook, cli: Cli, tmp_path: Path) -> None:
        run = train({"rnn.enabled": True, "env.num_envs": 512, "train.total_timesteps": 65_536})
        other = notebook.results(run)[1]
        folder = tmp_path / "somewhere else" / "policy"
        done = cli("export", run.run_id, "--seed", str(other.seed), "--to", str(folder))
        assert done.code == 0, done.err
        assert f"{folder}: seed {other.seed}, perf " in done.out
        (command,) = [line.partition(": ")[2] for line in done.out.splitlines() if "puffer eval" in line]
        assert command in (folder / "README.md").read_text()
        assert json.loads((folder / "export.json").read_text())["chosen"] == "asked for"
        words = shlex.split(command)
        assert words[:3] == ["puffer", "eval", "puffer_cartpole"]
        assert "--env.num-envs=512" in words
        played = play(folder, [words, ["eval.py"]], None, recurrent=True, place=tmp_path / "home")
        assert played["agents"] == [512, 512]
        assert played["evaluations"] == [[one.model_dump(mode="json") for one in other.evaluations]] * 2

    def test_another_width_and_policy(self, train: Train, notebook: Notebook, cli: Cli, tmp_path: Path) -> None:
        run = train({"rnn.enabled": True, "policy.hidden_size": 32, "policy.name": "Default", "autopilot.seeds": 1})
        done = cli("export", run.run_id, "--json")
        assert done.code == 0, done.err
        found = done.json()
        wanted = ["policy.hidden_size = 32", "rnn.input_size = 32", "rnn.hidden_size = 32"]
        assert (found["command"], found["unsayable"]) == (None, wanted)
        folder = Path(found["dir"])
        ini = (folder / "config" / "puffer_cartpole.ini").read_text()
        assert "policy_name = Policy\nrnn_name = Recurrent\n" in ini
        assert "[policy]\nhidden_size = 32\n" in ini
        (result,) = notebook.results(run)
        played = play(folder, [["eval.py"]], None, recurrent=True, place=tmp_path / "home")
        assert played["evaluations"] == [[one.model_dump(mode="json") for one in result.evaluations]]


def test_every_environments_policy_is_rebuilt(tmp_path: Path) -> None:
    """One environment with a policy class, an LSTM and widths of its own; one behind the emulation; one of many."""
    script = """
        import json, os, sys
        import torch
        from training import adapter, checkpoints, exporting
        from lab.space.environments import preset_config
        from training.envs import inventory
        from training.protocol import BuildOrder, ExportJob

        names = ("puffer_snake", "puffer_breakout", "puffer_pysquared", "puffer_multiagent", "puffer_template")
        environments = inventory({name: BuildOrder() for name in names}, "test", None).environments
        found = {}
        for name in names:
            for rnn in (True, False):
                config = preset_config(environments[name], "quick").with_overrides({
                    "rnn.enabled": rnn, "policy.hidden_size": 48})
                small = {**config.env, **({"num_envs": 4} if "num_envs" in config.env else {})}
                vecenv = adapter.make_vecenv(adapter.maker_of(name), small, {"backend": "Serial", "num_envs": 1}, 0)
                policy = adapter.make_policy(config, "ocean", vecenv, "cpu")
                torch.save(policy.state_dict(), "weights.pt")
                job = ExportJob(config=config, seed=3, device="cuda", checkpoint=os.path.abspath("weights.pt"))
                done = exporting.handover(job)
                assert done.problem is None, done.problem
                assert done.weights == checkpoints.weights_hash(policy.state_dict())
                found[f"{name} {rnn}"] = [done.own_ini, done.flags, done.unsayable]
        sys.stdout.write("\\n" + json.dumps(found)); sys.stdout.flush(); os._exit(0)
    """
    found = child(script, None, tmp_path)
    widths = ["--policy.hidden-size=48", "--rnn.input-size=48", "--rnn.hidden-size=48"]
    assert found["puffer_breakout True"] == ["ocean/breakout.ini", widths, []]
    assert found["puffer_breakout False"] == ["ocean/breakout.ini", widths[:1], ["rnn_name = None"]]
    assert found["puffer_multiagent True"][0] == "ocean/sanity.ini"
    assert found["puffer_template True"][2][0] == "rnn_name = Recurrent"


def test_an_ini_is_read_as_it_was_meant(tmp_path: Path) -> None:
    values = [
        *(True, False, None, 0, -3, 0.5, -1e-05, 1e-12, [8], [1, [2.5]]),
        *("auto", "quick", "True", "7", "None", "[8]", "50% of it", "%(x)s", "# no comment", "; nor this"),
        *(" edge ", "", "two\nlines", "it's", "é"),
    ]
    script = """
        import json, os, sys
        from pathlib import Path
        values = json.loads(sys.argv[1])
        from training import adapter, exporting  # which cuts the command line

        env = {f"key_{at}": value for at, value in enumerate(values)}
        base = {"env_name": "puffer_cartpole", "package": "ocean"}
        sections = {"base": base, "env": env, **{name: {} for name in ("vec", "policy", "rnn", "train")}}
        Path("config").mkdir()
        Path("config/x.ini").write_text(exporting.ini_text(sections))
        read = adapter.own_arguments("puffer_cartpole", (), Path.cwd())
        assert read["package"] == "ocean"
        sys.stdout.write("\\n" + json.dumps(list(read["env"].values()))); sys.stdout.flush(); os._exit(0)
    """
    assert child(script, values, tmp_path) == values


# --- what can't be exported --------------------------------------------------------------------------------------


@pytest.fixture
def refused(cli: Cli, workspace: Workspace, tmp_path: Path) -> Callable[..., str]:
    """Export, which has to end in one line and exit status 2 with nothing changed; returns the line."""

    def everything() -> tuple[dict[str, bytes], list[Path]]:
        return tree(tmp_path), [path for path in sorted(tmp_path.rglob("*")) if "index.sqlite" not in path.name]

    def export(*arguments: str, code: int = 2) -> str:
        before = everything()
        done = cli("export", *arguments)
        assert done.code == code, done.err or done.out
        assert done.err.startswith("autopilot: ")
        assert done.err.count("\n") == 1
        assert done.out == ""
        assert everything() == before
        return done.err

    return export


@pytest.fixture
def ended(notebook: Notebook, config: Config) -> Callable[..., RunRecord]:
    """A run that says it has finished."""

    def make(env_name: str = "puffer_cartpole", **more: Any) -> RunRecord:
        changed = config.model_copy(update={"env_name": env_name})
        run = create_run(notebook, changed, {}, preset="quick", objective="perf:max", arm="person", **more)
        return notebook.update(run.run_id, state=RunState.FINISHED)

    return make


class TestRefusals:
    """One line that says why and what would do; nothing is changed."""

    def test_runs(
        self, refused: Callable[..., str], queue: Queue, make_run: RunMaker, ended: Callable[..., RunRecord],
        notebook: Notebook, workspace: Workspace, tmp_path: Path,
    ) -> None:  # fmt: skip
        waiting, failed, interrupted = queue(), make_run(fault="crash"), queue()
        notebook.update(interrupted.run_id, state=RunState.RUNNING)
        old = tmp_path / "old" / "2025-09-20T162635Z"
        old.mkdir(parents=True)
        (old / "trainer_summary.json").write_text('{"metrics": {"success_rate": 0.5}}')
        (imported,) = store(workspace, look(old))
        variant = Variant(call="mine:Deep")
        assert "'nope' is not in" in refused("nope")
        assert "is not in this workspace" in refused("../nope")
        assert "is queued: only a finished run has a score" in refused(waiting.run_id)
        assert "is failed" in refused(failed.run_id)
        assert "is interrupted" in refused(interrupted.run_id)
        assert "was imported: its weights are not here" in refused(imported)
        other = ended("gymnasium:CartPole-v1")
        assert "it plays PufferLib's own environments" in refused(other.run_id)
        mine = ended(variants={"policy": variant})
        assert "your own policy (mine:Deep), which PufferLib alone can't build" in refused(mine.run_id)

    def test_replicates(self, refused: Callable[..., str], make_run: RunMaker, workspace: Workspace) -> None:
        run = make_run()  # made up: what it calls weights is a text
        known = ", ".join(map(str, run.seeds))
        assert f"is no replicate of {run.run_id}; valid: {known}" in refused(run.run_id, "--seed", "99")
        assert "--seed" in refused(run.run_id, "--seed", "x")
        seed = str(run.seeds[0])
        assert "can't be read as plain weights" in refused(run.run_id, "--seed", seed)
        workspace.run(run.run_id).seed(run.seeds[0]).weights("latest").unlink()
        assert f"seed = {seed}: has no weights any more" in refused(run.run_id, "--seed", seed)
        shutil.rmtree(workspace.run(run.run_id).seeds)
        for which in ((), ("--seed", seed)):
            assert f"run = '{run.run_id}': has no replicate any more: their results" in refused(run.run_id, *which)

    def test_folders(
        self, refused: Callable[..., str], make_run: RunMaker, workspace: Workspace, tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:  # fmt: skip
        run = make_run()
        (workspace.exports / run.run_id).mkdir(parents=True)
        (workspace.exports / run.run_id / "mine.txt").write_text("mine")
        (tmp_path / "file").write_text("mine")
        (tmp_path / "circle").symlink_to(tmp_path / "circle")
        (tmp_path / "here").mkdir()
        monkeypatch.chdir(tmp_path / "here")
        assert "is not empty: nothing of yours is overwritten" in refused(run.run_id)
        for to, why in (
            (tmp_path / "file", "is no folder"),
            (tmp_path / "file" / "below", "no writable folder"),
            (workspace.runs / "another", "lies among the workspace's records"),
            (workspace.proposals, "lies among the workspace's records"),
            (Path(), "is the folder that you are in"),
            (workspace.root, "is not empty"),
            (tmp_path / "circle", "leads nowhere"),
        ):
            assert why in refused(run.run_id, "--to", str(to)), to


def test_weights_that_were_not_scored_are_not_handed_over(
    train: Train, refused: Callable[..., str], workspace: Workspace
) -> None:
    run = train()
    one, other = (workspace.run(run.run_id).seed(seed).weights("latest") for seed in run.seeds)
    shutil.copy(one, other)
    line = refused(run.run_id, "--seed", str(run.seeds[1]), code=1)
    assert "does not hold the weights that were scored" in line


def test_weights_of_another_shape_are_said(
    train: Train, refused: Callable[..., str], workspace: Workspace, notebook: Notebook
) -> None:
    run = train({"autopilot.seeds": 1})
    write_model(workspace.run(run.run_id).config, notebook.config(run.run_id).with_overrides({"env.continuous": True}))
    line = refused(run.run_id)
    assert "PufferLib alone can't play it: PufferLib's loader can't build its policy from this config" in line
    write_model(workspace.run(run.run_id).config, notebook.config(run.run_id).with_overrides({"rnn.enabled": True}))
    assert "its weights have no LSTM, which its config asks for" in refused(run.run_id)


class TestTheFolder:
    """It is there whole or not at all, and nothing else is touched."""

    def test_an_empty_one_is_taken_and_a_full_disk_leaves_nothing(
        self, train: Train, notebook: Notebook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        run = train({"autopilot.seeds": 1})
        place = tmp_path / "mine"
        (place / "policy").mkdir(parents=True)
        (place / "other.txt").write_text("mine")
        record = tree(notebook.workspace.root)

        def full(path: Path, content: str | bytes) -> None:
            if path.name == "export.json":
                raise OSError(28, "No space left on device")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)

        with monkeypatch.context() as patch:
            patch.setattr("report.exporting.write_atomic", full)
            with pytest.raises(AutopilotError, match="can't be written: No space left on device"):
                export_run(notebook, run.run_id, place / "policy")
        assert sorted(path.name for path in place.rglob("*")) == ["other.txt", "policy"]
        export_run(notebook, run.run_id, place / "policy")
        assert sorted(path.name for path in place.iterdir()) == ["other.txt", "policy"]
        files = ["README.md", "config", "eval.py", "export.json", "puffer_cartpole.ini", "weights.pt"]
        assert sorted(path.name for path in (place / "policy").rglob("*")) == files
        assert tree(notebook.workspace.root) == record

    def test_it_says_what_was_particular(
        self, train_env: Train, train: Train, module: Callable[..., str], workspace: Workspace, notebook: Notebook
    ) -> None:
        name = module("""
            def double(weight=2.0):
                return lambda observations, actions, rewards, terminals: weight * rewards
        """)
        workspace.settings.write_text(f'[variants.reward.twice]\ncall = "{name}:double"\n')
        small = {"env.num_envs": 64, "train.minibatch_size": 2048, "autopilot.reward_variant": "twice"}
        run = train_env("puffer_cartpole", small)
        assert run.state is RunState.FINISHED, run.reason
        found, folder = export_run(notebook, run.run_id)
        assert found.notes == ("it was trained with your own reward (mine:double), of which this config knows nothing",)
        assert f"Note: {found.notes[0]}." in (folder / "README.md").read_text()
        task = Task(env={"report_interval": 4}, steps=200)
        child = train({"autopilot.resume_mode": "continue", "autopilot.resume_from": run.run_id}, task=task)
        found, _ = export_run(notebook, child.run_id)
        assert found.notes == (
            "it was scored with env.report_interval = 4 and trained with the default",
            "its training went on from the weights of another one",
        )
