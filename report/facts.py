"""What is known of a run in words, from its record alone: for its report, for the terminal, for the digest."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from lab.base import number, plain, short
from lab.space import VARIANT_KEYS, Config, few, in_order
from lab.store import (
    MetricSummary,
    Notebook,
    Proposal,
    ReplicateResult,
    Resume,
    RunRecord,
    RunState,
    Verdict,
    names_in,
    number_of,
)
from report.templates import render

SOURCES = 12
"""Files whose hashes a report prints; all of them are in the run's record."""

NAMED = 2
"""Changed keys in a run's name."""
LISTED = 8
"""Notes, or files, of one run that an answer names."""


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


def sources_text(run: RunRecord) -> str:
    """The files that environment and policy are made of, with their hashes, the first dozen."""
    shown = [f"`{name}` {digest[:8]}" for name, digest in list(run.sources.items())[:SOURCES]]
    more = len(run.sources) - len(shown)
    return ", ".join([*shown, *([f"{more} more in run.json"] if more else [])])


def hashes(digests: Mapping[int, str | None]) -> str:
    """Hashes by seed, shortened; one for all where they are equal."""
    shortened = {seed: f"`{digest[:12]}…`" for seed, digest in digests.items() if digest}
    if len(shortened) > 1 and len(set(shortened.values())) == 1:
        return f"every seed: {next(iter(shortened.values()))}"
    return ", ".join(f"seed {seed}: {digest}" for seed, digest in shortened.items())


def name_text(notebook: Notebook, run: RunRecord) -> str:
    """What a run is called in lists and titles, such as `#12 learning_rate 0.002`.

    Its number, and the name that somebody gave it, or what it sets otherwise than its parent: two keys, of more the
    first two and their count.
    """
    given = names_in(notebook.workspace).get(run.run_id)
    return f"#{number_of(notebook, run)} {plain(given.name, 60) if given and given.name else _sets(notebook, run)}"


def _sets(notebook: Notebook, run: RunRecord) -> str:
    """What a run sets otherwise than its parent, or what else it is."""
    if run.replicates_of is not None or run.parent is None:
        return changed_text(notebook, run)
    changed = notebook.changes(run.run_id)
    told = [f"{key.split('.', 1)[-1]} {short(changed[key][1])}" for key in in_order(changed)[:NAMED]]
    more = f" +{len(changed) - NAMED}" if len(changed) > NAMED else ""
    return (", ".join(told) or "unchanged") + more


def changed_text(notebook: Notebook, run: RunRecord) -> str:
    """What a run changed against its parent, such as `ent_coef 0.001 → 0.01`; of many keys the first few."""
    if run.replicates_of is not None:
        there = notebook.readable(run.replicates_of)
        original = notebook.run(run.replicates_of) if there else None
        elsewhere = f" on the preset {run.preset}" if original and original.preset != run.preset else ""
        which = f"#{number_of(notebook, original)}" if original else run.replicates_of
        return f"more seeds of {which}{elsewhere}"
    if run.parent is None:
        given = notebook.overrides(run.run_id)
        settings = ", ".join(f"{key.split('.', 1)[-1]} = {short(value)}" for key, value in given.items())
        return " with ".join(filter(None, ("baseline" if run.arm == "baseline" else "preset", settings)))
    changed = notebook.changes(run.run_id)
    keys, more = few(changed)
    return (
        ", ".join(f"{key.split('.', 1)[-1]} {short(changed[key][0])} → {short(changed[key][1])}" for key in keys) + more
    )


def proposed_text(notebook: Notebook, proposal: Proposal) -> str:
    """What approving a proposal trains, such as `a new run from #3 learning_rate 0.002: train.ent_coef = 0.01`."""
    there = notebook.readable(proposal.parent)
    parent = name_text(notebook, notebook.run(proposal.parent)) if there else proposal.parent
    if not proposal.brief:
        return f"more seeds of {parent}"
    return f"{'new runs' if proposal.sweep else 'a new run'} from {parent}: {proposal.brief}"


def difference_text(effect: float, low: float | None, high: float | None) -> str:
    """A difference with its 95 % interval, such as `+0.12 [+0.05, +0.19]`."""
    span = "" if low is None or high is None else f" [{low:+.4g}, {high:+.4g}]"
    return f"{effect:+.4g}{span}"


def verdict_text(notebook: Notebook, run: RunRecord, verdict: Verdict | None) -> str:
    """A run's verdict in a line of Markdown: against whom, by how much, how that was found, and what follows."""
    if verdict is None and run.state is RunState.FINISHED:
        return "**Verdict: none on record.** runs/verdicts.jsonl has none of this run."
    if verdict is None:
        return f"**Verdict: none.** The run ended as {run.state} and has no score."
    if verdict.verdict == "first":
        return f"**Verdict: first of its kind.** It is the incumbent for {run.env_name}, {run.objective}, {run.preset}."
    effect = "" if verdict.effect is None else difference_text(verdict.effect, verdict.low, verdict.high)
    confounds = f" Not like with like: {'; '.join(verdict.confounds)}." if verdict.confounds else ""
    what = f"{verdict.metric} {effect}".strip()
    screen = ""
    if verdict.screen is not None and verdict.verdict != "better":  # of earlier versions
        screen = f" Its own replicates against the incumbent's: p = {verdict.screen:.3g} (permutation, one-sided)."
    against = str(verdict.against)
    if verdict.against and notebook.readable(verdict.against):
        against = f"{name_text(notebook, notebook.run(verdict.against))} ({against})"
    return f"**Verdict: {verdict.verdict}** against {against}: {what} ({verdict.method}).{confounds}{screen}"


def interval_text(metric: MetricSummary) -> str:
    """The 95 % interval of a mean, or of a score."""
    if metric.low is None or metric.high is None:
        return "n = 1" if metric.n == 1 else "none"
    return "all equal" if metric.low == metric.high else f"{number(metric.low)} to {number(metric.high)}"


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


def remarks(said: Iterable[tuple[int, str | None]]) -> dict[str, list[int]]:
    """What replicates say of themselves, each thing once, with the seeds that say it.

    Args:
        said: seed and text; None where a replicate says nothing.
    """
    seeds: dict[str, list[int]] = {}
    for seed, text in said:
        if text:
            seeds.setdefault(" ".join(plain(text, 300).split()), []).append(seed)
    return seeds


def notes_of(results: Iterable[ReplicateResult]) -> dict[str, list[int]]:
    """What a reader should know of the replicates, with the seeds that it is true of."""
    return remarks((result.seed, note) for result in results for note in result.notes)


def early_ends_of(results: Iterable[ReplicateResult]) -> dict[str, list[int]]:
    """Why replicates finished before `train.total_timesteps`, with their seeds."""
    return remarks((result.seed, result.stopped_early) for result in results)


def warm_start(run: RunRecord, results: Iterable[ReplicateResult]) -> dict[str, Any] | None:
    """Whose weights a run went on from, and how many steps of each replicate are whose; None for a fresh start.

    The steps are means over the finished replicates. Those behind the weights are None where no replicate has
    finished, and where a checkpoint came without the state that counts them.
    """
    if run.resume is None:
        return None
    steps = [
        (r.metrics["cumulative_steps"], r.metrics["agent_steps"]) for r in results if "cumulative_steps" in r.metrics
    ]
    total, own = (round(statistics.fmean(counts)) for counts in zip(*steps, strict=True)) if steps else (None, None)
    if not all(cumulative > trained for cumulative, trained in steps):
        total = None
    return {
        "from_run": run.resume.run_id,
        "files": list(run.resume.files[:LISTED]),
        "files_in_all": len(run.resume.files),
        "steps_before": None if total is None or own is None else total - own,
        "own_steps": own,
        "cumulative_steps": total,
    }
