"""Candidates for the place of the incumbent, in words: for the digest."""

import statistics

from agent.facts import changed_text, difference_text
from lab.notebook import Notebook
from lab.records import Confirmation, Group, RunRecord
from lab.sequential import passes
from lab.text import number


def candidates(notebook: Notebook, group: Group, runs: list[RunRecord]) -> list[str]:
    """How each stands, in the order they were opened; then runs that came through the screen and wait.

    Args:
        notebook: where they are.
        group: whose confirmations.
        runs: that may be promising.
    """
    told = [_confirmation(notebook, found) for found in confirmations(notebook, group)]
    return [*told, *_promising(notebook, runs)]


def on_fresh_seeds(notebook: Notebook, best: RunRecord) -> tuple[list[str], bool]:
    """What fresh seeds say of those that they crowned and of a run, and whether they say anything of the run."""
    found = [one for one in confirmations(notebook, best.group) if _tells(one, best)]
    return [_fresh(one) for one in found], any(one.candidate == best.run_id for one in found)


def confirmations(notebook: Notebook, group: Group) -> list[Confirmation]:
    """How each candidate of a group stands, in the order they were opened."""
    return list({found.candidate: found for found in notebook.index.confirmations(group=group)}.values())


def _confirmation(notebook: Notebook, found: Confirmation) -> str:
    """One candidate in a line."""
    changed = changed_text(notebook, notebook.run(found.candidate))
    head = f"{found.candidate} ({changed}) against {found.incumbent}: "
    if found.outcome == "opened":
        return f"{head}not decided yet ({found.why}); so far {_so_far(notebook, found)}."
    effect = "" if found.effect is None else f", {found.metric} {difference_text(found.effect, found.low, found.high)}"
    return f"{head}**{found.outcome}**, {found.why}{effect}."


def _so_far(notebook: Notebook, found: Confirmation) -> str:
    """The means of the fresh seeds that a confirmation under way has."""
    means = []
    for run_id in (found.candidate, found.incumbent):
        rows = notebook.index.rows("replicates_of = ?", (run_id,))
        values = [value for row in rows for value in row.values]
        means.append(f"{number(statistics.fmean(values))} (n={len(values)})" if values else "none")
    return f"{found.metric} {means[0]} against {means[1]}"


def _promising(notebook: Notebook, runs: list[RunRecord]) -> list[str]:
    """Runs that came through the screen and that nobody gave fresh seeds yet."""
    had = {found.candidate for found in notebook.index.confirmations()}
    lines = []
    for run in runs:
        verdict = notebook.verdict(run.run_id)
        if verdict and verdict.screen is not None and passes(verdict.screen) and run.run_id not in had:
            what = f"{run.run_id} ({changed_text(notebook, run)}) came through the screen (p = {verdict.screen:.3g})"
            lines.append(f"{what} and has had no fresh seeds yet: autopilot confirm {run.run_id}")
    return lines


def _tells(found: Confirmation, best: RunRecord) -> bool:
    """It crowned somebody, or is about the run with the best mean; and has a difference on fresh seeds."""
    return found.effect is not None and (found.outcome == "confirmed" or found.candidate == best.run_id)


def _fresh(found: Confirmation) -> str:
    """What fresh seeds said of a candidate."""
    assert found.effect is not None  # noqa: S101 - `_tells`
    what = difference_text(found.effect, found.low, found.high)
    became = "**confirmed**, the incumbent from then on" if found.outcome == "confirmed" else "**dropped**"
    sides = f"{found.candidate} differs from {found.incumbent}"
    return f"On {found.seeds} fresh seeds a side {sides} by {found.metric} {what}: {became} ({found.why})."
