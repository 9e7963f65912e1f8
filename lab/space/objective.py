"""The objective: the metric that runs are scored by, what sums up its replicates, which way is good, its bounds."""

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from lab.base import InvalidInput, Problem, invalid
from lab.space.environments import COMMON, metrics_of, profile_of
from lab.space.statistic import NAMED, Statistic, summed_up

Direction = Literal["max", "min"]
SIGN: dict[Direction, int] = {"max": 1, "min": -1}
"""The factor by which a difference is multiplied, so that more is better."""


@dataclass(frozen=True)
class Objective:
    """A metric, a direction and a statistic; records keep it as text, such as `perf:max` or `perf@worst:max`."""

    metric: str
    direction: Direction
    low: float | None = None
    high: float | None = None
    """The most that the metric can be, as `low` is the least, in its own units; None where nothing is declared."""
    statistic: Statistic = "mean"
    """What sums up the replicates of a config."""

    @classmethod
    def of(cls, text: str | None, env_name: str) -> "Objective":
        """The objective that a text names; the environment's own where none is given.

        Args:
            text: such as `perf:max`, or `perf@worst:max`. What follows the last `@` is a statistic if it is the name of
                one, else part of the metric's name, where `is_success@max` says how an episode's numbers add up.
            env_name: the environment, whose declared bounds are taken.

        Raises:
            InvalidInput: the text is not of that form.
        """
        named, _, direction = (text or profile_of(env_name).objective).partition(":")
        name, _, last = named.rpartition("@")
        statistic = next((one for one in NAMED if one == last), None) if name else None
        metric = name if statistic else named
        if not metric or direction not in ("max", "min"):
            rule = "is not of the form METRIC:max or :min, or METRIC@STATISTIC:max"
            valid = f"a metric and a direction, such as perf:max; a statistic is one of {', '.join(NAMED)}"
            raise InvalidInput([Problem(key="objective", value=repr(text), rule=rule, valid=valid)])
        declared = metrics_of(env_name).get(metric)
        low, high = declared.bounds if declared else (None, None)
        return cls(metric, "max" if direction == "max" else "min", low, high, statistic or "mean")

    def __str__(self) -> str:
        """The objective as records and `--objective` have it."""
        return f"{self.name}:{self.direction}"

    @property
    def name(self) -> str:
        """The metric and the statistic, as a score is called: `perf`, `perf@worst`."""
        return self.metric if self.is_mean else f"{self.metric}@{self.statistic}"

    @property
    def is_mean(self) -> bool:
        """Whether the mean sums up the replicates."""
        return self.statistic == "mean"

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

    def within(self, value: float) -> float:
        """The nearest that the metric can be to a value which somebody expects of it."""
        least = -math.inf if self.low is None else self.low
        return min(max(value, least), math.inf if self.high is None else self.high)

    def of_scores(self, values: Sequence[float], n: int | None = None) -> float:
        """What the replicates of a config add up to: its score.

        Args:
            values: the metric in each replicate, at least one.
            n: as it is expected of so many of them, for a comparison with a config of fewer replicates; of all of them
                if not given.
        """
        return self.sign * summed_up([self.sign * value for value in values], self.statistic, n)

    def difference(self, new: Sequence[float], old: Sequence[float]) -> float:
        """How far two configs' scores lie apart, new minus old, at the number of replicates of the smaller side."""
        n = min(len(new), len(old))
        return self.of_scores(new, n) - self.of_scores(old, n)

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
        refuse_statistic(metric, known)
        rule = f"is not a metric of {env_name}"
        raise InvalidInput([Problem(key="objective", value=repr(metric), rule=rule, valid=" | ".join(sorted(known)))])


def refuse_statistic(metric: str, known: Collection[str]) -> None:
    """Refuse what is a known metric but for a statistic that is none, such as `perf@lowest`.

    Args:
        metric: that is not known.
        known: the metrics that are.

    Raises:
        InvalidInput: that is so.
    """
    name, _, last = metric.rpartition("@")
    if name in known:
        valid = f"{name}@ and one of {', '.join(NAMED)} over the replicates; the mean is meant where none is said"
        raise invalid("objective", metric, f"has {last!r} for a statistic, which is none", valid)


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
