"""`[ray]` in autopilot.toml: what a replicate is given on a cluster."""

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
