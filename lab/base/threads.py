"""What has to be imported before a second thread begins."""

from importlib import import_module

SCIPY = tuple(
    f"scipy.{name}"
    for name in ("linalg", "ndimage", "optimize", "spatial.distance", "special", "stats", "stats.mstats", "stats.qmc")
)
"""All of scipy that is used anywhere."""


def before_threads() -> None:
    """Import scipy whole, in this thread.

    It is imported where it is needed, as it takes a second that most commands do not need. Its modules import each
    other in circles, though: of two threads that begin with it at once one sees half of it, and gets an ImportError.
    Whatever answers or works in several threads calls this first.
    """
    for name in SCIPY:
        import_module(name)
