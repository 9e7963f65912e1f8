"""The index's tables, and what goes into them: one row for each run's folder, one for each line of a line file."""

import json
import os
import sqlite3
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from lab.base import Damaged, RunPaths, read_model
from lab.space import Config, identity, kinship
from lab.store.records import Confirmation, RunRecord, RunState, TrainerSummary, Verdict
from lab.store.summary import score_of

BUSY = 10.0
"""Seconds that a process waits for another one's writing."""
COLUMNS = 27
"""Of the table of runs."""
MAPPED = 2**27
"""Bytes of the file that are read without copying them."""

TABLES = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;
CREATE TABLE runs (
    run_id TEXT PRIMARY KEY, signature TEXT NOT NULL, settled INTEGER NOT NULL, damaged TEXT,
    env_name TEXT, objective TEXT, preset TEXT, task TEXT, state TEXT, arm TEXT, parent TEXT, proposal TEXT,
    session TEXT, replicates_of TEXT, legacy INTEGER, created REAL, finished REAL, last_seed INTEGER,
    goodness REAL, score REAL, low REAL, high REAL, n INTEGER, score_values TEXT, changed TEXT,
    nth INTEGER, counted INTEGER
);
CREATE TABLE texts (run_id TEXT PRIMARY KEY, config TEXT, record TEXT) WITHOUT ROWID;
CREATE TABLE places (run_id TEXT PRIMARY KEY, kin TEXT, fingerprint TEXT, place BLOB);
CREATE INDEX by_kin ON places (kin);
CREATE INDEX by_time ON runs (created, run_id);
CREATE INDEX by_number ON runs (nth);
CREATE INDEX to_count ON runs (created, run_id) WHERE counted = 1;
CREATE INDEX by_group ON runs (env_name, objective, preset, task, created);
CREATE INDEX by_score ON runs (env_name, objective, preset, task, goodness, legacy);
CREATE INDEX by_end ON runs (
    env_name, objective, preset, task, finished, run_id, replicates_of, goodness, score, damaged
);
CREATE INDEX by_kind ON runs (env_name, preset, state, arm, session);
CREATE INDEX by_parent ON runs (parent);
CREATE INDEX by_original ON runs (replicates_of);
CREATE INDEX by_session ON runs (session);
CREATE INDEX unsettled ON runs (settled) WHERE settled = 0;
CREATE TABLE verdicts (run_id TEXT PRIMARY KEY, time TEXT, verdict TEXT, line TEXT);
CREATE INDEX firsts ON verdicts (time) WHERE verdict = 'first';
CREATE TABLE confirmations (
    number INTEGER PRIMARY KEY, time TEXT, candidate TEXT, incumbent TEXT, outcome TEXT, line TEXT
);
CREATE INDEX by_candidate ON confirmations (candidate);
"""
VERSION = zlib.crc32(TABLES.encode()) % 2**31
"""Of the tables; an index with others is thrown away and made again."""


def prepared(base: sqlite3.Connection) -> sqlite3.Connection:
    """The connection, with the tables in it; those of another version are thrown away."""
    if base.execute("PRAGMA journal_mode").fetchone()[0] == "delete":  # a new file
        _log_ahead(base)
    base.execute("PRAGMA synchronous = NORMAL")  # it can be made again; the folders are flushed
    base.execute(f"PRAGMA mmap_size = {MAPPED}")
    if base.execute("PRAGMA user_version").fetchone()[0] == VERSION:
        return base
    with writing(base):
        if base.execute("PRAGMA user_version").fetchone()[0] != VERSION:  # another process may have been quicker
            for (name,) in base.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
                base.execute(f"DROP TABLE {name}")
            for statement in TABLES.split(";"):
                base.execute(statement)
            base.execute(f"PRAGMA user_version = {VERSION}")
    return base


def _log_ahead(base: sqlite3.Connection) -> None:
    """Readers beside a writer. Of several that come to a new file at once SQLite refuses some, and does not wait."""
    from tenacity import Retrying, retry_if_exception_message, stop_after_delay, wait_random

    locked = retry_if_exception_message("database is locked")
    for attempt in Retrying(retry=locked, stop=stop_after_delay(BUSY), wait=wait_random(0, 0.05), reraise=True):
        with attempt:
            base.execute("PRAGMA journal_mode = WAL")


@contextmanager
def writing(base: sqlite3.Connection) -> Iterator[None]:
    """A transaction: all or nothing, while no other process writes."""
    base.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        base.execute("ROLLBACK")
        raise
    base.execute("COMMIT")


_HERE = RunPaths(Path())
BEHIND = tuple(path.name for path in (_HERE.run, _HERE.config, _HERE.summary))
"""Names of the files behind a row."""


def signed(folder: str) -> str:
    """Changes whenever one of the files behind a row does; they are replaced, never written in place.

    Args:
        folder: the run's; a text, since this is asked of ten thousand at a time.
    """
    stamps = []
    for name in BEHIND:
        try:
            stat = os.stat(f"{folder}/{name}")  # noqa: PTH116
            stamps.append(f"{stat.st_mtime_ns}.{stat.st_ino}.{stat.st_size}")
        except OSError:
            stamps.append("-")
    return " ".join(stamps)


COUNT = """UPDATE runs SET nth = place.nth FROM (
    SELECT run_id, ROW_NUMBER() OVER (ORDER BY created, run_id) AS nth FROM runs WHERE counted = 1
) AS place WHERE runs.run_id = place.run_id AND runs.counted = 1 AND runs.nth IS NOT place.nth"""
"""Numbers of the runs whose records have none: in the order of their making."""


class Read(NamedTuple):
    """What one folder says."""

    row: tuple[Any, ...]
    config: str | None = None
    record: str | None = None
    place: tuple[str, str, bytes] | None = None
    """What kind of config, exactly which, and where among its kind: what `Questions.tried` goes by."""

    @property
    def damaged(self) -> str | None:
        """What is wrong with the folder; None where it can be read."""
        return None if self.row[3] is None else str(self.row[3])


def read(paths: RunPaths) -> Read:
    """One folder's row; a folder that can't be read has a row that says so."""
    signature = signed(str(paths.dir))
    try:
        record, config = read_model(paths.run, RunRecord), read_model(paths.config, Config)
        summary = read_model(paths.summary, TrainerSummary) if record.state is RunState.FINISHED else None
    except FileNotFoundError as error:
        why = f"{Path(error.filename).name} is missing"
    except (Damaged, OSError) as error:
        why = str(error)
    else:
        if record.run_id == paths.dir.name:
            return _row(paths, signature, record, config, summary)
        why = f"run.json is that of run {record.run_id}"
    return Read((paths.dir.name, signature, 0, why, *[None] * 23))


def _row(paths: RunPaths, signature: str, record: RunRecord, config: Config, summary: TrainerSummary | None) -> Read:
    goal = record.goal
    metric = summary.metrics.get(goal.metric) if summary else None
    score = score_of(goal, metric) if metric else None
    goodness = None if score is None else goal.sign * score.mean  # of any statistic, what is expected of one replicate
    kin, where = kinship(config.env_name, config.flat())
    row = (
        paths.dir.name,
        signature,
        int(record.state.ended),
        None,
        *record.group,
        record.state.value,
        record.arm,
        record.parent,
        record.proposal,
        record.session,
        record.replicates_of,
        int(record.legacy),
        record.created.timestamp(),
        record.finished.timestamp() if record.finished else None,
        max(record.seeds, default=None),
        goodness,
        score.value if score else None,
        score.low if score else None,
        score.high if score else None,
        score.n if score else None,
        json.dumps(list(score.values) if score else []),
        " ".join(_changed(paths)),
        record.number,
        int(record.number is None),
    )
    place = (kin, identity(config.env_name, config.flat()), where)
    return Read(row, config.model_dump_json(), record.model_dump_json(), place)


def _changed(paths: RunPaths) -> list[str]:
    """The keys that a run changed against its parent, or against the preset; written with it, once."""
    for path in (paths.config_diff, paths.override):
        try:
            content = json.loads(path.read_bytes())
        except (OSError, ValueError):
            continue
        if isinstance(content, dict) and content:
            return [str(key) for key in content]
    return []


def store(base: sqlite3.Connection, runs: Iterable[Read]) -> None:
    """Put what folders say in the place of what was there of them."""
    uncounted = False
    for one in runs:
        name, signature, _, damaged, *_, counted = one.row
        uncounted = uncounted or counted == 1
        if damaged is not None and base.execute("SELECT 1 FROM runs WHERE run_id = ?", (name,)).fetchone():
            # What it said before still counts for who is incumbent and which seeds are used.
            base.execute(
                "UPDATE runs SET signature = ?, settled = 0, damaged = ? WHERE run_id = ?", (signature, damaged, name)
            )
            continue
        base.execute(f"INSERT OR REPLACE INTO runs VALUES ({','.join('?' * COLUMNS)})", one.row)  # noqa: S608 - marks only
        base.execute("INSERT OR REPLACE INTO texts VALUES (?, ?, ?)", (name, one.config, one.record))
        base.execute("INSERT OR REPLACE INTO places VALUES (?, ?, ?, ?)", (name, *(one.place or (None, None, None))))
    if uncounted:
        base.execute(COUNT)


class Tail:
    """What has been added to a line file since it was read last."""

    def __init__(self, path: Path, known: dict[str, str]) -> None:
        self._path, self._key, self._half = path, path.name, f"damaged {path.name} (its end)"
        try:
            size = path.stat().st_size
        except FileNotFoundError:
            size = 0
        self._from = int(known.get(self._key, "0"))
        self._anew = size < self._from
        self.grew = size != self._from or self._half in known  # then it may have been mended

    def store(self, base: sqlite3.Connection) -> None:
        """Take it in; a line that is not whole yet is left for the next time, and noticed."""
        table = self._path.stem
        if self._anew:
            base.execute(f"DELETE FROM {table}")  # noqa: S608 - our own name
            base.execute("DELETE FROM meta WHERE key = ?", (f"damaged {self._key}",))
            self._from = 0
        # Asked again under the lock: another process may have read on in the meantime.
        known = base.execute("SELECT value FROM meta WHERE key = ?", (self._key,)).fetchone()
        start = self._from if self._anew or known is None else int(known[0])
        try:
            with self._path.open("rb") as file:
                file.seek(start)
                text = file.read()
        except FileNotFoundError:
            text = b""
        whole = text[: text.rfind(b"\n") + 1]
        for line in whole.splitlines():
            try:
                self._take(base, line)
            except ValidationError:
                why = f"has a line that is no {table.rstrip('s')}"
                base.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (f"damaged {self._key}", why))
        base.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (self._key, str(start + len(whole))))
        if text[len(whole) :]:
            base.execute("INSERT OR REPLACE INTO meta VALUES (?, 'is half a line')", (self._half,))
        else:
            base.execute("DELETE FROM meta WHERE key = ?", (self._half,))

    def _take(self, base: sqlite3.Connection, line: bytes) -> None:
        if self._path.stem == "verdicts":
            verdict = Verdict.model_validate_json(line)
            values = (verdict.run_id, verdict.time.isoformat(), verdict.verdict, verdict.model_dump_json())
            base.execute("INSERT OR IGNORE INTO verdicts VALUES (?, ?, ?, ?)", values)
        else:
            confirmation = Confirmation.model_validate_json(line)
            base.execute(
                "INSERT INTO confirmations (time, candidate, incumbent, outcome, line) VALUES (?, ?, ?, ?, ?)",
                (
                    confirmation.time.isoformat(),
                    confirmation.candidate,
                    confirmation.incumbent,
                    confirmation.outcome,
                    confirmation.model_dump_json(),
                ),
            )
