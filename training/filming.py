"""Animated pictures of a run's policies, made once it is scored: by a worker each, within bounds of time and size.

Nothing that goes wrong here is an outcome of the run: a film that can't be made says why in `films.json`.
"""

from collections.abc import Sequence

from lab.base import RunPaths, plain, write_model
from lab.store import Film, Films, Kind, ReplicateResult
from training.process import start_worker
from training.protocol import Ended, FilmJob
from training.runner import Plan

PATIENCE = 90.0
"""Seconds that one film may take, imports included."""


def film(plan: Plan, results: Sequence[ReplicateResult]) -> Films:
    """Film an episode of the best and of the worst replicate, and write down what came of it.

    Args:
        plan: of the run.
        results: of its replicates; those without a score are passed over.
    """
    goal = plan.goal
    scored = sorted((r for r in results if goal.metric in r.metrics), key=lambda r: goal.sign * r.metrics[goal.metric])
    kinds: tuple[Kind, ...] = ("worst", "best") if len(scored) > 1 else ("only",)
    chosen = zip(kinds, (scored[0], scored[-1]) if scored else (), strict=False)
    found = Films(films=tuple(_filmed(plan, Film(kind=kind, seed=one.seed)) for kind, one in chosen))
    if found.films:
        write_model(plan.paths.films, found)
    return found


def _filmed(plan: Plan, wanted: Film) -> Film:
    paths: RunPaths = plan.paths
    weights = paths.seed(wanted.seed).weights("latest")
    if not weights.is_file():
        return wanted.model_copy(update={"problem": "its weights are gone"})
    target = paths.film(wanted.kind)
    target.parent.mkdir(exist_ok=True)
    worker = start_worker(1, role="look")
    try:
        worker.send(
            FilmJob(
                train=plan.job(wanted.seed),
                which=wanted.kind,
                checkpoint=str(weights.absolute()),
                to=str(target.absolute()),
            )
        )
        for event in worker.events(PATIENCE):
            if isinstance(event, Ended) and event.film is not None:
                return event.film
        why = worker.how_it_ended() if worker.gone() else f"took more than {PATIENCE:.0f} s"
        return wanted.model_copy(update={"problem": plain(f"the process that plays it {why}", 300)})
    finally:
        worker.kill()
