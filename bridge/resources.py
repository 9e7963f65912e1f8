"""What a client may read by address, and the prompts that a person picks in it."""

import json
import re
from typing import Any, NamedTuple

from agent.model import redacted
from bridge import jobs, reading
from bridge.answers import LONGEST
from bridge.door import Door
from lab.base import NotFound, plain
from lab.store import Sessions, notes_in
from report import digest_now, render

SCHEME = "autopilot://"
LISTED = 10
"""The newest runs and sessions that are listed one by one; the templates reach all."""
KEYS = ("losses/entropy", "losses/approx_kl", "losses/explained_variance", "SPS")
"""Curves that a run's metrics have beside the objective's, where it logged them."""


class Place(NamedTuple):
    """A resource, or a template of some."""

    uri: str
    name: str
    description: str
    mime: str


TEMPLATES = (
    Place("autopilot://runs/{id}/report", "report", "A run's report.", "text/markdown"),
    Place("autopilot://runs/{id}/metrics", "metrics", "A run's metrics and learning curves.", "application/json"),
    Place("autopilot://sessions/{id}/digest", "digest", "What a night came to.", "text/markdown"),
    Place("autopilot://jobs/{id}", "job", "How a command stands that a tool has begun.", "application/json"),
)
NOTES = Place("autopilot://notes", "notes", "What the user wants every analysis to know.", "text/markdown")


def places(door: Door) -> list[Place]:
    """The resources that are listed one by one: the notes, the newest reports and digests.

    Args:
        door: whose workspace.
    """
    found = [NOTES]
    for run in reversed(door.notebook.latest(LISTED)):
        if door.notebook.paths(run.run_id).report.exists():
            uri = f"{SCHEME}runs/{run.run_id}/report"
            found.append(Place(uri, f"report of {run.run_id}", "A run's report.", "text/markdown"))
    for name in Sessions(door.workspace).names()[:LISTED]:
        if door.workspace.session(name).digest.exists():
            uri = f"{SCHEME}sessions/{name}/digest"
            found.append(Place(uri, f"digest of {name}", "What a night came to.", "text/markdown"))
    return found


def read(door: Door, uri: str) -> tuple[str, str]:
    """The text of a resource and its MIME type.

    Args:
        door: whose workspace.
        uri: as the client wrote it.

    Raises:
        NotFound: there is no such resource.
    """
    if uri == NOTES.uri:
        return _fitted(notes_in(door.workspace)), NOTES.mime
    match = re.fullmatch(r"autopilot://(runs|sessions|jobs)/([^/]{1,80})(?:/(\w+))?", uri)
    kind, name, part = match.groups() if match else ("", "", None)
    match kind, part:
        case "runs", "report":
            return _fitted(reading.report(door, name).report), "text/markdown"
        case "runs", "metrics":
            return _fitted(json.dumps(_metrics(door, name))), "application/json"
        case "sessions", "digest":
            record = Sessions(door.workspace).named(name)
            return _fitted(digest_now(door.notebook, door.proposals, record)), "text/markdown"
        case "jobs", None:
            return _fitted(jobs.look(door, name).model_dump_json()), "application/json"
    valid = ", ".join(place.uri for place in (*TEMPLATES, NOTES))
    raise NotFound(f"there is no resource {plain(uri, 120)!r}; there are {valid}")


def _metrics(door: Door, name: str) -> dict[str, Any]:
    details = reading.run(door, name).details
    there = reading.metrics(door, name).names
    wanted = [*there[:1], *(key for key in KEYS if key in there[1:])]
    curves = reading.metrics(door, name, wanted, 20).curves if wanted else {}
    return {"run": details["run"], "metrics": details["metrics"], "greedy": details["greedy"], "curves": curves}


def _fitted(text: str) -> str:
    text = redacted(text)
    if len(text) <= LONGEST:
        return text
    return f"{text[:LONGEST]}\n\n[cut: {len(text) - LONGEST:,} more characters]"


# --- prompts ---------------------------------------------------------------------------------------------------------


class Prompt(NamedTuple):
    """A prompt that a person picks."""

    name: str
    description: str
    arguments: tuple[tuple[str, str], ...]
    """Name of each argument, none of which is required, and what it is for."""


PROMPTS = {
    prompt.name: prompt
    for prompt in (
        Prompt("start_night", "Begin a night of hyperparameter research.", (
            ("env", "The environment; else the one that the settings name."),
            ("hours", "How long it may take."),
        )),
        Prompt("morning_review", "Go through what a night came to.", (
            ("session", "Which night; the latest if none."),
        )),
        Prompt("be_researcher", "Be the researcher of a night: take its analyses, one after the other.", ()),
        Prompt("analyse_run", "Read a run, say what is wrong, propose the next.", (
            ("run", "Its number, part of its id, or latest; the latest if none."),
        )),
    )
}  # fmt: skip


def prompt(door: Door, name: str, arguments: dict[str, str]) -> str:
    """The text of a prompt.

    Args:
        door: what the client may do.
        name: of the prompt.
        arguments: name to value, as the person gave them.

    Raises:
        NotFound: there is no such prompt, or it has no such argument.
    """
    known = PROMPTS.get(name)
    if known is None:
        raise NotFound(f"there is no prompt {plain(name, 80)!r}; there are {', '.join(PROMPTS)}")
    names = [argument for argument, _ in known.arguments]
    if unknown := [argument for argument in arguments if argument not in names]:
        raise NotFound(f"{plain(unknown[0], 80)!r} is no argument of {name}; there are {', '.join(names)}")
    given = {argument: plain(arguments.get(argument, ""), 80) for argument in names}
    return render(f"agents/{name}.md.j2", **given, decisions=door.decisions)
