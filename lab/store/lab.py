"""The lab: a workspace's records, and what this machine can train. Most of the program is given this one value."""

from dataclasses import dataclass
from functools import cached_property

from lab.space import Inventory
from lab.store.notebook import Notebook
from lab.store.proposals import Proposals


@dataclass(frozen=True)
class Lab:
    """The runs of a workspace, its proposals, and the environments and devices of this machine."""

    notebook: Notebook
    inventory: Inventory

    @cached_property
    def proposals(self) -> Proposals:
        """The workspace's."""
        return Proposals(self.notebook.workspace)
