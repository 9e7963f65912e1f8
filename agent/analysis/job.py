"""An analysis under way in a thread of its own, and waiting for one."""

import threading
from concurrent.futures import Future, wait

from agent.analysis.analyst import Outcome

TICK = 0.2
AnalysisJob = Future[Outcome | None]
"""What an analysis will come to; None where only reports of control runs are written."""


def wait_for(job: AnalysisJob, patience: float | None, stop: threading.Event) -> bool:
    """Give an analysis time; whether it is through then, well or badly.

    Args:
        job: the analysis.
        patience: seconds; None for as long as it takes.
        stop: ends the waiting when it is set; the analysis sees it too, and gives up.
    """
    left = patience
    while not job.done() and (left is None or left > 0) and not stop.is_set():
        wait([job], TICK if left is None else min(TICK, left))
        left = None if left is None else left - TICK
    return job.done()
