"""A replicate from its seeds to its result: build, load a checkpoint if wanted, train, evaluate; any end is an outcome.

It imports torch, so it runs in worker processes only.
"""

import contextlib
import random
import sys
import time
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch

from lab.base import SeedPaths, now, text_of
from lab.space import Told, evaluation_spans, first_seed, hint, of_config
from lab.store import ReplicateResult, RunState, StopReason, map_metrics
from training import adapter, build, checkpoints
from training.env_processes import EnvironmentDied, ProcessWatch
from training.evaluation import UNFINISHED, Evaluator
from training.protocol import OnProgress, Progress, ShouldStop, TrainJob
from training.sources import sources
from training.training_log import Diverged, OnLog, TrainingLog


class _Stopped(Exception):
    def __init__(self, why: StopReason) -> None:
        self.why = why


ADVICE = (" Including non-PyTorch memory", "\nSearch for `cuda", "\nCUDA kernel errors might be")
"""What CUDA's errors say after what happened."""
LISTED = 5
"""Metrics that a note names."""


def train(job: TrainJob, on_log: OnLog, on_progress: OnProgress, stopping: ShouldStop) -> ReplicateResult:
    """Train one replicate and evaluate it.

    Every fault is an outcome: the result carries state and reason, the traceback goes to the log.

    Args:
        job: what to train.
        on_log: gets every point that PuffeRL logs, as plain numbers, and the agent steps so far.
        on_progress: gets the same as progress.
        stopping: asked after each update; once it answers, training ends there and its weights are kept.
    """
    return _Replicate(job, on_log, on_progress, stopping).run()


class _Replicate:
    def __init__(self, job: TrainJob, on_log: OnLog, on_progress: OnProgress, stopping: ShouldStop) -> None:
        self.job, self.config = job, job.config
        self._on_progress, self._stopping = on_progress, stopping
        self.total = int(self.config.train["total_timesteps"] or 0)
        self.threads = int(self.config.autopilot["threads"] or 1)
        self.device = job.device
        self.outcome: dict[str, Any] = {"seed": job.seed, "threads": self.threads, "device": self.device}
        self.notes: list[str] = []
        self.policy: torch.nn.Module | None = None
        self.log = TrainingLog(job, self.total, self.device, on_log, on_progress)

    def run(self) -> ReplicateResult:
        """Train and evaluate, whatever happens."""
        try:
            self._train()
            self._evaluate()
            return self._result(RunState.FINISHED)
        except _Stopped as stopped:
            return self._result(stopped.why.state, stopped.why.reason)
        except Exception as error:  # noqa: BLE001 - recorded: whatever an environment or policy raises is the outcome
            plain = isinstance(error, (Diverged, EnvironmentDied, checkpoints.Unfit, adapter.Unusable))
            with contextlib.suppress(OSError):  # the log may lie on the disk that is full
                sys.stderr.write(f"{error}\n" if plain else traceback.format_exc())
            diverged = isinstance(error, Diverged) or (self.policy is not None and _has_diverged(self.policy))
            text = str(error) if plain else f"{type(error).__name__}: {_brief(error)}"
            state = RunState.DIVERGED if diverged else RunState.FAILED
            text = " ".join(text_of(text).split())[:500] or "no message"
            return self._result(state, text + hint(error.__cause__ or error, self.job.workspace))

    def _result(self, state: RunState, reason: str | None = None) -> ReplicateResult:
        if state is not RunState.FINISHED:
            self.outcome.pop("metrics", None)
        with contextlib.suppress(psutil.Error):
            self.outcome["peak_memory_mib"] = _peak_memory_mib()
        return ReplicateResult(state=state, reason=reason, notes=tuple(self.notes), **self.outcome)

    # --- training ------------------------------------------------------------------------------------------------

    def _train(self) -> None:
        job, config = self.job, self.config
        _seed_everything(job.seed, self.threads)
        vecenv = self._environments()
        self.log.settled = "environment" not in job.variants and adapter.logs_settled(vecenv.driver_env)
        watch = ProcessWatch(vecenv)
        try:
            policy = self.policy = build.policy(config, job.package, vecenv, self.device, job.variants)
            self.outcome["sources"] = sources(vecenv.driver_env, policy, job.workspace)
            loaded = self._load(policy)
            before = loaded.steps if loaded else 0
            strategy = str(config.autopilot.get("save_strategy") or "latest")
            limit_mib = int(config.autopilot.get("save_limit_mib") or 512)
            keep = checkpoints.Checkpoints(SeedPaths(Path(job.dir)), strategy, limit_mib, before, job.goal.sign)
            trainer = adapter.Trainer(
                config,
                vecenv,
                policy,
                seed=first_seed(config, job.seed),
                device=self.device,
                on_log=self.log.take,
                on_checkpoint=lambda trainer: keep.save(trainer, self.log.score_since()),
            )
            self._restore(trainer, loaded)
            self._loop(trainer, keep)
        finally:
            watch.end()
            vecenv.close()
        self.outcome["metrics"]["cumulative_steps"] = before + self.outcome["metrics"]["agent_steps"]

    def _environments(self) -> Any:
        job, config = self.job, self.config
        self._reserve_evaluation_seeds()
        told = Told(job.task.told, job.score)
        vecenv = build.environments(config, job.variants, first_seed(config, job.seed), told)
        arguments = build.environment_arguments(config, job.variants)
        task_like = {key: value for key, value in arguments.items() if key != "num_envs"} == job.task.env
        if "environment" in job.variants or not task_like:
            self._require_the_tasks_spaces(vecenv)
        return vecenv

    def _require_the_tasks_spaces(self, vecenv: Any) -> None:
        """What is trained in must fit what is scored on; else the whole training would be for nothing."""
        task = adapter.maker_of(self.config.env_name)(**self._evaluator().arguments)
        try:
            problem = adapter.space_problem(vecenv.driver_env, task)
        finally:
            task.close()
        if problem:
            raise adapter.Unusable(f"it trains on other spaces than the task's that it is scored on: {problem}")

    def _reserve_evaluation_seeds(self) -> None:
        """No environment may be trained on a seed of the evaluation; the parent saw to it, here it is certain."""
        kept = evaluation_spans(*self._evaluator().shape)
        if any(span.meets(other) for span in of_config(self.config, self.job.seed) for other in kept):
            raise ValueError(f"seed {self.job.seed} makes environment seeds that the final evaluation uses")

    def _load(self, policy: torch.nn.Module) -> checkpoints.Loaded | None:
        if self.job.start_from is None:
            return None
        path = Path(self.job.start_from)
        loaded = checkpoints.load(path, self.device)
        checkpoints.fit(policy, loaded, path)
        self.outcome["started_from"] = checkpoints.weights_hash(policy.state_dict())
        return loaded

    def _restore(self, trainer: adapter.Trainer, loaded: checkpoints.Loaded | None) -> None:
        if loaded is None:
            return
        note = loaded.note if loaded.state is None else trainer.restore(loaded.state)
        if note:
            self.notes.append(note)
            sys.stdout.write(f"{note}\n")

    def _loop(self, trainer: adapter.Trainer, keep: checkpoints.Checkpoints) -> None:
        self.outcome["first_step"] = now()
        began = time.perf_counter()
        while trainer.global_step < self.total and self.log.reached is None:
            trainer.evaluate()
            trainer.train()
            why = self._stopping()
            if why is not None:
                keep.save(trainer, None)
                raise _Stopped(why.model_copy(update={"reason": f"{why.reason}, after {trainer.global_step:,} steps"}))
        seconds = time.perf_counter() - began
        if not _finite(trainer.uncompiled_policy):
            raise Diverged("the final weights are not finite")
        if (reached := self.log.reached) is not None:
            self.outcome["stopped_early"] = f"its score reached {reached:.6g} after {trainer.global_step:,} steps"
            keep.save(trainer, None)
        self.outcome |= {
            "train_seconds": seconds,
            "weights": checkpoints.weights_hash(trainer.uncompiled_policy.state_dict()),
            "metrics": {
                "sps": trainer.global_step / seconds,
                "agent_steps": float(trainer.global_step),
                "epoch": float(trainer.epoch),
            },
        }

    # --- the score -----------------------------------------------------------------------------------------------

    def _evaluator(self) -> Evaluator:
        job = self.job
        return Evaluator.of(self.config, job.task, job.agents_per_env, self.device, self._alive, job.score)

    def _alive(self) -> None:
        self._on_progress(
            Progress(seed=self.job.seed, phase="evaluate", steps=self.total, total=self.total, sps=0.0, score=None)
        )

    def _evaluate(self) -> None:
        self._alive()
        began = time.perf_counter()
        assert self.policy is not None  # noqa: S101 - trained
        evaluator = self._evaluator()
        passes = evaluator.run(self.policy)
        for done in passes:
            if done.unfinished_share >= UNFINISHED:
                share = f"{done.unfinished_share:.0%}"
                self.notes.append(f"episodes that the {done.actions} evaluation cut off may weigh up to {share}")
            if not done.raw and not done.not_finite:
                self.notes.append(f"no episode ended within the {done.steps} steps of the {done.actions} evaluation")
            if done.not_finite:
                self.notes.append(f"left out of the {done.actions} evaluation, not finite: {_listed(done.not_finite)}")
        self.outcome |= {
            "evaluations": passes,
            "eval_seed": evaluator.seed,
            "eval_seconds": time.perf_counter() - began,
            "metrics": {**map_metrics(passes[0].raw, self.config.env_name), **self.outcome["metrics"]},
        }
        if (odd := passes[0].not_finite.get(self.job.score)) is not None:
            raise Diverged(f"{self.job.goal.metric} came to {odd} in the final evaluation")


def _seed_everything(seed: int, threads: int) -> None:
    """PuffeRL seeds the environment only (its own seeding is commented out); the rest is on us."""
    torch.set_num_threads(threads)
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def _listed(odd: Mapping[str, str]) -> str:
    """The first few names with what they came to, and how many more there are."""
    more = f" and {len(odd) - LISTED} more" if len(odd) > LISTED else ""
    return ", ".join(f"{name} ({value})" for name, value in list(odd.items())[:LISTED]) + more


def _finite(policy: torch.nn.Module) -> bool:
    return all(bool(torch.isfinite(parameter).all()) for parameter in policy.parameters())


def _has_diverged(policy: torch.nn.Module) -> bool:
    """Whether a policy has weights that are no numbers; a GPU that is full, or that failed, does not tell."""
    try:
        return not _finite(policy)
    except RuntimeError:
        return False


def _brief(error: Exception) -> str:
    """What an error says, of CUDA's only what happened: they go on with advice for those who debug kernels."""
    text = str(error)
    for advice in ADVICE:
        text = text.partition(advice)[0]
    return text


def _peak_memory_mib() -> float:
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # KiB on Linux, bytes on macOS
    return float(peak / 2**20 if sys.platform == "darwin" else peak / 2**10)
