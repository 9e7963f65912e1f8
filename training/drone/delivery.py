"""`drone_delivery`: drones that fly to a point, pick up, and deliver at another, as a native PufferEnv.

It imports PufferLib, whose class it extends, so it runs in worker processes only.
"""

from typing import Any

import gymnasium
import numpy as np
import pufferlib
from numpy.typing import NDArray

from lab.base import invalid
from training.drone.picture import Picture
from training.drone.world import Events, Rules, World

SIZE = 18
"""Numbers of an observation."""
FASTEST = 8.0
"""m/s that a velocity of 1 stands for."""
CLOSE = 2.0
"""m that an offset of 1 stands for, in the finer of the two."""
SEEN = 3.0
"""m within which another drone is seen."""
MOST = 2**20
"""Agents, at most."""


class DroneDelivery(pufferlib.PufferEnv):  # type: ignore[misc]
    """`num_envs` boxes of `num_drones` drones, each drone an agent with episodes of its own.

    **Task.** A drone starts at rest. To pick up it has to stay within `grip_radius` of its pick-up point, slower than
    `grip_speed`, for `grip_seconds`; to deliver, the same at its drop-off point; then it gets two new points. An
    episode ends by a collision with another drone or the ground, by leaving the box through a wall or the ceiling, or
    after `max_steps` steps. All three are terminals: the time left is observed, so the end of time is part of the task
    (Pardo et al. 2018, "Time limits in reinforcement learning") and not a cut. The others in the box fly on. Dynamics
    and their sources: `training/drone/world.py`.

    **Actions**, 3 floats in -1 to 1: thrust along x, y, z as a multiple of `steering`, beside the thrust that
    makes an empty drone hover. All 0 hovers; with the payload on board it sinks.

    **Observations**, 18 floats in -1 to 1: position by the size of the box (3), velocity by 8 m/s (3), the way to the
    point that has to be reached by the width of the box (3), the same by 2 m (3), the way to the nearest drone within
    3 m, as a direction times closeness (3), whether the payload is on board (-1, 1), time left (1 to -1), how
    much of `grip_seconds` is through (0 to 1).

    **Reward**, each term an argument: `reward_progress` per metre by which the drone came nearer to the point that it
    had to reach; `reward_pickup` and `reward_delivery` each time; `reward_crash` for a collision and for leaving.
    Progress is a potential (Ng, Harada & Russell 1999): on any way it sums up to where it ends, so to fly to and
    fro is worth nothing, and so is to hover. What a point has paid is paid once, since a delivery lies between two.

    **Log**, means over the `n` episodes that ended in a step: `success_rate` (with a delivery or more),
    `collision_rate` (ended by a collision with a drone or the ground), `out_of_bounds_rate` (ended by leaving the
    box), `deliveries`, `episode_return`, `episode_length`.
    """

    def __init__(
        self,
        num_envs: int = 128,
        num_drones: int = 8,
        half_width: float = Rules.half_width,
        height: float = Rules.height,
        step_seconds: float = Rules.step_seconds,
        steering: float = Rules.steering,
        thrust_to_weight: float = Rules.thrust_to_weight,
        drag: float = Rules.drag,
        payload: float = Rules.payload,
        wind: float = Rules.wind,
        gusts: float = Rules.gusts,
        radius: float = Rules.radius,
        grip_radius: float = Rules.grip_radius,
        grip_speed: float = Rules.grip_speed,
        grip_seconds: float = Rules.grip_seconds,
        max_steps: int = Rules.max_steps,
        reward_progress: float = 0.1,
        reward_pickup: float = 0.5,
        reward_delivery: float = 1.0,
        reward_crash: float = -1.0,
        buf: Any = None,
        seed: int = 0,
    ) -> None:
        """Build the boxes and start all drones.

        Args:
            num_envs: boxes, from 1.
            num_drones: in each, from 1; the time of a step grows with its square.
            half_width: of a box, m; what it may be, as of the others down to `max_steps`, is in `world.RANGES`.
            height: of a box, m.
            step_seconds: of flight with one action.
            steering: m/s² that an action of 1 adds to hovering.
            thrust_to_weight: the most thrust, in weights of an empty drone.
            drag: per second, of the air speed.
            payload: its mass, in masses of a drone.
            wind: its mean along x, m/s.
            gusts: standard deviation of the wind along x and y, m/s.
            radius: of a drone, m.
            grip_radius: m, within which a drone grips.
            grip_speed: m/s, below which it does.
            grip_seconds: for which it has to be so near and so slow.
            max_steps: the length of an episode.
            reward_progress: per metre.
            reward_pickup: each.
            reward_delivery: each.
            reward_crash: for a collision or for leaving.
            buf: PufferLib's arrays.
            seed: from 0; the same seed and actions, the same flights.

        Raises:
            InvalidInput: an argument is outside its range.
        """
        for key, value in (("env.num_envs", num_envs), ("env.num_drones", num_drones)):
            if not 1 <= value <= MOST:
                raise invalid(key, value, "is outside its range", f"1 to {MOST}")
        rules = Rules(
            half_width=half_width,
            height=height,
            step_seconds=step_seconds,
            steering=steering,
            thrust_to_weight=thrust_to_weight,
            drag=drag,
            payload=payload,
            wind=wind,
            gusts=gusts,
            radius=radius,
            grip_radius=grip_radius,
            grip_speed=grip_speed,
            grip_seconds=grip_seconds,
            max_steps=max_steps,
        )
        self.single_observation_space = gymnasium.spaces.Box(-1, 1, (SIZE,), np.float32)
        self.single_action_space = gymnasium.spaces.Box(-1, 1, (3,), np.float32)
        self.num_agents = num_envs * num_drones
        super().__init__(buf)
        self.world = World(rules, num_envs, num_drones)
        self._pays = tuple(map(np.float32, (reward_progress, reward_pickup, reward_delivery, reward_crash)))
        self._returns = np.zeros(self.world.shape, dtype=np.float32)
        self._deliveries = np.zeros(self.world.shape, dtype=np.int32)
        self._size = np.array([half_width, half_width, height / 2], dtype=np.float32)[:, None, None]
        self._middle = np.array([0, 0, height / 2], dtype=np.float32)[:, None, None]
        self._seen = np.zeros((SIZE, *self.world.shape), dtype=np.float32)
        self._picture: Picture | None = None
        self.reset(seed)

    def reset(self, seed: int | None = None) -> tuple[NDArray[np.float32], list[dict[str, float]]]:
        """Start all drones, in mid-flight or not.

        Args:
            seed: as for the constructor; without one the draws go on.
        """
        if seed is not None:
            self.world.seed(seed)
        self._start(np.ones(self.world.shape, dtype=bool))
        self.rewards[:] = 0
        self.terminals[:] = False
        self.truncations[:] = False
        self._observe()
        return self.observations, []

    def _start(self, which: NDArray[np.bool_]) -> None:
        self.world.start(which)
        self._returns[which] = 0
        self._deliveries[which] = 0

    def step(self, actions: Any) -> tuple[Any, ...]:
        """Fly one step; a drone whose episode ended has its next one's first observation.

        Args:
            actions: (agents, 3).
        """
        events = self.world.step(np.asarray(actions, dtype=np.float32).reshape(*self.world.shape[::-1], 3))
        progress, pick_up, delivery, crash = self._pays
        rewards = progress * events.progress
        rewards += pick_up * events.picked_up
        rewards += delivery * events.delivered
        rewards += crash * (events.collided | events.left)
        self._returns += rewards
        self._deliveries += events.delivered
        ended = events.ended
        self.rewards[:] = rewards.T.ravel()
        self.terminals[:] = ended.T.ravel()
        infos = []
        if ended.any():
            infos.append(self._log(events, ended))
            self._start(ended)
        self._observe()
        return self.observations, self.rewards, self.terminals, self.truncations, infos

    def _log(self, events: Events, ended: NDArray[np.bool_]) -> dict[str, float]:
        deliveries = self._deliveries[ended]
        return {
            "n": float(len(deliveries)),
            "success_rate": float((deliveries > 0).mean()),
            "collision_rate": float(events.collided[ended].mean()),
            "out_of_bounds_rate": float(events.left[ended].mean()),
            "deliveries": float(deliveries.mean()),
            "episode_return": float(self._returns[ended].mean()),
            "episode_length": float(self.world.steps[ended].mean()),
        }

    def _observe(self) -> None:
        world, seen = self.world, self._seen
        np.divide(world.position - self._middle, self._size, out=seen[:3])
        np.divide(world.velocity, np.float32(FASTEST), out=seen[3:6])
        np.divide(world.offset, np.float32(2 * world.rules.half_width), out=seen[6:9])
        np.divide(world.offset, np.float32(CLOSE), out=seen[9:12])
        seen[12:15] = world.nearest(SEEN)
        seen[15] = world.carrying * np.float32(2) - 1
        seen[16] = 1 - world.steps * np.float32(2 / world.rules.max_steps)
        np.divide(world.held, np.float32(world.grip_steps), out=seen[17], casting="unsafe")
        np.clip(seen, -1, 1, out=seen)
        self.observations[:] = seen.T.reshape(-1, SIZE)

    def render(self) -> NDArray[np.uint8]:
        """The first box from above, with the trails since the first picture: (360, 360, 3)."""
        if self._picture is None:
            self._picture = Picture(self.world)
        return self._picture.draw()

    def close(self) -> None:
        """Nothing is open."""
