"""What the rules of `[policy]` say of a proposal: approved, denied or held for a person, and by which rule."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from agent.approval.policy import RESUME_FROM, RESUME_MODE, SLACK, PolicySettings
from lab.base import AutopilotError, InvalidInput, number, plain, short
from lab.judge import expected_seconds, is_topology
from lab.space import Config, Inventory, space_of
from lab.store import Lab, Notebook, Proposal, refuse_unfit

LONGEST = 8000
"""Characters of a ruling."""


class Ruling(NamedTuple):
    """What the rules say of a proposal."""

    outcome: Literal["approved", "denied", "held"]
    """`held`: a person has to decide."""
    rule: str
    """The rule that made it so, with every key that the proposal changes: one line of plain text."""


def rule_on(proposal: Proposal, lab: Lab, settings: PolicySettings) -> Ruling:
    """What becomes of a proposal by the rules; follows from them and the record alone, and changes nothing.

    No table switches off the first three: topology and device are never changed, warm starts are a person's to decide,
    and what is stale or not valid (`refuse_unfit`) does not pass. What a proposal changes is what differs between its
    parent's config and its own, each key of which is one of its overrides: what follows from them, such as the batch,
    is no key.

    Args:
        proposal: that waits for a decision.
        lab: where its parent is, and the runs that say how long it would take.
        settings: the rules.
    """
    try:
        base = lab.notebook.config(proposal.parent)
    except AutopilotError as error:
        return _ruling(
            "denied", f"its parent can't be read ({plain(str(error), 300)})", map(_named, proposal.overrides)
        )
    changed = {key: (base.get(key), new) for key, new in proposal.overrides.items() if base.get(key) != new}
    if proposal.sweep is not None:
        changed = {key: (base.get(key), span.text) for key, span in proposal.sweep.keys.items()}
    case = _Case(proposal, lab.notebook, lab.inventory, settings, base, changed)
    rules: tuple[Callable[[_Case], Ruling | None], ...] = (
        _topology,
        _warm_start,
        _unfit,
        _unpredicted,
        _too_many,
        _too_long,
    )
    if proposal.sweep is not None:  # each of its configs keeps to max_keys; what it does not predict, its search does
        rules = (_topology, _unfit, _too_long, _sweep)
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
        """The changes of some keys, in words."""
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
    metric = case.proposal.goal.metric
    if not case.settings.prediction or any(made.metric == metric for made in case.proposal.predictions):
        return None
    rule = f"policy.prediction, nothing is predicted of {plain(metric, 60)}"
    if case.proposal.arm == "person":  # whoever edits a proposal predicts nothing, and means to decide
        return case.ruled("held", f"{rule}, and a person made it, who may approve it")
    return case.ruled("denied", rule)


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
    replicates = 1 if case.proposal.sweep is not None else case.proposal.replicates  # a sweep's runs are one each
    estimate = expected_seconds(case.notebook, config, case.proposal.group, replicates)
    rule = f"policy.max_minutes = {most:.6g}"
    if estimate is None:
        return case.ruled("denied", f"{rule}, no run has measured yet how fast this trains")
    if estimate.seconds <= most * 60 * (1 + SLACK):
        return None
    how, runs = "very roughly" if estimate.rough else "about", len(estimate.runs)
    took = f"{how} {number(estimate.seconds / 60)} minutes by {runs} {'runs' if runs > 1 else 'run'}"
    return case.ruled("denied", f"{rule}, it would take {took}")


def _sweep(case: _Case) -> Ruling | None:
    """The ends of each range have to pass, by one entry: what lies between passes too."""
    space, sweep = space_of(case.inventory.environment(case.base.env_name)), case.proposal.sweep
    assert sweep is not None  # noqa: S101 - asked of sweeps alone
    passed, stopped = list[str](), list[str]()
    for key, span in sweep.keys.items():
        named = [(count, entry) for count, entry in enumerate(case.settings.allow, start=1) if entry.names(key)]
        ends = [end for end in span.ends if not _is_old(end, case.base.get(key))]
        by = next(
            (
                count
                for count, entry in named
                if all(all(entry.limits(space[key], case.base.get(key), end).values()) for end in ends)
            ),
            None,
        )
        (stopped if by is None else passed).append(
            f"{_named(key)} {plain(span.text, 80)}" + (f" by policy.allow[{by}]" if by else "")
        )
    if stopped:
        return Ruling("denied", _line(f"no rule allows all of {', '.join(stopped)}"))
    return Ruling("approved", _line(f"a sweep of {', '.join(passed)}"))


def _is_old(end: object, old: object) -> bool:
    return end == old and isinstance(end, bool) is isinstance(old, bool)


def _entries(case: _Case) -> Ruling:
    space = space_of(case.inventory.environment(case.base.env_name))
    passed: list[str] = []
    stopped: dict[str, str] = {}
    for key, (old, new) in case.changed.items():
        named = [(count, entry) for count, entry in enumerate(case.settings.allow, start=1) if entry.names(key)]
        limits = {count: entry.limits(space[key], old, new) for count, entry in named}
        by = next((count for count, kept in limits.items() if all(kept.values())), None)
        if by is None:
            missed = "; ".join(f"policy.allow[{count}] wants it {_and(kept)}" for count, kept in limits.items())
            stopped[key] = _change(key, old, new) + (f" ({missed})" if missed else "")
        else:
            passed.append(f"policy.allow[{by}]: {_change(key, old, new)} {_and(limits[by])}".strip())
    if stopped:
        beside = [key for key in case.changed if key not in stopped]
        return Ruling("denied", _line(f"no rule allows {', '.join(stopped.values())}{_beside(case.changes(beside))}"))
    return Ruling("approved", _line("; ".join(passed)))


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
