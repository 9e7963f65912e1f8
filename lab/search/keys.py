"""Which keys of a config a search may change, and how far: the space that is handed to an arm.

Where PufferLib's ini has a prior for a key (its `[sweep]` sections), that is the range; it is widened to hold the
config that the search starts from. A key without one gets its choices, both values of a switch, or a factor of four
around where it stands. Hard limits and a person's own hold in any case.
"""

import math
from collections.abc import Sequence
from typing import Any

from lab.judge import is_work
from lab.search.points import Choice, Range, SearchSpace
from lab.space import PARAMETERS, Config, Environment, Parameter, Scale, inert, space_of, telling
from lab.space.parameters import Scalar

NO_LEARNING = frozenset((
    "train.max_minibatch_size", "autopilot.save_strategy", "autopilot.resume_mode", "autopilot.resume_from",
))  # fmt: skip
"""Without an effect on what is learnt, or another beginning, which is another experiment."""
CONFOUNDS = frozenset(("train.total_timesteps", "vec.num_envs", "env.num_envs"))
"""Lengths can't be compared, and the topology is chosen for speed, by `autopilot probe`."""
UNSEARCHED = NO_LEARNING | CONFOUNDS
"""What may be proposed, and what the search never moves all the same."""
AROUND = 4.0
"""Factor up and down from where a key stands, where nobody says how far."""
NOTHING = 1e-10
"""Share of the other end that stands for 0, which a logarithmic scale has no place for."""


def search_space(environment: Environment, base: Config) -> SearchSpace:
    """The keys that a search from this config may change.

    Args:
        environment: its ini has the priors, and the workspace's limits its choices.
        base: where the search starts.
    """
    dimensions = []
    for key, parameter in space_of(environment).items():
        if parameter.proposable and key not in UNSEARCHED:
            prior = environment.ini.get(f"sweep.{key}", {})
            if (dimension := _dimension(parameter, base.get(key), prior)) is not None:
                dimensions.append(dimension)
    return SearchSpace(tuple(one for one in dimensions if not _for_nothing(one.key, base, dimensions)))


def _for_nothing(key: str, base: Config, dimensions: Sequence[Range | Choice]) -> bool:
    """Whether a key has no effect under a config, and has none under any value of another key that is searched."""
    if key not in inert(base):
        return False
    ends = {one.key: one.values if isinstance(one, Choice) else (one.low, one.high) for one in dimensions}
    return all(key in inert(base.with_overrides({other: value})) for other in ends for value in ends[other])


def seen_space(base: Config, others: Sequence[Config]) -> SearchSpace:
    """The keys in which some configs differ from a base, as far as they differ.

    For whoever compares runs that are there: the environment that they were made for may be gone, its priors too.

    Args:
        base: the config that the others are told apart from.
        others: those that are there; lists and tables among their values are passed over.
    """
    known = {parameter.key: parameter.scale for parameter in PARAMETERS}
    seen: dict[str, list[Any]] = {}
    for config in others:
        for key, (old, new) in telling(base, config).items():
            if key not in UNSEARCHED and all(isinstance(value, Scalar) for value in (old, new)):
                seen.setdefault(key, [old]).append(new)
    return SearchSpace(tuple(_seen(key, values, known.get(key, Scale.LINEAR)) for key, values in seen.items()))


def _seen(key: str, values: Sequence[Any], scale: Scale) -> Range | Choice:
    numbers = [float(value) for value in values if isinstance(value, (int, float)) and not isinstance(value, bool)]
    if len(numbers) < len(values) or scale is Scale.CHOICE:
        return Choice(key, tuple(dict.fromkeys(sorted(values, key=str))))
    low, high = min(numbers), max(numbers)
    if scale is Scale.LOGIT and high <= 1:
        return Range(key, low, min(high, 1 - (1 - low) * NOTHING), scale)
    if scale in (Scale.LOG, Scale.POW2) and high > 0:
        return Range(key, max(low, high * NOTHING), high, scale)
    return Range(key, low, high)


def _dimension(parameter: Parameter, value: Any, prior: dict[str, Any]) -> Range | Choice | None:
    work = is_work(parameter.key)
    if parameter.choices:
        return Choice(parameter.key, parameter.choices, work) if len(parameter.choices) > 1 else None
    if parameter.kind is bool:
        return Choice(parameter.key, (False, True), work)
    if parameter.kind is str or value is None:
        return None
    scale, whole, number = parameter.scale, parameter.kind is int, float(value)
    if "min" in prior and "max" in prior:
        low, high = _held(float(prior["min"]), float(prior["max"]), number, scale)
    elif scale is Scale.LOGIT:
        low, high = 1 - (1 - number) * AROUND, 1 - (1 - number) / AROUND
    else:
        low, high = number / AROUND, number * AROUND
    low = max(low, -math.inf if parameter.low is None else parameter.low)
    high = min(high, math.inf if parameter.high is None else parameter.high)
    if scale is Scale.LOG:
        low = max(low, high * NOTHING)
    return Range(parameter.key, low, high, scale, whole, work) if high > low else None


def _held(low: float, high: float, number: float, scale: Scale) -> tuple[float, float]:
    """A prior's ends, moved beyond a number that they don't leave room around: somebody had a reason to go there."""
    if scale is Scale.LOGIT:
        return (min(low, 1 - 2 * (1 - number)) if number <= low else low), (
            1 - (1 - number) / 2 if number >= high else high
        )
    if scale is Scale.LINEAR:
        room = (high - low) / 4
        return (number - room if number < low else low), (number + room if number > high else high)
    return (number / 2 if number <= low else low), (number * 2 if number >= high else high)
