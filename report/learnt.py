"""What was learnt of the keys, in words: what each does by all runs, then what fresh seeds confirmed of single changes.

The digest, the page, proposals that wait and what a model is told all say it from here.
"""

from datetime import datetime
from typing import Any

from lab.base import rounded, short
from lab.judge import lessons_of
from lab.search import Effect, Effects, Search, Span, effects_of
from lab.space import Group, Objective
from lab.store import Lab

LINES = 7
"""That say what was learnt, at most; the note that explains them is one more."""
TOGETHER = 2
"""Interactions among them, at most, and confirmed lessons at least, where there are so many."""


def effects_in(lab: Lab, group: Group, before: datetime | None = None) -> Effects | None:
    """What the keys do by all runs of a group; None while it has no incumbent. Kept until a score comes.

    Args:
        lab: where the runs are.
        group: whose.
        before: runs that were made later don't count; None for all.
    """

    def make() -> Effects | None:
        search = Search.of(lab, group, before=before, thinned=True)
        return effects_of(search.history) if search else None

    return make() if before else lab.notebook.index.kept(group, "effects", make)


def learnt_lines(lab: Lab, group: Group) -> list[str]:
    """What was learnt in a group, the most telling first; none while nothing has a score.

    Args:
        lab: where the runs are.
        group: whose.
    """
    effects, metric = effects_in(lab, group), group.goal.metric
    helped = [one.told(metric) for one in lessons_of(lab.notebook.index, group, 1000) if one.meaning == "helps"]
    said = effect_lines(effects, group.goal, LINES - min(len(helped), TOGETHER)) if effects else []
    return [*said, *helped[: LINES - len(said)]]


def effect_lines(effects: Effects, goal: Objective, most: int = LINES) -> list[str]:
    """What the keys do, the largest share first, then what two do together; or a line that says why nothing is said.

    Args:
        effects: of a group.
        goal: its objective.
        most: how many lines at most.
    """
    if (nothing := why_nothing(effects)) is not None:
        return [nothing]
    together = effects.together[: min(TOGETHER, most)]
    return [effect_text(one, goal) for one in (*effects.found[: most - len(together)], *together)]


def why_nothing(effects: Effects) -> str | None:
    """Why no key is named; None where one is."""
    of = f"{effects.configs} config{'s' if effects.configs != 1 else ''}"
    if effects.lacking == "configs":
        return f"Of single keys nothing can be said yet: {of} with a score, and it takes {effects.needed}."
    if effects.lacking == "model":
        return f"No key's effect can be told from none: the model of {of} foretells no more than chance would."
    if not effects.found and not effects.together:
        return f"No key's effect can be told from none yet, by {of}."
    return None


def effect_text(effect: Effect, goal: Objective) -> str:
    """In one line, such as `train.gamma: best between 0.9 and 0.95, 60 % of the differences; +0.2 [+0.1, …`."""
    size = f"{size_text(effect, goal)} in {goal.metric}"
    if len(effect.best) == 1:
        (best,), (worst,) = effect.best, effect.worst
        against = (" or " if worst.ends is None else " to ").join(dict.fromkeys(map(short, worst.values)))
        share = f"{share_text(effect)} of the differences"
        return f"{best.key}: best {span_text(best)}, {share}; {size} against the worst, {against}"
    best_at = " with ".join(f"{span.key} {span_text(span)}" for span in effect.best)
    keys = " and ".join(effect.keys)
    return f"{keys} together, {share_text(effect)} more: best {best_at}; {size} against the worst of both"


def share_text(effect: Effect) -> str:
    """A share in whole per cents; what rounds to all of it, or is estimated beyond, is nearly all."""
    percent = round(100 * effect.share)
    return f"{percent} %" if percent < 100 else "nearly all"


def size_text(effect: Effect, goal: Objective) -> str:
    """The best against the worst, in the objective's own direction, with the interval."""
    gain, ends = goal.sign * effect.gain, sorted((goal.sign * effect.low, goal.sign * effect.high))
    return f"{gain:+.3g} [{ends[0]:+.3g}, {ends[1]:+.3g}]"


def span_text(span: Span) -> str:
    """Good values in words."""
    values = [short(value) for value in span.values]
    if span.ends is None or len(set(values)) == 1:
        return f"at {' or '.join(dict.fromkeys(values))}"
    return f"between {values[0]} and {values[1]}"


def effect_data(effects: Effects | None, goal: Objective, key: str | None = None) -> dict[str, Any]:
    """The same as JSON has it, for a model.

    Args:
        effects: of a group; None while it has no incumbent.
        goal: its objective.
        key: only what has to do with it.
    """
    every = (*effects.found, *effects.together) if effects else ()
    return {
        "effects": [
            {
                "keys": one.keys,
                "share": rounded(one.share),
                "best": {span.key: list(span.values) for span in one.best},
                "worst": {span.key: list(span.values) for span in one.worst},
                "best_against_worst": rounded(goal.sign * one.gain),
                "interval": sorted(rounded(goal.sign * end) or 0.0 for end in (one.low, one.high)),
            }
            for one in every
            if key is None or key in one.keys
        ],
        "note": why_nothing(effects) if effects else "No run of this group has finished yet.",
    }
