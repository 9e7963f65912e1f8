"""One box of drones from above, with the trails of where they have been. Nothing here changes the world."""

from collections import deque

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from training.drone.world import World

SIDE = 360
"""Pixels of a picture, each way."""
EDGE = 14
"""Pixels around the box."""
TRAIL = 25
"""Pictures that a trail reaches back."""
GROUND, WALL, INK = (24, 28, 34), (70, 78, 90), (235, 238, 242)
COLORS = ((86, 180, 233), (230, 159, 0), (0, 158, 115), (240, 228, 66), (204, 121, 167), (213, 94, 0), (0, 114, 178),
          (170, 170, 170))  # fmt: skip
"""Okabe and Ito's palette, one drone each, then again from the first."""


class Picture:
    """The pictures of one box: a drone's ring is where it has to pick up, its square where it has to deliver."""

    def __init__(self, world: World, box: int = 0) -> None:
        """Begin without trails.

        Args:
            world: whose box.
            box: which of them.
        """
        self._world, self._box = world, box
        self._seen = np.zeros(world.shape[0], dtype=np.int32)
        self._trails: list[deque[tuple[float, float]]] = [deque(maxlen=TRAIL) for _ in range(world.shape[0])]

    def draw(self) -> NDArray[np.uint8]:
        """The box as it is now, (360, 360, 3)."""
        image = Image.new("RGB", (SIDE, SIDE), GROUND)
        pen = ImageDraw.Draw(image)
        pen.rectangle((EDGE, EDGE, SIDE - EDGE, SIDE - EDGE), outline=WALL)
        for drone, trail in enumerate(self._trails):
            self._points(pen, drone)
            if (steps := self._world.steps[drone, self._box]) <= self._seen[drone]:  # it has started anew
                trail.clear()
            self._seen[drone] = steps
            trail.append(self._at(self._world.position, drone))
        for drone, trail in enumerate(self._trails):
            self._drone(pen, drone, trail)
        return np.asarray(image)

    def _points(self, pen: ImageDraw.ImageDraw, drone: int) -> None:
        color, carrying = COLORS[drone % len(COLORS)], self._world.carrying[drone, self._box]
        reach = self._world.rules.grip_radius * self._scale
        if not carrying:
            x, y = self._at(self._world.pick_up, drone)
            pen.ellipse((x - reach, y - reach, x + reach, y + reach), outline=color, width=2)
        x, y = self._at(self._world.drop_off, drone)
        pen.rectangle((x - 5, y - 5, x + 5, y + 5), outline=color, fill=color if carrying else None)

    def _drone(self, pen: ImageDraw.ImageDraw, drone: int, trail: deque[tuple[float, float]]) -> None:
        color = COLORS[drone % len(COLORS)]
        for age, (start, end) in enumerate(zip(trail, list(trail)[1:], strict=False), TRAIL - len(trail)):
            share = age / TRAIL
            faded = tuple(round(share * c + (1 - share) * g) for c, g in zip(color, GROUND, strict=True))
            pen.line((*start, *end), fill=faded, width=2)
        x, y = trail[-1]
        size = 3 + 4 * float(self._world.position[2, drone, self._box]) / self._world.rules.height  # nearer the eye
        pen.ellipse((x - size, y - size, x + size, y + size), fill=color)
        if self._world.carrying[drone, self._box]:
            pen.rectangle((x - 2, y - 2, x + 2, y + 2), fill=INK)

    @property
    def _scale(self) -> float:
        """Pixels of a metre."""
        return (SIDE - 2 * EDGE) / (2 * self._world.rules.half_width)

    def _at(self, places: NDArray[np.float32], drone: int) -> tuple[float, float]:
        x, y = (float(v) for v in places[:2, drone, self._box])
        return SIDE / 2 + x * self._scale, SIDE / 2 - y * self._scale
