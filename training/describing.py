"""What an environment is, for whoever reasons about it: spaces in words, its docstring, where its source lies.

It is asked of a built environment, so it runs in worker processes only.
"""

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium

from lab.space import Code

DOC = 1_500
"""Characters of a docstring that are kept."""
ENDLESS = 1e30
"""From here on a bound says nothing."""
TOLD = 400
"""Characters that a space is told in."""
DEEP = 10
"""Wrappers around an environment that are looked through."""


def described(env: Any, policy: Any = None) -> dict[str, Any]:
    """The fields of `lab.space.Environment` that say what an environment is.

    Args:
        env: built, with PufferLib's interface.
        policy: the class of its own policy; None where it has none of its own.
    """
    core = type(_core(env))
    code = {"environment": _code(core), "policy": _code(policy)}
    return {
        "observations": _told(env, "observation_space"),
        "actions": _told(env, "action_space"),
        "doc": " ".join((core.__doc__ or inspect.getmodule(core).__doc__ or "").split())[:DOC],
        "code": {what: where for what, where in code.items() if where is not None},
    }


def _told(env: Any, which: str) -> str:
    """What a policy is given of a space, and the environment's own where that is another: scaled or flattened."""
    given, user = getattr(env, f"single_{which}"), _own(env)
    own = None if hasattr(user, f"single_{which}") else getattr(user, which, None)
    if callable(own) and not isinstance(own, gymnasium.Space):  # PettingZoo's are those of an agent
        own = own(user.possible_agents[0])
    same = own is None or (own.shape == given.shape and own == given)  # two arrays of other shapes are not compared
    return space_text(given) if same else f"{space_text(given)}, made of {space_text(own)}"[:TOLD]


def _own(env: Any) -> Any:
    """The user's environment in the user's wrappers, inside of PufferLib's and ours."""
    for _ in range(DEEP):
        if type(env).__module__.partition(".")[0] not in ("pufferlib", "training"):
            break
        env = getattr(env, "env", None)
    return env


def space_text(space: Any) -> str:
    """A space in words, such as `(4,) float32`, `one of 2` or `air.humidity (1,) float32, weather one of 3`."""
    if isinstance(space, gymnasium.spaces.Dict):
        return "; ".join(f"{name} {space_text(part)}" for name, part in _parts(space, ""))
    if isinstance(space, gymnasium.spaces.Discrete):
        return f"one of {space.n}" + (f", from {space.start} on" if space.start else "")
    if isinstance(space, gymnasium.spaces.MultiDiscrete):
        return f"{len(space.nvec)} choices, one of {', '.join(map(str, space.nvec.tolist()))}"[:200]
    if isinstance(space, gymnasium.spaces.Box):
        low, high = space.low.min(), space.high.max()
        span = f", from {low:g} to {high:g}" if max(abs(low), abs(high)) < ENDLESS else ""
        return f"{tuple(space.shape)} {space.dtype}{span}"
    return str(space)[:200]


def _parts(space: gymnasium.spaces.Dict, before: str) -> Iterator[tuple[str, Any]]:
    """Names and spaces of a Dict, those within it by dotted names."""
    for name, part in space.spaces.items():
        if isinstance(part, gymnasium.spaces.Dict):
            yield from _parts(part, f"{before}{name}.")
        else:
            yield f"{before}{name}", part


def _core(env: Any) -> Any:
    """The environment itself, inside its wrappers."""
    for _ in range(DEEP):
        inner = getattr(env, "env", None)
        if inner is None or not hasattr(inner, "step"):
            break
        env = inner
    return getattr(env, "unwrapped", env)


def _code(made: Any) -> Code | None:
    """Where a class is written; for one that only binds C, the header that it binds."""
    try:
        path = Path(inspect.getsourcefile(made) or "")
        lines, first = inspect.getsourcelines(made)
    except (OSError, TypeError):  # built in, or made at run time
        return None
    header = path.with_suffix(".h")
    return Code(path=str(header)) if header.exists() else Code(path=str(path), first=first, last=first + len(lines) - 1)
