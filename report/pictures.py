"""A run's pictures: what is drawn beside its report, and what the report calls them.

All show what was there when the run ended, so they are the same whenever they are made.
"""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from lab.base import number, plain
from lab.judge import scored_predictions
from lab.space import BOOKKEEPING, PARAMETERS, Config, Scale, logged_as, telling
from lab.store import Notebook, Questions, Row, RunRecord, RunState, Selection, Sessions, films_of, run_curves
from report import plots
from report.plots import Band, Point

SHOWN = 100
"""Runs in a picture, at most; the latest ones."""
KEYS = 3
"""Changed parameters that get a panel, and metrics that were predicted."""
LEADER = "leader"
"""What a run is to another one that is compared with it, where it is nothing else."""
FORETOLD = 12
"""Earlier predictions that this run's is shown beside."""


@dataclass(frozen=True)
class Picture:
    """One that is to be drawn."""

    name: str
    """Path below the run's folder."""
    title: str
    draw: Callable[[Path], None]


def compared_with(notebook: Notebook, run: RunRecord) -> list[tuple[str, str]]:
    """What a run is compared with, each once: its parent, the incumbent and the leader of when it ended.

    Returns:
        What each is to it, such as `parent (incumbent)`, and its id; of those that have a score.
    """
    verdict, leading = notebook.verdict(run.run_id), Sessions(notebook.workspace).leader_beside(run)
    roles = {"parent": run.parent, "incumbent": verdict and verdict.against, LEADER: leading and leading.run}
    others = defaultdict[str, list[str]](list)
    for role, name in roles.items():
        if name and name != run.run_id and notebook.readable(name) and notebook.summary(name):
            others[name].append(role)
    return [(f"{first} ({', '.join(more)})" if more else first, name) for name, (first, *more) in others.items()]


def pictures(notebook: Notebook, run: RunRecord) -> dict[str, Picture]:
    """The pictures of a run, by kind, where there is any to draw: `curves`, `parameters`, `predictions`, `best`.

    Of a run with one replicate only its curves: there are many of those in a night, and what they come to together
    stands in the digest and on the page.
    """
    others = compared_with(notebook, run)
    curves = _learning_curves(notebook, run, others)
    if len(run.seeds) == 1:
        return {"curves": curves} if curves else {}
    scored = _scored(notebook, run)
    drawn = {
        "curves": curves,
        "parameters": _parameters(notebook, run, others, scored),
        "predictions": _predictions(notebook, run),
        "best": _best_so_far(notebook, run, scored),
    }
    return {kind: picture for kind, picture in drawn.items() if picture is not None}


def films(notebook: Notebook, run: RunRecord) -> list[tuple[str, str | None]]:
    """A run's films: what each shows, or why there is none, and its path below the run's folder."""
    metric, told = run.goal.metric, list[tuple[str, str | None]]()
    scores = {result.seed: result.metrics.get(metric) for result in notebook.results(run)}
    for film in films_of(notebook.paths(run.run_id)):
        which = f"The {film.kind} replicate, seed {film.seed}"
        if film.problem is not None:
            told.append((f"{which}, could not be filmed: {plain(film.problem, 300)}.", None))
            continue
        score = scores.get(film.seed)
        scored = f" ({metric} {number(score)})" if score is not None else ""
        length = (
            f"an episode of {film.steps:,} steps" if film.ended else f"the first {film.steps:,} steps of an episode"
        )
        told.append(
            (f"{which}{scored}: {length}, return {number(film.episode_return)}", f"plots/{film.kind}_replicate.webp")
        )
    return told


def _learning_curves(notebook: Notebook, run: RunRecord, others: list[tuple[str, str]]) -> Picture | None:
    """The objective while training, with what the run is compared with."""
    if notebook.summary(run.run_id) is None and run.state is not RunState.PRUNED:
        return None
    source, bands = objective_bands(notebook, [("this run", run.run_id), *others])
    if not any(band.curves for band in bands):
        return None
    what = f"{source} while training"
    return Picture(
        "plots/learning_curves.png",
        f"Learning curves: {what}, mean and range of the replicates",
        lambda path: plots.learning_curves(path, bands, what),
    )


def objective_bands(notebook: Notebook, labelled: list[tuple[str, str]]) -> tuple[str, list[Band]]:
    """What the environment logs of the objective while it trains, and each run's curves of that, one a replicate.

    Args:
        notebook: where the runs are.
        labelled: what to call each, and its id; at least one, all of one environment and objective.
    """
    first = notebook.run(labelled[0][1])
    metric = first.goal.metric
    name, bands = logged_as(metric, first.env_name), list[Band]()
    for label, run_id in labelled:
        curves = run_curves(notebook.workspace.run(run_id), notebook.run(run_id).seeds)
        bands.append(Band(label, [seed[name] for seed in curves.values() if name in seed]))
    return name.partition("/")[2], bands


def _parameters(notebook: Notebook, run: RunRecord, others: list[tuple[str, str]], scored: list[Row]) -> Picture | None:
    """The score against each parameter that the run changed."""
    keys = [key for key in notebook.changes(run.run_id) if key not in BOOKKEEPING][:KEYS]
    if not keys:
        return None
    metric = run.goal.metric
    roles = {run_id: role for role, run_id in others}
    rows = {row.run_id: row for row in scored} | {
        row.run_id: row for row in notebook.index.rows(Selection(names=roles))
    }
    configs = Questions(notebook.index).configs_of([*rows, run.run_id])
    mine, scales = configs[run.run_id], {parameter.key: parameter.scale for parameter in PARAMETERS}
    panels = []
    for key in keys:
        points = [
            Point(_shown(configs[name], key), row.values, roles.get(name, ""), _alone(configs[name], mine, key))
            for name, row in rows.items()
            if name != run.run_id and name in configs
        ]
        values = rows[run.run_id].values if run.run_id in rows else ()
        points.append(Point(_shown(mine, key), values, "this run"))
        if any(isinstance(point.x, str) for point in points):
            points = [Point(str(point.x), point.values, point.role, point.alone) for point in points]
        panels.append((key, scales.get(key, Scale.LINEAR), points))
    if not any(point.values for _, _, points in panels for point in points):
        return None
    return Picture(
        "plots/parameters.png",
        f"{metric} against {' and '.join(key.split('.', 1)[-1] for key in keys)}, of all runs so far",
        lambda path: plots.score_against(path, panels, metric),
    )


def _predictions(notebook: Notebook, run: RunRecord) -> Picture | None:
    """What was predicted of the run and what came, after earlier predictions of the same metrics."""
    scored = scored_predictions(notebook.workspace)
    mine = [one for one in scored if one.run_id == run.run_id]
    if not mine:
        return None
    earlier = [one for one in scored if one.group == run.group and one.run_id != run.run_id and one.time < mine[0].time]
    panels = [
        (one.metric, [*[other for other in earlier if other.metric == one.metric][-FORETOLD:], one])
        for one in mine[:KEYS]
    ]
    return Picture(
        "plots/predictions.png",
        "Predictions and what came of them, this run's last",
        lambda path: plots.predictions(path, panels),
    )


def _best_so_far(notebook: Notebook, run: RunRecord, rows: list[Row]) -> Picture | None:
    """Every run's score up to this one, and the best mean so far; nothing for a single run."""
    if len(rows) < 2:
        return None
    goal, earlier = run.goal, replace(_which(run), before=datetime.fromtimestamp(rows[0].created, UTC))
    count, best = notebook.index.count(earlier), notebook.index.rows(earlier, order="best", limit=1)
    scores = [(row.run_id, float(row.score or 0.0), row.low, row.high) for row in rows]
    before = best[0].score if best else None
    believed = _believed(notebook, run, rows, count + 1)
    what = "The leader's {}, as the search believed," if believed else "Best {} so far," if goal.is_mean else "The {}"
    return Picture(
        "plots/best_so_far.png",
        f"{what.format(goal.name)} run by run",
        lambda path: plots.best_so_far(path, scores, goal, first=count + 1, before=before, believed=believed),
    )


def _believed(notebook: Notebook, run: RunRecord, rows: list[Row], first: int) -> list[tuple[float, float]]:
    """What the search of a run's session believed of its leader when each run of some had ended, by their numbers."""
    known = Sessions(notebook.workspace).leading(run.session) if run.session else []
    ended = [(place, row.finished) for place, row in enumerate(rows, start=first) if row.finished is not None]
    told = []
    for place, finished in ended:
        until = [one for one in known if one.time.timestamp() >= finished]
        told += [(float(place), until[0].mean)] if until else []
    return told


def _which(run: RunRecord) -> Selection:
    return Selection(run.group, scored=True, native=True, own=True)


def _scored(notebook: Notebook, run: RunRecord) -> list[Row]:
    """The latest runs of a run's group up to itself that have a score, oldest first; no imported ones."""
    rows = notebook.index.rows(replace(_which(run), until=run.created), order="newest", limit=SHOWN)
    return rows[::-1]


def _shown(config: Config, key: str) -> float | str:
    value = config.get(key)
    return str(value) if isinstance(value, (bool, str)) or value is None else float(value)


def _alone(config: Config, other: Config, key: str) -> bool:
    """Two configs differ in nothing but one key and bookkeeping."""
    return telling(config, other).keys() <= {key}
