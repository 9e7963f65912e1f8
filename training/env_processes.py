"""The processes that step environments, watched: PufferLib waits for ever for one that has died."""

import signal
import threading
from multiprocessing.connection import wait
from typing import Any


class EnvironmentDied(Exception):
    """A process that steps environments has ended."""


class ProcessWatch:
    """A watch over the processes of the Multiprocessing backend, until `end`; one that dies raises EnvironmentDied."""

    def __init__(self, vecenv: Any) -> None:
        """Begin to watch; the exception interrupts the main thread.

        Args:
            vecenv: vectorized environments; without processes of their own there is nothing to watch.
        """
        self._over = False
        processes = getattr(vecenv, "processes", [])
        if processes:
            signal.signal(signal.SIGUSR2, self._interrupt)
            threading.Thread(target=self._wait, args=(processes,), daemon=True).start()

    def end(self) -> None:
        """Stop watching: from now on the processes may end."""
        self._over = True

    def _wait(self, processes: list[Any]) -> None:
        wait([process.sentinel for process in processes])
        self._died = next((p.exitcode for p in processes if not p.is_alive()), None)
        if not self._over:
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR2)

    def _interrupt(self, *_: object) -> None:
        if not self._over:
            raise EnvironmentDied(f"a process of the environments ended with status {self._died}; the log has more")
