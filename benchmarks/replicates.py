"""Replicates side by side against one after another: `.venv/bin/python -m benchmarks.replicates [ROUNDS]`.

The wall time of a whole run of as many replicates as there are cores, in three ways in turn: side by side with one
thread each (what the runner does), one after another with one thread, one after another with a thread per core.
"""

import sys
import time

from benchmarks.common import cartpole, median, tell, train, workspace
from lab.store import Notebook
from training import ProcessRunner, usable_cores


def main() -> None:
    """Print each way's wall time and the ratios to the first."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    cores = usable_cores()
    ways = {"side_by_side": (None, 1), "in_turn_1_thread": (1, 1), f"in_turn_{cores}_threads": (1, cores)}
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    with workspace() as place:
        notebook = Notebook(place)
        runner = ProcessRunner()
        runner.warm()
        for number in range(rounds + 1):
            for name, (parallel, threads) in ways.items():
                runner.parallel = parallel
                inventory, config = cartpole(
                    train__total_timesteps=2_000_000, autopilot__seeds=cores, autopilot__threads=threads
                )
                began = time.perf_counter()
                train(notebook, runner, inventory, config)
                if number:  # the first round warms up
                    seconds[name].append(time.perf_counter() - began)
        runner.close()
    first = seconds["side_by_side"]
    tell(
        f"seconds of a run of {cores} replicates of puffer_cartpole, 2 M steps each",
        rounds=rounds,
        seconds={name: median(found) for name, found in seconds.items()},
        ratio_to_side_by_side={
            name: median([a / b for a, b in zip(found, first, strict=True)])
            for name, found in seconds.items() if name != "side_by_side"
        },
    )  # fmt: skip


if __name__ == "__main__":
    main()
