"""In force for one command only: building the PufferLib 3.0.0 wheel from its source distribution.

Python imports a module of this name at start-up when it is on the path, which is how the build's own
subprocesses get it too. README.md beside this folder says why each of the three changes is needed.
"""

import os
import shutil
import tarfile
import urllib.request
import zipfile
from typing import Any

_which = shutil.which
_urlretrieve = urllib.request.urlretrieve


def which(cmd: Any, *args: Any, **kwargs: Any) -> str | None:
    """Hide nvcc from setup.py unless torch itself was built for CUDA."""
    if cmd == "nvcc":
        import torch

        if torch.version.cuda is None:
            return None
    return _which(cmd, *args, **kwargs)


def urlretrieve(url: str, filename: str, *args: Any, **kwargs: Any) -> tuple[str, Any]:
    """Answer the downloads no kept extension needs with empty archives; let the others through."""
    name = os.path.basename(url)  # noqa: PTH119 - a URL, not a path
    if "webassembly" in name:
        zipfile.ZipFile(filename, "w").close()
    elif name.startswith("box2d"):
        tarfile.open(filename, "w:gz").close()
    elif "webassembly" not in str(filename):
        return _urlretrieve(url, filename, *args, **kwargs)
    return filename, None


shutil.which = which  # type: ignore[assignment]
urllib.request.urlretrieve = urlretrieve  # type: ignore[assignment]

try:
    import setuptools
except ImportError:  # the interpreter that creates the environment has none yet
    pass
else:
    _setup = setuptools.setup

    def setup(**attrs: Any) -> Any:
        """Leave impulse_wars out, and Box2D out of the object list that all extensions share."""
        kept = [ext for ext in attrs.get("ext_modules", []) if "impulse_wars" not in ext.name]
        for ext in kept:
            ext.extra_objects = [obj for obj in ext.extra_objects if "box2d" not in obj]
        return _setup(**{**attrs, "ext_modules": kept})

    setuptools.setup = setup
