"""The room on this machine: cores that may be used, and how many replicates train side by side."""

import os

import psutil

from lab.space import Config, Environment, memory_of


def usable_cores() -> int:
    """Cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def room_for(config: Config, environment: Environment, device: str, given: int | None) -> int:
    """The number of replicates to train at once.

    Args:
        config: of the run.
        environment: that it trains in.
        device: that it trains on, resolved; a GPU is given one replicate at a time.
        given: what the user set; None derives it from cores, memory and device.
    """
    if given is not None:
        return given
    if device != "cpu":
        return 1
    threads = int(config.autopilot["threads"] or 1)
    processes = int(config.vec.get("num_workers") or config.vec["num_envs"] or 1)
    cores = threads + (processes if config.vec["backend"] == "Multiprocessing" else 0)
    by_memory = int(0.8 * psutil.virtual_memory().available / memory_of(config, environment))
    return max(1, min(usable_cores() // cores, by_memory))
