"""Whole nights whose truth is known: `.venv/bin/python -m benchmarks.replayed [--equal N] [--planted N]`.

Sessions of the offline researcher on replicates of cartpole that were trained for real (tests/data/replicates), played
back whatever a proposal asks for. In a night of equal configs every proposal is the baseline with new seeds; in one
with a planted improvement the third proposal, and what keeps its change, gets the replicates of a better config. Each
replicate is used once a night. Counted are reports and digests that claim an improvement, and incumbents.
"""

import argparse
import contextlib
import io
import json
import random
import re
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agent.analysis import Analyst
from agent.model import OfflineResearcher
from agent.session.session import Session
from benchmarks.common import ENV, tell
from lab.base import Workspace, append_line, new_id, now, write_model
from lab.judge import current_verdict
from lab.space import Config, Inventory, telling
from lab.store import Budgets, Lab, Notebook, ReplicateResult, SessionRecord, StopReason
from report import LineView
from training import FakeRunner, OnProgress, Plan, Progress, Runner, load_inventory, usable_cores

RECORDED = Path(__file__).resolve().parents[1] / "tests" / "data" / "replicates"
PLANTED = 3
"""Which config of a night is the better one; the baseline is 0."""
EQUAL_RUNS, PLANTED_RUNS = 6, 12
"""Runs of a night, fresh seeds included."""
CLAIM = re.compile(r"Verdict: better|better than the incumbent|this helped|\bimprove(?:d|s|ment)\b", re.IGNORECASE)
"""An improvement claimed in a report."""


def replicates(name: str, order: int) -> Iterator[dict[str, Any]]:
    """The recorded replicates of one config in an order of their own, each once."""
    lines = [json.loads(line) for line in (RECORDED / f"{name}.jsonl").read_text().splitlines()]
    random.Random(order).shuffle(lines)  # noqa: S311 - an order
    return iter(lines)


def changes(old: Config, new: Config) -> dict[str, Any]:
    """What a config has in other ways than another one, bookkeeping apart."""
    return {key: values[1] for key, values in telling(old, new).items()}


@dataclass
class Recorded(FakeRunner):
    """Plays back the preset's replicates, and those of a better config where a change is secretly the planted one."""

    night: int = 0
    """Which order they come in."""
    planted: int | None = None
    """Which config of the night is the better one, the baseline being 0; all that keep its change are as good."""
    configs: list[Config] = field(default_factory=list)
    """In the order they came."""
    preset: Iterator[dict[str, Any]] = field(init=False)
    better: Iterator[dict[str, Any]] = field(init=False)

    def __post_init__(self) -> None:
        self.preset = replicates("preset", self.night)
        self.better = replicates("learning_rate_0.015", self.night)

    def is_better(self, config: Config) -> bool:
        """It has the planted change."""
        config = config.without_seed()
        if not any(changes(known, config) == {} for known in self.configs):
            self.configs.append(config)
        if self.planted is None or len(self.configs) <= self.planted:
            return False
        change = changes(self.configs[0], self.configs[self.planted])
        return change.items() <= changes(self.configs[0], config).items()

    def _replicate(
        self, plan: Plan, seed: int, on_progress: OnProgress, should_stop: Callable[[], StopReason | None]
    ) -> ReplicateResult:
        line = next(self.better if self.is_better(plan.config) else self.preset)
        paths = plan.paths.seed(seed)
        weights = paths.weights("latest")
        weights.parent.mkdir(parents=True)
        weights.write_text("played back")
        paths.log.write_text("")
        total = int(plan.config.train["total_timesteps"] or 0)
        for values in zip(*line["curve"].values(), strict=True):
            logged = dict(zip(line["curve"], values, strict=True))
            append_line(paths.metrics_live, logged)
            on_progress(Progress(
                seed=seed, phase="train", steps=logged["agent_steps"], total=total, sps=logged["SPS"],
                score=logged["environment/perf"],
            ))  # fmt: skip
        result = ReplicateResult.model_validate({**line["result"], "seed": seed, "state": "finished"})
        write_model(paths.result, result)
        self.trained.append(seed)
        return result


def night(root: Path, inventory: Inventory, runner: Runner, max_runs: int, **settings: Any) -> Session:
    """A session of the offline researcher in a workspace of its own, run to its end."""
    for folder in ("runs", "proposals"):
        (root / folder).mkdir(parents=True)
    notebook, created, stop = Notebook(Workspace(root)), now(), threading.Event()
    record = SessionRecord(
        session_id=new_id(created), env_name=ENV, preset="quick", objective="perf:max", model="offline",
        approve="auto", seeds=3, budgets=Budgets(max_runs=max_runs), created=created, settings=settings,
    )  # fmt: skip
    analyst = Analyst(Lab(notebook, inventory), OfflineResearcher(), record.session_id, stop.is_set)
    session = Session(record, Lab(notebook, inventory), runner, analyst, LineView(), stop)
    session.run()
    return session


@dataclass
class Outcome:
    """What a night claims."""

    incumbent: int
    """Which of its configs is the incumbent at the end; the baseline is 0."""
    reports: int
    claims: list[str]
    """Runs whose report claims an improvement before fresh seeds have confirmed it."""
    better: list[int]
    """Configs whose verdict is `better` at the end."""
    helps: bool
    """The digest says that something helps."""
    told: str
    """What effect the digest says the night could have seen; empty if it does not."""


def outcome(session: Session) -> Outcome:
    """Read from what the night has written."""
    notebook, own = session.notebook, [run for run in session.mine() if run.replicates_of is None]
    digest = notebook.workspace.session(session.record.session_id).digest.read_text()
    told = re.search(r"with \d+ a side, four of five differences of [\d.]+ would be found", digest)
    reports = {run.run_id: notebook.paths(run.run_id).report.read_text() for run in own}
    verdicts = [current_verdict(notebook, run.run_id) for run in own]
    return Outcome(
        incumbent=[run.run_id for run in own].index(str(notebook.incumbent(session.group))),
        reports=len(reports),
        claims=[run_id for run_id, text in reports.items() if CLAIM.search(text)],
        better=[at for at, verdict in enumerate(verdicts) if verdict and verdict.verdict == "better"],
        helps=" helps: " in digest,
        told=told.group(0) if told else "",
    )


def played(number: int, planted: int | None) -> Outcome:
    """One night."""
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        runs = EQUAL_RUNS if planted is None else PLANTED_RUNS
        runner = Recorded(night=number, planted=planted)
        return outcome(night(Path(folder) / "workspace", load_inventory([ENV]), runner, runs))


def main() -> None:
    """Print everything."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--equal", type=int, default=100)
    parser.add_argument("--planted", type=int, default=30)
    wanted = parser.parse_args()
    with ProcessPoolExecutor(usable_cores()) as pool:
        equal = list(pool.map(played, range(wanted.equal), [None] * wanted.equal))
        planted = list(pool.map(played, range(wanted.planted), [PLANTED] * wanted.planted))
    tell(
        "whole nights on replicates trained for real, whose truth is known",
        equal_nights={
            "nights": len(equal), "reports": sum(one.reports for one in equal),
            "reports_that_claim": sum(len(one.claims) for one in equal),
            "false_incumbents": sum(one.incumbent != 0 for one in equal),
            "digests_that_say_helps": sum(one.helps for one in equal),
            "digests_without_what_could_be_seen": sum(not one.told for one in equal),
        },
        planted_nights={
            "nights": len(planted), "confirmed": sum(one.incumbent == PLANTED for one in planted),
            "another_incumbent": sum(one.incumbent not in (0, PLANTED) for one in planted),
            "claimed_too_early": sum(len(one.claims) for one in planted),
            "another_called_better": sum(bool(set(one.better) - {PLANTED}) for one in planted),
        },
    )  # fmt: skip


if __name__ == "__main__":
    main()
