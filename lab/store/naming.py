"""What runs are called: by their number, by part of their id, by their place in the night, by a name of one's own.

The id stays the key of folders and links. People say `12`, `#12`, `pchd`, `latest`, `incumbent`, `leader`, `baseline`,
or the name that they gave it with `autopilot name`; wherever a run is asked for, all of these mean it. A proposal is
meant by part of its id. Names and tags are only ever added to `runs/names.jsonl`, the last line of a run counts.
"""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final

from lab.base import (
    NUMBER,
    SHOWN,
    NotFound,
    Record,
    Workspace,
    append_line,
    id_called,
    invalid,
    is_id,
    named,
    now,
    plain,
    read_records,
    tail,
)
from lab.space import Group
from lab.store.notebook import Notebook
from lab.store.proposal import Proposal
from lab.store.proposals import LIVE, Proposals
from lab.store.questions import Questions
from lab.store.records import RunRecord
from lab.store.selection import Selection
from lab.store.sessions import Sessions

ROLES: Final = ("latest", "incumbent", "leader", "baseline")
"""Words that mean a run by its place: of the group with the newest run, fresh seeds of another left out."""
PART = 4
"""Digits from which on somebody may have meant part of an id by a number."""
LONGEST = 60
"""Characters of a name, and of a tag."""
TAGS = 12
"""Of a run, at most."""


class Named(Record):
    """One line of `names.jsonl`: what a person calls a run."""

    time: datetime
    run_id: str
    name: str | None = None
    tags: tuple[str, ...] = ()


def names_in(workspace: Workspace) -> dict[str, Named]:
    """Run id to what a person calls it; lines that can't be read are passed over."""
    return {one.run_id: one for one in read_records(workspace.names, Named)}


def give_name(notebook: Notebook, run_id: str, name: str | None, tags: tuple[str, ...] | None = None) -> Named:
    """Call a run by a name of one's own, or tag it.

    Args:
        notebook: where it is.
        run_id: which.
        name: up to 60 characters, which no other run has; empty takes the name away, None leaves it.
        tags: up to twelve words; None leaves them.

    Raises:
        InvalidInput: the name means another run already, or something is too long.
    """
    known = names_in(notebook.workspace)
    before = known.get(run_id)
    if name is not None:
        name = " ".join(plain(name, 10 * LONGEST).split())
        means = _meant(notebook, name, known)
        if means not in (None, run_id):
            raise invalid("name", name, f"means a run already ({means})", "another name")
        if name.startswith("#"):
            raise invalid("name", name, "begins as a run's number does", name.lstrip("#") or "another name")
        if len(name) > LONGEST:
            raise invalid("name", name, "is too long", f"up to {LONGEST} characters")
    if tags is not None and (bad := [tag for tag in tags if not re.fullmatch(r"[\w.-]+", tag) or len(tag) > LONGEST]):
        raise invalid("tag", bad[0], "is no word", "letters, digits, '.', '_' and '-'")
    if tags is not None and len(tags) > TAGS:
        raise invalid("tag", ", ".join(tags), "are too many", f"up to {TAGS}")
    kept_name = before.name if before else None
    named = Named(
        time=now(),
        run_id=run_id,
        name=kept_name if name is None else name or None,
        tags=tuple(dict.fromkeys(tags)) if tags is not None else (before.tags if before else ()),
    )
    append_line(notebook.workspace.names, named.model_dump(mode="json"))
    return named


def _meant(notebook: Notebook, name: str, known: Mapping[str, Named]) -> str | None:
    """What a name that somebody wants to give means without it, in words; None where it is free.

    The name of one's own comes before a part of an id: with it, that part would mean another run than before.
    """
    if not name:
        return None
    for run_id, one in known.items():
        if one.name and one.name.lower() == name.lower():
            return run_id
    if NUMBER.fullmatch(name) or name.lower() in ROLES or (is_id(name) and notebook.workspace.run(name).dir.exists()):
        found = _or_none(lambda: run_called(notebook, name))
        return f"{name} is {found}" if found else f"{name}, once there is one"
    fits = _with_part(notebook, name, 2)
    return fits[0] if len(fits) == 1 else None


def run_called(notebook: Notebook, said: str) -> str:
    """The id of the run that is meant.

    Args:
        notebook: where it is.
        said: its number (`12`, `#12`: a whole number always means that), its id or any part of it that no other run
            has, `latest`, `incumbent`, `leader`, `baseline`, or the name that somebody gave it.

    Raises:
        NotFound: nothing here is called that.
        InvalidInput: several runs are.
    """
    text = said.strip()
    if match := NUMBER.fullmatch(text):
        if (found := notebook.index.by_number(int(match[1]))) is None:
            raise _unknown(notebook, f"#{match[1]}")
        return found
    if is_id(text) and notebook.workspace.run(text).run.exists():
        return text
    if text.lower() in ROLES:
        return _in_role(notebook, text.lower())
    for run_id, one in names_in(notebook.workspace).items():
        if one.name == text and notebook.workspace.run(run_id).run.exists():
            return run_id
    fits = _with_part(notebook, text, SHOWN + 1)
    if len(fits) == 1:
        return fits[0]
    if fits and text:
        raise invalid("run", text, "is part of several ids", named(fits))
    raise _unknown(notebook, text)


def called_so(notebook: Notebook, text: str) -> list[str]:
    """The runs that a word means by their place, by the name that a person gave them, or by part of it or of a tag.

    Args:
        notebook: where they are.
        text: what somebody looks for, in any case; numbers, ids and keys are not looked for here.
    """
    word = text.strip().lower()
    if word in ROLES:
        return [run] if (run := _or_none(lambda: _in_role(notebook, word))) else []
    named = names_in(notebook.workspace).items() if word else ()
    return [run for run, one in named if any(word in said.lower() for said in (one.name or "", *one.tags))]


def proposal_called(proposals: Proposals, said: str) -> Proposal:
    """The proposal that is meant.

    Args:
        proposals: the queue.
        said: its id, or any part of it that no other proposal has.

    Raises:
        NotFound: nothing here is called that.
        InvalidInput: several are.
    """
    text = said.strip()
    if is_id(text) and proposals.has(text):  # also one that can't be read, which says why
        return proposals.get(text)
    newest = sorted(proposals.all(), key=lambda one: (one.state in LIVE, one.created), reverse=True)
    ids = [one.proposal_id for one in newest]
    return proposals.get(id_called("proposal", text, ids, "'autopilot proposals --all' lists them"))


def about_called(notebook: Notebook, said: str) -> str:
    """The id of the run or the proposal that is meant.

    Args:
        notebook: where it is.
        said: as `run_called` takes it, or a proposal's id or part of it.

    Raises:
        NotFound: nothing here is called that.
        InvalidInput: several are.
    """
    text, proposals = said.strip(), Proposals(notebook.workspace)
    if is_id(text) and proposals.has(text):
        return text
    run = _or_none(lambda: run_called(notebook, text))
    if NUMBER.fullmatch(text) or text == run:
        return run or run_called(notebook, text)
    proposal = _or_none(lambda: proposal_called(proposals, text).proposal_id)
    if run is not None and proposal is not None:
        raise invalid("about", text, "is part of the ids of a run and of a proposal", f"{run}, {proposal}")
    if (found := run or proposal) is None:
        lists = "'autopilot runs' and 'autopilot proposals --all' list them"
        raise NotFound(f"{text[:80]!r} is neither a run nor a proposal here: {_numbers(notebook)}; {lists}")
    return found


def _or_none(ask: Callable[[], str]) -> str | None:
    try:
        return ask()
    except NotFound:
        return None


def number_of(notebook: Notebook, run: RunRecord) -> int:
    """A run's number in its workspace; 0 for one that has none yet."""
    return run.number or notebook.index.number_of(run.run_id) or 0


def _in_role(notebook: Notebook, role: str) -> str:
    """The run in a place, of the group with the newest run.

    Raises:
        NotFound: nothing is there yet.
    """
    if role == "latest":
        latest = notebook.index.rows(Selection(own=True), order="newest", limit=1)
        if latest:
            return latest[0].run_id
        raise NotFound("no runs yet: 'autopilot start' begins a session")
    groups = Questions(notebook.index).groups()
    found = _of_group(notebook, groups[0], role) if groups else None
    if found is None:
        raise NotFound(f"no run is the {role} yet: 'autopilot runs' lists what is there")
    return found


def _of_group(notebook: Notebook, group: Group, role: str) -> str | None:
    if role == "incumbent":
        return notebook.incumbent(group)
    if role == "baseline":
        rows = notebook.index.rows(Selection(group, arm="baseline", own=True, native=True), limit=1)
        return rows[0].run_id if rows else None
    sessions = Sessions(notebook.workspace)
    mine = sorted((one for one in sessions.all() if one.group == group), key=lambda one: one.created)
    believed = [line.run for record in mine for line in sessions.leading(record.session_id)[-1:]]
    return next((run for run in reversed(believed) if notebook.readable(run)), None)


def _unknown(notebook: Notebook, text: str) -> NotFound:
    """What to say where nothing is called that."""
    there = _numbers(notebook)
    lists = ", and 'autopilot runs' lists them" if there.startswith("there are #") else ""
    part = ""
    if (match := NUMBER.fullmatch(text)) and len(match[1]) >= PART:
        means = "; a whole number always means a run's number, never a part of"
        ids = _with_part(notebook, match[1], 1)
        part = "".join(f"{means} {one}{f', which is {tail(one)}' if tail(one) != one else ''}" for one in ids)
    return NotFound(f"run {text[:80]!r} is not in this workspace: {there}{lists}{part}")


def _with_part(notebook: Notebook, text: str, most: int) -> list[str]:
    """The oldest runs with a text somewhere in their ids."""
    asked = "SELECT run_id FROM runs WHERE instr(run_id, ?) > 0 ORDER BY created, run_id LIMIT ?"
    return [str(run_id) for (run_id,) in notebook.index.ask(asked, (text, most))]


def _numbers(notebook: Notebook) -> str:
    """The numbers that runs have here."""
    count = notebook.index.ask("SELECT MAX(nth) FROM runs")[0][0]
    return f"there are #1 to #{count}" if count else "there are no runs yet"
