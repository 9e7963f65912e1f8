"""The file that a replicate's curves are appended to while it trains; a full disk loses points, never the training."""

import json
import os
from pathlib import Path

from lab.base import FULL, append_whole


class CurveFile:
    """One replicate's `metrics.jsonl`, from its first point on."""

    def __init__(self, path: Path) -> None:
        """Begin it anew.

        Args:
            path: of the file.
        """
        # A plain descriptor: what could not be written to a full disk must not come up again when a file is closed.
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_TRUNC, 0o644)
        self._lost = 0

    def append(self, numbers: dict[str, float]) -> None:
        """Add a point, whole or not at all."""
        try:
            append_whole(self._file, json.dumps(numbers).encode() + b"\n")
        except OSError as error:
            if error.errno not in FULL:
                raise
            self._lost += 1  # a point of the curve is not worth the training

    def close(self) -> tuple[str, ...]:
        """Close it, and say what is missing in it: nothing, or one note."""
        os.close(self._file)
        points = f"{self._lost} point{'s' if self._lost > 1 else ''}"
        return (f"{points} of its curves could not be written: no room on the disk",) if self._lost else ()
