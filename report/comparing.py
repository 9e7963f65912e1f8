"""Two runs compared, as the terminal, `--json` and the page say it."""

from typing import Any

from lab.store.notebook import Notebook
from tools.reading import comparison

CAUTION = "one test on the seeds at hand, which may have made it look good: fresh seeds have not said so"


def compared(notebook: Notebook, run_id: str, against: str) -> dict[str, Any]:
    """The verdict with its interval, whether they are like with like, what changed, the means of their metrics.

    Args:
        notebook: where they are.
        run_id: a finished run.
        against: another one.

    Raises:
        NotFound: there is no such run.
        InvalidInput: one of them has no score.
    """
    verdict, weighed = notebook.compare(run_id, against), notebook.weigh(run_id, against)
    found = comparison(notebook, weighed if weighed.verdict == "better" else verdict, run_id, against)
    if verdict.verdict == "better" and weighed.verdict != "better":
        found["caution"] = CAUTION
    return found
