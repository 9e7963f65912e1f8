"""Contenders for the place of the incumbent, in words: for the digest."""

from collections.abc import Collection

from lab.base import number
from lab.judge import Incumbency
from lab.space import Group
from lab.store import Confirmation, Notebook
from report.facts import changed_text, difference_text


def contenders(notebook: Notebook, group: Group, session: str | None = None) -> list[str]:
    """How each stands, in the order they were named.

    Args:
        notebook: where they are.
        group: whose confirmations.
        session: only those that it named; None for all.
    """
    return [_confirmation(notebook, one) for one in confirmations(notebook, group) if session in (None, one.session)]


def on_fresh_seeds(notebook: Notebook, group: Group, runs: Collection[str]) -> dict[str, str]:
    """Run to what its fresh seeds say of it, in words, for those of some runs of which they say anything."""
    return {
        one.candidate: _fresh(notebook, one)
        for one in confirmations(notebook, group)
        if one.candidate in runs and one.effect is not None
    }


def since_text(notebook: Notebook, run_id: str) -> str:
    """What fresh seeds have said of a run since its report was written, in a sentence; empty where they have not."""
    group = notebook.run(run_id).group
    return on_fresh_seeds(notebook, group, [run_id]).get(run_id, "")


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
    """The scores of the fresh seeds that a confirmation under way has, at the number of the smaller side."""
    place = Incumbency(notebook, notebook.run(confirmation.candidate).group)
    sides = [
        place.values(place.fresh(run_id, confirmation)) for run_id in (confirmation.candidate, confirmation.incumbent)
    ]
    n, goal = min(filter(None, map(len, sides)), default=0), place.group.goal
    new, old = (f"{number(goal.of_scores(side, n))} (n={len(side)})" if side else "none" for side in sides)
    return f"{confirmation.metric} {new} against {old}"


def _fresh(notebook: Notebook, confirmation: Confirmation) -> str:
    """What fresh seeds said of a candidate."""
    assert confirmation.effect is not None  # noqa: S101 - asked of those alone
    what = difference_text(confirmation.effect, confirmation.low, confirmation.high)
    became = {"confirmed": "**confirmed**, the incumbent from then on", "dropped": "**dropped**"}.get(
        confirmation.outcome, f"passed, to be confirmed on the preset {confirmation.then}"
    )
    changed = changed_text(notebook, notebook.run(confirmation.candidate))
    sides = f"{confirmation.candidate} ({changed}) differs from {confirmation.incumbent}"
    unseen = f" {collapse_text(confirmation.seeds)}" if confirmation.outcome == "confirmed" else ""
    return (
        f"On {confirmation.seeds} fresh seeds a side{_on(confirmation)} {sides} by {confirmation.metric} {what}:"
        f" {became} ({confirmation.why}).{unseen}"
    )


def collapse_text(seeds: int) -> str:
    """What so many seeds without a collapse can't exclude: the upper end of the 95 % interval of their share.

    The exact one-sided bound of a share of which none was seen (Clopper & Pearson 1934): 1 - 0.05^(1/n).
    """
    return f"{seeds} seeds leave a rate of rare collapses of up to {100 * (1 - 0.05 ** (1 / seeds)):.0f} % possible."
