"""The skill for agents, put where they look for it. It lies in `skills/`, which is installed with the program.

What was written is kept as hashes beside it, so that a newer version replaces its own files and never what somebody
has changed.
"""

import hashlib
from collections.abc import Mapping
from itertools import chain
from pathlib import Path
from typing import Annotated

import typer

from lab.base import Damaged, Record, Workspace, invalid, plain, read_model, write_atomic, write_model

SKILLS = Path(__file__).resolve().parent.parent / "skills"
NAME = "autopilot"
PLACES = (".claude/skills", ".agents/skills")
"""Where Claude Code looks, and where Codex and others do, in the folder that they are started in."""
MARK = ".installed.json"
YOURS = ".yours"


class Installed(Record):
    """`.installed.json`: what was written, name of each file to its hash."""

    files: dict[str, str]


def skill(
    context: typer.Context,
    what: Annotated[str, typer.Argument(metavar="install", help="Write the skill; an older one is replaced.")],
    to: Annotated[
        Path | None,
        typer.Option("--to", metavar="DIR", help="Folder of skills; else .claude/skills and .agents/skills here."),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help=f"Files that you changed too; yours are kept as NAME{YOURS}.")
    ] = False,
) -> None:
    """Install the skill that tells an agent how to use autopilot: when, which tools, which mistakes."""
    if what != "install":
        raise invalid("skill", what, "is nothing that can be done with it", "install")
    workspace: Workspace = context.obj
    folders = [to / NAME] if to is not None else [workspace.root / place / NAME for place in PLACES]
    files = {str(path.relative_to(SKILLS / NAME)): path.read_bytes() for path in _below(SKILLS / NAME)}
    changed = {folder: names for folder in folders if (names := _changed(folder, files))}
    if changed and not overwrite:
        where = " and in ".join(plain(str(folder), 300) for folder in changed)
        rule = f"is not what was installed in {where}"
        valid = f"--overwrite, which keeps yours as NAME{YOURS}, or another --to"
        raise invalid("skill", ", ".join(dict.fromkeys(chain(*changed.values()))), rule, valid)
    for folder in folders:
        try:
            written = _install(folder, files)
        except OSError as error:
            raise invalid("to", str(folder), f"can't be written to ({error.strerror})", "another folder") from error
        said = f"{written} file{'' if written == 1 else 's'} written" if written else "up to date"
        typer.echo(f"{plain(str(folder), 1000)}: {said}")


def _install(folder: Path, files: Mapping[str, bytes]) -> int:
    """Write what differs, keep what somebody changed beside it, remove what is ours and no more; how many it were."""
    before, ours, count = _installed(folder), _changed(folder, files), 0
    for name, content in files.items():
        path = folder / name
        if path.is_file() and path.read_bytes() == content:
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        if name in ours:
            path.replace(_free(path))
        write_atomic(path, content)
        count += 1
    for name in set(before) - set(files):
        path = folder / name
        if path.is_file() and _hash(path.read_bytes()) == before[name]:
            path.unlink()
            count += 1
    hashes = {name: _hash(content) for name, content in files.items()}
    if count and hashes != before:
        write_model(folder / MARK, Installed(files=hashes))
    return count


def _free(path: Path) -> Path:
    """A name for what somebody changed that nothing has yet."""
    for number in range(1, 1000):
        kept = path.with_name(f"{path.name}{YOURS}{'' if number == 1 else number}")
        if not kept.exists():
            return kept
    raise invalid("to", str(path.parent), f"has a thousand files {path.name}{YOURS}", "another folder")


def _changed(folder: Path, files: Mapping[str, bytes]) -> list[str]:
    """Files there that are neither what would be written nor what was written before."""
    before = _installed(folder)
    there = {name: folder / name for name in files if (folder / name).exists() or (folder / name).is_symlink()}
    held = {name: path.read_bytes() if path.is_file() else b"" for name, path in there.items()}
    return [name for name, content in held.items() if content != files[name] and _hash(content) != before.get(name)]


def _installed(folder: Path) -> dict[str, str]:
    """What was written before, name to hash; empty where that can't be told."""
    try:
        found = read_model(folder / MARK, Installed).files
    except (OSError, Damaged):
        return {}
    below = {name: digest for name, digest in found.items() if not Path(name).is_absolute()}
    return {name: digest for name, digest in below.items() if ".." not in Path(name).parts}


def _below(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*.md") if path.is_file())


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
