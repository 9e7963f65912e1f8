"""Which executor a training has, by what a person asked for."""

import re
import shutil
from importlib.util import find_spec
from typing import Literal, TypeVar

from lab.base import Workspace, invalid
from training.executors.cluster import RayExecutor
from training.executors.executor import Executor
from training.executors.local import LocalExecutor
from training.executors.settings import RaySettings, SlurmSettings, ray_settings, slurm_settings
from training.executors.slurm import SlurmExecutor

ExecutorKind = Literal["local", "ray", "slurm"]
Asked = TypeVar("Asked", RaySettings, SlurmSettings)
KINDS: tuple[ExecutorKind, ...] = ("local", "ray", "slurm")


def executor_asked(workspace: Workspace, kind: str, address: str | None) -> tuple[ExecutorKind, str | None]:
    """What a person asked for, checked: the kind of executor, and the address that it needs.

    Args:
        workspace: whose settings have an address where none is given.
        kind: one of `KINDS`.
        address: of the cluster's head, host:port.

    Raises:
        InvalidInput: there is no such executor, no address, or the package for it is not installed.
    """
    if kind not in KINDS:
        raise invalid("executor", kind, "is none", " | ".join(KINDS))
    if kind != "ray" and address is not None:
        raise invalid("address", address, f"has no part in --executor {kind}", "--executor ray")
    if kind == "local":
        return "local", None
    if kind == "slurm":
        _require_slurm(workspace)
        return "slurm", None
    address = address or ray_settings(workspace).address
    if address is None:
        raise invalid("address", "", "is needed for --executor ray", "--address HOST:PORT, or address in [ray]")
    if not re.fullmatch(r"[A-Za-z0-9._-]+:\d{1,5}|\[[0-9a-fA-F:]+\]:\d{1,5}", address):
        raise invalid("address", address, "is no address of a Ray cluster's head", "HOST:PORT, such as 10.0.0.1:6379")
    if find_spec("ray") is None:
        raise invalid("executor", kind, "needs the package ray", "leave it out, or install it: pip install ray")
    return "ray", address


def _require_slurm(workspace: Workspace) -> None:
    slurm_settings(workspace)
    if find_spec("submitit") is None:
        rule, valid = "needs the package submitit", "leave it out, or install it: pip install submitit"
        raise invalid("executor", "slurm", rule, valid)
    if absent := [name for name in ("sbatch", "squeue", "scancel", "srun") if shutil.which(name) is None]:
        rule = f"finds no {', '.join(absent)} here"
        raise invalid(
            "executor", "slurm", rule, "a machine that has Slurm's commands, such as the cluster's login node"
        )


ALONE = 60.0
"""Seconds that slots wait for somebody who would not come back for them."""


def executor_for(
    workspace: Workspace,
    kind: str,
    address: str | None,
    owner: str,
    parallel: int | None,
    *,
    comes_back: bool = True,
) -> Executor:
    """The executor of a training; nothing is started yet.

    Args:
        workspace: where runs lie.
        kind: as `executor_asked` answered.
        address: likewise.
        owner: session or run, by which its slots are found again.
        parallel: replicates at once; None for as many as there is room for.
        comes_back: whether the owner, if it is killed, is begun again and finds its replicates.

    Raises:
        InvalidInput: the table in autopilot.toml can't be read.
    """
    if kind == "slurm":
        return SlurmExecutor(workspace, owner, _kept(slurm_settings(workspace), comes_back), parallel)
    if kind == "local" or address is None:
        return LocalExecutor(parallel)
    return RayExecutor(workspace, address, owner, _kept(ray_settings(workspace), comes_back), parallel)


def _kept(asked: Asked, comes_back: bool) -> Asked:
    return asked if comes_back else asked.model_copy(update={"keep": min(asked.keep, ALONE)})
