"""The contract with PufferLib: what the adapter promises, shown on PufferLib itself.

Each check runs in a process of its own, as training does, and prints what it found as JSON.
"""

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from lab.space import Inventory, idle_changes
from lab.space.config import Config
from tests.warm import Warm
from training.process import THREADS

HEAD = """
    import json, os, sys
    import numpy as np
    import torch
    given = sys.argv[1]
    from training import adapter, gpus  # which cuts the command line
    from lab.space.config import Config

    config = Config.model_validate_json(given)

    def build(config, seed=1, **more):
        vecenv = adapter.make_vecenv(adapter.maker_of(config.env_name), config.env, config.vec, seed)
        torch.manual_seed(seed)
        policy = adapter.make_policy(config, "ocean", vecenv, "cpu")
        return adapter.Trainer(config, vecenv, policy, seed=seed, device="cpu", **more)

    def say(value):
        sys.stdout.write("\\n" + json.dumps(value)); sys.stdout.flush(); os._exit(0)
"""


@pytest.fixture
def small(config: Config) -> Config:
    return config.with_overrides({"env.num_envs": 64, "train.minibatch_size": 1024, "train.total_timesteps": 8192})


@pytest.fixture
def ask(small: Config, tmp_path: Path, trainer: Warm) -> Any:
    """What a script says of itself, forked from a process that has PufferLib imported."""

    def run(code: str, overrides: dict[str, Any] | None = None) -> Any:
        given = small.with_overrides(overrides or {}).model_dump_json()
        script, threads = textwrap.dedent(HEAD) + textwrap.dedent(code), dict.fromkeys(THREADS, "1")
        done = trainer.run([given], {**os.environ, **threads}, script=script, folder=tmp_path, timeout=120)
        assert done.code == 0, done.err[-3000:]
        return json.loads(done.out.splitlines()[-1])

    return run


@pytest.fixture
def ask_afresh(small: Config, tmp_path: Path) -> Any:
    """The same of a process that begins with nothing."""

    def run(code: str) -> Any:
        script = textwrap.dedent(HEAD) + textwrap.dedent(code)
        done = subprocess.run(
            [sys.executable, "-P", "-c", script, small.model_dump_json()], capture_output=True, text=True, check=False,
            timeout=120, cwd=tmp_path, env={**os.environ, **dict.fromkeys(THREADS, "1")},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-3000:]
        return json.loads(done.stdout.splitlines()[-1])

    return run


def test_it_trains_logs_and_asks_for_checkpoints_as_configured(ask: Any) -> None:
    found = ask(
        """
        logs, checkpoints = [], []
        trainer = build(config, on_log=lambda l, step: logs.append((sorted(l), step)),
                        on_checkpoint=lambda t: checkpoints.append(t.global_step))
        while trainer.global_step < 8192:
            trainer.evaluate(); trainer.train()
        say([logs[-1], checkpoints, trainer.epoch])
        """,
        {"train.checkpoint_interval": 2},
    )
    (names, step), checkpoints, epochs = found
    assert {"SPS", "learning_rate", "losses/policy_loss", "losses/entropy", "environment/perf"} <= set(names)
    assert (step, epochs) == (8192, 4)
    assert checkpoints == [4096, 8192]


OF_MUON = {"train.adam_beta2": 0.9, "train.adam_eps": 1e-4}
OF_A_GPU = {"train.precision": "bfloat16", "train.cpu_offload": True, "train.torch_deterministic": False}
CLIPS = {"train.clip_coef": 0.01, "train.vf_clip_coef": 0.01, "train.vtrace_rho_clip": 3.0, "train.vtrace_c_clip": 3.0}
FELT = {"train.vtrace_rho_clip": 0.5, "train.gamma": 0.9}


@pytest.mark.parametrize(("around", "idle"), [
    ({"train.minibatch_size": 2048, "train.optimizer": "muon", "rnn.enabled": True}, OF_MUON | OF_A_GPU | CLIPS),
    ({"train.minibatch_size": 2048, "train.optimizer": "adam"}, OF_A_GPU | CLIPS),
    ({"train.minibatch_size": 1024, "train.optimizer": "muon", "train.vf_coef": 0.0},
     OF_MUON | OF_A_GPU | {"train.vf_clip_coef": 0.01}),
], ids=["one minibatch, muon, LSTM", "one minibatch, adam", "two minibatches"])  # fmt: skip
def test_what_is_said_to_do_nothing_changes_no_weight(
    ask: Any, config: Config, inventory: Inventory, around: dict[str, Any], idle: dict[str, Any]
) -> None:
    same = {"env.num_envs": 64, "train.vtrace_rho_clip": 1.0, "train.vtrace_c_clip": 1.0, "train.device": "cpu"}
    base = config.with_overrides({**same, "train.total_timesteps": 4096, **around})
    changes = [*idle.items(), *FELT.items()]
    said = [key for key, value in changes if idle_changes(base, {key: value}, inventory)]
    equal = ask(
        f"""
        def weights(config):
            trainer = build(config)
            while trainer.global_step < 4096:
                trainer.evaluate(); trainer.train()
            return torch.cat([part.detach().flatten() for part in trainer.policy.parameters()])

        base = Config.model_validate_json({base.model_dump_json()!r})
        usual = weights(base)
        say([key for key, value in json.loads({json.dumps(changes)!r})
             if (weights(base.with_overrides({{key: value}})) == usual).all()])
        """
    )
    assert said == equal == list(idle)


@pytest.mark.parametrize("optimizer", ["adam", "muon"])
def test_a_restored_optimizer_keeps_its_moments_and_takes_the_childs_rate(ask: Any, optimizer: str) -> None:
    found = ask(
        """
        import copy
        parent = build(config)
        for _ in range(3):
            parent.evaluate(); parent.train()
        annealed = adapter.learning_rate(parent)
        state = copy.deepcopy(parent.state())
        child = build(config.with_overrides({"train.learning_rate": 0.002, "train.adam_beta1": 0.8}))
        note = child.restore(state)
        group = child.optimizer.param_groups[0]
        moments = lambda s: sorted(float(v.double().abs().sum()) for p in s.values() for v in p.values()
                                   if isinstance(v, torch.Tensor) and v.ndim)
        same = moments(state["optimizer_state_dict"]["state"]) == moments(child.optimizer.state_dict()["state"])
        start = adapter.learning_rate(child)
        before = {k: v.clone() for k, v in child.uncompiled_policy.state_dict().items()}
        rates = []
        for _ in range(3):
            child.evaluate(); child.train(); rates.append(adapter.learning_rate(child))
        moved = any(not torch.equal(v, before[k]) for k, v in child.uncompiled_policy.state_dict().items())
        fresh = build(config.with_overrides({"train.learning_rate": 0.002}))
        expected = []
        for _ in range(3):
            fresh.evaluate(); fresh.train(); expected.append(adapter.learning_rate(fresh))
        say([note, annealed, start, rates, expected, group["betas"], same, bool(state["optimizer_state_dict"]["state"]),
             moved])
        """,
        {"train.optimizer": optimizer, "train.learning_rate": 0.005},
    )
    note, annealed, start, rates, expected, betas, same, anything, moved = found
    assert note is None
    assert annealed < 0.005
    assert start == 0.002
    assert rates == pytest.approx(expected)  # the child's own schedule, from its own start
    assert betas[0] == 0.8
    assert same and anything and moved


def test_moments_of_another_optimizer_are_left_behind_with_a_word(ask: Any) -> None:
    note = ask("""
        parent = build(config.with_overrides({"train.optimizer": "muon"}))
        parent.evaluate(); parent.train()
        say(build(config.with_overrides({"train.optimizer": "adam"})).restore(parent.state()))
    """)
    assert "muon are of no use to adam" in note


def test_environments_are_built_with_their_seed(ask: Any) -> None:
    built = ask("""
        seeds = []
        def maker(buf=None, seed=0, **arguments):
            seeds.append(seed)
            return adapter.maker_of("puffer_cartpole")(buf=buf, seed=seed, **arguments)
        adapter.make_vecenv(maker, {"num_envs": 2}, {"backend": "Serial", "num_envs": 3}, 40)
        say(seeds)
    """)
    assert built[1:] == [40, 41, 42]  # the first one is only asked for its spaces


def test_warming_up_leaves_one_thread_so_that_a_fork_is_safe(ask_afresh: Any) -> None:
    threads, seconds = ask_afresh("""
        import time, psutil
        adapter.warm_up()
        threads, began = psutil.Process().num_threads(), time.perf_counter()
        build(config)
        say([threads, time.perf_counter() - began])
    """)
    assert threads == 1
    assert seconds < 1  # it takes 1.7 s in a process that has built none; this is no benchmark


def test_a_reward_of_the_users_is_what_the_trainer_sees(ask: Any) -> None:
    found = ask("""
        inner = adapter.make_vecenv(adapter.maker_of("puffer_cartpole"), config.env, config.vec, 1)
        vecenv = adapter.Rewarded(inner, lambda o, a, r, t: np.full(len(r), 0.25))
        vecenv.async_reset(1); vecenv.recv()
        vecenv.send(np.zeros(64, dtype=np.int32))
        o, r, d, *_ = vecenv.recv()
        say([r.tolist(), vecenv.num_agents])
    """)
    assert found == [[0.25] * 64, 64]


def test_a_reward_sees_the_actions_of_the_agents_it_is_asked_about(ask: Any) -> None:
    """With more processes than are received at a time, these are not the ones that were sent to last."""
    found = ask("""
        import gymnasium
        class Echo(gymnasium.Env):
            observation_space = gymnasium.spaces.Box(-1, 1, (1,), np.float32)
            action_space = gymnasium.spaces.Discrete(50)
            def reset(self, seed=None, options=None): return np.zeros(1, np.float32), {}
            def step(self, action): return np.zeros(1, np.float32), float(action), False, False, {}
        from lab.space import Told
        from training.adapter.episodes import emulated
        maker = lambda buf=None, seed=0: emulated(Echo(), buf, seed, Told())
        vec = {"backend": "Multiprocessing", "num_envs": 8, "num_workers": 2, "batch_size": 4}
        inner = adapter.make_vecenv(maker, {}, vec, 1)
        seen = []
        def check(observations, actions, rewards, terminals):
            seen.append(bool((actions.ravel() == rewards).all()))
            return rewards * 2
        vecenv = adapter.Rewarded(inner, check)
        vecenv.async_reset(1)
        draw = np.random.default_rng(0)
        for _ in range(50):
            vecenv.recv()
            vecenv.send(draw.integers(0, 50, 4).astype(np.int32))
        vecenv.close()
        say([len(seen), all(seen)])
    """)
    assert found == [48, True]


def test_every_name_of_a_policy_makes_one(ask: Any) -> None:
    found = ask("""
        vecenv = adapter.make_vecenv(adapter.maker_of("puffer_cartpole"), config.env, config.vec, 1)
        import pufferlib.models
        kinds = []
        for name, lstm in (("Policy", False), ("Default", False), ("Default", True)):
            c = config.with_overrides({"policy.name": name, "rnn.enabled": lstm})
            kinds.append(type(adapter.make_policy(c, "ocean", vecenv, "cpu")).__name__)
        kinds.append(type(adapter.make_policy(
            config, None, vecenv, "cpu", lambda env: type("Mine", (pufferlib.models.Default,), {})(env)))
            .__name__)
        say(kinds)
    """)
    assert found == ["Default", "Default", "LSTMWrapper", "Mine"]


def test_bfloat16_acts_with_the_weights_that_were_learnt_and_is_left_after_each_update(ask: Any) -> None:
    """Autocast of the CPU in the place of CUDA's: what PuffeRL makes of it is the same."""
    found = ask(
        """
        trainer = build(config)
        trainer.amp_context = gpus.Precision("cpu", "bfloat16")
        policy, observations = trainer.uncompiled_policy, torch.randn(16, 4)
        for _ in range(3):
            trainer.evaluate(); trainer.train()
        left = torch.is_autocast_enabled("cpu")
        with torch.no_grad():
            exact, _ = policy.forward_eval(observations, {})
            with trainer.amp_context, trainer.amp_context:
                rough, _ = policy.forward_eval(observations, {})
        off = float((exact - rough.float()).abs().max() / exact.abs().max())
        say([left, str(exact.dtype), str(rough.dtype), off])
        """,
        {"train.precision": "bfloat16", "train.learning_rate": 0.05},
    )
    left, exact, rough, off = found
    assert not left
    assert (exact, rough) == ("torch.float32", "torch.bfloat16")
    assert off < 0.05


def test_bfloat16_is_refused_where_pufferlib_fails_with_it(ask: Any) -> None:
    found = ask(
        """
        vecenv = adapter.make_vecenv(adapter.maker_of(config.env_name), config.env, config.vec, 1)
        policy = adapter.make_policy(config, "ocean", vecenv, "cpu")
        policy.is_continuous = True
        try:
            adapter.Trainer(config, vecenv, policy, seed=1, device="cuda")
        except adapter.Unusable as error:
            say(str(error))
        """,
        {"train.precision": "bfloat16"},
    )
    assert found == "PufferLib can't train continuous actions in bfloat16 on a GPU"


def test_observations_kept_in_the_main_memory_train_the_same_policy(ask: Any) -> None:
    code = """
        trainer = build(config)
        before = [weights.double().sum().item() for weights in trainer.policy.parameters()]
        trainer.evaluate(); trainer.train()
        after = [weights.double().sum().item() for weights in trainer.policy.parameters()]
        say([type(trainer.observations).__name__, before, after])
        """
    there, here = (ask(code, {"train.cpu_offload": offload}) for offload in (True, False))
    assert (there[0], here[0]) == ("Offloaded", "Tensor")
    assert there[1:] == here[1:]
    assert there[1] != there[2]  # PufferLib keeps its losses four times a second: a quick training has none to compare


def test_nvcc_does_not_stand_for_a_kernel_that_was_built(
    ask: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "nvcc").write_text("#!/bin/sh\n")
    (tmp_path / "nvcc").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    has_kernel, has_cuda = ask(
        "say([adapter.trainer.pufferlib.pufferl.ADVANTAGE_CUDA, torch.version.cuda is not None])"
    )
    assert has_cuda or not has_kernel


def test_weights_that_a_failed_gpu_does_not_show_are_not_taken_for_diverged(ask: Any) -> None:
    found = ask(
        """
        from training import replicate
        class Lost(torch.nn.Module):
            def parameters(self, recurse=True): raise RuntimeError("CUDA error: device-side assert triggered")
        error = RuntimeError("CUDA error: device-side assert triggered\\nSearch for `cudaErrorAssert' in its guide.")
        full = torch.OutOfMemoryError("Tried to allocate 64.00 GiB. Including non-PyTorch memory, it has 1 GiB.")
        say([replicate._has_diverged(Lost()), replicate._brief(error), replicate._brief(full)])
        """
    )
    assert found == [False, "CUDA error: device-side assert triggered", "Tried to allocate 64.00 GiB."]
