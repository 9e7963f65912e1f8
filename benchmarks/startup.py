"""How fast the command line answers, against a bare Python start: `.venv/bin/python benchmarks/startup.py`."""

import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

RUNS = 20


def seconds(command: list[str]) -> float:
    """Wall time of one process."""
    began = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def main() -> None:
    """Print medians and their ratio, from pairs taken in turn."""
    help_command = [str(Path(sys.executable).with_name("autopilot")), "--help"]
    bare = [sys.executable, "-c", "pass"]
    seconds(help_command)  # compiles what is not compiled yet
    pairs = [(seconds(help_command), seconds(bare)) for _ in range(RUNS)]
    found = {
        "what": "autopilot --help against python -c pass",
        "runs": RUNS,
        "help_seconds_median": round(statistics.median(a for a, _ in pairs), 3),
        "help_seconds_max": round(max(a for a, _ in pairs), 3),
        "python_seconds_median": round(statistics.median(b for _, b in pairs), 3),
        "ratio_median": round(statistics.median(a / b for a, b in pairs), 1),
    }
    sys.stdout.write(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
