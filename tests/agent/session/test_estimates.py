"""What a session has time for, and what it says before it begins."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.session.launch import prepare
from agent.session.night import Night
from lab.base.errors import AutopilotError, InvalidInput
from lab.base.files import append_line
from lab.base.paths import Workspace
from lab.base.schema import new_id, now
from lab.judge.repeats import SeedRequest, repeat
from lab.space.config import Config
from lab.space.environments import task_of
from lab.space.inventory import Inventory
from lab.store.creation import create_run
from lab.store.notebook import Notebook
from lab.store.records import Confirmation, RunRecord
from lab.store.session import Budgets, SessionRecord
from tests.agent.conftest import Make
from tests.conftest import seconds_told
from tests.lab.judge.test_costs import Clocked
from training.process import ForkServer
from training.run import train_run

OURS = """
import gymnasium, numpy as np

class Walk(gymnasium.Env):
    observation_space, action_space = gymnasium.spaces.Box(-1, 1, (1,), np.float32), gymnasium.spaces.Discrete(2)

    def reset(self, seed=None, options=None):
        self.at = self.steps = 0
        return np.zeros(1, np.float32), {}

    def step(self, action):
        self.at, self.steps = self.at + 2 * int(action) - 1, self.steps + 1
        return np.zeros(1, np.float32), 0.0, self.ends(), False, {"there": 1} if self.at == 40 else {}

class Rare(Walk):
    def ends(self):
        return self.steps == 40

class Endless(Walk):
    def ends(self):
        return False

class Raising(Walk):
    def ends(self):
        raise ValueError("made up")

class Wrapped(gymnasium.Wrapper):
    def step(self, action):
        *seen, info = self.env.step(action)
        return *seen, {"there": 1} if seen[1] > 1e9 else info

def wrapped():
    return Wrapped(gymnasium.make("CartPole-v1"))
"""
Announce = Callable[..., dict[str, str]]


class Kept(ForkServer):
    """One that goes on when a session lets go of it: to import PufferLib takes three seconds."""

    def close(self) -> None:
        """It is ended by `end_it`."""

    def end_it(self) -> None:
        super().close()


@pytest.fixture(scope="module")
def kept() -> Iterator[Kept]:
    server = Kept()
    yield server
    server.end_it()


@pytest.fixture
def announced(
    workspace: Workspace, kept: Kept, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Announce:
    """What a session says before it begins, label to text: `announced("ours:Rare", "there:max")`."""
    monkeypatch.setattr("training.executors.local.ForkServer", lambda: kept)
    if not any(Path("/dev").glob("nvidia[0-9]*")):  # a server that forks hides GPUs
        monkeypatch.setattr("training.inventory.start_worker", lambda threads, role: kept.worker(threads))
    monkeypatch.setattr("training.probe.SECONDS", 0.05)

    def make(env: str, objective: str | None = None, settings: list[str] | None = None, **more: Any) -> dict[str, str]:
        inventory, config, goal = prepare(workspace, env, "quick", objective, 3, settings)
        created = now()
        fields = {"model": "offline", "approve": "auto", "budgets": Budgets(max_runs=4), **more}
        record = SessionRecord(
            session_id=new_id(created), env_name=env, preset="quick", objective=goal, seeds=3, created=created,
            task=task_of(config), **fields,
        )  # fmt: skip
        night = Night(workspace, inventory, record)
        try:
            night.announce(config)
        finally:
            night.runner.close()
        lines = capsys.readouterr().out.splitlines()[1:]
        return {line[2:14].strip(): line[15:] for line in lines}

    return make


@pytest.mark.parametrize(("env", "said"), [
    ("ours:Rare", "; no episode has logged there so far, but episode_length, episode_return, mean_reward: "),
    ("ours:wrapped", "; no episode has logged there so far, but episode_length, episode_return, mean_reward: "),
    ("ours:Endless", None),
])  # fmt: skip
def test_what_may_be_logged_yet_is_said_and_not_refused(
    announced: Announce, workspace: Workspace, env: str, said: str | None
) -> None:
    name = f"ours_{env[5:].lower()}"  # nothing is unimported
    (workspace.root / f"{name}.py").write_text(OURS)
    objective = announced(env.replace("ours", name), "there:max")["objective"]
    assert (said in objective) if said else ("logged" not in objective)


def test_what_score_is_weighed_against_is_said_with_the_search(announced: Announce, workspace: Workspace) -> None:
    (workspace.root / "ours_traded.py").write_text(OURS)
    said = {trade: announced("ours_traded:Endless", trade=trade)["search"] for trade in ("seconds", None)}
    assert (
        said["seconds"]
        == f"{said[None]}; sought is the best score for each training time, and the best of all is proven"
    )


def test_a_machine_too_busy_to_measure_is_told_what_takes_its_place(
    announced: Announce, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.probe.PATIENCE", 0.01)
    said = r"longer than 0\.01 s; is the machine busy\? A run of 'autopilot train' would say as well$"
    with pytest.raises(AutopilotError, match=said):
        announced("puffer_cartpole")


def test_rules_that_leave_nothing_to_search_have_no_plan(announced: Announce, workspace: Workspace) -> None:
    (workspace.root / "autopilot.toml").write_text(
        '[[policy.allow]]\nkeys = ["train.learning_rate"]\nvalues = [0.005]\n'
    )
    said = announced("puffer_cartpole", approve="policy")
    assert said["search"].startswith("the policy leaves nothing to search: it allows no key to change")
    assert "plan" not in said


def test_an_environment_that_raises_at_once_says_what(announced: Announce, workspace: Workspace) -> None:
    (workspace.root / "ours_raising.py").write_text(OURS)
    with pytest.raises(AutopilotError, match=r"Raising': can't be trained here \(ValueError: made up\)"):
        announced("ours_raising:Raising")


def test_a_misspelt_objective_of_ones_own_environment_is_refused(announced: Announce, workspace: Workspace) -> None:
    (workspace.root / "ours_misspelt.py").write_text(OURS)
    with pytest.raises(InvalidInput, match=r"is nothing that ours_misspelt:Rare logs; valid: .*episode_length"):
        announced("ours_misspelt:Rare", "episode_lenght:max")


def test_an_objective_of_no_declared_environment_that_is_logged(announced: Announce) -> None:
    assert "logged" not in announced("puffer_breakout", "episode_length:min")["objective"]
    assert "logged" not in announced("puffer_breakout", "sps:max")["objective"]  # of the training, not the environment
    with pytest.raises(InvalidInput, match="is nothing that puffer_breakout logs"):
        announced("puffer_breakout", "episode_lenght:min")


def test_a_night_says_what_a_proof_by_the_worst_seed_takes(announced: Announce) -> None:
    said = announced("puffer_cartpole", "perf@worst:max", budgets=Budgets(max_runs=20))
    assert said["objective"].startswith("perf@worst:max on puffer_cartpole")
    assert re.search(
        r"by perf@worst: shown only where all of the contender's (\d+) seeds lie beyond about", said["proof"]
    )
    with pytest.raises(InvalidInput, match=r"'wurst' for a statistic.*worst, iqm, median"):
        announced("gymnasium:CartPole-v1", "mean_reward@wurst:max")


def test_what_a_night_takes_has_the_evaluation_in_it(announced: Announce) -> None:
    short, long = (
        announced("gymnasium:CartPole-v1", settings=["train.total_timesteps=16384", f"autopilot.eval_episodes={count}"])
        for count in (1, 32)
    )
    found = [re.search(r"with (?:(\d+) min )?([\d.]+) s of eval", said["time"]) for said in (short, long)]
    each = [60 * float(one[1] or 0) + float(one[2]) for one in found if one]
    assert each[1] > 8 * each[0]  # of episodes as long as they may be
    assert "12 replicates, however they are spent, take about" in short["budget"]
    assert ", the baseline's 5 and those of a proof included" in short["budget"]


@pytest.mark.parametrize("hours", [None, 1.0])
def test_runs_that_are_there_say_what_a_night_takes(
    announced: Announce, notebook: Notebook, inventory: Inventory, config: Config, hours: float | None
) -> None:
    config = config.with_overrides({"autopilot.seeds": 3})
    made = create_run(notebook, config, {}, preset="quick", objective="perf:max", arm="baseline", replicates=5)
    train_run(
        notebook, Clocked(seconds=300, at_once=2, evaluation=50, again=True), inventory, made.run_id, lambda _: None
    )
    said = announced("puffer_cartpole", parallel=2, budgets=Budgets(max_runs=None if hours else 4, hours=hours))
    assert said["time"].startswith("3 min 18 s a run of 3 replicates (as 1 run here took, evaluation included)")
    # No baseline: the group has its incumbent.
    assert "baseline" not in said["objective"]
    assert "baseline" not in said["budget"]
    assert said["budget"].startswith(
        "1 h: time for about 55 replicates"
        if hours
        else "4 runs × 3 seeds: 12 replicates, however they are spent, take about 13 min"
    )


def test_fresh_seeds_wait_where_the_newest_run_says_that_they_would_take_too_long(
    make_session: Make, notebook: Notebook, inventory: Inventory, config: Config, capsys: pytest.CaptureFixture[str]
) -> None:
    session = make_session(seeds=1, budgets=Budgets(hours=1))
    runs: list[RunRecord] = []
    for rate in (0.01, 0.02, 0.03, 0.04, 0.05):
        made = create_run(
            notebook, config.with_overrides({"train.learning_rate": rate}), {}, preset="quick", objective="perf:max",
            arm="person", session=session.record.session_id, replicates=1,
        )  # fmt: skip
        runs.append(train_run(notebook, Clocked(seconds=100, at_once=1), inventory, made.run_id, lambda _: None))
    session.scheduler.incumbency.open(runs[-1])
    first = session.scheduler.confirm(600.0)
    assert first is not None and (first.replicates_of, len(first.seeds)) == (runs[-1].run_id, 5)
    train_run(notebook, Clocked(seconds=5 * 450, at_once=1), inventory, first.run_id, lambda _: None)
    capsys.readouterr()
    assert session.scheduler.confirm(600.0) is None
    assert f"5 fresh seeds of {runs[0].run_id} would take 37 min" in capsys.readouterr().out
    made = create_run(notebook, config, {}, preset="quick", objective="perf:max", arm="person", replicates=1)
    train_run(notebook, Clocked(seconds=100, at_once=1), inventory, made.run_id, lambda _: None)
    second = session.scheduler.confirm(600.0)  # it was that run alone
    assert second is not None and (second.replicates_of, len(second.seeds)) == (runs[0].run_id, 5)


@pytest.mark.parametrize(("again", "then"), [
    (False, None),
    (True, None),
    (False, (20, {"train.total_timesteps": 200_000})),
    (False, (4000, {"train.total_timesteps": 40_000_000, "vec.num_envs": 2})),
    (False, (4000, {"policy.hidden_size": 512})),
])  # fmt: skip
def test_a_session_has_time_for_what_runs_like_the_incumbent_take(
    make_session: Make, notebook: Notebook, inventory: Inventory, config: Config, again: bool,
    then: tuple[float, dict[str, Any]] | None,
) -> None:  # fmt: skip
    session = make_session(seeds=2, budgets=Budgets(hours=1))
    assert session.steps_left() is None  # nothing was trained yet

    def trained(overrides: dict[str, Any], runner: Clocked, replicates: int) -> None:
        made = create_run(
        notebook,
            config.with_overrides(overrides), {}, preset="quick", objective="perf:max", arm="person",
            session=session.record.session_id, replicates=replicates,
        )  # fmt: skip
        train_run(notebook, runner, inventory, made.run_id, lambda _: None)

    trained({}, Clocked(seconds=300, at_once=1, evaluation=10, again=again), 3)  # one after the other
    if then is not None:
        trained(then[1], Clocked(seconds=then[0], at_once=1, evaluation=1), 2)
    left, steps = session.steps_left(), int(config.train["total_timesteps"] or 0)
    assert left == pytest.approx(2 * (1800 - 10) / 90 * steps, rel=0.05)


# --- what there is no room for, and what goes on ---------------------------------------------------------------------


@pytest.mark.parametrize(("runs", "confirm", "said"), [
    (8, "full", r", then on the preset full \(.* steps; 5 seeds take about .*\): this budget has no room for that,"
                r" since 24 replicates leave no 10 for it beside those of the first proof, so nothing that this session"
                r" finds becomes incumbent in it; .*--confirm none, or a larger --max-runs"),
    (9, "full", r", then on the preset full \([\d,]+ steps; 5 seeds take about [^:]*\)"),
    (8, None, r", on 5 fresh seeds a side"),
])  # fmt: skip
def test_a_budget_without_room_for_the_longer_preset_says_that_nothing_becomes_incumbent(
    announced: Announce, runs: int, confirm: str | None, said: str
) -> None:
    told = announced("puffer_cartpole", confirm=confirm, budgets=Budgets(max_runs=runs))
    assert re.fullmatch(f"at most 1 contender.*{said}", told["proof"]), told["proof"]
    kept = "none are kept for the preset full, which has what the proof leaves"
    assert (kept in told["plan"]) == (confirm is not None)


def test_a_budget_of_time_without_room_for_the_longer_preset_says_so_too(announced: Announce) -> None:
    short, long = (announced("puffer_cartpole", confirm="full", budgets=Budgets(hours=h)) for h in (0.02, 100))
    assert short["proof"].endswith(" goes on. What would help: --confirm none, or a larger --hours")
    assert "no room" not in long["proof"]


@pytest.fixture
def shortened(notebook: Notebook, inventory: Inventory, config: Config) -> Callable[[float], RunRecord]:
    """Runs of 100,000 steps, whose replicates take 10 s each, one after the other."""

    def make(rate: float) -> RunRecord:
        made = create_run(
            notebook, config.with_overrides({"train.learning_rate": rate, "train.total_timesteps": 100_000}), {},
            preset="quick", objective="perf:max", replicates=5, arm="person",
        )  # fmt: skip
        runner = Clocked(seconds=5 * 10, at_once=1, evaluation=0.001)
        return train_run(notebook, runner, inventory, made.run_id, lambda _: None)

    return make


def test_what_is_announced_is_what_the_incumbent_has(
    announced: Announce, shortened: Callable[[float], RunRecord]
) -> None:
    shortened(0.01)
    said = announced("puffer_cartpole", parallel=1, budgets=Budgets(max_runs=3))
    assert "3 replicates of 100,000 steps a run (as the incumbent has; the preset 2,000,000)," in said["objective"]
    assert re.match(r"(29|30|31) s a run of 3 replicates \(as 1 run here took", said["time"]), said["time"]
    assert re.search(r"9 replicates, however they are spent, take about 1 min 3\d s", said["budget"]), said["budget"]


def test_what_could_be_found_is_told_by_the_noise_that_is_known(
    announced: Announce, shortened: Callable[[float], RunRecord]
) -> None:
    for rate in (0.01, 0.02, 0.03):
        shortened(rate)
    plan = announced("puffer_cartpole", budgets=Budgets(max_runs=3))["plan"]
    assert "no proof: too few are left for fresh seeds; replicates differ by " in plan
    assert "(12 degrees of freedom): in nine of ten cases fresh seeds would show a gain of " in plan
    assert "is known once" not in plan


@pytest.mark.parametrize(("preset", "where"), [("full", "on the preset full"), (None, "on its own preset")])
def test_an_open_confirmation_is_said_to_go_on_first_and_counts(
    announced: Announce, shortened: Callable[[float], RunRecord], notebook: Notebook, inventory: Inventory,
    preset: str | None, where: str,
) -> None:  # fmt: skip
    base, better = shortened(0.01), shortened(0.02)
    if preset:  # how fast that is, is known
        known = repeat(notebook, SeedRequest(base.run_id, 5, preset), inventory=inventory)
        runner = Clocked(seconds=5 * 60, at_once=1, evaluation=0.001)
        train_run(notebook, runner, inventory, known.run_id, lambda _: None)
    opened = Confirmation(
        time=now(), candidate=better.run_id, incumbent=base.run_id, session="night-1", outcome="opened", why="",
        level=0.05, min_effect=0.0, group=5, looks=2, metric="perf", preset=preset,
    )  # fmt: skip
    append_line(notebook.workspace.confirmations, opened.model_dump(mode="json"))
    told = announced("puffer_cartpole", confirm="full", parallel=1, budgets=Budgets(max_runs=3))
    each = 60 if preset else 10
    whole, one, rest = 20 * each, 5 * each, 5 * each + 4 * 10 + 2
    first = re.fullmatch(
        rf"the open confirmation of #2 .* against #1 goes on, {where}: up to 20 more fresh seeds of both sides, which"
        r" may take (.*); the budget has room for 5 of them, (.*)",
        told["first"],
    )
    assert first, told["first"]
    assert [seconds_told(text) for text in first.groups()] == pytest.approx([whole, one], rel=0.1)
    budget = re.search(r"9 replicates, however they are spent, take up to (.*), 5 of them the open", told["budget"])
    assert budget, told["budget"]
    assert seconds_told(budget[1]) == pytest.approx(rest, rel=0.1)
    assert (
        told["proof"]
        == "beside the open confirmation none: 4 replicates leave no 10 for fresh seeds: a larger --max-runs"
    )


def test_a_session_that_leaves_second_confirmations_to_others_does_not_announce_them(
    announced: Announce, shortened: Callable[[float], RunRecord], notebook: Notebook
) -> None:
    base, better = shortened(0.01), shortened(0.02)
    opened = Confirmation(
        time=now(), candidate=better.run_id, incumbent=base.run_id, session="night-1", outcome="opened", why="",
        level=0.05, min_effect=0.0, group=5, looks=2, metric="perf", preset="full",
    )  # fmt: skip
    append_line(notebook.workspace.confirmations, opened.model_dump(mode="json"))
    assert "first" not in announced("puffer_cartpole", confirm=None, budgets=Budgets(max_runs=3))
    told = announced("puffer_cartpole", confirm="full", budgets=Budgets(max_runs=1))
    assert told["first"].endswith("; the budget has no room for the first 5: 'autopilot confirm' trains them")
    assert told["proof"] == "none: nothing is named while the open confirmation is undecided"
    told = announced("puffer_cartpole", confirm="full", budgets=Budgets(max_runs=20))
    assert told["proof"].startswith(
        "once the open confirmation is decided: at most 1 contender, named by the search, on "
    )
