"""What a night came to, in a sentence from the record.

It says first whether something is better, in figures of fresh seeds alone; where nothing is, what would have been
shown; where it is open, the command that decides it.
"""

import math
import re
import statistics
from collections import Counter
from collections.abc import Sequence

from lab.base import AutopilotError, count_of, lasting, plain, short
from lab.judge import Incumbency, noise_floor, promises, room_above, scores_of
from lab.search import findable
from lab.space import in_order
from lab.store import Confirmation, Leading, Notebook, Questions, RunRecord, RunState, Selection, SessionRecord
from report.best import leader_of, worth_a_proof
from report.confirmations import confirmations
from report.confirming import decides_text
from report.facts import NAMED, difference_text, name_text
from report.trouble import gave_up_text

STEADIER = 0.05
"""Level of the test by which one side is called steadier: that of Brown and Forsythe (1974), of equal spreads."""
FAILED = (RunState.FAILED, RunState.DIVERGED, RunState.TIMED_OUT)
"""Ends of a run that something was wrong with; the others nobody can help, or somebody wanted."""


def outcome(notebook: Notebook, session: SessionRecord, named: Sequence[Confirmation] | None = None) -> str:
    """Whether a night has found something better, in a sentence; in a second one, that its model gave up.

    Args:
        notebook: where its runs are.
        session: the night, over or not.
        named: how each contender of its group stands, for whoever has read them.
    """
    named = confirmations(notebook, session.group) if named is None else named
    return " ".join(filter(None, (_found(notebook, session, named), gave_up_text(session))))


def _found(notebook: Notebook, session: SessionRecord, named: Sequence[Confirmation]) -> str:
    """Whether a night has found something better."""
    if not notebook.index.count(Selection(session=session.session_id, states=(RunState.FINISHED,))):
        return _nothing_scored(session, notebook.runs(session=session.session_id))
    mine = of_session(notebook, named, session)
    by_outcome = {what: [one for one in mine if one.outcome == what] for what in ("confirmed", "passed", "opened")}
    if by_outcome["confirmed"]:
        return _better(notebook, by_outcome["confirmed"][-1])
    if by_outcome["passed"]:
        one = by_outcome["passed"][-1]
        decides = f": {_deciding(notebook, session, one)}" if session.ended else ""
        return f"{_better(notebook, one)[:-1]}; whether it is on the preset {one.then} is open{decides}."
    if by_outcome["opened"]:
        return _open(notebook, session, by_outcome["opened"][-1])
    return _nothing(notebook, session, mine)


def of_session(notebook: Notebook, named: Sequence[Confirmation], session: SessionRecord) -> list[Confirmation]:
    """The confirmations of one session, and those that a person has asked for since of one of its runs."""
    asked = any(not one.session for one in named)
    ids = {row.run_id for row in notebook.index.rows(Selection(session=session.session_id))} if asked else set[str]()
    return [one for one in named if session.session_id == one.session or (not one.session and one.candidate in ids)]


def _nothing_scored(session: SessionRecord, runs: Sequence[RunRecord]) -> str:
    """A night without a score, and how soon it was over."""
    ended = [run for run in runs if run.state.ended]
    if not ended:
        return "No run has ended yet." if runs else "Nothing has been trained yet."
    failed = [run for run in ended if run.state in FAILED]
    those = failed or ended
    why, count = Counter(map(_why, those)).most_common(1)[0]
    which = "" if count == len(those) else f" ({count} of them)"
    over = f", and the night was over after {lasting(session.spent.seconds)}" if session.ended else ""
    if failed and len(failed) < len(ended):
        stopped = len(ended) - len(failed)
        return f"No run has a score: {stopped} stopped early, {len(failed)} failed{which}{over}: {why.rstrip('.')}."
    many = len(those[0].seeds)
    only = f"The only run, of {many} replicates," if many > 1 else "The only run"
    all_of = f"All {len(those)} runs" if len(those) > 1 else only
    what = "failed" if failed else "were stopped early" if len(those) > 1 else "was stopped early"
    return f"{all_of} {what}{which}{over}: {why.rstrip('.')}."


def _why(run: RunRecord) -> str:
    """Why a run has no score, without the seed that the record names first: what two seeds failed of is one reason."""
    return plain(re.sub(r"^seed \d+: ", "", run.reason or run.state.value), 200)


def _better(notebook: Notebook, won: Confirmation) -> str:
    """A contender that fresh seeds have confirmed."""
    new, old = _sides(notebook, won)
    if not (new and old):
        return f"{_change(notebook, won)} is better{_where(won)}: {_recorded(won)}."
    mean, before = _score(notebook, won, new), _score(notebook, won, old)
    figures = to_tell(before, mean)
    steadier = ", and steadier" if _steadier(new, old) else ""
    lows = to_tell(*map(notebook.run(won.candidate).goal.worst, (old, new)))
    former = f"; {of_all}" if (of_all := _of_all(notebook, won, old)) else ""
    return (
        f"{_change(notebook, won)} is better{_where(won)}: {won.metric} {figures[0]} → {figures[1]} on {won.seeds}"
        f" fresh seeds a side{steadier} (worst seed {lows[0]} → {lows[1]}{former})."
    )


def _of_all(notebook: Notebook, one: Confirmation, old: Sequence[float]) -> str:
    """That the incumbent's figures are of more seeds than the proof's, where they are."""
    number = notebook.index.number_of(one.incumbent)
    return f"#{number}'s figures are of all its {len(old)} seeds" if len(old) > one.seeds else ""


def _open(notebook: Notebook, session: SessionRecord, one: Confirmation) -> str:
    """A contender of which it is not decided yet."""
    place = Incumbency(notebook, session.group)
    sides = [place.values(place.fresh(run, one)) for run in (one.candidate, one.incumbent)]
    count = min(map(len, sides))
    told = ""
    if count:
        new, old = (session.goal.of_scores(side, count) for side in sides)
        figures = to_tell(old, new)
        told = f", {one.metric} {figures[1]} against {figures[0]} on {count} fresh seeds a side so far"
    elif (leader := leader_of(notebook, session)) is not None and leader.run == one.candidate:
        told = f" ({_believed(session, leader)})"
    who = _called(notebook, one.candidate)
    passed = [it for it in notebook.index.confirmations(one.candidate) if it.outcome == "passed"] if one.preset else []
    if passed:  # what is proven is said first
        who = f"{_better(notebook, passed[-1])[:-1]}; on the preset {one.preset} it"
    if session.ended is None:
        return f"{who} is being proven{told}." if passed else f"A contender is being proven: {who}{told}."
    decides = _deciding(notebook, session, one)
    return f"{who} is undecided{told}; {decides}." if passed else f"One contender is undecided: {who}{told}; {decides}."


def _deciding(notebook: Notebook, session: SessionRecord, one: Confirmation) -> str:
    """What decides a contender; of one whose incumbent has lost its place since, to whom."""
    incumbent = notebook.incumbent(session.group)
    if incumbent is not None and incumbent != one.incumbent:
        return f"{_called(notebook, incumbent)} has taken the place since that it was to take"
    return decides_text(notebook, one.candidate, one)


def _nothing(notebook: Notebook, session: SessionRecord, lost: Sequence[Confirmation]) -> str:
    """A night in which nothing was shown to be better."""
    rows = notebook.index.rows(Selection(session=session.session_id))
    incumbent, plan = notebook.incumbent(session.group), session.plan
    # More seeds of one are no other try.
    own = [row for row in rows if RunState(row.state).ended and not row.replicates_of]
    count = sum(row.run_id != incumbent or row.arm != "baseline" for row in own)
    what = "the baseline"
    if incumbent is not None and notebook.readable(incumbent) and notebook.run(incumbent).arm != "baseline":
        what = _called(notebook, incumbent)
    beat = "beat" if session.ended else "has beaten"
    tried = count_of(count, "config")
    unproven = f"Nothing is proven better than {what} in {tried}"
    head = f"Nothing {beat} {what} in {tried}" if count else "Only the baseline has been trained"
    leads = _leads(notebook, session, lost)
    if told := [one for one in lost if one.effect is not None]:
        return _faced(notebook, session, told[-1], head, unproven, leads)
    if lost:
        return f"{head}: the contender {_called(notebook, lost[-1].candidate)} was dropped ({lost[-1].why}){leads}."
    if leads:
        return f"{unproven}{leads}."
    if plan is not None and plan.hopeless:
        return f"{head}; at this noise nothing that is left to gain could have been shown."
    if plan is not None and plan.room is not None and plan.room <= 0:
        return f"{head}: there is nothing left to gain."
    return f"{head}{_would_show(session) if count or session.ended is None else ''}."


def _leads(notebook: Notebook, session: SessionRecord, lost: Sequence[Confirmation]) -> str:
    """What the search believes in beyond the incumbent and what was dropped, after a semicolon; empty where nothing."""
    leader = worth_a_proof(notebook, session, lost)
    if leader is None:
        return ""
    decides = f": {decides_text(notebook, leader.run)}" if session.ended else ""
    return f"; {_called(notebook, leader.run)} may be better ({_believed(session, leader)}){decides}"


def _believed(session: SessionRecord, leader: Leading) -> str:
    """What the search believes of its leader, and of the incumbent."""
    figures = to_tell(leader.mean - session.goal.sign * leader.gain, leader.mean)
    return f"believed {figures[1]} against {figures[0]}"


def _faced(
    notebook: Notebook, session: SessionRecord, one: Confirmation, nothing: str, unproven: str, leads: str
) -> str:
    """A contender that faced the incumbent on fresh seeds and was dropped, behind how it came out in all."""
    new, old = _sides(notebook, one)
    if not (new and old):
        return f"{nothing}: the contender {_called(notebook, one.candidate)} was dropped, {_recorded(one)}{leads}."
    figures = to_tell(_score(notebook, one, old), _score(notebook, one, new))
    came = f"{_called(notebook, one.candidate)} came to {one.metric} {figures[1]}"
    seeds = f"on {one.seeds} fresh seeds"
    promising = promises(one, session.goal)
    if len(old) > one.seeds:
        number = notebook.index.number_of(one.incumbent)
        came += f" {seeds}, against {figures[0]} on all {len(old)} of #{number}'s"
    else:
        came += f" against {figures[0]} {seeds}{' a side' if promising else ''}"
    if not promising:
        return (
            f"{unproven if leads else nothing}: the contender {came}{_would_have_shown(session, one, new, old)}{leads}."
        )
    decides = f": {decides_text(notebook, one.candidate, one)}" if session.ended else ""
    return f"{unproven}; {came}, which spread too widely to prove it{decides}."


def _would_have_shown(session: SessionRecord, one: Confirmation, new: Sequence[float], old: Sequence[float]) -> str:
    """What gain a proof would have shown, as its own clause, by how much its own seeds spread; empty where none.

    Not by the noise that was planned with: a contender may spread wider than the baseline did.
    """
    noise = noise_floor([new, old])
    gain = findable(noise[0], one.seeds, one.level, session.goal.statistic) if noise and one.seeds > 1 else math.inf
    room = room_above(old, session.goal) if old else None
    if room is not None and room < gain < math.inf:
        return f", where at their spread nothing that is left to gain ({_digits(room, room)}) could have been shown"
    told = _shown_text(gain)
    return f", where {told}" if told else ""


def _would_show(session: SessionRecord) -> str:
    """What gain a night without a contender would have shown, after a semicolon; empty where nobody knows.

    Before its end nothing has been put to the proof yet: it is what the night is laid out for.
    """
    plan = session.plan
    if plan is None or not plan.findable:
        return ""
    gain = plan.findable[-1]
    told = _shown_text(gain) if session.ended else _gain_text(gain, "the night is laid out to show a gain of {}")
    return f"; {told}" if told else ""


def _shown_text(gain: float) -> str:
    return _gain_text(gain, "a gain of {} would have been shown")


def _gain_text(gain: float, words: str) -> str:
    return words.format(_digits(gain, gain)) if math.isfinite(gain) and gain > 0 else ""


# --- its parts -------------------------------------------------------------------------------------------------------


def _change(notebook: Notebook, one: Confirmation) -> str:
    """What a contender changes against the incumbent: two keys, of more the first and their count."""
    try:
        changed = Questions(notebook.index).changed(one.incumbent, one.candidate)
    except AutopilotError:
        return _called(notebook, one.candidate)
    changed.pop("train.seed", None)
    keys = in_order(changed)[:NAMED]
    more = f" and {len(changed) - len(keys)} more" if len(changed) > len(keys) else ""
    told = ", ".join(f"{k.split('.', 1)[-1]} {short(changed[k][0])} → {short(changed[k][1])}" for k in keys)
    return f"#{notebook.index.number_of(one.candidate)} (`{told}`{more})" if told else _called(notebook, one.candidate)


def _called(notebook: Notebook, run_id: str) -> str:
    """A run by its name."""
    return name_text(notebook, notebook.run(run_id)) if notebook.readable(run_id) else run_id


def _where(one: Confirmation) -> str:
    return f" on the preset {one.preset}" if one.preset else ""


def _sides(notebook: Notebook, one: Confirmation) -> tuple[list[float], list[float]]:
    """A contender's fresh seeds, since its own figures are flattered, and all of the incumbent's.

    Empty where the runs are no longer there.
    """
    place = Incumbency(notebook, notebook.run(one.candidate).group)
    there = [notebook.run(name) for name in one.runs if notebook.readable(name)]
    new = place.values(there if one.runs else place.fresh(one.candidate, one))
    old = scores_of(notebook, one.incumbent) if notebook.readable(one.incumbent) else []
    return new if len(new) >= one.seeds else [], old


def _recorded(one: Confirmation) -> str:
    """What a proof came to by its own line, where runs of it are no longer there."""
    told = "" if one.effect is None else f"{one.metric} {difference_text(one.effect, one.low, one.high)} "
    return f"{told}on {one.seeds} fresh seeds a side, of which not all runs are in runs/ any more"


def _score(notebook: Notebook, one: Confirmation, values: Sequence[float]) -> float:
    """A side's score by the objective's statistic; of unequal counts its worst is that of as many as fresh seeds."""
    goal = notebook.run(one.candidate).goal
    return goal.of_scores(values) if goal.statistic != "worst" else goal.of_scores(list(values)[-max(1, one.seeds) :])


def _steadier(new: Sequence[float], old: Sequence[float]) -> bool:
    """Whether one side spreads less than the other by a test."""
    if min(len(new), len(old)) < 3 or statistics.pstdev(new) >= statistics.pstdev(old):
        return False
    from scipy.stats import levene

    return bool(levene(new, old, center="median").pvalue < STEADIER)


def to_tell(*values: float) -> list[str]:
    """Numbers with as many decimals as tell them apart by two digits."""
    gap = max(values) - min(values)
    return [_digits(value, gap or abs(value)) for value in values]


def _digits(value: float, gap: float) -> str:
    decimals = 2 if gap <= 0 else min(6, max(0, 1 - math.floor(math.log10(gap))))
    return f"{value:,.{decimals}f}"
