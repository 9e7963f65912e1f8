"""What a session approves by itself with `--approve policy`: the table `[policy]` in `autopilot.toml`.

    [policy]
    max_minutes = 20
    max_keys = 2

    [[policy.allow]]
    keys = ["train.learning_rate", "train.ent_coef"]
    factor = 3

The program decides, never a model, and denies what nothing allows. Each ruling says in words which rule made it; the
entries of `allow` are counted from 1.
"""

from dataclasses import replace
from typing import Annotated, Any, TypeGuard

from pydantic import ConfigDict, Field, ValidationError

from lab.base import InvalidInput, Record, Table, Tables, Workspace, invalid, refusal, short
from lab.judge import is_topology
from lab.search import Choice, Range
from lab.space import PARAMETERS, SECTIONS, VARIANT_KEYS, Environment, Parameter, Scale, Space, space_of

SLACK = 1e-6
"""Share by which a limit may be passed: what is exact in decimals (0.1 × 3) is not in binary."""
RESUME_MODE, RESUME_FROM = "autopilot.resume_mode", "autopilot.resume_from"
ENTRY = 'keys = ["train.gamma"], and factor = 3, step = 2 or values = [0.9]'
OTHERWISE = "[[policy.allow]] in autopilot.toml, as in docs/approval.md, or --approve manual"


class Allow(Record):
    """`[[policy.allow]]`: changes that pass. All its limits have to hold; without any, each valid value passes."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False)

    keys: tuple[str, ...] = Field(min_length=1, max_length=100, strict=False)
    """Dotted keys, or all of a section, as `train.*`."""
    factor: float | None = Field(default=None, gt=1, le=1e6)
    """New value over old one, at most, and at least one over it; of 1 - x where the key's scale is logit. Both have to
    be of one sign, and neither 0."""
    step: float | None = Field(default=None, gt=0, le=1e9)
    """Difference between old and new value, at most."""
    values: tuple[bool | int | float | str, ...] | None = Field(default=None, min_length=1, strict=False)
    """What the new value may be."""

    @property
    def text(self) -> str:
        """In words, such as `train.ent_coef, train.gamma within factor 3`."""
        limits = [
            f"within factor {self.factor:g}" if self.factor is not None else "",
            f"within step {self.step:g}" if self.step is not None else "",
            f"to {' or '.join(map(short, self.values))}" if self.values is not None else "",
        ]
        return " ".join([", ".join(self.keys), " and ".join(filter(None, limits)) or "to anything valid"])

    def names(self, key: str) -> bool:
        """Whether this is about a dotted key."""
        return any(_covers(pattern, key) for pattern in self.keys)

    def leaves(self, dimension: Range | Choice, old: Any) -> Range | Choice | None:
        """What is left of a key's values; None where it can't change."""
        if self.values is not None:
            within = (value for value in self.values if dimension.holds(value) and not _same(value, old))
            kept = tuple(value for value in within if self._keeps(dimension, old, value))
            return Choice(dimension.key, tuple(dict.fromkeys((*kept, old)))) if kept else None
        if isinstance(dimension, Choice):
            left = tuple(value for value in dimension.values if self._keeps(dimension, old, value))
            return replace(dimension, values=left) if len(left) > 1 else None
        if not _is_number(old):
            return None
        low, high = dimension.low, dimension.high
        if self.factor is not None:
            rest = dimension.scale is Scale.LOGIT
            ends = sorted(((1 - old if rest else old) / self.factor, (1 - old if rest else old) * self.factor))
            ends = [1 - ends[1], 1 - ends[0]] if rest else ends
            low, high = max(low, ends[0]), min(high, ends[1])
        if self.step is not None:
            low, high = max(low, old - self.step), min(high, old + self.step)
        return replace(dimension, low=low, high=high) if high > low else None

    def _keeps(self, dimension: Range | Choice, old: object, new: object) -> bool:
        """Whether a value keeps within each limit that is a number."""
        return all(self._distances(isinstance(dimension, Range) and dimension.scale is Scale.LOGIT, old, new).values())

    def limits(self, parameter: Parameter, old: object, new: object) -> dict[str, bool]:
        """The limits in words, each to whether a change keeps within it."""
        limits = self._distances(parameter.scale is Scale.LOGIT, old, new)
        if self.values is not None:
            limits["one of its values"] = any(_same(new, value) for value in self.values)
        return limits

    def _distances(self, of_rest: bool, old: object, new: object) -> dict[str, bool]:
        """The limits that are numbers in words, each to whether a change keeps within it."""
        limits: dict[str, bool] = {}
        if self.factor is not None:
            words = f"within factor {self.factor:.6g}{' of 1 - x' if of_rest else ''}"
            limits[words] = _within_factor(old, new, self.factor, of_rest=of_rest)
        if self.step is not None:
            close = _is_number(old) and _is_number(new) and abs(new - old) <= self.step * (1 + SLACK)
            limits[f"within step {self.step:.6g}"] = close
        return limits


class PolicySettings(Record):
    """`[policy]` in autopilot.toml: what a session approves by itself."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False)

    prediction: bool = True
    """A proposal has to predict the objective."""
    max_minutes: float | None = Field(default=None, gt=0, le=100_000)
    """That a run may be expected to take; None for any."""
    max_keys: int | None = Field(default=None, ge=1, le=100)
    """That a proposal may change; None for any number."""
    allow: tuple[Allow, ...] = Field(default=(), strict=False)
    """Alternatives: a changed key passes by the first one that lets it."""

    def narrowed(self, dimension: Range | Choice, old: object) -> Range | Choice | None:
        """What is left of a key's values around the one that it has; None where no rule lets it change.

        Of several rules the one that leaves most counts.
        """
        if is_topology(dimension.key):
            return None
        left = [entry.leaves(dimension, old) for entry in self.allow if entry.names(dimension.key)]
        ranges = [one for one in left if isinstance(one, Range)]
        if ranges:
            return replace(ranges[0], low=min(one.low for one in ranges), high=max(one.high for one in ranges))
        choices = [one for one in left if isinstance(one, Choice)]
        return max(choices, key=lambda one: len(one.values), default=None)


class PolicyTables(Tables):
    """`[policy]` in autopilot.toml; None where there is none."""

    policy: Annotated[
        PolicySettings | None,
        Table(example="[policy] with max_keys = 2", values="as in prediction = true, max_minutes = 20, max_keys = 2"),
    ] = None

    @classmethod
    def refused(cls, error: ValidationError) -> InvalidInput:
        """The line for a person; entries of `allow` are counted from 1."""
        first = error.errors()[0]
        match first["loc"]:
            case ("policy", "allow"):
                rule, valid = "is not a list of tables", "[[policy.allow]], in double brackets"
                return invalid("policy.allow", first["input"], rule, valid)
            case ("policy", "allow", int(at), "values", _, *_):  # else it would name one type of four
                rule = "is neither true, false, a finite number nor a text"
                return invalid(f"policy.allow[{at + 1}].values", first["input"], rule, 'as in values = ["muon", true]')
            case ("policy", "allow", int(at), *inner):
                first["loc"] = ("policy", f"allow[{at + 1}]", *inner)
                return refusal(first, ENTRY)
        return super().refused(error)


def policy_settings(workspace: Workspace, environment: Environment | None = None) -> PolicySettings:
    """The rules of a workspace, for a session that approves by them.

    Args:
        workspace: whose autopilot.toml is read.
        environment: whose search space the keys have to be in; None passes over those that depend on one.

    Raises:
        InvalidInput: there are none, they are not written as they have to be, or they could allow nothing.
    """
    settings = PolicyTables.of(workspace).policy
    if settings is None:
        raise invalid("approve", "policy", "would deny everything: autopilot.toml has no [policy]", OTHERWISE)
    if not settings.allow:
        raise invalid("policy.allow", [], "would deny everything: it allows nothing", OTHERWISE)
    space = Space(PARAMETERS) if environment is None else space_of(environment)
    for count, entry in enumerate(settings.allow, start=1):
        _check(f"policy.allow[{count}]", entry, space, whole=environment is not None)
    return settings


def _covers(pattern: str, key: str) -> bool:
    return key.startswith(pattern[:-1]) if pattern.endswith(".*") else key == pattern


def _is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _same(one: object, other: object) -> bool:
    """1 is 1.0, and neither is true."""
    return isinstance(one, bool) is isinstance(other, bool) and one == other


def _within_factor(old: object, new: object, factor: float, *, of_rest: bool) -> bool:
    if not (_is_number(old) and _is_number(new)):
        return False
    old, new = (1 - old, 1 - new) if of_rest else (old, new)
    if not old or not new or (old > 0) is not (new > 0):
        return False
    low, high = sorted((abs(float(old)), abs(float(new))))
    return high <= low * factor * (1 + SLACK)


# --- the table -------------------------------------------------------------------------------------------------------


def _check(name: str, entry: Allow, space: Space, *, whole: bool) -> None:
    """Refuse an entry that says nothing.

    Args:
        name: of the entry.
        entry: well-formed.
        space: that its keys are looked up in.
        whole: it is all of an environment's; else keys that depend on one are passed over.
    """
    for pattern in entry.keys:
        _check_pattern(f"{name}.keys", pattern, space, whole=whole)
    exact = [space[key] for key in entry.keys if key in space]
    if closed := next((parameter.key for parameter in exact if not parameter.proposable), None):
        raise invalid(f"{name}.keys", closed, "may be set by a person only, so no proposal has it", "leave it out")
    numeric = {what: limit for what, limit in (("factor", entry.factor), ("step", entry.step)) if limit is not None}
    for parameter in exact if numeric else ():
        if parameter.kind not in (int, float):
            what, limit = next(iter(numeric.items()))
            valid = "an entry of its own, with values = [...] or without limits"
            raise invalid(f"{name}.{what}", limit, f"{parameter.key} is no number", valid)
    if not whole and len(exact) < len(entry.keys):
        return  # what its values may be is not known
    reached = [space[key] for key in space if entry.names(key)]
    for value in entry.values or ():
        if all(parameter.problem(value) is not None for parameter in reached):
            valid = "; ".join(f"{parameter.key}: {parameter.range}" for parameter in reached[:3])
            raise invalid(f"{name}.values", value, "is no value of these keys", valid)


def _check_pattern(name: str, pattern: str, space: Space, *, whole: bool) -> None:
    if pattern.endswith(".*"):
        known = pattern.removesuffix(".*") in SECTIONS
    else:
        elsewhere = pattern.startswith("env.") or pattern in VARIANT_KEYS.values()
        known = pattern in space or (elsewhere and not whole)
    if not known:
        (problem,) = space.problems({pattern: ""})
        rule = "is neither a key of the config nor all of a section, such as train.*"
        raise invalid(name, pattern, rule, problem.valid)
    if pattern == "vec.*" or is_topology(pattern):
        raise invalid(name, pattern, "can't be allowed: topology and device never change", "leave it out")
    if pattern == RESUME_FROM:
        raise invalid(name, pattern, "can't be allowed: warm starts wait for a person", "leave it out")
