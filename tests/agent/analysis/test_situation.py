"""What a model is told first: word for word, from the record alone, and no longer after a thousand runs."""

import os
import re
from pathlib import Path
from typing import Any

import pytest

from agent.analysis.analyst import Analyst
from agent.analysis.briefing import opening_of, situation_of
from agent.model.offline import OfflineResearcher
from benchmarks.ten_thousand import generate
from lab.base.names import tail
from lab.base.paths import Workspace
from lab.search import Search
from lab.space.inventory import Inventory
from lab.store.lab import Lab
from lab.store.notebook import Notebook
from lab.store.proposal import ProposalState
from lab.store.proposals import Proposals
from lab.store.records import RunState
from report.templates import render
from tests.conftest import RunMaker

SNAPSHOTS = Path(__file__).resolve().parents[2] / "data" / "prompts"
FULL: dict[str, Any] = {
    "env_name": "puffer_cartpole", "preset": "quick", "objective": "perf:max", "run_id": "2026-01-02T030405Z-aaaa",
    "state": "finished", "arm": "gpt-5", "incumbent": "2026-01-02T020000Z-bbbb", "noise": [0.0213, 8],
    "foretold": "3 predictions, 2 within the interval; skill against 'no change, give or take the noise' -0.12",
    "predicted": [{"metric": "perf", "low": 0.9, "high": 0.98, "coverage": 0.8, "came": 0.871, "score": 0.37,
                   "reference": 0.11},
                  {"metric": "nonsense", "low": 1.0, "high": 2.0, "coverage": 0.5, "came": None}],
    "runs": [{"run": "2026-01-02T020000Z-bbbb", "changed": "baseline", "score": "perf 0.9 (n=5)", "verdict": "first"},
             {"run": "2026-01-02T030405Z-aaaa", "changed": "gamma 0.95 → 0.9", "score": "perf 0.871 (n=3)",
              "verdict": None}],
    "runs_in_all": 12345,
    "effects": ["train.learning_rate: best between 0.002 and 0.006, 60 % of the differences; +0.31 [+0.2, +0.42] in"
                " perf against 0.0001 to 0.0004"],
    "lessons": [{"key": "train.gamma", "direction": "down", "effect": -0.0291, "low": -0.04, "high": -0.018,
                 "meaning": "hurts", "agreeing": 1, "opposed": 0},
                {"key": "train.optimizer", "direction": "→ adam", "effect": 0.01, "low": -0.02, "high": 0.04,
                 "meaning": "unclear", "agreeing": 3, "opposed": 2}],
    "waiting": [{"overrides": {"train.ent_coef": 0.02}, "parent": "2026-01-02T020000Z-bbbb"}],
    "rejected": [{"overrides": {"train.ent_coef": 0.5}, "why": "that high it never settles"}],
    "environment": {
        "observations": "(4,) float32", "actions": "one of 2", "doc": "A pole on a cart.", "arguments": "frameskip = 4",
        "metrics": {"perf": "success, from 0 to 1", "episode_length": "steps of an episode"},
        "policy": "Policy, 128 wide", "device": "cpu, Serial", "batch": "1024 agents x 32 steps = 32,768",
    },
    "night": ["left: 31 of 60 replicates", "this run took 12 s: 3 replicates of 2,000,000 steps"],
    "memory": {
        "notes": "- Never touch gamma: the task needs 200 steps of foresight.",
        "comments": [{"about": "2026-01-02T020000Z-bbbb", "who": "person", "text": "look at the second seed"}],
        "log": [{"run": "2026-01-02T020000Z-bbbb", "text": "Entropy falls before perf does."}],
        "theories": [{"changes": "train.gamma = 0.9", "theory": "Rewards are near.", "came": "perf 0.871 (n=3)",
                      "held": "missed: 0.9 to 0.98 was predicted"}],
    },
    "subject": {
        "changed": "gamma 0.95 to 0.9", "scored": "perf 0.871 (n=3)", "verdict": "inconclusive", "reason": "",
        "log": [], "findings": [{"says": "Falls from its peak (0.93 at 1.1M, 0.87 at the end).",
                                 "meaning": "Updates too large late.", "moves": "learning_rate down"}],
        "others": ["parent, incumbent"], "metrics": [["perf", "0.871 (0.86, 0.88, 0.873)", "0.9"]],
        "curves": [{"name": "environment/perf", "points": "0.1 0.3 0.5 0.7 0.8 0.9 0.93 0.91 0.89 0.87"}],
    },
    "theory": "Rewards are near, so a shorter horizon learns faster.",
    "shared": ["5 of 5 replicates of the baseline peak at 1.1M steps and fall."],
    "space": {"of": "2026-01-02T020000Z-bbbb", "others": ["train.total_timesteps 2,000,000"], "rows": [
        {"key": "learning_rate", "value": "0.005", "look": "0.0001 to 0.01", "scale": "log", "doc": ""},
        {"key": "prio_alpha", "value": "0.8", "look": "0.1 to 0.99", "scale": "", "doc": "How strongly"}]},
    "sources": {"environment (cartpole.h)": "float reward = 1;"},
    "picture": True,
    "report_wanted": True,
    "proposal_wanted": True,
    "ahead": 3,
    "optimizer": {
        "replicates": 57,
        "best": [{"run": "2026-01-02T030405Z-aaaa", "mean": 0.91402, "sd": 0.02358, "n": 3,
                  "keys": [["learning_rate", 0.0099], ["optimizer", "adam"], ["rnn.enabled", False]], "more": 9},
                 {"run": "2026-01-02T020000Z-bbbb", "mean": 0.89, "sd": 0.01, "n": 5, "keys": [], "more": 0}],
        "agreed": [["bptt_horizon", 32, 32], ["gamma", 0.95, 0.97]],
        "next": [{"keys": [["ent_coef", 0.00021]], "more": 0, "low": 0.80921, "high": 1.0},
                 {"keys": [["ent_coef", 0.1], ["gamma", 0.9], ["vf_coef", 2.0]], "more": 4, "low": None, "high": None}],
    },
}  # fmt: skip
BARE: dict[str, Any] = {
    **FULL, "arm": "", "incumbent": None, "noise": None, "foretold": None, "predicted": [], "runs": [], "effects": [],
    "lessons": [], "waiting": [], "rejected": [], "report_wanted": False, "ahead": 1, "optimizer": None,
    **dict.fromkeys(("environment", "subject", "space", "sources", "theory", "shared", "picture")), "night": [],
    "memory": {"notes": "", "comments": [], "log": [], "theories": []},
}  # fmt: skip


@pytest.mark.parametrize(("name", "text"), [
    ("system", render("system.md.j2")),
    ("iteration", render("iteration.md.j2", **FULL)),
    ("iteration_bare", render("iteration.md.j2", **BARE)),
])  # fmt: skip
def test_the_prompts_word_for_word(name: str, text: str) -> None:
    path = SNAPSHOTS / f"{name}.md"
    if os.environ.get("WRITE_SNAPSHOTS"):
        path.write_text(text)
    assert text == path.read_text(), "WRITE_SNAPSHOTS=1 keeps the new one"


def test_it_tells_what_was_predicted_learnt_and_rejected(
    make_run: RunMaker, notebook: Notebook, proposals: Proposals, inventory: Inventory
) -> None:
    base = make_run()
    analyst = Analyst(Lab(notebook, inventory), OfflineResearcher())
    (first,) = analyst.analyse(base).staged
    proposals.decide(first.proposal_id, ProposalState.REJECTED, "person", "we know\x1b[31m that")
    (second,) = analyst.analyse(base).staged
    hurt = make_run({"train.learning_rate": 0.0001}, parent=base.run_id)
    child = make_run(second.overrides, parent=base.run_id, proposal=second.proposal_id)
    situation = situation_of(analyst._context(child, "scripted", None))
    (predicted,) = situation["predicted"]
    summary = notebook.summary(child.run_id)
    assert summary is not None
    assert predicted["came"] == summary.metrics["perf"].mean
    assert {line["run"] for line in situation["runs"]} == {base.run_id, hurt.run_id, child.run_id}
    assert ("train.learning_rate", "down", "hurts") in {
        (lesson["key"], lesson["direction"], lesson["meaning"]) for lesson in situation["lessons"]
    }
    text = opening_of(situation)[1].content
    assert f'{first.brief}: "we know that"' in text
    assert "\x1b" not in text


def tokens(said: str) -> int:
    """About as many as the usual tokenizers make of a text: numbers and names of runs take the most."""
    return sum(1 + len(word) // 9 for word in re.findall(r" ?[A-Za-z]+|\d{1,3}|[^\sA-Za-z\d]", said))


def test_it_has_the_optimizer_in_short(make_run: RunMaker, notebook: Notebook, inventory: Inventory) -> None:
    base, lab = make_run(), Lab(notebook, inventory)
    runs = {base.run_id}
    for _ in range(8):
        search = Search.of(lab, base.group)
        assert search is not None
        runs.add(make_run(search.suggest(only_new=True)[0].changes, parent=base.run_id).run_id)
    context = Analyst(lab, OfflineResearcher())._context(notebook.runs()[-1], "scripted", None)
    part = opening_of(situation_of(context))[1].content.partition("The optimizer, from all 18 replicates,")[2]
    said = part.partition("## What may be changed")[0]
    lines = [line for line in said.splitlines() if line.startswith("- ")]
    assert len(lines) == 3 + 3
    assert len({run for run in runs if f"- {tail(run)}:" in said}) == 3
    assert 100 < tokens(said) <= 350
    offline = situation_of(Analyst(lab, OfflineResearcher())._context(base, "offline", None))
    assert "optimizer" not in offline  # it asks by itself


def test_it_does_not_grow_with_the_history(tmp_path: Path, inventory: Inventory) -> None:
    lengths = {}
    for count in (50, 1_000):
        place = Workspace(tmp_path / str(count))
        generate(place, count)
        notebook = Notebook(place)
        run = next(run for run in reversed(notebook.runs()) if run.state is RunState.FINISHED)
        context = Analyst(Lab(notebook, inventory), OfflineResearcher())._context(run, "scripted", None)
        lengths[count] = sum(len(message.content) for message in opening_of(situation_of(context)))
    assert lengths[1_000] <= 1.2 * lengths[50]
