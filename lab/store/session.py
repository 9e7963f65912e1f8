"""A session as it is kept: what it works on, under which budgets, and what it has used."""

from datetime import datetime
from typing import Any, ClassVar, Literal

from pydantic import Field

from lab.base import Record, Upgrades
from lab.space import Group, Objective, Task


class Budgets(Record):
    """What a session may use; None is without limit."""

    hours: float | None = Field(default=None, gt=0)
    max_runs: int | None = Field(default=None, ge=1)
    max_tokens: int | None = Field(default=None, ge=1)
    max_dollars: float | None = Field(default=None, gt=0)


class Spent(Record):
    """What a session has used."""

    tokens: int = 0
    dollars: float = 0.0
    """0 where the model's price is not known."""
    seconds: float = 0.0
    """Without the pauses between interruption and resume."""
    training: float = 0.0
    """Seconds of these in which replicates were trained or evaluated."""
    search: float = 0.0
    """Seconds of those that went to proposals, whoever made them."""
    confirming: float = 0.0
    """Seconds of those that went to fresh seeds of proposals; the rest is the baseline and replicates of incumbents."""


def _spent(old: dict[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in old.items() if key not in ("tokens", "active_seconds")}
    return {**kept, "spent": {"tokens": old.get("tokens", 0), "seconds": old.get("active_seconds", 0.0)}}


def _contenders(old: dict[str, Any]) -> dict[str, Any]:
    """Runs that it was laid out for are no longer what the error budget is divided among."""
    return {key: value for key, value in old.items() if key != "candidates"}


Approval = Literal["auto", "manual", "policy"]


class Leading(Record):
    """One line of `leader.jsonl`: the run that the search believed to be best. Nothing is claimed of it."""

    time: datetime
    trained: int
    """Replicates of the session that had ended by then."""
    run: str
    mean: float
    """Score that the search's model believed of its config, in the objective's units."""
    gain: float
    """How much better than the incumbent's that was; more is better, whatever the objective's direction."""
    replicates: int
    """Of its config that had a score."""


class SessionRecord(Record):
    """`runs/sessions/<id>/session.json`."""

    UPGRADES: ClassVar[Upgrades] = {1: _spent, 2: _contenders}

    schema_version: Literal[3] = 3
    session_id: str
    env_name: str
    preset: str
    objective: str
    model: str
    base_url: str | None = None
    approve: Approval
    seeds: int
    settings: dict[str, Any] = Field(default_factory=dict)
    """Overrides of the preset that the person gave with --set."""
    task: Task = Task()
    """What every run of the session is scored on."""
    prune: bool = False
    """End runs that look hopeless beside their peers."""
    mirrors: tuple[Literal["tensorboard", "wandb"], ...] = ()
    parallel: int | None = None
    """Replicates at once; None derives it."""
    min_effect: float | None = None
    """The smallest difference that matters, in the objective's units; None derives it from the noise floor."""
    confirm: str | None = None
    """The preset on which a run has to be confirmed too before it is incumbent; None for the session's own alone."""
    contenders: int | None = None
    """That it may name, as it was laid out when it began; the error budget is divided among them. None for the usual
    number."""
    target: float | None = None
    """Score of the incumbent, in the objective's units, at which the session is over."""
    budgets: Budgets
    created: datetime
    spent: Spent = Spent()
    ended: datetime | None = None
    ended_because: str | None = None

    @property
    def replicates(self) -> int | None:
        """What its budget of runs buys, however it is spent: runs times seeds; None without a limit."""
        return None if self.budgets.max_runs is None else self.budgets.max_runs * self.seeds

    @property
    def goal(self) -> Objective:
        """The objective as a value."""
        return Objective.of(self.objective, self.env_name)

    @property
    def group(self) -> Group:
        """The runs it works on."""
        return Group(self.env_name, self.objective, self.preset, self.task.key)
