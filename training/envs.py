"""What this machine has, seen from inside a worker: devices, versions, PufferLib's environments and their configs.

It imports torch and PufferLib, so it runs in worker processes only.
"""

import ast
import configparser
import inspect
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil
import pufferlib
import pufferlib.ocean.environment
import torch

from lab.inventory import Environment, Inventory

# Filled in by PufferLib or of no meaning without a screen.
NOT_ARGUMENTS = ("buf", "seed", "render_mode", "kwargs", "args")

# Environments that can't be trained from this wheel although it has an ini for them.
REFUSED = {
    "puffer_impulse_wars": "not built: it needs Box2D, which the package index does not have",
    "puffer_gpudrive": "its map data is not in the wheel",
    "puffer_nmmo3": "building it takes minutes on a CPU",
}


def devices() -> tuple[str, ...]:
    """What torch can use here, best first."""
    found = ["cuda"] if torch.cuda.is_available() else []
    if torch.backends.mps.is_available():
        found.append("mps")
    return (*found, "cpu")


def versions() -> dict[str, str]:
    """What a run was made with."""
    found = {"python": sys.version.split()[0]}
    for package in ("autopilot", "pufferlib", "torch", "numpy", "heavyball"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "missing"
    return found


def inventory(build: tuple[str, ...], made_from: str) -> Inventory:
    """Everything the notebook needs to know about this machine.

    Args:
        build: environments to build once, to count their agents.
        made_from: identifies this installation.
    """
    environments = {name: _environment(name, ini, count=name in build) for name, ini in _inis()}
    return Inventory(
        made_from=made_from,
        versions=versions(),
        torch_build=f"CUDA {torch.version.cuda}" if torch.version.cuda else "CPU",
        devices=devices(),
        cores=psutil.cpu_count(logical=False) or 1,
        memory_gib=round(psutil.virtual_memory().total / 2**30, 1),
        environments=environments,
    )


def _inis() -> Iterator[tuple[str, dict[str, dict[str, Any]]]]:
    """PufferLib's Ocean configs by environment, read as `pufferl.load_config` does but without a command line."""
    folder = Path(pufferlib.__file__).parent / "config"
    for path in sorted((folder / "ocean").glob("*.ini")):
        parser = configparser.ConfigParser()
        parser.read([folder / "default.ini", path])
        sections = {section: {k: _literal(v) for k, v in parser[section].items()} for section in parser.sections()}
        for name in str(sections["base"]["env_name"]).split():
            yield name, sections


def _literal(text: str) -> Any:
    if text in ("true", "false"):  # some of the inis write it like this
        return text == "true"
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def _environment(name: str, ini: dict[str, dict[str, Any]], *, count: bool) -> Environment:
    try:
        maker = pufferlib.ocean.environment.env_creator(name)
        signature = inspect.signature(maker)
    except KeyError:
        return Environment(name=name, refused="it has an ini, but PufferLib makes no environment of that name")
    except (ImportError, AttributeError) as error:
        what = str(error).splitlines()[0].rsplit("/", 1)[-1]  # without the path of the extension
        return Environment(name=name, refused=REFUSED.get(name, f"its extension can't be loaded ({what[:160]})"))
    if name in REFUSED:
        return Environment(name=name, refused=REFUSED[name])
    arguments = {
        key: None if parameter.default is inspect.Parameter.empty else parameter.default
        for key, parameter in signature.parameters.items() if key not in NOT_ARGUMENTS
    }  # fmt: skip
    agents = _agents_per_env(maker, ini.get("env", {}), "num_envs" in arguments) if count else None
    plain = {key: value if isinstance(value, (bool, int, float, str)) else None for key, value in arguments.items()}
    return Environment(name=name, constructor=plain, agents_per_env=agents, ini=ini)


def _agents_per_env(maker: Callable[..., Any], arguments: dict[str, Any], scalable: bool) -> float:
    """Agents of one `num_envs` unit, by building a small environment."""
    units = 2 if scalable else 1
    env = maker(**{**arguments, **({"num_envs": units} if scalable else {})})
    try:
        return float(env.num_agents / units)
    finally:
        env.close()
