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

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypeGuard

from pydantic import ConfigDict, Field, ValidationError

from lab.config import SECTIONS, Config
from lab.costs import expected_seconds, is_topology
from lab.environments import objective_of
from lab.errors import AutopilotError, InvalidInput, refused, refused_as
from lab.inventory import Environment, Inventory
from lab.notebook import Notebook
from lab.paths import Workspace
from lab.proposals import refuse_unfit
from lab.records import Proposal, Record
from lab.space import PARAMETERS, VARIANT_KEYS, Parameter, Scale, Space
from lab.text import number, plain, short
from lab.toml import settings as tables
from lab.validate import space_of

SLACK = 1e-6
"""Share by which a limit may be passed: what is exact in decimals (0.1 × 3) is not in binary."""
LONGEST = 8000
"""Characters of a ruling."""
RESUME_MODE, RESUME_FROM = "autopilot.resume_mode", "autopilot.resume_from"
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

    def limits(self, parameter: Parameter, old: object, new: object) -> dict[str, bool]:
        """Each limit in words to whether a change keeps within it."""
        found: dict[str, bool] = {}
        if self.factor is not None:
            of_rest = parameter.scale is Scale.LOGIT
            words = f"within factor {self.factor:.6g}{' of 1 - x' if of_rest else ''}"
            found[words] = _within_factor(old, new, self.factor, of_rest=of_rest)
        if self.step is not None:
            close = _is_number(old) and _is_number(new) and abs(new - old) <= self.step * (1 + SLACK)
            found[f"within step {self.step:.6g}"] = close
        if self.values is not None:
            found["one of its values"] = any(_same(new, value) for value in self.values)
        return found


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


class Ruling(NamedTuple):
    """What the rules say of a proposal."""

    outcome: Literal["approved", "denied", "held"]
    """`held`: a person has to decide."""
    rule: str
    """The rule that made it so, with every key that the proposal changes: one line of plain text."""


def policy_settings(workspace: Workspace, environment: Environment | None = None) -> PolicySettings:
    """The rules of a workspace, for a session that approves by them.

    Args:
        workspace: whose autopilot.toml is read.
        environment: whose search space the keys have to be in; None passes over those that depend on one.

    Raises:
        InvalidInput: there are none, they are not written as they have to be, or they could allow nothing.
    """
    table = tables(workspace).get("policy")
    if table is None:
        raise refused("approve", "policy", "would deny everything: autopilot.toml has no [policy]", OTHERWISE)
    if not isinstance(table, Mapping):
        raise refused("policy", table, "is not a table", "[policy] with max_keys = 2")
    entries = table.get("allow", [])
    if not isinstance(entries, list):
        raise refused("policy.allow", entries, "is not a list of tables", "[[policy.allow]], in double brackets")
    allow = tuple(_entry(f"policy.allow[{count}]", entry) for count, entry in enumerate(entries, start=1))
    try:
        found = PolicySettings.model_validate({**table, "allow": allow})
    except ValidationError as error:
        raise refused_as("policy", error, "as in prediction = true, max_minutes = 20, max_keys = 2") from None
    if not allow:
        raise refused("policy.allow", [], "would deny everything: it allows nothing", OTHERWISE)
    space = Space(PARAMETERS) if environment is None else space_of(environment)
    for count, entry in enumerate(allow, start=1):
        _check(f"policy.allow[{count}]", entry, space, whole=environment is not None)
    return found


def rule_on(proposal: Proposal, notebook: Notebook, inventory: Inventory, settings: PolicySettings) -> Ruling:
    """What becomes of a proposal by the rules; follows from them and the record alone, and changes nothing.

    No table switches off the first three: topology and device are never changed, warm starts are a person's to decide,
    and what is stale or not valid (`refuse_unfit`) does not pass. What a proposal changes is what differs between its
    parent's config and its own, each key of which is one of its overrides: what follows from them, such as the batch,
    is no key.

    Args:
        proposal: that waits for a decision.
        notebook: where its parent is, and the runs that say how long it would take.
        inventory: what is valid here.
        settings: the rules.
    """
    try:
        base = notebook.config(proposal.parent)
    except AutopilotError as error:
        return _ruling(
            "denied", f"its parent can't be read ({plain(str(error), 300)})", map(_named, proposal.overrides)
        )
    changed = {key: (base.get(key), new) for key, new in proposal.overrides.items() if base.get(key) != new}
    case = _Case(proposal, notebook, inventory, settings, base, changed)
    rules: tuple[Callable[[_Case], Ruling | None], ...] = (
        _topology, _warm_start, _unfit, _unpredicted, _too_many, _too_long,
    )  # fmt: skip
    return next((ruling for rule in rules if (ruling := rule(case)) is not None), None) or _entries(case)


# --- the rules, in their order ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Case:
    """A proposal about to be ruled on."""

    proposal: Proposal
    notebook: Notebook
    inventory: Inventory
    settings: PolicySettings
    base: Config
    changed: dict[str, tuple[Any, Any]]
    """Dotted key to (old, new)."""

    def changes(self, keys: Iterable[str]) -> list[str]:
        """Those of some keys, in words."""
        return [_change(key, *self.changed[key]) for key in keys]

    def ruled(self, outcome: Literal["denied", "held"], rule: str, keys: Iterable[str] | None = None) -> Ruling:
        """A ruling because of some of the changed keys, or of all."""
        because = list(self.changed if keys is None else keys)
        beside = [key for key in self.changed if key not in because]
        return _ruling(outcome, rule, self.changes(because), self.changes(beside))


def _topology(case: _Case) -> Ruling | None:
    keys = [key for key in case.changed if is_topology(key)]
    return case.ruled("denied", "topology and device never", keys) if keys else None


def _warm_start(case: _Case) -> Ruling | None:
    """Also where the parent went on from other weights: its child would go on from them too."""
    mode = case.proposal.overrides.get(RESUME_MODE, case.base.get(RESUME_MODE))
    keys = [key for key in (RESUME_MODE, RESUME_FROM) if key in case.changed]
    if mode != "continue" and RESUME_FROM not in keys:
        return None
    if keys:
        return case.ruled("held", "warm starts wait for a person", keys)
    return case.ruled("held", f"warm starts wait for a person ({RESUME_MODE} is continue, as its parent's)")


def _unfit(case: _Case) -> Ruling | None:
    try:
        refuse_unfit(case.proposal, case.notebook, case.inventory)
    except InvalidInput as error:
        return case.ruled("denied", f"not valid ({plain(str(error), 1000)})")
    return None


def _unpredicted(case: _Case) -> Ruling | None:
    metric, _ = objective_of(case.proposal.objective, case.proposal.env_name)
    if not case.settings.prediction or any(made.metric == metric for made in case.proposal.predictions):
        return None
    return case.ruled("denied", f"policy.prediction, nothing is predicted of {plain(metric, 60)}")


def _too_many(case: _Case) -> Ruling | None:
    most, count = case.settings.max_keys, len(case.changed)
    if most is None or count <= most:
        return None
    return case.ruled("denied", f"policy.max_keys = {most}, {count} keys change")


def _too_long(case: _Case) -> Ruling | None:
    """Denied, too, while no speed was measured: a session begins with a baseline, which measures one."""
    most = case.settings.max_minutes
    if most is None:
        return None
    config = case.base.with_overrides(case.proposal.overrides)
    estimate = expected_seconds(case.notebook, config, case.proposal.group)
    rule = f"policy.max_minutes = {most:.6g}"
    if estimate is None:
        return case.ruled("denied", f"{rule}, no run has measured yet how fast this trains")
    if estimate.seconds <= most * 60 * (1 + SLACK):
        return None
    how, runs = "very roughly" if estimate.rough else "about", len(estimate.runs)
    took = f"{how} {number(estimate.seconds / 60)} minutes by {runs} {'runs' if runs > 1 else 'run'}"
    return case.ruled("denied", f"{rule}, it would take {took}")


def _entries(case: _Case) -> Ruling:
    space = space_of(case.inventory.environment(case.base.env_name))
    passed: list[str] = []
    stopped: dict[str, str] = {}
    for key, (old, new) in case.changed.items():
        named = [(count, entry) for count, entry in enumerate(case.settings.allow, start=1) if entry.names(key)]
        limits = {count: entry.limits(space[key], old, new) for count, entry in named}
        by = next((count for count, found in limits.items() if all(found.values())), None)
        if by is None:
            missed = "; ".join(f"policy.allow[{count}] wants it {_and(found)}" for count, found in limits.items())
            stopped[key] = _change(key, old, new) + (f" ({missed})" if missed else "")
        else:
            passed.append(f"policy.allow[{by}]: {_change(key, old, new)} {_and(limits[by])}".strip())
    if stopped:
        beside = [key for key in case.changed if key not in stopped]
        return Ruling("denied", _line(f"no rule allows {', '.join(stopped.values())}{_beside(case.changes(beside))}"))
    return Ruling("approved", _line("; ".join(passed)))


# --- the limits of an entry ------------------------------------------------------------------------------------------


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


def _entry(name: str, entry: object) -> Allow:
    try:
        return Allow.model_validate(entry)
    except ValidationError as error:
        first = error.errors()[0]
        if first["loc"][:1] == ("values",) and len(first["loc"]) > 1:  # else it would name one type of four
            rule = "is neither true, false, a finite number nor a text"
            raise refused(f"{name}.values", first["input"], rule, 'as in values = ["muon", true]') from None
        raise refused_as(name, error, 'keys = ["train.gamma"], and factor = 3, step = 2 or values = [0.9]') from None


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
    numeric = {what: limit for what, limit in (("factor", entry.factor), ("step", entry.step)) if limit is not None}
    for parameter in exact if numeric else ():
        if parameter.kind not in (int, float):
            what, limit = next(iter(numeric.items()))
            valid = "an entry of its own, with values = [...] or without limits"
            raise refused(f"{name}.{what}", limit, f"{parameter.key} is no number", valid)
    if not whole and len(exact) < len(entry.keys):
        return  # what its values may be is not known
    reached = [space[key] for key in space if entry.names(key)]
    for value in entry.values or ():
        if all(parameter.problem(value) is not None for parameter in reached):
            valid = "; ".join(f"{parameter.key}: {parameter.range}" for parameter in reached[:3])
            raise refused(f"{name}.values", value, "is no value of these keys", valid)


def _check_pattern(name: str, pattern: str, space: Space, *, whole: bool) -> None:
    if pattern.endswith(".*"):
        known = pattern.removesuffix(".*") in SECTIONS
    else:
        elsewhere = pattern.startswith("env.") or pattern in VARIANT_KEYS.values()
        known = pattern in space or (elsewhere and not whole)
    if not known:
        (problem,) = space.problems({pattern: ""})
        rule = "is neither a key of the config nor all of a section, such as train.*"
        raise refused(name, pattern, rule, problem.valid)
    if pattern == "vec.*" or is_topology(pattern):
        raise refused(name, pattern, "can't be allowed: topology and device never change", "leave it out")
    if pattern == RESUME_FROM:
        raise refused(name, pattern, "can't be allowed: warm starts wait for a person", "leave it out")


# --- in words --------------------------------------------------------------------------------------------------------


def _ruling(
    outcome: Literal["denied", "held"], rule: str, changes: Iterable[str], beside: Iterable[str] = ()
) -> Ruling:
    return Ruling(outcome, _line(f"{rule}: {', '.join(changes) or 'nothing'}{_beside(list(beside))}"))


def _beside(changes: list[str]) -> str:
    return f"; beside it {', '.join(changes)}" if changes else ""


def _change(key: str, old: object, new: object) -> str:
    return f"{_named(key)} {plain(short(old), 40)} → {plain(short(new), 40)}"


def _named(key: str) -> str:
    return plain(key, 80)


def _and(limits: Iterable[str]) -> str:
    return " and ".join(limits)


def _line(text: str) -> str:
    return " ".join(plain(text, LONGEST).split())
