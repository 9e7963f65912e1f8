"""The physics and the bookkeeping of the drones' world, by properties."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.base import InvalidInput
from training.drone.world import GRAVITY, RANGES, Rules, World

SEEDS = st.integers(0, 2**31 - 1)
STILL = {"wind": 0.0, "gusts": 0.0}
ODD = np.float32([np.nan, np.inf, -np.inf, 1e30, -1e30, 0.5])


def world_of(seed: int, boxes: int = 6, drones: int = 5, **rules: Any) -> World:
    world = World(Rules(**rules), boxes, drones)
    world.seed(seed)
    world.start(np.ones(world.shape, dtype=bool))
    return world


def actions_of(draw: np.random.Generator, world: World, kind: str) -> Any:
    """Actions in the order that the world takes them: boxes, drones, axes."""
    shape = (*world.shape[::-1], 3)
    if kind == "even":
        return draw.uniform(-1, 1, shape).astype(np.float32)
    if kind == "ends":
        return np.sign(draw.uniform(-1, 1, shape)).astype(np.float32)
    return draw.choice(ODD, shape)


@given(SEEDS, st.sampled_from(["even", "ends", "odd"]), st.sampled_from([0.02, 0.1, 1.0]))
@settings(deadline=None, max_examples=30)
def test_no_drone_is_outside_or_touches_another_without_its_episode_ending(seed: int, kind: str, step: float) -> None:
    world, draw = world_of(seed, step_seconds=step, max_steps=50), np.random.default_rng(seed)
    inside = np.float32([world.rules.half_width, world.rules.half_width])[:, None, None]
    for _ in range(80):
        events = world.step(actions_of(draw, world, kind))
        out = (np.abs(world.position[:2]) > inside).any(0) | (world.position[2] > world.rules.height)
        grounded = world.position[2] <= 0
        squares = (world.apart**2).sum(0)
        squares[np.eye(world.shape[0], dtype=bool)] = np.inf
        touching = (squares < (2 * world.rules.radius) ** 2).any(1)
        assert not ((out | grounded | touching) & ~events.ended).any()
        assert (events.collided >= (grounded | touching)).all()
        assert not (events.collided & events.left).any()
        assert (events.left <= out).all()
        assert (world.steps <= 50).all()
        if events.ended.any():
            world.start(events.ended)


@given(SEEDS, st.floats(0, 2), st.floats(0, 1), st.sampled_from([0.02, 0.1, 1.0]))
@settings(deadline=None, max_examples=40)
def test_energy_comes_from_thrust_alone(seed: int, drag: float, payload: float, step: float) -> None:
    """Of motion and height together, in still air: never more than thrust times way, whatever the step."""
    world = world_of(seed, drag=drag, payload=payload, step_seconds=step, **STILL)
    draw = np.random.default_rng(seed)
    world.velocity[:] = draw.normal(0, 3, world.velocity.shape)
    world.carrying[:] = draw.random(world.shape) < 0.5
    mass = 1 + payload * world.carrying
    for _ in range(20):
        place, energy = world.position.astype(np.float64), _energy(world)
        world._fly(actions_of(draw, world, "even").T)
        work = (world.thrust * (world.position - place)).sum(0) / mass
        assert (_energy(world) <= energy + work + 1e-3 * (1 + np.abs(energy))).all()


def _energy(world: World) -> Any:
    """Per mass, J/kg."""
    return (world.velocity.astype(np.float64) ** 2).sum(0) / 2 + GRAVITY * world.position[2].astype(np.float64)


def test_one_long_step_is_as_good_as_many_short_ones() -> None:
    """The integration is exact while thrust and wind stay: it does not depend on the length of a step."""
    once, often = (world_of(1, step_seconds=step, gusts=0.0) for step in (0.8, 0.1))
    action = np.float32(np.random.default_rng(1).uniform(-1, 1, (3, *once.shape)))
    once._fly(action)
    for _ in range(8):
        often._fly(action)
    np.testing.assert_allclose(once.position, often.position, atol=1e-4)
    np.testing.assert_allclose(once.velocity, often.velocity, atol=1e-4)


def test_thrust_has_a_limit_and_never_points_down() -> None:
    world = world_of(1, steering=50.0, thrust_to_weight=1.5)
    world._fly(actions_of(np.random.default_rng(1), world, "ends").T)
    assert np.sqrt((world.thrust**2).sum(0)).max() <= 1.5 * GRAVITY * 1.0001
    assert world.thrust[2].min() >= 0


def test_an_empty_drone_hovers_without_action_and_a_loaded_one_sinks() -> None:
    world = world_of(1, **STILL)
    world.carrying[1:] = True
    world._fly(np.zeros((3, *world.shape), dtype=np.float32))
    assert np.abs(world.velocity[:, 0]).max() < 1e-5
    assert world.velocity[2, 1:].max() < -0.01


def test_wind_carries_a_drone_along_and_gusts_are_as_large_as_said() -> None:
    world = world_of(1, boxes=2000, drones=1, wind=2.0, gusts=0.7)
    for _ in range(300):
        world._fly(np.zeros((3, *world.shape), dtype=np.float32))
    assert world.velocity[0].mean() == pytest.approx(2.0, abs=0.05)
    assert world.wind[0].mean() == pytest.approx(2.0, abs=0.05)
    assert world.wind[:2].std(axis=1) == pytest.approx([0.7, 0.7], abs=0.04)
    assert not world.wind[2].any()


@given(SEEDS, st.integers(1, 9), st.integers(1, 6))
@settings(deadline=None, max_examples=30)
def test_drones_start_apart_and_points_lie_within_reach(seed: int, boxes: int, drones: int) -> None:
    world = world_of(seed, boxes, drones)
    inner = world.rules.half_width - 1
    for place in (world.position, world.pick_up, world.drop_off):
        assert np.abs(place[:2]).max() <= inner * 1.0001
        assert place[2].min() >= 1
    for one, other in ((world.position, world.pick_up), (world.pick_up, world.drop_off)):
        assert np.abs(one[:2] - other[:2]).min() > world.rules.grip_radius
    squares = (world.apart**2).sum(0)
    squares[np.eye(drones, dtype=bool)] = np.inf
    assert squares.min() > (2 * world.rules.radius) ** 2


@pytest.mark.parametrize("speed", [40.0, 4.0])
def test_drones_that_cross_within_a_step_collide(speed: float) -> None:
    """However fast: between two steps they have passed through each other."""
    world = world_of(1, 1, 2, drag=0.0, **STILL)
    world.position[:, 0, 0], world.position[:, 1, 0] = (-speed * 0.05, 0, 3), (speed * 0.05, 0, 3)
    world.velocity[:, 0, 0], world.velocity[:, 1, 0] = (speed, 0, 0), (-speed, 0, 0)
    world._look()
    assert world.step(np.zeros((1, 2, 3), dtype=np.float32)).collided.all()


def test_a_grip_takes_its_time_within_radius_and_speed_and_counts_once() -> None:
    world = world_of(1, 1, 1, drag=0.0, grip_seconds=0.5, **STILL)
    world.position[:, 0, 0] = world.pick_up[:, 0, 0]
    first, second = world.pick_up.copy(), world.drop_off.copy()
    still = np.zeros((1, 1, 3), dtype=np.float32)
    seen = [world.step(still).picked_up.item() for _ in range(7)]
    assert seen == [False] * 4 + [True] + [False] * 2
    np.testing.assert_array_equal(world.target, second)
    world.position[:, 0, 0], world.velocity[:] = second[:, 0, 0], 0
    hover = np.float32([[[0, 0, GRAVITY * world.rules.payload / world.rules.steering]]])
    seen = [world.step(hover).delivered.item() for _ in range(7)]
    assert seen == [False] * 4 + [True] + [False] * 2
    assert not world.carrying.any()
    assert np.abs(world.pick_up - first).max() > 0.1  # a new one
    np.testing.assert_array_equal(world.target, world.pick_up)


def test_a_break_in_a_grip_begins_it_anew() -> None:
    world = world_of(1, 1, 1, grip_seconds=0.5, **STILL)
    still = np.zeros((1, 1, 3), dtype=np.float32)
    for _ in range(3):
        world.position[:, 0, 0], world.velocity[:] = world.pick_up[:, 0, 0], 0
        assert not any(world.step(still).picked_up.item() for _ in range(4))
        world.velocity[0] = 5  # too fast
        assert not world.step(still).picked_up.item()


@given(SEEDS)
@settings(deadline=None, max_examples=15)
def test_pick_ups_and_deliveries_take_turns(seed: int) -> None:
    """With grips that are easy: what has been picked up and not delivered is on board, never twice."""
    easy = {"grip_radius": 3.0, "grip_speed": 100.0, "grip_seconds": 0.1, "half_width": 4.0}
    world, draw = world_of(seed, max_steps=60, **easy), np.random.default_rng(seed)
    on_board = np.zeros(world.shape, dtype=int)
    gripped = 0
    for _ in range(100):
        towards = np.clip(world.offset - world.velocity, -1, 1).T + draw.normal(0, 0.2, (*world.shape[::-1], 3))
        events = world.step(towards.astype(np.float32))
        assert not (events.picked_up & events.delivered).any()
        assert not ((events.picked_up | events.delivered) & (events.collided | events.left)).any()
        on_board += events.picked_up.astype(int) - events.delivered
        gripped += int(events.delivered.sum())
        assert (on_board == world.carrying).all()
        on_board[events.ended] = 0
        if events.ended.any():
            world.start(events.ended)
    assert gripped > 0


def test_progress_adds_up_to_the_way_that_was_made() -> None:
    world, draw = world_of(3, **STILL), np.random.default_rng(3)
    before, total = world.distance.copy(), np.zeros(world.shape)
    for _ in range(10):
        total += world.step(actions_of(draw, world, "even")).progress
    np.testing.assert_allclose(total, before - world.distance, atol=1e-4)


@pytest.mark.parametrize("name", sorted(RANGES))
@pytest.mark.parametrize("beyond", [-1, 1])
def test_a_rule_outside_its_range_is_refused_by_name(name: str, beyond: int) -> None:
    low, high = RANGES[name]
    value = low - 1 if beyond < 0 else high * 2
    with pytest.raises(InvalidInput, match=rf"env\.{name}") as told:
        Rules(**{name: value})
    assert f"{low:g} to {high:g}" in str(told.value)
    with pytest.raises(InvalidInput):
        Rules(**{name: float("nan")})
