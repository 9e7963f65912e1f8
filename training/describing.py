"""What an environment is, for whoever reasons about it: spaces in words, its docstring, where its source lies.

It is asked of a built environment, so it runs in worker processes only.
"""

import inspect
from pathlib import Path
from typing import Any

import gymnasium

from lab.space import Code

DOC = 1_500
"""Characters of a docstring that are kept."""
ENDLESS = 1e30
"""From here on a bound says nothing."""
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
        "observations": space_text(env.single_observation_space),
        "actions": space_text(env.single_action_space),
        "doc": " ".join((core.__doc__ or inspect.getmodule(core).__doc__ or "").split())[:DOC],
        "code": {what: where for what, where in code.items() if where is not None},
    }


def space_text(space: Any) -> str:
    """A space in words, such as `(4,) float32` or `one of 2`."""
    if isinstance(space, gymnasium.spaces.Discrete):
        return f"one of {space.n}"
    if isinstance(space, gymnasium.spaces.MultiDiscrete):
        return f"{len(space.nvec)} choices, one of {', '.join(map(str, space.nvec.tolist()))}"[:200]
    if isinstance(space, gymnasium.spaces.Box):
        low, high = space.low.min(), space.high.max()
        span = f", from {low:g} to {high:g}" if max(abs(low), abs(high)) < ENDLESS else ""
        return f"{tuple(space.shape)} {space.dtype}{span}"
    return str(space)[:200]


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
