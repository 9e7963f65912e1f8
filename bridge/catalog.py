"""Every tool that a client may call: its name, what it does to the world, who may call it, and how a call goes."""

import json
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, NamedTuple

from pydantic import ValidationError

from agent.model import redacted
from bridge import acting, analysing, reading
from bridge.analysing import PREFIX
from bridge.answers import Answer, told
from bridge.door import Door
from lab.base import AutopilotError, plain, rule_of
from tools import Tool, make_tool

Flag = Literal["", "--allow-decisions", "--allow-train"]
SHOWN = 2_000
"""Characters of an error that a client is told."""


@dataclass(frozen=True)
class Offer:
    """One tool as clients see it."""

    tool: Tool
    title: str
    reads_only: bool = True
    destroys: bool = False
    """Whether it undoes or ends something."""
    same_again: bool = False
    """Whether the same call again changes nothing more."""
    needs: Flag = ""
    """The flag of `autopilot mcp` without which it is not there."""

    @property
    def name(self) -> str:
        """The tool's name, with the prefix that tells it from other servers' tools."""
        return PREFIX + self.tool.name

    @cached_property
    def arguments(self) -> dict[str, Any]:
        """The schema of its arguments, which allows no others."""
        return self.tool.arguments.model_json_schema()

    @cached_property
    def answer(self) -> dict[str, Any]:
        """The schema of its structured answer."""
        kind: type[Answer] = typing.get_type_hints(self.tool.function)["return"]
        return kind.model_json_schema(mode="serialization")

    def allowed(self, door: Door) -> bool:
        """Whether a client has this tool."""
        return {"": True, "--allow-decisions": door.decisions, "--allow-train": door.training}[self.needs]


def _reads(function: Callable[..., Any], title: str) -> Offer:
    return Offer(make_tool(function), title, same_again=True)


OFFERS = (
    _reads(reading.status, "How the night stands"),
    _reads(reading.digest, "What a night came to"),
    _reads(reading.runs, "The latest runs"),
    _reads(reading.run, "One run with its diagnosis"),
    _reads(reading.report, "A run's report"),
    _reads(reading.metrics, "Learning curves"),
    _reads(reading.logs, "What a replicate printed"),
    _reads(reading.compare, "Two runs compared"),
    _reads(reading.query, "SQL over runs and metrics"),
    _reads(reading.lessons, "What was learnt of the keys"),
    _reads(reading.space, "The search space"),
    _reads(reading.suggest, "What the optimizer would try"),
    _reads(acting.check_config, "Whether a config is valid"),
    _reads(reading.proposals, "Proposals"),
    _reads(reading.job, "How a job stands"),
    Offer(make_tool(acting.start), "Begin a night", reads_only=False),
    Offer(make_tool(acting.resume), "Resume a night", reads_only=False),
    Offer(make_tool(acting.stop), "Stop a night or a job", reads_only=False, destroys=True, same_again=True),
    Offer(make_tool(acting.export), "Export a policy", reads_only=False),
    Offer(make_tool(acting.probe), "Measure the fastest topology", reads_only=False),
    Offer(make_tool(acting.stage_proposal), "Propose a run", reads_only=False),
    Offer(make_tool(analysing.next_analysis), "Take the next analysis", reads_only=False),
    Offer(analysing.WRITE_REPORT, "Write the report of an analysis", reads_only=False),
    Offer(analysing.PASS_ROUND, "Pass a turn to the optimizer", reads_only=False),
    Offer(analysing.STAGE_SWEEP, "Propose a sweep", reads_only=False),
    Offer(analysing.END_SEARCH, "End the session's search", reads_only=False, destroys=True),
    Offer(make_tool(acting.approve), "Approve a proposal", reads_only=False, needs="--allow-decisions"),
    Offer(make_tool(acting.reject), "Reject a proposal", reads_only=False, destroys=True, needs="--allow-decisions"),
    Offer(make_tool(acting.train), "Train one config", reads_only=False, needs="--allow-train"),
    Offer(make_tool(acting.confirm), "Confirm a run on fresh seeds", reads_only=False, needs="--allow-train"),
)
BY_NAME = {offer.name: offer for offer in OFFERS}


class Outcome(NamedTuple):
    """What a call came to."""

    text: str
    """JSON of the answer, or the sentences of an error."""
    value: dict[str, Any] | None
    """The structured answer; None where the call was refused or failed."""


def call(door: Door, name: str, arguments: Mapping[str, Any]) -> Outcome:
    """Do what a client asked for; whatever goes wrong is told to the client.

    Args:
        door: the workspace as this client reaches it.
        name: of the tool, as the client wrote it.
        arguments: JSON values, as the client wrote them.
    """
    offer = BY_NAME.get(name)
    if offer is None:
        return _refusal(f"there is no tool {plain(name, 80)!r}; there are {_names(door)}")
    if not offer.allowed(door):
        return _refusal(f"{name} needs 'autopilot mcp {offer.needs}', which a person starts; there are {_names(door)}")
    try:
        values = offer.tool.arguments.model_validate_json(json.dumps(dict(arguments)))
    except ValidationError as error:
        return _refusal(_wrong(offer, error))
    try:
        door.analysis()  # which takes note that who has one was heard of
        given = {field: getattr(values, field) for field in type(values).model_fields}
        return Outcome(*told(offer.tool.function(door, **given)))
    except AutopilotError as error:
        return _refusal(str(error))
    except Exception as error:  # noqa: BLE001 - a mistake of ours in one tool must not end the server
        return _refusal(f"the tool itself failed: {type(error).__name__}: {error}")


def _refusal(reason: str) -> Outcome:
    return Outcome(redacted(plain(reason, SHOWN)), None)


def _names(door: Door) -> str:
    return ", ".join(offer.name for offer in OFFERS if offer.allowed(door))


def _wrong(offer: Offer, error: ValidationError) -> str:
    """What pydantic found wrong, a clause each, and what the tool takes."""
    known: dict[str, Any] = offer.arguments.get("properties", {})
    clauses = []
    for item in error.errors()[:5]:
        where = ".".join(plain(str(part), 60) for part in item["loc"]) or "arguments"
        unknown = item["type"] == "extra_forbidden" and len(item["loc"]) == 1
        clauses.append(f"{where}: {'is no argument of this tool' if unknown else rule_of(item)}")
    required = offer.arguments.get("required", [])
    takes = ", ".join(f"{name} (required)" if name in required else name for name in known) or "no arguments"
    return f"{'; '.join(clauses)}. {offer.name} takes {takes}"
