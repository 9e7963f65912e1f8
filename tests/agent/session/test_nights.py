"""Nights whose truth is known: of equal configs, and with an improvement planted among them."""

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from scipy.stats import binom

from benchmarks.replayed import CLAIM, RUNS, Outcome, Recorded, night, outcome, planted_in
from lab.space.config import Config
from lab.space.inventory import Inventory
from training.runner import Plan, ProcessRunner

NIGHTS = 12
LEVEL = 0.01
"""Nights with a false incumbent, at the most: what a session's proofs are laid down for."""
CONFIRMED, LEADS = 168 / 200, 197 / 200
"""Of nights with something planted: proven, and believed in at the end (docs/benchmarks.md, nights 200 to 399)."""
CHANCE = 0.002
"""How likely a night's luck may at least have made what is seen."""


@pytest.mark.nights
@pytest.mark.parametrize("number", range(4))  # `benchmarks.replayed` plays two hundred
def test_a_night_of_equal_configs_finds_nothing(tmp_path: Path, inventory: Inventory, number: int) -> None:
    runner = Recorded(night=number)
    found = outcome(night(tmp_path / "night", inventory, runner, 12, f"night-{number}"), runner)
    assert (found.crowned, found.claims, found.helps) == (False, 0, False)
    assert found.reports >= 2
    assert found.told


@pytest.mark.nights
def test_planted_improvements_are_found_and_confirmed(tmp_path: Path, inventory: Inventory) -> None:
    nights, digests = list[Outcome](), list[str]()
    for number in range(NIGHTS):
        runner = Recorded(night=number, planted=planted_in(inventory, number))
        session = night(tmp_path / f"night-{number}", inventory, runner, RUNS, f"night-{number}")
        nights.append(outcome(session, runner))
        incumbent = str(session.notebook.incumbent(session.group))
        if nights[-1].right:  # its digest says what its fresh seeds say
            digest = session.notebook.workspace.session(session.record.session_id).digest.read_text()
            assert re.search(rf"fresh seeds a side {incumbent} \(.*\) differs from", digest)
            assert "**confirmed**, the incumbent from then on" in digest
            assert "leave a rate of rare collapses of up to" in digest
            digests.append(digest)
    assert digests
    assert sum(one.claims for one in nights) == 0
    wrong = sum(one.crowned and not one.right for one in nights)
    assert binom.sf(wrong - 1, NIGHTS, LEVEL) > CHANCE
    assert binom.cdf(sum(one.right for one in nights), NIGHTS, CONFIRMED) > CHANCE
    assert binom.cdf(sum(one.leads for one in nights), NIGHTS, LEADS) > CHANCE


@dataclass
class Secretly(ProcessRunner):
    """Trains for real, but always the baseline, whatever a proposal asks for."""

    baseline: Config | None = None

    def __post_init__(self) -> None:
        super().__init__()

    def train(self, plan: Plan, *more: Any) -> Any:
        """See `training.runner.Runner.train`."""
        self.baseline = self.baseline or plan.config
        config = self.baseline.with_overrides({"autopilot.seeds": len(plan.seeds)})
        return super().train(replace(plan, config=config), *more)


@pytest.mark.slow
def test_a_night_of_equal_configs_trained_for_real(tmp_path: Path, inventory: Inventory) -> None:
    session = night(tmp_path / "night", inventory, Secretly(), 3, "real", **{"train.total_timesteps": 131_072})
    (baseline, *_) = session.mine()
    assert session.notebook.incumbent(session.group) == baseline.run_id
    reports = [session.notebook.paths(run.run_id).report for run in session.mine() if run.replicates_of is None]
    assert not any(CLAIM.search(report.read_text()) for report in reports)
    weights = {result.weights for run in session.mine() for result in session.notebook.results(run)}
    assert len(weights) == sum(len(run.seeds) for run in session.mine())
