"""The room on this machine: cores that may be used, and how many replicates train side by side."""

import os
from collections.abc import Iterator
from pathlib import Path

import psutil

from lab.space import Config, Environment, memory_of


def usable_cores() -> int:
    """Cores that this process may use: those that it may run on, as far as its cgroup's CPU quota goes."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = cpu_quota()
    return allowed if quota is None else max(1, min(allowed, int(quota + 0.01)))


def cpu_quota(groups: Path = Path("/sys/fs/cgroup"), mine: Path = Path("/proc/self/cgroup")) -> float | None:
    """Cores' worth of time that this process's cgroups leave it, the least of all above it; None without a quota.

    Source: the kernel's cgroup-v2.rst (`cpu.max`: quota and period in microseconds) and, for version 1,
    sched-bwc.rst (`cpu.cfs_quota_us`, -1 for none, and `cpu.cfs_period_us`).

    Args:
        groups: where cgroups are mounted.
        mine: the file that says which ones this process is in.
    """
    found: list[float] = []
    for line in _lines(mine):
        _, _, rest = line.partition(":")
        kinds, _, path = rest.partition(":")
        root = groups / kinds if kinds else groups
        if kinds and "cpu" not in kinds.split(","):
            continue
        root = root if root.is_dir() else groups / "cpu"
        # A container sees its own cgroup as the root, whatever the file says it is called outside.
        places = {root / Path(*parts) for parts in _ways(path)}
        found += [quota for place in places for quota in _quotas(place)]
    return min(found, default=None)


def _ways(path: str) -> Iterator[tuple[str, ...]]:
    parts = tuple(part for part in path.split("/") if part not in ("", ".."))
    return (parts[:length] for length in range(len(parts) + 1))


def _quotas(place: Path) -> Iterator[float]:
    both = (_lines(place / "cpu.max") or [""])[0].split()
    if not both:
        both = [line for name in ("quota", "period") for line in _lines(place / f"cpu.cfs_{name}_us")]
    if len(both) == 2 and all(part.isdigit() for part in both) and int(both[1]):
        yield int(both[0]) / int(both[1])


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except OSError:
        return []


def usable_gpus() -> tuple[str, ...]:
    """The GPUs of NVIDIA's that this process may use, as CUDA_VISIBLE_DEVICES names them; none where that is unknown.

    Asked of the driver, since torch would have to be imported, and would take memory of each.
    """
    if (given := os.environ.get("CUDA_VISIBLE_DEVICES")) is not None:
        return tuple(name.strip() for name in given.split(",") if name.strip())
    try:
        import pynvml

        pynvml.nvmlInit()
        count = pynvml.nvmlDeviceGetCount()
        pynvml.nvmlShutdown()
    except Exception:  # noqa: BLE001 - no driver, or no library for it: whoever trains will hear of it
        return ()
    return tuple(str(number) for number in range(count))


def room_for(config: Config, environment: Environment, device: str, given: int | None, gpus: int = 1) -> int:
    """The number of replicates to train at once.

    Args:
        config: of the run.
        environment: that it trains in.
        device: that it trains on, resolved; a GPU is given one replicate at a time.
        given: what the user set; None derives it from cores, memory and device.
        gpus: GPUs among which they are divided.
    """
    if given is not None:
        return given
    if device != "cpu":
        return gpus
    threads = int(config.autopilot["threads"] or 1)
    processes = int(config.vec.get("num_workers") or config.vec["num_envs"] or 1)
    cores = threads + (processes if config.vec["backend"] == "Multiprocessing" else 0)
    by_memory = int(0.8 * psutil.virtual_memory().available / memory_of(config, environment))
    return max(1, min(usable_cores() // cores, by_memory))
