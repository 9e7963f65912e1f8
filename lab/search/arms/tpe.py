"""Optuna's TPE, all keys at once (Bergstra et al. 2011; multivariate as in Falkner et al. 2018)."""

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lab.search.history import Ask, History, best_mean, each, windowed
from lab.search.points import Choice, Point, SearchSpace

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial

STARTUP = 10
"""Points drawn at random before the first model, Optuna's default."""


@dataclass(frozen=True)
class TPEArm:
    """Asks Optuna with everything that has ended; what is pending counts as bad, so that nobody asks for it again."""

    replicates: int = 1

    def propose(self, history: History, count: int) -> list[Ask]:
        """The sampler's next points."""
        import optuna
        from optuna.samplers import TPESampler

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)  # the lock pins the version we use
            sampler = TPESampler(multivariate=True, constant_liar=True, n_startup_trials=STARTUP, seed=history.number)
        study = optuna.create_study(direction="maximize", sampler=sampler)
        space = distributions(history.space)
        study.add_trials(told(history, space))
        return each([point_of(history.space, study.ask(space).params) for _ in range(count)], self.replicates, history)

    def leader(self, history: History) -> int | None:
        """The highest mean."""
        return best_mean(history.trials)


def distributions(space: SearchSpace) -> "dict[str, BaseDistribution]":
    """What Optuna draws from: places from 0 to 1 for ranges, one of the values by number for choices."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    named: dict[str, BaseDistribution] = {}
    for dim in space.dimensions:
        if not isinstance(dim, Choice):
            named[dim.key] = FloatDistribution(0.0, 1.0)
        elif dim.ordered:
            named[dim.key] = IntDistribution(0, len(dim.values) - 1)
        else:
            named[dim.key] = CategoricalDistribution(range(len(dim.values)))
    return named


def told(history: History, space: "dict[str, BaseDistribution]", window: int | None = None) -> "list[FrozenTrial]":
    """The history as Optuna's trials; one that failed counts as the worst seen, a pending one as running.

    Args:
        history: what is known.
        space: as from `distributions`.
        window: how many trials, the better half of them the best and the rest the newest; None for all.
    """
    import optuna
    from optuna.trial import TrialState

    worst = min((score for trial in history.trials for score in trial.scores), default=0.0)
    trials = []
    for trial in windowed(history.trials, window):
        params = params_of(history.space, trial.point)
        ended = trial.scores or trial.failed
        value = (sum(trial.scores) + worst * trial.failed) / (len(trial.scores) + trial.failed) if ended else None
        state = TrialState.COMPLETE if ended else TrialState.RUNNING
        trials.append(optuna.trial.create_trial(params=params, distributions=space, value=value, state=state))
    return trials


def params_of(space: SearchSpace, point: Point) -> dict[str, float]:
    """A point as Optuna's parameters."""
    return {
        dim.key: int(dim.place(point[dim.key]) * len(dim.values))
        if isinstance(dim, Choice)
        else dim.place(point[dim.key])
        for dim in space.dimensions
    }


def point_of(space: SearchSpace, params: dict[str, float]) -> Point:
    """Optuna's parameters as a point."""
    return {
        dim.key: dim.values[int(params[dim.key])] if isinstance(dim, Choice) else dim.value(params[dim.key])
        for dim in space.dimensions
    }
