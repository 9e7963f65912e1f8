"""The door: what all tools share, which is one workspace, what the client may do in it, and who the client is."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import lru_cache

from agent.analysis import Outset
from lab.base import AutopilotError, Workspace, invalid, options_in, plain
from lab.judge import Finding, diagnosis_of
from lab.space import Inventory
from lab.store import Approval, Lab, Notebook, Proposals, RunRecord, run_called
from tools import ToolContext
from training import load_inventory

UNKNOWN = "unknown"
MODES: tuple[Approval, ...] = ("manual", "policy", "auto")
"""Who approves, from the strictest on."""


@dataclass(frozen=True)
class Door:
    """One workspace as one client reaches it."""

    workspace: Workspace
    notebook: Notebook
    inventory_of: Callable[[str], Inventory]
    """A function from an environment's name to the inventory that has it; of an empty name, what any has."""
    decisions: bool = False
    """Whether the client may approve and reject."""
    training: bool = False
    """Whether it may train outside a session."""
    client: str = UNKNOWN
    """The name that it gives itself."""

    @classmethod
    def of(cls, workspace: Workspace, *, decisions: bool = False, training: bool = False) -> "Door":
        """The door of a workspace, for a client that is not known yet.

        Args:
            workspace: whose runs, proposals and sessions.
            decisions: whether clients may approve and reject.
            training: whether they may train outside a session.
        """
        inventory_of = lru_cache(lambda env: load_inventory([env] if env else [], workspace))
        return cls(workspace, Notebook(workspace), inventory_of, decisions, training)

    def to(self, client: str | None) -> "Door":
        """The same door for a client.

        Args:
            client: as it calls itself, which may be anything.
        """
        name = " ".join(re.sub(r"[^\w .@/+-]", " ", plain(client or "", 200)).split())[:60]
        return replace(self, client=name or UNKNOWN)

    @property
    def who(self) -> str:
        """The client as the record has it."""
        return f"agent {self.client}, mcp"

    @property
    def proposals(self) -> Proposals:
        """The queue of the workspace."""
        return Proposals(self.workspace)

    @property
    def ceiling(self) -> Approval:
        """The most that a night of a client may be approved by: what `[start] approve` says, `manual` without it.

        Raises:
            InvalidInput: it says something else.
        """
        said = options_in(self.workspace, "start").get("approve", "manual")
        for mode in MODES:
            if mode == said:
                return mode
        raise invalid("start.approve", said, "is unknown", " | ".join(MODES))

    def require_below(self, mode: Approval, key: str = "approve") -> None:
        """Refuse an approval that the workspace's settings do not give to clients.

        Args:
            mode: who is to approve.
            key: what it is called where it was asked for.

        Raises:
            InvalidInput: it is more than `[start] approve` of autopilot.toml.
        """
        most = MODES.index(self.ceiling)
        if MODES.index(mode) > most:
            rule = "is more than this workspace gives to agents ([start] approve in autopilot.toml)"
            raise invalid(key, mode, rule, " | ".join(MODES[: most + 1]))

    def lab(self, env_name: str) -> Lab:
        """The lab of the workspace, with the inventory that has an environment."""
        return Lab(self.notebook, self.inventory_of(env_name))

    def lab_of(self, run: RunRecord) -> Lab:
        """The lab for a run; what an imported one names as its environment is foreign, and is not loaded."""
        return self.lab("" if run.legacy else run.env_name)

    def run(self, said: str) -> RunRecord:
        """The run that a client means.

        Args:
            said: as `lab.store.run_called` takes it.
        """
        return self.notebook.run(run_called(self.notebook, said))

    def context(self, run: RunRecord) -> ToolContext:
        """What the tools of an analysis share, as far as they only read the record."""
        incumbent = self.notebook.incumbent(run.group)
        return ToolContext(self.lab_of(run), run, None, self.arm, incumbent=incumbent)

    def full_context(self, run: RunRecord) -> ToolContext:
        """What they share where a config is to come of it: what the search believes as well, which takes longer."""
        lab = self.lab_of(run)
        return Outset.now(lab, run, None, self.arm, None, ()).context(lab, run, None)

    @property
    def arm(self) -> str:
        """Who makes the proposals of this client, as the arms of a search are called."""
        return f"agent {self.client}"

    def diagnosis(self, run: RunRecord) -> tuple[list[Finding], tuple[str, ...]]:
        """The findings about a run, and why there are none where the machine lacks what they need."""
        return self.found(lambda: diagnosis_of(self.lab_of(run), run)) if run.state.ended else ([], ())

    def found(self, diagnose: Callable[[], Iterable[Finding]]) -> tuple[list[Finding], tuple[str, ...]]:
        """Findings, and why there are none where the machine lacks what they need.

        Args:
            diagnose: makes them.
        """
        try:
            return list(diagnose()), ()
        except AutopilotError as error:
            return [], (f"diagnosis: {plain(str(error), 300)}",)
