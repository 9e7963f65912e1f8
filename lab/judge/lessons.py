"""Lessons: what changing one thing has led to, over all runs of a group that changed just that.

Recomputed from the record each time, so a lesson can be outweighed by later runs and is never anybody's memory. Several
runs that moved one key the same way are taken together by inverse-variance weights (a fixed-effect meta-analysis,
Borenstein et al. 2009, chapter 11), each with the group's noise floor as the spread of its replicates. The intervals
hold together in 99 % of the cases (Bonferroni): of twenty keys that do nothing, one would else look as if it did.
"""

import math
from collections import defaultdict
from typing import Any, Literal, NamedTuple

from lab.judge.sequential import NIGHT
from lab.judge.stats import noise_floor
from lab.space import Group, telling
from lab.store import Index, Questions, Row, Selection


class Lesson(NamedTuple):
    """One key, moved one way."""

    key: str
    direction: str
    """`up`, `down`, or the new value of what is no number."""
    effect: float
    """Change of the objective's mean, in its own units."""
    low: float
    high: float
    """Interval; those of all lessons of the group hold together in 99 % of the cases."""
    meaning: Literal["helps", "promising", "hurts", "unclear"]
    """Whether the interval excludes nothing; `helps` is for what fresh seeds have confirmed of one of its runs."""
    agreeing: tuple[str, ...]
    """Runs whose own effect has the same sign."""
    opposed: tuple[str, ...]

    def told(self, metric: str) -> str:
        """In one line, such as `train.gamma up helps: +0.2 [+0.1, +0.3] in perf, …`."""
        runs = len(self.agreeing)
        return (
            f"{self.key} {self.direction} {self.meaning}: {self.effect:+.3g} [{self.low:+.3g}, {self.high:+.3g}]"
            f" in {metric}, {runs} run{'s' if runs != 1 else ''} that went this way, {len(self.opposed)} the other"
        )


def lessons_of(index: Index, group: Group, limit: int = 12) -> list[Lesson]:
    """The clearest lessons of a group first; none while it has no noise floor, nor of another statistic than the mean.

    Args:
        index: of the workspace.
        group: whose runs are looked at. Imported runs, fresh seeds, warm starts and runs of another length than their
            parent's teach nothing here.
        limit: how many at most.
    """
    return index.kept(group, "lessons", lambda: _all(index, group))[:limit]


def _all(index: Index, group: Group) -> list[Lesson]:
    rows = {row.run_id: row for row in index.rows(Selection(group, scored=True, native=True, own=True))}
    noise = noise_floor([row.values for row in rows.values()])
    if noise is None or noise[0] == 0 or not group.goal.is_mean:  # the weights below are those of means
        return []
    configs = Questions(index).configs(group)
    moves: dict[tuple[str, str], list[tuple[Row, Row]]] = defaultdict(list)
    for row in rows.values():
        parent = rows.get(row.parent or "")
        if parent is None or configs[row.run_id].autopilot.get("resume_mode") == "continue":
            continue
        changed = telling(configs[parent.run_id], configs[row.run_id])
        if len(changed) == 1 and "train.total_timesteps" not in changed:
            ((key, values),) = changed.items()
            moves[key, direction(*values)].append((row, parent))
    sign, level = group.goal.sign, NIGHT / max(1, len(moves))
    made = [_lesson(*what, pairs, noise, sign, level) for what, pairs in moves.items()]
    return sorted(made, key=lambda lesson: -abs(lesson.effect) / (lesson.high - lesson.low))


def _lesson(
    key: str, direction: str, pairs: list[tuple[Row, Row]], noise: tuple[float, int], sign: int, level: float
) -> Lesson:
    from scipy.stats import t

    sd, freedom = noise
    effects = [(row.run_id, (row.score or 0.0) - (parent.score or 0.0)) for row, parent in pairs]
    # Children of one parent are one comparison: whatever luck the parent had is in all of them.
    families: dict[str, list[tuple[Row, Row]]] = defaultdict(list)
    for row, parent in pairs:
        families[parent.run_id].append((row, parent))
    weights, differences = [], []
    for family in families.values():
        parent, n = family[0][1], sum(row.n or 1 for row, _ in family)
        children = math.fsum((row.n or 1) * (row.score or 0.0) for row, _ in family) / n
        weights.append(1 / (sd**2 * (1 / n + 1 / (parent.n or 1))))
        differences.append(children - (parent.score or 0.0))
    effect = math.fsum(w * e for w, e in zip(weights, differences, strict=True)) / math.fsum(weights)
    half = float(t.ppf(1 - level / 2, freedom)) / math.sqrt(math.fsum(weights))
    low, high = effect - half, effect + half
    meaning: Literal["helps", "promising", "hurts", "unclear"] = "unclear"
    if sign * effect > 0 and any(row.verdict == "better" for row, _ in pairs):
        meaning = "helps"  # on fresh seeds, which are more than these
    elif low > 0 or high < 0:
        meaning = "hurts" if sign * effect < 0 else "promising"
    agreeing = tuple(run for run, own in effects if own * effect > 0)
    opposed = tuple(run for run, own in effects if own * effect <= 0)
    return Lesson(key, direction, effect, low, high, meaning, agreeing, opposed)


def direction(old: Any, new: Any) -> str:
    """How a key was moved, as `Lesson.direction` has it."""
    numbers = all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in (old, new))
    return ("up" if new > old else "down") if numbers else f"→ {str(new)[:60]}"
