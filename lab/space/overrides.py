"""Overrides that a person sets, read from the command line or a form."""

import json
from typing import Any

from lab.base import InvalidInput, Problem


def assignments(settings: list[str] | None) -> dict[str, Any]:
    """The overrides in `KEY=VALUE` texts; a value is JSON where it can be read as such, else a text."""
    values: dict[str, Any] = {}
    for item in settings or ():
        key, equals, text = item.partition("=")
        if not equals or not key.strip():
            raise InvalidInput(
                [Problem(key="set", value=repr(item), rule="is not KEY=VALUE", valid="train.ent_coef=0.01")]
            )
        try:
            values[key.strip()] = json.loads(
                text.strip().replace("_", "") if text.strip().replace("_", "").isdigit() else text
            )
        except ValueError:
            values[key.strip()] = text.strip()
    return values
