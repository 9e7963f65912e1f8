"""What deciding a contender takes is told by what its seeds will train, not by what the runs had."""

import re
from collections.abc import Callable

import pytest

from agent.session.launch import confirm_run
from lab.base.files import append_line
from lab.base.schema import now
from lab.judge.repeats import SeedRequest, repeat
from lab.space.config import Config
from lab.space.environments import preset_config
from lab.space.inventory import Inventory
from lab.store.creation import create_run
from lab.store.notebook import Notebook
from lab.store.proposal import ProposalState
from lab.store.proposals import Proposals
from lab.store.records import Confirmation, RunRecord
from lab.store.session import Budgets
from report.headline import headline_of
from tests.agent.conftest import Make, make_session
from tests.conftest import ENV, seconds_told
from tests.lab.judge.test_costs import Clocked
from training.executors.madeup import MadeUpExecutor
from training.fake import FakeRunner
from training.run import Options, train_run

__all__ = ["make_session"]

EACH = 20.0
"""Seconds of a replicate on the preset quick, one after the other, next to nothing of it evaluation."""
Opened = Callable[..., Confirmation]


@pytest.fixture
def opened(notebook: Notebook, inventory: Inventory, config: Config) -> Opened:
    """A contender whose confirmation is under way: `opened("night-1", preset="full")`."""

    def make(session: str, **fields: object) -> Confirmation:
        runs = []
        for rate in (0.01, 0.02):
            made = create_run(
                notebook, config.with_overrides({"train.learning_rate": rate}), {}, preset="quick",
                objective="perf:max", arm="person", session=session, replicates=5,
            )  # fmt: skip
            runs.append(clocked(notebook, inventory, made, EACH).run_id)
        one = Confirmation.model_validate(
            {
                "time": now(), "candidate": runs[1], "incumbent": runs[0], "session": session, "outcome": "opened",
                "why": "", "level": 0.05, "min_effect": 0.0, "group": 5, "looks": 3, "metric": "perf", **fields,
            }
        )  # fmt: skip
        append_line(notebook.workspace.confirmations, one.model_dump(mode="json"))
        return one

    return make


def clocked(notebook: Notebook, inventory: Inventory, run: RunRecord, each: float) -> RunRecord:
    """A run trained, whose replicates took so many seconds each."""
    runner = Clocked(seconds=each * len(run.seeds), at_once=1, evaluation=0.001)
    return train_run(notebook, runner, inventory, run.run_id, lambda _: None)


def longer(inventory: Inventory) -> float:
    """How many times the steps of quick the preset full has."""
    steps = [preset_config(inventory.environment(ENV), name).train["total_timesteps"] for name in ("full", "quick")]
    return float(steps[0] or 0) / float(steps[1] or 1)


def test_a_confirmation_on_a_longer_preset_takes_as_long_as_its_seeds_will_train(
    make_session: Make, opened: Opened, notebook: Notebook, proposals: Proposals, inventory: Inventory
) -> None:
    session = make_session().record
    session = session.model_copy(update={"ended": now(), "ended_because": "a test"})
    one = opened(session.session_id, preset="full")

    def takes() -> float:
        found = re.search(
            r"`autopilot confirm 2` takes up to ([^,;.]*)\.$", headline_of(notebook, proposals, session).text
        )
        assert found
        return seconds_told(found[1])

    assert longer(inventory) >= 10
    assert takes() == pytest.approx(30 * EACH * longer(inventory), rel=0.05)  # by steps alone
    fresh = repeat(notebook, SeedRequest(one.candidate, 5, "full"), inventory=inventory)
    clocked(notebook, inventory, fresh, 60.0)
    assert takes() == pytest.approx(25 * 60.0, rel=0.05)  # those that are missing, at the pace of those that are there


def test_what_follows_on_a_longer_preset_is_told_beside_the_proof_before_it(
    make_session: Make, opened: Opened, notebook: Notebook, proposals: Proposals, inventory: Inventory
) -> None:
    session = make_session().record
    session = session.model_copy(update={"ended": now(), "ended_because": "a test"})
    opened(session.session_id, looks=1, then="full")
    found = re.search(
        r"`autopilot confirm 2` takes up to (.*), then up to (.*) on the preset full\.$",
        headline_of(notebook, proposals, session).text,
    )
    assert found
    assert seconds_told(found[1]) == pytest.approx(10 * EACH, rel=0.05)
    assert seconds_told(found[2]) == pytest.approx(30 * EACH * longer(inventory), rel=0.05)


def test_one_that_has_passed_says_what_the_longer_preset_takes(
    make_session: Make, opened: Opened, notebook: Notebook, proposals: Proposals, inventory: Inventory
) -> None:
    session = make_session().record
    passed = {"outcome": "passed", "then": "full", "seeds": 5, "effect": 0.1, "low": 0.0, "high": 0.2}
    opened(session.session_id, **passed)
    assert headline_of(notebook, proposals, session).text.endswith("; whether it is on the preset full is open.")
    session = session.model_copy(update={"ended": now(), "ended_because": "a test"})
    text = headline_of(notebook, proposals, session).text
    found = re.search(r"on the preset full is open: `autopilot confirm 2` takes up to (.*)\.$", text)
    assert found, text
    assert seconds_told(found[1]) == pytest.approx(30 * EACH * longer(inventory), rel=0.05)


@pytest.mark.parametrize("person", [False, True])
def test_a_proposal_to_improve_on_who_has_lost_its_place_gives_way(
    make_session: Make, notebook: Notebook, proposals: Proposals, inventory: Inventory, config: Config,
    monkeypatch: pytest.MonkeyPatch, person: bool,
) -> None:  # fmt: skip
    """It would train as a change of the old one, and the headline would have it approved before all else."""
    monkeypatch.setattr("agent.session.launch.executor_for", lambda *_, **__: MadeUpExecutor(slots=5))
    session = make_session(budgets=Budgets(max_runs=5))
    session.run()  # and stages what comes next
    better = config.with_overrides({"train.learning_rate": 0.01})
    made = create_run(notebook, better, {}, preset="quick", objective="perf:max", arm="person", replicates=1)
    train_run(notebook, FakeRunner(), inventory, made.run_id, lambda _: None)
    staged = proposals.all()[-1]
    assert (staged.state, staged.parent) == (ProposalState.STAGED, session.mine()[0].run_id)
    if person:
        proposals.decide(staged.proposal_id, ProposalState.APPROVED, "person")
    assert confirm_run(notebook.workspace, made.run_id, None, Options(), "a test").outcome == "confirmed"
    after = proposals.get(staged.proposal_id)
    assert after.state is (ProposalState.APPROVED if person else ProposalState.SUPERSEDED)
    if not person:
        assert f"and {made.run_id} is now" in after.decisions[-1].why


def test_confirm_says_first_what_it_may_train_and_how_long_that_takes(
    opened: Opened,
    notebook: Notebook,
    inventory: Inventory,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("agent.session.launch.executor_for", lambda *_, **__: MadeUpExecutor(slots=5))
    one = opened("night-1", preset="full", looks=2)
    confirm_run(notebook.workspace, one.candidate, None, Options(), "a test")
    found = re.match(
        r"#2 against #1 on the preset full: up to 20 fresh seeds of both sides, which take up to (.*)\n",
        capsys.readouterr().out,
    )
    assert found
    assert seconds_told(found[1]) == pytest.approx(20 * EACH * longer(inventory), rel=0.05)
