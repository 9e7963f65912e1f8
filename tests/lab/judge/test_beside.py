"""A run beside the leader of when it ended: what of its updates and metrics differs by more than noise."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.base.files import write_model
from lab.base.schema import now
from lab.judge import Finding, beyond_noise, diagnosis_of
from lab.space import Config, Inventory
from lab.store import Lab, Leading, Notebook, ReplicateResult, RunRecord, Sessions, create_run
from training.fake import FakeRunner
from training.run import train_run

SESSION = "2026-01-01T000000Z-abcd"
Trained = Callable[..., RunRecord]
Believe = Callable[[RunRecord], None]
values = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=6)


@dataclass
class Lasting(FakeRunner):
    """Episodes of a given length, and an entropy that is a given multiple of the usual one."""

    length: float = 100.0
    entropy: float = 1.0

    def train(self, plan: Any, on_progress: Any, should_stop: Any) -> list[ReplicateResult]:
        results = super().train(plan, on_progress, should_stop)
        told = []
        for number, result in enumerate(results):
            paths = plan.paths.seed(result.seed)
            lines = [json.loads(line) for line in paths.metrics_live.read_text().splitlines()]
            logged = [{**line, "losses/entropy": self.entropy * line["losses/entropy"]} for line in lines]
            paths.metrics_live.write_text("".join(json.dumps(line) + "\n" for line in logged))
            told.append(
                result.model_copy(update={"metrics": {**result.metrics, "episode_length": self.length + number}})
            )
            write_model(paths.result, told[-1])
        return told


@pytest.fixture
def trained(notebook: Notebook, inventory: Inventory, config: Config) -> Trained:
    """Runs of a session of two replicates each; what is not theirs is the runner's."""

    def made(overrides: dict[str, Any], parent: RunRecord | None = None, **runner: float) -> RunRecord:
        more: dict[str, Any] = {"preset": "quick", "objective": "perf:max", "arm": "offline", "session": SESSION}
        run = create_run(
            notebook, config.with_overrides(overrides), overrides, parent=parent.run_id if parent else None, **more
        )
        return train_run(notebook, Lasting(**runner), inventory, run.run_id, lambda _: None)

    return made


@pytest.fixture
def believe(notebook: Notebook) -> Believe:
    """Have the search of the session believe in a run from now on."""

    def told(run: RunRecord) -> None:
        sessions, done = Sessions(notebook.workspace), len(notebook.runs())
        sessions.believe(SESSION, Leading(time=now(), trained=done, run=run.run_id, mean=0.77, gain=0.1, replicates=4))

    return told


@pytest.fixture
def apart(notebook: Notebook, inventory: Inventory) -> Callable[[RunRecord], list[Finding]]:
    """What a diagnosis says of a run beside its leader."""

    def told(run: RunRecord) -> list[Finding]:
        found: tuple[Finding, ...] = diagnosis_of(Lab(notebook, inventory), run)
        return [one for one in found if one.name == "apart_from_leader"]

    return told


def test_what_sets_it_apart_from_the_leader_is_a_finding(trained: Trained, believe: Believe, apart: Any) -> None:
    base = trained({})
    leader = trained({"train.gamma": 0.97}, base)
    believe(leader)
    run = trained({"train.ent_coef": 0.1}, base, length=50, entropy=4)
    (finding,) = apart(run)
    assert re.fullmatch(
        r"unlike the leader it has entropy 0\.1\d+ against 0\.04\d+ in the last quarter,"
        r" episode_length 50\.5 against 100\.5",
        finding.statement,
    )
    assert finding.evidence == f"the leader was {leader.run_id}, 2 replicates against 2"
    assert finding.weight == "note"
    assert apart(trained({"train.ent_coef": 0.002}, base)) == []


def test_beside_a_parent_that_leads_only_updates_are_told_as_its_metrics_are_told_anyway(
    trained: Trained, believe: Believe, apart: Any
) -> None:
    base = trained({})
    believe(base)
    (finding,) = apart(trained({"train.ent_coef": 0.1}, base, length=50, entropy=4))
    assert "entropy" in finding.statement
    assert "episode_length" not in finding.statement


def test_the_leader_is_that_of_when_the_run_ended(trained: Trained, believe: Believe, notebook: Notebook) -> None:
    sessions = Sessions(notebook.workspace)
    early = trained({})
    assert sessions.leader_beside(early) is None
    believe(early)
    run = trained({"train.learning_rate": 1e-5}, early)
    believe(run)
    leading = sessions.leader_beside(run)
    assert leading is not None
    assert leading.run == early.run_id
    assert sessions.leader_beside(early) is None
    assert sessions.leader_beside(run.model_copy(update={"session": None})) is None


def test_nothing_is_said_beside_itself_or_a_run_that_is_gone(trained: Trained, believe: Believe, apart: Any) -> None:
    base = trained({})
    believe(base.model_copy(update={"run_id": "2020-01-01T000000Z-gone"}))
    assert apart(trained({"train.ent_coef": 0.1}, base, length=50, entropy=4)) == []


@given(values, values)
def test_what_is_beyond_noise_is_a_share_and_the_same_both_ways(new: list[float], old: list[float]) -> None:
    share = beyond_noise(new, old)
    assert 0 <= share <= 1
    assert share == beyond_noise(old, new)
    assert beyond_noise(new, new) == 0


def test_single_replicates_have_to_differ_by_a_fifth() -> None:
    assert beyond_noise([1.0], [0.85]) == 0
    assert beyond_noise([1.0], [0.5]) == 0.5
    assert beyond_noise([1.0, 1.01, 0.99], [0.9, 0.91, 0.89]) == pytest.approx(0.1)
