"""What carries out replicates, behind one interface: the processes of this machine, and clusters."""

from training.executors.executor import Executor, Lost, Running
from training.executors.local import LocalExecutor
from training.executors.madeup import Fault, MadeUp, MadeUpExecutor, make_up

__all__ = ["Executor", "Fault", "LocalExecutor", "Lost", "MadeUp", "MadeUpExecutor", "Running", "make_up"]
