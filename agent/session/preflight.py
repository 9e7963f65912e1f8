"""What a session is going to do, said before it does it; and whether it can: disk, device, endpoint."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from agent.approval import Approver
from agent.model import AGENT, Price
from agent.session.pending import based_on, pending
from agent.session.uses import disk_text, tokens_text
from lab.base import AutopilotError, count_of, invalid, lasting, plain, short
from lab.judge import GROUP, Pace, Paces, paces
from lab.search import BASELINE, contenders, plan_of, search_space
from lab.space import BOOKKEEPING, Config, Environment, aggregated, derive, is_misspelt, moved, refuse_statistic
from lab.store import COUNTS, Lab, Selection, SessionRecord, map_metrics
from report import no_room, no_room_text, outlook_lines, plan_text, proof_text
from tools import outline
from training import Moment, Probe, ProcessRunner, SlotRunner, require_loadable

AROUND = 2.0
"""Seconds of a night of the offline researcher in which nothing trains: reports on its first and last run, digest."""
UNCOUNTED = ("the offline researcher uses no tokens", "tokens of an agent are not counted")
RARELY = 1000
"""Runs that a session without limits is taken to have, where something is multiplied by them."""


@runtime_checkable
class Endpoint(Protocol):
    """A model that may not be there."""

    def check(self, tools: list[dict[str, Any]]) -> None:
        """Make sure that it answers and can do this work; raises ModelError where not."""


@dataclass
class Preflight:
    """Everything that is known before the first run."""

    record: SessionRecord
    config: Config
    """What was asked for; from then on what the runs are changes of."""
    lab: Lab
    runner: SlotRunner
    measuring: ProcessRunner
    endpoint: Endpoint | None
    """None for the offline researcher, and for an agent from outside."""
    approver: Approver
    price: Price | None
    say: Callable[[str], None] = lambda _: None
    """Told what takes a while, before it does."""
    contenders: int = 1
    """That the night may name, once it is known how long it is."""
    _told: tuple[str, str] = ("", "")

    def __post_init__(self) -> None:
        """Look at what is there: runs are changes of the incumbent's config, whatever the preset has by now."""
        self.asked, self.config = self.config, based_on(self.lab, self.record, self.config)
        self.pending = pending(self.lab, self.record)

    def require(self) -> None:
        """Make sure that it can begin.

        Raises:
            InvalidInput: the disk has no room for it, its only budget bounds nothing, or a variant can't be loaded.
            TrainingFailed: its files may not grow as large as they have to.
            ModelError: the endpoint does not answer, or its model can't do this work.
        """
        self._bounded()
        self._begins_alike()
        require_loadable(self.lab.notebook.workspace, self.record.env_name)
        self._told = (disk_text(self.lab, self.record), self._endpoint())

    def _bounded(self) -> None:
        """Refuse a budget that is to end the night, alone, and never will."""
        limits, others = self.record.budgets, (self.record.budgets.hours, self.record.budgets.max_runs)
        idle = {"max-tokens": limits.max_tokens, "max-dollars": limits.max_dollars}
        given = next(((name, limit) for name, limit in idle.items() if limit is not None), None)
        if self.endpoint is None and given is not None and others == (None, None) and self.record.target is None:
            rule = f"bounds nothing: {UNCOUNTED[self.record.model == AGENT]}, and no other budget is given"
            raise invalid(*given, rule, "--hours or --max-runs beside it, or a --model")

    def _begins_alike(self) -> None:
        """Refuse settings that the runs here were not made with: a session builds on their incumbent."""
        incumbent, group = self.lab.notebook.incumbent(self.record.group), self.record.group
        if incumbent is None:
            return
        first = [row.run_id for row in self.lab.notebook.index.rows(Selection(group, own=True), limit=1)]
        known = [self.lab.notebook.config(name) for name in (*first, incumbent) if self.lab.notebook.readable(name)]
        for key, value in self.record.settings.items():
            if key in BOOKKEEPING or any(config.get(key) == value for config in known):
                continue
            now = short(self.lab.notebook.config(incumbent).get(key)) if self.lab.notebook.readable(incumbent) else "?"
            rule = f"is not what the runs here have: their incumbent {incumbent}, on which a session builds, has {now}"
            raise invalid(key, value, rule, "another --workspace, or leave it out and propose it: 'autopilot edit'")

    def lines(self) -> list[tuple[str, str]]:
        """Label and text of what will happen.

        Raises:
            InvalidInput: the environment does not log the objective.
            AutopilotError: the config can't be trained.
        """
        disk, endpoint = self._told
        pace, how, logged = self._pace()
        seconds, (runs, which) = pace.seconds(self._steps, self.record.seeds), self._runs(pace)
        replicates = round(runs * self.record.seeds) if runs < RARELY else self.record.replicates
        self.contenders, rest = contenders(replicates), replicates
        if self.pending and replicates is not None:
            by_time = round(self.pending.seconds / seconds * self.record.seeds)
            rest = max(0, replicates - (self.pending.seeds if replicates == self.record.replicates else by_time))
        first = [("first", self.pending.text(self.lab))] if self.pending else []
        return [
            ("objective", f"{self._objective()}{logged}"),
            ("device", self._device()),
            ("time", f"{_about(seconds)} a run of {_replicates(self.record.seeds)} ({how})"),
            ("budget", f"{self._budgets()}: {which}"),
            ("model", f"{endpoint}{tokens_text(self.lab, self.record, self.price, runs) if self.endpoint else ''}"),
            ("approval", self._approval()),
            *first,
            ("search", self._search()),
            *(self._plan(rest) if self._keys else ()),
            ("proof", self._proof(pace)),
            ("disk", disk),
        ]

    @property
    def _steps(self) -> int:
        return _steps(self.config)

    @property
    def _baseline(self) -> int:
        """Replicates of the baseline; 0 where the group has an incumbent, and so none is trained."""
        return 0 if self.lab.notebook.incumbent(self.record.group) else max(self.record.seeds, BASELINE)

    def _objective(self) -> str:
        record, task = self.record, self.record.task
        more = f"; the baseline has {_replicates(self._baseline)}, for the noise floor" if self._baseline else ""
        asked = _steps(self.asked)
        other = f" (as the incumbent has; the preset {short(asked)})" if asked != self._steps else ""
        return (
            f"{record.objective} on {record.env_name}, preset {record.preset}: {_replicates(record.seeds)} of"
            f" {short(self._steps)} steps a run{other}, scored on {task.slots} agents in a fixed evaluation{more}"
        )

    def _device(self) -> str:
        return f"{self._resolved()}, {_replicates(self._room())} at once"

    def _room(self) -> int:
        return self.runner.room(self.config, self._environment, self._resolved())

    @property
    def _environment(self) -> Environment:
        return self.lab.inventory.environment(self.record.env_name)

    def _resolved(self) -> str:
        return self.lab.inventory.device(self.config.train["device"])

    def _pace(self) -> tuple[Paces, str, str]:
        """How fast it trains, how that is known (from runs like it, else measured for a moment); what is logged then.

        Raises:
            InvalidInput: the environment was seen to log other things than the objective.
            AutopilotError: the config can't be trained.
        """
        known = paces(self.lab.notebook, self.config, self.record.group, self._room())
        if known is not None and not known.rough:
            runs = len(known.runs)
            return known, f"as {runs} run{'s' if runs > 1 else ''} here took, evaluation included", ""
        self.say("measuring how fast it trains …")
        environment = self._environment
        root = str(self.lab.notebook.workspace.root.absolute())
        probe = Probe(self.config, environment, self.lab.inventory, self.measuring, root)
        moments = probe.moments(self.config, self.record.task, self._baseline or self.record.seeds)
        if moments is None:
            hint = "; is the machine busy? A run of 'autopilot train' would say as well" if probe.late else ""
            why = f"could not be trained for a moment: {plain(probe.why, 400)}{hint}"
            raise AutopilotError(f"{self.record.env_name} {why}")
        pace = Pace(
            start=max(moment.start for moment in moments),
            step=max(1 / moment.sps for moment in moments),
            evaluation=max(moment.evaluation for moment in moments),
            batch=derive(self.config, environment.agents_per_env or 1).batch_size,
            at_once=len(moments),
        )
        speed = f"{sum(moment.sps for moment in moments):,.0f} SPS in all, measured just now"
        how = f"{speed}; with {_about(pace.evaluation)} of evaluation for each replicate"
        return Paces((pace,), (), rough=False), how, self._logged(moments)

    def _logged(self, moments: list[Moment]) -> str:
        """What to say of an objective that an environment may log with other episodes than those of this moment."""
        env, metric = self.record.env_name, self.record.goal.metric
        raw = {name: 0.0 for moment in moments for name in moment.logged}
        known = map_metrics(raw, env)
        within, how = aggregated(metric)
        if not raw or metric in {*known, *COUNTS} or (how and ":" in env and within in known):
            return ""
        refuse_statistic(metric, known)
        # Of one's own environments others may come with rarer episodes, but not others that are spelt almost the same.
        if all(moment.settled for moment in moments) or is_misspelt(metric, known):
            raise invalid("objective", metric, f"is nothing that {env} logs", " | ".join(sorted(known)))
        seen = plain(", ".join(sorted(known)), 500)
        return f"; no episode has logged {metric} so far, but {seen}: without it in the evaluation no run has a score"

    def _runs(self, pace: Paces) -> tuple[float, str]:
        """The night's length in runs of so many seeds, and what that buys beside a confirmation that is open."""
        limits, seeds = self.record.budgets, self.record.seeds
        seconds, first = pace.seconds(self._steps, seeds), self._first(pace)
        gone = self.pending.seconds / seconds if self.pending and seconds > 0 else 0.0  # in runs' time
        opened = self.pending.seeds if self.pending and gone else 0
        by_time = 1 + (limits.hours * 3600 - first) / seconds if limits.hours else None
        most = limits.max_runs
        if by_time is not None and (most is None or by_time < most):
            if by_time < 1 and self._baseline:
                return 1, f"less than the baseline takes ({_about(first)}), which is trained to its end all the same"
            count = max(1, round((by_time - gone) * seeds))
            return max(1.0, by_time), f"time for about {_replicates(count)}{self._of_these()}"
        if most is not None:
            count, took = most * seeds, first + (most - opened / seeds - 1 + gone) * seconds
            takes = f"take{'s' if most == 1 else ''} {'up to' if opened else 'about'} {_about(took)}"
            of_these = f", {opened} of them the open confirmation's" if opened else self._of_these()
            return most, f"{_replicates(count)}, however they are spent, {takes}{of_these}"
        return RARELY, "without a limit of time or runs: 'autopilot stop' ends it"

    def _first(self, pace: Paces) -> float:
        """Seconds of the baseline, or of another first run, and of what surrounds a night."""
        return pace.seconds(self._steps, self._baseline or self.record.seeds) + AROUND

    def _of_these(self) -> str:
        if self.pending and self.pending.seeds:
            return f", beside the {self.pending.seeds} of the open confirmation"
        return f", the baseline's {self._baseline} and those of a proof included" if self._baseline else ""

    def _budgets(self) -> str:
        limits, seeds = self.record.budgets, self.record.seeds
        parts = [
            f"{limits.hours:g} h" if limits.hours else "",
            f"{count_of(limits.max_runs, 'run')} × {count_of(seeds, 'seed')}" if limits.max_runs else "",
            f"{limits.max_tokens:,} tokens" if limits.max_tokens else "",
            f"${limits.max_dollars:g}" if limits.max_dollars else "",
        ]
        return ", ".join(filter(None, parts)) or "none"

    def _endpoint(self) -> str:
        if self.endpoint is None:
            idle = self.record.budgets.max_tokens or self.record.budgets.max_dollars
            who = "whoever asks for analyses over 'autopilot mcp', else " if self.record.model == AGENT else ""
            return (
                f"{who}the offline researcher: no model, no tokens{' (so their budget bounds nothing)' if idle else ''}"
            )
        begun = time.monotonic()
        self.endpoint.check(outline())
        return f"{self.record.model} answered within {time.monotonic() - begun:.1f} s"

    def _approval(self) -> str:
        return {
            "auto": "auto: every valid proposal is trained",
            "manual": "manual: each proposal waits for you; meanwhile only the incumbent is trained again",
            "policy": f"policy: {'; '.join(self.approver.rules)}",
        }[self.record.approve]

    def _search(self) -> str:
        """The keys that are searched, and how replicates go to them."""
        if not (count := self._keys):
            return "the policy leaves nothing to search: it allows no key to change that a search would change"
        return (
            f"{count} key{'' if count == 1 else 's'}, all at once; a config starts on one replicate, and promising ones"
            f" get more{self._whose()}"
        )

    @property
    def _keys(self) -> int:
        """How many keys are searched."""
        space, permits = search_space(self._environment, self.config), self.approver.permits
        return len((space if permits is None else permits.narrowed(space, self.config)).dimensions)

    def _whose(self) -> str:
        """Who else has a part in the search."""
        record = self.record
        traded = "; sought is the best score for each training time, and the best of all is proven"
        parts = [traded] if record.trade else []
        parts += [f"; {record.control_share:.0%} of it is {record.control}'s, the control"] if record.control else []
        if record.model != "offline" and record.approve != "manual":
            ahead = f", up to {record.ahead} at a time" if record.ahead > 1 else ""
            rest = "all new configs" if record.model_share == 1 else f"{record.model_share:.0%} of the new configs"
            parts.append(f"; {rest} are {record.model}'s{ahead}")
        return "".join(parts)

    def _plan(self, replicates: int | None) -> list[tuple[str, str]]:
        """How the night is laid out by what is known before it, and what could be found if its noise is known."""
        keys, known = self._keys, self._baseline == 0
        plan = plan_of(self.lab.notebook, self.record, replicates, keys=keys, named=self.contenders, known=known)
        found = list(outlook_lines(plan, self.record.goal, self.record.seeds))
        first = "more seeds of the incumbent have" if known else "the baseline has"
        later = [] if found else [f"what could be found is known once {first} trained"]
        then = self.record.confirm if replicates is not None and plan.looks else None
        kept = [f"none are kept for the preset {then}, which has what the proof leaves"] if then else []
        return [("plan", "; ".join([plan_text(plan), *kept, *found, *later]))]

    def _proof(self, pace: Paces) -> str:
        """How something comes to be called better."""
        record, then, gone = self.record, self.record.confirm, self.pending.seeds if self.pending else 0
        said = proof_text(record, self.contenders, self._baseline, gone)
        if self.pending and not self.pending.afforded:
            return "none: nothing is named while the open confirmation is undecided"
        if said.startswith("none"):
            return f"beside the open confirmation {said}" if self.pending else said
        said = f"once the open confirmation is decided: {said}" if self.pending else said
        if then is None:
            return said
        config = moved(self.lab.notebook.workspace, self._environment, self.config, record.preset, then)
        there = paces(self.lab.notebook, config, record.group._replace(preset=then), self._room())
        takes = (pace if there is None or there.rough else there).seconds(_steps(config), GROUP)
        said += f", then on the preset {then} ({_steps(config):,} steps; {GROUP} seeds take about {_about(takes)})"
        if why := no_room(record, self._baseline, gone):
            return said + no_room_text(f"since {why}", "--max-runs")
        # A proof has two groups of seeds on either preset at the least.
        least = 2 * (pace.seconds(self._steps, GROUP) + takes) + (self.pending.seconds if self.pending else 0)
        least += self._first(pace) if self._baseline else 0
        if (hours := record.budgets.hours) is not None and least > hours * 3600:
            return said + no_room_text(f"since the least that it takes is {_about(least)}", "--hours")
        return said


def _steps(config: Config) -> int:
    return int(config.train["total_timesteps"] or 0)


def _replicates(count: int) -> str:
    return count_of(count, "replicate")


def _about(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 10 else lasting(seconds)
