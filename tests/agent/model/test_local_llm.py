"""A session with a real language model on this machine: SmolLM2, 135 million parameters, behind llama.cpp's server.

It knows no tool calls and its judgement is worth nothing, which makes it the right adversary: whatever it says, the
night goes on, and what it proposes is valid or not staged.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.analysis.replay import replay_run
from benchmarks.common import serving, small_model
from lab.base.files import read_lines
from lab.base.paths import Workspace
from lab.space.inventory import Inventory
from lab.space.validate import check_overrides
from lab.store.lab import Lab
from lab.store.notebook import Notebook
from lab.store.proposal import ProposalState
from lab.store.proposals import Proposals
from lab.store.records import RunState
from tests.conftest import Cli

pytestmark = pytest.mark.llm
MODEL = "smollm2"
SETTINGS = """
[model]
turns = 8
timeout = 300
max_tokens = 600
temperature = 0.8
"""


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """The server's address."""
    weights = small_model()
    if weights is None:
        pytest.skip("make test-llm installs the model")
    with serving(weights, 8192) as address:
        yield address


def analyses(path: Path) -> Iterator[list[dict[str, Any]]]:
    """The lines of each analysis of a transcript."""
    found: list[dict[str, Any]] = []
    for line in read_lines(path):
        if line["kind"] == "analysis" and found:
            yield found
            found = []
        found.append(line)
    yield found


def executed(lines: list[dict[str, Any]]) -> list[str]:
    """Tools that the model chose, that did what they are for, and whose answers were in its next request."""
    messages = [line for line in lines if line["kind"] == "message"]
    found = []
    for before, answer, after in zip(messages, messages[1:], messages[2:], strict=False):
        if answer["role"] == "tool" and before.get("tool_calls") and after["role"] == "assistant":
            name = before["tool_calls"][0]["name"]
            found += [name] if not answer["content"].startswith('{"error"') else []
    return found


def test_a_session(endpoint: str, workspace: Workspace, cli: Cli, inventory: Inventory) -> None:
    workspace.settings.write_text(SETTINGS)
    short = ["--set", "train.total_timesteps=65536", "--set", "autopilot.eval_steps=200"]
    done = cli(
        "start", "--model", MODEL, "--base-url", endpoint, "--max-runs", "6", "--seeds", "1", "--approve", "auto",
        "--model-share", "1", *short, OPENAI_API_KEY="none",
    )  # fmt: skip
    assert done.code == 0, (done.out, done.err)
    notebook, proposals = Notebook(workspace), Proposals(workspace)
    assert [run.state for run in notebook.runs()] == [RunState.FINISHED] * 2
    runs = notebook.runs()
    for proposal in proposals.all():
        base = notebook.config(proposal.parent)
        assert check_overrides(base, proposal.overrides, inventory, proposing=True) == []
    tried: list[list[dict[str, Any]]] = []
    for run in runs:
        report = notebook.paths(run.run_id).report.read_text()
        assert f"Analysis: {MODEL}" in report or f"Analysis: offline, after {MODEL} gave up" in report
        first = next(analyses(notebook.paths(run.run_id).transcript))
        assert first[0]["model"] == MODEL
        tried.append(first)
        assert replay_run(Lab(notebook, inventory), run.run_id).differences == ()
    # Its answers are drawn anew each time, and in one of the two analyses it may only ask for what there is not.
    assert any(executed(first) for first in tried), [[line.get("content", "")[:200] for line in one] for one in tried]
    # A model of this size may write no sentences: then a proposal of the offline researcher trains, and it is said why.
    (trained,) = [proposals.get(run.proposal) for run in runs if run.proposal is not None]
    assert trained.state is ProposalState.DONE
    if trained.arm != MODEL:
        analysed = notebook.paths(str(trained.analysed)).report.read_text()
        assert f"Analysis: offline, after {MODEL} gave up (" in analysed
        assert trained.arm == "offline"
