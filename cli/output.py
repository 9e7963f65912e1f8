"""Standard output and error that may lose their reader: `autopilot runs | head`, a terminal that was closed.

What is said is said elsewhere too, in the records, so a night goes on without anybody reading.
"""

import errno
import io
import os
import sys
from typing import Any, TextIO

NOBODY = (errno.EPIPE, errno.EIO)
"""The system's errors where nobody reads any more: the other end of a pipe is closed, or the terminal."""


class _Unread(io.FileIO):
    """A file descriptor that leads to nowhere from the moment on that nobody reads from it."""

    def write(self, data: Any, /) -> Any:
        try:
            return super().write(data)
        except OSError as error:
            if error.errno not in NOBODY:
                raise
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self.fileno())
        os.close(nowhere)
        return super().write(data)


def tolerate_no_reader() -> None:
    """Let this process go on where its output can't be written because nobody reads it, or it was closed before.

    What the encoding lacks, such as arrows, becomes a question mark.
    """
    sys.stdout, sys.stderr = _tolerant(sys.stdout), _tolerant(sys.stderr)


def _tolerant(stream: TextIO | None) -> TextIO:
    if stream is None:  # closed before the program began: a record's file must not get its number
        return io.TextIOWrapper(io.BufferedWriter(io.FileIO(os.devnull, "w")), "utf-8")
    if type(stream) is not io.TextIOWrapper:  # somebody has put another one there, as tests do
        return stream
    stream.flush()
    return io.TextIOWrapper(
        io.BufferedWriter(_Unread(stream.fileno(), "w", closefd=False)),
        stream.encoding,
        errors="replace",
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )
