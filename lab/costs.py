"""How long a run would take on this machine, from how long runs took here. Nothing is written.

A run's clock (`active_time`) covers all of it: its replicates' start, their training, the final evaluation. It says
nothing of a run that was begun more than once, since it is set anew each time while replicates that had ended are kept.
"""

import platform
from collections.abc import Collection, Iterable, Sequence
from statistics import fmean, median
from typing import Any, NamedTuple

from lab.config import Config, diff
from lab.index import of_group
from lab.notebook import Notebook, active_time
from lab.questions import Questions
from lab.records import Group, ReplicateResult, RunRecord

BEHIND = 5
"""Runs behind an estimate at most, the newest ones: the median of five is not led astray by a machine that slept."""
LOOKED_AT = 100
"""Runs among which they are looked for, the newest ones."""

HARDWARE = frozenset((
    "env.num_envs", "train.device", "train.torch_deterministic", "train.cpu_offload", "train.compile",
    "train.compile_fullgraph", "train.compile_mode", "train.precision", "autopilot.threads",
))  # fmt: skip
WORK = frozenset((
    "train.update_epochs", "train.bptt_horizon", "train.minibatch_size", "train.max_minibatch_size", "train.optimizer",
    "autopilot.environment_variant", "autopilot.reward_variant", "autopilot.policy_variant",
))  # fmt: skip


def is_topology(key: str) -> bool:
    """Whether a dotted key says where and how a config is computed: vectorization, device, threads, arithmetic."""
    return key.startswith("vec.") or key in HARDWARE


def is_work(key: str) -> bool:
    """Whether a dotted key says what has to be computed for a step: the policy, the passes over it, variants."""
    return key.startswith(("policy.", "rnn.")) or key in WORK


class Estimate(NamedTuple):
    """What a run is expected to take."""

    seconds: float
    """From its start to its end, all replicates and their evaluation included."""
    runs: tuple[str, ...]
    """Those that it was worked out from, newest first."""
    rough: bool
    """They were of another topology, policy, group or machine, which may well be faster or slower."""


def expected_seconds(
    notebook: Notebook, config: Config, group: Group, replicates: int | None = None
) -> Estimate | None:
    """How long a run of a config would take, by the median of the newest finished runs that are like it.

    Where a run has as many replicates, this is all steps of all replicates at that run's speed, all its steps by its
    clock. Else replicates are thought of as rounds: as many side by side as were seen at once in that run, all rounds
    equally long. So three replicates take two thirds as long as five where two trained at once, and as long where all
    five did; more than were ever seen at once count as further rounds. Where no times of replicates were recorded,
    they count as one after the other. It errs on the long side where it can: fewer replicates side by side are faster,
    if anything. The evaluation is taken to grow with the training, which makes long trainings look a little longer and
    short ones a little shorter than they are.

    Args:
        notebook: whose runs are looked at; imported ones, and those begun more than once, don't count.
        config: complete and valid.
        group: that the run would belong to; runs of other groups of the environment, and of other topologies,
            machines and policies are taken where it has none like it.
        replicates: how many; as many as the config says if None.

    Returns:
        None where no run of the environment has been measured.
    """
    count = replicates or int(config.autopilot["seeds"] or 1)
    steps = int(config.train["total_timesteps"] or 0)
    here = [
        (run, keys)
        for run, keys in _finished(notebook, config, *of_group(group))
        if run.host == platform.node() and not any(map(is_topology, keys))
    ]
    alike = [run for run, keys in here if not any(map(is_work, keys))]
    anywhere = [run for run, _ in _finished(notebook, config, "env_name = ?", (group.env_name,))]
    for runs, rough in ((alike, False), ([run for run, _ in here], True), (anywhere, True)):
        if found := _scaled(notebook, runs, steps, count):
            return Estimate(median(found.values()), tuple(found), rough)
    return None


def _finished(
    notebook: Notebook, config: Config, where: str, values: Sequence[Any]
) -> list[tuple[RunRecord, Collection[str]]]:
    """Measured runs with the keys in which they differ from a config, newest first."""
    runs = notebook.index.records(f"({where}) AND state = 'finished' AND NOT legacy", values, newest=LOOKED_AT)
    configs = Questions(notebook.index).configs_of([run.run_id for run in runs])
    once = [run for run in reversed(runs) if run.attempt == 1 and run.run_id in configs]
    return [(run, diff(configs[run.run_id], config).keys()) for run in once]


def _scaled(notebook: Notebook, runs: Iterable[RunRecord], steps: int, count: int) -> dict[str, float]:
    """Run id to how long so many steps of so many replicates would take by it, for the newest few."""
    found: dict[str, float] = {}
    for run in runs:
        took, trained = active_time(run), notebook.values(run.run_id, "agent_steps")
        if took and trained and fmean(trained) > 0:
            at_once = _side_by_side(notebook.results(run))
            rounds = -(-count // at_once) / -(-len(trained) // at_once)
            found[run.run_id] = took.total_seconds() * rounds * steps / fmean(trained)
        if len(found) == BEHIND:
            break
    return found


def _side_by_side(results: Iterable[ReplicateResult]) -> int:
    """The most replicates that were stepping or evaluated at one moment; 1 where their times were not recorded."""
    begun = [(r.first_step.timestamp(), r.train_seconds + r.eval_seconds) for r in results if r.first_step]
    spans = [(start, start + lasted) for start, lasted in begun]
    return max((sum(start <= at < end for start, end in spans) for at, _ in spans), default=1) or 1
