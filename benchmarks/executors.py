"""What a cluster costs beside this machine: overhead of a replicate, and how busy many slots are kept.

    python -m benchmarks.executors [--address HOST:PORT] [--slurm] [--replicates 1000 --slots 64 --seconds 10]

Overhead is what stands between the end of one replicate and that of the next, in one slot, less the time that the
replicate itself says it took: of made-up ones that take no time, and of real ones of puffer_cartpole. With Ray's
address, made-up replicates are handed out over many slots as well. A slot is busy from when its replicate begins on its
machine to when that has ended; the share is taken up to when the last one is handed out.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.common import tell
from lab.base import Workspace
from lab.space import preset_config
from lab.store import Notebook, ReplicateResult, create_run
from training import Plan, load_inventory
from training.executors import Executor, LocalExecutor, MadeUp, MadeUpExecutor, Running
from training.executors.cluster import RayExecutor
from training.executors.settings import RaySettings, SlurmSettings
from training.executors.slurm import SlurmExecutor
from training.protocol import TrainJob

ENV = "puffer_cartpole"
SHORT = {"train.total_timesteps": 131_072, "autopilot.eval_steps": 200}
"""A training of a second or two."""


def jobs(workspace: Workspace, count: int) -> list[TrainJob]:
    """Jobs of one run with so many seeds, 64 a run."""
    inventory, notebook = load_inventory([ENV]), Notebook(workspace)
    base = preset_config(inventory.environment(ENV), "quick").with_overrides(SHORT)
    made: list[TrainJob] = []
    while len(made) < count:
        config = base.with_overrides({"autopilot.seeds": min(64, count - len(made))})
        run = create_run(notebook, config, {}, preset="quick", objective="perf:max", arm="person")
        plan = Plan(run, config, run.seeds, workspace, inventory.environment(ENV), "cpu", run.goal)
        made += [plan.job(seed) for seed in run.seeds]
    return made


def carry_out(executor: Executor, wanted: list[TrainJob], slots: int) -> tuple[float, float, list[ReplicateResult]]:
    """Seconds until all have ended, until the last one was handed out, and what came of each."""
    waiting, active, came, began, handed = list(wanted), list[Running](), [], time.monotonic(), 0.0

    def hand_out() -> None:
        nonlocal handed
        while waiting and (running := executor.begin(waiting[0], slots)) is not None:
            active.append(running)
            waiting.pop(0)
            handed = time.monotonic() - began

    while waiting or active:
        hand_out()
        executor.wait(active, 0.25)
        for running in list(active):
            if (result := running.poll(lambda _: None)) is not None:
                came.append(result)
                running.end()
                active.remove(running)
                hand_out()  # at once, as a session does: what ends together must not wait for each other
    return time.monotonic() - began, handed, came


def overhead(executor: Executor, workspace: Workspace, trials: int) -> dict[str, Any]:
    """Seconds around a replicate, one after the other in one slot."""
    first, *wanted = jobs(workspace, trials + 1)
    executor.warm(first.config, "cpu")
    carry_out(executor, [first], 1)  # the first one waits for the slot
    around: list[float] = []
    for job in wanted:
        seconds, _, (result,) = carry_out(executor, [job], 1)
        around.append(seconds - result.train_seconds - result.eval_seconds)
    executor.close()
    return {"median": round(statistics.median(around), 3), "most": round(max(around), 3), "trials": trials}


def busy(workspace: Workspace, address: str, slots: int, count: int, seconds: float) -> dict[str, Any]:
    """How busy so many slots of a Ray cluster are kept by made-up replicates."""
    executor = RayExecutor(
        workspace, address, "busy", RaySettings(cpus=0.01), parallel=slots, made_up=MadeUp(seconds=seconds)
    )
    executor.warm(None, "cpu")
    while len(executor.known()) < slots:
        time.sleep(0.5)
    wall, handed, came = carry_out(executor, jobs(workspace, count), slots)
    executor.close()
    # Those after the first so many had ended, by and large, when the last one was handed out.
    share = sum(one.train_seconds for one in came[: count - slots]) / (slots * handed)
    return {
        "replicates": count, "slots": slots, "seconds_each": seconds, "all_ended": round(wall, 1),
        "last_handed_out": round(handed, 1), "busy_until_then": round(share, 3),
    }  # fmt: skip


def main() -> None:
    """Print all of it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.executors", description=__doc__)
    parser.add_argument("--address", help="of a Ray cluster's head; this machine is a node of it")
    parser.add_argument("--slurm", action="store_true", help="also jobs of Slurm, whose commands are here")
    parser.add_argument("--trials", type=int, default=20, help="replicates of each kind")
    parser.add_argument("--replicates", type=int, default=1000)
    parser.add_argument("--slots", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=10.0)
    asked = parser.parse_args()
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace(Path(folder))
        workspace.create()
        for kind, made_up in (("made up", MadeUp()), ("real", None)):
            places: dict[str, Executor] = {"here": MadeUpExecutor(made_up) if made_up else LocalExecutor(1)}
            if asked.address:
                places["ray"] = RayExecutor(workspace, asked.address, kind, parallel=1, made_up=made_up)
            if asked.slurm:
                places["slurm"] = SlurmExecutor(workspace, kind, SlurmSettings(), 1, made_up=made_up)
            found[kind] = {name: overhead(executor, workspace, asked.trials) for name, executor in places.items()}
        if asked.address:
            found["busy"] = busy(workspace, asked.address, asked.slots, asked.replicates, asked.seconds)
    tell("seconds around a replicate, by where it trains", **found)


if __name__ == "__main__":
    main()
