"""What deciding a contender takes, in words: the command, the fresh seeds that are missing, the time of these."""

from lab.base import AutopilotError, count_of, lasting
from lab.judge import Remaining, remaining, seconds_of
from lab.space import Inventory
from lab.store import Confirmation, Notebook
from training import stored_inventory


def decides_text(notebook: Notebook, run_id: str, one: Confirmation | None = None) -> str:
    """The command that decides a contender, and what it takes: such as `autopilot confirm 12` takes up to 4 min.

    Args:
        notebook: where its runs are.
        run_id: the contender.
        one: how its confirmation stands; None where it has none.
    """
    left = remaining(notebook, run_id, one)
    first, then = notebook.index.kept(  # the page asks every two seconds
        notebook.run(run_id).group, f"time of {left} of {run_id}", lambda: _seconds(notebook, left, run_id)
    )
    takes = f" takes up to {lasting(first)}" if first else " decides it"
    return f"`autopilot confirm {notebook.index.number_of(run_id)}`{takes}{_then(left, then)}"


def confirming_text(notebook: Notebook, one: Confirmation, inventory: Inventory) -> str:
    """What a confirmation may yet train, said before it does.

    Args:
        notebook: where its runs are.
        one: the confirmation, open.
        inventory: of this machine.
    """
    left = remaining(notebook, one.candidate, one)
    first, then = (seconds_of(notebook, needs, inventory) for needs in (left.needs, left.then))
    sides = " against ".join(f"#{notebook.index.number_of(run)}" for run in (one.candidate, one.incumbent))
    where = f" on the preset {one.preset}" if one.preset else ""
    takes = f", which take up to {lasting(first)}" if first else ""
    return f"{sides}{where}: up to {count_of(left.seeds, 'fresh seed')} of both sides{takes}{_then(left, then)}"


def _seconds(notebook: Notebook, left: Remaining, run_id: str) -> tuple[float, float]:
    """The time of a confirmation's seeds, and of those of the second one after it; 0 where nobody knows."""
    needs = (*left.needs, *left.then)
    inventory = None
    if any(need.preset is not None for need in needs):
        try:
            inventory = stored_inventory(notebook.run(run_id).env_name, notebook.workspace)
        except AutopilotError:  # settings that can't be read are told by what needs them
            return 0.0, 0.0
    return seconds_of(notebook, left.needs, inventory), seconds_of(notebook, left.then, inventory)


def _then(left: Remaining, seconds: float) -> str:
    """What follows on a longer preset; empty where nothing does, or nobody knows."""
    return f", then up to {lasting(seconds)} on the preset {left.then[0].preset}" if left.then and seconds else ""
