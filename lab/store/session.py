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
Trade = Literal["seconds"]
"""What a person weighs the score against: the time that training takes."""


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


class SlotSeen(Record):
    """A slot of a session."""

    host: str
    """Its machine; empty for this one."""
    gpus: str = ""
    run_id: str | None = None
    """What trains in it; None for nothing."""
    seed: int | None = None


class SlotsSeen(Record):
    """`slots.json`: where a session's replicates train, where they train on several machines or side by side."""

    time: datetime
    slots: tuple[SlotSeen, ...] = ()
    seconds: float = 0.0
    """Of all slots together, while there was something to train."""
    busy: float = 0.0
    """Of these, seconds in which something trained."""


class Trouble(Record):
    """How often a session's model gave up, so that the offline researcher had to finish an analysis."""

    analyses: int
    """That it gave up, in all."""
    in_a_row: int
    """Of them, the last ones without one between them that went well; 0 once it works again."""
    since: datetime | None = None
    """The first of these; None in records of earlier versions."""
    last: datetime
    why: str
    """The reason of the last one."""


class NightPlan(Record):
    """How a night's replicates are laid out, and what could be found at its noise."""

    replicates: int | None
    """That the night has; None without a limit."""
    baseline: int
    """Of them, the baseline's; 0 where the night goes on from an incumbent."""
    reserve: int
    """Of them, those that a proof may take at the most: what it does not need goes to the search."""
    contenders: int
    """That may be named."""
    looks: int
    """At the fresh seeds of each, at most; 0 where there are too few replicates for a proof."""
    noise: float | None = None
    """Standard deviation between replicates, in the objective's units; None while nobody knows."""
    freedom: int = 0
    """Degrees of freedom of that."""
    findable: tuple[float, ...] = ()
    """The gain that is shown in nine of ten cases after each look, in the objective's units."""
    room: float | None = None
    """The most that can be gained on the incumbent; None where the objective has no bound."""
    wanted: float | None = None
    """The smallest difference that a person wants to find; None where nobody said."""
    enough: int | None = None
    """Fresh seeds a side that would show a gain as large as the room; None where nobody knows."""
    hopeless: bool = False
    """Nothing that can be gained could be shown, even if the contender's replicates did not differ at all."""
    firm: bool = False
    """Made with the baseline's own noise."""

    @property
    def search(self) -> int | None:
        """Replicates that are the search's at the least; None without a limit."""
        return None if self.replicates is None else max(0, self.replicates - self.baseline - self.reserve)


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
    largest_run: float = 1.0
    """Share of the session's budget that one run may take where no person approves it."""
    task: Task = Task()
    """What every run of the session is scored on."""
    prune: bool = False
    """End runs that look hopeless beside their peers."""
    mirrors: tuple[Literal["tensorboard", "wandb"], ...] = ()
    mlflow: str | None = None
    """The store of MLflow that it is mirrored to; None for none."""
    parallel: int | None = None
    """Replicates at once; None derives it."""
    executor: Literal["local", "ray", "slurm"] = "local"
    """Where replicates train."""
    repeatable: bool = False
    """Results are held back into an order that does not depend on which machine was faster."""
    address: str | None = None
    """Of the cluster's head, where that is not this machine."""
    min_effect: float | None = None
    """The smallest difference that matters, in the objective's units; None derives it from the noise floor."""
    confirm: str | None = None
    """The preset on which a run has to be confirmed too before it is incumbent; None for the session's own alone."""
    contenders: int | None = None
    """That it may name, as it was laid out when it began; the error budget is divided among them. None for the usual
    number."""
    began_on: str | None = None
    """The preset that it was started with, where it has gone on to longer trainings."""
    lengthened: int = 0
    """Times that it has."""
    plan: NightPlan | None = None
    """How its replicates are laid out, once the baseline is known; None before."""
    target: float | None = None
    """Score of the incumbent, in the objective's units, at which the session is over."""
    control: str | None = None
    """The arm that part of the search is left to, which sees its own runs alone; None for none."""
    control_share: float = Field(default=0.2, gt=0, le=0.5)
    """Of the search's replicates, the control arm's."""
    model_share: float = Field(default=0.3, gt=0, le=1)
    """Of the other new configs, the model's; the optimizer's are the rest."""
    ahead: int = Field(default=1, ge=1, le=8)
    """Proposals that a model may stage in one analysis."""
    trouble: Trouble | None = None
    """How its model fared; None where it never gave up."""
    trade: Trade | None = None
    """What the search weighs the score against; None where the score alone counts."""
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
