"""The user's own modules: the workspace comes last where Python looks, so a taken name hides a file of theirs."""

import importlib.util
import sys
from importlib.machinery import ModuleSpec, PathFinder
from importlib.metadata import packages_distributions
from pathlib import Path
from types import ModuleType

from lab.base import invalid

GYMNASIUM = "gymnasium:"
"""The prefix of a Gymnasium environment's name, which may be `module:ID` itself."""


def registered() -> list[str]:
    """Gymnasium's own environments that need nothing else installed, by name; none where it is not installed itself."""
    try:
        import gymnasium
    except ImportError:
        return []
    simple = ("gymnasium.envs.classic_control", "gymnasium.envs.toy_text")
    return [
        f"{GYMNASIUM}{name}" for name, spec in gymnasium.registry.items() if str(spec.entry_point).startswith(simple)
    ]


def check_importable(key: str, call: str, workspace: Path) -> None:
    """Refuse a name whose module lies in the workspace where Python would import another one.

    Args:
        key: dotted name of the setting.
        call: `module:callable`; what has no module passes.
        workspace: the folder.

    Raises:
        InvalidInput: says who has the name.
    """
    module, colon, _ = call.removeprefix(GYMNASIUM).partition(":")
    name = module.partition(".")[0]
    if colon and (why := hidden(name, workspace)):
        raise invalid(key, call, why, f"another name for it, such as my_{name}")


def hidden(name: str, workspace: Path) -> str | None:
    """Why the workspace can't have a module of that name, where it has one; else None.

    An installation that is only a link to a checkout gives way to it now and then; what is refused is the same for all.

    Args:
        name: of a top-level module.
        workspace: the folder.
    """
    try:
        mine, theirs = PathFinder.find_spec(name, [str(workspace)]), importlib.util.find_spec(name)
    except ValueError:  # no name of a module
        return None
    # A folder without __init__.py (its origin is None) gives way to any module, wherever that lies.
    if mine is None or theirs is None or theirs.origin is None or _place(mine) == _place(theirs):
        return None
    return f"the name {name} is taken by {_whose(name, theirs)}: {_place(mine)} can't have it too"


def hint(error: BaseException, workspace: Path | str | None) -> str:
    """A hint for an error of the user's code that met another module than theirs; empty where it did not."""
    met = getattr(error, "obj", None)
    name = error.name if isinstance(error, ImportError) else met.__name__ if isinstance(met, ModuleType) else None
    why = hidden(name.partition(".")[0], Path(workspace)) if name and workspace else None
    return f" ({why}: rename it)" if why else ""


def _place(spec: ModuleSpec) -> str:
    return spec.origin or next(iter(spec.submodule_search_locations or ()), "")


def _whose(name: str, spec: ModuleSpec) -> str:
    if name in sys.stdlib_module_names:
        return "Python's standard library"
    packages = packages_distributions().get(name, [])
    if "autopilot" in packages:
        return "autopilot itself"
    return f"the installed package {packages[0]}" if packages else _place(spec)
