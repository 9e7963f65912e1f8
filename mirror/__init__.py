"""Mirrors of the record: runs and nights copied to MLflow, Weights & Biases and TensorBoard, for who looks there."""

from mirror.copying import Copied, copy_to_mlflow
from mirror.finished import copy_curves
from mirror.following import followed

__all__ = ["Copied", "copy_curves", "copy_to_mlflow", "followed"]
