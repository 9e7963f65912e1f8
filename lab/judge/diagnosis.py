"""The diagnosis of a training from its curves, each finding with its evidence, for the model and the reader alike.

The limits are those that practitioners of PPO use; where one has a source it is named beside it. They say where to
look, not what is wrong.
"""

import statistics
from collections.abc import Iterator
from dataclasses import dataclass

from lab.base import number
from lab.judge.gathering import known_run
from lab.judge.known import KnownRun
from lab.space import Objective, logged_as
from lab.store import Notebook, Outline, RunRecord

HIGH_KL = 0.03
"""Twice the target of 0.015 that PPO implementations commonly stop an update at (Achiam, Spinning Up, 2018)."""
LOW_KL = 1e-4
"""Approximate KL below which an update hardly moves the policy."""
HIGH_CLIP, LOW_CLIP = 0.3, 0.005
"""Shares of clipped ratios; 0.1 to 0.2 is usual (Huang et al., The 37 implementation details of PPO, 2022)."""
COLLAPSED, STALLED = 0.05, 0.97
"""Entropy at the end, as a share of what it was at the start."""
BLIND = 0.1
"""Explained variance below which the value function is little better than the mean return."""
GROWN = 2.0
"""Value loss of the last quarter against the first."""
RISING = 0.1
"""The same, from which on a longer training is worth its time."""
IMPROVING, FLAT = 0.05, 0.01
"""Share of the objective's whole range that it moved from the third quarter to the last."""
FALLEN = 0.85
"""Share of the objective's peak that it ended below."""
OUTLIER = 3.5
"""Modified z-score from which a replicate is out of line (Iglewicz and Hoaglin, 1993)."""
SLOW = 0.8
"""Share of the usual throughput."""
PEERS = 20
CLIPPED = 0.9
"""Share of max_grad_norm that the gradient's norm lies above."""
TOPOLOGY = ("vec.backend", "vec.num_envs", "vec.num_workers", "env.num_envs")
NETWORK = ("rnn.enabled", "policy.hidden_size")
UPDATE = ("train.bptt_horizon", "train.minibatch_size", "train.update_epochs")
"""Keys of a config that its speed depends on, together with `TOPOLOGY` and `NETWORK`."""


@dataclass(frozen=True)
class Finding:
    """A finding about a training."""

    what: str
    """Name of the finding, such as `entropy_collapse`."""
    says: str
    evidence: str


def diagnosis_of(notebook: Notebook, run: RunRecord, agents_per_env: float) -> tuple[Finding, ...]:
    """The findings about a run that has ended, from the record.

    Args:
        notebook: where it lies.
        run: the run.
        agents_per_env: of its environment.
    """
    known = known_run(notebook, run, agents_per_env)
    usual = [sps for other in notebook.before(run, PEERS) if (sps := _throughput(notebook, run, other)) is not None]
    return diagnose(known, run.goal, run.env_name, usual)


def still_rising(notebook: Notebook, run: RunRecord) -> bool:
    """Whether the objective of a run was still rising steeply when its training ended.

    Args:
        notebook: where it lies.
        run: it has ended.
    """
    curve = known_run(notebook, run, 1.0).curves.get(logged_as(run.goal.metric, run.env_name))
    return curve is not None and _moved(curve, run.goal) > RISING


def _throughput(notebook: Notebook, run: RunRecord, other: RunRecord) -> float | None:
    """Steps per second of an earlier run with the same topology and network."""
    summary = notebook.summary(other.run_id) if other.run_id != run.run_id else None
    if summary is None or "sps" not in summary.metrics or not notebook.readable(other.run_id):
        return None
    mine, theirs = notebook.config(run.run_id), notebook.config(other.run_id)
    alike = all(mine.get(key) == theirs.get(key) for key in (*TOPOLOGY, *NETWORK, *UPDATE))
    return summary.metrics["sps"].mean if alike else None


def diagnose(run: KnownRun, goal: Objective, env_name: str, usual: list[float]) -> tuple[Finding, ...]:
    """The findings about a run, from what is known of it.

    Args:
        run: what is known of it.
        goal: the objective.
        env_name: whose metrics they are.
        usual: steps per second of runs like it.
    """
    curve = run.curves.get(logged_as(goal.metric, env_name))
    return (
        *_updates(run),
        *_entropy(run),
        *_values(run),
        *(_progress(curve, goal) if curve else ()),
        *_replicates(run, goal.metric),
        *_speed(run, usual),
        *_flags(run),
    )


def _flags(run: KnownRun) -> Iterator[Finding]:
    for name, metric in run.metrics.items():
        if metric.flag:
            yield Finding("out_of_range", f"{name} is not what its name says", metric.flag)


def _updates(run: KnownRun) -> Iterator[Finding]:
    """KL and clipped share: of the first minibatch of an update both are zero, so with one alone they say nothing."""
    kl, clipped = run.curves.get("losses/approx_kl"), run.curves.get("losses/clipfrac")
    if run.derived.get("minibatches", 1) > 1:
        if kl and kl.quarter_means[-1] > HIGH_KL:
            says = "updates move the policy far; a smaller learning rate or fewer update epochs would calm them"
            yield Finding("high_kl", says, f"approximate KL {number(kl.quarter_means[-1])} in the last quarter")
        elif kl and kl.max.value < LOW_KL:
            yield Finding("low_kl", "updates hardly move the policy", f"approximate KL at most {number(kl.max.value)}")
        if clipped and clipped.quarter_means[-1] > HIGH_CLIP:
            says = "many ratios are clipped, so much of each batch is not learnt from"
            yield Finding("high_clipfrac", says, f"{100 * clipped.quarter_means[-1]:.0f} % clipped in the last quarter")
    norm, limit = run.curves.get("losses/grad_norm"), run.config.get("train.max_grad_norm")
    if norm and isinstance(limit, (int, float)) and norm.quarter_means[-1] > CLIPPED * limit:
        evidence = f"norm {number(norm.quarter_means[-1])} in the last quarter, max_grad_norm {limit}"
        yield Finding("gradients_clipped", "gradients are clipped most of the time", evidence)


def _entropy(run: KnownRun) -> Iterator[Finding]:
    entropy = run.curves.get("losses/entropy")
    if entropy is None or entropy.first <= 0:
        return
    share = entropy.last / entropy.first
    evidence = f"{number(entropy.last)} at the end, {number(entropy.first)} at the start"
    if share < COLLAPSED:
        yield Finding("entropy_collapse", "the policy has all but stopped exploring", f"entropy {evidence}")
    elif share > STALLED:
        yield Finding("entropy_stall", "the policy is about as random as at the start", f"entropy {evidence}")


def _values(run: KnownRun) -> Iterator[Finding]:
    explained, loss = run.curves.get("losses/explained_variance"), run.curves.get("losses/value_loss")
    if explained and explained.quarter_means[-1] < BLIND:
        evidence = f"explained variance {number(explained.quarter_means[-1])} in the last quarter"
        yield Finding("blind_value", "the value function explains little of the returns", evidence)
    if loss and loss.quarter_means[0] > 0 and loss.quarter_means[-1] > GROWN * loss.quarter_means[0]:
        first, last = number(loss.quarter_means[0]), number(loss.quarter_means[-1])
        yield Finding("value_loss_grows", "the value loss grows", f"{first} in the first quarter, {last} in the last")


def _moved(curve: Outline, goal: Objective) -> float:
    """How far it moved from the third quarter to the last, as a share of its range; better is above 0."""
    spread, (third, last) = curve.max.value - curve.min.value, curve.quarter_means[-2:]
    return goal.gain(last, third) / spread if spread > 0 else 0.0


def _progress(curve: Outline, goal: Objective) -> Iterator[Finding]:
    if curve.max.value <= curve.min.value:
        return
    moved = _moved(curve, goal)
    evidence = f"quarters of {goal.metric}: {', '.join(map(number, curve.quarter_means))}"
    best = goal.best((curve.max.value, curve.min.value))
    if goal.sign > 0 and best > 0 and curve.last < FALLEN * best:
        says = "it ended well below its own peak: training was not stable to the end"
        yield Finding("fell_back", says, f"{goal.metric} {number(curve.last)} at the end, {number(best)} at its best")
    elif moved > IMPROVING:
        yield Finding("still_improving", "it was still improving when training ended", evidence)
    elif abs(moved) < FLAT:
        yield Finding("plateau", "it has reached a plateau", evidence)


def _replicates(run: KnownRun, metric: str) -> Iterator[Finding]:
    """Replicates far from the others; with fewer than four nobody can say which is odd."""
    values = run.metrics[metric].values if metric in run.metrics else ()
    if len(values) < 4:
        return
    middle = statistics.median(values)
    mad = statistics.median(abs(value - middle) for value in values)
    odd = [value for value in values if mad > 0 and 0.6745 * abs(value - middle) / mad > OUTLIER]
    if odd:
        which = "a replicate is" if len(odd) == 1 else "replicates are"
        evidence = f"{metric} {', '.join(map(number, odd))} where the median is {number(middle)}"
        yield Finding("odd_replicate", f"{which} out of line with the others", evidence)


def _speed(run: KnownRun, usual: list[float]) -> Iterator[Finding]:
    mine = run.metrics.get("sps")
    if mine and len(usual) >= 3 and mine.mean < SLOW * statistics.median(usual):
        others = f"the median of {len(usual)} others is {statistics.median(usual):,.0f}"
        says = "it trained slower than runs like it usually do here"
        yield Finding("slow", says, f"{mine.mean:,.0f} steps per second, {others}")
