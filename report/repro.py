"""The commands that train a run again: same config, same seeds, same weights to go on from."""

import json
import shlex
from pathlib import PurePosixPath
from typing import Any

from lab.base import read_model
from lab.judge import preset_of
from lab.space import PRESETS, Config, Inventory, Objective, StoredPreset, diff
from lab.store import Notebook, RunRecord


def repro_commands(notebook: Notebook, inventory: Inventory, run: RunRecord) -> list[str]:
    """What trains the same config on the same seeds, from the same weights.

    Returns:
        One command; or one for each seed, where the replicates went on from files that no single name stands for, such
        as the best checkpoints of another run (a run's id stands for its last ones).
    """
    config = notebook.config(run.run_id)
    name, preset = preset_of(notebook, inventory, run)
    changed = {key: new for key, (_, new) in diff(preset, config).items() if new is not None}
    if name not in PRESETS:  # it may be measured again, and then say something else
        measured = read_model(notebook.workspace.preset(name, run.env_name), StoredPreset).overrides
        changed = {key: config.get(key) for key in measured if config.get(key) is not None} | changed
    changed.pop("autopilot.seeds", None)
    start = ["autopilot", "train", "--env", run.env_name, "--preset", name]
    if run.goal != Objective.of(None, run.env_name):
        start += ["--objective", run.objective]
    commands = []
    for seed, count, weights in _trainings(run, config):
        settings = {**changed, **weights, "train.seed": seed}
        parts = [f"{key}={setting(value)}" for key, value in settings.items()]
        commands.append(shlex.join([*start, "--seeds", str(count), *(x for part in parts for x in ("--set", part))]))
    return commands


def _trainings(run: RunRecord, config: Config) -> list[tuple[int, int, dict[str, str]]]:
    """First seed, number of seeds and weights to go on from, of each command that it takes to repeat a run."""
    if run.resume is None:
        return [(run.seeds[0], len(run.seeds), {})]
    files, key = run.resume.files, "autopilot.resume_from"
    by_path = str(config.get(key)).endswith(".pt") or run.resume.run_id is None
    if not by_path and all(PurePosixPath(file).name == "latest.pt" for file in files):
        return [(run.seeds[0], len(run.seeds), {key: str(run.resume.run_id)})]
    if len(set(files)) == 1:
        return [(run.seeds[0], len(run.seeds), {key: files[0]})]
    return [(seed, 1, {key: files[at % len(files)]}) for at, seed in enumerate(run.seeds)]


def setting(value: Any) -> str:
    """A value as `--set` reads it back: JSON, without quotes around a text that can't be taken for anything else."""
    if not isinstance(value, str):
        return json.dumps(value)
    try:
        json.loads(value.replace("_", ""))
    except ValueError:
        return value
    return json.dumps(value)
