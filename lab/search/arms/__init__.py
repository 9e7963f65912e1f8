"""Who may propose, one module for each: from what is known to the next replicates, without a state of their own."""

from collections.abc import Callable

from lab.search.arms.apart import ApartArm
from lab.search.arms.cmaes import CMAESArm
from lab.search.arms.race import RaceArm
from lab.search.arms.random import RandomArm
from lab.search.arms.tpe import TPEArm
from lab.search.history import Arm

ARMS: dict[str, Callable[[int], Arm]] = {
    "race": lambda _: RaceArm(),
    "random": RandomArm,
    "tpe": TPEArm,
    "cmaes": CMAESArm,
    "gp": lambda replicates: ApartArm("gp", replicates),
    "protein": lambda replicates: ApartArm("protein", replicates),
}
"""Name to a maker, which is told how many replicates each new point gets; `race` decides that itself."""
SLOW = ("gp", "protein")

__all__ = ["ARMS", "SLOW", "ApartArm", "CMAESArm", "RaceArm", "RandomArm", "TPEArm"]
