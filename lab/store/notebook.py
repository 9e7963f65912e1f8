"""The runs of a workspace: create, update, read back, compare.

Who writes what: the session or `autopilot train` writes run.json and the summary; a training process writes its own
seed folder; the analysis writes report and transcript. A folder that can't be read is reported and passed over.
"""

import contextlib
import json
import platform
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from lab.base.errors import AutopilotError, Damaged, InvalidInput, NotFound, Problem, refused
from lab.base.files import append_line, locked, owner_of, read_model, write_atomic, write_json, write_model
from lab.base.paths import RunPaths, Workspace
from lab.base.text import short
from lab.judge.sequential import screen_p
from lab.judge.stats import compare, noise_floor
from lab.space.config import Config, diff
from lab.space.environments import objective_of, task_of
from lab.space.seeds import free_of_evaluation
from lab.store.code import code_state
from lab.store.curves import compact
from lab.store.index import Index, of_group
from lab.store.lineage import control, is_control, resolve
from lab.store.records import (
    Group,
    Pruning,
    ReplicateResult,
    Resume,
    RunRecord,
    RunState,
    Task,
    TrainerSummary,
    Variant,
    Verdict,
    new_id,
    now,
)
from lab.store.summary import COUNTS, summary_of


@dataclass
class Notebook:
    """All that is known about the runs of one workspace."""

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

    def runs(self, group: Group | None = None, *, session: str | None = None) -> list[RunRecord]:
        """Every readable run, oldest first.

        Args:
            group: only those of it.
            session: only those of it.
        """
        where, values = of_group(group) if group else ("1", ())
        if session is not None:
            where, values = f"{where} AND session = ?", (*values, session)
        return self.index.records(where, values)

    def latest(self, count: int, env_name: str | None = None) -> list[RunRecord]:
        """The latest readable runs, oldest first; those of one environment if given."""
        where, values = ("env_name = ?", (env_name,)) if env_name else ("1", ())
        return self.index.records(where, values, newest=count)

    def before(self, run: RunRecord, count: int) -> list[RunRecord]:
        """The latest ended runs of a run's group up to itself, oldest first, fresh seeds of others left out."""
        where, values = of_group(run.group)
        where = f"{where} AND created <= ? AND settled AND replicates_of IS NULL"
        return self.index.records(where, (*values, run.created.timestamp()), newest=count)

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
            found = json.loads(self.paths(run_id).override.read_bytes())
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def changes(self, run_id: str) -> dict[str, list[Any]]:
        """What differed from the parent's config when the run was made, key to [old, new]; empty if there is none.

        From the run's own record: its parent may be gone.
        """
        try:
            found = json.loads(self.paths(run_id).config_diff.read_bytes())
        except (OSError, ValueError):
            return {}
        pairs = found.items() if isinstance(found, dict) else ()
        return {key: pair for key, pair in pairs if isinstance(pair, list) and len(pair) == 2}

    def readable(self, run_id: str | None) -> bool:
        """There is such a run and its config can be read."""
        try:
            return run_id is not None and bool(self.config(run_id))
        except AutopilotError:
            return False

    def summary(self, run_id: str) -> TrainerSummary | None:
        """What came of a run; None unless it finished."""
        path = self.paths(run_id).summary
        return read_model(path, TrainerSummary) if path.exists() else None

    def results(self, run: RunRecord) -> list[ReplicateResult]:
        """The replicates that have ended, in the order of the seeds; what can't be read is noticed and passed over."""
        found, damaged = self.read_results(run)
        self.notice({run.run_id: damaged[0]} if damaged else {})
        return found

    def read_results(self, run: RunRecord) -> tuple[list[ReplicateResult], list[str]]:
        """The replicates that have ended, in the order of the seeds, and what is wrong with any that can't be read."""
        found, damaged = [], []
        for seed in run.seeds:
            try:
                found.append(read_model(self.workspace.run(run.run_id).seed(seed).result, ReplicateResult))
            except FileNotFoundError:
                continue
            except Damaged as error:
                damaged.append(str(error))
        return found, damaged

    def create(
        self,
        config: Config,
        overrides: dict[str, Any],
        *,
        preset: str,
        objective: str,
        arm: str,
        run_id: str | None = None,
        parent: str | None = None,
        proposal: str | None = None,
        session: str | None = None,
        replicates: int | None = None,
        replicates_of: str | None = None,
        task: Task | None = None,
        variants: dict[str, Variant] | None = None,
        resume: Resume | None = None,
    ) -> RunRecord:
        """A new queued run, complete on disk or not there at all.

        Args:
            config: complete and valid.
            overrides: what was asked for on top of the parent's config, or of the preset where there is no parent.
            preset: the preset it belongs to.
            objective: such as `perf:max`.
            arm: who made the config.
            run_id: its name; a new one if None.
            parent: the run that the overrides change.
            proposal: the proposal it carries out.
            session: the session that asked for it.
            replicates: how many; as many as the config says if None.
            replicates_of: the run whose config it repeats on fresh seeds.
            task: what it is scored on; its parent's if None, or the config's own where there is no parent.
            variants: the user's stand-ins that the config names.
            resume: the very weights it goes on from; found by what the config says if None.

        Raises:
            InvalidInput: the name is taken, or there is nothing of what it should resume from.
        """
        created = now()
        task = task or (self.run(parent).task if parent else task_of(config))
        resume = resume or resolve(self, config, Group(config.env_name, objective, preset, task.key))
        code, changed_code = code_state(self.workspace.root)
        paths = self.workspace.run(run_id or new_id(created))
        with locked(self.workspace.runs / ".lock"):
            while run_id is None and self._is_taken(paths):  # two in one second may draw the same
                paths = self.workspace.run(new_id(created))
            if self._is_taken(paths):
                rule = "is taken: a run is never overwritten, and one that was deleted keeps its verdict"
                raise InvalidInput(
                    [Problem(key="run-id", value=repr(run_id), rule=rule, valid="another name, or none")]
                )
            record = RunRecord(
                run_id=paths.dir.name,
                env_name=config.env_name,
                preset=preset,
                objective=objective,
                arm=arm,
                parent=parent,
                proposal=proposal,
                session=session,
                replicates_of=replicates_of,
                seeds=self._seeds(config, task, replicates),
                created=created,
                host=platform.node(),
                task=task,
                variants=variants or {},
                resume=resume,
                code=code,
            )
            work = RunPaths(self.workspace.runs / f".new-{paths.dir.name}")
            shutil.rmtree(work.dir, ignore_errors=True)
            write_model(work.config, config)
            write_json(work.override, overrides)
            changed = diff(self.config(str(parent)), config) if self.readable(parent) else {}
            write_json(work.config_diff, {key: list(values) for key, values in changed.items()})
            if changed_code:
                write_atomic(work.code_diff, changed_code)
            write_model(work.run, record)
            work.dir.rename(paths.dir)
        return record

    def _is_taken(self, paths: RunPaths) -> bool:
        return paths.dir.exists() or self.verdict(paths.dir.name) is not None

    def _seeds(self, config: Config, task: Task, replicates: int | None) -> tuple[int, ...]:
        """The person's seeds if they set one, else the next ones that no run of this environment has used.

        Fresh seeds for every run: with the same few for all, the best config would be the one that suits them.
        """
        count = replicates or int(config.autopilot["seeds"] or 1)
        first = config.train.get("seed")
        if isinstance(first, int):
            return tuple(range(first, first + count))
        query = "SELECT MAX(last_seed) FROM runs WHERE env_name = ? AND NOT legacy"
        first = (self.index.ask(query, (config.env_name,))[0][0] or 0) + 1
        shape = (1, task.slots) if "num_envs" in config.env else (task.slots, 1)
        while not free_of_evaluation(config, range(first, first + count), shape):
            first += count
        return tuple(range(first, first + count))

    def interrupted(self, run: RunRecord) -> bool:
        """It says that it is being trained, but the process that did has gone."""
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
        """Record the end of a run from its replicates: summary and final state; its verdict is for `judge`.

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
        metric, _ = objective_of(record.objective, record.env_name)
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

    def standing(self, run_id: str, at: datetime | None = None) -> Verdict | None:
        """A run's verdict as it stands: the one of its fresh seeds if these confirmed it, else the one it ended with.

        Args:
            run_id: of a run.
            at: as it stood then; now if not given.
        """
        verdict = self.verdict(run_id)
        found = [
            one
            for one in self.index.confirmations(run_id)
            if one.outcome == "confirmed" and (at is None or one.time <= at)
        ]
        if verdict is None or not found:
            return verdict
        fresh = found[-1]
        told = {"against": fresh.incumbent, "effect": fresh.effect, "low": fresh.low, "high": fresh.high}
        where = f" on the preset {fresh.preset}" if fresh.preset else ""
        method = f"{fresh.seeds} fresh seeds a side{where}, {fresh.why}"
        return verdict.model_copy(update={**told, "verdict": "better", "method": method})

    def judge(self, run: RunRecord) -> Verdict | None:
        """The verdict of a finished run, recorded once: against the incumbent of its group, or its control.

        Never `better` against the incumbent: that is for fresh seeds to say, in `standing`.

        A run that goes on from a checkpoint is compared with a control that goes on from the same one unchanged, where
        there is one. Fresh seeds of another run have no verdict of their own, nor have imported runs.
        """
        if run.replicates_of or run.legacy:
            return None
        if known := self.verdict(run.run_id):
            return known
        like = control(self, run)
        against = like.run_id if like else self.incumbent(run.group)
        metric, direction = objective_of(run.objective, run.env_name)
        if against is None:
            verdict = Verdict(time=now(), run_id=run.run_id, against=None, verdict="first", metric=metric)
        else:
            verdict = self.weigh(run.run_id, against)
            if not verdict.confounds and like is None:
                new, old = self.values(run.run_id, metric), self.defence(against, metric)
                verdict = verdict.model_copy(update={"screen": screen_p(new, old, direction)})
        append_line(self.workspace.verdicts, verdict.model_dump(mode="json"))
        return verdict

    def defence(self, run_id: str, metric: str) -> tuple[float, ...]:
        """What an incumbent is screened against: the fresh seeds that won it its place, else its own replicates.

        Its own are as few as any run's, and flattered by having been chosen; other fresh seeds of it are kept for
        confirmations, which have to rest on other seeds than the screen.
        """
        won = [one for one in self.index.confirmations(run_id) if one.outcome in ("passed", "confirmed")]
        own = [name for one in won if one.preset is None for name in one.runs if self.readable(name)]
        values = tuple(value for name in own for value in self.values(name, metric))
        return values or self.values(run_id, metric)

    def incumbent(self, group: Group) -> str | None:
        """The best run of a group so far: the first one, replaced by each that fresh seeds confirmed to be better."""
        return self.index.incumbent(group)

    def rival(self, run_id: str) -> str:
        """Whom a run is to be compared with: the control of a warm start where there is one, else the incumbent.

        Raises:
            InvalidInput: there is none but itself.
        """
        run = self.run(run_id)
        like = control(self, run)
        found = like.run_id if like else self.incumbent(run.group)
        if found is None or found == run_id:
            rule = "is the incumbent itself" if found else "has no incumbent to be compared with"
            raise refused("run", run_id, rule, "two runs: 'autopilot runs' lists them")
        return found

    def compare(self, run_id: str, against: str) -> Verdict:
        """Two finished runs in the first one's objective; inconclusive where they are not like with like.

        Raises:
            InvalidInput: one of them has no score.
        """
        record = self.run(run_id)
        metric, direction = objective_of(record.objective, record.env_name)
        new, old = self.values(run_id, metric), self.values(against, metric)
        for name, values in ((run_id, new), (against, old)):
            if not values:
                raise InvalidInput(f"run {name} has no {metric!r}: only a finished run has a score")
        result = compare(new, old, direction)
        confounds = self.confounds(run_id, against)
        return Verdict(
            time=now(),
            run_id=run_id,
            against=against,
            verdict="inconclusive" if confounds else result.verdict,
            metric=metric,
            effect=result.effect,
            low=result.low,
            high=result.high,
            method=result.method,
            confounds=confounds,
        )

    def weigh(self, run_id: str, against: str, at: datetime | None = None) -> Verdict:
        """Two finished runs, as a report may say it: not `better` before fresh seeds have confirmed it.

        One test at the 5 % level is right for two runs chosen beforehand (`compare`); a night makes dozens, and finds
        a false improvement among equal configs more often than not. Against the control of a warm start, which gets no
        fresh seeds, the one test stands.

        Args:
            run_id: the run.
            against: another one.
            at: as it stood then; now if not given.

        Raises:
            InvalidInput: one of them has no score.
        """
        known = self.standing(run_id, at)
        if known and known.verdict == "better" and known.against == against:
            return known
        verdict, like = self.compare(run_id, against), control(self, self.run(run_id))
        if verdict.verdict != "better" or (like is not None and like.run_id == against):
            return verdict
        return verdict.model_copy(update={"verdict": "inconclusive"})

    def values(self, run_id: str, metric: str) -> tuple[float, ...]:
        """A metric's value in each replicate of a finished run; empty if there is none."""
        summary = self.summary(run_id)
        return summary.metrics[metric].values if summary and metric in summary.metrics else ()

    def confounds(self, run_id: str, against: str) -> tuple[str, ...]:
        """Why two runs are not like with like, in words; none where they are."""
        new, old = self.run(run_id), self.run(against)
        steps = [self.config(name).train.get("total_timesteps") for name in (against, run_id)]
        found = []
        if new.legacy or old.legacy:
            found.append("imported from another system: not scored as ours are")
        if steps[0] != steps[1]:
            found.append(f"trained for {short(steps[1])} steps against {short(steps[0])}")
        for metric, what in (("cumulative_steps", "warm-started: trained"), ("agent_steps", "ended early: trained")):
            counts = [next(iter(self.values(name, metric)), None) for name in (against, run_id)]
            if not found and counts[0] is not None and counts[1] is not None and not _alike(counts[0], counts[1]):
                found.append(f"{what} for {counts[1]:,.0f} steps in all against {counts[0]:,.0f}")
        alone = new.resume is not None and not is_control(self, new)
        if alone and new.resume and found and not (old.resume and old.resume.files == new.resume.files):
            found.append(
                f"no control goes on from the same weights ('autopilot train --control-of {run_id}' trains one)"
            )
        if new.task != old.task:
            found.append("the final evaluations differ")
        if new.versions and old.versions and new.versions != old.versions:
            changed = sorted(k for k in new.versions | old.versions if new.versions.get(k) != old.versions.get(k))
            found.append(f"other versions of {', '.join(changed)}")
        # A file that only one of them used is the change under test; the same file with other content is not.
        edited = sorted(name for name in new.sources.keys() & old.sources if new.sources[name] != old.sources[name])
        if edited:
            found.append(f"the code has changed: {', '.join(edited)}")
        return tuple(found)

    def noise(self, group: Group) -> tuple[float, int] | None:
        """The noise floor of a group: pooled replicate standard deviation, and its degrees of freedom."""
        where, values = of_group(group)
        return noise_floor([row.values for row in self.index.rows(f"{where} AND n > 1 AND NOT legacy", values)])


def _alike(one: float, other: float) -> bool:
    """Two step counts that a whole number of batches explains: training goes on to the end of one."""
    return abs(one - other) <= 0.05 * max(one, other)


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
