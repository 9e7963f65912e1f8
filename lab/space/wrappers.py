"""Wrappers around Gymnasium's environments and the user's, declared by name in `autopilot.toml`.

    [wrappers.image]
    call = "minigrid.wrappers:ImgObsWrapper"
    env = "gymnasium:minigrid:MiniGrid-Empty-5x5-v0"

What is called with the environment, and the arguments that are given, returns it changed. Unlike a variant it belongs
to the task: what is trained and what is scored wear it alike, and it stands among the environment's arguments.
"""

import json
from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from lab.base import Table, Tables, Workspace
from lab.space.modules import check_importable
from lab.space.task import Variant
from lab.space.variants import VALID, Named

WRAPPERS = "wrappers"
"""The environment's argument that is ours: the wrappers around it, innermost first."""


class WrapperTables(Tables):
    """`[wrappers]` in autopilot.toml: what is put around environments, by name, in the order of the file."""

    wrappers: Annotated[Named, Table(example="[wrappers.NAME]", values=VALID)] = Field(default_factory=dict)


def declared_wrappers(workspace: Workspace) -> dict[str, Variant]:
    """The wrappers that the workspace declares: name to what is called, in the order of the file.

    Raises:
        InvalidInput: one is not written as it has to be, or another module has the name of its module.
    """
    found = WrapperTables.of(workspace).wrappers
    for name, wrapper in found.items():
        check_importable(f"{WRAPPERS}.{name}.call", wrapper.call, workspace.root)
    return found


def environment_wrappers(wrappers: Mapping[str, Variant], env_name: str) -> tuple[str, ...]:
    """The wrappers of one environment, innermost first, each as a text: what is called, then its arguments as JSON.

    Args:
        wrappers: what is declared.
        env_name: the environment; PufferLib's own take none.
    """
    if ":" not in env_name:
        return ()
    return tuple(
        wrapper.call + (f" {json.dumps(wrapper.arguments, sort_keys=True)}" if wrapper.arguments else "")
        for wrapper in wrappers.values()
        if wrapper.env in (None, env_name)
    )
