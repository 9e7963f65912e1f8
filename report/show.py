"""Lists and single things for the terminal, and the same as JSON: both come from one place each."""

import contextlib
import json
import re
import sys
from collections.abc import Mapping
from typing import Any

from lab.base import Damaged, Workspace, plain, short, storable
from lab.claims import MARKS, Checked
from lab.judge import current_verdict, is_topology
from lab.search import UNSEARCHED
from lab.space import Environment, limits_elsewhere, space_of
from lab.store import Confirmation, Notebook, Proposal, Proposals, Questions, ReplicateResult, RunRecord, names_in
from report.arms import Arms
from report.confirmations import became_text
from report.facts import (
    changed_text,
    code_text,
    device_text,
    difference_text,
    evaluation_text,
    facts,
    name_text,
    proposed_text,
    verdict_text,
)
from report.view import idle_text, proposal_state, view_of

LINE = 6
"""Relatives that are named."""
WHOLE = 10_000
"""Characters of a text that is shown as a whole, and columns of a line where no terminal limits them."""


def say_where(workspace: Workspace) -> None:
    """Name the workspace before something is done there: which one it is depends on where the command was given."""
    sys.stdout.write(f"workspace {plain(str(workspace.root), 1000)}\n")
    sys.stdout.flush()


def emit_json(value: Any) -> None:
    """Print a value as JSON."""
    sys.stdout.write(json.dumps(storable(value), indent=2, ensure_ascii=False) + "\n")


def proposal_row(notebook: Notebook, proposal: Proposal) -> dict[str, Any]:
    """One line of `autopilot proposals`, and everything about it."""
    said = {"changes": proposal.changes, "brief": proposal.brief, "trains": proposed_text(notebook, proposal)}
    more = {**said, "waits_for": idle_text(notebook, proposal)}
    return {**proposal.model_dump(mode="json"), "state": proposal_state(notebook, proposal), **more}


def runs_table(notebook: Notebook, runs: list[RunRecord]) -> None:
    """Print runs as a table."""
    from rich.text import Text

    table = _table("run", "state", "env", "changed", "score", "verdict", "id")
    rows, names = [view_of(notebook, run, whole=True) for run in runs], names_in(notebook.workspace)
    for run, row in zip(runs, rows, strict=True):
        verdict = f"{row.judged}{' *' if row.incumbent else ''}"
        score = f"{run.goal.name} {row.scored}" if row.score else ""
        env = f"{row.env_name.removeprefix('puffer_')} {row.preset}"
        given = names.get(run.run_id)
        called = f"#{row.number}{f' {given.name}' if given and given.name else ''}"
        tags = f" [{', '.join(given.tags)}]" if given and given.tags else ""
        cells = (called, row.state, env, f"{row.changed}{tags}", score, verdict, row.run_id)
        table.add_row(*(Text(plain(cell, WHOLE)) for cell in cells))
    say(table)
    if any(row.incumbent for row in rows):
        say("* incumbent")
    for line in passed_over(notebook.damaged):
        say(line)


def passed_over(damaged: Mapping[str, str]) -> list[str]:
    """A line for each folder or file that could not be read: its name to what is wrong with it."""
    return [f"passed over: {name}: {why}" for name, why in damaged.items()]


def proposals_table(notebook: Notebook, proposals: Proposals, shown: list[Proposal]) -> None:
    """Print proposals as a table."""
    from rich.text import Text

    table = _table("proposal", "state", "by", "changes", "why")
    for proposal in shown:
        last = proposal.decisions[-1]
        why = f"{last.who}: {last.why}" if last.why else last.who
        idle = idle_text(notebook, proposal)
        why = f"{why}; {idle}" if idle else why
        state = proposal_state(notebook, proposal)
        table.add_row(*(Text(cell) for cell in (proposal.proposal_id, state, proposal.by, proposal.brief, why)))
    say(table)
    for line in passed_over(proposals.damaged):
        say(line)


def show_run(notebook: Notebook, run: RunRecord) -> None:
    """Print one run: record, metrics, files.

    Raises:
        Damaged: some of it can't be read; the rest has been printed.
    """
    from rich.text import Text

    damaged = notebook.damage(run.run_id) is not None
    view = None if damaged else view_of(notebook, run, whole=True)
    row = (view or run).model_dump(mode="json")
    row["changed"] = changed_text(notebook, run)
    head = (
        "state",
        "env_name",
        "preset",
        "objective",
        "arm",
        "parent",
        "session",
        "seeds",
        "changed",
        "reason",
    )
    say(f"{'run':13} {name_text(notebook, run)} ({run.run_id})")
    for key in head:
        if row[key] not in (None, ""):
            say(f"{key:13} {row[key]}")
    for label, text in _details(notebook, run, whole=not damaged):
        say(f"{label:13} {text}")
    summary = None
    with contextlib.suppress(Damaged):  # said at the end
        summary = notebook.summary(run.run_id)
    if summary:
        if view is not None and view.elsewhere:
            say(f"{'metrics':13} {view.elsewhere}")
        table = _table("metric", "mean", "low", "high", "n")
        for name, metric in summary.metrics.items():
            ends = ("" if end is None else end for end in (metric.low, metric.high))  # of one replicate there are none
            cells = (plain(name, 60), metric.mean, *ends, metric.n)
            told = (f"{cell:.6g}" if isinstance(cell, float) else str(cell) for cell in cells)
            table.add_row(*map(Text, told))
        say(table)
    say(f"{'files':13} {notebook.workspace.run(run.run_id).dir}")
    notebook.require_whole(run.run_id)


def print_arms(arms: Arms) -> None:
    """Print how arms stand: a row each, then who is ahead."""
    from rich.text import Text

    whose = f"session {arms.session}" if arms.session else f"{arms.env_name}, {arms.preset}, {arms.objective}"
    say(f"arms of {whose}")
    if rows := arms.table():
        table = _table(*rows[0])
        for row in rows:
            table.add_row(*(Text(plain(cell, 60)) for cell in row.values()))
        say(table)
    for sentence in arms.said:
        say(sentence)


def print_comparison(comparison: dict[str, Any]) -> None:
    """Print what `report.comparing.compared` says of two runs."""
    from rich.text import Text

    effect = (
        ""
        if comparison["effect"] is None
        else difference_text(comparison["effect"], comparison["low"], comparison["high"])
    )
    say(f"{comparison['names']['run']} against {comparison['names']['against']}")
    say(f"{'ids':13} {comparison['run_id']}, {comparison['against']}")
    say(f"{'verdict':13} {comparison['verdict']}: {comparison['metric']} {effect} ({comparison['method']})")
    for confound in comparison["confounds"]:
        say(f"{'confounded':13} {confound}")
    if "caution" in comparison:
        say(f"{'caution':13} {comparison['caution']}")
    changed = [f"{key} {short(old)} → {short(new)}" for key, (old, new) in comparison["changed"].items()]
    say(f"{'changed':13} {', '.join(changed) or 'nothing but the seeds'}")
    table = _table("metric", "run", "against")
    for name, means in comparison["means"].items():
        table.add_row(*(Text(cell) for cell in (plain(name, 60), short(means["run"]), short(means["against"]))))
    say(table)


def print_checked(checked: Checked) -> None:
    """The claims of a report, those that are wrong first, then the causes in doubt; nothing of them is cut off."""
    from rich.text import Text

    order = {"contradicted": 0, "unsupported": 1, "verified": 2}
    table = _table("", "section", "claim", "the record")
    for claim in sorted(checked.claims, key=lambda claim: order[claim.status]):
        sign = {"verified": "✓", "contradicted": "✗", "unsupported": "?"}[claim.status]
        table.add_row(*(Text(plain(cell, WHOLE)) for cell in (sign, claim.section, claim.quote, claim.evidence)))
    say(table)
    for cause in checked.causes:
        if cause.marks:
            why = "; ".join(MARKS[mark] for mark in cause.marks)
            sys.stdout.write(f'\na cause that can\'t be told from others: "{plain(cause.quote, WHOLE)}": {why}\n')
    counts = ", ".join(f"{checked.count(status)} {status}" for status in ("verified", "contradicted", "unsupported"))
    sys.stdout.write(f"\n{counts}\n")


def print_confirmation(confirmation: Confirmation) -> None:
    """Print what a confirmation came to."""
    say(f"{confirmation.candidate} {became_text(confirmation)}: {confirmation.why}")
    matters = f"smallest effect that matters {confirmation.min_effect:.4g}"
    asked = f", asked for by {confirmation.who}" if confirmation.who else ""
    say(f"laid down beforehand: level {confirmation.level:.3g}, {matters}{asked}")
    if confirmation.effect is not None:
        difference = difference_text(confirmation.effect, confirmation.low, confirmation.high)
        say(f"{confirmation.metric} on fresh seeds: {difference}")


def _details(notebook: Notebook, run: RunRecord, *, whole: bool) -> list[tuple[str, str]]:
    """Further details of a run: label and text, only where there is something to say.

    One that is not whole has no lineage in the index, and perhaps no config.
    """
    details: list[tuple[str, str]] = []
    questions = Questions(notebook.index)
    if whole and not run.goal.is_mean:  # the table of metrics has means
        details.append(("score", f"{run.goal.name} {view_of(notebook, run, whole=True).scored}"))
    if whole and len(above := questions.lineage(run.run_id)) > 2:
        details.append(
            ("lineage", " ← ".join(row.run_id for row in above[:LINE]) + (" ← …" if len(above) > LINE else ""))
        )
    if children := questions.children(run.run_id):
        more = f" and {len(children) - LINE} more" if len(children) > LINE else ""
        details.append(("children", ", ".join(row.run_id for row in children[:LINE]) + more))
    details += [("flag", flag) for flag in run.flags]
    if verdict := current_verdict(notebook, run.run_id):
        details.append(("verdict", verdict_text(notebook, run, verdict).replace("**", "")))
    results, damaged = notebook.read_results(run)
    details += [("damaged", why) for why in damaged]
    return [*details, *particulars(notebook, run, results)] if whole else details


def particulars(notebook: Notebook, run: RunRecord, results: list[ReplicateResult]) -> list[tuple[str, str]]:
    """What is particular about a run and where it was trained: label and text, only where there is something to say."""
    details: list[tuple[str, str]] = []
    for line in facts(run, notebook.config(run.run_id), results):
        label, _, text = line.partition(": ")
        details.append((label.lower(), text))
    if any(result.evaluations for result in results):
        details.append(("evaluation", evaluation_text(run, results)))
    if results:
        details.append(("trained on", device_text(run, results)))
    if run.code:
        details.append(("code", code_text(run)))
    if run.sources:
        details.append(("sources", f"{len(run.sources)} file{'s' if len(run.sources) > 1 else ''}, hashed in run.json"))
    return details


def space_rows(environment: Environment) -> list[dict[str, Any]]:
    """The search space of an environment, one key after the other, as `doctor --space` lists it."""
    return [
        {
            "key": key,
            "range": parameter.range,
            "scale": parameter.scale.value,
            "proposable": parameter.proposable,
            "doc": parameter.doc,
        }
        for key, parameter in space_of(environment).items()
    ]


def print_space(environment: Environment) -> None:
    """Print the search space of an environment."""
    from rich.text import Text

    table, rows = _table("key", "range", "scale", "who", "what it does"), space_rows(environment)
    for row in rows:
        who = "proposable" if row["proposable"] else "person only"
        table.add_row(*(Text(cell) for cell in (row["key"], row["range"], row["scale"], who, row["doc"])))
    say(table)
    known = [row["key"] for row in rows if row["proposable"]]
    if alone := [key for key in known if key in UNSEARCHED]:
        say(f"proposable, but left alone by the search: {', '.join(alone)}")
    if topology := [key for key in known if is_topology(key)]:
        say(f"denied by the rules of [policy], whatever they allow: {', '.join(topology)}")
    if elsewhere := limits_elsewhere(environment):
        say(f"[space] in autopilot.toml limits no key of this environment with {', '.join(elsewhere)}")


def print_markdown(text: str) -> None:
    """Print a report or digest, without what would command a terminal: rendered on one, as it is elsewhere."""
    text = plain(text, 1_000_000)
    if sys.stdout.isatty():
        from rich.console import Console
        from rich.markdown import Markdown

        Console().print(Markdown(re.sub(r"!\[([^\]]*)\]\(([^)]*)\)", r"\1: \2", text)))  # a terminal shows no pictures
    else:
        sys.stdout.write(text)


def _table(*columns: str) -> Any:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def say(what: Any) -> None:
    """Print a text, harmless and without breaking its lines, or something of rich's."""
    from rich.console import Console
    from rich.text import Text

    width = None if sys.stdout.isatty() else WHOLE
    console = Console(highlight=False, width=width, soft_wrap=isinstance(what, str))
    console.print(Text(plain(what, WHOLE)) if isinstance(what, str) else what)
