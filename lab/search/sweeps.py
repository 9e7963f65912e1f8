"""Sweeps: the part of a search space that a proposal allows, approved once for all configs in it."""

from collections.abc import Collection, Mapping
from dataclasses import replace

from lab.base import invalid
from lab.search.arms import ARMS
from lab.search.points import Choice, Range, SearchSpace
from lab.space.parameters import Scalar
from lab.store import Span, Sweep


def sweep_of(
    space: SearchSpace, arm: str, replicates: int, *, keys: Collection[str] = (), ranges: Mapping[str, Span] = {}
) -> Sweep:
    """A sweep over keys of a space.

    Args:
        space: the keys that a search may change, each with its range.
        arm: who chooses the configs.
        replicates: of all of them together, 1 or more.
        keys: which keys; all if empty.
        ranges: narrower ones, for some of them.

    Raises:
        InvalidInput: no such arm, or no such key to search.
    """
    if arm not in ARMS:
        raise invalid("arm", arm, "is no arm", ", ".join(ARMS))
    known = {dimension.key: _span(dimension) for dimension in space.dimensions}
    wanted = list(keys or ranges or known)
    if unknown := [key for key in (*wanted, *ranges) if key not in known]:
        raise invalid(unknown[0], "swept", "is no key that a search may change here", ", ".join(known) or "none")
    return Sweep(keys={key: ranges.get(key, known[key]) for key in wanted}, arm=arm, replicates=replicates)


def swept(space: SearchSpace, sweep: Sweep) -> SearchSpace:
    """The part of a space that a sweep allows; its own ranges hold, even where they go beyond the space's."""
    left = [_narrowed(dimension, sweep.keys.get(dimension.key)) for dimension in space.dimensions]
    return SearchSpace(tuple(dimension for dimension in left if dimension is not None))


def _span(dimension: Range | Choice) -> Span:
    if isinstance(dimension, Choice):
        return Span(values=tuple(value for value in dimension.values if value is not None))
    return Span(low=dimension.low, high=dimension.high)


def _narrowed(dimension: Range | Choice, span: Span | None) -> Range | Choice | None:
    if span is None:
        return None
    values: tuple[Scalar, ...] = span.values
    if values:
        return Choice(dimension.key, values, dimension.work) if len(values) > 1 else None
    if isinstance(dimension, Choice) or span.low is None or span.high is None or span.low >= span.high:
        return None
    return replace(dimension, low=span.low, high=span.high)
