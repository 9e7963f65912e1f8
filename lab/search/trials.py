"""Trials from runs: what the record of a group says of each config that a search counts."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import NamedTuple

from lab.search.history import Trial
from lab.search.points import Point, SearchSpace
from lab.space import Config, identity, telling
from lab.space.parameters import Scalar
from lab.store import UNDONE, Lab, Notebook, Questions, Row, RunState, Selection


class Counted(NamedTuple):
    """A run that a search counts."""

    identity: str
    """What its config is known by."""
    run: str
    """Its own name, or that of the run whose config it repeats."""
    row: Row
    config: Config


def counted(notebook: Notebook, which: Selection, base: Config) -> Iterator[Counted]:
    """The runs of a group that a search counts, oldest first: neither imported nor stopped, as long as the base's.

    Args:
        notebook: where they are.
        which: of one group; imported ones are left out.
        base: the config that they are compared with.
    """
    questions, group = Questions(notebook.index), which.group
    assert group is not None  # noqa: S101 - what is compared is of one
    configs = questions.configs(group) if which.names is None else questions.configs_of(list(which.names))
    for row in notebook.index.rows(replace(which, native=True)):
        config = configs.get(row.run_id)
        if config is None or config.train.get("total_timesteps") != base.train.get("total_timesteps"):
            continue
        if row.state == RunState.KILLED:
            continue
        if config.autopilot.get("resume_mode") == "continue":  # other weights to begin with: another experiment
            continue
        original = row.replicates_of if row.replicates_of in configs else None  # its folder may be gone
        yield Counted(identity(group.env_name, config.flat()), original or row.run_id, row, config)


def trials_of(
    lab: Lab,
    which: Selection,
    parent: str,
    base: Config,
    space: SearchSpace,
    only: frozenset[str] | None,
    arm: str | None,
) -> tuple[dict[str, Trial], dict[str, str]]:
    """The trials of a group's runs, and their runs, by identity: the parent's first, the others in order of making.

    Args:
        lab: where the runs are.
        which: of one group.
        parent: the run whose config is trial 0.
        base: its config.
        space: the keys of a point.
        only: keys beside which a config must change nothing; None for any.
        arm: runs of others don't count, but for the parent's; None for all.
    """
    index, group = lab.notebook.index, which.group
    assert group is not None  # noqa: S101 - a search is of one
    undone = {run.run_id: len(run.seeds) for run in index.records(replace(which, states=UNDONE))}
    trials, runs = dict[str, Trial](), dict[str, str]()
    every = counted(lab.notebook, which, base)
    for one in sorted(every, key=lambda one: parent not in (one.row.run_id, one.row.replicates_of)):
        if only is not None and not telling(base, one.config).keys() <= only:  # beside this part of the space
            continue
        if arm is not None and one.row.arm != arm and parent not in (one.row.run_id, one.row.replicates_of):
            continue
        runs.setdefault(one.identity, one.run)
        old = trials.get(one.identity) or Trial(point_of(space, one.config, base))
        trials[one.identity] = _with(old, one.row, group.goal.sign, undone)
    return trials, runs


def point_of(space: SearchSpace, config: Config, base: Config) -> Point:
    """A config's values for the keys of a space; the base's where it has none."""
    values: dict[str, Scalar] = {}
    for dimension in space.dimensions:
        value = config.get(dimension.key)
        values[dimension.key] = base.get(dimension.key) if value is None else value
    return values


def _with(trial: Trial, row: Row, sign: int, undone: Mapping[str, int]) -> Trial:
    """A trial with what came of one more run of its config."""
    if row.run_id in undone:
        return replace(trial, pending=trial.pending + undone[row.run_id])
    if not row.values:
        return replace(trial, failed=trial.failed + 1)
    took = None if row.finished is None or len(row.values) > 1 else row.finished - row.created
    scores = (*trial.scores, *(sign * value for value in row.values))
    return replace(trial, scores=scores, seconds=took if took is not None else trial.seconds)
