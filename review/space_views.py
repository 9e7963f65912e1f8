"""What the page of a search draws: all runs through all keys that were changed, and what each key does."""

import math
from collections.abc import Sequence
from typing import Any

from lab.base import NotFound, Record, number, plain, short
from lab.search import Effects
from lab.space import Group
from lab.store import Notebook, Questions, Selection, varied_keys
from review.charts import Axis, Chart, Series, axis_of

LINES = 400
"""Runs that are drawn through their keys, the newest ones."""
KEYS = 24
"""Keys that they are drawn through, in the order of the search space."""


class Upright(Record):
    """One key, as an axis that stands."""

    key: str
    low: str
    """What stands at its foot."""
    high: str


class Way(Record):
    """One run on its way through the keys."""

    run: str
    name: str
    score: float
    at: tuple[float | None, ...]
    """Where it crosses each axis, 0 at the foot to 1, the score's last; None where its config has no such key."""
    values: tuple[str, ...]


class Ways(Record):
    """All runs of a group through the keys that were changed."""

    metric: str
    axes: tuple[Upright, ...]
    """The score's is the last."""
    runs: tuple[Way, ...]
    """The best one last, so that it is drawn over the others."""


def ways(notebook: Notebook, group: Group) -> Ways:
    """The scored runs of a group through the keys in which they differ.

    Args:
        notebook: where the runs are.
        group: whose; fresh seeds of another run are left out.
    """
    goal, questions = group.goal, Questions(notebook.index)
    which = Selection(group, scored=True, own=True)
    rows = notebook.index.rows(which, order="newest", limit=LINES)
    rows.sort(key=lambda row: goal.sign * (row.score or 0.0))
    configs = questions.configs_of([row.run_id for row in rows])
    flats = [configs[row.run_id].flat() for row in rows]
    keys = varied_keys(notebook.index, which, LINES)[:KEYS]
    found = {key: _column(key, [flat.get(key) for flat in flats]) for key in keys}
    keys = [key for key in keys if found[key] is not None]
    axes = [one[0] for one in found.values() if one is not None]
    columns = [one[1] for one in found.values() if one is not None]
    scores = [float(row.score or 0.0) for row in rows]
    if rows:
        axes.append(Upright(key=goal.name, low=number(min(scores)), high=number(max(scores))))
        columns.append(_between(scores))
    return Ways(
        metric=goal.name,
        axes=tuple(axes),
        runs=tuple(
            Way(
                run=row.run_id,
                name=f"#{row.number}",
                score=score,
                at=tuple(column[place] for column in columns),
                values=(*(short(flat.get(key)) for key in keys), number(score)),
            )
            for place, (row, flat, score) in enumerate(zip(rows, flats, scores, strict=True))
        ),
    )


def _column(key: str, values: Sequence[Any]) -> tuple[Upright, list[float | None]] | None:
    """A key's axis, and where each value crosses it; None for values that have no place on one."""
    known = [at for at, value in enumerate(values) if isinstance(value, (bool, int, float, str))]
    if not known:  # lists and the like
        return None
    axis, places = axis_of(key, [values[at] for at in known])
    if axis.scale == "log":
        places = [math.log(place) for place in places]
    if axis.label.startswith("1 - "):  # more of the key stands higher all the same
        places = [-place for place in places]
    spread = dict(zip(known, _between(places), strict=True))
    foot, head = places.index(min(places)), places.index(max(places))
    low, high = (plain(short(values[known[at]]), 30) for at in (foot, head))
    return Upright(key=plain(key, 60), low=low, high=high), [spread.get(at) for at in range(len(values))]


def _between(numbers: Sequence[float]) -> list[float | None]:
    """Numbers as parts of the way from the least to the most."""
    low, high = min(numbers), max(numbers)
    return [round((one - low) / (high - low), 4) if high > low else 0.5 for one in numbers]


def effect(effects: Effects | None, group: Group, key: str) -> Chart:
    """What each value of a key does to the score, by the search's model, with 95 % intervals.

    Args:
        effects: of the group; None while it has none.
        group: whose.
        key: dotted.

    Raises:
        NotFound: nothing is known of that key.
    """
    found = next((one for one in (effects.found if effects else ()) if one.keys == (key,)), None)
    if found is None or not found.steps:
        raise NotFound(f"of {plain(key, 80)!r} no effect is known")
    goal, steps = group.goal, found.steps
    axis, places = axis_of(key, [step.value for step in steps])
    ends = [sorted((goal.sign * step.low, goal.sign * step.high)) for step in steps]
    return Chart(
        title=f"{goal.metric} by {key}, against its mean",
        x=axis,
        y=Axis(label=f"{goal.metric} against its mean"),
        series=(
            Series(
                label="mean over all that was tried of the other keys",
                role="run",
                kind="points" if axis.names else "line",
                x=tuple(places),
                y=tuple(goal.sign * step.mean for step in steps),
                low=tuple(low for low, _ in ends),
                high=tuple(high for _, high in ends),
            ),
        ),
    )
