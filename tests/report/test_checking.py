"""`autopilot check`, as it is called: any text against the record."""

from pathlib import Path

import pytest

from lab.store.notebook import Notebook
from tests.conftest import Cli, RunMaker


@pytest.fixture
def run_id(make_run: RunMaker) -> str:
    return make_run().run_id


def test_a_true_and_a_false_sentence(cli: Cli, run_id: str, notebook: Notebook, tmp_path: Path) -> None:
    summary = notebook.summary(run_id)
    assert summary is not None
    perf = summary.metrics["perf"].mean
    notes = tmp_path / "notes.md"
    notes.write_text(f"# {run_id}\n\nperf is {perf:.3f}.\n")  # the run that it names is the one it is about
    done = cli("check", str(notes))
    assert done.code == 0, done.out + done.err
    notes.write_text(f"perf is {perf + 0.1:.3f}.\n")
    done = cli("check", str(notes), "--run", run_id)
    assert done.code == 1
    assert "✗" in done.out
    found = cli("check", str(notes), "--run", run_id, "--json").json()
    assert [(claim["quote"], claim["status"]) for claim in found["claims"]] == [(f"{perf + 0.1:.3f}", "contradicted")]


def test_the_evidence_is_shown_whole(cli: Cli, run_id: str, make_run: RunMaker, tmp_path: Path) -> None:
    child = make_run({"train.clip_coef": 0.9}, parent=run_id).run_id
    notes = tmp_path / "notes.md"
    notes.write_text(f"# {child}\n\nclip_coef 0.2 → 0.9 was tried.\n")
    evidence = [claim["evidence"] for claim in cli("check", str(notes), "--json").json()["claims"]]
    assert max(map(len, evidence)) > 160
    told = cli("check", str(notes), COLUMNS="80").out
    assert all(text in told for text in evidence)


def test_colours_are_no_claims(cli: Cli, run_id: str, tmp_path: Path) -> None:
    notes = tmp_path / "notes.md"
    notes.write_bytes(b"perf is \x1b[31m0.001\x1b[0m.\n")
    found = cli("check", str(notes), "--run", run_id, "--json").json()
    assert [(claim["quote"], claim["status"]) for claim in found["claims"]] == [("0.001", "contradicted")]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\xff\xfe\x00binary\x80" * 50, "is no text; valid: a report in UTF-8"),
        (b"perf is 0.5. " * 20_000, "'260,000 bytes': is too long for a report; valid: at most 100,000 bytes"),
    ],
    ids=["binary", "long"],
)
def test_what_is_no_report_is_refused(cli: Cli, run_id: str, tmp_path: Path, content: bytes, said: str) -> None:
    notes = tmp_path / "notes"
    notes.write_bytes(content)
    done = cli("check", str(notes), "--run", run_id)
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert said in done.err


def test_an_empty_file_claims_nothing(cli: Cli, run_id: str, tmp_path: Path) -> None:
    notes = tmp_path / "notes.md"
    notes.write_text("")
    assert cli("check", str(notes), "--run", run_id, "--json").json()["claims"] == []


def test_a_file_that_names_no_run(cli: Cli, tmp_path: Path) -> None:
    notes = tmp_path / "notes.md"
    notes.write_text("perf is 0.5.\n")
    done = cli("check", str(notes))
    assert done.code == 2
    assert "--run RUN" in done.err
