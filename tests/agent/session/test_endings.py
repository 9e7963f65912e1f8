"""What a session concludes from its own record, and who is told."""

import random
import re
from typing import Any

import pytest

from agent.approval.approver import Approver
from agent.approval.policy import policy_settings
from agent.session.scheduler import why_over
from lab.base.files import read_lines
from lab.judge.stopping import plateau
from lab.space.inventory import Inventory
from lab.store.lab import Lab
from lab.store.notebook import Notebook
from lab.store.proposal import ProposalState
from lab.store.proposals import Proposals
from lab.store.records import RunState
from lab.store.session import Budgets
from tests.agent.conftest import Make, Told, events
from tests.conftest import ENV, RunMaker
from training.fake import FakeRunner
from training.runner import Plan


class Scored(FakeRunner):
    """Everything has one score, give or take a little."""

    def __init__(self, score: float, spread: float = 0.001) -> None:
        super().__init__()
        self._mean, self._spread = score, spread

    def _score(self, plan: Plan, seed: int) -> float:
        return min(1.0, self._mean + random.Random(seed).gauss(0, self._spread))  # noqa: S311 - made up


def test_the_target_ends_a_session(make_session: Make, notebook: Notebook) -> None:
    record = make_session(Scored(0.9), target=0.85, budgets=Budgets(max_runs=9)).run()
    baseline = notebook.runs()[0].run_id
    assert f" (n=5) of {baseline}, wanted 0.85" in str(record.ended_because)
    assert str(record.ended_because).startswith("the target is reached: perf ")
    assert len(notebook.runs()) == 1
    assert notebook.paths(baseline).report.exists()  # what was begun is finished first


def test_a_target_that_is_not_reached_does_not(make_session: Make, notebook: Notebook) -> None:
    make_session(Scored(0.8), target=0.85, budgets=Budgets(max_runs=6)).run()
    assert len(notebook.runs()) == 2


def test_a_perfect_incumbent_leaves_nothing_to_learn(make_session: Make, notebook: Notebook) -> None:
    record = make_session(Scored(1.0, 0.0), budgets=Budgets(max_runs=9)).run()
    why = str(record.ended_because)
    assert why.startswith("nothing is left to learn at this noise level: perf can't go beyond 1, the incumbent")
    assert len(notebook.runs()) == 1
    digest = notebook.workspace.session(record.session_id).digest.read_text()
    assert "nothing is left to learn at this noise level" in digest


def test_an_incumbent_with_room_above_it_does(make_session: Make, notebook: Notebook) -> None:
    make_session(Scored(0.9, 0.05), budgets=Budgets(max_runs=6)).run()
    assert len(notebook.runs()) == 2


class Unmatched(FakeRunner):
    """The preset's learning rate scores 0.9, any other less the later it comes."""

    def _score(self, plan: Plan, seed: int) -> float:
        return 0.9 + 0.001 * seed if plan.config.train["learning_rate"] == 0.005 else 0.5 - 0.01 * seed


def test_a_model_is_told_that_nothing_has_become_better_for_a_while(
    make_session: Make, notebook: Notebook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.analysis.outset.PLATEAU", 3)
    make_session(Unmatched(), budgets=Budgets(max_runs=9)).run()
    runs = notebook.runs()
    said = [_opening(notebook, run.run_id) for run in runs]
    told = "The last {} scored runs have not changed which config is believed to be best."
    assert ["scored runs have not changed" in text for text in said] == [False, False, False, True, True]
    assert told.format(3) in said[3]
    assert told.format(4) in said[4]
    assert "be bolder" in said[4]


@pytest.mark.parametrize(("leads", "flat"), [(None, 4), (0, 3), (2, 1), (3, 0)])
def test_a_plateau_is_what_came_since_the_one_that_is_believed_to_be_best(
    make_run: RunMaker, leads: int | None, flat: int
) -> None:
    runs = [first := make_run()]
    runs += [make_run({"train.gamma": 0.9 + count / 100}, parent=first.run_id) for count in range(1, 4)]
    again = make_run(replicates_of=first.run_id)
    failed = make_run({"train.gamma": 0.8}, parent=first.run_id, fault="nan")
    assert plateau([*runs, again, failed], None if leads is None else runs[leads]) == flat


def _lines(notebook: Notebook, run_id: str) -> list[dict[str, Any]]:
    return list(read_lines(notebook.paths(run_id).transcript))


def _opening(notebook: Notebook, run_id: str) -> str:
    return next(str(line["content"]) for line in _lines(notebook, run_id) if line.get("role") == "user")


# --- approval by rules -------------------------------------------------------------------------------------------

RULES = """
[policy]
max_keys = 1

[[policy.allow]]
keys = ["train.learning_rate", "train.ent_coef"]
factor = 3
"""


@pytest.fixture
def ruled(notebook: Notebook, inventory: Inventory) -> dict[str, Any]:
    notebook.workspace.settings.write_text(RULES)
    rules = policy_settings(notebook.workspace, inventory.environment(ENV))
    return {"rules": Approver("policy", Lab(notebook, inventory), rules)}


def test_only_what_the_rules_allow_is_trained(
    make_session: Make, notebook: Notebook, proposals: Proposals, ruled: dict[str, Any]
) -> None:
    make_session(approve="policy", parts=ruled, budgets=Budgets(max_runs=9)).run()
    runs = notebook.runs()
    assert len(runs) == 5
    for run in runs[1:]:
        ((key, (old, new)),) = notebook.changes(run.run_id).items()
        assert key in ("train.learning_rate", "train.ent_coef")
        assert 1 / 3 <= new / old <= 3
        approved = proposals.get(str(run.proposal)).decisions[1]
        assert (approved.state, approved.who) == (ProposalState.APPROVED, "rules of [policy]")
        assert approved.why.startswith("policy.allow[1]: ")
    assert "only such changes pass" in _opening(notebook, runs[0].run_id)
    assert "- train.learning_rate, train.ent_coef within factor 3" in _opening(notebook, runs[0].run_id)


def test_warm_starts_are_held_for_a_person_and_the_night_goes_on(
    make_session: Make, notebook: Notebook, proposals: Proposals, ruled: dict[str, Any]
) -> None:
    first = make_session(approve="policy", parts=ruled, budgets=Budgets(max_runs=6))
    first.run()
    baseline = notebook.runs()[0]
    warm = proposals.all()[-1].model_copy(update={
        "proposal_id": "warm", "parent": baseline.run_id, "arm": "person",
        "overrides": {"autopilot.resume_mode": "continue", "autopilot.resume_from": baseline.run_id},
    })  # fmt: skip
    proposals.stage(warm)
    told = Told()
    night = make_session(approve="policy", parts={**ruled, "notifier": told}, budgets=Budgets(max_runs=2))
    night.run()
    held = proposals.get("warm")
    assert (held.state, held.held) == (ProposalState.STAGED, True)
    assert "warm start" in held.decisions[-1].why
    assert len(night.mine()) == 2
    assert events(night).count("waiting") == 1
    assert [event for event, _ in told.said] == ["approval", "finished"]
    digest = notebook.workspace.session(night.record.session_id).digest.read_text()
    assert "- warm (held, by person): a new run from #1" in digest
    assert ": autopilot.resume_mode = continue" in digest


# --- who is told -------------------------------------------------------------------------------------------------


def test_the_end_and_failures_are_told(make_session: Make, notebook: Notebook) -> None:
    told = Told()
    make_session(FakeRunner(faults={6: "crash"}), parts={"notifier": told}, budgets=Budgets(max_runs=7)).run()
    assert [event for event, _ in told.said] == ["failed", "finished"]
    assert f"{notebook.runs()[1].run_id}: failed: seed 6: ValueError: made up" in told.said[0][1]
    assert re.fullmatch(r"Nothing .* Session night-1 is over: all 7 replicates are trained", told.said[1][1])


def test_nobody_who_is_told_can_end_the_night(make_session: Make) -> None:
    class Deaf(Told):
        def notify(self, event: str, text: str, **_: Any) -> None:
            raise RuntimeError("no")

    assert make_session(parts={"notifier": Deaf()}, budgets=Budgets(max_runs=6)).run().ended_because is not None


def test_a_baseline_that_hung_is_begun_once_more(make_run: RunMaker) -> None:
    hung = make_run(fault="hang").model_copy(update={"state": RunState.TIMED_OUT, "arm": "baseline"})
    crashed = hung.model_copy(update={"state": RunState.FAILED})
    assert why_over([hung], 9) is None
    assert str(why_over([hung, hung], 9)).startswith("the baseline ended without a score")
    assert str(why_over([crashed], 9)).startswith("the baseline ended without a score")
