"""A night that is killed again and again comes to the same record as one that is not.

The session runs in a process of its own, forked from a server that has everything imported. It is killed with SIGKILL
at random instants, and just before or after one of its own writes to the disk, which is where a record can be torn.
"""

import itertools
import json
import multiprocessing
import os
import random
import re
import signal
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Literal

import psutil
import pytest

from agent.analysis.analyst import Analyst
from agent.approval.approver import Approver
from agent.model.offline import OfflineResearcher
from agent.session.session import Session
from lab.base.files import read_lines, read_model
from lab.base.paths import Workspace
from lab.base.schema import now
from lab.store.lab import Lab
from lab.store.notebook import Notebook
from lab.store.proposal import Decision, Proposal, ProposalState
from lab.store.proposals import Proposals
from lab.store.records import ReplicateResult, RunState
from lab.store.session import Budgets, SessionRecord
from report.live import SilentView
from tests.conftest import ENV
from training.fake import FakeRunner
from training.inventory import load_inventory
from training.runner import Plan, ProcessRunner

pytestmark = pytest.mark.slow

NAME = "the-night"
ALL = pytest.mark.nights
"""Of what is repeated for its chances: `make test-slow` has some of it, `make test-nights` all."""
Which = Literal["fake", "swept", "real"]
Moment = Literal["before", "unnamed", "named"]
MOMENTS: tuple[Moment, ...] = ("before", "unnamed", "named")
FAKE: dict[str, Any] = {
    "seeds": 1, "budgets": Budgets(max_runs=45), "confirm": "full", "contenders": 2, "control": "random",
}  # fmt: skip
SWEPT: dict[str, Any] = {"seeds": 1, "budgets": Budgets(max_runs=30), "approve": "manual"}
REAL: dict[str, Any] = {
    "seeds": 1, "budgets": Budgets(max_runs=7),
    "settings": {"train.total_timesteps": 65_536, "autopilot.eval_steps": 200},
}  # fmt: skip


class Planted(FakeRunner):
    """Another entropy bonus than the preset's is much better, a discount far above the preset's crashes."""

    def _score(self, plan: Plan, seed: int) -> float:
        better = plan.config.train["ent_coef"] != 0.001
        return (0.8 if better else 0.4) + random.Random(seed).gauss(0, 0.02)  # noqa: S311 - made up

    def train(self, plan: Plan, *more: Any) -> list[ReplicateResult]:
        self.faults = {plan.seeds[-1]: "crash"} if plan.config.train["gamma"] > 0.99 and plan.seeds else {}
        return super().train(plan, *more)


class Trusting(Approver):
    """A person who is there at once and approves everything, so that a sweep is asked for and begins."""

    def rule(self, proposal: Proposal, steps_left: int | None) -> Decision | None:
        return Decision(time=now(), state=ProposalState.APPROVED, who="person")


def night(root: str, which: Which, death: "Death | None" = None) -> None:
    """A session in this process, to its end or until it kills itself.

    Args:
        root: the workspace; its session is resumed if it has one.
        which: what trains.
        death: when it dies.
    """
    if death is not None:
        die(death)
    notebook, inventory, stop = Notebook(Workspace(Path(root))), load_inventory([ENV]), threading.Event()
    path = notebook.workspace.session(NAME).session
    fresh = {
        "session_id": NAME, "env_name": ENV, "preset": "quick", "objective": "perf:max", "model": "offline",
        "approve": "auto", "created": now(), **{"fake": FAKE, "swept": SWEPT, "real": REAL}[which],
    }  # fmt: skip
    record = read_model(path, SessionRecord) if path.exists() else SessionRecord.model_validate(fresh)
    if record.ended is not None:
        return
    analyst = Analyst(Lab(notebook, inventory), OfflineResearcher(), NAME, stop.is_set)
    runner = ProcessRunner() if which == "real" else Planted()
    rules = Trusting(record.approve, Lab(notebook, inventory)) if which == "swept" else None
    Session(record, Lab(notebook, inventory), runner, analyst, SilentView(), stop, rules=rules, patience=None).run()


@dataclass(frozen=True)
class Death:
    """A process that kills itself at one of its writes to the disk."""

    file: str
    """In whose name: that of a kind of file."""
    count: int
    """Which of the writes to such files, from 1 on."""
    moment: Moment
    """Before it is flushed; flushed, but not renamed yet; with the next write after it."""
    content: str = ""
    """Only writes of a file with this in it."""


FILES = ("run.json", "config.json", "trainer_summary.json", "result.json", "report.md", "claims.json", "proposed.json",
         "next_config.json", "session.json", "events.jsonl", "transcript.jsonl", "verdicts.jsonl", "predictions.jsonl",
         "confirmations.jsonl", "leader.jsonl", "proposals/")  # fmt: skip


STEPS = {
    "run.json": ('"state": "running"', '"state": "finished"'),
    "proposals/": ('"state": "approved"', '"state": "running"', '"state": "done"'),
    "report.md": ("",),
}


def die(death: Death) -> None:
    """Have this process kill itself at one of its writes."""
    flush, left, due = os.fsync, death.count, False

    def dying(handle: int) -> None:
        nonlocal left, due
        path = str(Path(f"/proc/self/fd/{handle}").readlink())
        meant = death.file in path and (not death.content or death.content in Path(path).read_text())
        left -= meant
        hit = meant and left == 0
        if due or (hit and death.moment == "before"):
            os.kill(os.getpid(), signal.SIGKILL)
        flush(handle)
        if hit and death.moment == "unnamed":
            os.kill(os.getpid(), signal.SIGKILL)
        due = hit

    os.fsync = dying


@dataclass
class Nights:
    """Begins sessions in processes of their own."""

    context: Any

    def begin(self, root: Path, which: Which, death: Death | None = None) -> BaseProcess:
        for folder in ("runs", "proposals"):
            (root / folder).mkdir(parents=True, exist_ok=True)
        process: BaseProcess = self.context.Process(target=night, args=(str(root), which, death))
        process.start()
        return process

    def through(self, root: Path, which: Which) -> None:
        """One that nobody disturbs."""
        process = self.begin(root, which)
        process.join(600)
        assert process.exitcode == 0


@pytest.fixture(scope="module")
def nights() -> Iterator[Nights]:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(
        ["tests.agent.session.test_kills", "duckdb", "optuna", "scipy.stats", "matplotlib.pyplot"]
    )
    yield Nights(context)


def told(root: Path) -> dict[str, Any]:
    """The record of a night with names in the place of ids: everything but times, speeds and attempts."""
    notebook = Notebook(Workspace(root))
    runs, proposals = notebook.runs(), Proposals(notebook.workspace).all()
    names = {run.run_id: f"run {number}" for number, run in enumerate(runs)}
    names |= {proposal.proposal_id: f"proposal {number}" for number, proposal in enumerate(proposals)}

    def named(value: Any) -> Any:
        text = json.dumps(value, default=str, sort_keys=True)
        for name, plain in names.items():
            text = text.replace(name, plain)
        return json.loads(re.sub(r'"(time|created|finished)": "[^"]*"', r'"\1": ""', text))

    def results(run: Any) -> list[Any]:
        return [(r.seed, r.state, r.weights, r.metrics.get("perf"), r.evaluations) for r in notebook.results(run)]

    def staged(report: Path) -> list[str] | None:
        """Which proposal a report names, whose own name it has to be."""
        return re.findall(r"proposals/([\w-]+)\.json", report.read_text()) if report.exists() else None

    return {
        "runs": named([
            {
                **{key: getattr(run, key) for key in ("run_id", "state", "preset", "arm", "parent", "proposal", "seeds",
                                                      "replicates_of", "pruning")},
                "config": notebook.config(run.run_id).flat(), "overrides": notebook.overrides(run.run_id),
                "results": [str(result) for result in results(run)],
                "score": notebook.values(run.run_id, "perf"), "staged": staged(notebook.paths(run.run_id).report),
            }
            for run in runs
        ]),
        "proposals": named([proposal.model_dump(mode="json") for proposal in proposals]),
        "verdicts": named(list(read_lines(notebook.workspace.verdicts))),
        "confirmations": named(list(read_lines(notebook.workspace.confirmations))),
        "leading": named(list(read_lines(notebook.workspace.session(NAME).leader))),
        "predictions": named([{**line, "score": 0} for line in read_lines(notebook.workspace.predictions)]),
        "ended": read_model(notebook.workspace.session(NAME).session, SessionRecord).ended_because,
    }  # fmt: skip


def same(one: dict[str, Any], other: dict[str, Any]) -> None:
    for part, value in one.items():
        if isinstance(value, list) and len(value) == len(other[part]):
            for mine, theirs in zip(value, other[part], strict=True):
                apart = {key: (mine[key], theirs.get(key)) for key in mine if mine[key] != theirs.get(key)}
                assert apart == {}, part
        assert other[part] == value, part


def spent(root: Path) -> float:
    path = Workspace(root).session(NAME).session
    return read_model(path, SessionRecord).spent.seconds if path.exists() else 0.0


@pytest.mark.parametrize("kills", [pytest.param(30), pytest.param(80, marks=ALL)])
def test_kills_on_the_fake_runner(nights: Nights, tmp_path: Path, kills: int) -> None:
    nights.through(tmp_path / "undisturbed", "fake")
    undisturbed = told(tmp_path / "undisturbed")
    # The night has every part: a failure, a confirmation on its own preset and one on the full one.
    assert [line["outcome"] for line in undisturbed["confirmations"]][:4] == ["opened", "passed", "opened", "confirmed"]
    assert {"failed", "finished"} == {run["state"] for run in undisturbed["runs"]}
    assert {"baseline", "offline", "random"} <= {run["arm"] for run in undisturbed["runs"]}  # the control arm
    steps = [Death(file, 1, "named", state) for file, states in STEPS.items() for state in states]
    if kills < len(FILES) * len(MOMENTS):  # each file and each moment, but not each moment of each file
        deaths = [Death(file, 1, MOMENTS[at % len(MOMENTS)]) for at, file in enumerate(FILES)] + steps
    else:
        deaths = [Death(file, 1, moment) for file, moment in itertools.product(FILES, MOMENTS)] + 2 * steps
    draw, killed, root = random.Random(7), 0, tmp_path / "killed"  # noqa: S311 - repeatable
    draw.shuffle(deaths)
    while killed < kills or deaths:
        before, death = spent(root), deaths.pop() if deaths and killed % 3 else None
        process = nights.begin(root, "fake", death)
        process.join(60 if death else draw.uniform(0.05, 1.5))
        process.kill()
        process.join()
        killed += process.exitcode == -signal.SIGKILL
        assert process.exitcode in (0, -signal.SIGKILL)
        assert spent(root) >= before
        if process.exitcode == 0:  # it got through: the other kills are for another night
            same(undisturbed, told(root))
            root = tmp_path / f"killed after {killed}"
    nights.through(root, "fake")
    same(undisturbed, told(root))


@pytest.mark.parametrize("kills", [pytest.param(5), pytest.param(16, marks=ALL)])
def test_kills_of_a_night_with_a_sweep(nights: Nights, tmp_path: Path, kills: int) -> None:
    nights.through(tmp_path / "undisturbed", "swept")
    undisturbed = told(tmp_path / "undisturbed")
    (swept,) = [proposal for proposal in undisturbed["proposals"] if proposal["sweep"]]
    assert sum(run["proposal"] == swept["proposal_id"] for run in undisturbed["runs"]) > 5
    deaths = [Death(file, count, "named") for file in ("proposals/", "run.json", "session.json") for count in (2, 5, 9)]
    draw, killed, root = random.Random(8), 0, tmp_path / "killed"  # noqa: S311 - repeatable
    while killed < kills:
        process = nights.begin(root, "swept", deaths.pop() if deaths and killed % 2 else None)
        process.join(draw.uniform(0.3, 2.0))
        process.kill()
        process.join()
        killed += process.exitcode == -signal.SIGKILL
        assert process.exitcode in (0, -signal.SIGKILL)
        if process.exitcode == 0:
            same(undisturbed, told(root))
            root = tmp_path / f"killed after {killed}"
    nights.through(root, "swept")
    same(undisturbed, told(root))


@pytest.mark.parametrize("kills", [pytest.param(3), pytest.param(10, marks=ALL)])  # of the session, a worker, both
def test_kills_of_real_training(nights: Nights, tmp_path: Path, kills: int) -> None:
    nights.through(tmp_path / "undisturbed", "real")
    draw, root = random.Random(3), tmp_path / "killed"  # noqa: S311 - repeatable
    for number in range(kills):
        process = nights.begin(root, "real")
        whom = ("session", "worker", "both")[number % 3]
        workers = _workers(process)
        _wait_until_it_trains(root, process)
        process.join(draw.uniform(0.0, 2.0))
        victims = _workers(process) if whom != "session" else []
        for victim in draw.sample(victims, min(1, len(victims))):
            victim.kill()
        if whom != "worker":
            process.kill()
        process.join(None if whom != "worker" else draw.uniform(0.5, 2.0))
        process.kill()
        process.join()
        _, alive = psutil.wait_procs([*workers, *victims], timeout=20)
        assert alive == []
        if process.exitcode == 0:
            break
    nights.through(root, "real")
    same(told(tmp_path / "undisturbed"), told(root))
    runs = Notebook(Workspace(root)).runs()
    assert all(run.state is RunState.FINISHED for run in runs)
    assert sum(run.attempt for run in runs) > len(runs)


def _workers(process: BaseProcess) -> list[psutil.Process]:
    try:
        return [child for child in psutil.Process(process.pid).children(recursive=True) if child.is_running()]
    except psutil.NoSuchProcess:
        return []


def _wait_until_it_trains(root: Path, process: BaseProcess) -> None:
    notebook = Notebook(Workspace(root))
    while process.is_alive() and not any(run.state is RunState.RUNNING for run in notebook.runs()):
        process.join(0.05)
