"""Where a session's replicates train, in words: machines, slots, what trains in each, and how busy they were."""

from itertools import groupby

from lab.base import plain
from lab.store import Notebook, SessionRecord, Sessions, SlotSeen

MACHINES = 12
"""Machines that are named."""


def slots_line(notebook: Notebook, record: SessionRecord) -> str | None:
    """The slots of a session that is at work, machine by machine; None where it is not, or never said."""
    sessions = Sessions(notebook.workspace)
    seen, working = sessions.slots(record.session_id), sessions.running()
    if seen is None or not seen.slots or working is None or working.session != record.session_id:
        return None
    machines = [(host, list(slots)) for host, slots in groupby(seen.slots, key=lambda slot: slot.host)]
    busy = sum(slot.run_id is not None for slot in seen.slots)
    parts = [f"{plain(host, 60) or 'this machine'}: {_machine(notebook, slots)}" for host, slots in machines[:MACHINES]]
    more = [f"{len(machines) - MACHINES} more machines"] if len(machines) > MACHINES else []
    return f"{busy} of {len(seen.slots)} busy; {'; '.join([*parts, *more])}"


def _machine(notebook: Notebook, slots: list[SlotSeen]) -> str:
    names = [_named(notebook, slot) for slot in slots if slot.run_id is not None]
    free = len(slots) - len(names)
    return ", ".join([*names, *([f"{free} free"] if free else [])])


def _named(notebook: Notebook, slot: SlotSeen) -> str:
    number = notebook.index.number_of(str(slot.run_id))
    run = f"#{number}" if number is not None else str(slot.run_id)
    return f"{run} seed {slot.seed}" + (f" on GPU {slot.gpus}" if slot.gpus else "")


def slots_text(notebook: Notebook, record: SessionRecord, replicates: int) -> str:
    """How busy a session's slots were, and how many replicates an hour that came to; empty where it never said.

    Args:
        notebook: where its runs are.
        record: the session.
        replicates: of it that have ended.
    """
    seen = Sessions(notebook.workspace).slots(record.session_id)
    if seen is None or not seen.seconds or not record.spent.seconds:
        return ""
    busy = round(100 * seen.busy / seen.seconds)
    return f" {3600 * replicates / record.spent.seconds:.3g} replicates an hour; its slots were busy {busy} %."
