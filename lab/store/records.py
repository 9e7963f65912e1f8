"""The records on disk, each a model that refuses fields it does not know.

Files are the truth. What training wrote freezes when the run ends; verdicts and decisions are only ever added.
"""

from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar, Literal

from pydantic import Field

from lab.base import SCHEMA, Record, Upgrades
from lab.space import Group, Objective, Statistic, Task, Variant


class RunState(StrEnum):
    """queued → running → one of the others, which are final."""

    QUEUED = "queued"
    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"
    DIVERGED = "diverged"
    TIMED_OUT = "timed_out"
    KILLED = "killed"
    PRUNED = "pruned"

    @property
    def ended(self) -> bool:
        """Whether the state is final."""
        return self not in (RunState.QUEUED, RunState.RUNNING)


UNDONE = (RunState.QUEUED, RunState.RUNNING)
"""States of a run that is still to be trained, or is being trained."""


class Resume(Record):
    """Where a warm start takes its weights from, resolved when the run is made."""

    run_id: str | None
    """The run that they are of; None for a file that no run of this workspace wrote."""
    files: tuple[str, ...]
    """Relative to the workspace; replicate i starts from file i modulo their number."""


class CodeState(Record):
    """The user's repository when a run was made."""

    commit: str
    dirty: str | None = None
    """SHA-256 of what differs from the commit (kept in `code.diff`); None when nothing does."""


class StopReason(Record):
    """Why a training is ended before its time, and what its run is called then."""

    state: Literal[RunState.KILLED, RunState.PRUNED]
    reason: str


class Pruning(Record):
    """A run found hopeless, and against what."""

    steps: int
    """The rung: agent steps of each replicate."""
    score: float
    """The run's training score there: mean over its replicates, in the objective's units."""
    median: float
    """Of the peers' scores there."""
    peers: int
    """How many of them there were, five at least."""
    spared: bool
    """It is trained to its end nevertheless, to see whether that would have been a loss."""


class RunRecord(Record):
    """`run.json`."""

    # 2: `replicates_of`, `legacy`, `flags`. Before them every run was one of its own, trained here.
    UPGRADES: ClassVar[Upgrades] = {1: lambda old: {**old, "replicates_of": None, "legacy": False, "flags": []}}

    schema_version: Literal[2] = 2
    run_id: str
    number: int | None = None
    """Its number in the workspace, by which people call it; None in records of earlier versions, whose runs are
    counted in the order of their making."""
    state: RunState = RunState.QUEUED
    env_name: str
    preset: str
    objective: str
    """Metric, direction and, where it is not the mean, statistic: `perf:max`, `perf@worst:max`."""
    arm: str
    """Who made the config: `baseline`, `offline`, a model's name, or `person`."""
    parent: str | None = None
    proposal: str | None = None
    session: str | None = None
    replicates_of: str | None = None
    """The run whose config it repeats on fresh seeds, to confirm it."""
    legacy: bool = False
    """Imported from elsewhere: to be read and compared with, never judged, never the incumbent."""
    seeds: tuple[int, ...]
    created: datetime
    started: datetime | None = None
    finished: datetime | None = None
    attempt: int = 0
    """How often training was started; an interrupted run counts up and trains again from its start."""
    reason: str | None = None
    """Why it is not `finished`, in one line."""
    log_tail: tuple[str, ...] = ()
    host: str = ""
    versions: dict[str, str] = Field(default_factory=dict)
    task: Task = Task()
    variants: dict[str, Variant] = Field(default_factory=dict)
    """The user's stand-ins that it trains with: `environment`, `reward`, `policy` to what was declared then."""
    resume: Resume | None = None
    """None when it starts from fresh weights."""
    code: CodeState | None = None
    """None where the workspace lies in no repository."""
    sources: dict[str, str] = Field(default_factory=dict)
    """Hash of each file that environment and policy are made of, compiled extensions included."""
    pruning: Pruning | None = None
    """What the pruner found, if it found the run hopeless."""
    flags: tuple[str, ...] = ()
    """What is odd about an imported run: values outside today's search space, files that could not be read."""

    @property
    def goal(self) -> Objective:
        """The objective as a value."""
        return Objective.of(self.objective, self.env_name)

    @property
    def group(self) -> Group:
        """What it is compared with."""
        return Group(self.env_name, self.objective, self.preset, self.task.key)


class Evaluation(Record):
    """One pass of the final evaluation."""

    actions: Literal["sampled", "greedy"]
    episodes: int
    """Episodes that ended."""
    unfinished_share: float
    """Upper bound of the weight that episodes cut off at the end would have had; 0 where each slot counts the same
    number of complete ones."""
    steps: int = 0
    """Of each slot, as many as that took."""
    per_slot: int | None = None
    """Complete episodes counted of each slot; None where the environment adds them up itself."""
    raw: dict[str, float]
    """What the environment logged: mean over the episodes."""
    not_finite: dict[str, str] = Field(default_factory=dict)
    """What came to no finite number and was left out of `raw`: name to `nan`, `inf` or `-inf`."""


class ReplicateResult(Record):
    """`seeds/<seed>/result.json`: what one training process reports when it ends."""

    schema_version: Literal[1] = SCHEMA
    seed: int
    state: RunState
    reason: str | None = None
    metrics: dict[str, float] = Field(default_factory=dict)
    """Common name to value, from the evaluation with sampled actions; sps, agent_steps, epoch from training."""
    evaluations: tuple[Evaluation, ...] = ()
    eval_seed: int | None = None
    weights: str | None = None
    """SHA-256 of the final weights."""
    started_from: str | None = None
    """SHA-256 of the weights that a warm start began with."""
    first_step: datetime | None = None
    """When its environments were first stepped."""
    stopped_early: str | None = None
    """Why a finished replicate trained for fewer steps than `train.total_timesteps`."""
    notes: tuple[str, ...] = ()
    """What a reader should know, such as moments that could not be carried over."""
    peak_memory_mib: float = 0.0
    sources: dict[str, str] = Field(default_factory=dict)
    threads: int = 1
    device: str = ""
    node: str = ""
    """Machine that it trained on, where that is another one of a cluster."""
    train_seconds: float = 0.0
    eval_seconds: float = 0.0


class MetricSummary(Record):
    """A metric over the replicates."""

    mean: float
    low: float | None
    """Lower end of the 95 % interval of the mean; None with one replicate."""
    high: float | None
    n: int
    values: tuple[float, ...]
    """In the order of the run's seeds."""
    flag: str | None = None
    """What is odd about it, such as a rate outside 0 to 1."""


class Score(MetricSummary):
    """A run's score: the objective's metric over the replicates, and what its statistic makes of them."""

    value: float
    """The statistic: the score."""
    statistic: Statistic = "mean"
    low: float | None
    """Lower end of the 95 % interval of the statistic; None where there is none, as for the worst of a few."""
    high: float | None


class TrainerSummary(Record):
    """`trainer_summary.json`."""

    schema_version: Literal[1] = SCHEMA
    timestamp: datetime
    run_id: str
    train: dict[str, Any]
    env: dict[str, Any]
    vec: dict[str, Any]
    metrics: dict[str, MetricSummary]
    greedy: dict[str, MetricSummary] = Field(default_factory=dict)
    """The same evaluation with the likeliest action each time, where the actions are discrete."""


class Verdict(Record):
    """One line of `runs/verdicts.jsonl`: a finished run against the incumbent of its group."""

    time: datetime
    run_id: str
    against: str | None
    """The incumbent then, or the control of a warm start; None for the first run of a group, its first incumbent."""
    verdict: Literal["better", "worse", "inconclusive", "first"]
    metric: str
    effect: float | None = None
    """Difference of the means, this run minus the incumbent, in the metric's own direction."""
    low: float | None = None
    high: float | None = None
    n: tuple[int, int] | None = None
    """Replicates of the run and of what it is against; None in records of earlier versions."""
    method: str = ""
    confounds: tuple[str, ...] = ()
    """Why the comparison is not like with like; then it is inconclusive."""
    screen: float | None = None
    """Of records of earlier versions: the one-sided p-value by which a run got fresh seeds."""


class Confirmation(Record):
    """One line of `runs/confirmations.jsonl`: a candidate on its way to the place of the incumbent."""

    time: datetime
    candidate: str
    incumbent: str
    session: str | None = None
    who: str | None = None
    """Who asked for it outside of a session; None where a session did, and in records of earlier versions."""
    outcome: Literal["opened", "passed", "confirmed", "dropped"]
    """`passed`: confirmed on its own preset, and to be confirmed on `then` before it is incumbent."""
    why: str
    level: float
    """One-sided, over all looks; laid down when it was opened, as are `min_effect`, `group` and `looks`."""
    min_effect: float
    """The smallest difference that matters, in the metric's units."""
    group: int
    """Fresh seeds a side before each look."""
    looks: int
    preset: str | None = None
    """Whose length and topology the fresh seeds have; None for the candidate's own."""
    then: str | None = None
    """The preset on which it has to be confirmed afterwards; None where this is all."""
    metric: str
    seeds: int = 0
    """Fresh seeds a side that it took."""
    effect: float | None = None
    """Candidate minus incumbent on the fresh seeds: the difference to quote."""
    low: float | None = None
    high: float | None = None
    runs: tuple[str, ...] = ()
    """Those that trained the candidate's fresh seeds."""
