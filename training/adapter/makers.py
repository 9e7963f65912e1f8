"""Makers of environments by name: PufferLib's, Gymnasium's, PettingZoo's and the user's, with wrappers around them."""

import importlib
import inspect
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pufferlib
import pufferlib.emulation
import pufferlib.ocean.environment

from lab.space import BUILT_IN, GYMNASIUM, WRAPPERS, Told
from training.adapter.episodes import counted, emulated, reporting
from training.adapter.unusable import Unusable

# Filled in by PufferLib or of no meaning without a screen.
NOT_ARGUMENTS = ("buf", "seed", "render_mode", "kwargs", "args")
RGB = "rgb_array"
"""Gymnasium's name for pictures as arrays."""

Maker = Callable[..., Any]


def maker_of(env_name: str, told: Told = Told(), *, render: bool = False) -> Maker:  # noqa: B008 - frozen
    """The maker of environments of a name; called with `buf`, `seed` and the environment's own arguments.

    Args:
        env_name: an Ocean environment's (`puffer_cartpole`), a built-in one's (`drone_delivery`), `gymnasium:ID`,
            `gymnasium:module:ID`, or `module:callable` of a PufferEnv, of a Gymnasium or of a PettingZoo parallel
            environment.
        told: how the numbers told at each step of a Python environment become one of the episode.
        render: they are to give pictures, where they can; see `frame_of`.

    Raises:
        KeyError: PufferLib makes no environment of that name.
        ImportError, AttributeError: it, or its compiled extension, can't be loaded.
    """
    if env_name.startswith(GYMNASIUM):
        _registered(env_name)
        drawn = {"render_mode": RGB} if render else {}
        return _wrapped(lambda buf, seed, **arguments: _gymnasium(env_name, {**drawn, **arguments}), told)
    if ":" in env_name:
        return _wrapped(_users(load_object(env_name), render=render), told)
    make = _named(env_name)
    if inspect.isclass(make):
        return make
    return lambda buf=None, seed=0, **arguments: counted(make(buf=buf, **arguments), buf, seed, told)


def _named(env_name: str) -> Maker:
    """What makes a built-in environment, or one of Ocean's."""
    if env_name in BUILT_IN:
        return load_object(BUILT_IN[env_name])
    make: Maker = pufferlib.ocean.environment.env_creator(env_name)
    return make


def load_object(name: str) -> Callable[..., Any]:
    """The callable that `module:callable` names.

    Raises:
        ImportError: the module can't be imported.
        AttributeError: it has nothing callable of that name.
    """
    module, _, attribute = name.partition(":")
    target = getattr(importlib.import_module(module), attribute)
    if not callable(target):
        raise AttributeError(f"{name} is not callable")  # noqa: TRY004 - to callers, nothing callable is there
    return target  # type: ignore[no-any-return]  # the user's


def arguments_of(env_name: str) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The arguments of an environment's constructor and their defaults, but for the ones PufferLib fills in.

    Where a class hands on what it does not know (`**kwargs`), its bases' arguments count too; what a registration with
    Gymnasium says goes before the constructor's own defaults.

    Returns:
        Name to default, None where there is none; and the names that have to be given.
    """
    told: Mapping[str, Any] = {}
    if env_name.startswith(GYMNASIUM):
        from gymnasium.envs.registration import load_env_creator

        spec = _registered(env_name)
        target = spec.entry_point if callable(spec.entry_point) else load_env_creator(str(spec.entry_point))
        told = spec.kwargs
    else:
        target = load_object(env_name) if ":" in env_name else _named(env_name)
    taken, _ = _taken(target)
    defaults = {name: parameter.default for name, parameter in taken.items()} | dict(told)
    defaults = {name: default for name, default in defaults.items() if name not in NOT_ARGUMENTS}
    needed = tuple(name for name, default in defaults.items() if default is inspect.Parameter.empty)
    return {name: None if name in needed else default for name, default in defaults.items()}, needed


def beside(env_name: str, few: int = 8) -> list[str]:
    """The environments of the module that a name is in, where it has none of that name; empty where it has.

    Args:
        env_name: as for `maker_of`.
        few: how many, at most.
    """
    place, _, wanted = env_name.rpartition(":")
    own = sys.modules.get(place.removeprefix(GYMNASIUM))
    if own is None:
        return []
    if env_name.startswith(GYMNASIUM):
        import gymnasium

        ids = [name for name, spec in gymnasium.registry.items() if str(spec.entry_point).startswith(own.__name__)]
        return [] if wanted in ids else [f"{place}:{name}" for name in ids][:few]
    made = [
        name
        for name, value in vars(own).items()
        if inspect.isclass(value) and value.__module__ == own.__name__ and {"step", "reset"} <= set(dir(value))
    ]
    return [] if hasattr(own, wanted) else [f"{place}:{name}" for name in made][:few]


def _taken(target: Maker) -> tuple[dict[str, inspect.Parameter], bool]:
    """What a callable takes by name, a class with what it hands on to its bases; and whether it takes anything."""
    found: dict[str, inspect.Parameter] = {}
    bases = target.__mro__ if inspect.isclass(target) else ()
    inits: list[Maker] = [vars(base)["__init__"] for base in bases if "__init__" in vars(base)]
    for init in inits[:-1] if inits else [target]:  # the last one is object's
        parameters = list(inspect.signature(init).parameters.values())[1 if inits else 0 :]
        variable = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
        for parameter in parameters:
            if parameter.kind not in variable:
                found.setdefault(parameter.name, parameter)
        if all(parameter.kind is not inspect.Parameter.VAR_KEYWORD for parameter in parameters):
            return found, False
    return found, not inits or (inspect.isclass(target) and issubclass(target, pufferlib.PufferEnv))


def _registered(env_name: str) -> Any:
    """What Gymnasium knows of a name; `module:ID` imports the module first, which registers it."""
    import gymnasium

    module, colon, name = env_name.removeprefix(GYMNASIUM).rpartition(":")
    if colon:
        importlib.import_module(module)
    return gymnasium.spec(name)


def _gymnasium(env_name: str, arguments: Mapping[str, Any]) -> Any:
    import gymnasium

    # Its checker would stop at what `Fitted` says in one line, and costs a tenth of a step's time.
    return gymnasium.make(env_name.rpartition(":")[2], disable_env_checker=True, **arguments)


def _users(target: Maker, *, render: bool = False) -> Maker:
    """The user's callable, told of PufferLib's buffer and seed if it takes them."""
    takes, anything = _taken(target)

    def create(buf: Any = None, seed: int = 0, **arguments: Any) -> Any:
        ours = {"buf": buf, "seed": seed, **({"render_mode": RGB} if render else {})}
        filled = {key: value for key, value in ours.items() if key in takes or anything}
        return target(**filled, **arguments)

    create.__name__ = getattr(target, "__name__", str(target))
    return create


def _wrapped(make: Maker, told: Told) -> Maker:
    """A PufferEnv as it is, a Gymnasium or PettingZoo environment in its wrappers and behind the emulation."""

    def create(buf: Any = None, seed: int = 0, **arguments: Any) -> Any:
        wrappers: Sequence[str] = arguments.pop(WRAPPERS, ())
        env = make(buf=buf, seed=seed, **arguments)
        if isinstance(env, (pufferlib.emulation.GymnasiumPufferEnv, pufferlib.PufferEnv)):
            if wrappers:
                raise Unusable(f"{type(env).__name__} is a PufferEnv, which takes none of [wrappers]")
            return counted(env, buf, seed, told) if is_emulated(env) else reporting(env)
        for wrapper in wrappers:
            call, _, given = wrapper.partition(" ")
            env = load_object(call)(env, **(json.loads(given) if given else {}))
        if hasattr(env, "step") and (hasattr(env, "action_space") or hasattr(env, "possible_agents")):
            return emulated(env, buf, seed, told)
        raise TypeError(f"{make.__name__} made a {type(env).__name__}, neither a PufferEnv nor a Gymnasium one")

    return create


def is_emulated(env: Any) -> bool:
    """Whether an environment is a Python one of one agent behind PufferLib's emulation: its episodes' ends are seen."""
    return isinstance(env, pufferlib.emulation.GymnasiumPufferEnv)


def is_together(env: Any) -> bool:
    """Whether an environment is a PettingZoo one, whose agents end their episodes together in one log."""
    return isinstance(env, pufferlib.emulation.PettingZooPufferEnv)


def longest_episode(env: Any) -> int | None:
    """Steps that an episode of an emulated environment may have, where Gymnasium limits them."""
    limit = getattr(getattr(env.env, "spec", None), "max_episode_steps", None)
    return int(limit) if limit else None


def logs_settled(env: Any) -> bool:
    """Whether every log of an environment has the same names, as PufferLib's and Gymnasium's own do.

    Anybody else's may log a name with some episodes only, such as those that succeed.
    """
    while env is not None and type(env).__module__.partition(".")[0] in ("pufferlib", "gymnasium", "training"):
        env = vars(env).get("env")  # what a wrapper, the emulation or `Episodes` lies around
    return env is None


def try_out(env: Any) -> None:
    """Reset and step an environment once: what it returns may be none of what it declares.

    Raises:
        Unfit: it is not.
    """
    env.reset(seed=0)
    env.step(env.action_space.sample() if not is_together(env) else _each(env))


def _each(env: Any) -> dict[str, Any]:
    return {agent: env.single_action_space.sample() for agent in env.possible_agents}
