"""The budget of a night in turns, tokens, dollars and time: asked before each request, charged after each.

What was spent is saved as it is spent, so a restart goes on from there.
"""

import re
import threading
import time
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from agent.model.chat import Usage
from lab.base import Record, Table, Tables, Workspace
from lab.store import Budgets, Spent

TURNS = 24
"""Requests that one analysis may take."""


class Price(Record):
    """The price of a model in US dollars for a million tokens."""

    input: float = Field(ge=0)
    output: float = Field(ge=0)
    cached: float | None = Field(default=None, ge=0)
    """Dollars for input that the endpoint had seen before; as `input` where it has no price of its own."""

    def of(self, usage: Usage) -> float:
        """The cost of a request in dollars; tokens of reasoning are part of the output."""
        cached = self.input if self.cached is None else self.cached
        fresh = max(0, usage.input_tokens - usage.cached_tokens)
        return (fresh * self.input + usage.cached_tokens * cached + usage.output_tokens * self.output) / 1e6


class PriceTables(Tables):
    """`[prices]` in autopilot.toml: models, as the endpoint calls them."""

    prices: Annotated[
        dict[str, Price],
        Table(
            example='[prices."my-model"] with input = 1 and output = 4',
            values="dollars, as in input = 1.25",
            names="input, output, cached",
        ),
    ] = Field(default_factory=dict)


def price_of(workspace: Workspace, model: str) -> Price | None:
    """The price of a model by `[prices]` in autopilot.toml, else by the table that comes with the program.

    Args:
        workspace: whose autopilot.toml is read.
        model: as the endpoint calls it; a date at its end is passed over.

    Returns:
        None where neither names it.

    Raises:
        InvalidInput: the table is not written as it has to be.
    """
    shipped = tomllib.loads(Path(__file__).with_name("prices.toml").read_text(encoding="utf-8"))
    for table in (PriceTables.of(workspace).prices, shipped):
        for name in (model, re.sub(r"-20\d\d-?\d\d-?\d\d$", "", model)):
            if name in table:
                return Price.model_validate(table[name])
    return None


Work = Literal["search", "confirming", "incumbent"]
"""Work that the trainer may be at: a proposal; fresh seeds of one; the baseline or replicates of the incumbent."""


@dataclass
class Budget:
    """The budget of a session; or, without limits, of an analysis that nobody pays for."""

    limits: Budgets = field(default_factory=Budgets)
    spent: Spent = field(default_factory=Spent)
    """Amounts spent until the last save; `Budget.seconds` has the time since."""
    price: Price | None = None
    save: Callable[[Spent], None] = lambda _: None
    """Function called after each change of `spent`."""
    allowed: int = TURNS
    """Requests that one analysis may take."""
    turns: int = 0
    """Requests that the present analysis has taken."""
    clock: Callable[[], float] = time.monotonic
    _since: float = field(init=False)
    _trains: Work | None = field(default=None, init=False)
    _lock: threading.RLock = field(default_factory=threading.RLock, init=False)
    """An analysis is charged while a training is timed."""

    def __post_init__(self) -> None:
        self._since = self.clock()

    @property
    def seconds(self) -> float:
        """Time that the session has worked, without the pauses between interruption and resume."""
        return self.spent.seconds + self.clock() - self._since

    def left(self) -> float | None:
        """Seconds until the session's hours are over; None without a limit."""
        return None if self.limits.hours is None else max(0.0, self.limits.hours * 3600 - self.seconds)

    def why_over(self) -> str | None:
        """The reason why nothing more may be asked or trained tonight; None while something is left of everything."""
        limits, spent = self.limits, self.spent
        endings = {
            f"the {limits.hours} hours are over": limits.hours is not None and self.seconds >= limits.hours * 3600,
            f"the {limits.max_tokens} tokens are used up": limits.max_tokens is not None
            and spent.tokens >= limits.max_tokens,
            f"the ${limits.max_dollars} are spent": limits.max_dollars is not None
            and spent.dollars >= limits.max_dollars,
        }
        return next((why for why, holds in endings.items() if holds), None)

    def why_not_ask(self) -> str | None:
        """The reason why the present analysis may not make another request; None while it may."""
        if self.turns >= self.allowed:
            return f"no report and proposal after {self.turns} requests"
        return self.why_over()

    def charge(self, usage: Usage) -> float | None:
        """Take a request into account; its dollars, None where the price is not known."""
        self.turns += 1
        dollars = self.price.of(usage) if self.price else None
        self._add(tokens=usage.total, dollars=dollars or 0.0)
        return dollars

    def checkpoint(self, older: float = 0.0) -> None:
        """Save the time that has passed.

        Args:
            older: seconds since the last save below which nothing is done.
        """
        if self.clock() - self._since >= older:
            self._add()

    def works(self, what: Work | None) -> None:
        """Note what the trainer is at work on from now on; None for nothing."""
        with self._lock:
            self._add()
            self._trains = what

    def _add(self, tokens: int = 0, dollars: float = 0.0) -> None:
        with self._lock:
            before, now = self.spent, self.clock()
            took = now - self._since
            self.spent = Spent(
                tokens=before.tokens + tokens,
                dollars=before.dollars + dollars,
                seconds=before.seconds + took,
                training=before.training + (took if self._trains else 0.0),
                search=before.search + (took if self._trains == "search" else 0.0),
                confirming=before.confirming + (took if self._trains == "confirming" else 0.0),
            )
            self._since = now
            self.save(self.spent)
