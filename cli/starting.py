"""A workspace to begin with: settings, notes, and a small environment to change. They lie in `starter/`."""

from pathlib import Path
from typing import Annotated

import typer

from lab.base import invalid, plain

STARTER = Path(__file__).resolve().parent / "starter"


def init(
    folder: Annotated[Path, typer.Argument(help="Where to; made if it is not there.")] = Path(),
) -> None:
    """Write a workspace of your own: autopilot.toml, notes.md, a small environment to change."""
    files = {folder / path.name.removesuffix(".txt"): path for path in sorted(STARTER.iterdir())}
    for path in files:
        if path.exists() or path.is_symlink():
            raise invalid("folder", str(folder), f"has {path.name} already", "a new folder, or one without that file")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, source in files.items():
            with path.open("x", encoding="utf-8") as file:  # never over what somebody else wrote meanwhile
                file.write(source.read_text(encoding="utf-8"))
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise invalid("folder", str(folder), f"can't be written to ({why})", "another folder") from error
    for path in files:
        typer.echo(f"wrote {plain(str(path), 1000)}")
    typer.echo("next: autopilot train, then autopilot start --max-runs 6 (docs/your-own-environment.md)")
