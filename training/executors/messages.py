"""What passes between a session, the process that speaks with Ray for it, and the slots on other machines.

A slot is known by its name; what it carries out by a token, new for each attempt, so that what an earlier attempt says
is never taken for this one's, and by a key, the same for each attempt at the same job, by which a session that was
killed finds its replicates again.
"""

import os
from datetime import datetime

from lab.base import now
from lab.store import ReplicateResult, StopReason
from training.executors.madeup import MadeUp
from training.inventory import versions_here
from training.protocol import Message, Progress, TrainJob


class Piece(Message):
    """Some of a file: the whole of it, or what was appended."""

    name: str
    """Relative to the replicate's folder, with slashes."""
    data: bytes
    at: int | None = None
    """Where it goes; None for the place of the whole file."""


class News(Message):
    """What a slot has to say of its replicate since it was asked last."""

    events: tuple[Progress, ...] = ()
    pieces: tuple[Piece, ...] = ()
    """Files as they were after the events."""
    gone: tuple[str, ...] = ()
    """Files that are no longer there."""
    result: ReplicateResult | None = None
    """Once there is one, and every file has been told."""
    failed: str = ""
    """Why it can't be carried out by this slot."""


class Order(Message):
    """A replicate that is to be carried out."""

    token: str
    key: str
    job: TrainJob
    """Its folders are those of the one who ordered it."""
    start: tuple[tuple[str, bytes], ...] = ()
    """Name and content of the checkpoint that it starts from, and of the optimizer's state beside that."""
    code: str
    """Name of the parcel with the user's modules."""


class SlotState(Message):
    """A slot as it introduces itself."""

    name: str = ""
    node: str
    """Ray's id of its node; of a job of Slurm the job's."""
    host: str
    pid: int
    versions: dict[str, str]
    time: datetime
    """By its clock, when it was asked."""
    gpus: str = ""
    """CUDA_VISIBLE_DEVICES there."""
    order: Order | None = None
    """What it carries out, or has carried out; without contents."""
    behind: float = 0.0
    """Seconds that its clock is behind that of whoever asked, as far as can be told."""

    @classmethod
    def here(cls, node: str, host: str, order: Order | None = None) -> "SlotState":
        """This process, now."""
        return cls(
            node=node,
            host=host,
            pid=os.getpid(),
            versions=dict(versions_here()),
            time=now(),
            gpus=os.environ.get("CUDA_VISIBLE_DEVICES", ""),
            order=order,
        )


class Open(Message):
    """Connect to the cluster, find slots again, make new ones where there is room."""

    address: str
    owner: str
    """What the names of its slots begin with."""
    slots: int | None
    """Slots at most; None for as many as the cluster has room for."""
    options: dict[str, float | dict[str, float]]
    """Of Ray, for each slot: num_cpus, num_gpus, memory, resources."""
    keep: float
    """Seconds that a slot waits for its session to come back before it ends by itself."""
    made_up: MadeUp | None = None
    """For tests: slots train nothing, and make replicates up."""


class Parcel(Message):
    """The user's modules as a zip file."""

    code: str
    data: bytes


class Begin(Message):
    """Hand an order to a slot."""

    slot: str
    order: Order


class Attach(Message):
    """Pass on what a slot says, all files from their beginning."""

    slot: str
    token: str


class Stop(Message):
    """Have a slot's replicate end after the present update."""

    slot: str
    token: str
    why: StopReason


class Drop(Message):
    """End a slot's replicate, if it has not ended, and forget it."""

    slot: str
    token: str


class Close(Message):
    """End all slots."""


class Opened(Message):
    """The cluster is there, with these slots from before."""

    slots: tuple[SlotState, ...]


class Joined(Message):
    """A new slot, free."""

    slot: SlotState


class Left(Message):
    """A slot is gone, and what it was at with it."""

    slot: str
    why: str
    node_lost: bool
    """Its machine is gone, or can't be reached; else its process ended."""


class Told(Message):
    """What a slot had to say."""

    slot: str
    token: str
    news: News


class Failed(Message):
    """The cluster can't be reached."""

    why: str


class Closed(Message):
    """Every slot has ended."""


Command = Open | Parcel | Begin | Attach | Stop | Drop | Close
Report = Opened | Joined | Left | Told | Failed | Closed
