"""`autopilot review`: each key does what it says, in eighty columns, and on a real terminal."""

import json
import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyte
import pytest

from lab.space.inventory import Inventory
from lab.store.notebook import Notebook
from lab.store.proposal import ProposalState as S
from lab.store.proposals import Proposals
from review import terminal
from review.terminal import Terminal
from tests.conftest import ENV, RunMaker

Decide = Callable[..., Terminal]


@pytest.fixture
def decide(notebook: Notebook, proposals: Proposals, inventory: Inventory) -> Decide:
    """A person who presses these keys and types these lines, then leaves."""

    def at(keys: str, *lines: str) -> Terminal:
        pressed, typed, paged = iter(keys), iter(lines), list[str]()
        made = Terminal(notebook, proposals, lambda _: inventory, "person ada", key=lambda: next(pressed, "q"),
                        line=lambda _: next(typed, ""), page=paged.append)  # fmt: skip
        made.run()
        made.paged = paged  # type: ignore[attr-defined]
        return made

    return at


def test_what_a_decision_wants_is_shown(
    propose: Any, decide: Decide, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(terminal.shutil, "get_terminal_size", lambda: os.terminal_size((80, 24)))
    proposal = propose(
        {"train.ent_coef": 0.02, "train.optimizer": "muon"}, theory="More noise.\n\nIt rests on nothing.",
        predictions=({"metric": "perf", "direction": "up", "low": 0.4, "high": 0.6, "coverage": 0.8},),
    )  # fmt: skip
    decide("q")
    shown = capsys.readouterr().out
    parent = proposal.parent
    for said in (
        proposal.proposal_id, "train.ent_coef  0.001 → 0.02", "from 0 to 1, log scale; o as in the parent, x proposed",
        "train.optimizer  adam → muon", "valid: muon | adam", "More noise.", "It rests on nothing.",
        "perf up, 0.4 to 0.6 in 80 % of the cases", f"{parent} (baseline)", "for 1 replicate of 2,000,000 steps",
        "no rules: autopilot.toml has no [policy]", "while training, mean of the replicates", "million agent steps",
    ):  # fmt: skip
        assert said in shown, said
    assert max(map(len, shown.splitlines())) <= 80
    assert "\x1b" not in shown


def test_the_keys(propose: Any, decide: Decide, proposals: Proposals, capsys: pytest.CaptureFixture[str]) -> None:
    first = propose({"train.ent_coef": 0.02})
    decide("xsq")
    assert "is none of these keys" in capsys.readouterr().out
    assert proposals.get(first.proposal_id) == first
    decide("a")
    approved = proposals.get(first.proposal_id).decisions[-1]
    assert (approved.state, approved.who, approved.seen) == (S.APPROVED, "person ada", first.version)
    second = propose({"train.gamma": 0.9})
    decide("rr", "", "too large a step")  # without a reason it is not rejected
    rejected = proposals.get(second.proposal_id).decisions[-1]
    assert (rejected.state, rejected.why) == (S.REJECTED, "too large a step")


def test_an_edit_is_checked_at_once_and_shown_before_it_is_approved(
    propose: Any, decide: Decide, proposals: Proposals, capsys: pytest.CaptureFixture[str]
) -> None:
    proposal = propose({"train.ent_coef": 0.02})
    decide("ea", "train.gamma=3", "gibberish", "train.gamma=0.97", "")
    shown = capsys.readouterr().out
    assert "not valid: train.gamma = 3: must be from 0 to 0.999999" in shown
    assert "is not KEY=VALUE" in shown
    assert "valid: train.ent_coef = 0.02, train.gamma = 0.97" in shown
    assert "train.gamma  0.95 → 0.97" in shown
    (new,) = (p for p in proposals.all() if p.arm == "person")
    assert (new.state, new.overrides) == (S.APPROVED, {"train.ent_coef": 0.02, "train.gamma": 0.97})
    assert proposals.get(proposal.proposal_id).state is S.SUPERSEDED


def test_what_an_edit_does_not_do_is_said_while_it_is_made(
    propose: Any, decide: Decide, capsys: pytest.CaptureFixture[str]
) -> None:
    propose({"train.ent_coef": 0.02})
    decide("ea", "train.compile_mode=max-autotune", "")
    shown = capsys.readouterr().out
    assert shown.count("train.compile_mode has no effect with train.compile = false") == 2  # at once, and once staged
    assert "nothing trains it until a session of puffer_cartpole, quick, perf:max begins" in shown


def test_whoever_comes_second_is_told(
    propose: Any, notebook: Notebook, proposals: Proposals, inventory: Inventory, capsys: pytest.CaptureFixture[str]
) -> None:
    proposal = propose()

    def key() -> str:
        if proposals.get(proposal.proposal_id).state is S.STAGED:
            proposals.decide(proposal.proposal_id, S.REJECTED, "person bob", "I was here first")
        return "a"

    Terminal(notebook, proposals, lambda _: inventory, "person ada", key, lambda _: "", lambda _: None).run()
    assert "not done: " in (shown := capsys.readouterr().out)
    assert "is rejected (I was here first)" in shown
    assert proposals.get(proposal.proposal_id).state is S.REJECTED


def test_the_report_is_one_key_away(
    propose: Any, decide: Decide, notebook: Notebook, capsys: pytest.CaptureFixture[str]
) -> None:
    proposal = propose()
    assert decide("oq").paged == []  # type: ignore[attr-defined]
    assert f"run {proposal.analysed} has no report" in capsys.readouterr().out
    notebook.paths(proposal.analysed).report.write_text("# A report\n\x1b[31mred\n")
    assert decide("oq").paged == ["# A report\nred\n"]  # type: ignore[attr-defined]


def autopilot(root: Path, *arguments: str, **more: Any) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("autopilot")), "--workspace", str(root), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, **more)


def test_without_a_terminal_it_prints_and_decides_nothing(propose: Any, proposals: Proposals) -> None:
    root = proposals.workspace.root
    assert autopilot(root, "review").stdout == "nothing waits for a decision\n"
    proposal = propose()
    narrow = autopilot(root, "review", env={**os.environ, "PYTHONIOENCODING": "ascii"})
    assert (narrow.returncode, narrow.stderr) == (0, "")
    done = autopilot(root, "review", input="a\n")
    assert done.returncode == 0
    assert proposal.proposal_id in done.stdout
    assert "1 waits for a decision" in done.stdout
    assert proposals.all() == [proposal]
    (row,) = json.loads(autopilot(root, "review", "--json").stdout)
    assert (row["proposal_id"], row["version"], row["changes"][0]["new"]) == (
        proposal.proposal_id, proposal.version, "0.02",
    )  # fmt: skip


def test_on_a_real_terminal(propose: Any, proposals: Proposals, make_run: RunMaker) -> None:
    proposal = propose()
    assert proposal.env_name == ENV
    master, slave = pty.openpty()
    command = [str(Path(sys.executable).with_name("autopilot")), "--workspace", str(proposals.workspace.root), "review"]
    process = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave,
                               env={**os.environ, "TERM": "xterm", "COLUMNS": "80"})  # fmt: skip
    os.close(slave)
    screen = pyte.HistoryScreen(80, 200)
    stream = pyte.ByteStream(screen)

    def until(text: str) -> None:
        deadline = time.monotonic() + 60
        while not any(text in line for line in screen.display):
            assert time.monotonic() < deadline, "\n".join(screen.display)
            if select.select([master], [], [], 1.0)[0]:
                stream.feed(os.read(master, 65536))

    until("[q]uit >")
    os.write(master, b"r")
    until("why")
    os.write(master, b"not tonight\n")
    until("nothing waits for a decision")
    assert process.wait(60) == 0
    os.close(master)
    assert proposals.get(proposal.proposal_id).decisions[-1].why == "not tonight"
