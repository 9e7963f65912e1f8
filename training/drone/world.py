"""The world of the drones: how they fly, collide, pick up and deliver. numpy alone, all drones of all boxes at once.

A box is 2 `half_width` wide and deep and `height` high, the ground at z = 0, metres throughout. Each of its drones is
a quadrotor seen as a point: its thrust can be turned any way but downwards within a step, since attitude settles
faster (some 50 ms) than a step lasts. Of one of mass 1, or m = 1 + payload with the payload on board:

    dv/dt = T / m - g e_z - drag (v - wind)

`drag` is linear in the air speed, as that of rotors is (Faessler, Franchi & Scaramuzza 2018, "Differential flatness
of quadrotor dynamics subject to rotor drag"). Thrust and wind are constant within a step, so that its end is exact
(the zero-order hold of a linear system), however long it is, and no energy comes from the arithmetic: with
k = T / m - g e_z + drag wind, e = exp(-drag dt), a = (1 - e) / drag, b = (dt - a) / drag,

    v' = e v + a k        x' = x + a v + b k

Gusts are an Ornstein-Uhlenbeck process about the mean wind, also exact from step to step (Gillespie 1996), and
horizontal; the drones of a box share them. Whether drones met is asked of the whole way of a step, in straight lines;
ground, walls and ceiling count where a step ends.

Arrays are float32 of shape (3, drones, boxes) or (drones, boxes): with the boxes last, what is asked of each pair of
drones goes through memory in long runs.
"""

import math
from dataclasses import dataclass, fields
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lab.base import InvalidInput, Problem

Floats = NDArray[np.float32]
Flags = NDArray[np.bool_]

GRAVITY = 9.81
"""m/s²."""
GUST_SECONDS = 2.0
"""Seconds in which a gust falls to 1/e."""
MARGIN = 1.0
"""Metres between the walls and where drones start and points lie."""
POINTS = (1.0, 4.0)
"""Heights, in metres, that drones start at and points lie at."""
STARTS = 8
"""Places drawn for a drone that starts; it takes the one farthest from the others."""


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What can be set of the world; each is an argument of the environment, too."""

    half_width: float = 8.0
    """From the middle to a wall, m."""
    height: float = 6.0
    """Of the box, m."""
    step_seconds: float = 0.1
    """Of flight, with one action."""
    steering: float = 5.0
    """m/s² that an action of 1 adds to hovering, along each axis."""
    thrust_to_weight: float = 1.8
    """The most thrust, in weights of the drone without payload."""
    drag: float = 0.4
    """Per second, of the air speed."""
    payload: float = 0.1
    """Mass of what is delivered, in masses of the drone."""
    wind: float = 0.5
    """Its mean along the x axis, m/s."""
    gusts: float = 0.5
    """Standard deviation of the wind along x and y, m/s."""
    radius: float = 0.15
    """Of a drone, m: two collide at twice that."""
    grip_radius: float = 0.5
    """m, within which a drone picks up and delivers."""
    grip_speed: float = 1.0
    """m/s, below which it does."""
    grip_seconds: float = 0.5
    """Time without a break for which it has to be so near and so slow."""
    max_steps: int = 200
    """The length of an episode."""

    def __post_init__(self) -> None:
        problems = []
        for field in fields(self):
            value, (low, high) = getattr(self, field.name), RANGES[field.name]
            if not low <= value <= high:  # NaN is in no range
                valid = f"{low:g} to {high:g}"
                rule = "is outside its range"
                problems.append(Problem(key=f"env.{field.name}", value=str(value), rule=rule, valid=valid))
        if problems:
            raise InvalidInput(problems)


RANGES: dict[str, tuple[float, float]] = {
    "half_width": (3.0, 1000.0),
    "height": (POINTS[1] + MARGIN, 1000.0),
    "step_seconds": (0.01, 1.0),
    "steering": (0.1, 100.0),
    "thrust_to_weight": (1.0, 20.0),
    "drag": (0.0, 10.0),
    "payload": (0.0, 5.0),
    "wind": (-20.0, 20.0),
    "gusts": (0.0, 10.0),
    "radius": (0.0, 1.0),
    "grip_radius": (0.01, 3.0),
    "grip_speed": (0.01, 100.0),
    "grip_seconds": (0.0, 10.0),
    "max_steps": (1, 100_000),
}
"""What each rule may be, both ends included."""


class Events(NamedTuple):
    """What happened to each drone in a step, (drones, boxes). A drone that crashed does nothing else."""

    progress: Floats
    """Metres by which it came nearer to the point that it had to reach when the step began."""
    picked_up: Flags
    delivered: Flags
    collided: Flags
    """With another drone or with the ground."""
    left: Flags
    """Through a wall or the ceiling."""
    late: Flags
    """Reached the end of its time, and is unharmed."""

    @property
    def ended(self) -> Flags:
        """Whose episode is over: it must be started again before the next step."""
        ended: Flags = self.collided | self.left | self.late
        return ended


class World:
    """Boxes with drones in them. Nothing is shared between boxes; drones of one box can collide."""

    def __init__(self, rules: Rules, boxes: int, drones: int) -> None:
        """Build the arrays; `start` has to put the drones in.

        Args:
            rules: of all boxes.
            boxes: their number, at least 1.
            drones: in each, at least 1.
        """
        self.rules, self.shape = rules, (drones, boxes)
        self.position, self.velocity = self._vectors(), self._vectors()
        self.pick_up, self.drop_off = self._vectors(), self._vectors()
        self.target, self.offset = self._vectors(), self._vectors()
        """The point that each drone has to reach now; the way there from where it is."""
        self.thrust = self._vectors()
        """Of the last step, in m/s² of a drone without payload."""
        self.carrying = np.zeros(self.shape, dtype=bool)
        self.steps = np.zeros(self.shape, dtype=np.int32)
        self.held = np.zeros(self.shape, dtype=np.int32)
        """Steps for which each drone has been near and slow enough to grip."""
        self.grip_steps = max(1, round(rules.grip_seconds / rules.step_seconds))
        self.wind = np.zeros((3, boxes), dtype=np.float32)
        self.distance = np.zeros(self.shape, dtype=np.float32)
        self.apart = np.zeros((3, drones, drones, boxes), dtype=np.float32)
        """From each drone to each other of its box."""
        drag, dt = rules.drag, rules.step_seconds
        self._kept = math.exp(-drag * dt)
        self._per_force = -math.expm1(-drag * dt) / drag if drag > 1e-6 else dt
        self._pushed = (dt - self._per_force) / drag if drag > 1e-3 else dt * dt / 2 - drag * dt**3 / 6
        self._gust_kept = math.exp(-dt / GUST_SECONDS)
        self._draw = np.random.default_rng(0)
        self._self = np.eye(drones, dtype=bool)[:, :, None]

    def _vectors(self) -> Floats:
        return np.zeros((3, *self.shape), dtype=np.float32)

    def seed(self, seed: int) -> None:
        """Begin with the same draws again, and with wind as it may be at any time.

        Args:
            seed: from 0.
        """
        self._draw = np.random.default_rng(seed)
        self.wind[:2] = self.rules.gusts * self._draw.standard_normal((2, self.shape[1]), dtype=np.float32)
        self.wind[0] += self.rules.wind

    def start(self, which: Flags) -> None:
        """Start an episode of some drones: at rest, empty, away from the others, with points of their own.

        Args:
            which: of (drones, boxes).
        """
        self.velocity[:, which] = 0
        self.carrying[which] = False
        self.steps[which] = 0
        self.held[which] = 0
        self._place(which)
        self._new_points(which, self.position[:, which])
        self._look()

    def _place(self, which: Flags) -> None:
        """Put drones in, each at the place farthest from the others of its box, of a few that are drawn.

        One of each box at a time, so that each sees where those before it are.
        """
        gone = which.copy()
        while gone.any():
            drones, boxes = np.nonzero(gone & (gone.cumsum(0) == 1))
            places = self._places(STARTS, len(boxes))
            away = places[:, :, None, :] - self.position[:, None, :, boxes]
            squares = np.einsum("iskb,iskb->skb", away, away)
            squares[:, gone[:, boxes]] = np.inf
            best = squares.min(1).argmax(0)
            self.position[:, drones, boxes] = places[:, best, np.arange(len(boxes))]
            gone[drones, boxes] = False

    def _places(self, *shape: int) -> Floats:
        """Places drawn evenly: (3, *shape)."""
        places = self._draw.random((3, *shape), dtype=np.float32)
        inner = self.rules.half_width - MARGIN
        places[:2] = (2 * places[:2] - 1) * inner
        places[2] = POINTS[0] + (POINTS[1] - POINTS[0]) * places[2]
        return places

    def _new_points(self, which: Flags, origin: Floats) -> None:
        """Draw where some drones have to pick up and deliver next: never where they are already.

        Args:
            which: of (drones, boxes).
            origin: where they are, (3, their number).
        """
        self.pick_up[:, which] = self._elsewhere(origin)
        self.drop_off[:, which] = self._elsewhere(self.pick_up[:, which])
        self.target[:, which] = self.pick_up[:, which]

    def _elsewhere(self, origin: Floats) -> Floats:
        """Points at least a quarter of the inner width from others along x and along y.

        The move is drawn on a ring that the inner width is wound into, so all points are as likely as each other.
        """
        points = self._places(origin.shape[1])
        inner = np.float32(self.rules.half_width - MARGIN)
        share = np.float32(0.25) + self._draw.random((2, origin.shape[1]), dtype=np.float32) / 2
        points[:2] = np.mod(origin[:2] + inner + 2 * inner * share, 2 * inner) - inner
        return points

    def step(self, actions: Floats) -> Events:
        """Fly one step, and find out what came of it.

        Args:
            actions: (boxes, drones, 3), each along x, y, z in -1 to 1; what is beyond counts as the end of it, what
                is no number as 0.
        """
        rules = self.rules
        before = self.apart.copy()
        self._fly(actions.T)
        self.steps += 1
        nearer = self.distance.copy()
        self._look()
        nearer -= self.distance
        low, x, y = self.position[2] <= 0, np.abs(self.position[0]), np.abs(self.position[1])
        collided = low | self._met(before)
        left = ~collided & ((x > rules.half_width) | (y > rules.half_width) | (self.position[2] > rules.height))
        whole = ~(collided | left)
        speed = np.einsum("idb,idb->db", self.velocity, self.velocity)
        self.held += 1
        self.held *= whole & (self.distance <= rules.grip_radius) & (speed < rules.grip_speed**2)
        there = self.held >= self.grip_steps
        picked_up, delivered = there & ~self.carrying, there & self.carrying
        self._grip(picked_up, delivered)
        return Events(nearer, picked_up, delivered, collided, left, whole & (self.steps >= rules.max_steps))

    def _fly(self, actions: Floats) -> None:
        rules, thrust = self.rules, self.thrust
        np.clip(actions, -1, 1, out=thrust)
        thrust[np.isnan(thrust)] = 0
        thrust *= rules.steering
        thrust[2] += GRAVITY
        np.maximum(thrust[2], 0, out=thrust[2])  # rotors push one way
        strength = np.sqrt(np.einsum("idb,idb->db", thrust, thrust))
        limit = np.float32(rules.thrust_to_weight * GRAVITY)
        thrust *= np.minimum(1, limit / np.maximum(strength, 1e-6))
        force = thrust / (1 + np.float32(rules.payload) * self.carrying)
        force[2] -= GRAVITY
        force += np.float32(rules.drag) * self.wind[:, None, :]
        self.position += self._per_force * self.velocity + self._pushed * force
        self.velocity *= self._kept
        self.velocity += self._per_force * force
        if rules.gusts:
            kept = self._gust_kept
            fresh = self._draw.standard_normal((2, self.shape[1]), dtype=np.float32)
            self.wind[0] -= (1 - kept) * (self.wind[0] - rules.wind)
            self.wind[1] *= kept
            self.wind[:2] += rules.gusts * math.sqrt(1 - kept * kept) * fresh

    def _met(self, before: Floats) -> Flags:
        """Which drones came within two radii of another, at any time of the step, by straight lines."""
        moved = self.apart - before
        length = np.einsum("idkb,idkb->dkb", moved, moved)
        when = np.einsum("idkb,idkb->dkb", before, moved)
        np.divide(-when, np.maximum(length, np.float32(1e-12)), out=when)
        np.clip(when, 0, 1, out=when)
        moved *= when
        moved += before
        nearest = np.einsum("idkb,idkb->dkb", moved, moved)
        met: Flags = ((nearest < (2 * self.rules.radius) ** 2) & ~self._self).any(1)
        return met

    def _grip(self, picked_up: Flags, delivered: Flags) -> None:
        if picked_up.any():
            self.carrying |= picked_up
            self.target[:, picked_up] = self.drop_off[:, picked_up]
        if delivered.any():
            self.carrying &= ~delivered
            self._new_points(delivered, self.drop_off[:, delivered])
        if picked_up.any() or delivered.any():
            self.held[picked_up | delivered] = 0
            self._aim()

    def _look(self) -> None:
        """Bring up to date what follows from where the drones are."""
        np.subtract(self.position[:, None], self.position[:, :, None], out=self.apart)
        self._aim()

    def _aim(self) -> None:
        np.subtract(self.target, self.position, out=self.offset)
        np.sqrt(np.einsum("idb,idb->db", self.offset, self.offset), out=self.distance)

    def nearest(self, within: float) -> Floats:
        """The way to the nearest other drone, as a direction times how close it is: (3, drones, boxes).

        Args:
            within: metres; 0 length at that distance and beyond, towards 1 at none.
        """
        squares = np.einsum("idkb,idkb->dkb", self.apart, self.apart)
        np.copyto(squares, np.inf, where=self._self)
        which = squares.argmin(1)[:, None]
        way: Floats = np.take_along_axis(self.apart, which[None], 2)[:, :, 0]
        far = np.sqrt(np.take_along_axis(squares, which, 1)[:, 0])
        way *= np.maximum(0, 1 - far / np.float32(within)) / np.maximum(far, np.float32(1e-6))
        return way
