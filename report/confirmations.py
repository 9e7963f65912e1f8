"""Candidates for the place of the incumbent, in words: for the digest."""

import statistics

from lab.base import number
from lab.judge import Incumbency, passes
from lab.space import Group
from lab.store import Confirmation, Notebook, RunRecord
from report.facts import changed_text, difference_text

OPEN = ("opened", "passed")
"""Outcomes after which it is not decided yet what becomes of a candidate."""


def contenders(notebook: Notebook, group: Group, runs: list[RunRecord]) -> list[str]:
    """How each stands, in the order they were opened; then runs that came through the screen and wait.

    Args:
        notebook: where they are.
        group: whose confirmations.
        runs: that may be promising.
    """
    known = confirmations(notebook, group)
    told = [_confirmation(notebook, confirmation) for confirmation in known]
    return [*told, *_promising(notebook, runs, next((one.candidate for one in known if one.outcome in OPEN), None))]


def on_fresh_seeds(notebook: Notebook, best: RunRecord) -> tuple[list[str], bool]:
    """What fresh seeds say of those that they crowned and of a run, and whether they say anything of the run."""
    telling = [one for one in confirmations(notebook, best.group) if _tells(one, best)]
    return [_fresh(one) for one in telling], any(one.candidate == best.run_id for one in telling)


def confirmations(notebook: Notebook, group: Group) -> list[Confirmation]:
    """How each candidate of a group stands, in the order they were opened."""
    return list({one.candidate: one for one in notebook.index.confirmations(group=group)}.values())


def became_text(confirmation: Confirmation) -> str:
    """What a confirmation has made of its candidate."""
    if confirmation.outcome == "passed":
        return f"has passed, and has to be confirmed on the preset {confirmation.then} too"
    if confirmation.outcome == "confirmed":
        return "is the incumbent now"
    return f"does not take the place of {confirmation.incumbent}"


def _confirmation(notebook: Notebook, confirmation: Confirmation) -> str:
    """One candidate in a line."""
    changed = changed_text(notebook, notebook.run(confirmation.candidate))
    sides = f"{confirmation.candidate} ({changed}) against {confirmation.incumbent}{_on(confirmation)}"
    head = f"{sides}: {_before(notebook, confirmation)}"
    if confirmation.outcome == "opened":
        return f"{head}not decided yet ({confirmation.why}); so far {_so_far(notebook, confirmation)}."
    if confirmation.outcome == "passed":
        return f"{head}{confirmation.why}; the preset {confirmation.then} has to confirm it too."
    effect = ""
    if confirmation.effect is not None:
        difference = difference_text(confirmation.effect, confirmation.low, confirmation.high)
        effect = f", {confirmation.metric} {difference}"
    return f"{head}**{confirmation.outcome}**, {confirmation.why}{effect}."


def _on(confirmation: Confirmation) -> str:
    """Where the fresh seeds were trained, if not on the candidate's own preset."""
    return f" on the preset {confirmation.preset}" if confirmation.preset else ""


def _before(notebook: Notebook, confirmation: Confirmation) -> str:
    """What the first confirmation had come to, for the second."""
    first = [one for one in notebook.index.confirmations(confirmation.candidate) if one.outcome == "passed"]
    if confirmation.preset is None or not first or first[-1].effect is None:
        return ""
    one = first[-1]
    told = difference_text(first[-1].effect, one.low, one.high)
    return f"passed on its own preset ({one.metric} {told} on {one.seeds} fresh seeds a side), then "


def _so_far(notebook: Notebook, confirmation: Confirmation) -> str:
    """The means of the fresh seeds that a confirmation under way has."""
    means = []
    place = Incumbency(notebook, notebook.run(confirmation.candidate).group)
    for run_id in (confirmation.candidate, confirmation.incumbent):
        runs = place.fresh(run_id, confirmation.preset)  # without those that won it its place
        values = [value for run in runs for value in notebook.values(run.run_id, confirmation.metric)]
        means.append(f"{number(statistics.fmean(values))} (n={len(values)})" if values else "none")
    return f"{confirmation.metric} {means[0]} against {means[1]}"


def _promising(notebook: Notebook, runs: list[RunRecord], undecided: str | None) -> list[str]:
    """Runs that came through the screen and that nobody gave fresh seeds yet."""
    had = {one.candidate for one in notebook.index.confirmations()}
    before = f", after that of {undecided}" if undecided else ""
    lines = []
    for run in runs:
        verdict = notebook.verdict(run.run_id)
        if verdict and verdict.screen is not None and passes(verdict.screen) and run.run_id not in had:
            what = f"{run.run_id} ({changed_text(notebook, run)}) came through the screen (p = {verdict.screen:.3g})"
            lines.append(f"{what} and has had no fresh seeds yet: autopilot confirm {run.run_id}{before}")
    return lines


def _tells(confirmation: Confirmation, best: RunRecord) -> bool:
    """Whether a confirmation crowned somebody, or is about the best mean; and has a difference on fresh seeds."""
    return confirmation.effect is not None and (
        confirmation.outcome == "confirmed" or confirmation.candidate == best.run_id
    )


def _fresh(confirmation: Confirmation) -> str:
    """What fresh seeds said of a candidate."""
    assert confirmation.effect is not None  # noqa: S101 - `_tells`
    what = difference_text(confirmation.effect, confirmation.low, confirmation.high)
    became = {"confirmed": "**confirmed**, the incumbent from then on", "dropped": "**dropped**"}.get(
        confirmation.outcome, f"passed, to be confirmed on the preset {confirmation.then}"
    )
    sides = f"{confirmation.candidate} differs from {confirmation.incumbent}"
    return (
        f"On {confirmation.seeds} fresh seeds a side{_on(confirmation)} {sides} by {confirmation.metric} {what}:"
        f" {became} ({confirmation.why})."
    )
