"""`[ray]` and `[slurm]` in autopilot.toml: what a replicate is given on a cluster."""

from typing import Annotated

from pydantic import Field

from lab.base import Record, Table, Tables, Workspace


class RaySettings(Record):
    """`[ray]` in autopilot.toml."""

    address: str | None = None
    """Where the cluster's head is, such as `10.0.0.1:6379`; `--address` goes above it."""
    cpus: float = Field(default=1.0, ge=0, le=1024)
    """CPUs that Ray sets aside for a replicate."""
    gpus: float = Field(default=0.0, ge=0, le=64)
    """GPUs; above 0, `train.device = auto` is the GPU there. Shares of one are bookkeeping only."""
    memory_gib: float = Field(default=0.0, ge=0, le=65_536)
    """Memory that Ray sets aside; 0 for none, since it is no limit but a reservation."""
    resources: dict[str, float] = Field(default_factory=dict)
    """Resources of one's own that a node must have."""
    keep: float = Field(default=3600.0, ge=10, le=604_800)
    """Seconds that a slot waits for a session that was killed to go on; then it ends, with what trains in it."""


class RayTables(Tables):
    """`[ray]` in autopilot.toml, or the environment."""

    ray: Annotated[
        RaySettings,
        Table(example="[ray] with gpus = 1", names=", ".join(RaySettings.model_fields), environment=True),
    ] = RaySettings()


def ray_settings(workspace: Workspace) -> RaySettings:
    """The settings of a workspace for Ray.

    Raises:
        InvalidInput: the table can't be read.
    """
    return RayTables.of(workspace).ray


class SlurmSettings(Record):
    """`[slurm]` in autopilot.toml."""

    partition: str | None = Field(default=None, pattern=r"^[^\s,]+(,[^\s,]+)*$")
    """Where jobs are sent; None for the cluster's default."""
    time: str | None = Field(default=None, pattern=r"^\d+(:\d+){0,2}$|^\d+-\d+(:\d+){0,2}$")
    """A job's time limit as Slurm takes it: minutes, H:MM:SS or D-HH; None for the partition's."""
    gres: str | None = Field(default=None, pattern=r"^\S+$")
    """Such as `gpu:1`; with a GPU in it, `train.device = auto` is the GPU there."""
    cpus: int = Field(default=1, ge=1, le=1024)
    """CPUs of a replicate."""
    memory_gib: float = Field(default=0.0, ge=0, le=65_536)
    """Memory of a replicate; 0 for what the partition gives."""
    jobs: int = Field(default=8, ge=1, le=256)
    """Jobs at once, those that wait included; `--parallel` goes above it."""
    keep: float = Field(default=3600.0, ge=10, le=604_800)
    """Seconds that a job goes on for a session that was killed; then it ends."""
    options: dict[Annotated[str, Field(pattern=r"^[a-z][a-z-]*$")], str | int | float | bool] = Field(
        default_factory=dict
    )
    """Further options of sbatch, such as `account` and `qos`."""


class SlurmTables(Tables):
    """`[slurm]` in autopilot.toml, or the environment."""

    slurm: Annotated[
        SlurmSettings,
        Table(example="[slurm] with partition = 'gpu'", names=", ".join(SlurmSettings.model_fields), environment=True),
    ] = SlurmSettings()


def slurm_settings(workspace: Workspace) -> SlurmSettings:
    """The settings of a workspace for Slurm.

    Raises:
        InvalidInput: the table can't be read.
    """
    return SlurmTables.of(workspace).slurm
