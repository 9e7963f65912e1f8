"""The machine from the outside: its inventory, read from disk or written by a worker, and what it has room for.

Nothing here imports torch: which installation the inventory describes is told from package metadata.
"""

import contextlib
import hashlib
import os
import platform
import secrets
import sys
from collections.abc import Collection, Iterable, Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from lab.base import Damaged, TrainingFailed, Workspace, cache_dir, invalid, plain, read_model, write_model
from lab.space import (
    BUILT_IN,
    GYMNASIUM,
    WRAPPERS,
    Environment,
    Inventory,
    Limit,
    Variants,
    check_importable,
    declared_limits,
    declared_variants,
    declared_wrappers,
    environment_wrappers,
)
from training.process import start_worker
from training.protocol import BuildOrder, Ended, InventoryJob, LoadJob

NEEDED = ("torch", "pufferlib", "heavyball", "numpy")
FORM = "2"
"""What is read of an environment; what another version of this program has read is read again."""


def missing() -> list[str]:
    """Packages that training needs and that are not installed."""
    return [package for package in NEEDED if _version(package) is None]


def installation() -> str:
    """The name of this installation, by which an inventory is known: interpreter, versions, GPUs that may be used."""
    versions = (f"{package}={_version(package)}" for package in (*NEEDED, "autopilot"))
    return " ".join([sys.executable, *versions, f"form={FORM}", *_gpus()])


@cache  # read from files for each replicate, they take more time than all else that surrounds one
def versions_here() -> Mapping[str, str]:
    """The versions by which two machines may train differently: of what trains, of autopilot and of Python."""
    found = {package: _version(package) for package in (*NEEDED, "autopilot")}
    return {**{package: number for package, number in found.items() if number}, "python": platform.python_version()}


def _gpus() -> list[str]:
    """What torch finds GPUs by, as far as it can be seen without torch: their devices, the driver, what hides them."""
    signs = sorted(path.name for path in Path("/dev").glob("nvidia[0-9]*"))
    with contextlib.suppress(OSError):
        signs.append(" ".join(Path("/proc/driver/nvidia/version").read_text().split()))
    if (visible := os.environ.get("CUDA_VISIBLE_DEVICES")) is not None:
        signs.append(f"CUDA_VISIBLE_DEVICES={visible}")
    return signs


def inventory_path() -> Path:
    """The file in which this installation's inventory is kept."""
    key = hashlib.sha256(installation().encode()).hexdigest()[:12]
    return cache_dir() / f"inventory-{key}.json"


def load_inventory(
    build: Iterable[str] | Mapping[str, Mapping[str, Any]] = (),
    workspace: Workspace | None = None,
    *,
    timeout: float = 180,
) -> Inventory:
    """This machine's inventory; a worker makes it (a few seconds) when it is missing or out of date.

    Args:
        build: environments whose number of agents must be known, or each with the arguments that it is to be built
            with; unknown names are left to the caller to refuse.
        workspace: where the user's modules and variants are; none of them are known without.
        timeout: seconds that the worker may take.

    Raises:
        TrainingFailed: no worker could make it.
        InvalidInput: the variants that the workspace declares can't be read, or Python has another module for one that
            the workspace has.
    """
    declared = (declared_variants(workspace), declared_limits(workspace)) if workspace else ({}, {})
    wrappers = declared_wrappers(workspace) if workspace else {}
    asked = build if isinstance(build, Mapping) else {}
    wanted = {
        name: BuildOrder(
            arguments={k: v for k, v in asked.get(name, {}).items() if k not in ("num_envs", WRAPPERS)},
            wrappers=tuple(asked.get(name, {}).get(WRAPPERS, environment_wrappers(wrappers, name))),
        )
        for name in build
    }
    if workspace is not None:
        for name in wanted:
            check_importable("env", name, workspace.root)
    return _overlaid(_known(wanted, set(asked), workspace, timeout), *declared, wanted)


def stored_inventory(env_name: str, workspace: Workspace) -> Inventory | None:
    """This machine's inventory as it was last written, for who only looks: no worker is asked.

    Args:
        env_name: the environment that has to be in it.
        workspace: whose variants and limits it has.

    Returns:
        None where there is none of this installation, or it has no such environment.

    Raises:
        InvalidInput: what the workspace declares can't be read.
    """
    known = _stored()
    if known is None or env_name not in known.environments:
        return None
    return _overlaid(known, declared_variants(workspace), declared_limits(workspace), (env_name,))


def _overlaid(known: Inventory, variants: Variants, limits: dict[str, Limit], wanted: Collection[str]) -> Inventory:
    """An inventory with what a workspace declares, without what others have of their own."""
    overlaid = {
        name: environment.model_copy(update={"variants": _for(variants, name), "limits": limits})
        for name, environment in known.environments.items()
        if ":" not in name or name in wanted  # what other workspaces have is none of this one's business
    }
    return known.model_copy(update={"environments": overlaid})


def require_loadable(workspace: Workspace, env_name: str | None = None, *, timeout: float = 180) -> None:
    """Load each variant that a workspace declares once, in a worker: a run would fail by one that can't be loaded.

    Args:
        workspace: whose variants.
        env_name: only those that this environment may have; all if not given.
        timeout: seconds that the worker may take.

    Raises:
        InvalidInput: one of them can't be loaded.
        TrainingFailed: the worker came to no answer.
    """
    declared = declared_variants(workspace)
    calls = {
        f"variants.{kind}.{name}.call": variant.call
        for kind, named in (_for(declared, env_name) if env_name else declared).items()
        for name, variant in named.items()
    }
    if not calls:
        return
    worker = start_worker(1, role="look")
    try:
        worker.send(LoadJob(calls=tuple(calls.values()), workspace=str(workspace.root.absolute())))
        ended = next((event for event in worker.events(timeout) if isinstance(event, Ended)), None)
        if ended is None:
            raise TrainingFailed(f"the worker that loads the variants {worker.how_it_ended()}: {worker.said()}")
    finally:
        worker.kill()
    for key, call in calls.items():
        if why := ended.unloadable.get(call):
            raise invalid(key, call, f"can't be loaded: {plain(why, 400)}", "module:callable of the workspace")


def _known(wanted: dict[str, BuildOrder], exactly: set[str], workspace: Workspace | None, timeout: float) -> Inventory:
    """The inventory with what is wanted; of those named in `exactly` the arguments count too."""
    known = _stored()
    if known is not None:
        root = workspace.root.absolute() if workspace else None
        found = known.environments
        wanted = {
            name: order
            for name, order in wanted.items()
            if _outdated(name, found.get(name), root) or not _as_ordered(found.get(name), order, name in exactly)
        }
        if not wanted:
            return known
    if absent := missing():
        raise TrainingFailed(f"not installed: {', '.join(absent)}; 'make install' builds the environment")
    fresh = _ask(dict(sorted(wanted.items())), workspace, timeout)
    if known is not None:  # keep what was built before
        kept = {k: e for k, e in known.environments.items() if k not in wanted and _built(e)}
        fresh = fresh.model_copy(update={"environments": {**fresh.environments, **kept}})
    write_model(inventory_path(), fresh)
    return fresh


def _outdated(name: str, known: Environment | None, workspace: Path | None) -> bool:
    """Whether an environment has to be looked at: never built, or the user's and perhaps changed or mended since."""
    if known is None or known.refused is not None:
        return ":" in name
    if ":" not in name.removeprefix(GYMNASIUM):
        return not _built(known)
    here = workspace is not None and all(Path(path).is_relative_to(workspace) for path in known.sources)
    return not known.sources or not here or any(_hash(path) != digest for path, digest in known.sources.items())


def _as_ordered(known: Environment | None, order: BuildOrder, exactly: bool) -> bool:
    """Whether an environment was built with what is asked for; what its constructor does not have is of no account."""
    if known is None or ":" not in known.name:
        return True
    taken = {key: value for key, value in order.arguments.items() if key in known.constructor}
    return known.wrappers == order.wrappers and (not exactly or known.arguments == taken)


def _built(environment: Environment) -> bool:
    return environment.agents_per_env is not None


def _hash(path: str) -> str | None:
    try:
        return hashlib.sha256(Path(path).read_bytes()).hexdigest()[:16]
    except OSError:
        return None


def _for(variants: Variants, env_name: str) -> Variants:
    fitting = {
        kind: {name: variant for name, variant in named.items() if variant.env in (None, env_name)}
        for kind, named in variants.items()
    }
    return {kind: named for kind, named in fitting.items() if named}


def _stored() -> Inventory | None:
    try:
        known = read_model(inventory_path(), Inventory)
    except (FileNotFoundError, Damaged):
        return None
    current = known.made_from == installation() and known.environments.keys() >= BUILT_IN.keys()
    return known if current else None


def _ask(build: dict[str, BuildOrder], workspace: Workspace | None, timeout: float) -> Inventory:
    path = inventory_path().with_name(f".inventory-{secrets.token_hex(4)}")  # others may be looking for themselves
    worker = start_worker(1, role="look")
    try:
        root = str(workspace.root.absolute()) if workspace else None
        worker.send(InventoryJob(build=build, to=str(path.absolute()), workspace=root))
        for event in worker.events(timeout):
            if isinstance(event, Ended):
                return read_model(path, Inventory)
        raise TrainingFailed(f"the worker that looks at this machine {worker.how_it_ended()}: {worker.said()}")
    finally:
        worker.kill()
        path.unlink(missing_ok=True)


# --- room --------------------------------------------------------------------------------------------------------


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
