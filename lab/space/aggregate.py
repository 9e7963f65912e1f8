"""Numbers that an environment tells at each step, as one number of the episode.

Rewards and their like are summed. What says how it stands, such as `is_success`, counts as it was told last: summed, an
episode that stands at its goal for five steps would have succeeded five times. Another way than the usual one is part
of the metric's name: `is_success@max`.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

Rule = Literal["sum", "kind"]
"""`sum`: all are summed, as scores up to 0.7.0 were; `kind`: the last one counts of what says how it stands."""

AGGREGATES: dict[str, Callable[[Sequence[float]], float]] = {
    "sum": sum,
    "mean": lambda values: sum(values) / len(values),
    "min": min,
    "max": max,
    "last": lambda values: values[-1],
    "first": lambda values: values[0],
}
"""What follows the `@` of a metric's name to what it makes of an episode's numbers."""

_STATES = {"success", "successful", "succeeded", "solved", "won", "win", "winner", "completed", "complete"} | {
    "failed", "failure", "crashed"
}  # fmt: skip
_REACHED = ({"goal", "target"}, {"reached", "achieved", "met"})


def is_state(name: str) -> bool:
    """Whether a number says how it stands (success, failure), by its name: 0 or 1, and the last one counts.

    Args:
        name: as the environment tells it; what follows the last slash counts, as words.
    """
    last = name.rsplit("/", 1)[-1]
    words = set(re.sub(r"(?<=[a-z])(?=[A-Z])", "_", last).lower().replace("-", "_").replace(".", "_").split("_"))
    return bool(words & _STATES) or all(words & some for some in _REACHED)


def aggregated(metric: str) -> tuple[str, str | None]:
    """A metric's name without what aggregates it, and that; None where the usual way is meant."""
    name, _, how = metric.rpartition("@")
    return (name, how) if name and how in AGGREGATES else (metric, None)


@dataclass(frozen=True)
class Told:
    """How the numbers told at each step become one of the episode."""

    rule: Rule = "kind"
    metric: str = ""
    """A metric that is wanted beside the usual ones, such as `is_success@max`."""

    def summed_up(self, told: dict[str, list[float]]) -> dict[str, float]:
        """One number for each name, and the one that is wanted.

        Args:
            told: name to the numbers of one episode, at least one each.
        """
        usual = {name: AGGREGATES[self.usual(name)](values) for name, values in told.items()}
        name, how = aggregated(self.metric)
        return usual | ({self.metric: AGGREGATES[how](told[name])} if how and name in told else {})

    def usual(self, name: str) -> str:
        """What aggregates a name where its metric does not say so."""
        return "last" if self.rule == "kind" and is_state(name) else "sum"
