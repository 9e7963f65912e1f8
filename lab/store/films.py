"""What was filmed of a run: animated pictures of its best and its worst replicate, or why there are none."""

from typing import Literal

from lab.base import Damaged, Record, RunPaths, read_model

Kind = Literal["best", "worst", "only"]
"""Which replicate; `only` where a run has one."""


class Film(Record):
    """One episode of one replicate."""

    kind: Kind
    seed: int
    """Of the replicate."""
    steps: int = 0
    """Of the environment, that were played."""
    episode_return: float = 0.0
    ended: bool = False
    """Whether the episode came to its end within the film."""
    problem: str | None = None
    """Why there is no picture; None where there is one."""


class Films(Record):
    """`films.json` of a run."""

    schema_version: Literal[1] = 1
    films: tuple[Film, ...]


def films_of(paths: RunPaths) -> tuple[Film, ...]:
    """What was filmed of a run; none where nothing was asked for."""
    try:
        return read_model(paths.films, Films).films
    except (FileNotFoundError, Damaged):
        return ()
