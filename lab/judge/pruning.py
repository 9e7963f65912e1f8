"""Early stopping: a run that has fallen behind what its peers had at the same step need not train to its end.

The rule is the median stopping rule (Golovin et al. 2017, "Google Vizier", 3.2.2) as Optuna's MedianPruner has it.

Invariants: a run is judged by finished runs only that are of its group, trained as long and under the same schedule of
the learning rate, and started from fresh weights; by five at least; at each rung once, when every replicate is there,
and not any more when all have trained to the end. A run that goes on from another's weights is never stopped. What is
decided follows from curves, peers and the run's id alone. A tenth of the runs to be stopped are spared, so that how
often a good one would have been lost can be counted. Nothing here is written to the disk.
"""

import hashlib
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache

import numpy as np

from lab.base import Damaged, Record, RunPaths
from lab.space import Config, Objective, metrics_of
from lab.store import Array, Curve, Notebook, Pruning, RunRecord, RunState, run_curves

RUNGS = 4
"""Parts of a run's horizon; it is judged after each but the last: at a quarter, a half, three quarters."""
WINDOW = 5
"""Part of the way to a rung, the last fifth, that is averaged, so that one noisy log line doesn't decide."""
PEERS = 5
"""Peers that a run is judged by, at least; fewer say nothing."""
SPARED = 10
"""One in so many of the runs to be stopped is run to its end all the same."""


class PruningReport(Record):
    """The record of early stopping."""

    pruned: int
    """Runs that were stopped; a run that ended by itself before it could be is not one of them."""
    spared: int
    """Runs that would have been stopped, but were trained on as a check."""
    finished_spared: int
    """Spared runs that finished and whose group has other finished runs to compare with."""
    false: int
    """Spared runs that finished and came out no worse than the median of their group."""
    rate: float | None
    """The false-prune rate, `false / finished_spared`, 0 to 1; None while there is nothing to divide by."""
    text: str
    """The report in one sentence."""


@dataclass(frozen=True)
class Peer:
    """A finished run that others are judged by."""

    final: float
    """Mean of the run's objective over the replicates."""
    scores: Mapping[int, float]
    """Rung to training score; a rung at which a replicate had logged nothing yet is left out."""


@dataclass
class Watch:
    """The watch over a run in training, from `watch`: given its progress, says whether the run is hopeless."""

    run_id: str
    seeds: tuple[int, ...]
    horizon: int
    """Agent steps that each replicate trains for."""
    goal: Objective
    peers: tuple[Peer, ...]
    """Finished runs that this one is judged by; without any, the run is never stopped."""
    _steps: dict[int, int] = field(default_factory=dict, init=False, repr=False)
    _points: dict[int, list[tuple[int, float]]] = field(default_factory=dict, init=False, repr=False)
    _judged: int = field(default=0, init=False, repr=False)
    _verdict: Pruning | None = field(default=None, init=False, repr=False)

    def saw(self, seed: int, steps: int, score: float | None) -> None:
        """Take in how far a replicate is, and judge the run if that brings it to another rung.

        Args:
            seed: the replicate.
            steps: agent steps it has trained.
            score: its training score in the objective's units; None or not finite where it logged none.
        """
        self._steps[seed] = max(steps, self._steps.get(seed, 0))
        if score is not None and math.isfinite(score):
            self._points.setdefault(seed, []).append((steps, score))
        if self._verdict is not None:
            return
        everywhere = min(self._steps.get(name, 0) for name in self.seeds)
        passed = [rung for rung in _rungs(self.horizon) if rung <= everywhere < self.horizon]
        if len(passed) > self._judged:
            self._judged = len(passed)
            self._verdict = self._judge(passed)

    def verdict(self) -> Pruning | None:
        """The verdict that the run is hopeless, with the rung that first showed it; None before, and never changed."""
        return self._verdict

    def _judge(self, passed: Sequence[int]) -> Pruning | None:
        """The verdict at the last rung that was passed; a rung jumped over on the way there has none of its own."""
        mine = _scores([_curve(self._points.get(seed, ())) for seed in self.seeds], passed)
        rung = passed[-1]
        theirs = [peer.scores[rung] for peer in self.peers if rung in peer.scores]
        if rung not in mine or len(theirs) < PEERS or not _hopeless(mine, self.peers, self.goal):
            return None
        median = statistics.median(theirs)
        return Pruning(steps=rung, score=mine[rung], median=median, peers=len(theirs), spared=_is_spared(self.run_id))


def watch(notebook: Notebook, run: RunRecord, config: Config) -> Watch:
    """The watch that judges a run while it trains; made before, from the peers that have finished by then.

    Of a run that was interrupted, replicates that had finished count as arrived, with the curves they left.

    Args:
        notebook: where its peers are.
        run: about to be trained.
        config: what it trains.
    """
    horizon = _horizon(config)
    watched = Watch(run.run_id, run.seeds, horizon, run.goal, _peers(notebook, run, config))
    done = tuple(result.seed for result in notebook.results(run) if result.state is RunState.FINISHED)
    curves = _objective_curves(notebook.paths(run.run_id), done, run.env_name, run.objective)
    for seed, curve in zip(done, curves, strict=True):
        if curve is not None:
            for steps, value in zip(curve.steps, curve.values, strict=True):
                watched.saw(seed, int(steps), float(value))
        watched.saw(seed, horizon, None)  # also where it needed fewer steps
    return watched


def pruning_report(runs_with_pruning: Sequence[tuple[RunRecord, Pruning]], notebook: Notebook) -> PruningReport:
    """Count the runs that were stopped early, and how often that would have been a mistake.

    The spared runs tell: one whose final objective is at or beyond the median of its group's other finished runs (those
    that were not spared themselves) would have been pruned falsely.

    Args:
        runs_with_pruning: every run found hopeless, whatever came of it.
        notebook: where their scores, and those of their groups, are.
    """
    spared = [run for run, pruning in runs_with_pruning if pruning.spared]
    names = {run.run_id for run in spared}
    losses: list[bool] = []
    for run in spared:
        finished = [other for other in notebook.runs(run.group) if other.state is RunState.FINISHED]
        names |= {other.run_id for other in finished if other.pruning and other.pruning.spared}  # of earlier sessions
        means = {other.run_id: _mean(notebook.values(other.run_id, run.goal.metric)) for other in finished}
        finals = {name: mean for name, mean in means.items() if mean is not None}
        others = [mean for name, mean in finals.items() if name not in names]
        if run.run_id in finals and others:
            final, median = finals[run.run_id], statistics.median(others)
            losses.append(not run.goal.better(median, final))
    pruned = sum(run.state is RunState.PRUNED for run, pruning in runs_with_pruning if not pruning.spared)
    return PruningReport(
        pruned=pruned,
        spared=len(spared),
        finished_spared=len(losses),
        false=sum(losses),
        rate=sum(losses) / len(losses) if losses else None,
        text=_sentence(len(runs_with_pruning), pruned, len(spared), losses),
    )


def _peers(notebook: Notebook, run: RunRecord, config: Config) -> tuple[Peer, ...]:
    """The finished runs that this one may be judged by; none for a run that does not start fresh."""
    if not _fresh(config):
        return ()
    peers: list[Peer] = []
    unreadable: dict[str, str] = {}
    for other in notebook.runs(run.group):
        if other.state is not RunState.FINISHED or not _alike(config, notebook.config(other.run_id)):
            continue
        paths = notebook.paths(other.run_id)
        try:
            scores = _finished_scores(paths, other.seeds, other.env_name, other.objective, _horizon(config))
        except Damaged as error:  # it judges nobody, but must not keep others from training
            unreadable[other.run_id] = f"a learning curve can't be read: {error}"
            continue
        final = _mean(notebook.values(other.run_id, run.goal.metric))
        if final is not None:
            peers.append(Peer(final, scores))
    notebook.notice(unreadable)
    return tuple(peers)


def _alike(config: Config, other: Config) -> bool:
    """Whether another run started fresh too, and equally far into training both have the same learning rate left."""
    same_schedule = config.train.get("anneal_lr") == other.train.get("anneal_lr")
    return _fresh(other) and same_schedule and _horizon(config) == _horizon(other)


def _fresh(config: Config) -> bool:
    return config.autopilot.get("resume_mode", "fresh") == "fresh"


def _horizon(config: Config) -> int:
    return int(config.train["total_timesteps"] or 0)


def _rungs(horizon: int) -> tuple[int, ...]:
    """The agent steps at which a run is judged, ascending, of a horizon of 1000 or more."""
    return tuple(horizon * part // RUNGS for part in range(1, RUNGS))


@cache
def _finished_scores(
    paths: RunPaths, seeds: tuple[int, ...], env_name: str, objective: str, horizon: int
) -> Mapping[int, float]:
    """Rung to score of a finished run. Its files are frozen, so each is opened once a night, not before every run."""
    return _scores(_objective_curves(paths, seeds, env_name, objective), _rungs(horizon))


def _objective_curves(paths: RunPaths, seeds: tuple[int, ...], env_name: str, objective: str) -> list[Curve | None]:
    """What each replicate logged of the objective while it trained, in the objective's units as progress gives it."""
    name = Objective.of(objective, env_name).metric
    metric = metrics_of(env_name).get(name)
    source, scale = (metric.source, metric.scale) if metric else (name, 1.0)
    logged = [curves.get(f"environment/{source}") for curves in run_curves(paths, seeds).values()]
    return [Curve(curve.steps, curve.values * scale) if curve else None for curve in logged]


def _curve(points: Sequence[tuple[int, float]]) -> Curve | None:
    if not points:
        return None
    table: Array = np.array(points, dtype=np.float64)
    return Curve(table[:, 0], table[:, 1])


def _scores(curves: Sequence[Curve | None], at: Sequence[int]) -> dict[int, float]:
    """Rung to the mean over the replicates, for each rung at which every one of them has a score."""
    means: dict[int, float] = {}
    for rung in at:
        scores = [_score(curve, rung) for curve in curves]
        known = [score for score in scores if score is not None]
        if known and len(known) == len(scores):
            means[rung] = math.fsum(known) / len(known)
    return means


def _score(curve: Curve | None, rung: int) -> float | None:
    """A replicate's training score at a rung, in the curve's units.

    Returns:
        The mean of what it logged on the last fifth of the way there, or the last value before; None without any.
    """
    if curve is None:
        return None
    before = curve.steps <= rung
    window = before & (curve.steps >= rung - rung // WINDOW)
    if window.any():
        return float(curve.values[window].mean())
    return float(curve.values[before][-1]) if before.any() else None


def _hopeless(mine: Mapping[int, float], peers: Sequence[Peer], goal: Objective) -> bool:
    """Optuna's MedianPruner: the best score so far is worse than the median of the peers' at the last rung.

    Args:
        mine: rung to score, the last rung included; finite, since Optuna prunes what has no numbers.
        peers: five or more with a score at that rung.
        goal: whose direction counts.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    pruner = optuna.pruners.MedianPruner(n_startup_trials=PEERS, n_warmup_steps=0, n_min_trials=PEERS)
    study = optuna.create_study(direction=goal.optuna, pruner=pruner)
    for peer in peers:
        study.add_trial(optuna.trial.create_trial(value=peer.final, intermediate_values=dict(peer.scores)))
    trial = study.ask()
    for rung, score in mine.items():
        trial.report(score, rung)
    return trial.should_prune()


def _is_spared(run_id: str) -> bool:
    """Whether a run is the one in ten, by its id, so that the answer is the same whenever it is asked for."""
    return int.from_bytes(hashlib.sha256(run_id.encode()).digest()[:8]) % SPARED == 0


def _mean(values: Sequence[float]) -> float | None:
    return math.fsum(values) / len(values) if values else None


def _sentence(hopeless: int, pruned: int, spared: int, losses: Sequence[bool]) -> str:
    if not hopeless:
        return "No run was found hopeless."
    if not pruned and not spared:
        return f"{hopeless} {'run' if hopeless == 1 else 'runs'} looked hopeless, but ended before being stopped."
    text = f"{pruned} {'run was' if pruned == 1 else 'runs were'} stopped early"
    if not spared:
        return f"{text} and none was spared as a check, so how often that was a mistake is not known."
    text += f" and {spared} spared as a check"
    if not losses:
        return f"{text}, none of which has finished yet, so how often stopping is a mistake is not known."
    share = f"{sum(losses)} of the {len(losses)} spared that finished ({100 * sum(losses) / len(losses):.0f} %)"
    return f"{text}; {share} came out no worse than the median of the group."
