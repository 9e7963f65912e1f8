"""`report.md`: the model's prose between what the program takes from the record.

Config, metrics, comparisons, the derived batch, divisibility, lineage and the repro command are never the model's
words. A report is written once.
"""

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from agent.prompts import render
from lab.config import Config, derive, diff
from lab.curves import run_curves
from lab.environments import PRESETS, metrics_of, objective_of, preset_config
from lab.errors import Damaged, InvalidInput
from lab.files import read_model, write_atomic
from lab.inventory import Inventory
from lab.notebook import Notebook
from lab.plots import Band, learning_curves
from lab.presets import StoredPreset
from lab.presets import preset as preset_named
from lab.records import MetricSummary, Proposal, ReplicateResult, Resume, RunRecord, RunState, Verdict
from lab.space import VARIANT_KEYS
from lab.text import number, plain, short
from tools.context import ReportDraft
from tools.reading import early_ends_of, notes_of, warm_start

FIRST = ("success_rate", "mean_reward", "collision_rate", "episode_length", "sps", "agent_steps", "epoch")
TREND = 8
SOURCES = 12
"""Files whose hashes a report prints; all of them are in the run's record."""


def write_report(
    notebook: Notebook,
    inventory: Inventory,
    run: RunRecord,
    draft: ReportDraft,
    proposal: Proposal | None,
    author: str,
    nothing_staged: str = "the analysis ended without a valid proposal.",
) -> None:
    """Write a run's report and its plot.

    Args:
        notebook: where the run lies.
        inventory: for the batch arithmetic.
        run: the run, ended.
        draft: the model's part.
        proposal: what was staged, if anything.
        author: who wrote the prose.
        nothing_staged: why nothing was.
    """
    paths = notebook.workspace.run(run.run_id)
    summary, verdict = notebook.summary(run.run_id), notebook.verdicts().get(run.run_id)
    metric, _ = objective_of(run.objective, run.env_name)
    others = _others(notebook, run, verdict)
    results = notebook.results(run)
    plot = _plot(notebook, run, metric, others) if summary or run.state is RunState.PRUNED else None
    text = render(
        "report.md.j2",
        run=run,
        title=_inline(draft.title),
        verdict_line=_verdict_line(run, verdict),
        **_setup(notebook, inventory, run, results),
        metric=metric,
        metrics=_metric_rows(run.env_name, metric, summary.metrics, [_means(notebook, run_id) for _, run_id in others])
        if summary
        else [],
        others=[name for name, _ in others],
        plot=plot,
        reason=plain(run.reason or "", 600),
        log_tail=[plain(line, 200).replace("```", "'''") for line in run.log_tail],
        observations=[_inline(line) for line in draft.observations],
        trend=_trend(notebook, run, metric),
        theory=_block(draft.theory),
        next_step=_block(draft.next_step),
        proposal=proposal,
        proposed=_proposed(notebook, proposal),
        nothing_staged=nothing_staged,
        author=author,
        **_repro(notebook, inventory, run, results),
    )
    write_atomic(paths.report, re.sub(r"\n{3,}", "\n\n", text))


def _setup(
    notebook: Notebook, inventory: Inventory, run: RunRecord, results: Sequence[ReplicateResult]
) -> dict[str, Any]:
    """What was trained, where, from what, and how it was scored."""
    config, (preset_name, preset) = notebook.config(run.run_id), _preset(notebook, inventory, run)
    parent = notebook.config(run.parent) if run.parent else preset
    return {
        "device": device_text(run, results),
        "topology": _topology(config),
        **_arithmetic(config, inventory),
        "evaluation": evaluation_text(run, results),
        "lineage": _lineage(run),
        "facts": [_inline(line) for line in facts(run, config, results)],
        "changes": [(key, old, new) for key, (old, new) in diff(parent, config).items()],
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
        "sources": _sources(run),
        "started_from": _hashes({result.seed: result.started_from for result in results}),
        "weights": _hashes({result.seed: result.weights for result in results}),
        "commands": repro_commands(notebook, inventory, run),
        "on_a_timer": any(result.stopped_early for result in results),
    }


def _preset(notebook: Notebook, inventory: Inventory, run: RunRecord) -> tuple[str, Config]:
    """A run's preset as it is now; `quick` in the place of a measured one that is gone."""
    environment = inventory.environment(run.env_name)
    try:
        return run.preset, preset_named(notebook.workspace, environment, run.preset)
    except (InvalidInput, Damaged):
        return PRESETS[0], preset_config(environment, PRESETS[0])


def repro_commands(notebook: Notebook, inventory: Inventory, run: RunRecord) -> list[str]:
    """What trains the same config on the same seeds, from the same weights.

    Returns:
        One command; or one for each seed, where the replicates went on from files that no single name stands for, such
        as the best checkpoints of another run (a run's id stands for its last ones).
    """
    config = notebook.config(run.run_id)
    name, preset = _preset(notebook, inventory, run)
    changed = {key: new for key, (_, new) in diff(preset, config).items() if new is not None}
    if name not in PRESETS:  # it may be measured again, and then say something else
        measured = read_model(notebook.workspace.preset(name, run.env_name), StoredPreset).overrides
        changed = {key: config.get(key) for key in measured if config.get(key) is not None} | changed
    changed.pop("autopilot.seeds", None)
    start = ["autopilot", "train", "--env", run.env_name, "--preset", name]
    if objective_of(run.objective, run.env_name) != objective_of(None, run.env_name):
        start += ["--objective", run.objective]
    commands = []
    for seed, count, weights in _trainings(run, config):
        settings = {**changed, **weights, "train.seed": seed}
        parts = [f"{key}={setting(value)}" for key, value in settings.items()]
        commands.append(shlex.join([*start, "--seeds", str(count), *(x for part in parts for x in ("--set", part))]))
    return commands


def _trainings(run: RunRecord, config: Config) -> list[tuple[int, int, dict[str, str]]]:
    """First seed, number of seeds and weights to go on from, of each command that it takes to repeat a run."""
    if run.resume is None:
        return [(run.seeds[0], len(run.seeds), {})]
    files, key = run.resume.files, "autopilot.resume_from"
    by_path = str(config.get(key)).endswith(".pt") or run.resume.run_id is None
    if not by_path and all(PurePosixPath(file).name == "latest.pt" for file in files):
        return [(run.seeds[0], len(run.seeds), {key: str(run.resume.run_id)})]
    if len(set(files)) == 1:
        return [(run.seeds[0], len(run.seeds), {key: files[0]})]
    return [(seed, 1, {key: files[at % len(files)]}) for at, seed in enumerate(run.seeds)]


def setting(value: Any) -> str:
    """A value as `--set` reads it back: JSON, without quotes around a text that can't be taken for anything else."""
    if not isinstance(value, str):
        return json.dumps(value)
    try:
        json.loads(value.replace("_", ""))
    except ValueError:
        return value
    return json.dumps(value)


def facts(run: RunRecord, config: Config, results: Sequence[ReplicateResult]) -> list[str]:
    """What is particular about a run, in lines such as `Warm start: …`; none where there is nothing to say."""
    text = render(
        "facts.md.j2",
        run=run,
        warm=warm_start(run, results),
        origin=_origin(run.resume) if run.resume else "",
        wanted=config.get("autopilot.resume_from"),
        variants=run.variants,
        names={kind: config.get(key) for kind, key in VARIANT_KEYS.items()},
        early=early_ends_of(results),
        notes=notes_of(results),
    )
    return [line.strip() for line in text.splitlines() if line.strip()]


def _origin(resume: Resume) -> str:
    """The weights of a warm start in words: `2025-…-k3f9 (best.pt of seeds 1, 2)`, or the file's path."""
    seeds: dict[str, list[str]] = {}
    for file in dict.fromkeys(resume.files):
        match PurePosixPath(file).parts:
            case (_, _, "seeds", seed, "checkpoints", name) if resume.run_id:
                seeds.setdefault(name, []).append(seed)
            case _:
                return file
    texts = [f"{name} of seed{'s' if len(of) > 1 else ''} {', '.join(of)}" for name, of in seeds.items()]
    return f"{resume.run_id} ({', '.join(texts)})"


def code_text(run: RunRecord) -> str:
    """The state of the user's repository; empty where there is none."""
    if run.code is None:
        return ""
    return f"commit {run.code.commit[:10]}{', with uncommitted changes: see code.diff' if run.code.dirty else ''}"


def _sources(run: RunRecord) -> str:
    shown = [f"`{name}` {digest[:8]}" for name, digest in list(run.sources.items())[:SOURCES]]
    more = len(run.sources) - len(shown)
    return ", ".join([*shown, *([f"{more} more in run.json"] if more else [])])


def _hashes(digests: Mapping[int, str | None]) -> str:
    """Hashes by seed, shortened; one for all where they are equal."""
    found = {seed: f"`{digest[:12]}…`" for seed, digest in digests.items() if digest}
    if len(found) > 1 and len(set(found.values())) == 1:
        return f"every seed: {next(iter(found.values()))}"
    return ", ".join(f"seed {seed}: {digest}" for seed, digest in found.items())


def changed_text(notebook: Notebook, run: RunRecord) -> str:
    """What a run changed against its parent, such as `ent_coef 0.001 → 0.01`."""
    if run.parent is None:
        return "baseline" if run.arm == "baseline" else "preset"
    changed = diff(notebook.config(run.parent), notebook.config(run.run_id))
    return ", ".join(f"{key.split('.', 1)[-1]} {short(old)} → {short(new)}" for key, (old, new) in changed.items())


def score_text(notebook: Notebook, run: RunRecord, metric: str) -> str:
    """A run's score as people read it, or its state."""
    summary = notebook.summary(run.run_id)
    if summary is None or metric not in summary.metrics:
        return run.state.value
    return f"{summary.metrics[metric].mean:.4g} (n={summary.metrics[metric].n})"


def interval_text(metric: MetricSummary) -> str:
    """The 95 % interval of a mean."""
    if metric.low is None or metric.high is None:
        return "n = 1"
    return "all equal" if metric.low == metric.high else f"{number(metric.low)} to {number(metric.high)}"


def _others(notebook: Notebook, run: RunRecord, verdict: Verdict | None) -> list[tuple[str, str]]:
    """What the run is compared with: parent, then the incumbent of then, each once."""
    found: list[tuple[str, str | None]] = [("parent", run.parent)] if run.parent else []
    if verdict and verdict.against and verdict.against != run.parent:
        found.append(("incumbent", verdict.against))
    elif verdict and verdict.against:
        found = [("parent (incumbent)", run.parent)]
    return [(name, run_id) for name, run_id in found if run_id and notebook.summary(run_id)]


def _means(notebook: Notebook, run_id: str) -> dict[str, float]:
    summary = notebook.summary(run_id)
    return {name: metric.mean for name, metric in summary.metrics.items()} if summary else {}


def _metric_rows(
    env_name: str, metric: str, metrics: Mapping[str, MetricSummary], others: list[dict[str, float]]
) -> list[dict[str, Any]]:
    names = [metric, *(name for name in FIRST if name in metrics and name != metric)]
    declared = metrics_of(env_name)
    doubles = {declared[name].source for name in names if name in declared} - set(declared)
    if (total := metrics.get("cumulative_steps")) and total.values == metrics["agent_steps"].values:
        doubles.add("cumulative_steps")  # a fresh start
    names += [name for name in metrics if name not in names and name not in doubles]
    return [
        {
            "name": name,
            "mean": number(metrics[name].mean),
            "interval": interval_text(metrics[name]),
            "replicates": ", ".join(number(value) for value in metrics[name].values),
            "flag": metrics[name].flag,
            "others": [number(means[name]) if name in means else "none" for means in others],
        }
        for name in names
    ]


def _verdict_line(run: RunRecord, verdict: Verdict | None) -> str:
    if verdict is None:
        return f"**Verdict: none.** The run ended as {run.state} and has no score."
    if verdict.verdict == "first":
        return f"**Verdict: first of its kind.** It is the incumbent for {run.env_name}, {run.objective}, {run.preset}."
    effect = f"{verdict.metric} {verdict.effect:+.4g}" if verdict.effect is not None else ""
    span = "" if verdict.low is None or verdict.high is None else f" [{verdict.low:+.4g}, {verdict.high:+.4g}]"
    confounds = f" Not like with like: {'; '.join(verdict.confounds)}." if verdict.confounds else ""
    return f"**Verdict: {verdict.verdict}** against {verdict.against}: {effect}{span} ({verdict.method}).{confounds}"


def device_text(run: RunRecord, results: Sequence[ReplicateResult]) -> str:
    """Where a run was trained, and what it took."""
    if not results:
        return f"never started on {run.host}"
    first, count = results[0], len(run.seeds)
    parts = [
        f"{first.device or 'unknown device'} on {run.host}",
        f"{count} replicate{'s' if count > 1 else ''}",
        f"{first.threads} thread{'s' if first.threads != 1 else ''} each",
    ]
    if peak := max(result.peak_memory_mib for result in results):
        parts.append(f"{peak:,.0f} MiB of memory at most")
    return ", ".join(parts)


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


def evaluation_text(run: RunRecord, results: Sequence[ReplicateResult]) -> str:
    """What a run was scored on, and on how much of it."""
    passes = [evaluation for result in results for evaluation in result.evaluations if evaluation.actions == "sampled"]
    if not passes:
        return "none"
    task, episodes = run.task, f"{min(e.episodes for e in passes):,}"
    counts = [evaluation.per_slot for evaluation in passes if evaluation.per_slot is not None]
    if counts:
        what = f"{_span(counts)} complete episode{'s' if max(counts) != 1 else ''} of each of {task.slots} agents"
        wanted = f" ({task.episodes} were wanted within {task.steps:,} steps)" if min(counts) < task.episodes else ""
        text = f"{what} after training, sampled actions{wanted}; {episodes} or more a replicate"
    else:
        share = max(evaluation.unfinished_share for evaluation in passes)
        text = (
            f"{task.slots} agents × {_span([e.steps or task.steps for e in passes])} steps after training, sampled"
            f" actions; {episodes} or more episodes a replicate; episodes cut off at the end weigh at most"
            f" {100 * share:.1f} %"
        )
    missing = len(run.seeds) - len(passes)
    return f"{text}; {missing} of {len(run.seeds)} replicates not evaluated" if missing else text


def _span(counts: Sequence[int]) -> str:
    low, high = min(counts), max(counts)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


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


def _trend(notebook: Notebook, run: RunRecord, metric: str) -> list[dict[str, str]]:
    verdicts = notebook.verdicts()
    earlier = [other for other in notebook.runs(run.group) if other.created <= run.created and other.state.ended]
    rows = []
    for other in earlier[-TREND:]:
        verdict = verdicts.get(other.run_id)
        bold = "**" if other.run_id == run.run_id else ""
        rows.append(
            {
                "name": f"{bold}{other.run_id}{bold}",
                "changed": changed_text(notebook, other),
                "score": score_text(notebook, other, metric),
                "verdict": verdict.verdict if verdict else "none",
            }
        )
    return rows


def _proposed(notebook: Notebook, proposal: Proposal | None) -> list[tuple[str, Any, Any]]:
    if proposal is None:
        return []
    base = notebook.config(proposal.parent)
    return [(key, base.get(key), value) for key, value in proposal.overrides.items()]


def _plot(notebook: Notebook, run: RunRecord, metric: str, others: list[tuple[str, str]]) -> str | None:
    declared = metrics_of(run.env_name).get(metric)
    source = f"environment/{declared.source if declared else metric}"
    bands = []
    for label, run_id in [("this run", run.run_id), *others]:
        record = notebook.run(run_id)
        curves = run_curves(notebook.workspace.run(run_id), record.seeds)
        bands.append(Band(label, [seed[source] for seed in curves.values() if source in seed]))
    path = notebook.workspace.run(run.run_id).plots / "learning_curves.png"
    drawn = learning_curves(path, bands, f"{source.split('/', 1)[1]} while training")
    return f"plots/{path.name}" if drawn else None


def _inline(text: str) -> str:
    """A model's text on one line: no heading, table or line break of its own."""
    return " ".join(text.replace("|", "/").split()).lstrip("#>-* ")


def _block(text: str) -> str:
    """A model's paragraphs: its headings become bold, so that they can't pass for the program's sections."""
    return re.sub(r"^\s{0,3}#{1,6}\s*(.+?)\s*#*$", r"**\1**", text.strip(), flags=re.MULTILINE)
