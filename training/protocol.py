"""What passes between the runner and its worker processes: one job in, events out, a JSON line each.

A worker reads its job, and later perhaps a request to stop, from a socket, and writes events to it; everything printed
goes to the replicate's log. `result.json` is the outcome; the events are for people watching.
"""

from collections.abc import Callable
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from lab.space.config import Config
from lab.space.objective import Objective
from lab.space.task import Task, Variant
from lab.store.records import ReplicateResult, StopReason


class Message(BaseModel):
    """Base of every message."""

    model_config = ConfigDict(extra="forbid", frozen=True, ser_json_inf_nan="strings")


class TrainJob(Message):
    """Train one replicate and write its folder."""

    kind: Literal["train"] = "train"
    config: Config
    package: str | None
    """PufferLib's package of the environment, such as `ocean`; None for one that is not PufferLib's."""
    agents_per_env: float
    seed: int
    dir: str
    """The replicate's folder, absolute."""
    score: str
    """The environment's own name of the metric to show while training."""
    score_scale: float = 1.0
    objective: str
    """Metric and direction, such as `perf:max`."""
    task: Task
    """What it is scored on."""
    workspace: str | None = None
    """Where the user's modules may lie, absolute."""
    variants: dict[str, Variant] = {}
    start_from: str | None = None
    """A checkpoint, absolute."""
    mirrors: tuple[Literal["tensorboard", "wandb"], ...] = ()
    project: str = ""
    """W&B's project."""
    run_id: str = ""

    @property
    def goal(self) -> Objective:
        """The objective as a value."""
        return Objective.of(self.objective, self.config.env_name)


class InventoryJob(Message):
    """Say what this machine has."""

    kind: Literal["inventory"] = "inventory"
    build: tuple[str, ...] = ()
    """Environments to build once, to learn how many agents they have."""
    to: str
    """Where to write the inventory, absolute."""
    workspace: str | None = None


class MeasureJob(Message):
    """Train for a moment, only to see how fast it goes; then be evaluated for a moment if there is a task."""

    kind: Literal["measure"] = "measure"
    config: Config
    package: str | None
    seconds: float
    """At least so long, and at least one update."""
    task: Task | None = None
    agents_per_env: float = 1.0
    workspace: str | None = None
    variants: dict[str, Variant] = {}


class ExportJob(Message):
    """See whether PufferLib alone can play a trained policy, and say what it needs for that."""

    kind: Literal["export"] = "export"
    config: Config
    seed: int
    device: str
    """That it was trained on."""
    checkpoint: str
    """Its weights, absolute."""


class Handover(Message):
    """What came of an `ExportJob`."""

    problem: str | None = None
    """Why PufferLib alone can't play it; None when it can."""
    weights: str = ""
    """SHA-256 of the weights, over names and values, as in a replicate's result."""
    ini: str = ""
    """The complete config, as PufferLib writes its own."""
    own_ini: str = ""
    """The ini that PufferLib has for the environment, relative to its `config` folder."""
    flags: tuple[str, ...] = ()
    """With which `puffer eval` builds this policy from PufferLib's ini."""
    unsayable: tuple[str, ...] = ()
    """What no flag can say, so that they are not enough; empty when they are."""


class Moment(Message):
    """What came of a `MeasureJob`."""

    sps: float
    """Agent steps per second of training."""
    start: float
    """Seconds before the first update, and those that it took longer than the others."""
    evaluation: float = 0.0
    """Seconds that both passes of the final evaluation would take."""
    logged: tuple[str, ...] = ()
    """The names that the environment logged while it was evaluated, its own; empty where no episode ended."""
    settled: bool = False
    """It never logs others."""


class StopRequest(Message):
    """End the training after the present update."""

    kind: Literal["stop"] = "stop"
    why: StopReason


AnyJob = TrainJob | InventoryJob | MeasureJob | ExportJob
JOB: TypeAdapter[AnyJob] = TypeAdapter(Annotated[AnyJob, Field(discriminator="kind")])


class Ready(Message):
    """Imports are done; the worker waits for its job."""

    event: Literal["ready"] = "ready"
    pid: int


class Progress(Message):
    """How far a replicate is."""

    event: Literal["progress"] = "progress"
    seed: int
    phase: Literal["train", "evaluate"]
    steps: int
    total: int
    sps: float
    score: float | None = None


class Ended(Message):
    """The job is done; its files are complete, but where the disk was full."""

    event: Literal["ended"] = "ended"
    result: ReplicateResult | None = None
    moment: Moment | None = None
    """Of a job that measures."""
    handover: Handover | None = None
    """Of a job that exports."""


Event = Annotated[Ready | Progress | Ended, Field(discriminator="event")]
EVENT: TypeAdapter[Ready | Progress | Ended] = TypeAdapter(Event)

OnProgress = Callable[[Progress], None]
ShouldStop = Callable[[], StopReason | None]
"""Why to end the training, once there is a reason."""
