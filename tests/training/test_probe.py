"""The probe measures for real, keeps what it found, and never at the cost of learning."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from lab.base.paths import Workspace
from lab.space.config import Config, derive
from lab.space.inventory import Inventory
from lab.space.presets import Measurement, StoredPreset, names, preset, topology
from lab.space.validate import check_overrides, memory_of
from tests.conftest import ENV, Cli
from training.inventory import load_inventory
from training.probe import BATCHES, Probe
from training.room import room_for, usable_cores
from training.runner import ProcessRunner


@pytest.fixture
def quickly(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr("training.probe.SECONDS", 0.05)
    return


@pytest.mark.usefixtures("quickly")
@pytest.mark.slow
def test_it_measures_valid_topologies_that_learn_as_much(
    config: Config, inventory: Inventory, real: ProcessRunner
) -> None:
    start = config.with_overrides({"train.total_timesteps": 4_000_000})
    shown: list[Measurement] = []
    probe = Probe(start, inventory.environment(ENV), inventory, real)
    best = probe.run(time.monotonic() + 300, shown.append)
    assert shown == probe.measured
    assert len(shown) > 8
    assert {found.threads for found in shown} == {1, usable_cores()}
    assert best.sps >= 0.97 * max(found.sps for found in shown)
    for found in shown:
        assert found.sps > 0
        assert check_overrides(start, found.overrides, inventory) == []
        there = start.with_overrides(found.overrides)
        assert there.train["minibatch_size"] <= 32_768  # the ini's: never fewer updates than it makes
        assert derive(there, 1).epochs >= BATCHES
        assert there.train["bptt_horizon"] == start.train["bptt_horizon"]


@pytest.mark.usefixtures("quickly")
def test_when_time_is_up_the_start_has_been_measured(config: Config, inventory: Inventory, real: ProcessRunner) -> None:
    probe = Probe(config, inventory.environment(ENV), inventory, real)
    best = probe.run(time.monotonic() - 1, lambda _: None)
    assert probe.measured == [best]
    assert best.at_once == room_for(config, inventory.environment(ENV), "cpu", None)


@pytest.mark.usefixtures("quickly")
def test_what_the_user_declared_is_what_is_measured(
    config: Config, workspace: Workspace, real: ProcessRunner, module: Callable[[str], str]
) -> None:
    name = module("""
        import pathlib, pufferlib.models

        def wide(env, path):
            pathlib.Path(path).touch()
            return pufferlib.models.Default(env, hidden_size=16)

        def paid(path):
            pathlib.Path(path).touch()
            return lambda observations, actions, rewards, terminals: rewards
    """)
    seen = {kind: workspace.root / f"{kind} was built" for kind in ("policy", "reward")}
    workspace.settings.write_text("".join(
        f'[variants.{kind}.mine]\ncall = "{name}:{call}"\narguments = {{path = "{seen[kind]}"}}\n'
        for kind, call in (("policy", "wide"), ("reward", "paid"))
    ))  # fmt: skip
    ours = load_inventory([ENV], workspace)
    mine = config.with_overrides({"autopilot.policy_variant": "mine", "autopilot.reward_variant": "mine"})
    found = Probe(mine, ours.environment(ENV), ours, real, str(workspace.root)).measure(mine)
    assert found is not None
    assert all(path.exists() for path in seen.values())


@pytest.mark.slow
def test_the_command_keeps_a_preset_that_can_be_trained(cli: Cli, workspace: Workspace, inventory: Inventory) -> None:
    small = (
        "--set",
        "train.total_timesteps=400000",
        "--set",
        "autopilot.eval_steps=200",
        "--set",
        "policy.hidden_size=64",
    )
    done = cli("probe", "--minutes", "0.05", "--save-as", "mine", "--json", *small)
    assert done.code == 0, done.err
    stored = StoredPreset.model_validate(done.json())
    assert stored.ini is not None
    assert stored.ini.batch_size == 524_288
    assert stored.verdict in ("better", "not worse beyond noise", "worse")
    assert len(stored.runs) == 2
    assert names(workspace, ENV) == ["quick", "full", "mine"]
    config = preset(workspace, inventory.environment(ENV), "mine")
    assert config.policy["hidden_size"] == 64
    assert config.train["minibatch_size"] == stored.best.overrides["train.minibatch_size"]
    assert topology(stored.best).startswith(("Serial", "Multiprocessing"))
    trained = cli("train", "--preset", "mine", "--seeds", "1", "--set", "train.total_timesteps=65536", "--json")
    assert trained.code == 0, trained.err
    assert trained.json()["preset"] == "mine"
    assert cli("train", "--preset", "other").err == (
        "autopilot: preset = 'other': is unknown; valid: quick | full | mine ('autopilot probe' measures another)\n"
    )


@pytest.mark.parametrize(("arguments", "said"), [
    (("--minutes", "0"), "minutes = '0': must be a number above 0"),
    (("--save-as", "quick"), "save-as = 'quick': always exists"),
    (("--save-as", "../x"), "preset '../x' is not in this workspace"),
    (("--env", "puffer_nothing"), "is not an environment here"),
])  # fmt: skip
@pytest.mark.usefixtures("unchanged")
def test_a_probe_refuses_bad_input(cli: Cli, arguments: tuple[str, ...], said: str) -> None:
    done = cli("probe", *arguments)
    assert done.code == 2
    assert said in done.err
    assert done.err.count("\n") == 1


def test_how_many_at_once(config: Config, inventory: Inventory, monkeypatch: pytest.MonkeyPatch) -> None:
    environment = inventory.environment(ENV)
    room: Callable[..., int] = lambda c, device="cpu", given=None: room_for(c, environment, device, given)  # noqa: E731
    monkeypatch.setattr("training.room.usable_cores", lambda: 8)
    assert room(config) == 8
    assert room(config.with_overrides({"autopilot.threads": 3})) == 2
    several = {"vec.backend": "Multiprocessing", "vec.num_envs": 4, "vec.num_workers": 2}
    assert room(config.with_overrides(several)) == 2  # each has two processes beside its own
    assert room(config, "cuda") == 1
    assert room(config, "cuda", 3) == room(config, "cpu", 3) == 3
    huge = config.with_overrides({"env.num_envs": 2**20, "train.bptt_horizon": 512})
    assert memory_of(huge, environment) > 100 * 2**30
    assert room(huge) == 1


@pytest.mark.slow
@pytest.mark.usefixtures("inventory")  # known, so that the first process seen is one that measures
def test_a_probe_that_is_stopped_keeps_nothing(workspace: Workspace) -> None:
    command = [str(Path(sys.executable).with_name("autopilot")), "--workspace", str(workspace.root), "probe",
               "--set", "train.total_timesteps=400000"]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while not (children := psutil.Process(process.pid).children(recursive=True)):
        assert process.poll() is None
        os.sched_yield()
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=400)
    assert (process.returncode, err) == (1, "autopilot: stopped: no preset was kept\n")
    assert not workspace.presets.exists()
    _, alive = psutil.wait_procs(children, timeout=10)
    assert alive == []
