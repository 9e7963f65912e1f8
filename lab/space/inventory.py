"""The inventory of this machine, as a training worker found it: versions, devices, environments and their own configs.

The notebook must know devices and environments without importing torch or PufferLib, so a child process writes this
record once and everybody reads it. It is made again when anything it was made from has changed.
"""

from typing import Any

from pydantic import BaseModel, ConfigDict

from lab.base import InvalidInput, Problem
from lab.space.hints import closest_environments
from lab.space.modules import registered
from lab.space.parameters import Scalar
from lab.space.task import Limit, Variant


class Code(BaseModel):
    """Where some source text lies: a file, or some of its lines."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: str
    """Absolute."""
    first: int = 1
    last: int | None = None
    """The last line, counted from 1 as the first one is; None for the end of the file."""


class Environment(BaseModel):
    """One environment: PufferLib's own, Gymnasium's through its emulation, or the user's."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    refused: str | None = None
    """Why the environment can't be trained here; None when it can."""
    helps: str | None = None
    """What to do about it, where that is known: a wrapper, a change of the environment."""
    constructor: dict[str, Scalar] = {}
    """Arguments of the constructor and their defaults, but for the ones PufferLib fills in."""
    needs: tuple[str, ...] = ()
    """Arguments that have no default."""
    arguments: dict[str, Any] = {}
    """What it was built with, in place of the defaults."""
    wrappers: tuple[str, ...] = ()
    """Wrappers that the workspace declares for it, innermost first, as `environment_wrappers` tells them."""
    agents_per_env: float | None = None
    """Agents of one `env.num_envs` unit; None until the environment has been built once."""
    observation_bytes: int = 0
    """Bytes that one agent observes at a step; 0 until the environment has been built once."""
    observations: str = ""
    """What one agent observes, such as `(4,) float32`; empty until the environment has been built once."""
    actions: str = ""
    """What it may do, such as `one of 2`."""
    doc: str = ""
    """What the environment's own docstring says, bounded; empty where it has none."""
    code: dict[str, Code] = {}
    """Where the source of the environment, and of its own policy, lies: `environment`, `policy`."""
    together: bool = False
    """Whether it is a PettingZoo one: as slow as one of Gymnasium's, but its agents' episodes end in one log."""
    emulated: bool = False
    """Whether PufferLib's emulation stands before a Python environment, so that episodes' ends can be seen."""
    policies: tuple[str, ...] = ()
    """Names that `policy.name` may have."""
    variants: dict[str, dict[str, Variant]] = {}
    """Variants that the workspace declares: `environment`, `reward`, `policy` to name to variant."""
    limits: dict[str, Limit] = {}
    """Limits that the workspace sets on the space: dotted key to limit."""
    sources: dict[str, str] = {}
    """The user's files that this was read from, absolute, with their hashes; a changed one is read again."""
    ini: dict[str, dict[str, Any]] = {}
    """PufferLib's own config: section to key to value, defaults included."""


class Inventory(BaseModel):
    """What one machine has: versions, devices, cores, memory and environments."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    made_from: str
    """A name of the installation that this was read from."""
    versions: dict[str, str]
    torch_build: str
    """What torch is built for: `CPU` or `CUDA 13.0`."""
    devices: tuple[str, ...]
    """Devices that torch can use here, best first."""
    cores: int
    """Number of physical cores."""
    memory_gib: float
    environments: dict[str, Environment]

    def device(self, wanted: Any) -> str:
        """The device that a `train.device` stands for here: `auto` is the best one."""
        return self.devices[0] if wanted == "auto" else str(wanted)

    def environment(self, name: str) -> Environment:
        """An environment that can be trained.

        Raises:
            InvalidInput: there is none of that name, or it is refused here.
        """
        known = self.environments.get(name)
        if known is not None and known.refused is None:
            return known
        usable = [environment.name for environment in self.environments.values() if environment.refused is None]
        close = closest_environments(name, {*usable, *registered()}) or usable[:3]
        rule = "is not an environment here" if known is None else f"can't be trained here ({known.refused})"
        if known is not None and known.helps:
            raise InvalidInput([Problem(key="env", value=repr(name[:80]), rule=rule, valid=known.helps)])
        valid = f"{', '.join(close)} ('autopilot doctor' lists all {len(usable)})"
        raise InvalidInput([Problem(key="env", value=repr(name[:80]), rule=rule, valid=valid)])
