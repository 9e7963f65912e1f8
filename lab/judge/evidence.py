"""What a diagnosis looks at: the curves of every replicate, the config beside its usual one, the batch arithmetic."""

import math
import statistics
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from lab.base import Damaged, InvalidInput
from lab.judge.finding import Move
from lab.space import PRESETS, Config, Inventory, Objective, derive, inert, logged_as, preset, preset_config
from lab.store import Curve, Lab, MetricSummary, Notebook, RunRecord, run_curves

SMOOTHED = 15
"""A curve is smoothed over this part of its points: the fraction of one in so many, at least one."""
CLOSE_TO_ONE = ("train.gamma", "train.gae_lambda", "train.adam_beta1", "train.adam_beta2")
"""Keys that are compared by their distance to 1, since that is what their effect depends on."""
END = 0.9
"""Share of the training from which on is its end."""


def preset_of(notebook: Notebook, inventory: Inventory, run: RunRecord) -> tuple[str, Config]:
    """A run's preset as it is now; `quick` in the place of a measured one that is gone."""
    environment = inventory.environment(run.env_name)
    try:
        return run.preset, preset(notebook.workspace, environment, run.preset)
    except (InvalidInput, Damaged):
        return PRESETS[0], preset_config(environment, PRESETS[0])


def number_of(value: Any) -> float | None:
    """A value as a number; None for what is none."""
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def ramp(value: float, none: float, full: float) -> float:
    """How far a value is on its way from what means nothing (0) to what is plain to see (1), in between linearly."""
    return min(1.0, max(0.0, (value - none) / (full - none)))


def log_ramp(value: float, none: float, full: float) -> float:
    """The same on a logarithmic scale; all three above 0."""
    return ramp(math.log(max(value, 1e-12)), math.log(none), math.log(full))


@dataclass(frozen=True)
class Course:
    """The objective of one replicate while it trained, better is higher, smoothed."""

    steps: Any
    values: Any
    noise: float
    """Standard deviation of a point beside the next one."""

    @property
    def start(self) -> float:
        """The first value."""
        return float(self.values[0])

    @property
    def end(self) -> float:
        """The mean of the last tenth of the steps."""
        return float(self.values[self.steps >= self.steps[0] + END * (self.steps[-1] - self.steps[0])].mean())

    @property
    def peak(self) -> tuple[float, float]:
        """The best value, and the step at which it was."""
        at = int(self.values.argmax())
        return float(self.values[at]), float(self.steps[at])

    @property
    def quarters(self) -> list[float]:
        """The mean of each quarter of the steps."""
        places = np.linspace(self.steps[0], self.steps[-1], 41)
        return [float(part.mean()) for part in np.array_split(np.interp(places, self.steps, self.values), 4)]


@dataclass(frozen=True)
class Evidence:
    """Everything that a run's diagnosis is made from."""

    goal: Objective
    objective: str
    """The objective's name among the curves, such as `environment/perf`."""
    config: Mapping[str, Any]
    usual: Mapping[str, Any]
    """The environment's preset, that a value is compared with; never enough for a finding by itself."""
    parent: Mapping[str, Any]
    """The parent's config; empty where there is none."""
    derived: Mapping[str, float]
    curves: Mapping[int, Mapping[str, Curve]]
    """Seed to name to curve."""
    metrics: Mapping[str, MetricSummary] = field(default_factory=dict)
    idle: Container[str] = frozenset()
    """Keys without an effect in this config."""

    @classmethod
    def of(cls, lab: Lab, run: RunRecord) -> "Evidence":
        """What the record has of a run that has ended."""
        notebook, environment = lab.notebook, None if run.legacy else lab.inventory.environments.get(run.env_name)
        config, summary = notebook.config(run.run_id), notebook.summary(run.run_id)
        agents = environment.agents_per_env or 1.0 if environment else 1.0
        return cls(
            goal=run.goal,
            objective=logged_as(run.goal.metric, run.env_name),
            config=config.flat(),
            usual=preset_of(notebook, lab.inventory, run)[1].flat() if environment else {},
            parent=notebook.config(str(run.parent)).flat() if notebook.readable(run.parent) else {},
            derived=derive(config, agents).model_dump() if environment else {},
            curves=run_curves(notebook.workspace.run(run.run_id), run.seeds),
            metrics=summary.metrics if summary else {},
            idle=inert(config, lab.inventory),
        )

    @cached_property
    def courses(self) -> dict[int, Course]:
        """Seed to the objective's course; replicates with fewer than four points are left out."""
        return {
            seed: _course(named[self.objective], self.goal.sign)
            for seed, named in self.curves.items()
            if self.objective in named and len(named[self.objective].values) >= 4
        }

    @property
    def scores(self) -> tuple[float, ...]:
        """Of the final evaluation, one for each replicate."""
        metric = self.metrics.get(self.goal.metric)
        return metric.values if metric else ()

    @property
    def updates(self) -> float:
        """Optimizer steps of the whole training; 0 where the batch is not known."""
        return self.derived.get("epochs", 0) * self.derived.get("minibatches", 1)

    @property
    def one_pass(self) -> bool:
        """Whether each batch is learnt from in one optimizer step: every ratio is 1 then, whatever the training does.

        PuffeRL forgets its ratios and compares with the weights that collected the batch (`PuffeRL.train`), so KL and
        clipped share are those of the minibatches after the first.
        """
        return self.derived.get("minibatches", 2) <= 1

    def level(self, name: str, begin: float = 0.0, end: float = 1.0) -> float | None:
        """A curve's mean over a part of the training, the median of the replicates; None where it was not logged.

        Args:
            name: of the curve.
            begin: share of the training from which on.
            end: share of the training up to which.
        """
        found = self.levels(name, begin, end)
        return statistics.median(found) if found else None

    def levels(self, name: str, begin: float = 0.0, end: float = 1.0) -> tuple[float, ...]:
        """The same of each replicate that logged it."""
        return self._each(name, begin, end, lambda values: float(values.mean()))

    def most(self, name: str) -> float | None:
        """A curve's highest value, the median of the replicates."""
        found = self._each(name, 0.0, 1.0, lambda values: float(values.max()))
        return statistics.median(found) if found else None

    def _each(self, name: str, begin: float, end: float, of: Callable[[Any], float]) -> tuple[float, ...]:
        found = []
        for named in self.curves.values():
            if (curve := named.get(name)) is None:
                continue
            share = curve.steps / curve.steps[-1]
            part = curve.values[(share >= begin) & (share <= end)]
            found.append(of(part if len(part) else curve.values[-1:]))
        return tuple(found)

    @property
    def uniform(self) -> float | None:
        """Entropy of a policy that knows nothing: the highest first entropy of the replicates.

        PufferLib's policies begin with an output layer of standard deviation 0.01, so the first update's entropy is
        that of the uniform policy, log n for n discrete actions.
        """
        first = [
            float(named["losses/entropy"].values[0]) for named in self.curves.values() if "losses/entropy" in named
        ]
        return max(first) if first and max(first) > 0 else None

    def entropy(self, begin: float, end: float) -> float | None:
        """Entropy in a part of the training, as a share of the uniform policy's; None for continuous actions."""
        level = self.level("losses/entropy", begin, end)
        return None if level is None or self.uniform is None else level / self.uniform

    @property
    def episode(self) -> float | None:
        """The longest that episodes were on average at any time, in steps."""
        return self.most("environment/episode_length")

    def value(self, key: str) -> float | None:
        """A number of the config; None where there is none."""
        return number_of(self.config.get(key))

    def apart(self, key: str) -> float:
        """How many decades a value lies above the usual one, below 0 for below; of 1 - x for what lies close to 1."""
        return _decades(key, self.config.get(key), self.usual.get(key))

    def suspicion(self, move: Move) -> float:
        """How much the config speaks for a move: 0.5 where nothing does, up to 1 for a decade beyond usual or parent.

        It only weighs what the curves show: a value far from the usual one is no illness by itself.
        """
        sign = 1 if move.direction == "down" else -1
        away = max(
            sign * self.apart(move.key),
            sign * _decades(move.key, self.config.get(move.key), self.parent.get(move.key)) if self.parent else -1.0,
        )
        return 0.5 + 0.5 * min(1.0, max(-1.0, away))

    def ordered(self, *moves: Move) -> tuple[Move, ...]:
        """Moves in the order in which the config speaks for them; of equals the first named first.

        What has no effect in this config tests nothing and is left out, unless nothing else is named.
        """
        working = [move for move in moves if move.key not in self.idle] or moves
        return tuple(sorted(working, key=lambda move: -self.suspicion(move)))


def _decades(key: str, value: Any, usual: Any) -> float:
    value, usual = number_of(value), number_of(usual)
    if value is None or usual is None:
        return 0.0
    if key in CLOSE_TO_ONE:
        value, usual = 1 / max(1 - value, 1e-9), 1 / max(1 - usual, 1e-9)
    if value <= 0 or usual <= 0:  # a coefficient of 0: as far below as a hundredth
        return 0.0 if value == usual else math.copysign(2.0, value - usual)
    return math.log10(value / usual)


def _course(curve: Curve, sign: int) -> Course:
    from scipy.ndimage import uniform_filter1d

    values = sign * curve.values
    smooth = uniform_filter1d(values, max(1, len(values) // SMOOTHED), mode="nearest")
    return Course(curve.steps, smooth, float(np.diff(values).std() / math.sqrt(2)))
