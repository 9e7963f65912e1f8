"""The limits that the user sets on the search space: the table `[space]` in `autopilot.toml`.

    [space]
    "train.learning_rate" = {low = 1e-4, high = 0.02}
    "train.bptt_horizon" = {choices = [16, 32, 64]}
    "train.gamma" = {frozen = true}
    "env.frameskip" = {open = true, low = 1, high = 8}

A range is narrowed, never widened. A frozen key is out of reach of proposals. Opening one lets proposals train on
another task; what is scored stays the session's task, and an objective that counts rewards is refused with it, since
whoever may change the rewards may make them up.
"""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from lab.base import Table, Tables, Workspace, invalid, wrong
from lab.space.parameters import Parameter, Space
from lab.space.task import Limit

REWARDS = ("mean_reward", "episode_return", "reward", "return")
"""Metrics that count rewards."""


def _flat(table: Any, prefix: str = "") -> Any:
    """The table by dotted keys: `[space.train]` with `gamma = {...}` means what `"train.gamma" = {...}` does."""
    if not isinstance(table, Mapping):
        return table
    flat: dict[str, Any] = {}
    for name, value in table.items():
        key = f"{prefix}{name}"
        if isinstance(value, Mapping) and value and all(isinstance(inner, Mapping) for inner in value.values()):
            flat |= _flat(value, f"{key}.")
        else:
            flat[key] = value
    return flat


def _leaving(limit: Any) -> Any:
    if isinstance(limit, Mapping) and limit.get("choices") == []:
        raise wrong("leaves no value", "at least one of choices")
    return limit


class LimitTables(Tables):
    """`[space]` in autopilot.toml: limits by dotted key."""

    space: Annotated[
        dict[str, Annotated[Limit, BeforeValidator(_leaving)]],
        BeforeValidator(_flat),
        Table(example='[space] with "train.gamma" = {frozen = true}', names="low, high, choices, frozen, open"),
    ] = Field(default_factory=dict)


def declared_limits(workspace: Workspace) -> dict[str, Limit]:
    """The limits that the workspace declares: dotted key to limit.

    Raises:
        InvalidInput: the table is not written as it has to be.
    """
    return LimitTables.of(workspace).space


def narrowed(space: Space, limits: Mapping[str, Limit]) -> Space:
    """A search space with the user's limits applied.

    Args:
        space: of an environment.
        limits: dotted key to limit; keys of other environments' constructors are passed over.

    Raises:
        InvalidInput: a limit would widen a range, or opens what is closed for other reasons.
    """
    known = [key for key in limits if key in space or not key.startswith("env.")]
    if unknown := next((key for key in known if key not in space), None):
        given = limits[unknown].model_dump(exclude_defaults=True)
        raise invalid(f"space.{unknown}", given, "is not a key of the config", space.closest(unknown))
    return Space([_limited(parameter, limits.get(key)) for key, parameter in space.items()])


def check_open(limits: Mapping[str, Limit], metric: str) -> None:
    """Refuse an objective that counts rewards while proposals may change the task.

    Raises:
        InvalidInput: that is so.
    """
    opened = sorted(key for key, limit in limits.items() if limit.open)
    if opened and metric in REWARDS:
        rule = f"counts rewards, which proposals may change: {', '.join(opened)} open in autopilot.toml"
        raise invalid("objective", metric, rule, "another metric, such as success_rate:max, or close the key")


def _limited(parameter: Parameter, limit: Limit | None) -> Parameter:
    if limit is None:
        return parameter
    key = f"space.{parameter.key}"
    for name, mine, theirs, side in (("low", limit.low, parameter.low, -1), ("high", limit.high, parameter.high, 1)):
        if mine is not None and parameter.kind not in (int, float):
            raise invalid(f"{key}.{name}", mine, f"{parameter.key} is no number", "choices = [...]")
        if mine is not None and theirs is not None and side * mine > side * theirs:
            raise invalid(f"{key}.{name}", mine, f"would widen {parameter.key}, {parameter.range}", f"{theirs:g}")
    low = parameter.low if limit.low is None else limit.low
    high = parameter.high if limit.high is None else limit.high
    whole = parameter.kind is int and low is not None and high is not None and math.ceil(low) > math.floor(high)
    if low is not None and high is not None and (low > high or whole):
        raise invalid(key, f"{low:g} to {high:g}", "leaves no value", "low at most high")
    if limit.open and not parameter.key.startswith("env."):
        raise invalid(f"{key}.open", "true", "is not a key of the task", "a key that begins with env.")
    proposable = (parameter.proposable or limit.open) and not limit.frozen
    return replace(parameter, low=low, high=high, choices=_choices(parameter, limit, key), proposable=proposable)


def _choices(parameter: Parameter, limit: Limit, key: str) -> tuple[Any, ...]:
    if not limit.choices:
        return parameter.choices
    if limit.low is not None or limit.high is not None:
        raise invalid(f"{key}.choices", list(limit.choices), "stands beside low or high", "one or the other")
    if bad := next((choice for choice in limit.choices if parameter.problem(choice) is not None), None):
        raise invalid(f"{key}.choices", bad, f"is no value of {parameter.key}", parameter.range)
    return tuple(limit.choices)
