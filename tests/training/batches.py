"""Jobs without Slurm: in processes of this machine by submitit's local executor, or none at all."""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from training.executors.batch import JobState

WORDS = {"RUNNING": "RUNNING", "FINISHED": "COMPLETED", "INTERRUPTED": "FAILED"}


class LocalBatch:
    """Jobs in processes of this machine."""

    def __init__(self) -> None:
        self.jobs: dict[str, Any] = {}

    def submit(self, name: str, folder: Path, what: Callable[[str], None], about: str) -> str:
        import submitit

        executor = submitit.LocalExecutor(folder / "jobs")
        executor.update_parameters(timeout_min=60)
        self.jobs[name] = executor.submit(what, str(folder))
        return str(self.jobs[name].job_id)

    def survey(self) -> Mapping[str, JobState]:
        return {name: JobState(job.job_id, WORDS[job.state], "here") for name, job in self.jobs.items()}

    def cancel(self, jobs: Sequence[str]) -> None:
        for job in self.jobs.values():
            if job.job_id in jobs and not job.done():
                job.cancel()


class NoBatch:
    """Jobs that are in the state that a test says, and do nothing."""

    def __init__(self, state: str = "PENDING") -> None:
        self.state = state
        self.cancelled: list[str] = []
        self._names: list[str] = []

    def submit(self, name: str, folder: Path, what: Callable[[str], None], about: str) -> str:
        self._names.append(name)
        return name

    def survey(self) -> Mapping[str, JobState]:
        return {name: JobState(name, self.state, "n7", "Resources") for name in self._names}

    def cancel(self, jobs: Sequence[str]) -> None:
        self.cancelled += jobs


def until(what: Callable[[], object], seconds: float = 600.0) -> None:
    """Ask again and again until the answer is yes."""
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.1)
