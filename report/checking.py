"""`autopilot check`: a report of a run, or any text about one, against the record."""

import re
from datetime import datetime
from pathlib import Path

from lab.base import AutopilotError, NotFound, invalid, plain, read_lines
from lab.claims import RUN_ID, Checked, check, numbers_named, runs_named, sections_of
from lab.judge import diagnosis_of, known_of, noise_of
from lab.store import Lab, Notebook, Proposals

LONGEST = 100_000
"""Bytes that a report may have."""


def check_report(notebook: Notebook, what: str, about: str | None = None) -> Checked:
    """The claims of a report.

    Args:
        notebook: whose record it is checked against.
        what: a run's id, or the path of a file.
        about: the run that a file is about; the first one that it names if not given.

    Raises:
        NotFound: there is no such run, report or file.
        InvalidInput: nothing says what run the file is about, or it is no report.
    """
    path = Path(what)
    if about is None and not path.is_file():
        about, path = what, notebook.paths(what).report
    if not path.is_file():
        raise NotFound(f"{what!r} has no report" if about == what else f"there is no file {what!r}")
    text = _read(path)
    if about is None:
        about = next((name for name in RUN_ID.findall(text) if notebook.readable(name)), None)
        if about is None:
            raise invalid("run", "not given", "is needed: the file names no run of this workspace", "--run RUN")
    run = notebook.run(about)
    staged = [proposal for proposal in Proposals(notebook.workspace).all() if proposal.analysed == run.run_id]
    line = re.search(r"\(staged in (.+)\)$", text, re.MULTILINE)
    named = re.findall(r"proposals/([^/\s]+)\.json", line.group(1)) if line else []
    proposals = [proposal for proposal in staged if proposal.proposal_id in named] or staged[-1:]
    began = _analysed(notebook, about) if path == notebook.paths(about).report else None
    incumbent, noise = notebook.incumbent(run.group), noise_of(notebook, run.group, began)
    lab = _lab(notebook, run.env_name)
    agents = (lab.inventory.environment(run.env_name).agents_per_env if lab else None) or 1
    findings = diagnosis_of(lab, run) if lab and run.state.ended else ()
    known = known_of(notebook, run, agents, incumbent, noise, proposals, _mentioned(notebook, text), findings)
    return check(known, sections_of(text))


def _analysed(notebook: Notebook, run_id: str) -> datetime | None:
    """When the analysis began that wrote a run's report, by which its figures of noise are; None where nobody knows."""
    head = next(read_lines(notebook.paths(run_id).transcript), {})
    try:
        return datetime.fromisoformat(str(head.get("time")))
    except ValueError:
        return None


def _mentioned(notebook: Notebook, text: str) -> list[str]:
    """The runs that a text names, which may be none of those that a report speaks of anyway."""
    every = (row[0] for row in notebook.index.ask("SELECT run_id FROM runs WHERE damaged IS NULL ORDER BY created"))
    numbered = (notebook.index.by_number(number) for number in numbers_named(text))
    return [*runs_named(text, every), *filter(None, numbered)]


def _read(path: Path) -> str:
    """A file's text, without what would colour a terminal.

    Raises:
        InvalidInput: it is too long, or no text.
    """
    if (size := path.stat().st_size) > LONGEST:
        raise invalid("file", f"{size:,} bytes", "is too long for a report", f"at most {LONGEST:,} bytes")
    try:
        return plain(path.read_bytes().decode("utf-8"), LONGEST)
    except UnicodeDecodeError:
        raise invalid("file", path, "is no text", "a report in UTF-8, such as a report.md") from None


def _lab(notebook: Notebook, env_name: str) -> Lab | None:
    """The workspace with what this machine knows of an environment; None where that is nothing."""
    from training import load_inventory

    try:
        inventory = load_inventory([env_name], notebook.workspace)
        inventory.environment(env_name)
    except AutopilotError:
        return None
    return Lab(notebook, inventory)
