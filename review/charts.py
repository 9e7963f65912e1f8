"""The charts of the page, as JSON: from the same functions as the pictures of reports and digests."""

from collections.abc import Iterable
from itertools import accumulate
from typing import Any, Literal, NamedTuple

import numpy as np

from lab.base import NotFound, Record, plain
from lab.judge import scores_of
from lab.search import Placed, front_of
from lab.space import PARAMETERS, Group, Scale, logged_as
from lab.store import Curve, Notebook, SessionRecord, Setting, mean_curve, run_curves, settings_of
from report import believed_of, compared_arms, marked, name_text, progress_of

POINTS = 400
"""Points of one line, at most; more are thinned out evenly, the last one kept."""
SHORT = 2.0
"""Hours up to which a session's picture is in minutes; minutes up to which it is in seconds."""
WIDE = 10.0
"""Times that lie farther apart than this ratio are drawn on a logarithmic axis."""
MACHINE = ("SPS", "uptime", "epoch", "performance", "system")
"""What a metric of speed or of the machine begins with."""
SCORED = 10_000
"""Runs in a picture, at most; the latest ones."""


Role = Literal["run", "parent", "incumbent", "other", "best"]


class Axis(Record):
    """An axis of a chart."""

    label: str
    unit: str = ""
    follows: bool = False
    """Whether a value is read before the label, as in `4.2 minutes since the session began`."""
    scale: Literal["linear", "log"] = "linear"
    names: tuple[str, ...] = ()
    """What whole numbers stand for, where the values are no numbers."""


class Series(Record):
    """Points that belong together."""

    label: str
    role: Role
    group: int = 0
    """Series of one group are switched on and off together, and share a colour."""
    kind: Literal["line", "thin", "steps", "points"] = "line"
    x: tuple[float, ...]
    y: tuple[float, ...]
    low: tuple[float | None, ...] = ()
    high: tuple[float | None, ...] = ()
    names: tuple[str, ...] = ()
    """The run behind each point."""
    run: str = ""
    """The run behind all points."""


class Chart(Record):
    """A picture that a browser draws."""

    title: str
    x: Axis
    y: Axis
    series: tuple[Series, ...]


def curves(notebook: Notebook, labelled: list[tuple[str, str]], metric: str) -> Chart:
    """Curves of one metric: each run's replicates, and their mean.

    Args:
        notebook: where the runs are.
        labelled: what to call each (`run`, `parent`, `incumbent` or another label), and its id.
        metric: as training logs it, such as `environment/perf` or `losses/entropy`.
    """
    series = list[Series]()
    for number, (label, run_id) in enumerate(labelled):
        replicates = run_curves(notebook.workspace.run(run_id), notebook.run(run_id).seeds)
        mine = {seed: logged[metric] for seed, logged in replicates.items() if metric in logged}
        role: Any = label if label in ("run", "parent", "incumbent") else "other"
        for seed, curve in mine.items():
            kind: Any = "thin" if curve.steps.size > 1 else "points"  # one point is no line
            name = f"{label}, seed {seed}"
            series.append(Series(label=name, role=role, group=number, kind=kind, run=run_id, **_thinned(curve)))
        long = [curve for curve in mine.values() if curve.steps.size > 1]
        if long:
            steps, values = mean_curve(long)
            called = name_text(notebook, notebook.run(run_id))
            name = f"{label}: {called}" if label != run_id else called
            series.append(Series(label=name, role=role, group=number, run=run_id, x=_floats(steps), y=_floats(values)))
    name = plain(metric.partition("/")[2] or metric, 60)
    return Chart(
        title=f"{name} while training: each replicate and the mean",
        x=Axis(label="agent steps of a replicate", follows=True),
        y=Axis(label=name),
        series=tuple(series),
    )


class Logged(NamedTuple):
    """What a training logged, as a page parts it."""

    learning: tuple[str, ...]
    """Of the environment and of learning, the objective's first."""
    machine: tuple[str, ...]
    """How fast it went, and what it took of the machine."""

    @classmethod
    def of(cls, names: Iterable[str]) -> "Logged":
        """Names of metrics, parted, in their order."""
        every = tuple(names)
        machine = tuple(name for name in every if name.partition("/")[0] in MACHINE)
        return cls(tuple(name for name in every if name not in machine), machine)


def logged(notebook: Notebook, run_id: str) -> list[str]:
    """The metrics that a run's training logged, the objective's first.

    Raises:
        NotFound: there is no such run.
    """
    run = notebook.run(run_id)
    objective = run.goal.metric
    first = logged_as(objective, run.env_name)
    names = {name for seed in run_curves(notebook.workspace.run(run_id), run.seeds).values() for name in seed}
    return sorted(names, key=lambda name: (name != first, name))


def best_so_far(notebook: Notebook, session: SessionRecord) -> Chart:
    """Every scored run of a session against the hours since its start, and what was believed of the leader."""
    goal = session.goal
    scored = progress_of(notebook, session)
    took = scored[-1].hours if scored else SHORT
    unit, times = ("seconds", 3600.0) if took < SHORT / 60 else ("minutes", 60.0) if took < SHORT else ("hours", 1.0)
    ended = tuple(times * one.hours for one in scored)
    believed = believed_of(notebook, session)
    best = tuple(accumulate((one.score for one in scored), lambda a, b: goal.best((a, b))))
    line, name = (ended, best), "best mean so far"
    if believed:
        at, means = zip(*believed, strict=True)
        line, name = (tuple(times * hour for hour in at), means), "the leader, as the search believes"
    so_named = f", and {name}" if believed or goal.is_mean else ""
    points = Series(
        label="runs",
        role="run",
        kind="points",
        group=0,
        x=ended,
        y=tuple(one.score for one in scored),
        low=tuple(one.low for one in scored),
        high=tuple(one.high for one in scored),
        names=tuple(one.run_id for one in scored),
    )
    # By another statistic runs of different numbers of replicates have no best: their scores are not alike.
    so_far = Series(label=name, role="best", kind="steps", group=1, x=line[0], y=line[1])
    drawn = (so_far, points) if so_named else (points,)
    return Chart(
        title=f"{goal.name} of each run, with 95 % intervals{so_named}",
        x=Axis(label="since the session began", unit=unit, follows=True),
        y=Axis(label=goal.name),
        series=(*drawn, *_proofs(notebook, session, times)) if scored else (),
    )


def _proofs(notebook: Notebook, session: SessionRecord, times: float) -> list[Series]:
    """When contenders of a session were decided, at what they came to: those that were proven, and the others."""
    found = notebook.index.confirmations(group=session.group, session=session.session_id)
    series = list[Series]()
    kinds: tuple[tuple[tuple[str, ...], Role, str], ...] = (
        (("confirmed", "passed"), "incumbent", "proven better on fresh seeds"),
        (("dropped",), "parent", "not proven on fresh seeds"),
    )
    for group, (outcomes, role, label) in enumerate(kinds, start=2):
        ended = [one for one in found if one.outcome in outcomes and notebook.readable(one.candidate)]
        came = [(one, scores) for one in ended if (scores := scores_of(notebook, one.candidate))]
        if came:
            at = tuple(times * (one.time - session.created).total_seconds() / 3600 for one, _ in came)
            means = tuple(session.goal.of_scores(scores) for _, scores in came)
            names = tuple(one.candidate for one, _ in came)
            series.append(Series(label=label, role=role, group=group, kind="points", x=at, y=means, names=names))
    return series


def arms(notebook: Notebook, group: Group, session: str | None = None) -> Chart:
    """What each arm would have ended with, by its replicates, and all of them together.

    What its leader is worth is believed by the model of all replicates, with 95 % intervals.

    Args:
        notebook: where the runs are.
        group: whose arms.
        session: replicates of this one alone count; None for those of all.
    """
    goal, found = group.goal, compared_arms(notebook, group, session)
    series = [
        Series(
            label=row.standing.arm,
            role="other",
            group=number,
            kind="steps",
            x=tuple(float(mark.replicates) for mark in row.standing.curve),
            y=tuple(mark.mean for mark in row.standing.curve),
            low=tuple(mark.low for mark in row.standing.curve),
            high=tuple(mark.high for mark in row.standing.curve),
            names=tuple(mark.run for mark in row.standing.curve),
        )
        for number, row in enumerate(found.rows if found else ())
    ]
    return Chart(
        title=f"{goal.metric} of each arm's leader after as many replicates, as all of them now let believe",
        x=Axis(label="replicates of the arm", follows=True),
        y=Axis(label=goal.metric),
        series=tuple(series),
    )


def trade(notebook: Notebook, session: SessionRecord) -> Chart:
    """The believed score of every config of a session's group against the time of a replicate, and their front."""
    every, marks, goal = front_of(notebook, session.group), marked(notebook, session.group), session.goal
    front = [one for one in every if one.front]
    series = [_placed("configs", "run", 0, "points", [one for one in every if one.run not in marks])]
    series.append(_placed("best for its time", "other", 1, "steps", front))
    for number, (run, label) in enumerate(marks.items(), start=2):
        role: Role = "incumbent" if "incumbent" in label else "parent"
        series.append(_placed(label, role, number, "points", [one for one in every if one.run == run]))
    times = [one.seconds for one in every]
    wide = bool(times) and 0 < min(times) * WIDE < max(times)
    return Chart(
        title=f"{goal.name} that is believed of each config, against the wall time of a replicate",
        x=Axis(label="time of a replicate", unit="s", scale="log" if wide else "linear"),
        y=Axis(label=goal.name),
        series=tuple(one for one in series if one.x) if len(every) > 1 else (),
    )


def _placed(label: str, role: Role, group: int, kind: Literal["steps", "points"], configs: list[Placed]) -> Series:
    """Configs, each where its time stands on the axis."""
    return Series(
        label=label,
        role=role,
        group=group,
        kind=kind,
        x=tuple(one.seconds for one in configs),
        y=tuple(one.mean for one in configs),
        low=tuple(one.low for one in configs),
        high=tuple(one.high for one in configs),
        names=tuple(one.run for one in configs),
    )


def against(notebook: Notebook, group: Group, key: str) -> Chart:
    """The score of every run of a group against one parameter.

    Args:
        notebook: where the runs are.
        group: the runs that are drawn.
        key: the parameter's dotted name.

    Raises:
        NotFound: no run of the group has such a key.
    """
    metric = group.goal.name
    shown = settings_of(notebook.index, group, key, SCORED)
    if not shown:
        raise NotFound(f"no scored run of {group.env_name} sets {plain(key, 80)!r}")
    axis, places = axis_of(key, [one.value for one in shown])
    incumbent = notebook.incumbent(group)
    placed, series = list(zip(places, shown, strict=True)), list[Series]()
    if others := [(x, one) for x, one in placed if one.run_id != incumbent]:
        series.append(_scored("runs", "other", len(series), others))
    if mine := [(x, one) for x, one in placed if one.run_id == incumbent]:
        series.append(_scored("incumbent", "incumbent", len(series), mine))
    return Chart(
        title=f"{metric} against {key}", x=axis, y=Axis(label=f"{metric}, {group.goal.statistic}"), series=tuple(series)
    )


def _scored(label: str, role: Role, group: int, placed: list[tuple[float, Setting]]) -> Series:
    """Scored runs with their intervals, each where its value stands on the axis."""
    return Series(
        label=label,
        role=role,
        kind="points",
        group=group,
        x=tuple(x for x, _ in placed),
        y=tuple(one.score for _, one in placed),
        low=tuple(one.low for _, one in placed),
        high=tuple(one.high for _, one in placed),
        names=tuple(one.run_id for _, one in placed),
    )


def axis_of(key: str, values: list[Any]) -> tuple[Axis, list[float]]:
    """The axis of a parameter, and where each value stands on it."""
    scale = {parameter.key: parameter.scale for parameter in PARAMETERS}.get(key, Scale.LINEAR)
    if any(isinstance(value, (bool, str)) for value in values):
        names = sorted({str(value).lower() for value in values})
        return Axis(label=key, names=tuple(names)), [float(names.index(str(value).lower())) for value in values]
    numbers = [float(value) for value in values]
    if scale in (Scale.LOG, Scale.POW2) and min(numbers) > 0:
        return Axis(label=key, scale="log"), numbers
    if scale is Scale.LOGIT and max(numbers) < 1:
        return Axis(label=f"1 - {key.split('.', 1)[-1]}", scale="log"), [round(1 - number, 12) for number in numbers]
    return Axis(label=key), numbers


def _thinned(curve: Curve) -> dict[str, tuple[float, ...]]:
    size = curve.steps.size
    kept = np.unique(np.linspace(0, size - 1, min(size, POINTS)).astype(int))
    return {"x": _floats(curve.steps[kept]), "y": _floats(curve.values[kept])}


def _floats(values: Any) -> tuple[float, ...]:
    return tuple(float(f"{value:.6g}") for value in values)
