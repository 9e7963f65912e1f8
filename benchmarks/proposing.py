"""How long each arm takes to say what to train next: `.venv/bin/python -m benchmarks.proposing [RUNS]`.

In a workspace of a thousand made-up runs, the record read anew each time as a session reads it: after a run has ended
the model is fitted again. The first proposal of an arm with a process of its own, which imports torch, stands apart.
"""

import statistics
import sys
import time
from dataclasses import replace
from typing import Any

from benchmarks.common import tell
from benchmarks.ten_thousand import made
from lab.search import ARMS, Search
from lab.store import Lab, Notebook
from training import load_inventory

TIMES = 7


def main() -> None:
    """Print seconds, and their ratio to reading the record alone."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    with made(count, None) as (place, group):
        lab = Lab(Notebook(place), load_inventory([group.env_name]))
        lab.notebook.index.rebuild()
        read = [_read(lab, group, number) for number in range(TIMES)]
        seconds = {name: _timed(name, lab, group) for name in ARMS}
    alone = statistics.median(took for took, _ in read)
    tell(
        "what to train next, seconds", runs=count, reading_alone=round(alone, 3), arms=seconds,
        ratio={name: round(one["median"] / alone, 1) for name, one in seconds.items()},
    )  # fmt: skip


def _read(lab: Lab, group: Any, number: int) -> tuple[float, Search]:
    began = time.perf_counter()
    search = Search.of(lab, group, seed=str(number))
    assert search is not None  # noqa: S101 - the first run is the incumbent
    return time.perf_counter() - began, search


def _timed(name: str, lab: Lab, group: Any) -> dict[str, float]:
    arm, took = ARMS[name](1), []
    try:
        for number in range(TIMES + 1):
            began = time.perf_counter()
            _, search = _read(lab, group, number)
            history = search.history
            last = replace(history.trials[-1], scores=(number / 100.0,))  # something new: no model of before will do
            search = replace(search, history=replace(history, trials=(*history.trials[:-1], last)))
            assert search.suggest(1, arm=arm)  # noqa: S101 - there is always something
            took.append(time.perf_counter() - began)
    finally:
        close = getattr(arm, "close", None)
        if close is not None:
            close()
    return {"first": round(took[0], 3), "median": round(statistics.median(took[1:]), 3), "max": round(max(took[1:]), 3)}


if __name__ == "__main__":
    main()
