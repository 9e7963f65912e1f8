"""The diagnosis of a training: findings, ranked, each with evidence, meaning and the moves that would test it.

What happened to the objective (`symptoms.py`), what may have caused it (`causes.py`), what differs from its parent and
from the leader (`beside.py`), from its group and its peers. The limits are those that practitioners of PPO use; their
sources stand beside them. They say where to look, not what is true: every meaning is put so that the next run can
refute it.
"""

import statistics
from collections import defaultdict
from collections.abc import Iterator

from lab.judge.beside import apart, moved
from lab.judge.causes import BONUS_UP, RATE_DOWN, RATE_UP, causes
from lab.judge.evidence import Evidence
from lab.judge.finding import Finding, Move, Weight, ranked
from lab.judge.symptoms import Symptom, counted, symptoms
from lab.space import Group, logged_as
from lab.store import Lab, Notebook, RunRecord, Selection, outline, run_curves

ILL = 0.4
"""Strength from which on a finding asks for a remedy; below, it is worth knowing."""
SOLVED = 0.9
"""Share of the best value possible from which on nothing stands in the way of learning, whatever the curves do."""
RISING = 0.1
"""Share of its range gained in the last quarter, from which on a longer training is worth its time."""
SLOW = 0.8
"""Share of the usual throughput."""
PEERS = 20
"""Runs before it that a run's speed is compared with, or that a group's findings are taken from."""
TOPOLOGY = ("vec.backend", "vec.num_envs", "vec.num_workers", "env.num_envs")
NETWORK = ("rnn.enabled", "policy.hidden_size")
UPDATE = ("train.bptt_horizon", "train.minibatch_size", "train.update_epochs")
"""Keys of a config that its speed depends on, together with `TOPOLOGY` and `NETWORK`."""
SUSPECTS: dict[str, tuple[str, ...]] = {
    "collapse": ("updates_too_large", "exploration_gone", "value_loss_dominates", "gamma_too_high", "clip_too_narrow"),
    "never_left": (),
    "two_kinds": ("updates_too_large", "exploration_gone", "updates_too_small"),
}
"""Symptom to the causes that are known for it; none named: any."""
FIRST_GUESS: dict[str, tuple[Move, ...]] = {
    "collapse": (RATE_DOWN,),
    "never_left": (RATE_UP, BONUS_UP),
    "two_kinds": (RATE_DOWN, BONUS_UP),
}
"""Moves that test a symptom where no cause stands out."""
MEANS = {
    "collapse": "an update threw away what was learnt; smaller steps should keep the peak",
    "never_left": "nothing that it tried was told apart by the rewards it got",
    "two_kinds": "whether it learns is decided by luck; calmer updates or more exploration should make failures rarer",
}


def diagnosis_of(lab: Lab, run: RunRecord) -> tuple[Finding, ...]:
    """The findings about a run that has ended, the one that deserves attention first first.

    Args:
        lab: where it lies.
        run: the run; it is compared with its parent, with the leader of when it ended, and with the runs of its group
            before it.
    """
    return ranked(
        [
            *diagnose(Evidence.of(lab, run)),
            *moved(lab.notebook, run),
            *apart(lab, run),
            *_speed(lab.notebook, run),
            *_flags(lab, run),
        ]
    )


def diagnose(seen: Evidence) -> tuple[Finding, ...]:
    """The findings that a run's own curves and config give, ranked.

    Args:
        seen: what is looked at.
    """
    if not any(seen.curves.values()):
        return ()  # it never trained: its config alone says nothing
    happened = {one.name: one for one in symptoms(seen)}
    found = [one for one in causes(seen, happened) if one.strength >= 0.1]
    found += [_explained(one, found) for one in happened.values() if one.name != "still_rising" and one.strength >= 0.1]
    well = solved(seen)
    return ranked([
        one.model_copy(update={"weight": Weight.NOTE if well or one.strength < ILL else Weight.ILL}) for one in found
    ])  # fmt: skip


def _explained(symptom: Symptom, causes: list[Finding]) -> Finding:
    """A symptom as a finding: its moves are those of the causes that are known for it, the strongest first."""
    fitting = [one for one in ranked(causes) if not SUSPECTS[symptom.name] or one.name in SUSPECTS[symptom.name]]
    moves = list(dict.fromkeys(one.moves[0] for one in fitting if one.moves))[:3]
    moves += [move for move in FIRST_GUESS[symptom.name] if move.key not in {one.key for one in moves}]
    because = f"; {fitting[0].statement}" if fitting else ""
    return Finding(
        name=symptom.name, weight=Weight.ILL, statement=symptom.statement, evidence=symptom.evidence,
        meaning=MEANS[symptom.name] + because, moves=tuple(moves), strength=symptom.strength,
    )  # fmt: skip


def solved(seen: Evidence) -> bool:
    """Whether every replicate has nearly reached what can be reached.

    Args:
        seen: what is looked at.
    """
    limit, scores = seen.goal.limit, seen.scores
    if limit is None or not scores or limit <= 0 or seen.goal.sign < 0:
        return False
    return min(scores) >= SOLVED * limit


def still_rising(notebook: Notebook, run: RunRecord) -> bool:
    """Whether the objective of a run was still rising steeply when its training ended.

    Args:
        notebook: where it lies.
        run: it has ended.
    """
    name = logged_as(run.goal.metric, run.env_name)
    curves = [
        named[name] for named in run_curves(notebook.workspace.run(run.run_id), run.seeds).values() if name in named
    ]
    if not curves:
        return False
    curve = outline(curves)
    spread, (third, last) = curve.max.value - curve.min.value, curve.quarter_means[-2:]
    return spread > 0 and run.goal.gain(last, third) / spread > RISING


def group_diagnosis(lab: Lab, group: Group, session: str | None = None) -> tuple[Finding, ...]:
    """What runs of a group have in common, ranked: findings of at least half of its latest runs, or of its baseline.

    Args:
        lab: where they lie.
        group: whose runs, the latest twenty with a score.
        session: only those of this one; of all if not given.
    """
    runs = lab.notebook.index.records(Selection(group, session=session, scored=True, native=True), newest=PEERS)
    found: dict[str, list[tuple[RunRecord, Finding]]] = defaultdict(list)
    for run in runs:
        for finding in diagnose(Evidence.of(lab, run)):
            if finding.weight is Weight.ILL:
                found[finding.name].append((run, finding))
    shared = []
    for those in found.values():
        base = next((pair for pair in those if pair[0].parent is None), None)
        if 2 * len(those) < len(runs) and base is None:
            continue
        run, told = base or max(those, key=lambda pair: pair[1].strength)
        which = "baseline" if base else run.run_id
        evidence = f"{counted(len(those), len(runs), 'run')}; {which}: {told.evidence}"
        share = len(those) / len(runs)
        shared.append(told.model_copy(update={"evidence": evidence, "strength": told.strength * max(share, 0.5)}))
    return ranked(shared)


def _flags(lab: Lab, run: RunRecord) -> Iterator[Finding]:
    summary = lab.notebook.summary(run.run_id)
    for name, metric in summary.metrics.items() if summary else ():
        if metric.flag:
            yield Finding(name="out_of_range", weight=Weight.NOTE, statement=f"{name} is not what its name says",
                          evidence=metric.flag, metrics=(name,), strength=0.3)  # fmt: skip


def _throughput(notebook: Notebook, run: RunRecord, other: RunRecord) -> float | None:
    """Steps per second of an earlier run with the same topology and network."""
    summary = notebook.summary(other.run_id) if other.run_id != run.run_id else None
    if summary is None or "sps" not in summary.metrics or not notebook.readable(other.run_id):
        return None
    mine, theirs = notebook.config(run.run_id), notebook.config(other.run_id)
    alike = all(mine.get(key) == theirs.get(key) for key in (*TOPOLOGY, *NETWORK, *UPDATE))
    return summary.metrics["sps"].mean if alike else None


def _speed(notebook: Notebook, run: RunRecord) -> Iterator[Finding]:
    summary = notebook.summary(run.run_id)
    mine = summary.metrics.get("sps") if summary else None
    usual = [sps for other in notebook.before(run, PEERS) if (sps := _throughput(notebook, run, other)) is not None]
    if mine and len(usual) >= 3 and mine.mean < SLOW * statistics.median(usual):
        others = f"the median of {len(usual)} others is {statistics.median(usual):,.0f}"
        yield Finding(
            name="slow", weight=Weight.NOTE, statement="it trained slower than runs like it usually do here",
            evidence=f"{mine.mean:,.0f} steps per second, {others}", metrics=("sps",), strength=0.2,
        )  # fmt: skip
