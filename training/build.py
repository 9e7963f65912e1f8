"""The parts that a config names, built: environments, reward and policy, with the user's variants in their place.

It imports torch, so it runs in worker processes only.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch

from lab.space import Config, Told, Variant
from training import adapter

Variants = Mapping[str, Variant]
"""`environment`, `reward`, `policy` to what stands in for it."""


def environment_arguments(config: Config, variants: Variants) -> dict[str, Any]:
    """The arguments that each environment is built with: the config's, and a variant's own over them.

    What is not set (None) is left to the constructor.
    """
    variant = variants.get("environment")
    return {**config.env, **(variant.arguments if variant else {})}


def environments(config: Config, variants: Variants, seed: int, told: Told = Told()) -> Any:  # noqa: B008 - frozen
    """Vectorized environments to train in, with the user's reward if one is named.

    Args:
        config: what is trained.
        variants: the user's stand-ins that it names.
        seed: of the first environment.
        told: how the numbers told at each step become one of the episode.

    Raises:
        adapter.Unusable: a variant can't be loaded.
    """
    variant = variants.get("environment")
    maker = adapter.maker_of(variant.call if variant else config.env_name, told)
    vecenv = adapter.make_vecenv(maker, environment_arguments(config, variants), config.vec, seed)
    reward = _loaded("reward", variants)
    return adapter.Rewarded(vecenv, reward()) if reward else vecenv


def policy(config: Config, package: str | None, vecenv: Any, device: str, variants: Variants) -> torch.nn.Module:
    """The policy of a config, built for its environments.

    Args:
        config: what is trained.
        package: PufferLib's package of the environment.
        vecenv: from `environments`.
        device: where it lives.
        variants: the user's stand-ins that the config names.

    Raises:
        adapter.Unusable: a variant can't be loaded, or makes no policy.
    """
    return adapter.make_policy(config, package, vecenv, device, _loaded("policy", variants))


def unloadable(calls: Iterable[str]) -> dict[str, str]:
    """Which of the user's callables can't be loaded, and why.

    Args:
        calls: each as `module:callable`.
    """
    errors = {}
    for call in calls:
        try:
            adapter.load_object(call)
        except (ImportError, AttributeError, SyntaxError) as error:
            errors[call] = str(error)
    return errors


def _loaded(kind: str, variants: Variants) -> Callable[..., Any] | None:
    variant = variants.get(kind)
    if variant is None:
        return None
    try:
        make = adapter.load_object(variant.call)
    except (ImportError, AttributeError) as error:
        raise adapter.Unusable(f"the {kind} variant {variant.call} can't be loaded: {error}") from error
    return lambda *positional: make(*positional, **variant.arguments)
