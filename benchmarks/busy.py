"""How much of a night the trainer is busy beside a model that takes as long as a training.

The model is the offline researcher, slowed down so that each analysis takes a given time; the training is real. The
alternative is what a plain loop would do: analyse, then train, then analyse.

    python -m benchmarks.busy [--minutes 40] [--seconds 60]
"""

import argparse
import contextlib
import io
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from agent.analysis import AnalysisJob, Analyst, wait_for
from agent.model import Message, OfflineResearcher, Reply
from agent.session.session import Session
from benchmarks.common import tell
from lab.base import Workspace, new_id, now
from lab.store import Budgets, Lab, Notebook, SessionRecord, active_time
from report import LineView
from training import ProcessRunner, load_inventory

ENV = "puffer_cartpole"
REQUESTS = 5
"""That an analysis of the offline researcher takes, between which its time is divided."""


class Slow(OfflineResearcher):
    """Thinks for as long as it is told to."""

    def __init__(self, seconds: float, stop: threading.Event) -> None:
        self._seconds, self._stop, self._until = seconds, stop, 0.0

    @property
    def name(self) -> str:
        """As it stands in reports."""
        return "slow"

    def complete(self, messages: Sequence[Message], tools: Sequence[dict[str, Any]]) -> Reply:
        """See `ChatModel.complete`; the last answer of an analysis comes when its time is over."""
        asked = sum(message.role == "assistant" for message in messages)
        if asked == 0:
            self._until = time.monotonic() + self._seconds
        reply = super().complete(messages, tools)
        ends = any(call.name in {"write_report", "stage_proposal"} for call in reply.message.tool_calls)
        left = self._until - time.monotonic()
        self._stop.wait(max(0.0, left if ends else left / max(1, REQUESTS - asked)))
        return reply


class OneAfterTheOther(Session):
    """Trains nothing while a model thinks."""

    def think(self) -> AnalysisJob | None:
        """Begin the analysis that is due, and wait for it."""
        job = super().think()
        if job is not None:
            wait_for(job, None, self.stop)
        return job


def night(kind: type[Session], minutes: float, seconds: float, steps: int) -> dict[str, Any]:
    """One session, and how its time was spent."""
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        for name in ("runs", "proposals"):
            (Path(folder) / name).mkdir()
        notebook, inventory, stop = Notebook(Workspace(Path(folder))), load_inventory([ENV]), threading.Event()
        created = now()
        record = SessionRecord(
            session_id=new_id(created), env_name=ENV, preset="quick", objective="perf:max", model="slow",
            approve="auto", seeds=2, budgets=Budgets(hours=minutes / 60), created=created,
            settings={"train.total_timesteps": steps},
        )  # fmt: skip
        analyst = Analyst(Lab(notebook, inventory), Slow(seconds, stop), record.session_id, stop.is_set)
        session = kind(record, Lab(notebook, inventory), ProcessRunner(), analyst, LineView(), stop)
        spent = session.run().spent
        runs = [run for run in session.mine() if run.state.ended]
        took = [clock.total_seconds() for run in runs if run.proposal and (clock := active_time(run))]
        return {
            "minutes": round(spent.seconds / 60, 2),
            "busy": round(spent.training / spent.seconds, 4),
            "of_that_on_proposals_and_control_runs": round(spent.search / spent.training, 4),
            "of_that_on_fresh_seeds_of_proposals": round(spent.confirming / spent.training, 4),
            "runs": {
                "of the model": sum(run.arm == "slow" for run in runs),
                "of the control arm": sum(run.arm == "sampler" for run in runs),
                "fresh seeds": sum(run.replicates_of is not None for run in runs),
                "in all": len(runs),
            },
            "seconds_a_proposed_run": round(sum(took) / max(1, len(took)), 1),
        }


def main() -> None:
    """Print everything."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=40.0, help="of the night; the alternative has a quarter")
    parser.add_argument("--seconds", type=float, default=60.0, help="of an analysis")
    parser.add_argument("--steps", type=int, default=14_000_000, help="of a replicate; two replicates train at once")
    wanted = parser.parse_args()
    beside = night(Session, wanted.minutes, wanted.seconds, wanted.steps)
    plain = night(OneAfterTheOther, wanted.minutes / 4, wanted.seconds, wanted.steps)
    tell(
        "share of a session in which the trainer is busy, beside a model that thinks for a given time",
        seconds_an_analysis=wanted.seconds, beside=beside, one_after_the_other=plain,
        ratio=round(beside["busy"] / plain["busy"], 2),
    )  # fmt: skip


if __name__ == "__main__":
    main()
