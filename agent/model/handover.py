"""How an analysis passes to an agent from outside, and how its calls pass back: three small files of the session.

`turn.json` is the session's alone: which analysis is offered or under way, and how many calls it has taken. Doors are
other processes: they write `lease.json` (who has it) and `call.json` (what that one calls next), one at a time. What is
handed out, and what a tool has answered, stands in the run's transcript before the turn passes on. So either side may
die at any instant, and whoever comes next sees from the files how it stands. Only the session takes a lease away.
"""

import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal, TypeVar

from lab.base import Damaged, HandoverPaths, Record, invalid, locked, now, plain, read_model, write_model

HERE = 120.0
"""Seconds for which an agent that has asked for an analysis counts as there."""
Kept = TypeVar("Kept", bound=Record)


class Turn(Record):
    """`turn.json`: the analysis that is offered or under way."""

    analysis: str
    """Its handle, drawn anew for each: only who was handed it knows it."""
    run: str
    state: Literal["offered", "asked", "ended"]
    """`offered`: nobody's yet, or being prepared for who took it; `asked`: it waits for the next call."""
    number: int = 0
    """Calls that it has taken."""
    since: datetime
    pid: int
    """Of the session's process: what another one has left is not under way any more."""
    silence: float
    """Seconds without a sign of who has it, after which the session takes it away."""
    allowed: int
    """Calls that it may take."""
    why: str = ""
    """Why it was given up; empty where it is complete."""


class Lease(Record):
    """`lease.json`: who has an analysis."""

    analysis: str
    client: str
    """As it calls itself."""
    server: str
    """The door that it came through, a name drawn when that was opened."""
    renewed: datetime
    """When it was last heard of."""


class Call(Record):
    """`call.json`: what who has an analysis calls next."""

    analysis: str
    run: str
    number: int
    name: str
    """Of the tool, as a model calls it."""
    arguments: str
    """JSON."""

    @property
    def call_id(self) -> str:
        """The call as the transcript names it."""
        return f"call_{self.analysis}_{self.number}"


@dataclass(frozen=True)
class Handover:
    """The hand-over of one session."""

    paths: HandoverPaths

    def turn(self) -> Turn | None:
        """The analysis that is offered or under way, or was last; None before the first."""
        return _read(self.paths.turn, Turn)

    def lease(self, turn: Turn) -> Lease | None:
        """Who has an analysis; None while nobody has."""
        found = _read(self.paths.lease, Lease)
        return found if found is not None and found.analysis == turn.analysis else None

    # --- the session's side --------------------------------------------------------------------------------------

    def offer(self, run: str, silence: float, allowed: int) -> Turn:
        """Offer the analysis of a run to whoever asks first.

        Args:
            run: its id.
            silence: seconds without a sign after which it is taken away again.
            allowed: calls that it may take.
        """
        turn = Turn(
            analysis=secrets.token_hex(4), run=run, state="offered", since=now(), pid=os.getpid(), silence=silence,
            allowed=allowed,
        )  # fmt: skip
        return self._write(turn)

    def withdraw(self, turn: Turn, why: str) -> bool:
        """Take back an offer, unless somebody has taken it at the last moment; whether it was taken back."""
        return self._ended_unless(turn, why, lambda: self.lease(turn) is not None)

    def ask(self, turn: Turn, number: int) -> Turn:
        """Wait for the next call from now on: what was said to the agent is in the transcript.

        Args:
            turn: the analysis, which somebody has.
            number: calls that it has taken.
        """
        return self._write(turn.model_copy(update={"state": "asked", "number": number, "since": now()}))

    def called(self, turn: Turn) -> Call | None:
        """The call that an analysis waits for; None while it is not there."""
        found = _read(self.paths.call, Call)
        mine = found is not None and (found.analysis, found.number) == (turn.analysis, turn.number)
        return found if mine else None

    def take_away(self, turn: Turn, why: str) -> bool:
        """End an analysis whose agent is silent, unless it is heard of at the last moment; whether it was ended."""
        return self._ended_unless(turn, why, lambda: self.called(turn) is not None or not self.is_silent(turn))

    def is_silent(self, turn: Turn) -> bool:
        """Whether nothing was heard for too long of who has an analysis, the time that its own calls take aside."""
        lease = self.lease(turn)
        heard = turn.since if lease is None else max(lease.renewed, turn.since)
        return now() - heard > timedelta(seconds=turn.silence)

    def end(self, turn: Turn, why: str = "") -> None:
        """An analysis is over.

        Args:
            turn: which one.
            why: it was given up; empty where it is complete.
        """
        self._ended_unless(turn, why, lambda: False)

    def somebody(self) -> bool:
        """Whether an agent asked for an analysis a moment ago and got none."""
        asked = _read(self.paths.asked, Lease)
        return asked is not None and now() - asked.renewed < timedelta(seconds=HERE)

    def _ended_unless(self, turn: Turn, why: str, holds: Callable[[], bool]) -> bool:
        with locked(self.paths.lock):
            if holds():
                return False
            last = self.turn()
            number = last.number if last is not None and last.analysis == turn.analysis else turn.number
            ended = {"state": "ended", "number": number, "since": now(), "why": plain(why, 300)}
            self._write(turn.model_copy(update=ended))
        return True

    def _write(self, turn: Turn) -> Turn:
        write_model(self.paths.turn, turn)
        return turn

    # --- the door's side -----------------------------------------------------------------------------------------

    def take(self, turn: Turn, client: str, server: str, *, again: bool) -> Lease:
        """Who has an analysis: the client, where nobody else had it.

        Args:
            turn: the analysis.
            client: as it calls itself.
            server: the door that it comes through.
            again: it may be the one that has it already, asking once more.
        """
        with locked(self.paths.lock):
            lease = self.lease(turn)
            if lease is not None and not again:
                return lease
            lease = Lease(analysis=turn.analysis, client=client, server=server, renewed=now())
            write_model(self.paths.lease, lease)
        return lease

    def renew(self, turn: Turn, client: str, server: str) -> bool:
        """Take note that a client was heard of; whether it has the analysis."""
        with locked(self.paths.lock):
            lease = self.lease(turn)
            if lease is None or (lease.client, lease.server) != (client, server):
                return False
            write_model(self.paths.lease, lease.model_copy(update={"renewed": now()}))
        return True

    def put(self, analysis: str, client: str, server: str, name: str, arguments: str) -> Call | None:
        """Hand in the next call of an analysis.

        Args:
            analysis: its handle, as the client wrote it.
            client: as it calls itself.
            server: the door that it comes through.
            name: of the tool, as a model calls it.
            arguments: JSON.

        Returns:
            None while the call before it is not answered yet.

        Raises:
            InvalidInput: that analysis is not under way, or not any more.
        """
        with locked(self.paths.lock):
            turn = self.turn()
            if turn is None or turn.analysis != analysis or turn.state == "ended" or self.lease(turn) is None:
                mine = turn is not None and turn.analysis == analysis
                rule = f"is over: {turn.why or 'it is complete'}" if mine and turn else "is no analysis under way"
                raise invalid("analysis", plain(analysis, 40), rule, "what autopilot_next_analysis hands out")
            write_model(self.paths.lease, Lease(analysis=analysis, client=client, server=server, renewed=now()))
            if turn.state != "asked" or self.called(turn) is not None:
                return None
            call = Call(analysis=analysis, run=turn.run, number=turn.number, name=name, arguments=arguments)
            write_model(self.paths.call, call)
        return call

    def knock(self, client: str, server: str) -> None:
        """Take note that a client asks for an analysis and gets none."""
        write_model(self.paths.asked, Lease(analysis="", client=client, server=server, renewed=now()))


def _read(path: Path, kind: type[Kept]) -> Kept | None:
    """A file of the hand-over; None where there is none, or none that can be read."""
    try:
        return read_model(path, kind)
    except (FileNotFoundError, Damaged):
        return None
