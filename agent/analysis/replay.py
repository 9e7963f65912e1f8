"""An analysis once more, from its transcript: the same answers of the model and of the tools, and no network.

The loop, the templates and the tools that end an analysis run as they are today. Where everything is as it was, report
and proposal come out byte for byte; a changed prompt, tool or template shows as a difference.
"""

import difflib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from agent.analysis.analyst import author_text, cost_text, finished_report, without_proposal
from agent.analysis.briefing import opening_of
from agent.analysis.loop import Analysis, GaveUp
from agent.analysis.outset import Outset
from agent.analysis.transcript import Transcript
from agent.model import Budget, Message, ModelError, Reply, Usage
from lab.base import Damaged, NotFound, read_lines
from lab.search import ARMS, Permits
from lab.store import Lab, Prediction, Proposal
from tools import DENIED, TOOLS, Answer, Asked, Toolbox, ToolContext, checked_draft

Line = dict[str, Any]
NOTHING_YET = datetime.min.replace(tzinfo=UTC)
EARLIER = "sampler"
"""The arm of earlier versions that proposed by itself."""
DOING = ("stage_proposal", "stage_sweep", "pass_round", "write_report", "end_search")
"""Tools that are carried out again; what the others answered is taken as it was."""


@dataclass(frozen=True)
class Difference:
    """Something that came out otherwise."""

    what: str
    """Such as `report`."""
    diff: str
    """Unified, recorded against replayed."""


@dataclass(frozen=True)
class Replay:
    """What replaying a run's analyses came to."""

    requests: int
    reports: int
    proposals: int
    """How many of each were made again."""
    differences: tuple[Difference, ...]


def replay_run(lab: Lab, run_id: str) -> Replay:
    """Every analysis of a run that came to its end, again.

    Raises:
        NotFound: the run has no transcript with such an analysis.
    """
    path = lab.notebook.paths(run_id).transcript
    recorded = [
        lines for lines in _analyses(read_lines(path) if path.exists() else iter(())) if lines[0].get("situation")
    ]
    ended = [lines for lines in recorded if lines[-1].get("kind") == "end"]
    if not ended:
        raise NotFound(
            f"run {run_id!r} has no analysis to replay: none that a session began and ended is in {path.name}"
        )
    try:
        again = [_Again(lab, run_id, lines) for lines in ended]
        for before, analysis in zip([None, *again], again, strict=False):
            analysis.carry_out(before)
    except (KeyError, TypeError, AttributeError, ValueError) as error:  # pydantic's is a ValueError
        raise Damaged(f"{path}: is no transcript as the program writes it ({type(error).__name__}: {error})") from error
    differences = [difference for analysis in again for difference in analysis.differences]
    if unread := _unread(path):
        differences.append(Difference("transcript", f"{unread} of its lines can't be read"))
    return Replay(
        sum(analysis.requests for analysis in again),
        sum(analysis.reported for analysis in again),
        sum(len(analysis.drafts) for analysis in again),
        tuple(differences),
    )


def _unread(path: Path) -> int:
    """Lines that are there and no record."""
    written = sum(bool(line.strip()) for line in path.read_bytes().splitlines())
    return written - sum(1 for _ in read_lines(path))


def _analyses(lines: Iterator[Line]) -> Iterator[list[Line]]:
    analysis: list[Line] = []
    for line in lines:
        if line.get("kind") == "analysis" and analysis:
            yield analysis
            analysis = []
        analysis.append(line)
    if analysis:
        yield analysis


class _Again:
    """One analysis."""

    def __init__(self, lab: Lab, run_id: str, lines: Sequence[Line]) -> None:
        self.head, self.gave_up = lines[0], lines[-1]["gave_up"]
        self.said = [line for line in lines if line.get("kind") == "message"]
        self.differences: list[Difference] = []
        self.reported = False
        self.context = Outset.recorded(self.head).context(lab, lab.notebook.run(run_id), _denials(self.said))
        self.context.names = _names(self.said)
        self._asked = [line for line in self.said if "usage" in line]

    @property
    def requests(self) -> int:
        """Answers of the model."""
        return len(self._asked)

    @property
    def drafts(self) -> tuple[Proposal, ...]:
        """What it staged; of a model that was given up nothing was."""
        return self.context.drafts if self.gave_up is None else ()

    def carry_out(self, before: "_Again | None") -> None:
        """Run the loop on what was recorded, and compare.

        Args:
            before: the analysis before it, which this one finished if the model was given up there.
        """
        toolbox = _Recorded(self.context, [line for line in self.said if line["role"] == "tool"])
        self._compare("tools", self.head["tools"], toolbox.schemas)
        opening = opening_of(self.head["situation"])
        model = _Recording(self.head["model"], self._asked, self.gave_up)
        budget = Budget(allowed=self.head["turns"])
        analysis = Analysis(model, toolbox, self.context, _Nowhere(), opening, budget)
        try:
            analysis.run()
        except GaveUp as error:
            self._compare("ending", self.gave_up, str(error))
        self._compare("conversation", [_message(line) for line in self.said], analysis.messages)
        if self.context.subject.arm in (*ARMS, EARLIER):
            without_proposal(self.context)
        for draft in self.drafts:
            self._compare_proposal(draft)
        if self.context.report is not None and self.context.done:
            self._compare_report(before)

    def _compare_proposal(self, made: Proposal) -> None:
        try:
            kept = self.context.proposals.get(made.proposal_id)
        except NotFound:
            self.differences.append(Difference("proposal", f"{made.proposal_id} is no longer there"))
            return
        first = kept.model_copy(update={"decisions": kept.decisions[:1]})
        self._compare("proposal", first.model_dump(mode="json"), made.model_dump(mode="json"))

    def _compare_report(self, before: "_Again | None") -> None:
        finishes = before is not None and before.gave_up is not None and self.head["model"] == "offline"
        paid = before if before is not None and finishes else self
        fell_back = paid.gave_up if finishes else None
        who = author_text(paid.head["model"], fell_back)
        tokens = sum(Usage(**line["usage"]).total for line in paid._asked)
        dollars = [line["dollars"] for line in paid._asked if line["dollars"] is not None]
        author = who + cost_text(paid.requests, tokens, sum(dollars) if dollars else None)
        draft, path = self.context.report, self.context.notebook.paths(self.context.subject.run_id).report
        if draft is None or not path.exists():
            return
        self.reported = True
        text = finished_report(self.context, draft, checked_draft(self.context, draft), author).text
        self._compare("report", path.read_text(encoding="utf-8"), text)

    def _compare(self, what: str, recorded: Any, made: Any) -> None:
        one, other = (
            value if isinstance(value, str) else json.dumps(_plain(value), indent=2) for value in (recorded, made)
        )
        if one != other:
            lines = difflib.unified_diff(one.splitlines(), other.splitlines(), "recorded", "replayed", lineterm="", n=1)
            self.differences.append(Difference(what, "\n".join(lines)))


class _Recording:
    """A model that answers as it did."""

    def __init__(self, name: str, asked: Sequence[Line], gave_up: str | None) -> None:
        self.name = name
        self._replies, self._gave_up = iter(asked), gave_up

    def complete(self, messages: Sequence[Message], tools: Sequence[dict[str, Any]]) -> Reply:
        """The next recorded answer."""
        line = next(self._replies, None)
        if line is None:
            raise ModelError(self._gave_up or "the transcript ends here")
        return Reply(message=_message(line), usage=Usage(**line["usage"]), finish=line["finish"])


class _Recorded(Toolbox):
    """Tools that answer as they did; those that end an analysis are carried out again."""

    def __init__(self, context: ToolContext, answers: Sequence[Line]) -> None:
        super().__init__(TOOLS, context)
        self._answers = iter(answers)

    def call(self, name: str, arguments: str) -> Answer:
        """The next recorded answer."""
        line = next(self._answers, {"content": '{"error": "the transcript ends here"}'})
        recorded = line["content"]
        if name in DOING:
            # What was made later was not there when it was answered. What was staged had no twin then: the times of
            # runs do not tell, since one is made a moment before it can be seen, and its own run may be there by now.
            if next(_names([line]), None) is not None:
                self._context.before = NOTHING_YET
            elif "time" in line:
                self._context.before = datetime.fromisoformat(line["time"])
            if name == "pass_round":
                self._context.asked = _asked(recorded)
            return super().call(name, arguments)
        answer = json.loads(recorded)
        if not {"error", "cut"} & answer.keys():  # what was refused, or too long to be shown whole, can't be cited
            self._context.answers[name] = answer
        return Answer(True, recorded)


class _Nowhere(Transcript):
    """Keeps nothing."""

    def __init__(self) -> None:
        """No file."""

    def add(self, message: Message, **more: Any) -> None:
        """Nothing."""

    def end(self, why: str | None) -> None:
        """Nothing."""


def _names(said: Sequence[Line]) -> Iterator[tuple[datetime, str]]:
    """When the recorded proposals were made, and their names."""
    for line in said:
        if line["role"] == "tool" and '"created"' in line["content"]:
            answer = json.loads(line["content"])
            if isinstance(answer, dict) and answer.get("proposal") and answer.get("valid"):
                yield datetime.fromisoformat(answer["created"]), answer["proposal"]


def _asked(recorded: str) -> tuple[Asked, ...]:
    """What the optimizer asked for when a turn was passed: a search of today knows more, and would ask for another."""
    answer = json.loads(recorded)
    if "error" in answer:
        return ()
    predictions = tuple(Prediction.model_validate(made) for made in answer["predictions"])
    return (Asked(answer["parent"], answer["changes"], predictions),)


def _denials(said: Sequence[Line]) -> Permits:
    """What the session's policy denied, as it did: its rules, and how long a run may be expected to take, change."""
    calls: dict[str, Line] = {}
    denied: dict[str, str] = {}
    for line in said:
        calls |= {call["id"]: call for call in line.get("tool_calls", ())}
        if line["role"] != "tool" or calls[line["tool_call_id"]]["name"] != "stage_proposal":
            continue
        reason = str(json.loads(line["content"]).get("error", ""))
        if reason.startswith(DENIED):
            changes = json.loads(calls[line["tool_call_id"]]["arguments"])["changes"]
            denied[json.dumps(changes, sort_keys=True)] = reason.removeprefix(DENIED)
    return Permits(lambda _, changes: denied.get(json.dumps(changes, sort_keys=True)))


def _message(line: Line) -> Message:
    return Message.model_validate({key: line[key] for key in Message.model_fields if key in line})


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value.model_dump(exclude_defaults=True) if isinstance(value, Message) else value
