"""Animated pictures of a run's policies, made once it is scored: by a worker each, within bounds of time and size.

Nothing that goes wrong here is an outcome of the run: a film that can't be made says why in `films.json`.
"""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from lab.base import AutopilotError, TrainingFailed, plain, write_model
from lab.store import Film, Films, Kind, ReplicateResult
from training.process import start_worker
from training.protocol import Ended, FilmJob
from training.runner import Plan

PATIENCE = 90.0
"""Seconds that one film may take, imports included."""
POLL = 1.0
"""Seconds between two looks at whether to stop."""


def film(plan: Plan, results: Sequence[ReplicateResult], should_stop: Callable[[], bool] = lambda: False) -> Films:
    """Film an episode of the best and of the worst replicate, and write down what came of it.

    Args:
        plan: of the run.
        results: of its replicates; those without a score are passed over.
        should_stop: polled; once true nothing more is filmed.

    Raises:
        OSError: what came of it can't be written.
    """
    goal = plan.goal
    scored = sorted((r for r in results if goal.metric in r.metrics), key=lambda r: goal.sign * r.metrics[goal.metric])
    kinds: tuple[Kind, ...] = ("worst", "best") if len(scored) > 1 else ("only",)
    chosen = zip(kinds, (scored[0], scored[-1]) if scored else (), strict=False)
    found = Films(films=tuple(_filmed(plan, Film(kind=kind, seed=one.seed), should_stop) for kind, one in chosen))
    if found.films:
        write_model(plan.paths.films, found)
    return found


def _filmed(plan: Plan, wanted: Film, should_stop: Callable[[], bool]) -> Film:
    weights, target = plan.paths.seed(wanted.seed).weights("latest"), plan.paths.film(wanted.kind)
    try:
        if not weights.is_file():
            raise TrainingFailed("its weights are gone")
        target.parent.mkdir(exist_ok=True)
        job = plan.job(wanted.seed)
        return _played(FilmJob(train=job, which=wanted.kind, checkpoint=_full(weights), to=_full(target)), should_stop)
    except (AutopilotError, OSError, ValueError) as error:  # a worker that can't be started, or is not understood
        return wanted.model_copy(update={"problem": plain(str(error), 300)})


def _full(path: Path) -> str:
    return str(path.absolute())


def _played(job: FilmJob, should_stop: Callable[[], bool]) -> Film:
    """What a worker made of a job.

    Raises:
        TrainingFailed: nothing, and why.
    """
    worker, until = start_worker(1, role="look"), time.monotonic() + PATIENCE
    try:
        worker.send(job)
        while True:
            gone = worker.gone()  # asked first: what it said before is still to be read
            for event in worker.events(POLL):
                if isinstance(event, Ended) and event.film is not None:
                    return event.film
            if gone:
                raise TrainingFailed(f"the process that plays it {worker.how_it_ended()}")
            if should_stop():
                raise TrainingFailed("the run was stopped")
            if time.monotonic() > until:
                raise TrainingFailed(f"the process that plays it took more than {PATIENCE:.0f} s")
    finally:
        worker.kill()
