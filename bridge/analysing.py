"""Tools of an analysis that a client has taken: in a session whose researcher is an agent from outside.

What is called here is carried out by the session, as a model's calls are, and stands in the run's transcript; this
process waits for it. A client's own reading of the record goes the same way while it has an analysis.
"""

import json
import re
import time
from typing import Annotated, Any, Literal

from pydantic import Field, create_model
from pydantic_core import to_jsonable_python

from agent.analysis import Answered, answer_in, opening_in
from agent.model import AGENT, Call, Turn
from bridge import jobs
from bridge.answers import LONGEST, Briefing, Step
from bridge.door import Door, Night
from lab.base import AutopilotError, NotFound, invalid, lasting, plain
from lab.store import RunRecord, Sessions
from tools import TOOLS, Tool

PREFIX = "autopilot_"
POLL = 0.05
"""Seconds between two looks at what the session has done."""
PATIENCE = 45.0
"""Seconds that a call waits to be carried out; clients give up near 60."""
ROOM = 2_000
"""Characters of a briefing that are kept for what is not its texts."""
MODELS = {tool.name: tool.function for tool in TOOLS}
"""The tools that a model has in a session."""
SOURCES = re.compile(r"\n## Sources \(data\)\n(.*?)(?=\n## What is wanted)", re.DOTALL)
WITHIN = "Of the analysis that you have, by its handle from autopilot_next_analysis."
Handle = Annotated[str, Field(min_length=1, max_length=40, description=WITHIN)]
HOW = """Here the tools have the prefix autopilot_, and take the handle as `analysis`. autopilot_write_report and
autopilot_stage_proposal end the analysis; autopilot_pass_round or autopilot_stage_sweep may stand in place of the last.
What you read meanwhile with autopilot_metrics, autopilot_logs, autopilot_compare, autopilot_query, autopilot_lessons,
autopilot_suggest, autopilot_check_config and autopilot_space is part of it: it counts as a call, and can be cited under
the names read_metrics, read_log, compare_runs, query_metrics, lessons_learnt and suggest_configs."""


def next_analysis(
    door: Door,
    analysis: Annotated[Handle | None, Field(description="The one that you have, to read its page again.")] = None,
    wait: Annotated[int, Field(ge=0, le=45, description="Seconds to wait for one.")] = 20,
) -> Briefing:
    """Take the next analysis of a session whose researcher is an agent: its briefing, and a handle to answer with.

    One agent has it at a time, as long as it is heard of. Ask again when it is complete, until the state is `over`.
    """
    until, knocked = time.monotonic() + wait, False
    while (night := door.night()) is not None:
        found = _handed_out(door, night, analysis)
        if found is not None and found.state == "yours":
            return found
        if found is not None and found.analysis is not None and analysis != found.analysis:
            analysis, until = found.analysis, time.monotonic() + PATIENCE  # taken just now: it is being prepared
        if found is None and not knocked:
            night.handover.knock(door.client, door.server)
            knocked = True
        if time.monotonic() >= until:
            said = "Nothing is to be analysed just now, since something trains: ask again."
            return found or Briefing(state="none", said=said, retry_after=1.0)
        time.sleep(POLL)
    return _over(door)


def _handed_out(door: Door, night: Night, analysis: str | None) -> Briefing | None:
    """The briefing of what is offered or under way, or who has it; None where nothing is."""
    turn, handover = night.turn, night.handover
    if turn is None or turn.state == "ended":
        return None
    before = handover.lease(turn)
    mine = before is not None and (before.client, before.server) == (door.client, door.server)
    again = analysis == turn.analysis or (door.alone and mine)
    lease = handover.take(turn, door.client, door.server, again=again)
    if (before is not None and not again) or (lease.client, lease.server) != (door.client, door.server):
        said = (
            f"Agent {lease.client} has the analysis of {turn.run} until it is complete, or was silent for"
            f" {lasting(turn.silence)}; it was heard of at {lease.renewed:%H:%M:%S} UTC. Ask again then."
        )
        return Briefing(state="taken", said=said, run=turn.run, retry_after=turn.silence)
    if turn.state == "offered":
        said = f"The analysis of {turn.run} is yours and is being prepared: ask again with its handle."
        return Briefing(state="none", said=said, analysis=turn.analysis, run=turn.run, retry_after=1.0)
    return _briefing(door, turn)


def _briefing(door: Door, turn: Turn) -> Briefing:
    instructions, page = (*opening_in(door.notebook.paths(turn.run).transcript), "", "")[:2]
    match = SOURCES.search(page)
    sources, page = (match[1].strip() if match else ""), SOURCES.sub("", page)
    room = max(0, LONGEST - ROOM - sum(len(json.dumps(part)) for part in (instructions, page, HOW)))
    while len(json.dumps(sources)) > room:
        sources = sources[: min(room, len(sources) * 9 // 10)]
    cut = ("sources: their end",) if match and len(sources) < len(match[1].strip()) else ()
    left = turn.allowed - turn.number
    said = (
        f"The analysis of {turn.run} is yours, with {left} calls, as long as you are heard of every"
        f" {lasting(turn.silence)}. End it with autopilot_stage_proposal and autopilot_write_report, each with"
        f" analysis = {turn.analysis!r}; then ask for the next one."
    )
    return Briefing(
        state="yours",
        said=said,
        analysis=turn.analysis,
        run=turn.run,
        instructions=f"{instructions}\n\n{HOW}",
        page=page,
        sources=sources,
        calls_left=left,
        silence=turn.silence,
        left_out=cut,
    )


def _over(door: Door) -> Briefing:
    """No session asks for analyses: why, and what begins one."""
    sessions = Sessions(door.workspace)
    if (running := sessions.running()) is not None:
        try:
            record = sessions.get(running.session or "")
        except AutopilotError:
            return Briefing(state="none", said="A session is only just starting: ask again.", retry_after=2.0)
        if record.model != AGENT:
            said = f"Session {record.session_id} asks {record.model} for its analyses, and no agent from outside."
            return Briefing(state="over", said=said)
    if running is None and jobs.begins_a_night(door):
        return Briefing(state="none", said="A session is only just starting: ask again.", retry_after=5.0)
    mine = next((one for one in sessions.all() if one.model == AGENT), None)
    begins = "autopilot_start with model = 'agent' begins one."
    if mine is None:
        return Briefing(state="over", said=f"No session asks agents for its analyses: {begins}")
    if mine.ended is None:
        said = f"Session {mine.session_id} is interrupted: autopilot_resume goes on with it, if you are to."
        return Briefing(state="over", said=said)
    said = f"Session {mine.session_id} is over: {mine.ended_because}. autopilot_digest says what came of it; {begins}"
    return Briefing(state="over", said=said)


def standing(door: Door) -> str | None:
    """How it stands with the analysis that agents are asked for; None where none are."""
    night = door.night()
    if night is None:
        return None
    turn = night.turn
    if turn is None or turn.state == "ended":
        return "none is due; autopilot_next_analysis waits for the next one"
    lease = night.handover.lease(turn)
    if lease is None:
        return f"that of {turn.run} waits for an agent: autopilot_next_analysis takes it"
    return f"agent {lease.client} has that of {turn.run}"


# --- calls that the session carries out ------------------------------------------------------------------------------


def carried_out(door: Door, analysis: str | None, tool: str, arguments: dict[str, Any]) -> Step:
    """What a call of an analysis came to.

    Args:
        door: whose workspace, and who calls.
        analysis: the handle; None for the one that the client has, where no other can come through this door.
        tool: as a model calls it.
        arguments: by the names of its parameters.

    Raises:
        InvalidInput: that analysis is not the client's, or not any more.
        AutopilotError: the tool refuses it, or the session has gone.
    """
    night = door.night()
    if night is None:
        raise NotFound(_over(door).said)
    turn, handover = night.turn, night.handover
    if analysis is None and door.alone and turn is not None and door.analysis() is not None:
        analysis = turn.analysis
    if turn is None or turn.analysis != analysis:
        rule = "is not under way, or not any more" if analysis else "is missing: the handle says which one"
        raise invalid("analysis", plain(analysis or "", 40), rule, "what autopilot_next_analysis hands out")
    text, until = json.dumps(to_jsonable_python(arguments)), time.monotonic() + PATIENCE
    while (call := handover.put(analysis, door.client, door.server, tool, text)) is None:
        if not _goes_on(door, until):
            raise NotFound(_over(door).said)
    while (now := handover.turn()) is not None and _waits(now, call) and _goes_on(door, until):
        pass
    answered = answer_in(door.notebook.paths(call.run).transcript, call.call_id)
    if answered is None:
        why = now.why if now is not None and now.analysis == analysis else ""
        why = why or "the session was interrupted"
        raise AutopilotError(f"{tool} was not carried out: {why}. autopilot_next_analysis says how it stands")
    facts: dict[str, Any] = json.loads(answered.content)
    state, said = _how_it_stands(answered, facts)
    if set(facts) == {"error"}:
        raise AutopilotError(f"{facts['error']}{f' {said}' if answered.ended else ''}")
    left = 0 if answered.ended else max(0, turn.allowed - call.number - 1)
    return Step(facts=facts, analysis=state, said=said, calls_left=left)


def _waits(turn: Turn, call: Call) -> bool:
    """Whether a call is still to be carried out."""
    return turn.analysis == call.analysis and turn.state == "asked" and turn.number <= call.number


def _goes_on(door: Door, until: float) -> bool:
    """Wait a moment for the session; whether it is still there.

    Raises:
        AutopilotError: it has taken too long.
    """
    if time.monotonic() >= until:
        rule = f"is still being carried out after {PATIENCE:g} s"
        raise AutopilotError(f"the call {rule}: autopilot_next_analysis says how the analysis stands")
    time.sleep(POLL)
    return door.night() is not None


def _how_it_stands(answered: Answered, facts: dict[str, Any]) -> tuple[Literal["goes on", "complete", "given up"], str]:
    if answered.gave_up is not None:
        return "given up", f"The analysis was given up ({plain(answered.gave_up, 200)}): ask for the next one."
    if answered.ended:
        return "complete", "The analysis is complete: ask for the next one."
    owed = facts.get("still_owed")
    return "goes on", f"It still owes {PREFIX}{owed}." if owed else "Go on."


def facts_of(
    door: Door, tool: str, run: RunRecord, *, named: str | None = "run", full: bool = False, **arguments: Any
) -> dict[str, Any]:
    """What a model's tool answers: within the analysis that the client has, else from the record alone.

    Args:
        door: whose workspace, and who asks.
        tool: as a model calls it.
        run: that it is about; of another group than the run under analysis it is no part of that.
        named: the tool's parameter that names a run; None where it takes its group from what it is about.
        full: whether it needs what the search believes.
        arguments: the others.
    """
    night = door.analysis()
    if night is not None and night.turn is not None and door.notebook.run(night.turn.run).group == run.group:
        about = {named: run.run_id} if named else {}
        return carried_out(door, night.turn.analysis, tool, {**about, **arguments}).facts
    context = door.full_context(run) if full else door.context(run)
    about = {named: "current"} if named else {}
    facts: dict[str, Any] = MODELS[tool](context, **about, **arguments)
    return facts


def _within(name: str, description: str) -> Tool:
    """A model's tool as a client calls it within its analysis."""
    tool = next(one for one in TOOLS if one.name == name)

    def act(door: Door, analysis: str | None = None, **arguments: Any) -> Step:
        return carried_out(door, analysis, name, arguments)

    fields: dict[str, Any] = {"analysis": (Handle | None, None)}
    takes = create_model(f"{name}_arguments", __base__=tool.arguments, **fields)
    return Tool(name, description, takes, act)


WRITE_REPORT = _within(
    "write_report",
    "Write the report of the analysis that you have: your part of it, to which the program adds config, metrics and"
    " verdict. Figures cited by reference are right by themselves; one that contradicts the record comes back.",
)
PASS_ROUND = _within(
    "pass_round",
    "In place of autopilot_stage_proposal: pass your turn, and the optimizer's own next config is staged.",
)
STAGE_SWEEP = _within(
    "stage_sweep",
    "In place of autopilot_stage_proposal: many configs, approved once; an arm searches these keys from a parent's"
    " config. `ranges` has a key to [low, high], or to its choices.",
)
END_SEARCH = _within(
    "end_search",
    "In place of autopilot_stage_proposal: end the session, only when no further run could teach anything.",
)
