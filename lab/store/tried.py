"""Whether a config was tried: by a run with this very config, or by runs so close that they are the same idea."""

import math
from datetime import datetime

from lab.space import NEAR, Config, Group, identity, kinship
from lab.store.index import Index
from lab.store.rows import Row
from lab.store.selection import OF_GROUP, OWN, Selection

CLOSE = 200
"""Runs that are named as having tried a config, at most."""
MOVING = ("latest", "best")
"""Names of weights that stand for others as runs come."""


def runs_that_tried(index: Index, config: Config, group: Group) -> list[Row]:
    """Runs of a group that trained this config, or one that differs too little to tell, exact ones first.

    Two numbers are the same idea when they are within `NEAR` of the larger one (of 1 - x for gamma and its like);
    seeds and bookkeeping do not count.
    """
    import numpy as np

    kin, place = kinship(config.env_name, config.flat())
    near = index.ask(
        "SELECT run_id, place, fingerprint FROM places WHERE kin = ?",
        (kin,),
    )
    if not near:
        return []
    mine = np.frombuffer(place)
    theirs = np.frombuffer(b"".join(blob for _, blob, _ in near)).reshape(len(near), -1)
    apart = np.abs(theirs - mine) > NEAR * np.maximum(np.abs(theirs), np.abs(mine))
    unlike = apart | (np.isnan(theirs) != np.isnan(mine))
    exact = identity(config.env_name, config.flat())
    alike = [one for one, no in zip(near, unlike.any(axis=1), strict=True) if not no]
    names = [name for _, name in sorted((fingerprint != exact, name) for name, _, fingerprint in alike)][:CLOSE]
    ours = {row.run_id: row for row in index.rows(Selection(group, names=names, own=True))}
    return [ours[name] for name in names if name in ours]


def twin_of(index: Index, config: Config, group: Group, before: datetime | None = None) -> str | None:
    """The run of a group that has this very config, trained, training or queued; None where there is none.

    Seeds and bookkeeping make no difference. What goes on from the latest or best weights has no twin: they are
    others each time. A run that somebody stopped says nothing, so its config may be had again.

    Args:
        index: of the workspace.
        config: complete.
        group: with its task.
        before: runs that were made later don't count; None for all.
    """
    if config.autopilot.get("resume_mode") == "continue" and config.autopilot.get("resume_from") in MOVING:
        return None
    where, values = OF_GROUP, tuple(group)
    until = before.timestamp() if before else math.inf
    query = (
        f"SELECT runs.run_id FROM runs JOIN places USING (run_id) WHERE fingerprint = ? AND created < ? AND {where}"  # noqa: S608
        f" AND {OWN} AND NOT legacy AND damaged IS NULL AND state != 'killed' ORDER BY created, runs.run_id LIMIT 1"
    )
    rows = index.ask(query, (identity(config.env_name, config.flat()), until, *values))
    return str(rows[0][0]) if rows else None
