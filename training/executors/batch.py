"""Slurm's commands: a job is submitted by submitit, looked for by `squeue`, ended by `scancel`."""

import contextlib
import io
import shlex
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from lab.base import TrainingFailed, plain
from training.executors.settings import SlurmSettings
from training.process import PRIVATE

PATIENCE = 60.0
"""Seconds that a command of Slurm's may take."""
ENDED = (
    "BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY", "PREEMPTED", "REVOKED",
    "TIMEOUT",
)  # fmt: skip
"""States of a job that is over; one that is to be begun again is in another."""


class JobState(NamedTuple):
    """A job as Slurm has it."""

    job_id: str
    state: str
    """Slurm's word, such as PENDING; empty for a job that Slurm does not know any more."""
    node: str = ""
    why: str = ""
    """Why it waits."""

    @property
    def ended(self) -> bool:
        """Whether it is over for good."""
        return self.state in ENDED or not self.state


class Batch(Protocol):
    """What runs jobs."""

    def submit(self, name: str, folder: Path, what: Callable[[str], None], about: str) -> str:
        """Have a function called with a folder, somewhere; the job's id.

        Args:
            name: of the job, by which it is found again.
            folder: that the function gets; the job's own files lie below it.
            what: the function, importable there.
            about: the job in words.

        Raises:
            TrainingFailed: no job is taken.
        """

    def survey(self) -> Mapping[str, JobState]:
        """Name to state of the jobs that it knows.

        Raises:
            TrainingFailed: it does not answer.
        """

    def cancel(self, jobs: Sequence[str]) -> None:
        """End jobs by their ids, wherever they are."""


class SlurmBatch:
    """Jobs of Slurm."""

    def __init__(self, asked: SlurmSettings, place: Path) -> None:
        """Start nothing.

        Args:
            asked: what each job is given.
            place: the folder that jobs begin in, which every node sees.
        """
        self._asked, self._place = asked, place

    def submit(self, name: str, folder: Path, what: Callable[[str], None], about: str) -> str:
        """Submit a job; see `Batch.submit`."""
        import submitit
        from submitit.core.utils import FailedJobError, FailedSubmissionError

        asked = self._asked
        # Keys are no business of a process that runs the user's modules, nor is what this one is, if it is a job too.
        hidden = ",".join(["ALL", "SLURM_RESTART_COUNT=0", *(f"{key}=" for key in PRIVATE)])
        given = {name: value for name, value in asked.options.items() if value is not False}
        more = {"export": hidden, "requeue": True, "chdir": str(self._place), **given}
        # -P: a folder of the user's that is called training or lab must not be taken for ours.
        executor = submitit.SlurmExecutor(folder / "slurm", python=f"{shlex.quote(sys.executable)} -P")
        step = ["--export=ALL", f"--cpus-per-task={asked.cpus}"]  # as the job has them: srun does not take them over
        executor.update_parameters(
            job_name=name, comment=about, partition=asked.partition, time=asked.time, gres=asked.gres, wckey=None,
            cpus_per_task=asked.cpus, srun_args=step, additional_parameters=more,
            mem=f"{round(asked.memory_gib * 1024)}M" if asked.memory_gib else None,
        )  # fmt: skip
        try:
            with contextlib.redirect_stderr(io.StringIO()):  # it prints what it raises
                return str(executor.submit(what, str(folder)).job_id)
        except (FailedJobError, FailedSubmissionError, OSError) as error:
            said = " ".join(str(error).replace("sbatch: error:", "").split())
            raise TrainingFailed(f"Slurm takes no job: {plain(said, 300)}") from error

    def survey(self) -> Mapping[str, JobState]:
        """Ask `squeue`, which knows jobs for some minutes after their end too; see `Batch.survey`."""
        said = _command("squeue", "--me", "--noheader", "--states=all", "--format=%j|%i|%T|%N|%r")
        rows = (line.split("|", 4) for line in said.splitlines())
        return {name: JobState(job_id, *rest) for name, job_id, *rest in rows}

    def cancel(self, jobs: Sequence[str]) -> None:
        """Cancel them; see `Batch.cancel`. One that has ended, or a Slurm that does not answer, is no matter."""
        if jobs:
            with contextlib.suppress(TrainingFailed):
                _command("scancel", "--quiet", *jobs)


def _command(*words: str) -> str:
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=PATIENCE, check=True)  # noqa: S603
    except subprocess.CalledProcessError as error:
        raise TrainingFailed(f"{words[0]} failed: {plain(' '.join(error.stderr.split()), 300)}") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise TrainingFailed(f"{words[0]} does not answer: {plain(str(error), 300)}") from error
    return done.stdout
