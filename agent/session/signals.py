"""Signals: how a person stops what goes on."""

import os
import signal
import threading
from types import FrameType

from lab.base import AutopilotError, InvalidInput, Workspace, is_id
from lab.store import Sessions

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
PAUSING = signal.SIGUSR1
"""Stop after the present run."""


def ask_to_stop(workspace: Workspace, *, at_once: bool) -> str:
    """Ask whoever is at work in a workspace to stop; a sentence that says what was asked.

    Args:
        workspace: where somebody may be at work.
        at_once: give up the present run; else once it is through, and its analysis.

    Raises:
        InvalidInput: nobody is at work.
        AutopilotError: somebody is only just starting.
    """
    running = Sessions(workspace).running()
    if running is None:
        raise InvalidInput(f"no session is running in {workspace.root}")
    if running.pid is None:
        raise AutopilotError("the session is only just starting: try again in a moment")
    now = at_once or not is_id(running.session or "")  # 'autopilot confirm' has nothing to finish
    os.kill(running.pid, signal.SIGTERM if now else PAUSING)  # not SIGINT, which background jobs of a script ignore
    when = "now" if now else "after the present run and its analysis"
    return f"asked session {running.session} (process {running.pid}) to stop {when}"


class Stopping:
    """Ctrl-C, SIGTERM or a closed terminal once: the event is set, for a clean stop. Twice: KeyboardInterrupt, now.

    A signal that was ignored when the program was started stays so: `nohup`, and jobs in the background of a script.
    """

    def __init__(self, event: threading.Event | None = None, pause: threading.Event | None = None) -> None:
        """Set this one, or a new one; `pause` is set by SIGUSR1, which else does the same as the others."""
        self._event = event or threading.Event()
        self._pause = pause

    def __enter__(self) -> threading.Event:
        event, pause = self._event, self._pause

        def handle(number: int, frame: FrameType | None) -> None:
            if number == PAUSING and pause is not None:
                pause.set()
            elif event.is_set():
                raise KeyboardInterrupt
            else:
                event.set()

        heeded = [n for n in (*STOPPING, PAUSING) if signal.getsignal(n) is not signal.SIG_IGN]
        self._before = {number: signal.signal(number, handle) for number in heeded}
        return event

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
