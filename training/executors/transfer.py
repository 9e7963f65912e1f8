"""The files of a replicate, brought from the machine where it trains to its folder of the workspace while it trains.

Curves, logs and events grow, so only what was appended travels; a file that was written anew travels whole. The sender
does not trust a size: a log is cut in its middle when it is too long, so what was sent last has to be there still.
"""

import os
import zlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from lab.base import AutopilotError, write_atomic
from training.executors.messages import Piece

ENDS = 4096
"""Bytes before the end of what was sent that have to be as they were."""
AT_ONCE = 2**25
"""Bytes that travel at once, about: a file is not divided for that."""
OWN = ("result.json",)
"""Files that are not sent: the result is told by itself, last of all."""


@dataclass
class _Sent:
    inode: int
    size: int
    changed: int
    end: int
    """Checksum of the last bytes."""


class Sender:
    """The side where the replicate trains."""

    def __init__(self, folder: Path) -> None:
        """Begin with nothing sent.

        Args:
            folder: of the replicate.
        """
        self._folder = folder
        self._sent: dict[str, _Sent] = {}

    def again(self) -> None:
        """Send everything once more."""
        self._sent.clear()

    def changes(self) -> tuple[list[Piece], list[str], bool]:
        """What has changed since the last call: pieces, names of files that are gone, and whether that was all."""
        pieces: list[Piece] = []
        there = set()
        budget = AT_ONCE
        for path in sorted(self._folder.rglob("*")):
            name = path.relative_to(self._folder).as_posix()
            if path.is_symlink() or any(part.startswith(".") for part in PurePosixPath(name).parts) or name in OWN:
                continue
            if not path.is_file():
                continue
            there.add(name)
            if budget <= 0:
                return pieces, [], False
            if (piece := self._piece(path, name)) is not None:
                pieces.append(piece)
                budget -= len(piece.data)
        gone = [name for name in self._sent if name not in there]
        for name in gone:
            del self._sent[name]
        return pieces, gone, True

    def _piece(self, path: Path, name: str) -> Piece | None:
        try:
            with path.open("rb") as file:
                status, before = os.fstat(file.fileno()), self._sent.get(name)
                if before is not None and (before.size, before.changed) == (status.st_size, status.st_mtime_ns):
                    return None
                at = 0
                if before is not None and before.inode == status.st_ino and status.st_size >= before.size:
                    file.seek(max(0, before.size - ENDS))
                    if zlib.crc32(file.read(min(ENDS, before.size))) == before.end:
                        at = before.size
                file.seek(at)
                data = file.read()
                size = at + len(data)
                file.seek(max(0, size - ENDS))
                end = zlib.crc32(file.read(min(ENDS, size)))
        except OSError:  # replaced meanwhile: its new form comes next
            return None
        self._sent[name] = _Sent(status.st_ino, size, status.st_mtime_ns, end)
        if at and not data:
            return None
        return Piece(name=name, data=data, at=at or None)


class OutOfStep(AutopilotError):
    """A piece does not fit to what is there: everything has to come once more."""


def receive(folder: Path, pieces: tuple[Piece, ...], gone: tuple[str, ...]) -> None:
    """Write what a sender sent.

    Args:
        folder: of the replicate.
        pieces: in their order.
        gone: files that are no longer there.

    Raises:
        OutOfStep: something before them is missing.
        OSError: there is no room.
    """
    for piece in pieces:
        path = _within(folder, piece.name)
        if piece.at is None:
            write_atomic(path, piece.data)
            continue
        if not path.exists() or path.stat().st_size != piece.at:
            raise OutOfStep(f"{piece.name} does not go on at {piece.at}")
        with path.open("ab") as file:
            file.write(piece.data)
    for name in gone:
        _within(folder, name).unlink(missing_ok=True)


def _within(folder: Path, name: str) -> Path:
    """A file in the folder; code of the user's runs beside the sender, and may have thought of something."""
    parts = PurePosixPath(name).parts
    if not parts or name.startswith("/") or any(part in ("..", "") or "\0" in part for part in parts) or name in OWN:
        raise OutOfStep(f"{name!r} is no name of a file of a replicate")
    return folder.joinpath(*parts)
