"""The door: what all tools share, which is one workspace, what the client may do in it, and who the client is."""

import re
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import NamedTuple

from agent.analysis import Outset
from agent.model import AGENT, Handover, Turn
from lab.base import AutopilotError, Workspace, invalid, options_in, plain
from lab.judge import Finding, diagnosis_of
from lab.space import Inventory
from lab.store import Approval, Lab, Notebook, Proposals, RunRecord, SessionRecord, Sessions, run_called
from tools import ToolContext
from training import load_inventory

UNKNOWN = "unknown"
MODES: tuple[Approval, ...] = ("manual", "policy", "auto")
"""Who approves, from the strictest on."""


class Night(NamedTuple):
    """The session that is at work, as far as agents are asked for its analyses."""

    record: SessionRecord
    handover: Handover
    turn: Turn | None
    """The analysis that is offered or under way, or was last; None before the first."""


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
    server: str = field(default_factory=lambda: secrets.token_hex(8))
    """Which door it is, of several that are open to one workspace."""
    alone: bool = False
    """Whether one client at most comes through it, as over standard input; elsewhere several may have one name."""

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
            said: as `lab.store.run_called` takes it; `current` for the one whose analysis it has.
        """
        if said == "current" and (mine := self.analysis()) is not None and mine.turn is not None:
            return self.notebook.run(mine.turn.run)
        return self.notebook.run(run_called(self.notebook, said))

    def night(self) -> Night | None:
        """The session that is at work and asks agents for its analyses; None where none is."""
        running = Sessions(self.workspace).running()
        if running is None or running.session is None or running.pid is None:
            return None
        try:
            record = Sessions(self.workspace).get(running.session)
        except AutopilotError:  # a confirmation, or a session that is only just starting
            return None
        if record.model != AGENT:
            return None
        handover = Handover(self.workspace.session(record.session_id).handover)
        turn = handover.turn()
        return Night(record, handover, turn if turn is not None and turn.pid == running.pid else None)

    def analysis(self) -> Night | None:
        """The night whose analysis this client has, which takes note that the client was heard of; else None."""
        night = self.night()
        if night is None or night.turn is None or night.turn.state == "ended":
            return None
        return night if night.handover.renew(night.turn, self.client, self.server) else None

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
