"""`drone_delivery` as a PufferEnv: its arrays, its log, and a reward that pays for deliveries alone."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.training.drone import pilots

Make = Callable[..., Any]
ODD = np.float32([np.nan, np.inf, -np.inf, 1e30, -1e30, -1, 1, 0])


def test_arrays_are_what_pufferlib_asks_for(make: Make) -> None:
    """The buffers are written in place, as its vectorization needs, and its own check of spaces passes."""
    import pufferlib.vector

    vecenv = pufferlib.vector.Serial([make] * 2, [[]] * 2, [{"num_envs": 3, "num_drones": 4}] * 2, 2, seed=7)
    observations, _ = vecenv.reset(7)
    assert observations.shape == (24, 18)
    assert observations.dtype == np.float32
    told = []
    for _ in range(300):
        actions = vecenv.action_space.sample()
        seen, rewards, terminals, truncations, infos = vecenv.step(actions)
        assert seen is vecenv.observations  # in place
        assert seen in vecenv.observation_space
        assert (rewards.dtype, terminals.dtype, truncations.dtype) == (np.float32, np.bool_, np.bool_)
        assert not truncations.any()
        told += [int(info["n"]) for info in infos]
        assert sum(int(info["n"]) for info in infos) == terminals.sum()  # an episode that ends is logged, at once
    assert told


def test_the_same_seed_flies_the_same(make: Make) -> None:
    draw = np.random.default_rng(0)
    one, other, third = (make(num_envs=3, num_drones=4, seed=seed) for seed in (5, 5, 6))
    different = False
    for step in range(400):
        actions = draw.uniform(-1, 1, (12, 3)).astype(np.float32)
        ours, theirs = one.step(actions), other.step(actions)
        for mine, its in zip(ours[:4], theirs[:4], strict=True):
            np.testing.assert_array_equal(mine, its)
        assert ours[4] == theirs[4]
        third.step(actions)
        different |= bool((third.observations != one.observations).any())
        if step == 150:  # in mid-flight
            first, _ = one.reset(9)
            second, _ = other.reset(9)
            np.testing.assert_array_equal(first, second)
            np.testing.assert_array_equal(first, make(num_envs=3, num_drones=4, seed=9).observations)
    assert different


def test_a_reset_in_mid_flight_begins_every_episode_anew(make: Make) -> None:
    env = make(num_envs=2, num_drones=3, seed=1)
    for _ in range(60):
        env.step(pilots.deliverer(env))
    seen, _ = env.reset()
    np.testing.assert_array_equal(seen[:, 3:6], 0)  # at rest
    np.testing.assert_array_equal(seen[:, 15:18], [[-1, 1, 0]] * 6)  # empty, all the time left
    assert not env.rewards.any()
    assert not env.terminals.any()
    *_, logs = [log for _ in range(env.world.rules.max_steps) for log in env.step(pilots.deliverer(env))[4]]
    assert logs["episode_length"] <= env.world.rules.max_steps


def test_a_million_steps_of_any_actions_leave_every_number_finite(make: Make) -> None:
    """Even at random, at the ends, beyond them, and no numbers at all."""
    env, draw = make(num_envs=512, num_drones=4, seed=2), np.random.default_rng(2)
    taken = 0
    while taken < 1_000_000:
        kind = taken // env.num_agents % 3
        shape = (env.num_agents, 3)
        actions = (draw.uniform(-1, 1, shape), np.sign(draw.uniform(-1, 1, shape)), draw.choice(ODD, shape))[kind]
        seen, rewards, *_, logs = env.step(actions.astype(np.float32))
        assert np.isfinite(seen).all()
        assert np.abs(seen).max() <= 1
        assert np.isfinite(rewards).all()
        assert all(np.isfinite(list(log.values())).all() for log in logs)
        taken += env.num_agents


def test_the_task_can_be_solved(make: Make) -> None:
    done = pilots.flown(make(num_envs=16, num_drones=8, seed=3), pilots.deliverer, 800)
    assert done["success_rate"] > 0.95
    assert done["deliveries"] > 1.5
    assert done["collision_rate"] < 0.05
    assert done["out_of_bounds_rate"] == 0


CHEATS = (pilots.hoverer, pilots.still, pilots.shuttle, pilots.racer, pilots.diver, pilots.runaway)


@pytest.mark.parametrize("pilot", CHEATS, ids=lambda pilot: pilot.__name__)
def test_who_does_not_deliver_earns_far_less(make: Make, pilot: pilots.Pilot) -> None:
    """To hover, to fly to and fro, to race through, to crash early: per episode and per step."""
    paid, cheat = (pilots.flown(make(num_envs=16, num_drones=8, seed=3), which, 800)
                   for which in (pilots.deliverer, pilot))  # fmt: skip
    assert cheat["deliveries"] < 0.2 * paid["deliveries"]
    assert cheat["episode_return"] < 0.3 * paid["episode_return"]
    per_step = [done["episode_return"] / done["episode_length"] for done in (cheat, paid)]
    assert per_step[0] < 0.3 * per_step[1]


def test_a_log_says_what_happened(make: Make) -> None:
    """Divers hit the ground, who runs away leaves, and the two rates never add up to more than 1."""
    dived = pilots.flown(make(num_envs=4, num_drones=2, seed=1), pilots.diver, 100)
    assert dived["collision_rate"] == 1
    left = pilots.flown(make(num_envs=4, num_drones=1, seed=1), pilots.runaway, 200)
    assert (left["out_of_bounds_rate"], left["collision_rate"], left["success_rate"]) == (1, 0, 0)
    late = pilots.flown(make(num_envs=4, num_drones=1, seed=1, max_steps=30), pilots.still, 90)
    assert (late["n"], late["episode_length"]) == (12, 30)


def test_terms_of_the_reward_are_arguments(make: Make) -> None:
    only = {f"reward_{name}": 0.0 for name in ("progress", "pickup", "delivery", "crash")}
    done = {
        term: pilots.flown(make(num_envs=8, num_drones=2, seed=1, **{**only, term: 1.0}), pilots.deliverer, 600)
        for term in ("reward_delivery", "reward_crash")
    }
    delivered, crashed = done["reward_delivery"], done["reward_crash"]
    assert delivered["episode_return"] == pytest.approx(delivered["deliveries"])
    rates = crashed["collision_rate"] + crashed["out_of_bounds_rate"]
    assert crashed["episode_return"] == pytest.approx(rates, abs=1e-6)
