"""Presets: the two that exist for every environment, and those that were measured in this workspace.

A measured one is an overlay on another: the topology that trained fastest on this machine, and the policy that it was
measured for; or longer trainings, with which a session went on. Files are the truth; a preset of a name and an
environment is replaced by measuring it again.
"""

from datetime import datetime
from typing import Any, Literal

from lab.base import ID, InvalidInput, Problem, Record, Workspace, read_model, slug, write_model
from lab.space.config import Config, diff
from lab.space.environments import PRESETS, preset_config
from lab.space.inventory import Environment


class Measurement(Record):
    """One topology with the speed at which it trained."""

    overrides: dict[str, Any]
    threads: int
    at_once: int
    """Replicates that trained side by side."""
    batch_size: int
    sps: float
    """Steps per second of all replicates together."""


def topology(measurement: Measurement) -> str:
    """A topology in a few words, such as `Serial 1×1024, minibatch 8192`."""
    values = measurement.overrides
    count = f"{values['vec.num_envs']}×{values['env.num_envs']}" if "env.num_envs" in values else values["vec.num_envs"]
    several = f" on {values['vec.num_workers']} processes" if values.get("vec.num_workers") else ""
    return f"{values['vec.backend']} {count}{several}, minibatch {values['train.minibatch_size']}"


class StoredPreset(Record):
    """A measured preset, as in `presets/<name>.<environment>.json`."""

    schema_version: Literal[1] = 1
    name: str
    env_name: str
    base: str
    """The preset that this one lies over."""
    overrides: dict[str, Any]
    """The topology, and what the person had set."""
    measured: datetime
    host: str
    cores: int
    best: Measurement | None = None
    """None where nothing was measured: a longer training than its base's."""
    ini: Measurement | None = None
    """The speed of PufferLib's own ini with the same policy; None where that can't run here."""
    tried: tuple[Measurement, ...] = ()
    runs: tuple[str, ...] = ()
    """The two runs that compare the score with the base's at equal steps, if that was asked for."""
    verdict: str | None = None
    """The verdict of that comparison."""


def names(workspace: Workspace, env_name: str) -> list[str]:
    """The names of an environment's presets, measured ones included."""
    ending = f".{slug(env_name)}.json"
    stored = [path.name.removesuffix(ending) for path in sorted(workspace.presets.glob(f"*{ending}"))]
    return [*PRESETS, *(name for name in stored if name not in PRESETS)]


def preset(workspace: Workspace, environment: Environment, name: str) -> Config:
    """The config that a preset stands for.

    Args:
        workspace: whose measured presets count too.
        environment: the one that the preset is for.
        name: `quick`, `full`, or a measured one's.

    Raises:
        InvalidInput: there is no such preset for it.
    """
    if name in PRESETS:
        return preset_config(environment, name)
    known = names(workspace, environment.name)
    if name not in known:
        others = bool(list(workspace.presets.glob(f"{name}.*.json"))) if ID.fullmatch(name) else False
        rule = f"was measured for another environment, not for {environment.name}" if others else "is unknown"
        valid = f"{' | '.join(known)} ('autopilot probe' measures another)"
        raise InvalidInput([Problem(key="preset", value=repr(name), rule=rule, valid=valid)])
    stored = read_model(workspace.preset(name, environment.name), StoredPreset)
    return preset_config(environment, stored.base).with_overrides(stored.overrides)


def moved(workspace: Workspace, environment: Environment, config: Config, old: str, new: str) -> Config:
    """A config's own changes, made to another preset.

    Args:
        workspace: whose measured presets count too.
        environment: the one that the preset is for.
        config: of the preset `old`, with changes of its own.
        old: its preset.
        new: the preset that the changes are made to; it gives the length.

    Raises:
        InvalidInput: there is no such preset for it.
    """
    changes = diff(preset(workspace, environment, old), config)
    own = {key: value for key, (_, value) in changes.items() if value is not None and key != "train.total_timesteps"}
    return preset(workspace, environment, new).with_overrides(own)


def store(workspace: Workspace, stored: StoredPreset) -> None:
    """Keep a measured preset, over an older one of its name."""
    write_model(workspace.preset(stored.name, stored.env_name), stored)
