"""What a night came to against its baseline: what fresh seeds say, what the search believes, what could be found.

The mean of a config that got more replicates because it looked good is flattered, so none is quoted here: of the leader
stands what the search's model believes, as the session wrote it down, and that nobody has proven it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from lab.base import number
from lab.judge import detectable, level_outside, noise_of
from lab.search import worth_proving
from lab.space import Group
from lab.store import Confirmation, Leading, Notebook, RunRecord, Selection, SessionRecord, Sessions
from report.confirmations import on_fresh_seeds
from report.facts import changed_text


@dataclass(frozen=True)
class Compared:
    """Whom a digest compares."""

    baseline: RunRecord | None
    """The first run of the group that has a score."""
    leader: Leading | None
    """What the session's search believed in last; None where none was written down."""

    @property
    def leads(self) -> bool:
        """The search believes in something else than the baseline."""
        return self.leader is not None and self.baseline is not None and self.leader.run != self.baseline.run_id


def is_it_better(notebook: Notebook, session: SessionRecord) -> str:
    """What became better than the baseline in a session's group, in words, and what is believed to be."""
    return comparison_text(notebook, compared_of(notebook, session), session)


def compared_of(notebook: Notebook, session: SessionRecord) -> Compared:
    """Baseline of a session's group, imported runs left out, and the leader of its search."""
    which = Selection(session.group, scored=True, native=True, own=True, arm="baseline")
    first = notebook.index.rows(which, limit=1)
    return Compared(notebook.run(first[0].run_id) if first else None, leader_of(notebook, session))


def leader_of(notebook: Notebook, session: SessionRecord) -> Leading | None:
    """The run that a session's search believed in last, if it can still be read."""
    known = Sessions(notebook.workspace).leading(session.session_id)
    return known[-1] if known and notebook.readable(known[-1].run) else None


def worth_a_proof(notebook: Notebook, session: SessionRecord, mine: Sequence[Confirmation]) -> Leading | None:
    """What the search believes in, where a proof of it would be new; None where nothing is.

    Args:
        notebook: where its runs are.
        session: the night, over or not.
        mine: its confirmations, whose contenders have had their proof.

    Returns:
        The leader, where it is believed to be better than the incumbent, by as much as a proof may show, and is no
        contender of the night.
    """
    leader, noise = leader_of(notebook, session), noise_of(notebook, session.group)
    known = {notebook.incumbent(session.group), *(one.candidate for one in mine)}
    if leader is None or leader.gain <= 0 or leader.run in known:
        return None
    first = level_outside(1)
    hidden = noise is not None and not worth_proving(leader.gain, noise[0], first, session.goal.statistic)
    return None if hidden else leader


def comparison_text(notebook: Notebook, compared: Compared, session: SessionRecord) -> str:
    """What is known of the best config against the baseline, in words.

    Args:
        notebook: where the runs are.
        compared: whom to compare.
        session: whose group it is, and whose seeds.
    """
    baseline, leader, group = compared.baseline, compared.leader, session.group
    if baseline is None:
        return "No run has a score yet."
    incumbent = notebook.incumbent(group)
    named = {run for run in (incumbent, leader.run if leader else None) if run and run != baseline.run_id}
    fresh = on_fresh_seeds(notebook, group, named)
    mine = {one.candidate for one in notebook.index.confirmations(group=group, session=session.session_id)}
    parts = [text if run in mine else f"In an earlier session: {text}" for run, text in fresh.items()]
    if leader is not None and compared.leads and leader.run not in fresh:
        parts.append(belief_text(notebook, leader, group))
    elif not parts:
        parts.append("Nothing is believed to be better than the baseline.")
    return " ".join([*parts, *_floor(notebook, group, session.seeds)])


def belief_text(notebook: Notebook, leader: Leading, group: Group) -> str:
    """What the search believes of its leader, and that it is no finding."""
    changed, gain = changed_text(notebook, notebook.run(leader.run)), group.goal.sign * leader.gain
    count = f"{leader.replicates} replicate{'' if leader.replicates == 1 else 's'}"
    return (
        f"The search believes most in {leader.run} ({changed}): {group.goal.name} {number(leader.mean)}, {gain:+.4g}"
        f" against the incumbent, by its model of all replicates ({count} of this config). That is no finding: only"
        " fresh seeds tell."
    )


def _floor(notebook: Notebook, group: Group, seeds: int) -> list[str]:
    """How much replicates of one config differ, and what could be found."""
    noise = noise_of(notebook, group)
    if noise is None:
        return []
    seen = detectable(noise[0], seeds) if group.goal.is_mean else None  # a difference of means
    guess = ", a rough guess" if noise[1] < 5 else ""
    found = f": with {seeds} a side, four of five differences of {number(seen)} would be found." if seen else "."
    return [
        f"Replicates of one config differ by a standard deviation of {number(noise[0])} ({noise[1]} degrees of"
        f" freedom{guess}){found}"
    ]
