"""Keys that do nothing under the rest of a config, and what a person is told of a change.

Sources: pufferlib 3.0.0, `vector.Serial` (takes neither workers nor a batch), `PuffeRL.__init__` (compile, gradient
accumulation) and `PuffeRL.train` (with prio_alpha = 0 all segments are drawn alike, so nothing is corrected for).
"""

from collections.abc import Mapping
from typing import Any

from lab.space.config import Config, diff
from lab.space.parameters import BOOKKEEPING


def inert(config: Config) -> dict[str, str]:
    """The keys of a config that have no effect in it, each with what makes it so.

    Args:
        config: valid and complete.
    """
    found: dict[str, str] = {}
    if config.vec.get("backend") == "Serial":
        found |= dict.fromkeys(("vec.num_workers", "vec.batch_size"), "with vec.backend = Serial")
    if not config.rnn.get("enabled"):
        found["rnn.name"] = "with rnn.enabled = false"
    if not config.train.get("compile"):
        found |= dict.fromkeys(("train.compile_mode", "train.compile_fullgraph"), "with train.compile = false")
    if config.train.get("prio_alpha") == 0:
        found["train.prio_beta0"] = "with train.prio_alpha = 0"
    if config.train.get("device") == "cpu":
        found |= dict.fromkeys(("train.cpu_offload", "train.precision"), "with train.device = cpu")
    minibatch, largest = config.train.get("minibatch_size"), config.train.get("max_minibatch_size")
    if isinstance(minibatch, int) and isinstance(largest, int) and largest >= minibatch:
        found["train.max_minibatch_size"] = f"from train.minibatch_size = {minibatch} on"
    if config.autopilot.get("policy_variant") not in (None, "none"):
        found |= dict.fromkeys(("policy.name", "policy.hidden_size"), "with a policy of your own")
    return found


def changed(old: Config, new: Config) -> dict[str, tuple[Any, Any]]:
    """What differs between two configs and does something in one of them: key to (old, new)."""
    idle = inert(old).keys() & inert(new).keys()
    return {key: values for key, values in diff(old, new).items() if key not in idle}


def telling(old: Config, new: Config) -> dict[str, tuple[Any, Any]]:
    """`changed` without bookkeeping: two configs that differ in nothing here learn the same."""
    return {key: values for key, values in changed(old, new).items() if key not in BOOKKEEPING}


def idle_changes(base: Config, overrides: Mapping[str, Any]) -> dict[str, str]:
    """The overrides that change a value and do nothing, each with what makes it so.

    Args:
        base: what they are on top of.
        overrides: dotted key to new value, all valid.
    """
    idle = inert(base.with_overrides(overrides))
    return {key: idle[key] for key, value in overrides.items() if key in idle and value != base.get(key)}


def remarks(base: Config, overrides: Mapping[str, Any]) -> list[str]:
    """What a person is told of what they set, a line each: what does nothing, and what can't be compared.

    Args:
        base: what the overrides are on top of, such as a preset's config.
        overrides: dotted key to new value, all valid.
    """
    lines = [f"{key} has no effect {why}" for key, why in idle_changes(base, overrides).items()]
    old, new = base.get("train.total_timesteps"), overrides.get("train.total_timesteps")
    if old and new and new != old:
        cost = f"takes about {new / old:.2g} times as long"
        rule = "a comparison with runs of another length can only end inconclusive"
        lines.append(f"train.total_timesteps = {new:,} in the place of {old:,}: {rule}, and it {cost}")
    return lines
