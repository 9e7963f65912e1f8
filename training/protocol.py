"""The messages between the runner and its worker processes: one job in, events out, a JSON line each.

A worker reads its job, and later perhaps a request to stop, from a socket, and writes events to it; everything printed
goes to the replicate's log. `result.json` is the outcome; the events are for people watching.
"""

from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from lab.space import Config, Objective, Task, Variant
from lab.store import Film, Kind, ReplicateResult, StopReason


class Message(BaseModel):
    """The base of every message."""

    model_config = ConfigDict(extra="forbid", frozen=True, ser_json_inf_nan="strings")


class TrainJob(Message):
    """Train one replicate and write its folder."""

    kind: Literal["train"] = "train"
    config: Config
    device: str
    """Where the policy trains: cpu, cuda or mps, whatever the config leaves open."""
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
    """Task that the run is scored on."""
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


class BuildOrder(Message):
    """What an environment is built with, to learn about it."""

    arguments: dict[str, Any] = {}
    """Those of its constructor that are not left at their defaults; those that it does not have are left out."""
    wrappers: tuple[str, ...] = ()


class InventoryJob(Message):
    """Say what this machine has."""

    kind: Literal["inventory"] = "inventory"
    build: dict[str, BuildOrder] = {}
    """Environments to build once, to learn how many agents they have and whether they can be trained."""
    to: str
    """Where to write the inventory, absolute."""
    workspace: str | None = None


class LoadJob(Message):
    """Find out which of the user's callables can't be loaded."""

    kind: Literal["load"] = "load"
    calls: tuple[str, ...]
    """Each as `module:callable`."""
    workspace: str


class MeasureJob(Message):
    """Train for a moment, only to see how fast it goes; then evaluate for a moment if there is a task."""

    kind: Literal["measure"] = "measure"
    config: Config
    device: str
    """Where the policy trains: cpu, cuda or mps, whatever the config leaves open."""
    package: str | None
    seconds: float
    """Time to train for at least; one update at least."""
    task: Task | None = None
    agents_per_env: float = 1.0
    workspace: str | None = None
    variants: dict[str, Variant] = {}


class ExportJob(Message):
    """Find out whether PufferLib alone can play a trained policy, and what it needs for that."""

    kind: Literal["export"] = "export"
    config: Config
    seed: int
    device: str
    """Device that the policy was trained on."""
    checkpoint: str
    """File of the policy's weights, absolute."""


class FilmJob(Message):
    """Play an episode of a trained policy, and write it as an animated picture."""

    kind: Literal["film"] = "film"
    train: TrainJob
    """What the policy was trained by."""
    which: Kind
    checkpoint: str
    """File of the policy's weights, absolute."""
    to: str
    """Where to write the picture, absolute."""

    @property
    def workspace(self) -> str | None:
        """Where the user's modules may lie."""
        return self.train.workspace


class Handover(Message):
    """The result of an `ExportJob`."""

    problem: str | None = None
    """Why PufferLib alone can't play it; None when it can."""
    weights: str = ""
    """SHA-256 of the weights, over names and values, as in a replicate's result."""
    ini: str = ""
    """The complete config, as PufferLib writes its own."""
    own_ini: str = ""
    """The ini that PufferLib has for the environment, relative to its `config` folder."""
    flags: tuple[str, ...] = ()
    """Flags with which `puffer eval` builds this policy from PufferLib's ini."""
    unsayable: tuple[str, ...] = ()
    """Settings that no flag can say; empty when the flags are enough."""


class Moment(Message):
    """The result of a `MeasureJob`."""

    sps: float
    """Agent steps per second of training."""
    start: float
    """Seconds before the first update, and those that this update took longer than the others."""
    evaluation: float = 0.0
    """Seconds that both passes of the final evaluation would take."""
    logged: tuple[str, ...] = ()
    """Names that the environment logged while it was evaluated, in its own words; empty where no episode ended."""
    settled: bool = False
    """Whether the environment never logs other names."""


class StopRequest(Message):
    """End the training after the present update."""

    kind: Literal["stop"] = "stop"
    why: StopReason


AnyJob = TrainJob | InventoryJob | LoadJob | MeasureJob | ExportJob | FilmJob
JOB: TypeAdapter[AnyJob] = TypeAdapter(Annotated[AnyJob, Field(discriminator="kind")])


class Ready(Message):
    """Imports are done; the worker waits for its job."""

    event: Literal["ready"] = "ready"
    pid: int


class Progress(Message):
    """The place that a replicate has come to."""

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
    """Result of a job that measures."""
    handover: Handover | None = None
    """Result of a job that exports."""
    film: Film | None = None
    """Result of a job that films."""
    unloadable: dict[str, str] = {}
    """Result of a job that loads: what can't be loaded to why."""


Event = Annotated[Ready | Progress | Ended, Field(discriminator="event")]
EVENT: TypeAdapter[Ready | Progress | Ended] = TypeAdapter(Event)

OnProgress = Callable[[Progress], None]
ShouldStop = Callable[[], StopReason | None]
"""A question that is answered with the reason to end the training, once there is one."""
