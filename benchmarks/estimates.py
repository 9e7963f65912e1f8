"""What `start` says a run and a night will take, against what they take.

Each session is one that a user starts, read from what it prints: first in a fresh workspace, where the speed is
measured for a moment, then again in the same one, where runs are there to go by. Fresh seeds are confirmed on no other
preset, so that what is said is of this preset alone. What else the machine does meanwhile is on the clock too, so it is
told beside the seconds: a ratio counts where that is alike before the session and in it.

    .venv/bin/python -m benchmarks.estimates [ENV [SETTING…]] [--runs 3] [--seeds 3]
"""

import argparse
import contextlib
import itertools
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil

from benchmarks.common import tell, workspace
from lab.base import Workspace
from lab.store import Notebook, active_time
from training import load_inventory

CASES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("puffer_cartpole", ()),
    ("puffer_cartpole", ("train.total_timesteps=200000",)),
    ("puffer_breakout", ()),
    ("gymnasium:CartPole-v1", ()),
)
"""Environments at the quick preset; with the second one's settings the evaluation dominates."""
DURATION = r"(?:about )?(?:(\d+) h )?(?:(\d+) min)?(?: ?([\d.]+) s)?"


def said(text: str, pattern: str) -> float:
    """Seconds of the duration that a pattern ends with."""
    found = re.search(pattern + DURATION, text)
    if found is None:
        raise SystemExit(f"nothing like {pattern!r} was said:\n{text}")
    hours, minutes, seconds = (float(part or 0) for part in found.groups())
    return 3600 * hours + 60 * minutes + seconds


def busy() -> float:
    """Seconds of cores that were not idle since the machine was started."""
    spent = psutil.cpu_times()
    return float(sum(spent) - spent.idle - spent.iowait - spent.guest - spent.guest_nice)


def used(process: psutil.Process) -> float:
    """Seconds of cores that a process and all that it started have used."""
    found = 0.0
    for each in (process, *process.children(recursive=True)):
        with contextlib.suppress(psutil.Error):
            found += sum(each.cpu_times()[:4])  # user, system, and both of children that have ended
    return found


def session(place: Workspace, env: str, settings: tuple[str, ...], runs: int, seeds: int) -> dict[str, Any]:
    """One session: seconds said and taken, of a run and of all, and their ratios."""
    command = [str(Path(sys.executable).with_name("autopilot")), "--workspace", str(place.root), "start",
               "--env", env, "--preset", "quick", "--approve", "auto", "--confirm", "none",
               "--seeds", str(seeds), "--max-runs", str(runs)]  # fmt: skip
    command += [part for setting in settings for part in ("--set", setting)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    announced, name = "", ""
    at: list[tuple[float, float]] = []
    """When the preflight began, the session did, and it ended: time, and core seconds that others have used."""
    for line in process.stdout or ():
        if len(at) == 2:
            continue  # what goes on is in the record
        announced += line
        if line.startswith("session "):
            at.append((time.monotonic(), busy() - used(psutil.Process())))
            name = line.split()[1]
    if process.wait():
        raise SystemExit(f"{' '.join(command)} ended with status {process.returncode}")
    at.append((time.monotonic(), busy() - used(psutil.Process())))
    (looked, _), (begun, _), (ended, _) = at
    others = [round((after[1] - before[1]) / (after[0] - before[0]), 2) for before, after in itertools.pairwise(at)]
    mine = Notebook(place).runs(session=name)
    took = statistics.median(
        clock.total_seconds() for run in mine if len(run.seeds) == seeds and (clock := active_time(run))
    )
    pairs = {"run": (said(announced, r"time +"), took), "session": (said(announced, r"runs? take "), ended - begun)}
    return {
        "seconds_of_preflight": round(begun - looked, 1),
        "replicates_of_its_runs": [len(run.seeds) for run in mine],
        "cores_busy_with_other_work": {"preflight": others[0], "session": others[1]},
        **{
            what: {"said": round(expected, 1), "taken": round(taken, 1), "said_to_taken": round(expected / taken, 2)}
            for what, (expected, taken) in pairs.items()
        },
    }


def main() -> None:
    """Print all of it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("case", nargs="*", help="an environment and settings KEY=VALUE; the usual ones if none")
    parser.add_argument("--runs", type=int, default=3, help="of a session, its baseline among them")
    parser.add_argument("--seeds", type=int, default=3, help="of a run")
    wanted = parser.parse_args()
    cases = [(wanted.case[0], tuple(wanted.case[1:]))] if wanted.case else CASES
    found = []
    for env, settings in cases:
        load_inventory([env])  # made once for a machine, not for each session
        with workspace() as place:
            each = [session(place, env, settings, wanted.runs, wanted.seeds) for _ in range(2)]
        found.append({"environment": env, "settings": settings, "fresh": each[0], "with_runs": each[1]})
    tell("seconds said before a session against those it took", runs=wanted.runs, seeds=wanted.seeds, cases=found)


if __name__ == "__main__":
    main()
