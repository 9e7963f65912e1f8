"""`autopilot.toml` of a workspace, read in one place; who knows what its tables mean is somebody else's business."""

import tomllib
from typing import Any

from lab.base.errors import InvalidInput
from lab.base.paths import Workspace


def settings(workspace: Workspace) -> dict[str, Any]:
    """The whole of `autopilot.toml`; empty where a workspace has none.

    Raises:
        InvalidInput: it can't be read.
    """
    try:
        return tomllib.loads(workspace.settings.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InvalidInput(f"{workspace.settings}: can't be read: {error}") from error
