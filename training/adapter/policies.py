"""Policies: PufferLib's, those of its environments, and the user's."""

import importlib
import inspect
from collections.abc import Callable
from typing import Any

import pufferlib.models
import pufferlib.pytorch
import torch

from lab.space import Config
from training.adapter.unusable import Unusable

DEFAULT_POLICY = "Default"
DEFAULT_RNN = "Recurrent"


def policies_of(package: str | None) -> tuple[str, ...]:
    """Names that `policy.name` may have: PufferLib's default and whatever its package has for environments."""
    module = policy_module(package)
    own = [name for name, value in vars(module).items() if _is_policy(value)] if module else []
    return tuple(dict.fromkeys([DEFAULT_POLICY, *own]))


def own_policy_class(package: str | None, name: str | None) -> Any:
    """The policy class that an environment has of its own; None where it has PufferLib's default."""
    module = policy_module(package) if package and name != DEFAULT_POLICY else None
    return getattr(module, name or "", None)


def _is_policy(value: Any) -> bool:
    """A class of PufferLib's that makes a policy, and no LSTM around one."""
    if not inspect.isclass(value) or not issubclass(value, torch.nn.Module) or value.__module__ == "torch.nn":
        return False
    return not issubclass(value, pufferlib.models.LSTMWrapper) and hasattr(value, "encode_observations")


def policy_module(package: str | None) -> Any:
    """The module of the policies that PufferLib's package has for its environments; None without a package."""
    return importlib.import_module(f"pufferlib.{package}.torch") if package else None


def make_policy(
    config: Config, package: str | None, vecenv: Any, device: str, variant: Callable[..., Any] | None = None
) -> torch.nn.Module:
    """A policy for some environments, in its LSTM if the config says so.

    Args:
        config: `policy` and `rnn` count.
        package: PufferLib's package that the environment's own policies are in; None for none.
        vecenv: whose spaces it is for.
        device: where it lives.
        variant: the user's, called with the environment, in the place of PufferLib's.
    """
    module, env = policy_module(package), vecenv.driver_env
    arguments = {key: value for key, value in config.policy.items() if key != "name"}
    if variant is not None:
        policy = variant(env)
        wanted = ["hidden_size", "forward", "forward_eval"]
        wanted += ["is_continuous", "encode_observations", "decode_actions"] if config.rnn["enabled"] else []
        absent = [name for name in wanted if not hasattr(policy, name)]
        if absent or not isinstance(policy, torch.nn.Module):
            raise Unusable(f"the policy variant made a {type(policy).__name__} without {', '.join(absent)}")
    else:
        name = str(config.policy["name"])
        make = getattr(module, name) if hasattr(module, name) else getattr(pufferlib.models, name)
        policy = make(env, **arguments)
    if config.rnn["enabled"]:
        hidden = {"input_size": policy.hidden_size, "hidden_size": policy.hidden_size}
        arguments = {key: value for key, value in config.rnn.items() if key not in ("enabled", "name")}
        name = str(config.rnn.get("name") or DEFAULT_RNN)
        wrap = getattr(module, name) if hasattr(module, name) else pufferlib.models.LSTMWrapper
        policy = wrap(env, policy, **{**hidden, **arguments})
    moved: torch.nn.Module = policy.to(device)
    return moved


def sample(logits: Any) -> torch.Tensor:
    """Actions drawn as in training."""
    actions: torch.Tensor = pufferlib.pytorch.sample_logits(logits)[0]
    return actions
