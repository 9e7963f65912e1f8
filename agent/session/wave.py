"""Runs that train side by side, each in a thread of its own, and are recorded in the order of their making.

So what the record says does not depend on which of them was faster.
"""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from lab.space import Inventory
from lab.store import Notebook, RunRecord
from training import OnProgress, Options, Runner, Stopped, train_run

TICK = 0.2


@dataclass
class Wave:
    """What trains them."""

    notebook: Notebook
    runner: Runner
    inventory: Inventory
    stop: threading.Event
    """Set by a signal: give up what is going on."""
    options: Options

    def train(self, runs: list[RunRecord], on_progress: OnProgress, trained: Callable[[], None]) -> list[RunRecord]:
        """Train queued runs to their ends.

        Args:
            runs: in the order in which they are recorded.
            on_progress: called with each replicate's progress, from several threads.
            trained: called once all have trained, before the first is recorded; may raise Stopped.

        Raises:
            Stopped: on request; the runs that had not ended are queued again.
            TrainingFailed: one could not be carried out; the others have ended or are queued.
        """
        recorded = [threading.Event() for _ in runs]
        left = threading.Barrier(len(runs), action=trained)

        def one(at: int) -> RunRecord:
            def in_turn() -> None:
                try:
                    left.wait()
                except threading.BrokenBarrierError:
                    if self.stop.is_set():
                        raise Stopped("stopped on request") from None
                if at:
                    recorded[at - 1].wait()

            try:
                return train_run(
                    self.notebook, self.runner, self.inventory, runs[at].run_id, on_progress, self.stop.is_set,
                    self.options, in_turn,
                )  # fmt: skip
            except BaseException:
                left.abort()  # nobody waits for what does not come
                raise
            finally:
                recorded[at].set()

        if len(runs) == 1:
            return [one(0)]
        with ThreadPoolExecutor(len(runs), thread_name_prefix="training") as threads:
            futures = [threads.submit(one, at) for at in range(len(runs))]
        return [future.result() for future in futures]
