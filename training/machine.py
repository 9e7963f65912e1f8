"""The inventory from the outside: read the one on disk, or have a worker write it.

Nothing here imports torch: which installation the inventory describes is told from package metadata.
"""

import sys
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version

from lab.errors import Damaged, TrainingFailed
from lab.files import read_model, write_model
from lab.inventory import Inventory
from lab.paths import Workspace
from training.process import Worker
from training.protocol import Ended, InventoryJob

NEEDED = ("torch", "pufferlib", "heavyball", "numpy")


def missing() -> list[str]:
    """Packages that training needs and that are not installed."""
    return [package for package in NEEDED if _version(package) is None]


def installation() -> str:
    """Identifies what an inventory was read from: interpreter and versions."""
    return " ".join([sys.executable, *(f"{package}={_version(package)}" for package in (*NEEDED, "autopilot"))])


def load_inventory(workspace: Workspace, build: Iterable[str] = (), *, timeout: float = 180) -> Inventory:
    """This machine's inventory; a worker makes it (a few seconds) when it is missing or out of date.

    Args:
        workspace: where it is kept.
        build: environments whose number of agents must be known; unknown names are left to the caller to refuse.
        timeout: seconds that the worker may take.

    Raises:
        TrainingFailed: no worker could make it.
    """
    wanted = set(build)
    known = _stored(workspace)
    if known is not None:
        wanted = {
            name for name in wanted
            if (env := known.environments.get(name)) and env.refused is None and env.agents_per_env is None
        }  # fmt: skip
        if not wanted:
            return known
    if absent := missing():
        raise TrainingFailed(f"not installed: {', '.join(absent)}; 'make install' builds the environment")
    fresh = _ask(workspace, sorted(wanted), timeout)
    if known is not None:  # keep what was counted before
        counted = {name: env for name, env in known.environments.items() if env.agents_per_env is not None}
        fresh = fresh.model_copy(update={"environments": {**fresh.environments, **counted}})
        write_model(workspace.inventory, fresh)
    return fresh


def _stored(workspace: Workspace) -> Inventory | None:
    try:
        known = read_model(workspace.inventory, Inventory)
    except (FileNotFoundError, Damaged):
        return None
    return known if known.made_from == installation() else None


def _ask(workspace: Workspace, build: list[str], timeout: float) -> Inventory:
    workspace.runs.mkdir(parents=True, exist_ok=True)
    worker = Worker(threads=1)
    try:
        worker.send(InventoryJob(build=tuple(build), to=str(workspace.inventory.absolute())))
        for event in worker.events(timeout):
            if isinstance(event, Ended):
                return read_model(workspace.inventory, Inventory)
        raise TrainingFailed(f"the worker that looks at this machine {worker.how_it_ended()}: {worker.said()}")
    finally:
        worker.kill()


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
