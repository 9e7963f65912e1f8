"""The queue of proposals: staged → approved or rejected → running → done; or superseded.

A decision is made under a lock on the newest state, so that two deciders can't both win, and is only ever added.
`next_config.json` shows the overrides that run next and is never read back.
"""

import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lab.base import (
    AutopilotError,
    Damaged,
    InvalidInput,
    NotFound,
    Workspace,
    locked,
    now,
    read_model,
    write_json,
    write_model,
)
from lab.space import Group
from lab.store.index import SETTLED
from lab.store.proposal import Decision, Proposal, ProposalState
from lab.store.records import RunRecord

S = ProposalState
ALLOWED: dict[ProposalState, tuple[ProposalState, ...]] = {
    S.STAGED: (S.STAGED, S.APPROVED, S.REJECTED, S.SUPERSEDED),  # staged once more: held for a person
    S.APPROVED: (S.RUNNING, S.REJECTED, S.SUPERSEDED),
    S.RUNNING: (S.DONE,),
    S.REJECTED: (),
    S.DONE: (),
    S.SUPERSEDED: (),
}
LIVE = tuple(state for state, then in ALLOWED.items() if then)
"""States of a proposal that is not over."""


@dataclass
class Proposals:
    """The proposals of one workspace."""

    workspace: Workspace
    damaged: dict[str, str] = field(default_factory=dict)
    """File name to what is wrong with it, from the last listing."""
    _read: dict[str, tuple[tuple[int, int, int], Proposal]] = field(default_factory=dict, init=False, repr=False)
    """File name to its stamp and what it said: files are replaced, never written in place."""
    _listed: tuple[int, list[Path]] = field(default=(0, []), init=False, repr=False)
    """When a file came, went or was replaced last, and those that were there then."""
    _known: tuple[list[Proposal], list[Proposal]] | None = field(default=None, init=False, repr=False)
    """What they said: all, and those that are not over."""

    def all(self) -> list[Proposal]:
        """Every readable proposal, oldest first."""
        return list(self._look()[0])

    def live(self, *states: ProposalState, group: Group | None = None) -> list[Proposal]:
        """Readable proposals that are not over, oldest first: of ten thousand a few.

        Args:
            states: staged, approved, running; all three if none is given.
            group: whose; all if not given.
        """
        return [p for p in self._look()[1] if p.state in (states or LIVE) and group in (None, p.group)]

    def _look(self) -> tuple[list[Proposal], list[Proposal]]:
        """All readable proposals, and those that are not over, oldest first."""
        paths, settled = self._files()
        if settled and self._known is not None and self._unchanged():
            return self._known
        proposals, damaged = [], dict[str, str]()
        for path in paths:
            known = self._read.get(path.name)
            if settled and known is not None and not ALLOWED[known[1].state]:
                proposals.append(known[1])  # decided for good: whoever changes its file in place changes nothing
                continue
            try:
                proposals.append(self._as_read(path))
            except FileNotFoundError:
                continue
            except (Damaged, OSError) as error:
                damaged[path.name] = str(error)
        self.damaged.clear()
        self.damaged.update(damaged)
        proposals.sort(key=lambda proposal: (proposal.created, proposal.proposal_id))
        self._known = (proposals, [one for one in proposals if one.state in LIVE])
        return self._known

    def _unchanged(self) -> bool:
        """Whether the files of proposals that are not over say what they said when they were read."""
        if self._known is None or self.damaged:
            return False
        try:
            return all(self._as_read(self.workspace.proposal(one.proposal_id)) is one for one in self._known[1])
        except (OSError, Damaged):
            return False

    def _files(self) -> tuple[list[Path], bool]:
        """The files, and whether none of them came, went or was replaced since the last listing."""
        try:
            at = self.workspace.proposals.stat().st_mtime_ns
        except FileNotFoundError:
            return [], False
        known, paths = self._listed
        if known == at:
            return paths, True
        paths = [path for path in self.workspace.proposals.glob("*.json") if path != self.workspace.next_config]
        if time.time() - at / 1e9 > SETTLED:  # a second change within one tick of the clock would leave it
            self._listed = (at, paths)
        return paths, False

    def _as_read(self, path: Path) -> Proposal:
        """A file's proposal; a file that has not changed is not read again."""
        stat = path.stat()
        stamp = (stat.st_mtime_ns, stat.st_ino, stat.st_size)
        known = self._read.get(path.name)
        if known is None or known[0] != stamp:
            proposal = read_model(path, Proposal)
            if proposal.proposal_id != path.stem:
                raise Damaged(f"{path} is that of proposal {proposal.proposal_id}")
            known = self._read[path.name] = (stamp, proposal)
        return known[1]

    def get(self, proposal_id: str) -> Proposal:
        """One proposal.

        Raises:
            NotFound: no such proposal.
        """
        try:
            return read_model(self.workspace.proposal(proposal_id), Proposal)
        except (FileNotFoundError, IsADirectoryError):
            raise NotFound(
                f"proposal {proposal_id!r} is not in {self.workspace.root}: see 'autopilot proposals'"
            ) from None

    def origin(self, run: RunRecord) -> Proposal | None:
        """The proposal that a run came from, if it came from one that can still be read."""
        try:
            return self.get(run.proposal) if run.proposal else None
        except AutopilotError:
            return None

    def has(self, proposal_id: str) -> bool:
        """Whether there is a proposal of that name."""
        return self.workspace.proposal(proposal_id).exists()

    def stage(self, *proposals: Proposal) -> None:
        """Add what one analysis proposes; what still waited in the group gives way to it, but for what is held.

        Args:
            proposals: of one group, and one batch where they are several; those that are there already are left alone.
        """
        with self._changing():
            for proposal in proposals:  # first: a kill must not lose both
                if not self.has(proposal.proposal_id):
                    write_model(self.workspace.proposal(proposal.proposal_id), proposal)
            self._give_way(proposals[-1])
            self._show_next()

    def add(self, proposal: Proposal) -> None:
        """Add a proposal that is decided already; what waits goes on waiting."""
        with self._changing():
            write_model(self.workspace.proposal(proposal.proposal_id), proposal)
            self._show_next()

    def rejected(self, group: Group) -> list[dict[str, Any]]:
        """Overrides that people turned down, or edited, for a search to keep away from."""
        return [p.overrides for p in self.all() if p.group == group and p.sweep is None and _unwanted(p)]

    def sweeping(self, group: Group) -> Proposal | None:
        """The sweep of a group that is under way, the one begun first; None where none is."""
        return next((p for p in self.live(S.RUNNING, group=group) if p.sweep is not None), None)

    def replace(self, seen: Proposal, new: Proposal, who: str) -> None:
        """Put a person's proposal in the place of the one that they have edited.

        Args:
            seen: the old one, as they saw it.
            new: theirs.
            who: the person.

        Raises:
            NotFound: the old one is gone.
            InvalidInput: somebody else has changed or decided it since.
        """
        self.get(seen.proposal_id)  # before the lock makes a file in a workspace that has none
        with self._changing():
            old = self.get(seen.proposal_id)
            self._require(old, S.SUPERSEDED, seen.version)
            write_model(self.workspace.proposal(new.proposal_id), new)  # first: a kill must not lose both
            why = f"edited: {new.proposal_id} takes its place"
            self._add(old, Decision(time=now(), state=S.SUPERSEDED, who=who, why=why, seen=seen.version))
            self._give_way(new)
            self._show_next()

    def tidy(self, group: Group) -> None:
        """Let what was staged last be all that waits: a kill in the midst of staging leaves what was to give way."""
        with self._changing():
            if waiting := self._undecided(group):
                self._give_way(waiting[-1])
            self._show_next()

    def _give_way(self, to: Proposal) -> None:
        for other in self._undecided(to.group):
            beside = other.proposal_id == to.proposal_id or (to.batch is not None and other.batch == to.batch)
            if not beside:
                why = f"{to.proposal_id} was staged later"
                self._add(other, Decision(time=now(), state=S.SUPERSEDED, who="queue", why=why))

    def decide(
        self,
        proposal_id: str,
        state: ProposalState,
        who: str,
        why: str = "",
        run_id: str | None = None,
        check: Callable[[Proposal], None] | None = None,
        seen: str = "",
    ) -> Proposal:
        """Move a proposal on.

        Args:
            proposal_id: which one.
            state: where to.
            who: `person`, or the policy or program part that decides.
            why: the reason, kept with the decision.
            run_id: the run that carries it out, once there is one.
            check: refuses by raising; it sees the newest state.
            seen: the version that a person has decided on; "" for whatever it is now.

        Raises:
            NotFound: no such proposal.
            InvalidInput: it has moved on already, is not what was seen, `check` refuses it, or it can't be written.
        """
        self.get(proposal_id)  # before the lock makes a file in a workspace that has none
        with self._changing():
            proposal = self.get(proposal_id)
            self._require(proposal, state, seen)
            if check is not None:
                check(proposal)
            known = {"overrides": proposal.overrides, "sweep": proposal.sweep}
            what = known if state in (S.APPROVED, S.REJECTED) else {}
            decision = Decision(time=now(), state=state, who=who, why=why, run_id=run_id, seen=seen, **what)
            proposal = self._add(proposal, decision)
            self._show_next()
        return proposal

    def head(self, group: Group, at_once: Collection[str] = ()) -> Proposal | None:
        """The approved proposal of a group that runs next: the one approved first.

        Args:
            group: whose.
            at_once: arms whose proposals train as soon as they are made, so that one which is there was cut short.
        """
        return min(
            self.live(S.APPROVED, group=group),
            key=lambda one: (one.arm not in at_once, one.decisions[-1].time),
            default=None,
        )

    def staged(self, group: Group) -> Proposal | None:
        """The proposal of a group that has waited longest for a decision; not one that is held for a person."""
        return next(iter(self._undecided(group)), None)

    def waiting(self, group: Group) -> Proposal | None:
        """The proposal of a group that is to be trained, or else decided on, next; None where none waits."""
        return self.head(group) or self.staged(group)

    def _undecided(self, group: Group) -> list[Proposal]:
        return [p for p in self.live(S.STAGED, group=group) if not p.held]

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """Be the only one who changes the queue.

        Raises:
            InvalidInput: it can't be written.
        """
        self.workspace.require_writable(self.workspace.proposals)
        with locked(self.workspace.proposals_lock):
            yield

    def _require(self, proposal: Proposal, state: ProposalState, seen: str) -> None:
        """Refuse a step that can't be taken, or that somebody decided on who had seen something else.

        Raises:
            InvalidInput: with what the proposal is now.
        """
        last = proposal.decisions[-1]
        since = f"since {last.time:%Y-%m-%d %H:%M:%S} UTC, by {last.who}"
        if state not in ALLOWED[proposal.state] or (state is S.STAGED and proposal.held):
            because = f" ({last.why})" if last.why else ""
            raise InvalidInput(
                f"proposal {proposal.proposal_id} is {proposal.state}{because} {since}, and can't become {state}"
            )
        if seen:
            require_seen(proposal, seen)

    def _add(self, proposal: Proposal, decision: Decision) -> Proposal:
        proposal = proposal.model_copy(update={"decisions": (*proposal.decisions, decision)})
        write_model(self.workspace.proposal(proposal.proposal_id), proposal)
        return proposal

    def _show_next(self) -> None:
        live = self.live(S.APPROVED, S.STAGED)
        head = min(live, key=lambda p: (p.state is not S.APPROVED, p.decisions[-1].time), default=None)
        if head is None:
            self.workspace.next_config.unlink(missing_ok=True)
            return
        shown = {
            "proposal": head.proposal_id,
            "state": head.state,
            "parent": head.parent,
            "overrides": head.overrides,
            **({"sweep": head.sweep.model_dump(mode="json")} if head.sweep else {}),
        }
        write_json(self.workspace.next_config, shown)


def require_seen(proposal: Proposal, version: str) -> None:
    """Refuse to decide on a proposal that is not what was looked at.

    Raises:
        InvalidInput: with what it is now.
    """
    if version != proposal.version:
        last = proposal.decisions[-1]
        raise InvalidInput(
            f"proposal {proposal.proposal_id} is not what it was when you looked: it is {proposal.state} since"
            f" {last.time:%Y-%m-%d %H:%M:%S} UTC, by {last.who}; look again and decide"
        )


def _unwanted(proposal: Proposal) -> bool:
    """Whether a person did not want it as it stood."""
    edited = proposal.state is S.SUPERSEDED and proposal.decisions[-1].who.startswith("person")
    return proposal.state is S.REJECTED or edited
