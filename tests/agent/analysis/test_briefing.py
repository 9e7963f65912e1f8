"""The first message is enough for a proposal, bounded, and has what people and the model itself left for later."""

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from agent.analysis.analyst import Analyst
from agent.analysis.briefing import opening_of, situation_of
from agent.analysis.replay import replay_run
from agent.model.chat import Message, Reply
from agent.model.scripted import ScriptedModel
from lab.base.names import tail
from lab.space.environments import preset_config, profile_of
from lab.space.inventory import Inventory
from lab.space.task import Variant
from lab.store.creation import create_run
from lab.store.lab import Lab
from lab.store.notebook import Notebook
from lab.store.notes import add_comment, add_note, log_lines
from lab.store.proposals import Proposals
from lab.store.records import RunRecord
from tests.agent.analysis.test_loop import REPORT, calls
from tests.conftest import RunMaker
from tests.lab.judge.test_beside import Trained, trained
from tests.tools.test_tools import PROPOSAL
from training.fake import FakeRunner
from training.inventory import load_inventory
from training.run import train_run

Page = Callable[[RunRecord], str]
__all__ = ["trained"]  # a fixture


@pytest.fixture
def page(notebook: Notebook, inventory: Inventory) -> Page:
    """What a model is told first of a run."""

    def told(run: RunRecord) -> str:
        context = Analyst(Lab(notebook, inventory), ScriptedModel([]))._context(run, "scripted", None)
        return opening_of(situation_of(context))[1].content

    return told


def from_the_page_alone(messages: Sequence[Message]) -> Reply:
    """A colleague who reads nothing but the first message: the second key of the table, moved within its range."""
    text = messages[1].content
    table = text.partition("## What may be changed")[2]
    rows = re.findall(r"^- (\w+) (\S+); (\S+) to (\S+) log", table, re.MULTILINE)
    key, now, low, high = next(row for row in rows if row[0] == "ent_coef")
    value = (float(low) * float(high)) ** 0.5
    direction = "up" if value > float(now) else "down"
    (mean,) = re.findall(r"^\| (?:\w+) \| ([\d.]+)", text.partition("| metric |")[2], re.MULTILINE)[:1]
    proposal = {
        "changes": {f"train.{key}": value},
        "theory": f"The policy explores too little or too much: {key} goes {direction}, and entropy should follow.",
        "expected": {"direction": "same", "low": 0.9 * float(mean), "high": float(mean), "coverage": 0.5},
        "parent": re.findall(r"^Key, value in (\S+),", table, re.MULTILINE)[0],
    }
    return calls(("stage_proposal", proposal), ("write_report", REPORT))


@pytest.mark.parametrize("env", ["puffer_cartpole", "puffer_breakout", "puffer_squared"])
def test_the_page_is_enough_for_a_proposal(env: str, notebook: Notebook, proposals: Proposals) -> None:
    inventory, objective = load_inventory([env]), profile_of(env).objective
    base = preset_config(inventory.environment(env), "quick").with_overrides({"autopilot.seeds": 2})
    run = create_run(notebook, base, {}, preset="quick", objective=objective, arm="baseline")
    run = train_run(notebook, FakeRunner(), inventory, run.run_id, lambda _: None)
    model = ScriptedModel([from_the_page_alone])
    assert Analyst(Lab(notebook, inventory), model).analyse(run).fell_back is None
    (staged,) = proposals.all()
    assert (staged.parent, list(staged.overrides)) == (run.run_id, ["train.ent_coef"])
    assert len(model.seen) == 1
    text = model.seen[0][1].content
    assert "An agent observes (" in text
    assert "Curves at every tenth" in text
    assert "## Sources (data)" in text


def test_every_key_stands_on_the_page_once(make_run: RunMaker, page: Page) -> None:
    table = page(make_run()).partition("## What may be changed")[2].partition("## Sources")[0]
    for key in ("learning_rate", "gamma", "prio_alpha", "rnn.enabled", "train.total_timesteps"):
        assert len(re.findall(rf"(?<![\w.]){re.escape(key)} ", table)) == 1, key
    assert re.search(r"^- learning_rate 0.005; 0.0001 to 0.01 log$", table, re.MULTILINE)
    assert re.search(r"^- gamma 0.95; 0.9 to 0.999 logit$", table, re.MULTILINE)


def test_a_run_beside_its_parent_with_curves_and_diagnosis(make_run: RunMaker, page: Page) -> None:
    base = make_run()
    run = make_run({"train.learning_rate": 0.0003}, parent=base.run_id)
    text = page(run)
    assert "| metric | this run | parent, leader, incumbent |" in text
    assert "*: differs from this run by more than noise." in text
    assert "learning_rate 0.005 → 0.0003" in text
    (points,) = re.findall(r"^- environment/perf: (.*)$", text, re.MULTILINE)
    assert len(points.split()) == 10
    assert "Diagnosis, the most telling first:" in text


def test_what_differs_beyond_noise_is_marked_in_the_table_and_not_told_twice(trained: Trained, page: Page) -> None:
    base = trained({})
    other, alike = trained({"train.ent_coef": 0.1}, base, length=50), trained({"train.ent_coef": 0.002}, base)
    rows = {"other": page(other), "alike": page(alike)}
    row = re.compile(r"^\| episode_length \| (.*) \|$", re.MULTILINE)
    assert row.findall(rows["other"]) == ["50.5 | 100*"]
    assert row.findall(rows["alike"]) == ["100 | 100"]
    assert "Episode_length fell" not in rows["other"]


def test_notes_comments_and_log_reach_the_next_analyses(
    make_run: RunMaker, notebook: Notebook, proposals: Proposals, inventory: Inventory, page: Page
) -> None:
    run = make_run()
    add_note(notebook.workspace, "Never touch gamma:\x1b[31m the pole needs 200 steps of foresight.")
    reports = {**REPORT, "remember": "Entropy falls before perf does; {{ run.metrics.perf }} was the baseline."}
    lab = Lab(notebook, inventory)
    Analyst(lab, ScriptedModel([calls(("stage_proposal", PROPOSAL), ("write_report", reports))])).analyse(run)
    (staged,) = proposals.all()
    add_comment(notebook.workspace, staged.proposal_id, "person", "Try this one on more seeds.")
    add_comment(notebook.workspace, run.run_id, "person", "The second seed looks odd.")
    text = page(make_run({"train.ent_coef": 0.02}, parent=run.run_id))
    notes = text.partition("## The user's notes")[2].partition("##")[0]
    assert "Never touch gamma: the pole needs 200 steps of foresight." in notes
    assert f'on {tail(staged.proposal_id)}, person: "Try this one on more seeds."' in text
    assert 'person: "The second seed looks odd."' in text
    (entry,) = log_lines(notebook.workspace)
    assert "Entropy falls before perf does" in entry.text
    assert "{{" not in entry.text
    assert entry.text in text
    assert replay_run(lab, run.run_id).differences == ()


def test_long_notes_and_many_comments_are_bounded(make_run: RunMaker, notebook: Notebook, page: Page) -> None:
    run, plain = make_run(), notebook.workspace
    short = len(page(run))
    plain.notes.write_text("The goal: a pole that stands.\n" + "Something else.\n" * 5_000 + "Last: be quick.\n")
    for number in range(50):
        add_comment(plain, run.run_id, "person", f"{number} " + "word " * 150)
    text = page(run)
    assert len(text) < short + 8_000
    assert "The goal: a pole that stands." in text
    assert "Last: be quick." in text
    assert "characters left out" in text
    assert '"49 word' in text
    assert '"43 word' not in text


def test_a_user_s_own_parts_are_shown(
    make_run: RunMaker, notebook: Notebook, inventory: Inventory, page: Page, tmp_path: Path
) -> None:
    run = make_run()
    (notebook.workspace.root / "mine.py").write_text("def reward(reward):\n    return reward - 1  # ```\n")
    run = run.model_copy(update={"variants": {"reward": Variant(call="mine:reward")}})
    text = page(run)
    assert "your reward (mine.py):\n```\ndef reward(reward):\n    return reward - 1  # '''\n```" in text


class Seeing(ScriptedModel):
    """A script that takes pictures."""

    def takes_images(self) -> bool:
        """It does."""
        return True


def test_one_that_sees_gets_the_curves_as_a_picture(
    make_run: RunMaker, notebook: Notebook, proposals: Proposals, inventory: Inventory
) -> None:
    run, done = make_run(), calls(("stage_proposal", PROPOSAL), ("write_report", REPORT))
    model, lab = Seeing([done]), Lab(notebook, inventory)
    Analyst(lab, model).analyse(run)
    first = model.seen[0][1]
    assert first.picture is not None
    assert first.picture.startswith(b"\x89PNG")
    assert len(first.picture) < 200_000
    parts: Any = first.wire()["content"]
    assert [part["type"] for part in parts] == ["text", "image_url"]
    assert parts[1]["image_url"]["url"].startswith("data:image/png;base64,")
    transcript = notebook.paths(run.run_id).transcript.read_text()
    assert "base64" not in transcript
    assert json.loads(transcript.splitlines()[0])["situation"]["picture"] is True
    assert replay_run(lab, run.run_id).differences == ()
    blind = ScriptedModel([done])
    Analyst(lab, blind).analyse(make_run({"train.gamma": 0.9}, parent=run.run_id))
    assert blind.seen[0][1].picture is None
