"""What validates, PufferLib's trainer accepts; what PufferLib refuses, validation refused first.

Configs are drawn from the search space over three environments: one agent per copy, eight agents per copy, and an
environment in Python behind the emulation. Each is really built and updated once.
"""

import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lab.space.environments import preset_config
from lab.space.inventory import Inventory
from lab.space.parameters import Parameter, Scale
from lab.space.validate import check_overrides, space_of
from training.inventory import load_inventory
from training.process import THREADS

pytestmark = pytest.mark.slow

ENVIRONMENTS = ("puffer_cartpole", "puffer_target", "gymnasium:CartPole-v1")
VALID, INVALID = 210, 90
SIZES = {
    "env.num_envs": [1, 2, 3, 8, 16, 64], "vec.num_envs": [1, 2, 3, 4, 8], "vec.num_workers": [1, 2, 3],
    "vec.batch_size": [1, 2, 4], "train.bptt_horizon": [1, 2, 3, 8, 16, 64], "train.update_epochs": [1, 2, 4],
    "train.minibatch_size": [1, 16, 64, 100, 128, 512, 1024], "train.max_minibatch_size": [16, 48, 64, 512, 4096],
    "policy.hidden_size": [8, 32, 100, 128],
}  # fmt: skip
LEFT_ALONE = ("train.total_timesteps", "train.seed", "train.device", "train.compile", "train.precision", "rnn.name",
              "policy.name", "autopilot.", "env.")  # fmt: skip
SCRIPT = """
import json, sys
given = open(sys.argv[1]).read()
from training import adapter
import torch
from lab.space.config import Config

for line in given.splitlines():
    job = json.loads(line)
    config = Config.model_validate(job["config"])
    vecenv = None
    try:
        torch.manual_seed(0)
        vecenv = adapter.make_vecenv(adapter.maker_of(config.env_name), config.env, config.vec, 1)
        policy = adapter.make_policy(config, job["package"], vecenv, "cpu")
        trainer = adapter.Trainer(config, vecenv, policy, seed=1, device="cpu")
        trainer.evaluate(); trainer.train()
        said = None
    except Exception as error:
        finite = "policy" in dir() and all(bool(torch.isfinite(p).all()) for p in policy.parameters())
        said = f"{type(error).__name__}: {error}" if finite else None  # diverged: it was accepted
    if vecenv is not None:
        vecenv.close()
    sys.stdout.write(json.dumps(said) + "\\n"); sys.stdout.flush()
import os
os._exit(0)
"""


def value_of(parameter: Parameter, draw: random.Random) -> Any:
    """A value of a key: mostly within its range, now and then at its edge."""
    if parameter.key in SIZES:
        return draw.choice(SIZES[parameter.key])
    if parameter.choices:
        return draw.choice(parameter.choices)
    if parameter.kind is bool:
        return draw.random() < 0.5
    low, high = float(parameter.low or 0), float(parameter.high if parameter.high is not None else 1)
    if draw.random() < 0.15:
        found = draw.choice((low, high))
    elif parameter.scale is Scale.LOG:
        found = max(low, 1e-14) * (high / max(low, 1e-14)) ** draw.random()
    else:
        found = low + (high - low) * draw.random()
    return round(found) if parameter.kind is int else found


def drawn(inventory: Inventory) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Jobs whose config is valid, and jobs whose config is not, though each key by itself is."""
    draw = random.Random(4)  # noqa: S311 - the same configs each time
    valid: list[dict[str, Any]] = []
    invalid: list[dict[str, Any]] = []
    while len(valid) < VALID or len(invalid) < INVALID:
        environment = inventory.environment(draw.choice(ENVIRONMENTS))
        space = space_of(environment)
        keys = [key for key in space if not key.startswith(LEFT_ALONE) or key == "env.num_envs"]
        small = {"env.num_envs": 8, "vec.num_envs": 1} if "env.num_envs" in space else {"vec.num_envs": 4}
        base = preset_config(environment, "quick").with_overrides(
            {**small, "train.minibatch_size": 128, "train.bptt_horizon": 16, "train.total_timesteps": 10**6}
        )
        changes = {key: value_of(space[key], draw) for key in draw.sample(keys, draw.randint(2, 9))}
        if changes.get("vec.backend") != "Multiprocessing":
            changes = {key: value for key, value in changes.items() if key not in ("vec.num_workers", "vec.batch_size")}
        if space.problems(changes):
            continue
        job = {"config": base.with_overrides(changes).model_dump(), "package": environment.ini["base"]["package"],
               "changes": changes, "env": environment.name}  # fmt: skip
        problems = check_overrides(base, changes, inventory)
        into, most = (invalid, INVALID) if problems else (valid, VALID)
        if len(into) < most:
            into.append({**job, "problems": [str(problem) for problem in problems]})
    return valid, invalid


def tried(jobs: list[dict[str, Any]], folder: Path) -> list[str | None]:
    """What PufferLib says of each; None where it trained."""
    path = folder / "jobs.jsonl"
    path.write_text("".join(json.dumps(job) + "\n" for job in jobs))
    environment = {**os.environ, **dict.fromkeys(THREADS, "1")}
    done = subprocess.run([sys.executable, "-P", "-c", SCRIPT, str(path)], capture_output=True, text=True, check=False,
                          cwd=folder, env=environment, timeout=900)  # fmt: skip
    answers = [json.loads(line) for line in done.stdout.splitlines() if line.startswith(("null", '"'))]
    assert len(answers) == len(jobs), done.stderr[-3000:]
    return answers


def test_what_is_valid_trains_and_what_pufferlib_refuses_is_not_valid(tmp_path: Path) -> None:
    valid, invalid = drawn(load_inventory(ENVIRONMENTS))
    answers = tried([*valid, *invalid], tmp_path)
    refused = [(job["env"], job["changes"], said) for job, said in zip(valid, answers, strict=False) if said]
    assert refused == []
    assert {job["env"] for job in valid} == set(ENVIRONMENTS)
    # Were none of the others refused by PufferLib, this could not fail.
    assert sum(said is not None for said in answers[len(valid) :]) > INVALID / 4
