"""What is told apart by the GPUs of a machine, where there may be none."""

import os

import pytest

from training.gpus import hide_gpus


@pytest.mark.parametrize(("cuda", "visible"), [("13.0", ""), (None, "0")])
def test_a_process_that_forks_has_no_gpu_where_torch_is_built_for_cuda(
    monkeypatch: pytest.MonkeyPatch, cuda: str | None, visible: str
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    monkeypatch.setattr("torch.version.cuda", cuda)
    hide_gpus()
    assert os.environ["CUDA_VISIBLE_DEVICES"] == visible
