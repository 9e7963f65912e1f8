"""What runs set: the keys in which their configs differ, and what each run has for one of them."""

from typing import NamedTuple

from lab.space import BOOKKEEPING, MEASURED, Group, in_order
from lab.store.index import Index
from lab.store.questions import Questions
from lab.store.selection import Selection


class Setting(NamedTuple):
    """What a run sets a key to, with its score."""

    run_id: str
    value: bool | float | str
    score: float
    low: float | None
    high: float | None


def varied_keys(index: Index, which: Selection, newest: int) -> list[str]:
    """The keys in which configs differ, in the order of the search space; seeds and bookkeeping are left out.

    The index has the numbers of the search space apart, and what configs of one kind share in everything else, so
    that of each kind one is read.

    Args:
        index: of the workspace.
        which: the runs whose configs they are.
        newest: how many of them at most, the latest ones.
    """
    import numpy as np

    chosen, values = which.newest()
    query = f"SELECT run_id, kin, place FROM places WHERE run_id IN ({chosen})"  # noqa: S608
    rows = index.ask(query, (*values, newest))
    if not rows:
        return []
    numbers = np.frombuffer(b"".join(place for *_, place in rows)).reshape(len(rows), -1)
    known = ~np.isnan(numbers)
    least, most = (np.where(known, numbers, end) for end in (np.inf, -np.inf))
    moved = least.min(axis=0) < most.max(axis=0)
    each = {(kin, mask.tobytes()): run for (run, kin, _), mask in zip(rows, known, strict=True)}
    seen: dict[str, set[str]] = {}
    for config in Questions(index).configs_of(list(each.values())).values():
        for key, value in config.flat().items():
            seen.setdefault(key, set()).add(str(value))
    keys = {key for key, those in seen.items() if len(those) > 1}
    keys |= {key for key, has in zip(MEASURED, moved, strict=True) if has}
    return in_order(keys - BOOKKEEPING)


def settings_of(index: Index, group: Group, key: str, newest: int) -> list[Setting]:
    """What a group's scored runs set a key to and what they scored, newest first; without those that do not set it.

    Args:
        index: of the workspace.
        group: whose; fresh seeds of others are left out.
        key: dotted.
        newest: how many at most.
    """
    section, _, name = key.partition(".")
    if '"' in key:
        return []
    which, values = Selection(group, scored=True, own=True).newest()
    query = (
        f"SELECT run_id, json_extract(config, ?), score, low, high, json_type(config, ?) FROM ({which})"  # noqa: S608
        " CROSS JOIN runs USING (run_id) CROSS JOIN texts USING (run_id)"
    )
    place = f'$."{section}"."{name}"'
    rows = index.trust(
        lambda base: base.execute(query, (place, place, *values, newest)).fetchall(),
        lambda found: (row[0] for row in found),
    )
    return [
        Setting(run, bool(value) if kind in ("true", "false") else value, *score)
        for run, value, *score, kind in rows
        if kind in ("true", "false", "integer", "real", "text")
    ]
