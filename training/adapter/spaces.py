"""The door for spaces: what policies here can be given as it is, in another shape, or not at all.

PufferLib's policies take numbers in a box, and answer with one number of several, several of them, or numbers around 0
with a spread of 1. Whatever can be told exactly in that form is; the rest is refused by name, before anything trains.
"""

import re
from collections.abc import Callable, Iterable
from typing import Any

import gymnasium.spaces as gs
import numpy as np
import pufferlib.pytorch

from training.adapter.unusable import Unfit

UNBOUNDED = 1e30
"""A bound beyond which a space is taken to have none: some declare the largest float."""
OF_VARYING_SIZE = (gs.Text, gs.Sequence, gs.Graph)
OLD = "gymnasium.wrappers:EnvCompatibility among [wrappers] of autopilot.toml"
REGISTERED = "apply_api_compatibility=True where it is registered with Gymnasium"
OLD_STEP = "gymnasium.wrappers:StepAPICompatibility among [wrappers] of autopilot.toml"

Convert = Callable[[Any], Any]


# --- actions -----------------------------------------------------------------------------------------------------


def actions_of(space: Any) -> tuple[Any, Convert]:
    """The action space that a policy is given for an environment's, and what makes the environment's action of one.

    A Box with bounds is scaled to [-1, 1], where a policy begins; one without any stays as it is.

    Args:
        space: the environment's.

    Raises:
        Unfit: there is none.
    """
    if isinstance(space, gs.Discrete):
        start = int(space.start)
        return gs.Discrete(int(space.n)), lambda action: int(np.asarray(action).ravel()[0]) + start
    if isinstance(space, gs.MultiDiscrete):
        start = getattr(space, "start", 0)  # newer versions of Gymnasium have one
        shape, dtype = space.nvec.shape, space.dtype
        return gs.MultiDiscrete(space.nvec.ravel()), lambda action: (
            np.asarray(action).reshape(shape).astype(dtype) + start
        ).astype(dtype)
    if isinstance(space, gs.MultiBinary):
        return gs.MultiDiscrete(
            [2] * int(np.prod(space.shape))
        ), lambda action: np.asarray(action).reshape(space.shape).astype(space.dtype)
    if isinstance(space, gs.Box):
        return _box(space)
    if isinstance(space, (gs.Tuple, gs.Dict)):
        return _several(space)
    rule = f"its actions are {_brief(space)}, which no policy here can choose"
    raise Unfit(rule, "a gymnasium.ActionWrapper of yours with a Discrete, MultiDiscrete or Box space")


def _box(space: gs.Box) -> tuple[Any, Convert]:
    shape, dtype, size = space.shape, space.dtype, int(np.prod(space.shape))
    low, high = space.low.astype(np.float64).ravel(), space.high.astype(np.float64).ravel()
    endless = (np.abs(low) >= UNBOUNDED) & (np.abs(high) >= UNBOUNDED)
    if not np.issubdtype(dtype, np.floating):
        rule = f"its actions are {_brief(space)}, whole numbers in a box"
        raise Unfit(rule, "a MultiDiscrete space of as many values")
    if endless.all():
        free = gs.Box(-np.inf, np.inf, (size,), np.float32)
        return free, lambda action: np.asarray(action).reshape(shape).astype(dtype)
    if (np.abs(low) >= UNBOUNDED).any() or (np.abs(high) >= UNBOUNDED).any():
        rule = f"its actions are {_brief(space)}, bounded on some sides only: a policy begins around 0, 1 apart"
        raise Unfit(rule, "bounds on all sides (they are scaled to [-1, 1]), by a gymnasium.ActionWrapper of yours")

    def scaled(action: Any) -> Any:
        share = (np.clip(np.asarray(action, np.float64).ravel(), -1, 1) + 1) / 2
        exact = np.clip(low + share * (high - low), low, high)
        return np.clip(exact.reshape(shape).astype(dtype), space.low, space.high)

    return gs.Box(-1, 1, (size,), np.float32), scaled


def _several(space: gs.Tuple | gs.Dict) -> tuple[Any, Convert]:
    """Several choices at once as one, in their order."""
    named = isinstance(space, gs.Dict)
    parts_of = dict(space.spaces) if isinstance(space, gs.Dict) else dict(enumerate(space.spaces))
    names, doors = list(parts_of), [actions_of(part) for part in parts_of.values()]
    boxes = [isinstance(door, gs.Box) for door, _ in doors]
    if not doors or any(boxes) != all(boxes):
        rule = f"its actions are {_brief(space)}: choices and numbers in a box at once"
        raise Unfit(rule, "a gymnasium.ActionWrapper of yours with a MultiDiscrete, or with a Box")
    sizes = [1 if isinstance(door, gs.Discrete) else int(np.prod(door.shape)) for door, _ in doors]
    ends = np.cumsum(sizes)[:-1]

    def parts(action: Any) -> Any:
        answers = [to(one) for (_, to), one in zip(doors, np.split(np.asarray(action).ravel(), ends), strict=True)]
        return dict(zip(names, answers, strict=True)) if named else tuple(answers)

    if all(boxes):
        low, high = (np.concatenate([getattr(door, side) for door, _ in doors]) for side in ("low", "high"))
        return gs.Box(low, high, dtype=np.float32), parts
    counts = [door.nvec if isinstance(door, gs.MultiDiscrete) else [door.n] for door, _ in doors]
    return gs.MultiDiscrete(np.concatenate(counts)), parts


# --- observations ------------------------------------------------------------------------------------------------


def observations_of(space: Any, *, nested: bool = True) -> tuple[Any, Convert]:
    """The observation space that a policy is given for an environment's, and what makes one of the environment's own.

    Args:
        space: the environment's.
        nested: a Dict of boxes may stay one, for PufferLib's emulation.

    Raises:
        Unfit: there is none.
    """
    if isinstance(space, OF_VARYING_SIZE) or not isinstance(space, gs.Space):
        raise Unfit(f"its observations are {_brief(space)}, of no fixed size", _without([space]))
    if odd := [(name, leaf) for name, leaf in _leaves(space) if isinstance(leaf, OF_VARYING_SIZE)]:
        listed = ", ".join(f"{name}: {_brief(leaf)}" for name, leaf in odd)
        raise Unfit(f"its observations hold {listed}, of no fixed size", _without(leaf for _, leaf in _leaves(space)))
    if isinstance(space, gs.Box) and space.shape and _known(space):
        return space, lambda observation: declared(space, observation)
    if nested and isinstance(space, gs.Dict) and all(_known(leaf) for leaf in space.values()):
        return space, lambda observation: declared(space, observation)
    flat: Any = gs.flatten_space(space)  # one-hot: PufferLib's policies take numbers in a box
    flat = flat if _known(flat) else gs.Box(0, 1, flat.shape) if flat.dtype == bool else _as_float32(flat)
    return flat, lambda observation: np.asarray(gs.flatten(space, declared(space, observation)), flat.dtype)


def declared(space: Any, observation: Any) -> Any:
    """An observation in the type that its space declares, where that loses nothing.

    Raises:
        Unfit: it is of another shape, or can't be told in that type.
    """
    if isinstance(space, gs.Dict):
        if not isinstance(observation, dict) or set(observation) != set(space.spaces):
            what = f"keys {sorted(observation)}" if isinstance(observation, dict) else type(observation).__name__
            raise Unfit(f"it returned an observation with {what}, and {_brief(space)} is declared", "a dict with each")
        return {name: declared(part, observation[name]) for name, part in space.spaces.items()}
    if isinstance(space, gs.Tuple):
        return tuple(declared(part, one) for part, one in zip(space.spaces, observation, strict=True))
    if not isinstance(space, gs.Box):
        return observation
    array = np.asarray(observation)
    if array.shape != space.shape:
        rule = f"it returned an observation of shape {array.shape}, and {_brief(space)} is declared"
        raise Unfit(rule, f"declaring shape {array.shape}, or gymnasium.wrappers:FlattenObservation")
    if array.dtype == space.dtype:
        return array
    cast = array.astype(space.dtype)
    if np.can_cast(array.dtype, space.dtype, "same_kind") or (array == cast).all():
        return cast
    rule = f"it returned an observation of {array.dtype}, and {_brief(space)} is declared"
    raise Unfit(rule, f"declaring dtype {array.dtype}, or a gymnasium.ObservationWrapper that returns {space.dtype}")


def require_within(space: Any, observation: Any) -> None:
    """Refuse an observation that its own space does not hold, as PufferLib would with less to say.

    Raises:
        Unfit: it lies outside.
    """
    for name, leaf in _leaves(space):
        part = observation
        for step in name.split(".") if name else ():
            part = part[step] if isinstance(part, dict) else part[int(step)]
        if isinstance(leaf, gs.Box) and not leaf.contains(part):
            array = np.asarray(part)
            at = int(np.argmax(((array < leaf.low) | (array > leaf.high) | np.isnan(array)).ravel()))
            low, high, value = (float(side.ravel()[at]) for side in (leaf.low, leaf.high, array))
            rule = f"it returned an observation outside of {_brief(leaf)}: {value:.6g} at {at}, for {low:g} to {high:g}"
            raise Unfit(rule, "wider bounds in its observation_space")
        if not isinstance(leaf, gs.Box) and not leaf.contains(part):
            raise Unfit(f"it returned the observation {str(part)[:60]!r}, not one of {_brief(leaf)}", "declaring it")


def _known(space: Any) -> bool:
    """Whether PufferLib's buffers and policies take a space as it is."""
    if isinstance(space, gs.Discrete):
        return int(space.start) == 0
    return isinstance(space, gs.Box) and space.dtype in pufferlib.pytorch.numpy_to_torch_dtype_dict


def _as_float32(space: Any) -> gs.Box:
    return gs.Box(space.low.astype(np.float32), space.high.astype(np.float32), dtype=np.float32)


def _leaves(space: Any, path: str = "") -> Iterable[tuple[str, Any]]:
    if isinstance(space, (gs.Dict, gs.Tuple)):
        parts = space.spaces.items() if isinstance(space, gs.Dict) else enumerate(space.spaces)
        for name, part in parts:
            yield from _leaves(part, f"{path}.{name}" if path else str(name))
    else:
        yield path, space


def _without(leaves: Iterable[Any]) -> str:
    if any(isinstance(leaf, gs.Box) and len(leaf.shape) == 3 for leaf in leaves):
        return (
            "minigrid.wrappers:ImgObsWrapper among [wrappers] of autopilot.toml, or a wrapper of yours that keeps a Box"
        )
    return "a gymnasium.ObservationWrapper of yours with a Box space, among [wrappers] of autopilot.toml"


def _brief(space: object) -> str:
    text = re.sub(r", charset=\w+", "", " ".join(str(space).split()))
    return text if len(text) <= 120 else f"{text[:117]}..."


# --- an environment behind the door ---------------------------------------------------------------------------------


class Fitted:
    """A Gymnasium environment with spaces that a policy can be given."""

    def __init__(self, env: Any) -> None:
        for what in ("action_space", "observation_space"):
            space = getattr(env, what, None)
            if not isinstance(space, gs.Space):
                kind = f"{type(space).__module__}.{type(space).__name__}"
                raise Unfit(
                    f"its {what} is a {kind}, none of Gymnasium's",
                    "Gymnasium in the place of Gym; shimmy's \
GymV21CompatibilityV0 or GymV26CompatibilityV0 around it",
                )
        self.env = env
        self.action_space, self._act = actions_of(env.action_space)
        self.observation_space, self._see = observations_of(env.observation_space)
        self._looked = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self.env, name)

    def reset(self, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        """Begin an episode."""
        try:
            answer = self.env.reset(seed=seed)
        except TypeError as error:
            if "seed" not in str(error):
                raise
            rule = "its reset takes no seed: the interface of Gym before 0.26"
            raise Unfit(rule, self._made_new(OLD)) from error
        if not isinstance(answer, tuple) or len(answer) != 2 or not isinstance(answer[1], dict):
            rule = f"its reset returned {_told(answer)}, not (observation, info): the interface of Gym before 0.26"
            raise Unfit(rule, self._made_new(OLD))
        return self._seen(answer[0]), answer[1]

    def step(self, action: Any) -> tuple[Any, ...]:
        """Take one step."""
        try:
            answer = self.env.step(self._act(action))
        except ValueError as error:
            if "expected 5, got 4" not in str(error):  # a wrapper of Gymnasium's around what returns four
                raise
            answer = ()
        if not isinstance(answer, tuple) or len(answer) != 5:
            what = "4 values" if answer == () else _told(answer)
            rule = f"its step returned {what}, not (observation, reward, terminated, truncated, info): \
the interface of Gym before 0.26"
            raise Unfit(rule, self._made_new(OLD_STEP))
        observation, *rest = answer
        return self._seen(observation), *rest

    def _made_new(self, wrapper: str) -> str:
        return REGISTERED if getattr(self.env, "spec", None) else wrapper  # wrappers of Gymnasium's lie between

    def _seen(self, observation: Any) -> Any:
        seen = self._see(observation)
        if not self._looked:
            require_within(self.env.observation_space, declared(self.env.observation_space, observation))
            self._looked = True
        return seen


def _told(answer: object) -> str:
    return f"{len(answer)} values" if isinstance(answer, tuple) else f"a {type(answer).__name__}"
