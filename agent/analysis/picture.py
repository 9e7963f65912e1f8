"""The learning curves as a picture, for a model that sees: the run beside its parent and whom it was judged against."""

import tempfile
from pathlib import Path

from report import compared_with, learning_curves, objective_bands
from tools import ToolContext

LARGEST = 200_000
"""Bytes of a picture that is sent, at most; it usually has 40,000."""


def picture_of(context: ToolContext) -> bytes | None:
    """A PNG of the objective while training; None where nothing was logged, or it came out too large to send.

    Args:
        context: of the analysis.
    """
    run, notebook = context.subject, context.notebook
    what, bands = objective_bands(notebook, [("this run", run.run_id), *compared_with(notebook, run)])
    if not bands[0].curves:
        return None
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "curves.png"
        learning_curves(path, bands, f"{what} while training", ground="white")
        drawn = path.read_bytes()
    return drawn if len(drawn) <= LARGEST else None
