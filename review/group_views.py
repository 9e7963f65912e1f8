"""The contents of pages about several runs: a comparison, the search in a group, what was learnt in it."""

from collections.abc import Callable
from typing import Any, NamedTuple

from lab.base import AutopilotError, InvalidInput, invalid, number, plain, short
from lab.judge import ENOUGH, Scored, lessons_of, rival, scored_predictions, track_records
from lab.search import Effect
from lab.space import BOOKKEEPING, Group
from lab.store import Lab, Notebook, Questions, Selection, run_called, varied_keys
from report import (
    RunView,
    compared,
    compared_arms,
    difference_text,
    effects_in,
    interval_text,
    share_text,
    size_text,
    span_text,
    view_of,
    why_nothing,
)
from review.charts import Logged, logged

PREDICTIONS = 300
"""Scored predictions that are shown at most, the newest ones."""
LESSONS = 40
"""Lessons that are shown at most."""
MOST = 6
"""Runs that are compared at once."""
SEARCHED = 2_000
"""Configs among which varied parameters are looked for, the newest ones."""
BEST = 10
"""Runs that are named as the best of a group."""


def together(notebook: Notebook, names: list[str]) -> dict[str, Any]:
    """A comparison of two to six runs: their rows, the verdict of each against the first, where their configs differ.

    Args:
        notebook: where they are.
        names: their ids; of none the latest run is compared, and of one that run, with its control or the incumbent.

    Raises:
        NotFound: one of them is not there.
        InvalidInput: they are fewer or more, or of several environments.
    """
    names = list(dict.fromkeys(names))
    if len(names) < 2:
        one = names[0] if names else run_called(notebook, "latest")
        names = [rival(notebook, one), one]
    if len(names) > MOST:
        rule = f"2 to {MOST} different runs can be compared, and this names {len(names)}"
        raise InvalidInput(f"{rule}: tick them in the list")
    records, first = [notebook.run(name) for name in names], names[0]
    if len(environments := {record.env_name for record in records}) > 1:
        raise invalid("run", ", ".join(sorted(environments)), "are several environments", "runs of one")
    verdicts, reasons = list[dict[str, Any]](), list[str]()
    for name in names[1:]:
        try:
            verdicts.append(compared(notebook, name, first, whole=True))
        except InvalidInput as error:
            reasons.append(str(error))
    curves = [logged(notebook, name) for name in names[1:]]
    flats = {name: notebook.config(name).flat() for name in names}
    rows = [view_of(notebook, record, whole=True) for record in records]
    keys = dict.fromkeys(key for flat in flats.values() for key in flat)
    return {
        "names": names,
        "rows": rows,
        "verdicts": [
            {
                **one,
                "difference": "" if one["effect"] is None else difference_text(one["effect"], one["low"], one["high"]),
            }
            for one in verdicts
        ],
        "reasons": reasons,
        "differences": [
            (key, [short(flats[name].get(key)) for name in names], key in BOOKKEEPING)
            for key in keys
            if len({str(flats[name].get(key)) for name in names}) > 1
        ],
        "metrics": _side_by_side(notebook, names, rows),
        "logged": Logged.of(name for name in logged(notebook, first) if all(name in one for one in curves)),
    }


def _side_by_side(notebook: Notebook, names: list[str], rows: list[RunView]) -> list[tuple[str, list[str]]]:
    """The mean of each metric with its interval, run by run; of the objective the score as its row has it."""
    summaries = [notebook.summary(name) for name in names]
    metrics = dict.fromkeys(metric for summary in summaries if summary for metric in summary.metrics)
    goal, table = notebook.run(names[0]).goal, []
    for metric in metrics:
        cells = []
        for summary, row in zip(summaries, rows, strict=True):
            own = summary.metrics.get(metric) if summary else None
            one = row.score or own if goal.is_mean and metric == goal.metric else own
            n = f"; n = {one.n}" if one and one.n > 1 else ""  # of one the interval says so
            cells.append(f"{number(one.mean)} ({interval_text(one)}{n})" if one else "none")
        table.append((plain(metric, 60), cells))
    return table


def searched(notebook: Notebook, group: Group) -> dict[str, Any]:
    """The search in a group: the parameters that were varied, and the best."""
    questions = Questions(notebook.index)
    return {
        "keys": varied_keys(notebook.index, Selection(group), SEARCHED),
        "best": [view_of(notebook, notebook.run(row.run_id), whole=True) for row in questions.best(group, BEST)],
    }


def importance(notebook: Notebook, lab_of: Callable[[str], Lab], group: Group) -> dict[str, Any]:
    """What the keys of a group do, and how its arms stand: what takes a model of all its runs.

    Args:
        notebook: where the runs are.
        lab_of: a function from an environment's name to the lab that has it.
        group: whose.
    """
    effects, why = _effects(lab_of, group)
    return {"metric": group.goal.metric, "effects": effects, "no_effects": why, "arms": compared_arms(notebook, group)}


def knowledge(notebook: Notebook, lab_of: Callable[[str], Lab], group: Group) -> dict[str, Any]:
    """The knowledge about a group: what the keys do, lessons, predictions with their outcomes.

    Args:
        notebook: where the runs are.
        lab_of: a function from an environment's name to the lab that has it.
        group: whose.
    """
    metric = group.goal.metric
    effects, why = _effects(lab_of, group)
    scored: list[Scored] = [one for one in scored_predictions(notebook.workspace) if one.group == group]
    return {
        "metric": metric,
        "effects": effects,
        "no_effects": why,
        "track_records": track_records(scored, metric),
        "enough": ENOUGH,
        "scored": [(one, one.text) for one in reversed(scored[-PREDICTIONS:])],
        "left_out": max(0, len(scored) - PREDICTIONS),
        "lessons": lessons_of(notebook.index, group, LESSONS),
    }


class ShownEffect(NamedTuple):
    """What a key does, or two together, as the page has it."""

    keys: tuple[str, ...]
    share: float
    """0 to 1."""
    percent: str
    best: tuple[str, ...]
    """In words, one for each key."""
    ends: tuple[float, float] | None
    """Where the best values of a single key's range begin and end, 0 to 1 on its scale."""
    size: str


def _effects(lab_of: Callable[[str], Lab], group: Group) -> tuple[list[ShownEffect], str]:
    """What the keys do, single ones first; or why nothing is said of them."""
    try:
        known = effects_in(lab_of(group.env_name), group)
    except AutopilotError as error:  # an environment that is no longer here
        return [], plain(str(error), 400)
    if known is None:
        return [], "No run has finished yet."
    return [_shown(one, group) for one in (*known.found, *known.together)], why_nothing(known) or ""


def _shown(one: Effect, group: Group) -> ShownEffect:
    ends = one.best[0].ends if len(one.best) == 1 else None
    best = tuple(span_text(span) for span in one.best)
    return ShownEffect(one.keys, one.share, share_text(one), best, ends, size_text(one, group.goal))
