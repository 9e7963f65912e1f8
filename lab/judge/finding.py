"""A finding about a training: what was seen, what it usually means, and which moves would put that to the test.

It crosses to the model, the report and the page, so it is a record of its own. `lab/judge/diagnosis.py` makes them.
"""

from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Direction = Literal["up", "down"]


class Weight(StrEnum):
    """How much hangs on a finding."""

    ILL = "ill"
    """Something stands in the way of learning: worth the next run."""
    NOTE = "note"
    """Worth knowing; nothing that asks for a remedy."""


class Move(BaseModel):
    """A change of one key that would test a finding: if the finding is right, it helps."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    key: str
    """Dotted, such as `train.learning_rate`."""
    direction: Direction

    @property
    def text(self) -> str:
        """The move in words, such as `learning_rate down`."""
        return f"{self.key.split('.', 1)[-1]} {self.direction}"


class Finding(BaseModel):
    """One finding about a run, or about all runs of a group."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    """Name of the finding, such as `updates_too_large`."""
    weight: Weight
    statement: str
    """What was seen, a clause without a full stop: `updates move the policy too far`."""
    evidence: str
    """The figures behind it, with how many replicates show it."""
    meaning: str = ""
    """What it usually means, a sentence that the next run can refute."""
    moves: tuple[Move, ...] = ()
    """Changes that would test it, the likeliest remedy first."""
    metrics: tuple[str, ...] = ()
    """The curves and metrics that it was seen in, under their own names."""
    strength: float = Field(ge=0, le=1)
    """Strength of the evidence times how much of the run it explains; findings are ranked by it, ill ones first."""

    @property
    def sentence(self) -> str:
        """Statement and evidence in one sentence; a metric's name at its head stays as it is."""
        first = self.statement.partition(" ")[0]
        said = self.statement if first in self.metrics else f"{self.statement[:1].upper()}{self.statement[1:]}"
        return f"{said} ({self.evidence})."


def ranked(findings: list[Finding]) -> tuple[Finding, ...]:
    """Findings in the order in which they deserve attention: what is ill first, the best founded first of all."""
    return tuple(sorted(findings, key=lambda one: (one.weight is not Weight.ILL, -one.strength)))
