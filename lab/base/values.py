"""Values that others made (environments, models, tools, imported folders), made fit for a record.

Whatever is written can be read again, by us and by any JSON reader: no NaN, no half of a character, no number beyond 64
bits, no object, no bottomless nesting. Names are text on one line.
"""

import math
from collections.abc import Mapping
from datetime import date
from enum import Enum
from functools import lru_cache
from typing import Any

from pydantic import BaseModel

from lab.base.text import plain

LARGEST = 2**63
"""The bound below which whole numbers are kept: what 64 bits can't hold, few readers can."""
HUGE = 1e100
"""The bound beyond which measured numbers count as infinite: the square of their spread would be."""
DEEP = 20
"""Levels of a nested value that are kept."""
MOST = 10_000
"""Numbers of one report that are kept."""
LONG = 200
"""Characters of a name that are kept."""


def storable(value: Any, depth: int = 0) -> Any:
    """A value in what JSON can hold: other objects become text, or the name of their type.

    Args:
        value: anything.
        depth: levels above it.
    """
    if isinstance(value, BaseModel):
        value = value.model_dump()
    elif hasattr(value, "tolist"):  # NumPy's and torch's
        value = value.tolist()
    if isinstance(value, (Mapping, list, tuple, set, frozenset)):
        return _nested(value, depth) if depth < DEEP else "(nested more deeply than is kept)"
    return _single(value.value if isinstance(value, Enum) else value)


def _nested(value: Any, depth: int) -> Any:
    if isinstance(value, Mapping):
        return {name_of(key): storable(inner, depth + 1) for key, inner in value.items()}
    items = [storable(inner, depth + 1) for inner in value]
    return items if isinstance(value, (list, tuple)) else sorted(items, key=str)


def _single(value: Any) -> Any:
    match value:
        case None | bool():
            return value
        case str():
            return text_of(value)
        case int():
            return int(value) if abs(value) < LARGEST else _digits(value)
        case float():
            return float(value) if math.isfinite(value) else str(float(value))
        case date():
            return value.isoformat()
        case _:
            return f"({type(value).__name__})"


def numbers(report: object, *, several: bool = True) -> dict[str, float]:
    """The numbers of what an environment reports, nested ones by names with slashes; everything else is left out.

    Args:
        report: a dictionary; anything else has no numbers.
        several: an array or list counts with its mean; else only single numbers do.

    Returns:
        Name to number, which may be infinite or NaN: `parted` tells those from the others.
    """
    measured: dict[str, float] = {}
    if isinstance(report, Mapping):
        _gather(report, "", 0, several, measured)
    return measured


def parted(measured: Mapping[str, float]) -> tuple[dict[str, float], dict[str, str]]:
    """Numbers that a record takes, and those that it does not: name to `nan`, `inf`, `-inf` or a number beyond `HUGE`.

    Args:
        measured: name to number.
    """
    odd = {name: f"{number:.6g}" for name, number in measured.items() if not fit(number)}
    return {name: number for name, number in measured.items() if name not in odd}, odd


class Columns:
    """Names as columns of a table: SQL knows no case, so of names that differ in nothing else later ones get a number.

    The same name gets the same column each time.
    """

    def __init__(self) -> None:
        self._columns: dict[str, str] = {}
        self._taken: set[str] = set()

    def named(self, measured: Mapping[str, float]) -> dict[str, float]:
        """Measured numbers by column instead of by name."""
        return {self._columns.get(name) or self._new(name): number for name, number in measured.items()}

    def _new(self, name: str) -> str:
        column, count = name, 1
        while column.casefold() in self._taken:
            column, count = f"{name} ({count + 1})", count + 1
        self._taken.add(column.casefold())
        self._columns[name] = column
        return column


def fit(number: float) -> bool:
    """Whether a record takes a measured number."""
    return abs(number) <= HUGE  # not so for NaN


def name_of(key: object) -> str:
    """A key as text on one line, `LONG` characters at most."""
    match key:
        case Enum():
            return name_of(key.value)
        case str():
            return _line(key)
        case tuple():
            return _line("/".join(map(name_of, key)))
        case int():
            return _digits(key)
        case _ if hasattr(key, "item"):  # a number of NumPy's
            return name_of(key.item())
        case _:
            return str(key) if isinstance(key, (float, type(None))) else type(key).__name__


@lru_cache(maxsize=MOST)  # an environment reports the same names at each step
def _line(text: str) -> str:
    return " ".join(plain(text_of(text), LONG).split())


def text_of(value: str) -> str:
    """A text without halves of characters, which no file can hold."""
    return value.encode(errors="replace").decode()


def _digits(value: int) -> str:
    """The first digits of a whole number of any size; Python itself writes no more than 4,300."""
    return str(value)[:40] if value.bit_length() < 14_000 else f"a whole number of {value.bit_length()} bits"


def _gather(report: Mapping[Any, Any], before: str, depth: int, several: bool, measured: dict[str, float]) -> None:
    for key, value in report.items():
        name = before + (_line(key) if type(key) is str else name_of(key))
        if type(value) is float:  # nearly all are, at each step of an environment
            number: float | None = value
        elif isinstance(value, Mapping):
            if depth < DEEP:
                _gather(value, f"{name}/", depth + 1, several, measured)
            continue
        else:
            number = _number(value, several)
        if number is not None and (name in measured or len(measured) < MOST):
            measured[name] = number


def _number(value: object, several: bool) -> float | None:
    if isinstance(value, (bool, int, float)):
        try:
            return float(value)
        except OverflowError:
            return math.inf if value > 0 else -math.inf
    import numpy as np

    try:
        array = np.asarray(value)
    except (TypeError, ValueError, RuntimeError):  # rows of different lengths; a tensor on a device
        return None
    if array.dtype.kind not in "biuf" or not 1 <= array.size <= (array.size if several else 1):
        return None
    with np.errstate(all="ignore"):  # PufferLib makes exceptions of NumPy's warnings
        return float(array.mean())
