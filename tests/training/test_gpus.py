"""What is told apart by the GPUs of a machine, where there may be none."""

import os
import subprocess
import sys
from typing import Any

import pytest

from lab.space.config import Config
from lab.space.inventory import Inventory
from lab.space.validate import check_overrides
from lab.store.creation import create_run
from lab.store.notebook import Notebook
from training.executors.local import LocalExecutor
from training.gpus import hide_gpus
from training.inventory import inventory_path
from training.protocol import TrainJob
from training.room import usable_gpus
from training.runner import Plan


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

    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    monkeypatch.setattr("torch.version.cuda", cuda)
    hide_gpus()
    assert os.environ["CUDA_VISIBLE_DEVICES"] == visible


def test_auto_is_the_best_device_and_its_batch_lies_there(config: Config, inventory: Inventory) -> None:
    with_gpu = inventory.model_copy(update={"devices": ("cuda", "cpu"), "memory_gib": 0.1})
    assert [with_gpu.device(wanted) for wanted in ("auto", "cpu")] == ["cuda", "cpu"]
    assert check_overrides(config, {"train.device": "auto"}, with_gpu) == []
    assert [problem.key for problem in check_overrides(config, {"train.device": "cpu"}, with_gpu)] == ["env.num_envs"]


class Made:
    """The command and the environment of each process that would have been started."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.visible: list[str | None] = []
        self.usual = subprocess.Popen
        monkeypatch.setattr("training.process.subprocess.Popen", self.start)

    def start(self, command: list[str], **more: Any) -> Any:
        if "training.worker" not in command:
            return self.usual(command, **more)
        self.visible.append(more["env"].get("CUDA_VISIBLE_DEVICES"))
        idle = [sys.executable, "-c", "import sys; sys.stdin.read()"]
        return self.usual(idle, **{**more, "stdin": subprocess.PIPE})


def cuda_jobs(notebook: Notebook, config: Config, inventory: Inventory, count: int) -> list[TrainJob]:
    config = config.with_overrides({"autopilot.seeds": count})
    run = create_run(notebook, config, {}, preset="quick", objective="perf:max", arm="person")
    plan = Plan(run, config, run.seeds, notebook.workspace, inventory.environment(config.env_name), "cuda", run.goal)
    return [plan.job(seed) for seed in run.seeds]


def test_each_gpu_is_a_slot_whose_replicate_sees_that_one_alone(
    monkeypatch: pytest.MonkeyPatch, notebook: Notebook, config: Config, inventory: Inventory
) -> None:
    made = Made(monkeypatch)
    executor = LocalExecutor(gpus=("0", "1", "GPU-3a"))
    slots = executor.slots(config, inventory.environment(config.env_name), "cuda")
    assert slots == 3
    jobs = cuda_jobs(notebook, config, inventory, 5)
    try:
        running = [executor.begin(job, slots) for job in jobs[:4]]
        assert [one.place if one else None for one in running] == ["GPU 0", "GPU 1", "GPU GPU-3a", None]
        assert made.visible == ["0", "1", "GPU-3a"]
        second = running[1]
        assert second is not None
        second.end()
        second.end()  # its slot is given back once
        running += [executor.begin(jobs[3], slots), executor.begin(jobs[4], slots)]
        assert [one.place if one else None for one in running[4:]] == ["GPU 1", None]
    finally:
        for one in running:
            if one is not None:
                one.end()
        executor.close()


def test_more_replicates_than_gpus_are_divided_evenly_and_one_gpu_is_left_as_it_is(
    monkeypatch: pytest.MonkeyPatch, notebook: Notebook, config: Config, inventory: Inventory
) -> None:
    made = Made(monkeypatch)
    environment = inventory.environment(config.env_name)
    two, one = LocalExecutor(4, gpus=("0", "1")), LocalExecutor(gpus=("0",))
    assert [two.slots(config, environment, "cuda"), one.slots(config, environment, "cuda")] == [4, 1]
    two.warm(config, "cuda")
    assert made.visible == ["0", "1", "0", "1"]
    running = [two.begin(job, 4) for job in cuda_jobs(notebook, config, inventory, 4)]
    running.append(one.begin(cuda_jobs(notebook, config, inventory, 1)[0], 1))
    try:
        assert len(made.visible) == 5, "the workers that were started ahead are taken"
        assert made.visible[4] == os.environ.get("CUDA_VISIBLE_DEVICES")
    finally:
        for each in running:
            assert each is not None
            each.end()
        two.close()
        one.close()


def test_the_gpus_are_those_that_the_environment_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", " 2, MIG-1 ")
    assert usable_gpus() == ("2", "MIG-1")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert usable_gpus() == ()
