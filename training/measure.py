"""The speed of a config's training and evaluation, measured without a trace. It runs in worker processes only."""

import time

import torch

from training import adapter, build
from training.evaluation import Evaluator
from training.protocol import MeasureJob, Moment

EVALUATED = 0.6
"""Seconds that the evaluation is measured for."""


def moment(job: MeasureJob) -> Moment:
    """Train for a moment, environments, forward, backward and update included; then begin an evaluation.

    The first update is not counted unless it alone takes as long as the measurement is meant to: memory is first
    touched and kernels are first chosen in it.

    Args:
        job: what to train, for at least so many seconds and at least one update.
    """
    config, device, started = job.config, job.device, time.perf_counter()
    torch.set_num_threads(int(config.autopilot["threads"] or 1))
    torch.manual_seed(0)
    vecenv = build.environments(config, job.variants, 0)
    try:
        policy = build.policy(config, job.package, vecenv, device, job.variants)
        trainer = adapter.Trainer(config, vecenv, policy, seed=0, device=device)
        began, steps = time.perf_counter(), 0
        _update(trainer, device)
        first, updated = int(trainer.global_step), time.perf_counter()
        if updated - began < job.seconds:
            began, steps = updated, first
            while time.perf_counter() - began < job.seconds:
                _update(trainer, device)
        sps = float((trainer.global_step - steps) / (time.perf_counter() - began))
    finally:
        vecenv.close()
    trained = Moment(sps=sps, start=max(0.0, updated - started - first / sps))
    if job.task is None:
        return trained
    evaluator = Evaluator.of(config, job.task, job.agents_per_env, device)
    seconds, logged, settled = evaluator.begin(policy, EVALUATED)
    return trained.model_copy(update={"evaluation": seconds, "logged": logged, "settled": settled})


def _update(trainer: adapter.Trainer, device: str) -> None:
    trainer.evaluate()
    trainer.train()
    if device == "cuda":
        torch.cuda.synchronize()
