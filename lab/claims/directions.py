"""Claims about which way a quantity went, without a number, and about the course of a training."""

import re

from lab.base import number
from lab.claims.numbers import real
from lab.claims.reading import Sentence
from lab.claims.words import Code, coded
from lab.space import logged_as

VERBS = {"lowered", "raised", "increased", "reduced", "decreased", "cut", "rose", "fell", "dropped"}
MOVED = re.compile(
    r"increased|decreased|reduced|raised|lowered|cut|boosted|grew|dropped|lost|gained|improved|worsened|degraded|hurt"
)
"""Verbs that have a quantity for their object: `this run decreased reward`."""
HAD = re.compile(
    r"\b(?:had|has|have|with|show(?:s|ed)|saw|got|gave|gives|produc\w+|brought|yield\w+|deliver\w+|reach\w+|achiev\w+"
    r"|made|means?|meant|led to|and|at)(?: (?:a|an|the|slightly|much|far|clearly|somewhat|even|significantly))*\s*$"
)
"""What stands before an adjective of a quantity that a run has: `it had fewer collisions`."""
COURSE: dict[str, re.Pattern[str]] = {
    "fell_back": re.compile(
        r"\bpeak(?:ed|s)?\b[^.;]*?\b(?:f[ae]ll|drop\w*|declin\w+|collaps\w+|decay\w*|slipp\w+|regress\w+|fad\w+)"
        r"(?: (?:back|off|away))?|\b(?:f[ae]ll|dropped|slipped) back(?: from (?:its|the) peak)?\b|\bcollaps(?:ed|es)\b",
        re.IGNORECASE,
    ),
    "plateau": re.compile(
        r"\b(?:plateau(?:ed|s)?|levell?ed (?:off|out)|flat(?:tened(?: out)?|-?lined)|saturated|stopped improving)\b",
        re.IGNORECASE,
    ),
    "still_improving": re.compile(
        r"\bstill (?:improving|rising|climbing|increasing|growing|learning|going up)\b"
        r"|\b(?:had not|hadn't|not yet|has not|hasn't) (?:converged|plateaued|levell?ed)\b",
        re.IGNORECASE,
    ),
}
"""How a training went, as the diagnosis names it."""


def courses(s: Sentence) -> None:
    """Find true how a training went: `perf peaked and then fell`, `still improving when it ended`."""
    if s.section == "next_step":
        return
    for finding, pattern in COURSE.items():
        for said, first, last in s.phrases(pattern):
            found = _course(s)
            named = [t.value for t in s.tokens if t.code == Code.QUANTITY and t.start < said.end()]
            if finding in found and (not named or set(named[-1].keys) & set(s.objective.keys)):
                s.say(first, last, "verified", found[finding])


IMPROVING, FLAT = 0.05, 0.01
"""Share of a curve's whole range that it moved from the third quarter to the last: still on its way, at rest."""
FALLEN = 0.85
"""Share of its peak below which a curve has fallen back."""


def _course(s: Sentence) -> dict[str, str]:
    """How the objective went while the subject trained: what of `COURSE` is so, with its evidence."""
    goal = s.known.goal
    curve = s.subject.curves.get(logged_as(goal.metric, s.known.env_name))
    if curve is None or curve.max.value <= curve.min.value:
        return {}
    third, last = curve.quarter_means[-2:]
    moved = goal.gain(last, third) / (curve.max.value - curve.min.value)
    best = goal.best((curve.max.value, curve.min.value))
    if curve.last < FALLEN * best and goal.sign > 0:
        return {"fell_back": f"{goal.metric} {number(curve.last)} at the end, {number(best)} at its best"}
    quarters = f"quarters of {goal.metric}: {', '.join(map(number, curve.quarter_means))}"
    if moved > IMPROVING:
        return {"still_improving": quarters}
    return {"plateau": quarters} if abs(moved) < FLAT else {}


def moved(s: Sentence) -> None:
    """Judge directions said of an object or by an adjective: `decreased reward`, `had fewer collisions`."""
    if s.section == "next_step":
        return
    for first, last in s.matches("[up down better worse] word{0,2} quantity"):
        quantity, before = s.named_quantity(last), s.text[: s.tokens[first].start]
        if (
            not s.free(first, last - 1)
            or re.match(coded("[:=]? number|word? [from than]"), s.codes[last + 1 :])
            or not (
                MOVED.fullmatch(s.word(first)) or (s.codes[first] in coded("up down") and HAD.search(before.lower()))
            )
        ):
            continue
        if quantity.section not in ("metric", "curve") or not (s.named(first) or s.compared_by_name()):
            continue
        new, old = s.one(quantity, s.subject, set()), s.one(quantity, s.reference, set())
        if new is None or old is None or new == old:
            continue
        up = s.codes[first] in (Code.UP, Code.BETTER)
        s.judge(first, last, (new > old) == up, f"{old:.6g} in {s.reference.run_id}, {new:.6g} in {s.subject.run_id}")


def went(s: Sentence) -> None:
    """Judge which way something went: `Policy entropy went up instead of down`, `learning rate was lowered`."""
    for first, last in s.matches("quantity word{0,2} [up down] word{0,2} [up down]?"):
        if not s.free(first + 1, last) or re.match(coded("[word]? [number run quantity than to]"), s.codes[last + 1 :]):
            continue
        quantity = s.named_quantity(first)
        place = next(i for i in range(first + 1, last + 1) if s.codes[i] in coded("up down"))
        up = s.codes[place] == Code.UP
        curve = next((c for k in quantity.keys if (c := s.subject.curves.get(k.partition(":")[2]))), None)
        if quantity.section == "curve" and curve and re.search(r"while training|during training", s.text):
            s.judge(place, last, (curve.last > curve.first) == up, f"first {curve.first:.6g}, last {curve.last:.6g}")
        elif quantity.section == "config" and s.word(place) in VERBS:
            key = quantity.keys[0].partition(":")[2]
            values = s.subject.changed.get(key)
            true = values is not None and all(map(real, values)) and (values[1] > values[0]) == up
            s.judge(first, last, true, f"{key}: {values[0]} to {values[1]}" if values else f"{key} was not changed")


def turned(s: Sentence) -> None:
    """Find true an adjective of what differs from the parent: `the smaller learning rate`, `update_epochs ↑`."""
    for first, last in s.matches("[up down] aspect? quantity|quantity [up down](?=[;,.]|arrow|$)"):
        if s.section == "next_step" or not s.free(first, last):
            continue
        quantity = s.named_quantity(first if s.codes[first] == Code.QUANTITY else last)
        way = 1 if Code.UP in s.codes[first : last + 1] else -1
        for run in s.runs_named():
            parent, aspects = s.known.get(run.parent), s.aspects(last) - {"quarter"}
            new, old = s.one(quantity, run, aspects), s.one(quantity, parent, aspects) if parent else None
            if new is not None and old is not None and (new - old) * way > 0:
                s.say(first, last, "verified", f"{quantity.keys[0].partition(':')[2]}: {old:.6g} to {new:.6g}")
                break


FORETOLD = re.compile(
    r"\b(?:predict\w*|pred|forecast|expect\w*|bet|tool said)\b[^;\n]{0,40}?\b(?P<way>down|up|same)\b", re.IGNORECASE
)


def foretold(s: Sentence) -> None:
    """Find true which way a run had been predicted to go: `the tool expected down`."""
    ways = {prediction.direction for prediction in s.known.predicted}
    for said in FORETOLD.finditer(s.text):
        inside = s.within(*said.span("way"))
        if inside and said["way"].lower() in ways and not s.used & set(inside) and s.section != "next_step":
            s.say(inside[0], inside[-1], "verified", f"it was predicted to go {said['way'].lower()}")
