"""Whole nights whose truth is known: `.venv/bin/python -m benchmarks.replayed [--equal N] [--planted N] [--first N]`.

Sessions of the offline researcher, 60 replicates each, on replicates of cartpole that were trained for real
(tests/data/replicates), drawn anew for every night. In a night of equal configs each one is the baseline with new
seeds, whatever is proposed. In one with a planted improvement a config has the replicates of a better one (0.93 in the
place of 0.61) where one numeric key lies in a fifth of its range that the baseline is not in; another key each night.
Counted are reports and digests that claim an improvement, and incumbents.
"""

import argparse
import contextlib
import functools
import io
import itertools
import json
import random
import re
import tempfile
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from agent.analysis import Analyst
from agent.analysis.resting import Rest
from agent.model import TURNS, ChatModel, OfflineResearcher
from agent.session.session import Session
from benchmarks.common import ENV, tell
from lab.base import Workspace, append_line, new_id, now, write_model
from lab.search import Range, search_space
from lab.space import Config, Inventory, preset_config
from lab.space.parameters import Scalar
from lab.store import Budgets, Lab, Notebook, ReplicateResult, SessionRecord, Sessions, StopReason
from report import LineView
from training import FakeRunner, OnProgress, Plan, Progress, Runner, load_inventory, usable_cores

RECORDED = Path(__file__).resolve().parents[1] / "tests" / "data" / "replicates"
RUNS, SEEDS = 20, 3
"""Of a night, as it is asked for: 60 replicates."""
FIFTH = 0.2
"""Share of a key's range in which configs are better."""
HELD = 0.1
"""Share of points drawn at random that it holds at the least: a fifth of a key with three values may hold none."""
DRAWN = 200
"""Points that are drawn for that."""
TRIES = 100
"""Places tried before the next key is."""
CLAIM = re.compile(r"Verdict: better|better than the incumbent|this helped|\bimprove(?:d|s|ment)\b", re.IGNORECASE)
"""An improvement claimed in a report."""


def replicates(name: str) -> list[dict[str, Any]]:
    """The recorded replicates of one config."""
    return [json.loads(line) for line in (RECORDED / f"{name}.jsonl").read_text().splitlines()]


@dataclass(frozen=True)
class Planted:
    """Where configs are better."""

    dimension: Range
    low: float
    """The lower end, as a place from 0 to 1."""

    def holds(self, config: Config) -> bool:
        """Whether a config is one of the better ones."""
        return self.has(config.get(self.dimension.key))

    def has(self, value: Scalar) -> bool:
        """Whether a value of the key is one of the better ones."""
        return self.low <= self.dimension.place(value) <= self.low + FIFTH


def planted_in(inventory: Inventory, number: int) -> Planted:
    """The place of one night: a key, and a fifth of its range without the baseline in it that can be found at all."""
    draw, environment = random.Random(number), inventory.environment(ENV)  # noqa: S311 - an order
    base = preset_config(environment, "quick")
    space = search_space(environment, base)
    points = [space.point(place) for place in np.random.default_rng(number).random((DRAWN, len(space.dimensions)))]
    ranges = [dim for dim in space.dimensions if isinstance(dim, Range)]
    tried = (
        Planted(ranges[(number + attempt // TRIES) % len(ranges)], draw.uniform(0.0, 1.0 - FIFTH))
        for attempt in itertools.count()
    )
    return next(
        one
        for one in tried
        if not one.holds(base) and sum(one.has(point[one.dimension.key]) for point in points) >= HELD * DRAWN
    )


@dataclass
class Recorded(FakeRunner):
    """Plays back replicates of the preset, and of a better config where something is planted."""

    night: int = 0
    """What is drawn follows from it."""
    planted: Planted | None = None

    def __post_init__(self) -> None:
        self.draw = random.Random(self.night)  # noqa: S311 - an order
        self.preset, self.better = replicates("preset"), replicates("learning_rate_0.015")

    def is_better(self, config: Config) -> bool:
        """It has what is planted."""
        return self.planted is not None and self.planted.holds(config)

    def _replicate(
        self, plan: Plan, seed: int, on_progress: OnProgress, should_stop: Callable[[], StopReason | None]
    ) -> ReplicateResult:
        line = self.draw.choice(self.better if self.is_better(plan.config) else self.preset)
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


def night(
    root: Path,
    inventory: Inventory,
    runner: Runner,
    max_runs: int,
    name: str | None = None,
    *,
    model: ChatModel | None = None,
    share: float = 1.0,
    turns: int = TURNS,
    **settings: Any,
) -> Session:
    """A session in a workspace of its own, run to its end; what it draws follows its name.

    Args:
        root: where its workspace is made.
        inventory: what may be trained.
        runner: who trains.
        max_runs: of `SEEDS` replicates each.
        name: of the session.
        model: who proposes beside the optimizer; None for the offline researcher. One that gave up is asked again with
            each run, since trainings that take no time leave it none to rest in.
        share: the model's part of the new configs.
        turns: requests that one analysis of the model may take.
        settings: of the session's config.
    """
    for folder in ("runs", "proposals"):
        (root / folder).mkdir(parents=True)
    notebook, created, stop = Notebook(Workspace(root)), now(), threading.Event()
    record = SessionRecord(
        session_id=name or new_id(created), env_name=ENV, preset="quick", objective="perf:max",
        model=model.name if model else "offline", model_share=share, approve="auto", seeds=SEEDS,
        budgets=Budgets(max_runs=max_runs), created=created, settings=settings,
    )  # fmt: skip
    analyst = Analyst(Lab(notebook, inventory), model or OfflineResearcher(), record.session_id, stop.is_set)
    analyst.rest = Rest(clock=lambda: 0.0)
    session = Session(record, Lab(notebook, inventory), runner, analyst, LineView(), stop, turns=turns, patience=None)
    session.run()
    return session


@dataclass
class Outcome:
    """What a night claims."""

    crowned: bool
    """Something took the baseline's place."""
    right: bool
    """What did has what is planted."""
    leads: bool
    """What the search believes in at the end has it."""
    named: bool
    """It tried to prove something that has it."""
    reports: int
    claims: int
    """Reports that claim an improvement."""
    helps: bool
    """The digest says that something helps."""
    told: bool
    """The digest says what effect the night could have seen."""


def outcome(session: Session, runner: Recorded) -> Outcome:
    """Read from what the night has written."""
    notebook, own = session.notebook, [run for run in session.mine() if run.replicates_of is None]
    digest = notebook.workspace.session(session.record.session_id).digest.read_text()
    reports = [notebook.paths(run.run_id).report.read_text() for run in own]
    incumbent = str(notebook.incumbent(session.group))
    leader = Sessions(notebook.workspace).leading(session.record.session_id)[-1].run
    named = {one.candidate for one in notebook.index.confirmations(group=session.group)}
    return Outcome(
        crowned=incumbent != own[0].run_id,
        right=runner.is_better(notebook.config(incumbent)),
        leads=runner.is_better(notebook.config(leader)),
        named=any(runner.is_better(notebook.config(run)) for run in named),
        reports=len(reports),
        claims=sum(bool(CLAIM.search(text)) for text in reports),
        helps=" helps: " in digest,
        told=bool(re.search(r"with \d+ a side, four of five differences of [\d.]+ would be found", digest)),
    )


def played(number: int, *, planted: bool) -> Outcome:
    """One night."""
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        inventory = load_inventory([ENV])
        runner = Recorded(night=number, planted=planted_in(inventory, number) if planted else None)
        return outcome(night(Path(folder) / "workspace", inventory, runner, RUNS, f"night-{number}"), runner)


def main() -> None:
    """Print everything."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--equal", type=int, default=200)
    parser.add_argument("--planted", type=int, default=200)
    parser.add_argument("--first", type=int, default=0, help="number of the first night: others are drawn for others")
    wanted = parser.parse_args()
    equals, betters = (range(wanted.first, wanted.first + count) for count in (wanted.equal, wanted.planted))
    with ProcessPoolExecutor(usable_cores()) as pool:
        equal = list(pool.map(functools.partial(played, planted=False), equals))
        better = list(pool.map(functools.partial(played, planted=True), betters))
    tell(
        "whole nights on replicates trained for real, whose truth is known",
        equal_nights={
            "nights": len(equal), "reports": sum(one.reports for one in equal),
            "reports_that_claim": sum(one.claims for one in equal),
            "false_incumbents": sum(one.crowned for one in equal),
            "digests_that_say_helps": sum(one.helps for one in equal),
            "digests_without_what_could_be_seen": sum(not one.told for one in equal),
        },
        planted_nights={
            "nights": len(better), "confirmed": sum(one.right for one in better),
            "named": sum(one.named for one in better), "leads": sum(one.leads for one in better),
            "another_incumbent": sum(one.crowned and not one.right for one in better),
        },
    )  # fmt: skip


if __name__ == "__main__":
    main()
