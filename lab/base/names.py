"""The names that folders and files of a workspace may have.

Ids become folder names, so they are checked against a narrow pattern before they touch a path: nothing that a model,
a request or an imported folder says can reach outside the workspace.
"""

import re
from collections.abc import Sequence

from lab.base.errors import NotFound, invalid

ID = re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]{0,79}")
RESERVED = re.compile(r"sessions|jobs|README\.md|not_begun\.json|.*\.(jsonl|lock|sqlite|sqlite-wal|sqlite-shm)")
"""Names of what lies beside the runs' folders."""
NUMBER = re.compile(r"#?([0-9]{1,9})")
"""A run's number, as people say it."""
SHOWN = 5
"""Ids that are named at most where a part fits several, or none."""


def is_reserved(name: str) -> bool:
    """Whether the workspace has a file or folder of this name beside the runs' folders."""
    return RESERVED.fullmatch(name) is not None


def is_id(name: str) -> bool:
    """Whether a name can be that of a run, a session or a proposal."""
    return ID.fullmatch(name) is not None and ".." not in name and not is_reserved(name)


def checked(kind: str, name: str) -> str:
    """The name itself, if a folder of the workspace can have it.

    Raises:
        NotFound: it can't.
    """
    if not is_id(name):
        raise NotFound(f"{kind} {name[:80]!r} is not in this workspace: an id has letters, digits, '.', '_' and '-'")
    return name


def id_called(kind: str, said: str, ids: Sequence[str], lists: str) -> str:
    """The id that somebody means, which they may shorten to any part that no other has.

    Args:
        kind: what it is the id of, in a word.
        said: an id or part of one; a whole number is none, since it means a run wherever a run may be meant.
        ids: those that there are, first whichever is named first where nothing fits.
        lists: the command that lists them.

    Raises:
        NotFound: nothing is called that.
        InvalidInput: several are.
    """
    text = said.strip()
    if text in ids:
        return text
    whole = re.fullmatch(r"#?[0-9]+", text) is not None
    fits = [one for one in ids if text in one] if text and not whole else []
    if len(fits) == 1:
        return fits[0]
    if fits:
        raise invalid(kind, text, "is part of several ids", named(fits))
    there = f"there is {named(ids)}; {lists}" if ids else "there is none yet"
    rule = "a whole number means a run; " if whole else ""
    raise NotFound(f"{kind} {text[:80]!r} is not in this workspace: {rule}{there}")


def named(ids: Sequence[str]) -> str:
    """A few ids one after the other, and that there are more where there are."""
    return ", ".join(ids[:SHOWN]) + (" and more" if len(ids) > SHOWN else "")


def tail(name: str) -> str:
    """The end of an id that the program made, such as `k3f9`, which tells it from others; else the whole name."""
    made = re.fullmatch(r"\d{4}-\d\d-\d\dT\d{6}Z-(\w+)", name)
    return made.group(1) if made else name


def slug(name: str) -> str:
    """An environment's name as part of a file's: what a path can't have becomes a hyphen."""
    return re.sub(r"[^0-9A-Za-z_.-]+", "-", name)[:80]
