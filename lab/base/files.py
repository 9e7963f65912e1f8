"""Reading and writing records so that no crash leaves half of one.

A file is written aside, flushed to the disk and renamed; a line is appended under a lock, whole or not at all.
"""

import fcntl
import json
import os
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import PydanticSerializationError

from lab.base.errors import Busy, Damaged
from lab.base.values import storable

Model = TypeVar("Model", bound=BaseModel)


def write_atomic(path: Path, content: str | bytes) -> None:
    """Replace `path` by `content`, whole or not at all, durable when this returns."""
    path.parent.mkdir(parents=True, exist_ok=True)
    data = content.encode() if isinstance(content, str) else content
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            os.fchmod(file.fileno(), 0o644)  # mkstemp makes it private
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)  # else the rename itself may be lost with the power
    finally:
        os.close(folder)


def write_json(path: Path, value: Any) -> None:
    """Replace `path` by a JSON value, as `storable` makes it and as `write_atomic` writes."""
    write_atomic(path, json.dumps(storable(value), indent=2, ensure_ascii=False) + "\n")


def write_model(path: Path, model: BaseModel) -> None:
    """Replace `path` by a record, as `write_atomic` writes."""
    write_atomic(path, json_of(model, indent=2) + "\n")


def json_of(model: BaseModel, indent: int | None = None) -> str:
    """A record or message as JSON that can be read again, whatever texts and numbers are in it."""
    try:
        return model.model_dump_json(indent=indent)
    except PydanticSerializationError:  # half of a character in a text
        return json.dumps(storable(model), indent=indent, ensure_ascii=False)


def read_model(path: Path, kind: type[Model]) -> Model:
    """The record in a file.

    Raises:
        FileNotFoundError: there is none.
        Damaged: it is not such a record.
    """
    content = path.read_bytes()
    try:
        return kind.model_validate_json(content)
    except ValidationError as error:
        if (older := _upgraded(path, content, kind)) is not None:
            return older
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise Damaged(f"{path}: {where or 'file'}: {first['msg']}") from error


def _upgraded(path: Path, content: bytes, kind: type[Model]) -> Model | None:
    """A record that an older version wrote, in today's form, or None; the file stays as it is.

    A model that has changed has `UPGRADES`: a version to what makes the next one of a record of it.

    Raises:
        Damaged: a newer version wrote it.
    """
    field = kind.model_fields.get("schema_version")
    try:
        raw = json.loads(content)
        version = raw["schema_version"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    if field is None or not isinstance(version, int) or version == field.default:
        return None
    if version > field.default:
        raise Damaged(f"{path}: has schema {version}, this version reads up to {field.default}: a newer one wrote it")
    upgrades = getattr(kind, "UPGRADES", {})
    try:
        while version < field.default:
            raw, version = {**upgrades[version](raw), "schema_version": version + 1}, version + 1
        return kind.model_validate_json(json.dumps(raw))
    except (KeyError, TypeError, ValueError):
        return None


def append_line(path: Path, value: Any) -> None:
    """Add one JSON line, durable when this returns.

    Raises:
        OSError: it could not be written, such as on a full disk; the file is as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    line = (json.dumps(storable(value), ensure_ascii=False) + "\n").encode()
    handle = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)  # what is taken back must not be what another process has just added
        size = os.fstat(handle).st_size
        if size and os.pread(handle, 1, size - 1) != b"\n":
            line = b"\n" + line  # a crash cut the last one off: it must not take this one with it
        append_whole(handle, line, durable=True)
    finally:
        os.close(handle)


def append_whole(handle: int, data: bytes, *, durable: bool = False) -> None:
    """Add bytes to the end of a file: all of them, or none.

    The system may take a part of them, as on a disk that is nearly full: the rest is tried, and if that fails the part
    is taken back.

    Args:
        handle: opened to append; nobody else may append meanwhile.
        data: what is added.
        durable: flush it to the disk.

    Raises:
        OSError: it could not be written; the file is as it was.
    """
    size = os.fstat(handle).st_size
    try:
        while data:
            data = data[os.write(handle, data) :]
        if durable:
            os.fsync(handle)
    except BaseException:
        os.ftruncate(handle, size)
        raise


def read_lines(path: Path, holding: str = "") -> Iterator[dict[str, Any]]:
    """The JSON objects of a line file; a last line that was cut off by a crash is passed over.

    Args:
        path: of the file, which need not exist.
        holding: text without which a line is passed over unread.
    """
    if not path.exists():
        return
    with path.open(encoding="utf-8", errors="replace") as file:
        for line in file:
            if holding not in line:
                continue
            try:
                value = json.loads(line)
            except ValueError:
                continue
            if isinstance(value, dict):
                yield value


def read_records(path: Path, kind: type[Model]) -> Iterator[Model]:
    """The records of a line file, oldest first; a line that is no such record is passed over."""
    for line in read_lines(path):
        with suppress(ValidationError):
            yield kind.model_validate(line)


PAUSE = 0.001
"""Seconds at most between two tries to own what others are looking at, which takes them microseconds."""
TAIL = 16_384
"""Bytes of a line file's end in which its last line is looked for."""


def last_line(path: Path) -> dict[str, Any] | None:
    """The last whole JSON object of a line file; None where there is none."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - TAIL))
            lines = file.read().splitlines()
    except OSError:
        return None
    for line in reversed(lines):
        with suppress(ValueError):
            if isinstance(value := json.loads(line), dict):
                return value
    return None


@contextmanager
def owned(path: Path, content: str, busy: Callable[[str], Busy]) -> Iterator[None]:
    """Hold `path` for as long as something is worked on; the system gives it back however the process ends.

    Args:
        path: the lock's file.
        content: what others are told of this owner.
        busy: makes the error from the content that another owner has written, perhaps nothing yet.

    Raises:
        Busy: another process holds it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as file:
        if not _taken(file.fileno()):
            file.seek(0)
            raise busy(file.read())
        file.truncate(0)
        file.write(content)
        file.flush()
        try:
            yield
        finally:
            file.truncate(0)
            fcntl.flock(file, fcntl.LOCK_UN)  # a child between fork and exec has the file open a moment longer


def _taken(handle: int) -> bool:
    """Lock a file for this process alone; False if another one has.

    Whoever looks shares the lock for a moment. Where it can be shared nobody has it, so it is tried again, after a
    pause of random length: two who try at once are in each other's way.
    """
    while True:
        if _flocked(handle, fcntl.LOCK_EX):
            return True
        if not _flocked(handle, fcntl.LOCK_SH):
            return False
        fcntl.flock(handle, fcntl.LOCK_UN)
        time.sleep(random.uniform(0, PAUSE))  # noqa: S311 - no secret


def _flocked(handle: int, kind: int) -> bool:
    try:
        fcntl.flock(handle, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def owner_of(path: Path) -> str | None:
    """What the process that holds `path` has written there, perhaps nothing yet; None while nobody holds it."""
    try:
        with path.open() as file:
            return None if _flocked(file.fileno(), fcntl.LOCK_SH) else file.read()
    except (FileNotFoundError, NotADirectoryError):
        return None


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on `path`; the system releases it when the process ends, however it ends."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
