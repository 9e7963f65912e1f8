"""`autopilot status`: what goes on, how far it is, what waits for a decision."""

from typing import Any

from lab.base import Damaged, NotFound, is_id, last_line, lasting, number
from lab.store import Notebook, Proposals, ProposalState, RunState, Sessions
from report.headline import headline_of
from report.session_status import status_lines, training_of
from report.show import passed_over, proposal_row, say


def status_of(notebook: Notebook, proposals: Proposals) -> dict[str, Any]:
    """What goes on: the running session if there is one, else the latest; how far it is; what waits."""
    workspace = notebook.workspace
    sessions = Sessions(workspace)
    running = sessions.running()
    name = running.session if running else next(iter(sessions.names()), None)
    status: dict[str, Any] = {"running": running.model_dump() if running else None, "session": None}
    record = None
    status |= {"last_event": None, "training": None, "standing": {}, "headline": None}
    if name and is_id(name):  # else 'autopilot confirm' is at work
        paths = workspace.session(name)
        status["last_event"] = last_line(paths.events)
        status["training"] = training_of(notebook, name) if running else None
        try:
            record = sessions.get(name)
            status["session"] = record.model_dump(mode="json")
            headline = headline_of(notebook, proposals, record)
            status["headline"] = headline.model_dump(mode="json")
            status["standing"] = dict(status_lines(notebook, proposals, record, record.spent.seconds))
        except (Damaged, NotFound) as error:
            status["damaged"] = f"session {name} can't be read: {error}"
    failed = None if running else sessions.not_begun(record)
    status["not_begun"] = failed.model_dump(mode="json") if failed else None
    states = [run.state.value for run in notebook.runs(session=name)] if name else []
    if running is None:  # whoever trained them was killed
        states = ["interrupted" if state == RunState.RUNNING else state for state in states]
    status["runs"] = {state: states.count(state) for state in sorted(set(states))}
    live = proposals.live(ProposalState.STAGED, ProposalState.APPROVED)
    status["waiting"] = [proposal_row(notebook, proposal) for proposal in live]
    status["passed_over"] = {**notebook.damaged, **proposals.damaged}
    return status


def print_status(status: dict[str, Any]) -> None:
    """Print what `status` found."""
    if failed := status["not_begun"]:
        say(f"not begun: {failed['asked']}, at {failed['time'][:16].replace('T', ' ')} UTC: {failed['why']}")
    _print_session(status)
    for line in passed_over(status["passed_over"]):
        say(line)


def _print_session(status: dict[str, Any]) -> None:
    session, running = status["session"], status["running"]
    if "damaged" in status:
        say(status["damaged"])
    elif session is None and running:
        say(f"'autopilot {running['session']}' is running: process {running['pid']}, since {running['since']}")
    elif session is None:
        say("no session yet: 'autopilot start' begins one")
    if session is None:
        return
    if running:
        how = f"running: process {running['pid']}, since {running['since']}, for {running['age'] or 'a moment'}"
    else:
        how = f"ended: {session['ended_because']}" if session["ended"] else "interrupted: 'autopilot resume' goes on"
    if status["headline"]:
        say(status["headline"]["text"])
        for label, text in status["headline"]["lines"]:
            say(f"{label:10} {text}")
        say("")
    say(f"session    {session['session_id']} ({how})")
    say(f"on         {session['env_name']}, {session['preset']}, {session['objective']}, model {session['model']}")
    say(f"runs       {', '.join(f'{count} {state}' for state, count in status['runs'].items()) or 'none'}")
    if status["training"]:
        say(f"training   {_training(status['training'])}")
    for label, text in status["standing"].items():
        say(f"{label:10} {text}")
    spent = session["spent"]
    dollars = f", ${spent['dollars']:.2f}" if spent["dollars"] else ""
    busy = 100 * spent["training"] / spent["seconds"] if spent["seconds"] else 0.0
    say(
        f"spent      {lasting(spent['seconds'])}, the trainer busy for {busy:.0f} % of it; {spent['tokens']:,}"
        f" tokens{dollars}"
    )
    if status["last_event"]:
        event = {key: value for key, value in status["last_event"].items() if key not in ("time", "event") and value}
        told = " ".join(str(value) if key == "why" else f"{key} {value}" for key, value in event.items())
        before = ":" if list(event) == ["why"] else ""
        say(f"last       {status['last_event']['event']}{before} {told} at {status['last_event']['time'][:19]} UTC")
    for proposal in status["waiting"]:
        idle = f"; {proposal['waits_for']}" if proposal["waits_for"] else ""
        say(f"{proposal['state']:10} {proposal['proposal_id']}: {proposal['trains']}{idle}")


def _training(run: dict[str, Any]) -> str:
    share = 100 * run["steps"] / run["total_steps"] if run["total_steps"] else 0
    score = "" if run["score"] is None else f", {run['metric']} {number(run['score'])} while it trains"
    speed = f", {run['sps'] / 1e3:,.0f}K SPS in all" if run["sps"] else ""
    return f"{run['name']} ({run['run_id']}): {share:.0f} % of {run['total_steps']:,} steps{speed}{score}"
