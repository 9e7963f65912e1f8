"""How fast a config trains, without an evaluation and without a trace. It runs in worker processes only."""

import time

import torch

from training import adapter, build
from training.envs import devices
from training.protocol import MeasureJob


def speed(job: MeasureJob) -> float:
    """Steps per second of the training loop, environments, forward, backward and update included.

    The first update is not counted unless it alone takes as long as the measurement is meant to: memory is first
    touched and kernels are first chosen in it.

    Args:
        job: what to train, for at least so many seconds and at least one update.
    """
    config = job.config
    torch.set_num_threads(int(config.autopilot["threads"] or 1))
    torch.manual_seed(0)
    device = str(config.train["device"])
    device = devices()[0] if device == "auto" else device
    vecenv = build.environments(config, job.variants, 0)
    try:
        policy = build.policy(config, job.package, vecenv, device, job.variants)
        trainer = adapter.Trainer(config, vecenv, policy, seed=0, device=device)
        began, steps = time.perf_counter(), 0
        _update(trainer, device)
        if time.perf_counter() - began < job.seconds:
            began, steps = time.perf_counter(), int(trainer.global_step)
            while time.perf_counter() - began < job.seconds:
                _update(trainer, device)
        return float((trainer.global_step - steps) / (time.perf_counter() - began))
    finally:
        vecenv.close()


def _update(trainer: adapter.Trainer, device: str) -> None:
    trainer.evaluate()
    trainer.train()
    if device == "cuda":
        torch.cuda.synchronize()
