"""The runs of a workspace: create, update, read back, compare.

Who writes what: the session or `autopilot train` writes run.json and the summary; a training process writes its own
seed folder; the analysis writes report and transcript. A folder that can't be read is reported and passed over.
"""

import contextlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from lab.base import AutopilotError, Damaged, NotFound, RunPaths, Workspace, now, owner_of, read_model, write_model
from lab.space import Config, Group
from lab.store.curves import compact
from lab.store.index import Index
from lab.store.records import Pruning, ReplicateResult, RunRecord, RunState, TrainerSummary, Verdict
from lab.store.selection import Selection
from lab.store.summary import COUNTS, summary_of
from lab.store.tables import read


@dataclass
class Notebook:
    """The runs of one workspace."""

    workspace: Workspace

    def __post_init__(self) -> None:
        self.index = Index(self.workspace)
        self._noticed: dict[str, str] = {}

    @property
    def damaged(self) -> dict[str, str]:
        """Name of a folder or file to what is wrong with it."""
        return {**self.index.damaged(), **self._noticed}

    def notice(self, damaged: Mapping[str, str]) -> None:
        """Remember what could not be read, to be reported with the rest: name of a run to what is wrong with it."""
        self._noticed.update(damaged)

    def replicates(self, session: str) -> int:
        """Replicates of a session's runs, those that are queued included."""
        return sum(len(run.seeds) for run in self.index.records(Selection(session=session)))

    def runs(self, group: Group | None = None, *, session: str | None = None) -> list[RunRecord]:
        """Every readable run, oldest first.

        Args:
            group: only those of it.
            session: only those of it.
        """
        return self.index.records(Selection(group=group, session=session))

    def latest(self, count: int, env_name: str | None = None) -> list[RunRecord]:
        """The latest readable runs, oldest first; those of one environment if given."""
        return self.index.records(Selection(env_name=env_name), newest=count)

    def before(self, run: RunRecord, count: int) -> list[RunRecord]:
        """The latest ended runs of a run's group up to itself, oldest first, fresh seeds of others left out.

        They had ended when it did, so that the answer is the same whenever it is asked for: what somebody else trained
        beside it may be through only when it has been analysed.
        """
        ended = [state for state in RunState if state.ended]
        which = Selection(run.group, until=run.created, ended_by=run.finished, own=True, states=ended)
        return self.index.records(which, newest=count)

    def paths(self, run_id: str) -> RunPaths:
        """Files of an existing run.

        Raises:
            NotFound: no such run.
        """
        paths = self.workspace.run(run_id)
        if not paths.run.exists():
            raise NotFound(f"run {run_id!r} is not in {self.workspace.root}: 'autopilot runs' lists what is")
        return paths

    def run(self, run_id: str) -> RunRecord:
        """One run's record.

        Raises:
            NotFound: no such run.
            Damaged: its record can't be read.
        """
        return read_model(self.paths(run_id).run, RunRecord)

    def config(self, run_id: str) -> Config:
        """One run's complete config.

        Raises:
            NotFound: no such run.
            Damaged: it can't be read.
        """
        path = self.paths(run_id).config
        try:
            return read_model(path, Config)
        except FileNotFoundError:
            raise Damaged(f"{path} is missing") from None

    def overrides(self, run_id: str) -> dict[str, Any]:
        """What was asked for on top of the parent's config, or of the preset; empty if that can't be read."""
        try:
            content = json.loads(self.paths(run_id).override.read_bytes())
        except (OSError, ValueError):
            return {}
        return content if isinstance(content, dict) else {}

    def changes(self, run_id: str) -> dict[str, list[Any]]:
        """What differed from the parent's config when the run was made, key to [old, new]; empty if there is none.

        From the run's own record: its parent may be gone.
        """
        try:
            content = json.loads(self.paths(run_id).config_diff.read_bytes())
        except (OSError, ValueError):
            return {}
        pairs = content.items() if isinstance(content, dict) else ()
        return {key: pair for key, pair in pairs if isinstance(pair, list) and len(pair) == 2}

    def readable(self, run_id: str | None) -> bool:
        """Whether a run is there, and its record, its config and what came of it can be read."""
        try:
            return run_id is not None and bool((self.run(run_id), self.config(run_id), self.summary(run_id)))
        except AutopilotError:
            return False

    def damage(self, run_id: str) -> str | None:
        """What is wrong with the record, the config or the summary of a run; None where all can be read."""
        return read(self.paths(run_id)).damaged

    def require_whole(self, run_id: str) -> None:
        """Refuse a run of which something can't be read.

        Raises:
            Damaged: its record, its config or what came of it is missing or can't be read.
        """
        if why := self.damage(run_id):
            raise Damaged(f"run {run_id}: {why}")

    def summary(self, run_id: str) -> TrainerSummary | None:
        """What came of a run; None unless it finished."""
        path = self.paths(run_id).summary
        return read_model(path, TrainerSummary) if path.exists() else None

    def results(self, run: RunRecord) -> list[ReplicateResult]:
        """The replicates that have ended, in the order of the seeds; what can't be read is noticed and passed over."""
        results, damaged = self.read_results(run)
        self.notice({run.run_id: damaged[0]} if damaged else {})
        return results

    def read_results(self, run: RunRecord) -> tuple[list[ReplicateResult], list[str]]:
        """The replicates that have ended, in the order of the seeds, and what is wrong with any that can't be read."""
        results, damaged = [], []
        for seed in run.seeds:
            try:
                results.append(read_model(self.workspace.run(run.run_id).seed(seed).result, ReplicateResult))
            except FileNotFoundError:
                continue
            except Damaged as error:
                damaged.append(str(error))
        return results, damaged

    def interrupted(self, run: RunRecord) -> bool:
        """Whether a run says that it is being trained, though the process that trained it has gone."""
        return run.state is RunState.RUNNING and owner_of(self.workspace.run(run.run_id).owner) is None

    def update(self, run_id: str, **changes: Any) -> RunRecord:
        """Change fields of a run's record; a run that has ended never changes again."""
        record = self.run(run_id)
        if record.state.ended:
            raise AutopilotError(f"run {run_id} has ended ({record.state}) and can't change any more")
        record = record.model_validate({**record.model_dump(), **changes})
        write_model(self.workspace.run(run_id).run, record)
        return record

    def finish(
        self,
        run_id: str,
        results: Iterable[ReplicateResult],
        versions: dict[str, str],
        pruning: Pruning | None = None,
        at: datetime | None = None,
    ) -> RunRecord:
        """Record the end of a run from its replicates: summary and final state; its verdict is for `record_verdict`.

        A run finishes only when every replicate did and its objective was measured; else it takes the state and
        the reason of the first replicate that did not. `at` is when its training ended; now if not given.
        """
        record, results = self.run(run_id), list(results)
        paths = self.workspace.run(run_id)
        for seed in record.seeds:
            with contextlib.suppress(OSError):  # a full disk: the lines stay as they are
                compact(paths.seed(seed))
        sources = {name: digest for result in results for name, digest in result.sources.items()}
        more: dict[str, Any] = {"versions": versions, "sources": sources, "pruning": pruning, "finished": at or now()}
        metric = record.goal.metric
        bad = next((result for result in results if result.state is not RunState.FINISHED), None)
        if bad is None and len(results) < len(record.seeds):
            return self.fail(run_id, RunState.KILLED, "stopped by the user before every seed was trained", **more)
        if bad is None and not all(metric in result.metrics for result in results):
            known = sorted({name for result in results for name in result.metrics} - set(COUNTS))
            reason = f"the environment logged no {metric!r} in the final evaluation: "
            if known:
                reason += f"it logged {', '.join(known)}; choose one, as in --objective {known[0]}:max"
            else:
                reason += "no episode ended in it (autopilot.eval_steps makes it longer)"
            return self.fail(run_id, RunState.FAILED, reason, **more)
        if bad is not None:
            tail = log_tail(paths, bad.seed)
            return self.fail(run_id, bad.state, f"seed {bad.seed}: {bad.reason}", log_tail=tail, **more)
        config = self.config(run_id)
        write_model(paths.summary, summary_of(record, config, results))
        return self.update(run_id, state=RunState.FINISHED, **more)

    def fail(self, run_id: str, state: RunState, reason: str, **more: Any) -> RunRecord:
        """Record the end of a run that has no score."""
        return self.update(run_id, **{"state": state, "reason": reason[:2000], "finished": now(), **more})

    def verdicts(self) -> dict[str, Verdict]:
        """Run id to its verdict."""
        return self.index.verdicts()

    def verdict(self, run_id: str) -> Verdict | None:
        """What one run got when it ended; None while it has none."""
        return self.index.verdict(run_id)

    def incumbent(self, group: Group) -> str | None:
        """The best run of a group so far: the first one, replaced by each that fresh seeds confirmed to be better."""
        return self.index.incumbent(group)

    def values(self, run_id: str, metric: str) -> tuple[float, ...]:
        """A metric's value in each replicate of a finished run; empty if there is none."""
        summary = self.summary(run_id)
        return summary.metrics[metric].values if summary and metric in summary.metrics else ()


def log_tail(paths: RunPaths, seed: int, lines: int = 12) -> tuple[str, ...]:
    """The last lines of a replicate's log, bounded."""
    log = paths.seed(seed).log
    if not log.exists():
        return ()
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 16_384))
        text = file.read().decode(errors="replace")
    return tuple(line[:400] for line in text.splitlines()[-lines:])


def active_time(run: RunRecord) -> timedelta | None:
    """How long a run trained, from its start to its end; None until then, and where it was begun more than once.

    Its clock is set anew each time, while replicates that had ended are kept.
    """
    return run.finished - run.started if run.finished and run.started and run.attempt <= 1 else None
