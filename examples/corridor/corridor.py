"""An environment of one's own, a policy and a reward to try on it: everything that `autopilot.toml` beside it names."""

from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
import pufferlib
import pufferlib.models
import torch


class Corridor(pufferlib.PufferEnv):
    """Many walkers at once, each to reach the right end of a corridor and not the left one, against a wind.

    A native PufferEnv: it steps all its agents with numpy and logs the means over the episodes that ended.
    """

    def __init__(self, num_envs: int = 64, length: int = 8, wind: float = 0.2, buf: Any = None, seed: int = 0) -> None:
        self.single_observation_space = gymnasium.spaces.Box(-1, 1, (2,), np.float32)
        self.single_action_space = gymnasium.spaces.Discrete(2)
        self.num_agents = num_envs
        self.length, self.wind = length, wind
        super().__init__(buf)
        self._draw = np.random.default_rng(seed)

    def reset(self, seed: int | None = None) -> tuple[Any, list[dict[str, Any]]]:
        """Everybody in the middle."""
        if seed is not None:
            self._draw = np.random.default_rng(seed)
        self._at = np.zeros(self.num_agents)
        self._steps = np.zeros(self.num_agents)
        self._see()
        return self.observations, []

    def step(self, actions: Any) -> tuple[Any, ...]:
        """One step right (1) or left (0); the wind takes some to the left whatever they do."""
        blown = self._draw.random(self.num_agents) < self.wind
        self._at += np.where((np.asarray(actions).ravel() == 1) & ~blown, 1, -1)
        self._steps += 1
        arrived, lost = self._at >= self.length, self._at <= -self.length
        ended = arrived | lost | (self._steps >= 20 * self.length)
        self.rewards[:] = arrived.astype(np.float32)
        self.terminals[:] = ended
        log = []
        if ended.any():
            log.append({
                "n": float(ended.sum()), "success_rate": float(arrived[ended].mean()),
                "episode_length": float(self._steps[ended].mean()), "episode_return": float(arrived[ended].mean()),
            })  # fmt: skip
        self._at[ended] = self._steps[ended] = 0
        self._see()
        return self.observations, self.rewards, self.terminals, self.truncations, log

    def close(self) -> None:
        """Nothing to close."""

    def _see(self) -> None:
        self.observations[:, 0] = self._at / self.length
        self.observations[:, 1] = self._steps / (20 * self.length)


class Deep(pufferlib.models.Default):
    """PufferLib's default policy with more layers before its heads."""

    def __init__(self, env: Any, layers: int = 2, hidden_size: int = 64) -> None:
        super().__init__(env, hidden_size=hidden_size)
        more = [part for _ in range(layers) for part in (torch.nn.Linear(hidden_size, hidden_size), torch.nn.GELU())]
        self.encoder = torch.nn.Sequential(*self.encoder, *more)


def progress(weight: float = 0.1) -> Callable[[Any, Any, Any, Any], Any]:
    """A reward for where a walker stands, on top of the environment's own."""

    def reward(observations: Any, actions: Any, rewards: Any, terminals: Any) -> Any:
        return rewards + weight * observations[:, 0]

    return reward
