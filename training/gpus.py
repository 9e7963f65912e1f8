"""What training on a GPU needs beside PuffeRL, and who must not see one. Imports torch: worker processes only."""

import os
from typing import Any

import torch


def hide_gpus() -> None:
    """Let torch find no GPU in this process and its forks; called before anything else is asked of torch.

    CUDA can't be used after a fork, but wherever torch finds a GPU it asks CUDA about things while it trains on the CPU
    (an optimizer, whether a graph is being captured), and each such question is an error in a fork.
    """
    if torch.version.cuda is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = ""


class Precision:
    """PuffeRL's autocast, left again and without its cache of converted weights.

    PuffeRL enters its own twice for each minibatch and never leaves it. The cache is emptied on leaving the outermost:
    in bfloat16 the policy would act and learn with the weights of the first update to the end, and whatever comes
    after the training would be computed in bfloat16 too.
    """

    def __init__(self, device: str, precision: str) -> None:
        """Make one that is not entered yet.

        Args:
            device: kind of device whose operations are converted.
            precision: float32 or bfloat16.
        """
        self._autocast = torch.amp.autocast(device, dtype=getattr(torch, precision), cache_enabled=False)
        self._entered = 0

    def __enter__(self) -> None:
        if not self._entered:
            self._autocast.__enter__()  # type: ignore[no-untyped-call]  # torch's
        self._entered += 1

    def __exit__(self, *_: object) -> None:
        self._entered -= 1
        if not self._entered:
            self._autocast.__exit__(None, None, None)

    def leave(self) -> None:
        """Leave it, however often it was entered."""
        if self._entered:
            self._entered = 1
            self.__exit__()


class Offloaded:
    """Observations in the main memory: PuffeRL picks them by indices on the GPU, and wants them there."""

    def __init__(self, kept: torch.Tensor, device: str) -> None:
        self._kept, self._device = kept, device

    def __getitem__(self, rows: torch.Tensor) -> torch.Tensor:
        return self._kept[rows.to(self._kept.device)].to(self._device)

    def __setitem__(self, place: Any, observations: torch.Tensor) -> None:
        self._kept[place] = observations
