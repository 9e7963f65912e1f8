"""The best config of a group against its baseline: means, what fresh seeds say, what could have been found."""

from dataclasses import replace
from typing import NamedTuple

from lab.base import number
from lab.judge import compare_runs, confounds, detectable, noise_of
from lab.space import Group
from lab.store import Notebook, RunRecord, Selection, SessionRecord
from report.confirmations import on_fresh_seeds
from report.facts import difference_text

LOOKED_AT = 50
"""Runs with the best means among which the best one is looked for that is like the baseline."""


class Compared(NamedTuple):
    """Whom a digest compares."""

    baseline: RunRecord | None
    """The first one that has a score."""
    best: RunRecord | None
    """The best mean of the runs that are like the baseline, itself included."""
    above: RunRecord | None
    """The best mean of all, where it is another one: of another length, say."""


def is_it_better(notebook: Notebook, session: SessionRecord) -> str:
    """The best config of a session's group against its baseline, in words, with what fresh seeds say."""
    metric = session.goal.metric
    return comparison_text(notebook, compared_of(notebook, session.group), metric, session.seeds)


def compared_of(notebook: Notebook, group: Group) -> Compared:
    """Baseline and best mean of a group, imported runs left out."""
    which = Selection(group, scored=True, native=True, own=True)
    first = notebook.index.rows(replace(which, arm="baseline"), limit=1)
    rows = notebook.index.rows(which, order="best", limit=LOOKED_AT)
    baseline = notebook.run(first[0].run_id) if first else None
    if baseline is None or not rows:
        return Compared(baseline, notebook.run(rows[0].run_id) if rows else None, None)
    alike = (row for row in rows if not confounds(notebook, row.run_id, baseline.run_id))
    best = next((notebook.run(row.run_id) for row in alike), baseline)
    return Compared(baseline, best, None if best.run_id == rows[0].run_id else notebook.run(rows[0].run_id))


def _seeds(run: RunRecord) -> str:
    """A run's seeds, such as `6 to 8`."""
    low, high = min(run.seeds), max(run.seeds)
    return f"{low} to {high}" if high - low + 1 == len(run.seeds) > 2 else ", ".join(map(str, run.seeds))


def comparison_text(notebook: Notebook, compared: Compared, metric: str, seeds: int) -> str:
    """What is known of the best config against the baseline, in words.

    Args:
        notebook: where the runs are.
        compared: whom to compare.
        metric: the objective's.
        seeds: replicates of a run, for the difference that so many would show.
    """
    baseline, best, above = compared
    if baseline is None or best is None:
        return "No run has a score yet."
    noise = noise_of(notebook, baseline.group)
    floor = ""
    if noise is not None:
        seen = detectable(noise[0], seeds)
        floor = (
            f" Replicates of one config differ by a standard deviation of {number(noise[0])} ({noise[1]} degrees of"
            f" freedom{', a rough guess' if noise[1] < 5 else ''})"
        )
        floor += f": with {seeds} a side, four of five differences of {number(seen)} would be found." if seen else "."
    unlike = ""
    if above is not None:
        summary, why = notebook.summary(above.run_id), "; ".join(confounds(notebook, above.run_id, baseline.run_id))
        mean = f" ({number(summary.metrics[metric].mean)})" if summary else ""
        unlike = f" {above.run_id} has the best mean of all{mean} and is not compared, since it is not alike: {why}."
    floor = f"{unlike}{floor}"
    fresh, told = on_fresh_seeds(notebook, best)
    if best.run_id == baseline.run_id:
        than = "No run that is like it" if above else "No run"
        return " ".join([*fresh, f"{than} has a better mean than the baseline.{floor}"])
    if told:
        return " ".join(fresh) + floor
    verdict = compare_runs(notebook, best.run_id, baseline.run_id)
    effect = "" if verdict.effect is None else difference_text(verdict.effect, verdict.low, verdict.high)
    mean = (
        f"Best mean against baseline: {metric} {effect} ({verdict.method}; seeds {_seeds(best)} against"
        f" {_seeds(baseline)}). The best of several means is flattered by chance, so this is no finding: only fresh"
        f" seeds tell."
    )
    return " ".join([*fresh, mean]) + floor
