"""What a session's policy leaves to a search: the rule itself, and the space that it narrows a search to."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from lab.search.points import Choice, Range, SearchSpace
from lab.space import Config


@dataclass(frozen=True)
class Permits:
    """The rules of a policy as a search sees them."""

    denied: Callable[[str, Mapping[str, Any]], str | None]
    """A function of a run and changes to its config: why the changes may not be made, None where they may."""
    narrow: Callable[[Range | Choice, Any], Range | Choice | None] = lambda dimension, _: dimension
    """What is left of a key's values around the one that it has; None where it may not be changed."""
    most: int | None = None
    """Keys that may change at once; None for any number."""

    def __call__(self, parent: str, changes: Mapping[str, Any]) -> str | None:
        """Why changes of a run's config may not be made; None where they may."""
        return self.denied(parent, changes)

    def narrowed(self, space: SearchSpace, config: Config) -> SearchSpace:
        """The part of a space that is left around a config."""
        left = [self.narrow(dimension, config.get(dimension.key)) for dimension in space.dimensions]
        return SearchSpace(tuple(dimension for dimension in left if dimension is not None))
