"""Which executor a training has, by what a person asked for."""

import re
from importlib.util import find_spec
from typing import Literal

from lab.base import Workspace, invalid
from training.executors.cluster import RayExecutor
from training.executors.executor import Executor
from training.executors.local import LocalExecutor
from training.executors.settings import ray_settings

ExecutorKind = Literal["local", "ray"]
KINDS: tuple[ExecutorKind, ...] = ("local", "ray")


def executor_asked(workspace: Workspace, kind: str, address: str | None) -> tuple[ExecutorKind, str | None]:
    """What a person asked for, checked: the kind of executor, and the address that it needs.

    Args:
        workspace: whose settings have an address where none is given.
        kind: `local` or `ray`.
        address: of the cluster's head, host:port.

    Raises:
        InvalidInput: there is no such executor, no address, or the package for it is not installed.
    """
    if kind == "local":
        if address is not None:
            raise invalid("address", address, "has no part in --executor local", "--executor ray")
        return "local", None
    if kind != "ray":
        raise invalid("executor", kind, "is none", " | ".join(KINDS))
    address = address or ray_settings(workspace).address
    if address is None:
        raise invalid("address", "", "is needed for --executor ray", "--address HOST:PORT, or address in [ray]")
    if not re.fullmatch(r"[A-Za-z0-9._-]+:\d{1,5}|\[[0-9a-fA-F:]+\]:\d{1,5}", address):
        raise invalid("address", address, "is no address of a Ray cluster's head", "HOST:PORT, such as 10.0.0.1:6379")
    if find_spec("ray") is None:
        raise invalid("executor", kind, "needs the package ray", "leave it out, or install it: pip install ray")
    return "ray", address


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
    if kind == "local" or address is None:
        return LocalExecutor(parallel)
    asked = ray_settings(workspace)
    if not comes_back:
        asked = asked.model_copy(update={"keep": min(asked.keep, ALONE)})
    return RayExecutor(workspace, address, owner, asked, parallel)
