"""Vectorized environments, and the user's reward in the place of theirs."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pufferlib.vector
from numpy.typing import NDArray

from training.adapter.makers import Maker
from training.adapter.unusable import Unusable

Reward = Callable[[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]], NDArray[Any]]


def make_vecenv(maker: Maker, arguments: Mapping[str, Any], vec: Mapping[str, Any], seed: int) -> Any:
    """Vectorized environments, each built with a seed of its own.

    `pufferlib.vector.make` would build the same, but forgets to hand the seed on: every environment would be built
    with seed 0, and what it draws then (a map, say) would be the same in training and evaluation.

    Args:
        maker: makes one environment.
        arguments: of the environment.
        vec: `backend`, `num_envs` and, for several processes, `num_workers` and `batch_size`.
        seed: of the first environment; the others count up.
    """
    count = int(vec["num_envs"])
    parts: tuple[list[Any], ...] = ([maker] * count, [[]] * count, [dict(arguments)] * count)
    if vec["backend"] == "Serial":
        return pufferlib.vector.Serial(*parts, count, seed=seed)
    more = {key: int(vec[key]) for key in ("num_workers", "batch_size") if vec.get(key) is not None}
    return pufferlib.vector.Multiprocessing(*parts, count, seed=seed, **more)


class Rewarded:
    """Vectorized environments with the user's reward in the place of theirs, for training only."""

    def __init__(self, vecenv: Any, reward: Reward) -> None:
        self._vecenv, self._reward = vecenv, reward
        # By agent: with several processes the agents that are received are not those that were sent to last.
        self._actions: NDArray[Any] | None = None
        self._sent = np.zeros(vecenv.num_agents, dtype=bool)
        self._shown: NDArray[Any] | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._vecenv, name)

    def send(self, actions: NDArray[Any]) -> None:
        """Step the agents that were received last."""
        actions = np.asarray(actions)
        if self._actions is None:
            self._actions = np.zeros((len(self._sent), *actions.shape[1:]), dtype=actions.dtype)
        self._actions[self._shown] = actions.reshape(-1, *actions.shape[1:])
        self._sent[self._shown] = True
        self._vecenv.send(actions)

    def recv(self) -> tuple[Any, ...]:
        """What the environments answered, with the user's reward for agents that have acted."""
        observations, rewards, terminals, truncations, infos, agents, masks = self._vecenv.recv()
        self._shown = np.asarray(agents).ravel()
        if self._actions is not None and self._sent[self._shown].all():
            shaped = np.asarray(
                self._reward(observations, self._actions[self._shown], rewards, terminals), dtype=np.float32
            )
            if shaped.shape != rewards.shape:
                raise Unusable(f"the reward variant returned shape {shaped.shape} for {len(rewards)} agents")
            rewards = shaped
        return observations, rewards, terminals, truncations, infos, agents, masks


def space_problem(one: Any, other: Any) -> str | None:
    """How the spaces of two environments differ, in words; None when a policy for one fits the other."""
    for what in ("single_observation_space", "single_action_space"):
        mine, theirs = getattr(one, what), getattr(other, what)
        if mine != theirs:
            return f"{what.removeprefix('single_').replace('_', ' ')} {mine} against {theirs}"
    return None
