"""What a session finds when it begins: the config that its runs are changes of, a confirmation that it goes on with."""

from itertools import accumulate
from typing import NamedTuple

from lab.base import count_of, lasting
from lab.judge import Incumbency, SeedRequest, remaining, seconds_of
from lab.space import Config
from lab.store import Confirmation, Lab, Notebook, SessionRecord
from report import name_text


def based_on(lab: Lab, record: SessionRecord, asked: Config) -> Config:
    """What the runs of a session will be changes of: the incumbent's config, or what was asked for where there is none.

    Args:
        lab: where its runs will be.
        record: the session.
        asked: its preset with its settings, of which the baseline would be made.
    """
    incumbent = lab.notebook.incumbent(record.group)
    if incumbent is None or not lab.notebook.readable(incumbent):
        return asked
    return lab.notebook.config(incumbent)


class Pending(NamedTuple):
    """A confirmation that an earlier session, or a person, has left open, and which comes before everything else."""

    one: Confirmation
    """How it stands."""
    needs: tuple[SeedRequest, ...]
    """Fresh seeds that it may yet ask for, in order, those of a second one that follows included."""
    afforded: int = 0
    """How many of these requests the budget has room for."""
    seconds: float = 0.0
    """Time that those may take; 0 where nobody knows."""
    whole: float = 0.0
    """Time that all of them may take; 0 where nobody knows."""

    @property
    def seeds(self) -> int:
        """Fresh seeds that the budget has room for."""
        return sum(need.seeds for need in self.needs[: self.afforded])

    def text(self, lab: Lab) -> str:
        """What is gone on with, and how long that may take.

        Args:
            lab: where its runs are.
        """
        one, notebook = self.one, lab.notebook
        sides = f"{_called(notebook, one.candidate)} against #{notebook.index.number_of(one.incumbent)}"
        presets = dict.fromkeys(need.preset for need in self.needs)
        where = ", then ".join(f"on the preset {name}" if name else "on its own preset" for name in presets)
        takes = f", which may take {lasting(self.whole)}" if self.whole else ""
        count = count_of(sum(need.seeds for need in self.needs), "more fresh seed")
        said = f"the open confirmation of {sides} goes on, {where}: up to {count} of both sides{takes}"
        if self.afforded == len(self.needs):
            return said
        if not self.afforded:
            return (
                f"{said}; the budget has no room for the first {self.needs[0].seeds}: 'autopilot confirm' trains them"
            )
        takes = f", {lasting(self.seconds)}" if self.seconds else ""
        return f"{said}; the budget has room for {self.seeds} of them{takes}"


def pending(lab: Lab, record: SessionRecord) -> Pending | None:
    """The confirmation that a session goes on with first; None where none is open, or it leaves it to others.

    Args:
        lab: where its runs are, and what this machine has.
        record: the session, before its first run.
    """
    notebook, short = lab.notebook, record.confirm is None
    place = Incumbency(notebook, record.group, record.session_id, then=record.confirm, short=short)
    one = place.current() or place.undecided()
    if one is None or not notebook.readable(one.candidate):
        return None
    left = remaining(notebook, one.candidate, one)
    needs = left.needs if short else (*left.needs, *left.then)
    if not needs:
        return None
    times = [seconds_of(notebook, (need,), lab.inventory) for need in needs]
    seconds, hours = list(accumulate(times)), record.budgets.hours
    seeds = list(accumulate(need.seeds for need in needs))
    fit = [
        (record.replicates is None or count <= record.replicates) and (hours is None or took <= 3600 * hours)
        for count, took in zip(seeds, seconds, strict=True)
    ]
    afforded, known = sum(fit), all(times)  # both sums grow: what does not fit comes last
    return Pending(
        one, needs, afforded, seconds[afforded - 1] if known and afforded else 0.0, seconds[-1] if known else 0.0
    )


def _called(notebook: Notebook, run_id: str) -> str:
    return name_text(notebook, notebook.run(run_id))
