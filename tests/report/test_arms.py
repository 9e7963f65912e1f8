"""Arms side by side, in words: in the digest, on the terminal and for programs."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from lab.base.paths import Workspace
from lab.base.schema import now
from lab.search import Ahead, ArmStanding, Mark, Standing
from lab.space.inventory import Inventory
from lab.space.objective import Objective
from lab.store.lab import Lab
from lab.store.notebook import Notebook
from lab.store.proposals import Proposals
from lab.store.session import Budgets, SessionRecord, Spent
from lab.store.sessions import Sessions
from report import arms_of, compared_arms
from report.arms import said
from report.digest import write_digest
from tests.conftest import ENV, Cli, RunMaker

EARLIER = Path(__file__).resolve().parents[1] / "data" / "workspace-0.7.0"
SESSION = "night-1"
GOAL = Objective("perf", "max", 0.0, 1.0)
Night = Callable[[dict[str, int]], SessionRecord]


@pytest.fixture
def night(make_run: RunMaker, workspace: Workspace) -> Night:
    """A session in which arms trained so many configs: a model's are good, the others about the baseline."""

    def make(arms: dict[str, int]) -> SessionRecord:
        base = make_run({"train.learning_rate": 0.0005, "autopilot.seeds": 5}, session=SESSION)
        for arm, count in arms.items():
            for at in range(count):
                rate = 0.006 + 0.001 * at if arm == "qwen" else 0.0004 + 0.00003 * at + 0.000001 * len(arm)
                changes = {"train.learning_rate": rate, "autopilot.seeds": 1}
                make_run(changes, parent=base.run_id, arm=arm, session=SESSION)
        record = SessionRecord(
            session_id=SESSION, env_name=ENV, preset="quick", objective="perf:max", model="qwen", approve="auto",
            seeds=1, budgets=Budgets(max_runs=30), created=now(), task=base.task, spent=Spent(tokens=12_345),
        )  # fmt: skip
        Sessions(workspace).save(record)
        return record

    return make


def told(low: float, luck: float, top: int = 3, high: float = 0.2, goal: Objective = GOAL) -> str:
    """The sentence about one pair of arms."""
    mark = Mark(replicates=12, run="r", mean=0.5, low=0.4, high=0.6)
    one, other = (
        ArmStanding(arm=arm, configs=12, replicates=12, failed=0, seconds=1.0, curve=(mark,), now=mark, at_equal=mark)
        for arm in ("race", "tpe")
    )
    ahead = Ahead(
        arm="race", than="tpe", replicates=12, gain=0.08 if high else 0.0, low=low, high=high, top=top, configs=24,
        luck=luck, level=0.05, beyond_noise=low > 0 and luck <= 0.05,
    )  # fmt: skip
    (sentence,) = said(Standing(arms=(one, other), together=None, equal=12, ahead=(ahead,)), goal)
    return sentence


def test_each_case_has_its_words() -> None:
    ahead = "race is ahead of tpe by perf 0.08"
    assert told(-0.03, 0.2) == f"{ahead} [-0.03, 0.2] at 12 replicates each: that may be noise."
    assert told(0.03, 0.037, 5) == (
        f"{ahead} [0.03, 0.2] at 12 replicates each, beyond noise: the best 5 of 24 configs are race's, which equal"
        " searches come to in 3.7 % of the cases."
    )
    assert told(0.03, 0.48, 2) == (
        f"{ahead} [0.03, 0.2] at 12 replicates each: the model holds that config for the better one, and to have found"
        " it may be luck (the best 2 of 24 configs are race's, which equal searches come to in 48 % of the cases)."
    )
    assert told(0.03, 1.0, 0).endswith("to have found it may be luck (the best config is not race's).")
    assert told(0.0, 1.0, 0, high=0.0) == (
        "race and tpe are level at 12 replicates each: of neither is a config believed to be better than the baseline."
    )
    assert "[-0.03, 0.2] (less is better) at 12" in told(-0.03, 0.2, goal=Objective("collision_rate", "min"))


def test_a_control_arm_is_no_equal_of_arms_that_knew_earlier_sessions(
    night: Night, notebook: Notebook, make_run: RunMaker, workspace: Workspace
) -> None:
    record = night({"race": 7, "tpe": 6})
    Sessions(workspace).save(record.model_copy(update={"control": "tpe"}))
    assert len(arms_of(notebook, record.group, SESSION).ahead) == 1  # both began with the baseline alone
    later = record.model_copy(update={"session_id": "night-2", "control": "tpe"})
    Sessions(workspace).save(later)
    for arm in ("race", "tpe"):
        for at in range(5):
            rate = 0.0007 + 0.00003 * at + 0.000001 * len(arm)
            make_run({"train.learning_rate": rate, "autopilot.seeds": 1}, arm=arm, session="night-2")
    arms = arms_of(notebook, record.group, "night-2")
    assert arms.ahead == ()
    assert arms.said == (
        "race knew 13 configs of earlier sessions, and tpe its own alone: their replicates here are no equal"
        " start. 'autopilot arms' compares them with those of all sessions.",
    )
    assert len(arms_of(notebook, record.group).ahead) == 1


def test_who_is_ahead_is_said_with_what_it_rests_on(night: Night, notebook: Notebook) -> None:
    record = night({"qwen": 6, "race": 7, "tpe": 6})
    arms = arms_of(notebook, record.group, SESSION)
    assert [(row.standing.arm, row.kind) for row in arms.rows] == [
        ("qwen", "model"),
        ("race", "optimizer"),
        ("tpe", "optimizer"),
        ("together", ""),
    ]
    assert arms.equal == 6
    assert [(one.arm, one.beyond_noise) for one in arms.ahead] == [("qwen", True)] * 2
    assert all(sentence.startswith("qwen is ahead of ") for sentence in arms.said)
    assert all("at 6 replicates each, beyond noise: the best 6 of 12 configs are qwen's" in one for one in arms.said)
    assert [row.tokens for row in arms.rows] == [12_345, None, None, 12_345]


def test_one_arm_alone_is_compared_with_none_and_takes_no_model(
    night: Night, make_run: RunMaker, notebook: Notebook, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = night({"offline": 4})

    def fitted(*_: object) -> None:
        raise AssertionError("a model was fitted")

    with monkeypatch.context() as without:
        without.setattr("lab.search.beliefs.believe", fitted)
        assert compared_arms(notebook, record.group) is None
        base = notebook.runs()[0]
        make_run({"train.gamma": 0.9, "autopilot.seeds": 1}, parent=base.run_id, arm="race")
        assert compared_arms(notebook, record.group) is None  # the offline researcher counts as the race
    make_run({"train.gamma": 0.91, "autopilot.seeds": 1}, parent=base.run_id, arm="tpe")
    beside = compared_arms(notebook, record.group)
    assert beside is not None
    assert beside == arms_of(notebook, record.group)
    assert [row.standing.arm for row in beside.rows] == ["race", "tpe", "together"]
    assert compared_arms(notebook, record.group, SESSION) is None  # there it was alone


def test_the_digest_has_them_where_several_proposed_something(
    night: Night, notebook: Notebook, proposals: Proposals, inventory: Inventory
) -> None:
    record = night({"qwen": 4, "race": 5})
    write_digest(Lab(notebook, inventory), proposals, record)
    text = notebook.workspace.session(SESSION).digest.read_text()
    section = text.partition("## Arms\n")[2].partition("\n## ")[0]
    head = "| arm | is a | configs | replicates | failed | its leader, believed | at 4 replicates | proven | tokens |"
    assert head in section
    assert "| qwen | model | 4 | 4 | 0 | 0." in section
    assert "| together |  | 9 | 9 | 0 | 0." in section
    assert "- qwen is ahead of race by perf 0." in section
    assert "](plots/arms.png)" in section
    picture = notebook.workspace.session(SESSION).plots / "arms.png"
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_the_digest_of_one_arm_says_nothing_of_arms(
    night: Night, notebook: Notebook, proposals: Proposals, inventory: Inventory
) -> None:
    write_digest(Lab(notebook, inventory), proposals, night({"race": 3}))
    assert "## Arms" not in notebook.workspace.session(SESSION).digest.read_text()
    assert not (notebook.workspace.session(SESSION).plots / "arms.png").exists()


# --- the command -------------------------------------------------------------------------------------------------


def test_the_command_has_a_row_for_each_arm_and_says_who_is_ahead(cli: Cli, night: Night) -> None:
    night({"qwen": 4, "race": 5, "person": 1})
    shown = cli("arms")
    assert shown.code == 0, shown.err
    lines = shown.out.splitlines()
    assert lines[0] == f"arms of {ENV}, quick, perf:max"
    assert [line.split()[:3] for line in lines[2:6]] == [
        ["qwen", "model", "4"],
        ["person", "person", "1"],
        ["race", "optimizer", "5"],
        ["together", "10", "10"],
    ]
    assert lines[6] == "person has 1 replicate: arms are compared from 4 on."
    assert lines[7].startswith("qwen is ahead of race by perf 0.")
    found = cli("arms", "--session", SESSION, "--json").json()
    assert (found["session"], found["equal"], found["said"]) == (SESSION, 4, lines[6:])
    assert found["rows"][0]["standing"]["curve"][0]["replicates"] == 0
    assert (found["ahead"][0]["than"], found["ahead"][0]["beyond_noise"]) == ("race", True)


def test_the_command_works_where_there_is_nobody_to_compare(cli: Cli, workspace: Workspace, make_run: RunMaker) -> None:
    assert cli("arms").out == "no runs yet: 'autopilot start' begins a session\n"
    assert cli("arms", "--json").json() is None
    make_run()
    assert cli("arms").out.splitlines() == [
        f"arms of {ENV}, quick, perf:max",
        "No arm has proposed a config that ended yet.",
    ]
    shutil.rmtree(workspace.root)
    shutil.copytree(EARLIER, workspace.root)
    lines = cli("arms").out.splitlines()
    assert lines[2].split()[:5] == ["offline", "researcher", "3", "6", "0"]
    assert lines[-1] == "Only offline has proposed configs: there is nobody to compare it with."


def test_what_is_not_there_is_refused_in_one_line(cli: Cli, make_run: RunMaker) -> None:
    make_run()
    assert cli("arms", "--env", ENV.removeprefix("puffer_")).out == cli("arms", "--env", ENV).out
    for option, value in (("--env", "puffer_pong"), ("--preset", "full"), ("--objective", "perf:min")):
        done = cli("arms", option, value)
        assert done.code == 2
        assert done.err.startswith(f"autopilot: {option[2:]} = ")
        assert "has no runs here; valid: " in done.err
    assert cli("arms", "--session", "none").err.startswith("autopilot: session 'none' is not in ")
