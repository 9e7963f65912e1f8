"""A config: everything that defines a training, as one value; how to change it, compare it, derive from it.

Keys and their rules come from `lab.space.parameters`; this module knows their structure only. `batch_size` is never a
key: it is agents x bptt_horizon, derived and shown (`derive`).
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict

from lab.space.parameters import Scalar

SECTIONS = ("env", "vec", "train", "policy", "rnn", "autopilot")


class Config(BaseModel):
    """A config, complete and resolved: a run trains exactly this."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    env_name: str
    """PufferLib's name of the environment."""
    env: dict[str, Any]
    """Arguments of the environment's constructor."""
    vec: dict[str, Scalar]
    train: dict[str, Scalar]
    policy: dict[str, Scalar]
    rnn: dict[str, Scalar]
    autopilot: dict[str, Scalar]

    def flat(self) -> dict[str, Any]:
        """The config as dotted key to value, without `env_name`."""
        return {f"{section}.{key}": value for section in SECTIONS for key, value in getattr(self, section).items()}

    def get(self, key: str) -> Any:
        """The value of a dotted key, None where it is not set."""
        section, _, name = key.partition(".")
        return getattr(self, section).get(name) if section in SECTIONS else None

    def with_overrides(self, overrides: Mapping[str, Any]) -> "Config":
        """A config with some dotted keys set anew; validity is `lab.space.validate`'s business."""
        sections = {section: dict(getattr(self, section)) for section in SECTIONS}
        for key, value in overrides.items():
            section, _, name = key.partition(".")
            sections[section][name] = value
        return Config(env_name=self.env_name, **sections)

    def without_seed(self) -> "Config":
        """The config without its seed, for a run that is to have fresh seeds."""
        return self.model_copy(update={"train": {key: value for key, value in self.train.items() if key != "seed"}})

    def fingerprint(self) -> str:
        """A short hash of the config; equal configs have equal hashes."""
        text = json.dumps([self.env_name, self.flat()], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]


def diff(old: Config, new: Config) -> dict[str, tuple[Any, Any]]:
    """Keys whose values differ, each with (old, new); None stands for 'not set'."""
    changes: dict[str, tuple[Any, Any]] = {}
    for section in SECTIONS:
        before, after = getattr(old, section), getattr(new, section)
        if before != after:  # most sections of most pairs are equal, and this is asked of thousands of pairs
            for key in before.keys() | after.keys():
                if before.get(key) != after.get(key):
                    changes[f"{section}.{key}"] = before.get(key), after.get(key)
    return dict(sorted(changes.items()))


class Derived(BaseModel):
    """What follows from a config, by PuffeRL's own arithmetic (pufferlib 3.0.0, `PuffeRL.__init__`)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    agents: int
    """Agents stepped together."""
    batch_size: int
    """agents x bptt_horizon: steps collected for each update phase."""
    segments: int
    """Rows of bptt_horizon steps in a batch."""
    minibatches: int
    """Optimizer-visible minibatches of an update phase: update_epochs x batch_size / minibatch_size."""
    epochs: int
    """Update phases of the whole training."""


AGENTS = {"drone_delivery": "num_drones"}
"""The argument of an environment that says how many agents a unit of it has, where there is one."""


def agents_in_unit(config: Config, agents_per_env: float) -> float:
    """The agents of one `env.num_envs` unit, or of one environment where it takes no such argument.

    Args:
        config: a config with valid values.
        agents_per_env: those that were counted when the environment was looked at, with its usual arguments.
    """
    return float(config.env.get(AGENTS.get(config.env_name, ""), agents_per_env))


def derive(config: Config, agents_per_env: float) -> Derived:
    """The batch arithmetic of a config.

    Args:
        config: a config with valid values.
        agents_per_env: as for `agents_in_unit`.
    """
    each = agents_in_unit(config, agents_per_env)
    agents = max(1, round(config.env.get("num_envs", 1) * each * int(config.vec["num_envs"] or 1)))
    horizon = int(config.train["bptt_horizon"] or 1)
    batch = agents * horizon
    minibatch = min(int(config.train["minibatch_size"] or 1), int(config.train["max_minibatch_size"] or 1))
    return Derived(
        agents=agents,
        batch_size=batch,
        segments=batch // horizon,
        minibatches=int(int(config.train["update_epochs"] or 1) * batch / minibatch),
        epochs=-(-int(config.train["total_timesteps"] or 0) // batch),
    )
