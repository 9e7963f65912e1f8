"""Nights whose truth is known: of equal configs, and with one improvement planted among them."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.replayed import EQUAL_RUNS, PLANTED, PLANTED_RUNS, Recorded, night, outcome
from lab.space.config import Config
from lab.space.inventory import Inventory
from training.runner import Plan, ProcessRunner


@pytest.mark.slow
@pytest.mark.parametrize("number", range(20))
def test_a_night_of_equal_configs_finds_nothing(tmp_path: Path, inventory: Inventory, number: int) -> None:
    found = outcome(night(tmp_path / "night", inventory, Recorded(night=number), EQUAL_RUNS))
    assert (found.incumbent, found.claims, found.better, found.helps) == (0, [], [], False)
    assert found.reports >= 2
    assert found.told


@pytest.mark.slow
@pytest.mark.parametrize("number", range(2))
def test_a_planted_improvement_is_found_and_confirmed(tmp_path: Path, inventory: Inventory, number: int) -> None:
    session = night(tmp_path / "night", inventory, Recorded(night=number, planted=PLANTED), PLANTED_RUNS)
    found = outcome(session)
    assert (found.incumbent, found.claims, found.better) == (PLANTED, [], [PLANTED])
    digest = session.notebook.workspace.session(session.record.session_id).digest.read_text()
    run = [run for run in session.mine() if run.replicates_of is None][PLANTED]
    assert f"fresh seeds a side {run.run_id} differs from" in digest
    assert "**confirmed**, the incumbent from then on" in digest


@dataclass
class Secretly(ProcessRunner):
    """Trains for real, but always the baseline, whatever a proposal asks for."""

    baseline: Config | None = None

    def train(self, plan: Plan, *more: Any) -> Any:
        """See `training.runner.Runner.train`."""
        self.baseline = self.baseline or plan.config
        config = self.baseline.with_overrides({"autopilot.seeds": len(plan.seeds)})
        return super().train(replace(plan, config=config), *more)


@pytest.mark.slow
def test_a_night_of_equal_configs_trained_for_real(tmp_path: Path, inventory: Inventory) -> None:
    session = night(tmp_path / "night", inventory, Secretly(), 3, **{"train.total_timesteps": 600_000})
    found = outcome(session)
    assert (found.incumbent, found.claims, found.better, found.helps) == (0, [], [], False)
    assert found.told
    weights = {result.weights for run in session.mine() for result in session.notebook.results(run)}
    assert len(weights) == sum(len(run.seeds) for run in session.mine())
