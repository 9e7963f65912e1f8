"""What a cluster costs beside this machine: overhead of a replicate, and how busy many slots are kept.

    python -m benchmarks.executors --address HOST:PORT [--replicates 1000 --slots 64 --seconds 10]

Replicates are made up, so what is measured is what surrounds them. A slot is busy from when its replicate begins on
its machine to when that has ended; the share is taken up to when the last one is handed out.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

from lab.base import Workspace
from lab.space import preset_config
from lab.store import Notebook, create_run
from training import Plan, load_inventory
from training.executors import Executor, MadeUp, MadeUpExecutor
from training.executors.cluster import RayExecutor
from training.executors.settings import RaySettings
from training.protocol import TrainJob

ENV = "puffer_cartpole"


def jobs(workspace: Workspace, count: int) -> list[TrainJob]:
    """Jobs of one run with so many seeds, 64 a run."""
    inventory, notebook = load_inventory([ENV]), Notebook(workspace)
    base = preset_config(inventory.environment(ENV), "quick")
    made: list[TrainJob] = []
    while len(made) < count:
        config = base.with_overrides({"autopilot.seeds": min(64, count - len(made))})
        run = create_run(notebook, config, {}, preset="quick", objective="perf:max", arm="person")
        plan = Plan(run, config, run.seeds, workspace, inventory.environment(ENV), "cpu", run.goal)
        made += [plan.job(seed) for seed in run.seeds]
    return made


def carry_out(executor: Executor, wanted: list[TrainJob], slots: int) -> tuple[float, float, list[float]]:
    """Seconds until all have ended, until the last one was handed out, and that each took by its slot's clock."""
    waiting, active, took, began, handed = list(wanted), [], [], time.monotonic(), 0.0
    while waiting or active:
        while waiting and (running := executor.begin(waiting[0], slots)) is not None:
            active.append(running)
            waiting.pop(0)
            handed = time.monotonic() - began
        executor.wait(active, 0.25)
        for running in list(active):
            if (result := running.poll(lambda _: None)) is not None:
                took.append(result.train_seconds)
                running.end()
                active.remove(running)
    return time.monotonic() - began, handed, took


def main() -> None:
    """Measure both, and print a line each."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--address", required=True)
    parser.add_argument("--replicates", type=int, default=1000)
    parser.add_argument("--slots", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=10.0)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace(Path(folder))
        workspace.create()
        one = MadeUp()
        for name, executor in (
            ("made up here", MadeUpExecutor(one)),
            ("on the cluster", RayExecutor(workspace, asked.address, "overhead", parallel=1, made_up=one)),
        ):
            executor.warm(None, "cpu")
            carry_out(executor, jobs(workspace, 1), 1)  # the first one waits for the slot
            seconds, *_ = carry_out(executor, jobs(workspace, 20), 1)
            sys.stdout.write(f"{name}: {seconds / 20:.3f} s a replicate that takes no time\n")
            executor.close()
        many = MadeUp(seconds=asked.seconds)
        settings = RaySettings(cpus=0.01)
        executor = RayExecutor(workspace, asked.address, "busy", settings, parallel=asked.slots, made_up=many)
        executor.warm(None, "cpu")
        while len(executor.known()) < asked.slots:
            time.sleep(0.5)
        seconds, handed, took = carry_out(executor, jobs(workspace, asked.replicates), asked.slots)
        # Those after the first so many had ended, by and large, when the last one was handed out.
        busy = sum(took[: asked.replicates - asked.slots]) / (asked.slots * handed)
        sys.stdout.write(
            f"{asked.replicates} replicates of {asked.seconds:g} s over {asked.slots} slots: {seconds:.1f} s, the last"
            f" handed out after {handed:.1f} s, until then {busy:.1%} busy\n"
        )
        executor.close()


if __name__ == "__main__":
    main()
