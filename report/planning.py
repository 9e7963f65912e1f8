"""The plan of a night in words: how replicates are laid out, what could be found, where in it a session is."""

import math
from collections.abc import Iterator

from lab.base import count_of, number
from lab.judge import GROUP, SPENDING, level_for, lowest
from lab.search import findable, phases, seeds_for
from lab.space import Objective
from lab.store import Leading, NightPlan, Notebook, SessionRecord


def plan_text(plan: NightPlan) -> str:
    """How a night's replicates are laid out, such as `baseline 5, search 25 or more, proof up to 30`."""
    parts = [f"baseline {plan.baseline}"] if plan.baseline else ["no baseline: the incumbent is known"]
    if plan.replicates is not None and plan.replicates <= plan.baseline:
        parts.append("which takes all there are: nothing is left to search with; a larger --max-runs")
    elif plan.looks == 0:
        parts += ["search all the others", "no proof: too few are left for fresh seeds"]
    else:
        who = f" of {plan.contenders} contenders" if plan.contenders > 1 else ""
        if plan.search is None:
            parts += ["search without a limit", f"proof{who} up to {plan.reserve} at a time"]
        else:
            parts += [f"search {plan.search} or more", f"proof{who} up to {plan.reserve}"]
    return ", ".join(parts)


def proof_text(record: SessionRecord, contenders: int, baseline: int, gone: int = 0) -> str:
    """How something comes to be called better on the session's own preset; begins with `none` where nothing can.

    Args:
        record: the session.
        contenders: that it may name.
        baseline: replicates of the baseline, 0 where none is trained.
        gone: replicates that go to a confirmation which is open already.
    """
    most = None if record.replicates is None else record.replicates - gone
    if most is not None and most - baseline < 2 * GROUP:
        count = f"{most} replicate{'' if most == 1 else 's'}"
        return f"none: {count} leave no {2 * GROUP} for fresh seeds: a larger --max-runs"
    looks = len(SPENDING) if most is None else min(len(SPENDING), (most - baseline) // (2 * GROUP))
    who = f"at most {contenders} contender{'' if contenders == 1 else 's'}, named by the search"
    span = f"{GROUP} to {GROUP * looks}" if looks > 1 else f"{GROUP}"
    return f"{who}, on {span} fresh seeds a side{_by_statistic(record.goal, contenders, GROUP * looks)}"


def no_room(record: SessionRecord, baseline: int, gone: int = 0) -> str:
    """Why a budget of replicates can't come to the fresh seeds on a longer preset; empty where it can.

    A proof takes a group of seeds a side on either preset at the least, and before it, where the group has no runs yet,
    what it proves a replicate.

    Args:
        record: the session, which has a longer preset.
        baseline: replicates of the baseline, 0 where none is trained.
        gone: replicates that go to a confirmation which is open already.
    """
    if record.replicates is None or record.replicates - gone - baseline - bool(baseline) >= 4 * GROUP:
        return ""
    return (
        f"{count_of(record.replicates - gone, 'replicate')} leave no {2 * GROUP} for it beside those of the first proof"
    )


def no_room_text(why: str, larger: str) -> str:
    """What follows where a budget can't come to the fresh seeds on a longer preset, and what would help.

    Args:
        why: as of `no_room`, or since there is no time.
        larger: the option that bounds it.
    """
    return (
        f": this budget has no room for that, {why}, so nothing that this session finds becomes incumbent in it;"
        f" 'autopilot confirm' or another session goes on. What would help: --confirm none, or a larger {larger}"
    )


def _by_statistic(goal: Objective, contenders: int, seeds: int) -> str:
    """What a proof by another statistic than the mean can show, and what nothing guards it against."""
    wider = "a contender that only spreads wider may pass"
    if goal.statistic != "worst":
        return "" if goal.is_mean else f", by {goal.name}" + (f"; {wider}" if goal.statistic == "median" else "")
    if (below := lowest(seeds, level_for(contenders))) is None:
        return f": none by {goal.name}, which {seeds} seeds a side can't show at this level"
    return (
        f", by {goal.name}: shown only where all of the contender's {seeds} seeds lie beyond about {below} of the"
        f" incumbent's {seeds}, so a collapse on fewer of them is not shown to be gone; {wider}"
    )


def outlook_lines(plan: NightPlan, goal: Objective, seeds: int) -> Iterator[str]:
    """What could be found at a plan's noise, and what would help where nothing could.

    Args:
        plan: with the noise, or nothing is said.
        goal: in whose units.
        seeds: replicates that a run stands for.
    """
    if plan.noise is None:
        return
    # Where the plan has no fresh seeds, what some would show is known all the same.
    looks, level = range(1, len(SPENDING) + 1), level_for(plan.contenders)
    gains = plan.findable or [findable(plan.noise, GROUP * at, level, goal.statistic) for at in looks]
    seen = [(gain if math.isfinite(gain) else None, GROUP * at) for at, gain in enumerate(gains, start=1)]
    sizes = [f"{'none' if gain is None else number(gain)} with {count}" for gain, count in seen]
    shown = ", ".join([*sizes[:2], *sizes[max(2, len(sizes) - 1) :]])
    rough = ", a rough guess" if plan.freedom < GROUP else ""
    room = f"; there is room for {number(plan.room)} ({_bound(goal)})" if plan.room is not None else ""
    yield (
        f"replicates differ by {number(plan.noise)} ({plan.freedom} degrees of freedom{rough}): in nine of ten cases"
        f" fresh seeds {'show' if plan.findable else 'would show'} a gain of {shown} a side{room}"
    )
    if plan.wanted is not None and plan.room is not None and plan.wanted > plan.room:
        yield f"{number(plan.wanted)} (--min-effect) is more than there is left to gain: nothing can be found"
    elif plan.wanted is not None and gains[-1] > plan.wanted:
        yield f"{number(plan.wanted)} (--min-effect) is less than that: a gain so small would mostly not be shown"
    if plan.hopeless:
        yield "at this noise nothing that is left to gain could be shown; " + _help(plan, seeds)


def _bound(goal: Objective) -> str:
    return f"{goal.metric} can't go beyond {number(goal.limit)}" if goal.limit is not None else "as declared"


def _help(plan: NightPlan, seeds: int) -> str:
    """What would help where nothing could be shown."""
    ways = []
    if plan.enough is not None:
        count = plan.baseline + (plan.search or 0) + 2 * GROUP * math.ceil(plan.enough / GROUP)
        ways.append(f"more seeds ({plan.enough} a side would do: --max-runs {math.ceil(count / seeds)} at least)")
    ways += ["longer runs, if their replicates lie closer together", "an objective that still tells configs apart"]
    return "what would help: " + ", or ".join(ways)


def stage_text(notebook: Notebook, record: SessionRecord) -> str | None:
    """Where in its plan a session is, such as `search 12 of 25 or more; then a proof of up to 30`; None without one."""
    plan = record.plan
    if plan is None:
        return None
    mine = notebook.index.confirmations(group=record.group, session=record.session_id)
    opened = [one for one in mine if one.outcome == "opened"]
    _, search, proof = phases(notebook, record)
    short = plan.search is not None and search < plan.search
    planned = f" of {plan.search} or more" if record.ended is None else f" of the {plan.search} that were planned"
    said = f"search {search}{planned if short else ''}"
    if not plan.looks:
        return f"{said}; no proof: too few replicates for fresh seeds"
    if not opened:
        return f"{said}; {_unproven_text(notebook, record, plan)}"
    open_still = sum(one.outcome != "opened" for one in mine) < len(opened)
    stands = "done" if not open_still else "under way" if record.ended is None else "stopped, nothing decided yet"
    if open_still and any(one.outcome == "passed" for one in mine):
        stands = (
            f"passed on {record.preset}, {'under way' if record.ended is None else 'undecided'} on {opened[-1].preset}"
        )
    most = sum(2 * one.group * one.looks for one in opened)  # as it was laid down, by the room that there was
    return f"{said}; proof {stands}: {proof} fresh seeds of up to {most}"


def _unproven_text(notebook: Notebook, record: SessionRecord, plan: NightPlan) -> str:
    """What is to come of a proof that nothing has been named for, or why none came."""
    left = _left(notebook, record, plan)
    if left is not None and left < 2 * GROUP:
        return f"no proof: nothing was named for it while there were {2 * GROUP} replicates left"
    if record.ended:
        return "no proof: nothing was named for it"
    return f"then a proof of up to {plan.reserve if left is None else min(plan.reserve, left)}"


def reached_text(notebook: Notebook, record: SessionRecord, leader: Leading | None) -> str | None:
    """How far a night got with a leader that nobody has proven: what a proof of it would take; None where that is moot.

    Args:
        notebook: where the runs are.
        record: the session.
        leader: what its search believed in last.
    """
    plan = record.plan
    if leader is None or plan is None or plan.noise is None or leader.gain <= 0:
        return None
    if leader.run == notebook.incumbent(record.group) or notebook.index.confirmations(leader.run):
        return None
    level = level_for(plan.contenders)
    needed = seeds_for(leader.gain, plan.noise, level, record.goal.statistic)
    gain = f"gain of {number(leader.gain)}, as the search believes it"
    if needed is None:
        return f"No number of fresh seeds up to a thousand a side would show a {gain}."
    needed, left = max(needed, _first_that_shows(level)), _left(notebook, record, plan)
    rest = "" if left is None else f"; {left} replicates were left at the end"
    return f"A {gain}, is shown in nine of ten cases by {needed} fresh seeds a side{rest}."


def _left(notebook: Notebook, record: SessionRecord, plan: NightPlan) -> int | None:
    """Replicates that a night still has; None without a limit."""
    return None if plan.replicates is None else max(0, plan.replicates - notebook.replicates(record.session_id))


def _first_that_shows(level: float) -> int:
    """Seeds a side of the first look at which some result would be unlikely enough."""
    looks = ((GROUP * at, level * share) for at, share in enumerate(SPENDING, start=1))
    return next((seeds for seeds, spent in looks if lowest(seeds, spent) is not None), GROUP * len(SPENDING))
