"""Keys that do nothing under the rest of a config, and what a person is told of a change.

Sources: pufferlib 3.0.0, `vector.Serial` (takes neither workers nor a batch), `PuffeRL.__init__` (compile, gradient
accumulation) and `PuffeRL.train`: with prio_alpha = 0 all segments are drawn alike, so but for rounding nothing is
corrected for; before the first optimizer step of an update ratios are 1 and values are those that the batch was
collected with, so nothing is clipped. heavyball 1.7.2, `ForeachMuon`: momentum with the first beta alone. A test trains
with keys changed and compares the weights.
"""

from collections.abc import Mapping
from typing import Any

from lab.space.config import Config, derive, diff
from lab.space.inventory import Inventory
from lab.space.parameters import BOOKKEEPING

OF_A_GPU = ("train.cpu_offload", "train.precision", "train.torch_deterministic")
CLIPS = {"train.clip_coef": 0.01, "train.vf_clip_coef": 0.01, "train.vtrace_rho_clip": 1.0, "train.vtrace_c_clip": 1.0}
"""Key to the value from which on it leaves alone what differs from 1, or from the value before, by rounding alone."""


def inert(config: Config, inventory: Inventory | None = None) -> dict[str, str]:
    """The keys of a config that have no effect in it, each with what makes it so.

    Args:
        config: valid and complete.
        inventory: what this machine has; without it nothing is said that rests on the device behind `auto`, or on how
            many agents an environment has.
    """
    found: dict[str, str] = {}
    train = config.train
    if config.vec.get("backend") == "Serial":
        found |= dict.fromkeys(("vec.num_workers", "vec.batch_size"), "with vec.backend = Serial")
    if not config.rnn.get("enabled"):
        found["rnn.name"] = "with rnn.enabled = false"
    if not train.get("compile"):
        found |= dict.fromkeys(("train.compile_mode", "train.compile_fullgraph"), "with train.compile = false")
    if train.get("prio_alpha") == 0:
        found["train.prio_beta0"] = "with train.prio_alpha = 0"
    if train.get("optimizer") == "muon":
        found |= dict.fromkeys(("train.adam_beta2", "train.adam_eps"), "with train.optimizer = muon")
    if train.get("device") == "cpu":
        found |= dict.fromkeys(OF_A_GPU, "with train.device = cpu")
    elif inventory and inventory.device(train.get("device")) == "cpu":
        found |= dict.fromkeys(OF_A_GPU, "with train.device = auto, which is the CPU here")
    minibatch, largest = train.get("minibatch_size"), train.get("max_minibatch_size")
    if isinstance(minibatch, int) and isinstance(largest, int) and largest >= minibatch:
        found["train.max_minibatch_size"] = f"from train.minibatch_size = {minibatch} on"
    if inventory and _one_step(config, inventory):
        idle = [key for key, least in CLIPS.items() if (config.get(key) or 0) >= least]
        found |= dict.fromkeys(idle, "with one minibatch an update, before which nothing has moved")
    if train.get("vf_coef") == 0:
        found["train.vf_clip_coef"] = "with train.vf_coef = 0"
    if config.autopilot.get("policy_variant") not in (None, "none"):
        found |= dict.fromkeys(("policy.name", "policy.hidden_size"), "with a policy of your own")
    return found


def _one_step(config: Config, inventory: Inventory) -> bool:
    """Whether each update is one pass over one minibatch, in arithmetic in which ratios are 1 but for rounding.

    Multiprocessing may collect the second segment of one environment before the first of another, and a policy of the
    user's may do something else when it trains; there ratios may differ from 1 at once.
    """
    environment = inventory.environments.get(config.env_name)
    if environment is None or environment.agents_per_env is None:
        return False
    plain = config.vec.get("backend") == "Serial" and config.autopilot.get("policy_variant") in (None, "none")
    exact = config.train.get("precision") == "float32" or inventory.device(config.train.get("device")) == "cpu"
    return plain and exact and derive(config, environment.agents_per_env).minibatches == 1


def changed(old: Config, new: Config) -> dict[str, tuple[Any, Any]]:
    """What differs between two configs and does something in one of them: key to (old, new)."""
    idle = inert(old).keys() & inert(new).keys()
    return {key: values for key, values in diff(old, new).items() if key not in idle}


def telling(old: Config, new: Config) -> dict[str, tuple[Any, Any]]:
    """`changed` without bookkeeping: two configs that differ in nothing here learn the same."""
    return {key: values for key, values in changed(old, new).items() if key not in BOOKKEEPING}


def idle_changes(base: Config, overrides: Mapping[str, Any], inventory: Inventory | None = None) -> dict[str, str]:
    """The overrides that change a value and do nothing, each with what makes it so.

    Args:
        base: what they are on top of.
        overrides: dotted key to new value, all valid.
        inventory: as for `inert`.
    """
    new = base.with_overrides(overrides)
    idle = inert(new, inventory)
    moved = [key for key, value in overrides.items() if key in idle and value != base.get(key)]
    return {key: idle[key] for key in moved if key in inert(new.with_overrides({key: base.get(key)}), inventory)}


def remarks(base: Config, overrides: Mapping[str, Any], inventory: Inventory | None = None) -> list[str]:
    """What a person is told of what they set, a line each: what does nothing, and what can't be compared.

    Args:
        base: what the overrides are on top of, such as a preset's config.
        overrides: dotted key to new value, all valid.
        inventory: as for `inert`.
    """
    lines = [f"{key} has no effect {why}" for key, why in idle_changes(base, overrides, inventory).items()]
    old, new = base.get("train.total_timesteps"), overrides.get("train.total_timesteps")
    if old and new and new != old:
        cost = f"takes about {new / old:.2g} times as long"
        rule = "a comparison with runs of another length can only end inconclusive"
        lines.append(f"train.total_timesteps = {new:,} in the place of {old:,}: {rule}, and it {cost}")
    return lines
