"""Predictions of proposals against what came: interval scores, and skill against saying `no change`.

The interval score is that of Gneiting and Raftery (2007, JASA 102, section 6.2): the width of the interval, and where
the value lies outside, 2 / alpha times the distance to it. Less is better, and nobody gains by saying other than they
think.
"""

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from lab.base import Record, Workspace, append_line, now, number, read_records
from lab.judge.verdicts import metrics_beside, noise_of
from lab.space import Group, Objective
from lab.store import Notebook, Prediction, Proposal, RunRecord, spread

ENOUGH = 30
"""Predictions from which on a share of intervals that held is said; with fewer, chance has too large a part in it."""


class Scored(Record):
    """A scored prediction, one line of `runs/predictions.jsonl`; lines are only ever added."""

    time: datetime
    run_id: str
    proposal: str
    group: Group
    arm: str
    """Arm that predicted it."""
    metric: str
    direction: Literal["up", "down", "same"]
    low: float
    high: float
    coverage: float
    value: float
    """What came: the run's mean; of the objective its score."""
    base: float
    """The same of the parent, as it is expected of as many replicates; of its fresh seeds once these have decided."""
    score: float
    """Interval score, in the metric's unit."""
    reference: float | None = None
    """Score of `no change, give or take the noise floor` at the same coverage; None where the noise is not known."""

    @property
    def hit(self) -> bool:
        """Whether the interval held."""
        return self.low <= self.value <= self.high

    @property
    def text(self) -> str:
        """The prediction and what came of it in one line, for reports."""
        way = {"up": "up from", "down": "down from", "same": "about as"}[self.direction]
        meant = f"{number(self.low)} to {number(self.high)} ({100 * self.coverage:.0f} %)"
        against = "" if self.reference is None else f", `no change` {number(self.reference)}"
        goal = self.group.goal
        name = goal.name if self.metric == goal.metric else self.metric
        held = "within the interval" if self.hit else "outside the interval"
        return (
            f"{name} {way} {number(self.base)}, {meant}; it came to {number(self.value)}: {held}"
            f" (interval score {number(self.score)}{against}; less is better)"
        )


def interval_score(low: float, high: float, coverage: float, value: float) -> float:
    """The interval score; less is better.

    Args:
        low: lower end.
        high: upper end, not below `low`.
        coverage: how often such an interval is meant to hold, between 0 and 1; alpha is the rest.
        value: what came.
    """
    return (high - low) + 2 / (1 - coverage) * (max(0.0, low - value) + max(0.0, value - high))


NEIGHBOURHOOD = 0.8
"""Coverage of `like_the_parent`."""


def like_the_parent(
    mean: float, n: int, sd: float | None, others: Sequence[float], *, rate: bool
) -> tuple[float, float]:
    """The interval in which the mean of a changed config should lie in 80 % of the cases, for who has no other idea.

    The interval is the normal one for a difference of two means of n replicates, sd * z * sqrt(2 / n), with the
    spread between configs in place of sd where that is larger. Its calibration is for the scores to show.

    Args:
        mean: the parent's.
        n: its replicates.
        sd: the noise floor; a tenth of the mean where it is not known.
        others: means of other configs of the workspace.
        rate: it lies between 0 and 1.
    """
    z = statistics.NormalDist().inv_cdf((1 + NEIGHBOURHOOD) / 2)
    half = z * max((0.1 * abs(mean) if sd is None else sd) * math.sqrt(2 / n), spread(others))
    low, high = mean - half, mean + half
    return (max(0.0, low), min(1.0, high)) if rate and 0 <= mean <= 1 else (low, high)


def score_predictions(notebook: Notebook, run: RunRecord, proposal: Proposal | None) -> list[Scored]:
    """Score what a run's proposal had predicted, once; later calls return what was recorded.

    Args:
        notebook: where the run lies.
        run: the run, ended.
        proposal: the one it came from, if it came from one.
    """
    known = scored_predictions(notebook.workspace, run.run_id)
    summary = notebook.summary(run.run_id)
    if known or proposal is None or summary is None or not notebook.readable(run.parent):
        return known
    parent = metrics_beside(notebook, run, str(run.parent))
    for prediction in proposal.predictions:
        if prediction.metric not in summary.metrics or not parent.get(prediction.metric):
            continue
        new, old = summary.metrics[prediction.metric], parent[prediction.metric]
        scored_by = run.goal if prediction.metric == run.goal.metric else Objective(prediction.metric, "max")
        value, base = scored_by.of_scores(new.values), scored_by.of_scores(old, min(new.n, len(old)))
        noise = noise_of(notebook, run.group) if prediction.metric == run.goal.metric else None
        sd = noise[0] if noise else statistics.stdev(old) if len(old) > 1 else None
        scored = Scored(
            time=now(),
            run_id=run.run_id,
            proposal=proposal.proposal_id,
            group=run.group,
            arm=proposal.arm,
            metric=prediction.metric,
            direction=prediction.direction,
            low=prediction.low,
            high=prediction.high,
            coverage=prediction.coverage,
            value=value,
            base=base,
            score=interval_score(prediction.low, prediction.high, prediction.coverage, value),
            reference=None if sd is None else _no_change(prediction, base, (new.n, len(old)), value, sd),
        )
        append_line(notebook.workspace.predictions, scored.model_dump(mode="json"))
        known.append(scored)
    return known


def _no_change(prediction: Prediction, base: float, counts: tuple[int, int], value: float, sd: float) -> float:
    """The score of the parent's value, give or take the normal interval of a difference that is only noise."""
    half = (
        statistics.NormalDist().inv_cdf((1 + prediction.coverage) / 2) * sd * math.sqrt(1 / counts[0] + 1 / counts[1])
    )
    return interval_score(base - half, base + half, prediction.coverage, value)


def scored_predictions(workspace: Workspace, run_id: str | None = None) -> list[Scored]:
    """The predictions scored so far, of all runs or of one, oldest first; a damaged line is passed over."""
    scored = read_records(workspace.predictions, Scored)
    return [one for one in scored if run_id in (None, one.run_id)]


@dataclass(frozen=True)
class TrackRecord:
    """The record of an arm: how its predictions have fared so far."""

    arm: str
    count: int
    hits: int
    meant: float
    """Mean coverage: the share of hits that would be right."""
    skill: float | None
    """Skill: 1 is perfect, 0 as good as `no change`, below 0 worse; None without a noise floor."""

    @property
    def text(self) -> str:
        """The record in one line."""
        said = f"{self.count} prediction{'' if self.count == 1 else 's'}, {self.hits} within the interval"
        if self.count >= ENOUGH:
            said += f" ({100 * self.hits / self.count:.0f} %, meant {100 * self.meant:.0f} %)"
        skill = "unknown" if self.skill is None else f"{self.skill:+.2f}"
        return f"{said}; skill against 'no change, give or take the noise' {skill}"


def track_records(scored: Iterable[Scored], metric: str | None = None) -> list[TrackRecord]:
    """The record of each arm, by name.

    Args:
        scored: predictions of runs that can be taken together.
        metric: only those of this one.
    """
    arms: dict[str, list[Scored]] = {}
    for one in scored:
        if metric is None or one.metric == metric:
            arms.setdefault(one.arm, []).append(one)
    return [_track_record(arm, arms[arm]) for arm in sorted(arms)]


def _track_record(arm: str, scored: list[Scored]) -> TrackRecord:
    pairs = [(one.score, one.reference) for one in scored if one.reference is not None]
    reference = math.fsum(reference for _, reference in pairs)
    skill = 1 - math.fsum(score for score, _ in pairs) / reference if reference > 0 else None
    return TrackRecord(
        arm=arm,
        count=len(scored),
        hits=sum(one.hit for one in scored),
        meant=statistics.fmean(one.coverage for one in scored),
        skill=skill,
    )
