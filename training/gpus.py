"""GPUs and the process that forks workers for the CPU. It imports torch, so it runs in worker processes only."""

import os

import torch


def hide_gpus() -> None:
    """Let torch find no GPU in this process and its forks; called before anything else is asked of torch.

    CUDA can't be used after a fork, but wherever torch finds a GPU it asks CUDA about things while it trains on the CPU
    (an optimizer, whether a graph is being captured), and each such question is an error in a fork.
    """
    if torch.version.cuda is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
