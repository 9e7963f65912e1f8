"""What a confirmation may yet take: the fresh seeds of both sides, where it goes to its last look, and their time."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from lab.base import AutopilotError
from lab.judge.costs import longest_seconds
from lab.judge.incumbency import Incumbency
from lab.judge.repeats import SeedRequest, fresh_config
from lab.judge.sequential import GROUP, SPENDING
from lab.space import Inventory
from lab.store import Confirmation, Notebook, RunRecord, RunState


class Remaining(NamedTuple):
    """Fresh seeds that a confirmation may yet ask for, in order; each request is a run of its own."""

    needs: tuple[SeedRequest, ...]
    """Of the confirmation itself."""
    then: tuple[SeedRequest, ...] = ()
    """Of the second one, on a longer preset, which follows if it passes."""

    @property
    def seeds(self) -> int:
        """Of the confirmation itself, both sides together."""
        return sum(need.seeds for need in self.needs)


def remaining(notebook: Notebook, run_id: str, one: Confirmation | None) -> Remaining:
    """What a confirmation of a run may yet ask for.

    Args:
        notebook: where the run is.
        run_id: the contender.
        one: how its confirmation stands; None, or one that has ended, for a new one that a person asks for.

    Raises:
        AutopilotError: the contender can't be read.
    """
    group = notebook.run(run_id).group
    if one is not None and one.outcome == "passed":  # the second one goes on from here
        one = one.model_copy(update={"preset": one.then, "then": None, "looks": len(SPENDING), "group": GROUP})
    if one is None or one.outcome not in ("opened", "passed"):
        incumbent = notebook.incumbent(group)
        return Remaining(_requests(run_id, incumbent, GROUP, len(SPENDING)) if incumbent else ())
    place, sides = Incumbency(notebook, group), (one.candidate, one.incumbent)
    have = {side: len(place.values(_finished(place, side, one))) for side in sides}
    then = _requests(*sides, GROUP, len(SPENDING), one.then) if one.then else ()
    return Remaining(_requests(*sides, one.group, one.looks, one.preset, have), then)


def _finished(place: Incumbency, side: str, one: Confirmation) -> list[RunRecord]:
    """The fresh seeds of one side that count."""
    return [run for run in place.fresh(side, one) if run.state is RunState.FINISHED]


def _requests(
    candidate: str,
    incumbent: str,
    group: int,
    looks: int,
    preset: str | None = None,
    have: Mapping[str, int] | None = None,
) -> tuple[SeedRequest, ...]:
    """What is asked for until the last look, in the order of `Incumbency.step`: each side up to the next look.

    Args:
        candidate: one side.
        incumbent: the other.
        group: seeds a side that each look comes after.
        looks: at most.
        preset: on which; None for the runs' own.
        have: run to the fresh seeds that it has; none if None.
    """
    counts = [(run, (have or {}).get(run, 0)) for run in (candidate, incumbent)]
    return tuple(
        SeedRequest(run, min(group, target - count), preset)
        for target in range(group, group * looks + 1, group)
        for run, count in counts
        if count < target
    )


def seconds_of(notebook: Notebook, needs: Iterable[SeedRequest], inventory: Inventory | None) -> float:
    """The time that fresh seeds may take, a run after the other, each at the length that its preset gives it.

    By runs of that preset; where there are none, by the pace of others, by steps (`longest_seconds`).

    Args:
        notebook: where the runs are.
        needs: whose seeds, how many, on which preset.
        inventory: of this machine; without it nobody knows the config of another preset.

    Returns:
        Seconds; 0 where nothing is asked for, or nobody knows.
    """
    total = 0.0
    for need, times in Counter(needs).items():
        try:
            run = notebook.run(need.run)
            group = run.group._replace(preset=need.preset or run.preset)
            if inventory is None and group.preset != run.preset:
                return 0.0
            config = fresh_config(notebook, need, inventory)
        except AutopilotError:  # it is gone, or can't be trained there: whoever trains it says so
            return 0.0
        seconds = longest_seconds(notebook, config, group, need.seeds)
        if not seconds:
            return 0.0
        total += times * seconds
    return total
