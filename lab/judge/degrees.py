"""How inconclusive a run is: promising, undecided, no different, hopeless.

*Inconclusive* alone covers a run that nearly shows something and one that never can. The degree says which, by the
noise floor of the group, pooled over all its configs, so that a single replicate has one too. It orders lists and says
where more seeds would tell something. Nothing is claimed by it: who is promising has been picked by the same scores.
"""

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

from lab.judge.incumbency import MATTERS
from lab.judge.stopping import scores_of, whole_scores
from lab.judge.verdicts import current_verdict, faced, noise_of
from lab.space import Group, Objective
from lab.store import Notebook, Questions, RunRecord

Word = Literal["promising", "undecided", "no different", "hopeless"]
ORDER: tuple[str, ...] = (
    "better", "first", "promising", "undecided", "inconclusive", "not proven better", "no different", "hopeless",
    "worse",
)  # fmt: skip
"""Verdicts and degrees, the best first: the words that lists show."""
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


class Yardstick(NamedTuple):
    """What the runs of a group are measured by, as far as scores of theirs do not enter it."""

    goal: Objective
    noise: float
    """Standard deviation between replicates of one config, pooled over the group's."""
    freedom: int
    mean: float
    """Of the incumbent's replicates."""
    n: int
    """How many these are."""
    matters: float
    """The smallest difference that matters, in the objective's units."""
    reach: float
    """Quantile of Student's t for a two-sided 95 % interval."""
    promising: float
    """Quantile from which on a run is promising."""

    def word(self, mean: float, n: int) -> Word:
        """The degree of a run in a word.

        Args:
            mean: of its replicates.
            n: how many these are, 1 or more.
        """
        gain, error = self.gain(mean), self.error(n)
        if abs(gain) + self.reach * error <= self.matters:
            return "no different"
        if gain + self.reach * error < self.matters:
            return "hopeless"
        return "promising" if gain >= self.promising * error else "undecided"

    def gain(self, mean: float) -> float:
        """How much better a mean is than the incumbent's."""
        return self.goal.gain(mean, self.mean)

    def error(self, n: int) -> float:
        """Standard error of the difference between n replicates and the incumbent's."""
        return self.noise * math.sqrt(1 / n + 1 / self.n)


class Stands(NamedTuple):
    """Where lists have a run."""

    word: str
    """Of `ORDER`."""
    place: float
    """From 0, the best first: of one word that first which lies more standard errors above the incumbent."""


Yardsticks = dict[Group, Yardstick | None]
"""By group: what its runs are measured by; None where they can't be."""


def degree_of(
    notebook: Notebook,
    run: RunRecord,
    min_effect: float | None = None,
    known: Yardsticks | None = None,
    mine: Sequence[float] | None = None,
) -> Degree | None:
    """How inconclusive a run is against the incumbent of its group; None where that can't be said.

    Student's t of the difference of two means, with the standard deviation that is pooled over the group's configs and
    its degrees of freedom. Hopeless is a run whose interval ends below the smallest gain that matters; no different is
    one whose whole interval lies within it, either way (two one-sided tests: Schuirmann 1987).

    Args:
        notebook: where it is.
        run: with a score.
        min_effect: the smallest difference that matters, in the objective's units; None for half the noise floor.
        known: what groups are measured by, as far as it was worked out for others of the same list; added to.
        mine: the scores of its replicates, for whoever has read them.
    """
    incumbent = notebook.incumbent(run.group)
    mine = notebook.values(run.run_id, run.goal.metric) if mine is None else mine
    if not mine or incumbent == run.run_id:
        return None
    known = {} if known is None else known
    if run.group not in known:
        known[run.group] = _yardstick(notebook, run.group, incumbent, min_effect)
    if (by := known[run.group]) is None:
        return None
    from scipy.special import stdtr  # scipy.stats takes a second to import, and lists show degrees

    mean, n = math.fsum(mine) / len(mine), len(mine)
    gain, error = by.gain(mean), by.error(n)
    return Degree(by.word(mean, n), float(stdtr(by.freedom, -gain / error)), abs(gain) + by.reach * error)


def words_of(notebook: Notebook, group: Group) -> dict[str, Stands]:
    """The word that lists show of each run of a group that has a verdict, and its place; no folder is opened for it.

    Args:
        notebook: where they are.
        group: whose.
    """
    incumbent, whole = notebook.incumbent(group), whole_scores(notebook, group)
    by = _yardstick(notebook, group, incumbent, None)
    named = {one.candidate for one in notebook.index.confirmations(group=group)}
    words = dict[str, Stands]()
    for run_id, verdict, alike, mean, n in Questions(notebook.index).judged(group):
        word, above, scores = verdict, 0.0, whole.get(run_id)
        lost = run_id in named and faced(notebook, run_id) is not None
        if lost and (stands := current_verdict(notebook, run_id)):
            word = stands.verdict
        if word == "inconclusive" and alike and scores and lost:
            word = "not proven better"
        elif word == "inconclusive" and alike and run_id != incumbent and by and mean is not None:
            known = (math.fsum(scores) / len(scores), len(scores)) if scores else (mean, n)
            word, above = by.word(*known), by.gain(known[0]) / by.error(known[1])
        words[run_id] = Stands(word, ORDER.index(word) - 0.5 * above / (1 + abs(above)))  # less than half a word away
    return words


def _yardstick(notebook: Notebook, group: Group, incumbent: str | None, min_effect: float | None) -> Yardstick | None:
    """What the runs of a group are measured by; None where they can't be."""
    noise = noise_of(notebook, group)
    if incumbent is None or noise is None or noise[0] <= 0 or not group.goal.is_mean:
        return None
    theirs = notebook.index.kept(group, f"scores of {incumbent}", lambda: _scores(notebook, incumbent))
    if not theirs:
        return None
    from scipy.special import stdtrit

    return Yardstick(
        goal=group.goal,
        noise=noise[0],
        freedom=noise[1],
        mean=math.fsum(theirs) / len(theirs),
        n=len(theirs),
        matters=MATTERS * noise[0] if min_effect is None else min_effect,
        reach=float(stdtrit(noise[1], (1 + INTERVAL) / 2)),
        promising=float(stdtrit(noise[1], 1 - PROMISING)),
    )


def _scores(notebook: Notebook, run_id: str) -> list[float]:
    return scores_of(notebook, run_id) if notebook.readable(run_id) else []
