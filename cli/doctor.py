"""The state of the machine: what is installed and can be trained, whether a model is configured, what to do if not."""

import os
import platform
import shutil
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from cli.settings import every_table
from lab.base import AutopilotError, InvalidInput, Workspace, existing, settings
from lab.space import Inventory, declared_variants
from training import cpu_quota, load_inventory, missing, require_loadable, usable_cores

SHOWN = ("autopilot", "pufferlib", "torch", "numpy", "heavyball", "optuna", "openai", "pydantic", "duckdb")
FREE_GIB = 1.0


@dataclass(frozen=True)
class Check:
    """A finding about the machine."""

    name: str
    ok: bool
    found: str
    remedy: str = ""


def examine(workspace: Workspace) -> tuple[list[Check], Inventory | None]:
    """Look at everything a session needs.

    Args:
        workspace: the folder that runs would be written to.

    Returns:
        The findings, and the inventory if a worker could make it.
    """
    checks = [Check("python", True, f"{platform.python_version()} on {platform.system()} {platform.machine()}")]
    absent = missing()
    packages = ", ".join(f"{name} {_version(name)}" for name in SHOWN)
    checks.append(Check("packages", not absent, packages, f"missing {', '.join(absent)}: make install"))
    inventory, fault, remedy = None, "not tried", "make clean install"
    if not absent:
        try:
            inventory = load_inventory(workspace=workspace)
        except AutopilotError as error:
            fault = str(error)
            remedy = "set right what it names" if isinstance(error, InvalidInput) else remedy
    if inventory is None:
        checks.append(Check("training", False, fault, remedy))
    else:
        cores, quota = usable_cores(), cpu_quota()
        limited = "" if quota is None else f" (a CPU quota of {quota:g})"
        device = (
            f"{inventory.devices[0]} (torch built for {inventory.torch_build}; usable: {', '.join(inventory.devices)})"
        )
        checks.append(Check("device", True, f"{device}; {cores} cores{limited}, {inventory.memory_gib} GiB"))
        usable = [env.name for env in inventory.environments.values() if env.refused is None]
        checks.append(Check("environments", bool(usable), f"{len(usable)} can be trained", "make clean install"))
        checks += _variants(workspace)
    checks += [_model(), _settings(workspace), _workspace(workspace)]
    return checks, inventory


def _model() -> Check:
    """The model that is configured, if any: without one the offline researcher works."""
    base = os.environ.get("OPENAI_BASE_URL")
    if not os.environ.get("OPENAI_API_KEY"):
        text = "none configured (OPENAI_API_KEY is not set); --model offline works without"
        return Check("model", True, text)
    return Check("model", True, f"OPENAI_API_KEY is set, endpoint {base or 'the default of the openai package'}")


def _settings(workspace: Workspace) -> Check:
    """Whether every table of `autopilot.toml` is written as it has to be, those that nothing has read yet too."""
    try:
        every_table().of(workspace)
        tables = ", ".join(f"[{name}]" for name in settings(workspace))
    except AutopilotError as error:
        return Check("settings", False, str(error), "set right what it names")
    return Check("settings", True, f"{tables or 'none, defaults hold'} ({workspace.settings})")


def _variants(workspace: Workspace) -> list[Check]:
    """Whether the variants that the workspace declares can be loaded; nothing where there are none."""
    names = [f"{kind} {name}" for kind, named in declared_variants(workspace).items() for name in named]
    try:
        require_loadable(workspace)
    except AutopilotError as error:
        return [Check("variants", False, str(error), "set right what it names")]
    return [Check("variants", True, ", ".join(names))] if names else []


def _workspace(workspace: Workspace) -> Check:
    try:
        workspace.require_writable()
    except AutopilotError as error:
        return Check("workspace", False, str(error), "--workspace DIR or AUTOPILOT_WORKSPACE names another")
    free = shutil.disk_usage(existing(workspace.root)).free / 2**30
    remedy = f"less than {FREE_GIB:g} GiB free: make room"
    return Check("workspace", free >= FREE_GIB, f"{workspace.root}, {free:.0f} GiB free", remedy)


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "missing"


def as_json(checks: list[Check], inventory: Inventory | None) -> dict[str, Any]:
    """The findings, for programs."""
    environments = {}
    if inventory is not None:
        environments = {env.name: env.refused for env in inventory.environments.values()}
    return {
        "ok": all(check.ok for check in checks),
        "checks": [vars(check) for check in checks],
        "environments": {name: {"trainable": why is None, "reason": why} for name, why in environments.items()},
        "versions": inventory.versions if inventory else {},
        "devices": list(inventory.devices) if inventory else [],
    }
