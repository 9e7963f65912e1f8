"""Verdicts: what replicates say of a finished run, against the incumbent of its group, its control, or any other.

Recorded once, when the run ends; never *better* then, which is for fresh seeds to say.
"""

from collections import defaultdict
from datetime import datetime
from typing import Any

from lab.base import InvalidInput, append_line, invalid, now, short
from lab.judge.stats import compare, noise_floor
from lab.judge.stopping import fresh_rows, more_rows
from lab.space import Group
from lab.store import Confirmation, Notebook, RunRecord, Selection, Verdict, control, is_control


def record_verdict(notebook: Notebook, run: RunRecord) -> Verdict | None:
    """The verdict of a finished run, recorded once: against the incumbent of its group, or its control.

    Never `better` against the incumbent: that is for fresh seeds to say, in `current_verdict`.

    A run that goes on from a checkpoint is compared with a control that goes on from the same one unchanged, where
    there is one. Fresh seeds of another run have no verdict of their own, nor have imported runs.
    """
    if run.replicates_of or run.legacy:
        return None
    if known := notebook.verdict(run.run_id):
        return known
    like = control(notebook, run)
    against = like.run_id if like else notebook.incumbent(run.group)
    if against is None:
        verdict = Verdict(time=now(), run_id=run.run_id, against=None, verdict="first", metric=run.goal.name)
    else:
        verdict = weigh(notebook, run.run_id, against)
    append_line(notebook.workspace.verdicts, verdict.model_dump(mode="json"))
    return verdict


def current_verdict(notebook: Notebook, run_id: str, at: datetime | None = None) -> Verdict | None:
    """A run's verdict as it stands: the one of its fresh seeds once these have decided, else the one it ended with.

    Args:
        notebook: where it is.
        run_id: of a run.
        at: as it stood then; now if not given.
    """
    verdict = notebook.verdict(run_id)
    fresh = faced(notebook, run_id, at)
    if verdict is None or fresh is None:
        return verdict
    worst = fresh.high if notebook.run(run_id).goal.sign > 0 else fresh.low
    lost = worst is not None and notebook.run(run_id).goal.sign * worst < 0
    proven = fresh.outcome in ("confirmed", "passed")  # on its own preset, whatever a longer one will say
    said = "better" if proven else "worse" if lost else "inconclusive"
    told = {"against": fresh.incumbent, "effect": fresh.effect, "low": fresh.low, "high": fresh.high}
    where = f" on the preset {fresh.preset}" if fresh.preset else ""
    method = f"{fresh.seeds} fresh seeds a side{where}, {fresh.why}"
    return verdict.model_copy(update={**told, "n": (fresh.seeds,) * 2, "verdict": said, "method": method})


def faced(notebook: Notebook, run_id: str, at: datetime | None = None) -> Confirmation | None:
    """How a run came out against the incumbent on fresh seeds; None where these have decided nothing.

    Args:
        notebook: where it is.
        run_id: of a run.
        at: as it stood then; now if not given.
    """
    ended = [
        one
        for one in notebook.index.confirmations(run_id)
        if one.outcome != "opened" and one.effect is not None and (at is None or one.time <= at)
    ]
    return ended[-1] if ended else None


def proof_between(
    notebook: Notebook, run_id: str, against: str, at: datetime | None = None
) -> tuple[Confirmation, bool] | None:
    """The proof in which one of two runs has faced the other, and whether it was the second that wanted the place.

    Args:
        notebook: where they are.
        run_id: the run.
        against: another one.
        at: as it stood then; now if not given.

    Returns:
        None where neither has faced the other on fresh seeds.
    """
    for name, incumbent in ((run_id, against), (against, run_id)):
        proof = faced(notebook, name, at)
        if proof is not None and proof.incumbent == incumbent:
            return proof, name == against
    return None


def weigh(notebook: Notebook, run_id: str, against: str, at: datetime | None = None, *, whole: bool = False) -> Verdict:
    """Two finished runs, as a report may say it: not `better` before fresh seeds have confirmed it.

    One test at the 5 % level is right for two runs chosen beforehand (`compare`); a night makes dozens, and finds
    a false improvement among equal configs more often than not. Against the control of a warm start, which gets no
    fresh seeds, the one test stands.

    Args:
        notebook: where they are.
        run_id: the run.
        against: another one.
        at: as it stood then; now if not given.
        whole: with all more seeds of their configs, as people are told; their own alone if not.

    Raises:
        InvalidInput: one of them has no score.
    """
    if met := proof_between(notebook, run_id, against, at):
        proof, turned = met
        known = current_verdict(notebook, proof.candidate, at)
        if known:
            return _turned(known) if turned else known
    verdict = compare_runs(notebook, run_id, against, at, whole=whole)
    like = control(notebook, notebook.run(run_id))
    if verdict.verdict != "better" or (like is not None and like.run_id == against):
        return verdict
    return verdict.model_copy(update={"verdict": "inconclusive"})


def _turned(verdict: Verdict) -> Verdict:
    """A verdict from the other run's side."""
    low, effect, high = (None if x is None else -x for x in (verdict.high, verdict.effect, verdict.low))
    said = {"better": "worse", "worse": "better"}.get(verdict.verdict, verdict.verdict)
    pair = {"run_id": verdict.against, "against": verdict.run_id}
    method = f"as {verdict.run_id} faced it: {verdict.method}"
    told = {"verdict": said, "low": low, "effect": effect, "high": high, "method": method}
    return verdict.model_copy(update=pair | told)


def judged_runs(
    notebook: Notebook, run_id: str, against: str, at: datetime | None = None, *, whole: bool = False
) -> list[tuple[list[str], bool]]:
    """The runs by whose replicates two runs are compared, the first one's first, and whether these are fresh seeds.

    Of one that has faced the incumbent its fresh seeds: what it was named for flatters it.

    Args:
        notebook: where they are.
        run_id: the run, whose objective it is.
        against: another one.
        at: as it stood then; now if not given.
        whole: with all more seeds of their configs, as people are told; their own alone if not.
    """
    runs = [notebook.run(name) for name in (run_id, against)]
    alike = runs[0].objective == runs[1].objective
    alike = alike and runs[0].replicates_of != against and runs[1].replicates_of != run_id

    def side(name: str) -> tuple[list[str], bool]:
        if fresh := [row.run_id for row in fresh_rows(notebook, name, at)] if alike else []:
            return fresh, True
        return [name, *(row.run_id for row in (more_rows(notebook, name) if whole and alike else ()))], False

    return [side(run.run_id) for run in runs]


def compared_at(notebook: Notebook, run: RunRecord, other: str) -> datetime | None:
    """As of when a run is compared with another: when its verdict was given, if that is against it, else its end.

    Fresh seeds of an incumbent that were trained beside a run may have ended between the two.

    Args:
        notebook: where they are.
        run: the run.
        other: another one.
    """
    verdict = notebook.verdict(run.run_id)
    return verdict.time if verdict is not None and verdict.against == other else run.finished


def metrics_beside(notebook: Notebook, run: RunRecord, other: str) -> dict[str, list[float]]:
    """Another run's metrics as a run is compared with it: in each replicate that a verdict takes of it.

    A report that computed with its fresh seeds, and showed its own replicates, would contradict itself.

    Args:
        notebook: where they are.
        run: the run, ended.
        other: its parent, an incumbent or another one that can be read.

    Returns:
        Metric to values; empty where it has no score.
    """
    _, (names, _) = judged_runs(notebook, run.run_id, other, compared_at(notebook, run, other))
    values = defaultdict[str, list[float]](list)
    for summary in filter(None, map(notebook.summary, names)):
        for name, metric in summary.metrics.items():
            values[name] += metric.values
    return values


def _sides(
    notebook: Notebook, run_id: str, against: str, at: datetime | None, *, whole: bool
) -> list[tuple[list[float], bool]]:
    """The objective in each replicate of either side, as `judged_runs`, and whether it is of fresh seeds."""
    metric = notebook.run(run_id).goal.metric
    return [
        ([value for name in names for value in notebook.values(name, metric)], fresh)
        for names, fresh in judged_runs(notebook, run_id, against, at, whole=whole)
    ]


def compare_runs(
    notebook: Notebook, run_id: str, against: str, at: datetime | None = None, *, whole: bool = False
) -> Verdict:
    """Two finished runs in the first one's objective; inconclusive where they are not like with like.

    One that fresh seeds have made incumbent is told by these: by what it was chosen for it would be too hard to beat.

    Args:
        notebook: where they are.
        run_id: the run.
        against: another one.
        at: as it stood then; now if not given.
        whole: with all more seeds of their configs, as people are told; their own alone if not.

    Raises:
        InvalidInput: one of them has no score.
    """
    record, sides = notebook.run(run_id), _sides(notebook, run_id, against, at, whole=whole)
    (new, _), (old, _) = sides
    for name, values in ((run_id, new), (against, old)):
        if not values:
            raise InvalidInput(f"run {name} has no {record.goal.metric!r}: only a finished run has a score")
    result = compare(new, old, record.goal)
    unlike = confounds(notebook, run_id, against)
    told = [
        f"; {name} by its {len(values)} fresh seeds"
        for name, (values, fresh) in zip((run_id, against), sides, strict=True)
        if fresh
    ]
    return Verdict(
        time=now(),
        run_id=run_id,
        against=against,
        verdict="inconclusive" if unlike else result.verdict,
        metric=record.goal.name,
        effect=result.effect,
        low=result.low,
        high=result.high,
        n=(len(new), len(old)),
        method="".join((result.method, *told)),
        confounds=unlike,
    )


def confounds(notebook: Notebook, run_id: str, against: str) -> tuple[str, ...]:
    """Why two runs are not like with like, in words; none where they are."""
    new, old = notebook.run(run_id), notebook.run(against)
    steps = [notebook.config(name).train.get("total_timesteps") for name in (against, run_id)]
    reasons = []
    if new.legacy or old.legacy:
        reasons.append("imported from another system: not scored as ours are")
    if steps[0] != steps[1]:
        reasons.append(f"trained for {short(steps[1])} steps against {short(steps[0])}")
    for metric, what in (("cumulative_steps", "warm-started: trained"), ("agent_steps", "ended early: trained")):
        done = [next(iter(notebook.values(name, metric)), None) for name in (against, run_id)]
        counts = [_asked(count, total) for count, total in zip(done, steps, strict=True)]
        if metric == "cumulative_steps" and (new.resume or old.resume):
            counts = done
        if not reasons and counts[0] is not None and counts[1] is not None and not _alike(counts[0], counts[1]):
            reasons.append(f"{what} for {done[1]:,.0f} steps in all against {done[0]:,.0f}")
    alone = new.resume is not None and not is_control(notebook, new)
    if alone and new.resume and reasons and not (old.resume and old.resume.files == new.resume.files):
        reasons.append(f"no control goes on from the same weights ('autopilot train --control-of {run_id}' trains one)")
    if new.task != old.task:
        reasons.append("the final evaluations differ")
    if new.versions and old.versions and new.versions != old.versions:
        changed = sorted(k for k in new.versions | old.versions if new.versions.get(k) != old.versions.get(k))
        reasons.append(f"other versions of {', '.join(changed)}")
    # A file that only one of them used is the change under test; the same file with other content is not.
    edited = sorted(name for name in new.sources.keys() & old.sources if new.sources[name] != old.sources[name])
    if edited:
        reasons.append(f"the code has changed: {', '.join(edited)}")
    return tuple(reasons)


def rival(notebook: Notebook, run_id: str) -> str:
    """Whom a run is to be compared with: the control of a warm start where there is one, else the incumbent.

    Raises:
        InvalidInput: there is none but itself.
    """
    run = notebook.run(run_id)
    like = control(notebook, run)
    other = like.run_id if like else notebook.incumbent(run.group)
    if other is None or other == run_id:
        rule = "is the incumbent itself" if other else "has no incumbent to be compared with"
        raise invalid("run", run_id, rule, "two runs: 'autopilot runs' lists them")
    return other


def noise_of(notebook: Notebook, group: Group, at: datetime | None = None) -> tuple[float, int] | None:
    """The noise floor of a group: pooled replicate standard deviation, and its degrees of freedom.

    More replicates of a run count with it. The first one of a run that had only one is left out: it got more for what
    that one scored.

    Args:
        notebook: where its runs are.
        group: whose.
        at: as it stood then; now if not given.
    """

    def made() -> tuple[float, int] | None:
        values: dict[str, list[float]] = defaultdict(list)
        for row in notebook.index.rows(Selection(group, scored=True, native=True, ended_by=at)):
            if len(row.values) > 1 or row.replicates_of is not None:
                values[row.replicates_of or row.run_id].extend(row.values)
        return noise_floor(list(values.values()))

    return notebook.index.kept(group, "noise", made) if at is None else made()


def _asked(count: float | None, total: Any) -> float | None:
    """Steps of a training, without those that its last batch, of whatever size, has beyond what was asked for."""
    return min(count, float(total)) if count is not None and isinstance(total, (int, float)) else count


def _alike(one: float, other: float) -> bool:
    """Two step counts that differ by no more than a warm start's last batch."""
    return abs(one - other) <= 0.05 * max(one, other)
