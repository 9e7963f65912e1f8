"""Runs that train side by side, each in a thread of its own, and are recorded in the order of their making.

So what the record says does not depend on which of them was faster.
"""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from lab.space import Group
from lab.store import Lab, RunRecord
from training import OnProgress, Options, Runner, Stopped, train_run


@dataclass
class Wave:
    """What trains them."""

    lab: Lab
    runner: Runner
    stop: threading.Event
    """Set by a signal: give up what is going on."""
    options: Options

    def room(self, group: Group) -> int:
        """Replicates of the incumbent's kind that there is room for side by side; 1 while there is no incumbent."""
        notebook, inventory = self.lab.notebook, self.lab.inventory
        incumbent = notebook.incumbent(group)
        if incumbent is None or not notebook.readable(incumbent):
            return 1
        config = notebook.config(incumbent)
        device = inventory.device(config.train["device"])
        return self.runner.room(config, inventory.environment(config.env_name), device)

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
                    self.lab.notebook, self.runner, self.lab.inventory, runs[at].run_id, on_progress,
                    self.stop.is_set, self.options, in_turn,
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


def numbered(mine: Sequence[RunRecord], run: RunRecord, most: int | None) -> str:
    """Which run of a session it is and which replicates it has, such as `run 7, replicate 12 of 60`.

    Args:
        mine: the session's runs, oldest first.
        run: one of them.
        most: replicates that the session may have; None without a limit.
    """
    at = [one.run_id for one in mine].index(run.run_id)
    first = 1 + sum(len(one.seeds) for one in mine[:at])
    last = first + len(run.seeds) - 1
    which = f"replicate {first}" if first == last else f"replicates {first} to {last}"
    budget = "" if not most else f" of {most}" if last <= most else f" (asked for: {most})"
    return f"run {at + 1}, {which}{budget}"
