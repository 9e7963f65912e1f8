"""A proposal as it is kept: what to train next, why, what will happen, and what was decided."""

import hashlib
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal

from pydantic import Field

from lab.base import SCHEMA, Record, count_of, short
from lab.space import Group, Objective, few


class Prediction(Record):
    """What a proposal says will happen."""

    metric: str
    direction: Literal["up", "down", "same"]
    low: float = Field(allow_inf_nan=False)
    high: float = Field(allow_inf_nan=False)
    coverage: float = Field(gt=0, lt=1)
    """How often such an interval is meant to hold."""


class ProposalState(StrEnum):
    """staged → approved or rejected → running → done; or superseded."""

    STAGED = "staged"
    APPROVED = "approved"
    REJECTED = "rejected"
    RUNNING = "running"
    DONE = "done"
    SUPERSEDED = "superseded"


class Span(Record):
    """What a sweep may set a key to: between two ends, or one of some values."""

    low: float | None = Field(default=None, allow_inf_nan=False)
    high: float | None = Field(default=None, allow_inf_nan=False)
    values: tuple[bool | int | float | str, ...] = ()

    @property
    def ends(self) -> tuple[bool | int | float | str, ...]:
        """The values that have to be allowed for all between them to be."""
        return self.values or tuple(end for end in (self.low, self.high) if end is not None)

    @property
    def text(self) -> str:
        """Such as `0.0001 to 0.01` or `adam, muon`."""
        return ", ".join(map(short, self.values)) if self.values else f"{short(self.low)} to {short(self.high)}"


class Sweep(Record):
    """What a proposal of many configs allows: keys and their ranges, who chooses, and how many replicates."""

    keys: dict[str, Span] = Field(min_length=1)
    arm: str
    """Who chooses the configs, by name."""
    replicates: int = Field(ge=1)
    """Of all its configs together, at most."""

    def covers(self, overrides: Mapping[str, Any]) -> bool:
        """Whether changes lie within it."""
        return all(key in self.keys and _within(self.keys[key], value) for key, value in overrides.items())


def _within(span: Span, value: Any) -> bool:
    if span.values:
        return any(value == one and isinstance(value, bool) is isinstance(one, bool) for one in span.values)
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return number and span.low is not None and span.high is not None and span.low <= value <= span.high


class Decision(Record):
    """One step in a proposal's life; the last one is its state."""

    time: datetime
    state: ProposalState
    who: str
    """`person`, or the policy or program part that decided."""
    why: str = ""
    run_id: str | None = None
    overrides: dict[str, Any] | None = None
    """What the proposal changed when it was approved or rejected."""
    sweep: Sweep | None = None
    """What it allowed then, where it is a sweep."""
    seen: str = ""
    """`Proposal.version` of what a person had before their eyes."""


class Proposal(Record):
    """`proposals/<id>.json`: what to train next, and why."""

    schema_version: Literal[1] = SCHEMA
    proposal_id: str
    created: datetime
    env_name: str
    preset: str
    objective: str
    task: str
    """`Task.key` of its parent's task."""
    parent: str
    """The run whose config the overrides change."""
    parent_config: str
    """That config's fingerprint when the proposal was made."""
    analysed: str
    """The run whose analysis led to it."""
    session: str | None
    arm: str
    overrides: dict[str, Any]
    """Dotted key to new value, as changes to the parent's config; empty where it is a sweep."""
    set_by_person: tuple[str, ...] = ()
    """Of these the keys that a person set who put it in the place of another proposal."""
    sweep: Sweep | None = None
    """The configs that it allows; None where it is about a single one."""
    theory: str
    predictions: tuple[Prediction, ...] = ()
    passed_by: str | None = None
    """Who passed its turn to the optimizer, whose config this is; None where nobody did."""
    batch: str | None = None
    """Of several that one analysis may stage, the name of the first; none of them gives way to another."""
    decisions: tuple[Decision, ...]

    @property
    def state(self) -> ProposalState:
        """Where it is in its life."""
        return self.decisions[-1].state

    @property
    def by(self) -> str:
        """Who made it, as people read it, such as `race, passed by gpt-5`."""
        return self.arm if self.passed_by is None else f"{self.arm}, passed by {self.passed_by}"

    @property
    def version(self) -> str:
        """A hash of all that the proposal says: what a person has seen is still so while the version is the same."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:16]

    @property
    def changes(self) -> str:
        """The overrides on one line, such as `train.gamma = 0.99, train.ent_coef = 0.01`."""
        if self.sweep is not None:
            return "; ".join(f"{key} {span.text}" for key, span in self.sweep.keys.items()) + self._swept
        return ", ".join(f"{key} = {value}" for key, value in self.overrides.items())

    @property
    def _swept(self) -> str:
        assert self.sweep is not None  # noqa: S101 - asked of sweeps alone
        return f" (sweep by {self.sweep.arm}, {count_of(self.sweep.replicates, 'replicate')})"

    @property
    def brief(self) -> str:
        """The overrides that matter most on one line, such as `train.gamma = 0.99, train.ent_coef = 0.01, +17`.

        What a person set comes first: it is what they look for.
        """
        if self.sweep is not None:
            keys, more = few(self.sweep.keys)
            return "; ".join(f"{key} {self.sweep.keys[key].text}" for key in keys) + more + self._swept
        keys, more = few(self.overrides, self.set_by_person)
        six = {key: f"{value:.6g}" if isinstance(value, float) else value for key, value in self.overrides.items()}
        return ", ".join(f"{key} = {six[key]}" for key in keys) + more

    @property
    def replicates(self) -> int:
        """Replicates that it is trained on: one of a single config, unless it says so; of a sweep those of all."""
        return self.sweep.replicates if self.sweep is not None else int(self.overrides.get("autopilot.seeds") or 1)

    @property
    def by_person(self) -> bool:
        """A person made it, or has decided on it."""
        return any(decision.who.startswith("person") for decision in self.decisions)

    @property
    def held(self) -> bool:
        """A policy left it to a person, and nothing newer takes its place."""
        return self.state is ProposalState.STAGED and len(self.decisions) > 1

    @property
    def goal(self) -> Objective:
        """The objective as a value."""
        return Objective.of(self.objective, self.env_name)

    @property
    def group(self) -> Group:
        """The group that its run would belong to."""
        return Group(self.env_name, self.objective, self.preset, self.task)
