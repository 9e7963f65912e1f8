"""How inconclusive a run is: promising, undecided, no different, hopeless.

*Inconclusive* alone covers a run that nearly shows something and one that never can. The degree says which, by the
noise floor of the group, pooled over all its configs, so that a single replicate has one too. It orders lists and says
where more seeds would tell something. Nothing is claimed by it: who is promising has been picked by the same scores.
"""

import math
from typing import Literal, NamedTuple

from lab.judge.incumbency import MATTERS
from lab.judge.stopping import scores_of
from lab.judge.verdicts import noise_of
from lab.store import Notebook, RunRecord

Word = Literal["promising", "undecided", "no different", "hopeless"]
ORDER: tuple[str, ...] = ("better", "first", "promising", "undecided", "no different", "hopeless", "worse")
"""Verdicts and degrees, the best first."""
PROMISING = 0.10
"""One-sided p-value up to which a run is promising: more would be a coin's toss, less is what a proof is for."""
INTERVAL = 0.95


class Degree(NamedTuple):
    """How inconclusive a run is."""

    word: Word
    p: float
    """One-sided: the chance of a difference as large if there were none."""
    within: float
    """The largest difference, either way, that its 95 % interval leaves possible, in the objective's units."""

    @property
    def text(self) -> str:
        """In words, such as `promising (p = 0.04)` or `no different within 0.05`."""
        if self.word == "promising":
            return f"promising (p = {self.p:.2g})"
        return f"no different within {self.within:.2g}" if self.word == "no different" else self.word


def degree_of(notebook: Notebook, run: RunRecord, min_effect: float | None = None) -> Degree | None:
    """How inconclusive a run is against the incumbent of its group; None where that can't be said.

    Student's t of the difference of two means, with the standard deviation that is pooled over the group's configs and
    its degrees of freedom. Hopeless is a run whose interval ends below the smallest gain that matters; no different is
    one whose whole interval lies within it, either way (two one-sided tests: Schuirmann 1987).

    Args:
        notebook: where it is.
        run: with a score.
        min_effect: the smallest difference that matters, in the objective's units; None for half the noise floor.
    """
    incumbent, noise = notebook.incumbent(run.group), noise_of(notebook, run.group)
    mine = notebook.values(run.run_id, run.goal.metric)
    if incumbent in (None, run.run_id) or noise is None or noise[0] <= 0 or not mine or not run.goal.is_mean:
        return None
    place = str(incumbent)
    theirs = notebook.index.kept(run.group, f"scores of {place}", lambda: _scores(notebook, place))
    if not theirs:
        return None
    from scipy.special import stdtr, stdtrit  # scipy.stats takes a second to import, and lists show degrees

    gain = run.goal.gain(math.fsum(mine) / len(mine), math.fsum(theirs) / len(theirs))
    error = noise[0] * math.sqrt(1 / len(mine) + 1 / len(theirs))
    reach = error * float(stdtrit(noise[1], (1 + INTERVAL) / 2))
    low, high = gain - reach, gain + reach
    matters, p = MATTERS * noise[0] if min_effect is None else min_effect, float(stdtr(noise[1], -gain / error))
    within = max(abs(low), abs(high))
    if within <= matters:
        return Degree("no different", p, within)
    if high < matters:
        return Degree("hopeless", p, within)
    return Degree("promising" if p <= PROMISING else "undecided", p, within)


def _scores(notebook: Notebook, run_id: str) -> list[float]:
    return scores_of(notebook, run_id) if notebook.readable(run_id) else []
