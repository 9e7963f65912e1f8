"""The contents of pages about runs: the list of runs, and one run with its report, its replicates and its relatives."""

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from pydantic import ValidationError

from lab.base import AutopilotError, Damaged, is_id, lasting, number, plain, read_model, short
from lab.claims import Checked
from lab.judge import ORDER, Stands, Yardsticks, current_verdict, whole_scores, words_of
from lab.space import Group, Objective
from lab.store import (
    MetricSummary,
    Notebook,
    Questions,
    ReplicateResult,
    RunRecord,
    Selection,
    Sessions,
    Verdict,
    Wanted,
    active_time,
    called_so,
)
from report import RunView, changed_text, interval_text, particulars, verdict_text, view_of
from review.charts import Logged, logged
from review.folder_views import own, pictures_of
from review.prose import html_of, missing
from review.sparks import Sparks

PAGE = 100
"""Runs on one page of the list."""
RELATIVES = 30
"""Ancestors, and children, that are named at most."""


def listing(sparks: Sparks, wanted: Wanted, page: int, verdict: str = "") -> dict[str, Any]:
    """A page of the list of runs, its rows as `autopilot runs --json` has them, with their small pictures.

    What is shown is what is sorted and filtered by: figures of fresh seeds, degrees of inconclusive.

    Args:
        sparks: the small pictures.
        wanted: which runs, in what order.
        page: from 1 on.
        verdict: a word of the column; empty for any.
    """
    notebook = sparks.notebook
    questions, by_verdict = Questions(notebook.index), wanted.sort == "verdict"
    words = _words(notebook, questions.groups()) if verdict or by_verdict else {}
    listed = questions.listing(
        wanted,
        page,
        PAGE,
        among=[run for run, one in words.items() if one.word == verdict] if verdict else None,
        called=called_so(notebook, wanted.text),
        places={run: one.place for run, one in words.items()} if by_verdict else None,
        instead=_whole(notebook, questions.groups(), wanted.sort) if wanted.sort in ("score", "worst", "n") else None,
    )
    pages = max(1, -(-listed.total // PAGE))
    if page > pages:
        return listing(sparks, wanted, pages, verdict)
    rows, known = list[tuple[RunRecord, RunView]](), Yardsticks()
    for row in listed.rows:
        try:
            record = notebook.run(row.run_id)
            rows.append((record, view_of(notebook, record, known=known, whole=True)))
        except AutopilotError as error:
            notebook.notice({row.run_id: str(error)})
    return {
        "rows": sparks.listed(rows),
        "total": listed.total,
        "page": page,
        "pages": pages,
        "choices": {**questions.kinds(), "verdict": ORDER},
        "gone": Sessions(notebook.workspace).gone(wanted.session) if is_id(wanted.session) else "",
        "damaged": notebook.damaged,
    }


def _words(notebook: Notebook, groups: Sequence[Group]) -> dict[str, Stands]:
    """How good each judged run may be, in the word that the list shows."""
    return {name: one for group in groups for name, one in words_of(notebook, group).items()}


def _whole(notebook: Notebook, groups: Sequence[Group], column: str) -> dict[str, float]:
    """What a column shows of the runs about which more is known than their own replicates."""
    known = ((group.goal, whole_scores(notebook, group)) for group in groups)
    return {name: _figure(goal, scores, column) for goal, whole in known for name, scores in whole.items()}


def _figure(goal: Objective, scores: Sequence[float], column: str) -> float:
    if column == "n":
        return len(scores)
    return goal.of_scores(scores) if column == "score" else goal.worst(scores)


class Line(NamedTuple):
    """A key of a config with its value."""

    key: str
    value: str
    parent: str | None
    """The parent's value; None where it is the same or there is no parent."""


def run(notebook: Notebook, run_id: str) -> dict[str, Any]:
    """The page of a run: its record, report, replicates, config and relatives.

    Raises:
        NotFound: there is no such run.
    """
    record, paths = notebook.run(run_id), notebook.paths(run_id)
    report, lost = _report(notebook, run_id)
    summary, config = notebook.summary(run_id), notebook.config(run_id)
    results = notebook.results(record)
    verdict = current_verdict(notebook, run_id)
    changed = notebook.changes(run_id)
    return {
        "row": view_of(notebook, record, whole=True),
        "record": record,
        "verdict": _verdict(notebook, record, verdict, reported=bool(report)),
        "report": report,
        "lost": lost,
        "metrics": [_metric(name, metric) for name, metric in summary.metrics.items()] if summary else [],
        "replicates": [_replicate(record, result) for result in results],
        "facts": _facts(record),
        "particulars": [*particulars(notebook, record, results), *_weights(results)],
        "config": [
            Line(key, short(value), short(changed[key][0]) if key in changed else None)
            for key, value in config.flat().items()
        ],
        "family": _family(notebook, record),
        "logs": [seed for seed in record.seeds if own(paths.seed(seed).log, paths.dir)],
        "logged": Logged.of(logged(notebook, run_id)),
        "transcript": own(paths.transcript, paths.dir),
    }


def _metric(name: str, metric: MetricSummary) -> tuple[str, str, str, int, str | None]:
    return plain(name, 60), number(metric.mean), interval_text(metric), metric.n, metric.flag


def _verdict(notebook: Notebook, record: RunRecord, verdict: Verdict | None, *, reported: bool) -> str:
    """The run's verdict in words, where the report does not say so anyway."""
    if not record.state.ended or record.replicates_of or (reported and verdict == notebook.verdict(record.run_id)):
        return ""
    return html_of(verdict_text(notebook, record, verdict))


def _report(notebook: Notebook, run_id: str) -> tuple[str, int]:
    """The report as HTML, its claims marked, and how many of them are no longer where they were."""
    paths = notebook.paths(run_id)
    if not own(paths.report, paths.dir):
        return "", 0
    try:
        checked = read_model(paths.claims, Checked) if own(paths.claims, paths.dir) else None
    except (Damaged, ValidationError):
        checked = None
    text = paths.report.read_text(encoding="utf-8", errors="replace")
    html = html_of(text, pictures_of(paths, f"/runs/{run_id}"), checked)
    return _folded(html), missing(text, checked) if checked else 0


def _folded(report: str) -> str:
    """A report whose details, below its rule, open when they are wanted; a model's prose has no headings."""
    head, details, rest = next(iter(re.findall(r"(?s)\A(.*?)<hr>\s*(<h2>)(.*)\Z", report)), (report, "", ""))
    if not details:
        return report
    said = "Details: claims, diagnosis, config, earlier runs, how to repeat it"
    return f"{head}<details><summary>{said}</summary>{details}{rest}</details>"


def _replicate(record: RunRecord, result: ReplicateResult) -> dict[str, Any]:
    metric = record.goal.metric
    score, speed = result.metrics.get(metric), result.metrics.get("sps")
    return {
        "seed": result.seed,
        "state": result.state.value,
        "score": number(score) if score is not None else "none",
        "sps": f"{speed:,.0f}" if speed else "none",
        "took": lasting(result.train_seconds),
        "reason": plain(result.reason or "", 400),
    }


def _weights(results: list[ReplicateResult]) -> list[tuple[str, str]]:
    known = [f"seed {result.seed}: {result.weights[:12]}…" for result in results if result.weights]
    return [("weights (sha256)", ", ".join(known))] if known else []


def _facts(record: RunRecord) -> list[tuple[str, str]]:
    facts = [("made by", record.arm), ("session", record.session or "none"), ("host", record.host)]
    facts += [("begun", f"{record.started:%Y-%m-%d %H:%M:%S} UTC")] if record.started else []
    facts += [("ended", f"{record.finished:%Y-%m-%d %H:%M:%S} UTC")] if record.finished else []
    facts += [("reason", plain(record.reason, 2000))] if record.reason else []
    facts += [("flag", plain(flag, 400)) for flag in record.flags]
    took = active_time(record)
    facts += [("took", lasting(took.total_seconds()))] if took else []
    return facts


def _family(notebook: Notebook, record: RunRecord) -> list[tuple[str, str, str]]:
    """Relatives: how they are related, their ids, what they changed."""
    questions = Questions(notebook.index)
    above = [("ancestor", row.run_id) for row in questions.lineage(record.run_id)[1:RELATIVES]]
    below = [("child", row.run_id) for row in questions.children(record.run_id)[-RELATIVES:]]
    again = [("more seeds", row.run_id) for row in notebook.index.rows(Selection(replicates_of=record.run_id))]
    first = [("more seeds of", record.replicates_of)] if record.replicates_of else []
    if above:
        above[0] = ("parent", above[0][1])
    relatives = []
    for how, run_id in [*first, *above, *below, *again]:
        try:
            relatives.append((how, run_id, changed_text(notebook, notebook.run(run_id))))
        except AutopilotError as error:
            notebook.notice({run_id: str(error)})
    return relatives
