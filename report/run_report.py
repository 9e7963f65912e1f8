"""`report.md`: the model's prose between what the program takes from the record.

Config, metrics, comparisons, the derived batch, divisibility, lineage and the repro command are never the model's
words. A report is written once.
"""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from lab.base import number, plain, short, write_atomic, write_model
from lab.claims import Checked
from lab.judge import Weight, diagnosis_of, metrics_beside, preset_of, scored_predictions
from lab.space import Config, Inventory, changed, derive, metrics_of
from lab.store import (
    FIRST,
    SHOWN,
    Lab,
    MetricSummary,
    Notebook,
    Proposal,
    ReplicateResult,
    RunRecord,
    Sessions,
    leading,
    score_of,
    summarize,
)
from report.draft import ReportDraft
from report.facts import (
    changed_text,
    code_text,
    device_text,
    evaluation_text,
    facts,
    hashes,
    interval_text,
    sources_text,
    verdict_text,
)
from report.marking import marked, told_of
from report.pictures import LEADER, Picture, compared_with, films, pictures
from report.repro import repro_commands
from report.templates import render
from report.view import view_of

TREND = 8
"""Runs that a report lists."""
KEY_METRICS = 5
"""Metrics above the details."""
NAMED = 3
"""Changes that the head of a report names."""


class Report(NamedTuple):
    """One that is ready to be written."""

    text: str
    pictures: tuple[Picture, ...]


def write_report(notebook: Notebook, run: RunRecord, report: Report, checked: Checked) -> None:
    """Write a run's report, with its claims and its pictures beside it.

    Args:
        notebook: where the run lies.
        run: the run, ended.
        report: of it.
        checked: the prose's claims.
    """
    write_model(notebook.workspace.run(run.run_id).claims, checked)
    for picture in report.pictures:
        picture.draw(notebook.workspace.run(run.run_id).dir / picture.name)
    write_atomic(notebook.workspace.run(run.run_id).report, report.text)


def report_of(
    lab: Lab,
    run: RunRecord,
    draft: ReportDraft,
    checked: Checked,
    proposals: Sequence[Proposal],
    author: str,
    nothing_staged: str | None = None,
) -> Report:
    """A run's report. It says the same whenever it is made: what it is compared with is in its verdict.

    Args:
        lab: where the run lies.
        run: the run, ended.
        draft: the model's part.
        checked: what checking it came to.
        proposals: what was staged.
        author: who wrote the prose.
        nothing_staged: why nothing was, where somebody knows.
    """
    notebook, inventory = lab.notebook, lab.inventory
    summary, verdict = notebook.summary(run.run_id), notebook.verdict(run.run_id)
    metric = run.goal.metric
    others = compared_with(notebook, run)
    beside = [_means(notebook, run, *one) for one in others]
    results, findings = notebook.results(run), diagnosis_of(lab, run)
    moved = [name for one in findings if one.name == "metric_moved" for name in one.metrics]
    prose = {section: marked(text, section, checked) for section, text in draft.sections.items()}
    drawn = pictures(notebook, run)
    text = render(
        "report.md.j2",
        run=run,
        title=_inline(prose["title"]),
        **told_of(checked),
        verdict_line=verdict_text(notebook, run, verdict),
        **_setup(notebook, inventory, run, results),
        metric=run.goal.name,
        metrics=[
            *_score_row(notebook, run, others),
            *_metric_rows(run.env_name, metric, summary.metrics, beside, moved),
        ]
        if summary
        else [],
        others=[name for name, _ in others],
        more_metrics=max(0, len(summary.metrics) - SHOWN) if summary else 0,
        pictures=drawn,
        films=films(notebook, run),
        reason=plain(run.reason or "", 600),
        log_tail=[plain(line, 200).replace("```", "'''") for line in run.log_tail],
        predicted=[one.text for one in scored_predictions(notebook.workspace, run.run_id)],
        diagnosis=[one for one in findings if one.statement not in prose["observations"].replace("✗", "").lower()],
        why=findings[0] if findings and findings[0].weight is Weight.ILL else None,
        tried=changed_text(notebook, run),
        named=NAMED,
        key_metrics=KEY_METRICS,
        observations=[_inline(line) for line in prose["observations"].split("\n")],
        trend=_trend(notebook, run),
        theory=_block(prose["theory"]),
        next_step=_block(prose["next_step"]),
        proposals=[(proposal, _proposed(notebook, proposal)) for proposal in proposals],
        nothing_staged=nothing_staged or "the analysis ended without a valid proposal.",
        author=author,
        **_repro(notebook, inventory, run, results),
    )
    return Report(re.sub(r"\n{3,}", "\n\n", text), tuple(drawn.values()))


def _setup(
    notebook: Notebook, inventory: Inventory, run: RunRecord, results: Sequence[ReplicateResult]
) -> dict[str, Any]:
    """What was trained, where, from what, and how it was scored."""
    config, (preset_name, preset) = notebook.config(run.run_id), preset_of(notebook, inventory, run)
    parent = notebook.config(str(run.parent)) if notebook.readable(run.parent) else preset
    return {
        "device": device_text(run, results),
        "topology": _topology(config),
        **_arithmetic(config, inventory),
        "evaluation": evaluation_text(run, results),
        "lineage": _lineage(run),
        "facts": [_inline(line) for line in facts(run, config, results)],
        "changes": [
            (key, old, len(run.seeds) if key == "autopilot.seeds" else new)  # a baseline has more than was asked for
            for key, (old, new) in changed(parent, config).items()
            if key != "autopilot.seeds" or old != len(run.seeds)
        ],
        "parent_name": run.parent or f"preset {preset_name}",
        "train_line": _train_line(config),
    }


def _repro(
    notebook: Notebook, inventory: Inventory, run: RunRecord, results: Sequence[ReplicateResult]
) -> dict[str, Any]:
    """What it takes to train the same again, and to see that it is the same."""
    return {
        "eval_seed": next((result.eval_seed for result in results if result.eval_seed is not None), "none"),
        "versions": ", ".join(f"{name} {version}" for name, version in run.versions.items()),
        "code": code_text(run),
        "sources": sources_text(run),
        "started_from": hashes({result.seed: result.started_from for result in results}),
        "weights": hashes({result.seed: result.weights for result in results}),
        "commands": repro_commands(notebook, inventory, run),
        "on_a_timer": any(result.stopped_early for result in results),
    }


def _means(notebook: Notebook, run: RunRecord, role: str, other: str) -> dict[str, str]:
    """Each metric of one that a run is compared with, of the replicates that its verdict takes of it.

    The objective's row says how many these are. The score of a leader is what was believed of it.
    """
    values = metrics_beside(notebook, run, other)
    means = {name: number(math.fsum(each) / len(each)) for name, each in values.items()}
    if run.goal.metric in means:
        means[run.goal.metric] += f" (n={len(values[run.goal.metric])})"
    return means | ({run.goal.name: _believed(notebook, run)} if role == LEADER else {})


def _believed(notebook: Notebook, run: RunRecord) -> str:
    """What a leader scores: the mean of what got more replicates because it looked good is flattered."""
    leading = Sessions(notebook.workspace).leader_beside(run)
    return f"{number(leading.mean)} (believed, n={leading.replicates})" if leading else "none"


def _score_row(notebook: Notebook, run: RunRecord, others: Sequence[tuple[str, str]]) -> list[dict[str, Any]]:
    """The score, where it is another statistic than the mean; of others as it is expected of so many replicates."""
    goal, values = run.goal, notebook.values(run.run_id, run.goal.metric)
    if goal.is_mean or not values:
        return []
    score, alike = score_of(goal, summarize(values)), []
    for role, other in others:
        theirs = metrics_beside(notebook, run, other)[goal.metric]
        n = min(len(theirs), len(values))
        known = f"{number(goal.of_scores(theirs, n))} (of {n})" if n else "none"
        alike.append(_believed(notebook, run) if role == LEADER else known)
    told = {"mean": number(score.value), "interval": interval_text(score), "replicates": f"n = {score.n}"}
    return [{"name": goal.name, **told, "flag": None, "others": alike}]


def _metric_rows(
    env_name: str,
    metric: str,
    metrics: Mapping[str, MetricSummary],
    others: list[dict[str, str]],
    moved: Sequence[str],
) -> list[dict[str, Any]]:
    """The rows of the table: the objective, what moved, then the rest."""
    declared = metrics_of(env_name)
    own = [declared[name].source for name in (metric, *FIRST) if name in metrics and name in declared]
    doubles = set(own) - set(declared)
    if (total := metrics.get("cumulative_steps")) and total.values == metrics["agent_steps"].values:
        doubles.add("cumulative_steps")  # a fresh start
    names = list(leading({name: summary for name, summary in metrics.items() if name not in doubles}, metric))
    names.sort(key=lambda name: (name != metric, name not in moved))
    return [
        {
            "name": name,
            "mean": number(metrics[name].mean),
            "interval": interval_text(metrics[name]),
            "replicates": ", ".join(number(value) for value in metrics[name].values),
            "flag": metrics[name].flag,
            "others": [means.get(name, "none") for means in others],
        }
        for name in names
    ]


def _topology(config: Config) -> str:
    vec = config.vec
    parts = [f"vec {vec['backend']} × {vec['num_envs']}"]
    if vec["backend"] != "Serial":
        parts.append(f"{vec.get('num_workers') or vec['num_envs']} workers")
    if "num_envs" in config.env:
        parts.append(f"env × {config.env['num_envs']}")
    parts.append(f"bptt {config.train['bptt_horizon']}")
    parts.append("LSTM" if config.rnn["enabled"] else "no LSTM")
    return ", ".join(parts)


def _arithmetic(config: Config, inventory: Inventory) -> dict[str, str]:
    derived = derive(config, inventory.environment(config.env_name).agents_per_env or 1)
    horizon, minibatch = int(config.train["bptt_horizon"] or 1), int(config.train["minibatch_size"] or 1)
    epochs = config.train["update_epochs"]
    batch = (
        f"{derived.agents:,} agents × {horizon} = {derived.batch_size:,} steps; minibatch {minibatch:,} →"
        f" {derived.minibatches} minibatch{'es' if derived.minibatches != 1 else ''} an update ({epochs} epoch"
        f"{'s' if epochs != 1 else ''})"
    )
    checks = [f"minibatch_size % bptt_horizon = {minibatch:,} % {horizon} = {minibatch % horizon}"]
    if config.vec["backend"] == "Multiprocessing":
        envs = int(config.vec["num_envs"] or 1)
        workers = int(config.vec.get("num_workers") or envs)
        checks.append(f"vec.num_envs % vec.num_workers = {envs} % {workers} = {envs % workers}")
    return {"batch": batch, "divisibility": "; ".join(checks)}


def _lineage(run: RunRecord) -> str:
    parts = [f"parent {run.parent}" if run.parent else "no parent", f"made by {run.arm}"]
    if run.proposal:
        parts.append(f"proposal {run.proposal}")
    if run.session:
        parts.append(f"session {run.session}")
    if run.attempt > 1:
        parts.append(f"attempt {run.attempt}")
    return ", ".join(parts)


def _train_line(config: Config) -> str:
    keys = (
        "optimizer",
        "learning_rate",
        "anneal_lr",
        "ent_coef",
        "gamma",
        "gae_lambda",
        "clip_coef",
        "update_epochs",
    )
    return ", ".join(
        [*(f"{key} {short(config.train[key])}" for key in keys), f"{config.train['total_timesteps']:,} steps"]
    )


def _trend(notebook: Notebook, run: RunRecord) -> list[dict[str, str]]:
    rows = []
    for other in notebook.before(run, TREND):
        row = view_of(notebook, other, run.finished)
        bold = "**" if other.run_id == run.run_id else ""
        name = f"{bold}{row.run_id}{bold}"
        rows.append({"name": name, "changed": row.changed, "score": row.scored, "verdict": row.verdict or "none"})
    return rows


def _proposed(notebook: Notebook, proposal: Proposal) -> list[tuple[str, Any, Any]]:
    base = notebook.config(proposal.parent)
    if proposal.sweep is not None:
        return [(key, base.get(key), span.text) for key, span in proposal.sweep.keys.items()]
    return [(key, base.get(key), value) for key, value in proposal.overrides.items()]


def _inline(text: str) -> str:
    """A model's text on one line: no heading, table or line break of its own."""
    return re.sub(r"^(?:(?:#{1,6}|[>*+-]|\d+[.)])\s+)+", "", " ".join(_harmless(text).replace("|", "/").split()))


def _block(text: str) -> str:
    """A model's paragraphs: its headings become bold, so that they can't pass for the program's sections."""
    lines = []
    for line in _harmless(text).strip().splitlines():
        if re.fullmatch(r"[\s>]*[=-]{2,}\s*", line):  # would make a heading of the line above
            continue
        lead, words = re.fullmatch(r"((?:\s|>|[*+-]\s|\d+[.)]\s)*)(.*)", line, re.DOTALL).groups()  # type: ignore[union-attr]
        heading = re.fullmatch(r"#{1,6}\s*(.+?)\s*#*", words)
        lines.append(f"{lead}**{heading.group(1)}**" if heading else line.replace("|", "/"))
    return "\n".join(lines)


def _harmless(text: str) -> str:
    """Markdown without HTML, pictures from elsewhere, and fences, which could swallow what follows."""
    text = re.sub(r"<(?=[a-zA-Z/!?])", "&lt;", text).replace("![", "[")
    return re.sub(r"^(\s*)(`{3,}|~{3,})", r"\1", text, flags=re.MULTILINE)
