"""What passes between the runner and its worker processes: one job in, events out, a JSON line each.

A worker reads its job from standard input and writes events to what was its standard output; everything printed goes
to the replicate's log instead. `result.json` is the outcome; the events are for people watching.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from lab.config import Config


class Message(BaseModel):
    """Base of every message."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class TrainJob(Message):
    """Train one replicate and write its folder."""

    kind: Literal["train"] = "train"
    config: Config
    package: str
    """PufferLib's package of the environment, such as `ocean`."""
    agents_per_env: float
    seed: int
    dir: str
    """The replicate's folder, absolute."""
    score: str
    """The environment's own name of the metric to show while training."""
    score_scale: float = 1.0


class InventoryJob(Message):
    """Say what this machine has."""

    kind: Literal["inventory"] = "inventory"
    build: tuple[str, ...] = ()
    """Environments to build once, to learn how many agents they have."""
    to: str
    """Where to write the inventory, absolute."""


Job = Annotated[TrainJob | InventoryJob, Field(discriminator="kind")]
JOB: TypeAdapter[TrainJob | InventoryJob] = TypeAdapter(Job)


class Ready(Message):
    """Imports are done; the worker waits for its job."""

    event: Literal["ready"] = "ready"


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
    """The job is done; its files are complete."""

    event: Literal["ended"] = "ended"


Event = Annotated[Ready | Progress | Ended, Field(discriminator="event")]
EVENT: TypeAdapter[Ready | Progress | Ended] = TypeAdapter(Event)
