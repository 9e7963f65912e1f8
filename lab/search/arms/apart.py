"""Arms that need torch, which takes seconds to import and is kept apart: Optuna's GP and PufferLib's Protein.

Each has a process of its own that stays, since importing takes longer than proposing.
"""

import weakref
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from lab.search.history import Ask, History, best_mean, each
from lab.search.points import Point

if TYPE_CHECKING:
    from concurrent.futures import ProcessPoolExecutor


@dataclass
class ApartArm:
    """One of the two, in its process."""

    name: Literal["gp", "protein"]
    replicates: int = 1
    _process: "ProcessPoolExecutor" = field(init=False)

    def __post_init__(self) -> None:
        import multiprocessing
        from concurrent.futures import ProcessPoolExecutor
        from multiprocessing.util import Finalize

        self._process = ProcessPoolExecutor(1, multiprocessing.get_context("spawn"))
        # A forked process waits for its children before it ends, and these for it; their queue is closed at 10.
        Finalize(self._process, _end, (weakref.ref(self._process),), exitpriority=20)

    def propose(self, history: History, count: int) -> list[Ask]:
        """The process's answer."""
        points = self._process.submit(_there, self.name, history, count).result()
        return each(points, self.replicates, history)

    def leader(self, history: History) -> int | None:
        """The highest mean."""
        return best_mean(history.trials)

    def close(self) -> None:
        """End the process."""
        self._process.shutdown(cancel_futures=True)


def _end(process: "weakref.ref[ProcessPoolExecutor]") -> None:
    if (there := process()) is not None:
        there.shutdown(cancel_futures=True)


def _there(name: str, history: History, count: int) -> list[Point]:
    from lab.search.arms.proposer import propose

    return propose(name, history, count)
