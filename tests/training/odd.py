"""Environments as people bring them, with every kind of space and interface: a module for a workspace."""

ODD = """
import gym
import gymnasium
import numpy as np
import pettingzoo
import pufferlib
from gymnasium import spaces as S  # noqa: N812
from gymnasium.envs.registration import register


class Env(gymnasium.Env):
    # ten steps, one reward each, at its goal from the fifth on; it insists on actions of its own space

    observation_space = S.Box(-1, 1, (2,), np.float32)
    action_space = S.Discrete(2)

    def reset(self, seed=None, options=None):
        super().reset(seed=seed)
        self.at = 0
        return self.see(), {}

    def see(self):
        return self.observation_space.sample()

    def step(self, action):
        assert self.action_space.contains(action), f"{action!r} is not in {self.action_space}"
        self.at += 1
        return self.see(), 1.0, self.at >= 10, False, {"is_success": self.at >= 5, "cost": 2}


ACTIONS = {
    "Tuple": S.Tuple((S.Discrete(2), S.Discrete(3, start=1))),
    "Dict": S.Dict({"a": S.Discrete(2), "b": S.MultiBinary(2)}),
    "Boxes": S.Dict({"a": S.Box(0, 5, (2,), np.float32), "b": S.Box(-1, 1, (), np.float64)}),
    "Mixed": S.Dict({"a": S.Discrete(2), "b": S.Box(-1, 1, (2,), np.float32)}),
    "MultiBinary": S.MultiBinary(3),
    "MultiBinary2d": S.MultiBinary((2, 2)),
    "Sequence": S.Sequence(S.Discrete(2)),
    "Text": S.Text(5),
    "Graph": S.Graph(S.Box(-1, 1, (2,)), S.Discrete(2)),
    "Box0d": S.Box(-1, 1, (), np.float32),
    "Box2d": S.Box(-1, 1, (2, 3), np.float32),
    "Box64": S.Box(-1, 1, (2,), np.float64),
    "Box16": S.Box(-1, 1, (2,), np.float16),
    "BoxInt": S.Box(0, 4, (2,), np.int64),
    "BoxFar": S.Box(100, 200, (2,), np.float32),
    "BoxUneven": S.Box(np.array([0, -5], np.float32), np.array([1, 50], np.float32)),
    "BoxHalf": S.Box(0, np.inf, (2,), np.float32),
    "BoxFree": S.Box(-np.inf, np.inf, (2,), np.float32),
    "Start": S.Discrete(3, start=5),
    "MultiDiscrete2d": S.MultiDiscrete(np.array([[2, 3], [4, 5]])),
}
OBSERVATIONS = {
    "Tuple": S.Tuple((S.Discrete(2), S.Box(-1, 1, (3,), np.float32))),
    "Dict": S.Dict({"a": S.Box(0, 255, (3, 3), np.uint8), "b": S.Box(-1, 1, (2,), np.float32)}),
    "Nested": S.Dict({"a": S.Dict({"c": S.Box(-1, 1, (3,), np.float32)}), "b": S.MultiDiscrete([2, 3])}),
    "Bits": S.Dict({"a": S.MultiBinary(3), "b": S.Box(0, 1, (2,), np.bool_)}),
    "Mission": S.Dict({"image": S.Box(0, 255, (7, 7, 3), np.uint8), "mission": S.Text(20)}),
    "Text": S.Text(5),
    "Sequence": S.Sequence(S.Discrete(2)),
    "Graph": S.Graph(S.Box(-1, 1, (2,)), S.Discrete(2)),
    "Bool": S.Box(0, 1, (4,), np.bool_),
    "Box64": S.Box(-1, 1, (4,), np.float64),
    "Box0d": S.Box(-1, 1, (), np.float32),
    "Int64": S.Box(0, 10, (4,), np.int64),
    "Uint16": S.Box(0, 10, (4,), np.uint16),
    "Start": S.Discrete(3, start=5),
}
for name, space in ACTIONS.items():
    globals()[f"Act{name}"] = type(f"Act{name}", (Env,), {"action_space": space, "__module__": __name__})
for name, space in OBSERVATIONS.items():
    globals()[f"See{name}"] = type(f"See{name}", (Env,), {"observation_space": space, "__module__": __name__})


class Says64(Env):
    def see(self):
        return super().see().astype(np.float64)


class SaysList(Env):
    def see(self):
        return [0, 1]


class SaysBytes(Env):
    observation_space = S.Box(0, 255, (2,), np.uint8)

    def see(self):
        return np.array([0.5, 1.5])


class SaysOutside(Env):
    def see(self):
        return np.array([2.0, 1.5], np.float32)


class SaysWider(Env):
    def see(self):
        return np.zeros(3, np.float32)


class OldStep(Env):
    def step(self, action):
        observation, reward, terminated, _, info = super().step(action)
        return observation, reward, terminated, info


class Old(OldStep):
    def reset(self):
        self.at = 0
        return self.see()


class OfGym(gym.Env):
    observation_space = gym.spaces.Box(-1, 1, (2,), np.float32)
    action_space = gym.spaces.Discrete(2)


class Base(Env):
    def __init__(self, size, speed=None, render_mode=None):
        self.size, self.speed = size, speed
        self.observation_space = S.Box(-1, 1, (int(size),), np.float32)


class Needs(Base):
    def __init__(self, wind=0.5, **more):
        super().__init__(**more)


class Broken(Env):
    def __init__(self):
        raise RuntimeError("no display")


class Together(pettingzoo.ParallelEnv):
    # three agents, a reward a step, and the first leaves after three

    metadata = {"name": "together"}

    def __init__(self, agents=3):
        self.possible_agents = [f"agent{i}" for i in range(int(agents))]

    def observation_space(self, agent):
        return S.Box(-1, 1, (2,), np.float32)

    def action_space(self, agent):
        return S.Box(0, 10, (), np.float64)

    def reset(self, seed=None, options=None):
        self.agents, self.at = self.possible_agents[:], 0
        return {agent: np.zeros(2) for agent in self.agents}, {agent: {} for agent in self.agents}

    def step(self, actions):
        assert all(self.action_space(agent).contains(action) for agent, action in actions.items())
        self.at += 1
        there, over = self.agents, self.at >= 10
        gone = {agent: over or (agent == "agent0" and self.at >= 3) for agent in there}
        self.agents = [agent for agent in there if not gone[agent]]
        return (
            {agent: np.zeros(2) for agent in there},
            dict.fromkeys(there, 1.0),
            gone,
            dict.fromkeys(there, False),
            {agent: {"is_success": over} for agent in there},
        )


class Different(Together):
    def action_space(self, agent):
        return S.Discrete(2 + int(agent[-1]))


class Unknown(Together):
    def __init__(self):
        pass


class InTurn(pettingzoo.AECEnv):
    metadata = {"name": "in turn"}
    possible_agents = ["a"]

    def observation_space(self, agent):
        return S.Box(-1, 1, (2,), np.float32)

    def action_space(self, agent):
        return S.Discrete(2)


class Native(pufferlib.PufferEnv):
    # actions between 100 and 200

    def __init__(self, num_envs=2, buf=None, seed=0):
        self.single_observation_space = S.Box(-1, 1, (2,), np.float32)
        self.single_action_space = S.Box(100, 200, (1,), np.float32)
        self.num_agents = num_envs
        super().__init__(buf)

    def reset(self, seed=None):
        self.at = 0
        return self.observations, []

    def step(self, actions):
        assert actions.shape == (self.num_agents, 1) and (actions >= 100).all() and (actions <= 200).all()
        self.at += 1
        self.rewards[:] = actions.ravel()
        self.terminals[:] = self.at % 5 == 0
        logs = [{"told": float(actions.mean())}] if self.at % 5 == 0 else []
        return self.observations, self.rewards, self.terminals, self.truncations, logs

    def close(self):
        pass


register("Own-v0", "odd:Env", max_episode_steps=50)
register("mine/Own-v0", "odd:Env", max_episode_steps=50)
register("Needs-v0", "odd:Needs", max_episode_steps=50, kwargs={"wind": 2.0})
register("Old-v0", "odd:Old", max_episode_steps=50)
"""
