"""Longer trainings, where curves still rise at their end or the noise of short ones hides what is left to gain.

Trainings of different lengths are not compared: a learning rate that is annealed over one is another over twice as
many steps. So a longer one is a preset of its own, kept in the workspace like a measured one, with a baseline, a noise
floor and an incumbent of its own; the session goes on there, before it has named anything. Only a session that may
decide by itself does that, whose budget is time, and has enough of it.
"""

import platform

from lab.base import now
from lab.judge import still_rising
from lab.space import StoredPreset, diff, names, preset, preset_config, store
from lab.store import Lab, NightPlan, SessionRecord
from training import usable_cores

TIMES = 2
"""A longer training has so many times the steps."""
MOST = 2
"""Times that a session goes on to a longer one."""
ROOM = 60
"""Replicates of the longer kind that the time has to be good for: a baseline, a search and a proof."""


def why_longer(lab: Lab, record: SessionRecord, plan: NightPlan, left: int | None) -> str | None:
    """Why a session is to go on with longer trainings; None where it is not.

    Args:
        lab: where its runs are.
        record: the session.
        plan: just made firm.
        left: replicates of the present length that its time is good for; None where nobody knows.
    """
    mine = lab.notebook.runs(record.group)
    first = next((run for run in mine if run.arm == "baseline" and run.session == record.session_id), None)
    if first is None or any(run.session != record.session_id for run in mine):  # others have built on this length
        return None
    chosen = record.approve != "auto" or "train.total_timesteps" in record.settings or record.lengthened >= MOST
    if chosen or record.budgets.max_runs is not None or left is None or left < ROOM * TIMES:
        return None
    if still_rising(lab.notebook, first):
        return "its curves still rise where training ends"
    return "at this length its noise hides all that is left to gain" if plan.hopeless else None


def longer_preset(lab: Lab, record: SessionRecord) -> str:
    """The name of the preset with longer trainings, kept in the workspace if it is not there.

    Args:
        lab: its workspace.
        record: the session, which goes on from its preset.
    """
    workspace, environment = lab.notebook.workspace, lab.inventory.environment(record.env_name)
    config = preset(workspace, environment, record.preset)
    steps = TIMES * int(config.train["total_timesteps"] or 0)
    name = f"{(record.began_on or record.preset)[:60]}-{steps}"
    if name not in names(workspace, record.env_name):
        base = "full" if record.preset == "full" else "quick"
        changes = diff(preset_config(environment, base), config)
        overrides = {**{key: new for key, (_, new) in changes.items()}, "train.total_timesteps": steps}
        kept = StoredPreset(
            name=name, env_name=record.env_name, base=base, overrides=overrides, measured=now(),
            host=platform.node(), cores=usable_cores(),
        )  # fmt: skip
        store(workspace, kept)
    return name
