"""Arms side by side, in words: who proposed what, what came of it, who is ahead, and whether that is noise."""

from collections.abc import Iterator

from lab.base import Record, invalid, lasting, number
from lab.search import ARMS, BASE, Ahead, ArmStanding, Mark, Standing, merged, standing_of
from lab.search.standing import FEWEST, TOGETHER
from lab.space import Group, Objective
from lab.store import Notebook, Questions, Selection, Sessions

KINDS = {"offline": "researcher", "person": "person", TOGETHER: ""}
"""Arms that are neither a model nor an optimizer."""
ORDER = ("model", "researcher", "person", "optimizer", "")


class ArmRow(Record):
    """One arm, or all of them together."""

    kind: str
    """`model`, `researcher` (the offline one), `person` or `optimizer`; empty for all together."""
    standing: ArmStanding
    proven: int
    """Its contenders that fresh seeds confirmed."""
    tokens: int | None
    """That its sessions used; None where it is no model, or they used none."""

    def cells(self, equal: int | None) -> dict[str, str]:
        """Heading to text, as every list of arms has them."""
        one = self.standing
        return {
            "arm": one.arm,
            "is a": self.kind,
            "configs": str(one.configs),
            "replicates": str(one.replicates),
            "failed": str(one.failed),
            "its leader, believed": self._leader(one.now),
            f"at {equal} replicates": self._leader(one.at_equal) if one.at_equal else "",
            "proven": str(self.proven),
            "tokens": f"{self.tokens:,}" if self.tokens else "",
            "trained": lasting(one.seconds) if one.seconds else "",
        }

    def _leader(self, mark: Mark) -> str:
        """What a leader is believed to score; the baseline is nobody's."""
        first = self.standing.curve[0]
        is_baseline = first.replicates == 0 and mark.run == first.run
        return "none better than the baseline" if is_baseline else _believed(mark)


class Arms(Record):
    """The arms of a group, or of one session of it."""

    env_name: str
    preset: str
    objective: str
    task: str
    session: str | None
    """The one whose replicates these are; None for those of all."""
    rows: tuple[ArmRow, ...]
    """Models first, then who else proposed, optimizers, and all together."""
    equal: int | None
    """Replicates at which they are compared; None where no two arms have enough."""
    ahead: tuple[Ahead, ...]
    said: tuple[str, ...]
    """Who is ahead, in sentences."""

    def table(self, *without: str) -> list[dict[str, str]]:
        """Heading to text, row by row, columns that say nothing left out, and those that are not wanted."""
        rows = [row.cells(self.equal) for row in self.rows]
        told = [heading for heading in (rows[0] if rows else ()) if any(row[heading] for row in rows)]
        return [{heading: row[heading] for heading in told if heading not in without} for row in rows]


def group_of(
    notebook: Notebook, env_name: str | None, preset: str | None, objective: str | None, session: str | None
) -> tuple[Group | None, int]:
    """The group that is asked for, the one with the newest run, and how many others fit; None for a new workspace.

    Args:
        notebook: where the runs are.
        env_name: of this environment; None for any.
        preset: of this preset; None for any.
        objective: such as `perf:max`; None for any.
        session: whose group; None for any. It says all of it, so that the others must agree with it.

    Raises:
        InvalidInput: there are runs, and none of such a group.
        NotFound: there is no such session.
    """
    groups = Questions(notebook.index).groups()
    known = [Sessions(notebook.workspace).get(session).group] if session else groups
    wanted = {"env": env_name, "preset": preset, "objective": objective}
    for at, (option, value) in enumerate(wanted.items()):
        there = [(group.env_name, group.preset, group.objective)[at] for group in known]
        if value is not None and known and value not in there:
            raise invalid(option, value, "has no runs here", " | ".join(dict.fromkeys(there)))
        known = [group for group, one in zip(known, there, strict=True) if value in (None, one)]
    return (known[0], len(known) - 1) if known else (None, 0)


def arms_of(notebook: Notebook, group: Group, session: str | None = None) -> Arms:
    """How the arms of a group stand.

    Args:
        notebook: where the runs are.
        group: whose.
        session: replicates of this one alone count for an arm; None for those of all.
    """
    found = standing_of(notebook, group, session)
    control, earlier = _headstart(notebook, group, session, found)
    if earlier:
        found = _without(found, control)
    lines = {one.candidate: one for one in notebook.index.confirmations(group=group)}
    won = [run for run, one in lines.items() if one.outcome == "confirmed" and session in (None, one.session)]
    same = merged([one.arm for one in found.arms])
    proven = [same.get(arm, arm) for arm in (notebook.run(run).arm for run in won if notebook.readable(run))]
    records = [one for one in Sessions(notebook.workspace).all() if one.group == group]
    spent = {one.arm: 0 for one in found.arms}
    for record in records:
        if session in (None, record.session_id) and record.model in spent:
            spent[record.model] += record.spent.tokens
    rows = [
        ArmRow(
            kind=kind_of(one.arm),
            standing=one,
            proven=len(proven) if one.arm == TOGETHER else proven.count(one.arm),
            tokens=(sum(spent.values()) if one.arm == TOGETHER else spent[one.arm]) or None,
        )
        for one in (*found.arms, *([found.together] if found.together else []))
    ]
    return Arms(
        env_name=group.env_name,
        preset=group.preset,
        objective=group.objective,
        task=group.task,
        session=session,
        rows=tuple(sorted(rows, key=lambda row: ORDER.index(row.kind))),
        equal=found.equal,
        ahead=found.ahead,
        said=(*said(found, group.goal), *([earlier] if earlier else [])),
    )


def _headstart(notebook: Notebook, group: Group, session: str | None, found: Standing) -> tuple[str, str]:
    """A session's control arm, which sees its own runs alone, and what the others knew besides; empty if nothing.

    Both are at equal replicates only where those of earlier sessions count as well.
    """
    record = next((one for one in Sessions(notebook.workspace).all() if one.session_id == session), None)
    first = notebook.index.rows(Selection(group, session=session), limit=1) if record is not None else []
    if record is None or record.control is None or not first:
        return "", ""
    others = [one.arm for one in found.arms if one.arm != record.control]
    known = notebook.index.rows(Selection(group, native=True, own=True, before=notebook.run(first[0].run_id).created))
    count = sum(row.arm != BASE for row in known)
    if not (count and others and len(others) < len(found.arms)):
        return "", ""
    configs = f"{count} config{'' if count == 1 else 's'} of earlier sessions"
    return record.control, (
        f"{' and '.join(others)} knew {configs}, and {record.control} its own alone: their replicates here are no"
        " equal start. 'autopilot arms' compares them with those of all sessions."
    )


def _without(found: Standing, arm: str) -> Standing:
    """The standing with one arm compared with none."""
    arms = tuple(one.model_copy(update={"at_equal": None}) if one.arm == arm else one for one in found.arms)
    return found.model_copy(update={"arms": arms, "ahead": tuple(o for o in found.ahead if arm not in (o.arm, o.than))})


def compared_arms(notebook: Notebook, group: Group, session: str | None = None) -> Arms | None:
    """How the arms of a group stand; None where fewer than two have trained anything.

    That one arm is alone the index knows, while each place on its curve is a model that has to be fitted.

    Args:
        notebook: where the runs are.
        group: whose.
        session: as in `arms_of`.
    """
    there = Questions(notebook.index).kinds(Selection(group, native=True))["arm"]
    same = merged(there)
    if len({same.get(arm, arm) for arm in there} - {BASE}) < 2:
        return None
    found = arms_of(notebook, group, session)
    return found if len(found.rows) > 2 else None


def kind_of(arm: str) -> str:
    """What an arm is, in a word; empty for all together."""
    return KINDS.get(arm, "optimizer" if arm in ARMS else "model")


def said(found: Standing, goal: Objective) -> Iterator[str]:
    """Who is ahead, in sentences; where nobody can be, why."""
    if not found.arms:
        yield "No arm has proposed a config that ended yet."
    elif len(found.arms) == 1:
        yield f"Only {found.arms[0].arm} has proposed configs: there is nobody to compare it with."
    else:
        for one in found.arms:
            if one.replicates < FEWEST:
                count = f"{one.replicates} replicate{'' if one.replicates == 1 else 's'}"
                yield f"{one.arm} has {count}: arms are compared from {FEWEST} on."
        yield from (_ahead(one, goal) for one in found.ahead)


def _ahead(one: Ahead, goal: Objective) -> str:
    """One arm against another."""
    where = f"at {one.replicates} replicates each"
    if one.level_pegging:
        neither = "of neither is a config believed to be better than the baseline"
        return f"{one.arm} and {one.than} are level {where}: {neither}."
    less = " (less is better)" if goal.direction == "min" else ""
    gain = f"{goal.metric} {number(one.gain)} [{number(one.low)}, {number(one.high)}]{less}"
    head = f"{one.arm} is ahead of {one.than} by {gain} {where}"
    if one.low <= 0:
        return f"{head}: that may be noise."
    best = f"the best {one.top} of {one.configs} configs are" if one.top > 1 else "the best config is"
    chance = f"which equal searches come to in {100 * one.luck:.2g} % of the cases"
    if one.beyond_noise:
        return f"{head}, beyond noise: {best} {one.arm}'s, {chance}."
    lucky = f"{best} {one.arm}'s, {chance}" if one.top else f"{best} not {one.arm}'s"
    return f"{head}: the model holds that config for the better one, and to have found it may be luck ({lucky})."


def _believed(mark: Mark) -> str:
    return f"{number(mark.mean)} [{number(mark.low)}, {number(mark.high)}]"
