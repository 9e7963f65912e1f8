"""The inventory from the outside: read the one on disk, or have a worker write it.

Nothing here imports torch: which installation the inventory describes is told from package metadata.
"""

import hashlib
import sys
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from lab.errors import Damaged, TrainingFailed
from lab.files import read_model, write_model
from lab.inventory import Inventory
from lab.paths import cache_dir
from training.process import Worker
from training.protocol import Ended, InventoryJob

NEEDED = ("torch", "pufferlib", "heavyball", "numpy")


def missing() -> list[str]:
    """Packages that training needs and that are not installed."""
    return [package for package in NEEDED if _version(package) is None]


def installation() -> str:
    """Identifies what an inventory was read from: interpreter and versions."""
    return " ".join([sys.executable, *(f"{package}={_version(package)}" for package in (*NEEDED, "autopilot"))])


def inventory_path() -> Path:
    """Where this installation's inventory is kept."""
    key = hashlib.sha256(installation().encode()).hexdigest()[:12]
    return cache_dir() / f"inventory-{key}.json"


def load_inventory(build: Iterable[str] = (), *, timeout: float = 180) -> Inventory:
    """This machine's inventory; a worker makes it (a few seconds) when it is missing or out of date.

    Args:
        build: environments whose number of agents must be known; unknown names are left to the caller to refuse.
        timeout: seconds that the worker may take.

    Raises:
        TrainingFailed: no worker could make it.
    """
    wanted = set(build)
    known = _stored()
    if known is not None:
        wanted = {
            name for name in wanted
            if (env := known.environments.get(name)) and env.refused is None and env.agents_per_env is None
        }  # fmt: skip
        if not wanted:
            return known
    if absent := missing():
        raise TrainingFailed(f"not installed: {', '.join(absent)}; 'make install' builds the environment")
    fresh = _ask(sorted(wanted), timeout)
    if known is not None:  # keep what was counted before
        counted = {name: env for name, env in known.environments.items() if env.agents_per_env is not None}
        fresh = fresh.model_copy(update={"environments": {**fresh.environments, **counted}})
        write_model(inventory_path(), fresh)
    return fresh


def _stored() -> Inventory | None:
    try:
        known = read_model(inventory_path(), Inventory)
    except (FileNotFoundError, Damaged):
        return None
    return known if known.made_from == installation() else None


def _ask(build: list[str], timeout: float) -> Inventory:
    path = inventory_path()
    worker = Worker(threads=1)
    try:
        worker.send(InventoryJob(build=tuple(build), to=str(path.absolute())))
        for event in worker.events(timeout):
            if isinstance(event, Ended):
                return read_model(path, Inventory)
        raise TrainingFailed(f"the worker that looks at this machine {worker.how_it_ended()}: {worker.said()}")
    finally:
        worker.kill()


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
