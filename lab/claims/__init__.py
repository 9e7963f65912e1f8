"""Whether what is written about a run is true: claims found in prose, each checked against the record."""

from lab.claims.checking import MARKS, Checked, Claim, check
from lab.claims.citing import cited
from lab.claims.naming import RUN_ID, numbers_named, runs_named
from lab.claims.reports import SIGNS, sections_of

__all__ = [
    "MARKS",
    "RUN_ID",
    "SIGNS",
    "Checked",
    "Claim",
    "check",
    "cited",
    "numbers_named",
    "runs_named",
    "sections_of",
]
