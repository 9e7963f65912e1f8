"""When two runs are like with like, and how far replicates of one config lie apart."""

from lab.judge.verdicts import confounds, noise_of
from lab.space.config import Config
from lab.space.inventory import Inventory
from lab.store.creation import create_run
from lab.store.notebook import Notebook
from lab.store.records import ReplicateResult
from tests.conftest import RunMaker
from training.fake import FakeRunner
from training.run import train_run
from training.runner import Plan


class Batches(FakeRunner):
    """Trains to the end of a batch, which is larger with a longer horizon."""

    def _finished(self, plan: Plan, seed: int, total: int, final: float) -> ReplicateResult:
        over = 1.3 if plan.config.train["bptt_horizon"] == 64 else 1.05
        return super()._finished(plan, seed, round(over * total), final)


def test_the_last_batch_makes_no_two_trainings_unlike(notebook: Notebook, inventory: Inventory, config: Config) -> None:
    runs = []
    for changes in ({}, {"train.bptt_horizon": 64}):
        made = create_run(
            notebook, config.with_overrides(changes), changes, preset="quick", objective="perf:max", arm="person"
        )
        runs.append(train_run(notebook, Batches(), inventory, made.run_id, lambda _: None).run_id)
    steps = [notebook.values(run, "agent_steps")[0] for run in runs]
    assert steps[1] > 1.2 * steps[0]
    assert confounds(notebook, runs[1], runs[0]) == ()


def test_the_noise_floor_counts_more_replicates_of_a_run_but_the_one_that_it_got_them_for(
    make_run: RunMaker, notebook: Notebook
) -> None:
    base = make_run()
    one = make_run({"train.gamma": 0.9, "autopilot.seeds": 1}, parent=base.run_id)
    for _ in range(3):
        make_run({"train.gamma": 0.9, "autopilot.seeds": 1}, parent=base.run_id, replicates_of=one.run_id)
    noise = noise_of(notebook, base.group)
    assert noise is not None
    assert noise[1] == 1 + 2  # of two replicates of the baseline, and of three later ones
