"""More seeds of a run: which are asked for, what they are trained with, and their run."""

from typing import NamedTuple

from lab.space import Config, Inventory, check_config, moved
from lab.store import Notebook, RunRecord, create_run


class SeedRequest(NamedTuple):
    """Fresh seeds that a confirmation waits for."""

    run: str
    """Whose config is repeated."""
    seeds: int
    preset: str | None = None
    """On which preset; None for the run's own."""


def fresh_config(notebook: Notebook, need: SeedRequest, inventory: Inventory | None = None) -> Config:
    """What the fresh seeds that a confirmation waits for are trained with.

    Args:
        notebook: where the run is.
        need: whose config, on which preset.
        inventory: of this machine; needed where the preset is another one than the run's.

    Raises:
        InvalidInput: the changes of the run do not go with that preset.
    """
    original, config = notebook.run(need.run), notebook.config(need.run)
    if need.preset not in (None, original.preset) and inventory is not None:
        environment = inventory.environment(original.env_name)
        config = moved(notebook.workspace, environment, config, original.preset, str(need.preset))
        check_config(config, inventory)
    return config.without_seed()


def repeat(
    notebook: Notebook,
    need: SeedRequest,
    session: str | None = None,
    inventory: Inventory | None = None,
    proposal: str | None = None,
) -> RunRecord:
    """Queue fresh seeds of a run.

    Args:
        notebook: where.
        need: whose config, how many seeds, on which preset.
        session: that asks for it.
        inventory: as in `fresh_config`.
        proposal: that it comes of; None where a confirmation waits for it.

    Raises:
        InvalidInput: the changes of the run do not go with that preset.
    """
    original = notebook.run(need.run)
    return create_run(
        notebook,
        fresh_config(notebook, need, inventory),
        notebook.overrides(need.run),
        preset=need.preset or original.preset,
        objective=original.objective,
        arm=original.arm,
        parent=original.parent,
        session=session,
        replicates=need.seeds,
        replicates_of=need.run,
        proposal=proposal,
        task=original.task,
        variants=original.variants,
        resume=original.resume,
    )
