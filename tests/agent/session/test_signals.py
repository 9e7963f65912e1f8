"""Which signals stop what goes on, and which are none of its business."""

import functools
import signal
import subprocess
import sys

import pytest

CODE = """
import sys
from agent.session.signals import Stopping
with Stopping() as stopping:
    print("ready", flush=True)
    sys.stdin.readline()
    print(stopping.is_set(), flush=True)
"""


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("ignored", [True, False])
def test_a_signal_that_was_ignored_when_it_was_started_stays_so(number: signal.Signals, *, ignored: bool) -> None:
    """`nohup`, and what a shell without job control starts in the background."""
    # Set either way: the tests themselves may have been started by nohup.
    start = functools.partial(signal.signal, number, signal.SIG_IGN if ignored else signal.SIG_DFL)
    command = [sys.executable, "-c", CODE]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        preexec_fn=start,  # noqa: PLW1509 - it takes no lock that a thread could hold
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        out, _ = process.communicate("\n")
    assert (process.returncode, out) == (0, f"{not ignored}\n")
