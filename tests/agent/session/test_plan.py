"""A session keeps to a plan: said once the baseline is known, kept through an interruption, told in the morning."""

import random
from typing import Any

import pytest

from agent.approval.approver import Approver
from agent.approval.policy import policy_settings
from agent.model.offline import OfflineResearcher
from agent.session.night import the_same_again
from lab.base.files import append_line, read_lines, read_model
from lab.base.schema import now
from lab.search import Search, lay_out, phases
from lab.space.environments import preset_config
from lab.space.inventory import Inventory
from lab.store.lab import Lab
from lab.store.notebook import Notebook
from lab.store.proposals import Proposals
from lab.store.records import ReplicateResult
from lab.store.session import Budgets, Leading, NightPlan, SessionRecord
from report import plan_text, status_lines
from report.planning import reached_text, stage_text
from tests.agent.conftest import Make, events
from tests.conftest import ENV, RunMaker
from tools.context import ToolContext
from training.fake import FakeRunner
from training.runner import Plan


class Noisy(FakeRunner):
    """Every config has the same mean, and replicates that lie far apart."""

    def _score(self, plan: Plan, seed: int) -> float:
        return float(random.Random(seed).random() < 0.6)  # noqa: S311 - made up


class Planted(FakeRunner):
    """Small entropy bonuses are much better."""

    def _score(self, plan: Plan, seed: int) -> float:
        better = float(plan.config.train["ent_coef"] or 0.0) < 0.0005
        return (0.9 if better else 0.4) + random.Random(seed).gauss(0, 0.05)  # noqa: S311 - made up


def digest(notebook: Notebook, session: str) -> str:
    return notebook.workspace.session(session).digest.read_text()


@pytest.mark.slow
def test_the_plan_is_firm_once_the_baseline_is_known_and_is_kept(
    make_session: Make, notebook: Notebook, proposals: Proposals, capsys: pytest.CaptureFixture[str]
) -> None:
    session = make_session(Planted(), budgets=Budgets(max_runs=45))
    session.run()
    said = capsys.readouterr().out
    assert "the plan: baseline 5, search 10 or more, proof up to 30\n" in said
    assert said.index("the plan:") < said.index("run 2, ")
    assert events(session).count("plan") == 1
    record = read_model(notebook.workspace.session(session.record.session_id).session, SessionRecord)
    assert record.plan == session.record.plan
    assert record.plan is not None
    assert (record.plan.firm, record.plan.hopeless, record.plan.looks) == (True, False, 3)
    stage = dict(status_lines(notebook, proposals, record, 0.0))["plan"]
    assert stage.startswith("search ")
    assert "proof done: " in stage
    told = digest(notebook, record.session_id)
    assert "Plan, as it was laid out: Baseline 5, search 10 or more, proof up to 30. Replicates differ by " in told
    assert "in nine of ten cases fresh seeds show a gain of " in told
    assert "there is room for " in told


def test_a_session_after_others_tries_new_configs_too(make_session: Make, notebook: Notebook) -> None:
    make_session(Noisy(), budgets=Budgets(max_runs=60)).run()
    session = make_session(Noisy(), budgets=Budgets(max_runs=12), contenders=1)
    session.run()
    tried = [run for run in notebook.runs(session=session.record.session_id) if run.replicates_of is None]
    assert len(tried) >= 6  # the session's last replicates go to the best that there are


def test_a_session_that_goes_on_keeps_the_plan_that_it_had(make_session: Make, notebook: Notebook) -> None:
    first = make_session(Planted(), budgets=Budgets(max_runs=20))
    while first.record.plan is None:
        first.step()
    plan = first.record.plan
    again = make_session(Planted(), read_model(notebook.workspace.session("night-1").session, SessionRecord))
    again.run()
    assert again.record.plan == plan
    assert events(again).count("plan") == 1


def test_where_the_noise_leaves_nothing_to_find_it_is_said_at_once_with_what_would_help(
    make_session: Make, notebook: Notebook, capsys: pytest.CaptureFixture[str]
) -> None:
    session = make_session(Noisy(), budgets=Budgets(max_runs=16))
    session.run()
    plan = session.record.plan
    assert plan is not None
    assert plan.hopeless
    said = capsys.readouterr().out
    line = f"what would help: more seeds ({plan.enough} a side would do: --max-runs "
    assert said.index(line) < said.index("run 2, ")
    assert line in digest(notebook, session.record.session_id)
    assert "better" not in {v.verdict for v in notebook.index.verdicts().values()}


def test_a_long_night_takes_the_seeds_that_its_noise_asks_for(make_session: Make) -> None:
    session = make_session(Noisy(), budgets=Budgets(max_runs=200))
    while session.record.plan is None:
        session.step()
    plan = session.record.plan
    assert plan.looks > 3
    assert not plan.hopeless


def test_a_short_night_says_that_it_proves_nothing(make_session: Make, notebook: Notebook) -> None:
    session = make_session(Planted(), budgets=Budgets(max_runs=9))
    session.run()
    assert "no proof: too few are left for fresh seeds." in digest(notebook, session.record.session_id)
    assert "contender" not in events(session)


class Anything(FakeRunner):
    """Whatever differs from the preset is much better."""

    def _score(self, plan: Plan, seed: int) -> float:
        return (0.4 if plan.run.arm == "baseline" else 0.8) + random.Random(seed).gauss(0, 0.02)  # noqa: S311 - made up


def test_two_that_train_side_by_side_do_not_use_up_what_a_proof_takes(make_session: Make, notebook: Notebook) -> None:
    """Eleven are left after the baseline: a pair at once would leave nine, which prove nothing."""
    session = make_session(Anything(at_once=2), budgets=Budgets(max_runs=16))
    session.run()
    assert "contender" in events(session)
    assert notebook.index.confirmations()[-1].outcome == "confirmed"


def test_what_fills_a_wait_leaves_the_proof_that_was_planned(make_session: Make, notebook: Notebook) -> None:
    session = make_session(Planted(), approve="manual", budgets=Budgets(max_runs=18))
    while session.record.plan is None:
        session.step()
    while (run := session.scheduler.filler(None)) is not None:
        assert run.replicates_of is not None
    assert notebook.replicates(session.record.session_id) == 18 - session.record.plan.reserve - 1
    tight = session.record.plan.model_copy(update={"replicates": 13})
    stage = stage_text(notebook, session.record.model_copy(update={"plan": tight}))
    assert str(stage).endswith("; no proof: nothing was named for it while there were 10 replicates left")


@pytest.mark.parametrize(("contenders", "seeds"), [(1, 5), (2, 10)])
def test_no_look_is_said_to_show_what_its_level_can_not(
    make_session: Make, make_run: RunMaker, notebook: Notebook, contenders: int, seeds: int
) -> None:
    """Five a side can be divided in 252 ways: half of one contender's level is above one in these, of two below."""
    make_run()
    run = make_run({"train.gamma": 0.9})
    plan = NightPlan(replicates=120, baseline=5, reserve=40, contenders=contenders, looks=3, noise=0.001)
    record = make_session().record.model_copy(update={"plan": plan})
    leader = Leading(time=now(), trained=6, run=run.run_id, mean=0.9, gain=0.5, replicates=1)
    assert f"nine of ten cases by {seeds} fresh seeds a side" in str(reached_text(notebook, record, leader))


def test_a_night_that_its_baseline_uses_up_says_so(
    make_session: Make, notebook: Notebook, capsys: pytest.CaptureFixture[str]
) -> None:
    session = make_session(Planted(), budgets=Budgets(max_runs=1))
    session.run()
    assert "replicates 1 to 5 (asked for: 1)" in capsys.readouterr().out
    told = digest(notebook, session.record.session_id)
    assert "5 replicates in all (asked for: 1). It ended because" in told
    assert "Baseline 5, which takes all there are: nothing is left to search with; a larger --max-runs" in told


def test_a_night_whose_proof_may_take_all_that_the_baseline_leaves_is_not_used_up() -> None:
    assert plan_text(lay_out(15, 3, keys=20)) == "baseline 5, search 0 or more, proof up to 10"


def test_where_everything_fails_there_is_no_plan(make_session: Make, notebook: Notebook) -> None:
    session = make_session(FakeRunner(faults=dict.fromkeys(range(1, 99), "crash")))
    session.run()
    assert session.record.plan is None
    assert "Plan, as it was" not in digest(notebook, session.record.session_id)


ONE = """
[policy]

[[policy.allow]]
keys = ["train.ent_coef"]
factor = 30
"""


def test_one_open_key_leaves_the_proof_more(make_session: Make, notebook: Notebook, inventory: Inventory) -> None:
    notebook.workspace.settings.write_text(ONE)
    rules = policy_settings(notebook.workspace, inventory.environment(ENV))
    parts: dict[str, Any] = {"rules": Approver("policy", Lab(notebook, inventory), rules)}
    session = make_session(Noisy(), approve="policy", parts=parts, budgets=Budgets(max_runs=110), min_effect=0.2)
    while session.record.plan is None:
        session.step()
    assert session.record.plan.reserve > session.record.budgets.max_runs / 2  # type: ignore[operator]


# --- shares ------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_control_arm_has_its_share_and_sees_the_baseline_and_its_own_runs_alone(
    make_session: Make, notebook: Notebook, inventory: Inventory
) -> None:
    night = make_session(Planted(), budgets=Budgets(max_runs=30), control="random", control_share=0.3)
    night.run()
    runs = notebook.runs()
    own = [run for run in runs if run.arm == "random" and run.replicates_of is None]
    search = phases(notebook, night.record).search
    assert 0.3 * search - 1 <= len(own) <= 0.3 * search + 1
    assert all(run.parent == runs[0].run_id for run in own)
    seen = Search.of(Lab(notebook, inventory), night.group, parent=runs[0].run_id, arm="random")
    assert seen is not None
    assert set(seen.runs) == {runs[0].run_id, *(run.run_id for run in own)}


def test_what_score_is_weighed_against_is_known_to_the_search_and_to_who_proposes(
    make_session: Make, notebook: Notebook, inventory: Inventory
) -> None:
    night = make_session(trade="seconds", budgets=Budgets(max_runs=8))
    night.run()
    known = night.scheduler.searching.search()
    assert known is not None
    assert known.history.trade == "seconds"
    run, lab = notebook.runs()[0], Lab(notebook, inventory)
    for session, trade in ((night.record.session_id, "seconds"), (None, None), ("gone", None)):
        seen = ToolContext(lab, run, session, "offline").search()
        assert seen is not None
        assert seen.history.trade == trade


class SomeModel(OfflineResearcher):
    """A model that proposes what the offline researcher would."""

    name = "some-model"


@pytest.mark.slow
@pytest.mark.parametrize(("share", "least", "most"), [(0.3, 0.2, 0.4), (1.0, 1.0, 1.0)])
def test_what_is_left_is_shared_between_model_and_optimizer(
    make_session: Make, notebook: Notebook, share: float, least: float, most: float
) -> None:
    shared = {"model": "some-model", "model_share": share, "budgets": Budgets(max_runs=30)}
    make_session(Planted(), make_session().record.model_copy(update=shared), SomeModel()).run()
    new = [run.arm for run in notebook.runs() if run.replicates_of is None and run.arm != "baseline"]
    assert set(new) <= {"some-model", "race"}
    assert least <= new.count("some-model") / len(new) <= most


# --- longer trainings --------------------------------------------------------------------------------------------


class Late(FakeRunner):
    """Scores come late: with the preset's steps the curve still rises at its end, with twice as many it does not."""

    def _replicate(self, plan: Plan, seed: int, *more: Any) -> ReplicateResult:
        result = super()._replicate(plan, seed, *more)
        path = plan.paths.seed(seed).metrics_live
        lines = list(read_lines(path))
        path.unlink()
        for line in lines:
            progress = line["agent_steps"] / self.usual
            append_line(path, {**line, "environment/perf": min(1.0, progress**2)})
        return result

    usual = 3_000_000


def test_where_curves_still_rise_it_goes_on_with_longer_trainings_and_a_baseline_of_their_own(
    make_session: Make, notebook: Notebook, inventory: Inventory, capsys: pytest.CaptureFixture[str]
) -> None:
    runner = Late()
    runner.usual = int(preset_config(inventory.environment(ENV), "quick").train["total_timesteps"] or 0)
    session = make_session(runner, budgets=Budgets(hours=2))
    while session.record.plan is None:
        session.step()
    for _ in range(4):
        session.step()
    record, longer = session.record, f"quick-{2 * runner.usual}"
    assert (record.preset, record.began_on, record.lengthened) == (longer, "quick", 1)
    short, *others = notebook.runs()
    assert others[0].arm == "baseline"
    assert {run.preset for run in others} == {longer}
    assert {notebook.config(run.run_id).train["total_timesteps"] for run in others} == {2 * runner.usual}
    assert notebook.incumbent(session.group) == others[0].run_id
    assert notebook.incumbent(session.group._replace(preset="quick")) == short.run_id
    assert record.plan is not None
    assert record.plan.baseline == 5
    assert f"its curves still rise where training ends: on to the preset {longer}" in capsys.readouterr().out
    assert "the session went on to longer trainings" in notebook.paths(short.run_id).report.read_text()
    again = record.model_copy(update={"session_id": "x", "preset": "quick", "began_on": None, "lengthened": 0})
    assert the_same_again(notebook.workspace, again.model_copy(update={"plan": None})) == record


@pytest.mark.parametrize(
    "fields",
    [
        {"approve": "manual", "budgets": Budgets(hours=2)},
        {"budgets": Budgets(max_runs=200)},
        {"settings": {"train.total_timesteps": 3_000_000}, "budgets": Budgets(hours=2)},
    ],
)
def test_nobody_trains_longer_who_was_not_left_the_choice_or_has_no_time(
    make_session: Make, fields: dict[str, Any]
) -> None:
    session = make_session(Late(), **fields)
    while session.record.plan is None:
        session.step()
    assert session.record.lengthened == 0
