"""Two runs compared, as the terminal, `--json` and the page say it."""

from typing import Any

from lab.base import invalid, rounded
from lab.judge import Incumbency, compare_runs, faced, judged_values, weigh
from lab.space import changed
from lab.store import Notebook, RunRecord, Verdict, leading
from report.facts import name_text

CAUTION = "one test on the seeds at hand, which may have made it look good: fresh seeds have not said so"


def compared(notebook: Notebook, run_id: str, against: str) -> dict[str, Any]:
    """The verdict with its interval, whether they are like with like, what changed, the means of their metrics.

    Args:
        notebook: where they are.
        run_id: a finished run.
        against: another one.

    Raises:
        NotFound: there is no such run.
        InvalidInput: one of them has no score, both are the same run, or they are of different environments or
            objectives.
    """
    if run_id == against:
        raise invalid("run", run_id, "is compared with itself", "two different runs: 'autopilot runs' lists them")
    require_alike(notebook.run(run_id), notebook.run(against))
    verdict, weighed = compare_runs(notebook, run_id, against), weigh(notebook, run_id, against)
    proven = any(faced(notebook, name) for name in (run_id, against)) and weighed.method != verdict.method
    answer = comparison(notebook, weighed if proven else verdict, run_id, against)
    if answer["verdict"] == "better" and weighed.verdict != "better":
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


def comparison(notebook: Notebook, verdict: Verdict, one: str, other: str) -> dict[str, Any]:
    """What can be said of two finished runs: verdict, what changed, the means of the metrics that both have.

    The score first where it is another statistic, of both sides at the smaller number of replicates.
    """
    new, old = notebook.summary(one), notebook.summary(other)
    sides = _judged(notebook, one, other)
    both = {name: summary for name, summary in new.metrics.items() if old and name in old.metrics} if new else {}
    goal = notebook.run(one).goal
    shared, score = leading(both, goal.metric), dict[str, Any]()
    if all(sides):
        n = None if goal.is_mean else min(map(len, sides))
        told = [rounded(goal.of_scores(side, n)) for side in sides]
        score = {goal.name: dict(zip(("run", "against"), told, strict=True))}
    differs = changed(notebook.config(other), notebook.config(one))
    return {
        **verdict.model_dump(mode="json", exclude={"time"}),
        "changed": {key: list(values) for key, values in differs.items()},
        "means": score
        | {
            name: {"run": rounded(new.metrics[name].mean), "against": rounded(old.metrics[name].mean)}
            for name in shared
            if new and old and name not in score
        },
    }


def _judged(notebook: Notebook, one: str, other: str) -> list[list[float]]:
    """The scores of either side that the verdict is of: of fresh seeds where one of the two has faced the other."""
    for name, incumbent, turned in ((one, other, False), (other, one, True)):
        fresh = faced(notebook, name)
        if fresh and fresh.incumbent == incumbent:
            place = Incumbency(notebook, notebook.run(name).group)
            mine = place.values([notebook.run(run) for run in fresh.runs if notebook.readable(run)])
            sides = [mine[: fresh.seeds], place.values(place.fresh(incumbent, fresh))[: fresh.seeds]]
            return sides[::-1] if turned else sides
    return judged_values(notebook, one, other)
