"""Record a table of one's own in ARLBench's format: `.venv/bin/python -m benchmarks.arms.record FILE.csv`.

Configs are a Sobol sequence over the keys that a search of this environment may change, without the LSTM (five times
as slow, and a switch, not a range). Each is trained on the same few seeds; a row for each checkpoint has the score that
the training logged there, the last one that of the final evaluation. What is in the file is not trained again, so it
can be stopped and begun anew at any time. `benchmarks/tables` keeps them packed (`xz -dk FILE.csv.xz` to go on).
"""

import argparse
import contextlib
import csv
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy.stats import qmc

from benchmarks.arms.table import PREFIX
from benchmarks.common import ENV, workspace
from lab.base import InvalidInput
from lab.search import Point, SearchSpace, search_space
from lab.space import Config, check_config, preset_config
from lab.store import Notebook, RunRecord, create_run
from lab.store.curves import read_seed
from training import Options, ProcessRunner, load_inventory, train_run

FIXED = ("rnn.enabled",)
SEEDS = 4
STEPS = 600_000
CHECKPOINTS = 6


def main() -> None:
    """Train what the file does not have yet."""
    parser = argparse.ArgumentParser()
    parser.add_argument("file", type=Path)
    parser.add_argument("--env", default=ENV)
    parser.add_argument("--configs", type=int, default=300)
    parser.add_argument("--steps", type=int, default=STEPS)
    wanted = parser.parse_args()
    inventory = load_inventory([wanted.env])
    environment = inventory.environment(wanted.env)
    base = preset_config(environment, "quick").with_overrides({
        "train.total_timesteps": wanted.steps, "autopilot.seeds": SEEDS, "autopilot.eval_steps": 1000,
    })  # fmt: skip
    every = search_space(environment, base)
    space = replace(every, dimensions=tuple(dim for dim in every.dimensions if dim.key not in FIXED))
    points = valid_points(space, base, wanted.configs)
    done = set()
    if wanted.file.exists():
        with wanted.file.open() as lines:
            done = {int(row["run_id"]) for row in csv.DictReader(lines)}
    with workspace() as place, contextlib.closing(ProcessRunner()) as runner:
        notebook = Notebook(place)
        for number, point in enumerate(points):
            if number in done:
                continue
            run = create_run(
                notebook, base.with_overrides({**point, "train.seed": 1000}), {}, preset="quick",
                objective="perf:max", arm="benchmark",
            )  # fmt: skip
            run = train_run(notebook, runner, inventory, run.run_id, lambda _: None, options=Options(silent=True))
            append(wanted.file, rows(notebook, run, number, point, wanted.steps))
            shutil.rmtree(notebook.paths(run.run_id).dir)


def valid_points(space: SearchSpace, base: Config, count: int) -> list[Point]:
    """The first points of a Sobol sequence that the validator lets pass; the first of all is where a search starts."""
    inventory = load_inventory([base.env_name])
    points: list[Point] = [{dim.key: base.get(dim.key) for dim in space.dimensions}]
    for places in qmc.Sobol(len(space.dimensions), seed=0).random_base2((2 * count).bit_length()):
        point = space.point(places)
        try:
            check_config(base.with_overrides(point), inventory)
        except InvalidInput:
            continue
        points.append(point)
    return points[:count]


def rows(notebook: Notebook, run: RunRecord, number: int, point: Point, steps: int) -> list[dict[str, object]]:
    """What came of a run: a row for each checkpoint of each seed; one that failed has no performance."""
    found: list[dict[str, object]] = []
    values = {PREFIX + key: value for key, value in point.items()}
    for result in notebook.results(run):
        curve = read_seed(notebook.paths(run.run_id).seed(result.seed)).get("environment/perf")
        for at in range(1, CHECKPOINTS) if curve is not None and len(curve.steps) else ():
            near = int(np.argmin(np.abs(np.asarray(curve.steps) - at * steps / CHECKPOINTS)))
            logged = round(float(curve.values[near]), 4)
            found.append({"run_id": number, "budget": int(curve.steps[near]), "performance": logged, **values,
                          "seed": result.seed})  # fmt: skip
        score = result.metrics.get("perf")
        ended = "" if score is None else round(score, 4)
        found.append({"run_id": number, "budget": steps, "performance": ended, **values, "seed": result.seed})
    return found


def append(file: Path, new: list[dict[str, object]]) -> None:
    """Add the rows of a run."""
    fresh = not file.exists()
    with file.open("a", newline="") as out:
        writer = csv.DictWriter(out, list(new[0]))
        if fresh:
            writer.writeheader()
        writer.writerows(new)


if __name__ == "__main__":
    main()
