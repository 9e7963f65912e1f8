"""What an environment looks like: a picture of its own, or of the display that Ocean's draw on."""

import ctypes
import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.adapter.makers import is_emulated
from training.adapter.unusable import Unusable

OCEAN = "puffer_"
"""How the names of Ocean's environments begin."""


class _Image(ctypes.Structure):
    """Raylib's `Image`, by value (raylib.h)."""

    _fields_ = (
        ("data", ctypes.c_void_p), ("width", ctypes.c_int), ("height", ctypes.c_int), ("mipmaps", ctypes.c_int),
        ("format", ctypes.c_int),
    )  # fmt: skip


def frame_of(env: Any) -> NDArray[np.uint8]:
    """What an environment looks like now, (height, width, 3).

    Args:
        env: the environment itself, made to `render`. One of Ocean's draws on a display, which has to be there.

    Raises:
        Unusable: it draws nothing.
    """
    frame = env.env.render() if is_emulated(env) else env.render()
    binding = getattr(sys.modules[type(env).__module__], "binding", None)
    if frame is None and binding is not None:
        frame = _screen(ctypes.CDLL(binding.__file__))
    if not isinstance(frame, np.ndarray) or frame.ndim != 3 or frame.dtype != np.uint8:
        raise Unusable(f"its render() gives no picture but a {type(frame).__name__}")
    return np.ascontiguousarray(frame[..., :3])


def _screen(raylib: Any) -> NDArray[np.uint8]:
    """What raylib has drawn, since Ocean's `render` returns nothing."""
    raylib.LoadImageFromScreen.restype, raylib.UnloadImage.argtypes = _Image, [_Image]
    image = raylib.LoadImageFromScreen()
    size = image.width * image.height * 4
    frame = np.frombuffer(ctypes.string_at(image.data, size), np.uint8).reshape(image.height, image.width, 4)
    raylib.UnloadImage(image)
    return frame
