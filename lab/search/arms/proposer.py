"""The process's side of an arm that needs torch: Optuna's GP, PufferLib's Protein.

Both read a window of the history, the best trials and the newest, so that a proposal takes less than a second after a
thousand runs too.
"""

import contextlib
import io
import random
import warnings
from typing import Any

import numpy as np
import optuna
import torch

from lab.search.arms.tpe import distributions, point_of, told
from lab.search.history import History, windowed
from lab.search.points import Point

GP_WINDOW = 60
"""Trials that Optuna's GP reads."""
PROTEIN_WINDOW = 60
"""Trials that Protein reads."""
PROTEIN_STEPS = 50
"""Optimizer steps of each of Protein's two models; PufferLib takes 1,000, twenty times as long for the same choices."""
APART = 4e-6
"""Between equal scores, more than what Protein takes to be equal."""
STARTUP = 10
"""Points drawn at random before the first model."""


def propose(name: str, history: History, count: int) -> list[Point]:
    """The next points of the arm `gp` or `protein`."""
    torch.set_num_threads(1)  # the trainings have the other cores
    return _gp(history, count) if name == "gp" else _protein(history, count)


def _gp(history: History, count: int) -> list[Point]:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)  # the lock pins the version we use
        sampler = optuna.samplers.GPSampler(seed=history.number, n_startup_trials=STARTUP)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    space = distributions(history.space)
    study.add_trials(told(history, space, GP_WINDOW))
    return [point_of(history.space, study.ask(space).params) for _ in range(count)]


def _protein(history: History, count: int) -> list[Point]:
    import pyro
    from pufferlib import sweep  # pyro and PufferLib print when they are imported, and the GP needs neither

    seed = history.number
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    pyro.clear_param_store()
    space = history.space
    places = [dim.key for dim in space.dimensions]
    prior = {"distribution": "uniform", "min": 0.0, "max": 1.0, "mean": 0.5, "scale": "auto"}
    fitted = sweep.gp.util.train

    def shorter(model: Any, optimizer: Any) -> Any:
        return fitted(model, optimizer, num_steps=PROTEIN_STEPS)

    with contextlib.redirect_stdout(io.StringIO()):  # it prints its space and each prediction
        protein = sweep.Protein({"metric": "score", "goal": "maximize", **{key: dict(prior) for key in places}})
        scored = [
            trial for trial in windowed(history.trials, PROTEIN_WINDOW) if trial.scores
        ]  # it can't take a failure
        low, high = (end((t.mean for t in scored), default=0.0) for end in (min, max))
        for number, trial in enumerate(scored):
            at = dict(zip(places, space.places(trial.point).tolist(), strict=True))
            # Two equal scores at equal costs rule each other out of its Pareto front, and an empty one is an error.
            protein.observe(at, (trial.mean - low) / ((high - low) or 1.0) + number * APART, 1.0)
        draw = np.random.default_rng(history.draws)
        points = []
        sweep.gp.util.train = shorter
        try:
            for _ in range(count):
                if len(protein.success_observations) < STARTUP:
                    points.append(space.point(draw.random(len(places))))
                    continue
                suggested, info = protein.suggest(dict.fromkeys(places, 0.0))
                points.append(space.point([suggested[key] for key in places]))
                protein.observe(suggested, float(info["score"]), 1.0)  # else the next one is the same
        finally:
            sweep.gp.util.train = fitted
    return points
