"""Policies written by hand, which see the world itself: one that delivers, and those that try to be paid without."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Pilot = Callable[[Any], NDArray[np.float32]]
"""From an environment to the actions of all its agents, (agents, 3)."""
CRUISE = 3.0
"""m/s."""


def deliverer(env: Any) -> NDArray[np.float32]:
    """Go to the point, slow down there, keep away from others."""
    world = env.world
    wanted = _towards(world.offset, world.distance) - 4 * world.nearest(2.0)
    return _push(env, wanted)


def hoverer(env: Any) -> NDArray[np.float32]:
    """Go to the pick-up point, and hang about there too fast to grip: up and down, half a second each."""
    world = env.world
    wanted = _towards(world.offset, world.distance)
    close = world.distance < 1.0
    wanted[:, close] = 0
    wanted[2, close] = np.where(world.steps[close] // 5 % 2, 1.5, -1.5)
    return _push(env, wanted)


def still(env: Any) -> NDArray[np.float32]:
    """Hover where it started."""
    return _push(env, np.zeros_like(env.world.offset))


def shuttle(env: Any) -> NDArray[np.float32]:
    """Fly at the point and away from it again, two seconds each."""
    world = env.world
    direction = np.where(world.steps // 20 % 2, -1, 1)
    return _push(env, direction * _towards(world.offset, np.maximum(world.distance, 3.0)))


def racer(env: Any) -> NDArray[np.float32]:
    """Fly through the point without slowing down, again and again."""
    world = env.world
    return _push(env, CRUISE * world.offset / np.maximum(world.distance, 1e-6))


def diver(env: Any) -> NDArray[np.float32]:
    """Straight into the ground."""
    return np.tile(np.float32([0, 0, -1]), (env.num_agents, 1))


def runaway(env: Any) -> NDArray[np.float32]:
    """Out through a wall."""
    return np.tile(np.float32([1, 0, 0.2]), (env.num_agents, 1))


def _towards(offset: Any, distance: Any) -> Any:
    return np.minimum(CRUISE, 1.2 * distance) * offset / np.maximum(distance, 1e-6)


def _push(env: Any, wanted: Any) -> NDArray[np.float32]:
    """Actions that bring a velocity about, and carry the payload."""
    world = env.world
    force = (wanted - world.velocity) / 0.3
    force[2] += 9.81 * world.rules.payload * world.carrying
    actions: NDArray[np.float32] = (force / world.rules.steering).T.reshape(-1, 3).astype(np.float32)
    return actions


def flown(env: Any, pilot: Pilot, steps: int) -> dict[str, float]:
    """The mean of each log over the episodes that ended, and their number as `n`."""
    totals: dict[str, float] = {}
    for _ in range(steps):
        *_, logs = env.step(pilot(env))
        for log in logs:
            for name, value in log.items():
                totals[name] = totals.get(name, 0) + (value if name == "n" else value * log["n"])
    return {name: total if name == "n" else total / totals["n"] for name, total in totals.items()}
