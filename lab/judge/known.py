"""What claims are checked against: everything the record says of one run and of those it may be compared with."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from lab.space import Objective
from lab.store import MetricSummary, Outline, Prediction

Changed = Mapping[str, tuple[Any, Any]]


class Fact(BaseModel):
    """Base of these values."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Judgement(Fact):
    """A recorded verdict."""

    verdict: Literal["better", "worse", "inconclusive"]
    effect: float | None = None
    low: float | None = None
    high: float | None = None


class Confirmed(Fact):
    """What the fresh seeds of a candidate came to."""

    outcome: str
    """`confirmed`, `passed` or `dropped`."""
    against: str
    level: float
    effect: float | None = None
    low: float | None = None
    high: float | None = None
    scores: tuple[float, ...] = ()
    """The objective in each of its fresh seeds so far."""


class WarmStart(Fact):
    """Whose weights a run went on from."""

    origin: str
    steps_behind: float | None = None


class KnownRun(Fact):
    """One run."""

    run_id: str
    state: str
    arm: str = ""
    created: datetime | None = None
    started: datetime | None = None
    number: int | None = None
    """Its place in the workspace by when it was made, from 1: `#12`."""
    seeds: tuple[int, ...] = ()
    parent: str | None = None
    replicates_of: str | None = None
    """The run whose config it repeats."""
    changed: Changed = Field(default_factory=dict)
    """Dotted key to the parent's value and its own."""
    config: Mapping[str, Any] = Field(default_factory=dict)
    derived: Mapping[str, float] = Field(default_factory=dict)
    """agents, batch_size, minibatches, segments, epochs."""
    metrics: Mapping[str, MetricSummary] = Field(default_factory=dict)
    greedy: Mapping[str, float] = Field(default_factory=dict)
    greedy_values: Mapping[str, tuple[float, ...]] = Field(default_factory=dict)
    """The greedy policy's metrics of each replicate."""
    curves: Mapping[str, Outline] = Field(default_factory=dict)
    points: Mapping[str, tuple[tuple[float, float], ...]] = Field(default_factory=dict)
    """What each curve logged, as step and value, replicate after replicate; no curve of many points is here."""
    by_seed: Mapping[int, Mapping[str, float]] = Field(default_factory=dict)
    """What each replicate that ended measured, `greedy perf` for the greedy policy's, and what it took."""
    amounts: Mapping[str, float] = Field(default_factory=dict)
    """What training took: `run seconds`, `training seconds`, `mean training seconds`."""
    verdicts: Mapping[str, Judgement] = Field(default_factory=dict)
    """Run compared with to what came of it."""
    confirmed: Confirmed | None = None
    """What its fresh seeds came to, whenever that was."""
    fresh: Mapping[str, float] = Field(default_factory=dict)
    """Each metric's mean over its fresh seeds, which others are compared with; empty where none had decided then."""
    warm_start: WarmStart | None = None

    @property
    def steps(self) -> float | None:
        """Agent steps behind its score, those of a warm start's origin included."""
        own = self.metrics.get("agent_steps")
        if own is None:
            return None
        return own.mean + (self.warm_start.steps_behind or 0 if self.warm_start else 0)


class Proposed(Fact):
    """What was staged."""

    parent: str
    overrides: Mapping[str, Any]
    predictions: tuple[Prediction, ...] = ()


class Noise(Fact):
    """How far replicates of one config differ."""

    replicate_sd: float
    degrees_of_freedom: int


class Known(Fact):
    """Everything that claims about a run are checked against."""

    env_name: str = ""
    objective: str
    """Metric, direction and, where it is not the mean, statistic: `perf:max`, `perf@worst:max`."""
    run: KnownRun
    """The run that the text is about."""
    others: Mapping[str, KnownRun] = Field(default_factory=dict)
    """Those before it, oldest first, by id."""
    repeats: Mapping[str, KnownRun] = Field(default_factory=dict)
    """Those that repeat the config of one that is spoken of, whenever they were made, by id."""
    incumbent: str | None = None
    """Whom it was compared with."""
    leader: str | None = None
    """Whom the search believed to be best when the report was written."""
    noise: Noise | None = None
    predicted: tuple[Prediction, ...] = ()
    """What the proposal that the run came from had said of it."""
    proposals: tuple[Proposed, ...] = ()
    """What was staged, the first first."""
    told: Mapping[str, float] = Field(default_factory=dict)
    """Further numbers of the record, each by what it is: of the pruner, of what so many replicates could show."""
    quoted: tuple[str, ...] = ()
    """Lines of logs, and why the run ended: what they say is not claimed by who quotes them."""

    @property
    def goal(self) -> Objective:
        """The objective as a value."""
        return Objective.of(self.objective, self.env_name)

    @property
    def metric(self) -> str:
        """The objective's metric."""
        return self.goal.metric

    @property
    def scored(self) -> str:
        """The name of the score: the metric's, or with its statistic, as `perf@worst`."""
        return self.goal.name

    def alike(self, name: str, one: KnownRun, other: KnownRun) -> bool:
        """Whether two runs' values of a metric can be compared: of a score by another statistic, at equal numbers."""
        counts = {run.metrics[name].n for run in (one, other) if name in run.metrics}
        return name != self.scored or self.goal.is_mean or len(counts) < 2

    def get(self, run_id: str | None) -> KnownRun | None:
        """A run by its id."""
        return self.run if run_id == self.run.run_id else self.others.get(run_id or "")

    @property
    def expected(self) -> list[Prediction]:
        """What the proposals predict."""
        return [prediction for proposal in self.proposals for prediction in proposal.predictions]

    @property
    def runs(self) -> list[KnownRun]:
        """The run and those before it, oldest first."""
        return [*self.others.values(), self.run]

    @property
    def finished(self) -> list[KnownRun]:
        """The runs with a score, oldest first."""
        return [run for run in self.runs if run.metrics]

    @property
    def baseline(self) -> str | None:
        """The first run without a parent."""
        return next((run.run_id for run in self.runs if run.parent is None), None)
