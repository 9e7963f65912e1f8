"""Files from the folder of a run or a session, as pages show them: pictures, logs, transcripts.

A link that leads out of the folder is not followed.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from lab.base import NotFound, RunPaths, SessionPaths, plain, read_lines
from lab.store import Notebook

LOG = 200_000
"""Characters of a log that are shown, the last ones."""
PICTURES = {".png": "image/png", ".webp": "image/webp"}
"""Endings of pictures, with what a browser is told."""
MESSAGES = 400
"""Lines of a transcript that are shown, the first ones."""
TITLE = 90
"""Characters of a turn's title."""
SAID = 20_000
"""Characters of one message that are shown."""


def own(path: Path, folder: Path) -> bool:
    """Whether a file is there and lies in its run's or session's folder; a link that leads elsewhere does not."""
    try:
        return path.is_file() and path.resolve().is_relative_to(folder.resolve())
    except OSError:
        return False


def pictures_of(paths: RunPaths | SessionPaths, under: str) -> dict[str, str]:
    """The pictures of a folder: name to where the page serves it."""
    return {name: f"{under}/pictures/{file.name}" for name, file in sorted(picture_files(paths).items())}


def picture_files(paths: RunPaths | SessionPaths) -> dict[str, Path]:
    """The files of a folder's pictures, by name."""
    found = (path for kind in PICTURES for path in paths.plots.glob(f"*{kind}"))
    return {path.stem: path for path in found if own(path, paths.dir)}


def log_of(notebook: Notebook, run_id: str, seed: int) -> str:
    """The end of what a replicate's process printed.

    Raises:
        NotFound: there is no such run, seed or log.
    """
    paths = notebook.paths(run_id)
    path = paths.seed(seed).log
    if seed not in notebook.run(run_id).seeds or not own(path, paths.dir):
        raise NotFound(f"run {run_id} has no log of seed {seed}")
    with path.open("rb") as file:
        file.seek(0, 2)
        file.seek(max(0, file.tell() - LOG))
        return plain(file.read().decode("utf-8", errors="replace"), LOG)


class Turn(NamedTuple):
    """What a model said at once, and what it was answered; before the first of them, what it was told."""

    title: str
    lines: list[dict[str, str]]


def transcript_of(notebook: Notebook, run_id: str) -> tuple[list[Turn], bool]:
    """The transcript of a run's analysis, turn by turn, and whether there is more of it.

    Raises:
        NotFound: there is no such run, or it has none.
    """
    paths = notebook.paths(run_id)
    path = paths.transcript
    if not own(path, paths.dir):
        raise NotFound(f"run {run_id} has no transcript")
    turns = [Turn("What the model was told", [])]
    for number, line in enumerate(read_lines(path)):
        if number == MESSAGES:
            return turns, True
        said = list(_said(line))
        if line.get("kind") == "message" and line.get("role") == "assistant":
            turns.append(Turn(f"{len(turns)}: {_titled(said)}", []))
        turns[-1].lines.extend(said)
    return turns, False


def _titled(said: list[dict[str, str]]) -> str:
    """What a turn does: the tools that it calls, else how its text begins."""
    calls = [one["role"] for one in said if one["role"].startswith("calls ")]
    text = " ".join(said[0]["text"].split()) if said else "says nothing"
    return ", ".join(calls) or plain(text, TITLE)


def _said(line: dict[str, Any]) -> Iterator[dict[str, str]]:
    if line.get("kind") == "analysis":
        yield {"role": "analysis", "text": f"{line.get('model')}, begun {str(line.get('time'))[:19]} UTC"}
    elif line.get("kind") == "end":
        yield {"role": "end", "text": plain(str(line.get("gave_up") or "complete"), SAID)}
    elif line.get("kind") == "message":
        if text := str(line.get("content") or ""):
            yield {"role": plain(str(line.get("role")), 20), "text": plain(_pretty(text), SAID)}
        calls = line.get("tool_calls") or ()
        for call in calls if isinstance(calls, list) else ():
            if isinstance(call, dict):
                name, arguments = plain(str(call.get("name")), 60), _pretty(str(call.get("arguments")))
                yield {"role": f"calls {name}", "text": plain(arguments, SAID)}


def _pretty(text: str) -> str:
    """A text as it is, or JSON with lines."""
    if not text.startswith(("{", "[")):
        return text
    try:
        return json.dumps(json.loads(text), indent=1, ensure_ascii=False)
    except (ValueError, RecursionError):
        return text
