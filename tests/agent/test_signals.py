"""Which signals stop what goes on, and which are none of its business."""

import signal
import subprocess
import sys

import pytest

CODE = """
import sys
from agent.signals import Stopping
with Stopping() as stopping:
    print("ready", flush=True)
    sys.stdin.readline()
    print(stopping.is_set(), flush=True)
"""


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("ignored", [True, False])
def test_a_signal_that_was_ignored_when_it_was_started_stays_so(number: signal.Signals, *, ignored: bool) -> None:
    """`nohup`, and what a shell without job control starts in the background."""
    before = f"trap '' {number.name[3:]}; " if ignored else ""
    command = ["sh", "-c", f'{before}exec "$0" -c "$1"', sys.executable, CODE]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        out, _ = process.communicate("\n")
    assert (process.returncode, out) == (0, f"{not ignored}\n")
