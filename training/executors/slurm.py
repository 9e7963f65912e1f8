"""Replicates as jobs of Slurm, one each, beside a folder that every node sees.

This is the session's side: `batch_job.py` is what a job does, `attempts.py` what passes between the two. When this
process dies jobs go on for a while, and whoever resumes the session finds them, and what has come of them meanwhile.
"""

import contextlib
import hashlib
import platform
import secrets
import shutil
import threading
import time
from collections.abc import Collection, Mapping
from typing import NamedTuple

from lab.base import InvalidInput, TrainingFailed, Workspace, invalid, json_of
from lab.space import Config, Environment
from training.executors import batched
from training.executors.attempts import BatchOrder, Post, Reader
from training.executors.batch import Batch, JobState, SlurmBatch
from training.executors.batch_job import answer, carry_out
from training.executors.batched import Batched
from training.executors.executor import Place, Running
from training.executors.madeup import MadeUp
from training.executors.settings import SlurmSettings
from training.executors.watching import recorded
from training.protocol import TrainJob

SURVEY = 2.0
"""Seconds between two looks at the queue."""
CHECK = 60.0
"""Seconds that are waited for a node to say that it sees the workspace; where none is free, each job says it."""
AGAIN = 600.0
"""Seconds that Slurm may not answer before nothing more is begun: what trains goes on without it."""
CLAIM = 120.0
"""Seconds after which a replicate that was found again, and that nobody asks for, is ended."""
CLOSING = 60.0
"""Seconds that jobs have to end: Slurm gives them half of that."""
FINISHING = 10.0
"""Seconds that those of them have to end by themselves which have said what came of them."""
OLD = 7 * 86_400.0
"""Seconds after which the files of an owner who never came back go: no job waits for one for longer."""


class SlurmExecutor:
    """The jobs of one owner."""

    def __init__(
        self,
        workspace: Workspace,
        owner: str,
        asked: SlurmSettings | None = None,
        parallel: int | None = None,
        batch: Batch | None = None,
        made_up: MadeUp | None = None,
    ) -> None:
        """Start nothing yet.

        Args:
            workspace: which every node sees, at the same path.
            owner: who trains, such as a session: by this its jobs are found again.
            asked: what each job is given.
            parallel: jobs at once; None for what is asked.
            batch: what runs them; Slurm if None.
            made_up: for tests: nothing trains, replicates are made up.
        """
        self._asked, self._workspace, self._made_up = asked or SlurmSettings(), workspace, made_up
        self._slots = parallel or self._asked.jobs
        where = f"{platform.node()}:{workspace.root.absolute()}:{owner}"
        self._owner = hashlib.sha256(where.encode()).hexdigest()[:12]
        self._place = workspace.batch.absolute() / self._owner
        self._batch = batch or SlurmBatch(self._asked, self._place)
        self._lock = threading.RLock()
        """Held while anything below is read or changed: runs that train side by side ask at the same time."""
        self._at: list[Batched] = []
        self._found: dict[str, _Found] = {}
        """Key of a replicate that was found again, and that nobody has asked for yet, to its order."""
        self._left: list[Post] = []
        """Orders whose jobs may still be ending."""
        self._open_since: float | None = None
        self._states: Mapping[str, JobState] = {}
        self._surveyed = self._answered = 0.0
        """When the queue was looked at last, and when with an answer, by the monotonic clock."""
        self._trouble = ""

    # --- what a runner asks ---------------------------------------------------------------------------------------

    def slots(self, config: Config, environment: Environment, device: str) -> int:
        """As many as were asked for: jobs wait in Slurm's queue; see `Executor.slots`."""
        self._open()
        return self._slots

    def begin(self, job: TrainJob, slots: int) -> Running | None:
        """Submit a replicate, or find it again; see `Executor.begin`."""
        self._open()
        if "gpu" in (self._asked.gres or "") and job.config.train["device"] == "auto":
            job = job.model_copy(update={"device": "cuda"})
        key = hashlib.sha256(json_of(job).encode()).hexdigest()
        with self._lock:
            if (found := self._found.pop(key, None)) is not None:
                return self._under_way(Batched(self, found.post, job, found.job_id))
            self._forget_unclaimed()
            if len(self._at) + len(self._found) >= slots:
                return None
            self.look()
            if self._trouble:
                if time.monotonic() - self._answered > AGAIN:
                    raise TrainingFailed(self._trouble)
                return None
            post = Post(self._place / secrets.token_hex(8))
            post.write(BatchOrder(key=key, job=job, keep=self._asked.keep, made_up=self._made_up))
            try:
                about = f"{job.run_id} seed {job.seed}"
                job_id = self._batch.submit(self._name(post), post.folder, carry_out, about)
            except BaseException:
                post.remove()
                raise
            return self._under_way(Batched(self, post, job, job_id))

    def wait(self, running: Collection[Running], seconds: float) -> None:
        """Wait: what jobs write is looked for, nothing tells of it; see `Executor.wait`."""
        time.sleep(seconds)

    def expect(self, config: Config, device: str) -> None:
        """Do nothing: a job begins when there is something for it."""

    def warm(self, config: Config | None, device: str) -> None:
        """Find jobs again, and make sure that a node sees the workspace; see `Executor.warm`."""
        self._open()

    def places(self) -> list[Place]:
        """The jobs, those that wait too; see `Executor.places`."""
        with self._lock:
            jobs = list(self._at)
        return sorted(Place(one.host, one.gpus, one.job.run_id, one.job.seed) for one in jobs)

    def close(self) -> None:
        """End every job, and wait until it has; see `Executor.close`."""
        with self._lock:
            if self._open_since is None:
                return
            self._open_since = None
            for job in list(self._at):
                self.free(job)
            self._forget()
            self._end_those_left()
            self._left = []
            self._leave_nothing()

    # --- jobs -----------------------------------------------------------------------------------------------------

    def state_of(self, job: Batched) -> JobState | None:
        """What Slurm says of a job; None where that is not known since it was submitted."""
        with self._lock:
            self.look()
            if self._answered < job.since:
                return None
            return self._told(job.post)

    def look(self) -> None:
        """Look at the queue, now and then, and be seen to be there."""
        with self._lock:
            at = time.monotonic()
            if at - self._surveyed < SURVEY:
                return
            self._surveyed = at
            with contextlib.suppress(OSError):  # a full disk: the next time
                (self._place / ".alive").touch()
            try:
                self._states, self._answered, self._trouble = self._batch.survey(), at, ""
            except TrainingFailed as error:
                self._trouble = f"Slurm can't be reached: {error}"
                return
            gone = [post for post in self._left if self._told(post).ended]
            self._left = [post for post in self._left if post not in gone]
        for post in gone:
            post.remove()

    def free(self, job: Batched) -> None:
        """Take note that a replicate is over; its job ends, if it has not."""
        with self._lock:
            if job in self._at:
                self._at.remove(job)
                job.post.withdraw()
                self._left.append(job.post)
                if not job.over:
                    self._batch.cancel([job.job_id])

    def _under_way(self, job: Batched) -> Batched:
        self._at.append(job)
        return job

    def _name(self, post: Post) -> str:
        return f"autopilot-{self._owner}-{post.folder.name}"

    def _told(self, post: Post) -> JobState:
        """What Slurm said last of the job of an order."""
        return self._states.get(self._name(post), JobState("", ""))

    def _cancel(self, posts: Collection[Post]) -> None:
        self._batch.cancel([told.job_id for told in map(self._told, posts) if not told.ended])

    # --- beginning and end ----------------------------------------------------------------------------------------

    def _open(self) -> None:
        """Find what was begun before, and make sure that jobs and this process see the same folder.

        Raises:
            InvalidInput: a node does not see the workspace, or Slurm takes no job of this kind.
            TrainingFailed: Slurm can't be reached.
        """
        with self._lock:
            if self._open_since is not None:
                return
            self._place.mkdir(parents=True, exist_ok=True)
            try:
                self._states, self._surveyed = self._batch.survey(), 0.0
                self.look()
                self._find()
                if not self._found:  # else there are nodes that do
                    self._check()
            except BaseException:
                if not self._found:
                    self._leave_nothing()
                raise
            self._open_since = time.monotonic()

    def _find(self) -> None:
        for old in self._place.parent.iterdir():
            alive = old / ".alive"
            if not alive.exists() or time.time() - alive.stat().st_mtime > OLD:
                shutil.rmtree(old, ignore_errors=True)
        for post in [Post(folder) for folder in self._place.iterdir() if folder.is_dir()]:
            order, known = post.read(), self._states.get(self._name(post))
            # Of one that Slurm does not know there may be a result; else it was never submitted, or is lost.
            there = known is not None or post.newest() is not None
            if order is None or recorded(order.job) or order.key in self._found or not there:
                post.withdraw()
                self._left.append(post)
            else:
                self._found[order.key] = _Found(post, known.job_id if known else "")
        self._cancel(self._left)

    def _check(self) -> None:
        post = Post(self._place / f"look-{secrets.token_hex(4)}")
        post.folder.mkdir()
        try:
            job_id = self._batch.submit(self._name(post), post.folder, answer, "does a node see the workspace?")
        except TrainingFailed as error:  # what it does not take from the start is not there
            raise InvalidInput(f"[slurm] in {self._workspace.settings}: {error}") from error
        submitted = settled = time.monotonic()
        reader, state = Reader(post.folder / "0", post.folder), JobState(job_id, "PENDING")
        while (
            reader.state is None
            and time.monotonic() - submitted < CHECK
            and time.monotonic() - settled < batched.SETTLES
        ):
            time.sleep(0.2)
            reader.news()
            self.look()
            if self._answered > submitted:
                state = self._told(post)
            if not state.ended:
                settled = time.monotonic()
        self._left.append(post)
        if reader.state is None:
            self._batch.cancel([job_id])
        if reader.state is None and state.ended:
            node = f"Slurm's node {state.node}" if state.node else "a node of Slurm's"
            how = f"its job ended: {state.state.lower() or 'nobody knows how'}"
            rule = f"can't be used by {node} ({how}): it is not seen there, or autopilot's .venv is not"
            raise invalid(
                "workspace", str(self._workspace.root), rule, "folders that all nodes share, at the same path"
            )

    def _forget_unclaimed(self) -> None:
        if self._open_since is not None and time.monotonic() - self._open_since > CLAIM:
            self._forget()

    def _forget(self) -> None:
        """End what was found again and nobody asks for."""
        posts = [one.post for one in self._found.values()]
        self._found.clear()
        for post in posts:
            post.withdraw()
        self._left += posts
        self._cancel(posts)

    def _end_those_left(self) -> None:
        began = time.monotonic()
        while self._left and time.monotonic() - began < CLOSING:
            self._surveyed = 0.0
            self.look()
            if self._trouble:  # they end by themselves: their orders are withdrawn
                return
            if time.monotonic() - began > FINISHING:
                self._cancel(self._left)
            time.sleep(0.5 if self._left else 0)

    def _leave_nothing(self) -> None:
        shutil.rmtree(self._place, ignore_errors=True)
        with contextlib.suppress(OSError):  # another session's are there
            self._place.parent.rmdir()


class _Found(NamedTuple):
    """An order of before, and its job."""

    post: Post
    job_id: str
