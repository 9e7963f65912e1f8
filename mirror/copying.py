"""Runs and nights as MLflow shows them: a session over its runs, a run over its replicates.

A run holds its config as params, its scores as metrics, its report and pictures as artifacts, and says what it
descends from and what it was judged. A replicate holds the curves, by agent steps. All of it is read from the record,
so that a night that goes on and one that is over are copied by the same code.
"""

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from lab.base import Busy, Damaged, Workspace, owned, plain
from lab.judge import current_verdict
from lab.store import Notebook, ReplicateResult, RunRecord, RunState, SessionRecord, Sessions, run_curves
from mirror.store import Entry, Point, Status, Store
from report import RunView, view_of

ENDED: dict[RunState, Status] = {RunState.FINISHED: "FINISHED", RunState.KILLED: "KILLED", RunState.PRUNED: "KILLED"}
"""How MLflow calls the ends of a run; it has failed otherwise."""


@dataclass(frozen=True)
class Copied:
    """What came of copying runs."""

    written: tuple[str, ...]
    """Those of which something was written."""
    there: tuple[str, ...]
    """Those that were there already as they are."""
    unreadable: tuple[str, ...] = ()
    """Those whose files can't be read, or that hold nothing to copy, each with the reason."""


def copy_to_mlflow(
    notebook: Notebook, store: Store, runs: Iterable[RunRecord], on_run: Callable[[str], None] = lambda _: None
) -> Copied:
    """Have an MLflow store hold runs with their replicates, and the sessions that they are of.

    Args:
        notebook: where they lie.
        store: where they go.
        runs: which ones, oldest first so that parents come before their children.
        on_run: called with the id of each run before it is copied.

    Raises:
        AutopilotError: the store can't be reached, or refuses something.
        Busy: another process copies runs of this workspace.
    """
    return each(notebook.workspace, runs, on_run, lambda run: _copy(notebook, store, run))


def each(
    workspace: Workspace,
    runs: Iterable[RunRecord],
    on_run: Callable[[str], None],
    copy: Callable[[RunRecord], bool | str],
) -> Copied:
    """Copy runs one by one, as the one process that does.

    Args:
        workspace: where they lie.
        runs: which ones.
        on_run: called with the id of each run before it is copied.
        copy: whether anything of a run was written; a text says why there is nothing to copy.

    Raises:
        Busy: another process copies runs of this workspace.
    """
    written, there, unreadable = list[str](), list[str](), list[str]()
    with sole(workspace):
        for run in runs:
            on_run(run.run_id)
            try:
                changed = copy(run)
            except Damaged as error:
                changed = plain(str(error), 300)
            if isinstance(changed, str):
                unreadable.append(f"{run.run_id}: {changed}")
            else:
                (written if changed else there).append(run.run_id)
    return Copied(tuple(written), tuple(there), tuple(unreadable))


def sole(workspace: Workspace) -> AbstractContextManager[None]:
    """Be the one process that copies runs of a workspace.

    Raises:
        Busy: another one does.
    """
    return owned(workspace.mirror_lock, "", lambda _: Busy("another process mirrors runs of this workspace: try later"))


def _copy(notebook: Notebook, store: Store, run: RunRecord) -> bool:
    """Whether anything of the run was written."""
    experiment = f"autopilot/{run.env_name}"
    above = _night(notebook, store, experiment, run.session) if run.session else (None, False)
    view = view_of(notebook, run)
    results = {result.seed: result for result in notebook.results(run)}
    mine, changed = store.put(experiment, _run(notebook, store, experiment, run, view, above[0]))
    for seed, points in _points(notebook, run).items():
        result = results.get(seed)
        if result is None and not points:
            continue
        key = f"{_key(run)} {seed} "
        replicate = _replicate(run, seed, points, result, mine, key)
        store.give_up(experiment, key, replicate.key)
        changed = store.put(experiment, replicate)[1] or changed
    return changed or above[1]


def _run(notebook: Notebook, store: Store, experiment: str, run: RunRecord, view: RunView, above: str | None) -> Entry:
    paths = notebook.paths(run.run_id)
    known = run.parent if notebook.readable(run.parent) else None
    parent = store.run_of(experiment, _key(notebook.run(known))) if known else None
    lineage = {
        "parent": run.parent, "parent_mlflow_run": parent, "replicates_of": run.replicates_of,
        "proposal": run.proposal, "weights_from": run.resume.run_id if run.resume else None,
        "commit": run.code.commit if run.code else None,
    }  # fmt: skip
    verdict = current_verdict(notebook, run.run_id)
    told = {
        "run": run.run_id, "number": view.number, "state": view.state, "arm": run.arm, "preset": run.preset,
        "objective": run.objective, "session": run.session, "changed": view.changed, "reason": run.reason,
        "verdict": verdict.verdict if verdict else None, "degree": view.degree,
        "incumbent": "yes" if view.incumbent else "no", "host": run.host, **lineage,
    }  # fmt: skip
    files = [(path, "") for path in (paths.report, paths.config, paths.config_diff) if path.is_file()]
    files += [(path, "plots") for path in _pictures(paths.plots)]
    note = [f"**{plain(view.name, 200)}**: {plain(view.judged, 100) or view.state}. {plain(view.changed, 300)}."]
    if parent is not None:
        note.append(f"Descends from [{run.parent}]({store.link(experiment, parent)}).")
    return Entry(
        key=_key(run),
        name=plain(view.name, 200),
        status=_status(run.state) if view.state != "interrupted" else "SCHEDULED",
        began=run.started or run.created,
        ended=run.finished,
        above=above,
        params=notebook.config(run.run_id).flat(),
        tags={f"autopilot.{key}": str(value) for key, value in told.items() if value is not None}
        | {"mlflow.note.content": "\n\n".join(note)},
        points=_scores(notebook, run, view),
        files=files,
    )


def _scores(notebook: Notebook, run: RunRecord, view: RunView) -> list[Point]:
    """Means over the replicates of the final evaluation, and the score."""
    summary = notebook.summary(run.run_id)
    if summary is None or run.finished is None:
        return []
    step, time = int(summary.train.get("total_timesteps") or 0), int(run.finished.timestamp() * 1000)
    means = {name: metric.mean for name, metric in summary.metrics.items()}
    means |= {f"greedy/{name}": metric.mean for name, metric in summary.greedy.items()}
    if view.score is not None:
        means |= {"score": view.score.value}
    return [Point(name, value, step, time) for name, value in means.items()]


def _points(notebook: Notebook, run: RunRecord) -> dict[int, list[Point]]:
    """The curves of each replicate as they were logged, the points of a step side by side."""
    began = (run.started or run.created).timestamp()
    found = {}
    for seed, curves in run_curves(notebook.paths(run.run_id), run.seeds).items():
        clock = curves.get("uptime")
        seconds = dict(zip(clock.steps, clock.values, strict=True)) if clock else {}
        found[seed] = [
            Point(name, float(value), int(step), int((began + float(seconds.get(step, 0.0))) * 1000))
            for step, name, value in sorted(
                (float(step), name, float(value))
                for name, curve in curves.items()
                for step, value in zip(curve.steps, curve.values, strict=True)
            )
        ]
    return found


def _replicate(
    run: RunRecord, seed: int, points: list[Point], result: ReplicateResult | None, above: str, key: str
) -> Entry:
    # An attempt that was cut short begins anew: what its first point took tells it from the one before.
    attempt = next((repr(one.value) for one in points if one.metric == "uptime"), "")
    began = run.started or run.created
    told = {"run": run.run_id, "seed": seed, "state": result.state if result else run.state, "session": run.session}
    ended = run.finished
    if result is not None:
        ended = (result.first_step or began) + timedelta(seconds=result.train_seconds + result.eval_seconds)
        told |= {"reason": result.reason, "stopped_early": result.stopped_early, "device": result.device}
    return Entry(
        key=f"{key}{attempt}",
        name=f"seed {seed}",
        status=_status(result.state) if result else _status(run.state),
        began=began,
        ended=ended,
        above=above,
        params={"seed": seed},
        tags={f"autopilot.{name}": str(value) for name, value in told.items() if value is not None},
        points=points,
    )


def _night(notebook: Notebook, store: Store, experiment: str, name: str) -> tuple[str | None, bool]:
    """The MLflow run of a session, and whether it was written."""
    workspace = notebook.workspace
    if name not in Sessions(workspace).names():
        return None, False
    record, paths = Sessions(workspace).get(name), workspace.session(name)
    files = [(path, "") for path in (paths.digest,) if path.is_file()]
    files += [(path, "plots") for path in _pictures(paths.plots)]
    tags = {"session": name, "approve": record.approve, "model": record.model, "ended_because": record.ended_because}
    return store.put(
        experiment,
        Entry(
            key=f"session {name} {record.created.isoformat()}",
            name=f"session {name}",
            status="RUNNING" if record.ended is None else "FINISHED",
            began=record.created,
            ended=record.ended,
            params=_asked(record),
            tags={f"autopilot.{key}": str(value) for key, value in tags.items() if value is not None},
            files=files,
        ),
    )


def _asked(record: SessionRecord) -> dict[str, object]:
    """What a session was started with; it stays as it is."""
    fields = {
        "env": record.env_name, "preset": record.began_on or record.preset, "objective": record.objective,
        "model": record.model, "approve": record.approve, "seeds": record.seeds,
    }  # fmt: skip
    budgets = record.budgets.model_dump()
    return {key: value for key, value in {**fields, **budgets, **record.settings}.items() if value is not None}


def _pictures(folder: Path) -> list[Path]:
    """Pictures and films of a report or a digest."""
    return [path for path in sorted(folder.rglob("*")) if path.suffix in (".png", ".webp") and path.is_file()]


def _status(state: RunState) -> Status:
    if not state.ended:
        return "SCHEDULED" if state is RunState.QUEUED else "RUNNING"
    return ENDED.get(state, "FAILED")


def _key(run: RunRecord) -> str:
    """What tells a run from all others, in other workspaces too."""
    return f"run {run.run_id} {run.created.isoformat()}"
