"""What is told apart by the GPUs of a machine, where there may be none."""

import os

import pytest

from lab.space.config import Config
from lab.space.inventory import Inventory
from lab.space.validate import check_overrides
from training.inventory import inventory_path


def test_an_inventory_is_of_the_gpus_that_may_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else one that was made while they were hidden would be believed for good, and the other way round."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    all_of_them = inventory_path()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert inventory_path() != all_of_them
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    assert inventory_path() == all_of_them


@pytest.mark.parametrize(("cuda", "visible"), [("13.0", ""), (None, "0")])
def test_a_process_that_forks_has_no_gpu_where_torch_is_built_for_cuda(
    monkeypatch: pytest.MonkeyPatch, cuda: str | None, visible: str
) -> None:
    from training.gpus import hide_gpus  # which imports torch: seconds, not for whoever collects the tests

    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    monkeypatch.setattr("torch.version.cuda", cuda)
    hide_gpus()
    assert os.environ["CUDA_VISIBLE_DEVICES"] == visible


def test_auto_is_the_best_device_and_its_batch_lies_there(config: Config, inventory: Inventory) -> None:
    with_gpu = inventory.model_copy(update={"devices": ("cuda", "cpu"), "memory_gib": 0.1})
    assert [with_gpu.device(wanted) for wanted in ("auto", "cpu")] == ["cuda", "cpu"]
    assert check_overrides(config, {"train.device": "auto"}, with_gpu) == []
    assert [problem.key for problem in check_overrides(config, {"train.device": "cpu"}, with_gpu)] == ["env.num_envs"]
