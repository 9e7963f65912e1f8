"""PuffeRL, the trainer of PufferLib 3.0.0, driven: build, train, evaluate.

This module and `training.envs` alone import torch and PufferLib, so another version is the work of these two. Both
run in worker processes only; importing them takes about two seconds.
"""

import hashlib
import importlib
import math
import random
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

# PufferLib reads the command line where it is imported and used; the worker's own is not for it.
sys.argv = sys.argv[:1]
import pufferlib  # noqa: E402
import pufferlib.pufferl  # noqa: E402
import pufferlib.pytorch  # noqa: E402
import pufferlib.vector  # noqa: E402

from lab.config import Config  # noqa: E402
from lab.notebook import map_metrics  # noqa: E402
from lab.records import Evaluation, ReplicateResult, RunState  # noqa: E402
from training.envs import devices  # noqa: E402
from training.protocol import Progress, TrainJob  # noqa: E402

# Environment seeds of the final evaluation start at EVAL_SEED x slots, far above those of training: Ocean seeds
# its C environments with `i + seed * num_envs` (env_binding.h).
EVAL_SEED = 2**24


class Diverged(Exception):
    """Losses or weights are no longer finite."""


class Trainer(pufferlib.pufferl.PuffeRL):  # type: ignore[misc]
    """PuffeRL as it is, without the full-screen dashboard."""

    def print_dashboard(self, *_: Any, **__: Any) -> None:
        """Nothing: progress goes out as events."""


def make_vecenv(config: Config, package: str, seed: int) -> Any:
    """The vectorized environment of a config."""
    module = importlib.import_module("pufferlib.ocean" if package == "ocean" else f"pufferlib.environments.{package}")
    vec = {key: value for key, value in config.vec.items() if value is not None}
    if vec["backend"] == "Serial":
        vec = {"backend": "Serial", "num_envs": vec["num_envs"]}
    return pufferlib.vector.make(module.env_creator(config.env_name), env_kwargs=config.env, seed=seed, **vec)


def make_policy(config: Config, package: str, vecenv: Any, device: str) -> torch.nn.Module:
    """The environment's own policy, in its LSTM if the config says so."""
    module = importlib.import_module("pufferlib.ocean" if package == "ocean" else f"pufferlib.environments.{package}")
    arguments = {key: value for key, value in config.policy.items() if key != "name"}
    policy = getattr(module.torch, str(config.policy["name"]))(vecenv.driver_env, **arguments)
    if config.rnn["enabled"]:
        hidden = {"input_size": policy.hidden_size, "hidden_size": policy.hidden_size}
        arguments = {key: value for key, value in config.rnn.items() if key not in ("enabled", "name")}
        policy = getattr(module.torch, str(config.rnn["name"]))(vecenv.driver_env, policy, **{**hidden, **arguments})
    moved: torch.nn.Module = policy.to(device)
    return moved


class _Logger:
    """PuffeRL's logger: passes each log on, and stops a training whose losses are no longer finite."""

    run_id = "checkpoints"  # PuffeRL saves to data_dir/run_id

    def __init__(self, on_log: Callable[[dict[str, float], int], None]) -> None:
        self._on_log = on_log

    def log(self, logs: dict[str, Any], step: int) -> None:
        numbers = {key: float(value) for key, value in logs.items() if isinstance(value, (int, float, np.number))}
        for key in ("losses/policy_loss", "losses/value_loss"):
            if not math.isfinite(numbers.get(key, 0.0)):
                raise Diverged(f"{key} became {numbers[key]} at step {step:,}")
        self._on_log({key: value for key, value in numbers.items() if math.isfinite(value)}, step)

    def close(self, model_path: str) -> None:
        """PuffeRL calls it at the end of its own command only."""


def train(
    job: TrainJob, on_log: Callable[[dict[str, float]], None], on_progress: Callable[[Progress], None]
) -> ReplicateResult:
    """Train one replicate and evaluate it.

    Every fault is an outcome: the result carries state and reason, the traceback goes to the log.

    Args:
        job: what to train.
        on_log: gets every point that PuffeRL logs, as plain numbers.
        on_progress: gets the same as progress.
    """
    threads = int(job.config.autopilot["threads"] or 1)
    device = str(job.config.train["device"])
    device = devices()[0] if device == "auto" else device
    outcome: dict[str, Any] = {"seed": job.seed, "threads": threads, "device": device, "eval_seed": EVAL_SEED}
    policy: torch.nn.Module | None = None
    try:
        _seed_everything(job.seed, threads)
        vecenv = make_vecenv(job.config, job.package, job.seed)
        policy = make_policy(job.config, job.package, vecenv, device)
        outcome |= _train(job, device, vecenv, policy, on_log, on_progress)
        outcome |= {"weights": _weights_hash(policy)}
        outcome |= _evaluate(job, device, policy, on_progress, outcome["metrics"])
        return ReplicateResult(state=RunState.FINISHED, **outcome)
    except Exception as error:  # noqa: BLE001 - recorded: whatever an environment or policy raises is this run's outcome
        traceback.print_exc()
        diverged = isinstance(error, Diverged) or (policy is not None and not _finite(policy))
        state = RunState.DIVERGED if diverged else RunState.FAILED
        text = str(error) if isinstance(error, Diverged) else f"{type(error).__name__}: {error}"
        outcome.pop("metrics", None)
        return ReplicateResult(state=state, reason=" ".join(text.split())[:500] or "no message", **outcome)


def _seed_everything(seed: int, threads: int) -> None:
    """PuffeRL seeds the environment only (its own seeding is commented out); the rest is on us."""
    torch.set_num_threads(threads)
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def _train(
    job: TrainJob,
    device: str,
    vecenv: Any,
    policy: torch.nn.Module,
    on_log: Callable[[dict[str, float]], None],
    on_progress: Callable[[Progress], None],
) -> dict[str, Any]:
    total = int(job.config.train["total_timesteps"] or 0)

    def log(numbers: dict[str, float], step: int) -> None:
        on_log({**numbers, "agent_steps": step})
        score = numbers.get(f"environment/{job.score}")
        shown = None if score is None else score * job.score_scale
        on_progress(Progress(seed=job.seed, phase="train", steps=step, total=total, sps=numbers["SPS"], score=shown))

    settings = {
        **job.config.train, "device": device, "env": job.config.env_name, "seed": job.seed, "batch_size": "auto",
        "use_rnn": bool(job.config.rnn["enabled"]), "data_dir": job.dir,
    }  # fmt: skip
    trainer = Trainer(settings, vecenv, policy, _Logger(log))
    try:
        began = time.perf_counter()
        while trainer.global_step < total:
            trainer.evaluate()
            trainer.train()
        seconds = time.perf_counter() - began
        steps, epochs = trainer.global_step, trainer.epoch
        if not _finite(policy):
            raise Diverged("the final weights are not finite")
        _keep_last(Path(trainer.save_checkpoint()))
    finally:
        trainer.utilization.stop()
        vecenv.close()
    metrics = {"sps": steps / seconds, "agent_steps": float(steps), "epoch": float(epochs)}
    return {"metrics": metrics, "train_seconds": seconds}


def _keep_last(model: Path) -> None:
    for path in model.parent.glob("model_*.pt"):
        if path != model:
            path.unlink()


def _finite(policy: torch.nn.Module) -> bool:
    return all(bool(torch.isfinite(parameter).all()) for parameter in policy.parameters())


def _weights_hash(policy: torch.nn.Module) -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(policy.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


# --- the final evaluation ----------------------------------------------------------------------------------------


def _evaluate(
    job: TrainJob,
    device: str,
    policy: torch.nn.Module,
    on_progress: Callable[[Progress], None],
    metrics: dict[str, float],
) -> dict[str, Any]:
    """Score the policy on a fixed number of steps of environments it was not trained on.

    Twice from the same start: with sampled actions, as it was trained, and with the likeliest ones, which ent_coef
    does not blur.
    """
    total = int(job.config.train["total_timesteps"] or 0)
    on_progress(Progress(seed=job.seed, phase="evaluate", steps=total, total=total, sps=0.0))
    began = time.perf_counter()
    slots, steps = int(job.config.autopilot["eval_slots"] or 1), int(job.config.autopilot["eval_steps"] or 1)
    units = max(1, round(slots / job.agents_per_env))
    changes = {"env.num_envs": units} if "num_envs" in job.config.env else {}
    copies = 1 if changes else units
    config = job.config.with_overrides({**changes, "vec.backend": "Serial", "vec.num_envs": copies})
    vecenv = make_vecenv(config, job.package, EVAL_SEED)
    policy.eval()
    try:
        passes = [
            _rollout(policy, vecenv, steps, device, bool(config.rnn["enabled"]), greedy) for greedy in (False, True)
        ]
    finally:
        vecenv.close()
    sampled = map_metrics(passes[0].raw, job.config.env_name)
    return {
        "evaluations": tuple(passes),
        "eval_seconds": time.perf_counter() - began,
        "metrics": {**sampled, **metrics},
    }


@torch.no_grad()
def _rollout(policy: Any, vecenv: Any, steps: int, device: str, recurrent: bool, greedy: bool) -> Evaluation:
    """Step the vectorized environment and average what it logs, each log weighed by its episodes."""
    torch.manual_seed(EVAL_SEED)
    observations, _ = vecenv.reset(EVAL_SEED)
    agents = vecenv.num_agents
    state: dict[str, Any] = {}
    if recurrent:
        state = {key: torch.zeros(agents, policy.hidden_size, device=device) for key in ("lstm_h", "lstm_c")}
    totals: dict[str, float] = {}
    weights: dict[str, float] = {}
    for _ in range(steps):
        logits, _ = policy.forward_eval(torch.as_tensor(observations).to(device), state)
        actions = _likeliest(logits) if greedy else pufferlib.pytorch.sample_logits(logits)[0]
        chosen = actions.cpu().numpy().reshape(vecenv.action_space.shape)
        if isinstance(logits, torch.distributions.Normal):
            chosen = np.clip(chosen, vecenv.action_space.low, vecenv.action_space.high)
        observations, _, terminals, truncations, infos = vecenv.step(chosen.astype(vecenv.action_space.dtype))
        if recurrent and (ended := np.flatnonzero(terminals | truncations)).size:
            for key in ("lstm_h", "lstm_c"):
                state[key][ended] = 0
        for info in infos:
            _add(info, totals, weights)
    raw = {key: totals[key] / weights[key] for key in totals if weights[key]}
    episodes = int(weights.get("n", max(weights.values(), default=0)))
    return Evaluation(
        actions="greedy" if greedy else "sampled",
        episodes=episodes,
        unfinished_share=agents / (agents + episodes),
        raw=raw,
    )


def _add(info: dict[str, Any] | None, totals: dict[str, float], weights: dict[str, float]) -> None:
    """Add one log of the environment: means over its `n` episodes, or single values where it has no `n`."""
    if not info:
        return
    weight = float(info.get("n") or 1)
    for key, value in pufferlib.unroll_nested_dict(info):
        values = np.asarray(value).ravel()
        if values.dtype.kind not in "biuf" or not values.size:
            continue
        totals[key] = totals.get(key, 0.0) + float(values.mean()) * weight
        weights[key] = weights.get(key, 0.0) + weight


def _likeliest(logits: Any) -> torch.Tensor:
    if isinstance(logits, torch.distributions.Normal):
        mean: torch.Tensor = logits.loc
        return mean
    if isinstance(logits, torch.Tensor):
        return logits.argmax(-1)
    return torch.stack([part.argmax(-1) for part in logits], dim=-1)
