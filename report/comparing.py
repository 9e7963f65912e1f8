"""Two runs compared, as the terminal, `--json` and the page say it."""

import math
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

from lab.base import invalid, rounded
from lab.judge import Incumbency, compare_runs, judged_runs, proof_between, weigh
from lab.space import changed
from lab.store import Notebook, RunRecord, Verdict, leading
from report.facts import name_text

CAUTION = "one test on the seeds at hand, which may have made it look good: fresh seeds have not said so"


def compared(notebook: Notebook, run_id: str, against: str, *, whole: bool = False) -> dict[str, Any]:
    """The verdict with its interval, whether they are like with like, what changed, the means of their metrics.

    Args:
        notebook: where they are.
        run_id: a finished run.
        against: another one.
        whole: with all more seeds of their configs, as people are told; their own alone if not.

    Raises:
        NotFound: there is no such run.
        InvalidInput: one of them has no score, both are the same run, or they are of different environments or
            objectives.
    """
    if run_id == against:
        raise invalid("run", run_id, "is compared with itself", "two different runs: 'autopilot runs' lists them")
    require_alike(notebook.run(run_id), notebook.run(against))
    weighed = verdict = weigh(notebook, run_id, against, whole=whole)
    if not proof_between(notebook, run_id, against):
        verdict = compare_runs(notebook, run_id, against, whole=whole)
    answer = comparison(notebook, verdict, run_id, against, whole=whole)
    if verdict.verdict == "better" and weighed.verdict != "better":
        answer["caution"] = CAUTION
    pair = (("run", run_id), ("against", against))
    return {**answer, "names": {what: name_text(notebook, notebook.run(name)) for what, name in pair}}


def require_alike(run: RunRecord, against: RunRecord) -> None:
    """Refuse two runs whose scores say nothing about each other, whatever scores they have.

    Raises:
        InvalidInput: they are of different environments, or scored by different objectives.
    """
    pairs = {
        "environments": (run.env_name, against.env_name),
        "objectives": (run.goal.metric, against.goal.metric),
    }
    for what, (mine, theirs) in pairs.items():
        if mine != theirs:
            rule = f"are of different {what} ({mine} and {theirs})"
            raise invalid("run", f"#{run.number} and #{against.number}", rule, "two runs of one")


def comparison(
    notebook: Notebook, verdict: Verdict, one: str, other: str, at: datetime | None = None, *, whole: bool = False
) -> dict[str, Any]:
    """What can be said of two finished runs: verdict, what changed, the means of the metrics that both have.

    The score first; all of the replicates that the verdict is of. The score by another statistic than the mean, of both
    sides at the smaller number of them.

    Args:
        notebook: where they are.
        verdict: of the two.
        one: the run.
        other: another one.
        at: when the verdict stood so; now if not given.
        whole: as the verdict is.
    """
    new, old = notebook.summary(one), notebook.summary(other)
    both = {name: summary for name, summary in new.metrics.items() if old and name in old.metrics} if new else {}
    goal, sides = notebook.run(one).goal, _judged(notebook, one, other, at, whole=whole)
    means = dict[str, dict[str, float | None]]()

    def tell(name: str, *told: float) -> None:
        means.setdefault(name, dict(zip(("run", "against"), map(rounded, told), strict=True)))

    for metric in [goal.metric, *leading(both, goal.metric)]:
        values = [side(metric) for side in sides]
        if metric == goal.metric and all(values):
            n = None if goal.is_mean else min(map(len, values))
            tell(goal.name, *(goal.of_scores(side, n) for side in values))
        if all(values):
            tell(metric, *(math.fsum(side) / len(side) for side in values))
    differs = changed(notebook.config(other), notebook.config(one))
    return {
        **verdict.model_dump(mode="json", exclude={"time"}),
        "changed": {key: list(values) for key, values in differs.items()},
        "means": means,
    }


def _judged(
    notebook: Notebook, one: str, other: str, at: datetime | None, *, whole: bool
) -> list[Callable[[str], list[float]]]:
    """Of either side a metric in each replicate that the verdict is of: a proof's, where one has faced the other."""

    def of(runs: Iterable[str], most: int | None = None) -> Callable[[str], list[float]]:
        read = [notebook.summary(run) for run in runs if notebook.readable(run)]
        metrics = [summary.metrics for summary in read if summary is not None]
        return lambda name: [value for each in metrics if name in each for value in each[name].values][:most]

    met = proof_between(notebook, one, other, at)
    if met is None:
        return [of(runs) for runs, _ in judged_runs(notebook, one, other, at, whole=whole)]
    proof, turned = met
    fresh = Incumbency(notebook, notebook.run(proof.candidate).group).fresh(proof.incumbent, proof)
    sides = [of(proof.runs, proof.seeds), of((run.run_id for run in fresh), proof.seeds)]
    return sides[::-1] if turned else sides
