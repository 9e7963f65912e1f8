"""What carries out replicates, behind one interface: the processes of this machine, and clusters."""

from training.executors.choosing import ExecutorKind, executor_asked, executor_for
from training.executors.executor import Executor, Lost, Place, Running
from training.executors.local import LocalExecutor
from training.executors.madeup import Fault, MadeUp, MadeUpExecutor, made_up_result, made_up_score, make_up
from training.executors.settings import RayTables, SlurmTables, ray_settings

__all__ = [
    "Executor",
    "ExecutorKind",
    "Fault",
    "LocalExecutor",
    "Lost",
    "MadeUp",
    "MadeUpExecutor",
    "Place",
    "RayTables",
    "Running",
    "SlurmTables",
    "executor_asked",
    "executor_for",
    "made_up_result",
    "made_up_score",
    "make_up",
    "ray_settings",
]
