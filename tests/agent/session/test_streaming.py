"""A night on many slots, with replicates that are made up and take their time."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent.analysis.analyst import Analyst
from agent.model.offline import OfflineResearcher
from agent.session.streaming import StreamingSession
from lab.base.paths import Workspace
from lab.base.schema import now
from lab.space.inventory import Inventory
from lab.store.lab import Lab
from lab.store.notebook import Notebook
from lab.store.records import RunState
from lab.store.session import Budgets, SessionRecord
from report.live import LineView
from tests.conftest import ENV
from tests.training.conftest import SHORT, LocalCluster
from tests.training.slurm_cluster import LocalSlurm
from training.executors.cluster import RayExecutor
from training.executors.executor import Executor
from training.executors.local import LocalExecutor
from training.executors.madeup import MadeUp, MadeUpExecutor
from training.executors.slurm import SlurmExecutor
from training.protocol import TrainJob
from training.runner import SlotRunner

SLOTS = 3


class Counting(MadeUpExecutor):
    """Counts the replicates that are under way."""

    def __init__(self, how: MadeUp) -> None:
        super().__init__(how, SLOTS)
        self.at_once: list[int] = []
        self.begun: list[int] = []

    def begin(self, job: TrainJob, slots: int) -> Any:
        running = super().begin(job, slots)
        if running is not None:
            self.at_once.append(self.busy)
            self.begun.append(job.seed)
        return running


def session_in(
    place: Path,
    inventory: Inventory,
    executor: Executor,
    *,
    in_order: bool = True,
    runs: int = 9,
    slots: int = SLOTS,
    **settings: Any,
) -> StreamingSession:
    workspace = Workspace(place)
    workspace.create()
    record = SessionRecord(
        session_id="the-night", env_name=ENV, preset="quick", objective="perf:max", model="offline", approve="auto",
        seeds=1, budgets=Budgets(max_runs=runs), parallel=slots, repeatable=in_order, created=now(), settings=settings,
    )  # fmt: skip
    stop, lab = threading.Event(), Lab(Notebook(workspace), inventory)
    analyst = Analyst(lab, OfflineResearcher(), record.session_id, stop.is_set)
    runner = SlotRunner(executor)
    return StreamingSession(record, lab, runner, analyst, LineView(), stop, patience=None, in_order=in_order)


Night = Callable[..., tuple[StreamingSession, Counting, Notebook]]


@pytest.fixture
def night(tmp_path: Path, inventory: Inventory) -> Night:
    """A session in a workspace of its own: `night("a", uneven=1)`."""

    def make(name: str, *, in_order: bool = True, **how: Any) -> tuple[StreamingSession, Counting, Notebook]:
        executor = Counting(MadeUp(seconds=0.3, **how))
        session = session_in(tmp_path / name, inventory, executor, in_order=in_order)
        return session, executor, session.notebook

    return make


def told(notebook: Notebook) -> list[tuple[Any, ...]]:
    """What a night comes to: changes, seeds, arms, scores, in the order of the record."""
    return [
        (
            notebook.config(run.run_id).flat(),
            run.seeds,
            run.arm,
            run.state,
            [(result.metrics.get("perf"), result.weights) for result in notebook.results(run)],
        )
        for run in notebook.runs()
    ]


def test_a_repeatable_night_does_not_depend_on_who_was_faster(night: Night) -> None:
    nights = []
    for name, uneven in (("a", 1), ("b", 2)):
        session, _, notebook = night(name, uneven=uneven)
        session.run()
        assert session.record.ended_because == "all 9 replicates are trained"
        nights.append(told(notebook))
    assert nights[0] == nights[1]


@pytest.mark.parametrize("in_order", [True, False])
def test_as_many_train_as_there_are_slots_and_no_more(night: Night, in_order: bool) -> None:
    session, executor, notebook = night("a", in_order=in_order, uneven=3)
    session.run()
    assert max(executor.at_once) == SLOTS
    assert len(executor.begun) == 9, "nothing trained twice"
    assert sum(len(run.seeds) for run in notebook.runs()) == 9
    assert {run.state for run in notebook.runs()} == {RunState.FINISHED}
    assert session.scheduler.unreported() == []


def test_a_night_that_was_stopped_goes_on_to_the_same(night: Night) -> None:
    whole, _, notebook = night("a", uneven=1)
    whole.run()
    session, executor, again = night("b", uneven=1)
    threading.Timer(1.5, session.stop.set).start()
    record = session.run()
    assert record.ended is None
    resumed, _, _ = night("b", uneven=2)
    resumed.record = record
    resumed._work_on()
    resumed.run()
    assert told(again) == told(notebook)
    assert executor.begun


@pytest.mark.slow
@pytest.mark.parametrize("made_up", [MadeUp(seconds=1, uneven=4), None], ids=["made up", "real"])
def test_a_night_on_a_cluster_is_the_one_of_this_machine(
    tmp_path: Path, inventory: Inventory, made_up: MadeUp | None
) -> None:
    """Configs, seeds, scores and the hashes of all weights."""
    pytest.importorskip("ray")
    settings = {**SHORT, "train.total_timesteps": 65_536} if made_up is None else {}
    with LocalCluster(1, 2) as cluster:
        here = LocalExecutor(SLOTS) if made_up is None else MadeUpExecutor(made_up, SLOTS)
        there = RayExecutor(Workspace(tmp_path / "there"), cluster.address, "night", parallel=SLOTS, made_up=made_up)
        nights = []
        for name, executor in (("here", here), ("there", there)):
            session = session_in(tmp_path / name, inventory, executor, runs=12, **settings)
            record = session.run()
            assert record.ended_because == "all 12 replicates are trained"
            nights.append(told(session.notebook))
        nodes = [result.node for run in session.notebook.runs() for result in session.notebook.results(run)]
        seen = session.sessions.slots(record.session_id)
    assert nights[0] == nights[1]
    assert all(nodes)
    assert seen is not None
    assert 0 < seen.busy <= seen.seconds


@pytest.mark.slow
def test_a_night_on_slurm_is_the_one_of_this_machine_although_a_job_is_preempted(
    tmp_path: Path, inventory: Inventory
) -> None:
    pytest.importorskip("submitit")
    made_up = MadeUp(seconds=2, uneven=4)
    with LocalSlurm() as cluster:
        there = SlurmExecutor(Workspace(tmp_path / "there"), "night", parallel=SLOTS, made_up=made_up)
        nights, preempting = [], threading.Thread(target=cluster.preempt, args=(4,))
        for name, executor in (("here", MadeUpExecutor(made_up, SLOTS)), ("there", there)):
            session = session_in(tmp_path / name, inventory, executor, runs=12)
            if name == "there":
                preempting.start()
            record = session.run()
            assert record.ended_because == "all 12 replicates are trained"
            nights.append(told(session.notebook))
        preempting.join()
        results = [result for run in session.notebook.runs() for result in session.notebook.results(run)]
        there.close()
        assert cluster.processes() == []
    assert nights[0] == nights[1]
    assert {result.node for result in results} <= {"n1", "n2", "n3"}
    assert all(result.node for result in results)
    assert {note for result in results for note in result.notes} == {"its job was begun 2 times"}


@pytest.mark.parametrize("in_order", [True, False])
def test_what_a_proof_needs_is_kept_while_its_seeds_are_under_way(
    tmp_path: Path, inventory: Inventory, in_order: bool
) -> None:
    executor = MadeUpExecutor(MadeUp(seconds=0.3, uneven=5), 7)  # a side's five seeds leave two slots
    session = session_in(tmp_path / "a", inventory, executor, in_order=in_order, runs=30, slots=7)
    record, index = session.run(), session.notebook.index
    assert record.ended_because == "all 30 replicates are trained"
    outcomes = [one.outcome for one in index.confirmations(session=record.session_id)]
    assert outcomes[0] == "opened"
    assert len(outcomes) == 2, "decided"
    opened, decided = index.confirmations(session=record.session_id)
    proof = [run for run in session.mine() if run.created >= opened.time and run.created <= decided.time]
    sides = [run.replicates_of for run in proof if run.replicates_of]
    assert set(sides[:2]) == {opened.candidate, opened.incumbent}, "both sides train side by side"


def test_a_repeatable_night_with_a_proof_does_not_depend_on_it_either(tmp_path: Path, inventory: Inventory) -> None:
    nights = []
    for uneven in (5, 6):
        executor = MadeUpExecutor(MadeUp(seconds=0.3, uneven=uneven), 7)
        session = session_in(tmp_path / str(uneven), inventory, executor, runs=30, slots=7)
        session.run()
        assert len(session.notebook.index.confirmations()) == 2, "decided"
        nights.append(told(session.notebook))
    assert nights[0] == nights[1]
