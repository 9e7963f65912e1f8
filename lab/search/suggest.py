"""Suggestions what to train next: candidates from an Optuna sampler, fed with the finished runs of this workspace.

Each candidate changes one or two keys of a parent's config, so that what comes of it can be put down to something:
Optuna's TPE (Bergstra et al. 2011) draws these keys with all others held at the parent's values. Ranges come from
PufferLib's own [sweep] sections, widened to hold what was tried, never beyond the hard limits of
`lab.space.parameters`.
"""

import math
import random
import warnings
import zlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from lab.space import Config, Environment, Group, Parameter, Scale, check_overrides, diff, space_of
from lab.store import Lab, Questions, Row, RunState, Selection, runs_that_tried, twin_of

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.study import Study

Permits = Callable[[str, Mapping[str, Any]], str | None]
"""A function of a run and changes to its config: why the changes may not be made, None where they may."""
STARTUP_TRIALS = 4
"""The fewest runs that TPE models; fewer say nothing."""
SAME = 0.02
"""A value that is closer to the parent's than this share of the key's range changes nothing."""


@dataclass(frozen=True)
class Dimension:
    """One searched key: how its values map to the numbers that the sampler draws."""

    parameter: Parameter
    low: float
    high: float

    def encode(self, value: float) -> float:
        """A value on the sampler's scale: exponents for powers of two, 1 - x for what piles up at 1, else as it is."""
        if self.parameter.scale is Scale.POW2:
            return math.log2(value)
        return 1 - value if self.parameter.scale is Scale.LOGIT else value

    def decode(self, number: float) -> float:
        """The value of a number on the sampler's scale, to three digits."""
        if self.parameter.scale is Scale.POW2:
            return int(2 ** round(number))
        value = 1 - number if self.parameter.scale is Scale.LOGIT else number
        if self.parameter.kind is int:
            return round(value)
        digits = 2 - math.floor(math.log10(abs(number))) if number else 3
        return round(value, max(0, digits))

    def distribution(self) -> "BaseDistribution":
        """The distribution that the sampler draws from."""
        from optuna.distributions import FloatDistribution, IntDistribution

        low, high = sorted((self.encode(self.low), self.encode(self.high)))
        if self.parameter.scale is Scale.POW2:
            return IntDistribution(round(low), round(high))
        log = self.parameter.scale in (Scale.LOG, Scale.LOGIT)
        return FloatDistribution(max(low, 1e-14) if log else low, high, log=log)

    def widened(self) -> "Dimension":
        """The dimension a quarter of its range wider at both ends, on the sampler's scale, within the hard limits."""
        low, high = sorted((self.encode(self.low), self.encode(self.high)))
        if self.parameter.scale in (Scale.LOG, Scale.LOGIT):
            low, high = max(low, 1e-14), max(high, 1e-14)
            factor = (high / low) ** 0.25
            ends = (low / factor, high * factor)
        else:
            ends = (low - (high - low) / 4, high + (high - low) / 4)
        values = sorted(1 - end if self.parameter.scale is Scale.LOGIT else end for end in ends)
        if self.parameter.scale is Scale.POW2:
            values = [2.0 ** round(end) for end in ends]
        bottom = self.low if self.parameter.low is None else max(values[0], self.parameter.low)
        top = self.high if self.parameter.high is None else min(values[1], self.parameter.high)
        return replace(self, low=min(self.low, bottom), high=max(self.high, top))

    def place(self, value: float) -> float:
        """Where a value stands in the range, 0 to 1 on the sampler's scale."""
        low, high = sorted((self.encode(self.low), self.encode(self.high)))
        number = self.encode(value)
        if self.parameter.scale in (Scale.LOG, Scale.LOGIT):
            low, high, number = (math.log(max(x, 1e-14)) for x in (low, high, number))
        return (number - low) / (high - low) if high > low else 0.0


def dimensions(environment: Environment, configs: Sequence[Config]) -> dict[str, Dimension]:
    """The keys to search: proposable ones with a prior in PufferLib's ini, wide enough for all these configs."""
    space, dims = space_of(environment), {}
    for section, prior in environment.ini.items():
        key = section.removeprefix("sweep.")
        parameter = space.get(key)
        if not section.startswith("sweep.") or parameter is None or not parameter.proposable:
            continue
        if key in ("train.total_timesteps", "vec.num_envs", "env.num_envs"):
            continue  # its length confounds a comparison; the topology is chosen for speed, not by score
        values = [value for config in configs if isinstance(value := config.get(key), (int, float))]
        if not values or "min" not in prior or "max" not in prior:
            continue
        low = max(min(float(prior["min"]), *values), parameter.low or 0.0)
        high = min(max(float(prior["max"]), *values), parameter.high or math.inf)
        if parameter.scale is Scale.LOG:
            low = max(low, 1e-6 if key != "train.adam_eps" else 1e-14)
        dims[key] = Dimension(parameter, low, high)
    return dims


@dataclass(frozen=True)
class Suggestion:
    """One suggested change of a parent's config."""

    changes: dict[str, Any]
    """Valid overrides of the parent's config."""
    tried: str | None
    """A run that had this config already, or one too close to tell."""


def suggest_changes(
    lab: Lab,
    group: Group,
    parent: str,
    count: int,
    avoid: Sequence[Mapping[str, Any]],
    *,
    wide: bool = False,
    permits: Permits | None = None,
) -> list[Suggestion]:
    """Valid candidates to change a parent's config, the sampler's order kept.

    Args:
        lab: whose finished runs feed the sampler, and what is valid here.
        group: the runs that count: environment, objective, preset.
        parent: run whose config the candidates change.
        count: how many to look for; fewer when valid ones are hard to find.
        avoid: overrides that were rejected; a candidate close to one of them is left out.
        wide: two or three keys at once instead of one or two, from ranges half as wide again.
        permits: says why a change is not to be had, None where it is.
    """
    notebook, inventory = lab.notebook, lab.inventory
    questions = Questions(notebook.index)
    rows = [row for row in notebook.index.rows(Selection(group)) if RunState(row.state).ended]
    every = questions.configs(group)
    configs = {row.run_id: every[row.run_id] for row in rows}
    base = notebook.config(parent)
    environment = inventory.environment(group[0])
    dims = dimensions(environment, [base, *configs.values()])
    if wide:
        dims = {key: dim.widened() for key, dim in dims.items()}
    changed = [key for row in rows if row.parent in every for key in diff(every[row.parent], every[row.run_id])]
    used = Counter(changed + [key for item in avoid for key in item])
    draw = random.Random(zlib.crc32(f"{group}|{len(rows)}|{len(avoid)}|{base.fingerprint()}".encode()))  # noqa: S311 - repeatable
    if permits:
        dims = {key: dim for key, dim in dims.items() if _permitted(permits, parent, dim, float(base.get(key)))}
    study = _study(group, rows, configs, dims)
    ranks = {key: rank for rank, key in enumerate(key for key in space_of(environment) if key in dims)}
    suggestions: list[Suggestion] = []
    for attempt in range((32 if permits else 8) * count if dims else 0):
        if len(suggestions) == count:
            break
        # What was changed least often comes first, and of that what usually matters most (the order of the table in
        # lab.space.parameters, loosely); one key at a time half of the time.
        order = sorted(dims, key=lambda key: (used[key], ranks[key] + 6 * draw.random()))
        keys = order[: 1 + attempt % 2 + wide]
        changes = _draw(study, dims, base, keys, seed=draw.getrandbits(31))
        used.update(keys)
        if not changes or check_overrides(base, changes, inventory, proposing=True):
            continue
        if any(_close(dims, base, changes, other) for other in avoid) or (permits and permits(parent, changes)):
            continue
        config = base.with_overrides(changes)
        if twin_of(questions.index, config, group) is not None:  # nothing new could come of it
            continue
        tried = next((row.run_id for row in runs_that_tried(questions.index, config, group)), None)
        suggestions.append(Suggestion(changes, tried))
    return suggestions


def _permitted(permits: Permits, parent: str, dim: Dimension, value: float) -> bool:
    """Whether a policy lets any small change of a key pass; else the sampler need not try."""
    low, high = sorted((dim.encode(dim.low), dim.encode(dim.high)))
    number, step = dim.encode(value), (high - low) / 20
    near = [number * 0.9, number * 1.1, number - step, number + step]
    if dim.parameter.scale is Scale.POW2:
        near = [number - 1, number + 1]
    values = [dim.decode(other) for other in near if dim.parameter.scale is not Scale.LOGIT or 0 < other < 1]
    return any(permits(parent, {dim.parameter.key: other}) is None for other in values)


def _study(
    group: Group,
    rows: Sequence[Row],
    configs: Mapping[str, Config],
    dims: Mapping[str, Dimension],
) -> "Study":
    """An in-memory study that holds the finished runs; one that failed counts as the worst seen."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    goal = group.goal
    study = optuna.create_study(direction=goal.optuna)
    means = {row.run_id: row.score for row in rows if row.score is not None}
    if not means:
        return study
    worst = goal.worst(means.values())
    distributions = {key: dim.distribution() for key, dim in dims.items()}
    for row in rows:
        params = {key: _number(dim, configs[row.run_id]) for key, dim in dims.items()}
        study.add_trial(
            optuna.trial.create_trial(params=params, distributions=distributions, value=means.get(row.run_id, worst))
        )
    return study


def _number(dim: Dimension, config: Config) -> float:
    number = dim.encode(float(config.get(dim.parameter.key)))
    low, high = sorted((dim.encode(dim.low), dim.encode(dim.high)))
    bounded = min(max(number, low, 1e-14 if dim.parameter.scale in (Scale.LOG, Scale.LOGIT) else low), high)
    return round(bounded) if dim.parameter.scale is Scale.POW2 else bounded


def _draw(
    study: "Study", dims: Mapping[str, Dimension], base: Config, keys: Sequence[str], seed: int
) -> dict[str, Any]:
    import optuna
    from optuna.samplers import PartialFixedSampler, TPESampler

    fixed = {key: _number(dim, base) for key, dim in dims.items() if key not in keys}
    sampler = TPESampler(n_startup_trials=STARTUP_TRIALS, seed=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)  # the lock pins the version we use
        study.sampler = PartialFixedSampler(fixed, sampler)
    trial = study.ask({key: dim.distribution() for key, dim in dims.items()})
    study.tell(trial, state=optuna.trial.TrialState.FAIL)  # only asked; what it would score is not known
    changes = {key: dims[key].decode(trial.params[key]) for key in keys}
    return {key: value for key, value in changes.items() if _moved(dims[key], value, float(base.get(key)))}


def _moved(dim: Dimension, one: float, other: float) -> bool:
    return abs(dim.place(one) - dim.place(other)) > SAME


def _close(dims: Mapping[str, Dimension], base: Config, changes: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two changes are one idea: the same keys moved the same way from the parent, about as far."""
    if set(changes) != set(other) or not set(changes) <= set(dims):
        return False
    for key, value in changes.items():
        dim, start = dims[key], dims[key].place(float(base.get(key)))
        mine, theirs = dim.place(float(value)) - start, dim.place(float(other[key])) - start
        if mine * theirs <= 0 or abs(mine - theirs) > 0.2:
            return False
    return True
