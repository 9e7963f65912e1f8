"""Early stopping of what is too slow: in a night that is counted in hours, one replicate must not cost as much as ten.

A search that moves all keys comes upon configs which train a hundred times slower than the others, such as those of
many small minibatches; whoever watched them would end them. They count as failed: the search goes elsewhere. Nothing is
ended here that a person asked for, no baseline, no fresh seeds, nor where `autopilot.time_limit` says what a replicate
may take. Nothing here is written to the disk.
"""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from lab.base import lasting
from lab.space import Config
from lab.store import Notebook, RunRecord, RunState, Selection

SLOWEST = 10.0
"""Times as long as is usual that a replicate may take."""
LEAST = 60.0
"""Seconds that any replicate may take."""
LOOK = 20.0
"""Seconds of training after which a pace is known: compiling and the first updates are over."""
RECENT = 9
"""Finished runs of a session whose median is what is usual, where that is more than the incumbent took."""
WHOLE = frozenset(("baseline", "person"))
"""Arms of runs that are trained to their end."""


@dataclass
class Slowness:
    """The watch over how fast a run trains, from `slowness`."""

    usual: float
    """Seconds that training so many steps usually takes."""
    clock: Callable[[], float] = time.monotonic
    _first: dict[int, tuple[float, int]] = field(default_factory=dict, init=False, repr=False)
    _would_take: float = field(default=0.0, init=False, repr=False)

    def saw(self, seed: int, steps: int, total: int) -> None:
        """Take in how far a replicate is.

        Args:
            seed: the replicate.
            steps: agent steps it has trained.
            total: that it trains for.
        """
        at = self.clock()
        began, behind = self._first.setdefault(seed, (at, steps))
        if at - began >= LOOK and steps > behind:
            self._would_take = (at - began) * total / (steps - behind)

    def verdict(self) -> str | None:
        """Why it should be ended, a clause; None where it is fast enough, or not known yet."""
        if self._would_take <= max(LEAST, SLOWEST * self.usual):
            return None
        return f"too slow: it would take {lasting(self._would_take)}, where {lasting(self.usual)} are usual"


def slowness(notebook: Notebook, run: RunRecord, config: Config) -> Slowness | None:
    """The watch over a run; None where it may take as long as it likes, or nobody knows what is usual.

    Args:
        notebook: where the session's other runs are.
        run: about to be trained.
        config: what it trains.
    """
    if run.session is None or run.replicates_of is not None or run.arm in WHOLE:
        return None
    incumbent = notebook.incumbent(run.group)
    if config.autopilot.get("time_limit") is not None or incumbent is None or not notebook.readable(incumbent):
        return None
    steps = int(config.train["total_timesteps"] or 0)
    known = _seconds(notebook, notebook.run(incumbent), steps)
    done = notebook.index.records(Selection(session=run.session, states=(RunState.FINISHED,)))[-RECENT:]
    recent = [took for one in done if (took := _seconds(notebook, one, steps)) is not None]
    usual = [took for took in (known, statistics.median(recent) if recent else None) if took is not None]
    return Slowness(max(usual)) if usual else None


def _seconds(notebook: Notebook, run: RunRecord, steps: int) -> float | None:
    """What so many steps take at the pace of a run's slowest replicate; None where it says nothing of it."""
    known = [
        one.train_seconds / trained
        for one in notebook.results(run)
        if one.train_seconds > 0 and (trained := one.metrics.get("agent_steps", 0.0)) > 0
    ]
    return max(known) * steps if known else None
