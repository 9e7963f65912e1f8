"""The records on disk, each a model that refuses fields it does not know.

Files are the truth. What training wrote freezes when the run ends; verdicts and decisions are only ever added.
"""

import hashlib
import json
import secrets
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, ClassVar, Final, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

SCHEMA: Final = 1


def now() -> datetime:
    """The time, in UTC."""
    return datetime.now(UTC)


def new_id(at: datetime) -> str:
    """A name that sorts by time and does not collide, such as `2025-09-20T162635Z-k3f9`."""
    alphabet = "abcdefghjkmnpqrstuvwxyz23456789"
    return f"{at:%Y-%m-%dT%H%M%SZ}-{''.join(secrets.choice(alphabet) for _ in range(4))}"


Upgrades = Mapping[int, Callable[[dict[str, Any]], dict[str, Any]]]
"""A schema's version to what makes the next one of a record of it."""


class Record(BaseModel):
    """Base of everything that is stored."""

    # JSON has no NaN: as null it could not be read where a number is due, and would mean "unknown" where one may be.
    model_config = ConfigDict(extra="forbid", frozen=True, ser_json_inf_nan="strings")


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
        """Nothing more will happen to the run."""
        return self not in (RunState.QUEUED, RunState.RUNNING)


class Group(NamedTuple):
    """What is compared with what, and has one incumbent."""

    env_name: str
    objective: str
    preset: str
    task: str
    """`Task.key`."""


class Task(Record):
    """What a run is scored on: fixed by whoever starts a session or a run, out of reach of any proposal."""

    env: dict[str, Any] = {}
    """Arguments of the environment's constructor, without `num_envs`."""
    slots: int = 64
    """Parallel environments of the final evaluation."""
    steps: int = 4000
    """Steps of each, where the environment counts its episodes itself; else the most that an evaluation may take."""
    episodes: int = 8
    """Complete episodes of each slot, where their ends can be seen."""

    @property
    def key(self) -> str:
        """A short hash; equal tasks have equal ones."""
        text = json.dumps(self.model_dump(), sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()[:8]


class Variant(Record):
    """A named stand-in that the user declares in `autopilot.toml` for an environment, a reward or a policy."""

    call: str = Field(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")
    """`module:callable`, importable from the workspace or installed."""
    arguments: dict[str, bool | int | float | str] = {}
    env: str | None = None
    """The one environment that it is for; None for any."""


class Limit(Record):
    """What the user says of one key in `[space]` of `autopilot.toml`."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False)

    low: float | None = None
    high: float | None = None
    choices: tuple[bool | int | float | str, ...] = Field(default=(), strict=False)
    frozen: bool = False
    """No proposal may change it."""
    open: bool = False
    """Proposals may change it although it is the task's."""


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
    """That a run was found hopeless, and against what."""

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
    state: RunState = RunState.QUEUED
    env_name: str
    preset: str
    objective: str
    """Metric and direction, such as `perf:max`."""
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
    versions: dict[str, str] = {}
    task: Task = Task()
    variants: dict[str, Variant] = {}
    """The user's stand-ins that it trains with: `environment`, `reward`, `policy` to what was declared then."""
    resume: Resume | None = None
    """None when it starts from fresh weights."""
    code: CodeState | None = None
    """None where the workspace lies in no repository."""
    sources: dict[str, str] = {}
    """Hash of each file that environment and policy are made of, compiled extensions included."""
    pruning: Pruning | None = None
    """What the pruner found, if it found the run hopeless."""
    flags: tuple[str, ...] = ()
    """What is odd about an imported run: values outside today's search space, files that could not be read."""

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
    not_finite: dict[str, str] = {}
    """What came to no finite number and was left out of `raw`: name to `nan`, `inf` or `-inf`."""


class ReplicateResult(Record):
    """`seeds/<seed>/result.json`: what one training process reports when it ends."""

    schema_version: Literal[1] = SCHEMA
    seed: int
    state: RunState
    reason: str | None = None
    metrics: dict[str, float] = {}
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
    sources: dict[str, str] = {}
    threads: int = 1
    device: str = ""
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


class TrainerSummary(Record):
    """`trainer_summary.json`."""

    schema_version: Literal[1] = SCHEMA
    timestamp: datetime
    run_id: str
    train: dict[str, Any]
    env: dict[str, Any]
    vec: dict[str, Any]
    metrics: dict[str, MetricSummary]
    greedy: dict[str, MetricSummary] = {}
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
    method: str = ""
    confounds: tuple[str, ...] = ()
    """Why the comparison is not like with like; then it is inconclusive."""
    screen: float | None = None
    """One-sided p-value of being better, by exact permutation; small enough, a confirmation on fresh seeds follows."""


class Confirmation(Record):
    """One line of `runs/confirmations.jsonl`: a candidate on its way to the place of the incumbent."""

    time: datetime
    candidate: str
    incumbent: str
    session: str | None = None
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


class Prediction(Record):
    """What a proposal says will happen."""

    metric: str
    direction: Literal["up", "down", "same"]
    low: float = Field(allow_inf_nan=False)
    high: float = Field(allow_inf_nan=False)
    coverage: float = Field(gt=0, lt=1)
    """How often such an interval is meant to hold."""


class ProposalState(StrEnum):
    """staged → approved or rejected → running → done; or superseded."""

    STAGED = "staged"
    APPROVED = "approved"
    REJECTED = "rejected"
    RUNNING = "running"
    DONE = "done"
    SUPERSEDED = "superseded"


class Decision(Record):
    """One step in a proposal's life; the last one is its state."""

    time: datetime
    state: ProposalState
    who: str
    """`person`, or the policy or program part that decided."""
    why: str = ""
    run_id: str | None = None
    overrides: dict[str, Any] | None = None
    """What the proposal changed when it was approved or rejected."""
    seen: str = ""
    """`Proposal.version` of what a person had before their eyes."""


class Proposal(Record):
    """`proposals/<id>.json`: what to train next, and why."""

    schema_version: Literal[1] = SCHEMA
    proposal_id: str
    created: datetime
    env_name: str
    preset: str
    objective: str
    task: str
    """`Task.key` of its parent's task."""
    parent: str
    """The run whose config the overrides change."""
    parent_config: str
    """That config's fingerprint when the proposal was made."""
    analysed: str
    """The run whose analysis led to it."""
    session: str | None
    arm: str
    overrides: dict[str, Any]
    """Dotted key to new value, as changes to the parent's config."""
    theory: str
    predictions: tuple[Prediction, ...] = ()
    decisions: tuple[Decision, ...]

    @property
    def state(self) -> ProposalState:
        """Where it is in its life."""
        return self.decisions[-1].state

    @property
    def version(self) -> str:
        """Another one with each change and each decision: what a person has seen is still so while it is the same."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:16]

    @property
    def changes(self) -> str:
        """The overrides on one line, such as `train.gamma = 0.99, train.ent_coef = 0.01`."""
        return ", ".join(f"{key} = {value}" for key, value in self.overrides.items())

    @property
    def held(self) -> bool:
        """A policy left it to a person, and nothing newer takes its place."""
        return self.state is ProposalState.STAGED and len(self.decisions) > 1

    @property
    def group(self) -> Group:
        """As a run's."""
        return Group(self.env_name, self.objective, self.preset, self.task)


class Budgets(Record):
    """What a session may use; None is without limit."""

    hours: float | None = Field(default=None, gt=0)
    max_runs: int | None = Field(default=None, ge=1)
    max_tokens: int | None = Field(default=None, ge=1)
    max_dollars: float | None = Field(default=None, gt=0)


class Spent(Record):
    """What a session has used."""

    tokens: int = 0
    dollars: float = 0.0
    """0 where the model's price is not known."""
    seconds: float = 0.0
    """Without the pauses between interruption and resume."""
    training: float = 0.0
    """Seconds of these in which replicates were trained or evaluated."""
    search: float = 0.0
    """Seconds of those that went to proposals, whoever made them."""
    confirming: float = 0.0
    """Seconds of those that went to fresh seeds of proposals; the rest is the baseline and replicates of incumbents."""


def _spent(old: dict[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in old.items() if key not in ("tokens", "active_seconds")}
    return {**kept, "spent": {"tokens": old.get("tokens", 0), "seconds": old.get("active_seconds", 0.0)}}


Approval = Literal["auto", "manual", "policy"]


class SessionRecord(Record):
    """`runs/sessions/<id>/session.json`."""

    UPGRADES: ClassVar[Upgrades] = {1: _spent}

    schema_version: Literal[2] = 2
    session_id: str
    env_name: str
    preset: str
    objective: str
    model: str
    base_url: str | None = None
    approve: Approval
    seeds: int
    settings: dict[str, Any] = {}
    """Overrides of the preset that the person gave with --set."""
    task: Task = Task()
    """What every run of the session is scored on."""
    prune: bool = False
    """End runs that look hopeless beside their peers."""
    mirrors: tuple[Literal["tensorboard", "wandb"], ...] = ()
    parallel: int | None = None
    """Replicates at once; None derives it."""
    min_effect: float | None = None
    """The smallest difference that matters, in the objective's units; None derives it from the noise floor."""
    confirm: str | None = None
    """The preset on which a run has to be confirmed too before it is incumbent; None for the session's own alone."""
    candidates: int | None = None
    """Runs that it was laid out for when it began, by its time; the error budget is divided among them."""
    target: float | None = None
    """Score of the incumbent, in the objective's units, at which the session is over."""
    budgets: Budgets
    created: datetime
    spent: Spent = Spent()
    ended: datetime | None = None
    ended_because: str | None = None

    @property
    def group(self) -> Group:
        """The runs it works on."""
        return Group(self.env_name, self.objective, self.preset, self.task.key)
