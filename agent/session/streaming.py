"""A night on many slots: as many replicates under way as there are, the next ones asked for when some are free.

What trains is counted by the search as pending. Results are recorded as they come, and so the record says which
machine was faster; in order (`--repeatable`), a run is recorded after all that were made before it, its analysis is
waited for, and only then is the next one asked for: then nothing depends on who was faster, and slots may idle.
"""

import contextlib
import threading
import time
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field

from agent.analysis import AnalysisJob, wait_for
from agent.session.session import POLL, SAVED, Session
from agent.session.wave import numbered
from lab.base import now
from lab.store import RunRecord, SlotSeen, SlotsSeen
from report import changed_text
from training import Progress, Stopped, train_run

MOST = 256
"""Runs under way at once; each has a thread."""
LOOK = 2.0
"""Seconds between two times that it is written down what trains where."""


@dataclass
class _UnderWay:
    """A run that trains, or that has and waits to be recorded."""

    run: RunRecord
    future: Future[RunRecord]
    trained: threading.Event = field(default_factory=threading.Event)
    may_record: threading.Event = field(default_factory=threading.Event)


@dataclass
class StreamingSession(Session):
    """A session that keeps its slots filled."""

    in_order: bool = False
    """Results are held back into the order in which their runs were made."""

    def __post_init__(self) -> None:
        """Begin with nothing under way."""
        super().__post_init__()
        self._under_way: list[_UnderWay] = []
        self._threads = ThreadPoolExecutor(MOST, thread_name_prefix="training")
        self._noting, self._news = threading.Lock(), threading.Event()
        self._failing = threading.Event()
        self._job: AnalysisJob | None = None
        before = self.sessions.slots(self.record.session_id)
        self._seconds, self._busy = (before.seconds, before.busy) if before else (0.0, 0.0)
        self._looked, self._written = time.monotonic(), 0.0

    def step(self) -> None:
        """Ask for what free slots can take, take note of what has ended, have it analysed."""
        try:
            self._lay_out()
            if not self.pause.is_set():
                self._fill()
            self._analyse()
            self._await()
        except BaseException:
            self._failing.set()  # whatever else trains ends, and is queued again
            self._threads.shutdown(wait=True)
            raise

    # --- slots ----------------------------------------------------------------------------------------------------

    def _lay_out(self) -> None:
        if self.record.plan is None and (laid := self.scheduler.lay_out(self.budget.left())) is not None:
            self._update(**laid)
            self._save()
            self._work_on()

    def _fill(self) -> None:
        """Begin what was interrupted, then what is asked for, while there are free slots."""
        known = {one.run.run_id for one in self._under_way}
        for run in self.scheduler.untrained():
            if run.run_id not in known:
                self._begin(run)
        while (free := self._free()) > 0 and self.enough() is None:
            self.decisions.decide(self.steps_left())
            runs = self.scheduler.begin(self.steps_left(), self.budget.left(), free)
            if not runs:
                return
            for run in runs:
                self._begin(run)

    def _free(self) -> int:
        """Slots for which nothing is under way; in order, a result that is held back counts as under way."""
        busy = [one for one in self._under_way if self.in_order or not one.trained.is_set()]
        slots = self.record.parallel if self.in_order else None
        return (slots or self.wave.room(self.group)) - sum(len(one.run.seeds) for one in busy)

    def _look(self) -> None:
        """Write down, now and then, what trains where, and how busy the slots have been."""
        at, places = time.monotonic(), self.runner.places()
        working = sum(len(one.run.seeds) for one in self._under_way if not one.trained.is_set())
        slots = max(len(places), working)
        if self.enough() is None:  # towards the end there is nothing left to fill them with
            self._seconds += slots * (at - self._looked)
            self._busy += working * (at - self._looked)
        self._looked = at
        if at - self._written > LOOK:
            self._written = at
            seen = tuple(SlotSeen(**place._asdict()) for place in places)
            name = self.record.session_id
            with contextlib.suppress(OSError):
                self.sessions.saw_slots(name, SlotsSeen(time=now(), slots=seen, seconds=self._seconds, busy=self._busy))

    def _begin(self, run: RunRecord) -> None:
        self.view.night(self._status)
        self.view.training(
            run, f"{numbered(self.mine(), run, self.record.replicates)}: {changed_text(self.notebook, run)}"
        )
        one = _UnderWay(run, Future())
        one.future = self._threads.submit(self._train, one)
        self._under_way.append(one)
        self.budget.works(self.scheduler.work_of(run))

    def _train(self, one: _UnderWay) -> RunRecord:
        def in_turn() -> None:
            one.trained.set()
            self._news.set()
            while self.in_order and not one.may_record.wait(POLL):
                if self._giving_up():
                    raise Stopped("stopped on request")

        try:
            return train_run(
                self.notebook, self.runner, self.inventory, one.run.run_id, self._saw, self._giving_up,
                self.wave.options, in_turn,
            )  # fmt: skip
        finally:
            self._news.set()

    def _giving_up(self) -> bool:
        return self.stop.is_set() or self._failing.is_set()

    def _saw(self, progress: Progress) -> None:
        with self._noting:
            self.budget.checkpoint(older=SAVED)
            self.view.progress(progress)

    # --- what has ended -------------------------------------------------------------------------------------------

    def _await(self) -> None:
        """Wait until something has ended, a while at most, and take note of it."""
        if self._under_way:
            self._news.wait(POLL)
        elif self._job is not None:
            wait([self._job], timeout=POLL, return_when=FIRST_COMPLETED)
        elif self.scheduler.unreported() == [] and self.enough() is None:
            self.stop.wait(POLL)  # for a person's decision
        self._news.clear()
        self._look()
        if self.stop.is_set():
            raise Stopped("stopped on request")
        if self.in_order and self._under_way and self._under_way[0].trained.is_set():
            self._under_way[0].may_record.set()
            wait([self._under_way[0].future])
        for one in [one for one in self._under_way if one.future.done()]:
            self._under_way.remove(one)
            self._took_note(one.run, one.future.result())
            if self.in_order:
                break
        if not self._under_way:
            self.budget.works(None)

    def _analyse(self) -> None:
        """Begin the analysis that is due, and take note of one that is through; in order it is waited for."""
        if self._job is None:
            self._job = self.think(idle=not self._under_way)
        if self._job is None:
            return
        if self.in_order:
            wait_for(self._job, None, self.stop)
        if self._job.done():
            job, self._job = self._job, None
            self.note(job)
