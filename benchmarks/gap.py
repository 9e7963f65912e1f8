"""The gap between two runs: `.venv/bin/python -m benchmarks.gap [RUNS]`.

From the rename of the last `result.json` of one run (its change time on the disk) to the first environment step of the
next (written by the worker), with everything in between: Parquet, summary, verdict, the next run's folder, its
workers. Against a cold start: a worker that is started when its run is.
"""

import sys

import training.executors.local
from benchmarks.common import cartpole, median, tell, train, workspace
from lab.store import Notebook
from training import ProcessRunner


def gaps(runs: int, *, forked: bool) -> list[float]:
    """Seconds between consecutive runs of two replicates."""
    usual = training.executors.local.can_fork
    training.executors.local.can_fork = usual if forked else lambda _: False
    try:
        with workspace() as place:
            runner, notebook = ProcessRunner(), Notebook(place)
            inventory, config = cartpole(train__total_timesteps=300_000)
            if forked:
                runner.warm()
            found, ended = [], None
            for _ in range(runs + 1):
                run = train(notebook, runner, inventory, config)
                first = min(r.first_step.timestamp() for r in notebook.results(run) if r.first_step)
                if ended is not None:
                    found.append(first - ended)
                ended = max(place.run(run.run_id).seed(seed).result.stat().st_ctime for seed in run.seeds)
            runner.close()
            return found
    finally:
        training.executors.local.can_fork = usual


def main() -> None:
    """Print both, and their ratio."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    warm, cold = gaps(runs, forked=True), gaps(max(3, runs // 4), forked=False)
    tell(
        "seconds from one run's last result.json to the next run's first environment step",
        warm=median(warm),
        cold=median(cold),
        ratio=round(float(median(cold)["median"]) / float(median(warm)["median"]), 1),
    )


if __name__ == "__main__":
    main()
