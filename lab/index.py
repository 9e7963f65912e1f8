"""The index: what every run's folder says, in one SQLite file, so that no question opens ten thousand folders.

The folders are the truth and the index can be deleted at any time. `Index` brings it up to date before each
question, and looks only where something can have changed: the folder of the runs tells by its own time stamp that runs
came or went, runs that have not ended (and damaged ones) are looked at each time, verdicts are read on from where they
were read to. An ended run never changes by our hand; `Index.trust` looks once more at the files behind what is answered
and reads a folder again that somebody else changed.

WAL: any number of processes read while one writes, and each of them may bring the index up to date. Where it can't be
written (a read-only disk, a full one) it is kept in memory instead.
"""

import json
import os
import sqlite3
import threading
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from pydantic import ValidationError

from lab.config import Config
from lab.environments import objective_of
from lab.errors import Damaged
from lab.files import read_model
from lab.paths import RunPaths, Workspace, is_id
from lab.records import Confirmation, Group, RunRecord, RunState, TrainerSummary, Verdict
from lab.space import identity, kinship

SETTLED = 0.1
"""Seconds after which a folder's time stamp is believed: a second change within one tick of the clock leaves it."""
MAPPED = 2**27
"""Bytes of the file that are read without copying them."""
BUSY = 10.0
"""Seconds that a process waits for another one's writing."""

TABLES = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;
CREATE TABLE runs (
    run_id TEXT PRIMARY KEY, signature TEXT NOT NULL, settled INTEGER NOT NULL, damaged TEXT,
    env_name TEXT, objective TEXT, preset TEXT, task TEXT, state TEXT, arm TEXT, parent TEXT, proposal TEXT,
    session TEXT, replicates_of TEXT, legacy INTEGER, created REAL, finished REAL, last_seed INTEGER,
    goodness REAL, score REAL, low REAL, high REAL, n INTEGER, score_values TEXT,
    fingerprint TEXT, kin TEXT
);
CREATE TABLE texts (run_id TEXT PRIMARY KEY, config TEXT, record TEXT) WITHOUT ROWID;
CREATE TABLE places (run_id TEXT PRIMARY KEY, kin TEXT, fingerprint TEXT, place BLOB);
CREATE INDEX by_kin ON places (kin);
CREATE INDEX by_time ON runs (created, run_id);
CREATE INDEX by_group ON runs (env_name, objective, preset, task, created);
CREATE INDEX by_score ON runs (env_name, objective, preset, task, goodness, legacy);
CREATE INDEX by_end ON runs (
    env_name, objective, preset, task, finished, run_id, replicates_of, goodness, score
);
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
CREATE TABLE importance (
    env_name TEXT, objective TEXT, preset TEXT, task TEXT, runs INTEGER, computed REAL, shares TEXT,
    PRIMARY KEY (env_name, objective, preset, task)
);
"""
VERSION = zlib.crc32(TABLES.encode()) % 2**31
"""Of the tables; an index with others is thrown away and made again."""
Answer = TypeVar("Answer")
OF_GROUP = "env_name = ? AND objective = ? AND preset = ? AND task = ?"


class Row(NamedTuple):
    """A run as lists show it."""

    run_id: str
    state: str
    env_name: str
    preset: str
    objective: str
    arm: str
    parent: str | None
    session: str | None
    replicates_of: str | None
    legacy: bool
    created: float
    """Seconds since 1970, as `finished`."""
    finished: float | None
    score: float | None
    """Mean of the objective over the replicates; None unless it finished."""
    low: float | None
    high: float | None
    n: int | None
    values: tuple[float, ...]
    verdict: str | None


COLUMNS = ("runs.run_id, state, env_name, preset, objective, arm, parent, session, replicates_of, legacy, created,"
           " finished, score, low, high, n, score_values, verdicts.verdict")  # fmt: skip
FROM = "runs LEFT JOIN verdicts ON verdicts.run_id = runs.run_id"


@dataclass
class Index:
    """One workspace's; each thread has a connection of its own."""

    workspace: Workspace
    _local: threading.local = field(default_factory=threading.local, init=False, repr=False)

    # --- questions -----------------------------------------------------------------------------------------------

    def rows(self, where: str = "1", values: Sequence[Any] = (), *, order: str = "created, runs.run_id",
             limit: int = -1) -> list[Row]:  # fmt: skip
        """Readable runs; the SQL is the caller's own, never a user's text.

        Args:
            where: a condition on the columns of `runs` and `verdicts`, with `?` for values.
            values: for it.
            order: how they are sorted.
            limit: how many at most; -1 for all.
        """
        query = f"SELECT {COLUMNS} FROM {FROM} WHERE damaged IS NULL AND ({where}) ORDER BY {order} LIMIT ?"  # noqa: S608

        def ask(base: sqlite3.Connection) -> list[Row]:
            found = base.execute(query, (*values, limit))
            return [Row._make((*r[:9], bool(r[9]), *r[10:16], tuple(json.loads(r[16])), r[17])) for r in found]

        return self.trust(ask, lambda found: (row.run_id for row in found))

    def records(self, where: str = "1", values: Sequence[Any] = (), *, newest: int = -1) -> list[RunRecord]:
        """The records of readable runs, oldest first.

        Args:
            where: as in `rows`.
            values: for it.
            newest: how many at most, the latest ones; -1 for all.
        """
        query = (
            f"SELECT runs.run_id, record FROM runs JOIN texts USING (run_id) WHERE damaged IS NULL AND ({where})"  # noqa: S608
            " ORDER BY created DESC, runs.run_id DESC LIMIT ?"
        )
        found = self.trust(
            lambda base: base.execute(query, (*values, newest)).fetchall(), lambda rows: (row[0] for row in rows)
        )
        return [RunRecord.model_validate_json(text) for _, text in reversed(found)]

    def ask(self, query: str, values: Sequence[Any] = ()) -> list[Any]:
        """Rows of the tables above, brought up to date first."""
        with self._base() as base:
            self._sync(base)
            return base.execute(query, values).fetchall()

    def keep(self, statement: str, values: Sequence[Any]) -> None:
        """Store something worked out from the rows."""
        with self._base() as base, _writing(base):
            base.execute(statement, values)

    def damaged(self) -> dict[str, str]:
        """Name of a folder or file to what is wrong with it."""
        folders = dict(self.ask("SELECT run_id, damaged FROM runs WHERE damaged IS NOT NULL ORDER BY run_id"))
        lines = self.ask("SELECT substr(key, 9), value FROM meta WHERE key LIKE 'damaged %'")
        return {**folders, **dict(lines)}

    def verdicts(self) -> dict[str, Verdict]:
        """Run id to its verdict: the first one counts, one is never taken back."""
        return {run: Verdict.model_validate_json(line) for run, line in self.ask("SELECT run_id, line FROM verdicts")}

    def verdict(self, run_id: str) -> Verdict | None:
        """One run's."""
        found = self.ask("SELECT line FROM verdicts WHERE run_id = ?", (run_id,))
        return Verdict.model_validate_json(found[0][0]) if found else None

    def confirmations(self, candidate: str | None = None, *, group: Group | None = None) -> list[Confirmation]:
        """What became of candidates for the place of the incumbent, in order; those of one run or group if given."""
        where, values = ("candidate = ?", (candidate,)) if candidate else ("1", ())
        if group is not None:
            mine = f"SELECT run_id FROM runs WHERE damaged IS NULL AND {OF_GROUP}"  # noqa: S608
            where, values = f"{where} AND candidate IN ({mine})", (*values, *group)
        query = f"SELECT line FROM confirmations WHERE {where} ORDER BY number"  # noqa: S608
        return [Confirmation.model_validate_json(line) for (line,) in self.ask(query, values)]

    def incumbent(self, group: Group) -> str | None:
        """The run that was confirmed last, else the first one of the group."""
        crowned = (
            f"SELECT candidate FROM confirmations CROSS JOIN runs ON run_id = candidate WHERE outcome = 'confirmed'"  # noqa: S608
            f" AND {OF_GROUP} ORDER BY number DESC LIMIT 1"
        )
        first = (
            f"SELECT runs.run_id FROM verdicts CROSS JOIN runs ON runs.run_id = verdicts.run_id WHERE verdict = 'first'"  # noqa: S608
            f" AND {OF_GROUP} ORDER BY time LIMIT 1"
        )
        found = self.ask(crowned, tuple(group)) or self.ask(first, tuple(group))
        return str(found[0][0]) if found else None

    # --- keeping it true -----------------------------------------------------------------------------------------

    def trust(self, ask: Callable[[sqlite3.Connection], Answer], named: Callable[[Answer], Iterable[str]]) -> Answer:
        """An answer whose runs' files are as the index has them.

        Args:
            ask: takes a connection, returns the answer.
            named: takes the answer, returns the runs in it.
        """
        with self._base() as base:
            self._sync(base)
            found = ask(base)
            if self._mend(base, list(named(found))):
                found = ask(base)
            return found

    def rebuild(self) -> int:
        """Make it again from the folders; how many runs it holds then, damaged ones included."""
        with self._base() as base:
            found = [_read(self.workspace.run(name)) for name in self._folders()]
            with _writing(base):
                for table in ("runs", "texts", "places", "verdicts", "confirmations", "importance", "meta"):
                    base.execute(f"DELETE FROM {table}")  # noqa: S608 - fixed names
                _store(base, found)
            self._sync(base)
            return len(found)

    def _sync(self, base: sqlite3.Connection) -> None:
        stamp, changed = self._stamp(), list[Read]()
        gone: set[str] = set()
        known = dict(base.execute("SELECT key, value FROM meta"))
        if stamp is None or known.get("stamp") != stamp:
            here = set(self._folders())
            there = {name for (name,) in base.execute("SELECT run_id FROM runs")}
            gone = there - here
            changed += [_read(self.workspace.run(name)) for name in sorted(here - there)]
        for name, signature in base.execute("SELECT run_id, signature FROM runs WHERE settled = 0").fetchall():
            if name not in gone and _signature(self.workspace.run(name)) != signature:
                changed.append(_read(self.workspace.run(name)))
        added = [tail for tail in (_Tail(self.workspace.verdicts, known), _Tail(self.workspace.confirmations, known))
                 if tail.grew]  # fmt: skip
        if not (changed or gone or added or (stamp is not None and known.get("stamp") != stamp)):
            return
        with _writing(base):
            for table in ("runs", "texts", "places"):
                base.executemany(f"DELETE FROM {table} WHERE run_id = ?", [(name,) for name in gone])  # noqa: S608
            _store(base, changed)
            for tail in added:
                tail.store(base)
            if stamp is not None:
                base.execute("INSERT OR REPLACE INTO meta VALUES ('stamp', ?)", (stamp,))

    def _mend(self, base: sqlite3.Connection, names: list[str]) -> bool:
        """Read again what somebody else changed behind our back; whether there was anything."""
        marks = ",".join("?" * len(names))
        query = f"SELECT run_id, signature FROM runs WHERE run_id IN ({marks})"  # noqa: S608 - marks only
        pairs = base.execute(query, names).fetchall() if len(names) < 30_000 else base.execute(
            "SELECT run_id, signature FROM runs").fetchall()  # fmt: skip
        changed = [name for name, signature in pairs if _signature(self.workspace.run(name)) != signature]
        if changed:
            with _writing(base):
                _store(base, [_read(self.workspace.run(name)) for name in changed])
        return bool(changed)

    def _stamp(self) -> str | None:
        """When a run came or went last; None while that is too fresh to be believed."""
        try:
            at = self.workspace.runs.stat().st_mtime_ns
        except FileNotFoundError:
            return "none"
        return str(at) if time.time() - at / 1e9 > SETTLED else None

    def _folders(self) -> Iterator[str]:
        if not self.workspace.runs.is_dir():
            return
        with os.scandir(self.workspace.runs) as entries:
            for entry in entries:
                if is_id(entry.name) and entry.is_dir():
                    yield entry.name

    # --- connections ---------------------------------------------------------------------------------------------

    @contextmanager
    def _base(self) -> Iterator[sqlite3.Connection]:
        """This thread's connection; a file that is no such database is thrown away."""
        base: sqlite3.Connection | None = getattr(self._local, "base", None)
        if base is None or not self._is_mine(base):
            self._local.base = base = self._open()
        try:
            yield base
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError) and "locked" in str(error):
                raise
            base.close()
            self._local.base = None
            if isinstance(error, sqlite3.OperationalError):  # a full or read-only disk
                raise Damaged(f"{self.workspace.index}: {error}") from error
            self._discard()
            raise Damaged(
                f"{self.workspace.index} was damaged ({error}) and has been thrown away: try again"
            ) from error

    def _is_mine(self, base: sqlite3.Connection) -> bool:
        """The file it was opened on is still the one there; in memory, there still is no folder for one."""
        inode: int | None = self._local.inode
        return self._local.in_vain or (inode == _inode(self.workspace.index) if inode else not self._possible())

    def _possible(self) -> bool:
        """There is something to index and a place for it; to ask about an empty workspace leaves nothing behind."""
        writable = self.workspace.runs.is_dir() and os.access(self.workspace.runs, os.W_OK)
        return writable and (self.workspace.index.exists() or next(self._folders(), None) is not None)

    def _open(self) -> sqlite3.Connection:
        self._local.inode, self._local.in_vain = None, False
        for _ in range(2 if self._possible() else 0):
            try:
                base = _prepared(sqlite3.connect(self.workspace.index, timeout=BUSY, isolation_level=None))
            except sqlite3.OperationalError:  # locked for long, or the disk is full
                break
            except sqlite3.DatabaseError:  # no database: made again
                self._discard()
            else:
                self._local.inode = _inode(self.workspace.index)
                return base
        self._local.in_vain = self._possible()
        return _prepared(sqlite3.connect(":memory:", isolation_level=None))

    def _discard(self) -> None:
        for ending in ("", "-wal", "-shm"):
            self.workspace.index.with_name(self.workspace.index.name + ending).unlink(missing_ok=True)


def _inode(path: Path) -> int | None:
    try:
        return path.stat().st_ino
    except FileNotFoundError:
        return None


def _prepared(base: sqlite3.Connection) -> sqlite3.Connection:
    base.execute("PRAGMA journal_mode = WAL")
    base.execute("PRAGMA synchronous = NORMAL")  # it can be made again; the folders are flushed
    base.execute(f"PRAGMA mmap_size = {MAPPED}")
    if base.execute("PRAGMA user_version").fetchone()[0] == VERSION:
        return base
    with _writing(base):
        if base.execute("PRAGMA user_version").fetchone()[0] != VERSION:  # another process may have been quicker
            for (name,) in base.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
                base.execute(f"DROP TABLE {name}")
            for statement in TABLES.split(";"):
                base.execute(statement)
            base.execute(f"PRAGMA user_version = {VERSION}")
    return base


@contextmanager
def _writing(base: sqlite3.Connection) -> Iterator[None]:
    base.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        base.execute("ROLLBACK")
        raise
    base.execute("COMMIT")


# --- folders -----------------------------------------------------------------------------------------------------


def _signature(paths: RunPaths) -> str:
    """Changes whenever one of the files behind a row does; they are replaced, never written in place."""
    found = []
    for path in (paths.run, paths.config, paths.summary):
        try:
            stat = os.stat(path)  # noqa: PTH116 - called ten thousand times
            found.append(f"{stat.st_mtime_ns}.{stat.st_ino}.{stat.st_size}")
        except OSError:
            found.append("-")
    return " ".join(found)


class Read(NamedTuple):
    """What one folder says."""

    row: tuple[Any, ...]
    config: str | None = None
    record: str | None = None
    place: bytes | None = None


def _read(paths: RunPaths) -> Read:
    """One folder's row; a folder that can't be read has a row that says so."""
    signature = _signature(paths)
    try:
        record, config = read_model(paths.run, RunRecord), read_model(paths.config, Config)
        summary = read_model(paths.summary, TrainerSummary) if record.state is RunState.FINISHED else None
    except FileNotFoundError as error:
        why = f"{Path(error.filename).name} is missing"
    except (Damaged, OSError) as error:
        why = str(error)
    else:
        if record.run_id == paths.dir.name:
            return _row(paths.dir.name, signature, record, config, summary)
        why = f"run.json is that of run {record.run_id}"
    return Read((paths.dir.name, signature, 0, why, *[None] * 22))


def _row(name: str, signature: str, record: RunRecord, config: Config, summary: TrainerSummary | None) -> Read:
    metric, direction = objective_of(record.objective, record.env_name)
    found = summary.metrics.get(metric) if summary else None
    goodness = None if found is None else found.mean if direction == "max" else -found.mean
    kin, place = kinship(config.env_name, config.flat())
    row = (
        name, signature, int(record.state.ended), None, *record.group, record.state.value, record.arm, record.parent,
        record.proposal, record.session, record.replicates_of, int(record.legacy), record.created.timestamp(),
        record.finished.timestamp() if record.finished else None, max(record.seeds, default=None), goodness,
        found.mean if found else None, found.low if found else None, found.high if found else None,
        found.n if found else None, json.dumps(list(found.values) if found else []),
        identity(config.env_name, config.flat()), kin,
    )  # fmt: skip
    return Read(row, config.model_dump_json(), record.model_dump_json(), place)


def _store(base: sqlite3.Connection, found: Iterable[Read]) -> None:
    for one in found:
        name, signature, _, damaged, *_, fingerprint, kin = one.row
        if damaged is not None and base.execute("SELECT 1 FROM runs WHERE run_id = ?", (name,)).fetchone():
            # What it said before still counts for who is incumbent and which seeds are used.
            base.execute("UPDATE runs SET signature = ?, settled = 0, damaged = ? WHERE run_id = ?",
                         (signature, damaged, name))  # fmt: skip
            continue
        base.execute(f"INSERT OR REPLACE INTO runs VALUES ({','.join('?' * 26)})", one.row)  # noqa: S608 - marks only
        base.execute("INSERT OR REPLACE INTO texts VALUES (?, ?, ?)", (name, one.config, one.record))
        base.execute("INSERT OR REPLACE INTO places VALUES (?, ?, ?, ?)", (name, kin, fingerprint, one.place))


class _Tail:
    """What has been added to a line file since it was read last."""

    def __init__(self, path: Path, known: dict[str, str]) -> None:
        self._path, self._key = path, path.name
        try:
            size = path.stat().st_size
        except FileNotFoundError:
            size = 0
        self._from = int(known.get(self._key, "0"))
        self._anew = size < self._from
        self.grew = size != self._from

    def store(self, base: sqlite3.Connection) -> None:
        """Take it in; a line that is not whole yet is left for the next time."""
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

    def _take(self, base: sqlite3.Connection, line: bytes) -> None:
        if self._path.stem == "verdicts":
            verdict = Verdict.model_validate_json(line)
            values = (verdict.run_id, verdict.time.isoformat(), verdict.verdict, verdict.model_dump_json())
            base.execute("INSERT OR IGNORE INTO verdicts VALUES (?, ?, ?, ?)", values)
        else:
            found = Confirmation.model_validate_json(line)
            base.execute(
                "INSERT INTO confirmations (time, candidate, incumbent, outcome, line) VALUES (?, ?, ?, ?, ?)",
                (found.time.isoformat(), found.candidate, found.incumbent, found.outcome, found.model_dump_json()),
            )


def of_group(group: Group) -> tuple[str, tuple[str, ...]]:
    """A condition and its values: the runs of one group."""
    return OF_GROUP, tuple(group)
