"""Whether all replicates of a config hold what they gained, whichever runs they are of."""

from typing import Any

import pytest

from lab.judge import SeedRequest, repeat, stability_of
from lab.space import Config, Inventory
from lab.store import Lab, Notebook, RunRecord, RunState, create_run
from tests.brittle import EDGE, START, Brittle
from tests.conftest import RunMaker
from training import train_run


class Nights:
    """Runs of one workspace by the brittle runner, seeds counting up."""

    def __init__(self, notebook: Notebook, inventory: Inventory, config: Config) -> None:
        self.notebook, self.inventory, self.config = notebook, inventory, config
        self.runner, self.lab = Brittle(), Lab(notebook, inventory)

    def train(self, rate: float, replicates: int, seed: int, **settings: Any) -> RunRecord:
        changes = {"train.learning_rate": rate, "train.seed": seed, **settings}
        run = create_run(
            self.notebook, self.config.with_overrides(changes), changes, preset="quick", objective="perf:max",
            arm="baseline", replicates=replicates,
        )  # fmt: skip
        return train_run(self.notebook, self.runner, self.inventory, run.run_id, lambda _: None)

    def again(self, run: RunRecord, replicates: int) -> RunRecord:
        more = repeat(self.notebook, SeedRequest(run.run_id, replicates), None, self.inventory)
        return train_run(self.notebook, self.runner, self.inventory, more.run_id, lambda _: None)


@pytest.fixture
def nights(notebook: Notebook, inventory: Inventory, config: Config) -> Nights:
    return Nights(notebook, inventory, config)


def test_below_the_edge_replicates_hold_what_they_gained(nights: Nights) -> None:
    held = stability_of(nights.lab, nights.train(EDGE, 5, 1).run_id)
    assert (held.replicates, held.collapse, held.before) == (5, None, None)


def test_one_replicate_says_nothing(nights: Nights) -> None:
    nights.runner.chance = 1.0
    held = stability_of(nights.lab, nights.train(3 * EDGE, 1, 1).run_id)
    assert (held.replicates, held.collapse) == (1, None)


def test_beyond_the_edge_it_is_told_how_many_of_all_replicates_fell_back(nights: Nights) -> None:
    nights.runner.chance = 0.0
    run = nights.train(3 * EDGE, 1, 1)
    assert stability_of(nights.lab, run.run_id).collapse is None
    nights.runner.chance = 1.0
    nights.again(run, 1)
    held = stability_of(nights.lab, run.run_id)
    assert held.replicates == 2
    assert held.collapse is not None
    assert held.collapse.name == "collapse"
    assert held.collapse.evidence.startswith("1 of 2 replicates peaks near ")
    assert held.collapse.moves[0].text == "learning_rate down"
    assert held.before is None


def test_the_best_weights_of_a_replicate_that_fell_back_are_from_before(nights: Nights, notebook: Notebook) -> None:
    nights.runner.chance = 1.0
    run = nights.train(3 * EDGE, 2, 1, **{"autopilot.save_strategy": "best"})
    held = stability_of(nights.lab, run.run_id)
    assert held.before is not None
    assert held.before.startswith(f"runs/{run.run_id}/")
    assert held.before.endswith("/checkpoints/best.pt")
    assert (notebook.workspace.root / held.before).exists()


def test_of_checkpoints_by_step_the_last_one_up_to_the_peak(nights: Nights, notebook: Notebook) -> None:
    nights.runner.chance = 1.0
    run = nights.train(3 * EDGE, 2, 1)
    total = int(notebook.config(run.run_id).train["total_timesteps"] or 0)
    for share in (0.2, 0.4, 0.8, 1.0):
        for name in (f"step_{int(share * total):012d}", f"step_{int(share * total):012d}.state"):
            notebook.workspace.run(run.run_id).seed(run.seeds[0]).weights(name).write_text("weights")
    held = stability_of(nights.lab, run.run_id)
    assert held.before is not None
    assert held.before.endswith(f"/checkpoints/step_{int(0.4 * total):012d}.pt")


def test_a_replicate_that_diverged_is_a_collapse(make_run: RunMaker, notebook: Notebook, inventory: Inventory) -> None:
    run = make_run({"train.learning_rate": START}, replicates=2)
    lab = Lab(notebook, inventory)
    assert stability_of(lab, run.run_id).collapse is None
    broken = make_run({"train.learning_rate": START}, replicates_of=run.run_id, replicates=1, fault="nan")
    assert broken.state is RunState.DIVERGED
    held = stability_of(lab, run.run_id)
    assert held.replicates == 3
    assert held.collapse is not None
    assert held.collapse.evidence == "1 of 3 replicates diverged"
