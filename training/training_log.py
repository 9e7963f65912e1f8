"""The logs of a replicate in training: points of its curves, progress, whether its target is reached.

It imports torch, so it runs in worker processes only.
"""

import contextlib
import time
from collections.abc import Callable
from typing import Any

import psutil
import torch

from lab.base import Columns, numbers, parted
from lab.store import COUNTS, map_metrics
from training import adapter
from training.protocol import OnProgress, Progress, TrainJob

ASK_EACH = 1.0
"""Seconds between two questions to the GPU's driver, as PuffeRL's own thread leaves: the training waits for each."""

OnLog = Callable[[dict[str, float], int], None]


class Diverged(Exception):
    """Losses or weights are no longer finite."""


class TrainingLog:
    """The logs of one training, passed on as curves and as progress."""

    def __init__(self, job: TrainJob, total: int, device: str, on_log: OnLog, on_progress: OnProgress) -> None:
        """Begin with nothing logged.

        Args:
            job: what is trained.
            total: agent steps that it trains for.
            device: cpu, cuda or mps.
            on_log: gets every point as plain numbers, and the agent steps so far.
            on_progress: gets the same as progress.
        """
        self._job, self._total, self._device = job, total, device
        self._on_log, self._on_progress = on_log, on_progress
        self.settled = False
        """The first log has all names that there will be."""
        self.reached: float | None = None
        """The latest training score where it is as good as the target; else None."""
        self._columns = Columns()
        self._scores: list[float] = []
        self._process = psutil.Process()
        self._process.cpu_percent()  # the first call only starts the clock
        self._gpu: dict[str, float] = {}
        self._asked = -ASK_EACH

    def take(self, logs: dict[str, Any], step: int) -> None:
        """Pass one point of PuffeRL's on, and keep the score in it.

        Args:
            logs: what PuffeRL logged, losses included.
            step: agent steps so far.

        Raises:
            Diverged: a loss is not finite.
            Unusable: the environment does not log the objective and never will.
        """
        measured = numbers(logs, several=False) | self._utilization()
        finite, odd = parted(measured)
        for key in ("losses/policy_loss", "losses/value_loss"):
            if key in odd:
                raise Diverged(f"{key} became {odd[key]} at step {step:,}")
        self._require_the_objective(measured)
        self._on_log(self._columns.named({"agent_steps": float(step), **finite}), step)
        raw = finite.get(f"environment/{self._job.score}")
        score = None if raw is None else raw * self._job.score_scale
        if score is not None:
            self._scores.append(score)
            self.reached = score if self._is_enough(score) else None
        sps = finite.get("SPS", 0.0)
        self._on_progress(
            Progress(seed=self._job.seed, phase="train", steps=step, total=self._total, sps=sps, score=score)
        )

    def score_since(self) -> float | None:
        """The mean training score since the last checkpoint."""
        scores, self._scores = self._scores, []
        return sum(scores) / len(scores) if scores else None

    def _require_the_objective(self, logged: dict[str, float]) -> None:
        """Raise where the objective is never logged: the whole training would be for nothing."""
        place = "environment/"
        raw = {name.removeprefix(place): value for name, value in logged.items() if name.startswith(place)}
        if raw and self.settled and self._job.score not in {*raw, *COUNTS}:
            known = ", ".join(sorted(map_metrics(raw, self._job.config.env_name)))
            raise adapter.Unusable(f"the environment logged no {self._job.score!r} and never will: it logs {known}")

    def _is_enough(self, score: float) -> bool:
        target = self._job.config.autopilot.get("target_score")
        if target is None:
            return False
        return not self._job.goal.better(float(target), score)

    def _utilization(self) -> dict[str, float]:
        measured = {
            "system/cpu_percent": self._process.cpu_percent(),  # of one core, since the last log
            "system/memory_mib": self._process.memory_info().rss / 2**20,
        }
        if self._device == "cuda" and time.monotonic() - self._asked > ASK_EACH:
            self._asked, self._gpu = time.monotonic(), _gpu()
        return measured | self._gpu


def _gpu() -> dict[str, float]:
    free, total = torch.cuda.mem_get_info()
    measured = {"system/vram_percent": 100 * (1 - free / total)}
    with contextlib.suppress(Exception):  # NVML may be missing or fail; the training does not depend on it
        measured["system/gpu_percent"] = float(torch.cuda.utilization())
    return measured
