"""Overrides that a person sets, read from the command line or a form."""

import json
import re
from typing import Any

from lab.base import LARGEST, InvalidInput, Problem


def assignments(settings: list[str] | None) -> dict[str, Any]:
    """The overrides in `KEY=VALUE` texts; a value is a number or JSON where it can be read as such, else a text.

    Raises:
        InvalidInput: one is not written so, or a key is set to two values.
    """
    values: dict[str, Any] = {}
    for item in settings or ():
        key, equals, text = item.partition("=")
        if not equals or not key.strip():
            raise InvalidInput(
                [Problem(key="set", value=repr(item), rule="is not KEY=VALUE", valid="train.ent_coef=0.01")]
            )
        key, value = key.strip(), _value(text.strip())
        if values.setdefault(key, value) != value:
            both = f"{values[key]} and {value}"
            raise InvalidInput([Problem(key=key, value=both, rule="is given more than once", valid="one value")])
    return values


NUMBER = re.compile(r"([+-]?\d[\d_]*(?:\.\d[\d_]*)?(?:[eE][+-]?\d+)?)([kKMGB]?)")
TIMES = {"": 1, "k": 10**3, "K": 10**3, "M": 10**6, "G": 10**9, "B": 10**9}


def _value(text: str) -> Any:
    """A number where it is one, also as `1M`, `2e6` and `1_000_000`; else what JSON makes of it; else the text."""
    if (found := NUMBER.fullmatch(text)) is not None and text != found[2]:
        digits = found[1].replace("_", "")
        plain = digits.lstrip("+-").isdigit() and not found[2]
        number = int(digits) if plain else float(digits) * TIMES[found[2]]
        whole = isinstance(number, float) and number.is_integer() and (found[2] or "e" in digits.lower())
        return int(number) if whole and abs(number) < LARGEST else number
    try:
        return json.loads(text)
    except ValueError:
        return text
