"""A run as the index has it, and the columns that it is made of."""

from typing import NamedTuple


class Row(NamedTuple):
    """A run as lists show it."""

    run_id: str
    number: int
    """Its number in the workspace."""
    state: str
    env_name: str
    preset: str
    objective: str
    arm: str
    parent: str | None
    session: str | None
    replicates_of: str | None
    legacy: bool
    created: float
    """Seconds since 1970, as `finished`."""
    finished: float | None
    score: float | None
    """The objective's statistic over the replicates; None unless it finished."""
    low: float | None
    high: float | None
    n: int | None
    values: tuple[float, ...]
    verdict: str | None
    """As it stands: `better` once fresh seeds have confirmed it, else what the run got when it ended."""


STANDS = (
    "CASE WHEN EXISTS (SELECT 1 FROM confirmations WHERE candidate = runs.run_id AND outcome = 'confirmed')"
    " THEN 'better' ELSE verdicts.verdict END"
)
COLUMNS = (
    "runs.run_id, nth, state, env_name, preset, objective, arm, parent, session, replicates_of, legacy, created,"
    f" finished, score, low, high, n, score_values, {STANDS}"
)
FROM = "runs LEFT JOIN verdicts ON verdicts.run_id = runs.run_id"
