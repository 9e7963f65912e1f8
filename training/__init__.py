"""The runner around PufferLib. Only its worker processes import torch and PufferLib."""

from training.executors import Executor, LocalExecutor, Place, RayTables, SlurmTables, executor_asked, executor_for
from training.fake import FakeRunner
from training.inventory import load_inventory, missing, require_loadable, stored_inventory
from training.probe import Probe
from training.probing import Probing
from training.process import PRIVATE, THREADS, start_worker
from training.protocol import Ended, ExportJob, Handover, Moment, OnProgress, Progress
from training.room import cpu_quota, room_for, usable_cores
from training.run import NEEDED, Options, Stopped, limit_text, require_space, train_run
from training.runner import Plan, ProcessRunner, Runner, SlotRunner

__all__ = [
    "NEEDED",
    "PRIVATE",
    "THREADS",
    "Ended",
    "Executor",
    "ExportJob",
    "FakeRunner",
    "Handover",
    "LocalExecutor",
    "Moment",
    "OnProgress",
    "Options",
    "Place",
    "Plan",
    "Probe",
    "Probing",
    "ProcessRunner",
    "Progress",
    "RayTables",
    "Runner",
    "SlotRunner",
    "SlurmTables",
    "Stopped",
    "cpu_quota",
    "executor_asked",
    "executor_for",
    "limit_text",
    "load_inventory",
    "missing",
    "require_loadable",
    "require_space",
    "room_for",
    "start_worker",
    "stored_inventory",
    "train_run",
    "usable_cores",
]
