"""A model that gives up rests and is asked again; one that writes no prose is given up."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.analysis.analyst import Analyst
from agent.analysis.replay import replay_run
from agent.analysis.resting import REST, TIMES, TIRED, Rest
from agent.model.chat import Reply
from agent.model.scripted import ScriptedModel
from lab.space.inventory import Inventory
from lab.store.lab import Lab
from lab.store.notebook import Notebook
from lab.store.proposals import Proposals
from tests.agent.analysis.test_loop import REPORT, calls
from tests.conftest import RunMaker
from tests.tools.test_tools import PROPOSAL
from tools.prose import SENTENCE, is_prose

DONE = calls(("stage_proposal", PROPOSAL), ("write_report", REPORT))
COUNTING = "1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16"


class Slow(ScriptedModel):
    """Gives up after so many seconds of a clock."""

    def __init__(self, at: list[float], seconds: float) -> None:
        super().__init__([])
        self._at, self._seconds = at, seconds

    def complete(self, messages: Any, tools: Any) -> Reply:
        """It does not answer."""
        self._at[0] += self._seconds
        return super().complete(messages, tools)


def test_one_that_fails_slowly_rests_after_three_in_a_row_and_is_asked_again(
    make_run: RunMaker, notebook: Notebook, proposals: Proposals, inventory: Inventory
) -> None:
    at, lab = [0.0], Lab(notebook, inventory)
    worker = Analyst(lab, Slow(at, 120.0), rest=Rest(clock=lambda: at[0]))
    base = make_run()
    runs = [make_run({"train.gamma": 0.9 + number / 100}, parent=base.run_id) for number in range(5)]
    for run in runs[:3]:
        assert worker.analyse(run).fell_back == "the script is over"
    asked = len(worker.model.seen)  # type: ignore[attr-defined]
    resting = worker.analyse(runs[3]).fell_back or ""
    assert resting.startswith("rests until ")
    assert "given up 3 times in a row, last: the script is over" in resting
    assert len(worker.model.seen) == asked  # type: ignore[attr-defined]
    assert replay_run(lab, runs[3].run_id).differences == ()
    at[0] += 5 * 120
    worker.model = ScriptedModel([calls(("stage_proposal", {**PROPOSAL, "changes": {"train.vf_coef": 1.5}})), DONE])
    assert worker.analyse(runs[4]).fell_back is None
    assert worker.rest.in_a_row == 0


@given(st.lists(st.just(0.0) | st.floats(1e-3, 1e5), min_size=1, max_size=8))  # a clock tells a millisecond
def test_a_rest_is_as_long_as_tries_take_and_bounded(tries: list[float]) -> None:
    at, model = [0.0], ScriptedModel([])
    rest = Rest(clock=lambda: at[0])
    for number, seconds in enumerate(tries, start=1):
        assert rest.model(model) is model
        at[0] += seconds
        rest.gave_up("no answer")
        long = min(REST, TIMES * seconds) if number >= TIRED else 0.0
        assert (rest.model(model) is model) is (long == 0 or at[0] + long == at[0])
        at[0] += 1.001 * long + 1


@pytest.mark.parametrize(
    ("field", "text"),
    [("theory", COUNTING), ("observations", ["config.policy"]), ("next_step", "!!! ??? --- ... 0.1 0.2 0.3")],
)
def test_prose_that_is_none_goes_back_and_is_then_written_by_the_offline_researcher(
    make_run: RunMaker, notebook: Notebook, proposals: Proposals, inventory: Inventory, field: str, text: Any
) -> None:
    run, lab = make_run(), Lab(notebook, inventory)
    bad = calls(("stage_proposal", PROPOSAL), ("write_report", {**REPORT, field: text}))
    model = ScriptedModel([bad] * 9)
    outcome = Analyst(lab, model).analyse(run)
    assert outcome.fell_back == "wrote no sentences 3 times"
    assert len(model.seen) == 3
    assert f"{field}: is no sentence" in json.loads(model.seen[1][-1].content)["error"]
    report = notebook.paths(run.run_id).report.read_text()
    assert "offline, after scripted gave up (wrote no sentences 3 times)" in report
    assert "config.policy\n" not in report
    assert COUNTING not in report
    assert replay_run(lab, run.run_id).differences == ()


def test_a_theory_of_a_proposal_has_to_be_one_too(
    make_run: RunMaker, notebook: Notebook, proposals: Proposals, inventory: Inventory
) -> None:
    bad = calls(("stage_proposal", {**PROPOSAL, "theory": COUNTING}))
    model = ScriptedModel([bad, DONE])
    assert Analyst(Lab(notebook, inventory), model).analyse(make_run()).fell_back is None
    assert "theory: is no sentence" in model.seen[1][-1].content
    (staged,) = proposals.all()
    assert staged.theory == PROPOSAL["theory"]


@pytest.mark.parametrize(
    "text",
    [
        "The entropy bonus keeps the policy random, so perf stalls at 0.4.",
        "{{ run.metrics.perf }} beats the parent since updates are smaller",
        "Die Entropie fällt zu früh, also lernt die Politik nichts mehr.",
        "学习率太高 策略崩溃 下一步降低学习率。",
        "perf 0.82 [0.71, 0.93] against 0.44 (n=3): learning_rate 0.005 → 0.002 helped every seed",
    ],
)
def test_what_people_write_is_prose(text: str) -> None:
    assert is_prose(text, SENTENCE)


@given(st.lists(st.sampled_from(["1", "2.5", "-3e8", ",", "…", "0x1f", "[", "%"]), min_size=1, max_size=60))
def test_numbers_and_marks_alone_are_none(parts: list[str]) -> None:
    assert not is_prose(" ".join(parts))


@given(st.text(alphabet="abcdefghij", min_size=2, max_size=9), st.integers(12, 80))
def test_the_same_word_for_ever_is_none(word: str, times: int) -> None:
    assert not is_prose(f"The policy {word} " + " ".join([word] * times), SENTENCE)
    assert not is_prose(f"config.{word}.learning_rate")
