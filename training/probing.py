"""The work of `autopilot probe`: measure, show a table, check that the score does not suffer, keep the preset."""

import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from lab.base import AutopilotError, InvalidInput, Problem, Workspace, now
from lab.judge import compare_runs
from lab.space import PRESETS, Config, Inventory, Measurement, Objective, StoredPreset, store
from lab.store import Notebook, RunState, create_run
from training.probe import Probe
from training.room import usable_cores
from training.run import Options, train_run
from training.runner import ProcessRunner

CHECK_SEEDS = 4
"""Replicates on each side of the comparison of scores."""


@dataclass
class Probing:
    """A call of `autopilot probe`."""

    workspace: Workspace
    inventory: Inventory
    config: Config
    """The start: a preset with what the person set."""
    base: str
    """Name of the preset that it starts from."""
    name: str
    """Name of the preset that is made."""
    settings: dict[str, Any]
    """Keys that the person set."""
    minutes: float
    show: Callable[[str, Measurement, Measurement | None], None]
    """Function that gets the name of what was measured, the measurement, and PufferLib's own."""
    note: Callable[[str], None]
    """Function that gets a line about what goes on."""

    def run(self, *, check_score: bool, stopping: Callable[[], bool]) -> StoredPreset:
        """Measure within the time, compare scores if wanted, store the preset.

        Args:
            check_score: train start and result at equal steps, on as many seeds each, and compare.
            stopping: polled; once true nothing more is done, and nothing is kept.

        Raises:
            AutopilotError: it was stopped.
            InvalidInput: the name is that of a preset that always exists.
        """
        if self.name in PRESETS:
            rule = "always exists and can't be replaced"
            raise InvalidInput([Problem(key="save-as", value=repr(self.name), rule=rule, valid="another name")])
        self.workspace.preset(self.name, self.config.env_name)  # refuses a name that is none, before anything is done
        environment = self.inventory.environment(self.config.env_name)
        runner = ProcessRunner()
        runner.warm(self.config, self.inventory.device(self.config.train["device"]))
        deadline = time.monotonic() + 60 * self.minutes
        where = str(self.workspace.root.absolute())
        probe = Probe(self.config, environment, self.inventory, runner, where, stopping)
        try:
            ini = probe.ini()
            if ini is not None:
                self.show("PufferLib's ini", ini, None)
            self._require_going_on(stopping)
            best = probe.run(deadline, lambda measurement: self.show("", measurement, ini))
            self._require_going_on(stopping)
            record = StoredPreset(
                name=self.name,
                env_name=self.config.env_name,
                base=self.base,
                overrides={**self.settings, **best.overrides},
                measured=now(),
                host=platform.node(),
                cores=usable_cores(),
                best=best,
                ini=ini,
                tried=tuple(probe.measured),
            )
            if check_score:
                record = self._checked(record, probe, runner, stopping)
            self.workspace.create()
            store(self.workspace, record)
            return record
        finally:
            runner.close()

    @staticmethod
    def _require_going_on(stopping: Callable[[], bool]) -> None:
        if stopping():
            raise AutopilotError("stopped: no preset was kept")

    def _checked(
        self, record: StoredPreset, probe: Probe, runner: ProcessRunner, stopping: Callable[[], bool]
    ) -> StoredPreset:
        """The result with its comparison; a result that scores worse gives way to the start in its fastest form."""
        self.workspace.create()
        notebook = Notebook(self.workspace)
        assert record.best is not None  # noqa: S101 - it was measured
        start = self._score(notebook, runner, self.config, "start", stopping)
        run = self._score(notebook, runner, self.config.with_overrides(record.best.overrides), "probed", stopping)
        verdict = compare_runs(notebook, run, start)
        text = verdict.verdict if verdict.verdict in ("better", "worse") else "not worse beyond noise"
        record = record.model_copy(update={"runs": (start, run), "verdict": text})
        if verdict.verdict != "worse":
            return record
        same = [m for m in probe.measured if _learns_alike(m, probe.measured[0])]
        best = max(same, key=lambda measurement: measurement.sps)
        self.note("the fastest topology scored worse: the fastest that learns like the start is kept")
        return record.model_copy(update={"best": best, "overrides": {**self.settings, **best.overrides}})

    def _score(
        self, notebook: Notebook, runner: ProcessRunner, config: Config, what: str, stopping: Callable[[], bool]
    ) -> str:
        objective = str(Objective.of(None, config.env_name))
        config = config.with_overrides({"autopilot.seeds": CHECK_SEEDS})
        run = create_run(notebook, config, {}, preset=f"{self.name}-check", objective=objective, arm=f"probe ({what})")
        self.note(f"training the {what} topology, {CHECK_SEEDS} seeds, {config.train['total_timesteps']:,} steps each")
        options = Options(requeue=False)
        run = train_run(notebook, runner, self.inventory, run.run_id, lambda _: None, stopping, options)
        if run.state is not RunState.FINISHED:
            raise InvalidInput(f"the {what} topology could not be scored: run {run.run_id} {run.state}: {run.reason}")
        return run.run_id


def _learns_alike(one: Measurement, other: Measurement) -> bool:
    """Whether two topologies have the same batch in the same minibatches: only their speed can differ."""
    key = "train.minibatch_size"
    return one.batch_size == other.batch_size and one.overrides.get(key) == other.overrides.get(key)
