"""The files that a replicate's environment and policy are made of, by their hashes.

It imports torch, so it runs in worker processes only.
"""

import sys
from pathlib import Path
from typing import Any

import torch

from lab.space import BUILT_IN
from training.envs import file_hash, user_files

_BUILT_IN = {call.partition(":")[0] for call in BUILT_IN.values()}


def sources(env: Any, policy: torch.nn.Module, workspace: str | None) -> dict[str, str]:
    """The hash of each file that environment and policy are made of, by a name that does not depend on the machine.

    Args:
        env: the environment itself, not the vectorized one.
        policy: the policy itself.
        workspace: where the user's modules may lie, absolute; None for nowhere.
    """
    root = Path(workspace) if workspace else None
    hashes = {str(Path(path).relative_to(root)): digest for path, digest in user_files(root).items() if root}
    seen = [env, getattr(env, "unwrapped", None), policy, getattr(policy, "policy", None)]
    if type(env).__module__ in _BUILT_IN:  # its class is not all of it
        seen += [part for part in vars(env).values() if type(part).__module__.startswith("training.")]
    for name in {base.__module__ for thing in seen if thing is not None for base in type(thing).__mro__}:
        path = getattr(sys.modules.get(name), "__file__", None)
        if path is None or name.split(".")[0] in ("torch", "builtins", "typing", "abc"):
            continue
        near = _extensions(Path(path).parent) if name.startswith("pufferlib.") else []
        for file in (Path(path), *near):
            if root is None or not file.is_relative_to(root) or file.is_relative_to(sys.prefix):
                hashes[f"{name.rpartition('.')[0]}/{file.name}"] = file_hash(file)
    return hashes


def _extensions(folder: Path) -> list[Path]:
    """Compiled extensions that have been loaded from a folder; PufferLib's own one is known by its version."""
    loaded = [getattr(module, "__file__", None) or "" for module in list(sys.modules.values())]
    extensions = [Path(path) for path in loaded if path.endswith(".so") and path.startswith(str(folder))]
    return [path for path in extensions if path.parent == folder and not path.name.startswith("_C.")]
