"""What carries out replicates, behind one interface: the processes of this machine, and clusters."""

from training.executors.executor import Executor, Lost, Running
from training.executors.local import LocalExecutor

__all__ = ["Executor", "LocalExecutor", "Lost", "Running"]
