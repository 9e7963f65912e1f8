"""One analysis at a time in a thread of its own, so that the trainer need not wait for a model."""

import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field

from agent.analysis.analyst import Analyst, Outcome
from agent.model.budget import Budget
from lab.store.records import RunRecord

TICK = 0.2


@dataclass(frozen=True)
class Thought:
    """An analysis under way."""

    subject: str | None
    """The run that the model analyses; None where only reports of control runs are written."""
    _future: Future[Outcome | None]

    @property
    def done(self) -> bool:
        """It is through, well or badly."""
        return self._future.done()

    @property
    def failed(self) -> bool:
        """It broke, or was given up: `outcome` raises."""
        return self.done and self._future.exception() is not None

    def wait(self, patience: float | None, stop: threading.Event) -> bool:
        """Give it time; whether it is through then.

        Args:
            patience: seconds; None for as long as it takes.
            stop: ends the waiting when it is set; the analysis sees it too, and gives up.
        """
        left = patience
        while not self.done and (left is None or left > 0) and not stop.is_set():
            wait([self._future], TICK if left is None else min(TICK, left))
            left = None if left is None else left - TICK
        return self.done

    def outcome(self) -> Outcome | None:
        """What the model came to; waits for it.

        Raises:
            Stopped: it was given up on request.
        """
        return self._future.result()


@dataclass
class Thinker:
    """Has runs analysed, one after the other."""

    analyst: Analyst
    budget: Budget
    _pool: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(1, thread_name_prefix="analysis"), init=False
    )

    def begin(self, run: RunRecord | None, steps_left: int | None, controls: Sequence[RunRecord] = ()) -> Thought:
        """Begin to analyse a run.

        Args:
            run: it has ended; None where only the others are due.
            steps_left: agent steps that the session's time leaves; None without a limit.
            controls: runs of the control arm, ended, that are reported on before.
        """

        def work() -> Outcome | None:
            for control in controls:
                self.analyst.report_control(control)
            return None if run is None else self.analyst.analyse(run, self.budget, steps_left)

        return Thought(run.run_id if run else None, self._pool.submit(work))

    def close(self) -> None:
        """Wait for what is under way; it ends soon once the session is stopped."""
        self._pool.shutdown()
