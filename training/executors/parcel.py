"""The user's modules, and what they read, as one zip file: what a replicate needs of the workspace elsewhere."""

import hashlib
import io
import os
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

from lab.base import InvalidInput, Workspace

MOST = 64 * 2**20
"""Bytes of all files together, before they are packed."""
OURS = {"runs", "proposals", "exports", "presets"}
LEFT_OUT = {"__pycache__", "node_modules", "wandb", "mlruns"}
EPOCH = (1980, 1, 1, 0, 0, 0)


class Packer:
    """The parcel of a workspace, made again when a file has changed."""

    def __init__(self, workspace: Workspace) -> None:
        """Pack nothing yet.

        Args:
            workspace: whose files, but for what autopilot itself writes and for hidden ones.
        """
        self._root = workspace.root
        self._seen: tuple[tuple[str, int, int], ...] | None = None
        self._made = ("", b"")

    def parcel(self) -> tuple[str, bytes]:
        """Its name, by its content, and the zip file.

        Raises:
            InvalidInput: there is too much to send.
        """
        files = list(_files(self._root))
        seen = tuple((str(path), status.st_size, status.st_mtime_ns) for path, status in files)
        if seen == self._seen:
            return self._made
        if (size := sum(status.st_size for _, status in files)) > MOST:
            largest = max(files, key=lambda one: one[1].st_size)[0].relative_to(self._root)
            raise InvalidInput(
                f"the workspace has {size / 2**20:.0f} MiB of files beside its runs, of which at most"
                f" {MOST / 2**20:.0f} MiB travel to other machines: move {largest} to where each of them finds it"
            )
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as packed:
            for path, _ in files:
                name = path.relative_to(self._root).as_posix()
                packed.writestr(zipfile.ZipInfo(name, EPOCH), path.read_bytes())  # no times: equal files, equal name
        data = buffer.getvalue()
        self._seen, self._made = seen, (hashlib.sha256(data).hexdigest()[:16], data)
        return self._made


def _files(root: Path) -> Iterator[tuple[Path, os.stat_result]]:
    for folder, folders, names in os.walk(root):
        here = Path(folder)
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith(".")
            and name not in LEFT_OUT
            and not (here == root and name in OURS)
            and not (here / name / "pyvenv.cfg").exists()
        )
        for name in sorted(names):
            path = here / name
            if not name.startswith(".") and path.is_file() and not path.is_symlink():
                yield path, path.stat()


def unpack(code: str, data: bytes, below: Path) -> Path:
    """The folder with a parcel's files, unpacked once.

    Args:
        code: its name.
        data: the zip file.
        below: where such folders lie.
    """
    folder = below / code
    if not folder.exists():
        below.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(dir=below, prefix=f".{code}."))
        with zipfile.ZipFile(io.BytesIO(data)) as packed:
            packed.extractall(aside)  # packed by ourselves; it takes no name outside
        for name in ("runs", "proposals"):
            (aside / name).mkdir(exist_ok=True)
        try:
            aside.rename(folder)
        except OSError:  # somebody else was faster
            shutil.rmtree(aside, ignore_errors=True)
    return folder
