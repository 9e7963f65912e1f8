"""Checkpoints of one replicate: which are kept, how much disk they may take, how a child goes on from one.

The weights are a plain state_dict (`latest.pt`, which `puffer eval --load-model-path` takes too); what the optimizer
knew lies beside them (`latest.state.pt`) with the hash of the weights that it belongs to. Both are written aside and
renamed, and read with `weights_only=True`: a checkpoint is data, never code.
"""

import hashlib
import io
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import torch

from lab.base import SeedPaths
from training.adapter import Trainer

Value = TypeVar("Value", bound=Mapping[str, Any])


class Unfit(Exception):
    """A checkpoint can't be resumed from; the text says why in one line."""


def weights_hash(state: Mapping[str, torch.Tensor]) -> str:
    """SHA-256 over names and values, in the order of the names."""
    digest = hashlib.sha256()
    for name, tensor in sorted(state.items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


@dataclass
class Checkpoints:
    """The checkpoints that a replicate keeps."""

    paths: SeedPaths
    strategy: str
    """`latest`; `best`: also the best-scoring one; `all`: also each, as long as there is room."""
    limit_mib: int
    """Disk that all checkpoints together may take; the oldest of `all` go first."""
    cumulative_before: int
    """Steps behind the weights that training started with."""
    better: int = 1
    """1 when more is better, -1 when less is."""
    _best: float | None = field(default=None, init=False)

    def save(self, trainer: Trainer, score: float | None) -> None:
        """Keep the trainer's present state.

        Args:
            trainer: whose weights.
            score: of the training since the last time, None when nothing was logged.
        """
        self._write("latest", trainer, score)
        if self.strategy == "best" and score is not None:
            if self._best is None or score * self.better > self._best * self.better:
                self._best = score
                self._write("best", trainer, score)
        elif self.strategy == "all":
            self._write(f"step_{trainer.global_step:012d}", trainer, score)
            self._make_room()

    def _write(self, name: str, trainer: Trainer, score: float | None) -> None:
        weights = _in_main_memory(trainer.uncompiled_policy.state_dict())
        state = {
            **_in_main_memory(trainer.state()),
            "weights": weights_hash(weights),
            "cumulative_steps": self.cumulative_before + int(trainer.global_step),
            "score": score,
        }
        _save(self.paths.weights(name), weights)
        _save(state_path(self.paths.weights(name)), state)

    def _make_room(self) -> None:
        steps = sorted(path for path in self.paths.checkpoints.glob("step_*.pt") if not path.stem.endswith(".state"))
        while steps and sum(p.stat().st_size for p in self.paths.checkpoints.glob("*.pt")) > self.limit_mib * 2**20:
            oldest = steps.pop(0)
            oldest.unlink()
            state_path(oldest).unlink(missing_ok=True)


def state_path(weights: Path) -> Path:
    """The file beside the weights that holds what the optimizer knew."""
    return weights.with_suffix(".state.pt")


def _in_main_memory(value: Value) -> Value:
    """The same containers with every tensor where it can be read without a GPU, those that share their memory too."""
    if not any(tensor.device.type != "cpu" for tensor in _tensors(value)):
        return value
    copy = io.BytesIO()
    torch.save(value, copy)
    copy.seek(0)
    moved: Value = torch.load(copy, map_location="cpu", weights_only=False)  # what we wrote a moment ago
    return moved


def _tensors(value: Any) -> Iterator[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, (Mapping, list)):
        for part in value.values() if isinstance(value, Mapping) else value:
            yield from _tensors(part)


def _save(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.part")
    with aside.open("wb") as file:
        torch.save(value, file)
        file.flush()
        os.fsync(file.fileno())
    aside.replace(path)


@dataclass(frozen=True)
class Loaded:
    """A checkpoint to go on from."""

    weights: dict[str, torch.Tensor]
    state: dict[str, Any] | None
    """None when there is none, or it belongs to other weights."""
    note: str | None
    """Why there is no state."""

    @property
    def steps(self) -> int:
        """Steps behind the weights, over all runs that made them."""
        return int(self.state["cumulative_steps"]) if self.state else 0


def load(path: Path, device: str) -> Loaded:
    """Read a checkpoint.

    Raises:
        Unfit: it can't be read, or is not a plain mapping of names to tensors.
    """
    try:
        weights = torch.load(path, map_location=device, weights_only=True)
    except Exception as error:
        raise Unfit(f"checkpoint {path} can't be read as plain weights ({type(error).__name__})") from error
    if not isinstance(weights, dict) or not all(isinstance(value, torch.Tensor) for value in weights.values()):
        raise Unfit(f"checkpoint {path} is not the weights of a policy")
    try:
        # The optimizer takes its moments to the weights by itself, but not its counts, which belong on the CPU.
        state = torch.load(state_path(path), map_location="cpu", weights_only=True)
    except FileNotFoundError:
        return Loaded(weights, None, f"{path.name} has no optimizer state beside it: its moments start anew")
    except Exception as error:  # noqa: BLE001 - as above
        return Loaded(weights, None, f"the optimizer state of {path.name} can't be read ({type(error).__name__})")
    wanted = {"optimizer", "optimizer_state_dict", "weights", "cumulative_steps"}
    if not isinstance(state, dict) or not wanted <= state.keys() or state["weights"] != weights_hash(weights):
        return Loaded(weights, None, f"the optimizer state beside {path.name} belongs to other weights")
    return Loaded(weights, state, None)


def fit(policy: torch.nn.Module, loaded: Loaded, path: Path) -> None:
    """Put a checkpoint's weights into a policy.

    Raises:
        Unfit: they are of another shape; the policy is as it was.
    """
    own = policy.state_dict()
    missing, extra = sorted(own.keys() - loaded.weights), sorted(loaded.weights.keys() - own)
    other = [name for name in own.keys() & loaded.weights if own[name].shape != loaded.weights[name].shape]
    if missing or extra or other:
        what = [
            f"{name} is {_shape(loaded.weights[name])} there and {_shape(own[name])} here" for name in sorted(other)
        ]
        what += [f"{name} is not there" for name in missing] + [f"{name} is not here" for name in extra]
        more = f" and {len(what) - 3} more" if len(what) > 3 else ""
        raise Unfit(f"checkpoint {path.name} does not fit this policy: {'; '.join(what[:3])}{more}")
    policy.load_state_dict(loaded.weights)


def _shape(tensor: torch.Tensor) -> str:
    return "×".join(map(str, tensor.shape)) or "a number"
