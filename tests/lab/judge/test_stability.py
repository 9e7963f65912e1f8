"""Whether all replicates of a config hold what they gained, whichever runs they are of."""

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lab.judge import Stabilities, diagnose
from lab.judge.evidence import Evidence
from lab.judge.stability import OFTEN
from lab.space import Config, Inventory, Objective
from lab.store import Curve, Lab, Notebook, RunState
from tests.brittle import EDGE, START, Trainings
from tests.conftest import RunMaker


@pytest.fixture
def trainings(notebook: Notebook, inventory: Inventory, config: Config) -> Trainings:
    return Trainings(notebook, inventory, config)


def test_below_the_edge_replicates_hold_what_they_gained(trainings: Trainings) -> None:
    held = Stabilities(trainings.lab).of(trainings.train(EDGE, 5).run_id)
    assert (held.replicates, held.collapse, held.before) == (5, None, None)


def test_one_replicate_says_nothing(trainings: Trainings) -> None:
    trainings.runner.chance = 1.0
    held = Stabilities(trainings.lab).of(trainings.train(3 * EDGE, 1).run_id)
    assert (held.replicates, held.collapse) == (1, None)


def test_beyond_the_edge_it_is_told_how_many_of_all_replicates_fell_back(trainings: Trainings) -> None:
    trainings.runner.chance = 0.0
    run = trainings.train(3 * EDGE, 1)
    assert Stabilities(trainings.lab).of(run.run_id).collapse is None
    trainings.runner.chance = 1.0
    trainings.again(run, 1)
    held = Stabilities(trainings.lab).of(run.run_id)
    assert held.replicates == 2
    assert held.collapse is not None
    assert held.collapse.name == "collapse"
    assert held.collapse.evidence.startswith("1 of 2 replicates peaks near ")
    assert "learning_rate down" in [move.text for move in held.collapse.moves]
    assert held.before is None


def test_the_best_weights_of_a_replicate_that_fell_back_are_from_before(
    trainings: Trainings, notebook: Notebook
) -> None:
    trainings.runner.chance = 1.0
    run = trainings.train(3 * EDGE, 2, **{"autopilot.save_strategy": "best"})
    held = Stabilities(trainings.lab).of(run.run_id)
    assert held.before is not None
    assert held.before.startswith(f"runs/{run.run_id}/")
    assert held.before.endswith("/checkpoints/best.pt")
    assert (notebook.workspace.root / held.before).exists()


def test_of_checkpoints_by_step_the_last_one_up_to_the_peak(trainings: Trainings, notebook: Notebook) -> None:
    trainings.runner.chance = 1.0
    run = trainings.train(3 * EDGE, 2)
    total = int(notebook.config(run.run_id).train["total_timesteps"] or 0)
    for share in (0.2, 0.4, 0.8, 1.0):
        for name in (f"step_{int(share * total):012d}", f"step_{int(share * total):012d}.state"):
            notebook.workspace.run(run.run_id).seed(run.seeds[0]).weights(name).write_text("weights")
    held = Stabilities(trainings.lab).of(run.run_id)
    assert held.before is not None
    assert held.before.endswith(f"/checkpoints/step_{int(0.4 * total):012d}.pt")


def test_a_replicate_that_diverged_is_a_collapse(make_run: RunMaker, notebook: Notebook, inventory: Inventory) -> None:
    run = make_run({"train.learning_rate": START}, replicates=2)
    lab = Lab(notebook, inventory)
    assert Stabilities(lab).of(run.run_id).collapse is None
    broken = make_run({"train.learning_rate": START}, replicates_of=run.run_id, replicates=1, fault="nan")
    assert broken.state is RunState.DIVERGED
    held = Stabilities(lab).of(run.run_id)
    assert held.replicates == 3
    assert held.collapse is not None
    assert held.collapse.evidence == "1 of 3 replicates diverged"


# --- real replicates ---------------------------------------------------------------------------------------------

RECORDED = Path(__file__).parents[2] / "data" / "replicates"


def called_a_collapse(name: str, sets: int = 200) -> float:
    """Share of sets of three recorded replicates of a config that are called a collapse."""
    lines = [json.loads(line) for line in (RECORDED / f"{name}.jsonl").read_text().splitlines()]
    draw = random.Random(0)  # noqa: S311 - an order
    goal, called = Objective("perf", "max", low=0.0, high=1.0), 0
    config: dict[str, Any] = {"train.learning_rate": 0.005, "train.total_timesteps": 2_000_000}
    for _ in range(sets):
        curves = {
            seed: {"environment/perf": Curve(np.array(of["agent_steps"], float), np.array(of["environment/perf"]))}
            for seed, of in enumerate(line["curve"] for line in draw.sample(lines, 3))
        }
        found = diagnose(Evidence(goal, "environment/perf", config, config, {}, {}, curves))
        called += any(one.name == "collapse" and one.strength >= OFTEN for one in found)
    return called / sets


def test_real_replicates_that_hold_are_hardly_called_a_collapse_and_those_that_fall_back_mostly_are() -> None:
    assert called_a_collapse("learning_rate_0.015") <= 0.05
    assert called_a_collapse("preset") >= 0.8
