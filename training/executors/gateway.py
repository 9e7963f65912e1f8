"""The process that speaks with Ray for a session: the only one that imports it.

When the head of a cluster is gone, Ray ends the process that was connected to it, and it has signal handlers and
threads of its own; so the session has a process for that, which may die at any time. Slots are detached actors: they go
on without it, and are found again by their names. Run with `SOCKET_FD`; it ends when the other side does.
"""

import contextlib
import os
import queue
import secrets
import select
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from training.executors import messages as say
from training.executors.slot import Slot

NAMESPACE = "autopilot"
SURVEY = 2.0
"""Seconds between two looks at the cluster's nodes."""
HUNG = 60.0
"""Seconds without an answer, to a question that is answered within one, after which a slot can't be reached."""
UNAVAILABLE = 30.0
"""Seconds that a slot may be out of reach before it counts as gone."""
REACH = 15.0
"""Seconds within which the head answers at all."""
STARTING = 600.0
"""Seconds that a slot may take until it introduces itself: the first one on a node imports everything."""


@dataclass
class _Asked:
    """A question to a slot under way."""

    slot: str
    what: str
    at: float
    token: str = ""


class _Slots:
    """The slots of one owner on one cluster."""

    def __init__(self, ray: Any, opened: say.Open, report: Callable[[say.Report], None]) -> None:
        self._ray, self._opened, self._report = ray, opened, report
        self._actor_of = ray.remote(Slot)
        fixed = {"namespace": NAMESPACE, "lifetime": "detached", "max_restarts": 0, "max_concurrency": 8}
        self._options: dict[str, Any] = {**fixed, **opened.options}
        self._actors: dict[str, Any] = {}
        self._states: dict[str, say.SlotState] = {}
        self._tokens: dict[str, str] = {}
        """Slot to the order of its that is listened to."""
        self._asked: dict[Any, _Asked] = {}
        self._troubled: dict[str, float] = {}
        """Slot that is out of reach to since when."""
        self._anew: set[str] = set()
        """Slots that are to send everything once more."""
        self._parcels: dict[str, Any] = {}
        self._surveyed = 0.0

    def find(self) -> None:
        """Find the slots of before again, and tell of them."""
        ray = self._ray
        for name in [one["name"] for one in ray.util.list_named_actors(all_namespaces=True) if self._mine(one)]:
            try:
                actor = ray.get_actor(name, namespace=NAMESPACE)
                state = self._introduced(name, ray.get(actor.state.remote(), timeout=HUNG), time.time())
            except (ray.exceptions.RayError, ValueError):  # it is ending, or can't be reached: its work is begun anew
                with contextlib.suppress(Exception):
                    ray.kill(actor)
                continue
            self._actors[name], self._states[name] = actor, state
        self._report(say.Opened(slots=tuple(self._states.values())))

    def _mine(self, one: dict[str, str]) -> bool:
        return one["namespace"] == NAMESPACE and one["name"].startswith(f"{self._opened.owner}-")

    @staticmethod
    def _introduced(name: str, state: say.SlotState, at: float) -> say.SlotState:
        return state.model_copy(update={"name": name, "behind": at - state.time.timestamp()})

    def take(self, command: say.Command) -> None:
        """Do what the session wants."""
        if isinstance(command, say.Parcel):
            self._parcels = {command.code: self._ray.put(command.data)}
        elif isinstance(command, say.Begin):
            order = command.order
            self._tokens[command.slot] = order.token
            self._ask(command.slot, "begin", order.token, order, self._parcels[order.code])
        elif isinstance(command, say.Attach):
            self._tokens[command.slot] = command.token
            self._follow(command.slot, anew=True)
        elif isinstance(command, say.Stop):
            self._ask(command.slot, "stop", command.token, command.token, command.why)
        elif isinstance(command, say.Drop):
            if self._tokens.get(command.slot) == command.token:
                del self._tokens[command.slot]
            self._ask(command.slot, "drop", command.token, command.token)

    def _ask(self, slot: str, what: str, token: str, *arguments: Any) -> None:
        actor = self._actors.get(slot)
        if actor is not None:  # else it has been told of as gone
            asked = getattr(actor, what).remote(*arguments)
            self._asked[asked] = _Asked(slot, what, time.monotonic(), token)

    def _follow(self, slot: str, anew: bool = False) -> None:
        """Ask a slot for news, one question at a time."""
        if anew:
            self._anew.add(slot)
        # What an order's slot knows of it before it has arrived there is nothing.
        if not any(asked.slot == slot and asked.what in ("begin", "news") for asked in self._asked.values()):
            token = self._tokens[slot]
            self._ask(slot, "news", token, token, slot in self._anew)
            self._anew.discard(slot)

    def listen(self, seconds: float) -> None:
        """Pass on what slots answer, within so many seconds."""
        if not self._asked:
            time.sleep(seconds)
        else:
            answered, _ = self._ray.wait(list(self._asked), num_returns=1, timeout=seconds)
            rest = [reference for reference in self._asked if reference not in answered]
            if answered and rest:
                answered += self._ray.wait(rest, num_returns=len(rest), timeout=0)[0]
            for reference in answered:
                if reference not in self._asked:  # its slot is gone by now
                    continue
                self._answer(self._asked.pop(reference), reference)
        at = time.monotonic()
        starting = STARTING if self._opened.slots is None else float("inf")  # a cluster may grow when it is asked to
        patience = {"state": starting}
        for asked in [one for one in self._asked.values() if at - one.at > patience.get(one.what, HUNG)]:
            self._gone(asked.slot, f"it has not answered for {at - asked.at:.0f} s", node_lost=True)

    def _answer(self, asked: _Asked, reference: Any) -> None:
        errors = self._ray.exceptions
        slot = asked.slot
        try:
            answer = self._ray.get(reference)
        except errors.ActorUnavailableError as error:
            since = self._troubled.setdefault(slot, time.monotonic())
            # Of an order it is not known whether it has arrived.
            if time.monotonic() - since > UNAVAILABLE or asked.what == "begin":
                self._gone(slot, _brief(error), node_lost=True)
            elif asked.what == "news" and slot in self._tokens:
                time.sleep(0.1)
                self._follow(slot, anew=True)  # what it answered may be lost
            return
        except errors.RayActorError as error:
            self._gone(slot, _brief(error), self._node_lost(slot, str(error)))
            return
        except errors.RayError as error:  # the parcel is lost with a node, or the slot failed in what it was asked
            self._gone(slot, _brief(error), node_lost=True)
            return
        self._troubled.pop(slot, None)
        if asked.what == "state":
            self._states[slot] = self._introduced(slot, answer, time.time())
            self._report(say.Joined(slot=self._states[slot]))
        elif asked.what in ("begin", "news") and self._tokens.get(slot) == asked.token:
            if asked.what == "news":
                if answer is None:
                    self._gone(slot, "it knows nothing of its replicate any more", node_lost=True)
                    return
                self._report(say.Told(slot=slot, token=asked.token, news=answer))
                if answer.result is not None or answer.failed:
                    return
            self._follow(slot)
        elif asked.what == "news" and slot in self._tokens:
            self._follow(slot)  # of another order by now

    def _node_lost(self, slot: str, why: str) -> bool:
        """Whether a slot ended because its machine did."""
        node = self._states[slot].node if slot in self._states else None
        alive = {one["NodeID"] for one in self._ray.nodes() if one["Alive"]}
        return "node has died" in why or node not in alive

    def _gone(self, slot: str, why: str, node_lost: bool) -> None:
        actor = self._actors.pop(slot, None)
        self._asked = {ref: asked for ref, asked in self._asked.items() if asked.slot != slot}
        self._tokens.pop(slot, None)
        self._troubled.pop(slot, None)
        if actor is not None:
            with contextlib.suppress(Exception):
                self._ray.kill(actor)
        if self._states.pop(slot, None) is not None:
            self._report(say.Left(slot=slot, why=why, node_lost=node_lost))

    def survey(self) -> None:
        """Make new slots where the cluster has room for more, now and then."""
        if time.monotonic() - self._surveyed < SURVEY:
            return
        self._surveyed = time.monotonic()
        if self._opened.slots is not None:
            room = self._opened.slots - len(self._actors)
        else:
            room = self._room() - sum(name not in self._states for name in self._actors)  # those are still to come up
        for _ in range(room):
            name = f"{self._opened.owner}-{secrets.token_hex(4)}"
            made = self._actor_of.options(name=name, **self._options)
            actor = made.remote(self._opened.keep, self._opened.made_up)
            self._actors[name] = actor
            self._ask(name, "state", "")

    def _room(self) -> int:
        """Slots that what is free on the nodes is enough for, as Ray counts it."""
        options = self._opened.options
        named = options.get("resources", {})
        wanted: dict[str, float] = dict(named) if isinstance(named, dict) else {}
        for option, resource in (("num_cpus", "CPU"), ("num_gpus", "GPU"), ("memory", "memory")):
            amount = options.get(option)
            if isinstance(amount, (int, float)) and amount:
                wanted[resource] = float(amount)
        if not wanted:
            return max(0, 1 - len(self._actors))
        free = self._ray._private.state.available_resources_per_node()  # the public one sums the nodes up
        return sum(
            int(min(node.get(name, 0.0) / amount + 1e-6 for name, amount in wanted.items())) for node in free.values()
        )

    def close(self) -> None:
        """End every slot, those that have not come up yet too."""
        asked = [actor.quit.remote() for name, actor in self._actors.items() if name in self._states]
        if asked:
            self._ray.wait(asked, num_returns=len(asked), timeout=12)
        for actor in self._actors.values():
            with contextlib.suppress(Exception):
                self._ray.kill(actor)
        self._report(say.Closed())


def _brief(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " ".join(lines)[:300] or type(error).__name__


class _Outbox:
    """Reports on their way, sent from a thread: of two sides that are busy sending, neither waits for the other."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._reports: queue.Queue[say.Report] = queue.Queue()
        self.put = self._reports.put
        threading.Thread(target=self._send, daemon=True).start()

    def flush(self) -> None:
        """Wait until all have been sent."""
        self._reports.join()

    def _send(self) -> None:
        while True:
            report = self._reports.get()
            try:
                self._connection.send(report)
            except OSError:  # the session is gone
                os._exit(0)
            self._reports.task_done()


def serve(connection: Connection, outbox: _Outbox) -> None:
    """Connect to the cluster, and pass on commands and reports until the other side is gone."""
    opened = connection.recv()
    try:
        host, _, port = opened.address.rpartition(":")
        socket.create_connection((host.strip("[]"), int(port)), REACH).close()  # Ray would ask for minutes
        import ray
        import ray.exceptions
        import ray.util

        ray.init(
            address=opened.address, namespace=NAMESPACE, log_to_driver=False, logging_level="ERROR",
            configure_logging=False,
        )  # fmt: skip
    except Exception as error:  # noqa: BLE001 - told: a cluster that is not there has many faces
        outbox.put(say.Failed(why=_brief(error)))
        return
    slots = _Slots(ray, opened, outbox.put)
    slots.find()
    while True:
        while connection.poll(0):
            command = connection.recv()
            if isinstance(command, say.Close):
                slots.close()
                return
            slots.take(command)
        slots.survey()
        slots.listen(0.05)


def _end_with_session(handle: int) -> None:
    """End when the other side of the socket has closed it, whatever Ray is waiting for."""
    watched = select.poll()
    watched.register(handle, 0)  # that it hung up is always told
    watched.poll()
    os._exit(0)


def main() -> None:
    """Serve the socket that is named on the command line."""
    connection = Connection(socket.socket(fileno=int(sys.argv[1])).detach())
    threading.Thread(target=_end_with_session, args=(connection.fileno(),), daemon=True).start()
    outbox, status = _Outbox(connection), 0
    try:
        serve(connection, outbox)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        pass  # the session is gone; its slots go on
    except Exception as error:  # noqa: BLE001 - told, as far as that is possible
        status = 1
        traceback.print_exc()  # to its log
        outbox.put(say.Failed(why=_brief(error)))
    outbox.flush()
    os._exit(status)  # Ray's threads may wait for a cluster that is gone


if __name__ == "__main__":
    main()
