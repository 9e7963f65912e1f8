"""An MLflow store, a file or a server, as a place where entries are put; the same entry again changes nothing.

Every entry is an MLflow run with a key of ours in its tags. What it holds is hashed into another tag, written last, so
that an entry whose copying was cut short is completed and one that is complete is left alone. Points only ever come
on top: a tag counts those that are there. A point that was written without being counted has the same step, value and
time when it comes again, which MLflow stores once.

Nothing but what is put here leaves the machine: the plain client adds no user, no source and no commit of its own, and
MLflow's own reports of how it is used are switched off.
"""

import hashlib
import json
import logging
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeVar

from lab.base import AutopilotError, plain

Answer = TypeVar("Answer")
KEY, HOLDS, POINTS = "autopilot.key", "autopilot.holds", "autopilot.points"
Status = Literal["SCHEDULED", "RUNNING", "FINISHED", "FAILED", "KILLED"]
BATCH = 999
"""Points of one request, which carries their count too. MLflow takes no more (mlflow.utils.validation)."""
LONGEST = {"params": 6000, "tags": 8000}
"""Characters of a value; MLflow takes no more."""
SQLITE = "sqlite:///"
QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",  # seven of its own, with pauses that double: minutes
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
}
"""Of MLflow's settings, those that are ours unless the environment says otherwise; reports of its use never."""


class Point(NamedTuple):
    """One value of one metric."""

    metric: str
    value: float
    """Finite."""
    step: int
    time: int
    """Milliseconds since 1970, the same whenever the point is read."""


@dataclass(frozen=True)
class Entry:
    """What one MLflow run is to hold."""

    key: str
    """It is found by this."""
    name: str
    status: Status
    began: datetime
    ended: datetime | None = None
    above: str | None = None
    """The MLflow run that it is shown under."""
    params: Mapping[str, Any] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    points: Sequence[Point] = ()
    """All that there are so far, in an order that only grows at its end."""
    files: Sequence[tuple[Path, str]] = ()
    """Each file with the folder that it goes to."""

    @property
    def holds(self) -> str:
        """A hash of everything that it holds."""
        said = [
            self.name,
            self.status,
            self.ended,
            self.above,
            dict(self.params),
            dict(self.tags),
            [one[:3] for one in self.points],
        ]
        digest = hashlib.sha256(json.dumps(said, default=str, sort_keys=True).encode())
        for path, folder in self.files:
            digest.update(f"{folder}/{path.name}".encode() + path.read_bytes())
        return digest.hexdigest()


@dataclass
class _Known:
    """An entry that is in the store."""

    run: str
    holds: str
    points: int
    running: bool


class Store:
    """A store of MLflow; used by one process at a time for each workspace."""

    def __init__(self, uri: str) -> None:
        """Open it; the file is made where it is not there.

        Args:
            uri: `sqlite:////full/path.db`, or the address of a server.

        Raises:
            AutopilotError: it can't be reached, or is none.
        """
        for name, value in QUIET.items():
            os.environ.setdefault(name, value)
        from mlflow import MlflowClient

        for name in ("mlflow", "alembic"):  # which tell of every table that they make
            logging.getLogger(name).setLevel(logging.ERROR)
        self._uri = uri
        self._known: dict[str, dict[str, _Known]] = {}
        self._experiments: dict[str, str] = {}
        self._client: Any = self._said(lambda: MlflowClient(uri))

    def put(self, experiment: str, entry: Entry) -> tuple[str, bool]:
        """Have the store hold an entry.

        Args:
            experiment: the name of MLflow's group of runs; it is made where it is not there.
            entry: what it is to hold.

        Returns:
            The MLflow run's id, and whether anything was written.

        Raises:
            AutopilotError: the store can't be reached, or refuses it.
        """
        return self._said(lambda: self._put(self._experiment(experiment), entry))

    def run_of(self, experiment: str, key: str) -> str | None:
        """The MLflow run of an entry, if the store has it."""
        known = self._said(lambda: self._entries(self._experiment(experiment))).get(key)
        return known.run if known else None

    def give_up(self, experiment: str, prefix: str, but: str) -> None:
        """Mark as killed what still runs under keys that begin alike, but for one key: attempts that were cut short."""

        def mark() -> None:
            for key, known in self._entries(self._experiment(experiment)).items():
                if key.startswith(prefix) and key != but and known.running:
                    self._client.set_terminated(known.run, "KILLED")
                    known.running = False

        self._said(mark)

    def link(self, experiment: str, run: str) -> str:
        """Where the store's page shows a run, without the address."""
        return f"#/experiments/{self._said(lambda: self._experiment(experiment))}/runs/{run}"

    def _put(self, experiment: str, entry: Entry) -> tuple[str, bool]:
        from mlflow.entities import Metric, Param, RunTag

        holds, known = entry.holds, self._entries(experiment).get(entry.key)
        if known is not None and known.holds == holds:
            return known.run, False
        began = _millis(entry.began)
        tags = dict(entry.tags) | ({"mlflow.parentRunId": entry.above} if entry.above else {})
        tags = {key: _text(value, "tags") for key, value in tags.items()} | {"mlflow.runName": entry.name}
        if known is None:
            made = self._client.create_run(experiment, began, {**tags, KEY: entry.key})
            known = self._entries(experiment)[entry.key] = _Known(made.info.run_id, "", 0, running=True)
        else:
            self._client.log_batch(known.run, tags=[RunTag(key, value) for key, value in tags.items()])
        if known.points == 0:
            params = [Param(_name(key), _text(value, "params")) for key, value in entry.params.items()]
            for some in _batches(params, 100):
                self._client.log_batch(known.run, params=some)
        for some in _batches(entry.points[known.points :], BATCH):
            metrics = [Metric(_name(one.metric), one.value, one.time, one.step) for one in some]
            known.points += len(some)
            self._client.log_batch(known.run, metrics=metrics, tags=[RunTag(POINTS, str(known.points))])
        for path, folder in entry.files:
            self._client.log_artifact(known.run, str(path), folder or None)
        if entry.status in ("RUNNING", "SCHEDULED"):
            self._client.update_run(known.run, status=entry.status)
        else:
            self._client.set_terminated(known.run, entry.status, _millis(entry.ended) if entry.ended else began)
        self._client.set_tag(known.run, HOLDS, holds)
        known.holds, known.running = holds, entry.status == "RUNNING"
        return known.run, True

    def _experiment(self, name: str) -> str:
        if name not in self._experiments:
            found = self._client.get_experiment_by_name(name)
            self._experiments[name] = found.experiment_id if found else self._make(name)
        return self._experiments[name]

    def _make(self, name: str) -> str:
        if not self._uri.startswith(SQLITE):
            return str(self._client.create_experiment(name))
        file = Path(self._uri.removeprefix(SQLITE))  # without a server the client asks where artifacts are to lie
        folder = file.with_name(f"{file.stem}-artifacts") / re.sub(r"[^\w.-]", "_", name)
        return str(self._client.create_experiment(name, artifact_location=folder.as_uri()))

    def _entries(self, experiment: str) -> dict[str, _Known]:
        """What the store has, by key; asked once, since nobody else writes entries of this workspace."""
        if experiment not in self._known:
            found, token = {}, None
            while True:
                page = self._client.search_runs([experiment], "", max_results=1000, page_token=token)
                for run in page:
                    tags = run.data.tags
                    if key := tags.get(KEY):
                        points = tags.get(POINTS, "0")
                        count = int(points) if points.isdecimal() else 0
                        running = run.info.status == "RUNNING"
                        found[key] = _Known(run.info.run_id, tags.get(HOLDS, ""), count, running)
                if not (token := page.token):
                    break
            self._known[experiment] = found
        return self._known[experiment]

    def _said(self, work: Callable[[], Answer]) -> Answer:
        try:
            return work()
        except AutopilotError:
            raise
        except Exception as error:
            why = plain(" ".join(str(error).split()), 300)
            raise AutopilotError(f"mlflow at {self._uri}: {type(error).__name__}: {why}") from error


def _name(key: str) -> str:
    """A key as MLflow takes it."""
    return re.sub(r"[^\w.\- :/]", "_", key)[:250]


def _text(value: Any, kind: str) -> str:
    return str(value)[: LONGEST[kind]]


def _millis(time: datetime) -> int:
    return int(time.timestamp() * 1000)


def _batches(items: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
