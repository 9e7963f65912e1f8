"""Claims of a plan: what it says of now, and its new values against what was staged. The rest is to come."""

import re

from lab.claims.numbers import Number, real
from lab.claims.reading import Sentence
from lab.claims.recorded import settles
from lab.claims.words import LATER, Code, Quantity

FORWARD = re.compile(
    r"\b(?:plan(?:s|ned|ning)?|tmrw|tmr|tomorrow|tonight|want\w*|to-?do|(?:still|things) to do|targets?|goal"
    r"|hop(?:e|es|ing)|instead(?! of)|tempted|try|tries|trying|next|repeat|re-?run|redo|retry|retest|re-?check|ablate"
    r"|extend|queued?|guess|should"
    r"|would|could|will|let'?s|aim\w*|idea|if|maybe|perhaps|worth|consider|suggest\w*|propos\w+|need|fix"
    r"|go (?:to|back)|later|expect\w*|predict\w*|forecast|recommend\w*|else|whether|before judging"
    r"|same (?:\w+ )?(?:but|with|w/)|now for|again (?:but|with|w/)|back (?:to|up|down))\b|\[ \]|\bbar ?=|\?"
    r"|^\W*(?:use|set|drop|raise|lower|keep|turn|add|cut|go|run (?:\d\d?|it|more|with|w/)|put|bump|skip|test|switch"
    r"|revert|more|bigger|smaller|longer|shorter|less|also)\b|(?:^|\n)\W*to do\b",
    re.IGNORECASE,
)
"""Words and manners of a line that looks forward."""
EITHER = re.compile(r"\d or \d")
"""Values of which a run can have one: what stands in one enumeration with them is to be tried."""
KEEPS = re.compile(
    r"\b(?:keep\w*|kept|stay\w*|leav\w+|left|hold\w*|held|unchanged|as (?:it|they) (?:is|are|was|were)|still|remain\w*"
    r"|retain\w*|preserv\w*|fixed|as before|same|unmodified|maintain\w*)\b",
    re.IGNORECASE,
)
"""Words of what a plan leaves as it is."""
STAYS = re.compile(
    r"\b(?:stays?|stayed|left|unchanged|still|remains?|as before|(?:is|was|are|were) (?:now|kept))\b"
    r"(?: (?:as it is|unchanged|fixed|the same))?(?:,? ?(?:at|on|with|:|=))? ?$",
    re.IGNORECASE,
)
"""What stands right before the value that a note's plan leaves as it is."""
ORIGIN = re.compile(
    r"\b(?:from|was|were|now|current(?:ly)?|instead of|rather than|ran|had|used|today)\b[^.;,]{0,24}$|\($",
    re.IGNORECASE,
)
"""What stands before the value that is now so."""
OLD = re.compile(r"\W*(?:now|from|current(?:ly)?|old|was|before|today|here)\W*", re.IGNORECASE)
"""A heading of a column of values that are now so."""


def planned(s: Sentence, index: int, quantity: Quantity, number: Number) -> None:
    """Judge a number of a plan."""
    coming, now = _coming(s, quantity, number), _now(s, index, quantity)
    before = s.text[: s.tokens[index].start]
    clause = re.split(r"[,;.]|\band\b", s.text[s.tokens[index].end :])[0]
    hit = next((what for value, what in coming if settles(number, value, quantity)), None)
    so = next((what for value, what in now if settles(number, value, quantity)), None)
    of_now = (
        bool(KEEPS.search(before) or KEEPS.search(clause) or ORIGIN.search(before))
        or Code.RUN in s.codes
        or any(OLD.fullmatch(text) for text, _ in s.cells)
    )
    setting = quantity.section in ("config", "derived", "count")
    if hit or (so and (of_now or not setting)):
        s.judge(index, index, True, hit or so or "")
    elif LATER.search(before):
        s.used.add(index)  # an idea beyond what was staged
    elif coming and s.held and not number.than:
        s.judge(index, index, False, "; ".join(what for _, what in coming[:2]))
    elif now and setting and (KEEPS if s.ours else STAYS).search(before):
        s.judge(index, index, False, "; ".join(what for _, what in now[:2]))
    else:
        s.judge(index, index, None, f"nothing of it is staged{'; so it is already' if so else ''}")


def _coming(s: Sentence, quantity: Quantity, number: Number) -> list[tuple[float, str]]:
    """What was staged of a quantity, or foretold of it."""
    values: list[tuple[float, str]] = []
    for key in quantity.settable:
        section, _, name = key.partition(":")
        if section == "config":
            staged = [proposal.overrides.get(name) for proposal in s.known.proposals]
            values += [(float(new), f"staged: {name} {new}") for new in staged if new is not None and real(new)]
    if number.percent or quantity.section == "proposal":
        values += [(p.coverage, f"coverage {p.coverage}") for p in s.known.expected]
    return values


def _now(s: Sentence, index: int, quantity: Quantity) -> list[tuple[float, str]]:
    """What is so of a quantity in the run that is spoken of, else in the parents of what was staged and in this run.

    Where the sentence names runs, of those parents only the ones it names: `0.002 instead of 0.008 on top of #2`.
    """
    owner, named = s.owned(index)
    bases = [run for proposal in s.known.proposals if (run := s.known.get(proposal.parent))]
    said = [s.run_of(token) for token in s.tokens if token.code == Code.RUN]
    runs = [owner] if named else [*(run for run in bases if run in said), owner] if said else [*bases, s.known.run]
    return [value for run in runs for value in s.values(quantity, run, s.aspects(index))]


def exchanged(s: Sentence, first: int, last: int, quantity: Quantity, old: Number, new: Number) -> bool:
    """Judge an old value and a new one of a plan's setting; whether there is such a plan."""
    keys = [key.partition(":")[2] for key in quantity.settable if key.startswith("config:")]
    if s.section != "next_step" or not keys:
        return False
    staged = [
        (base.config.get(key), proposal.overrides[key], key)
        for proposal in s.known.proposals
        for key in keys
        if key in proposal.overrides and (base := s.known.get(proposal.parent))
    ]
    pairs = [(float(a), float(b), key) for a, b, key in staged if real(a) and real(b)]
    told = "; ".join(f"staged: {key} {a:.6g} to {b:.6g}" for a, b, key in pairs[:2])
    true = any(old.sets(a) and new.sets(b) for a, b, _ in pairs) if pairs else None
    now = next((what for value, what in _now(s, first, quantity) if old.sets(value)), None)
    if true or s.held or not now:
        s.judge(first, last, true or (False if pairs and s.held else None), told or "nothing of it is staged")
        return True
    ends = [i for i in range(first, last + 1) if s.codes[i] == Code.NUMBER]
    at = ends[0] if s.number(ends[0]) is old else ends[-1]
    s.judge(at, at, True, now)
    s.judge(sum(ends) - at, sum(ends) - at, None, "a plan of its writer's own")
    return True
