"""The objective: the metric that runs are scored by, which way is good, and what it can't go beyond."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, NamedTuple

from lab.base import InvalidInput, Problem, invalid
from lab.space.environments import COMMON, metrics_of, profile_of

Direction = Literal["max", "min"]
SIGN: dict[Direction, int] = {"max": 1, "min": -1}
"""The factor by which a difference is multiplied, so that more is better."""


@dataclass(frozen=True)
class Objective:
    """A metric and a direction; records keep it as text, such as `perf:max`."""

    metric: str
    direction: Direction
    low: float | None = None
    high: float | None = None
    """The most that the metric can be, as `low` is the least, in its own units; None where nothing is declared."""

    @classmethod
    def of(cls, text: str | None, env_name: str) -> "Objective":
        """The objective that a text names; the environment's own where none is given.

        Args:
            text: such as `perf:max`.
            env_name: the environment, whose declared bounds are taken.

        Raises:
            InvalidInput: the text is not of that form.
        """
        metric, _, direction = (text or profile_of(env_name).objective).partition(":")
        if not metric or direction not in ("max", "min"):
            rule, valid = "is not of the form METRIC:max or :min", "a metric and a direction, such as perf:max"
            raise InvalidInput([Problem(key="objective", value=repr(text), rule=rule, valid=valid)])
        declared = metrics_of(env_name).get(metric)
        low, high = declared.bounds if declared else (None, None)
        return cls(metric, "max" if direction == "max" else "min", low, high)

    def __str__(self) -> str:
        """The objective as records and `--objective` have it."""
        return f"{self.metric}:{self.direction}"

    @property
    def sign(self) -> int:
        """The sign of the direction: 1 where more is better, -1 where less is."""
        return SIGN[self.direction]

    @property
    def optuna(self) -> Literal["maximize", "minimize"]:
        """The direction as Optuna names it."""
        return "maximize" if self.direction == "max" else "minimize"

    @property
    def limit(self) -> float | None:
        """The best value there can be; None where nothing is declared."""
        return self.high if self.direction == "max" else self.low

    def gain(self, new: float, old: float) -> float:
        """How much better one value is than another, in the metric's units; negative where worse."""
        return self.sign * (new - old)

    def better(self, new: float, old: float) -> bool:
        """Whether one value is better than another."""
        return self.gain(new, old) > 0

    def best(self, values: Iterable[float]) -> float:
        """The best of some values, at least one."""
        return max(values) if self.direction == "max" else min(values)

    def worst(self, values: Iterable[float]) -> float:
        """The worst of some values, at least one."""
        return min(values) if self.direction == "max" else max(values)


class Group(NamedTuple):
    """The runs that are compared with each other and have one incumbent: by environment, objective, preset and task."""

    env_name: str
    objective: str
    preset: str
    task: str
    """The key of the task, `Task.key`."""

    @property
    def goal(self) -> Objective:
        """The objective as a value."""
        return Objective.of(self.objective, self.env_name)


def check_objective(metric: str, env_name: str) -> None:
    """Refuse a metric that an environment is known not to log, before a training is spent on it.

    Raises:
        InvalidInput: every metric of the environment is declared, and this is none of them.
    """
    profile = profile_of(env_name)
    if (
        profile.metrics
        and profile.complete
        and metric not in (known := {**profile.metrics, **{name: COMMON[name] for name in profile.logs}})
    ):
        rule = f"is not a metric of {env_name}"
        raise InvalidInput([Problem(key="objective", value=repr(metric), rule=rule, valid=" | ".join(sorted(known)))])


def check_reachable(objective: str, env_name: str, target: float | None, min_effect: float | None) -> None:
    """Refuse a target that the objective can't reach, or differences larger than it can have.

    Args:
        objective: such as `perf:max`.
        env_name: the environment.
        target: in the objective's units; None for none.
        min_effect: the smallest difference that matters; None for none.

    Raises:
        InvalidInput: what is declared of the metric rules it out.
    """
    goal = Objective.of(objective, env_name)
    metric, low, high = goal.metric, goal.low, goal.high
    if target is not None and ((low is not None and target < low) or (high is not None and target > high)):
        nearest = low if low is not None and target < low else high
        rule = f"can't be reached: {metric} lies between {low} and {high}"
        raise invalid("target", target, rule, f"{nearest:g}")
    if min_effect is not None and low is not None and high is not None and min_effect >= high - low:
        rule = f"leaves nothing to find: {metric} lies between {low:g} and {high:g}"
        raise invalid("min-effect", min_effect, rule, f"below {high - low:g}")
