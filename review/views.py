"""What the pages are made of, from the same functions as the terminal's lists and `--json`."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from lab.base.errors import AutopilotError, Damaged, InvalidInput, NotFound, refused
from lab.base.files import read_lines, read_model
from lab.base.paths import RunPaths, SessionPaths
from lab.base.text import lasting, number, plain, short
from lab.claims.checking import Checked
from lab.judge.lessons import lessons
from lab.judge.predictions import ENOUGH, Scored, scored_predictions, standings
from lab.judge.verdicts import current_verdict
from lab.space.objective import Group
from lab.space.parameters import BOOKKEEPING
from lab.store.importance import FEWEST, Importances
from lab.store.notebook import Notebook
from lab.store.proposals import Proposals
from lab.store.questions import Questions, Wanted
from lab.store.records import ReplicateResult, RunRecord, Verdict
from lab.store.selection import Selection
from lab.store.session import SessionRecord
from report.comparing import compared
from report.confirmations import candidates
from report.facts import (
    changed_text,
    difference_text,
    interval_text,
    verdict_text,
)
from report.show import particulars, run_row
from report.status import status
from review.charts import logged, varied
from review.prose import html_of, missing

PAGE = 100
"""Runs of a page of the list."""
RELATIVES = 30
LOG = 200_000
"""Characters of a log that are shown, the last ones."""
MESSAGES = 400
"""Lines of a transcript that are shown, the first ones."""
SAID = 20_000
"""Characters of one message."""
PREDICTIONS = 300
LESSONS = 40
MOST = 6
"""Runs that are compared at once."""
SEARCHED = 2_000
"""Configs among which varied parameters are looked for, the newest ones."""
BEST = 10
"""Runs that are named as the best of a group."""


def sessions(notebook: Notebook) -> list[SessionRecord]:
    """Those that can be read, the newest first."""
    found, folder = list[SessionRecord](), notebook.workspace.sessions
    for path in sorted(folder.iterdir(), reverse=True) if folder.is_dir() else ():
        try:
            found.append(read_model(notebook.workspace.session(path.name).session, SessionRecord))
        except (AutopilotError, OSError) as error:
            notebook.notice({path.name: str(error)})
    return found


def session(notebook: Notebook, name: str) -> SessionRecord:
    """One of them.

    Raises:
        NotFound: there is none of that name.
    """
    path = notebook.workspace.session(name).session
    if not path.exists():
        raise NotFound(f"session {name!r} is not in {notebook.workspace.root}")
    return read_model(path, SessionRecord)


def tonight(notebook: Notebook, proposals: Proposals) -> dict[str, Any]:
    """What goes on, as `autopilot status` has it, with the latest runs and how far the budgets are used."""
    found = status(notebook, proposals)
    record = SessionRecord.model_validate(found["session"]) if found["session"] else None
    rows = notebook.index.records(Selection(session=record.session_id), newest=8)[::-1] if record else []
    return {
        **found,
        "record": record,
        "runs_by_state": found["runs"],
        "latest": [run_row(notebook, run) for run in rows],
        "budgets": _budgets(notebook, record) if record else [],
        "candidates": candidates(notebook, record.group, []) if record else [],
        "unreadable": found.get("damaged", ""),
        "damaged": notebook.damaged,
        "busy": _share(record.spent.training, record.spent.seconds) if record else None,
    }


class Used(NamedTuple):
    """A budget."""

    name: str
    share: float
    """0 to 1."""
    text: str


def _budgets(notebook: Notebook, record: SessionRecord) -> list[Used]:
    limits, spent = record.budgets, record.spent
    runs = notebook.index.count(Selection(session=record.session_id))
    found: list[tuple[str, float, float | None, Callable[[float], str]]] = [
        ("time", spent.seconds, limits.hours and limits.hours * 3600, lasting),
        ("runs", runs, limits.max_runs, lambda value: f"{value:,.0f}"),
        ("tokens", spent.tokens, limits.max_tokens, lambda value: f"{value:,.0f}"),
        ("dollars", spent.dollars, limits.max_dollars, lambda value: f"${value:.2f}"),
    ]
    return [
        Used(name, min(1.0, used / most) if most else 0.0,
             f"{say(used)} of {say(most)}" if most else f"{say(used)}, no limit")
        for name, used, most, say in found
        if most or used
    ]  # fmt: skip


def _share(part: float, whole: float) -> float | None:
    return part / whole if whole else None


# --- runs -----------------------------------------------------------------------------------------------------------


def listing(notebook: Notebook, wanted: Wanted, page: int) -> dict[str, Any]:
    """A page of the list of runs, its rows as `autopilot runs --json` has them."""
    questions = Questions(notebook.index)
    found = questions.listing(wanted, page, PAGE)
    pages = max(1, -(-found.total // PAGE))
    if page > pages:
        return listing(notebook, wanted, pages)
    rows = []
    for row in found.rows:
        try:
            rows.append(run_row(notebook, notebook.run(row.run_id)))
        except AutopilotError as error:
            notebook.notice({row.run_id: str(error)})
    return {
        "rows": rows, "total": found.total, "page": page, "pages": pages,
        "choices": {name: questions.kinds(name) for name in ("env_name", "preset", "state", "arm", "session")},
        "damaged": notebook.damaged,
    }  # fmt: skip


class Line(NamedTuple):
    """A key of a config."""

    key: str
    value: str
    parent: str | None
    """The parent's value; None where it is the same or there is no parent."""


def run(notebook: Notebook, run_id: str) -> dict[str, Any]:
    """Everything about a run.

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
        "row": run_row(notebook, record),
        "record": record,
        "verdict": _verdict(notebook, record, verdict, reported=bool(report)),
        "report": report,
        "lost": lost,
        "metrics": [(plain(name, 60), number(found.mean), interval_text(found), found.n, found.flag)
                    for name, found in summary.metrics.items()] if summary else [],
        "replicates": [_replicate(record, result) for result in results],
        "facts": _facts(notebook, record, results),
        "config": [
            Line(key, short(value), short(changed[key][0]) if key in changed else None)
            for key, value in config.flat().items()
        ],
        "family": _family(notebook, record),
        "logs": [seed for seed in record.seeds if own(paths.seed(seed).log, paths.dir)],
        "transcript": own(paths.transcript, paths.dir),
    }  # fmt: skip


def _verdict(notebook: Notebook, record: RunRecord, verdict: Verdict | None, *, reported: bool) -> str:
    """How it stands, where the report does not say so anyway."""
    if not record.state.ended or record.replicates_of or (reported and verdict == notebook.verdict(record.run_id)):
        return ""
    return html_of(verdict_text(record, verdict))


def own(path: Path, folder: Path) -> bool:
    """A file is there and lies in its run's or session's folder; a link that leads elsewhere is not shown."""
    try:
        return path.is_file() and path.resolve().is_relative_to(folder.resolve())
    except OSError:
        return False


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
    return html_of(text, pictures_of(paths, f"/runs/{run_id}"), checked), missing(text, checked) if checked else 0


def pictures_of(paths: RunPaths | SessionPaths, under: str) -> dict[str, str]:
    """Name of each picture to where it is served."""
    there = sorted(path.stem for path in paths.plots.glob("*.png") if own(path, paths.dir))
    return {name: f"{under}/pictures/{name}.png" for name in there}


def _replicate(record: RunRecord, result: ReplicateResult) -> dict[str, Any]:
    metric = record.goal.metric
    score, speed = result.metrics.get(metric), result.metrics.get("sps")
    return {
        "seed": result.seed,
        "state": result.state.value,
        "score": number(score) if score is not None else "none",
        "sps": f"{speed:,.0f}" if speed else "none",
        "took": lasting(result.train_seconds),
        "weights": (result.weights or "")[:12],
        "reason": plain(result.reason or "", 400),
    }


def _facts(notebook: Notebook, record: RunRecord, results: list[ReplicateResult]) -> list[tuple[str, str]]:
    found = [("made by", record.arm), ("session", record.session or "none"), ("host", record.host)]
    found += [("begun", f"{record.started:%Y-%m-%d %H:%M:%S} UTC")] if record.started else []
    found += [("ended", f"{record.finished:%Y-%m-%d %H:%M:%S} UTC")] if record.finished else []
    found += [("reason", plain(record.reason, 2000))] if record.reason else []
    found += [("flag", plain(flag, 400)) for flag in record.flags]
    return [*found, *particulars(notebook, record, results)]


def _family(notebook: Notebook, record: RunRecord) -> list[tuple[str, str, str]]:
    """Relatives: how they are related, their ids, what they changed."""
    questions = Questions(notebook.index)
    above = [("ancestor", row.run_id) for row in questions.lineage(record.run_id)[1:RELATIVES]]
    below = [("child", row.run_id) for row in questions.children(record.run_id)[-RELATIVES:]]
    again = [("fresh seeds", row.run_id) for row in notebook.index.rows(Selection(replicates_of=record.run_id))]
    first = [("fresh seeds of", record.replicates_of)] if record.replicates_of else []
    if above:
        above[0] = ("parent", above[0][1])
    found = []
    for how, run_id in [*first, *above, *below, *again]:
        try:
            found.append((how, run_id, changed_text(notebook, notebook.run(run_id))))
        except AutopilotError as error:
            notebook.notice({run_id: str(error)})
    return found


def log_of(notebook: Notebook, run_id: str, seed: int) -> str:
    """The end of what a replicate's process printed.

    Raises:
        NotFound: there is no such run, seed or log.
    """
    paths = notebook.paths(run_id)
    path = paths.seed(seed).log
    if seed not in notebook.run(run_id).seeds or not own(path, paths.dir):
        raise NotFound(f"run {run_id} has no log of seed {seed}")
    with path.open("rb") as file:
        file.seek(0, 2)
        file.seek(max(0, file.tell() - LOG))
        return plain(file.read().decode("utf-8", errors="replace"), LOG)


def transcript_of(notebook: Notebook, run_id: str) -> tuple[list[dict[str, str]], bool]:
    """What a model was told, said and called while it analysed a run; and whether there is more of it.

    Raises:
        NotFound: there is no such run, or it has none.
    """
    paths = notebook.paths(run_id)
    path = paths.transcript
    if not own(path, paths.dir):
        raise NotFound(f"run {run_id} has no transcript")
    found = list[dict[str, str]]()
    for line in read_lines(path):
        if len(found) == MESSAGES:
            return found, True
        found.extend(_said(line))
    return found, False


def _said(line: dict[str, Any]) -> Iterator[dict[str, str]]:
    if line.get("kind") == "analysis":
        yield {"role": "analysis", "text": f"{line.get('model')}, begun {str(line.get('time'))[:19]} UTC"}
    elif line.get("kind") == "end":
        yield {"role": "end", "text": plain(str(line.get("gave_up") or "complete"), SAID)}
    elif line.get("kind") == "message":
        if text := str(line.get("content") or ""):
            yield {"role": plain(str(line.get("role")), 20), "text": plain(_pretty(text), SAID)}
        calls = line.get("tool_calls") or ()
        for call in calls if isinstance(calls, list) else ():
            if isinstance(call, dict):
                yield {"role": f"calls {plain(str(call.get('name')), 60)}",
                       "text": plain(_pretty(str(call.get("arguments"))), SAID)}  # fmt: skip


def _pretty(text: str) -> str:
    """JSON with lines, everything else as it is."""
    if not text.startswith(("{", "[")):
        return text
    try:
        return json.dumps(json.loads(text), indent=1, ensure_ascii=False)
    except (ValueError, RecursionError):
        return text


# --- more than one run ----------------------------------------------------------------------------------------------


def together(notebook: Notebook, names: list[str]) -> dict[str, Any]:
    """Two to six runs: their rows, the verdict of each against the first, where their configs differ.

    Raises:
        NotFound: one of them is not there.
        InvalidInput: they are fewer or more, or of several environments.
    """
    names = list(dict.fromkeys(names))
    if not 2 <= len(names) <= MOST:
        few = "none" if not names else "only one" if len(names) == 1 else f"{len(names)}"
        raise InvalidInput(f"two to {MOST} different runs can be compared, and this names {few}: tick them in the list")
    records, first = [notebook.run(name) for name in names], names[0]
    if len(found := {record.env_name for record in records}) > 1:
        raise refused("run", ", ".join(sorted(found)), "are several environments", "runs of one")
    verdicts, reasons = list[dict[str, Any]](), list[str]()
    for name in names[1:]:
        try:
            verdicts.append(compared(notebook, name, first))
        except InvalidInput as error:
            reasons.append(str(error))
    flats = {name: notebook.config(name).flat() for name in names}
    keys = dict.fromkeys(key for flat in flats.values() for key in flat)
    return {
        "names": names,
        "rows": [run_row(notebook, record) for record in records],
        "verdicts": [
            {
                **one,
                "difference": "" if one["effect"] is None else difference_text(one["effect"], one["low"], one["high"]),
            }
            for one in verdicts
        ],
        "reasons": reasons,
        "differences": [
            (key, [short(flats[name].get(key)) for name in names], key in BOOKKEEPING)
            for key in keys
            if len({str(flats[name].get(key)) for name in names}) > 1
        ],
        "metrics": _side_by_side(notebook, names),
        "logged": sorted(set.intersection(*({*logged(notebook, name)} for name in names))),
        "first_logged": logged(notebook, first)[:1],
    }


def _side_by_side(notebook: Notebook, names: list[str]) -> list[tuple[str, list[str]]]:
    """Each metric's mean with its interval, run by run."""
    summaries = [notebook.summary(name) for name in names]
    metrics = dict.fromkeys(metric for summary in summaries if summary for metric in summary.metrics)
    found = []
    for metric in metrics:
        cells = []
        for summary in summaries:
            one = summary.metrics.get(metric) if summary else None
            cells.append(f"{number(one.mean)} ({interval_text(one)}; n = {one.n})" if one else "none")
        found.append((plain(metric, 60), cells))
    return found


def searched(notebook: Notebook, group: Group) -> dict[str, Any]:
    """Of a group: the parameters that were varied, and which of them the scores go with."""
    questions = Questions(notebook.index)
    configs = questions.configs(group, SEARCHED)
    return {
        "keys": [key for key in varied(configs.values()) if key not in BOOKKEEPING],
        "importance": Importances(notebook.index).of(group),
        "fewest": FEWEST,
        "scored": notebook.index.count(Selection(group, scored=True, native=True)),
        "best": [run_row(notebook, notebook.run(row.run_id)) for row in questions.best(group, BEST)],
    }


def knowledge(notebook: Notebook, group: Group) -> dict[str, Any]:
    """Predictions with what came of them, and lessons."""
    metric = group.goal.metric
    scored: list[Scored] = [one for one in scored_predictions(notebook.workspace) if one.group == group]
    return {
        "metric": metric,
        "standings": standings(scored, metric),
        "enough": ENOUGH,
        "scored": [(one, one.text) for one in reversed(scored[-PREDICTIONS:])],
        "left_out": max(0, len(scored) - PREDICTIONS),
        "lessons": lessons(notebook.index, group, LESSONS),
    }
