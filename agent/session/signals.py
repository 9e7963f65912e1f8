"""Signals: how a person stops what goes on."""

import signal
import threading
from types import FrameType

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
PAUSING = signal.SIGUSR1
"""Stop after the present run."""


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
