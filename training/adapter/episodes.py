"""What a Python environment tells of its episodes: one log when one ends, of numbers alone, and nothing in between.

In the place of PufferLib's EpisodeStats, of whose kind its logs are (return, length, and each number that the
environment reports, `lab.space.Told`), but a reset says nothing and the environment's own names can't collide with
ours: so logs and ends of episodes belong together one to one.
"""

from typing import Any

import numpy as np
import pufferlib
import pufferlib.emulation
import pufferlib.spaces
from gymnasium import spaces

from lab.base import numbers
from lab.space import Told
from training.adapter.spaces import Fitted, actions_of, observations_of
from training.adapter.unusable import Unfit


class Episodes:
    """A Gymnasium environment that logs an episode when it ends."""

    def __init__(self, env: Any, told: Told) -> None:
        self.env, self.observation_space, self.action_space = env, env.observation_space, env.action_space
        self._told = told
        self._numbers: dict[str, list[float]] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self.env, name)

    def reset(self, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        """Begin an episode."""
        self._numbers = {}
        self._return, self._length = 0.0, 0
        return self.env.reset(seed=seed)[0], {}

    def step(self, action: Any) -> tuple[Any, ...]:
        """Take one step; the log is empty until the last step of the episode."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        self._return += float(reward)
        self._length += 1
        for name, value in numbers(info, several=False).items():
            self._numbers.setdefault(name, []).append(value)
        log: dict[str, Any] = {}
        if terminated or truncated:
            log = {
                **self._told.summed_up(self._numbers),
                "episode_return": self._return,
                "episode_length": self._length,
            }
        return observation, reward, terminated, truncated, log


class Together:
    """A PettingZoo parallel environment with spaces that a policy can be given, which logs an episode when all ended.

    Its agents share one policy, so they have to have the same spaces. The log has the mean of what was told of agents.
    """

    def __init__(self, env: Any, told: Told) -> None:
        """Take the environment.

        Raises:
            Unfit: its agents differ, or a space is none that a policy can be given.
        """
        self.env, self.possible_agents, self._told = env, list(env.possible_agents), told
        seen = [env.observation_space(agent) for agent in self.possible_agents]
        done = [env.action_space(agent) for agent in self.possible_agents]
        for what, found in (("observation", seen), ("action", done)):
            if other := next((space for space in found if space != found[0]), None):
                rule = f"its agents have different {what} spaces, {found[0]} and {other}, and one policy plays them all"
                pad = "pad_action_space_v0" if what == "action" else "pad_observations_v0"
                raise Unfit(rule, f"supersuit's {pad}, or a wrapper that gives all agents the same one")
        self._actions, self._act = actions_of(done[0])
        self._observations, self._see = observations_of(seen[0], nested=False)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.env, name)

    def observation_space(self, _agent: str) -> spaces.Space[Any]:
        """The space that each agent sees in."""
        return self._observations  # type: ignore[no-any-return]  # of Gymnasium's, by the door

    def action_space(self, _agent: str) -> spaces.Space[Any]:
        """The space that each agent acts in."""
        return self._actions  # type: ignore[no-any-return]  # of Gymnasium's, by the door

    def reset(self, seed: int | None = None, options: Any = None) -> tuple[dict[str, Any], dict[str, Any]]:
        """Begin an episode."""
        answer = self.env.reset(seed=seed)
        if not isinstance(answer, tuple) or len(answer) != 2:
            raise Unfit("its reset does not return (observations, infos)", "the interface of PettingZoo 1.23 or newer")
        self._sums: dict[str, float] = dict.fromkeys(self.possible_agents, 0.0)
        self._numbers: dict[str, list[float]] = {}
        self._length = 0
        return {agent: self._see(one) for agent, one in answer[0].items()}, {}

    def step(self, actions: dict[str, Any]) -> tuple[Any, ...]:
        """Take one step with all agents that are there; the log is empty until the last of them ends."""
        taken = {agent: self._act(action) for agent, action in actions.items()}
        observations, rewards, terminations, truncations, infos = self.env.step(taken)
        self._length += 1
        for agent, reward in rewards.items():
            self._sums[agent] += float(reward)
        told: dict[str, list[float]] = {}
        for info in infos.values():
            for name, value in numbers(info, several=False).items():
                told.setdefault(name, []).append(value)
        for name, values in told.items():
            self._numbers.setdefault(name, []).append(sum(values) / len(values))
        log: dict[str, Any] = {}
        if not self.env.agents or all(terminations.values()) or all(truncations.values()):
            mean = sum(self._sums.values()) / len(self._sums)
            log = {**self._told.summed_up(self._numbers), "episode_return": mean, "episode_length": self._length}
        return {agent: self._see(one) for agent, one in observations.items()}, rewards, terminations, truncations, log


def emulated(env: Any, buf: Any, seed: int, told: Told) -> Any:
    """A Gymnasium or PettingZoo environment behind PufferLib's emulation.

    Raises:
        Unfit: PufferLib's policies can't be given its spaces.
    """
    if hasattr(env, "possible_agents") or callable(getattr(env, "action_space", None)):
        if not hasattr(env, "possible_agents"):
            raise Unfit("its agents are not known before it begins", "possible_agents, with all that may come")
        if hasattr(env, "agent_iter"):
            rule = f"{type(env).__name__} lets its agents act in turn (PettingZoo's AEC)"
            raise Unfit(rule, "pettingzoo.utils.conversions:aec_to_parallel around it")
        return pufferlib.emulation.PettingZooPufferEnv(env=Together(env, told), buf=buf, seed=seed)
    return pufferlib.emulation.GymnasiumPufferEnv(env=Episodes(Fitted(env), told), buf=buf, seed=seed)


def counted(env: Any, buf: Any, seed: int, told: Told) -> Any:
    """An environment behind the emulation, with our log in the place of any other."""
    if not isinstance(env, pufferlib.emulation.GymnasiumPufferEnv) or isinstance(env.env, Episodes):
        return env
    inner = env.env.env if isinstance(env.env, pufferlib.EpisodeStats) else env.env
    return pufferlib.emulation.GymnasiumPufferEnv(env=Episodes(inner, told), buf=buf, seed=seed)


def reporting(env: Any) -> Any:
    """The user's PufferEnv itself, whose logs hold numbers alone (PufferLib stumbles over lists of other things).

    Actions in a box are scaled to [-1, 1], as those of a Gymnasium environment are.

    Raises:
        Unfit: its actions are in a box that can't be.
    """
    space = env.single_action_space
    scaled, act = actions_of(space)
    if isinstance(space, spaces.Box) and (space.shape != scaled.shape or space.dtype != scaled.dtype):
        raise Unfit(f"its actions are {space}: PufferLib takes float32 in one dimension", f"Box(…, {scaled.shape})")
    reset, step = env.reset, env.step

    def logs(infos: Any) -> list[dict[str, float]]:
        return [log for info in (infos if isinstance(infos, (list, tuple)) else [infos]) if (log := numbers(info))]

    def fresh(*arguments: Any, **named: Any) -> tuple[Any, list[dict[str, float]]]:
        observations, infos = reset(*arguments, **named)
        return observations, logs(infos)

    def stepped(actions: Any) -> tuple[Any, ...]:
        *rest, infos = step(np.stack([act(action) for action in actions]) if rescaled else actions)
        return *rest, logs(infos)

    rescaled = isinstance(space, spaces.Box) and space != scaled
    if rescaled:
        env.single_action_space, env.action_space = scaled, pufferlib.spaces.joint_space(scaled, env.num_agents)
    env.reset, env.step = fresh, stepped
    return env
