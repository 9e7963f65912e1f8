"""What an optimizer knows, in a form that whoever works beside it can read: a model, or a person.

After "Can LLMs Beat Classical Hyperparameter Optimization Algorithms?" (arXiv 2603.24647), where CMA-ES shares its
mean, its step sizes and its best configs with a language model. A Gaussian process has neither mean nor step sizes:
in their place stand mean and spread of the configs that it believes to be best.
"""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lab.search.beliefs import ranked
from lab.search.points import Choice, Range
from lab.search.search import Outlook, Search, Suggestion
from lab.space import identity
from lab.space.parameters import Scalar
from lab.store import Questions, Selection

BEST = 5
"""Configs that are believed best."""
LATEST = 20
"""Replicates that ended last."""


@dataclass(frozen=True)
class BelievedBest:
    """A config that was tried, as the model sees it."""

    run: str
    mean: float
    """That is believed of its score, in the objective's units."""
    sd: float
    """Standard deviation of that belief, in the same units."""
    n: int
    """Replicates with a score."""
    values: tuple[Scalar, ...]
    """One for each key that is searched, in their order."""


@dataclass(frozen=True)
class Centre:
    """Where the best configs lie in one key."""

    key: str
    scale: str
    """`linear`, `log` and the like; `choice` where it has a few values."""
    mean: Scalar
    """On the key's scale, in its own units; of choices the one that most of them have."""
    low: Scalar
    """One standard deviation of those configs below the mean, on the key's scale; of choices again the mean."""
    high: Scalar
    """One above."""
    narrowed: float
    """Their spread as a share of that of all configs tried: 0 where they agree, about 1 where it does not matter."""


@dataclass(frozen=True)
class Trained:
    """A run, and what its replicates scored."""

    run: str
    scores: tuple[float, ...]
    values: tuple[Scalar, ...]
    """One for each key, in their order."""


@dataclass(frozen=True)
class State:
    """What the search knows and what it would do next."""

    keys: tuple[str, ...]
    best: tuple[BelievedBest, ...]
    centre: tuple[Centre, ...]
    """One for each key, in their order."""
    latest: tuple[Trained, ...]
    """The runs of the replicates that ended last, the newest last."""
    candidates: tuple[tuple[Suggestion, Outlook | None], ...]
    """Each with where the model sees one replicate of it."""
    replicates: int
    """With a score, behind all of it."""


def state_of(search: Search, count: int, avoid: Sequence[Mapping[str, Any]] = (), latest: int = LATEST) -> State:
    """What a search knows now, by its model of all replicates.

    Args:
        search: what is known.
        count: candidates that are wanted.
        avoid: changes that people turned down, or that are staged.
        latest: replicates that are told, whole runs of them; 0 for none.
    """
    history, sign = search.history, search.group.goal.sign
    best = [
        BelievedBest(search.runs[at], sign * mean, sd, len(history.trials[at].scores), _values(search, at))
        for at, mean, sd in ranked(history)[:BEST]
    ]
    suggested = search.suggest(count, only_new=True, avoid=avoid) if count else []
    return State(
        keys=tuple(search.keys),
        best=tuple(best),
        centre=tuple(_centre(search, at, best) for at in range(len(search.keys))) if best else (),
        latest=_latest(search, latest) if latest else (),
        candidates=tuple((one, search.outlook(one.changes)) for one in suggested),
        replicates=search.replicates.total(),
    )


def moved_most(search: Search, values: tuple[Scalar, ...], count: int) -> list[str]:
    """The keys in which a config lies farthest from the parent's, as shares of their ranges, the farthest first.

    Args:
        search: whose keys and parent these are.
        values: one for each key.
        count: keys at most.
    """
    away = {
        dim.key: abs(dim.place(value) - dim.place(search.base.get(dim.key)))
        for dim, value in zip(search.history.space.dimensions, values, strict=True)
        if value != search.base.get(dim.key)
    }
    return sorted(away, key=lambda key: -away[key])[:count]


def _values(search: Search, at: int) -> tuple[Scalar, ...]:
    point = search.history.trials[at].point
    return tuple(point[key] for key in search.keys)


def _centre(search: Search, at: int, best: list[BelievedBest]) -> Centre:
    dim = search.history.space.dimensions[at]
    values = [one.values[at] for one in best]
    places = [dim.place(value) for value in values]
    tried = statistics.pstdev(dim.place(trial.point[dim.key]) for trial in search.history.trials)
    spread = statistics.pstdev(places)
    narrowed = spread / tried if tried > 0 else 1.0
    if isinstance(dim, Choice):
        usual = statistics.mode(values)
        return Centre(dim.key, "choice", usual, usual, usual, narrowed)
    assert isinstance(dim, Range)  # noqa: S101 - the only other kind
    mean = statistics.fmean(places)
    low, high = sorted((dim.value(mean - spread), dim.value(mean + spread)), key=lambda value: float(value or 0))
    return Centre(dim.key, dim.scale.value, dim.value(mean), low, high, narrowed)


def _latest(search: Search, count: int) -> tuple[Trained, ...]:
    """The runs of so many replicates that ended last, of the trials that the search has."""
    index, known = search.lab.notebook.index, {name: at for at, name in enumerate(search.identities)}
    rows = index.rows(Selection(search.group, native=True, scored=True, before=search.before))
    configs, newest = Questions(index).configs(search.group), list[Trained]()
    for row in sorted(rows, key=lambda row: -(row.finished or row.created)):
        config = configs.get(row.run_id)
        at = known.get(identity(search.group.env_name, config.flat())) if config else None
        if at is not None:
            newest.append(Trained(row.run_id, row.values, _values(search, at)))
        if sum(len(run.scores) for run in newest) >= count:
            break
    return tuple(reversed(newest))
