"""The base of all records that are stored, with the functions that name and date them."""

import secrets
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from pydantic import BaseModel, ConfigDict

SCHEMA: Final = 1


def now() -> datetime:
    """The present time, in UTC."""
    return datetime.now(UTC)


def new_id(at: datetime) -> str:
    """A name that sorts by time and does not collide, such as `2025-09-20T162635Z-k3f9`."""
    alphabet = "abcdefghjkmnpqrstuvwxyz23456789"
    return f"{at:%Y-%m-%dT%H%M%SZ}-{''.join(secrets.choice(alphabet) for _ in range(4))}"


Upgrades = Mapping[int, Callable[[dict[str, Any]], dict[str, Any]]]
"""A schema's version to a function that turns its records into those of the next version."""


class Record(BaseModel):
    """The base of all records that are stored."""

    # JSON has no NaN: as null it could not be read where a number is due, and would mean "unknown" where one may be.
    model_config = ConfigDict(extra="forbid", frozen=True, ser_json_inf_nan="strings")
