"""The machine from inside a worker: its devices, versions, environments and their configs.

It imports torch, so it runs in worker processes only.
"""

import hashlib
import sys
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil
import torch

from lab.space import WRAPPERS, Environment, Inventory, hint
from training import adapter
from training.describing import described
from training.protocol import BuildOrder

# Environments that can't be trained from this wheel although it has an ini for them.
REFUSED = {
    "puffer_impulse_wars": "not built: it needs Box2D, which the package index does not have",
    "puffer_gpudrive": "its map data is not in the wheel",
    "puffer_nmmo3": "its own policy is not through a first batch in 40 s on a CPU",
    "puffer_spaces": "PufferLib's emulation can't hand its nested actions over when several are stepped (ValueError)",
}

OUR_PACKAGES = ("lab", "training", "tools", "agent", "review")


def devices() -> tuple[str, ...]:
    """The devices that torch can use here, best first."""
    usable = ["cuda"] if torch.cuda.is_available() else []
    if torch.backends.mps.is_available():
        usable.append("mps")
    return (*usable, "cpu")


def versions() -> dict[str, str]:
    """The versions of Python and of the packages that a run is made with."""
    installed = {"python": sys.version.split()[0]}
    for package in ("autopilot", "pufferlib", "torch", "numpy", "heavyball"):
        try:
            installed[package] = version(package)
        except PackageNotFoundError:
            installed[package] = "missing"
    return installed


def inventory(build: Mapping[str, BuildOrder], made_from: str, workspace: Path | None) -> Inventory:
    """The inventory of this machine: everything the notebook needs to know about it.

    Args:
        build: environments to build once, to count their agents, and with what; `gymnasium:ID` and `module:callable`
            too.
        made_from: identifies this installation.
        workspace: where the user's modules may lie.
    """
    environments = {name: _ocean(name, ini, build=name in build) for name, ini in adapter.inis()}
    environments |= {name: _other(name, workspace, order) for name, order in build.items() if ":" in name}
    return Inventory(
        made_from=made_from,
        versions=versions(),
        torch_build=f"CUDA {torch.version.cuda}" if torch.version.cuda else "CPU",
        devices=devices(),
        cores=psutil.cpu_count(logical=False) or 1,
        memory_gib=round(psutil.virtual_memory().total / 2**30, 1),
        environments=environments,
    )


def _ocean(name: str, ini: dict[str, dict[str, Any]], *, build: bool) -> Environment:
    try:
        arguments, _ = adapter.arguments_of(name)
    except KeyError:
        return Environment(name=name, refused="it has an ini, but PufferLib makes no environment of that name")
    except (ImportError, AttributeError) as error:
        what = str(error).splitlines()[0].rsplit("/", 1)[-1]  # without the path of the extension
        return Environment(name=name, refused=REFUSED.get(name, f"its extension can't be loaded ({what[:160]})"))
    if name in REFUSED:
        return Environment(name=name, refused=REFUSED[name])
    own = str(ini["base"]["policy_name"])
    built = (
        _built(name, ini.get("env", {}), "num_envs" in arguments, str(ini["base"].get("package")), own) if build else {}
    )
    policies = tuple(dict.fromkeys((own, adapter.DEFAULT_POLICY)))
    return Environment(name=name, constructor=_plain(arguments), ini=ini, policies=policies, **built)


def _other(name: str, workspace: Path | None, order: BuildOrder = BuildOrder()) -> Environment:  # noqa: B008 - frozen
    """An environment of Gymnasium's or the user's: whatever is wrong with it is why it is refused."""
    ini = adapter.default_ini()
    ini["base"] |= {"env_name": name, "policy_name": adapter.DEFAULT_POLICY, "rnn_name": adapter.DEFAULT_RNN}
    ini = {section: values for section, values in ini.items() if section != "sweep.train.total_timesteps"}
    try:
        facts = _ordered(name, order)
    except Exception as error:  # noqa: BLE001 - recorded: the user's own code may raise anything
        if isinstance(error, adapter.Unfit):
            return Environment(name=name, refused=error.rule[:300], helps=error.helps)
        what = " ".join(f"{type(error).__name__}: {error}".split())
        helps = ", ".join(adapter.beside(name)) or None
        absent = isinstance(error, (ImportError, AttributeError)) or type(error).__module__ == "gymnasium.error"
        if helps is None and not absent:
            helps = "an environment that can be built, reset and stepped"
        return Environment(name=name, refused=what[:300] + hint(error, workspace), helps=helps)
    return Environment(
        name=name,
        ini=ini,
        policies=(adapter.DEFAULT_POLICY,),
        wrappers=order.wrappers,
        sources=user_files(workspace),
        **facts,
    )


def _ordered(name: str, order: BuildOrder) -> dict[str, Any]:
    """What the constructor takes, and what building it tells; without what it needs nothing can be built."""
    arguments, needs = adapter.arguments_of(name)
    if order.wrappers and WRAPPERS in arguments:
        rule = f"its own argument {WRAPPERS!r} has the name of ours, so it takes no [wrappers]"
        raise adapter.Unfit(rule, "another name for that argument, or a function of yours that wraps it")
    given = {key: value for key, value in order.arguments.items() if key in arguments}
    facts = {"constructor": _plain(arguments), "needs": needs, "arguments": given}
    if not set(needs) <= set(given):
        return facts
    worn = {WRAPPERS: order.wrappers} if order.wrappers else {}
    return {**facts, **_built(name, {**given, **worn}, "num_envs" in arguments)}


def _plain(arguments: dict[str, Any]) -> dict[str, Any]:
    return {key: value if isinstance(value, (bool, int, float, str)) else None for key, value in arguments.items()}


def _built(
    name: str, arguments: dict[str, Any], scalable: bool, package: str | None = None, policy: str | None = None
) -> dict[str, Any]:
    """Facts that only building a small environment tells: agents of one `num_envs` unit, what is observed, what it is.

    Args:
        name: of the environment.
        arguments: of its constructor.
        scalable: whether it takes `num_envs`.
        package: of PufferLib, that has its policy.
        policy: the name of that.
    """
    units = 2 if scalable else 1
    env = adapter.maker_of(name)(**{**arguments, **({"num_envs": units} if scalable else {})})
    try:
        space = env.single_observation_space
        size = int(space.dtype.itemsize)
        for length in space.shape:
            size *= int(length)
        if ":" in name:
            adapter.try_out(env)
        return {
            "agents_per_env": float(env.num_agents / units),
            "observation_bytes": size,
            "emulated": adapter.is_emulated(env),
            "together": adapter.is_together(env),
            **described(env, adapter.own_policy_class(package, policy)),
        }
    finally:
        env.close()


def user_files(workspace: Path | None) -> dict[str, str]:
    """The hash of every Python file of the workspace that has been imported, by absolute path."""
    hashes = {}
    for module in list(sys.modules.values()):
        path = getattr(module, "__file__", None)
        if path and workspace and path.startswith(f"{workspace}/") and not _known(Path(path)):
            hashes[str(path)] = file_hash(Path(path))
    return hashes


def _known(path: Path) -> bool:
    """Whether a file belongs to this program or to an installed package, whose version says what is in it."""
    ours = Path(__file__).parent.parent
    return path.is_relative_to(sys.prefix) or any(path.is_relative_to(ours / name) for name in OUR_PACKAGES)


def file_hash(path: Path) -> str:
    """The first 16 digits of a file's SHA-256."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]
