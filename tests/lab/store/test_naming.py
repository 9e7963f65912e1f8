"""What runs are called: each name means one run, wherever it is asked for."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.base.errors import AutopilotError, InvalidInput, NotFound
from lab.base.files import write_json
from lab.base.paths import Workspace
from lab.base.schema import now
from lab.store.index import Index
from lab.store.naming import give_name, names_in, proposal_called, run_called
from lab.store.notebook import Notebook
from lab.store.notes import comments_in
from lab.store.proposals import Proposals
from lab.store.session import Budgets, SessionRecord
from lab.store.sessions import Sessions
from tests.conftest import ENV, Cli, RunMaker


def test_numbers_are_given_in_the_order_of_making_and_stay(make_run: RunMaker, notebook: Notebook) -> None:
    runs = [make_run(), make_run(), make_run()]
    assert [run.number for run in runs] == [1, 2, 3]
    assert [row.number for row in notebook.index.rows()] == [1, 2, 3]
    assert [notebook.index.by_number(number) for number in (1, 2, 3)] == [run.run_id for run in runs]
    Index(notebook.workspace).rebuild()
    assert [notebook.index.number_of(run.run_id) for run in runs] == [1, 2, 3]


def test_runs_of_earlier_versions_are_counted(make_run: RunMaker, notebook: Notebook) -> None:
    old = [make_run(), make_run()]
    for run in old:  # as they were written before runs had numbers
        path = notebook.paths(run.run_id).run
        write_json(path, {key: value for key, value in json.loads(path.read_text()).items() if key != "number"})
    new = make_run()
    assert new.number == 3
    assert [notebook.index.number_of(run.run_id) for run in (*old, new)] == [1, 2, 3]
    assert [row.number for row in notebook.index.rows()] == [1, 2, 3]


def test_a_run_is_meant_by_each_of_its_names(make_run: RunMaker, notebook: Notebook) -> None:
    first, second = make_run(run_id="first-try"), make_run(run_id="second-try")
    for said, meant in {"1": first, "#2": second, "first": first, "cond": second, "latest": second, "incumbent": first,
                        " second-try ": second}.items():  # fmt: skip
        assert run_called(notebook, said) == meant.run_id, said
    for said in ("3", "#0", "third", "", "../first-try", "leader"):
        with pytest.raises(NotFound):
            run_called(notebook, said)
    with pytest.raises(InvalidInput, match="is part of several ids; valid: first-try, second-try"):
        run_called(notebook, "try")


def test_a_whole_number_is_always_a_number(make_run: RunMaker, notebook: Notebook) -> None:
    first = make_run(run_id="2031-try")
    assert run_called(notebook, "1") == first.run_id
    with pytest.raises(
        NotFound, match=r"#1 to #1.*; a whole number always means a run.s number, never a part of 2031-"
    ):
        run_called(notebook, "2031")


def test_a_proposal_is_meant_by_part_of_its_id(propose: Any, proposals: Proposals, cli: Cli) -> None:
    first = propose(proposal_id="first-idea").proposal_id
    second = propose({"train.gamma": 0.9}, proposal_id="second-idea2").proposal_id
    assert proposal_called(proposals, "st-i").proposal_id == proposal_called(proposals, first).proposal_id == first
    for said, words in {
        "third": "there is second-idea2, first-idea; 'autopilot proposals --all' lists them",
        "2": "a whole number means a run; there is second-idea2",
    }.items():
        with pytest.raises(NotFound, match=words):
            proposal_called(proposals, said)
    with pytest.raises(InvalidInput, match="is part of several ids; valid: second-idea2, first-idea"):
        proposal_called(proposals, "idea")
    assert cli("approve", "cond").out.startswith(f"approved {second}")


def test_a_comment_is_about_whatever_is_called_so(propose: Any, notebook: Notebook, cli: Cli) -> None:
    proposal, run = propose(proposal_id="an-idea").proposal_id, notebook.index.rows()[0].run_id
    for said, about in {"1": run, "latest": run, run[-4:]: run, "idea": proposal}.items():
        assert cli("comment", said, "well").out == f"kept; the next analyses read it with {about}\n", said
    assert "run '#2' is not in" in cli("comment", "2", "well").err
    lost = cli("comment", "nothing", "well")
    assert (lost.code, "is neither a run nor a proposal here: there are #1 to #1; " in lost.err) == (2, True)
    assert [one.about for one in comments_in(notebook.workspace)] == [run, run, run, proposal]


def test_a_session_is_meant_by_part_of_its_id(workspace: Workspace, cli: Cli) -> None:
    sessions = Sessions(workspace)
    for name in ("2031-night-a", "2031-night-b"):
        fields = {"session_id": name, "env_name": ENV, "preset": "quick", "objective": "perf:max", "model": "offline"}
        more = {"approve": "auto", "seeds": 1, "budgets": Budgets(max_runs=8), "created": now()}
        record = SessionRecord.model_validate({**fields, **more, "ended": now(), "ended_because": "it was late"})
        sessions.save(record)
    for said, meant in {None: "b", "latest": "b", "2031-night-a": "a", "t-a": "a"}.items():
        assert sessions.named(said).session_id == f"2031-night-{meant}"
    for said, words in {
        "t-b": "session t-b has ended (it was late)",
        "latest": "no session to go on with",
        "c": "there is 2031-night-b, 2031-night-a; 'latest' is the newest",
        "night": "is part of several ids; valid: 2031-night-b, 2031-night-a",
    }.items():
        assert words in cli("resume", said).err
    assert "session 2031-night-a has no digest yet" in cli("digest", "t-a").err


def test_a_name_of_ones_own(make_run: RunMaker, notebook: Notebook, cli: Cli) -> None:
    run, other = make_run(), make_run()
    said = cli("name", "1", "the good one", "--tag", "keep", "--tag", "paper")
    assert (said.code, said.out.strip()) == (0, f"{run.run_id} is #1 the good one [keep, paper]")
    assert run_called(notebook, "the good one") == run.run_id
    assert "#1 the good one" in cli("runs").out and "[keep, paper]" in cli("runs").out
    for taken in ("the good one", "The Good One", "7", "latest", "Latest", run.run_id, run.run_id[-4:]):
        with pytest.raises(InvalidInput, match="means a run already"):
            give_name(notebook, other.run_id, taken)
    with pytest.raises(InvalidInput, match="begins as a run's number does; valid: 7x"):
        give_name(notebook, other.run_id, "#7x")
    assert run.run_id in cli("name", "2", run.run_id[-6:]).err
    give_name(notebook, run.run_id, "")
    assert names_in(notebook.workspace)[run.run_id].name is None
    assert names_in(notebook.workspace)[run.run_id].tags == ("keep", "paper")
    assert cli("name", "1").code == 2


@given(said=st.text(max_size=100))
def test_whatever_is_said_is_a_run_or_a_clear_error(said: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    notebook = Notebook(Workspace(tmp_path_factory.getbasetemp() / "nobody"))
    with pytest.raises(AutopilotError):
        run_called(notebook, said)


def test_commands_take_any_name_and_the_latest_without_one(make_run: RunMaker, cli: Cli) -> None:
    first, second = make_run(), make_run({"train.learning_rate": 0.01})
    assert first.run_id in cli("show", "#1").out
    assert f"#2 baseline with learning_rate = 0.01 ({second.run_id})" in cli("show").out
    compared = cli("compare")
    assert compared.out.startswith("#2 baseline with learning_rate = 0.01 against #1 baseline\n")
    lost = cli("show", "9")
    assert lost.code == 2
    assert lost.err.endswith(": there are #1 to #2, and 'autopilot runs' lists them\n")
    assert "fake training" in cli("logs", "1").out
