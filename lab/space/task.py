"""What is trained and scored: a task, the group of runs that share it, and what the user says of both."""

import hashlib
import json
import re
from typing import Annotated, Any

from pydantic import AfterValidator, ConfigDict, Field

from lab.base import Record, wrong
from lab.space.aggregate import Rule


class Task(Record):
    """What a run is scored on: fixed by whoever starts a session or a run, out of reach of any proposal."""

    env: dict[str, Any] = Field(default_factory=dict)
    """Arguments of the environment's constructor, without `num_envs`."""
    slots: int = 64
    """Parallel environments (slots) of the final evaluation."""
    steps: int = 4000
    """Steps of each slot, where the environment counts its episodes itself; else the most that they may take."""
    episodes: int = 8
    """Complete episodes of each slot, where their ends can be seen."""

    told: Rule = "sum"
    """How numbers told at each step become one of the episode; as it was before there was a choice if nothing is."""

    @property
    def key(self) -> str:
        """A short hash of the task; equal tasks have equal hashes."""
        told = {"told"} if self.told == "sum" else set()  # tasks of earlier versions keep their hashes
        text = json.dumps(self.model_dump(exclude=told), sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()[:8]


def _callable(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*", text):
        raise wrong("is not module:callable", 'call = "module:callable"')
    return text


class Variant(Record):
    """A named stand-in that the user declares in `autopilot.toml` for an environment, a reward or a policy."""

    call: Annotated[str, AfterValidator(_callable)]
    """The stand-in as `module:callable`, importable from the workspace or installed."""
    arguments: dict[str, bool | int | float | str] = Field(default_factory=dict)
    env: str | None = None
    """The one environment that the stand-in is for; None for any."""


class Limit(Record):
    """What the user says of one key in `[space]` of `autopilot.toml`."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False)

    low: float | None = None
    high: float | None = None
    choices: tuple[bool | int | float | str, ...] = Field(default=(), strict=False)
    frozen: bool = False
    """Whether no proposal may change the key."""
    open: bool = False
    """Whether proposals may change the key although it belongs to the task."""
