"""A proposal as it is kept: what to train next, why, what will happen, and what was decided."""

import hashlib
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal

from pydantic import Field

from lab.base import SCHEMA, Record
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
    """Dotted key to new value, as changes to the parent's config."""
    theory: str
    predictions: tuple[Prediction, ...] = ()
    decisions: tuple[Decision, ...]

    @property
    def state(self) -> ProposalState:
        """Where it is in its life."""
        return self.decisions[-1].state

    @property
    def version(self) -> str:
        """A hash of all that the proposal says: what a person has seen is still so while the version is the same."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:16]

    @property
    def changes(self) -> str:
        """The overrides on one line, such as `train.gamma = 0.99, train.ent_coef = 0.01`."""
        return ", ".join(f"{key} = {value}" for key, value in self.overrides.items())

    @property
    def brief(self) -> str:
        """The overrides that matter most on one line, such as `train.gamma = 0.99, train.ent_coef = 0.01, +17`."""
        keys, more = few(self.overrides)
        return ", ".join(f"{key} = {self.overrides[key]}" for key in keys) + more

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
