"""The machine as it is: a CPU quota, a full log, a clock that was set back."""

import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.base.files import write_model
from lab.base.schema import now
from lab.store.notebook import Notebook
from tests.conftest import RunMaker
from tests.training.conftest import Train
from training.log_file import HEAD, LIMIT, TAIL, cut
from training.room import cpu_quota


def cgroups(root: Path, **files: str) -> Path:
    for name, text in files.items():
        path = root / name.replace("__", "/").replace("_max", ".max").replace("cfs_", "cpu.cfs_")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    return root


@pytest.mark.parametrize(("files", "mine", "quota"), [
    ({"cpu_max": "150000 100000"}, "0::/", 1.5),
    ({"cpu_max": "max 100000"}, "0::/", None),
    ({"job__cpu_max": "400000 100000", "job__step__cpu_max": "max 100000"}, "0::/job/step", 4.0),
    ({"job__cpu_max": "200000 100000", "job__step__cpu_max": "300000 100000"}, "0::/job/step", 2.0),
    ({"cpu_max": "50000 100000"}, "0::/../outside", 0.5),
    ({"cpu,cpuacct__docker__cfs_quota_us": "250000", "cpu,cpuacct__docker__cfs_period_us": "100000"},
     "4:memory:/docker\n3:cpu,cpuacct:/docker", 2.5),
    ({"cpu__cfs_quota_us": "-1", "cpu__cfs_period_us": "100000"}, "3:cpu:/elsewhere", None),
    ({"cpu_max": "nonsense"}, "0::/", None),
    ({}, "", None),
])  # fmt: skip
def test_a_quota_is_read_from_the_cgroup_and_those_above(
    tmp_path: Path, files: dict[str, str], mine: str, quota: float | None
) -> None:
    told = tmp_path / "self"
    told.write_text(mine)
    assert cpu_quota(cgroups(tmp_path / "groups", **files), told) == quota
    assert cpu_quota(tmp_path / "nowhere", tmp_path / "nothing") is None


@given(st.lists(st.integers(1, LIMIT), min_size=1, max_size=6))
def test_a_log_keeps_its_head_and_its_tail(tmp_path_factory: pytest.TempPathFactory, sizes: list[int]) -> None:
    path = tmp_path_factory.mktemp("log") / "train.log"
    path.write_bytes(b"first line\n")
    log, left_out, written = os.open(path, os.O_WRONLY | os.O_APPEND), 0, 11
    for number, size in enumerate(sizes):
        os.write(log, bytes([97 + number]) * size)
        written += size
        left_out = cut(path, left_out)
        kept = path.read_bytes()
        assert len(kept) <= LIMIT
        assert kept.startswith(b"first line\n")
        assert kept[-1] == 97 + number
        if left_out:
            assert written - left_out <= HEAD + TAIL + LIMIT
            assert f"about {left_out:,} bytes were left out".encode() in kept
    os.close(log)


CHATTY = """
    import os
    from pufferlib.ocean.cartpole.cartpole import Cartpole

    class Chatty(Cartpole):
        def __init__(self, num_envs=8, buf=None, seed=0):
            super().__init__(num_envs=num_envs, buf=buf, seed=seed)
            print("the first word")

        def step(self, actions):
            os.write(1, b"chatter " * 2000)
            return super().step(actions)

        def close(self):
            print("the last word", flush=True)
            super().close()
"""


def test_a_chatty_environment_leaves_a_bounded_log(
    train_env: Train, module: Callable[..., str], notebook: Notebook
) -> None:
    name = module(CHATTY, "chatty")
    small = {"env.num_envs": 64, "train.minibatch_size": 2048, "train.total_timesteps": 16_384}
    run = train_env(f"{name}:Chatty", small, objective="perf:max")
    (seed,) = run.seeds
    said = notebook.workspace.run(run.run_id).seed(seed).log.read_bytes()
    assert len(said) <= LIMIT
    assert b"the first word" in said[:HEAD]
    assert b"bytes were left out here" in said
    assert b"the last word" in said[-TAIL:]


def test_a_run_from_the_future_is_not_the_latest(notebook: Notebook, make_run: RunMaker) -> None:
    ahead, usual = make_run(), make_run()
    moved = ahead.model_copy(update={"created": now() + timedelta(days=400)})
    write_model(notebook.workspace.run(ahead.run_id).run, moved)
    later = make_run()
    assert [run.run_id for run in Notebook(notebook.workspace).latest(2)] == [usual.run_id, later.run_id]
