"""Estimates of how long a run takes on this machine, from how fast the replicates of runs here were. Read only.

What replicates say of themselves (when they were first stepped, how long they trained and were evaluated) holds
however often their run was begun. A run's clock (`active_time`) does not, and counts only where a run was begun once
and its replicates have no times.
"""

import platform
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from statistics import fmean, median
from typing import NamedTuple

from lab.space import Config, Group, diff
from lab.store import Notebook, Questions, ReplicateResult, RunRecord, RunState, Selection, active_time

BEHIND = 5
"""Runs behind an estimate at most, the newest ones: the median of five is not led astray by a machine that slept."""
LOOKED_AT = 100
"""Runs among which those behind an estimate are looked for, the newest ones."""

DEVICE = ("train.device", "train.cpu_offload", "train.torch_deterministic", "train.precision", "autopilot.threads")
COMPILER = ("train.compile", "train.compile_fullgraph", "train.compile_mode")
HARDWARE = frozenset(("env.num_envs", *DEVICE, *COMPILER))
UPDATE = ("train.update_epochs", "train.bptt_horizon", "train.minibatch_size", "train.max_minibatch_size")
VARIANTS = ("autopilot.environment_variant", "autopilot.reward_variant", "autopilot.policy_variant")
WORK = frozenset(("train.optimizer", *UPDATE, *VARIANTS))


def is_topology(key: str) -> bool:
    """Whether a dotted key says where and how a config is computed: vectorization, device, threads, arithmetic."""
    return key.startswith("vec.") or key in HARDWARE


def is_work(key: str) -> bool:
    """Whether a dotted key says what has to be computed for a step: the policy, the passes over it, variants."""
    return key.startswith(("policy.", "rnn.")) or key in WORK


class Pace(NamedTuple):
    """The pace of replicates, with so many of them side by side; all times are one replicate's, in seconds."""

    start: float
    """Time until a replicate's environments are first stepped: process, environments, policy."""
    step: float
    """Time that training takes for one agent step."""
    evaluation: float
    """Time of both passes of the final evaluation, however long the training was."""
    batch: int
    """Agent steps of one update: a training goes on to the end of one."""
    at_once: int
    """Replicates side by side. More of them are further rounds, all equally long; fewer may be faster, and are not
    taken to be."""

    def seconds(self, steps: int, replicates: int) -> float:
        """Seconds that a run takes: so many replicates of so many agent steps each, evaluated."""
        trained = -(-steps // self.batch) * self.batch
        return -(-replicates // self.at_once) * (self.start + trained * self.step + self.evaluation)

    def steps(self, seconds: float, replicates: int) -> int:
        """The most agent steps, of all replicates together, that a run of so many seconds may have."""
        each = seconds / -(-replicates // self.at_once) - self.start - self.evaluation
        return replicates * max(0, int(each / self.step) // self.batch * self.batch)


class Paces(NamedTuple):
    """The pace of a config by several runs; the median of what each of them says counts."""

    each: tuple[Pace, ...]
    """Newest first."""
    runs: tuple[str, ...]
    """Runs that the pace was worked out from, newest first; none where it was measured aside."""
    rough: bool
    """Whether the runs were of another topology, policy, group or machine, which may well be faster or slower."""

    def seconds(self, steps: int, replicates: int) -> float:
        """Seconds that a run takes, by the median pace; see `Pace.seconds`."""
        return median(pace.seconds(steps, replicates) for pace in self.each)

    def steps(self, seconds: float, replicates: int) -> int:
        """Agent steps that a run of so many seconds may have, by the median pace; see `Pace.steps`."""
        return int(median(pace.steps(seconds, replicates) for pace in self.each))


class Estimate(NamedTuple):
    """The time that a run is expected to take."""

    seconds: float
    """Time from the run's start to its end, all replicates and their evaluation included."""
    runs: tuple[str, ...]
    """Runs that the time was worked out from, newest first."""
    rough: bool
    """Whether the runs were of another kind, as in `Paces`."""


def expected_seconds(
    notebook: Notebook, config: Config, group: Group, replicates: int | None = None
) -> Estimate | None:
    """The time that a run of a config would take, by the runs that are most like it.

    Args:
        notebook: as in `paces`.
        config: as in `paces`.
        group: as in `paces`.
        replicates: how many; as many as the config says if None.

    Returns:
        None where no run of the environment has been measured.
    """
    expected = paces(notebook, config, group)
    if expected is None:
        return None
    count = replicates or int(config.autopilot["seeds"] or 1)
    return Estimate(expected.seconds(_steps(config), count), expected.runs, expected.rough)


def longest_seconds(notebook: Notebook, config: Config, group: Group, replicates: int) -> float:
    """The time that replicates would take by the usual pace, or by that of the newest run if it was slower.

    What has slowed the machine slows them too, and is passed over by a median.

    Args:
        notebook: as in `paces`.
        config: as in `paces`.
        group: as in `paces`.
        replicates: how many.

    Returns:
        0 where no run of the environment has been measured.
    """
    expected = paces(notebook, config, group)
    if expected is None:
        return 0.0
    return max(one.seconds(_steps(config), replicates) for one in (expected, expected.each[0]))


def _steps(config: Config) -> int:
    return int(config.train["total_timesteps"] or 0)


def paces(notebook: Notebook, config: Config, group: Group, at_once: int | None = None) -> Paces | None:
    """The pace of a config, by the newest finished runs that are most like it.

    Args:
        notebook: whose runs are looked at; imported ones don't count.
        config: complete and valid.
        group: that the run would belong to; runs of other groups of the environment, and of other topologies,
            machines and policies are taken where it has none like it.
        at_once: replicates that will train side by side; as many as were seen in each run if None.

    Returns:
        None where no run of the environment has been measured.
    """
    here = [
        (run, keys)
        for run, keys in _finished(notebook, config, Selection(group))
        if run.host == platform.node() and not any(map(is_topology, keys))
    ]
    alike = [run for run, keys in here if not any(map(is_work, keys))]
    by_run, rough = _paces(notebook, alike), False
    if not by_run:
        by_run, rough = _paces(notebook, (run for run, _ in here)), True
    if not by_run:
        by_run = _paces(notebook, (run for run, _ in _finished(notebook, config, Selection(env_name=group.env_name))))
    if not by_run:
        return None
    each = tuple(pace._replace(at_once=at_once or pace.at_once) for pace in by_run.values())
    return Paces(each, tuple(by_run), rough)


def replicate_seconds(run: RunRecord, results: Sequence[ReplicateResult]) -> float | None:
    """The wall time of one replicate of a run, from its process's start to the end of its evaluation, in seconds.

    Beside whatever trained at the same time, which makes it longer than alone.

    Args:
        run: that has ended.
        results: of its replicates; their mean counts.

    Returns:
        None where nobody measured.
    """
    pace, trained = _pace(run, results), [result.metrics.get("agent_steps", 0.0) for result in results]
    return None if pace is None else pace.seconds(round(fmean(trained)), 1)


def _finished(notebook: Notebook, config: Config, which: Selection) -> list[tuple[RunRecord, Collection[str]]]:
    """Finished runs with the keys in which they differ from a config, newest first."""
    runs = notebook.index.records(replace(which, states=(RunState.FINISHED,), native=True), newest=LOOKED_AT)
    configs = Questions(notebook.index).configs_of([run.run_id for run in runs])
    return [(run, diff(configs[run.run_id], config).keys()) for run in reversed(runs) if run.run_id in configs]


def _paces(notebook: Notebook, runs: Iterable[RunRecord]) -> dict[str, Pace]:
    """Run id to how fast it was, for the newest few that say so."""
    by_run: dict[str, Pace] = {}
    for run in runs:
        if pace := _pace(run, notebook.results(run)):
            by_run[run.run_id] = pace
        if len(by_run) == BEHIND:
            break
    return by_run


def _pace(run: RunRecord, results: Sequence[ReplicateResult]) -> Pace | None:
    """The pace of a run by its replicates' times; else by its clock, as if they had trained one after the other."""
    trained = sum(result.metrics.get("agent_steps", 0.0) for result in results)
    if not trained:
        return None
    first = [result.first_step for result in results if result.first_step]
    if len(first) == len(results) and all(result.train_seconds for result in results):
        waits = [(at - run.started).total_seconds() for at in first if run.started and at >= run.started]
        updates = sum(result.metrics.get("epoch", 0.0) for result in results) or trained
        return Pace(
            start=min(waits, default=0.0),
            step=sum(result.train_seconds for result in results) / trained,
            evaluation=fmean(result.eval_seconds for result in results),
            batch=max(1, round(trained / updates)),
            at_once=_side_by_side(results),
        )
    took = active_time(run)
    if not took:
        return None
    return Pace(start=0.0, step=took.total_seconds() / trained, evaluation=0.0, batch=1, at_once=1)


def _side_by_side(results: Iterable[ReplicateResult]) -> int:
    """The most replicates that were stepping or evaluated at one moment."""
    begun = [(r.first_step.timestamp(), r.train_seconds + r.eval_seconds) for r in results if r.first_step]
    spans = [(start, start + lasted) for start, lasted in begun]
    return max((sum(start <= at < end for start, end in spans) for at, _ in spans), default=1) or 1
