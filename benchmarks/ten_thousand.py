"""A workspace of ten thousand runs: how fast it answers. `.venv/bin/python -m benchmarks.ten_thousand [RUNS] [FOLDER]`.

The generator writes the files that real runs leave, with made-up scores; the questions are asked in one process whose
memory is watched. Against them the same listing without the index: every folder read.
"""

import itertools
import random
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from benchmarks.common import tell
from lab.base import Workspace, read_model
from lab.space import Config, Group, Task, preset_config
from lab.store import (
    Index,
    Lab,
    MetricSummary,
    Notebook,
    Questions,
    RunRecord,
    RunState,
    TrainerSummary,
    Verdict,
    runs_that_tried,
)
from report import effects_in
from training import load_inventory

ENV = "puffer_cartpole"
TIMES = 60


def generate(place: Workspace, count: int) -> Group:
    """Write that many ended runs of cartpole's quick preset, with lineage, verdicts and a few failures."""
    draw = random.Random(0)  # noqa: S311 - made-up runs
    base = preset_config(load_inventory([ENV]).environment(ENV), "quick")
    place.create()
    began = datetime(2026, 1, 1, tzinfo=UTC)
    names: list[str] = []
    for number in range(count):
        name = f"{began + timedelta(minutes=number):%Y-%m-%dT%H%M%SZ}-{number:05d}"
        parent = draw.choice(names[-50:]) if names else None
        config = base.with_overrides({
            "train.learning_rate": 10 ** draw.uniform(-4, -1), "train.ent_coef": 10 ** draw.uniform(-5, -1),
            "train.gamma": 1 - 10 ** draw.uniform(-3, -1), "train.update_epochs": draw.randint(1, 4),
            "train.optimizer": draw.choice(["adam", "muon"]),
        })  # fmt: skip
        _write(place, name, number, parent, config, began + timedelta(minutes=number), draw)
        names.append(name)
    return Group(ENV, "perf:max", "quick", Task().key)


def _write(
    place: Workspace, name: str, number: int, parent: str | None, config: Config, at: datetime, draw: random.Random
) -> None:
    paths, failed = place.run(name), draw.random() < 0.05 and number > 0
    seeds = tuple(range(3 * number + 1, 3 * number + 4))
    record = RunRecord(
        run_id=name, state=RunState.FAILED if failed else RunState.FINISHED, env_name=ENV, preset="quick",
        objective="perf:max", arm="offline", parent=parent, session=f"session-{number // 100}", seeds=seeds, created=at,
        started=at, finished=at + timedelta(seconds=50), attempt=1, reason="made up" if failed else None,
        host="made-up", versions={"pufferlib": "3.0.0"},
    )  # fmt: skip
    paths.dir.mkdir()
    paths.run.write_text(record.model_dump_json(indent=2))
    paths.config.write_text(config.model_dump_json(indent=2))
    paths.override.write_text("{}\n")
    if failed:
        return
    score = 1 - abs(float(config.train["learning_rate"] or 0) - 0.01) + draw.gauss(0, 0.1)
    metrics = {
        metric: MetricSummary(mean=score, low=score - 0.1, high=score + 0.1, n=3, values=(score, score + 0.01, score))
        for metric in ("perf", "score", "episode_length", "mean_reward", "success_rate", "collision_rate", "sps",
                       "agent_steps", "epoch", "cumulative_steps")
    }  # fmt: skip
    summary = TrainerSummary(
        timestamp=at, run_id=name, train=config.train, env=config.env, vec=config.vec, metrics=metrics
    )
    paths.summary.write_text(summary.model_dump_json(indent=2))
    said = "inconclusive" if number else "first"
    verdict = Verdict(time=at, run_id=name, against=parent, verdict=said, metric="perf",
                      effect=0.01, low=-0.1, high=0.12, method="made up", screen=0.4)  # fmt: skip
    with place.verdicts.open("a") as file:  # `append_line` flushes each: minutes
        file.write(verdict.model_dump_json() + "\n")


@contextmanager
def made(count: int, folder: Path | None) -> Iterator[tuple[Workspace, Group]]:
    """A workspace with so many runs; kept where a folder is given, and used again from there."""
    if folder is None:
        with tempfile.TemporaryDirectory() as temporary:
            place = Workspace(Path(temporary))
            yield place, generate(place, count)
    else:
        place = Workspace(folder)
        known = folder.exists()
        yield place, Group(ENV, "perf:max", "quick", Task().key) if known else generate(place, count)


def milliseconds(ask: Callable[[], Any]) -> dict[str, float]:
    """Median, 95th percentile and the most, of `TIMES` calls."""
    found = []
    for _ in range(TIMES):
        began = time.perf_counter()
        ask()
        found.append(1000 * (time.perf_counter() - began))
    return {"median": round(statistics.median(found), 2), "p95": round(statistics.quantiles(found, n=20)[18], 2),
            "max": round(max(found), 2)}  # fmt: skip


def without_index(place: Workspace, count: int) -> list[tuple[str, float | None]]:
    """The last runs with their scores, read from all folders."""
    records = sorted(
        (read_model(place.run(folder.name).run, RunRecord) for folder in place.runs.iterdir()
         if folder.is_dir() and folder.name != "sessions"),
        key=lambda record: record.created,
    )  # fmt: skip
    found = []
    for record in records[-count:]:
        path = place.run(record.run_id).summary
        metric = record.goal.metric
        found.append((record.run_id, read_model(path, TrainerSummary).metrics[metric].mean if path.exists() else None))
    return found


def main() -> None:
    """Print times, and their ratio to reading every folder."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    with made(count, Path(sys.argv[2]) if len(sys.argv) > 2 else None) as (place, group):
        index = Index(place)
        began = time.perf_counter()
        index.rebuild()
        rebuilt = time.perf_counter() - began
        questions = Questions(index)
        names = [row.run_id for row in questions.last(200)]
        turn = itertools.cycle(names)
        configs = itertools.cycle([questions.config(name) for name in names[:20]])
        lab = Lab(Notebook(place), load_inventory([ENV]))
        began = time.perf_counter()
        effects_in(lab, group)
        effects_seconds = time.perf_counter() - began
        asked = {
            "the last 50": milliseconds(lambda: questions.last(50)),
            "best 20 by score": milliseconds(lambda: questions.best(group, 20)),
            "lineage": milliseconds(lambda: questions.lineage(next(turn))),
            "children": milliseconds(lambda: questions.children(next(turn))),
            "what changed between two runs": milliseconds(lambda: questions.changed(next(turn), next(turn))),
            "has this config been tried": milliseconds(lambda: runs_that_tried(questions.index, next(configs), group)),
            "what each key does (kept)": milliseconds(lambda: effects_in(lab, group)),
            "trend over the last 50": milliseconds(lambda: questions.trend(group, 50)),
            "best so far against time": milliseconds(lambda: questions.best_so_far(group)),
            "incumbent": milliseconds(lambda: index.incumbent(group)),
        }
        began = time.perf_counter()
        without_index(place, 50)
        bare = time.perf_counter() - began
        tell(
            "questions to a workspace of many runs, milliseconds", runs=count, asked=asked,
            rebuild_seconds=round(rebuilt, 1), effects_seconds=round(effects_seconds, 1),
            index_mib=round(place.index.stat().st_size / 2**20, 1),
            memory_mib=round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
            last_50_without_index_ms=round(1000 * bare),
            ratio=round(1000 * bare / asked["the last 50"]["median"]),
        )  # fmt: skip


if __name__ == "__main__":
    main()
